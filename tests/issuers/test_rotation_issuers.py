# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rotations of Kubernetes tokens, an OpenStack password, a Ceph user's keys, keys at all fakes, and supplied values."""

from __future__ import annotations

import contextlib
import json
import secrets
import time
from types import SimpleNamespace

import pytest
import yaml
from ansible_collections.ranchhand.rancher.plugins.module_utils._issuers.registry import ISSUERS

from control_plane import ApiError
from support.cluster import decoded
from support.fakes import FaultInjector
from support.providers.all_fakes import FAKES
from support.providers.aws import lost_reply
from support.providers.rgw import CephUsers
from support.rotations import ROTATION, RotatingCredential
from support.service_accounts import stored, token_of


def _rotate(cluster, identifier, state="rotated", namespace=None, **options):
    common = {
        "id": identifier,
        "state": state,
        "namespace": namespace or f"rotation-{identifier}",
        "drain": "1s",
        "verify_timeout": "5s",
    }
    return cluster.play(
        {ROTATION: {**common, **({"rotation_id": "first"} if state == "rotated" else {}), **options}}
    ).result


def _bound(harvester):
    items = harvester.api.get("/api/v1/namespaces/machines/secrets?labelSelector=ranchhand.cattle.io/rotation-key")[
        "items"
    ]
    return {item["metadata"]["name"] for item in items}


def _kubeconfig(cluster, identifier):
    return decoded(cluster.stored(identifier))["harvestercredentialConfig-kubeconfigContent"]


def _accepts(harvester, text):
    """Whether the cluster accepts the token in a kubeconfig."""
    token = yaml.safe_load(text)["users"][0]["user"]["token"]
    try:
        harvester.api.request("GET", "/api", headers={"Authorization": f"Bearer {token}"})
    except ApiError as error:
        assert error.status == 401, error
        return False
    return True


def test_tokens_of_a_harvester_cluster(cluster, harvester):
    """Two rotations: the first token is bound to nothing, the second to a Secret that can be deleted."""
    identifier = f"cc-{secrets.token_hex(4)}"
    cluster.secret(identifier, "harvester", stored(harvester, token_of(harvester)), "harvester")
    before = _bound(harvester)
    first = _rotate(cluster, identifier)["rotation"]
    assert first["phase"] == "grace" and first["expires_at"], first
    second_text = _kubeconfig(cluster, identifier)
    assert len(_bound(harvester) - before) == 1 and _accepts(harvester, second_text)
    assert _rotate(cluster, identifier, "rolled_back")["rotation"]["phase"] == "idle"
    assert _bound(harvester) == before

    _rotate(cluster, identifier, rotation_id="second")
    text = _kubeconfig(cluster, identifier)
    assert _accepts(harvester, text)
    stuck = _rotate(cluster, identifier, "retired", grace="0s")
    assert stuck["code"] == "unsupported" and "token" in stuck["msg"], (
        "a token that is bound to nothing ends by itself only"
    )


def test_a_bound_token_is_revoked_when_it_is_retired(cluster, harvester):
    identifier = f"cc-{secrets.token_hex(4)}"
    name = f"bound-{secrets.token_hex(3)}"
    made = harvester.api.post("/api/v1/namespaces/machines/secrets", {
        "metadata": {"name": name, "labels": {"ranchhand.cattle.io/rotation-key": "rancher"}}})
    token = token_of(
        harvester, boundObjectRef={"kind": "Secret", "apiVersion": "v1", "name": name, "uid": made["metadata"]["uid"]}
    )
    cluster.secret(identifier, "harvester", stored(harvester, token), "harvester")
    old = _kubeconfig(cluster, identifier)
    assert _rotate(cluster, identifier)["rotation"]["old_key_id"] == name
    assert _accepts(harvester, old) and _accepts(harvester, _kubeconfig(cluster, identifier))
    retired = _rotate(cluster, identifier, "retired", grace="0s")["rotation"]
    assert retired["steps"] == ["deleting", "idle"], (
        "tokens cannot be switched off, so they are deleted after the grace time"
    )
    deadline = time.monotonic() + 20  # an API server trusts for ten seconds what it has just accepted
    while _accepts(harvester, old):
        assert time.monotonic() < deadline, "the old token still works"
        time.sleep(0.5)
    assert _accepts(harvester, _kubeconfig(cluster, identifier)) and name not in _bound(harvester)


class _OpenStack:
    def __init__(self, cluster, keystone):
        self.cluster, self.keystone = cluster, keystone
        self.id, self.user = f"cc-{secrets.token_hex(4)}", f"user-{secrets.token_hex(4)}"
        self.first = keystone.create_user(self.user)
        cluster.secret(self.id, "openstack", {"password": self.first}, "openstack")

    def run(self, state="rotated", url=None, **options):
        return _rotate(
            self.cluster,
            self.id,
            state,
            issuer_options={"auth_url": url or self.keystone.url, "username": self.user},
            **options,
        )

    @property
    def password(self):
        return decoded(self.cluster.stored(self.id))["openstackcredentialConfig-password"]

    def works(self):
        return self.keystone.works(self.user, self.password)


