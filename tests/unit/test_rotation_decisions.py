# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of decisions, for all phases, requested states, contents of the credentials and options.

rotation_decisions.txt contains the expected decisions in a readable form. It was written from the implementation
before the table existed; since then, aborting ignores pause_before_cutover, a pause is predicted only while all
credentials contain the old key, a rollback enables and verifies the old key itself instead of stopping, a rotation_id
counts when its rotation was finished, and a cutover that was not verified is verified first.
"""

from __future__ import annotations

import datetime
import itertools
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation import decisions
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation.decisions import (
    STATES,
    Decision,
    RotationRequest,
    classify,
    decide,
    explain,
    find_problem,
    next_step,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation.protocol import RotationProtocol
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation.record import (
    ABORTING,
    IDLE,
    PHASES,
    ROLLING_BACK,
    CredentialSnapshot,
    KeyGeneration,
    RotationRecord,
)

EXPECTED = Path(__file__).with_name("rotation_decisions.txt")
START = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
VALUES = {
    "old": {"id": "k1", "secret": "s1"}, "new": {"id": "k2", "secret": "s2"}, "mixed": {"id": "k1", "secret": "s2"},
    "other": {"id": "x", "secret": "x"}, "past": {"id": "k0", "secret": "s0"},
}
CONTENTS = [
    chosen for count in range(1, 5) for chosen in itertools.combinations(("old", "new", "mixed", "other"), count)
]
IDLE_CONTENTS = [
    ("new",),
    ("past",),
    ("new", "past"),
    ("other",),
    ("past", "other"),
    ("new", "other"),
    ("new", "past", "other"),
]
OPTIONS = {
    "disables": (True, False),
    "repair": (False, True),
    "pause": (False, True),
    "owner": (False, True),
    "id": ("none", "same", "other"),
    "due": (False, True),
    "recorded": (True, False),
    "verified": (True, False),
}
STEPS = {
    "_start": "start", "_issue_and_cut_over": "issue", "_cut_over": "cut_over", "_rewrite_new_key": "roll_forward",
    "_restore_current_key": "restore", "_retire": "retire", "_roll_back": "roll_back", "_abort": "abort",
    "_verify_cutover": "verify", "_adopt": "adopt", "_forget": "forget",
}


def generation(name):
    return KeyGeneration(VALUES[name]["id"], name, VALUES[name])


def record_of(phase, contents, owner="", recorded=True, verified=True):
    members = tuple((f"cc-{number}", f"uid-{number}") for number in range(len(contents)))
    if not recorded:
        return RotationRecord("rotation-x", members, "driver", "issuer", ("id", "secret"))
    keys = {"current": generation("new")} if phase == IDLE else {
        "old": generation("old"), "new": generation("new"), "current": generation("old")}
    return RotationRecord(
        "rotation-x",
        members,
        "driver",
        "issuer",
        ("id", "secret"),
        phase=phase,
        generation=1,
        rotation_id="r1",
        owner=owner,
        past=(VALUES["past"],),
        started_at=START,
        verified_at=START if verified else None,
        completed_id="r1" if phase == IDLE else "r0",
        **keys,
    )


def credentials_of(record, contents):
    return tuple(
        CredentialSnapshot(name, uid, "1", None, VALUES[content], VALUES[content])
        for (name, uid), content in zip(record.members, contents)
    )


def result_of(phase, state, contents, options):
    record = record_of(phase, contents, "someone" if options["owner"] else "", options["recorded"], options["verified"])
    rotation_id = {"none": None, "same": "r1", "other": "r2"}[options["id"]]
    request = RotationRequest(
        state, "token", rotation_id=rotation_id, repair=options["repair"], pause=options["pause"], due=options["due"])
    decision = decide(request, record, classify(record, credentials_of(record, contents)), options["disables"])
    if decision.code:
        return f"error {decision.code}"
    if decision.step:
        return f"{STEPS[decision.step]}{' after gates' if decision.gated else ''}: {' '.join(decision.phases)}"
    waits = [word for word in ("state: retired", "state: rotated", "cutover") if word in decision.message]
    return "stop" + (f", wait {waits[0].rpartition(' ')[2]}" if waits else "")


def combinations(phase):
    """All combinations of the options that can matter in a phase."""
    for values in itertools.product(*OPTIONS.values()):
        options = dict(zip(OPTIONS, values))
        if phase == IDLE and not options["owner"] and options["verified"] or (
                phase != IDLE and options["recorded"] and not options["due"]):
            yield options


def describe(options, names):
    def word(name):
        value = options[name]
        if isinstance(value, str):
            return f"{name}={value}"
        return name if value else f"{name}: no"

    return " ".join(word(name) for name in OPTIONS if name in names) or "always"


def decided(phase, state, contents):
    """The decisions of one cell, with only the options that make a difference."""
    results = {tuple(options.values()): result_of(phase, state, contents, options) for options in combinations(phase)}

    def matters(position, name):
        return any(
            results.get((*key[:position], value, *key[position + 1:]), result) != result
            for key, result in results.items() for value in OPTIONS[name])

    names = {name for position, name in enumerate(OPTIONS) if matters(position, name)}
    return tuple(sorted({(describe(dict(zip(OPTIONS, key)), names), result) for key, result in results.items()}))


def render():
    lines = []
    for phase, state in itertools.product(PHASES, STATES):
        rows = {}
        for contents in IDLE_CONTENTS if phase == IDLE else CONTENTS:
            rows.setdefault(decided(phase, state, contents), []).append("+".join(contents))
        for row, contents in rows.items():
            lines.append(f"{phase} / {state} / {', '.join(contents)}")
            lines += [f"    {options} -> {result}" for options, result in row]
    return "\n".join(lines) + "\n"


def test_the_table_decides_as_expected():
    assert render() == EXPECTED.read_text(encoding="utf-8")


DECISIONS = {name: value for name, value in vars(decisions).items() if isinstance(value, Decision)}


@pytest.mark.parametrize("name", DECISIONS)
def test_a_decision_is_a_step_or_a_message(name):
    decision = DECISIONS[name]
    if decision.step:
        assert (
            callable(getattr(RotationProtocol, decision.step))
            and decision.label
            and not decision.message
            and not decision.code
        )
    else:
        assert not decision.phases and (decision.message or not decision.code)
    record = record_of("grace", ("old", "mixed", "other"))
    text = explain(decision, None, record, credentials_of(record, ("old", "mixed", "other")))
    assert "{" not in text and "s1" not in text and "s2" not in text


@pytest.mark.parametrize("phase", PHASES)
def test_each_phase_has_a_next_step(phase):
    assert next_step(phase) and all(
        next_step(phase, content)
        for content in ("missing", *(("current",) if phase == IDLE else ("old", "new", "mixed")))
    )


@pytest.mark.parametrize(
    ("phase", "content", "code"),
    [
        pytest.param("idle", "new", None, id="idle, current key"),
        pytest.param("idle", "past", "restored", id="idle, past key"),
        pytest.param("idle", "other", None, id="idle, unknown key"),
        pytest.param("preparing", "old", None, id="preparing, old key"),
        pytest.param("issued", "old", None, id="issued, old key"),
        pytest.param("grace", "new", None, id="grace, new key"),
        pytest.param("grace", "old", "drift", id="grace, old key"),
        pytest.param("disabled", "old", "drift", id="disabled, old key"),
        pytest.param("deleting", "old", "drift", id="deleting, old key"),
        pytest.param("rolling_back", "old", None, id="rolling_back, old key"),
        pytest.param("rolling_back", "new", None, id="rolling_back, new key"),
        pytest.param("aborting", "old", None, id="aborting, old key"),
        pytest.param("issued", "mixed", "drift", id="issued, mixed keys"),
        pytest.param("grace", "other", "drift", id="grace, unknown key"),
        pytest.param("preparing", "other", "drift", id="preparing, unknown key"),
    ],
)
def test_problems(phase, content, code):
    record = record_of(phase, (content,))
    problem = find_problem(record, credentials_of(record, (content,))[0])
    assert (problem and problem.code) == code and (problem is None or "cc-0" in problem.message)


def test_a_credential_that_was_recreated_does_not_count():
    record = record_of("grace", ("new", "new"))
    item, two = credentials_of(record, ("new", "new"))
    recreated = CredentialSnapshot(two.id, "another", "1", None, VALUES["old"], VALUES["old"])
    assert classify(record, (item, None)) == classify(record, (item, recreated)) == "new"
    assert classify(record, (None, recreated)) == decisions.MISSING
    message = explain(decisions.GONE, None, record, (item, recreated))
    assert "cc-1" in message and "cc-0" not in message and "rotation-x" in message


@pytest.mark.parametrize(
    ("rotation_id", "completed_id", "starts"),
    [
        pytest.param("r1", "r1", False, id="completed"),
        pytest.param("r1", None, True, id="begun, but not completed"),
        pytest.param("r2", "r1", True, id="another one"),
    ],
)
def test_a_rotation_id_counts_when_its_rotation_was_completed(rotation_id, completed_id, starts):
    record = replace(record_of(IDLE, ("new",)), rotation_id="r1", completed_id=completed_id)
    request = RotationRequest("rotated", "token", rotation_id=rotation_id)
    assert (decide(request, record, "current", True) is decisions.START) == starts


# A rotation whose old key ends at the cutover neither aborts nor rolls back after it.
@pytest.mark.parametrize("phase, ends", [
    *((phase, False) for phase in PHASES if phase != IDLE),
    *((phase, True) for phase in PHASES if phase not in (IDLE, ROLLING_BACK, ABORTING)),
])
def test_no_message_advises_what_would_be_refused(phase, ends):
    for contents in CONTENTS:
        record = replace(record_of(phase, contents), old_key_ends_at_cutover=ends)
        credentials = credentials_of(record, contents)
        content = classify(record, credentials)
        messages = [
            explain(decision, request, record, credentials)
            for request in (RotationRequest(state, "token") for state in STATES)
            for decision in [decide(request, record, content, True)] if decision.code
        ]
        if len(credentials) == 1 and (problem := find_problem(record, credentials[0])):
            messages.append(problem.message)
        for message in messages:
            for advice, request in (
                ("state: rolled_back", RotationRequest("rolled_back", "token")),
                ("repair: true with state: rotated", RotationRequest("rotated", "token", repair=True)),
            ):
                if advice in message:
                    assert not decide(request, record, content, True).code, (contents, message)
