# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The issuer of access keys of AWS IAM users."""

from __future__ import annotations

import base64
import datetime
import os
import re
import threading
import time
import typing as t

from .._common.times import Time, now
from ..issuer import CALL_TIMEOUT, IssuedKey, Issuer, IssuerError, Key, Values
from .aws_requests import NoSuchEntity, Settings, Signer, create_session, describe_key, own_signer, send
from .options import parse_duration_option
from .registry import ISSUERS
from .s3 import verify_store

ROLE_SESSION = "ranchhand.rancher"  # in the logs of AWS

_RECORDED = ("sign_in", "profile", "role_arn", "region", "endpoint_url", "user_name", "ca_bundle", "propagation")
_SECRET = ("access_key", "secret_key", "session_token")
_SIGN_IN: dict[str, tuple[str, ...]] = {"rotating": (), "default": ("profile",), "given": _SECRET}
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-[0-9]+", re.ASCII)
_ROLE_ARN = re.compile(r"arn:[a-z-]+:iam::([0-9]{12}):role/[\w+=,.@/-]+", re.ASCII)
_USER_ARN = re.compile(r"arn:[a-z-]+:iam::([0-9]{12}):user/(?:.*/)?([^/]+)")

# A session of a role is replaced so long before it ends: more than the largest difference of clocks.
_MARGIN = datetime.timedelta(minutes=10)


def account_in(key_id: str) -> str | None:
    """Return the account that the id of an access key contains; None for the ids that AWS issued until 2019.

    AWS does not document this: use it only where a wrong account does no harm. After four letters, the id is base32;
    its first bit is 1, and the next 40 bits are the account.
    """
    if not re.fullmatch("[A-Z]{4}[Q-Z2-7][A-Z2-7]{15}", key_id):
        return None
    number = int.from_bytes(base64.b32decode(key_id[4:])[:6], "big")
    return f"{number >> 7 & (1 << 40) - 1:012d}"


def verify_key(values: Values, options: t.Mapping[str, t.Any]) -> None:
    """Sign in to STS, in the partition of the credential's region; needs no right."""
    region = values.get("defaultRegion", "")
    Aws({**({"region": region} if _REGION.fullmatch(region) else {}), **options}).verify(values, values)


def verify_s3(values: Values, options: t.Mapping[str, t.Any]) -> None:
    """Sign in to STS with a key for Amazon S3, and to other stores themselves, which have no such service."""
    endpoint = values.get("defaultEndpoint", "").rpartition("//")[2].partition("/")[0].partition(":")[0]
    if endpoint and not endpoint.endswith((".amazonaws.com", ".amazonaws.com.cn")):
        verify_store(values, options)
    else:
        verify_key(values, options)


def _pair(values: Values) -> Signer:
    if not values.get("accessKey") or not values.get("secretKey"):
        raise IssuerError("invalid", "the credential has no accessKey and secretKey")
    return Signer(values["accessKey"], values["secretKey"])


