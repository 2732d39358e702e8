# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All fakes of providers whose keys are rotated, and the real servers that have the same interface."""

from __future__ import annotations

from support.providers.fake_alibaba import FakeAlibaba
from support.providers.fake_azure import FakeAzure
from support.providers.fake_exoscale import FakeExoscale
from support.providers.fake_google import FakeGoogle
from support.providers.fake_harvester import FakeHarvester
from support.providers.fake_linode import FakeLinode
from support.providers.fake_minio import FakeMinio
from support.providers.fake_oci import FakeOci
from support.providers.fake_otc import FakeOtc
from support.providers.fake_outscale import FakeOutscale
from support.providers.fake_pve import FakePve
from support.providers.fake_spaces import FakeSpaces
from support.providers.rgw import CephUsers

FAKES = (
    FakeAlibaba, FakeAzure, FakeExoscale, FakeGoogle, FakeHarvester, FakeLinode, FakeMinio, FakeOci, FakeOtc,
    FakeOutscale, FakePve, FakeSpaces, CephUsers,
)
