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
import json
import ssl
from urllib.parse import parse_qs

from control_plane.certificates import Authority, write_private
from support.providers.fake_keys import UTC, KeyProvider

CONSOLE = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)  # when keys were created by hand


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


class FakeProvider(KeyProvider):
    """A provider with the keys of several owners, of which one is that of the credentials.

    Attributes that subclasses set: ``issuer`` is the name of the issuer, ``issuing`` describes the request that creates
    a key, ``lags`` is whether replicas may not know a new key yet.

    Attributes that tests set: ``replicas``, whether each of the first sign-ins with a new key is accepted;
    ``forbidden``, whether principals have lost the right to manage keys.
    """

    issuer = ""
    issuing = ""
    lags = False

    def __init__(self, folder):
        self.ca_bundle, context = tls_server(folder)
        super().__init__(tls=context)
        self.replicas = ()
        self.forbidden = False

    @property
    def options(self):
        """The options of the issuer that lead here, without ``sign_in``."""
        return {**super().options, "ca_bundle": str(self.ca_bundle)}

    # what a subclass implements

    def create_key(self):
        """Create a key as a user does in the console; returns all fields of the credential that contains it."""
        raise NotImplementedError

    def administrator(self):
        """Return the options of another principal that may manage the keys, with ``sign_in: given``."""
        raise NotImplementedError

    def fill(self):
        """Create keys until the owner of the first key has as many as the provider allows."""
        raise NotImplementedError

    def mix(self, values, other):
        """Return the fields of a credential with the secret of another one; ``other`` is of the same owner."""
        raise NotImplementedError

    def secrets_of(self, values):
        """Return the texts in fields of a credential that nothing may show."""
        return list(values.values())

    # for subclasses

    def add(self, key):
        """Add a key that a request has created; see create_key() for others."""
        self.keys[key.id] = key
        key.more["answers"] = list(self.replicas) if self.lags else []
        return key

    def accepts(self, key):
        """Whether a sign-in with a key succeeds whose secret was proven."""
        if key is None or self.accepted(key.id) is None:
            return False
        answers = key.more.get("answers")
        return answers.pop(0) if answers else True


def form_of(seen):
    return {name: values[0] for name, values in parse_qs(seen.body.decode(), strict_parsing=True).items()}


def answer_json(status, content, **headers):
    return status, {"Content-Type": "application/json", **headers}, json.dumps(content).encode()


def format_zulu(time):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")