class Aws(Issuer):
    """The access keys of IAM users.

    Options: ``sign_in`` with its own options (see _SIGN_IN), ``role_arn`` of a role that this identity assumes,
    ``region`` of the partition and of STS, ``endpoint_url`` of IAM and STS, ``user_name``, ``ca_bundle`` and
    ``propagation``. With sign_in ``rotating``, a key manages the keys of its own user. Otherwise the user is the owner
    of the key in the credential.

    Credentials with the same options may share an issuer, and threads may use it: sessions of roles, users and
    accounts are cached.
    """

    drivers = ISSUERS["aws"].drivers
    fields = ISSUERS["aws"].fields
    limit = 2
    reports_last_use = True
    recorded_options = _RECORDED

    def __init__(self, options: t.Mapping[str, t.Any]) -> None:
        super().__init__(options)
        given = {name: value for name, value in options.items() if value is not None}
        allowed = _RECORDED + _SECRET
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
        role = _ROLE_ARN.fullmatch(str(given.get("role_arn")))
        if "role_arn" in given and (not role or self._sign_in == "rotating"):
            raise IssuerError(
                "invalid",
                "role_arn must be like arn:aws:iam::123456789012:role/NAME, and requires sign_in: default or given",
            )
        self._role_account = role and role.group(1)
        self.propagation = float(parse_duration_option(given, "propagation", "15s"))
        if given.get("ca_bundle") and not os.path.exists(given["ca_bundle"]):
            raise IssuerError("invalid", f"ca_bundle {given['ca_bundle']} does not exist on the controller")
        self._given = given
        self._settings = Settings(*(given.get(name) for name in Settings._fields))
        self._signing_in = threading.Lock()
        self._session: t.Any = None
        self._role: tuple[Signer, Time] | None = None
        self._accounts: dict[str, str] = {}  # by the key that signs
        self._users: dict[str, str] = {}     # by key

    def key_id(self, values: Values) -> str:
        return _pair(values).access_key

    def rate_key(self, by: Values) -> str:
        account = account_in(str(by.get("accessKey"))) or self._role_account
        return account or self._given.get("profile") or "aws"

    def keys(self, by: Values) -> list[Key]:
        signer, until = self._begin(by)
        found = []
        for listed in self._list(signer, until, self._user(by, signer, until)):
            try:
                used = self._send(signer, until, "GetAccessKeyLastUsed", AccessKeyId=listed["AccessKeyId"])
            except NoSuchEntity:  # deleted since the keys were listed
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

    def issue(self, by: Values, mark: str) -> IssuedKey:
        signer, until = self._begin(by)
        key = self._send(signer, until, "CreateAccessKey", **self._user(by, signer, until))["AccessKey"]
        return IssuedKey({"accessKey": key["AccessKeyId"], "secretKey": key["SecretAccessKey"]}, key["AccessKeyId"])

    def verify(self, values: Values, by: Values) -> None:
        until = time.monotonic() + CALL_TIMEOUT
        who = self._send(_pair(values), until, "GetCallerIdentity")
        if self._sign_in != "rotating":
            signer = self._signer(by, until)
            owner = (self._account(signer, until), self._user(by, signer, until)["UserName"])
            user = _USER_ARN.fullmatch(who["Arn"])
            same = user is not None and user.groups() == owner
        elif values["accessKey"] == by["accessKey"]:
            return
        else:
            try:
                same = who["UserId"] == self._send(_pair(by), until, "GetCallerIdentity")["UserId"]
            except IssuerError as error:
                if error.code != "refused":
                    raise
                return
        if not same:
            raise IssuerError(
                "invalid", f"{describe_key(values['accessKey'])} belongs to another principal: {who['Arn']}"
            )

    def disable(self, key_id: str, by: Values) -> None:
        self._change("UpdateAccessKey", key_id, by, Status="Inactive")

    def enable(self, key_id: str, by: Values) -> None:
        self._change("UpdateAccessKey", key_id, by, Status="Active")

    def delete(self, key_id: str, by: Values) -> None:
        self._change("DeleteAccessKey", key_id, by)

    def _change(self, operation: str, key_id: str, by: Values, **parameters: str) -> None:
        signer, until = self._begin(by)
        user = self._user(by, signer, until)
        try:
            self._send(signer, until, operation, AccessKeyId=key_id, **parameters, **user)
        except NoSuchEntity:
            owner = f"the user {user['UserName']}" if user else f"the owner of {describe_key(signer.access_key)}"
            raise IssuerError(
                "invalid",
                f"{describe_key(key_id)} does not exist, or is not a key of {owner}. If it exists, correct user_name, "
                "profile, role_arn or the identity that signs in",
            ) from None

    def _list(self, signer: Signer, until: float, user: dict[str, str]) -> t.Iterator[t.Any]:
        marker: dict[str, str] = {}
        while True:
            page = self._send(signer, until, "ListAccessKeys", **user, **marker)
            yield from page["AccessKeyMetadata"]
            if not page.get("IsTruncated"):
                return
            marker = {"Marker": page["Marker"]}

    def _user(self, by: Values, signer: Signer, until: float) -> dict[str, str]:
        """Return the user as a parameter of requests; without it, IAM uses the owner of the key that signs."""
        if self._given.get("user_name"):
            return {"UserName": self._given["user_name"]}
        if self._sign_in == "rotating":
            return {}
        key_id = self.key_id(by)
        if key_id not in self._users:
            self._users[key_id] = self._find_user(key_id, signer, until)
        return {"UserName": self._users[key_id]}

    def _find_user(self, key_id: str, signer: Signer, until: float) -> str:
        """Return the owner of a key. AWS answers AccessDenied if the key is of another account."""
        name, code = None, "invalid"
        try:
            name = self._send(signer, until, "GetAccessKeyLastUsed", AccessKeyId=key_id).get("UserName")
        except IssuerError as error:
            if not isinstance(error, NoSuchEntity) and error.code != "forbidden":
                raise
            code = error.code
        if not name:
            raise IssuerError(
                code,
                f"{describe_key(signer.access_key)} cannot find the user of {describe_key(key_id)}. Allow it "
                "iam:GetAccessKeyLastUsed, and sign in to the account of that user (profile, role_arn)",
            )
        return t.cast(str, name)

    def _account(self, signer: Signer, until: float) -> str:
        """Return the account of the identity that signs in."""
        if self._role_account:
            return self._role_account
        if signer.access_key not in self._accounts:
            self._accounts[signer.access_key] = self._send(signer, until, "GetCallerIdentity")["Account"]
        return self._accounts[signer.access_key]

    def _begin(self, by: Values) -> tuple[Signer, float]:
        """Sign in; returns the time by which the method must end, too."""
        until = time.monotonic() + CALL_TIMEOUT
        return self._signer(by, until), until

    def _signer(self, by: Values, until: float) -> Signer:
        if self._sign_in == "rotating":
            return _pair(by)
        if self._sign_in == "default":
            identity = own_signer(self._default_credentials)
        else:
            identity = Signer(self._given["access_key"], self._given["secret_key"], self._given.get("session_token"))
        return self._assume_role(identity, until) if self._role_account else identity

    def _default_credentials(self) -> t.Any:
        with self._signing_in:
            self._session = self._session or create_session(self._given.get("profile"))
            return self._session.get_credentials()

    def _assume_role(self, identity: Signer, until: float) -> Signer:
        with self._signing_in:
            if self._role is None or self._role[1] - now() < _MARGIN:
                session = self._send(
                    identity, until, "AssumeRole", RoleArn=self._given["role_arn"], RoleSessionName=ROLE_SESSION
                )["Credentials"]
                signer = Signer(session["AccessKeyId"], session["SecretAccessKey"], session["SessionToken"])
                self._role = (signer, session["Expiration"])
            return self._role[0]

    def _send(self, signer: Signer, until: float, operation: str, **parameters: str) -> t.Any:
        return send(signer, self._settings, until, operation, **parameters)
