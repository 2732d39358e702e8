# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets that are recognizable in any output, and runs of which all output and files are searched for them."""

from __future__ import annotations

import base64
import contextlib
import secrets
import threading
import time
from pathlib import Path

LOUD = ["-vvvv", "--diff"]
# Replaces syslog, which a test cannot read: Python programs of the run write to a file instead.
SYSLOG = """\
import os, syslog
syslog.syslog = lambda *entry: open(os.environ['RANCHHAND_SYSLOG'], 'a').write(repr(entry) + chr(10))
"""


def _canary(what):
    return f"canary{what}{secrets.token_hex(12)}"


class Canaries:
    """Secrets of one test by name."""

    def __init__(self, **more):
        self.values = {name: _canary(name) for name in ("new", "old", "older", "third")}
        self.values["pem"] = (
            f'-----BEGIN PRIVATE KEY-----\n{_canary("pem")}\n"{_canary("quoted")}"\n-----END PRIVATE KEY-----\n'
        )
        self.values["padded"] = f"  {_canary('padded')} \n"
        self.values.update(more)

    def __getitem__(self, name):
        return self.values[name]

    def forms(self):
        """Yield each word as plain text and as base64, for each alignment in the encoded text."""
        for value in self.values.values():
            for word in [part.strip('" ') for part in str(value).split("\n")]:
                if word and not word.startswith("-----"):
                    yield word
                    for offset in range(3):
                        encoded = base64.b64encode(b"x" * offset + word.encode()).decode()
                        yield encoded[4 if offset else 0 : len(encoded) // 4 * 4 - 4]

    def assert_hidden(self, text, where):
        shown = sorted({form for form in self.forms() if form in text})
        assert not shown, f"{where} shows {shown}: {_context(text, shown[0])}"


def _context(text, part):
    start = text.index(part)
    return text[max(0, start - 300) : start + 200]


class Run:
    """A run whose output, files, process arguments and registered results are searched for canaries."""

    def __init__(self, cluster, folder, canaries):
        self.cluster, self.folder, self.canaries = cluster, folder, canaries
        self.arguments = set()
        for name in ("tmp", "home", "python"):
            (folder / name).mkdir()
        (folder / "python" / "sitecustomize.py").write_text(SYSLOG)

    def play(self, *tasks, **options):
        kept = set(self.cluster.directory.iterdir())
        environment = {
            "TMPDIR": str(self.folder / "tmp"),
            "ANSIBLE_LOCAL_TEMP": str(self.folder / "tmp"),
            "ANSIBLE_REMOTE_TMP": str(self.folder / "tmp"),
            "HOME": str(self.folder / "home"),
            "ANSIBLE_ASYNC_DIR": str(self.folder / "jobs"),
            "ANSIBLE_LOG_PATH": str(self.folder / "ansible.log"),
            "ANSIBLE_LOG_VERBOSITY": "4",
            "PYTHONPATH": str(self.folder / "python"),
            "RANCHHAND_SYSLOG": str(self.folder / "syslog"),
            **options.pop("environment", {}),
        }
        with self._watching_arguments():
            played = self.cluster.play(
                *tasks,
                variables={"canary": self.canaries.values, **options.pop("variables", {})},
                arguments=LOUD,
                environment=environment,
                **options,
            )
        self.canaries.assert_hidden(played.output, "output")
        deadline = time.monotonic() + 9
        while any((self.folder / "tmp").glob("ansible-tmp-*")) and time.monotonic() < deadline:
            time.sleep(0.1)  # the process of an async task deletes its files after it has returned its result
        for path in set(self.cluster.directory.iterdir()) - kept:
            if path.suffix == ".results":
                self.canaries.assert_hidden(path.read_text(), "a registered result")
        for path in self.folder.rglob("*"):
            if path.is_file():
                self.canaries.assert_hidden(path.read_text(errors="replace"), str(path.relative_to(self.folder)))
        self.canaries.assert_hidden("\n".join(self.arguments), "the arguments of a process")
        assert "canary" in (self.folder / "ansible.log").read_text() or played.tasks, "nothing ran"
        return played

    @contextlib.contextmanager
    def _watching_arguments(self):
        done = threading.Event()

        def watch():
            while not done.wait(0.01):
                for path in Path("/proc").glob("[0-9]*/cmdline"):
                    with contextlib.suppress(OSError):
                        self.arguments.add(path.read_text(errors="replace"))

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
