# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook leaked_key."""

from __future__ import annotations

import time

from support.cluster import SECRETS
from support.rotations import changed
from support.stopwatch import seconds_until


def test_a_leaked_key_is_replaced_and_out_of_service_at_once(leak):
    leak.add(2)
    first, other = leak.members
    first.add(f"{first.id}-s3", "s3")
    key = first.key["accessKey"]
    mark = leak.cluster.control_plane.audit_mark()
    plan = leak.leaked(key, "--check")
    assert (
        f"{key}: used by cattle-global-data:{first.id}, cattle-global-data:{first.id}-s3" in plan
        and "would go through" in plan
    )
    for identifier in (first.id, f"{first.id}-s3"):
        assert f"cattle-global-data:{identifier} uses {key}: rotate it, then disable {key}" in plan
    assert "known only after the rotation" in plan and "nothing to do" not in plan, plan
    assert not leak.cluster.writes(mark) and leak.original(first)

    output = leak.leaked(key)
    assert (
        first.works() and first.live["accessKey"] != key and first.keys[key] == "Inactive" and leak.original(other)
    ), output
    status = leak.status(first)
    done = f"cattle-global-data:{first.id} has replaced {key} with {status['key_id']}; {key} is disabled"
    assert done in output and done in leak.leaked(key, "--check"), output
    assert (status["phase"], status["reason"], len(status["members"])) == (
        "disabled",
        f"compromise: {key} has leaked",
        2,
    )

    mark = leak.cluster.control_plane.audit_mark()
    again = leak.leaked(key)
    assert f"{key}: no credential uses it; the old key of cattle-global-data:{first.id}" in again
    assert changed(again) == 0 and not leak.cluster.writes(mark)


def test_the_key_that_a_rotation_has_brought(leak):
    """AWS allows two keys, so the key before the leaked one is deleted first."""
    leak.add(1)
    (member,) = leak.members
    leak.run("rotate")
    key = member.live["accessKey"]
    assert len(member.keys) == 2
    retirement = f"retire its old key {member.key['accessKey']}, rotate it, then disable {key}"
    assert retirement in leak.leaked(key, "--check")
    output = leak.leaked(key)
    assert retirement in output and f"; the old key is {key}" in output, output
    assert member.works() and member.live["accessKey"] != key, output
    assert member.keys == {member.live["accessKey"]: "Active", key: "Inactive"}


def test_the_old_key_of_a_rotation(leak):
    leak.add(1)
    (member,) = leak.members
    leak.run("rotate")
    new = member.live
    leak.leaked(member.key["accessKey"])
    assert member.live == new and member.keys == {new["accessKey"]: "Active", member.key["accessKey"]: "Inactive"}


def test_a_key_that_cannot_be_taken_out_of_service(leak):
    leak.add(1)
    (member,) = leak.members
    leak.run("rotate")
    leak.spoil(member)
    output = leak.leaked(member.key["accessKey"], code=2)
    assert (
        "Fail if a rotation is stuck" in output and "was changed by another client" in output and len(member.keys) == 2
    ), output
    assert "16 to 128 letters" in leak.leaked("{{ 'short' }}", code=2)
    assert "no credential uses it" in leak.leaked("AKIANOBODYHASTHIS1")


def test_the_leaked_key_is_disabled_and_others_are_kept(leak, record_property):
    """Reports the time, also against a playbook that only reads the rotations. New keys of AWS work at once here."""
    leak.add(10)
    leaked, *others = leak.members
    key = leaked.key["accessKey"]
    started = time.monotonic()
    leak.run("rotation_status")
    reading = time.monotonic() - started
    seconds, _output = seconds_until(lambda: leaked.keys.get(key) == "Inactive", lambda: leak.leaked(key))
    print(f"from the command to the disabled key: {seconds:.1f} s, {seconds / reading:.1f} times rotation_status")
    record_property("seconds from the command to the disabled key", seconds)
    assert leaked.keys[key] == "Inactive" and leaked.works() and all(len(member.keys) == 1 for member in others)


def test_the_key_of_a_deleted_credential(leak):
    leak.add(2)
    member, _other = leak.members
    leak.run("rotate")
    new = member.live["accessKey"]
    leak.cluster.api.delete(f"{SECRETS}/{member.id}")
    output = leak.leaked(new, code=2)
    assert f"a key of the deleted cattle-global-data:{member.id}" in output and "may still be valid" in output
