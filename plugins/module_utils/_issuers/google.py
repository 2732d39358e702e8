# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The issuer of keys of Google service accounts."""

from __future__ import annotations

import base64
import json
import re
import time
import typing as t
from collections.abc import Mapping

from ..issuer import IssuedKey, Issuer, IssuerError, Key, Values
from .http import OPTIONS, Answer, HttpApi, read_time
from .options import check_options, parse_duration_option, require_fields
from .registry import ISSUERS
from .signatures import load_private_key, sign_rsa

# Not token_uri of the key, which may be another host.
LOGIN_URL = "https://oauth2.googleapis.com"
_AUDIENCE = f"{LOGIN_URL}/token"
_API = "https://iam.googleapis.com"
_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_LIFETIME = 600  # seconds; Google accepts up to an hour
_REPLICA_PAUSE = 5.0
_LIMIT = 10
_FIELD = "authEncodedJson"
_RECORDED = ("sign_in", "propagation", *OPTIONS)
_SIGN_IN: dict[str, tuple[str, ...]] = {"rotating": (), "given": ("credentials",)}
_SAFE = re.compile(r"[A-Za-z0-9._:@-]{1,200}", re.ASCII)  # in a URL, and in a message


def verify_service_account(values: Values, options: Mapping[str, t.Any]) -> None:
    """Exchange a signed token for an access token, which needs no right and fails for a disabled key."""
    access_token(_parse_credential(values), HttpApi("Google", LOGIN_URL, options))


class Google(Issuer):
    """The user-managed keys of service accounts.

    Options: ``sign_in`` with ``credentials``, the JSON of another service account, if it is ``given``; ``propagation``,
    ``endpoint_url``, ``ca_bundle``. Google stores no text with a key, and reports its last use days later, by another
    API.
    """

    drivers = ISSUERS["google"].drivers
    fields = ISSUERS["google"].fields
    limit = _LIMIT
    recorded_options = _RECORDED

    def __init__(self, options: t.Mapping[str, t.Any]) -> None:
        super().__init__(options)
        given = check_options("google", options, _RECORDED, _SIGN_IN)
        self.propagation = float(parse_duration_option(given, "propagation", "5s"))
        self._administrator = None
        if given["sign_in"] == "given":
            self._administrator = parse_key(given["credentials"], "credentials")

    def key_id(self, values: Values) -> str:
        return _parse_credential(values)["private_key_id"]

    def rate_key(self, by: Values) -> str | None:
        project = _parse_credential(by).get("project_id")
        return str(project) if project else None

    def keys(self, by: Values) -> list[Key]:
        account = _parse_credential(by)
        return [_read_key(entry) for entry in self._list(self._sign_in(account), account)]

    def issue(self, by: Values, mark: str) -> IssuedKey:
        account = _parse_credential(by)
        api, headers = signed_in = self._sign_in(account)
        answer = api.send("POST", f"{_keys_path(account)}", headers, body={
            "privateKeyType": "TYPE_GOOGLE_CREDENTIALS_FILE", "keyAlgorithm": "KEY_ALG_RSA_2048",
        })
        if answer.status == 429 and self._is_full(signed_in, account):
            raise IssuerError("limit", f"{account['client_email']} has {_LIMIT} keys, the most that Google allows")
        if error_status(answer) == "FAILED_PRECONDITION":
            raise IssuerError(
                "invalid", f"Google does not allow new keys of {account['client_email']}. Check the constraint "
                           "iam.disableServiceAccountKeyCreation of the organization, or supply the values",
            )
        _require(api, answer, f"create a key of {account['client_email']}")
        return _read_issued(answer, account)

    def verify(self, values: Values, by: Values) -> None:
        key, current = _parse_credential(values), _parse_credential(by)
        if any(key.get(name) != current.get(name) for name in ("client_email", "client_id")):
            raise IssuerError(
                "invalid", f"the key {key['private_key_id']} belongs to another service account: {key['client_email']}"
            )
        api = HttpApi("Google", LOGIN_URL, self.options)
        access_token(key, api)
        if key != current:  # a replica that does not know a new key may answer the next time
            time.sleep(min(self.propagation, _REPLICA_PAUSE))
            access_token(key, api)

    def disable(self, key_id: str, by: Values) -> None:
        self._change("POST", key_id, by, "disable")

    def enable(self, key_id: str, by: Values) -> None:
        self._change("POST", key_id, by, "enable")

    def delete(self, key_id: str, by: Values) -> None:
        self._change("DELETE", key_id, by)

    def _change(self, method: str, key_id: str, by: Values, action: str = "") -> None:
        account = _parse_credential(by)
        if not _SAFE.fullmatch(key_id):
            raise IssuerError("invalid", "the id of the key is malformed")
        api, headers = self._sign_in(account)
        path = f"{_keys_path(account)}/{key_id}{':' if action else ''}{action}"
        answer = api.send(method, path, headers, body={} if action else None)
        if answer.status == 404:
            raise IssuerError(
                "invalid", f"the key {key_id} does not exist, or is not a key of {account['client_email']}"
            )
        _require(api, answer, f"{action or 'delete'} keys of {account['client_email']}")

    def _sign_in(self, account: Mapping[str, t.Any]) -> tuple[HttpApi, dict[str, str]]:
        login = HttpApi("Google", LOGIN_URL, self.options)
        token = access_token(self._administrator or account, login)
        return HttpApi("Google", _API, self.options, until=login.until), {"Authorization": f"Bearer {token}"}

    def _list(
        self, signed_in: tuple[HttpApi, Mapping[str, str]], account: Mapping[str, t.Any]
    ) -> list[Mapping[str, t.Any]]:
        """Return the keys as listed, without those that Google creates and uses itself."""
        api, headers = signed_in
        answer = api.send("GET", f"{_keys_path(account)}?keyTypes=USER_MANAGED", headers)
        _require(api, answer, f"list the keys of {account['client_email']}")
        # An account without keys has no member "keys", as in all answers of this kind.
        entries = answer.content.get("keys", []) if isinstance(answer.content, Mapping) else None
        if not isinstance(entries, list) or not all(_is_key(entry) for entry in entries):
            raise IssuerError("unreachable", f"{api.name} ({api.host}) does not answer with a list of keys")
        return entries

    def _is_full(self, signed_in: tuple[HttpApi, Mapping[str, str]], account: Mapping[str, t.Any]) -> bool:
        """Whether the reason of a 429, which Google answers to too many requests too, is the number of keys."""
        try:
            return len(self._list(signed_in, account)) >= _LIMIT
        except IssuerError:
            return False


