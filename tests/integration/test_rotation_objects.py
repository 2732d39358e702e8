# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a rotation writes to the management cluster, and what its module returns, run in the process of the test."""

from __future__ import annotations

import base64
import json
import secrets

import pytest
from ansible_collections.ranchhand.rancher.plugins.module_utils._common.options import parse_options
from ansible_collections.ranchhand.rancher.plugins.module_utils._kubernetes.client import KubernetesClient
from ansible_collections.ranchhand.rancher.plugins.module_utils._kubernetes.connection import CONNECTION
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation import backend, executor
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation.executor import manage_rotations
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation.options import (
    CLOUD_CREDENTIAL_ROTATION,
    parse_rotations,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation.protocol import Conflict
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation.store import RotationNamespace
from ansible_collections.ranchhand.rancher.plugins.module_utils._runtime.execute import RunMode, execute
from ansible_collections.ranchhand.rancher.plugins.module_utils.issuer import IssuerError

from support.cluster import decoded
from support.providers.fake_outscale import FakeOutscale

PREFIX = "ranchhand.cattle.io/"


class Rotating:
    """A credential with a key at a fake provider, and runs of the module in this process."""

    def __init__(self, cluster, provider):
        self.cluster, self.provider, self.api = cluster, provider, cluster.api
        self.id, self.namespace = (f"{prefix}-{secrets.token_hex(4)}" for prefix in ("cc", "rotation"))
        self.path = f"/api/v1/namespaces/{self.namespace}"
        self.first = provider.create_key()
        self.add(self.id)

    def add(self, identifier):
        self.cluster.secret(identifier, "outscale", self.first, f"outscale {identifier}")

    def run(self, state="rotated", check=False, **options):
        given = {
            "id": self.id, "state": state, "namespace": self.namespace, "drain": "1s", "verify_timeout": "5s",
            "kubeconfig": str(self.cluster.control_plane.kubeconfig), **options,
        }
        if "credentials" in given:
            del given["id"], given["state"]
        if given.get("issuer", "outscale") == "outscale":
            given.setdefault("issuer_options", {**self.provider.options, "expiration": "30d"})
        if state == "rotated" and "max_age" not in given:
            given.setdefault("rotation_id", "first")
        given = {name: value for name, value in given.items() if value is not None}
        params = parse_options(CLOUD_CREDENTIAL_ROTATION, given, parse_rotations)
        return execute(manage_rotations, params, RunMode(check=check))

    def objects(self, kind):
        """Return the objects of a kind in the namespace of the records, without what each namespace contains."""
        try:
            items = self.api.get(f"{self.path}/{kind}")["items"]
        except Exception:
            return []
        return [item for item in items if item["metadata"]["name"] != "kube-root-ca.crt"]

    @property
    def live(self):
        return {name.partition("-")[2]: text for name, text in decoded(self.cluster.stored(self.id)).items()}


@pytest.fixture
def rotating(cluster, tmp_path):
    with FakeOutscale(tmp_path) as provider:
        yield Rotating(cluster, provider)


def test_what_a_rotation_stores(rotating, tmp_path, monkeypatch):
    monkeypatch.setenv("AWX_JOB_ID", "42")
    audit = tmp_path / "audit"
    audit.write_text("{}\n")
    created, post = [], KubernetesClient.post

    def record_kind(client, path, body):
        created.append((path.rpartition("/")[2], body.get("apiVersion"), body.get("kind")))
        return post(client, path, body)

    monkeypatch.setattr(KubernetesClient, "post", record_kind)
    result = rotating.run(audit_file=str(audit), reason="quarterly")
    kinds = {"namespaces": "Namespace", "secrets": "Secret", "configmaps": "ConfigMap", "events": "Event"}
    assert {kind for kind in created if kind[0] in kinds} == {(path, "v1", kind) for path, kind in kinds.items()}
    assert result["changed"] and result["rotation"]["steps"] == ["preparing", "issued", "grace"]
    assert (result["rotation"]["action"], result["rotation"]["phase"]) == ("rotated", "grace")
    old, new = rotating.first["accessKey"], rotating.live["accessKey"]
    secret = rotating.provider.keys[new].secret
    assert set(rotating.provider.keys) == {old, new} and rotating.live["secretKey"] == secret

    record, = rotating.objects("configmaps")
    assert record["metadata"]["name"] == f"rotation-{rotating.id}"
    assert record["metadata"]["labels"] == {
        f"{PREFIX}rotation": "record", f"{PREFIX}phase": "grace", "app.kubernetes.io/managed-by": "ranchhand.rancher",
    }
    content = json.loads(record["data"]["record"])
    assert [entry["phase"] for entry in content["transitions"]] == ["preparing", "issued", "grace"]

    digests, *generations = sorted(
        rotating.objects("secrets"), key=lambda item: item["metadata"].get("annotations", {}).get(f"{PREFIX}key-id", "")
    )
    assert digests["metadata"]["name"] == "rotation-digests" and digests["immutable"] and digests["type"] == "Opaque"
    assert len(base64.b64decode(digests["data"]["key"])) == 32
    found = {}
    for item in generations:
        assert item["immutable"] and item["type"] == "Opaque"
        assert item["metadata"]["labels"] == {f"{PREFIX}rotation": f"rotation-{rotating.id}"}
        annotations = item["metadata"]["annotations"]
        found[json.loads(base64.b64decode(item["data"]["payload"]))["accessKey"]] = annotations
    assert (found[old][f"{PREFIX}epoch"], found[new][f"{PREFIX}epoch"]) == ("0", "1")
    assert found[new][f"{PREFIX}key-id"] == new
    assert found[new][f"{PREFIX}expires-at"] == f"{rotating.provider.keys[new].expires_at:%Y-%m-%dT%H:%M:%SZ}"

    annotations = rotating.cluster.stored(rotating.id)["metadata"]["annotations"]
    assert annotations[f"{PREFIX}rotated-fields"] == "accessKey,secretKey"
    assert annotations[f"{PREFIX}rotated-at"].endswith("Z")

    events = sorted(rotating.objects("events"), key=lambda event: event["reason"])
    assert [event["reason"] for event in events] == ["Grace", "Issued", "Preparing"]
    for event in events:
        assert (event["type"], event["count"], event["source"]) == ("Normal", 1, {"component": "ranchhand.rancher"})
        assert event["firstTimestamp"] == event["lastTimestamp"]
        assert event["involvedObject"] == {
            "apiVersion": "v1", "kind": "ConfigMap", "namespace": rotating.namespace, "name": f"rotation-{rotating.id}",
            "uid": record["metadata"]["uid"],
        }
        assert event["metadata"]["name"].startswith(f"rotation-{rotating.id}.")
        assert rotating.id in event["message"] and event["message"].endswith(", by AWX job 42")

    lines = [json.loads(line) for line in audit.read_text().splitlines()[1:]]
    assert [line["phase"] for line in lines] == ["preparing", "issued", "grace"]
    assert {**lines[-1], **dict.fromkeys(("at", "what", "run", "gates"))} == {
        "at": None, "phase": "grace", "what": None, "run": None, "credentials": [f"cattle-global-data:{rotating.id}"],
        "driver": "outscale", "issuer": "outscale", "generation": content["generation"], "rotation_id": "first",
        "reason": "quarterly", "by": "AWX job 42", "rancher": lines[-1]["rancher"], "old_key_id": old,
        "new_key_id": new, "gates": None,
    }
    assert lines[-1]["rancher"] in rotating.cluster.control_plane.url and lines[0]["new_key_id"] is None
    assert not [text for text in (secret, rotating.first["secretKey"]) if text in audit.read_text() + str(result)]


def test_a_rotation_to_its_end(rotating):
    assert rotating.run()["rotation"]["phase"] == "grace"
    again = rotating.run()
    assert not again["changed"] and again["rotation"]["action"] == "unchanged" and again["rotation"]["steps"] == []
    waiting = rotating.run("retired", grace="10d")
    assert waiting["rotation"]["waiting_for"] and waiting["rotation"]["action"] == "unchanged"
    assert {gate["state"] for gate in waiting["rotation"]["gates"]} >= {"open", "waiting"}
    disabled = rotating.run("retired", grace="0s", soak="10d")
    assert disabled["rotation"]["phase"] == "disabled" and disabled["rotation"]["action"] == "advanced"
    assert [key.enabled for key in rotating.provider.keys.values()] == [False, True]
    retired = rotating.run("retired", soak="0s")
    assert (retired["rotation"]["phase"], retired["rotation"]["action"]) == ("idle", "retired")
    assert set(rotating.provider.keys) == {rotating.live["accessKey"]}
    epochs = [item["metadata"].get("annotations", {}).get(f"{PREFIX}epoch") for item in rotating.objects("secrets")]
    assert epochs == ["1", None], "the values of the key in use, and the key of the digests"
    assert rotating.objects("configmaps")[0]["metadata"]["labels"][f"{PREFIX}phase"] == "idle"


def test_a_rotation_back(rotating):
    rotating.run()
    new = rotating.live
    result = rotating.run("rolled_back")
    assert (result["rotation"]["phase"], result["rotation"]["action"]) == ("idle", "rolled_back")
    assert rotating.live == rotating.first != new and set(rotating.provider.keys) == {rotating.first["accessKey"]}


def test_a_prediction_writes_nothing(rotating):
    predicted = rotating.run(check=True)
    assert predicted["changed"] and predicted["rotation"]["steps"] == ["preparing", "issued", "grace"]
    assert not rotating.objects("configmaps") + rotating.objects("secrets") and len(rotating.provider.keys) == 1
    rotating.run()
    seen = len(rotating.provider.seen)
    waiting = rotating.run("retired", check=True, grace="10d")
    assert waiting["rotation"]["waiting_for"] and not waiting["changed"] and waiting["rotation"]["gates"]
    predicted = rotating.run("retired", check=True, grace="0s", soak="0s")
    assert predicted["changed"] and predicted["rotation"]["waiting_for"] == []
    assert {seen.path for seen in rotating.provider.seen[seen:]} <= {"/api/v1/ReadAccessKeys"}
    assert rotating.objects("configmaps")[0]["metadata"]["labels"][f"{PREFIX}phase"] == "grace"


@pytest.mark.parametrize(("max_age", "due"), [("10d", True), ("3000d", False)])
def test_the_age_of_a_key_is_that_at_its_provider(rotating, max_age, due):
    """The Secret is a moment old, the key of it was created months ago."""
    assert rotating.run(max_age=max_age)["changed"] == due
    assert rotating.run(max_age="10d")["changed"] != due, "the rotated key is new"


def test_a_wrong_key_is_no_reason_not_to_rotate_others(rotating):
    """Each credential of a list is rotated alone, and failures are reported together."""
    other = f"{rotating.id}-b"
    rotating.cluster.secret(other, "outscale", {**rotating.provider.create_key(), "secretKey": "wrong"}, "wrong")
    result = rotating.run(credentials=[{"id": rotating.id}, {"id": other}], rotation_id="first")
    first, second = result["rotations"]
    assert (first["action"], second["action"], second["code"]) == ("rotated", "failed", "unusable"), result
    assert result["code"] == "partial" and result["failed"] and result["changed"]
    assert "credentials[1]" in result["msg"] and "credentials[0]" not in result["msg"]


def test_an_unwritable_audit_is_a_warning(rotating, tmp_path):
    path = tmp_path / "missing" / "audit"
    result = rotating.run(audit_file=str(path))
    assert result["rotation"]["phase"] == "grace"
    assert result["warnings"] == [f"cannot write the audit file {path}: No such file or directory"]


@pytest.mark.parametrize("change", [
    {"data": {"payload": ""}}, {"data": {"other": "e30="}}, {"annotations": {f"{PREFIX}epoch": "x"}},
    {"annotations": {}}, {"annotations": {f"{PREFIX}epoch": "1", f"{PREFIX}expires-at": "soon"}},
])
def test_a_damaged_value_stops_the_rotation(rotating, change):
    rotating.run()
    path = f"{rotating.path}/secrets"
    item = next(item for item in rotating.objects("secrets") if item["metadata"]["name"] != "rotation-digests")
    rotating.api.delete(f"{path}/{item['metadata']['name']}")
    metadata = {name: item["metadata"][name] for name in ("name", "labels")}
    metadata["annotations"] = change.get("annotations", item["metadata"]["annotations"])
    rotating.api.post(path, {"metadata": metadata, "data": change.get("data", item["data"])})
    result = rotating.run("rolled_back")
    assert result["code"] == "conflict" and "does not contain the values of a key" in result["msg"], result
    assert len(rotating.provider.keys) == 2


@pytest.mark.parametrize(("code", "expected"), [
    ("refused", "provider_refused"), ("forbidden", "provider_refused"), ("busy", "throttled"), ("limit", "slot_taken"),
    ("invalid", "invalid"), ("unsupported", "unsupported"), ("unreachable", "unreachable"), ("of another", "invalid"),
])
def test_codes_of_errors_of_an_issuer(rotating, monkeypatch, code, expected):
    def refuse(*_arguments):
        raise IssuerError(code, "the provider rejected it")

    monkeypatch.setattr(backend.ClusterBackend, "issue", refuse)
    result = rotating.run()
    assert result["code"] == expected and result["msg"].startswith("the provider rejected it"), result
    assert ("run the task again" in result["msg"]) == (code == "unreachable")
    assert len(rotating.provider.keys) == 1


def test_a_bug_is_a_failure_of_its_rotation(rotating, monkeypatch):
    def fail(*_arguments):
        raise ZeroDivisionError

    monkeypatch.setattr(executor, "check_start", fail)
    result = rotating.run()
    assert result["code"] == "server_error" and "ZeroDivisionError" in result["msg"]


def test_nothing_to_rotate(rotating):
    assert rotating.run(credentials=[]) == {"changed": False, "rotations": []}


@pytest.mark.parametrize("method", ["write_credential", "write_record", "delete_record"])
def test_another_writer(rotating, monkeypatch, method):
    """An object is changed between the last read and the write: it is read again, and the change is kept."""
    rotating.run()
    write, conflicts = getattr(backend.ClusterBackend, method), []
    record = f"{rotating.path}/configmaps/rotation-{rotating.id}"
    path = f"/api/v1/namespaces/cattle-global-data/secrets/{rotating.id}" if method == "write_credential" else record

    def change_first(self, *arguments):
        if not conflicts:
            rotating.api.patch(path, {"metadata": {"labels": {"team": "a"}}})
        try:
            return write(self, *arguments)
        except Conflict:
            conflicts.append(arguments)
            raise

    monkeypatch.setattr(backend.ClusterBackend, method, change_first)
    result = rotating.run("forgotten" if method == "delete_record" else "rolled_back")
    assert result["rotation"]["action"] in ("forgotten", "rolled_back") and len(conflicts) == 1, result
    if method != "delete_record":
        assert rotating.api.get(path)["metadata"]["labels"]["team"] == "a"


def test_a_forgotten_rotation(rotating):
    rotating.run()
    result = rotating.run("forgotten")
    assert result["changed"] and result["rotation"]["action"] == "forgotten", result
    assert not rotating.objects("configmaps") and len(rotating.provider.keys) == 2
    assert [item["metadata"]["name"] for item in rotating.objects("secrets")] == ["rotation-digests"]
    assert rotating.provider.keys[rotating.live["accessKey"]].mark, "the credential contains the new key"


def test_a_credential_that_was_created_again_is_rotated(rotating):
    """A record that is idle gets the uid of the Secret that has the name now."""
    rotating.run()
    for _step in range(2):
        rotating.run("retired", grace="0s", soak="0s")
    rotating.first = rotating.live
    rotating.api.delete(f"/api/v1/namespaces/cattle-global-data/secrets/{rotating.id}")
    rotating.add(rotating.id)
    result = rotating.run(rotation_id="second")
    assert result["rotation"]["phase"] == "grace", result
    content = json.loads(rotating.objects("configmaps")[0]["data"]["record"])
    assert content["members"] == [[rotating.id, rotating.cluster.stored(rotating.id)["metadata"]["uid"]]]


def test_the_key_of_the_digests_is_created_once(rotating):
    """Concurrent runs use the stored key; the namespace is created with it."""
    options = {**dict.fromkeys(CONNECTION.options), "kubeconfig": str(rotating.cluster.control_plane.kubeconfig)}
    first, second = (RotationNamespace(KubernetesClient(options), rotating.namespace) for _number in range(2))
    assert first.read_key() is None
    key = first.ensure_key()
    assert second.ensure_key() == key == first.read_key() and len(key) == 32
    late = RotationNamespace(KubernetesClient(options), rotating.namespace)
    late.read_key = lambda: None  # as if it was read before the other run created it
    assert late.ensure_key() == key
