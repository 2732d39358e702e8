# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Signs in with the value of a cloud credential before it is stored: which drivers this is possible for, and how."""

from __future__ import annotations

import threading
import time
import typing as t
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from ..issuer import IssuerError, Values
from . import (
    alibaba,
    aws,
    azure,
    exoscale,
    google,
    http,
    kubernetes,
    linode,
    oci,
    openstack,
    otc,
    outscale,
    passwords,
    pve,
    tokens,
)
from .throttle import CallRates

RATE = 20  # sign-ins a second for each driver, as the default of a rotation
_CERTIFICATES = (*http.OPTIONS, "validate_certs")
_AWS = ("region", *http.OPTIONS)
_OPENSTACK_USER = ("user_id", "username", "user_domain_id", "user_domain_name")
_OPENSTACK_SCOPE = ("project_id", "project_name", "project_domain_id", "project_domain_name")


@dataclass(frozen=True)
class Verifier:
    """Signs in once with the fields of a credential and the options; raises IssuerError.

    ``options`` are the names of what it needs and the credential does not contain. ``account`` are the fields and
    options that identify an account which the provider locks after a few failures.
    """

    verify: t.Callable[[Values, t.Mapping[str, t.Any]], None]
    options: tuple[str, ...] = http.OPTIONS
    account: tuple[str, ...] = ()


VERIFIERS: Mapping[str, Verifier] = {
    "alibaba": Verifier(alibaba.verify_key),
    "amazonec2": Verifier(aws.verify_key, _AWS),
    "azure": Verifier(azure.verify_secret, ("tenant_id", *http.OPTIONS)),
    "digitalocean": Verifier(tokens.verify_digitalocean),
    "exoscale": Verifier(exoscale.verify_key, ("zone", *http.OPTIONS)),
    "google": Verifier(google.verify_service_account),
    "harvester": Verifier(kubernetes.verify_kubeconfig, ()),
    "hetzner": Verifier(tokens.verify_hetzner),
    "linode": Verifier(linode.verify_token),
    "nutanix": Verifier(passwords.verify_nutanix, _CERTIFICATES, ("endpoint", "username")),
    "oci": Verifier(oci.verify_key, ("region", *http.OPTIONS)),
    "openstack": Verifier(
        openstack.verify_password,
        ("auth_url", *_OPENSTACK_USER, *_OPENSTACK_SCOPE, "ca_cert", "validate_certs"),
        ("auth_url", *_OPENSTACK_USER),
    ),
    "otc": Verifier(otc.verify_key, ("region", "domain_id", *http.OPTIONS)),
    "outscale": Verifier(outscale.verify_key),
    "pve": Verifier(pve.verify_token, _CERTIFICATES),
    "s3": Verifier(aws.verify_s3, _AWS),
    "vmwarevsphere": Verifier(passwords.verify_vsphere, _CERTIFICATES, ("vcenter", "username")),
}


def sign_in_of(driver: str | None, options: Mapping[str, t.Any], option: str) -> t.Callable[[Values], None]:
    """Return what signs in once with the fields of a credential and raises IssuerError.

    ``option`` contains the options, for messages. Raises IssuerError, if they or the driver are not known.
    """
    verifier = VERIFIERS.get(driver or "")
    if verifier is None:
        raise IssuerError(
            "unsupported", f"keys of driver {driver:.60} cannot be verified, only those of {', '.join(VERIFIERS)}"
        )
    unknown = sorted(map(str, set(options).difference(verifier.options)))
    if unknown:
        raise IssuerError(
            "invalid",
            f"{option} has no option {', '.join(unknown):.200} for driver {driver}; allowed are "
            f"{', '.join(verifier.options) or 'none'}",
        )
    given = {name: value for name, value in options.items() if value is not None}

    def sign_in(values: Values) -> None:
        try:
            verifier.verify(values, given)
        except IssuerError:
            raise
        except Exception as error:  # its text may contain secrets
            raise IssuerError(
                "unreachable", f"signing in with driver {driver} failed unexpectedly ({type(error).__name__})"
            ) from None

    return sign_in


def verify_key(driver: str, values: Values, options: Mapping[str, t.Any], rates: CallRates) -> None:
    """Sign in once with the fields of a credential, when its turn comes. Raises IssuerError."""
    sign_in = sign_in_of(driver, options, "verify_options")
    time.sleep(rates.reserve(driver, float("inf")) or 0.0)
    sign_in(values)


class SignIns:
    """The sign-ins of one run: one for each distinct key, and none after a refusal that could lock an account."""

    def __init__(self, verify: t.Callable[..., None] = verify_key) -> None:
        self._verify = verify
        self._rates = CallRates(RATE)
        self._outcomes: dict[t.Hashable, IssuerError | None] = {}
        self._refused: set[t.Hashable] = set()
        self._locks: defaultdict[t.Hashable, threading.Lock] = defaultdict(threading.Lock)
        self._lock = threading.Lock()

    def sign_in(self, driver: str, values: Values, options: Mapping[str, t.Any]) -> IssuerError | None:
        """Return why a key does not work, None if it does."""
        key = _identity(driver, values, options)
        account = _account(driver, values, options)
        with self._lock:
            turn = self._locks[account or key]
        with turn:
            if key not in self._outcomes:
                self._outcomes[key] = self._attempt(driver, values, options, account)
            return self._outcomes[key]

    def accepted(self, driver: str, values: Values, options: Mapping[str, t.Any]) -> bool:
        """Whether a key was tried and is valid, with or without all rights."""
        key = _identity(driver, values, options)
        outcome = self._outcomes.get(key)
        return key in self._outcomes and (outcome is None or outcome.code == "forbidden")

    def _attempt(
        self, driver: str, values: Values, options: Mapping[str, t.Any], account: t.Hashable | None
    ) -> IssuerError | None:
        if account in self._refused:
            return IssuerError(
                "busy", "it was not tried, because another password of the account was refused, and more failures may "
                        "lock the account"
            )
        try:
            self._verify(driver, values, options, self._rates)
        except IssuerError as error:
            if error.code == "refused" and account:
                self._refused.add(account)
            return error
        return None


def _identity(driver: str, values: Values, options: Mapping[str, t.Any]) -> t.Hashable:
    return driver, frozenset(values.items()), frozenset((str(name), repr(value)) for name, value in options.items())


def _account(driver: str, values: Values, options: Mapping[str, t.Any]) -> t.Hashable | None:
    names = VERIFIERS[driver].account if driver in VERIFIERS else ()
    return (driver, *(str(values.get(name) or options.get(name)).lower() for name in names)) if names else None
