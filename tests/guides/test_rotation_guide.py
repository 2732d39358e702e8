# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Follow the guide "First rotation"."""

from __future__ import annotations

from support.rotations import ROTATION_INFO as INFO
from support.rotations import RotatingCredential

from .guide import Guide, chapters


def test_first_rotation(cluster, aws, tmp_path):
    key = aws.create_user("reader")
    before, shell, text = chapters("first-rotation", "Start the environment").partition("```shell\nmake shell\n```\n")
    assert shell and "```" not in before, "fixtures replace only make shell"
    guide = Guide(tmp_path, {
        **cluster.environment(), "AWS_ENDPOINT_URL": aws.url, "ANSIBLE_INVENTORY_UNPARSED_WARNING": "False",
        "RANCHHAND_AWS_ACCESS_KEY": key["accessKey"], "RANCHHAND_AWS_SECRET_KEY": key["secretKey"],
    }, [key["secretKey"]]).follow(text)
    assert (len(guide.runs), guide.files, guide.shown) == (10, ["credential.yml", "rotation.yml"], 9)
    assert guide.changed("ranchhand.rancher.rotate ")[-1] == guide.changed("credential.yml")[-1] == "0"
    # the final state
    rotating = RotatingCredential.__new__(RotatingCredential)
    rotating.cluster, rotating.aws, rotating.user = cluster, aws, "reader"
    rotations = cluster.play({INFO: {"name": "aws prod"}}).result["rotations"]
    assert [(rotation["phase"], rotation["reason"], rotation["generation"]) for rotation in rotations] == [
        ("idle", "trying it out", 1)], rotations
    rotating.id = rotations[0]["id"].rpartition(":")[2]
    current = rotating.live["accessKey"]
    assert rotating.keys == {current: "Active"} and current not in ("", key["accessKey"])
    assert rotating.works() and not aws.works(key["accessKey"], key["secretKey"])
