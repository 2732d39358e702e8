# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The storage of rotations, as far as it needs no cluster: what is read from objects, and what errors show."""

from __future__ import annotations

import base64
import getpass
import hashlib
import hmac
import socket
from dataclasses import replace
from types import SimpleNamespace

import pytest
from ansible_collections.ranchhand.rancher.plugins.module_utils._common.errors import ApiError, RanchhandError
from ansible_collections.ranchhand.rancher.plugins.module_utils._common.times import parse_time
from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher.cloud_credential import parse_cloud_credential
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation import backend
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation.backend import ClusterBackend, describe_user
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation.record import RotationRecord
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation.store import (
    RotationHistory,
    RotationNamespace,
    RotationStore,
    StoredRecord,
    UnreadableRecord,
    compute_digests,
    parse_record,
    record_name,
    snapshot_secret,
    without_echo,
)

KEY = b"the key of the digests"


def secret(**metadata):
    return {
        "metadata": {
            "name": "cc-a", "namespace": "cattle-global-data", "uid": "uid-a", "resourceVersion": "7",
            "annotations": {"field.cattle.io/name": "a", "ranchhand.cattle.io/rotation-token": "token"}, **metadata,
        },
        "data": {"amazonec2credentialConfig-accessKey": base64.b64encode(b"AKIA1").decode()},
    }


def digest(name, text):
    return hmac.new(KEY, f"{name}\0{text}".encode(), hashlib.sha256).hexdigest()[:40]


def refuse(code, message, status, reason=""):
    def write():
        raise ApiError(code, message, status, reason)

    return write


@pytest.mark.parametrize(("error", "shown"), [
    (("forbidden", "quoted secret", 403, "Forbidden"), "cannot store a Secret: this connection may not write it"),
    (("invalid", "quoted secret", 422, "Invalid"),
     "cannot store a Secret: the API server or a proxy rejected it (HTTP status 422, Invalid)"),
    (("invalid", "quoted secret", 400, "quoted secret"),
     "cannot store a Secret: the API server or a proxy rejected it (HTTP status 400)"),
])
def test_an_error_does_not_quote_the_secret(error, shown):
    with pytest.raises(ApiError) as caught:
        without_echo(refuse(*error))
    assert caught.value.message == shown and caught.value.__suppress_context__
    assert (caught.value.code, caught.value.status, caught.value.reason) == (error[0], error[2], error[3])
    assert without_echo(lambda: {"written": True}) == {"written": True}


def test_a_snapshot():
    found = snapshot_secret(secret(), KEY)
    assert (found.id, found.uid, found.resource_version, found.token) == ("cc-a", "uid-a", "7", "token")
    assert found.values == {"accessKey": "AKIA1"}
    assert found.digests == {"accessKey": digest("accessKey", "AKIA1")} == compute_digests(KEY, found.values)
    assert snapshot_secret(None, KEY) is None
    assert snapshot_secret(secret(deletionTimestamp="2026-01-01T00:00:00Z"), KEY) is None


def test_the_name_of_a_record_is_the_value_of_a_label():
    """The longest name that is not shortened has 63 characters."""
    assert record_name("a" * 54) == f"rotation-{'a' * 54}"
    long = record_name("a" * 55)
    assert long == f"rotation-{'a' * 37}-{hashlib.sha256(b'a' * 55).hexdigest()[:16]}" and len(long) == 63
    assert record_name(f"{'a' * 36}.-{'b' * 30}").startswith(f"rotation-{'a' * 36}-")


def record(name="rotation-cc-a", **fields):
    blank = RotationRecord(name, (("cc-a", "uid-a"),), "amazonec2", "aws", ("accessKey",))
    return replace(blank, **fields)


def store_with(records=(), unreadable=(), key=KEY):
    namespace = SimpleNamespace(read_key=lambda: key)
    stored = {str(number): StoredRecord(each, {}) for number, each in enumerate(records)}
    return RotationStore([parse_cloud_credential(secret())], RotationHistory(namespace, stored, KEY, unreadable))


