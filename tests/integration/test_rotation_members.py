# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One key in three Ranchers, which are hosts of an inventory: the roles rotate it in all of them."""

from __future__ import annotations

import json
import re
import secrets
from pathlib import Path

import pytest

from control_plane import ControlPlane, install_fixtures
from support.cluster import Cluster, decoded, empty
from support.ranchers import run_playbook, write_inventory


@pytest.fixture(scope="module", name="third")
def _third(tmp_path_factory):
    with ControlPlane() as control_plane:
        install_fixtures(control_plane, "2.15.0")
        yield Cluster(control_plane, tmp_path_factory.mktemp("plays"))


class Members:
    """The same key in the Ranchers a, b and c; a rotates it."""

    def __init__(self, clusters, aws, folder):
        self.clusters, self.aws, self.folder = dict(zip("abc", clusters)), aws, folder
        self.user = f"user-{secrets.token_hex(4)}"
        self.key = aws.create_user(self.user)
        self.namespace = f"rotation-{secrets.token_hex(4)}"
        self.ids = {host: f"cc-{secrets.token_hex(4)}" for host in "abc"}
        for host, cluster in self.clusters.items():
            fields = {**self.key, "defaultRegion": f"region-{host}"}
            cluster.secret(self.ids[host], "amazonec2", fields, "aws prod" if host != "c" else "aws c")
        self.unreachable = ()

    def run(self, playbook, host="a", code=0, **variables):
        kubeconfigs = {}
        for each, cluster in self.clusters.items():
            kubeconfigs[each] = str(cluster.control_plane.kubeconfig)
            if each in self.unreachable:
                text = Path(kubeconfigs[each]).read_text()
                kubeconfigs[each] = str(self.folder / f"{each}.kubeconfig")
                Path(kubeconfigs[each]).write_text(re.sub(r"(https://127\.0\.0\.1):\d+", r"\1:9", text))
        write_inventory(self.folder, **{each: {"rancher_kubeconfig": path} for each, path in kubeconfigs.items()})
        options = {"endpoint_url": self.aws.url, "propagation": "0s"}
        common = {
            f"{playbook}_hosts": host, f"{playbook}_namespace": self.namespace, f"{playbook}_members": ["ranchers"],
            f"{playbook}_credentials": [{"name": "aws prod"}], f"{playbook}_issuer_options": options,
            "rotate_rotation_id": "first", "rotate_member_names": {"c": {"aws prod": "aws c"}}, "confirm": True,
        }
        if playbook == "retire":
            common["retire_credentials"] = [{"name": "aws prod", "drain": "1s"}]
        done, output = run_playbook(
            f"ranchhand.rancher.{playbook}", self.folder, self.clusters["a"].environment(),
            variables={**common, **variables})
        assert done == code, output
        assert self.key["secretKey"] not in output, output
        return output

    def live(self, host):
        return decoded(self.clusters[host].stored(self.ids[host]))["amazonec2credentialConfig-accessKey"]

    @property
    def states(self):
        return dict(self.aws.keys(self.user))

    def are_original(self):
        """Whether nothing has changed."""
        old = self.key["accessKey"]
        return self.states == {old: "Active"} and {self.live(host) for host in "abc"} == {old}


@pytest.fixture
def members(cluster, cluster_215, third, aws, tmp_path):
    empty(third.api)
    return Members((cluster, cluster_215, third), aws, tmp_path)


def test_the_roles_rotate_a_key_in_all_members(members):
    members.run("rotate")
    new, old = members.live("a"), members.key["accessKey"]
    assert {members.live(host) for host in "bc"} == {new} != {old}
    stored = decoded(members.clusters["c"].stored(members.ids["c"]))
    assert stored["amazonec2credentialConfig-defaultRegion"] == "region-c", "other fields are kept"

    members.unreachable = ("c",)
    output = members.run("retire", retire_grace="0s")
    assert "external_store: unknown, because external store c" in output and members.states[old] == "Active"
    members.unreachable = ()
    members.run("retire", retire_grace="0s")
    assert members.states == {old: "Inactive", new: "Active"}
    members.run("rollback")
    assert members.are_original()