def _parse_credential(values: Values) -> dict[str, t.Any]:
    text, = require_fields(values, _FIELD)
    return parse_key(text, _FIELD)


def parse_key(value: t.Any, name: str) -> dict[str, t.Any]:
    """Return the key of a service account, given as JSON or as a mapping; ``name`` is that of the value in messages."""
    try:
        key = dict(value) if isinstance(value, Mapping) else json.loads(value)
        if not isinstance(key["private_key"], str) or not all(
            _SAFE.fullmatch(key[member]) for member in ("client_email", "private_key_id")
        ):
            raise TypeError
    except (ValueError, KeyError, TypeError, RecursionError):
        raise IssuerError(
            "invalid", f"{name} is no service account key in JSON with client_email, private_key and private_key_id"
        ) from None
    return t.cast("dict[str, t.Any]", key)


def _keys_path(account: Mapping[str, t.Any]) -> str:
    """Return the path of an account's keys. Without its project, the API answers 403 to all that does not exist."""
    project = account.get("project_id")
    if not isinstance(project, str) or not _SAFE.fullmatch(project):
        raise IssuerError("invalid", f"{_FIELD} has no valid project_id")
    return f"/v1/projects/{project}/serviceAccounts/{account['client_email']}/keys"


def _is_key(entry: t.Any) -> bool:
    return isinstance(entry, Mapping) and bool(_SAFE.fullmatch(str(entry.get("name")).rpartition("/")[2]))


def _read_key(entry: Mapping[str, t.Any]) -> Key:
    return Key(
        entry["name"].rpartition("/")[2], entry.get("disabled") is not True, read_time(entry.get("validAfterTime")),
        expires_at=read_time(entry.get("validBeforeTime")),
    )


def _read_issued(answer: Answer, account: Mapping[str, t.Any]) -> IssuedKey:
    """Return the key in an answer. Members of the current JSON that Google does not set are kept."""
    try:
        text = base64.b64decode(answer.text("privateKeyData"), validate=True).decode()
        issued = parse_key(text, "privateKeyData")
    except (ValueError, IssuerError):
        issued = {}
    if issued.get("client_email") != account["client_email"]:
        raise IssuerError("unreachable", "Google does not answer with a key of the service account")
    text = json.dumps({**account, **issued}, separators=(",", ":"), ensure_ascii=False)
    return IssuedKey({_FIELD: text}, issued["private_key_id"], read_time(answer.content.get("validBeforeTime")))


def error_status(answer: Answer) -> str:
    """Return the status in an error of a Google API; "" if there is none."""
    error = answer.content.get("error") if isinstance(answer.content, Mapping) else None
    return str(error.get("status")) if isinstance(error, Mapping) else ""


def _require(api: HttpApi, answer: Answer, right: str) -> None:
    if answer.status == 409:  # ABORTED: another change of the account is being processed
        raise IssuerError("busy", f"{api.name} ({api.host}) is changing the service account (HTTP status 409)")
    api.require(answer, f"{right}, or the IAM API of its project is disabled")


def access_token(key: Mapping[str, t.Any], api: HttpApi) -> str:
    """Exchange an assertion that is signed with a key for a token; ``api`` is the one at LOGIN_URL."""
    answer = api.send("POST", "/token", form={"grant_type": _GRANT, "assertion": _assertion(key)})
    if answer.text("error") == "invalid_grant":
        raise _refusal(answer)
    token = api.require(answer, "sign in").text("access_token")
    if not token:
        raise IssuerError("unreachable", f"{api.name} ({api.host}) does not answer with a token")
    return token


def _refusal(answer: Answer) -> IssuerError:
    """Return the meaning of an ``invalid_grant``; its description is compared, but not shown."""
    description = answer.text("error_description")
    if "short-lived" in description:
        return IssuerError("invalid", "Google rejects the time of the request. Correct the clock of the controller")
    if "account not found" in description or "Robot is disabled" in description:
        return IssuerError("refused", "Google does not accept the key: its service account is deleted or disabled")
    return IssuerError("refused", "Google does not accept the key: it is deleted, disabled, or not known yet")


def _assertion(key: Mapping[str, t.Any]) -> str:
    now = int(time.time())
    header = {"alg": "RS256", "typ": "JWT", "kid": key["private_key_id"]}
    claims = {
        "iss": key["client_email"], "aud": _AUDIENCE, "scope": _SCOPE, "iat": now, "exp": now + _LIFETIME,
    }
    signed = ".".join(_encode(json.dumps(part).encode()) for part in (header, claims))
    private_key = load_private_key(key["private_key"], "private_key of the service account key")
    return f"{signed}.{_encode(sign_rsa(private_key, signed.encode()))}"


def _encode(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
