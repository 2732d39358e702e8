# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What cloud_credential_rotation does.

PRIVATE to the collection. It runs on the controller only, as issuers of other collections can be loaded nowhere else.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .._rancher.cloud_credential import CloudCredential
from ..issuer import Issuer
from .options import DesiredRotation
from .record import RotationRecord


@dataclass(frozen=True)
class RotationUnit:
    """What is rotated together: the credentials that have one key, its record, and how it is asked for."""

    wanted: DesiredRotation
    members: tuple[CloudCredential, ...]
    record: RotationRecord
    stored: t.Any
    issuer: Issuer

    @property
    def name(self) -> str:
        return self.record.name
