# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A management cluster, and ansible-playbook that runs against it."""

from __future__ import annotations

import base64
import datetime
import json
import os
import sys
import time
import typing
from dataclasses import dataclass
from pathlib import Path

import yaml

from control_plane import ApiError
from support.playbooks import ansible_playbook

HERE = Path(__file__).parent
SECRETS = "/api/v1/namespaces/cattle-global-data/secrets"
RECORDS = "rancher-credential-rotation"
ROTATION_LABEL = "ranchhand.cattle.io/rotation"
MODULE = "ranchhand.rancher.cloud_credential"
INFO = "ranchhand.rancher.cloud_credential_info"
WRITING = ("create", "update", "patch", "delete", "deletecollection")


class Request(typing.NamedTuple):
    """A request in the audit log; time in seconds since 1970."""

    verb: str
    path: str
    time: float


@dataclass
class Played:
    """A finished ansible-playbook: its output, and the result of each task."""

    code: int
    output: str
    tasks: list

    @property
    def results(self):
        return [task["result"] for task in self.tasks]

    @property
    def result(self):
        """The result of the only task."""
        assert len(self.tasks) == 1, self.output
        return self.tasks[0]["result"]


class Cluster:
    """A control plane with the objects of a Rancher, and playbooks that run against it."""

    def __init__(self, control_plane, directory):
        self.control_plane = control_plane
        self.api = control_plane.api
        self.directory = directory
        self._count = 0

    def play(self, *tasks, variables=None, kubeconfig=None, as_module=False, arguments=(), environment=None, play=None):
        """Run tasks as a playbook that continues after failures.

        Variables are read from a file, like a user's secrets.
        """
        self._count += 1
        stem = self.directory / f"{self._count}"
        content = [
            {
                "hosts": "localhost",
                "gather_facts": False,
                "tasks": [{"ignore_errors": True, **task} for task in tasks],
                **(play or {}),
            }
        ]
        playbook, variables_file, results = (stem.with_suffix(suffix) for suffix in (".yml", ".vars.yml", ".results"))
        playbook.write_text(yaml.safe_dump(content, sort_keys=False))
        variables_file.write_text(yaml.safe_dump(variables or {}))
        results.touch()
        command = [
            "-i",
            "localhost,",
            "-c",
            "local",
            str(playbook),
            "-e",
            f"@{variables_file}",
            *arguments,
        ]
        if as_module:  # another path of the interpreter: the action plugin starts a process
            command += ["-e", f"ansible_python_interpreter={other_interpreter()}"]
        done = ansible_playbook(
            *command,
            env=self.environment(
                kubeconfig, ANSIBLE_CALLBACKS_ENABLED="collect", RANCHHAND_RESULTS=str(results), **(environment or {})
            ),
            timeout=300,
        )
        tasks = [json.loads(line) for line in results.read_text().splitlines()]
        for task in tasks:
            task["result"]["failed"] = task["status"] == "failed"  # not every ansible-core sets it in the result
        return Played(done.returncode, done.stdout, tasks)

    def environment(self, kubeconfig=None, **more):
        """Return the environment variables of a playbook, without the caller's settings of Kubernetes and Ansible."""
        kept = {
            key: value for key, value in os.environ.items() if not key.startswith(("K8S_AUTH_", "ANSIBLE_", "KUBE"))
        }
        return {
            **kept,
            "HOME": str(self.directory),
            "K8S_AUTH_KUBECONFIG": str(kubeconfig or self.control_plane.kubeconfig),
            "ANSIBLE_COLLECTIONS_PATH": os.environ["RANCHHAND_ROOT"],
            "ANSIBLE_CALLBACK_PLUGINS": str(HERE / "callback_plugins"),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_RETRY_FILES_ENABLED": "0",
            "ANSIBLE_LOCALHOST_WARNING": "0",
            "ANSIBLE_DEPRECATION_WARNINGS": "1",
            "ANSIBLE_LOCAL_TEMP": str(self.directory / "tmp"),
            "ANSIBLE_REMOTE_TMP": str(self.directory / "tmp"),
            **more,
        }

    def prove(self, args, module=MODULE, **options):
        """Run prove_all with one task."""
        return self.prove_all([args], module, **options)[0]

    def prove_all(self, tasks, module=MODULE, **options):
        """Run each task three times in one playbook: in check mode, for real, and again.

        Asserts what every task of this collection guarantees: check mode writes nothing and predicts the result and the
        diff of the real run; a second run is unchanged and writes nothing; there are no warnings. Returns the real
        results.
        """
        runs = [
            run
            for args in tasks
            for run in (
                {"name": "check", module: args, "check_mode": True, "diff": True},
                {"name": "real", module: args, "diff": True},
                {"name": "again", module: args},
            )
        ]
        mark = self.control_plane.audit_mark()
        before = time.time()
        played = self.play(*runs, **options)
        assert "WARNING" not in played.output, played.output
        assert len(played.tasks) == len(runs), played.output
        written = self.writes(mark)
        results = []
        for check, real, again in zip(*[iter(played.tasks)] * 3):
            assert not [write for write in written if before < write.time < check["ended"]], "check mode wrote"
            predicted, result, repeated = (task["result"] for task in (check, real, again))
            for key in ("changed", "failed", "msg", "code"):
                assert predicted.get(key) == result.get(key), (predicted, result)
            assert _without_identity(predicted.get("diff")) == _without_identity(result.get("diff"))
            assert list(map(_summary, _items(predicted))) == list(map(_summary, _items(result)))
            if not result.get("failed"):
                assert not repeated.get("failed") and repeated["changed"] is False, repeated
                assert not [write for write in written if real["ended"] < write.time < again["ended"]], (
                    "the second run wrote"
                )
            before = again["ended"]
            results.append(result)
        return results

    def requests(self, since=0):
        """Return the collection's requests since a mark of the audit log."""
        return [
            Request(
                "dry run" if "dryRun=All" in event["requestURI"] else event["verb"],
                event["requestURI"].partition("?")[0],
                datetime.datetime.fromisoformat(event["requestReceivedTimestamp"].replace("Z", "+00:00")).timestamp(),
            )
            for event in self.control_plane.audit(since)
            if event["userAgent"].startswith("ranchhand.rancher")
        ]

    def writes(self, since=0):
        """Return the requests that write; reviews are POSTs that do not."""
        return [
            request
            for request in self.requests(since)
            if request.verb in WRITING and not request.path.endswith("reviews")
        ]

    def secret(
        self, name="cc-test1", driver="digitalocean", fields=None, display_name="test", owner="u-wt94n", **metadata
    ):
        """Create a credential as Rancher would."""
        return self.api.post(
            SECRETS,
            {
                "metadata": {
                    "name": name,
                    "generateName": "cc-",
                    "labels": {"cattle.io/creator": "norman"},
                    **metadata,
                    "annotations": {
                        "field.cattle.io/name": display_name,
                        "field.cattle.io/creatorId": owner,
                        **metadata.get("annotations", {}),
                    },
                },
                "stringData": {
                    f"{driver}credentialConfig-{key}": value
                    for key, value in (fields or {"accessToken": "stored-secret-value"}).items()
                },
            },
        )

    def secrets(self):
        return self.api.get(SECRETS)["items"]

    def stored(self, identifier):
        return self.api.get(f"{SECRETS}/{identifier.rpartition(':')[2]}")


