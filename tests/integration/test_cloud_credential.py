# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""cloud_credential through ansible-playbook: create, update, delete."""

from __future__ import annotations

from .conftest import MODULE, decoded

AWS = {
    "name": "aws prod", "driver": "amazonec2", "owner": "alice",
    "config": {"accessKey": "AKIA1", "defaultRegion": "eu-central-1"}, "secrets": {"secretKey": "  canary-one \n"},
}


def test_create(cluster):
    result = cluster.prove(AWS)
    assert result["credential"]["action"] == "created"
    stored = cluster.stored(result["credential"]["id"])
    assert decoded(stored) == {
        "amazonec2credentialConfig-accessKey": "AKIA1", "amazonec2credentialConfig-defaultRegion": "eu-central-1",
        "amazonec2credentialConfig-secretKey": "canary-one",
    }
    assert result["credential"]["secret_fields"] == ["secretKey"]


def test_update_one_field(cluster):
    secret = cluster.secret(driver="amazonec2", fields={"accessKey": "A", "secretKey": "old", "defaultRegion": ""}, finalizers=["example.com/hold"])
    result = cluster.prove({"name": "test", "config": {"defaultRegion": "us-east-1"}})
    assert result["credential"]["action"] == "updated"
    assert result["credential"]["changed_fields"] == ["defaultRegion"]
    stored = cluster.stored(secret["metadata"]["name"])
    assert decoded(stored)["amazonec2credentialConfig-defaultRegion"] == "us-east-1"
    assert stored["metadata"]["finalizers"] == ["example.com/hold"]


def test_delete(cluster):
    cluster.secret()
    result = cluster.prove({"name": "test", "state": "absent"})
    assert result["credential"]["action"] == "deleted"
    assert not cluster.secrets()


def test_as_module(cluster):
    result = cluster.prove(AWS, as_module=True)
    assert result["credential"]["action"] == "created"
    assert "as a module" in cluster.play({MODULE: AWS}, as_module=True, arguments=["-vvv"]).output
