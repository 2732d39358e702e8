# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets are removed from results."""

from __future__ import annotations

import base64
import json

import pytest
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
    assert mask(result, secret_forms(["secretKey", "12345678", "True", "None"])) == {
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
    assert mask("secret-1 and secret-123", ["secret-1", "secret-123"]) == f"{HIDDEN} and {HIDDEN}"
    assert mask("secret7 and secret78", ["secret7", "secret78"]) == f"{HIDDEN} and {HIDDEN}"


@pytest.mark.parametrize("size", [4, 6, 7, 8, 9, 199, 200, 201, 202])
def test_a_secret_is_masked_wherever_it_is_in_a_text(size):
    secret = "".join(chr(ord("a") + position % 26) for position in range(size))
    for text in ("{}", "{} x", "x {}", "x {} y {}"):
        assert mask(text.format(secret, secret), [secret]) == text.format(HIDDEN, HIDDEN)


def test_a_secret_is_masked_also_without_the_spaces_around_it():
    assert mask("the key is secret-text.", secret_forms(["  secret-text\n"])) == f"the key is {HIDDEN}."
    assert mask(base64_encode("secret-text"), secret_forms(["  secret-text\n"])) == HIDDEN
    assert "abc" not in secret_forms(["  abc\n"])


def test_without_secrets_a_result_is_unchanged():
    result = {"a": ["b", "present"], "c": ("d",)}
    assert secret_forms([""]) == set()
    assert mask(result, [""]) is result
    for absent in ("absent", "absent-secret"):
        assert mask(result, ["", *secret_forms([absent])]) == {"a": ["b", "present"], "c": ["d"]}


def test_leaves_of_any_value():
    assert list(secret_leaves({"a": "b", "c": {"d": [1, 2.5, None, True, "e"]}, "f": ("g",)})) == [
        "b", "1", "2.5", "e", "g"]
    assert list(secret_leaves("x")) == ["x"]


def test_short_secrets_are_masked_as_whole_words_only():
    result = {"action": "updated", "id": "cattle-global-data:cc-tpass", "note": "the pass is pass, not bypass"}
    assert mask(result, secret_forms(["p", "up", "dat", "pass"])) == {
        **result,
        "note": f"the {HIDDEN} is {HIDDEN}, not bypass",
    }
    assert mask("sixsix and asixsixb, seven77 and aseven77b", secret_forms(["sixsix", "seven77"])) == (
        f"{HIDDEN} and asixsixb, {HIDDEN} and a{HIDDEN}b")


PEM = "-----BEGIN PRIVATE KEY-----\nMIIEvQ&<>\u00e4+/==\n-----END PRIVATE KEY-----\n"
SERVICE_ACCOUNT = json.dumps({"type": "service_account", "private_key": PEM, "client_email": "a@b.example"}, indent=2)
QUOTES = {
    "json": json.dumps,
    "json without ASCII": lambda text: json.dumps(text, ensure_ascii=False),
    "json of Go": lambda text: json.dumps(text, ensure_ascii=False).replace("&", "\\u0026").replace(
        "<", "\\u003c").replace(">", "\\u003e"),
    "json in json": lambda text: json.dumps(json.dumps({"a": text})),
    "python": repr,
}


@pytest.mark.parametrize("quote", QUOTES.values(), ids=QUOTES)
@pytest.mark.parametrize("secret", [PEM, PEM.strip(), SERVICE_ACCOUNT], ids=["pem", "trimmed", "service account"])
def test_quoted_secrets_are_masked(quote, secret):
    message = f'admission webhook "x" denied the request: {quote(secret)} is not allowed'
    assert "MIIEvQ" not in mask(message, secret_forms([secret]))


@pytest.mark.parametrize("quote", QUOTES.values(), ids=QUOTES)
def test_a_quoted_secret_is_masked_from_its_first_to_its_last_character(quote):
    for secret in (PEM, PEM.strip()):
        assert mask(f"denied: {quote(secret)}", secret_forms([secret])) == f"denied: {quote(HIDDEN)}"


def test_a_secret_that_only_begins_like_json_is_a_secret():
    for secret in ('{"a":' + "[" * 100_000, "{not JSON}", ' \n{"a": "b"}'):
        assert mask(f"x {secret} y", secret_forms([secret])) == f"x {HIDDEN} y"


def test_the_key_within_a_secret_of_json_is_masked():
    assert "MIIEvQ" not in mask(PEM, secret_forms(["\n " + SERVICE_ACCOUNT]))
    forms = secret_forms([SERVICE_ACCOUNT])
    assert "MIIEvQ" not in mask(f"{PEM} and {json.dumps(PEM)}", forms)
    assert mask("a service_account of a@b.example", forms) == "a service_account of a@b.example"
