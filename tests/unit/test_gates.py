# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gates: the conditions for disabling an old key."""

from __future__ import annotations

import base64
import datetime
import gzip
import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
from ansible_collections.ranchhand.rancher.plugins.module_utils._common.errors import ApiError
from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher.references import Reference
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation import cluster_gates, gates
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation.record import KeyGeneration, RotationRecord
from ansible_collections.ranchhand.rancher.plugins.module_utils.issuer import Key

CUTOVER = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
HOUR = datetime.timedelta(hours=1)
MACHINE = Reference(
    "Amazonec2Machine", "rke-machine.cattle.io/v1", "fleet-default", "prod-1", "spec.common.cloudCredentialSecretName"
)
NODE = Reference("Node", "management.cattle.io/v3", "c-x", "m-1", "status.nodeTemplateSpec.cloudCredentialName")


def test_time():
    assert gates.until("grace", CUTOVER, CUTOVER).state == gates.OPEN
    early = gates.until("grace", CUTOVER + HOUR, CUTOVER)
    assert (early.state, early.detail) == (gates.WAITING, "2026-01-01T01:00:00Z")
    assert gates.until("grace", None, CUTOVER).state == gates.UNKNOWN


def test_a_gate_is_shown():
    assert gates.until("grace", CUTOVER, CUTOVER).show() == {
        "name": "grace", "state": "open", "detail": "over since 2026-01-01T00:00:00Z"}


def _job(created, machine="prod-1", **status):
    """A job that was created, and started an hour later."""
    return {"metadata": {"name": "job", "namespace": "fleet-default", "creationTimestamp": created,
                         "labels": {"rke.cattle.io/infra-machine-name": machine}},
            "status": {"startTime": "2026-01-01T01:00:00Z", **status}}


@pytest.mark.parametrize(
    ("job", "state"),
    [
        pytest.param(_job("2025-12-31T23:59:00Z"), gates.WAITING, id="created before the cutover"),
        pytest.param(_job(None), gates.WAITING, id="without a time"),
        pytest.param(_job("2026-01-01T00:05:00Z"), gates.WAITING, id="created after it, within the margin for clocks"),
        pytest.param(_job("2026-01-01T00:05:01Z"), gates.OPEN, id="created after the cutover"),
        pytest.param(_job("2025-12-31T23:59:00Z", "another"), gates.OPEN, id="of another machine"),
        pytest.param(
            _job("2025-12-31T23:59:00Z", conditions=[{"type": "Complete", "status": "True"}]),
            gates.OPEN,
            id="complete",
        ),
        pytest.param(
            _job("2025-12-31T23:59:00Z", conditions=[{"type": "Suspended", "status": "True"}]),
            gates.WAITING,
            id="suspended",
        ),
        pytest.param(
            _job("2025-12-31T23:59:00Z", conditions=[{"type": "Failed", "status": "True"}]), gates.OPEN, id="failed"),
        pytest.param(
            _job("2025-12-31T23:59:00Z", conditions=[{"type": "Complete", "status": "False"}]),
            gates.WAITING,
            id="not complete",
        ),
        pytest.param({"metadata": {"name": "other"}}, gates.OPEN, id="a job of another kind"),
        pytest.param({**_job("2025-12-31T23:59:00Z"), "status": None}, gates.WAITING, id="without a status"),
    ],
)
def test_machine_jobs(job, state):
    gate = gates.machine_jobs([job], {("fleet-default", "prod-1")}, CUTOVER)
    assert gate.state == state and (state == gates.OPEN or "fleet-default/job" in gate.detail)


def test_several_names_are_shortened():
    jobs = [_job(None) for _number in range(5)]
    for number, job in enumerate(jobs):
        job["metadata"]["name"] = f"job-{number}"
    machines = {("fleet-default", "prod-1")}
    assert "fleet-default/job-0, fleet-default/job-1, fleet-default/job-2 and 2 more" in gates.machine_jobs(
        jobs, machines, CUTOVER).detail
    assert "fleet-default/job-2, created" in gates.machine_jobs(jobs[2::-1], machines, CUTOVER).detail


def test_a_gate_is_unknown_without_permission_to_list():
    assert gates.machine_jobs(None, set(), CUTOVER).state == gates.UNKNOWN
    assert gates.machine_jobs([], None, CUTOVER).state == gates.UNKNOWN
    assert gates.etcd_s3(None, True, ["AKIAOLD"]).state == gates.UNKNOWN
    assert gates.rke1_nodes(None, "azure").state == gates.UNKNOWN
    assert gates.rancher_version("", None).state == gates.UNKNOWN


