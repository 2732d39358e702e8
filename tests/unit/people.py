# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""People: what they may do between two calls, what runs must not do then, and how an operator follows messages.

A run reads what it proves a few calls before the step. What people do in between cannot be noticed by anything, so a
step is checked only if they did nothing since (FakeRun.undisturbed).
"""

from __future__ import annotations

import datetime
from dataclasses import replace

from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation.checks import SKEW
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation.record import (
    DELETING,
    GRACE,
    IDLE,
    ISSUED,
    PREPARING,
)

from .fake_backend import CONFIRMED, Admin, Given, Owner, finish, pair

MINUTES = 60
REPORT = 15  # calls from the proof of what a run reports to its end
CUTOVER = 8  # of these, from the last read of the credentials before the verification after the cutover


class Violation(AssertionError):
    pass


class Invariants:
    """Raises Violation for what a run must never do."""

    def __init__(self, shared):
        self.shared = shared

    def before(self, run):
        check = getattr(self, f"_{run.call.name}", None)
        if check:
            check(run, *run.call.arguments)

    def _fail(self, run, what):
        self.shared.violation = f"{run.protocol.request.state}: {what}"
        raise Violation(self.shared.violation)

    def _reaches(self, run, key, by):
        """Whether a request changes this key."""
        shared = self.shared
        found = shared.provider.get(key)
        if found is None or shared.refusals or shared.ignored or shared.issuer is Given:
            return False
        if shared.issuer is Owner and by["id"] not in shared.provider:
            return False
        if issubclass(shared.issuer, Admin):
            return found.account == run.account
        return shared.signs_in(by)

    def _verify(self, run, values, _by):
        """Where accounts lock, no value is tried before it can be valid, or too often."""
        attempts, record = run.shared.issuer.verify_attempts, run.protocol.record
        if attempts is None:
            return
        if run.refused[values["id"]] >= attempts:
            self._fail(run, "signs in again with a refused value")
        in_use = values in [credential.values for credential in run.shared.existing]
        if record.new and record.new.key == values["id"] and record.activating_at is None and not in_use and (
            run.protocol.request.state != "adopted"
        ) and not record.new.version.rpartition("-")[2].startswith("a"):
            self._fail(run, "signs in with a value that the provider cannot know")

    def _disable(self, run, key, by):
        self._take(run, key, by)

    def _delete(self, run, key, by):
        shared, record = self.shared, run.protocol.record
        if self._reaches(run, key, by):
            found = shared.provider[key]
            recorded = record.old and record.old.key == key
            if found.creator == "person" and not recorded:
                self._fail(run, "deletes a key that a person made")
            if found.creator == "start" and not recorded:
                self._fail(run, "deletes a key that is not recorded")
            disabled_at = record.disabled_at
            if recorded and disabled_at and found.last_used and found.last_used > disabled_at + SKEW and (
                    record.phase == DELETING and not run.override and run.undisturbed):
                self._fail(run, "deletes a key that was used after it was disabled")
            if found.enabled and run.protocol.can_disable and run.undisturbed and run.protocol.credentials:
                self._fail(run, "deletes a key that is enabled")
        self._take(run, key, by)

    def _take(self, run, key, by):
        shared = self.shared
        if not self._reaches(run, key, by) or not run.undisturbed_for(CONFIRMED):
            return
        if key in [credential.values["id"] for credential in shared.existing]:
            self._fail(run, "takes away the key in use")
        stored = shared.record
        if stored is None or stored.phase == IDLE and run.protocol.request.state != "forgotten":
            self._fail(run, "takes away a key without a record")
        if not run.undisturbed:
            return
        members = shared.record.present(shared.credentials) if shared.record else shared.existing
        if shared.works(key) and any(not shared.signs_in(member.values) for member in members):
            self._fail(run, "takes away the last key that works")

    def _issue(self, run, by, _mark):
        shared = self.shared
        if shared.issuer is Admin and not shared.refusals and run.undisturbed:
            live = shared.provider.get(by["id"])
            if live is not None and live.account != run.account:
                self._fail(run, "issues a key for another user")

    def _write_credential(self, run, credential, token, values):
        shared, record = self.shared, run.protocol.record
        stored = shared.credentials[int(credential.id.rpartition("-")[2])]
        if not values or stored is None or stored.resource_version != credential.resource_version:
            return
        before = stored.values
        if record.phase == IDLE:
            return
        if shared.issuer is Given and record.phase in (PREPARING, ISSUED) and run.protocol.request.state == "rotated":
            if values != run.protocol.issuer.next_values():
                self._fail(run, "writes another value than the supplied one")
        known = [key.digests for key in (record.old, record.new) if key]
        parts = [name for name in before if before[name] not in [digests[name] for digests in known]]
        if parts:
            self._fail(run, "overwrites a value of another client")
        if not run.undisturbed:
            return
        kept = [dict(generation.values) for generation in shared.generations.values()]
        if before in known and dict(before) not in kept:
            self._fail(run, "overwrites a value that is not kept")
        if shared.issuer is not Given and not shared.signs_in(values):
            self._fail(run, "writes a key that does not work")

    def _write_record(self, run, record, _stored):
        shared = self.shared
        begun = shared.record is not None and shared.record.generation == record.generation
        if record.phase != PREPARING or begun or not run.undisturbed:
            return
        values = [credential.values for credential in shared.existing]
        if any(each != values[0] for each in values):
            self._fail(run, "starts a rotation of credentials that contain different values")
        if run.protocol.issuer.next_values() in values:
            self._fail(run, "starts a rotation to the value in use")

    def _store_generation(self, run, _name, record, _epoch, values, *_known):
        if run.protocol.request.state == "adopted" and run.undisturbed_for(CONFIRMED):
            if any(credential.values != values for credential in record.present(self.shared.credentials)):
                self._fail(run, "adopts a value that a credential does not contain")

    def _delete_generation(self, run, generation):
        shared = self.shared
        key = shared.provider.get(generation.values["id"])
        if run.protocol.request.state == "forgotten" or shared.issuer is Given or not run.undisturbed:
            return
        if shared.issuer.lists and key and key.enabled and key.creator == "run":
            if generation.values["id"] not in [credential.values["id"] for credential in shared.existing]:
                self._fail(run, "drops the value of a key that still works")

    def ended(self, run):
        """Check that a run reports only what is so."""
        shared, outcome, error = self.shared, run.outcome, run.error
        text = f"{error} {outcome and outcome.waiting}"
        stored = "" if shared.record is None else str(shared.record.transitions) + str(shared.record.members)
        if "secret-" in text + stored:
            self._fail(run, "reports a secret")
        if error is not None and "Nothing was changed" in str(error) and run.performed:
            self._fail(run, f"reports that nothing was changed after {run.performed}")
        cut_over = outcome is not None and run.protocol.request.state == "rotated" and outcome.steps[-1:] == (GRACE,)
        window = CUTOVER if cut_over else REPORT
        if not run.undisturbed_for(window) or shared.record and shared.record.owner not in (
                "", run.protocol.request.token):
            return
        works = all(shared.signs_in(member.values) for member in shared.existing) or shared.issuer is Given
        if error is not None:
            if ("is in use again" in str(error) or "is still in use" in str(error)) and not works:
                self._fail(run, "reports a key in use that does not work")
        elif outcome.record is not None:
            self._check_outcome(run, outcome, works)

    def _check_outcome(self, run, outcome, works):
        shared, state, record = self.shared, run.protocol.request.state, outcome.record
        if state == "rotated" and not outcome.waiting and record.phase == IDLE and not outcome.steps and (
                record.completed_id != run.protocol.request.rotation_id):
            self._fail(run, "reports a rotation as done that was not completed")
        if state == "rotated" and record.phase == GRACE and record.verified_at is None:
            self._fail(run, "reports a cutover that was not verified")
        if not outcome.steps:
            return
        if outcome.steps[-1] == GRACE and not works:
            self._fail(run, "reports a cutover to a key that does not work")
        if not shared.issuer.lists:
            return
        what = record.transitions[-1]["what"] if record.transitions else ""
        if what.startswith("disabled") and shared.works(record.old.key):
            self._fail(run, "reports a key as disabled that works")
        if outcome.steps[-1] == IDLE and state == "retired" and len(outcome.steps) > 1 or (
                outcome.steps[-1] == IDLE and state in ("rolled_back", "aborted")):
            own = {name for name, key in shared.provider.items() if key.creator == "run"}
            live = {credential.values["id"] for credential in shared.existing} | {record.current.key}
            kept = {generation.values["id"] for generation in shared.generations.values()}  # of a lost record
            if own - live - kept:
                self._fail(run, f"reports the end of a rotation while {sorted(own - live - kept)} exist")


class People:
    """What people do; ``choose(n)`` returns a number below n."""

    def __init__(self, shared, choose):
        self.shared = shared
        self.choose = choose
        self.records = []
        self.removed = []

    def act(self, runs):
        """Do something, and return what."""
        shared = self.shared
        if shared.record is not None and shared.record not in self.records[-3:]:
            self.records.append(shared.record)
        actions = [self.edit, self.edit, self.edit_back, self.delete_credential, self.recreate, self.clock,
                   self.record, self.kept]
        if shared.issuer.lists:
            actions += [self.disable, self.disable, self.disable, self.enable, self.delete, self.create, self.use,
                        self.refuse, self.refuse, self.ignore]
        if shared.issuer.replaces_current:
            actions += [self.change_password, self.refuse]
        what = actions[self.choose(len(actions))](runs)
        shared.acts += bool(what)
        return f"{what or 'nothing'} by a person"

    def _pick(self, among):
        return among[self.choose(len(among))] if among else None

    def disable(self, _runs):
        key = self._pick([name for name, key in self.shared.provider.items() if key.enabled])
        if key and self.shared.issuer.disables:
            self.shared.provider[key].enabled = False
            return f"{key} disabled"
        return None

    def enable(self, _runs):
        key = self._pick([name for name, key in self.shared.provider.items() if not key.enabled])
        if key:
            self.shared.provider[key].enabled = True
            if self._is_known(key) and self.choose(2):
                self.shared.time += datetime.timedelta(minutes=11)
                self.shared.provider[key].last_used = self.shared.provider_time
            return f"{key} enabled"
        return None

    def delete(self, _runs):
        key = self._pick(list(self.shared.provider))
        if key:
            del self.shared.provider[key]
            return f"{key} deleted"
        return None

    def use(self, _runs):
        key = self._pick([name for name, key in self.shared.provider.items() if key.enabled and self._is_known(name)])
        if key:
            self.shared.provider[key].last_used = self.shared.provider_time
            return f"{key} used"
        return None

    def _is_known(self, key):
        """Whether a person can have the secret: not of a key whose run ended before it was stored."""
        shared = self.shared
        values = [*shared.generations.values(), *shared.existing]
        return shared.provider[key].creator in ("start", "person") or any(each.values["id"] == key for each in values)

    def create(self, runs):
        """Make a key by hand.

        Within minutes of an unanswered request for a key, nothing but its first use distinguishes it from that key.
        """
        shared = self.shared
        if shared.count() >= shared.issuer.limit or any(
            not run.ended and run.call.name in ("now", "write_record", "issue") and run.protocol.record.new is None
            for run in runs
        ):
            return None
        used = False
        if shared.record is not None and shared.record.issuing_at is not None:
            used = bool(self.choose(2))
            shared.time += datetime.timedelta(minutes=0 if used else 20)
        key = shared.add_key("person")
        if used:
            shared.provider[key].last_used = shared.provider_time
        return f"{key} created{' and used' if used else ''}"

    def refuse(self, _runs):
        self.shared.refusals.append(self._pick(["forbidden", "limit", "busy"]))
        return f"the next request refused ({self.shared.refusals[-1]})"

    def ignore(self, _runs):
        """Let a request be answered without an effect, as before a change has reached all servers of a provider."""
        self.shared.ignored += 1
        return "the next request to disable or delete without effect"

    def change_password(self, _runs):
        self.shared.keys += 1
        self.shared.accepted = f"k{self.shared.keys}"
        return f"the password changed to {self.shared.accepted}"

    def _number(self):
        return self._pick([number for number, each in enumerate(self.shared.credentials) if each])

    def edit(self, _runs):
        """Write a key that a person made, another one that exists, or one that does not work."""
        shared, number = self.shared, self._number()
        if number is None:
            return None
        own = [name for name, key in shared.provider.items() if key.creator == "person"]
        key = self._pick([*own, *own, self._pick([name for name in shared.provider if self._is_known(name)]), "k99"])
        if shared.issuer.replaces_current:
            key = self._pick([shared.accepted, "k99"])
        values = pair((key or "k99")[1:])
        if self.choose(6) == 0:
            values = {**values, "secret": shared.credentials[number].values["secret"]}
        return self._write(number, values)

    def edit_back(self, _runs):
        """Restore an older value, as a backup or Terraform does."""
        shared, number, record = self.shared, self._number(), self.shared.record
        known = [key for key in (record.old, record.new, record.current) if key] if record else []
        key = self._pick(known)
        if number is None or key is None:
            return None
        if self.choose(3):
            for each, credential in enumerate(shared.credentials):
                if credential:
                    self._write(each, dict(key.digests))
            return f"all credentials restored to {key.key}"
        return self._write(number, dict(key.digests))

    def _write(self, number, values):
        self.shared.write(number, values=values, digests=values, token=self.shared.credentials[number].token)
        return f"{values} written to cc-{number}"

    def delete_credential(self, _runs):
        number = self._number()
        if number is None or self.choose(2):
            return None
        self.removed.append(self.shared.credentials[number])
        self.shared.credentials[number] = None
        return f"cc-{number} deleted"

    def recreate(self, _runs):
        """Create a deleted credential again, with another uid."""
        gone = [number for number, each in enumerate(self.shared.credentials) if each is None]
        number = self._pick(gone)
        if number is None:
            return None
        old = next(each for each in reversed(self.removed) if each.id == f"cc-{number}")
        self.shared.credentials[number] = replace(old, uid=old.uid + "x", resource_version="1", token=None)
        return f"cc-{number} created again with {old.values['id']}"

    def record(self, _runs):
        """Remove the record, or restore an older one."""
        shared = self.shared
        if shared.record is None or self.choose(2):
            return None
        older = self._pick(self.records)
        for name, key in shared.provider.items():
            if not self._is_known(name):
                key.creator = "lost"  # nothing names it any more
        if self.choose(4) == 0 or older is None:
            shared.record, shared.record_version = None, 0
            return "the record deleted"
        shared.record, shared.record_version = older, shared.record_version + 100
        return f"a record in phase {older.phase} restored"

    def kept(self, _runs):
        shared = self.shared
        name = self._pick(sorted(shared.generations))
        if name is None:
            return None
        del shared.generations[name]
        return f"{name} deleted"

    def clock(self, runs):
        for run in runs:
            run.clock = datetime.timedelta(seconds=self.choose(5) * MINUTES - 2 * MINUTES)
        self.shared.provider_clock = self.choose(5) * MINUTES - 2 * MINUTES
        return "the clocks changed"


class Operator:
    """Follows the messages of failed runs as docs/runbooks/rotation.md describes, until the rotation has ended."""

    def __init__(self, shared, fresh, history):
        self.shared = shared
        self.fresh = fresh
        self.history = history
        self.state, self.options = "rotated", {}
        self.seen = {}

    def go_on(self):
        """Return when a rotation was finished, and the key in use works. Raises Violation if no command leads on."""
        shared = self.shared
        shared.refusals.clear()
        shared.late.clear()
        shared.denied.clear()
        shared.ignored = 0
        for _round in range(16):
            if not shared.existing:
                run = self._run("forgotten")
                if run.error and run.error.code != "gone":
                    raise Violation(f"no way to forget a rotation: {run.error}")
                return
            run = self._run(self.state, **self.options)
            self.options = {}
            phase = shared.record.phase if shared.record else IDLE
            if run.error:
                self._follow(run.error)
            elif phase == IDLE and self._is_good():
                return
            elif phase == IDLE:
                self._repair()
            elif "set current_key_id" in str(run.outcome.waiting):
                key = shared.record.old.digests["id"]
                named = {"current_key_id": key} if key in shared.provider else {"old_key_removed": True}
                self.state, self.options = "retired", named
            elif "was used" in str(run.outcome.waiting):
                self.state, self.options = "retired", {"override": True}
            elif "state: rotated" in str(run.outcome.waiting):
                self.state = "rotated"
            else:
                self.state = "retired"
        raise Violation(f"no command leads on: {run.error or run.outcome.waiting}, {shared.record}")

    def _run(self, state, **options):
        run = finish(self.fresh(state, **options))
        result = run.error or run.outcome.steps or run.outcome.waiting
        self.history.append(f"operator {state} {options or ''}: {result}")
        if run.error and type(run.error).__name__ not in ("RanchhandError", "IssuerError"):
            raise run.error
        return run

    def _is_good(self):
        shared = self.shared
        return shared.issuer is Given or all(shared.signs_in(each.values) for each in shared.existing)

    def _repair(self):
        """Write one working key to all credentials, and make it known."""
        shared = self.shared
        if shared.issuer.replaces_current:
            key = shared.accepted
        else:
            live = [name for name, key in shared.provider.items() if key.account == "a"]
            key = next((name for name in live if shared.provider[name].enabled), None)
            if key is None and live and len(live) >= 2:
                key = live[0]
                shared.provider[key].enabled = True
            key = key or shared.add_key("person")
        for number, credential in enumerate(shared.credentials):
            if credential and credential.values != pair(key[1:]):
                shared.write(number, values=pair(key[1:]), digests=pair(key[1:]))
        self.history.append(f"operator writes {key} to all credentials")
        self.state = "adopted"
        self.seen.clear()  # what a message advises may be possible now

    def _follow(self, error):
        """Do what the message says; if that has not helped, write a working key."""
        message = str(error)
        self.seen[message] = self.seen.get(message, 0) + 1
        if self.seen[message] <= 2:
            for codes, words, action in RULES:
                if error.code in codes and words in message:
                    action(self)
                    return
        self._repair()

    def _request(self, state, **options):
        self.state, self.options = state, options

    def _disable_old_key(self):
        self.shared.provider[self.shared.record.old.key].enabled = False
        self.state = "retired"

    def _delete_unused_key(self):
        live = {credential.values["id"] for credential in self.shared.existing}
        for name, key in list(self.shared.provider.items()):
            if name not in live and key.account == "a":
                del self.shared.provider[name]
                self.history.append(f"operator deletes {name}")
                return

    def _adopt(self):
        same = len({str(credential.values) for credential in self.shared.existing}) == 1
        if same and self._is_good():
            self.state = "adopted"
        else:
            self._repair()

    def _supply_another(self):
        started = self.shared.record is not None and self.shared.record.phase in ("preparing", "issued")
        self.state = "aborted" if started else "rotated"


# The remedies of the runbook by the codes and words of a message.
RULES = (
    (("unproven",), "enabled again after", Operator._disable_old_key),
    (("unproven",), "exist at the provider", lambda operator: (
        operator._delete_unused_key(), operator._request("adopted"))),
    (("orphan", "slot_taken", "limit"), "", lambda operator: (
        operator._delete_unused_key(), operator._request("rotated"))),
    (("gone",), "", lambda operator: operator._request("forgotten")),
    (("unfinished",), "", lambda operator: operator._request("retired")),
    (("drift", "old_unusable"), "repair: true", lambda operator: operator._request("rotated", repair=True)),
    (("drift", "conflict", "too_late"), "state: adopted", Operator._adopt),
    (("conflict", "verify_failed", "invalid", "too_late"), "state: rolled_back", lambda operator: operator._request(
        "rolled_back")),
    (("conflict", "not_cut_over"), "state: aborted", lambda operator: operator._request("aborted")),
    (("conflict",), "state: retired", lambda operator: operator._request("retired")),
    (("invalid",), "Supply", Operator._supply_another),
    (("verify_failed", "unreachable", "busy", "conflict"), "", lambda operator: operator._request("rotated")),
)
