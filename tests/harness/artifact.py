# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds the artifact of the collection, so that two builds of one commit are identical.

`ansible-galaxy collection build` writes the time of the build and the times of the files. They are replaced here; the
checksums in the artifact are those of the contents.
"""

from __future__ import annotations

import gzip
import io
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

_TIME = 315532800  # 1980-01-01, the earliest time of a ZIP archive


def build(root: Path, output: Path, galaxy: str | Path, environment: dict[str, str]) -> Path:
    """Build the artifact from the files that git has or would add, and return its path; raises CalledProcessError."""
    with tempfile.TemporaryDirectory() as folder:
        tree, built = Path(folder) / "tree", Path(folder) / "built"
        for name in files(root):
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, tree / name)
        subprocess.run(
            [galaxy, "collection", "build", str(tree), "--output-path", str(built)], env=environment, check=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        (archive,) = built.iterdir()
        output.mkdir(parents=True, exist_ok=True)
        target = output / archive.name
        target.write_bytes(_normalized(archive))
        return target


def files(root: Path) -> list[str]:
    """Return the files that git has or would add, except those that are deleted in the work tree."""
    listing = ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, check=True, stdout=subprocess.PIPE, text=True).stdout.split("\0")
    return sorted({name for name in names if name and (root / name).is_file()})


def _normalized(archive: Path) -> bytes:
    """Return the archive with sorted members, without times and owners."""
    content = io.BytesIO()
    with tarfile.open(archive) as source, tarfile.open(fileobj=content, mode="w", format=tarfile.PAX_FORMAT) as target:
        for member in sorted(source.getmembers(), key=lambda item: item.name):
            executable = member.isdir() or member.mode & 0o100
            member.mtime, member.uid, member.gid, member.uname, member.gname = _TIME, 0, 0, "", ""
            member.mode = 0o755 if executable else 0o644
            member.pax_headers = {}
            target.addfile(member, source.extractfile(member) if member.isfile() else None)
    return gzip.compress(content.getvalue(), mtime=_TIME)
