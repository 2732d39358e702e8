# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the commands of docs/runbooks/rotation.md as they are written, for one credential."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
_SHELL = re.compile(r"^```shell\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`(ROTATION '[^`]+')`")
# What the runbook defines as an abbreviation. The tests have their own namespace and wait less.
_ROTATION = """ROTATION() {
  ansible localhost -m ranchhand.rancher.cloud_credential_rotation \
-a "${1%\\}}, \\"namespace\\": \\"$NAMESPACE\\", \\"drain\\": \\"1s\\"}"
}
"""
# The part of the command line of AWS that the runbook uses.
_AWS = """import sys
from botocore.session import Session
service, operation, *options = sys.argv[1:]
names = ("".join(word.capitalize() for word in option.strip("-").split("-")) for option in options[::2])
client = Session().create_client(service, region_name="us-east-1")
print(getattr(client, operation.replace("-", "_"))(**dict(zip(names, options[1::2]))))
"""


class Runbook:
    """The runbook, with an administrator of AWS and of the cluster at the command line."""

    def __init__(self, rotating, folder):
        self._rotating = rotating
        self._text = (ROOT / "docs" / "runbooks" / "rotation.md").read_text(encoding="utf-8")
        programs = folder / "bin"
        programs.mkdir()
        (programs / "aws.py").write_text(_AWS)
        (programs / "aws").write_text(f'#!/bin/sh\nexec {sys.executable} {programs}/aws.py "$@"\n')
        (programs / "aws").chmod(0o755)
        kubectl = Path(os.environ["RANCHHAND_LOCAL"]) / "bin"
        path = [str(programs), str(Path(sys.executable).parent), str(kubectl), os.environ["PATH"]]
        key = rotating.aws.create_admin(f"admin-{rotating.user}")
        self._environment = {
            **rotating.cluster.environment(),
            "PATH": os.pathsep.join(path),
            "KUBECONFIG": str(rotating.cluster.control_plane.kubeconfig),
            "NAMESPACE": rotating.namespace,
            "AWS_ENDPOINT_URL": rotating.aws.url,
            "AWS_ACCESS_KEY_ID": key["accessKey"],
            "AWS_SECRET_ACCESS_KEY": key["secretKey"],
        }

    def section(self, code):
        """Return the text of a section."""
        return re.search(rf"^## {code}\n(.*?)(?=^##? |\Z)", self._text, re.MULTILINE | re.DOTALL)[1]

    def follow(self, code, containing="", **placeholders):
        """Run the commands of a section that contain a text, and return their output.

        Args: ``placeholders`` are values for words in capitals of the runbook.
        """
        section = self.section(code)
        commands = [each for each in _SHELL.findall(section) + _INLINE.findall(section) if containing in each]
        assert commands, f"the section {code} has no command with {containing!r}"
        return "".join(self.run(command, **placeholders) for command in commands)

    def run(self, command, **placeholders):
        """Run a command that must succeed, with the id of the credential in place of cc-7kq2f."""
        words = {"THE-USER": self._rotating.user, "THE SAME": "first", **placeholders}
        for word, value in words.items():
            command = command.replace(word.replace("_", "-") if word not in command else word, value)
        command = command.replace("cc-7kq2f", self._rotating.id)
        command = command.replace("rancher-credential-rotation", self._rotating.namespace)
        command = re.sub(
            r"ansible-playbook ranchhand\.rancher\.(\w+)",
            rf"\g<0> -i localhost, -e confirm=yes -e \1_namespace={self._rotating.namespace}",
            command,
        )
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", _ROTATION + command],
            cwd=ROOT, env=self._environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{command}\n{done.stdout}"
        assert self._rotating.key["secretKey"] not in done.stdout, command
        return done.stdout
