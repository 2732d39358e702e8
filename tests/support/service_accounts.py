# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tokens of ServiceAccounts in a Harvester, and credentials that contain them."""

from __future__ import annotations

import json

import yaml

NAMESPACE = "machines"
ACCOUNTS = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts"


def token_of(harvester, account="rancher", **spec):
    return harvester.api.post(f"{ACCOUNTS}/{account}/token", {"spec": spec})["status"]["token"]


def stored(harvester, token, **user):
    """Return the fields of a credential with this token, with settings that a rotation must preserve."""
    content = json.loads(harvester.kubeconfig.read_text())
    content["users"] = [{"name": "kubernetes-admin", "user": {**user, "token": token}}]
    return {
        "kubeconfigContent": yaml.safe_dump({**content, "preferences": {"colors": True}}),
        "clusterType": "imported",
    }
