# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which keys are verified before they are stored, how often, and what a refusal means for the item."""

from __future__ import annotations

import copy
import re
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.ranchhand.rancher.plugins.module_utils._common.errors import RanchhandError
from ansible_collections.ranchhand.rancher.plugins.module_utils._common.text import base64_encode
from ansible_collections.ranchhand.rancher.plugins.module_utils._health.keys import try_keys, validate_options_by_driver
from ansible_collections.ranchhand.rancher.plugins.module_utils._issuers import verification
from ansible_collections.ranchhand.rancher.plugins.module_utils._issuers.throttle import CallRates
from ansible_collections.ranchhand.rancher.plugins.module_utils._issuers.verification import (
    VERIFIERS,
    SignIns,
    verify_key,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher.cloud_credential import parse_cloud_credential
from ansible_collections.ranchhand.rancher.plugins.module_utils._resources.cloud_credential import (
    CloudCredentialReconciler,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._resources.desired import DesiredCredential
from ansible_collections.ranchhand.rancher.plugins.module_utils._resources.planning import Change
from ansible_collections.ranchhand.rancher.plugins.module_utils._resources.verification import (
    KeyVerification,
    needs_verification,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._runtime.execute import RunMode
from ansible_collections.ranchhand.rancher.plugins.module_utils.issuer import IssuerError

from .fake_rancher import Client, FakeRancher

ROOT = Path(__file__).parents[2]
SECRET = "canary-of-a-token"


def credential(token, name="linode prod", identifier="", driver="linode"):
    annotations = {"field.cattle.io/name": name, "field.cattle.io/creatorId": "u-alice"}
    metadata = {"name": identifier, "uid": "u", "resourceVersion": "1", "annotations": annotations}
    return parse_cloud_credential(
        {"metadata": metadata, "data": {f"{driver}credentialConfig-token": base64_encode(token)}}
    )


def change(action, before=None, after=None, **desired):
    options = {"verify": True, "state": "present", "where": "credentials[0]: ", **desired}
    item = DesiredCredential(
        name="linode prod", id=None, driver="linode", owner=None, description=None, labels={}, annotations={},
        config={}, secrets={}, **options,
    )
    return Change(
        item, action, before=before and credential(before, identifier="cc-a"),
        after=after and credential(after, identifier="cc-a" if before else ""),
    )


class Provider:
    """A provider with a code for each token; counts the sign-ins."""

    def __init__(self, **codes):
        self.codes, self.calls = codes, []

    def __call__(self, driver, values, options, rates):
        self.calls.append((driver, dict(values), dict(options)))
        code = self.codes.get(values["token"])
        if code:
            raise IssuerError(code, "Linode (api.linode.com) does not accept the key (HTTP status 401)")


def in_sequence(function, items):
    return [function(item) for item in items]


def verification_with(provider):
    return KeyVerification(in_sequence, SignIns(provider))


CHANGES = {
    "created": (change("created", after="a"), True),
    "updated": (change("updated", before="a", after="b"), True),
    "renamed": (change("updated", before="a", after="a"), False),
    "unchanged": (change("unchanged", before="a", after="a"), False),
    "deleted": (change("deleted", before="a", state="absent"), False),
    "refused": (change("refused", before="a", after="a", state="absent"), False),
    "not requested": (change("created", after="a", verify=False), False),
}


@pytest.mark.parametrize("name", CHANGES)
def test_only_fields_that_are_written_are_verified(name):
    planned, expected = CHANGES[name]
    provider = Provider()
    (done,), warnings = verification_with(provider).verify([planned])
    assert needs_verification(planned) is expected
    assert len(provider.calls) == expected and not warnings
    assert done == (replace(planned, details={"verified": "ok"}) if expected else planned)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        pytest.param("refused", "verify_failed", id="refused"),
        pytest.param("limit", "verify_failed", id="a code that a sign-in does not have"),
        pytest.param("unreachable", "unreachable", id="unreachable"),
        pytest.param("unsupported", "unsupported", id="unsupported"),
        pytest.param("invalid", "invalid", id="invalid"),
        pytest.param("busy", "throttled", id="busy"),
    ],
)
def test_a_key_that_is_not_accepted_stops_its_item_only(code, expected):
    changes = [change("updated", before="a", after=SECRET), change("created", after="good")]
    (failed, other), warnings = verification_with(Provider(**{SECRET: code})).verify(changes)
    assert (failed.action, failed.error.code, failed.writes) == ("failed", expected, False)
    assert other.action == "created" and other.details == {"verified": "ok"} and not warnings
    assert failed.error.message.startswith(
        'cloud credential "linode prod" (cattle-global-data:cc-a) is not written, because its key cannot be verified: '
        "Linode (api.linode.com) does not accept the key (HTTP status 401). "
    )
    assert SECRET not in failed.error.message


@pytest.mark.parametrize("theirs", ["label", "same values"])
def test_a_key_was_verified_also_if_the_write_had_a_conflict(theirs):
    rancher = FakeRancher()
    rancher.credential("cc-a", "A")
    item = replace(
        change("updated").desired, id="cc-a", name="cc-a", driver="amazonec2", secrets={"secretKey": "new"},
        validate_config=False,
    )

    def write_first(method, path):
        if method == "PATCH":
            rancher.before = None
            stored = copy.deepcopy(rancher.objects[path])
            if theirs == "label":
                stored["metadata"]["labels"] = {"theirs": "x"}
            else:
                stored["data"]["amazonec2credentialConfig-secretKey"] = base64_encode("new")
            rancher.store(path, stored)

    rancher.before = write_first
    client = Client(rancher)
    client.update_cached = lambda path, update: None
    reconciler = CloudCredentialReconciler(client, [item])
    reconciler._verification = KeyVerification(in_sequence, SignIns(lambda *sign_in: None))
    done, = reconciler.run(RunMode())
    assert (done.action, done.error, done.details) == ("updated", None, {"verified": "ok"})


def test_a_key_without_a_right_is_written_with_a_warning():
    (done,), (warning,) = verification_with(Provider(a="forbidden")).verify([change("created", after="a")])
    assert done.action == "created" and done.details == {"verified": "forbidden"}
    assert warning.startswith('credentials[0]: cloud credential "linode prod": Linode')


def test_each_distinct_key_is_tried_once():
    """So that a wrong password in many credentials does not lock its account."""
    same = [change("created", after=SECRET), change("created", after=SECRET, verify_options={})]
    other = change("created", after=SECRET, verify_options={"endpoint_url": "https://other", 5: None})
    provider = Provider(**{SECRET: "refused"})
    done, _warnings = verification_with(provider).verify([*same, other])
    assert len(provider.calls) == 2 and [item.action for item in done] == ["failed"] * 3


VSPHERE = {"vcenter": "vc.example.com", "username": "rancher@vsphere.local"}


def test_an_account_is_not_locked_by_several_wrong_passwords():
    tried = []

    def refuse(driver, values, options, rates):
        tried.append(values["password"])
        if values["password"] != "right":
            raise IssuerError("refused", "wrong")

    sign_ins = SignIns(refuse)
    codes = {}
    for account in ("rancher right", "rancher a", "Rancher b", "other a", "rancher right"):
        user, password = account.split()
        error = sign_ins.sign_in("vmwarevsphere", {**VSPHERE, "username": user, "password": password}, {})
        codes[user, password] = error and error.code
    assert tried == ["right", "a", "a"]
    assert codes == {
        ("rancher", "right"): None, ("rancher", "a"): "refused", ("Rancher", "b"): "busy", ("other", "a"): "refused",
    }


@pytest.mark.parametrize(("driver", "values", "changes"), [
    ("vmwarevsphere", VSPHERE, {"vcenter": "other"}), ("vmwarevsphere", VSPHERE, {"username": "other"}),
    ("nutanix", {"endpoint": "a", "username": "b"}, {"endpoint": "other"}),
    ("nutanix", {"endpoint": "a", "username": "b"}, {"username": "other"}),
    ("openstack", {"auth_url": "a", "username": "b", "user_domain_id": "c"}, {"user_domain_id": "other"}),
])
def test_what_identifies_an_account(driver, values, changes):
    """A refusal does not prevent a sign-in with another account."""
    def refuse(*_sign_in):
        raise IssuerError("refused", "wrong")

    sign_ins = SignIns(refuse)
    attempts = [{**values, "password": "x"}, {**values, "password": "y"}, {**values, **changes, "password": "z"}]
    assert [sign_ins.sign_in(driver, each, {}).code for each in attempts] == ["refused", "busy", "refused"]


@pytest.mark.parametrize("code", ["unreachable", "forbidden", "invalid"])
def test_only_a_refusal_could_lock_an_account(code):
    def fail(*_sign_in):
        raise IssuerError(code, "not refused")

    sign_ins = SignIns(fail)
    errors = [sign_ins.sign_in("vmwarevsphere", {**VSPHERE, "password": password}, {}) for password in ("a", "b")]
    assert [error.code for error in errors] == [code, code]


@pytest.mark.parametrize(
    ("token", "code"),
    [
        pytest.param("other", "conflict", id="changed by another client"),
        pytest.param("bad", "conflict", id="refused before"),
        pytest.param("good", None, id="verified"),
        pytest.param("weak", None, id="without a right"),
    ],
)
def test_only_verified_values_are_written(token, code):
    checked = verification_with(Provider(bad="refused", weak="forbidden"))
    checked.verify([change("updated", before="a", after=each) for each in ("good", "weak", "bad")])
    try:
        checked.require_verified(change("updated", before="x", after=token))
    except RanchhandError as error:
        assert error.code == code
    else:
        assert code is None


def test_a_driver_without_verification_names_those_that_have_it():
    with pytest.raises(IssuerError) as failure:
        verify_key("rackspace", {"apiKey": SECRET}, {}, CallRates(1000))
    assert failure.value.code == "unsupported" and failure.value.message == (
        f"keys of driver rackspace cannot be verified, only those of {', '.join(VERIFIERS)}"
    )


@pytest.mark.parametrize("driver", VERIFIERS)
def test_an_unknown_option_and_missing_fields_are_invalid_before_anything_is_sent(driver):
    for options in ({"surprise": 1, 5: 2}, {}):
        with pytest.raises(IssuerError) as failure:
            verify_key(driver, {}, options, CallRates(1000))
        assert failure.value.code == "invalid", failure.value.message


def test_an_unexpected_error_does_not_show_its_text(monkeypatch):
    def fail(values, options):
        raise LookupError(SECRET)

    monkeypatch.setattr(verification, "VERIFIERS", {"linode": verification.Verifier(fail)})
    with pytest.raises(IssuerError) as failure:
        verify_key("linode", {"token": SECRET}, {}, CallRates(1000))
    assert failure.value.code == "unreachable" and SECRET not in failure.value.message


@pytest.mark.parametrize(
    "endpoint",
    [pytest.param("https://127.0.0.1:9", id="URL"), pytest.param("127.0.0.1:9", id="host")],
)
def test_keys_of_other_s3_stores_are_not_sent_to_aws(endpoint):
    with pytest.raises(IssuerError) as failure:
        verify_key(
            "s3", {"accessKey": "A", "secretKey": SECRET, "defaultEndpoint": endpoint}, {}, CallRates(1000)
        )
    assert failure.value.code == "unreachable" and "the S3 store (127.0.0.1:9)" in failure.value.message


def test_dead_keys_of_a_fleet():
    provider = Provider(dead="refused", weak="forbidden", far="unreachable")
    tokens = {"cc-1": "good", "cc-2": "dead", "cc-3": "dead", "cc-4": "weak", "cc-5": "far"}
    fleet = [credential(token, identifier=name) for name, token in tokens.items()]
    fleet += [credential("x", identifier=name, driver="rackspace") for name in ("cc-6", "cc-7")]
    options = {"endpoint_url": "https://linode.example.com"}
    problems, incomplete = try_keys(fleet, {"linode": options}, SignIns(provider), in_sequence)
    assert {name: problem.code for name, problem in problems.items()} == {
        "cc-2": "key_refused", "cc-3": "key_refused", "cc-4": "key_forbidden",
    }
    assert incomplete == [
        "key_refused: keys of driver rackspace cannot be verified (2 credentials)",
        "key_refused: the key of cattle-global-data:cc-5 cannot be verified: Linode (api.linode.com) does not accept "
        "the key (HTTP status 401)",
    ]
    assert provider.calls == [("linode", {"token": token}, options) for token in ("good", "dead", "weak", "far")]


@pytest.mark.parametrize(
    ("options", "number"),
    [
        pytest.param({"linode": {}, "openstack": {"auth_url": "x"}}, 0, id="valid"),
        pytest.param({"linode": "x"}, 1, id="no mapping"),
        pytest.param({"rackspace": {}, 5: {}}, 2, id="other drivers"),
    ],
)
def test_options_by_driver(options, number):
    assert len(validate_options_by_driver(options)) == number


def test_the_documentation_lists_the_drivers_and_their_options():
    page = (ROOT / "docs/issuers.md").read_text(encoding="utf-8")
    section = page.partition("## Verify a key before it is stored")[2].partition("\n## ")[0]
    rows = [line.split(" | ") for line in section.splitlines() if line.startswith("| ") and line.count("|") == 6]
    options = {row[0].removeprefix("| "): tuple(re.findall("`([a-z_]+)`", row[3])) for row in rows[1:]}
    assert {driver: set(names) for driver, names in options.items()} == {
        driver: set(verifier.options) for driver, verifier in VERIFIERS.items()
    }
    module = (ROOT / "plugins/modules/cloud_credential.py").read_text(encoding="utf-8")
    *drivers, last = VERIFIERS
    assert f"Available for the drivers {', '.join(drivers)} and {last};" in " ".join(module.split())
