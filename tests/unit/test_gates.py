# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gates: the conditions for disabling an old key."""

from __future__ import annotations

import base64
import datetime
import gzip
import json
from types import SimpleNamespace

import pytest
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
    ],
)
def test_machine_jobs(job, state):
    gate = gates.machine_jobs([job], {("fleet-default", "prod-1")}, CUTOVER)
    assert gate.state == state and (state == gates.OPEN or "fleet-default/job" in gate.detail)


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
    ],
)
def test_rancher_version(version, references, state):
    assert gates.rancher_version(version, references).state == state


def test_last_use():
    def state_of(used, key="AKIAOLD"):
        return gates.last_used([Key(key, last_used=used)], "AKIAOLD", HOUR, CUTOVER + 2 * HOUR).state

    assert state_of(None) == state_of(CUTOVER) == state_of(CUTOVER + 2 * HOUR, "AKIANEW") == gates.OPEN
    assert state_of(CUTOVER + 1.5 * HOUR) == gates.WAITING
    late = [Key("AKIAOLD", last_used=CUTOVER + HOUR)]
    assert gates.last_used(late, "AKIAOLD", datetime.timedelta(0), CUTOVER).state == gates.OPEN, (
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
