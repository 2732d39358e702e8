# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What prevents the start of a rotation, with a fake client that answers the requests of the checks."""

from __future__ import annotations

import base64
from types import SimpleNamespace

import pytest
from ansible_collections.ranchhand.rancher.plugins.module_utils._common.errors import ApiError, RanchhandError
from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher.cloud_credential import parse_cloud_credential
from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher.machine_config import parse_machine_config
from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher.machine_pools import MachinePool
from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher.references import ReferenceIndex
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation import preflight
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation.record import CredentialSnapshot
from ansible_collections.ranchhand.rancher.plugins.module_utils.issuer import IssuerError

SECRETS = "/api/v1/namespaces/cattle-global-data/secrets"
VALUES = {"accessKey": "AKIA1", "secretKey": "s1", "defaultRegion": "eu"}
PERMISSIONS = {
    *((verb, "secrets", "", "cattle-global-data") for verb in ("get", "patch")),
    *((verb, "secrets", "", "rotations") for verb in ("get", "list", "create", "delete")),
    *((verb, "configmaps", "", "rotations") for verb in ("get", "list", "create", "patch")),
    *((verb, "leases", "coordination.k8s.io", "rotations") for verb in ("get", "create", "patch")),
}


def secret(name, **metadata):
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in VALUES.items()}
    return {
        "metadata": {
            "name": name, "uid": f"uid-{name}", "resourceVersion": "1", "creationTimestamp": "2026-01-01T00:00:00Z",
            "annotations": {"field.cattle.io/name": name}, **metadata,
        },
        "data": {f"amazonec2credentialConfig-{key}": value for key, value in encoded.items()},
    }


class FakeClient:
    """Allows everything that is not in ``denied``; ``reads`` are the reads that were cached, with their age."""

    def __init__(self, *secrets):
        self.secrets = {f"{SECRETS}/{item['metadata']['name']}": item for item in secrets}
        self.denied = ()
        self.asked = set()
        self.reads = {}

    def get(self, path):
        return self.secrets[path]

    def post(self, path, body):
        assert path == "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        assert (body["apiVersion"], body["kind"]) == ("authorization.k8s.io/v1", "SelfSubjectAccessReview")
        asked = body["spec"]["resourceAttributes"]
        permission = tuple(asked[name] for name in ("verb", "resource", "group", "namespace"))
        assert set(body["spec"]) == {"resourceAttributes"} and len(asked) == 4
        self.asked.add(permission)
        if self.denied == "all":
            return {"status": None}
        return {"status": {"allowed": permission not in self.denied}}

    def cached(self, key, seconds, read):
        self.reads[key] = seconds
        return read()

    @staticmethod
    def parallel_map(function, arguments):
        return [function(argument) for argument in arguments]


class Verified:
    """An issuer that verifies; ``error`` is what it raises."""

    def __init__(self, error=None):
        self.error = error
        self.calls = []

    @staticmethod
    def next_values():
        return None

    def verify(self, values, by):
        self.calls.append((values, by))
        if self.error:
            raise self.error


def pool(credential="cattle-global-data:cc-a", config="config"):
    return MachinePool("fleet-default", "prod", "workers", "Amazonec2Config", config, credential, False, True)


def start(monkeypatch, *secrets, pools=(), configs=(), denied=(), override=(), issuer=None,
          is_cutover_external=False):
    """Run the checks; returns the client."""
    secrets = secrets or (secret("cc-a"),)
    client = FakeClient(*secrets)
    client.denied = denied
    monkeypatch.setattr(preflight, "read_references", lambda client: ReferenceIndex((), (), pools))
    monkeypatch.setattr(preflight, "list_machine_configs", lambda client: configs)
    monkeypatch.setattr(preflight, "read_schemas", lambda client: None)
    names = [item["metadata"]["name"] for item in secrets]
    unit = SimpleNamespace(
        desired=SimpleNamespace(override_gates=override), issuer=issuer or Verified(),
        members=[parse_cloud_credential(item) for item in secrets],
        record=SimpleNamespace(fields=("accessKey", "secretKey")), is_cutover_external=is_cutover_external)
    snapshots = [CredentialSnapshot(name, "uid", "1", None, VALUES, VALUES) for name in names]
    preflight.check_start(client, "rotations", unit, snapshots)
    return client


