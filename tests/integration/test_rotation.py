# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""cloud_credential_rotation: what a user sees, and what is then in the cluster and at the cloud."""

from __future__ import annotations

import json
import secrets

import pytest

from .conftest import decoded

ROTATION = "ranchhand.rancher.cloud_credential_rotation"
INFO = "ranchhand.rancher.cloud_credential_rotation_info"


class Rotating:
    """A credential with a key of a user of its own, and tasks that rotate it into a namespace of its own."""

    def __init__(self, cluster, aws, driver="amazonec2"):
        self.cluster, self.aws = cluster, aws
        self.user = f"user-{secrets.token_hex(4)}"
        self.key = aws.create_user(self.user)
        self.id = f"cc-{secrets.token_hex(4)}"
        self.namespace = f"rotation-{secrets.token_hex(4)}"
        self.add(self.id, driver)

    def add(self, identifier, driver="amazonec2", key=None):
        self.cluster.secret(identifier, driver, {**(key or self.key), "defaultRegion": "eu-central-1"}, f"aws {identifier}")

    def task(self, state="rotated", **options):
        common = {"id": self.id, "state": state, "namespace": self.namespace, "drain": "1s", "verify_timeout": "5s",
                  "issuer_options": {"endpoint_url": self.aws.url, "propagation": 0}}
        if state == "rotated" and "max_age" not in options:
            common["rotation_id"] = "first"
        return {ROTATION: {key: value for key, value in {**common, **options}.items() if value is not None}}

    def play(self, *tasks, **options):
        return self.cluster.play(*tasks, **options)

    def run(self, state="rotated", **options):
        """The result of one task."""
        return self.play(self.task(state, **options)).result

    @property
    def live(self):
        stored = decoded(self.cluster.stored(self.id))
        return {name: stored[f"amazonec2credentialConfig-{name}"] for name in ("accessKey", "secretKey")}

    @property
    def keys(self):
        return dict(self.aws.keys(self.user))

    def works(self):
        live = self.live
        return self.aws.works(live["accessKey"], live["secretKey"])

    def kept(self):
        """The values that are kept, by the name of their Secret."""
        items = self.cluster.api.get(f"/api/v1/namespaces/{self.namespace}/secrets")["items"]
        return {item["metadata"]["name"]: json.loads(decoded(item)["payload"]) for item in items if item["metadata"]["name"] != "rotation-digests"}


@pytest.fixture
def rotating(cluster, aws):
    return Rotating(cluster, aws)


def test_a_key_is_rotated_and_retired(rotating):
    before = rotating.cluster.stored(rotating.id)
    played = rotating.play(
        {**rotating.task(), "check_mode": True}, rotating.task(), rotating.task(), rotating.task("retired"), rotating.task("retired", grace="0s"),
        rotating.task("retired", soak="0s"), rotating.task("retired"), rotating.task(),
    )
    assert not any(result["failed"] for result in played.results), played.output
    check, rotated, again, waiting, disabled, deleted, idle, last = [result.get("rotation", result) for result in played.results]
    assert check["steps"] == ["Preparing", "Issued", "Grace"] and check["action"] == "rotated", played.output
    assert rotated["action"] == "rotated" and rotated["phase"] == "Grace" and rotated["old_key_id"] == rotating.key["accessKey"], rotated
    assert again["action"] == "unchanged" and again["waiting_for"] == ["state: retired, to retire the old key"]
    assert waiting["action"] == "unchanged" and waiting["waiting_for"][0].startswith("grace: ")
    assert disabled["phase"] == "Disabled" and disabled["steps"] == ["Disabling", "Disabled"]
    assert deleted["phase"] == "Idle" and deleted["action"] == "retired", deleted
    assert idle["action"] == "unchanged" and last["action"] == "unchanged"
    assert [result["changed"] for result in played.results] == [True, True, False, False, True, True, False, False]
    after = rotating.cluster.stored(rotating.id)
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert "ranchhand.cattle.io/rotation-token" not in after["metadata"]["annotations"]
    assert rotating.keys == {rotating.live["accessKey"]: "Active"} and rotating.works()
    assert list(rotating.kept().values()) == [rotating.live]
    assert "WARNING" not in played.output
