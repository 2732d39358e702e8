# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The test bench of rotations: a cluster and a provider, and the invariants that hold in them at every moment."""

from __future__ import annotations

import collections
import contextlib
import json
import os
import secrets
import signal
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import urllib3

from control_plane import ApiError, ControlPlane, install_fixtures
from support.cluster import SECRETS, Cluster, decoded
from support.fakes import FaultInjector
from support.providers.aws import works
from support.providers.aws_process import AwsManager

from .runner import PATIENCE, PROVIDER_CALLS, Runner

POLL = 0.05        # seconds between two reads of what a consumer needs
POLL_KEPT = 0.25   # and at what a rollback needs
LABEL = "ranchhand.cattle.io/rotation"
TOKEN = "ranchhand.cattle.io/rotation-token"
ACTIONS = {
    "issue": "CreateAccessKey",
    "disable": "UpdateAccessKey",
    "enable": "UpdateAccessKey",
    "delete": "DeleteAccessKey",
}


class Violation(Exception):
    """Something that must never be."""


class Bench:
    """A management cluster, a cloud, a reader of all credentials, and runs. `counts` are figures for the report."""

    def __init__(self, propagation_delay=0.0):
        self._propagation_delay = propagation_delay
        self.counts = collections.Counter()

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            self.control_plane = stack.enter_context(ControlPlane())
            install_fixtures(self.control_plane, "2.10.0")
            self.api = self.control_plane.api
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ranchhand-rotation-")))
            self.cluster = Cluster(self.control_plane, directory)
            self.injector = stack.enter_context(FaultInjector(self.control_plane))
            manager = stack.enter_context(AwsManager())
            self.cloud = manager.AwsProcess(self._propagation_delay)
            self.url = self.cloud.address()
            self.runner = Runner()
            stack.callback(self.runner.close)
            self.reader = stack.enter_context(Reader(self))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exception):
        self._stack.close()

    def subject(self):
        """A credential of AWS, as watched() returns it."""
        return self.watched(Subject(self))

    @contextlib.contextmanager
    def watched(self, subject):
        """A credential that is watched for as long as this lasts, and then looked back at."""
        self.reader.watch(subject)
        try:
            yield subject
        finally:
            self.reader.forget(subject)
            subject.remove()
        subject.look_back()


def violations(bench, play, cases, threads=4):
    """Play all cases, some at once."""
    def entry(case):
        try:
            play(bench, case)
        except Violation as violation:
            return f"{case}: {violation}"
        except Exception as error:  # pylint: disable=broad-except
            return f"{case}: {type(error).__name__}: {error}"
        return None

    with ThreadPoolExecutor(threads) as executor:
        return [violation for violation in executor.map(entry, cases) if violation]


