# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Calls in parallel over a bounded number of connections."""

from __future__ import annotations

import typing as t
from concurrent.futures import ThreadPoolExecutor

CONNECTIONS = 16

Argument = t.TypeVar("Argument")
Result = t.TypeVar("Result")


def parallel_results(
    function: t.Callable[[Argument], Result], arguments: t.Sequence[Argument], workers: int = CONNECTIONS
) -> t.Iterator[Result]:
    """Yield the function's result for each argument, in their order; a single call runs in the calling thread.

    At most ``workers`` calls run at a time.
    """
    if len(arguments) < 2:
        yield from map(function, arguments)
        return
    with ThreadPoolExecutor(max_workers=min(workers, len(arguments))) as executor:
        yield from executor.map(function, arguments)
