# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The issuer of access keys of an AWS IAM user.

The SDK never retries, because a repeated request could issue two keys. This module repeats reads while there is time.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
import time
import typing as t

from ...issuer import CALL_TIMEOUT, Issuer, IssuerError, Key, Values
from .options import parse_duration_option
from .registry import ISSUERS

CONNECT_TIMEOUT = (
    4.0  # seconds; together with READ_TIMEOUT less than half of CALL_TIMEOUT: a write may need a read before it
)
READ_TIMEOUT = 8.0     # seconds
READS = 3              # attempts
PAUSE = 0.5            # seconds between them
_WRITES = ("CreateAccessKey", "UpdateAccessKey", "DeleteAccessKey")
_OPTIONS = ("sign_in", "region", "endpoint_url", "user_name", "ca_bundle", "propagation")
_SIGN_IN: dict[str, tuple[str, ...]] = {
    "rotating": (),
    "default": ("profile",),
    "given": ("access_key", "secret_key", "session_token"),
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
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
)
_BUSY = (
    "RequestLimitExceeded",
    "RequestTimeout",
    "ServiceFailure",
    "ServiceUnavailable",
    "SlowDown",
    "TooManyRequestsException",
)
_Credentials = t.Tuple[str, str, t.Optional[str]]


def _sdk() -> t.Any:
    try:
        import botocore.config
        import botocore.exceptions
        import botocore.session
    except ImportError as error:
        raise IssuerError(
            "unsupported",
            f"the Python package boto3 is required on the controller to rotate AWS keys. Install it: {error}",
        ) from None
    return botocore


def _named(key_id: str) -> str:
    """Return a key for a message; a value that is no key id may be a secret."""
    return f"the key {key_id}" if re.fullmatch("[A-Z0-9]{16,32}", key_id) else "the key"


def _pair(values: Values) -> _Credentials:
    if not values.get("accessKey") or not values.get("secretKey"):
        raise IssuerError("invalid", "the credential has no accessKey and secretKey")
    return values["accessKey"], values["secretKey"], None


def _problem(error: Exception, operation: str, key_id: str) -> IssuerError:
    """Return the error without the SDK's text, which may quote the request."""
    exceptions = _sdk().exceptions
    if isinstance(error, exceptions.ParamValidationError):
        return IssuerError("invalid", f"{operation} was called with malformed values")
    if not isinstance(error, exceptions.ClientError):
        return IssuerError("unreachable", f"AWS did not answer {operation} ({type(error).__name__})")
    code = error.response.get("Error", {}).get("Code", "")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    reason = code if re.fullmatch("[A-Za-z.]{1,64}", code) else f"status {status}"
    if code in _BUSY or code.startswith("Throttl") or status >= 500:
        return IssuerError("unreachable", f"AWS could not perform {operation} ({reason})")
    if code.startswith("LimitExceeded"):
        return IssuerError("limit", "the user has the maximum number of access keys. Delete one that is not in use")
    if code.startswith("AccessDenied"):
        return IssuerError(
            "refused", f"AWS does not allow {_named(key_id)} to do {operation}. Allow this action in a policy"
        )
    if code in _UNKNOWN_KEYS or status in (401, 403):
        return IssuerError("refused", f"AWS does not accept {_named(key_id)} ({reason})")
    if code == "NoSuchEntity":
        return _Gone("refused", f"the user or access key does not exist, AWS answered to {operation}")
    return IssuerError("invalid", f"AWS rejected {operation} ({reason})")


class _Gone(IssuerError):
    """The key or user does not exist."""


