# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guide of docs/guides, done as it is written: its files are made, its commands run, and what it shows is looked for in their output."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

GUIDES = Path(__file__).parents[2] / "docs" / "guides"
# A paragraph and the block after it; the first file that the paragraph names is the one in the block.
_BLOCK = re.compile(r"(?P<paragraph>(?:^(?!```)[^\n]+\n)*)\n?^```(?P<kind>[a-z]*)\n(?P<text>.*?)^```$", re.M | re.S)
_FILE = re.compile(r"`([\w./-]+\.(?:yml|cfg))`")


def chapters(guide, first, last=None):
    """The text from the heading of a chapter up to another one, or to the next chapter."""
    text = (GUIDES / f"{guide}.md").read_text(encoding="utf-8")
    end = rf"^## {last}$" if last else r"^## |\Z"
    return re.search(rf"^## {first}\n(.*?)(?={end})", text, re.M | re.S).group(1)


def _like(expected):
    """A pattern for a line that is shown: times, key ids and what is left out differ."""
    text = re.escape(expected.strip())
    text = re.sub(r"\d{4}\\-\d\d\\-\d\dT[\d:]+\\\+00:00", r"[-0-9T:+]+", text)
    text = text.replace("…", ".*").replace("0m", r"\d+m").replace("23h", r"\d+h")
    return re.sub(r"(\\ )+", r"\\s+", text)


class Guide:
    """What was done: the ``files`` that were made, each command with its output in ``runs``, and how many lines were ``shown``.

    ``within`` is what each command is started by.
    """

    def __init__(self, folder, environment, secrets, within=()):
        self._folder, self._within = folder, within
        self._environment = {**environment, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
        self._secrets = secrets
        self.files, self.runs, self.shown = [], [], 0

    def follow(self, text):
        output = ""
        for block in _BLOCK.finditer(text):
            if block["kind"] == "shell":
                output = ""
                for command in block["text"].splitlines():
                    output += self._run(command)
            elif block["kind"]:
                named = _FILE.search(block["paragraph"])
                assert named, f"which file is this?\n{block['text']}"
                self.files.append(named[1])
                (self._folder / named[1]).write_text(block["text"], encoding="utf-8")
            else:
                for line in block["text"].splitlines():
                    assert re.search(_like(line), output), f"{line}\nis not in\n{output}"
                    self.shown += 1
        return self

    def _run(self, command):
        done = subprocess.run(
            [*self._within, "bash", "-euo", "pipefail", "-c", command], cwd=self._folder, env=self._environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=180, check=False)
        assert done.returncode == 0, f"{command}\n{done.stdout}"
        assert "[WARNING]" not in done.stdout, f"{command}\n{re.findall('.*WARNING.*', done.stdout)}"
        assert not [secret for secret in self._secrets if secret in done.stdout], command
        self.runs.append((command, done.stdout))
        return done.stdout

    def changed(self, words):
        """How much each run of the playbooks whose command has these words changed."""
        return [re.findall(r"changed=(\d+)", output)[-1] for command, output in self.runs if command.startswith("ansible-playbook ") and words in command]