def config(name="config", **fields):
    return parse_machine_config({
        "metadata": {"name": name, "namespace": "fleet-default", "uid": "u", "resourceVersion": "1"}, **fields,
    }, "Amazonec2Config")


def test_all_permissions_are_checked(monkeypatch):
    client = start(monkeypatch)
    assert client.asked == PERMISSIONS
    assert client.reads == {"permissions rotations": 60, "references": 30}


def test_missing_permissions_are_listed(monkeypatch):
    denied = [("patch", "secrets", "", "cattle-global-data"), ("list", "configmaps", "", "rotations")]
    with pytest.raises(RanchhandError) as caught:
        start(monkeypatch, denied=denied)
    assert caught.value.code == "forbidden"
    assert "may not patch secrets in namespace cattle-global-data, list configmaps in namespace rotations." in str(
        caught.value)
    with pytest.raises(RanchhandError, match="create leases"):
        start(monkeypatch, denied="all")


WRITTEN = {"managedFields": [{"manager": "terraform", "fieldsV1": {"f:data": {}}}]}


def test_another_tool_that_writes_a_credential(monkeypatch):
    secrets = (secret("cc-a"), secret("cc-b", **WRITTEN))
    with pytest.raises(RanchhandError, match="cattle-global-data:cc-b is managed by terraform") as caught:
        start(monkeypatch, *secrets)
    assert caught.value.code == "other_writer"
    start(monkeypatch, *secrets, override=["other_writer"])
    start(monkeypatch, *secrets, is_cutover_external=True)
    start(monkeypatch, secret("cc-a", managedFields=[{"manager": "terraform", "fieldsV1": {"f:metadata": {}}}]))


def test_the_current_key_must_work(monkeypatch):
    issuer = Verified()
    start(monkeypatch, secret("cc-a"), secret("cc-b"), issuer=issuer)
    assert issuer.calls == [({"accessKey": "AKIA1", "secretKey": "s1"}, VALUES)]
    with pytest.raises(RanchhandError, match="cc-a: its current key does not work") as caught:
        start(monkeypatch, issuer=Verified(IssuerError("refused", "inactive")))
    assert caught.value.code == "unusable"
    with pytest.raises(IssuerError, match="no answer"):
        start(monkeypatch, issuer=Verified(IssuerError("unreachable", "no answer")))
    supplied = Verified(IssuerError("refused", "inactive"))
    supplied.next_values = lambda: VALUES
    start(monkeypatch, issuer=supplied)
    assert not supplied.calls, "a supplied value can also replace a key that does not work"


@pytest.mark.parametrize(
    ("pools", "configs", "code"),
    [
        pytest.param([pool("cattle-global-data:cc-z")], None, None, id="pool with another credential"),
        pytest.param([pool()], [config()], None, id="config without keys"),
        pytest.param([pool()], None, "forbidden", id="configs may not be listed"),
        pytest.param([pool()], [config(secretKey="s0")], "conflict", id="config with a key"),
        pytest.param([pool()], [config("other", secretKey="s0")], None, id="another config with a key"),
        pytest.param([pool("cattle-global-data:cc-z"), pool("cattle-global-data:cc-b")], [config(secretKey="s0")],
                     "conflict", id="second member"),
    ],
)
def test_machine_configs_that_keep_the_old_key(monkeypatch, pools, configs, code):
    secrets = (secret("cc-a"), secret("cc-b"))
    if code is None:
        start(monkeypatch, *secrets, pools=pools, configs=configs)
    else:
        with pytest.raises(RanchhandError, match="prod/workers") as caught:
            start(monkeypatch, *secrets, pools=pools, configs=configs)
        assert caught.value.code == code
    start(monkeypatch, *secrets, pools=pools, configs=configs, override=["machine_config"])


def test_configs_are_read_only_if_a_pool_uses_the_credential(monkeypatch):
    assert "machine configs" not in start(monkeypatch).reads
    reads = start(monkeypatch, pools=[pool()], configs=[config()]).reads
    assert (reads["machine configs"], reads["schemas"]) == (30, 300)


def test_an_error_of_the_api_server_is_reported(monkeypatch):
    def refuse(client):
        raise ApiError("unreachable", "no answer", 503)

    monkeypatch.setattr(FakeClient, "get", lambda client, path: refuse(client))
    with pytest.raises(ApiError, match="no answer"):
        start(monkeypatch)
