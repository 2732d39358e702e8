# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds words in texts and names that the project does not use (banned_words.txt); allowed_words.txt lists quotations.

    python tests/words.py [FILE ...]

In Markdown, code is ignored. In Python, comments, docstrings, strings of several words and identifiers are checked; a
string without a space is data. In all other files, the whole text is checked. Text between backticks is a quotation.
Standard library only.
"""

from __future__ import annotations

import fnmatch
import io
import re
import subprocess
import sys
import token
import tokenize
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
CHECKED = (".py", ".md", ".yml", ".yaml", ".j2", ".js", ".css", ".html", ".toml", ".ini", ".txt")
# Recorded data, licences, and the history of releases, which is not rewritten.
IGNORED = (
    "LICENSE*",
    "LICENSES/*",
    "CHANGELOG.*",
    "changelogs/changelog.yaml",
    "tests/control_plane/go/*",
    "tests/support/recordings/*",
    "tests/banned_words.txt",
    "tests/allowed_words.txt",
    "tests/unit/test_words.py",
)
_FENCE = re.compile(r"^ *(```|~~~).*?^ *\1[^\n]*$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`+[^`]+`+|<!--.*?-->|\]\([^)\s]+\)|https?://[^\s)>\"']+", re.DOTALL)
_CAMEL_CASE = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


@dataclass(frozen=True)
class Ban:
    """An expression that texts or names must not contain."""

    scope: str
    expression: re.Pattern
    instead: str

    def applies_to(self, scope):
        return self.scope in (scope, "both")


@dataclass(frozen=True)
class Finding:
    """A banned word in a line of a file."""

    path: str
    line: int
    word: str
    instead: str

    def __str__(self):
        return f"{self.path}:{self.line}: {self.word!r}: write {self.instead}"


def read_table(path):
    """Return the rows of a file in which a line that starts with # is a comment."""
    lines = (
        line for line in path.read_text(encoding="utf-8").splitlines() if line.strip() and not line.startswith("#")
    )
    return [[cell.strip() for cell in re.split(r"\s\|\s", line)] for line in lines]


def read_bans(path=HERE / "banned_words.txt"):
    return [Ban(scope, _compile(scope, expression), instead) for scope, expression, instead in read_table(path)]


def _compile(scope, expression):
    # Names with capitals are class names: exactly these.
    flags = re.NOFLAG if scope == "name" and expression[0].isupper() else re.IGNORECASE
    return re.compile(r"(?<![\w-])(?:%s)(?![\w-])" % expression.replace(" ", r"\s+"), flags)


def find(path, content, bans):
    """Return the findings in one file."""
    texts, names = _python(content) if path.endswith(".py") else ([(1, content)], [])
    findings = [
        Finding(path, first + text.count("\n", 0, match.start()), " ".join(match.group().split()), ban.instead)
        for first, text in texts
        for ban in bans
        if ban.applies_to("text")
        for match in ban.expression.finditer(_prose(path, text))
    ]
    findings += [
        Finding(path, line, name, ban.instead)
        for line, name in names
        for ban in bans
        if ban.applies_to("name") and ban.expression.search(_words_of(name, ban))
    ]
    return sorted(set(findings), key=lambda finding: finding.line)


def _prose(path, text):
    """Return the text with quotations blanked out; offsets of lines are preserved."""
    if path.endswith(".md"):
        text = _FENCE.sub(_blank, text)
    return _CODE.sub(_blank, text).replace("_", " ")


def _blank(match):
    return re.sub(r"[^\n]", "\x00", match.group())


def _words_of(name, ban):
    if not ban.expression.flags & re.IGNORECASE:
        return name
    return _CAMEL_CASE.sub(" ", name).replace("_", " ").strip()


def _python(content):
    """Return the texts and the names of a Python file, each with its line."""
    texts, names, comment = [], [], None
    for item in tokenize.generate_tokens(io.StringIO(content).readline):
        line = item.start[0]
        if item.type == token.NAME:
            names.append((line, item.string))
        elif item.type == tokenize.COMMENT:
            # Comments in consecutive lines are one text.
            if comment and comment[0] + comment[1].count("\n") + 1 == line:
                comment[1] += "\n" + item.string.lstrip("#")
            else:
                comment = [line, item.string.lstrip("#")]
                texts.append(comment)
        elif item.type in (token.STRING, getattr(token, "FSTRING_MIDDLE", token.STRING)) and " " in item.string.strip():
            texts.append([line, item.string])
    return texts, names


def tracked_files():
    """Return the paths of the files that git has or would add."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return sorted({name for name in listing.split("\0") if name.endswith(CHECKED) and (ROOT / name).is_file()})


def check(paths, complete):
    """Return the findings that are not allowed, and the unused rows of allowed_words.txt if all files are checked."""
    bans = read_bans()
    allowed = {tuple(row): False for row in read_table(HERE / "allowed_words.txt")}
    findings = []
    for path in paths:
        if any(fnmatch.fnmatch(path, pattern) for pattern in IGNORED):
            continue
        content = (ROOT / path).read_text(encoding="utf-8")
        lines = content.split("\n")
        for finding in find(path, content, bans):
            line = lines[finding.line - 1]
            matching = [row for row in allowed if fnmatch.fnmatch(path, row[0]) and row[1] in line]
            allowed.update(dict.fromkeys(matching, True))
            if not matching:
                findings.append(finding)
    return findings, [row for row, used in allowed.items() if complete and not used]


def main(arguments):
    paths = [str(Path(name).resolve().relative_to(ROOT)) for name in arguments] or tracked_files()
    findings, unused = check(paths, complete=not arguments)
    for finding in findings:
        print(finding)
    for path, text in unused:
        print(f"tests/allowed_words.txt: {path} | {text}: allows nothing, delete it")
    if findings or unused:
        print(f"{len(findings) + len(unused)} findings; see tests/banned_words.txt")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
