# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Signs in with the value of a cloud credential before it is stored: which drivers this is possible for, and how."""

from __future__ import annotations

import importlib
import time
import typing as t
from collections.abc import Mapping
from dataclasses import dataclass

from ..issuer import IssuerError, Values
from . import http
from .throttle import CallRates

RATE = 20  # sign-ins a second for each driver, as the default of a rotation
_CERTIFICATES = (*http.OPTIONS, "validate_certs")
_AWS = ("region", *http.OPTIONS)
_OPENSTACK_USER = ("user_id", "username", "user_domain_id", "user_domain_name")
_OPENSTACK_SCOPE = ("project_id", "project_name", "project_domain_id", "project_domain_name")


@dataclass(frozen=True)
class VerifierEntry:
    """A function ``(values, options)`` that signs in once, in a module of this package; raises IssuerError.

    ``options`` are the names of what it needs and the credential does not contain.
    """

    module: str
    function: str
    options: tuple[str, ...] = http.OPTIONS


VERIFIERS: Mapping[str, VerifierEntry] = {
    "amazonec2": VerifierEntry("aws", "verify_key", _AWS),
    "azure": VerifierEntry("azure", "verify_secret", ("tenant_id", *http.OPTIONS)),
    "digitalocean": VerifierEntry("tokens", "verify_digitalocean"),
    "google": VerifierEntry("google", "verify_service_account"),
    "harvester": VerifierEntry("kubernetes", "verify_kubeconfig", ()),
    "hetzner": VerifierEntry("tokens", "verify_hetzner"),
    "linode": VerifierEntry("tokens", "verify_linode"),
    "nutanix": VerifierEntry("passwords", "verify_nutanix", _CERTIFICATES),
    "openstack": VerifierEntry(
        "openstack",
        "verify_password",
        ("auth_url", *_OPENSTACK_USER, *_OPENSTACK_SCOPE, "ca_cert", "validate_certs"),
    ),
    "pve": VerifierEntry("tokens", "verify_pve", _CERTIFICATES),
    "s3": VerifierEntry("aws", "verify_s3", _AWS),
    "vmwarevsphere": VerifierEntry("passwords", "verify_vsphere", _CERTIFICATES),
}


def verify_key(driver: str, values: Values, options: Mapping[str, t.Any], rates: CallRates) -> None:
    """Sign in once with the fields of a credential, when its turn comes. Raises IssuerError."""
    entry = VERIFIERS.get(driver)
    if entry is None:
        raise IssuerError(
            "unsupported", f"keys of driver {driver:.60} cannot be verified, only those of {', '.join(VERIFIERS)}"
        )
    unknown = sorted(set(options).difference(entry.options))
    if unknown:
        raise IssuerError(
            "invalid",
            f"verify_options has no option {', '.join(map(str, unknown)):.200} for driver {driver}; allowed are "
            f"{', '.join(entry.options) or 'none'}",
        )
    given = {name: value for name, value in options.items() if value is not None}
    time.sleep(rates.reserve(driver, float("inf")) or 0.0)
    try:
        getattr(importlib.import_module(f"{__package__}.{entry.module}"), entry.function)(values, given)
    except IssuerError:
        raise
    except Exception as error:  # its text may contain secrets
        raise IssuerError(
            "unreachable", f"signing in with driver {driver} failed unexpectedly ({type(error).__name__})"
        ) from None
