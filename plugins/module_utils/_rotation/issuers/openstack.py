# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The password of an OpenStack user, by the identity service (Keystone, API v3).

PRIVATE to the collection. A user has one password, so a new one replaces the old one at once, and ends all tokens of the user.
"""

from __future__ import annotations

import contextlib
import secrets
import string
import time
import typing as t
from urllib.parse import quote

from ...issuer import CALL_TIMEOUT, Issuer, IssuerError, Values

FIELD = "password"
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
    ``user_domain_name`` (Default). With ``project_id``, or ``project_name`` with its domain, passwords are tried for that project.
    ``ca_cert`` and ``validate_certs`` are about the service's certificate, ``password_length`` is that of new passwords. ``sign_in`` is
    ``rotating``, where users change their passwords themselves, or ``given``, where an administrator does: the same options of the
    administrator have the prefix ``admin_``, and without a project it is one of the whole system.
    """

    drivers = ("openstack",)
    fields = (FIELD,)
    limit = 1
    lists = False
    disables = False
    write_ahead = True

    def __init__(self, options: t.Mapping[str, t.Any]) -> None:
        super().__init__(options)
        unknown = sorted(set(options).difference(OPTIONS))
        if unknown:
            raise IssuerError("invalid", f"unknown option {', '.join(unknown)}; there are {', '.join(OPTIONS)}")
        self._given = {name: value for name, value in options.items() if value is not None}
        if self._given:  # whoever retires an old password asks nobody
            self._require()
        self._url = str(self._given.get("auth_url", "")).rstrip("/")
        if "@" in self._url.partition("://")[2].partition("/")[0]:
            raise IssuerError("invalid", "auth_url must not hold credentials")
        self._url += "" if self._url.endswith("/v3") else "/v3"
        sign_in = self._given.get("sign_in", "rotating")
        if sign_in not in ("rotating", "given"):
            raise IssuerError("invalid", "sign_in has to be rotating or given")
        self._by_admin = sign_in == "given"
        if self._by_admin != bool(self._given.keys() & set(_ADMIN)):
            raise IssuerError("invalid", "the options of the administrator and sign_in: given belong together")
        if self._by_admin and not ("admin_password" in self._given and self._given.keys() & {"admin_user_id", "admin_username"}):
            raise IssuerError("invalid", "sign_in: given needs admin_password, and admin_username or admin_user_id")
        try:
            self._length = int(self._given.get("password_length", LENGTH))
        except (TypeError, ValueError):
            self._length = 0
        if not 12 <= self._length <= 72:
            raise IssuerError("invalid", "password_length has to be a number from 12 to 72, which is all that OpenStack looks at")

    def _require(self) -> None:
        if "auth_url" not in self._given or not self._given.keys() & {"user_id", "username"}:
            raise IssuerError("invalid", "auth_url, and username or user_id, are required: the credential holds nothing but the password")

    @property
    def _user(self) -> str:
        return str(self._given.get("username") or self._given["user_id"])

    def key_id(self, values: Values) -> str:
        return f"password of {self._user}"

    def issue(self, by: Values) -> dict[str, str]:
        while True:
            password = "".join(secrets.choice("".join(_KINDS)) for _position in range(self._length))
            if all(set(kind) & set(password) for kind in _KINDS) and password[0] not in SYMBOLS:
                return {FIELD: password}

    def activate(self, values: Values, by: Values) -> None:
        self._require()
        identity = _Identity(self._url, self._verify_certificate())
        if self._by_admin:
            token = identity.sign_in(self._as("admin_", self._given["admin_password"]), f"the administrator {self._admin}").auth_token
            user_id = self._user_id(identity, token)
            identity.ask("PATCH", f"/users/{quote(user_id, safe='')}", f"change the password of {self._user}", {"user": {FIELD: values[FIELD]}}, token)
            return
        user_id = self._given.get("user_id") or identity.sign_in(self._as("", by[FIELD], scoped=False), self._user).user_id
        identity.ask("POST", f"/users/{quote(user_id, safe='')}/password", f"change the password of {self._user}", {
            "user": {"original_password": by[FIELD], FIELD: values[FIELD]},
        })

    def verify(self, values: Values, by: Values) -> None:
        """Signs in once: several attempts with a wrong password may lock the user out."""
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
        """Who signs in, as keystoneauth1 wants it."""
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
        """The id of the user, as an administrator finds it."""
        if "user_id" in self._given:
            return str(self._given["user_id"])
        domain = self._given.get("user_domain_id")
        if domain is None:
            name = self._given.get("user_domain_name", "Default")
            domain = identity.only("domains", f"name={quote(name, safe='')}", f"domain {name}", token)
        query = f"name={quote(self._user, safe='')}&domain_id={quote(domain, safe='')}"
        return identity.only("users", query, f"user {self._user}", token)


