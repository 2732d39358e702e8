# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real Kubernetes control plane for tests and the demo, with the objects of a Rancher on it.

    with ControlPlane() as control_plane:
        install_fixtures(control_plane, rancher="2.10.0")

Building it (build.py) takes a bare Python; running it takes what a test environment has, so the names below are
imported when first used.
"""

from __future__ import annotations

import importlib

_HOME = {
    "ApiClient": "api",
    "ApiError": "api",
    "Authority": "certificates",
    "ControlPlane": "server",
    "Unavailable": "errors",
    "install_fixtures": "fixtures",
}

__all__ = sorted(_HOME)


def __getattr__(name):
    if name not in _HOME:
        raise AttributeError("module %r has no attribute %r" % (__name__, name))
    return getattr(importlib.import_module("%s.%s" % (__name__, _HOME[name])), name)
