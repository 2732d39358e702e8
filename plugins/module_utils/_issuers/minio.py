# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The issuer of access keys of MinIO users, which MinIO's API calls service accounts.

Sources: the handlers of MinIO's admin API, and its client madmin-go. Requests and answers with content are encrypted
with the secret key of the caller. Every access key may list, create and delete the access keys of its own user; to
change their status, it needs the right to change the access keys of all users.
"""

from __future__ import annotations

import datetime
import json
import typing as t
from collections.abc import Mapping
from urllib.parse import quote

from .._common.times import Time, format_time, now
from ..issuer import IssuedKey, Issuer, IssuerError, Key, Values
from .http import OPTIONS, Answer, HttpApi, parse_json, read_time
from .minio_encryption import decrypt, encrypt
from .options import check_options, is_true, parse_duration_option, require_fields
from .registry import ISSUERS
from .signatures import Request, sign_aws

_PATH = "/minio/admin/v3"
_RECORDED = ("sign_in", "expiration", "propagation", *OPTIONS)
_SIGN_IN: dict[str, tuple[str, ...]] = {"rotating": (), "given": ("access_key", "secret_key")}
_OLDEST = "RELEASE.2024-05-07T06-41-25Z"  # the first one that lists the status and the description of access keys
_NO_RIGHT = ("AccessDenied", "XMinioIAMActionNotAllowed")
_NO_KEY = "XMinioInvalidIAMCredentials"
_EXPIRATION = (3600, 364 * 24 * 3600)  # seconds; MinIO allows 15 minutes to 365 days from the time of its own clock

Pair = t.Sequence[str]  # id and secret of an access key
Account = Mapping[str, t.Any]


class _Api:
    """The admin API at the endpoint of a credential, for one call and one identity."""

    def __init__(self, values: Values, options: Mapping[str, t.Any], pair: Pair) -> None:
        endpoint = values.get("defaultEndpoint", "")
        if not endpoint and not options.get("endpoint_url"):
            raise IssuerError(
                "invalid", "the credential has no defaultEndpoint. Set endpoint_url, the URL of the MinIO server"
            )
        self._http = HttpApi(
            "MinIO", endpoint if "://" in endpoint else f"https://{endpoint}", options,
            not is_true(values.get("defaultSkipSSLVerify")), authorities=values.get("defaultEndpointCA", ""),
        )
        self._pair = pair

    def list_accounts(self, user: str | None) -> dict[str, Account]:
        """Return the access keys of a user by their ids; None is the user of the identity."""
        query = {} if user is None else {"user": user}
        answer = self._read("list-service-accounts", query)
        self._http.require_member(answer, "accounts")
        found = answer.content["accounts"] or []  # null if there is none
        if not isinstance(found, list) or not all(
            isinstance(account, Mapping) and isinstance(account.get("accessKey"), str) for account in found
        ):
            raise self._unknown()
        if not all(account.get("accountStatus") in ("on", "off") and account.get("parentUser") for account in found):
            raise IssuerError(
                "unsupported",
                f"MinIO ({self._http.host}) does not list the status of access keys. Upgrade it to {_OLDEST} or newer",
            )
        return {account["accessKey"]: account for account in found}

    def find(self, key_id: str) -> Answer | None:
        """Return an access key, with its policy; None if there is none with this id."""
        answer = self._send("GET", "info-service-account", {"accessKey": key_id})
        if answer.status == 404 and answer.text("Code") == _NO_KEY:
            return None
        found = self._decrypt(self._require(answer, "ListServiceAccounts"))
        if not found.text("parentUser"):
            raise self._unknown()
        return found

    def policy(self, account: Account) -> Mapping[str, t.Any] | None:
        """Return the policy that an access key has of its own; None if it has all rights of its user."""
        if account.get("impliedPolicy") is True:
            return None
        found = self.find(account["accessKey"])
        policy = parse_json(found.text("policy").encode()) if found else None
        if not isinstance(policy, Mapping):
            raise self._unknown()
        return policy

    def create(self, payload: Mapping[str, t.Any]) -> tuple[str, str]:
        """Create an access key; returns its id and its secret."""
        answer = self._require(self._send("PUT", "add-service-account", {}, payload), "CreateServiceAccount")
        answer = self._decrypt(answer)
        self._http.require_member(answer, "credentials")
        issued = Answer(answer.status, answer.content["credentials"])
        if not issued.text("accessKey") or not issued.text("secretKey"):
            raise IssuerError("unreachable", f"MinIO ({self._http.host}) did not return a new key")
        return issued.text("accessKey"), issued.text("secretKey")

    def update(self, key_id: str, payload: Mapping[str, t.Any]) -> None:
        self._change("POST", "update-service-account", key_id, "UpdateServiceAccount", payload)

    def delete(self, key_id: str) -> None:
        self._change("DELETE", "delete-service-account", key_id, "RemoveServiceAccount")

    def _change(
        self, method: str, operation: str, key_id: str, right: str, payload: Mapping[str, t.Any] | None = None
    ) -> None:
        answer = self._send(method, operation, {"accessKey": key_id}, payload)
        if self._require(answer, right).status != 204:
            raise self._unknown()

    def _read(self, operation: str, query: Mapping[str, str]) -> Answer:
        return self._decrypt(self._require(self._send("GET", operation, query), "ListServiceAccounts"))

    def _send(
        self, method: str, operation: str, query: Mapping[str, str], payload: Mapping[str, t.Any] | None = None
    ) -> Answer:
        key, secret = self._pair
        content = b"" if payload is None else encrypt(secret, json.dumps(payload).encode())
        encoded = "&".join(f"{name}={quote(value, safe='')}" for name, value in query.items())
        request = Request(method, self._http.host, f"{_PATH}/{operation}", encoded, content)
        headers = sign_aws(request, key, secret, "us-east-1", "s3", now())
        return self._http.send(method, request.target, headers, body=content or None)

    def _require(self, answer: Answer, right: str) -> Answer:
        """Return the answer if the request was performed. MinIO answers 403 to a key that it does not accept, too."""
        code, what = answer.text("Code"), f"MinIO ({self._http.host})"
        if answer.status == 426 or (answer.status in (404, 405) and not code.startswith("XMinio")):
            raise IssuerError(
                "unsupported",
                f"{what} has no admin API for access keys (HTTP status {answer.status}). Set endpoint_url to the URL "
                f"of a MinIO server, {_OLDEST} or newer",
            )
        if answer.status == 403 and code not in _NO_RIGHT:
            if not code:  # MinIO rejects a wrong time in XML
                self._http.require_clock(answer)
            raise IssuerError("refused", f"{what} does not accept the key (HTTP status 403)")
        return self._http.require(answer, f"manage these access keys. Allow it admin:{right} in a policy")

    def _decrypt(self, answer: Answer) -> Answer:
        try:
            content = decrypt(self._pair[1], answer.raw)
        except ValueError:
            raise self._unknown() from None
        return answer._replace(content=parse_json(content), raw=content)

    def _unknown(self) -> IssuerError:
        return IssuerError("unreachable", f"MinIO ({self._http.host}) does not answer like this provider")


class Minio(Issuer):
    """The access keys of one user; a new key has the policy of the current one.

    Options: ``sign_in`` (``given``: the user or the access key ``access_key`` with ``secret_key``), ``expiration`` of
    new keys, ``propagation``, ``endpoint_url``, ``ca_bundle``. The endpoint and its CA are those of the credential.

    Keys are disabled with ``given`` only: the right to do so includes the keys of all users of the server.
    """

    drivers = ISSUERS["minio"].drivers
    fields = ISSUERS["minio"].fields
    disables = False
    marks = True
    recorded_options = _RECORDED

    def __init__(self, options: t.Mapping[str, t.Any]) -> None:
        super().__init__(options)
        self._options = check_options("minio", options, _RECORDED, _SIGN_IN)
        self.propagation = float(parse_duration_option(self._options, "propagation", "0s"))
        self.disables = self._options["sign_in"] == "given"
        self._expiration = 0
        if "expiration" in self._options:
            self._expiration = parse_duration_option(self._options, "expiration", "90d", _EXPIRATION[0])
            if self._expiration > _EXPIRATION[1]:
                raise IssuerError("invalid", "expiration must be at most 364d")

    def key_id(self, values: Values) -> str:
        return _pair(values)[0]

    def rate_key(self, by: Values) -> str | None:
        return by.get("defaultEndpoint")

    def keys(self, by: Values) -> list[Key]:
        _api, accounts = self._begin(by)
        return [
            Key(
                key_id, account["accountStatus"] == "on", None, None, _read_expiration(account.get("expiration")),
                str(account.get("description") or "") or None,
            )
            for key_id, account in accounts.items()
        ]

    def issue(self, by: Values, mark: str) -> IssuedKey:
        api, accounts = self._begin(by)
        current = accounts[self.key_id(by)]
        policy = api.policy(current)
        expires = None
        payload = {"targetUser": current["parentUser"], "description": mark}
        if policy is not None:
            payload["policy"] = policy
        if self._expiration:
            expires = (now() + datetime.timedelta(seconds=self._expiration)).replace(microsecond=0)
            payload["expiration"] = format_time(expires)
        key, secret = api.create(payload)
        return IssuedKey({"accessKey": key, "secretKey": secret}, key, expires)

    def verify(self, values: Values, by: Values) -> None:
        """Sign in, and compare the user with that of the key in ``by``, if that still exists."""
        key, current = self.key_id(values), self.key_id(by)
        api = _Api(by, self._options, _pair(values))
        found = api.find(key)
        if not found:
            raise IssuerError("refused", f"the key {key:.60} is not listed yet")
        if key != current and _is_of_another(api, current, found.text("parentUser")):
            raise IssuerError("invalid", f"the key {key:.60} belongs to another user than {current:.60}")

    def disable(self, key_id: str, by: Values) -> None:
        self._set_status(key_id, by, "off")

    def enable(self, key_id: str, by: Values) -> None:
        self._set_status(key_id, by, "on")

    def delete(self, key_id: str, by: Values) -> None:
        api, accounts = self._begin(by)
        self._find(accounts, key_id)
        api.delete(key_id)

    def _set_status(self, key_id: str, by: Values, status: str) -> None:
        """Change the status; without its policy, MinIO would give the key all rights of its user."""
        if not self.disables:
            raise NotImplementedError
        api, accounts = self._begin(by)
        policy = api.policy(self._find(accounts, key_id))
        api.update(key_id, {"newStatus": status, **({} if policy is None else {"newPolicy": policy})})

    def _find(self, accounts: Mapping[str, Account], key_id: str) -> Account:
        if key_id not in accounts:
            raise IssuerError(
                "invalid",
                f"the key {key_id:.60} does not exist, or is not an access key of this user. If it exists, correct the "
                "identity that signs in",
            )
        return accounts[key_id]

    def _begin(self, by: Values) -> tuple[_Api, Mapping[str, Account]]:
        """Return the API, and the access keys of the user; the key in ``by`` is among them."""
        current, user = self.key_id(by), None
        if self._options["sign_in"] == "rotating":
            api = _Api(by, self._options, _pair(by))
        else:
            api = _Api(by, self._options, [str(self._options[name]) for name in _SIGN_IN["given"]])
            user = _user_of(api, current)
        accounts = api.list_accounts(user)
        if current not in accounts:
            raise _not_an_access_key(current)
        return api, accounts


def _pair(values: Values) -> Pair:
    return require_fields(values, "accessKey", "secretKey")


def _is_of_another(api: _Api, key_id: str, user: str) -> bool:
    """Whether a key exists, and is not of a user. A key may read all keys of its own user."""
    try:
        found = api.find(key_id)
    except IssuerError as error:
        if error.code != "forbidden":
            raise
        return True
    return found is not None and found.text("parentUser") != user


def _user_of(api: _Api, key_id: str) -> str:
    """Return the user of an access key. MinIO answers to the key of a user itself as if a right were missing."""
    try:
        found = api.find(key_id)
    except IssuerError as error:
        if error.code != "forbidden":
            raise
        raise IssuerError(
            "forbidden",
            f"{error.message}. If {key_id:.60} is a user itself, create an access key of the user, and store it in the "
            "credential",
        ) from None
    if not found:
        raise _not_an_access_key(key_id)
    return found.text("parentUser")


def _not_an_access_key(key: str) -> IssuerError:
    return IssuerError(
        "unsupported",
        f"the key {key:.60} is not an access key of a MinIO user: it is a user itself, or was deleted. Create an "
        "access key of the user, and store it in the credential",
    )


def _read_expiration(value: t.Any) -> Time | None:
    """Return when a key expires; MinIO lists 1970 if it does not."""
    time = read_time(value)
    return time if time and time.year > 1970 else None
