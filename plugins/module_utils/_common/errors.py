# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What can go wrong, as exceptions that carry a sentence for people and a code for playbooks.

PRIVATE to the collection.
"""

from __future__ import annotations

import typing as t
from collections.abc import Mapping


class RanchhandError(Exception):
    """A refusal or failure that is told to the user as one sentence.

    ``code`` is one of ``invalid``, ``ambiguous``, ``in_use``, ``forbidden``, ``not_found``, ``conflict``,
    ``unsupported``, ``unreachable``, ``server_error`` and ``partial``.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class ApiError(RanchhandError):
    """An answer of the API server that is not a success; ``status`` is the HTTP status, ``reason`` Kubernetes' own word."""

    def __init__(self, code: str, message: str, status: int, reason: str = "") -> None:
        super().__init__(code, message)
        self.status = status
        self.reason = reason


class ValidationErrors(RanchhandError):
    """Everything that is wrong with the input, one sentence each."""

    def __init__(self, messages: list[str], code: str = "invalid") -> None:
        super().__init__(code, "; ".join(messages))
        self.messages = messages


class FailureWithResult(RanchhandError):
    """A failure that comes with what became of each item."""

    def __init__(self, code: str, message: str, result: Mapping[str, t.Any]) -> None:
        super().__init__(code, message)
        self.result = result
