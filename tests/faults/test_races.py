# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Other clients start to use credentials while they are being deleted: no object may refer to a deleted credential.

The invariants are those of tests/unit/delete_model.py. RANCHHAND_SOAK=1 makes thousands of attempts and prints their
outcomes.
"""

from __future__ import annotations

import base64
import collections
import concurrent.futures
import json
import multiprocessing
import os
import random
import ssl
import threading
import time

import pytest
from ansible_collections.ranchhand.rancher.plugins.module_utils._common.options import parse_options
from ansible_collections.ranchhand.rancher.plugins.module_utils._guard.module import GUARD, manage_guard
from ansible_collections.ranchhand.rancher.plugins.module_utils._guard.policies import CONFIG_MAPS, DELETION_LIST
from ansible_collections.ranchhand.rancher.plugins.module_utils._kubernetes.client import KubernetesClient
from ansible_collections.ranchhand.rancher.plugins.module_utils._resources.cloud_credential import (
    CLOUD_CREDENTIAL,
    manage_cloud_credentials,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._resources.node_template import (
    NODE_TEMPLATE,
    manage_node_templates,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._runtime.execute import RunMode, execute

from control_plane import ApiError
from control_plane.certificates import Authority
from support.cluster import SECRETS
from support.fakes import Proxy
from support.guard import keep_watching, remove_guard

SOAK = bool(os.environ.get("RANCHHAND_SOAK"))
TEMPLATES = "/apis/management.cattle.io/v3/namespaces/cattle-global-nt/nodetemplates"
CLUSTERS = "/apis/provisioning.cattle.io/v1/namespaces/fleet-default/clusters"
WEBHOOKS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
USERS = 32  # threads that create as fast as they can
SETTLE = 2  # seconds, more than the longest delay of an admission
DELAY = 0.6


def task(core, spec, kubeconfig, args):
    """Return the result of a task with these options."""
    return execute(core, parse_options(spec, {**args, "kubeconfig": str(kubeconfig)}), RunMode(), _api)


_APIS: dict = {}


def _api(options):
    """Return the client of this process."""
    key = os.getpid(), options["kubeconfig"]
    if key not in _APIS:
        _APIS[key] = KubernetesClient(options)
    return _APIS[key]


class SlowAdmission(Proxy):
    """Allows every request after a random delay."""

    def answer(self, seen):
        time.sleep(random.uniform(0, DELAY))
        review = json.loads(seen.body)
        content = {
            "apiVersion": "admission.k8s.io/v1",
            "kind": "AdmissionReview",
            "response": {"uid": review["request"]["uid"], "allowed": True},
        }
        return 200, {"Content-Type": "application/json"}, json.dumps(content).encode()


@pytest.fixture
def slow(cluster, tmp_path):
    """A webhook delays requests after the policies have admitted them and before they are stored."""
    authority = Authority()
    certificate, key = authority.server()
    (tmp_path / "tls.crt").write_bytes(certificate)
    (tmp_path / "tls.key").write_bytes(key)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "tls.crt", tmp_path / "tls.key")
    rules = [
        {"apiGroups": [group], "apiVersions": ["*"], "operations": ["CREATE"], "resources": [resource]}
        for group, resource in (("management.cattle.io", "nodetemplates"), ("provisioning.cattle.io", "clusters"))
    ]
    with SlowAdmission(tls=tls) as server:
        cluster.api.post(
            WEBHOOKS,
            {
                "metadata": {"name": "slow"},
                "webhooks": [
                    {
                        "name": "slow.example.com",
                        "sideEffects": "None",
                        "admissionReviewVersions": ["v1"],
                        "timeoutSeconds": 10,
                        "rules": rules,
                        "clientConfig": {"url": server.url, "caBundle": base64.b64encode(authority.pem).decode()},
                    }
                ],
            },
        )
        deadline = time.monotonic() + 20
        while not server.seen:
            assert time.monotonic() < deadline
            begin_to_use(cluster.api, "cc-nobody", "probe")
        cluster.api.delete(f"{TEMPLATES}/probe")
        yield cluster
        cluster.api.delete(f"{WEBHOOKS}/slow")


@pytest.fixture
def guarded(slow):
    keep_watching(slow)
    yield slow
    remove_guard(slow)


def install(cluster, settle):
    result = task(manage_guard, GUARD, cluster.control_plane.kubeconfig, {"settle": f"{settle}s"})
    assert not result.get("failed"), result


def begin_to_use(api, credential, name):
    """Create an object that refers to a credential, as other clients do; return the error message, or None."""
    path, kind, spec = (
        random.choice(
            [
                (TEMPLATES, "NodeTemplate", {"cloudCredentialName": f"cattle-global-data:{credential}"}),
                (CLUSTERS, "Cluster", {"cloudCredentialSecretName": f"cattle-global-data:{credential}"}),
                (
                    CLUSTERS,
                    "Cluster",
                    {
                        "rkeConfig": {
                            "machinePools": [
                                {"name": "a", "cloudCredentialSecretName": f"cattle-global-data:{credential}"}
                            ]
                        }
                    },
                ),
            ]
        )
        if name != "probe"
        else (TEMPLATES, "NodeTemplate", {})
    )
    try:
        api.post(
            path,
            {
                "apiVersion": f"{path.split('/')[2]}/{path.split('/')[3]}",
                "kind": kind,
                "metadata": {"name": name},
                "spec": spec,
            },
        )
    except ApiError as error:
        if error.status == 409 and name == "probe":
            return None
        return error.message
    return None


def dangling(api):
    """Return the objects that refer to a deleted credential."""
    there = {entry["metadata"]["name"] for entry in api.get(SECRETS)["items"]}
    used = [
        (entry["metadata"]["name"], entry["spec"].get("cloudCredentialName")) for entry in api.get(TEMPLATES)["items"]
    ]
    for entry in api.get(CLUSTERS)["items"]:
        pools = entry["spec"].get("rkeConfig", {}).get("machinePools", [{}])
        used.append(
            (
                entry["metadata"]["name"],
                entry["spec"].get("cloudCredentialSecretName") or pools[0].get("cloudCredentialSecretName"),
            )
        )
    return [(name, credential) for name, credential in used if credential.partition(":")[2] not in there]


def in_parallel(function, arguments):
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        return list(pool.map(function, arguments))


def empty(api):
    for path in (TEMPLATES, CLUSTERS, SECRETS):
        in_parallel(
            lambda name, path=path: api.delete(f"{path}/{name}"),
            [entry["metadata"]["name"] for entry in api.get(path)["items"]],
        )


def attack(cluster, number, size):
    """Delete credentials in a single call while other clients start to use them; return the result and their errors."""
    names = [f"cc-{number}-{index}" for index in range(size)]
    in_parallel(lambda name: cluster.secret(name, display_name=name), names)
    done = threading.Event()
    errors: list = []

    def use(user):
        count = 0
        while not done.is_set():
            count += 1
            errors.append(begin_to_use(cluster.api, random.choice(names), f"u-{number}-{user}-{count}"))
            time.sleep(0.1 if errors[-1] else 0)  # denied clients must not take all the CPU time

    threads = [threading.Thread(target=use, args=(user,)) for user in range(USERS)]
    for thread in threads:
        thread.start()
    result = task(
        manage_cloud_credentials,
        CLOUD_CREDENTIAL,
        cluster.control_plane.kubeconfig,
        {"state": "absent", "credentials": [{"id": name} for name in names]},
    )
    time.sleep(DELAY)
    done.set()
    for thread in threads:
        thread.join()
    return result, errors


def test_no_client_uses_a_deleted_credential_with_the_guard(guarded, capsys):
    install(guarded, SETTLE)
    rounds, size = (20, 120) if SOAK else (1, 80)
    counts: collections.Counter = collections.Counter()
    for number in range(rounds):
        result, errors = attack(guarded, number, size)
        assert not dangling(guarded.api)
        assert result.get("code", "in_use") == "in_use", result["msg"][:2000]
        stored = {entry["metadata"]["name"]: entry["metadata"]["annotations"] for entry in guarded.secrets()}
        users = {
            entry["metadata"]["name"] for path in (TEMPLATES, CLUSTERS) for entry in guarded.api.get(path)["items"]
        }
        for item in result["credentials"]:
            name = item["id"].partition(":")[2]
            counts[item["action"]] += 1
            assert item["action"] in ("deleted", "refused") and (item["action"] == "refused") == (name in stored)
            if item["action"] == "refused":  # with the reason, and without annotations of the run
                assert (
                    item["references"]
                    and {entry["name"] for entry in item["references"]} <= users
                    and item["references"][0]["name"] in item["msg"]
                )
                assert not [key for key in stored[name] if key.startswith("ranchhand")]
        marked = set(guarded.api.get(f"{CONFIG_MAPS}/{DELETION_LIST}")["data"])
        assert not marked & set(stored)
        for message in errors:
            counts["creation denied" if message else "creation stored"] += 1
            assert message is None or "is being deleted" in message
        empty(guarded.api)
    with capsys.disabled():
        print(f"\nwith the guard: {dict(counts)}, 0 dangling")
    assert counts["deleted"] > rounds and counts["refused"] > rounds and counts["creation denied"] > rounds


def test_dangling_references_are_found_without_the_settle_time(guarded):
    """Requests that were admitted before the deletion are stored after it."""
    install(guarded, 0)
    found = []
    for number in range(5):
        attack(guarded, number, 40)
        found = dangling(guarded.api)
        if found:
            break
    assert found
    empty(guarded.api)


def _create(kubeconfig, names):
    results = []
    for name in names:
        results.append(
            task(
                manage_node_templates,
                NODE_TEMPLATE,
                kubeconfig,
                {
                    "name": f"of {name}",
                    "driver": "digitalocean",
                    "owner": "u-wt94n",
                    "cloud_credential": name,
                    "config": {"region": "fra1"},
                },
            )
        )
    return results


def _delete(kubeconfig, names):
    time.sleep(random.uniform(0, 0.6))
    return [
        task(
            manage_cloud_credentials,
            CLOUD_CREDENTIAL,
            kubeconfig,
            {"state": "absent", "credentials": [{"id": name} for name in names]},
        )
    ]


def test_two_runs_of_this_collection_need_no_guard(slow, capsys):
    cluster = slow
    rounds, size = (52, 10) if SOAK else (4, 10)
    counts: collections.Counter = collections.Counter()
    kubeconfig = str(cluster.control_plane.kubeconfig)
    with concurrent.futures.ProcessPoolExecutor(4, mp_context=multiprocessing.get_context("spawn")) as pool:
        for number in range(rounds):
            names = [f"cc-{number}-{index}" for index in range(size)]
            in_parallel(lambda name: cluster.secret(name, display_name=name), names)
            random.shuffle(names)
            runs = [pool.submit(_create, kubeconfig, names[part::3]) for part in range(3)]
            (deletion,) = pool.submit(_delete, kubeconfig, names).result()
            creations = [creation for run in runs for creation in run.result()]
            assert not dangling(cluster.api)
            stored = {entry["metadata"]["name"]: entry["metadata"]["annotations"] for entry in cluster.secrets()}
            assert not [key for annotations in stored.values() for key in annotations if key.startswith("ranchhand")], (
                "an annotation is left"
            )
            for item in deletion["credentials"]:
                counts[
                    f"delete {item['action']}"
                    + (", announced" if "is creating or changing objects" in item.get("msg", "") else "")
                ] += 1
                assert item["action"] in ("deleted", "refused", "failed") and (item["action"] == "deleted") == (
                    item["id"].partition(":")[2] not in stored
                )
                assert (
                    item["action"] == "deleted"
                    or item["code"] == "in_use"
                    and ("is in use by" in item["msg"] or "is creating or changing objects" in item["msg"])
                ), item
            for entry in creations:
                counts["create " + ("created" if entry["changed"] else entry["code"])] += 1
                assert (
                    entry["changed"]
                    or entry["code"] in ("conflict", "not_found")
                    and ("deleted" in entry["msg"] or "does not exist" in entry["msg"])
                ), entry
            empty(cluster.api)
    with capsys.disabled():
        print(f"\nbetween two runs: {dict(counts)}, 0 dangling")
    assert counts["delete deleted"] and counts["create created"]
