# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The chapter "First rotation" of the guide, done as it is written."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from .test_rotation import INFO, Rotating

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "rotation.md"
BLOCK = re.compile(r"(?:^`(?P<file>[a-z.]+)`[^\n]*:\n\n)?^```(?P<kind>[a-z]*)\n(?P<text>.*?)^```$", re.M | re.S)


def _chapter(title):
    return re.search(rf"^## {title}\n(.*?)(?=^## )", GUIDE.read_text(encoding="utf-8"), re.M | re.S).group(1)


def _like(expected):
    """A pattern for lines that are shown: times, key ids and what is left out differ."""
    text = re.escape(expected.strip())
    text = re.sub(r"\d{4}\\-\d\d\\-\d\dT[\d:]+\\\+00:00", r"[-0-9T:+]+", text)
    text = text.replace("…", ".*").replace("0m", r"\d+m").replace("23h", r"\d+h")
    return re.sub(r"(\\ )+", r"\\s+", text)


def test_the_first_rotation_goes_as_it_is_written(cluster, aws, tmp_path):
    key = aws.create_user("reader")
    environment = {
        **cluster.environment(), "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "AWS_ENDPOINT_URL": aws.url, "ANSIBLE_INVENTORY_UNPARSED_WARNING": "False",
        "RANCHHAND_AWS_ACCESS_KEY": key["accessKey"], "RANCHHAND_AWS_SECRET_KEY": key["secretKey"],
    }
    (shell, *blocks) = BLOCK.finditer(_chapter("First rotation"))
    assert shell["text"] == "make shell\n", "the fixtures stand in for it"
    runs, files, shown, output = 0, [], 0, ""
    for block in blocks:
        if block["kind"] == "yaml":
            files.append(block["file"])
            (tmp_path / block["file"]).write_text(block["text"], encoding="utf-8")
        elif block["kind"] == "shell":
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", block["text"]], cwd=tmp_path, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, text=True, timeout=180, check=False)
            output = done.stdout
            assert done.returncode == 0 and "WARNING" not in output, f"{block['text']}{output}"
            assert key["secretKey"] not in output
            runs += len(re.findall("^ansible-playbook ", block["text"], re.M))
            if "rotation_status\nansible-playbook credential.yml" in block["text"] or runs == 4:
                assert re.findall(r"changed=(\d+)", output)[-1] == "0", output
        else:
            for line in block["text"].splitlines():
                assert re.search(_like(line), output), f"{line}\nis not in\n{output}"
                shown += 1
    assert (runs, files, shown) == (10, ["credential.yml", "rotation.yml"], 8)
    # the world at the end
    rotating = Rotating.__new__(Rotating)
    rotating.cluster, rotating.aws, rotating.user = cluster, aws, "reader"
    told = cluster.play({INFO: {"name": "aws prod"}}).result["rotations"]
    assert [(one["phase"], one["reason"], one["generation"]) for one in told] == [("Idle", "trying it out", 1)], told
    rotating.id = told[0]["id"].rpartition(":")[2]
    assert rotating.keys == {rotating.live["accessKey"]: "Active"} and rotating.live["accessKey"] not in ("", key["accessKey"])
    assert rotating.works() and not aws.works(key["accessKey"], key["secretKey"])
