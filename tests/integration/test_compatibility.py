# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stored objects equal those that a Rancher stored for the same request, as recorded in support/recordings.

Differences are named: provisioning.cattle.io/driver, which Rancher's UI adds and its API does not; requests that only
the collection refuses, and requests that only Rancher refuses.
"""

from __future__ import annotations

import pytest

from support.cluster import INFO, MODULE, SECRETS
from support.objects import TEMPLATES
from support.recorded import credential_exchanges

VERSIONS = ("2.10.0", "2.15.0")
ADDED = "provisioning.cattle.io/driver"
UI_WORDS = {"amazonec2": "aws", "google": "gcp"}

# Rancher accepts these; here they are validation errors.
STRICTER = {
    "an unknown field": "config.nosuchfield is unknown",
    "a required field missing": "secrets.secretKey is required",
    "no name": "name or id is required",
    "exoscale": "iKey is required",  # in 2.15, where the recorded request has no apiKey; 2.10 knows no such field
    "update: another driver": "the driver of a cloud credential cannot be changed",
}
# Both refuse.
REFUSED = {
    "s3 without a required field": "secrets.secretKey is required",
    "no config": "config and secrets are required",
    "an inactive driver": "driver linode has no credentials in this Rancher",
    "an unknown driver": "driver nope has no credentials in this Rancher",
    "delete a credential in use": "is in use by NodeTemplate cattle-global-nt/nt-w4ktg",
}
# Rancher's API requires a config with every update; here an update can contain only the changes. The values are the
# annotations that remain.
ALLOWED = {
    "update: change the description": {"field.cattle.io/description": "new text"},
    "update: rename": {"field.cattle.io/name": "aws renamed"},
    "update: drop annotations": {},
}


def options(request, passwords):
    """A request to Rancher's API as options of the module."""
    body = request["body"] or {}
    result = {key: body[key] for key in ("name", "description", "labels", "annotations") if key in body}
    for key, values in body.items():
        if key.endswith("credentialConfig"):
            driver = result["driver"] = key[: -len("credentialConfig")]
            secret = {name for name in values if name in passwords.get(driver, ())}
            result["config"] = {name: value for name, value in values.items() if name not in secret}
            result["secrets"] = {name: value for name, value in values.items() if name in secret}
    return result


def recorded_passwords(cluster):
    schemas = cluster.api.get("/apis/management.cattle.io/v3/dynamicschemas")["items"]
    suffix = "credentialconfig"
    return {
        "s3": {"secretKey"},
        **{
            entry["metadata"]["name"][: -len(suffix)]: {
                name
                for name, field in (entry["spec"].get("resourceFields") or {}).items()
                if field["type"] == "password"
            }
            for entry in schemas
            if entry["metadata"]["name"].endswith(suffix)
        },
    }


def essence(secret):
    """A Secret without the fields that differ between any two objects."""
    metadata = secret["metadata"]
    return {
        "data": secret["data"],
        "type": secret["type"],
        "generateName": metadata["generateName"],
        "labels": metadata["labels"],
        "annotations": {key: value for key, value in metadata["annotations"].items() if key != ADDED},
    }


@pytest.fixture(params=VERSIONS)
def version(request):
    return request.param


@pytest.fixture
def rancher(version, request):
    return request.getfixturevalue("cluster" if version == "2.10.0" else "cluster_215")


def test_created(rancher, version, subtests):
    creations = [entry for entry in credential_exchanges(version) if entry["request"]["method"] == "POST"]
    passwords = recorded_passwords(rancher)
    owner = creations[0]["stored"]["metadata"]["annotations"]["field.cattle.io/creatorId"]
    # the second credential with a name has another owner here, as name, driver and owner select a credential
    tasks = [
        {
            "owner": "u-mo773yttt4" if "second" in entry["what"] else owner,
            "driver": "amazonec2",
            **options(entry["request"], passwords),
        }
        for entry in creations
    ]
    *results, listed = rancher.play(*({MODULE: task} for task in tasks), {INFO: {}}).results
    assert len(results) == len(creations) > 20
    # from the list, as results of their own hide the recorded secrets, which are as short as "p", wherever that occurs
    listed = {(entry["name"], entry["owner"]): entry for entry in listed["credentials"]}
    for exchange, task, result in zip(creations, tasks, results):
        what = exchange["what"]
        with subtests.test(what):
            error = {**STRICTER, **REFUSED}.get(what)
            if error and (what, version) != ("exoscale", "2.10.0"):
                assert (what in STRICTER) == (exchange["status"] == 201)
                assert result["failed"] and error in result["msg"]
                continue
            assert result["credential"]["action"] == "created"
            credential = listed[task["name"], task["owner"]]
            ours, theirs = rancher.stored(credential["id"]), essence(exchange["stored"])
            if "second" in what:
                theirs["annotations"]["field.cattle.io/creatorId"] = "u-mo773yttt4"
            assert essence(ours) == theirs
            driver = task["driver"]
            assert ours["metadata"]["annotations"][ADDED] == UI_WORDS.get(driver, driver)
            assert credential["config"] == {
                name: value
                for name, value in exchange["answer"][f"{driver}credentialConfig"].items()
                if value is not None
            }
            assert set(credential["secret_fields"]) == passwords[driver]


def test_changed_and_deleted(rancher, version, subtests):
    """Each request has its own object, in the recorded state."""
    recorded = credential_exchanges(version)
    passwords = recorded_passwords(rancher)
    changes, tasks = [], []
    for number, exchange in enumerate(recorded):
        request = exchange["request"]
        if request["method"] in ("PUT", "DELETE"):
            recorded_id = request["path"].rpartition(":")[2]
            before = next(
                entry["stored"]
                for entry in reversed(recorded[:number])
                if ((entry.get("stored") or {}).get("metadata") or {}).get("name") == recorded_id
            )
            metadata = {
                key: value
                for key, value in before["metadata"].items()
                if key not in ("uid", "resourceVersion", "creationTimestamp")
            }
            rancher.api.post(SECRETS, {**before, "metadata": {**metadata, "name": f"cc-case{number}"}})
            if exchange["what"] == "delete a credential in use":
                rancher.api.post(
                    TEMPLATES,
                    {
                        "apiVersion": "management.cattle.io/v3",
                        "kind": "NodeTemplate",
                        "metadata": {"name": "nt-w4ktg"},
                        "spec": {"cloudCredentialName": f"cattle-global-data:cc-case{number}"},
                    },
                )
            state = "absent" if request["method"] == "DELETE" else "present"
            tasks.append({"id": f"cattle-global-data:cc-case{number}", "state": state, **options(request, passwords)})
            changes.append((exchange, before))
    results = rancher.prove_all(tasks)
    assert len(results) == {"2.10.0": 8, "2.15.0": 7}[version]
    for (exchange, before), task, result in zip(changes, tasks, results):
        what = exchange["what"]
        with subtests.test(what):
            error = {**STRICTER, **REFUSED}.get(what)
            if error:
                assert (what in STRICTER) == (exchange["status"] == 200)
                assert result["failed"] and error in result["msg"]
                assert essence(rancher.stored(task["id"])) == essence(before)
            elif task["state"] == "absent":
                assert (result["credential"]["action"], exchange["status"]) == ("deleted", 204)
                assert task["id"].partition(":")[2] not in [entry["metadata"]["name"] for entry in rancher.secrets()]
            else:
                expected = essence(exchange["stored"])
                assert (what in ALLOWED) == (exchange["status"] == 422)
                expected["annotations"].update(ALLOWED.get(what, {}))
                assert essence(rancher.stored(task["id"])) == expected
                assert result["changed"] == (expected != essence(before))
