# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bench with the fakes of other providers: each credential has a fake of its own."""

from __future__ import annotations

import collections
import contextlib
import tempfile
import threading
from pathlib import Path

import urllib3
from ansible_collections.ranchhand.rancher.plugins.module_utils._issuers.registry import ISSUERS
from ansible_collections.ranchhand.rancher.plugins.module_utils.issuer import IssuerError

from . import plays
from .bench import POLL, Subject
from .runner import PROVIDER_CALLS

ISSUING = ("issue", "activate")  # the calls whose replies a fake can lose


class FakeSubject(Subject):
    """A credential with a key of a fake."""

    def __init__(self, bench, fake):
        self.fake, self.issuer = fake, ISSUERS[fake.issuer]
        self.driver, self.fields = fake.driver, self.issuer.fields
        self._ids = {}
        self.ends_at_cutover = fake.ends_at_cutover
        super().__init__(bench)
        self.key_id(self.key)  # while it exists

    def create_principal(self):
        self._created = self.fake.create_key()
        return self._created

    @property
    def issuer_options(self):
        return self.fake.options

    @property
    def keys(self):
        return {key.id: "Active" if key.enabled else "Inactive" for key in self.fake.listed(self.fake.principal)}

    def given(self, state, **options):
        own = {"issuer": self.fake.issuer, "issuer_secrets": self.fake.secret_options}
        return {**own, **super().given(state, **options)}

    def key_id(self, values):
        """Return the id, also after the key was deleted."""
        known = tuple(values.values())
        if known not in self._ids:
            self._ids[known] = self._ask("identify", values)
        return self._ids[known]

    def works(self, values):
        try:
            self._ask("verify", values)
        except IssuerError as error:
            return error.code != "refused"
        return True

    def _ask(self, method, values):
        complete = {**self._created, **values}
        return getattr(self.fake.load(), method)(complete, complete)

    def lose_at_provider(self, name, victim=None, seconds=0):
        if name not in ISSUING or victim or seconds:
            raise ValueError(f"the fakes cannot lose the reply to {name}")
        self.fake.lose(self.fake.issuing)

    def plain(self, state, **options):
        """Nothing at Google proves who created a key: if a reply was lost, a person deletes it, as the message says."""
        ended = self.run(state, **options)
        if self.driver == "google" and (ended.result or {}).get("code") == "orphan":
            orphan, = [key_id for key_id in self.keys if key_id in ended.result["msg"]]
            self.check(orphan not in (self.key_id(self.live), self.key_id(self.key)), "a key in use is the orphan")
            del self.fake.keys[orphan]
            self.history.append("a person deletes the orphan")
            ended = self.run(state, **options)
        return self.require_success(state, ended)

    def changes(self):
        return sorted(self.keys.items())

    def reached(self, phase):
        return "idle" if phase == "disabled" and not self.issuer.disables else phase

    def look_back(self):
        if self.seen_wrong:
            raise self.violation("; ".join(self.seen_wrong[:3]))

    @contextlib.contextmanager
    def controlled(self):
        """Let the provider see what the credential contains, if it ends the old key at the cutover."""
        done = threading.Event()

        def watch():
            while not done.wait(POLL):
                with contextlib.suppress(urllib3.exceptions.HTTPError):
                    self.fake.credential_changed(*self.live.values())

        thread = threading.Thread(target=watch, daemon=True)
        if self.ends_at_cutover:
            thread.start()
        try:
            yield
        finally:
            done.set()
            if self.ends_at_cutover:
                thread.join()


class FakeBench:
    """A bench with a kind of fakes; what plays.crash needs."""

    def __init__(self, bench, kind):
        self._bench, self._kind = bench, kind
        self.issuer = kind.issuer
        self.ends_at_cutover = kind.ends_at_cutover
        self.counts = collections.Counter()

    @contextlib.contextmanager
    def subject(self):
        with (
            tempfile.TemporaryDirectory() as folder,
            self._kind(Path(folder)) as fake,
            self._bench.watched(FakeSubject(self._bench, fake)) as subject,
            subject.controlled(),
        ):
            yield subject


def matrix(bench):
    """Return all cases of all scenarios that a FakeBench can play.

    Some begin with a disabled key, and some return to an old key that may have ended at the cutover. At Google, the
    command after a lost key stops before it changes anything.
    """
    disables, google = ISSUERS[bench.issuer].disables, bench.issuer == "google"
    return [
        case for name, item in plays.SCENARIOS.items()
        if (disables or ("retired", plays.NOW) not in item.before)
        and not (google and name == "rotate after a key was lost")
        and not (bench.ends_at_cutover and item.command[0] == "rolled_back")
        for case in crashes(bench, name)
    ]


def crashes(bench, name):
    """Return all cases of a scenario: SIGKILL after each write, an exception before each call, and lost replies."""
    return [
        case for case in plays.crashes(name, plays.calls_of(bench, name), ("kill", "exception"))
        if case[2].moment != "lost"
        or case[2].kind == "exception" and (case[1] not in PROVIDER_CALLS or case[1] in ISSUING)
    ]