def _plan(content):
    text = json.dumps(
        {
            "files": [
                {
                    "path": "/etc/rancher/rke2/config.yaml.d/50-rancher.yaml",
                    "content": base64.b64encode(content).decode(),
                }
            ]
        }
    )
    return {
        "metadata": {"name": "plan", "namespace": "fleet-default"},
        "data": {"plan": base64.b64encode(text.encode()).decode()},
    }


@pytest.mark.parametrize("content", [
    b'{"etcd-s3-access-key": "AKIAOLD"}', gzip.compress(b"etcd-s3-access-key: AKIAOLD"),
], ids=["plain", "compressed"])
def test_a_plan_contains_the_old_key_in_a_file(content):
    assert gates.etcd_s3([_plan(content)], True, ["AKIAOLD"]).state == gates.WAITING
    assert gates.etcd_s3([_plan(content)], True, ["AKIANEW"]).state == gates.OPEN
    assert gates.etcd_s3(None, False, ["AKIAOLD"]).state == gates.OPEN


@pytest.mark.parametrize(("data", "found"), [
    pytest.param({"plan": base64.b64encode(b"AKIAOLD").decode()}, True, id="no JSON"),
    pytest.param({"plan": base64.b64encode(b'["a", {"b": ["AKIAOLD"]}]').decode()}, True, id="in a list"),
    pytest.param({"plan": base64.b64encode(b'{"a": 7, "b": null}').decode()}, False, id="numbers"),
    pytest.param({"a": "", "plan": base64.b64encode(b"AKIAOLD").decode()}, True, id="second value"),
    pytest.param({"plan": "AKIAOLD-"}, True, id="not base64"),
    pytest.param({"plan": base64.b64encode(b"\x1f\x8bAKIAOLD").decode()}, False, id="damaged"),
    pytest.param({"plan": base64.b64encode(gzip.compress(b"AKIAOLD")[:-4]).decode()}, False, id="cut off"),
    pytest.param({"plan": base64.b64encode(b"\xff AKIAOLD").decode()}, True, id="not UTF-8"),
    pytest.param(None, False, id="empty"),
])
def test_a_plan_contains_the_old_key_anywhere(data, found):
    gate = gates.etcd_s3([{"metadata": {"name": "plan", "namespace": "x"}, "data": data}], True, ["AKIA0", "AKIAOLD"])
    assert gate.state == (gates.WAITING if found else gates.OPEN) and ("x/plan" in gate.detail) is found


def test_the_nodes_are_named():
    assert "c-x/m-1" in gates.rke1_nodes([MACHINE, NODE], "azure").detail
    assert "fleet-default/prod-1" in gates.rancher_version("v2.6.1", [NODE, MACHINE]).detail
    assert "cannot be read" in gates.rancher_version("", [MACHINE]).detail
    assert "is not a version number" in gates.rancher_version("dev", [MACHINE]).detail


def test_rke1_nodes():
    assert gates.rke1_nodes([NODE], "azure").state == gates.WAITING
    assert gates.rke1_nodes([NODE], "amazonec2").state == gates.OPEN
    assert gates.rke1_nodes([MACHINE], "azure").state == gates.OPEN


@pytest.mark.parametrize(
    ("version", "references", "state"),
    [
        pytest.param("v2.10.3", [MACHINE], gates.OPEN, id="2.10 with a machine"),
        pytest.param("v2.7.12", [MACHINE], gates.OPEN, id="first fixed version with a machine"),
        pytest.param("v2.7.11", [MACHINE], gates.WAITING, id="last affected version with a machine"),
        pytest.param("v2.6.14", [], gates.OPEN, id="affected version without a machine"),
        pytest.param("dev", [MACHINE], gates.UNKNOWN, id="unknown version with a machine"),
        pytest.param("dev", [NODE], gates.OPEN, id="unknown version with a node"),
        pytest.param("", [MACHINE], gates.UNKNOWN, id="no version with a machine"),
        pytest.param("2.8.0-rc1", None, gates.OPEN, id="fixed version, machines are unknown"),
        pytest.param("v2.7.11", None, gates.UNKNOWN, id="affected version, machines are unknown"),
    ],
)
def test_rancher_version(version, references, state):
    assert gates.rancher_version(version, references).state == state


