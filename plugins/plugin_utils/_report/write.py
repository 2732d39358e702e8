# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module report: replaces each file atomically, and fails afterwards if there is a reason."""

from __future__ import annotations

import json
import os
import re
import tempfile
import typing as t
from collections.abc import Mapping

from ...module_utils._common.errors import FailureWithResult, RanchhandError, ValidationErrors
from ...module_utils._common.options import OptionSpec
from ...module_utils._common.times import now
from ...module_utils._rotation.options import RECORD_NAMESPACE, validate_namespace
from ...module_utils._runtime.execute import Connect, RunMode
from . import formats, page
from .model import CODES, LEVELS, Entry, build, find_failures, validation_errors, visible

WRITERS: dict[str, t.Callable[[Entry], str]] = {
    "html": page.to_html, "json": formats.to_json, "csv": formats.to_csv, "markdown": formats.to_markdown,
    "prometheus": formats.to_prometheus,
}
FAIL_ON = (*LEVELS, *CODES)
RUNBOOKS = "https://github.com/ranchhand/ranchhand.rancher/blob/main/docs/runbooks"

REPORT = OptionSpec({
    "registered": {"type": "raw", "required": True},
    "files": {"type": "dict", "required": True, "options": {name: {"type": "path"} for name in WRITERS}},
    "fail_on": {"type": "list", "elements": "str", "default": []},
    "runbook_url": {"type": "str", "default": RUNBOOKS},
    "namespace": {"type": "str", "default": RECORD_NAMESPACE},
})
# Tasks of the list "Today" that the result contains.
_TASKS = 10

# The only part of the files that differs in every run.
_GENERATED = re.compile(r"([Gg]enerated(?:_at\W+| at |_timestamp_seconds ))\d[\d:TZ-]*")


def check_report(params: Mapping[str, t.Any]) -> None:
    """Raise ValidationErrors if no report can be written with these options."""
    errors = [
        f"fail_on: unknown code or level {word:.60}; allowed are {', '.join(FAIL_ON)}"
        for word in params["fail_on"] or () if word and word not in FAIL_ON
    ]
    if params["files"] is not None:
        errors += _file_errors(params["files"])
    if params["runbook_url"] and not re.match("https?://[^/]", params["runbook_url"]):
        errors.append("runbook_url must begin with https:// or http://")
    if params["namespace"]:
        errors += validate_namespace(params["namespace"])
    if errors:
        raise ValidationErrors(errors)


def write_report(params: Mapping[str, t.Any], connect: Connect, mode: RunMode) -> dict[str, t.Any]:
    """Write the files. Connects to nothing.

    Raises FailureWithResult (``problems``) after the files are written, for problems that ``fail_on`` names.
    """
    results = _parse_results(params["registered"])
    errors = validation_errors(results)
    if errors:
        raise ValidationErrors(errors)
    model = build(results, now(), params["runbook_url"], params["namespace"])
    paths = _paths(params["files"])
    texts = {path: WRITERS[name](model).encode("utf-8", "backslashreplace") for name, path in paths.items()}
    changed = any(_differs(path, text) for path, text in texts.items())
    tasks = visible(model["today"][:_TASKS])
    result = {"changed": changed, "files": paths, "figures": model["figures"], "today": tasks}
    if not mode.check:
        for path, text in texts.items():
            try:
                _replace(path, text)
            except OSError as error:
                raise FailureWithResult("invalid", f"{path} cannot be written: {error.strerror}", result) from None
    failures = find_failures(model, params["fail_on"])
    if failures:
        raise FailureWithResult("problems", "; ".join(failures), result)
    return result


def _parse_results(registered: t.Any) -> t.Any:
    """Return the mapping, which may be JSON text: Ansible templates a text faster than thousands of credentials."""
    if not isinstance(registered, str):
        return registered
    try:
        return json.loads(registered)
    except ValueError:
        return None


def _file_errors(files: Mapping[str, str | None]) -> list[str]:
    paths = _paths(files)
    errors = []
    if not paths:
        errors.append(f"files must contain a path for at least one of {', '.join(WRITERS)}")
    if len(set(paths.values())) < len(paths):
        errors.append("files must contain a different path for each format")
    return errors + [f"files: {name}: {reason}" for name, path in paths.items() for reason in _obstacles(path)]


def _paths(files: Mapping[str, str | None]) -> dict[str, str]:
    """Return the path for each format. A symbolic link is kept, and its target is written."""
    return {name: os.path.realpath(path) for name, path in files.items() if path}


def _obstacles(path: str) -> t.Iterator[str]:
    directory = os.path.dirname(path)
    if not os.path.isdir(directory):
        yield f"the directory {directory} does not exist"
    elif not os.access(directory, os.W_OK):
        yield f"the directory {directory} is not writable"
    elif os.path.exists(path) and not os.path.isfile(path):
        yield f"{path} is not a regular file"


def _differs(path: str, text: bytes) -> bool:
    try:
        with open(path, "rb") as file:
            before = file.read()
    except FileNotFoundError:
        return True
    except OSError as error:
        raise RanchhandError("invalid", f"{path} cannot be read: {error.strerror}") from None
    return _without_time(before) != _without_time(text)


def _without_time(text: bytes) -> str:
    return _GENERATED.sub(r"\1", text.decode("utf-8", "backslashreplace"), count=1)


def _replace(path: str, text: bytes) -> None:
    """Replace a file atomically: a reader gets either the old content or the new one."""
    descriptor, temporary = tempfile.mkstemp(prefix=".report-", dir=os.path.dirname(path))
    try:
        with open(descriptor, "wb") as file:
            file.write(text)
            os.fchmod(descriptor, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