class Subject:
    """A credential with a key of its own user, and runs that rotate it, with records in their own namespace."""

    driver, fields = "amazonec2", ("accessKey", "secretKey")
    ends_at_cutover = False  # whether the provider ends the old key when the credential contains the new one

    def __init__(self, bench):
        self.bench = bench
        self.name = secrets.token_hex(4)
        self.user, self.id, self.namespace = f"user-{self.name}", f"cc-{self.name}", f"rotation-{self.name}"
        created = self.create_principal()
        self.key = {name: created[name] for name in self.fields}
        self.precious = self.key  # must be in the credential or kept, until the old key is deleted
        self.typed_in = None
        self.seen_wrong = []
        self.history = []
        bench.cluster.secret(self.id, self.driver, created, f"{self.driver} {self.name}")

    # the provider

    def create_principal(self):
        """Create what has keys; returns all fields of a credential with its first key."""
        return {**self.bench.cloud.create_user(self.user), "defaultRegion": "eu-central-1"}

    @property
    def issuer_options(self):
        return {"endpoint_url": self.bench.url, "propagation": "0s"}

    @property
    def keys(self):
        return dict(self.bench.cloud.keys(self.user))

    def key_id(self, values):
        return values["accessKey"]

    def works(self, values):
        return works(self.bench.url, *values.values())

    def lose_at_provider(self, name, victim=None, seconds=0):
        """Let the reply to the next request of a call be lost."""
        self.bench.cloud.lose(self.user, ACTIONS[name], victim, seconds)

    def changes(self):
        """Return the writes at the provider."""
        return self.bench.cloud.changes(self.user)

    def is_being_replaced(self, values):
        """Whether a key that did not work is in the credential rightly, as a run is replacing it at the provider."""
        return False

    def reached(self, phase):
        """Return the phase that a run reaches that would end in ``phase`` at AWS."""
        return phase

    # runs

    def given(self, state, **options):
        """The options of a task."""
        common = {
            "id": self.id,
            "state": state,
            "namespace": self.namespace,
            "drain": "1s",
            "verify_timeout": "20s",
            "issuer_options": self.issuer_options,
            "kubeconfig": str(self.bench.control_plane.kubeconfig),
        }
        if state == "rotated":
            common["rotation_id"] = "first"
        return {**common, **options}

    def start(self, state, fault=None, **options):
        if fault and fault.moment == "lost":
            options.update(self.bench.injector.options, kubeconfig=None, ca_cert=None)
        self.history.append(f"{state} {options.get('rotation_id', '')}{' with ' + str(tuple(fault)) if fault else ''}")
        return self.bench.runner.start(self.given(state, **options), fault, self._lose)

    def run(self, state, fault=None, **options):
        """One run to its end."""
        ended = self.start(state, fault, **options).wait()
        self._note(ended)
        return ended

    def plain(self, state, **options):
        """The plain command, which must not fail."""
        return self.require_success(state, self.run(state, **options))

    def require_success(self, state, ended):
        if ended.result is None or ended.result.get("failed"):
            raise self.violation(f"{state} returned {ended.result and ended.result.get('msg')}")
        return ended

    def _note(self, ended):
        result = ended.result or {}
        result_code = result.get("code") or (result.get("rotation") or {}).get("phase") or "ended"
        self.history[-1] += f" > {result_code}"
        if result.get("code") in ("server_error", "drift") and "edit" not in self.history:
            raise self.violation(result["msg"])

    def _lose(self, name, kind, pid):
        """Let the reply of the next such request be lost."""
        if name in PROVIDER_CALLS:
            self.lose_at_provider(name, *_effects(kind, pid))
            return
        method, path = {
            "write_credential": ("PATCH", f"{SECRETS}/{self.id}$"),
            "write_record": ("PATCH|POST", f"/{self.namespace}/configmaps"),
            "store_generation": ("POST", f"/{self.namespace}/secrets"),
            "delete_generation": ("DELETE", f"/{self.namespace}/secrets"),
            "take_lease": ("PATCH|POST", f"/{self.namespace}/leases"),
        }[name]
        self._lose_reply(self.bench.injector, method, path, kind, pid)

    @staticmethod
    def _lose_reply(injector, method, path, kind, pid):
        victim, seconds = _effects(kind, pid)

        def lose(seen):
            injector.forward(seen)
            if victim:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(victim, signal.SIGKILL)
            time.sleep(seconds)

        injector.rule(method, lose, path)

    # the cluster

    def values_of(self, secret):
        """Return the fields of a stored credential that a rotation replaces."""
        found = decoded(secret)
        return {name: found[f"{self.driver}credentialConfig-{name}"] for name in self.fields}

    @property
    def live(self):
        return self.values_of(self.bench.cluster.stored(self.id))

    @property
    def record(self):
        """None where there is none."""
        for item in self._items("configmaps"):
            if item["metadata"]["labels"].get(LABEL) == "record":
                return json.loads(item["data"]["record"])
        return None

    @property
    def phase(self):
        record = self.record
        return record["phase"] if record else "idle"

    def kept(self):
        return [kept_value(item) for item in self._items("secrets") if LABEL in (item["metadata"].get("labels") or {})]

    def _items(self, resource):
        return self.bench.api.get(f"/api/v1/namespaces/{self.namespace}/{resource}")["items"]

    def everything(self):
        """The versions of all objects that a run could write, and the requests to the provider."""
        found = [self.bench.cluster.stored(self.id)] + [
            item for resource in ("configmaps", "secrets", "events") for item in self._items(resource)
        ]
        return [
            entry["metadata"]["uid"] + entry["metadata"]["resourceVersion"] for entry in found + self.leases()
        ], self.changes()

    def leases(self):
        return self.bench.api.get(f"/apis/coordination.k8s.io/v1/namespaces/{self.namespace}/leases")["items"]

    def edit(self, values):
        """Another client writes the credential."""
        self.precious, self.typed_in = None, values
        self.bench.api.patch(f"{SECRETS}/{self.id}", {
            "stringData": {f"amazonec2credentialConfig-{name}": value for name, value in values.items()}})
        self.precious = values
        self.history.append("edit")

    def remove(self):
        for path in (f"{SECRETS}/{self.id}", f"/api/v1/namespaces/{self.namespace}/configmaps/rotation-{self.id}"):
            with contextlib.suppress(ApiError, urllib3.exceptions.HTTPError):
                self.bench.api.delete(path)

    # what must hold

    def violation(self, what):
        return Violation(f"{what}; {' | '.join(self.history)}")

    def check(self, condition, what):
        if not condition:
            raise self.violation(what)

    def check_idle(self, live=None):
        """Nothing is in progress or left behind, and another run has nothing to do."""
        record, keys, found = self.record, self.keys, self.live
        self.check(record and record["phase"] == "idle", f"the record is {record and record['phase']}")
        self.check(not record["owner"], "the record has an owner")
        self.check(TOKEN not in self.bench.cluster.stored(self.id)["metadata"]["annotations"], "the token is left")
        key_id = self.key_id(found)
        self.check(live is None or found == live, f"the credential names {key_id}")
        self.check(keys == {key_id: "Active"}, f"the keys are {keys}, the credential names {key_id}")
        self.check(self.works(found), "the key does not work")
        self.check(self.kept() == [found], f"{len(self.kept())} values are kept")
        before = self.everything()
        completed = record["completed_id"]  # None after a return to the old key: the same id would rotate again
        due = {"rotation_id": completed, "max_age": None if completed else "3650d"}
        for state in ("rotated", "retired"):
            self.check(
                self.plain(state, **due).result["changed"] is False,
                "another run is not unchanged",
            )
        self.check(self.everything() == before, "another run wrote")

    def settle(self, **options):
        """The plain commands of a night and a morning lead to the end of whatever was begun."""
        if self.phase == "idle":
            self.precious = self.live
        self.plain("rotated", **options)
        self.plain("retired", grace="0s", soak="0s")
        self.plain("retired", grace="0s", soak="0s")

    def look_back(self):
        if self.seen_wrong:
            raise self.violation("; ".join(self.seen_wrong[:3]))
        off = set()
        for action, parameters, status in self.changes():
            self.check(action != "CreateAccessKey" or status != 409, "it asked for a third key")
            if action == "UpdateAccessKey" and status == 200:
                (off.add if parameters["Status"] == "Inactive" else off.discard)(parameters["AccessKeyId"])
            if action == "DeleteAccessKey" and parameters["AccessKeyId"] == self.key["accessKey"]:
                self.check(self.key["accessKey"] in off, "the old key was deleted before it was disabled")