def test_last_use():
    def state_of(used, key="AKIAOLD"):
        return gates.last_used([Key(key, last_used=used)], "AKIAOLD", HOUR, CUTOVER + 2 * HOUR, True).state

    assert state_of(None) == state_of(CUTOVER) == state_of(CUTOVER + 2 * HOUR, "AKIANEW") == gates.OPEN
    assert state_of(CUTOVER + 1.5 * HOUR) == gates.WAITING
    assert state_of(CUTOVER + HOUR) == gates.OPEN, "unused for the whole time"
    assert gates.last_used(None, "AKIAOLD", HOUR, CUTOVER, True).state == gates.OPEN
    late = [Key("AKIAOLD", last_used=CUTOVER + HOUR)]
    assert gates.last_used(late, "AKIAOLD", datetime.timedelta(0), CUTOVER, True).state == gates.OPEN, (
        "the clock of the provider may be ahead"
    )


@pytest.mark.parametrize(
    ("used", "state"),
    [
        pytest.param(None, gates.OPEN, id="never used"),
        pytest.param(CUTOVER, gates.OPEN, id="used before it was disabled"),
        pytest.param(CUTOVER + datetime.timedelta(minutes=5), gates.OPEN, id="within the margin for clocks"),
        pytest.param(CUTOVER + HOUR, gates.WAITING, id="used after it was disabled"),
    ],
)
def test_the_old_key_was_used_in_the_soak_time(used, state):
    record = RotationRecord(
        "rotation-cc-1", (("cc-1", "uid"),), "amazonec2", "aws", ("accessKey",), phase="disabled", disabled_at=CUTOVER,
        old=KeyGeneration("AKIAOLD", "old", {}))
    gate = gates.used_in_soak([Key("AKIAOLD", last_used=used), Key("AKIANEW", last_used=CUTOVER + 9 * HOUR)], record)
    assert gate.state == state and ("override_gates: [last_used]" in gate.detail) == (state == gates.WAITING)


@pytest.mark.parametrize("phase", ["disabled", "deleting"])
def test_the_use_in_the_soak_time_is_evaluated_until_the_key_is_deleted(monkeypatch, phase):
    monkeypatch.setattr(cluster_gates, "decode_values", lambda credential: {})
    record = RotationRecord(
        "rotation-cc-1", (("cc-1", "uid"),), "amazonec2", "aws", ("accessKey",), phase=phase, disabled_at=CUTOVER,
        old=KeyGeneration("AKIAOLD", "old", {}))
    issuer = SimpleNamespace(lists=True, disables=True, keys=lambda by: [Key("AKIAOLD", last_used=CUTOVER + HOUR)])
    states = {gate.name: gate.state for gate in cluster_gates.evaluate_gates(None, ["cc-1"], record, None, issuer)}
    assert states == {"soak": gates.OPEN, "last_used": gates.WAITING}


def evaluated(record, desired=None, issuer=None, members=(), **read):
    """The gates, with what the management cluster reports."""
    asked = []

    class Client:
        """Returns what was read; None in a list means that it is forbidden, and an error is raised."""

        def cached(self, name, seconds, read_now):
            asked.append((name, seconds))
            values = {"references": index_of(), "server-version": "v2.11.0", **read}
            return values[name] if name in values else read_now()

        def list_objects(self, path, **query):
            found = read.get(path, [])
            if isinstance(found, Exception):
                raise found
            asked.append((path, query))
            return found

    known = {name: value for name, value in (("desired", desired), ("issuer", issuer)) if value}
    found = cluster_gates.evaluate_gates(Client(), members, record, **known)
    return {gate.name: gate for gate in found}, asked


JOBS, SECRETS = "/apis/batch/v1/jobs", "/api/v1/secrets"
GRACE = RotationRecord(
    "rotation-cc-1", (("cc-1", "uid"),), "amazonec2", "aws", ("accessKey",), phase="grace", cutover_at=CUTOVER,
    grace=3600, soak=3600, old=KeyGeneration("AKIAOLD", "old", {}))
DISABLED = replace(GRACE, phase="disabled", disabled_at=CUTOVER)
MEMBER = SimpleNamespace(driver="amazonec2", data={}, id="cc-1")
S3_MEMBER = SimpleNamespace(driver="s3", data={}, id="cc-2")


