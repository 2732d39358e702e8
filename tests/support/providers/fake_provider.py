# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fakes of providers whose keys are rotated, with TLS on loopback, as the suite tests/issuers/test_conformance.py uses.

A fake checks the key of each request by its value or its signature, and refuses what the provider refuses: unknown,
disabled, deleted and expired keys, keys of others, and more keys than the limit. It returns a secret once, in the
answer that creates it.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import re
import ssl
import threading
from dataclasses import dataclass, field, replace
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

import requests
from ansible_collections.ranchhand.rancher.plugins.module_utils._issuers.http import HttpApi
from ansible_collections.ranchhand.rancher.plugins.module_utils._issuers.registry import ISSUERS, load_issuer

from control_plane.certificates import Authority, write_private
from support.fakes import Proxy

UTC = datetime.timezone.utc
CONSOLE = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)  # when keys were created by hand


@dataclass
class FakeKey:
    """A key of a fake; ``more`` is what only its provider knows."""

    id: str
    secret: object = field(repr=False)
    owner: str
    mark: str | None = None
    expires_at: datetime.datetime | None = None
    enabled: bool = True
    used: datetime.datetime | None = None
    more: dict = field(default_factory=dict)
    created_at: datetime.datetime = field(default_factory=lambda: datetime.datetime.now(UTC).replace(microsecond=0))
    answers: list = field(default_factory=list)  # of replicas, to the next sign-ins


def tls_server(folder):
    """Return the path of a file with CA certificates, and the TLS context of a server on loopback that it is for."""
    authority = Authority()
    ca_bundle = folder / "provider-ca.pem"
    ca_bundle.write_bytes(authority.pem)
    certificate, key = authority.server()
    (folder / "provider.pem").write_bytes(certificate)
    write_private(folder / "provider.key", key)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "provider.pem", folder / "provider.key")
    return ca_bundle, context


class FakeProvider(Proxy):
    """A provider with the keys of several principals.

    Attributes that subclasses set: see below. Attributes that tests set: ``replicas``, whether each of the first
    sign-ins with a new key is accepted; ``forbidden``, whether principals have lost the right to manage keys;
    ``override``, an action of support.fakes for the next requests; ``change``, a function that changes the requests
    that issue a key on their way. ``sent`` contains the bodies of all answers.
    """

    issuer = ""        # name of the issuer
    issuing = ""       # pattern of the request that creates a key, as describe() returns it
    principal = "rancher"    # whose keys are in credentials
    stranger = "stranger"    # manages its own keys only
    rotator = "rotator"      # manages the keys of the principal too
    secret_field = ""  # field of a credential that contains the secret
    given: ClassVar = {}  # options of sign_in: given, and the fields of a credential that they correspond to
    administrator_options: ClassVar = {}  # options that are not secret, and that the rotator needs in addition
    limit = None       # number of keys of a principal
    unrestricted: ClassVar = ()  # methods that need no permission
    lenient: ClassVar = ()  # methods that succeed without an answer to their last request
    signs_in = True    # whether a key may manage the keys of its principal
    self_service = False     # whether principals manage their own keys without a permission
    ends_at_cutover = False  # whether credential_changed() ends the old key
    is_real = False    # whether a real server answers
    shows_secrets = False    # whether lists contain the secrets of keys
    lags = False       # whether a replica may not know a new key that another one has accepted
    signed = ("authorization",)  # headers of which a change is noticed; also "query" and "body"
    changed: ClassVar = {}   # codes of what is noticed in another way than a key that is not accepted

    def __init__(self, folder):
        self.ca_bundle, context = tls_server(folder)
        super().__init__(tls=context)
        self.keys, self.sent = {}, []
        self.replicas, self.forbidden = (), False
        self.override = self.change = None
        self._listed = None
        self._losing = []
        self._lock = threading.RLock()

    @property
    def driver(self):
        """The driver of the credentials."""
        return ISSUERS[self.issuer].drivers[0]

    @property
    def options(self):
        """The options of the issuer that lead here, without ``sign_in``."""
        return {"endpoint_url": self.url, "propagation": "0s", "ca_bundle": str(self.ca_bundle)}

    @property
    def secret_options(self):
        """The secret options without which the issuer cannot be created."""
        return {}

    def load(self, **more):
        """Create the issuer, with options that lead here."""
        return load_issuer(self.issuer, {**self.options, **self.secret_options, **more})

    def create_key(self, owner=None, **more):
        """Create a key as a user does in the console; returns all fields of the credential that contains it."""
        key = self.generate(owner or self.principal, **more)
        key.created_at, key.answers = CONSOLE, []
        return self.credential(key)

    def administrator(self, owner=None, **more):
        """Return the options of another principal that may manage the keys, with ``sign_in: given``."""
        values = self.create_key(owner or self.rotator, **more)
        return {"sign_in": "given", **{option: values[name] for option, name in self.given.items()}}

    def revoke(self, key_ids):
        """Delete keys, and what else administrators sign in with."""
        for key_id in key_ids:
            del self.keys[key_id]

    def fill(self):
        """Create keys until the principal has as many as the provider allows."""
        while not self.full(self.principal):
            self.create_key()

    def mix(self, values, other):
        """Return the fields of a credential with the secret of another one; ``other`` is of the same owner."""
        return {**values, self.secret_field: other[self.secret_field]}

    def secrets_of(self, values):
        """Return the texts in fields of a credential that nothing may show."""
        return [values[self.secret_field]]

    def freeze(self):
        """Let lists lag: they show the keys of this moment until thaw()."""
        self._listed = {key.id: replace(key) for key in self.keys.values()}

    def thaw(self):
        self._listed = None

    def lose(self, pattern):
        """Perform the next request that is described by a pattern, and drop its reply."""
        self._losing.append(pattern)

    def describe(self, seen):
        """Return a request as lose() and ``issuing`` match it."""
        return f"{seen.method} {seen.path}"

    def answer(self, seen):
        if self.override:
            return self.override(seen)
        description = self.describe(seen)
        if self.change and re.search(self.issuing, description):
            seen = self.change(seen)
        with self._lock:
            answer = self.handle(seen)
            self.sent.append(answer[2])
            for pattern in self._losing:
                if re.search(pattern, description):
                    self._losing.remove(pattern)
                    return None
        return answer

    def handle_changed(self, seen, change):
        """Return the answer to a request; ``change`` is a function that changes its JSON."""
        status, headers, body = self.handle(seen)
        return status, headers, json.dumps(change(json.loads(body))).encode()

    # what a subclass implements

    def generate(self, owner):
        """Create a key, with add()."""
        raise NotImplementedError

    def credential(self, key):
        """Return all fields of a credential with a key."""
        raise NotImplementedError

    def handle(self, seen):
        """Return the answer to a request."""
        raise NotImplementedError

    # for subclasses

    def add(self, key):
        self.keys[key.id] = key
        key.answers = list(self.replicas)
        return key

    def accepts(self, key):
        """Whether a sign-in with a key succeeds whose secret was proven."""
        if key is None or key.id not in self.keys or not key.enabled:
            return False
        if key.expires_at and key.expires_at <= datetime.datetime.now(UTC):
            return False
        return key.answers.pop(0) if key.answers else True

    def may_manage(self, caller, owner):
        """Whether a principal may manage the keys of another one, or its own."""
        if caller == owner and self.self_service:
            return True
        return not self.forbidden and caller in (owner, self.rotator)

    def listed(self, owner):
        """Return the keys of an owner as a list shows them."""
        keys = self.keys if self._listed is None else self._listed
        return [key for key in keys.values() if key.owner == owner]

    def full(self, owner):
        return self.limit is not None and sum(key.owner == owner for key in self.keys.values()) >= self.limit