class _Identity:
    """The identity service, for one call of the contract and its time."""

    def __init__(self, url: str, verify: bool | str) -> None:
        try:
            from keystoneauth1 import exceptions, session
            from keystoneauth1.identity import v3
        except ImportError as error:
            raise IssuerError("unsupported", f"the Python package keystoneauth1 is needed on the controller, and cannot be imported: {error}") from None
        self._url = url
        self._exceptions = exceptions
        self._password = v3.Password
        self._deadline = time.monotonic() + CALL_TIMEOUT - 1
        self._session = session.Session(verify=verify, redirect=False, app_name="ranchhand.rancher")

    def sign_in(self, who: t.Mapping[str, t.Any], told: str) -> t.Any:
        """The token of a user, and what it says of the user."""
        with self._translated(f"sign in as {told}"):
            plugin = self._password(self._url, include_catalog=False, reauthenticate=False, **who)
            self._session.timeout = self._rest()
            return plugin.get_access(self._session)

    def ask(self, method: str, path: str, what: str, body: t.Any = None, token: str | None = None) -> t.Any:
        """What it answers, with a token or without."""
        headers = {"Accept": "application/json", **({"X-Auth-Token": token} if token else {})}
        with self._translated(what):
            answer = self._session.request(
                self._url + path, method, json=body, headers=headers, authenticated=False, log=False, redirect=False, timeout=self._rest())
            if answer.status_code >= 300:
                raise self._exceptions.HttpError(http_status=answer.status_code)
            return answer.json() if method == "GET" else None

    def only(self, what: str, query: str, told: str, token: str) -> str:
        """The id of the only one of its kind."""
        found = self.ask("GET", f"/{what}?{query}", f"look up the {told}", token=token)
        found = found.get(what) if isinstance(found, dict) else None
        if not isinstance(found, list) or len(found) != 1:
            raise IssuerError("invalid", f"there is no {told}, or the administrator may not see it")
        return str(found[0]["id"])

    def _rest(self) -> float:
        # Half for the connection, half for the answer.
        return max((self._deadline - time.monotonic()) / 2, 0.001)

    @contextlib.contextmanager
    def _translated(self, what: str) -> t.Iterator[None]:
        """What goes wrong, as the contract has it. What the service says is never told: it may quote what it was asked."""
        exceptions = self._exceptions
        try:
            yield
        except exceptions.MissingAuthMethods:
            raise IssuerError("unsupported", f"{self._url}: cannot {what}: more than a password is asked for") from None
        except exceptions.SSLError:
            raise IssuerError("unreachable", f"the certificate of {self._url} is not trusted; see ca_cert") from None
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
        return IssuerError("refused", f"{what}: the password is wrong or expired, or the user is disabled or locked (401)")
    if status == 403:
        return IssuerError("refused", f"{what}: not allowed, or the password is too young to be changed (403)")
    if status == 400:
        return IssuerError("invalid", f"{what}: the request is refused, perhaps by a rule for passwords; see password_length (400)")
    if status == 429 or status >= 500:
        return IssuerError("unreachable", f"{what}: HTTP status {status}")
    return IssuerError("invalid", f"{what}: HTTP status {status}; is auth_url right?")