def test_the_record_of_a_credential():
    """The one in progress, else the latest."""
    early, late = (record(rotated_at=parse_time(f"2026-01-0{day}T00:00:00Z")) for day in (1, 2))
    active = record(phase="grace")
    for records, expected in (
        ([early, late], late), ([late, early], late), ([early, active, late], active), ([record(), early], early),
        ([early, record()], early), ([], None),
    ):
        assert store_with(records).record("cc-a") is expected
    assert store_with([early]).record("cc-b") is None and store_with().stored_record("cc-a") is None


def test_what_is_read_of_a_credential():
    unreadable = UnreadableRecord("rotation-x", ("cc-x", "cc-y"), "damaged")
    store = store_with(unreadable=(unreadable,))
    assert store.unreadable_record("cc-y") is unreadable and store.unreadable_record("cc-a") is None
    credential = store.credential("cc-a")
    assert store.values(credential) is store.values(credential), "decoded once"
    assert store.live("cc-a").uid == "uid-a" and store.live("cc-b") is None and store.credential("cc-b") is None
    assert store.digests(credential, ("accessKey", "secretKey")) == {"accessKey": digest("accessKey", "AKIA1")}
    assert store.digests_of({"accessKey": "AKIA1"}) == {"accessKey": digest("accessKey", "AKIA1")}
    created = store_with(key=b"created meanwhile").digests_of({"accessKey": "AKIA1"})
    assert created == compute_digests(b"created meanwhile", {"accessKey": "AKIA1"})
    assert store_with(key=None).digests_of({"accessKey": "AKIA1"}) == store.digests_of({"accessKey": "AKIA1"})


@pytest.mark.parametrize("data", [None, {}, {"record": ""}, {"record": "{}"}])
def test_a_record_that_cannot_be_read(data):
    config_map = {"metadata": {"namespace": "rotations", "name": "rotation-cc-a"}, "data": data}
    with pytest.raises(RanchhandError, match="ConfigMap rotations/rotation-cc-a") as caught:
        parse_record(config_map)
    assert caught.value.code == "conflict"


@pytest.mark.parametrize("data", [None, {}, {"record": "no JSON"}, {"record": "[]"}, {"record": '{"members": [[]]}'},
                                  {"record": '{"members": []}'}, {"record": '{"members": 1}'}])
def test_a_damaged_record_belongs_to_the_credential_in_its_name(data):
    config_map = {"metadata": {"namespace": "rotations", "name": "rotation-cc-a"}, "data": data}
    queries = []

    def list_objects(path, **query):
        queries.append((path, query))
        return [config_map]

    found, unreadable = RotationNamespace(SimpleNamespace(list_objects=list_objects), "a/b").list_records()
    assert not found and [(each.name, each.members) for each in unreadable] == [("rotation-cc-a", ("cc-a",))]
    assert queries == [
        ("/api/v1/namespaces/a%2Fb/configmaps", {"labelSelector": "ranchhand.cattle.io/rotation=record"})
    ]


def creating(answers):
    """Return a namespace of a client whose requests are answered in turn, and the requests."""
    requests, answers = [], iter(answers)

    def answer(*request):
        requests.append(request)
        found = next(answers)
        if isinstance(found, ApiError):
            raise found
        return found

    client = SimpleNamespace(
        get=lambda path: answer("GET", path), post=lambda path, body: answer("POST", path, body["kind"])
    )
    return RotationNamespace(client, "rotations"), requests


NOT_FOUND = ApiError("not_found", "", 404, "NotFound")
EXISTS = ApiError("conflict", "", 409, "AlreadyExists")
STORED = {"data": {"key": base64.b64encode(KEY).decode()}}
DIGESTS = "/api/v1/namespaces/rotations/secrets/rotation-digests"
READ, CREATE, CREATE_NAMESPACE = (
    ("GET", DIGESTS), ("POST", "/api/v1/namespaces/rotations/secrets", "Secret"),
    ("POST", "/api/v1/namespaces", "Namespace"),
)