def test_the_single_password_of_an_openstack_user(cluster, keystone):
    openstack = _OpenStack(cluster, keystone)
    assert openstack.run()["rotation"]["steps"] == ["preparing", "issued", "grace"]
    assert (
        openstack.password != openstack.first
        and openstack.works()
        and not keystone.works(openstack.user, openstack.first)
    )
    assert openstack.run()["changed"] is False
    assert openstack.run("rolled_back")["rotation"]["phase"] == "idle"
    assert openstack.password == openstack.first and openstack.works()
    openstack.run(rotation_id="second")
    assert openstack.run("retired", grace="0s")["rotation"]["phase"] == "idle" and openstack.works()


@pytest.mark.parametrize("way", ["resume", "abort"])
def test_a_password_whose_change_got_no_answer(cluster, keystone, way):
    """A run is killed after the provider accepted the new password, while the credential contains the old one."""
    openstack = _OpenStack(cluster, keystone)
    with FaultInjector(SimpleNamespace(token="", ca_file="", url=keystone.url.partition("/v3")[0])) as faults:
        faults.rule("POST", faults.lose_reply, path="/password$")
        lost = openstack.run(url=faults.url)
    assert lost["code"] == "unreachable" and openstack.password == openstack.first and not openstack.works(), lost
    done = openstack.run() if way == "resume" else openstack.run("aborted")
    assert not done["failed"] and openstack.works() and (openstack.password == openstack.first) == (way == "abort"), (
        done
    )


def test_an_old_password_that_the_cloud_does_not_take_back(cluster, keystone):
    openstack = _OpenStack(cluster, keystone)
    openstack.run()
    new = openstack.password
    result = openstack.run("rolled_back", url="http://127.0.0.1:9")
    assert result["code"] == "unreachable" and openstack.password == new and openstack.works()
    assert openstack.run("rolled_back")["rotation"]["phase"] == "idle" and openstack.works()


def test_every_driver_can_be_supplied(cluster):
    """All drivers of a Rancher 2.10, each rotated by the values that a playbook brings."""
    schemas = cluster.api.get("/apis/management.cattle.io/v3/dynamicschemas")["items"]
    drivers = {}
    for schema in schemas:
        name = schema["metadata"]["name"]
        fields = schema["spec"].get("resourceFields") or {}
        secret = [field for field, entry in fields.items() if entry["type"] == "password"]
        if name.endswith("credentialconfig") and name != "credentialconfig" and secret:
            drivers[name[:-len("credentialconfig")]] = secret
    drivers["s3"] = ["secretKey"]
    assert len(drivers) > 8
    items = []
    for number, (driver, fields) in enumerate(sorted(drivers.items())):
        cluster.secret(f"cc-all{number}", driver, {field: f"old-{driver}-{field}" for field in fields}, driver)
        items.append({"id": f"cc-all{number}", "secrets": {field: f"new-{driver}-{field}" for field in fields}})
    common = {
        "namespace": f"rotation-{secrets.token_hex(4)}",
        "issuer": "supplied",
        "issuer_options": {"verify": False},
        "credentials": items,
        "rotation_id": "x",
        "drain": "1s",
    }
    retired = {**common, "state": "retired", "grace": "0s", "old_key_removed": True}
    del retired["rotation_id"]
    results = cluster.play({ROTATION: common}, {ROTATION: common}, {ROTATION: retired}, {ROTATION: retired}).results
    assert [result["changed"] for result in results] == [True, False, True, False], results
    assert {entry["phase"] for entry in results[3]["rotations"]} == {"idle"}
    for number, (driver, fields) in enumerate(sorted(drivers.items())):
        assert decoded(cluster.stored(f"cc-all{number}")) == {
            f"{driver}credentialConfig-{field}": f"new-{driver}-{field}" for field in fields
        }


