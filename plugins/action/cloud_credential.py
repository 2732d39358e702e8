# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.ranchhand.rancher.plugins.module_utils._resources.cloud_credential import (
    CLOUD_CREDENTIAL,
    manage_cloud_credentials,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._resources.cloud_credential_plan import (
    parse_desired_credentials,
)
from ansible_collections.ranchhand.rancher.plugins.plugin_utils._action import RanchhandAction


class ActionModule(RanchhandAction):
    spec = CLOUD_CREDENTIAL
    core = staticmethod(manage_cloud_credentials)
    check = staticmethod(parse_desired_credentials)
