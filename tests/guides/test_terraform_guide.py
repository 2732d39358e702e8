# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Follow the guide "Move from Terraform" with a recorded state and the objects that Terraform created."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from control_plane import ApiError
from support.cluster import SECRETS
from support.rancher_controllers import CONFIGS

from .guide import Guide, chapters
from .test_repoint_guide import TEMPLATES, environment
