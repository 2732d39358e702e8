# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds the artifact of the collection, so that two builds of one commit are identical.

`ansible-galaxy collection build` cannot do this: it writes the time of the build and the times of the files, and it
lists the files in the order of the file system. The archive is therefore written again.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import shutil
import tarfile
import tempfile
from pathlib import Path

from . import process


def build(root: Path, output: Path, galaxy: str | Path, environment: dict[str, str]) -> Path:
    """Build the artifact from the files that git has or would add, and return its path; raises Failed."""
    with tempfile.TemporaryDirectory() as folder:
        tree, built = Path(folder) / "tree", Path(folder) / "built"
        for name in files(root):
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, tree / name)
        command = [galaxy, "collection", "build", tree, "--output-path", built]
        process.capture(command, environment, "Building the artifact", cwd=tree)
        (archive,) = built.iterdir()
        output.mkdir(parents=True, exist_ok=True)
        target = output / archive.name
        target.write_bytes(_normalized(archive, int(git(root, "log", "-1", "--format=%ct"))))
        return target


def files(root: Path) -> list[str]:
    """Return the files that git has or would add, except those that are deleted in the work tree."""
    names = git(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    return sorted({name for name in names if name and (root / name).is_file()})


def git(root: Path, *arguments: str | Path) -> str:
    """Return the output of git, with the user's configuration; raises Failed."""
    environment = process.environment(HOME=os.environ.get("HOME", ""))
    return process.capture(["git", *arguments], environment, f"git {arguments[0]}", cwd=root)


def _normalized(archive: Path, time: int) -> bytes:
    """Return the archive with members and FILES.json in the order of names, without owners, all times being `time`."""
    content = io.BytesIO()
    with tarfile.open(archive) as source, tarfile.open(fileobj=content, mode="w", format=tarfile.PAX_FORMAT) as target:
        members = {member.name: member for member in source.getmembers()}
        contents = {name: source.extractfile(member).read() for name, member in members.items() if member.isfile()}
        contents.update(_sorted_manifest(contents["MANIFEST.json"], contents["FILES.json"]))
        for name, member in sorted(members.items()):
            executable = member.isdir() or member.mode & 0o100
            member.mtime, member.uid, member.gid, member.uname, member.gname = time, 0, 0, "", ""
            member.mode = 0o755 if executable else 0o644
            member.pax_headers = {}
            member.size = len(contents.get(name, b""))
            target.addfile(member, io.BytesIO(contents[name]) if name in contents else None)
    return gzip.compress(content.getvalue(), mtime=time)


def _sorted_manifest(manifest_text: bytes, files_text: bytes) -> dict[str, bytes]:
    """Return MANIFEST.json and FILES.json, as Ansible formats them, with the files in the order of their names."""
    listing, manifest = json.loads(files_text), json.loads(manifest_text)
    listing["files"].sort(key=lambda item: item["name"])
    files_text = json.dumps(listing, indent=True).encode()
    manifest["file_manifest_file"]["chksum_sha256"] = hashlib.sha256(files_text).hexdigest()
    return {"MANIFEST.json": json.dumps(manifest, indent=True).encode(), "FILES.json": files_text}
