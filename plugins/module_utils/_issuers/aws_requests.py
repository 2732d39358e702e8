# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Requests to IAM, STS and Secrets Manager with the AWS SDK, whose clients are shared in a process.

The description of a service takes tens of megabytes and half a second to load, so a client is never created for a
credential: it asks for the credentials of each request that it signs. The SDK never retries, because a repeated
request could issue two keys. send() repeats what was certainly not performed, and reads.
"""

from __future__ import annotations

import functools
import random
import re
import threading
import time
import typing as t
from dataclasses import dataclass, field

from ..issuer import IssuerError
from .http import LARGEST_SKEW, clock_skew

CONNECT_TIMEOUT = 4.0  # seconds; with READ_TIMEOUT less than half of CALL_TIMEOUT: a write may need a read before it
READ_TIMEOUT = 8.0     # seconds
READS = 3              # attempts of a read that is not answered
PAUSE = 0.5            # seconds before the first repetition; longer before each further one
CLIENTS = 64           # in memory; the least recently used one is dropped
CONNECTIONS = 16       # of a client

_WRITES = ("CreateAccessKey", "UpdateAccessKey", "DeleteAccessKey", "PutSecretValue", "UpdateSecretVersionStage")
_SERVICES = {  # of operations; all others are of IAM
    **dict.fromkeys(("AssumeRole", "GetCallerIdentity"), "sts"),
    **dict.fromkeys(
        ("DescribeSecret", "GetSecretValue", "PutSecretValue", "UpdateSecretVersionStage"), "secretsmanager"),
}
_UNKNOWN_KEYS = (
    "AuthFailure",
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidToken",
    "MissingAuthenticationToken",
    "OptInRequired",
    "RequestExpired",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
)
_EXPIRED = ("RequestExpired", "RequestTimeTooSkewed", "SignatureDoesNotMatch")
# rejected before they are performed
_BUSY = (
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "SlowDown",
    "TooManyRequests",
    "TooManyRequestsException",
)
_UNAVAILABLE = ("RequestTimeout", "ServiceFailure", "ServiceUnavailable")


class NoSuchEntity(IssuerError):
    """The user, the key, the role or the secret does not exist in the account that signs in."""


@dataclass(frozen=True)
class Signer:
    """The credentials that sign a request; the SDK reads these attributes."""

    access_key: str
    secret_key: str = field(repr=False)
    token: str | None = field(default=None, repr=False)


class Settings(t.NamedTuple):
    """What distinguishes clients: None means the SDK's own setting."""

    profile: str | None = None
    region: str | None = None
    endpoint_url: str | None = None
    ca_bundle: str | None = None


class _SignerOfThread(threading.local):
    """A provider of credentials for the SDK, and the credentials: those of the request that this thread sends."""

    method = "explicit"
    account_id = None
    signer: Signer | None = None

    def load_credentials(self) -> _SignerOfThread:
        return self

    def get_frozen_credentials(self) -> Signer | None:
        return self.signer

    def get_deferred_property(self, name: str) -> t.Callable[[], None]:
        return lambda: None


_signer_of_thread = _SignerOfThread()
_creating = threading.Lock()


def load_sdk() -> t.Any:
    """Import the SDK, which takes megabytes and tenths of a second. Raises IssuerError."""
    try:
        import botocore.config
        import botocore.exceptions
        import botocore.loaders
        import botocore.session
    except ImportError as error:
        raise IssuerError(
            "unsupported",
            f"the Python package boto3 is required on the controller to rotate AWS keys. Install it: {error}",
        ) from None
    return botocore


def create_session(profile: str | None) -> t.Any:
    """Create a session of the SDK. All sessions share the descriptions of services. Raises errors of the SDK."""
    session = load_sdk().session.Session(profile=profile)
    session.register_component("data_loader", _loader(session.get_config_variable("data_path")))
    return session


@functools.lru_cache(maxsize=1)
def _loader(path: str | None) -> t.Any:
    return load_sdk().loaders.create_loader(path)


def own_signer(get_credentials: t.Callable[[], t.Any]) -> Signer:
    """Return the credentials that the SDK finds by itself. Raises IssuerError."""
    try:
        credentials = get_credentials()
        frozen = credentials and credentials.get_frozen_credentials()
    except IssuerError:
        raise
    except Exception as error:  # of the profile or its programs; AWS was not contacted yet
        raise IssuerError("invalid", f"the SDK's own credentials cannot be used ({type(error).__name__})") from None
    if not frozen:
        raise IssuerError("invalid", "the SDK finds no credentials. Set profile, or another sign_in")
    return Signer(frozen.access_key, frozen.secret_key, frozen.token)


