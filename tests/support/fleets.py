# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Generated results of cloud_credential_info for several Ranchers, to build reports from."""

from __future__ import annotations

import datetime
import random

from ansible_collections.ranchhand.rancher.plugins.module_utils._common.problems import PROBLEM_LEVELS
from ansible_collections.ranchhand.rancher.plugins.module_utils._common.times import format_time

NOW = datetime.datetime(2026, 11, 24, 7, 30, tzinfo=datetime.timezone.utc)

# Each would have an effect if it were treated as anything else than a name.
HOSTILE = [
    "{{ lookup('ansible.builtin.pipe', 'touch hostile') }}",
    "{% for x in ().__class__.__base__.__subclasses__() %}{{ x }}{% endfor %}",
    "</script><script>window.hostile=1</script>",
    "<!--<script>",
    "\"><img src=x onerror=\"window.hostile=1\">",
    "@style@ @data@ ${window.hostile=1} \\u003cb>",
    "=HYPERLINK(\"http://hostile.example\",\"click\")",
    "  +cmd|' /C calc'!A0",
    "\uff1d1+1",
    "-2+3;@SUM(1)",
    "a | b || `c` ``d`` [e](http://hostile.example) ![f](http://hostile.example/f.png)",
    "https://hostile.example/ www.hostile.example mail@hostile.example",
    "line\nbreak\r\n# heading\n| cell |",
    "back\\slash \\n quote\" } 1\nranchhand_rancher_up{rancher=\"forged\"} 1",
    "abc\u202egnp.exe\u2066 zero\u200bwidth",
    "nul\x00 bell\x07 escape\x1b[31m",
    "surrogate \ud800 emoji \U0001f511 \u05de\u05e4\u05ea\u05d7 \u092e\u0941\u0916\u094d\u092f",
    "long " + "x" * 400,
    "javascript:window.hostile=1",
    "__proto__",
    "constructor",
    "toString",
]

_DRIVERS = (
    "amazonec2", "amazonec2", "amazonec2", "azure", "google", "vmwarevsphere", "digitalocean", "openstack", "harvester",
    "s3",
)
_OWNERS = ("alice", "bob", "carol", "dave", "erin", "platform-team", "billing", None)
_TEAMS = (
    "payments", "search", "checkout", "data lake", "edge", "identity", "mobile", "ml training", "observability", "ci",
)
_ENVIRONMENTS = ("prod", "staging", "dev", "sandbox")
# With {driver}, and {cluster}, which uses the credential.
_MESSAGES = {
    "unreadable": "has fields of several drivers ({driver}, linode), of which Rancher reads a random one",
    "malformed": "its annotation rancher.io/expiration-timestamp is not a time",
    "owner_gone": "its owner u-x7k2p is no longer a user of this Rancher, so only administrators see it",
    "driver_inactive": "driver {driver} is not active in this Rancher",
    "template_broken": "node template {cluster} (cattle-global-nt:nt-h6x2m), which uses it, has driver linode",
    "duplicate_name": "has the same name and driver as cattle-global-data:cc-00007",
    "shared_key": "contains the same key as cattle-global-data:cc-00007",
    "unused": "no object refers to it", "overdue": "its key was due for rotation {late} days ago",
    "drift": "drift: it contains another value", "restored": "contains a retired key again, as after a restore",
    "record_unreadable": "cannot read the rotation record in ConfigMap rancher-credential-rotation/rotation-cc-7",
    "stuck_rotation": "its rotation has been in phase {phase} for 216 hours longer than expected",
    "expired": "the token in its kubeconfig expired at 2026-11-20T07:30:00Z",
    "expires_soon": "the token in its kubeconfig expires at 2026-12-06T07:30:00Z",
    "reference_unresolved": (
        "Cluster fleet-default/{cluster} (spec.cloudCredentialSecretName) spells it fleet-default:cc-1, which Rancher "
        "does not resolve"
    ),
    "driver_mismatch": "pool {cluster}/workers, which uses it, creates machines of driver linode",
    "config_contradicts": "the machine config of pool {cluster}/workers sets clientId to another value",
    "config_repeats": "the machine config of pool {cluster}/workers sets clientId too",
    "sync_failed": "the last sync of Cluster c-m-4x7zp with it failed: [Syncing error: syncing failed] 403",
    "key_refused": "its key does not work: DigitalOcean does not accept the key (HTTP status 401)",
    "key_forbidden": "its key lacks a permission: DigitalOcean does not allow it",
}
# Problems that only credentials of some drivers can have, and those of the clusters that use a credential.
_DRIVERS_OF = {
    "expired": ("harvester",), "expires_soon": ("harvester",), "config_contradicts": ("azure",),
    "config_repeats": ("azure",), "sync_failed": ("amazonec2", "azure", "google"),
    "key_refused": ("digitalocean",), "key_forbidden": ("digitalocean",),
}
_OF_CLUSTERS = ("reference_unresolved", "driver_mismatch", "config_contradicts", "config_repeats", "sync_failed")
_ISSUERS = {"amazonec2": "aws", "s3": "aws", "harvester": "kubernetes", "openstack": "openstack"}
_PHASES = ("preparing", "issued", "grace", "disabling", "disabled", "deleting", "idle")
_NEXT_STEPS = {
    "idle": "rotate", "issued": "write the new key", "grace": "disable the old key", "disabled": "delete the old key",
    "rolling_back": "write the old key",
}
# Fields of clusters that a cloud provider hosts.
_HOSTED = {
    "amazonec2": "spec.eksConfig.amazonCredentialSecret", "azure": "spec.aksConfig.azureCredentialSecret",
    "google": "spec.gkeConfig.googleCredentialSecret",
}


