# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.ranchhand.rancher.plugins.module_utils._resources.node_template import (
    NODE_TEMPLATE,
    manage_node_templates,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._resources.node_template_plan import (
    parse_desired_node_templates,
)
from ansible_collections.ranchhand.rancher.plugins.plugin_utils._action import RanchhandAction


class ActionModule(RanchhandAction):
    spec = NODE_TEMPLATE
    core = staticmethod(manage_node_templates)
    check = staticmethod(parse_desired_node_templates)
