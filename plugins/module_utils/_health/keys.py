# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Keys that do not work, found by signing in with each distinct key once."""

from __future__ import annotations

import typing as t
from collections import Counter
from collections.abc import Mapping

from .._common.problems import Problem
from .._issuers.verification import VERIFIERS, SignIns
from .._rancher.cloud_credential import CloudCredential, decode_values
from ..issuer import IssuerError

OptionsByDriver = t.Mapping[str, t.Mapping[str, t.Any]]


def validate_options_by_driver(options: Mapping[str, t.Any]) -> list[str]:
    """Return the validation errors of verify_options_by_driver."""
    errors = []
    for driver, given in options.items():
        if driver not in VERIFIERS:
            errors.append(
                f"verify_options_by_driver: keys of driver {driver!s:.60} cannot be verified, only those of "
                f"{', '.join(VERIFIERS)}"
            )
        elif not isinstance(given, Mapping):
            errors.append(f"verify_options_by_driver.{driver} must be a mapping")
    return errors


def try_keys(
    credentials: t.Sequence[CloudCredential], options: OptionsByDriver, sign_ins: SignIns,
    parallel_map: t.Callable[[t.Callable[..., t.Any], t.Sequence[t.Any]], list[t.Any]],
) -> tuple[dict[str, Problem], list[str]]:
    """Return the problems of keys by the id of their credential, and what could not be determined."""
    usable = [credential for credential in credentials if credential.driver and not credential.problem]
    known = [credential for credential in usable if credential.driver in VERIFIERS]
    others = Counter(credential.driver or "" for credential in usable if credential.driver not in VERIFIERS)

    def sign_in(credential: CloudCredential) -> IssuerError | None:
        driver = credential.driver or ""
        return sign_ins.sign_in(driver, decode_values(credential), options.get(driver, {}))

    problems: dict[str, Problem] = {}
    incomplete = [
        f"key_refused: keys of driver {driver:.60} cannot be verified ({number} credentials)"
        for driver, number in sorted(others.items())
    ]
    for credential, error in zip(known, parallel_map(sign_in, known)):
        if error is None:
            continue
        if error.code == "refused":
            problems[credential.id] = Problem("key_refused", f"its key does not work: {error.message}")
        elif error.code == "forbidden":
            problems[credential.id] = Problem("key_forbidden", f"its key lacks a permission: {error.message}")
        else:
            incomplete.append(f"key_refused: the key of {credential.full_id} cannot be verified: {error.message}")
    return problems, incomplete
