# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The evaluation of credentials: policies, expiries, and the problems of a key and its rotation."""

from __future__ import annotations

import base64
import datetime
import json
import re
import time
from dataclasses import dataclass, field, replace

import pytest
from ansible_collections.ranchhand.rancher.plugins.module_utils._common.errors import ValidationErrors
from ansible_collections.ranchhand.rancher.plugins.module_utils._common.options import parse_options
from ansible_collections.ranchhand.rancher.plugins.module_utils._common.problems import Problem
from ansible_collections.ranchhand.rancher.plugins.module_utils._common.times import (
    LONGEST_DURATION,
    UTC,
    format_time,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._health import checker as health_checker
from ansible_collections.ranchhand.rancher.plugins.module_utils._health import expiry
from ansible_collections.ranchhand.rancher.plugins.module_utils._health.checker import HealthChecker, HealthContext
from ansible_collections.ranchhand.rancher.plugins.module_utils._health.cloud_credential_info import (
    CLOUD_CREDENTIAL_INFO,
    list_cloud_credential_info,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._health.evaluation import KeyState, evaluate
from ansible_collections.ranchhand.rancher.plugins.module_utils._health.expiry import find_expiries
from ansible_collections.ranchhand.rancher.plugins.module_utils._health.policies import AgePolicy, find_max_age
from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher.annotations import (
    announced_runs,
    deleting_run,
    leftover_marks,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher.cloud_credential import (
    harvester_token_id,
    parse_cloud_credential,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher.driver_schema import DriverSchemas
from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher.machine_pools import (
    HostedCluster,
    MachinePool,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher.node_template import parse_node_template
from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher.references import (
    CREDENTIAL_REFERENCE_FIELDS,
    HISTORY,
    Reference,
    ReferenceIndex,
    ReferenceReader,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher.users import User, Users
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation.record import RotationRecord
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation.status import due_time, key_issued_at
from ansible_collections.ranchhand.rancher.plugins.module_utils._runtime.execute import RunMode

from .fake_rancher import CLUSTERS, SECRETS, Client, FakeRancher

NOW = datetime.datetime(2026, 11, 24, 7, 30, tzinfo=UTC)
MONTH = datetime.timedelta(days=30)
DRIFT = {"code": "drift", "level": "error", "message": "contains another value"}


def ago(**duration):
    return NOW - datetime.timedelta(**duration)


def credential(name="one", driver="digitalocean", owner="u-a", identifier="cc-a", **fields):
    data = {
        f"{driver}credentialConfig-{field}": base64.b64encode(text.encode()).decode()
        for field, text in (fields or {"accessToken": name}).items()
    }
    return parse_cloud_credential({"data": data, "metadata": {
        "name": identifier, "uid": identifier, "resourceVersion": "1", "creationTimestamp": "2026-01-01T00:00:00Z",
        "annotations": {"field.cattle.io/name": name, "field.cattle.io/creatorId": owner},
    }})


def record(phase, transition=None, **times):
    transitions = ({"at": format_time(transition), "phase": phase, "what": "continued"},) if transition else ()
    return RotationRecord(
        "rotation-cc-a", (("cc-a", "cc-a"),), "digitalocean", "supplied", ("accessToken",), phase=phase,
        transitions=transitions, **times)


def checker(*credentials, unlisted=()):
    users = Users([User("u-a", "alice")])
    return HealthChecker(HealthContext(credentials, None, users, ReferenceIndex((), unlisted), ()))


def codes(key, subject=None):
    subject = subject or credential()
    shown = evaluate(checker(subject, unlisted=("clusters",)), subject, key, NOW, MONTH)
    return [problem["code"] for problem in shown["problems"]]


@dataclass(frozen=True)
class KeyCase:
    """The rotation of a key, when its next step is due, and the codes of the problems."""

    record: RotationRecord | None
    due_at: datetime.datetime | None
    codes: list
    found: list = field(default_factory=list)


KEYS = {
    "never rotated, no policy": KeyCase(None, None, []),
    "due tomorrow": KeyCase(None, ago(days=-1), []),
    "due since yesterday": KeyCase(record("idle"), ago(days=1), ["overdue"]),
    "drift hides the age": KeyCase(record("idle"), ago(days=1), ["drift"], [DRIFT]),
    "grace is over since today": KeyCase(record("grace", ago(days=9)), ago(hours=5), []),
    "grace is over for three days": KeyCase(record("grace", ago(days=9)), ago(days=3), ["stuck_rotation"]),
    "issued a minute ago": KeyCase(record("issued", ago(minutes=1)), NOW, []),
    "issued two hours ago": KeyCase(record("issued", ago(hours=2)), NOW, ["stuck_rotation"]),
    "started two hours ago": KeyCase(record("preparing", started_at=ago(hours=2)), NOW, ["stuck_rotation"]),
    "key expires next week": KeyCase(record("idle", expires_at=ago(days=-7)), None, ["expires_soon"]),
    "key has expired": KeyCase(record("idle", expires_at=ago(days=7)), None, ["expired"]),
}


@pytest.mark.parametrize("case", KEYS.values(), ids=KEYS)
def test_problems_of_a_key(case):
    status = {
        "key_age_seconds": 5, "key_age_source": "record", "due_at": case.due_at and case.due_at.isoformat(),
        "due": bool(case.due_at and case.due_at <= NOW), "problems": case.found,
    }
    assert codes(KeyState(case.record, status, None)) == case.codes


REFUSED = Problem("key_refused", "AWS does not accept the key")


def test_what_a_sign_in_with_the_key_found_is_a_problem():
    status = {"key_age_seconds": None, "key_age_source": "secret", "due_at": None, "due": False, "problems": [DRIFT]}
    subject = credential()
    shown = evaluate(
        checker(subject, unlisted=["x"]), subject, KeyState(None, status, None, REFUSED), NOW, MONTH)
    assert shown == {
        "key_age_seconds": None, "key_age_source": "secret", "max_age_seconds": None, "due_at": None, "due": False,
        "problems": [{"code": "key_refused", "level": "error", "message": REFUSED.message}, DRIFT],
    }


def test_a_clock_may_differ_by_an_hour():
    status = {"key_age_seconds": 5, "key_age_source": "secret", "due_at": None, "due": False, "problems": []}
    for minutes, expected in ((-60, []), (-61, ["malformed"])):
        subject = replace(credential(), annotations={
            **credential().annotations, ROTATED_AT: format_time(ago(minutes=minutes))})
        shown = evaluate(checker(subject, unlisted=["x"]), subject, KeyState(None, status, None), NOW, MONTH)
        assert [problem["code"] for problem in shown["problems"]] == expected


@pytest.mark.parametrize(("days", "message"), [
    (0, "its key expired at 2026-11-24T07:30:00Z"), (30, "its key expires at 2026-12-24T07:30:00Z"), (31, None),
])
def test_the_end_of_a_key_is_reported_within_the_period(days, message):
    status = {"key_age_seconds": 5, "key_age_source": "record", "due_at": None, "due": False, "problems": []}
    key = KeyState(record("idle", expires_at=ago(days=-days)), status, None)
    shown = evaluate(checker(credential(), unlisted=["x"]), credential(), key, NOW, MONTH)
    assert [problem["message"] for problem in shown["problems"]] == ([message] if message else [])


@pytest.mark.parametrize(("rotation", "due_at", "message"), [
    (None, ago(days=3, hours=1), "its key was due for rotation 3 days ago"),
    (record("idle"), NOW, None),
    (record("grace", ago(days=9)), ago(days=2), None),
    (record("grace", ago(days=9)), ago(days=2, minutes=1),
     "its rotation has been in phase grace for 48 hours longer than expected"),
    (record("disabled", ago(days=9)), ago(days=4),
     "its rotation has been in phase disabled for 96 hours longer than expected"),
    (record("issued", ago(hours=1)), ago(days=9), None),
    (record("issued", ago(hours=1, minutes=1)), None,
     "its rotation has been in phase issued for 1 hours longer than expected"),
    (record("preparing"), ago(days=9), None),
    (replace(record("issued", ago(hours=9)), transitions=tuple(
        {"at": format_time(ago(hours=hours)), "phase": "issued", "what": "continued"} for hours in (9, 1, 0))),
     None, None),
])
def test_a_rotation_that_makes_no_progress(rotation, due_at, message):
    status = {
        "key_age_seconds": 5, "key_age_source": "record", "due_at": due_at and format_time(due_at), "due": False,
        "problems": [],
    }
    shown = evaluate(
        checker(credential(), unlisted=["x"]), credential(), KeyState(rotation, status, None), NOW, MONTH)
    assert [problem["message"] for problem in shown["problems"]] == ([message] if message else [])


def test_evaluation_is_complete_and_its_times_end_in_z():
    subject = credential(owner="u-gone")
    status = {
        "key_age_seconds": 5, "key_age_source": "secret", "due_at": "2026-11-24T00:00:00+00:00", "due": True,
        "problems": [],
    }
    shown = evaluate(checker(subject), subject, KeyState(None, status, 86400), NOW, MONTH)
    problems = shown.pop("problems")
    assert shown == {
        "key_age_seconds": 5, "key_age_source": "secret", "max_age_seconds": 86400, "due_at": "2026-11-24T00:00:00Z",
        "due": True,
    }
    assert [problem["code"] for problem in problems] == ["owner_gone", "unused", "overdue"]
    assert all(set(problem) == {"code", "level", "message"} for problem in problems)


def test_shared_keys_and_duplicate_names():
    first, second = credential(identifier="cc-a", accessToken="x"), credential(identifier="cc-b", accessToken="x")
    other = credential(name="two", identifier="cc-c", accessToken="y")
    found = checker(first, second, other)
    assert [problem.code for problem in found.problems(first)] == ["duplicate_name", "shared_key", "unused"]
    assert [problem.code for problem in found.problems(other)] == ["unused"]


USERS = Users([User("u-a", "alice")])
SCHEMAS = DriverSchemas([{"metadata": {"name": "credentialconfig"}, "spec": {"resourceFields": {
    "digitaloceancredentialConfig": {}}}}])


def template(driver="digitalocean"):
    metadata = {"name": "nt-a", "uid": "u", "resourceVersion": "1", "annotations": {"field.cattle.io/creatorId": "u-a"}}
    spec = {"displayName": "small", "driver": driver, "cloudCredentialName": "cattle-global-data:cc-a"}
    return parse_node_template({"metadata": metadata, "spec": spec, f"{driver}Config": {"size": "x"}})


# What a connection may not list, the credential whose problem it would show, and the reason in the result.
MAY_NOT_LIST = {
    "owner_gone": (
        {"users": Users([User("u-a")], only_own=True)}, {"users": USERS}, credential(owner="u-gone"),
        "owner_gone: this connection may not list users.management.cattle.io"),
    "driver_inactive": (
        {"schemas": None}, {"schemas": SCHEMAS}, credential(driver="azure"),
        "driver_inactive: this connection may not list dynamicschemas.management.cattle.io"),
    "template_broken": (
        {"templates": None}, {"templates": [template("azure")]}, credential(),
        "template_broken: this connection may not list nodetemplates.management.cattle.io"),
    "unused": (
        {"references": ReferenceIndex((), ["nodes.management.cattle.io", "clusters.provisioning.cattle.io"])},
        {"references": ReferenceIndex()}, credential(),
        "unused: this connection may not list clusters.provisioning.cattle.io, nodes.management.cattle.io"),
    "config_contradicts": (
        {"machine_configs": None}, {}, credential(),
        "config_contradicts, config_repeats: this connection may not list rke-machine-config.cattle.io"),
}
COMPLETE = {
    "schemas": SCHEMAS, "users": USERS, "templates": (), "machine_configs": (),
    "references": ReferenceIndex([("cc-a", Reference("Cluster", "v1", "n", "prod", "f", "cluster"))]),
}


@pytest.mark.parametrize("code", MAY_NOT_LIST)
def test_what_may_not_be_listed_is_unchecked_and_no_problem(code):
    """A 403 means that it is unknown whether a credential has the problem, not that it has it."""
    forbidden, readable, subject, reason = MAY_NOT_LIST[code]
    context = HealthContext([subject], **{**COMPLETE, **forbidden})
    assert context.unchecked() == [reason] and HealthChecker(context).problems(subject) == []
    context = HealthContext([subject], **{**COMPLETE, **readable})
    found = [problem.code for problem in HealthChecker(context).problems(subject)]
    assert context.unchecked() == [] and found == ([code] if readable else [])


def test_all_that_may_not_be_listed_is_reported():
    forbidden = {key: value for _case in MAY_NOT_LIST.values() for key, value in _case[0].items()}
    context = HealthContext([credential()], **forbidden)
    assert context.unchecked() == [MAY_NOT_LIST[code][3] for code in (
        "owner_gone", "driver_inactive", "template_broken", "config_contradicts", "unused")]
    found = HealthChecker(context).problems(credential(driver="azure", owner="u-gone"))
    assert found == []


@pytest.mark.parametrize(("references", "message"), [
    ([], "no object refers to it"),
    ([Reference("ETCDSnapshot", "v1", "n", name, "f", HISTORY) for name in "ab"],
     "no object refers to it, except 2 that do not need it any more"),
    ([Reference("Cluster", "v1", "n", "prod", "f", "cluster")], None),
])
def test_a_credential_that_only_history_names_is_unused(references, message):
    index = ReferenceIndex(("cc-a", reference) for reference in references)
    found = HealthChecker(HealthContext([credential()], None, USERS, index, ())).problems(credential())
    assert found == ([Problem("unused", message)] if message else [])


def test_a_node_template_that_cannot_create_machines_is_a_problem_of_its_credential():
    context = HealthContext([credential()], **{**COMPLETE, "templates": [template(), template("azure"), template("")]})
    subject = "node template small (cattle-global-nt:nt-a), which uses it, has"
    assert [problem.message for problem in HealthChecker(context).problems(credential())] == [
        f"{subject} driver azure", f"{subject} no driver"]
    others = HealthChecker(context).problems(credential("two", identifier="cc-b"))
    assert [problem.code for problem in others] == ["unused"]


def test_a_reference_that_rancher_does_not_resolve_is_named_with_the_remedy():
    reference = Reference("Cluster", "v1", "n", "prod", "f", "cluster", value="other:cc-a")
    machine = replace(reference, kind="Amazonec2Machine", use="machine")
    context = HealthContext([credential()], **{
        **COMPLETE, "references": ReferenceIndex([("cc-a", reference), ("cc-a", machine)])})
    assert HealthChecker(context).problems(credential()) == [Problem("reference_unresolved", (
        "Cluster n/prod (f) spells it other:cc-a, which Rancher does not resolve, so that it applies no change of the "
        "cluster; write cattle-global-data:cc-a"))]


def test_a_credential_of_several_drivers():
    subject = replace(credential(), driver=None, problem="has several drivers")
    context = HealthContext([subject], **COMPLETE)
    assert [problem.code for problem in HealthChecker(context).problems(subject)] == ["unreadable"]


def test_a_credential_that_rancher_cannot_read_and_that_has_no_owner():
    found = checker(credential(owner=""), unlisted=["x"]).problems(credential(owner=""))
    assert [(problem.code, problem.message) for problem in found] == [
        ("unreadable", "has no annotation field.cattle.io/creatorId and therefore no owner")]


@pytest.mark.parametrize(("error", "shown"), [
    ("x" * 200, "x" * 200), ("x" * 201, "x" * 200 + "…"), ("a \n b of long-value, v-3", "a b of …, v-3"),
])
def test_the_message_of_a_failed_sync_is_short_and_contains_no_value(error, shown):
    subject = credential(accessToken="long-value", region="v-3")
    sync = HostedCluster("Cluster", None, "c-x", "cattle-global-data:cc-a", error)
    context = HealthContext([subject], **{**COMPLETE, "references": ReferenceIndex((), ["x"], failed_syncs=[sync])})
    assert HealthChecker(context).problems(subject) == [
        Problem("sync_failed", f"the last sync of Cluster c-x with it failed: {shown}")]


@pytest.mark.parametrize(("spelling", "namespace", "mismatch"), [
    ("cattle-global-data:cc-a", "fleet-default", True), ("cc-a", "cattle-global-data", True),
    ("cc-a", "fleet-default", False), ("cattle-global-data:cc-b", "fleet-default", False), ("", "fleet-default", False),
])
def test_the_pools_that_create_machines_of_another_driver(spelling, namespace, mismatch):
    pools = [
        MachinePool(namespace, "prod", kind, f"{kind}Config", "x", spelling, False, True)
        for kind in ("Azure", "Digitalocean")
    ]
    index = ReferenceIndex([("cc-a", Reference("Cluster", "v1", "n", "prod", "f", "cluster"))], pools=pools)
    found = HealthChecker(HealthContext([credential()], **{**COMPLETE, "references": index})).problems(credential())
    message = "pool prod/Azure, which uses it, creates machines of driver azure"
    assert found == ([Problem("driver_mismatch", message)] if mismatch else [])


SECRET = "s" * 32


@pytest.mark.parametrize(("first", "second", "shared"), [
    pytest.param({"accessToken": "x"}, {"accessToken": "x"}, True, id="the same token"),
    pytest.param({"accessToken": "x"}, {"accessToken": "y"}, False, id="another token"),
    pytest.param({"accessToken": "", "region": ""}, {"accessToken": "", "region": ""}, False, id="no key"),
    pytest.param({"driver": "amazonec2", "accessKey": "AK", "secretKey": "a"},
                 {"driver": "amazonec2", "accessKey": "AK", "secretKey": "b"}, True, id="the same id of a key"),
    pytest.param({"driver": "s3", "accessKey": "AK", "secretKey": "a"},
                 {"driver": "amazonec2", "accessKey": "AK", "secretKey": "b"}, True, id="the same id for s3"),
    pytest.param({"driver": "amazonec2", "accessKey": "AK", "secretKey": "a"},
                 {"driver": "amazonec2", "accessKey": "AX", "secretKey": "a"}, False, id="another id of a key"),
])
def test_credentials_with_the_same_key(first, second, shared):
    left, right = credential("one", identifier="cc-a", **first), credential("two", identifier="cc-b", **second)
    found = [problem.code for problem in checker(left, right, unlisted=["x"]).problems(left)]
    assert found == (["shared_key"] if shared else [])
    digests = [checker(each).key_digest(each, SECRET) for each in (left, right)]  # as of two Ranchers
    assert (None not in digests and digests[0] == digests[1]) is shared


@pytest.mark.parametrize("fields", [{"driver": "amazonec2", "accessKey": "AK"}, {"accessToken": "x", "other": "y"}])
def test_a_digest_of_a_key_depends_on_a_secret_and_shows_no_key(fields):
    found = credential("one", identifier="cc-a", **fields)
    digest = checker(found).key_digest(found, SECRET)
    assert re.fullmatch("[0-9a-f]{64}", digest) and digest != checker(found).key_digest(found, SECRET + "x")
    empty = credential("one", identifier="cc-a", accessToken="")
    assert checker(empty).key_digest(empty, SECRET) is None


def test_only_the_secret_fields_are_the_key_of_a_credential():
    fields = {"accessToken": {"type": "password"}, "region": {"type": "string"}}
    schemas = DriverSchemas([
        {"metadata": {"name": "credentialconfig"}, "spec": {"resourceFields": {"digitaloceancredentialConfig": {}}}},
        {"metadata": {"name": "digitaloceancredentialconfig"}, "spec": {"resourceFields": fields}},
    ])
    left = credential("one", identifier="cc-a", accessToken="x", region="ams")
    right = credential("two", identifier="cc-b", accessToken="x", region="nyc")
    for known, expected in ((schemas, ["shared_key"]), (None, [])):
        context = HealthContext([left, right], known, USERS, ReferenceIndex((), ["x"]), ())
        assert [problem.code for problem in HealthChecker(context).problems(left)] == expected


HOSTED = {
    "eks": ("amazonCredentialSecret", "amazonec2"), "aks": ("azureCredentialSecret", "azure"),
    "gke": ("googleCredentialSecret", "google"), "ali": ("alibabaCredentialSecret", "alibaba"),
}


@pytest.mark.parametrize("operator", HOSTED)
@pytest.mark.parametrize("driver", ["amazonec2", "azure", "google", "alibaba"])
def test_the_driver_of_a_hosted_cluster(operator, driver):
    name, expected = HOSTED[operator]
    config = {name: "cattle-global-data:cc-a"}
    fields = [item for item in CREDENTIAL_REFERENCE_FIELDS if (item.group, item.kind) == (
        "management.cattle.io", "Cluster")]
    findings = [
        finding for cluster in ("c-1", "c-2") for finding in ReferenceReader(fields, "Cluster").read({
            "metadata": {"name": cluster}, "spec": {f"{operator}Config": config},
            "status": {"appliedSpec": {f"{operator}Config": config}, f"{operator}Status": {"upstreamSpec": config}}})
    ]
    subject = credential(driver=driver)
    context = HealthContext([subject], None, Users([User("u-a", "alice")]), ReferenceIndex(findings), ())
    found = [(problem.code, problem.message) for problem in HealthChecker(context).problems(subject)]
    message = f"{operator.upper()} cluster c-1, c-2, which uses it, needs a credential of driver {expected}"
    assert found == ([] if driver == expected else [("driver_mismatch", message)])


def jwt(expires_at):
    claims = base64.urlsafe_b64encode(json.dumps({"exp": expires_at.timestamp()}).encode()).decode().rstrip("=")
    return f"eyJhIjoxfQ.{claims}.signature"


def test_the_earliest_expiry_of_each_field():
    subject = credential(accessToken=f"{jwt(ago(days=-9))} {jwt(ago(days=-2))}", refreshToken=jwt(ago(days=-3)))
    assert [(expiry.subject, expiry.at) for expiry in find_expiries(subject).found] == [
        ("a token (JWT) in accessToken", ago(days=-2)), ("a token (JWT) in refreshToken", ago(days=-3))]


def certificate(expires_at):
    """Return a certificate in PEM."""
    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ed25519

    key, name = ed25519.Ed25519PrivateKey.generate(), x509.Name([])
    signed = x509.CertificateBuilder(
        name, name, key.public_key(), 1, ago(days=99).replace(tzinfo=None), expires_at.replace(tzinfo=None),
    ).sign(key, None)
    return signed.public_bytes(serialization.Encoding.PEM).decode()


WRITTEN = {
    "as it is": lambda text: text,
    "with a key": lambda text: f"-----BEGIN X-----\nAA\n-----END X-----\n{text}",
    "in JSON": json.dumps,
    "in base64": lambda text: f"ca: {base64.b64encode(text.encode()).decode()}",
    "after broken base64": lambda text: "LS0tLS1CRUdJTiBDRVJUA " + base64.b64encode(text.encode()).decode(),
    "after other bytes": lambda text: base64.b64encode(b"-----BEGIN CERT\xff\xfe" + text.encode()).decode(),
}


@pytest.mark.parametrize("write", WRITTEN.values(), ids=WRITTEN)
def test_the_earliest_certificate_of_a_field_counts(write):
    text = write("".join(certificate(ago(days=days)) for days in (-9, -2, -5)))
    subject = credential(accessToken=text)
    found = find_expiries(subject)
    assert [(expiry.subject, expiry.at) for expiry in found.found] == [
        ("a certificate in accessToken", ago(days=-2))]
    assert found.unreadable == []


def test_a_field_with_more_certificates_than_any_list_of_authorities():
    pem = certificate(ago(days=-2))
    too_many = ["the expiry of certificate 501 and all further ones in accessToken cannot be read"]
    for number, unreadable in ((500, []), (502, too_many)):
        found = find_expiries(credential(accessToken=pem * number))
        assert found.unreadable == unreadable and len(found.found) == 1


@pytest.mark.parametrize(("size", "readable"), [(64 * 1024, True), (64 * 1024 + 4, False)])
def test_a_token_is_read_up_to_the_size_that_a_server_accepts(size, readable):
    text = '{"exp":%d,"a":""}' % ago(days=-2).timestamp()
    text = text.replace('""', f'"{"x" * (size // 4 * 3 - len(text))}"')
    assert len(claims(text).split(".")[1]) == size
    found = find_expiries(credential(accessToken=claims(text)))
    assert [expiry.at for expiry in found.found] == ([ago(days=-2)] if readable else [])
    assert bool(found.unreadable) is not readable


@pytest.mark.parametrize(("stamp", "expires_at"), [
    ("1795678200000", datetime.datetime(2026, 11, 26, 7, 30, tzinfo=UTC)), ("0", None), ("000", None), ("1" * 16, None),
    ("+1795678200000", None), ("1_795_678_200_000", None), ("\u0661", None),
])
def test_the_expiry_of_the_token_in_a_kubeconfig_is_in_milliseconds(stamp, expires_at):
    subject = replace(credential(), annotations={STAMP: stamp})
    found = find_expiries(subject)
    assert found.found == ([(expires_at, "the token in its kubeconfig")] if expires_at else [])
    assert bool(found.unreadable) == (expires_at is None and stamp.strip("0") != "")


def test_claims_of_any_length_are_read():
    for size in range(4):
        token = claims('{"exp":%d,"a":"%s"}' % (ago(days=-2).timestamp(), "x" * size))
        assert [expiry.at for expiry in find_expiries(credential(accessToken=token)).found] == [ago(days=-2)]


def test_without_cryptography_certificates_are_unchecked_and_no_problem(monkeypatch):
    monkeypatch.setattr(expiry, "x509", None)
    monkeypatch.setattr(health_checker, "CAN_READ_CERTIFICATES", False)
    assert find_expiries(credential(accessToken=NO_EXPIRY)) == ([], [])
    assert HealthContext([credential()], **COMPLETE).unchecked() == [
        "expired, expires_soon: the Python package cryptography is not installed"]


STAMP, ROTATED_AT = "rancher.io/expiration-timestamp", "ranchhand.cattle.io/rotated-at"
NO_EXPIRY = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"


def claims(text):
    return f"eyJhIjoxfQ.{base64.urlsafe_b64encode(text.encode()).decode().rstrip('=')}.x"


@dataclass(frozen=True)
class HostileCase:
    """Annotations and a value that an owner can write, and the messages of the problems."""

    messages: list
    annotations: dict = field(default_factory=dict)
    value: str = "x"


TOKEN_PROBLEM = ["the expiry of the token in its kubeconfig cannot be read"]
JWT_PROBLEM = ["the expiry of a token (JWT) in accessToken cannot be read"]
AGE = f"its annotation {ROTATED_AT} is"
HOSTILE = {
    "a stamp after the year 9999": HostileCase(TOKEN_PROBLEM, {STAMP: "999999999999999"}),
    "a stamp of 5000 digits": HostileCase(TOKEN_PROBLEM, {STAMP: "9" * 5000}),
    "a stamp of other digits": HostileCase(TOKEN_PROBLEM, {STAMP: "\u00b2"}),
    "a stamp with text": HostileCase(TOKEN_PROBLEM, {STAMP: "tomorrow"}),
    "a token that does not exist": HostileCase([], {STAMP: "0"}),
    "rotated at x": HostileCase([f"{AGE} not a time, so that the age of its key is not certain"], {ROTATED_AT: "x"}),
    "rotated in 9999": HostileCase(
        [f"{AGE} not a time, so that the age of its key is not certain"], {ROTATED_AT: "9999-12-31T23:59:59Z"}),
    "rotated in the future": HostileCase(
        [f"{AGE} in the future, so that the age of its key is not certain"], {ROTATED_AT: "2999-01-01T00:00:00Z"}),
    "rotated now": HostileCase([], {ROTATED_AT: format_time(NOW)}),
    "a token that never ends": HostileCase(JWT_PROBLEM, value=claims('{"exp":1e400}')),
    "a token with text": HostileCase(JWT_PROBLEM, value=claims('{"exp":"x"}')),
    "a token with a list": HostileCase(JWT_PROBLEM, value=claims('{"exp":[]}')),
    "nested claims": HostileCase(JWT_PROBLEM, value=claims('{"a":' + "[" * 20000)),
    "huge claims": HostileCase(JWT_PROBLEM, value=claims('{"a":"' + "x" * 100000)),
    "a number of 5000 digits": HostileCase(JWT_PROBLEM, value=claims('{"exp":' + "9" * 5000 + "}")),
    "a token without expiry": HostileCase([], value=claims('{"a":1}')),
    "an odd certificate": HostileCase(["the expiry of a certificate in accessToken cannot be read"], value=NO_EXPIRY),
}


@pytest.mark.parametrize("case", HOSTILE.values(), ids=HOSTILE)
def test_what_an_owner_wrote_is_a_problem_of_the_credential(case):
    subject = credential(accessToken=case.value)
    subject = replace(subject, annotations={**subject.annotations, **case.annotations})
    status = {"key_age_seconds": 5, "key_age_source": "secret", "due_at": None, "due": False, "problems": []}
    shown = evaluate(checker(subject, unlisted=("x",)), subject, KeyState(None, status, None), NOW, MONTH)
    found = [(problem["code"], problem["message"]) for problem in shown["problems"]]
    assert found == [("malformed", message) for message in case.messages]


def test_key_age_of_a_rotation_in_9999():
    subject = replace(credential(), annotations={ROTATED_AT: "9999-12-31T23:59:59Z"})
    issued_at, source = key_issued_at(subject, None, None)
    assert (source, due_time(issued_at, LONGEST_DURATION, None, None).year) == ("secret", 2035)


@pytest.mark.parametrize("value", [
    pytest.param("eyJ-" * 250_000, id="headers"),
    pytest.param("eyJa." * 200_000, id="parts"),
    pytest.param("eyJa-.eyJ-" * 100_000, id="headers and claims"),
    pytest.param("-----BEGIN CERTIFICATE-----" * 38_000, id="beginnings"),
    pytest.param(NO_EXPIRY * 15_000, id="certificates"),
    pytest.param("LS0tLS1CRUdJTiBDRVJU" * 50_000, id="beginnings in base64"),
    pytest.param(claims("{}") * 40_000, id="tokens"),
    pytest.param("token" + " " * 1_000_000, id="spaces"),
])
def test_a_value_of_a_mebibyte_is_read_in_linear_time(value):
    start = time.process_time()
    subject = credential(driver="harvester", kubeconfigContent=value)
    find_expiries(subject)
    harvester_token_id(subject)
    assert time.process_time() - start < 3


def test_messages_about_a_thousand_credentials_with_the_same_key_are_short():
    credentials = [credential(identifier=f"cc-{number:04}", accessToken="x") for number in range(1000)]
    found = [problem.message for problem in checker(*credentials).problems(credentials[0])]
    ids = ", ".join(f"cattle-global-data:cc-{number:04}" for number in range(1, 6))
    assert found[:2] == [
        f"has the same name and driver as {ids} and 994 more", f"contains the same key as {ids} and 994 more",
    ]


@pytest.mark.parametrize("days", [pytest.param(0, id="now"), pytest.param(-3650, id="in ten years")])
def test_an_announcement_from_the_future_blocks_nothing(days):
    recent = days == 0
    mark = f"{format_time(ago(days=days))} run"
    announced = {"ranchhand.cattle.io/intent.a": mark}
    assert announced_runs(announced, NOW) == (["a"] if recent else [])
    marked = {"ranchhand.cattle.io/marked-for-deletion": mark}
    assert deleting_run(marked, NOW) == ("run" if recent else None)
    assert leftover_marks(marked, NOW) == ([] if recent else list(marked))


POLICIES = [
    AgePolicy(1, name_pattern="aws*", owner="alice"), AgePolicy(2, driver="azure"), AgePolicy(3, name_pattern="[x]"),
    AgePolicy(4, driver="google", owner="u-a"), AgePolicy(5, driver="google"),
]


@pytest.mark.parametrize("name, driver, owner_name, max_age", [
    pytest.param("aws prod", "digitalocean", "alice", 1, id="pattern and owner"),
    pytest.param("aws prod", "digitalocean", "bob", None, id="another owner"),
    pytest.param("aws prod", "azure", "bob", 2, id="driver"),
    pytest.param("AWS prod", "digitalocean", "alice", None, id="another case"),
    pytest.param("x", "digitalocean", None, 3, id="a pattern that is not the name"),
    pytest.param("gcp", "google", None, 4, id="the id of the owner"),
])
def test_the_first_matching_policy_applies(name, driver, owner_name, max_age):
    assert find_max_age(credential(name, driver), owner_name, POLICIES) == max_age


def test_secrets_in_the_namespaces_of_clusters_that_are_missing():
    rancher = FakeRancher()
    rancher.check = lambda: None  # the clusters name Secrets that do not exist
    rancher.create(SECRETS.replace("cattle-global-data", "fleet-default"), "present")
    for name, own, of_pool, of_snapshots in (
        ("prod", "gone", "gone-pool", "present"), ("test", "gone", None, "gone-bucket"), ("fine", "present", None, None)
    ):
        pools = [{"name": "workers"}, {"name": "db", "cloudCredentialSecretName": of_pool}]
        rancher.create(CLUSTERS, name, spec={"cloudCredentialSecretName": own, "rkeConfig": {
            "machinePools": pools, "etcd": {"s3": {"cloudCredentialName": of_snapshots}}}})
    params = parse_options(CLOUD_CREDENTIAL_INFO, {"problems": True})
    result = list_cloud_credential_info(params, lambda: Client(rancher), RunMode(True, False))
    found = {
        missing["id"]: [(item["name"], item["use"], item.get("pools")) for item in missing["references"]]
        for missing in result["dangling"]
    }
    assert found == {
        "fleet-default:gone": [("prod", "cluster", ["workers"]), ("test", "cluster", ["workers", "db"])],
        "fleet-default:gone-bucket": [("test", "s3", None)],
        "fleet-default:gone-pool": [("prod", "pool", ["db"])],
    }


def test_a_guessable_secret_of_digests_is_refused():
    params = parse_options(CLOUD_CREDENTIAL_INFO, {"key_digest_secret": "s" * 31})
    with pytest.raises(ValidationErrors, match="key_digest_secret must have at least 32 random characters"):
        list_cloud_credential_info(params, None, RunMode(True, False))