@pytest.mark.parametrize(("answers", "requests"), [
    pytest.param([STORED], [READ], id="exists"),
    pytest.param([NOT_FOUND, {}, STORED], [READ, CREATE, READ], id="created"),
    pytest.param([NOT_FOUND, EXISTS, STORED], [READ, CREATE, READ], id="created by another run"),
    pytest.param([NOT_FOUND, NOT_FOUND, {}, {}, STORED], [READ, CREATE, CREATE_NAMESPACE, CREATE, READ],
                 id="created with its namespace"),
    pytest.param([NOT_FOUND, NOT_FOUND, EXISTS, EXISTS, STORED], [READ, CREATE, CREATE_NAMESPACE, CREATE, READ],
                 id="another run created both"),
])
def test_the_key_of_the_digests(answers, requests):
    namespace, sent = creating(answers)
    assert namespace.ensure_key() == namespace.ensure_key() == namespace.read_key() == KEY
    assert sent == requests


@pytest.mark.parametrize(("answers", "code", "words"), [
    ([NOT_FOUND, ApiError("forbidden", "", 403)], "forbidden", "may not write it"),
    ([NOT_FOUND, NOT_FOUND, ApiError("forbidden", "", 403)], "forbidden", "namespace rotations does not exist"),
    ([NOT_FOUND, NOT_FOUND, ApiError("invalid", "words of the server", 422)], "invalid", "words of the server"),
    ([NOT_FOUND, NOT_FOUND, {}, ApiError("forbidden", "", 403)], "forbidden", "may not write it"),
])
def test_the_key_of_the_digests_cannot_be_created(answers, code, words):
    namespace, _sent = creating(answers)
    with pytest.raises(RanchhandError, match=words) as caught:
        namespace.ensure_key()
    assert caught.value.code == code


@pytest.mark.parametrize("name", ["AWX_JOB_ID", "TOWER_JOB_ID", "JOB_ID"])
def test_a_job_runs_the_rotation(monkeypatch, name):
    for each in ("AWX_JOB_ID", "TOWER_JOB_ID", "JOB_ID"):
        monkeypatch.delenv(each, raising=False)
    monkeypatch.setattr(getpass, "getuser", lambda: "alice")
    assert describe_user() == f"alice@{socket.gethostname()}"
    monkeypatch.setenv(name, "7")
    assert describe_user() == "AWX job 7"


@pytest.mark.parametrize("error", [KeyError, OSError])
def test_a_user_without_a_name_runs_the_rotation(monkeypatch, error):
    def fail():
        raise error

    monkeypatch.setattr(getpass, "getuser", fail)
    monkeypatch.setattr(backend.os, "getuid", lambda: 1234)
    assert describe_user() == f"1234@{socket.gethostname()}"


class Lost(Exception):
    """The lease is that of another run."""


@pytest.mark.parametrize(("method", "arguments"), [
    ("read_snapshot", 0), ("write_credential", 3), ("write_record", 2), ("store_generation", 4), ("read_store", 1),
])
def test_no_request_is_sent_without_the_lease(method, arguments):
    """The client has no methods, so that a request would be another exception."""
    def renew():
        raise Lost

    run = ClusterBackend(SimpleNamespace(client=None), None, SimpleNamespace(lease=SimpleNamespace(renew=renew)))
    with pytest.raises(Lost):
        getattr(run, method)(*[None] * arguments)


def test_the_lease_is_renewed_while_a_run_sleeps(monkeypatch):
    """Also at the end of each pause, so that the next request is sent with a lease that was renewed."""
    clock, slept = [100.0], []

    def sleep(seconds):
        slept.append(seconds)
        clock[0] += seconds

    monkeypatch.setattr(backend, "time", SimpleNamespace(monotonic=lambda: clock[0], sleep=sleep))
    renewed = []
    lease = SimpleNamespace(renew=lambda: renewed.append(clock[0]))
    run = ClusterBackend(SimpleNamespace(client=None), None, SimpleNamespace(lease=lease))
    run.sleep(40.0)
    assert slept == [15.0, 15.0, 10.0] and renewed == [115.0, 130.0, 140.0]
    run.sleep(0)
    assert len(slept) == 3