def fleet(count, ranchers=("prod-eu", "prod-us", "lab"), unread=True, names=None, seed=7):
    """Return results by the name of the Rancher; equal arguments give equal results."""
    chance = random.Random(seed)
    results = {rancher: {"changed": False, "credentials": []} for rancher in ranchers}
    for number in range(count):
        rancher = ranchers[min(chance.randrange(len(ranchers) + 1), len(ranchers) - 1)]
        name = names[number % len(names)] if names else None
        results[rancher]["credentials"].append(_credential(chance, number, name))
    if count:
        results[ranchers[0]]["dangling"] = [
            {"id": "cattle-global-data:cc-gone1", "references": [_reference(chance, "s3", "edge-prod")]},
        ]
        results[ranchers[-1]]["problems_incomplete"] = [
            "owner_gone: this connection may not list users.management.cattle.io",
        ]
        results[ranchers[-1]]["references_incomplete"] = ["nodepools.management.cattle.io"]
    if unread:
        results["dr-site"] = {
            "changed": False, "failed": False, "code": "unreachable",
            "msg": "https://dr.example.com:6443 cannot be reached: connection refused",
        }
    return results


def _credential(chance, number, name):
    driver, owner = chance.choice(_DRIVERS), chance.choice(_OWNERS)
    team, environment = chance.choice(_TEAMS), chance.choice(_ENVIRONMENTS)
    suffix = f" {number}" if number > 40 else ""
    name = name or f"{team} {environment} {driver.replace('amazonec2', 'aws')}{suffix}"
    cluster = f"{team}-{environment}".replace(" ", "-")
    max_age = chance.choice((90, 90, 90, 180, 365, None))
    age = int(chance.betavariate(1.4, 2.2) * (max_age or 200) * 1.7)
    references = []
    if chance.random() >= 0.2:
        count = chance.choice((1, 1, 2, 2, 3, 5, 12))
        references = [_reference(chance, driver, f"{cluster}-{part}") for part in range(1, count + 1)]
    rotation = _rotation(chance, age, _ISSUERS.get(driver, "supplied"))
    due_at = None if max_age is None else NOW + datetime.timedelta(days=max_age - age, hours=1)
    overdue = bool(due_at and due_at < NOW)
    codes = [
        code for code in PROBLEM_LEVELS if chance.random() < 0.03 and _is_possible(code, driver, references, rotation)
    ]
    codes += ["overdue"] if overdue else []
    codes += ["unused"] if not references else []
    words = {
        "driver": driver, "cluster": f"{cluster}-1", "phase": rotation["phase"],
        "late": (NOW - due_at).days if overdue else 0,
    }
    return {
        "id": f"cattle-global-data:cc-{number:05d}", "name": name, "driver": None if "unreadable" in codes else driver,
        "owner": f"u-{sum(map(ord, owner or 'none')) * 131:05x}", "owner_name": owner,
        "description": chance.choice(("", "", "billing: team a")),
        "config": {"defaultRegion": "eu-central-1"}, "secret_fields": ["secretKey"],
        "created_at": format_time(NOW - datetime.timedelta(days=age + 300)), "age_seconds": (age + 300) * 86400,
        "references": references, "key_age_seconds": age * 86400 + 4711,
        "key_age_source": "record" if rotation["generation"] else chance.choice(("annotation", "provider", "secret")),
        "max_age_seconds": max_age and max_age * 86400,
        "due_at": due_at and format_time(due_at), "due": overdue, "rotation": rotation,
        "problems": [
            {"code": code, "level": PROBLEM_LEVELS[code], "message": _MESSAGES[code].format(**words)} for code in codes
        ],
    }