class Aws(Issuer):
    """The access keys of one IAM user.

    Options: ``sign_in`` with its own options (see _SIGN_IN), ``region`` of the partition and of STS, ``endpoint_url``
    of IAM and STS, ``user_name``, ``ca_bundle`` and ``propagation``. With sign_in ``rotating``, a key manages the keys
    of its own user. Otherwise the user is the owner of the key in the credential.
    """

    drivers = ISSUERS["aws"].drivers
    fields = ISSUERS["aws"].fields
    limit = 2

    def __init__(self, options: t.Mapping[str, t.Any]) -> None:
        super().__init__(options)
        given = {name: value for name, value in options.items() if value is not None}
        allowed = _OPTIONS + sum(_SIGN_IN.values(), ())
        if set(given) - set(allowed):
            raise IssuerError(
                "invalid",
                f"issuer aws has no option {', '.join(sorted(set(given) - set(allowed)))}; allowed are "
                f"{', '.join(allowed)}",
            )
        self._sign_in = given.get("sign_in", "rotating")
        if self._sign_in not in _SIGN_IN:
            raise IssuerError("invalid", f"sign_in must be one of {', '.join(_SIGN_IN)}")
        for way, names in _SIGN_IN.items():
            if way != self._sign_in and set(given) & set(names):
                raise IssuerError("invalid", f"{', '.join(names)} require sign_in: {way}")
        if self._sign_in == "given" and not (given.get("access_key") and given.get("secret_key")):
            raise IssuerError("invalid", "sign_in: given requires access_key and secret_key")
        self.propagation = float(parse_duration_option(given, "propagation", "15s"))
        if given.get("ca_bundle") and not os.path.exists(given["ca_bundle"]):
            raise IssuerError("invalid", f"ca_bundle {given['ca_bundle']} does not exist on the controller")
        self._given = given
        self._lock = threading.Lock()
        self._session: t.Any = None
        self._clients: dict[tuple[_Credentials, str], t.Any] = {}
        self._users: dict[str, str] = {}

    def key_id(self, values: Values) -> str:
        return _pair(values)[0]

    def keys(self, by: Values) -> list[Key]:
        signer = self._signer(by)
        until = self._time_for(signer, "iam")
        found = []
        for listed in self._list(signer, until, self._user(by, signer, until)):
            try:
                used = self._call(signer, until, "GetAccessKeyLastUsed", AccessKeyId=listed["AccessKeyId"])
            except _Gone:
                continue
            found.append(
                Key(
                    listed["AccessKeyId"],
                    listed["Status"] == "Active",
                    listed["CreateDate"],
                    used["AccessKeyLastUsed"].get("LastUsedDate"),
                )
            )
        return found

    def issue(self, by: Values) -> dict[str, str]:
        key = self._write("CreateAccessKey", by)["AccessKey"]
        return {"accessKey": key["AccessKeyId"], "secretKey": key["SecretAccessKey"]}

    def verify(self, values: Values, by: Values) -> None:
        until = self._time_for(_pair(values), "sts")
        who = self._call(_pair(values), until, "GetCallerIdentity")
        if values["accessKey"] == by["accessKey"]:
            return
        signer = self._signer(by)
        if self._sign_in == "rotating":
            try:
                same = who["UserId"] == self._call(signer, until, "GetCallerIdentity")["UserId"]
            except IssuerError as error:
                if error.code != "refused":
                    raise
                return
        else:
            name = self._user(by, signer, until)["UserName"]
            account = self._call(signer, until, "GetCallerIdentity")["Account"]
            same = (who["Account"], who["Arn"].rpartition("/")[2]) == (account, name)
        if not same:
            raise IssuerError("invalid", f"{_named(values['accessKey'])} belongs to another principal")

    def disable(self, key_id: str, by: Values) -> None:
        with contextlib.suppress(_Gone):
            self._write("UpdateAccessKey", by, AccessKeyId=key_id, Status="Inactive")

    def enable(self, key_id: str, by: Values) -> None:
        try:
            self._write("UpdateAccessKey", by, AccessKeyId=key_id, Status="Active")
        except _Gone:
            raise IssuerError("refused", f"{_named(key_id)} does not exist any more") from None

    def delete(self, key_id: str, by: Values) -> None:
        with contextlib.suppress(_Gone):
            self._write("DeleteAccessKey", by, AccessKeyId=key_id)

    def _write(self, operation: str, by: Values, **parameters: str) -> t.Any:
        signer = self._signer(by)
        until = self._time_for(signer, "iam")
        return self._call(signer, until, operation, **parameters, **self._user(by, signer, until))

    def _list(self, signer: _Credentials, until: float, user: dict[str, str]) -> t.Iterator[t.Any]:
        marker: dict[str, str] = {}
        while True:
            page = self._call(signer, until, "ListAccessKeys", **user, **marker)
            yield from page["AccessKeyMetadata"]
            if not page.get("IsTruncated"):
                return
            marker = {"Marker": page["Marker"]}

    def _user(self, by: Values, signer: _Credentials, until: float) -> dict[str, str]:
        """Return the user as a parameter of requests; without it, IAM uses the owner of the key that signs."""
        if self._given.get("user_name"):
            return {"UserName": self._given["user_name"]}
        if self._sign_in == "rotating":
            return {}
        key_id = self.key_id(by)
        if key_id not in self._users:
            name = self._call(signer, until, "GetAccessKeyLastUsed", AccessKeyId=key_id).get("UserName")
            if not name:
                raise IssuerError("invalid", f"{_named(key_id)} belongs to no IAM user")
            self._users[key_id] = name
        return {"UserName": self._users[key_id]}

    def _signer(self, by: Values) -> _Credentials:
        if self._sign_in == "rotating":
            return _pair(by)
        if self._sign_in == "given":
            return self._given["access_key"], self._given["secret_key"], self._given.get("session_token")
        botocore = _sdk()
        try:
            with self._lock:
                self._session = self._session or botocore.session.Session(profile=self._given.get("profile"))
                credentials = self._session.get_credentials()
            frozen = credentials and credentials.get_frozen_credentials()
        except Exception as error:  # of the profile or its programs; IAM was not contacted yet
            raise IssuerError("invalid", f"the SDK's own credentials cannot be used ({type(error).__name__})") from None
        if not frozen:
            raise IssuerError("invalid", "the SDK finds no credentials. Set profile, or another sign_in")
        return frozen.access_key, frozen.secret_key, frozen.token

    def _client(self, credentials: _Credentials, service: str) -> t.Any:
        botocore = _sdk()
        with self._lock:
            client = self._clients.get((credentials, service))
            if not client:
                try:
                    session = botocore.session.Session(profile=self._given.get("profile"))
                    session.set_config_variable("sts_regional_endpoints", "regional")
                    client = session.create_client(
                        service,
                        region_name=self._given.get("region") or "us-east-1",
                        endpoint_url=self._given.get("endpoint_url"),
                        verify=self._given.get("ca_bundle"),
                        aws_access_key_id=credentials[0],
                        aws_secret_access_key=credentials[1],
                        aws_session_token=credentials[2],
                        config=botocore.config.Config(
                            connect_timeout=CONNECT_TIMEOUT,
                            read_timeout=READ_TIMEOUT,
                            retries={"total_max_attempts": 1, "mode": "standard"},
                        ),
                    )
                except Exception as error:  # of options, a profile or settings that are not valid
                    raise IssuerError(
                        "invalid", f"the SDK cannot be set up with these options ({type(error).__name__})"
                    ) from None
                self._clients[credentials, service] = client
        return client

    def _time_for(self, signer: _Credentials, service: str) -> float:
        """Return the time by which a call must end.

        The SDK's description of the service is loaded before, as this may take seconds.
        """
        self._client(signer, service)
        return time.monotonic() + CALL_TIMEOUT

    def _call(self, signer: _Credentials, until: float, operation: str, **parameters: str) -> t.Any:
        service = "sts" if operation == "GetCallerIdentity" else "iam"
        request = getattr(self._client(signer, service), _sdk().xform_name(operation))
        problem = IssuerError("unreachable", f"AWS was too slow, so {service}:{operation} was not requested")
        for attempt in range(1 if operation in _WRITES else READS):
            time.sleep(PAUSE * attempt)
            if time.monotonic() + CONNECT_TIMEOUT + READ_TIMEOUT > until:
                break
            try:
                return request(**parameters)
            except Exception as error:
                problem = _problem(error, f"{service}:{operation}", signer[0])
            if problem.code != "unreachable":
                break
        raise problem