def index_of(*references, unlisted=()):
    return SimpleNamespace(references_to=lambda member: references, unlisted=unlisted)


def states(found):
    return {name: gate.state for name, gate in found.items()}


def desired(**options):
    defaults = {"grace": None, "soak": None, "old_key_removed": False, "current_key_id": None, "override_gates": ()}
    return SimpleNamespace(**{**defaults, **options})


def test_the_gates_of_the_grace_time():
    found, asked = evaluated(GRACE)
    assert set(states(found).values()) == {gates.OPEN}
    assert list(found) == ["grace", "machine_jobs", "etcd_s3", "rke1_nodes", "rancher_version"]
    assert asked == [
        ("references", 30), ("machine jobs", 30), (JOBS, {"labelSelector": "rke.cattle.io/infra-machine-name"}),
        ("server-version", 300)]


@pytest.mark.parametrize(("record", "name"), [(GRACE, "grace"), (DISABLED, "soak")], ids=["grace", "soak"])
def test_times_of_the_task_replace_those_of_the_record(monkeypatch, record, name):
    monkeypatch.setattr(cluster_gates, "now", lambda: CUTOVER + HOUR)
    assert evaluated(record)[0][name].state == gates.OPEN
    assert evaluated(record, desired(**{name: 3601}))[0][name].state == gates.WAITING


@pytest.mark.parametrize(("record", "name"), [
    pytest.param(DISABLED, "soak", id="disabled"),
    pytest.param(replace(DISABLED, phase="deleting"), "soak", id="deleting"),
    pytest.param(replace(DISABLED, phase="deleting", disabled_at=None), "grace", id="deleting, never disabled"),
    pytest.param(replace(DISABLED, phase="disabling"), "grace", id="disabling again"),
])
def test_the_time_of_a_phase(record, name):
    assert next(iter(evaluated(record)[0])) == name


def issuer(keys, lists=True, disables=True):
    return SimpleNamespace(lists=lists, disables=disables, reports_last_use=True, keys=lambda by: keys)


USED = [Key("AKIAOLD", last_used=CUTOVER + 2 * HOUR)]


@pytest.mark.parametrize(("record", "provider", "waits"), [
    pytest.param(GRACE, issuer(USED), True, id="grace"),
    pytest.param(GRACE, issuer(USED, disables=False), True, id="grace, no disabling"),
    pytest.param(GRACE, issuer(USED, lists=False), None, id="grace, no list"),
    pytest.param(GRACE, None, None, id="no issuer"),
    pytest.param(DISABLED, issuer(USED), True, id="soak"),
    pytest.param(DISABLED, issuer(USED, disables=False), None, id="soak, no disabling"),
    pytest.param(DISABLED, issuer(USED, lists=False), None, id="soak, no list"),
    pytest.param(DISABLED, None, None, id="soak, no issuer"),
])
def test_the_last_use_is_read_where_it_is_known(monkeypatch, record, provider, waits):
    monkeypatch.setattr(cluster_gates, "now", lambda: CUTOVER + 2.5 * HOUR)
    found, _asked = evaluated(record, None, provider, [MEMBER])
    assert ("last_used" in found) is bool(waits) and (not waits or found["last_used"].state == gates.WAITING)
    if record is DISABLED:
        assert "last_used" not in evaluated(record, None, provider)[0], "all members were deleted"
        assert "last_used" not in evaluated(replace(record, soak=9001), None, provider, [MEMBER])[0], "not yet"


def test_without_a_grace_time_the_last_use_does_not_matter(monkeypatch):
    monkeypatch.setattr(cluster_gates, "now", lambda: CUTOVER + 2.5 * HOUR)
    assert evaluated(replace(GRACE, grace=0), None, issuer(USED), [MEMBER])[0]["last_used"].state == gates.OPEN


def test_a_supplied_key_is_retired_after_a_confirmation():
    record = replace(GRACE, issuer="supplied")
    for options in (None, desired()):
        gate = evaluated(record, options)[0]["confirmation"]
        assert gate.state == gates.WAITING and "AKIAOLD" in gate.detail
    assert evaluated(record, desired(old_key_removed=True))[0]["confirmation"].state == gates.OPEN
    assert "confirmation" not in evaluated(GRACE, desired())[0]


