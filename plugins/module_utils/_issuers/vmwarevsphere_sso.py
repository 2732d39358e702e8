# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""vCenter Single Sign-On: the SOAP services that issue SAML tokens and manage accounts, for one call of an issuer.

No REST API manages these accounts. Names of services, methods and faults are those of VMware's WSDL, as in govmomi
(ssoadmin, sts) and in the PowerShell module VMware.vSphere.SsoAdmin, which also sends a token with each request instead
of a session. Texts of the server are never returned, because they may quote what was sent.
"""

from __future__ import annotations

import datetime
import re
import secrets
import typing as t
from dataclasses import dataclass
from xml.etree import ElementTree
from xml.parsers import expat
from xml.sax.saxutils import escape

from .._common.times import UTC, now
from ..issuer import IssuerError
from .http import Answer, HttpApi

_SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
_TRUST = "http://docs.oasis-open.org/ws-sx/ws-trust/200512"
_SECURITY = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
_UTILITY = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
_ASSERTION = "urn:oasis:names:tc:SAML:2.0:assertion"
_SSO = "urn:sso"
_TOKEN_SECONDS = 300
_CLOCK = "the clock of the controller differs from that of vCenter"
_DEEPEST = 64  # elements within each other
_NOT_XML = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_MANAGEMENT = ("SsoAdminPrincipalManagementService", "principalManagementService")
_DISCOVERY = ("SsoAdminPrincipalDiscoveryService", "principalDiscoveryService")
_POLICY = ("SsoAdminPasswordPolicyService", "passwordPolicyService")


class PolicyViolation(IssuerError):
    """The password policy rejects a new password, or the password was used before."""


@dataclass(frozen=True)
class Account:
    """An account of the SSO domain, such as rancher@vsphere.local."""

    name: str
    domain: str

    @classmethod
    def parse(cls, text: str) -> Account | None:
        """Return the account of NAME@DOMAIN or DOMAIN\\NAME; None if the text names no domain. Case is ignored."""
        name, _at, domain = text.lower().rpartition("@")
        if not name:
            domain, _backslash, name = text.lower().partition("\\")
        return cls(name, domain) if re.fullmatch(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", domain) and name else None

    def __str__(self) -> str:
        return f"{self.name}@{self.domain}"


@dataclass(frozen=True)
class AccountState:
    disabled: bool
    locked: bool


class Sso:
    """The services of one SSO domain."""

    def __init__(self, api: HttpApi, domain: str) -> None:
        self.api = api
        self._domain = domain

    def sign_in(self, user: str, password: str) -> str:
        """Return a SAML token of a user. One attempt."""
        created = now()
        body = (
            f'<RequestSecurityToken xmlns="{_TRUST}"><TokenType>{_ASSERTION}</TokenType>'
            f'<RequestType>{_TRUST}/Issue</RequestType><Lifetime>{_period(created, _TOKEN_SECONDS)}</Lifetime>'
            f'<Renewing Allow="false" OK="false"/><Delegatable>false</Delegatable><KeyType>{_TRUST}/Bearer</KeyType>'
            "<SignatureAlgorithm>http://www.w3.org/2001/04/xmldsig-more#rsa-sha256</SignatureAlgorithm>"
            "</RequestSecurityToken>"
        )
        identity = (
            f"<wsse:UsernameToken><wsse:Username>{self._text(user)}</wsse:Username>"
            f"<wsse:Password>{self._text(password)}</wsse:Password></wsse:UsernameToken>"
        )
        answer = self._send(f"/sts/STSService/{self._domain}", f"{_TRUST}/RST/Issue", identity, body)
        self._result(answer, f"sign in as {user:.200}")
        token = _assertion(answer.raw)
        if token is None:
            raise self._unexpected()
        return token

    def find(self, token: str, account: Account) -> AccountState | None:
        """Return the state of an account; None if it does not exist."""
        found = self._call(token, _DISCOVERY, "FindPersonUser", self._id("userId", account), f"read {account}")
        user = found.find(f"{{{_SSO}}}returnval")
        if user is None:
            return None
        flags = [user.findtext(f"{{{_SSO}}}{name}") for name in ("disabled", "locked")]
        if not set(flags) <= {"true", "false"}:
            raise self._unexpected()
        return AccountState(*(flag == "true" for flag in flags))

    def groups(self, token: str, account: Account) -> set[str]:
        """Return the names of the groups that an account is a direct member of."""
        found = self._call(
            token, _DISCOVERY, "FindDirectParentGroups", self._id("principalId", account),
            f"read the groups of {account}",
        )
        return {
            f"{group.findtext(f'{{{_SSO}}}name')}@{group.findtext(f'{{{_SSO}}}domain')}".lower()
            for group in found.iterfind(f"{{{_SSO}}}returnval/{{{_SSO}}}id")
        }

    def set_enabled(self, token: str, account: Account, enabled: bool) -> None:
        name = "EnableUserAccount" if enabled else "DisableUserAccount"
        self._call(token, _MANAGEMENT, name, self._id("userId", account), f"{'en' if enabled else 'dis'}able {account}")

    def reset_password(self, token: str, account: Account, password: str) -> None:
        """Set the password of an account, as an administrator."""
        arguments = f"<userName>{self._text(account.name)}</userName><newPassword>{self._text(password)}</newPassword>"
        self._call(
            token, _MANAGEMENT, "ResetLocalPersonUserPassword", arguments, f"reset the password of {account}"
        )

    def reset_own_password(self, token: str, account: Account, password: str) -> None:
        """Set the password of the account that the token is of."""
        self._call(
            token, _MANAGEMENT, "ResetSelfLocalPersonUserPassword",
            f"<newPassword>{self._text(password)}</newPassword>", f"change the password of {account}",
        )

    def describe_policy(self, token: str) -> str:
        """Return what the password policy requires, "" if it cannot be read."""
        try:
            found = self._call(token, _POLICY, "GetLocalPasswordPolicy", "", "read the password policy")
        except IssuerError:
            return ""
        numbers = {
            element.tag.rpartition("}")[2]: element.text for element in found.iter()
            if re.fullmatch("[0-9]{1,6}", element.text or "")
        }
        return ", ".join(f"{name} {numbers[name]}" for name in _POLICY_NAMES if name in numbers)

    # requests

    def _call(
        self, token: str, service: tuple[str, str], method: str, arguments: str, what: str
    ) -> ElementTree.Element:
        """Call a method of a service; returns its response."""
        body = f'<{method} xmlns="{_SSO}"><_this type="{service[0]}">{service[1]}</_this>{arguments}</{method}>'
        answer = self._send(f"/sso-adminserver/sdk/{self._domain}", f"{_SSO}/version2", token, body)
        response = self._result(answer, what)
        if response.tag != f"{{{_SSO}}}{method}Response":
            raise self._unexpected()
        return response

    def _send(self, path: str, action: str, identity: str, body: str) -> Answer:
        message = (
            f'<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope xmlns:soapenv="{_SOAP}"><soapenv:Header>'
            f'<wsse:Security xmlns:wsse="{_SECURITY}" xmlns:wsu="{_UTILITY}">'
            f'<wsu:Timestamp wsu:Id="_{secrets.token_hex(16)}">{_period(now(), 60)}</wsu:Timestamp>{identity}'
            f"</wsse:Security></soapenv:Header><soapenv:Body>{body}</soapenv:Body></soapenv:Envelope>"
        )
        headers = {"Content-Type": "text/xml; charset=utf-8", "Accept": "text/xml", "SOAPAction": f'"{action}"'}
        return self.api.send("POST", path, headers, body=message.encode())

    def _result(self, answer: Answer, what: str) -> ElementTree.Element:
        """Return the element in the body of an answer. Raises IssuerError for a fault."""
        envelope = _parse(answer.raw)
        body = None if envelope is None else envelope.find(f"{{{_SOAP}}}Body")
        if body is None or len(body) != 1:
            self.api.require(answer, what)
            raise self._unexpected()
        if body[0].tag == f"{{{_SOAP}}}Fault":
            raise self._fault(body[0], what)
        return body[0]

    def _fault(self, fault: ElementTree.Element, what: str) -> IssuerError:
        """Return the error of a fault, which is identified by its code and the type of its detail."""
        names = [(fault.findtext("faultcode") or "").rpartition(":")[2]]
        detail = fault.find("detail")
        names += [element.tag.rpartition("}")[2] for element in (detail if detail is not None else ())]
        prefix = f"{self.api.name} ({self.api.host}): cannot {what}: "
        for name, code, reason in _FAULTS:
            if any(name in found for found in names):
                text = (fault.findtext("faultstring") or "").lower()
                if name == "FailedAuthentication":
                    reason = next((state for word, state in _SIGN_IN_STATES if word in text), reason)
                error = PolicyViolation if name == "PasswordPolicyViolation" else IssuerError
                return error(code, prefix + reason)
        return IssuerError("unreachable", f"{prefix}the server failed")

    def _unexpected(self) -> IssuerError:
        return IssuerError(
            "unreachable", f"{self.api.name} ({self.api.host}) does not answer like vCenter Single Sign-On"
        )

    def _text(self, text: str) -> str:
        if _NOT_XML.search(text):
            raise IssuerError("invalid", "a user name or password contains characters that cannot be sent to vCenter")
        return escape(text)

    def _id(self, name: str, account: Account) -> str:
        return f"<{name}><name>{self._text(account.name)}</name><domain>{account.domain}</domain></{name}>"


_POLICY_NAMES = (
    "minLength", "maxLength", "minAlphabeticCount", "minUppercaseCount", "minLowercaseCount", "minNumericCount",
    "minSpecialCharCount", "maxIdenticalAdjacentCharacters", "prohibitedPreviousPasswordsCount",
)
# Part of the name of a fault, code, reason. FailedAuthentication and InvalidTimeRange are of WS-Trust.
_FAULTS = (
    ("FailedAuthentication", "refused", "the user or the password is wrong, or the account is disabled"),
    ("InvalidTimeRange", "invalid", f"{_CLOCK}. Correct it"),
    ("RequestExpired", "invalid", f"{_CLOCK}. Correct it"),
    ("PasswordPolicyViolation", "invalid", "the password policy rejects the new password"),
    ("NoPermission", "forbidden", "the account that signs in lacks the permission"),
    ("InvalidPrincipal", "invalid", "the account does not exist in this SSO domain"),
    ("DomainNotFound", "invalid", "the domain of the account is not the SSO domain of this vCenter"),
    ("NotAuthenticated", "refused", "the session of the account that signs in is not accepted"),
    ("InvalidCredentials", "refused", "the session of the account that signs in is not accepted"),
)
_SIGN_IN_STATES = (
    ("locked", "the account is locked, because a program signs in with a wrong password. Wait until it is unlocked"),
    ("expired", "the password is expired. Reset it in the vSphere Client"),
)


def _period(start: datetime.datetime, seconds: int) -> str:
    times = (start, start + datetime.timedelta(seconds=seconds))
    created, expires = (f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{time.microsecond // 1000:03}Z" for time in times)
    return f'<Created xmlns="{_UTILITY}">{created}</Created><Expires xmlns="{_UTILITY}">{expires}</Expires>'


class _Refused(Exception):
    """The XML contains what no answer contains."""


class _Reader:
    """Parses XML without document types, so there are no entities, and with a limited depth.

    ``assertions`` are the first and last position of each SAML assertion, which must be sent back unchanged, because it
    is signed.
    """

    def __init__(self) -> None:
        self._builder = ElementTree.TreeBuilder()
        self._depth = 0
        self._starts: list[int] = []
        self.assertions: list[tuple[int, int]] = []
        self._parser = expat.ParserCreate(namespace_separator="}")
        self._parser.StartDoctypeDeclHandler = self._refuse
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._builder.data

    def read(self, content: bytes) -> ElementTree.Element:
        self._parser.Parse(content, True)
        return self._builder.close()

    def _refuse(self, *_arguments: t.Any) -> None:
        raise _Refused

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise _Refused
        if name == f"{_ASSERTION}}}Assertion":
            self._starts.append(self._parser.CurrentByteIndex)
        self._builder.start("{" + name if "}" in name else name, attributes)

    def _end(self, name: str) -> None:
        self._depth -= 1
        if name == f"{_ASSERTION}}}Assertion":
            self.assertions.append((self._starts.pop(), self._parser.CurrentByteIndex))
        self._builder.end("{" + name if "}" in name else name)


def _parse(content: bytes) -> ElementTree.Element | None:
    try:
        return _Reader().read(content)
    except (expat.ExpatError, _Refused, ValueError, LookupError):
        return None


def _assertion(content: bytes) -> str | None:
    """Return the only SAML assertion in an answer, which _parse() has accepted, as it was sent."""
    reader = _Reader()
    reader.read(content)
    if len(reader.assertions) != 1:
        return None
    start, end = reader.assertions[0]
    try:
        return content[start:content.index(b">", end) + 1].decode()
    except ValueError:  # another encoding than UTF-8
        return None