def _effects(kind, pid):
    """Return the process that is killed when a reply is lost, and for how long it waits for the reply."""
    return pid if kind == "kill" else None, 2 * PATIENCE if kind == "timeout" else 0


def kept_value(secret):
    return json.loads(decoded(secret)["payload"])


class Reader:
    """A fake of the consumers of all credentials: reads and verifies the key of each repeatedly."""

    def __init__(self, bench):
        self._bench = bench
        self._subjects = {}
        self._done = threading.Event()
        self._threads = [
            threading.Thread(target=self._loop, args=entry, daemon=True)
            for entry in ((self.look_at_keys, POLL), (self.look_at_kept, POLL_KEPT))
        ]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exception):
        self._done.set()
        for thread in self._threads:
            thread.join()

    def watch(self, subject):
        self._subjects[subject.id] = subject

    def forget(self, subject):
        self._subjects.pop(subject.id, None)

    def _loop(self, read, pause):
        while not self._done.is_set():
            begun = time.monotonic()
            try:
                read()
            except (urllib3.exceptions.HTTPError, ApiError):  # the API server is down
                self._bench.counts["rounds of the reader without an API server"] += 1
            except Exception as error:  # pylint: disable=broad-except
                for subject in list(self._subjects.values()):
                    subject.seen_wrong.append(f"the reader failed with {type(error).__name__}: {error}")
            self._done.wait(max(0, begun + pause - time.monotonic()))

    def look_at_keys(self):
        secrets_by_name = {item["metadata"]["name"]: item for item in self._bench.cluster.secrets()}
        self._bench.counts["rounds of the reader"] += 1
        for subject in list(self._subjects.values()):
            if subject.id in secrets_by_name:
                self._bench.counts["keys read and verified"] += 1
                self._verify(subject, subject.values_of(secrets_by_name[subject.id]))

    def _verify(self, subject, found):
        """A key that was replaced while it was tried is no failure."""
        if subject.works(found):
            return
        with contextlib.suppress(ApiError):
            if not subject.is_being_replaced(found) and subject.live == found and subject.id in self._subjects:
                subject.seen_wrong.append(f"{subject.key_id(found)} was in the credential and did not work")

    def look_at_kept(self):
        """Check that the old key is kept until it is being deleted: its stored value, and the key at the provider."""
        for subject in list(self._subjects.values()):
            precious = subject.precious
            if precious is None:
                continue
            with contextlib.suppress(ApiError):
                keys = subject.keys
                if len(keys) > 2:
                    subject.seen_wrong.append(f"there were {len(keys)} keys")
                lost = subject.live != precious and precious not in subject.kept()
                may_have_ended = subject.ends_at_cutover and subject.live != precious
                lost |= precious is not subject.typed_in and subject.key_id(precious) not in keys and not may_have_ended
                self._bench.counts["old values looked for"] += 1
                if (
                    lost
                    and subject.phase not in ("deleting", "idle")
                    and subject.precious is precious
                    and subject.id in self._subjects
                ):
                    subject.seen_wrong.append(f"the old value was lost in {subject.phase}")