def test_a_gate_is_bypassed_if_it_is_not_open(monkeypatch):
    monkeypatch.setattr(cluster_gates, "now", lambda: CUTOVER)
    found, _asked = evaluated(GRACE, desired(override_gates=("grace", "rke1_nodes")))
    assert found["grace"] == gates.Gate("grace", gates.OPEN, "overridden: 2026-01-01T01:00:00Z")
    assert "overridden" not in found["rke1_nodes"].detail, "it is open"
    assert evaluated(GRACE, desired(override_gates=("soak",)))[0]["grace"].state == gates.WAITING


@pytest.mark.parametrize(("reads", "waiting"), [
    pytest.param({"references": index_of(MACHINE), JOBS: [_job(None)]}, {"machine_jobs": gates.WAITING}, id="a job"),
    pytest.param({"references": index_of(NODE), JOBS: [_job(None)]}, {}, id="a job of another machine"),
    pytest.param({"references": index_of(replace(MACHINE, kind="Cluster")), JOBS: [_job(None)]}, {},
                 id="a job of a machine with the name of a cluster"),
    pytest.param({"references": index_of(MACHINE), "server-version": "v2.6.0"}, {"rancher_version": gates.WAITING},
                 id="an old Rancher"),
    pytest.param({JOBS: ApiError("forbidden", "no", 403)}, {"machine_jobs": gates.UNKNOWN}, id="jobs are forbidden"),
    pytest.param({"references": index_of(MACHINE, unlisted=("x.rke-machine.cattle.io",)), "server-version": ""},
                 {"machine_jobs": gates.UNKNOWN, "rancher_version": gates.UNKNOWN}, id="machines are forbidden"),
    pytest.param({"references": index_of(unlisted=("nodes.management.cattle.io",))}, {"rke1_nodes": gates.UNKNOWN},
                 id="nodes are forbidden"),
])
def test_what_the_cluster_reports(reads, waiting):
    found, _asked = evaluated(GRACE, members=[MEMBER], **reads)
    assert {name: state for name, state in states(found).items() if state != gates.OPEN} == waiting


SNAPSHOTS = Reference("Cluster", "v1", "fleet-default", "prod", "spec.rkeConfig.etcd.s3.cloudCredentialName")
PLANS = {SECRETS: [_plan(b"AKIAOLD")]}


@pytest.mark.parametrize(("index", "member", "state"), [
    pytest.param(index_of(SNAPSHOTS), MEMBER, gates.WAITING, id="used for snapshots"),
    pytest.param(index_of(MACHINE), MEMBER, gates.OPEN, id="used otherwise"),
    pytest.param(index_of(), S3_MEMBER, gates.OPEN, id="not used"),
    *(pytest.param(index_of(unlisted=(name,)), S3_MEMBER, gates.WAITING, id=f"{name} is forbidden") for name in (
        "clusters.provisioning.cattle.io", "rkecontrolplanes.rke.cattle.io", "etcdsnapshots.rke.cattle.io")),
    pytest.param(index_of(unlisted=("etcdsnapshots.rke.cattle.io",)), MEMBER, gates.OPEN, id="of another driver"),
    pytest.param(index_of(SNAPSHOTS, unlisted=("etcdsnapshots.rke.cattle.io",)), MEMBER, gates.WAITING,
                 id="used, and something is forbidden"),
    pytest.param(index_of(unlisted=("others.example.com",)), S3_MEMBER, gates.OPEN, id="something else is forbidden"),
])
def test_plans_matter_if_snapshots_are_stored_with_the_key(index, member, state):
    found, asked = evaluated(GRACE, members=[MEMBER, member], references=index, **PLANS)
    assert found["etcd_s3"].state == state
    read = [(SECRETS, {"fieldSelector": "type=rke.cattle.io/machine-plan"}), ("machine plans", 30)]
    assert [each in asked for each in read] == [state == gates.WAITING] * 2


def test_plans_that_are_forbidden_are_unknown_and_other_errors_are_reported():
    read = {"references": index_of(SNAPSHOTS)}
    found, _asked = evaluated(GRACE, members=[MEMBER], **read, **{SECRETS: ApiError("forbidden", "no", 403)})
    assert found["etcd_s3"].state == gates.UNKNOWN
    with pytest.raises(ApiError, match="no answer"):
        evaluated(GRACE, members=[MEMBER], **read, **{SECRETS: ApiError("unreachable", "no answer", 503)})