def test_keys_of_all_fakes(cluster, tmp_path):
    """Each is rotated by the same tasks. In the end, the key in the credential is the only one. No output shows it."""
    tasks, shown = [], []
    with contextlib.ExitStack() as running:
        fakes = {}
        for kind in FAKES:
            folder = tmp_path / kind.issuer
            folder.mkdir()
            fake = fakes[kind.issuer] = running.enter_context(kind(folder))
            stored_values = fake.create_key()
            shown += fake.secrets_of(stored_values)
            cluster.secret(f"cc-fake-{kind.issuer}", fake.driver, stored_values, kind.issuer)
        common = {"namespace": f"rotation-{secrets.token_hex(4)}", "drain": "1s", "verify_timeout": "5s"}
        for state, options in (
            ("rotated", {"rotation_id": "first"}), ("retired", {"grace": "0s"}), ("retired", {"soak": "0s"}),
        ):
            for issuer, fake in fakes.items():
                more = {"issuer": issuer, "issuer_options": fake.options} if state == "rotated" else {}
                more["issuer_secrets"] = fake.secret_options
                tasks.append({ROTATION: {"id": f"cc-fake-{issuer}", "state": state, **common, **options, **more}})
        played = cluster.play(*tasks)
        failed = [result for result in played.results if result["failed"]]
        assert not failed, failed
        phases = [result["rotation"]["phase"] for result in played.results]
        retired = ["disabled" if ISSUERS[issuer].disables else "idle" for issuer in fakes]
        assert phases == ["grace"] * len(fakes) + retired + ["idle"] * len(fakes)
        for issuer, fake in fakes.items():
            found = {
                name.partition("-")[2]: value for name, value in decoded(cluster.stored(f"cc-fake-{issuer}")).items()
            }
            shown += fake.secrets_of(found)
            key, = fake.keys.values()
            assert fake.load().identify(found, found) == key.id
            fake.load().verify(found, found)
    output = played.output + json.dumps(played.results)
    assert not [secret for secret in shown if secret in output]


def test_keys_of_a_ceph_user(cluster, tmp_path):
    """An administrator rotates them, after a lost reply, a rollback and back again. RGW's lists show all secrets."""
    identifier = f"cc-{secrets.token_hex(4)}"
    with CephUsers(tmp_path) as ceph:
        ceph.principal = f"acme${ceph.principal}"
        ceph.rgw.manage("PUT", uid=ceph.principal, display_name="Rancher", generate_key="false")
        first, by_hand = ceph.create_key(), ceph.create_key()
        administrator = ceph.administrator()
        cluster.secret(identifier, "s3", first, "ceph")
        del administrator["sign_in"]
        options = {
            "issuer": "ceph", "issuer_options": {"sign_in": "given", **ceph.options}, "issuer_secrets": administrator,
        }
        shown = {first["secretKey"], by_hand["secretKey"], administrator["secret_key"]}

        def play(*states):
            common = {"id": identifier, "namespace": f"rotation-{identifier}", "drain": "1s", **options}
            own = {"retired": {"grace": "0s"}}
            played = cluster.play(*(
                {ROTATION: {**common, "state": state, **own.get(state, {"rotation_id": rotation_id})}}
                for state, rotation_id in states
            ))
            shown.update(key.secret for key in ceph.keys.values())
            output = played.output + json.dumps(played.results)
            assert not [secret for secret in shown if secret in output]
            return played.results

        def stored_key():
            found = decoded(cluster.stored(identifier))
            return found["s3credentialConfig-accessKey"], found["s3credentialConfig-secretKey"]

        ceph.lose(ceph.issuing)
        lost, = play(("rotated", "first"))
        assert lost["code"] == "unreachable" and stored_key()[0] == first["accessKey"]
        lost_key, = (key for key in ceph.keys if key.startswith("ranchhand-"))
        rotated, = play(("rotated", "first"))
        assert rotated["rotation"]["phase"] == "grace" and lost_key not in ceph.keys
        assert len(ceph.keys) == 4 and stored_key()[1] == ceph.keys[stored_key()[0]].secret
        back, = play(("rolled_back", "first"))
        assert back["rotation"]["phase"] == "idle" and stored_key() == (first["accessKey"], first["secretKey"])
        assert set(ceph.keys) == {first["accessKey"], by_hand["accessKey"], administrator["access_key"]}
        *_rotated, retired = play(("rotated", "second"), ("retired", None))
        assert retired["rotation"]["steps"] == ["deleting", "idle"]
        assert set(ceph.keys) == {stored_key()[0], by_hand["accessKey"], administrator["access_key"]}


def test_lost_replies_at_every_turn(cluster, aws):
    """A rotation in which the provider's reply to each write is lost once is completed by the same commands."""
    rotating = RotatingCredential(cluster, aws)
    aws.faults.rule("CreateAccessKey", lost_reply)
    aws.faults.rule("UpdateAccessKey", lost_reply)
    aws.faults.rule("DeleteAccessKey", lost_reply, times=2)
    codes = []
    for state, options in (("rotated", {}), ("retired", {"grace": "0s"}), ("retired", {"soak": "0s"})):
        for _try in range(4):
            result = rotating.run(state, **options)
            codes.append(result.get("code"))
            assert rotating.works()
            if not result["failed"]:
                break
    assert codes.count("unreachable") == 4, codes
    rotating.run("retired", soak="0s")
    assert rotating.keys == {rotating.live["accessKey"]: "Active"}
