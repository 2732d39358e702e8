# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fake of vCenter Single Sign-On: its SOAP services for tokens and accounts, and sessions of the REST API.

    with FakeVcenter(folder) as vcenter:
        vcenter.add("rancher-a", "a password", groups={"rancher"})

It checks the password of each sign-in, locks an account after failures, refuses disabled accounts, and enforces the
policy for passwords, their history included. A token is accepted only as it was issued, until it expires. Methods, the
order of their arguments, and faults are those of VMware's WSDL, from govmomi (ssoadmin, sts) and the PowerShell module
VMware.vSphere.SsoAdmin; the client of govmomi v0.55.1 can use it. Not confirmed by a real vCenter: that even an
administrator cannot set a former password again, and the texts of faults. Not checked: replication in linked mode.
"""

from __future__ import annotations

import base64
import datetime
import secrets
from dataclasses import dataclass, field
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from support.providers.fake_providers import LOCKED_AFTER, FakeProviders

DOMAIN = "vsphere.local"
ADMINISTRATOR = "administrator"
_SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
_TRUST = "http://docs.oasis-open.org/ws-sx/ws-trust/200512"
_SECURITY = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
_UTILITY = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
_SAML = "urn:oasis:names:tc:SAML:2.0:assertion"
_SSO = "urn:sso"
_MANAGEMENT = ("SsoAdminPrincipalManagementService", "principalManagementService")
_DISCOVERY = ("SsoAdminPrincipalDiscoveryService", "principalDiscoveryService")
_SERVICES = (("sessionManager", "SsoSessionManager", "ssoSessionManager"), ("principalDiscoveryService", *_DISCOVERY),
             ("principalManagementService", *_MANAGEMENT),
             ("passwordPolicyService", "SsoAdminPasswordPolicyService", "passwordPolicyService"))
# Service and arguments, in their order.
_METHODS = {
    "SsoAdminServiceInstance": (("SsoAdminServiceInstance", "SsoAdminServiceInstance"), []),
    "GetLocalPasswordPolicy": (("SsoAdminPasswordPolicyService", "passwordPolicyService"), []),
    "FindPersonUser": (_DISCOVERY, ["userId"]),
    "FindDirectParentGroups": (_DISCOVERY, ["principalId"]),
    "EnableUserAccount": (_MANAGEMENT, ["userId"]),
    "DisableUserAccount": (_MANAGEMENT, ["userId"]),
    "ResetLocalPersonUserPassword": (_MANAGEMENT, ["userName", "newPassword"]),
    "ResetSelfLocalPersonUserPassword": (_MANAGEMENT, ["newPassword"]),
}


@dataclass
class FakeAccount:
    password: str
    groups: set = field(default_factory=set)
    disabled: bool = False
    failures: int = 0
    history: list = field(default_factory=list)

    @property
    def locked(self):
        return self.failures >= LOCKED_AFTER


class Fault(Exception):
    """A SOAP fault: its code or the name of its detail, and a text, which quotes what was sent."""


class FakeVcenter(FakeProviders):
    """The fake, with ``accounts`` by name. ``policy`` are the numbers of its password policy.

    ``lose`` contains methods whose next reply is lost, ``calls`` the names of the methods that were called, ``refused``
    is the number of refused sign-ins.
    """

    def __init__(self, folder):
        super().__init__(folder)
        self.accounts = {}
        self.policy = {"minLength": 8, "maxLength": 20, "minNumericCount": 1, "minSpecialCharCount": 1,
                       "minUppercaseCount": 1, "maxIdenticalAdjacentCharacters": 3,
                       "prohibitedPreviousPasswordsCount": 5}
        self.lose, self.calls, self.refused = set(), [], 0
        self.clock_skew = datetime.timedelta()
        self._tokens = {}
        self.admin_password = self.add(ADMINISTRATOR, groups={"Administrators"})

    def add(self, name, password=None, **more):
        """Create an account; returns its password."""
        password = password or f"Aa1-{secrets.token_hex(6)}"
        self.accounts[name] = FakeAccount(password, **more)
        return password

    @property
    def admin(self):
        """The options of an administrator."""
        user = f"{ADMINISTRATOR}@{DOMAIN}"
        return {"sign_in": "given", "admin_username": user, "admin_password": self.admin_password}

    def credential(self, name, password=None):
        """The fields of a credential with an account."""
        return {"vcenter": "vcenter.invalid", "vcenterPort": "443", "username": f"{name}@{DOMAIN}",
                "password": password or self.accounts[name].password}

    @property
    def passwords(self):
        """All passwords that the accounts have and had."""
        return [text for account in self.accounts.values() for text in (account.password, *account.history)]

    def works(self, credential):
        """Return whether a credential can sign in; does not count as an attempt."""
        account = self._account(credential["username"])
        return account is not None and not account.disabled and not account.locked and (
            account.password == credential["password"])

    def answer(self, seen):
        if self.override or not seen.path.startswith(("/sts/", "/sso-adminserver/")):
            return super().answer(seen)
        envelope = ElementTree.fromstring(seen.body)
        body = envelope.find(f"{{{_SOAP}}}Body")[0]
        name = body.tag.rpartition("}")[2]
        self.calls.append(name)
        try:
            header = envelope.find(f"{{{_SOAP}}}Header/{{{_SECURITY}}}Security")
            if seen.path == f"/sts/STSService/{DOMAIN}":
                self._check_time(header)
                content = self._issue(header, body, seen.headers.get("soapaction", "").strip('"'))
            elif seen.path == f"/sso-adminserver/sdk/{DOMAIN}":
                caller = None if name == "SsoAdminServiceInstance" else self._authenticate(header, seen.body.decode())
                content = self._manage(caller, name, body, seen.headers.get("soapaction", "").strip('"'))
            else:
                return 404, {}, b"no such service"
        except Fault as fault:
            return _reply(500, _fault(*fault.args))
        if name in self.lose:
            self.lose.discard(name)
            return None
        return _reply(200, content)

    # tokens

    def _check_time(self, header):
        created, expires = (header.findtext(f"{{{_UTILITY}}}Timestamp/{{{_UTILITY}}}{name}")
                            for name in ("Created", "Expires"))
        now = datetime.datetime.now(datetime.timezone.utc) + self.clock_skew
        tolerance = datetime.timedelta(minutes=10)
        if not _time(created) - tolerance <= now <= _time(expires) + tolerance:
            raise Fault("ns0:InvalidTimeRange", "The token authority rejected an issue request for TimePeriod")

    def _issue(self, header, request, action):
        token_type, kind, key_type = (request.findtext(f"{{{_TRUST}}}{name}")
                                      for name in ("TokenType", "RequestType", "KeyType"))
        found = [action, token_type, kind, key_type]
        if found != [f"{_TRUST}/RST/Issue", _SAML, f"{_TRUST}/Issue", f"{_TRUST}/Bearer"]:
            raise Fault("ns0:BadRequest", "Bad request")
        identity = header.find(f"{{{_SECURITY}}}UsernameToken")
        user, password = (identity.findtext(f"{{{_SECURITY}}}{name}") for name in ("Username", "Password"))
        refusal = self._refusal(user, password)
        if refusal:
            raise Fault("ns0:FailedAuthentication", f"{refusal} :: {user} {password}")
        lifetime = request.find(f"{{{_TRUST}}}Lifetime")
        expires = lifetime.findtext(f"{{{_UTILITY}}}Expires")
        token = (
            f'<saml2:Assertion xmlns:saml2="{_SAML}" ID="_{secrets.token_hex(16)}" Version="2.0"><saml2:Subject>'
            f"<saml2:NameID>{escape(user)}</saml2:NameID></saml2:Subject><saml2:Conditions NotOnOrAfter='{expires}'/>"
            f"<SignatureValue>{secrets.token_hex(32)} &amp;</SignatureValue></saml2:Assertion>"
        )
        self._tokens[token] = user, _time(expires)
        return (
            f'<wst:RequestSecurityTokenResponseCollection xmlns:wst="{_TRUST}" xmlns:wsu="{_UTILITY}">'
            f"<wst:RequestSecurityTokenResponse><wst:TokenType>{_SAML}</wst:TokenType><wst:RequestedSecurityToken>"
            f"{token}</wst:RequestedSecurityToken><wst:Lifetime>"
            f'<wsu:Created>{lifetime.findtext(f"{{{_UTILITY}}}Created")}</wsu:Created>'
            f"<wsu:Expires>{expires}</wsu:Expires></wst:Lifetime></wst:RequestSecurityTokenResponse>"
            "</wst:RequestSecurityTokenResponseCollection>"
        )

    def _authenticate(self, header, text):
        """Return the name of the account whose token is in the header, unchanged."""
        self._check_time(header)
        for token, (user, expires) in self._tokens.items():
            if token in text and datetime.datetime.now(datetime.timezone.utc) + self.clock_skew < expires:
                return user.partition("@")[0].lower()
        raise Fault("SsoFaultInvalidCredentials", "Invalid credentials")

    def _account(self, user):
        name, _at, domain = user.lower().partition("@")
        return self.accounts.get(name) if domain == DOMAIN else None

    def _refusal(self, user, password):
        """Sign in once; returns why the account is refused, "" if it is not."""
        refusal = self._attempt(self._account(user), password)
        self.refused += bool(refusal)
        return refusal

    @staticmethod
    def _attempt(account, password):
        if account is None or account.disabled:
            return "Invalid credentials"
        if account.locked:
            return "User account locked"
        if account.password != password:
            account.failures += 1
            return "Invalid credentials"
        account.failures = 0
        return ""

    def _signs_in(self, seen):
        """Sign in at the REST API."""
        user, _colon, password = base64.b64decode(seen.headers["authorization"].split()[1]).decode().partition(":")
        return not self._refusal(user, password)

    # accounts

    def _manage(self, caller, name, body, action):
        service, arguments = _METHODS[name]
        this = body[0]
        assert action == "urn:sso/version2" and this.tag == f"{{{_SSO}}}_this"
        assert (this.get("type"), this.text) == service, name
        assert [child.tag.rpartition("}")[2] for child in body[1:]] == arguments, name
        if caller is None:
            content = "".join(f'<{name} type="{kind}">{value}</{name}>' for name, kind, value in _SERVICES)
            return f'<SsoAdminServiceInstanceResponse xmlns="{_SSO}"><returnval>{content}</returnval>' \
                   "</SsoAdminServiceInstanceResponse>"
        if name != "ResetSelfLocalPersonUserPassword" and "Administrators" not in self.accounts[caller].groups:
            raise Fault("SsoFaultNoPermission", "No permission")
        content = getattr(self, f"_{name}")(caller, *body[1:])
        return f'<s:{name}Response xmlns:s="{_SSO}">{content}</s:{name}Response>'

    def _find(self, element):
        name, domain = (element.findtext(f"{{{_SSO}}}{part}") for part in ("name", "domain"))
        return self._account(f"{name}@{domain}")

    def _require(self, element):
        account = self._find(element)
        if account is None:
            raise Fault("SsoFaultInvalidPrincipalFault", "No such principal")
        return account

    def _GetLocalPasswordPolicy(self, _caller):
        policy = {name: f"<s:{name}>{number}</s:{name}>" for name, number in self.policy.items()}
        lengths = policy.pop("minLength") + policy.pop("maxLength")
        letters, history = policy.pop("minUppercaseCount"), policy.pop("prohibitedPreviousPasswordsCount")
        return (f"<s:returnval><s:description/>{history}<s:passwordFormat><s:lengthRestriction>{lengths}"
                f"</s:lengthRestriction><s:alphabeticRestriction>{letters}</s:alphabeticRestriction>"
                f"{''.join(policy.values())}</s:passwordFormat></s:returnval>")

    def _FindPersonUser(self, _caller, user):
        account = self._find(user)
        if account is None:
            return ""
        states = {"disabled": account.disabled, "locked": account.locked}
        flags = "".join(f"<s:{name}>{str(state).lower()}</s:{name}>" for name, state in states.items())
        return f"<s:returnval>{_id(user.findtext(f'{{{_SSO}}}name'))}<s:details/>{flags}</s:returnval>"

    def _FindDirectParentGroups(self, _caller, principal):
        groups = self._require(principal).groups
        return "".join(f"<s:returnval>{_id(name)}<s:details/></s:returnval>" for name in sorted(groups))

    def _EnableUserAccount(self, _caller, user):
        self._require(user).disabled = False
        return "<s:returnval>true</s:returnval>"

    def _DisableUserAccount(self, _caller, user):
        self._require(user).disabled = True
        return "<s:returnval>true</s:returnval>"

    def _ResetLocalPersonUserPassword(self, _caller, name, password):
        account = self._account(f"{name.text}@{DOMAIN}")
        if account is None:
            raise Fault("SsoFaultInvalidPrincipalFault", "No such principal")
        return self._set(account, password.text)

    def _ResetSelfLocalPersonUserPassword(self, caller, password):
        return self._set(self.accounts[caller], password.text)

    def _set(self, account, password):
        policy = self.policy
        former = [account.password, *account.history][:policy["prohibitedPreviousPasswordsCount"]]
        longest_run = max(len(run) for run in _runs(password))
        if (
            not policy["minLength"] <= len(password) <= policy["maxLength"] or password in former
            or sum(map(str.isdigit, password)) < policy["minNumericCount"]
            or sum(not character.isalnum() for character in password) < policy["minSpecialCharCount"]
            or sum(map(str.isupper, password)) < policy["minUppercaseCount"]
            or longest_run > policy["maxIdenticalAdjacentCharacters"]
        ):
            raise Fault("SsoAdminFaultPasswordPolicyViolationFault", f"The password {password} is not allowed")
        account.history.insert(0, account.password)
        account.password = password
        return ""


def _runs(text):
    """Split a text into runs of one character."""
    runs = [""]
    for character in text:
        if runs[-1][:1] in ("", character):
            runs[-1] += character
        else:
            runs.append(character)
    return runs


def _id(name):
    return f"<s:id><s:name>{escape(name)}</s:name><s:domain>{DOMAIN}</s:domain></s:id>"


def _time(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


def _fault(name, text):
    code, detail = ("ns0:Server", f'<d:{name}Fault xmlns:d="{_SSO}"/>') if name.startswith("Sso") else (name, "")
    return (f'<S:Fault xmlns:ns0="{_TRUST}"><faultcode>{code}</faultcode><faultstring>{escape(text)}</faultstring>'
            f"<detail>{detail}</detail></S:Fault>")


def _reply(status, content):
    text = f'<S:Envelope xmlns:S="{_SOAP}"><S:Body>{content}</S:Body></S:Envelope>'
    return status, {"Content-Type": "text/xml;charset=utf-8"}, f'<?xml version="1.0"?>{text}'.encode()
