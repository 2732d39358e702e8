# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Follow a guide of docs/guides: create its files, run its commands, and compare their output with the guide."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

GUIDES = Path(__file__).parents[2] / "docs" / "guides"
# A paragraph and the block after it. The block is the content of the first file that the paragraph names.
_BLOCK = re.compile(
    r"(?P<paragraph>(?:^(?!```)[^\n]+\n)*)\n?^```(?P<kind>[a-z]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"`([\w./-]+\.(?:yml|cfg))`")


def chapters(guide, first, last=None):
    """Return the text from the heading ``first`` to the heading ``last``, or to the next chapter."""
    text = (GUIDES / f"{guide}.md").read_text(encoding="utf-8")
    end = rf"^## {last}$" if last else r"^## |\Z"
    return re.search(rf"^## {first}\n(.*?)(?={end})", text, re.MULTILINE | re.DOTALL).group(1)


def _output_pattern(line):
    """Return a pattern for a line of output: times, key ids and omitted text may differ."""
    text = re.escape(line.strip())
    text = re.sub(r"\d{4}\\-\d\d\\-\d\dT[\d:]+Z", r"[-0-9T:]+Z", text)
    text = text.replace("…", ".*").replace("0m", r"\d+m").replace("23h", r"\d+h")
    return re.sub(r"(\\ )+", r"\\s+", text)


class Guide:
    """Runs the commands of a guide in ``folder``, each with the prefix ``within``.

    Afterwards, ``files`` has the names of the created files, ``runs`` each command with its output, and ``shown`` the
    number of lines of output that the guide shows.
    """

    def __init__(self, folder, environment, secrets, within=()):
        self._folder, self._within = folder, within
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self._environment = {**environment, "PATH": path}
        self._secrets = secrets
        self.files, self.runs, self.shown = [], [], 0

    def follow(self, text):
        output = ""
        for block in _BLOCK.finditer(text):
            if block["kind"] == "shell":
                output = "".join(self._run(command) for command in block["text"].splitlines())
            elif block["kind"]:
                self._create_file(block)
            else:
                self._check_output(block["text"].splitlines(), output)
        return self

    def _create_file(self, block):
        name = _FILE.search(block["paragraph"])
        assert name, f"the guide does not name the file of this block:\n{block['text']}"
        self.files.append(name[1])
        (self._folder / name[1]).write_text(block["text"], encoding="utf-8")

    def _check_output(self, lines, output):
        for line in lines:
            assert re.search(_output_pattern(line), output), f"{line}\nis not in\n{output}"
            self.shown += 1

    def _run(self, command):
        process = subprocess.run(
            [*self._within, "bash", "-euo", "pipefail", "-c", command], cwd=self._folder, env=self._environment,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=180,
            check=False)
        assert process.returncode == 0, f"{command}\n{process.stdout}"
        assert "[WARNING]" not in process.stdout, f"{command}\n{re.findall('.*WARNING.*', process.stdout)}"
        assert not [secret for secret in self._secrets if secret in process.stdout], command
        self.runs.append((command, process.stdout))
        return process.stdout

    def changed(self, words):
        """Return the number of changes of each playbook run whose command contains ``words``."""
        return [
            re.findall(r"changed=(\d+)", output)[-1] for command, output in self.runs
            if command.startswith("ansible-playbook ") and words in command]