def client(service: str, settings: Settings) -> t.Any:
    """Return the client of these settings. Raises IssuerError."""
    load_sdk()
    with _creating:
        try:
            return _create_client(service, settings)
        except Exception as error:  # of options, a profile or settings that are not valid
            raise IssuerError(
                "invalid", f"the SDK cannot be set up with these options ({type(error).__name__})"
            ) from None


@functools.lru_cache(maxsize=CLIENTS)
def _create_client(service: str, settings: Settings) -> t.Any:
    session = create_session(settings.profile)
    session.set_config_variable("sts_regional_endpoints", "regional")
    session.register_component("credential_provider", _signer_of_thread)
    return session.create_client(
        service,
        region_name=settings.region or "us-east-1",
        endpoint_url=settings.endpoint_url,
        verify=settings.ca_bundle,
        config=load_sdk().config.Config(
            connect_timeout=CONNECT_TIMEOUT,
            read_timeout=READ_TIMEOUT,
            max_pool_connections=CONNECTIONS,
            retries={"total_max_attempts": 1, "mode": "standard"},
        ),
    )


def send(signer: Signer, settings: Settings, until: float, operation: str, **parameters: t.Any) -> t.Any:
    """Return the answer to a request that ends by a time (of time.monotonic()). Raises IssuerError."""
    service = _SERVICES.get(operation, "iam")
    request = getattr(client(service, settings), load_sdk().xform_name(operation))
    problem = IssuerError("busy", f"there was not enough time left, so {service}:{operation} was not requested")
    failures, pause = 0, 0.0
    while time.monotonic() + pause + CONNECT_TIMEOUT + READ_TIMEOUT <= until:
        time.sleep(pause)
        _signer_of_thread.signer = signer
        try:
            return request(**parameters)
        except Exception as error:
            problem = _problem(error, f"{service}:{operation}", signer.access_key)
        finally:
            _signer_of_thread.signer = None
        failures += 1
        is_lost_read = problem.code == "unreachable" and operation not in _WRITES and failures < READS
        if problem.code != "busy" and not is_lost_read:
            break
        pause = PAUSE * min(2**failures, 8) * random.uniform(0.5, 1)  # so that parallel calls spread
    raise problem


def describe_key(key_id: str) -> str:
    """Return a key for a message; a value that is no key id may be a secret."""
    return f"the key {key_id}" if re.fullmatch("[A-Z0-9]{16,32}", key_id) else "the key"


def _problem(error: Exception, operation: str, key_id: str) -> IssuerError:
    """Return the error without the SDK's text, which may quote the request."""
    exceptions = load_sdk().exceptions
    if isinstance(error, exceptions.ParamValidationError):
        return IssuerError("invalid", f"{operation} was called with malformed values")
    if not isinstance(error, exceptions.ClientError):
        return IssuerError("unreachable", f"AWS did not answer {operation} ({type(error).__name__})")
    code = error.response.get("Error", {}).get("Code", "")
    metadata = error.response.get("ResponseMetadata", {})
    status = metadata.get("HTTPStatusCode", 0)
    reason = code if re.fullmatch("[A-Za-z.]{1,64}", code) else f"status {status}"
    if code in _BUSY or code.startswith("Throttl") or status == 429:
        return IssuerError("busy", f"AWS limits the rate of requests and did not perform {operation} ({reason})")
    if code in _UNAVAILABLE or status >= 500:
        return IssuerError("unreachable", f"AWS could not perform {operation} ({reason})")
    if code.startswith("LimitExceeded") and operation.startswith("iam:"):
        return IssuerError("limit", "the user has the maximum number of access keys. Delete one that is not in use")
    if code.startswith("AccessDenied"):
        return IssuerError(
            "forbidden", f"AWS does not allow {describe_key(key_id)} to do {operation}. Allow this action in a policy"
        )
    skew = clock_skew(metadata.get("HTTPHeaders", {}).get("date", ""))
    if code in _EXPIRED and abs(skew) > LARGEST_SKEW:
        return IssuerError(
            "invalid",
            f"AWS rejects requests, because the clock of the controller is {round(abs(skew) / 60)} minutes "
            f"{'fast' if skew > 0 else 'slow'}. Correct the clock",
        )
    if code in _UNKNOWN_KEYS or status in (401, 403):
        return IssuerError("refused", f"AWS does not accept {describe_key(key_id)} ({reason})")
    if code in ("NoSuchEntity", "ResourceNotFoundException"):
        return NoSuchEntity("invalid", f"the user, key, role or secret does not exist, AWS answered to {operation}")
    return IssuerError("invalid", f"AWS rejected {operation} ({reason})")
