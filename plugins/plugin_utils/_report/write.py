# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module report: writes each file at once, and fails afterwards if there is a reason to.

PRIVATE to the collection.
"""

from __future__ import annotations

import datetime
import os
import re
import tempfile
import typing as t
from collections.abc import Mapping

from ...module_utils._common.errors import RanchhandError, ValidationErrors
from ...module_utils._common.options import OptionSpec
from ...module_utils._common.errors import FailureWithResult
from ...module_utils._runtime.execute import Connect, RunMode
from . import formats, page
from .model import CODES, LEVELS, build, findings, mistakes

WRITERS: dict[str, t.Callable[[Mapping[str, t.Any]], str]] = {
    "html": page.to_html, "json": formats.to_json, "csv": formats.to_csv, "markdown": formats.to_markdown, "prometheus": formats.to_prometheus,
}
WORDS = (*LEVELS, *CODES)
RUNBOOKS = "https://github.com/ranchhand/ranchhand.rancher/blob/main/docs/runbooks"

REPORT = OptionSpec({
    "registered": {"type": "str", "required": True},
    "files": {"type": "dict", "required": True, "options": {name: {"type": "path"} for name in WRITERS}},
    "fail_on": {"type": "list", "elements": "str", "default": []},
    "runbook_url": {"type": "str", "default": RUNBOOKS},
})

# The only thing in our files that is another one each time.
_WHEN = re.compile(r"([Gg]enerated(?:_at\W+| at |_timestamp_seconds ))[\d:TZ-]+")


def check_report(params: Mapping[str, t.Any]) -> None:
    """Raises ValidationErrors if no report can be made of these options."""
    wrong = [f"fail_on: there is no {word:.60}; allowed are {', '.join(WORDS)}" for word in params["fail_on"] or () if word and word not in WORDS]
    if params["files"] is not None:
        paths = _paths(params["files"])
        if not paths:
            wrong.append(f"files must name a file for at least one of {', '.join(WRITERS)}")
        if len(set(paths.values())) < len(paths):
            wrong.append("files must name another file for each format")
        wrong += [f"files: {name}: {why}" for name, path in paths.items() for why in _obstacles(path)]
    if params["runbook_url"] and not re.match("https?://[^/]", params["runbook_url"]):
        wrong.append("runbook_url must begin with https:// or http://")
    if wrong:
        raise ValidationErrors(wrong)


def write_report(params: Mapping[str, t.Any], connect: Connect, mode: RunMode) -> dict[str, t.Any]:
    """The core of the module, to whose options ``ranchers`` is added: what was registered on each host. It connects to nothing."""
    wrong = mistakes(params["ranchers"], params["registered"])
    if wrong:
        raise ValidationErrors(wrong)
    model = build(params["ranchers"], datetime.datetime.now(datetime.timezone.utc), params["runbook_url"])
    paths = _paths(params["files"])
    texts = {path: WRITERS[name](model).encode("utf-8", "backslashreplace") for name, path in paths.items()}
    result = {"changed": any(_differs(path, text) for path, text in texts.items()), "files": paths, "figures": model["figures"]}
    if not mode.check:
        for path, text in texts.items():
            try:
                _write(path, text)
            except OSError as error:
                raise FailureWithResult("invalid", f"{path} cannot be written: {error.strerror}", result) from None
    found = findings(model, params["fail_on"])
    if found:
        raise FailureWithResult("problems", "; ".join(found), result)
    return result


def _paths(files: Mapping[str, str | None]) -> dict[str, str]:
    """The files that are wanted. A link stays a link, and what it leads to is written."""
    return {name: os.path.realpath(path) for name, path in files.items() if path}


def _obstacles(path: str) -> t.Iterator[str]:
    folder = os.path.dirname(path)
    if not os.path.isdir(folder):
        yield f"there is no directory {folder}"
    elif not os.access(folder, os.W_OK):
        yield f"the directory {folder} may not be written"
    elif os.path.exists(path) and not os.path.isfile(path):
        yield f"{path} is no file"


def _differs(path: str, text: bytes) -> bool:
    try:
        with open(path, "rb") as file:
            before = file.read()
    except FileNotFoundError:
        return True
    except OSError as error:
        raise RanchhandError("invalid", f"{path} cannot be read: {error.strerror}") from None
    return _timeless(before) != _timeless(text)


def _timeless(text: bytes) -> str:
    return _WHEN.sub(r"\1", text.decode("utf-8", "backslashreplace"), count=1)


def _write(path: str, text: bytes) -> None:
    """Whoever reads it, whenever, finds all of the old file or all of the new one."""
    descriptor, temporary = tempfile.mkstemp(prefix=".report-", dir=os.path.dirname(path))
    try:
        with open(descriptor, "wb") as file:
            file.write(text)
            os.fchmod(descriptor, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