def decoded(secret):
    """Return the data of a Secret as text."""
    return {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}


def other_interpreter():
    """Return another path of this interpreter, for which the action plugin has to start a process."""
    other = Path(sys.executable).with_name("python-for-modules")
    if not other.exists():
        try:
            other.symlink_to(Path(sys.executable).name)
        except FileExistsError:
            pass
    return other


def _items(result):
    return (
        result.get("credentials")
        or result.get("node_templates")
        or result.get("machine_configs")
        or [result.get("credential") or result.get("node_template") or result.get("machine_config") or {}]
    )


def _summary(item):
    return {key: item.get(key) for key in item if key not in ("id", "created_at")}


def _without_identity(diff):
    return [
        {key: part[key] for key in ("before", "after")} for part in (diff if isinstance(diff, list) else [diff]) if part
    ]


def empty(api):
    for version, where, resource in (
        ("/api/v1", "/namespaces/cattle-global-data", "secrets"),
        ("/apis/management.cattle.io/v3", "", "nodetemplates"),
        ("/apis/provisioning.cattle.io/v1", "", "clusters"),
        ("/apis/rke-machine.cattle.io/v1", "", "amazonec2machines"),
    ):
        for item in _items_of(api, f"{version}{where}/{resource}"):
            metadata = item["metadata"]
            path = f"{version}/namespaces/{metadata['namespace']}/{resource}/{metadata['name']}"
            if metadata.get("finalizers"):
                api.patch(path, {"metadata": {"finalizers": None}})
            if not metadata.get("deletionTimestamp"):
                api.delete(path)
    for resource in ("configmaps", "secrets"):  # records of credentials that were deleted now, and kept values
        path = f"/api/v1/namespaces/{RECORDS}/{resource}"
        for item in api.get(f"{path}?labelSelector={ROTATION_LABEL}")["items"]:
            api.delete(f"{path}/{item['metadata']['name']}")


def _items_of(api, path):
    try:
        return api.get(path)["items"]
    except ApiError as error:
        if error.status != 404:  # Rancher 2.15 has no node templates
            raise
        return []
