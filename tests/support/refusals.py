# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tasks that a module refuses before it writes anything."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Refusal:
    """Options, and the code of the error and words of its message."""

    options: dict
    code: str
    message: str


def check_refusals(cluster, subtests, module, refusals):
    """Assert that each case fails with one sentence that contains no secret ("canary"), and that nothing is written."""
    mark = cluster.control_plane.audit_mark()
    played = cluster.play(*({module: case.options} for case in refusals.values()))
    assert not cluster.writes(mark)
    assert len(played.results) == len(refusals), played.output
    for (what, case), result in zip(refusals.items(), played.results):
        with subtests.test(what):
            outcome = (result.get("failed"), result.get("code"), result.get("changed", False))
            assert outcome == (True, case.code, False), result
            assert case.message in result["msg"]
            assert "canary" not in result["msg"] and len(result["msg"]) < 600 and "\n" not in result["msg"]
