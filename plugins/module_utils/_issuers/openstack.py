# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The issuer of OpenStack passwords, with the identity service (Keystone, API v3).

A user has one password, so a new one replaces the old one at once, and invalidates all tokens of the user.
"""

from __future__ import annotations

import contextlib
import secrets
import string
import time
import typing as t
from urllib.parse import quote

from ..issuer import CALL_TIMEOUT, IssuedKey, Issuer, IssuerError, Values
from .registry import ISSUERS

FIELD, = ISSUERS["openstack"].fields
LENGTH = 32
SYMBOLS = "-_.+="
_SCOPE = ("project_id", "project_name", "project_domain_id", "project_domain_name")
_USER = ("user_id", "username", "user_domain_id", "user_domain_name")
_ADMIN = ("admin_user_id", "admin_username", "admin_user_domain_id", "admin_user_domain_name", "admin_password",
          "admin_project_id", "admin_project_name", "admin_project_domain_id", "admin_project_domain_name")
OPTIONS = ("auth_url", *_USER, *_SCOPE, "ca_cert", "validate_certs", "password_length", "sign_in", *_ADMIN)
_KINDS = (string.ascii_lowercase, string.ascii_uppercase, string.digits, SYMBOLS)


class OpenStack(Issuer):
    """The password of one user.

    Options: ``auth_url`` is the identity service. The user is ``user_id``, or ``username`` with ``user_domain_id`` or
    ``user_domain_name`` (Default). With ``project_id``, or ``project_name`` with its domain, passwords are verified for
    that project. ``ca_cert`` and ``validate_certs`` are for the service's certificate, ``password_length`` is the
    length of new passwords. ``sign_in`` is ``rotating`` if users change their passwords themselves, or ``given`` if an
    administrator does. The options of the administrator have the prefix ``admin_``; without a project, the scope of the
    administrator is the whole system.
    """

    drivers = ISSUERS["openstack"].drivers
    fields = (FIELD,)
    limit = 1
    lists = False
    disables = False
    generates_locally = True
    replaces_current = True
    recorded_options = tuple(name for name in OPTIONS if name != "admin_password")

    def __init__(self, options: t.Mapping[str, t.Any]) -> None:
        super().__init__(options)
        unknown = sorted(set(options).difference(OPTIONS))
        if unknown:
            raise IssuerError("invalid", f"unknown option {', '.join(unknown)}; allowed are {', '.join(OPTIONS)}")
        self._given = {name: value for name, value in options.items() if value is not None}
        if self._given:  # retiring an old password needs no options
            self._require()
        self._url = str(self._given.get("auth_url", "")).rstrip("/")
        if "@" in self._url.partition("://")[2].partition("/")[0]:
            raise IssuerError("invalid", "auth_url must not contain credentials")
        self._url += "" if self._url.endswith("/v3") else "/v3"
        sign_in = self._given.get("sign_in", "rotating")
        if sign_in not in ("rotating", "given"):
            raise IssuerError("invalid", "sign_in must be rotating or given")
        self._by_admin = sign_in == "given"
        if self._by_admin != bool(self._given.keys() & set(_ADMIN)):
            raise IssuerError("invalid", "the admin_ options and sign_in: given require each other")
        if self._by_admin and not (
            "admin_password" in self._given and self._given.keys() & {"admin_user_id", "admin_username"}
        ):
            raise IssuerError("invalid", "sign_in: given requires admin_password, and admin_username or admin_user_id")
        try:
            self._length = int(self._given.get("password_length", LENGTH))
        except (TypeError, ValueError):
            self._length = 0
        if not 12 <= self._length <= 72:
            raise IssuerError(
                "invalid", "password_length has to be a number from 12 to 72, OpenStack ignores further characters"
            )

    def _require(self) -> None:
        if "auth_url" not in self._given or not self._given.keys() & {"user_id", "username"}:
            raise IssuerError(
                "invalid",
                "auth_url and either username or user_id are required: the credential contains only the password",
            )

    @property
    def _user(self) -> str:
        return str(self._given.get("username") or self._given["user_id"])

    def key_id(self, values: Values) -> str:
        return f"password of {self._user}"

    def issue(self, by: Values, mark: str) -> IssuedKey:
        while True:
            password = "".join(secrets.choice("".join(_KINDS)) for _position in range(self._length))
            if all(set(kind) & set(password) for kind in _KINDS) and password[0] not in SYMBOLS:
                values = {FIELD: password}
                return IssuedKey(values, self.key_id(values))

    def activate(self, values: Values, by: Values) -> None:
        self._require()
        identity = _Identity(self._url, self._verify_certificate())
        if self._by_admin:
            token = identity.sign_in(
                self._as("admin_", self._given["admin_password"]), f"the administrator {self._admin}"
            ).auth_token
            user_id = self._user_id(identity, token)
            identity.ask(
                "PATCH",
                f"/users/{quote(user_id, safe='')}",
                f"change the password of {self._user}",
                {"user": {FIELD: values[FIELD]}},
                token,
            )
            return
        user_id = (
            self._given.get("user_id") or identity.sign_in(self._as("", by[FIELD], scoped=False), self._user).user_id
        )
        identity.ask("POST", f"/users/{quote(user_id, safe='')}/password", f"change the password of {self._user}", {
            "user": {"original_password": by[FIELD], FIELD: values[FIELD]},
        })

    def verify(self, values: Values, by: Values) -> None:
        """Sign in once: several attempts with a wrong password may lock the user."""
        self._require()
        _Identity(self._url, self._verify_certificate()).sign_in(self._as("", values[FIELD]), self._user)

    @property
    def _admin(self) -> str:
        return str(self._given.get("admin_username") or self._given["admin_user_id"])

    def _verify_certificate(self) -> bool | str:
        if self._given.get("validate_certs", True) is False:
            return False
        return t.cast(str, self._given.get("ca_cert", True))

    def _as(self, prefix: str, password: str, scoped: bool = True) -> dict[str, t.Any]:
        """Return the user for keystoneauth1."""
        found = {name: self._given[prefix + name] for name in _USER + _SCOPE if prefix + name in self._given}
        if "user_id" in found:
            found = {name: value for name, value in found.items() if name not in _USER or name == "user_id"}
        elif "user_domain_id" not in found:
            found.setdefault("user_domain_name", "Default")
        if "project_name" in found and "project_domain_id" not in found:
            found.setdefault("project_domain_name", "Default")
        if not scoped:
            found = {name: value for name, value in found.items() if name in _USER}
        elif prefix and not found.keys() & {"project_id", "project_name"}:
            found["system_scope"] = "all"
        return {**found, FIELD: password}

    def _user_id(self, identity: _Identity, token: str) -> str:
        """Return the id of the user; an administrator looks it up."""
        if "user_id" in self._given:
            return str(self._given["user_id"])
        domain = self._given.get("user_domain_id")
        if domain is None:
            name = self._given.get("user_domain_name", "Default")
            domain = identity.only("domains", f"name={quote(name, safe='')}", f"domain {name}", token)
        query = f"name={quote(self._user, safe='')}&domain_id={quote(domain, safe='')}"
        return identity.only("users", query, f"user {self._user}", token)


def verify_password(values: Values, options: t.Mapping[str, t.Any]) -> None:
    """Sign in once with a password; needs auth_url and the user, because the credential contains only the password."""
    if not values.get(FIELD):
        raise IssuerError("invalid", f"the credential has no {FIELD}")
    OpenStack(options).verify(values, values)


class _Identity:
    """A connection to the identity service, for the time of one call of the contract."""

    def __init__(self, url: str, verify: bool | str) -> None:
        try:
            from keystoneauth1 import exceptions, session
            from keystoneauth1.identity import v3
        except ImportError as error:
            raise IssuerError(
                "unsupported",
                f"the Python package keystoneauth1 is required on the controller, but cannot be imported: {error}",
            ) from None
        self._url = url
        self._exceptions = exceptions
        self._password = v3.Password
        self._deadline = time.monotonic() + CALL_TIMEOUT - 1
        self._session = session.Session(verify=verify, redirect=False, app_name="ranchhand.rancher")

    def sign_in(self, who: t.Mapping[str, t.Any], description: str) -> t.Any:
        """Return the token of a user, which contains the user's id."""
        with self._translated(f"sign in as {description}"):
            plugin = self._password(self._url, include_catalog=False, reauthenticate=False, **who)
            self._session.timeout = self._rest()
            return plugin.get_access(self._session)

    def ask(self, method: str, path: str, what: str, body: t.Any = None, token: str | None = None) -> t.Any:
        """Send a request; returns the answer to GET."""
        headers = {"Accept": "application/json", **({"X-Auth-Token": token} if token else {})}
        with self._translated(what):
            answer = self._session.request(
                self._url + path,
                method,
                json=body,
                headers=headers,
                authenticated=False,
                log=False,
                redirect=False,
                timeout=self._rest(),
            )
            if answer.status_code >= 300:
                raise self._exceptions.HttpError(http_status=answer.status_code)
            return answer.json() if method == "GET" else None

    def only(self, what: str, query: str, description: str, token: str) -> str:
        """Return the id of the only object that a query finds."""
        found = self.ask("GET", f"/{what}?{query}", f"look up the {description}", token=token)
        found = found.get(what) if isinstance(found, dict) else None
        if not isinstance(found, list) or len(found) != 1:
            raise IssuerError("invalid", f"{description} does not exist, or the administrator may not list it")
        return str(found[0]["id"])

    def _rest(self) -> float:
        # Half for the connection, half for the answer.
        return max((self._deadline - time.monotonic()) / 2, 0.001)

    @contextlib.contextmanager
    def _translated(self, what: str) -> t.Iterator[None]:
        """Turn errors of the service into errors of the contract.

        Texts of the service are never returned, because they may quote the request.
        """
        exceptions = self._exceptions
        try:
            yield
        except exceptions.MissingAuthMethods:
            raise IssuerError(
                "unsupported", f"{self._url}: cannot {what}: the service requires more than a password"
            ) from None
        except exceptions.SSLError:
            raise IssuerError("unreachable", f"the certificate of {self._url} is not trusted. Set ca_cert") from None
        except exceptions.ConnectTimeout:
            raise IssuerError("unreachable", f"{self._url} cannot be reached: no answer in time") from None
        except exceptions.ConnectionError:
            raise IssuerError("unreachable", f"{self._url} cannot be reached") from None
        except exceptions.HttpError as error:
            raise _refusal(error.http_status, f"{self._url}: cannot {what}") from None
        except (exceptions.ClientException, LookupError, TypeError, ValueError, AttributeError):
            raise IssuerError("unreachable", f"{self._url} does not answer like an identity service") from None
        except OSError:  # of ca_cert
            raise IssuerError("invalid", "ca_cert cannot be read") from None


def _refusal(status: int, what: str) -> IssuerError:
    if status == 401:
        return IssuerError(
            "refused", f"{what}: the password is wrong or expired, or the user is disabled or locked (401)"
        )
    if status == 403:
        return IssuerError("forbidden", f"{what}: not allowed, or the password was changed too recently (403)")
    if status == 400:
        return IssuerError(
            "invalid", f"{what}: the request was rejected, perhaps by a password policy. Check password_length (400)"
        )
    if status == 429:
        return IssuerError("busy", f"{what}: too many requests (429)")
    if status >= 500:
        return IssuerError("unreachable", f"{what}: HTTP status {status}")
    return IssuerError("invalid", f"{what}: HTTP status {status}. Check auth_url")