def test_the_report_shows_the_key_once(members):
    def report():
        path = members.folder / "report.json"
        members.run("report", "ranchers", report_files={"json": str(path)}, report_max_age="1s")
        model = json.loads(path.read_text())
        rows = {row["id"]: row for row in model["credentials"]}
        tasks = [(task["code"], task["rancher"]) for task in model["today"]]
        tasks = [task for task in tasks if task[0] in ("overdue", "shared_key")]
        return {host: rows[f"cattle-global-data:{name}"] for host, name in members.ids.items()}, tasks

    rows, tasks = report()
    assert tasks == [("overdue", "a"), ("shared_key", "a")], "no Rancher rotates it for the others yet"
    assert [other["rancher"] for other in rows["b"]["also_in"]] == ["a", "c"]
    members.run("rotate", host="b", rotate_members=["a", "c"])
    members.run("retire", host="b", retire_members=["a", "c"], retire_grace="0s")
    members.run("retire", host="b", retire_members=["a", "c"], retire_soak="0s")
    rows, tasks = report()
    assert tasks == [("overdue", "b")]
    assert {host: (row["is_copy"], row["due"]) for host, row in rows.items()} == {
        "a": (True, False), "b": (False, True), "c": (True, False)}
    assert rows["a"]["rotation"]["rotated_elsewhere"] and not rows["b"]["rotation"]["rotated_elsewhere"]


@pytest.mark.parametrize(("variables", "words"), [
    pytest.param({"rotate_member_names": {}}, 'member c has no cloud credential "aws prod"', id="missing"),
    pytest.param({"rotate_member_names": {"b": {"aws prod": "twice"}}}, 'member b has 2 cloud credentials "twice"',
                 id="ambiguous"),
    pytest.param({"rotate_members": ["ranchers", "nowhere"]}, "The inventory has no host nowhere", id="no such host"),
    pytest.param({}, "member c cannot be read", id="unreachable"),
])
def test_nothing_is_written_without_all_members(members, variables, words):
    for _number in range(2):
        members.clusters["b"].secret(f"cc-{secrets.token_hex(4)}", "s3", members.key, "twice")
    members.unreachable = () if variables else ("c",)
    assert words in members.run("rotate", code=2, **variables).replace('\\"', '"')  # as old versions of Ansible quote
    assert members.are_original()


def test_a_member_takes_over_from_a_lost_rancher(members):
    """It is lost when one of two members contains the new key, and returns later."""
    members.run("rotate", rotate_members=["b"])
    old, new = members.key["accessKey"], members.live("b")
    assert members.live("c") == old != new == members.live("a")
    second = {"rotate_rotation_id": "second", "rotate_members": ["c"]}
    assert "the rotation of another Rancher" in members.run("rotate", host="b", code=2, **second)

    members.run("adopt", host="b", adopt_members=["c"], adopt_member_names={"c": {"aws prod": "aws c"}})
    assert members.states == {old: "Active", new: "Active"}
    output = members.run("retire", retire_grace="0s")
    assert "another Rancher rotates" in output and members.states[old] == "Active", "it has returned"
    members.run("retire", host="b", retire_grace="0s")
    assert members.live("c") == new and members.states == {old: "Inactive", new: "Active"}
    assert "another Rancher rotates" in members.run("rollback", code=2)
    members.run("retire", host="b", retire_soak="0s")
    members.run("rotate", host="b", rotate_rotation_id="second")
    assert len({members.live(host) for host in "abc"} - {old, new}) == 1, "the former leader is a member"
    assert "the rotation of another Rancher" in members.run("retire", code=2)


def test_a_member_is_not_forgotten_silently(members):
    members.run("rotate")
    members.run("retire", retire_grace="0s")
    members.run("retire", retire_soak="0s")
    both = {"rotate_rotation_id": "second", "rotate_members": ["b"]}
    output = members.run("rotate", code=2, **both)
    assert "the record of aws prod has the member c, which is not listed" in output
    former = members.live("c")
    members.run("rotate", rotate_forgotten_members=["c"], **both)
    assert members.live("a") == members.live("b") != members.live("c") == former
