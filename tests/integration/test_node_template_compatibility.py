# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stored objects equal those that Rancher 2.10 stored for the same request (support/recordings/exchanges-2.10.0.yaml).

The one named difference is ownerBindingsCreated, which a controller adds later.
"""

from __future__ import annotations

from support.cluster import SECRETS
from support.objects import CREATOR, SCHEMAS, TEMPLATES
from support.recorded import exchanges as recorded_exchanges

MODULE = "ranchhand.rancher.node_template"
OPTIONS = {
    "authCertificateAuthority": "auth_certificate_authority",
    "authKey": "auth_key",
    "cloudCredentialId": "cloud_credential",
    "description": "description",
    "dockerVersion": "docker_version",
    "engineEnv": "engine_env",
    "engineInsecureRegistry": "engine_insecure_registry",
    "engineInstallURL": "engine_install_url",
    "engineLabel": "engine_label",
    "engineOpt": "engine_opt",
    "engineRegistryMirror": "engine_registry_mirror",
    "engineStorageDriver": "engine_storage_driver",
    "labels": "labels",
    "logOpt": "log_opt",
    "name": "name",
    "nodeTaints": "node_taints",
    "storageOpt": "storage_opt",
    "useInternalIpAddress": "use_internal_ip_address",
}

# Rancher lets these pass; the machines of such a template could not be made.
STRICTER = {
    "template whose credential is of another driver": "is of driver azure; a node template of driver amazonec2 needs",
    "digitalocean template": "is of driver vmwarevsphere; a node template of driver digitalocean needs",
}
# Both refuse.
REFUSED = {
    "template without config": "config or cloud_credential is required",
    "template with a credential that does not exist": "does not exist",
}
# Rancher's API wants a config with every update; here what changes may come alone.
ALLOWED = {"update a template: another credential": {"cloudCredentialName": "cattle-global-data:cc-tq6zn"}}


def options(body, passwords):
    """A request to Rancher's API as options of the module."""
    result = {OPTIONS[key]: value for key, value in (body or {}).items() if not key.endswith("Config")}
    for key, values in (body or {}).items():
        if key.endswith("Config"):
            driver = result["driver"] = key[: -len("Config")]
            result["config"] = {name: value for name, value in values.items() if name not in passwords[driver]}
            result["secrets"] = {name: value for name, value in values.items() if name in passwords[driver]}
    return result


def essence(item):
    """A node template without the fields that differ between any two objects."""
    metadata = item["metadata"]
    annotations = {key: value for key, value in metadata["annotations"].items() if key != "ownerBindingsCreated"}
    return {
        **{key: value for key, value in item.items() if key != "metadata"},
        "metadata": {
            "generateName": metadata["generateName"],
            "namespace": metadata["namespace"],
            "labels": metadata["labels"],
            "annotations": annotations,
        },
    }


def test_stored_as_rancher_stores_them(cluster, subtests):
    recorded = recorded_exchanges("2.10.0")
    latest = {}
    for entry in recorded:
        if (entry.get("stored") or {}).get("kind") == "Secret":
            latest.setdefault(entry["stored"]["metadata"]["name"], entry["stored"])
    exchanges = [entry for entry in recorded if entry["request"]["path"].startswith("/v3/nodetemplates")]
    named = {
        (entry["request"]["body"] or {}).get("cloudCredentialId", ":").partition(":")[2] for entry in exchanges
    } & set(latest)
    assert len(named) >= 4
    for name in named:
        metadata = {
            key: value
            for key, value in latest[name]["metadata"].items()
            if key not in ("uid", "resourceVersion", "creationTimestamp")
        }
        cluster.api.post(SECRETS, {**latest[name], "metadata": metadata})
    passwords = {
        entry["metadata"]["name"][: -len("config")]: {
            name for name, field in (entry["spec"].get("resourceFields") or {}).items() if field["type"] == "password"
        }
        for entry in cluster.api.get(SCHEMAS)["items"]
        if entry["metadata"]["name"].endswith("config")
    }
    owner = exchanges[0]["stored"]["metadata"]["annotations"][CREATOR]
    bodies = [entry["request"]["body"] for entry in exchanges if entry["request"]["method"] == "POST"]
    creations = [{"driver": "amazonec2", **options(body, passwords), "owner": owner} for body in bodies]
    results = cluster.play(*({MODULE: args} for args in creations)).results
    created = {entry["spec"]["displayName"]: entry["metadata"]["name"] for entry in cluster.api.get(TEMPLATES)["items"]}
    names = [created.get(args["name"]) for args in creations]
    changes, before = [], {}
    for number, exchange in enumerate(exchanges):
        if exchange["request"]["method"] != "POST":  # on an object of its own, which is as the recorded one was before
            identifier = exchange["request"]["path"].rpartition(":")[2]
            earlier = [
                entry["stored"]
                for entry in exchanges[:number]
                if entry.get("stored") and entry["stored"]["metadata"]["name"] == identifier
            ]
            before[number] = earlier[-1]
            metadata = {
                key: value
                for key, value in before[number]["metadata"].items()
                if key not in ("uid", "resourceVersion", "creationTimestamp")
            }
            cluster.api.post(TEMPLATES, {**before[number], "metadata": {**metadata, "name": f"nt-case{number}"}})
            state = "absent" if exchange["request"]["method"] == "DELETE" else "present"
            changes.append(
                {**options(exchange["request"]["body"], passwords), "id": f"nt-case{number}", "state": state}
            )
    names += [args["id"] for args in changes]
    results += cluster.prove_all(changes, module=MODULE)
    assert len(results) == len(exchanges) == 13
    there = {entry["metadata"]["name"]: entry for entry in cluster.api.get(TEMPLATES)["items"]}
    for number, (exchange, name, result) in enumerate(zip(exchanges, names, results)):
        what = exchange["what"]
        with subtests.test(what):
            error = {**STRICTER, **REFUSED}.get(what)
            if error:
                assert (what in STRICTER) == (exchange["status"] == 201)
                assert result["failed"] and error in result["msg"], result
                continue
            assert not result["failed"], result
            if exchange["request"]["method"] == "DELETE":
                assert (exchange["status"], name in there) == (204, False)
                continue
            theirs = essence(exchange["stored"])
            assert (what in ALLOWED) == (exchange["status"] == 422)
            theirs["spec"] = {**theirs["spec"], **ALLOWED.get(what, {})}
            assert essence(there[name]) == theirs
            assert result["changed"] == (number not in before or theirs != essence(before[number]))