def intercept(fake, monkeypatch):
    """Lead all requests of this process to a fake; returns a set to which the servers are added that they were for."""
    servers, send = set(), requests.Session.request

    def redirect(session, method, url, headers, **arguments):
        parts = urlsplit(url)
        server = f"{parts.scheme}://{parts.netloc}"
        servers.add(server)
        headers = {**headers, "Host": parts.netloc}
        return send(session, method, fake.url + url.removeprefix(server), headers=headers, **arguments)

    monkeypatch.setattr(requests.Session, "request", redirect)
    return servers


def record_deadlines(monkeypatch):
    """Return a set to which the deadlines of all requests are added."""
    deadlines, send = set(), HttpApi.send

    def record(api, *arguments, **options):
        deadlines.add(api.until)
        return send(api, *arguments, **options)

    monkeypatch.setattr(HttpApi, "send", record)
    return deadlines


def canonical_digest(seen, names, end=""):
    """Return the digest of a request that AWS' signature version 4 and its relatives sign, with the named headers."""
    target = urlsplit(seen.path)
    lines = [seen.method, target.path + end, target.query, *(f"{name}:{seen.headers[name]}" for name in names), ""]
    text = "\n".join([*lines, ";".join(names), hashlib.sha256(seen.body).hexdigest()])
    return hashlib.sha256(text.encode()).hexdigest()


def is_late(time, minutes):
    """Whether the time of a request differs too much from that of the server."""
    return abs(datetime.datetime.now(UTC) - time) > datetime.timedelta(minutes=minutes)


def form_of(seen):
    return {name: values[0] for name, values in parse_qs(seen.body.decode(), strict_parsing=True).items()}


def answer_json(status, content, **headers):
    return status, {"Content-Type": "application/json", **headers}, json.dumps(content).encode()


def parse_zulu(text, pattern="%Y-%m-%dT%H:%M:%SZ"):
    return datetime.datetime.strptime(text, pattern).replace(tzinfo=UTC)


def format_zulu(time):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")