def _is_possible(code, driver, references, rotation):
    """Whether a credential can have a problem by chance; overdue and unused follow from its data."""
    if code in ("unused", "overdue", "gone"):
        return False
    kinds = {reference["kind"] for reference in references}
    if (code in _OF_CLUSTERS and "Cluster" not in kinds) or (code == "template_broken" and "NodeTemplate" not in kinds):
        return False
    if code in ("drift", "stuck_rotation"):
        return rotation["phase"] != "idle"
    if code in ("restored", "record_unreadable"):
        return rotation["generation"] > 0 and rotation["phase"] == "idle"
    return driver in _DRIVERS_OF.get(code, _DRIVERS)


def _reference(chance, driver, name):
    """Return a reference from a cluster, node template or machine. `_rancher/references.py` lists the kinds."""
    provisioning = {"kind": "Cluster", "api_version": "provisioning.cattle.io/v1", "namespace": "fleet-default"}
    management = {"api_version": "management.cattle.io/v3", "name": name}
    kind = chance.randrange(5)
    if driver == "s3":
        return {**provisioning, "name": name, "field": "spec.rkeConfig.etcd.s3.cloudCredentialName"}
    if kind == 0:
        field = "spec.cloudCredentialName"
        return {**management, "kind": "NodeTemplate", "namespace": "cattle-global-nt", "field": field}
    if kind == 1 and driver in _HOSTED:
        return {**management, "kind": "Cluster", "namespace": None, "field": _HOSTED[driver]}
    if kind == 2:
        return {
            "kind": f"{driver.capitalize()}Machine", "api_version": "rke-machine.cattle.io/v1",
            "namespace": "fleet-default", "name": f"{name}-workers-{chance.randrange(16 ** 5):05x}",
            "field": "spec.common.cloudCredentialSecretName",
        }
    return {**provisioning, "name": name, "field": "spec.cloudCredentialSecretName"}


def _rotation(chance, age, issuer):
    generation = chance.randrange(4)
    phase = "idle"
    if generation and chance.random() < 0.12:
        phase = chance.choice(("grace", "disabled", "issued", "rolling_back"))
    key_id = "AKIAEXAMPLE{}" if issuer == "aws" else issuer + "-key-{}"
    rotated_at = NOW - datetime.timedelta(days=age)
    transitions = []
    for past in range(generation):
        steps = _PHASES
        if past == generation - 1 and phase != "idle":
            steps = (*_PHASES[:3], phase) if phase == "rolling_back" else _PHASES[:_PHASES.index(phase) + 1]
        elif chance.random() < 0.12:
            steps = ("preparing", "aborting", "idle")
        started_at = rotated_at - datetime.timedelta(days=90 * (generation - past - 1) + 9)
        transitions += [
            {
                "at": format_time(started_at + datetime.timedelta(hours=32 * index)), "phase": step,
                "what": f"{step} {key_id.format(past + 1)}", "run": "5f0c1d2e",
            } for index, step in enumerate(steps)
        ]
    waiting_for = ["grace: until 2026-11-25T07:30:00Z", "machine_jobs: 2 jobs started before the cutover"]
    return {
        "phase": phase, "generation": generation, "next_step": _NEXT_STEPS[phase],
        "issuer": issuer if generation else None, "rotation_id": None, "reason": None,
        "key_id": key_id.format(generation) if generation else None,
        "old_key_id": None if phase == "idle" else key_id.format(generation - 1),
        "running": False, "waiting_for": [] if phase == "idle" else waiting_for,
        "started_at": None, "issued_at": None, "cutover_at": None, "disabled_at": None,
        "rotated_at": format_time(rotated_at) if generation else None,
        "expires_at": format_time(rotated_at + datetime.timedelta(days=365)) if generation == 3 else None,
        "retire_not_before": None, "delete_not_before": None, "transitions": transitions[-20:],
    }
