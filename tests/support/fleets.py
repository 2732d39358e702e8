# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fleets as cloud_credential_info returns them, to make reports of: as many credentials as wanted, and names that attack."""

from __future__ import annotations

import datetime
import random

from ansible_collections.ranchhand.rancher.plugins.module_utils._health.problems import LEVELS as CODES

NOW = datetime.datetime(2026, 11, 24, 7, 30, tzinfo=datetime.timezone.utc)

# Each would do something if it were taken for anything but a name.
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

_DRIVERS = ("amazonec2", "amazonec2", "amazonec2", "azure", "google", "vmwarevsphere", "digitalocean", "openstack", "harvester", "s3")
_OWNERS = ("alice", "bob", "carol", "dave", "erin", "platform-team", "billing", None)
_TEAMS = ("payments", "search", "checkout", "data lake", "edge", "identity", "mobile", "ml training", "observability", "ci")
_STAGES = ("prod", "staging", "dev", "sandbox")
_MESSAGES = {
    "unreadable": "has fields of several drivers (azure, digitalocean), of which Rancher reads one at random",
    "owner_gone": "its owner u-x7k2p does not exist any more", "driver_inactive": "the node driver of these fields is not active",
    "template_broken": "the node template cattle-global-nt:nt-h6x2m refers to a field that is not there",
    "duplicate_name": "another credential of this owner has the same name", "shared_key": "another credential holds the same key",
    "unused": "nothing refers to it", "overdue": "its key is older than the policy allows", "drift": "holds another value than the rotation put in",
    "restored": "holds a retired key again, as after a restore", "stuck_rotation": "its rotation did not come on for 9 days",
    "expired": "the certificate in its kubeconfig has ended", "expires_soon": "the token in its kubeconfig ends in 12 days",
}
_PHASES = ("preparing", "issued", "grace", "disabling", "disabled", "deleting", "idle")


def fleet(count, ranchers=("prod-eu", "prod-us", "lab"), unread=True, names=None, seed=7):
    """Results by the name of the Rancher; the same for the same arguments."""
    chance = random.Random(seed)
    found = {rancher: {"changed": False, "credentials": []} for rancher in ranchers}
    for number in range(count):
        rancher = ranchers[min(chance.randrange(len(ranchers) + 1), len(ranchers) - 1)]
        found[rancher]["credentials"].append(_credential(chance, number, names[number % len(names)] if names else None))
    if count:
        found[ranchers[0]]["dangling"] = [{"id": "cattle-global-data:cc-gone1", "references": [_reference(chance, "cc-gone1")]}]
        found[ranchers[-1]]["problems_incomplete"] = ["owner_gone: this connection may not list users.management.cattle.io"]
        found[ranchers[-1]]["references_incomplete"] = ["nodepools.management.cattle.io"]
    if unread:
        found["dr-site"] = {
            "changed": False, "failed": False, "code": "unreachable", "msg": "https://dr.example.com:6443 cannot be reached: connection refused"}
    return found


def _credential(chance, number, name):
    driver, owner = chance.choice(_DRIVERS), chance.choice(_OWNERS)
    identifier = f"cc-{number:05d}"
    name = name or f"{chance.choice(_TEAMS)} {chance.choice(_STAGES)} {driver.replace('amazonec2', 'aws')}" + (f" {number}" if number > 40 else "")
    max_age = chance.choice((90, 90, 90, 180, 365, None))
    age = int(chance.betavariate(1.4, 2.2) * (max_age or 200) * 1.7)
    references = [] if chance.random() < 0.2 else [_reference(chance, identifier) for _one in range(chance.choice((1, 1, 2, 2, 3, 5, 12)))]
    rotation = _rotation(chance, age)
    due_at = None if max_age is None else NOW + datetime.timedelta(days=max_age - age, hours=1)
    codes = [code for code in CODES if code not in ("unused", "overdue") and chance.random() < 0.012]
    codes += ["overdue"] if due_at and due_at < NOW else []
    codes += ["unused"] if not references else []
    return {
        "id": f"cattle-global-data:{identifier}", "name": name, "driver": None if "unreadable" in codes else driver,
        "owner": f"u-{abs(hash_of(owner)):05x}", "owner_name": owner, "description": chance.choice(("", "", "billing: team a")),
        "config": {"defaultRegion": "eu-central-1"}, "secret_fields": ["secretKey"], "created_at": _iso(NOW - datetime.timedelta(days=age + 300)),
        "age": (age + 300) * 86400, "references": references, "key_age": age * 86400 + 4711,
        "key_age_from": chance.choice(("record", "record", "annotation", "cloud", "secret")), "max_age": max_age and max_age * 86400,
        "due_at": due_at and _iso(due_at), "due": bool(due_at and due_at < NOW), "rotation": rotation,
        "problems": [{"code": code, "level": CODES[code], "message": _MESSAGES[code]} for code in codes],
    }


def hash_of(owner):
    return sum(map(ord, owner or "nobody")) * 131


def _reference(chance, identifier):
    kind, version, namespace, field = chance.choice((
        ("Cluster", "provisioning.cattle.io/v1", "fleet-default", "spec.cloudCredentialSecretName"),
        ("Cluster", "provisioning.cattle.io/v1", "fleet-default", "spec.rkeConfig.etcd.s3.cloudCredentialName"),
        ("NodeTemplate", "management.cattle.io/v3", "cattle-global-nt", "spec.cloudCredentialName"),
        ("Amazonec2Config", "rke-machine-config.cattle.io/v1", "fleet-default", "cloudCredentialSecretName"),
    ))
    name = f"{chance.choice(_TEAMS).replace(' ', '-')}-{chance.choice(_STAGES)}-{chance.randrange(60)}"
    return {"kind": kind, "api_version": version, "namespace": namespace, "name": name, "field": field}


def _rotation(chance, age):
    generation = chance.randrange(4)
    phase = chance.choice(("grace", "disabled", "issued", "rolling_back")) if generation and chance.random() < 0.12 else "idle"
    rotated = NOW - datetime.timedelta(days=age)
    transitions = []
    for past in range(generation):
        begun = rotated - datetime.timedelta(days=90 * (generation - past - 1) + 9)
        for index, step in enumerate(_PHASES):
            at = _iso(begun + datetime.timedelta(hours=32 * index))
            transitions.append({"at": at, "phase": step, "what": f"{step.lower()} AKIAEXAMPLE{past}", "run": "5f0c1d2e"})
    return {
        "phase": phase, "generation": generation, "next_step": {"idle": "rotate", "grace": "disable the old key"}.get(phase, "delete the old key"),
        "issuer": "aws" if generation else None, "rotation_id": None, "reason": None, "key_id": "AKIAEXAMPLE2" if generation else None,
        "old_key_id": None if phase == "idle" else "AKIAEXAMPLE1", "running": False,
        "waiting_for": [] if phase == "idle" else ["grace: until 2026-11-25T07:30:00+00:00", "machine_jobs: 2 jobs began before the cutover"],
        "started_at": None, "issued_at": None, "cutover_at": None, "disabled_at": None, "rotated_at": _iso(rotated) if generation else None,
        "expires_at": _iso(rotated + datetime.timedelta(days=365)) if generation == 3 else None,
        "retire_not_before": None, "delete_not_before": None, "transitions": transitions[-20:],
    }


def _iso(time):
    return time.isoformat(timespec="seconds")
