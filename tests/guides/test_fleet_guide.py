# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Follow the guides "Manage a fleet" and "Run a fleet every day" from an empty folder to the end."""

from __future__ import annotations

import json
import subprocess

import pytest

from harness import debian
from support.cluster import decoded

from .guide import Guide, chapters


@pytest.fixture
def machine(tmp_path):
    """A command prefix for a mount namespace with a copy of /etc and without a running systemd.

    Timers are only enabled there, and this machine is not changed.
    """
    debian.ensure(**{"systemd-analyze": "systemd"})
    etc = tmp_path / "etc"
    subprocess.run(["cp", "-a", "/etc", etc], check=True)
    script = f'mount --bind {etc} /etc && mount -t tmpfs tmpfs /run && exec "$@"'
    return ["unshare", "--mount", "sh", "-c", script, "sh"]


@pytest.mark.timeout(1200)  # a whole guide
def test_fleet(cluster, aws, machine, tmp_path):
    key = aws.create_user("keeper")
    environment = {
        **cluster.environment(), "AWS_ENDPOINT_URL": aws.url,
        "RANCHHAND_AWS_ACCESS_KEY": key["accessKey"], "RANCHHAND_AWS_SECRET_KEY": key["secretKey"],
    }
    folder = tmp_path / "repository"
    folder.mkdir()
    guide = Guide(folder, environment, [key["secretKey"], "dop_v1_throw_away"], machine)
    guide.follow(chapters("fleet", "Create an empty repository", "Add a Rancher"))
    for name in ("Rotate keys", "Write a report", "Schedule the jobs"):
        guide.follow(chapters("fleet-operations", name))
    guide.follow(chapters("fleet", "Use CI"))
    assert (len(guide.files), guide.shown, len(guide.runs)) == (9, 11, 35)
    assert guide.changed("ranchhand.rancher.apply -e @fleet.yml")[:3] == ["1", "1", "0"]
    assert guide.changed("-e @exported/practice.yml") == ["0"]
    assert guide.changed("rotate_max_age=90d") == ["0"]
    first, *more = guide.changed("schedule-kubernetes.yml")
    assert int(first) and more[1] == "0"
    # the final state
    credentials = {
        secret["metadata"]["annotations"]["field.cattle.io/name"]: decoded(secret) for secret in cluster.secrets()}
    assert set(credentials) == {"team-a aws", "team-a spaces"}
    live = credentials["team-a aws"]
    assert live["amazonec2credentialConfig-accessKey"] != key["accessKey"]
    assert aws.works(live["amazonec2credentialConfig-accessKey"], live["amazonec2credentialConfig-secretKey"])
    report = json.loads((folder / "reports" / "credentials.json").read_text(encoding="utf-8"))
    assert {credential["name"] for credential in report["credentials"]} == set(credentials)
    assert "team-a spaces" in (folder / "reports" / "credentials.html").read_text(encoding="utf-8")
    vault = (folder / "inventory" / "group_vars" / "all" / "vault.yml").read_text(encoding="utf-8")
    assert vault.startswith("$ANSIBLE_VAULT;")
    assert "dop_v1_throw_away" not in (folder / "exported" / "practice.yml").read_text(encoding="utf-8")
    drift = json.loads((folder / "reports" / "drift.json").read_text(encoding="utf-8"))
    assert drift == {"drift": [], "failed": False}
