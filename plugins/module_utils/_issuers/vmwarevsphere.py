# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The issuer of passwords of vCenter Single Sign-On: of one account, or of accounts that alternate.

An account has one password. With alternating accounts, the idle account gets a new password, the credential changes to
this account, and the account before is disabled and gets a password that is not stored. Both work in between.
"""

from __future__ import annotations

import datetime
import secrets
import string
import threading
import typing as t

from .._common.times import now
from ..issuer import IssuedKey, Issuer, IssuerError, Key, Values
from . import http
from .options import check_options, parse_duration_option, require_fields
from .passwords import sign_in_vsphere, vcenter_api, verify_vsphere
from .registry import ISSUERS
from .vmwarevsphere_sso import Account, AccountState, PolicyViolation, Sso

USERNAME, PASSWORD = "username", "password"
LENGTH = 20  # the longest password that vCenter allows by default
SYMBOLS = "-_.+="
_KINDS = (string.ascii_lowercase, string.ascii_uppercase, string.digits, SYMBOLS)
_TOKEN_SECONDS = 200  # of the 300 that a token is requested for
_ROTATING, _GIVEN = "rotating", "given"
_ADMIN = ("admin_username", "admin_password")
_OPTIONS = ("accounts", "sign_in", "password_length", "password_lifetime", "propagation", *http.OPTIONS,
            "validate_certs")


class VmwareVsphere(Issuer):
    """The password of an account, or the accounts that alternate.

    Options: ``accounts`` are two or more accounts of one SSO domain that alternate; all but the one in use are disabled
    between rotations. Without it, the account in the credential gets a new password. ``sign_in`` is ``rotating`` if the
    account changes its own password, or ``given`` if ``admin_username`` with ``admin_password`` manages accounts, which
    alternating accounts require. ``password_length`` is the length of new passwords, ``password_lifetime`` their
    lifetime by the password policy. ``propagation`` is the time until all vCenters in linked mode know a password.
    """

    drivers = ISSUERS["vmwarevsphere"].drivers
    fields = ISSUERS["vmwarevsphere"].fields
    limit: int | None = 1
    lists = False
    disables = False
    generates_locally = True
    replaces_current = True
    verify_attempts = 1
    recorded_options = (*_OPTIONS, _ADMIN[0])

    def __init__(self, options: t.Mapping[str, t.Any]) -> None:
        super().__init__(options)
        self._given = check_options("vmwarevsphere", options, _OPTIONS, {_ROTATING: (), _GIVEN: _ADMIN})
        self._accounts = _parse_accounts(self._given.get("accounts"))
        self._by_admin = self._given["sign_in"] == _GIVEN
        if self._accounts:
            if not self._by_admin:
                raise IssuerError("invalid", "accounts require sign_in: given, because an account cannot reset another")
            self.fields = (USERNAME, PASSWORD)
            self.limit = 2  # the account in use, and the next one
            self.lists = self.disables = True
            self.replaces_current = False
        self.propagation = float(parse_duration_option(self._given, "propagation", "0s"))
        self._lifetime = parse_duration_option(self._given, "password_lifetime", "90d")
        try:
            self._length = int(self._given.get("password_length", LENGTH))
        except (TypeError, ValueError):
            self._length = 0
        if not 8 <= self._length <= 127:
            raise IssuerError("invalid", "password_length must be a number from 8 to 127")
        self._lock = threading.Lock()
        self._tokens: dict[str, tuple[str, datetime.datetime]] = {}  # of the administrator, by vCenter and domain
        self._refusals: dict[str, IssuerError] = {}

    def key_id(self, values: Values) -> str | None:
        """Return the account, as a password has no id."""
        user = values.get(USERNAME)
        return str(Account.parse(user) or user) if user else None

    def rate_key(self, by: Values) -> str | None:
        return by.get("vcenter")

    def keys(self, by: Values) -> list[Key]:
        """Return the accounts that can sign in. Those that wait for their turn are disabled."""
        self._position(by)
        sso, token = self._administer(by)
        return [Key(str(account)) for account in self._accounts if not _find(sso, token, account).disabled]

    def can_list(self, key_id: str) -> bool:
        """A disabled account is not listed."""
        return False

    def issue(self, by: Values, mark: str) -> IssuedKey:
        password = self._generate()
        expires_at = now() + datetime.timedelta(seconds=self._lifetime) if self._lifetime else None
        if not self._accounts:
            return IssuedKey({PASSWORD: password}, self.key_id(by) or "", expires_at)
        account = str(self._accounts[(self._position(by) + 1) % len(self._accounts)])
        return IssuedKey({USERNAME: account, PASSWORD: password}, account, expires_at)

    def activate(self, values: Values, by: Values) -> None:
        if self._accounts:
            self._activate_idle(values, by)
            return
        account = _account(by)
        if self._by_admin:
            sso, token = self._administer(by)
            self._set_password(sso, token, account, {**by, **values}, may_be_set=True)
            return
        sso = Sso(vcenter_api(by, self._given), account.domain)
        token = sso.sign_in(*require_fields(by, USERNAME, PASSWORD))
        try:
            sso.reset_own_password(token, account, values[PASSWORD])
        except PolicyViolation as error:
            raise _explain(error, sso, token) from None

    def _activate_idle(self, values: Values, by: Values) -> None:
        """Enable the idle account, and set its password, if it has the rights of the account in use."""
        if (_account(by), by.get(PASSWORD)) == (_account(values), values[PASSWORD]):
            return  # the credential contains it already
        live, idle = self._accounts[self._position(by)], self._alternate(_account(values), by)
        sso, token = self._administer(by)
        state = _find(sso, token, idle)
        if state.locked:
            raise IssuerError(
                "invalid",
                f"{idle} is locked, because a program still signs in with an old password of it, and would lock it "
                "again after the cutover. Find this program in the events of vCenter",
            )
        groups = [sso.groups(token, account) for account in (live, idle)]
        if groups[0] != groups[1]:
            different = ", ".join(sorted(groups[0] ^ groups[1]))
            raise IssuerError(
                "invalid", f"{live} and {idle} are not members of the same groups ({different:.500}). Add the missing "
                           "memberships, because they may not have the same rights"
            )
        if state.disabled:
            sso.set_enabled(token, idle, True)
        self._set_password(sso, token, idle, {**by, **values}, may_be_set=not state.disabled)

    def verify(self, values: Values, by: Values) -> None:
        """Sign in once: several attempts with a wrong password lock an account."""
        verify_vsphere({**by, **values}, self._given)

    def disable(self, key_id: str, by: Values) -> None:
        account = self._alternate(Account.parse(key_id), by)
        sso, token = self._administer(by)
        if not _find(sso, token, account).disabled:
            sso.set_enabled(token, account, False)

    def enable(self, key_id: str, by: Values) -> None:
        account = self._known(Account.parse(key_id))
        sso, token = self._administer(by)
        if _find(sso, token, account).disabled:
            sso.set_enabled(token, account, True)

    def delete(self, key_id: str, by: Values) -> None:
        """Keep the account for its next turn, but disabled and with a password that is not stored."""
        account = self._alternate(Account.parse(key_id), by)
        sso, token = self._administer(by)
        if not _find(sso, token, account).disabled:
            sso.set_enabled(token, account, False)
        self._set_password(sso, token, account, {PASSWORD: self._generate()}, may_be_set=False)

    # accounts

    def _known(self, account: Account | None) -> Account:
        if account is None or account not in self._accounts:
            raise IssuerError(
                "invalid", f"{account or 'the account'} is not one of accounts ({', '.join(map(str, self._accounts))})"
            )
        return account

    def _position(self, by: Values) -> int:
        """Return the position of the account in the credential."""
        return self._accounts.index(self._known(_account(by)))

    def _alternate(self, account: Account | None, by: Values) -> Account:
        """Return an account that is not the one in the credential, which must not be taken away."""
        found = self._known(account)
        if found == _account(by):
            raise IssuerError("invalid", f"the credential contains {found}, so it is not changed")
        return found

    def _administer(self, by: Values) -> tuple[Sso, str]:
        """Sign in as the administrator; not again after a refusal, as this could lock the account."""
        domain = _account(by).domain
        api = vcenter_api(by, self._given)
        sso, place = Sso(api, domain), f"{api.host} {domain}"
        with self._lock:
            token, until = self._tokens.get(place, ("", now()))
            if until <= now():
                if place in self._refusals:
                    raise self._refusals[place]
                try:
                    token = sso.sign_in(*(str(self._given[name]) for name in _ADMIN))
                except IssuerError as error:
                    if error.code == "refused":
                        self._refusals[place] = error
                    raise
                self._tokens[place] = token, now() + datetime.timedelta(seconds=_TOKEN_SECONDS)
        return sso, token

    def _set_password(self, sso: Sso, token: str, account: Account, values: Values, may_be_set: bool) -> None:
        """Set a password. If an unanswered request may have set it, it may be rejected as one that was used before."""
        try:
            sso.reset_password(token, account, values[PASSWORD])
        except PolicyViolation as error:
            if not may_be_set or not _signs_in(sso.api, values):
                raise _explain(error, sso, token) from None

    def _generate(self) -> str:
        """Return a password with all kinds of characters, and none twice in a row."""
        while True:
            password = "".join(secrets.choice("".join(_KINDS)) for _position in range(self._length))
            repeats = any(first == second for first, second in zip(password, password[1:]))
            if not repeats and password[0] not in SYMBOLS and all(set(kind) & set(password) for kind in _KINDS):
                return password


def _parse_accounts(option: t.Any) -> tuple[Account, ...]:
    if option is None:
        return ()
    names = option if isinstance(option, (list, tuple)) else ()
    found = [Account.parse(name) if isinstance(name, str) else None for name in names]
    accounts = tuple(account for account in found if account)
    if (
        len(accounts) < 2 or len(set(accounts)) < len(found) or len({account.domain for account in accounts}) > 1
    ):
        raise IssuerError(
            "invalid",
            "accounts must be a list of two or more different accounts of one SSO domain, such as "
            "rancher-a@vsphere.local",
        )
    return accounts


def _account(values: Values) -> Account:
    user, = require_fields(values, USERNAME)
    account = Account.parse(user)
    if account is None:
        raise IssuerError("invalid", "the username in the credential must have a domain, such as rancher@vsphere.local")
    return account


def _find(sso: Sso, token: str, account: Account) -> AccountState:
    state = sso.find(token, account)
    if state is None:
        raise IssuerError("invalid", f"the account {account} does not exist in vCenter Single Sign-On. Create it")
    return state


def _signs_in(api: http.HttpApi, values: Values) -> bool:
    try:
        sign_in_vsphere(api, values)
    except IssuerError as error:
        if error.code != "refused":
            raise
        return False
    return True


def _explain(error: PolicyViolation, sso: Sso, token: str) -> IssuerError:
    policy = sso.describe_policy(token) or "it may not be read"
    return IssuerError("invalid", f"{error.message} ({policy}). Set password_length, or change the policy")
