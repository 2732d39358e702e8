# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Removes the guard between tests, and works around an error of the API server after that."""

from __future__ import annotations

from ansible_collections.ranchhand.rancher.plugins.module_utils._guard.policies import (
    BINDINGS,
    CONFIG_MAPS,
    DELETION_LIST,
    POLICIES,
    guard_objects,
    guard_paths,
)

from control_plane import ApiError

NAMES = f"{CONFIG_MAPS}/{DELETION_LIST}"


def remove_guard(cluster):
    for path in guard_paths():
        try:
            cluster.api.delete(path)
        except ApiError as error:
            if error.status != 404:
                raise


def keep_watching(cluster):
    """Create another policy with a ConfigMap: without it, an API server ignores a guard that is installed again.

    See https://github.com/kubernetes/kubernetes/issues/130887. Tests install and remove the guard repeatedly.
    """
    _names, policy, binding = guard_objects(False, 0).values()
    policy = {
        **policy,
        "metadata": {"name": "others"},
        "spec": {
            "paramKind": policy["spec"]["paramKind"],
            "validations": [{"expression": "true"}],
            "matchConstraints": {
                "resourceRules": [
                    {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["podtemplates"]}
                ]
            },
        },
    }
    binding = {**binding, "metadata": {"name": "others"}, "spec": {**binding["spec"], "policyName": "others"}}
    for path, item in ((POLICIES, policy), (BINDINGS, binding)):
        try:
            cluster.api.post(path, item)
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise
