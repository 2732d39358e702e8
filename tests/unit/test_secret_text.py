# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets are removed from results."""

from __future__ import annotations

import base64

from ansible_collections.ranchhand.rancher.plugins.module_utils._common.masking import (
    HIDDEN,
    mask,
    secret_forms,
    secret_leaves,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._common.text import base64_encode
from hypothesis import given
from hypothesis import strategies as st

SECRETS = st.lists(st.text(min_size=8, max_size=400).filter(str.strip), min_size=1, max_size=4)


@given(SECRETS, st.text(max_size=20), st.text(max_size=20))
def test_no_form_of_a_secret_is_left(secrets, before, after):
    shown = mask(
        {
            "a": [before + secret + after for secret in secrets],
            "b": {"c": [base64_encode(secret) for secret in secrets]},
        },
        secret_forms(secrets),
    )
    for secret in secrets:
        for form in (
            secret,
            secret.strip(),
            base64.b64encode(secret.encode()).decode(),
            base64.b64encode(secret.strip().encode()).decode(),
        ):
            assert form in HIDDEN or form not in "\n".join(shown["a"] + shown["b"]["c"])


def test_keys_and_other_values_are_kept():
    result = {"secretKey": "x secretKey y", "size": 5, "whole": 12345678, "yes": True, "none": None, "list": ("a", 1.5)}
    assert mask(result, secret_forms(["secretKey", "12345678", "True"])) == {
        "secretKey": f"x {HIDDEN} y",
        "size": 5,
        "whole": HIDDEN,
        "yes": True,
        "none": None,
        "list": ["a", 1.5],
    }


def test_the_longer_of_two_secrets_is_masked_as_a_whole():
    for size in (1, 300):
        short, long = "abc" * size, "xx" + "abc" * size + "yy"
        assert mask(long, secret_forms([short, long])) == HIDDEN


def test_without_secrets_a_result_is_unchanged():
    result = {"a": ["b"]}
    assert secret_forms([""]) == set()
    assert mask(result, ["", *secret_forms(["absent"])]) == result


def test_leaves_of_any_value():
    assert list(secret_leaves({"a": "b", "c": {"d": [1, 2.5, None, True, "e"]}, "f": {}})) == ["b", "1", "2.5", "e"]
    assert list(secret_leaves("x")) == ["x"]


def test_short_secrets_are_masked_as_whole_words_only():
    result = {"action": "updated", "id": "cattle-global-data:cc-tpass", "note": "the pass is pass, not bypass"}
    assert mask(result, secret_forms(["p", "up", "dat", "pass"])) == {
        **result,
        "note": f"the {HIDDEN} is {HIDDEN}, not bypass",
    }
