# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""External stores in a rotation: what is written to them, by runs that are killed at any step, and the gate."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
from ansible_collections.ranchhand.rancher.plugins.module_utils._common.errors import RanchhandError
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation import external_stores as module
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation.decisions import (
    ABORTED,
    ADOPTED,
    FORGOTTEN,
    RETIRED,
    ROLLED_BACK,
    ROTATED,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation.gates import OPEN, UNKNOWN, WAITING
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation.record import (
    GRACE,
    IDLE,
    CredentialSnapshot,
    KeyGeneration,
    RotationRecord,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._stores import registry
from ansible_collections.ranchhand.rancher.plugins.module_utils._stores.interface import StoreContent
from ansible_collections.ranchhand.rancher.plugins.module_utils.issuer import IssuerError

from .fake_backend import FakeRun, Locking, SharedState, Single, finish, pair

STORE = {"name": "vault", "type": "vault", "url": "https://vault", "path": "a", "fields": {"id": "key"}}
STORES = (STORE, {"name": "other", "type": "vault", "url": "https://vault", "path": "b"})
ENDS = {ROTATED: 2, RETIRED: 2, ROLLED_BACK: 1}  # number of the key in the stores after each state


def stored(number, **fields):
    return {"key": f"k{number}", "secret": f"secret-{number}", **fields}


def with_stores(members=1, **options):
    shared = SharedState(members, **options)
    shared.stores = {"vault": (3, stored(1, note="kept")), "other": (7, pair(1))}
    return shared


def run(shared, state, token="run", **options):
    return FakeRun(shared, state, token, **{"external_stores": STORES, **options})


def contents(shared):
    return [shared.stores[name][1] for name in ("vault", "other") if name in shared.stores]


def keys_in_stores(shared):
    return {fields.get("key") or fields.get("id") for fields in contents(shared)}


def goal(shared, state, token):
    """Run until a state is reached, as a job does that runs each day."""
    for attempt in range(6):
        ended = finish(run(shared, state, f"{token}-{attempt}", external_stores=None))
        if ended.error:
            raise ended.error
        if shared.record and shared.record.phase == (GRACE if state == ROTATED else IDLE):
            return
    raise AssertionError(shared.record)


def test_the_new_key_is_in_the_stores_before_the_run_ends():
    shared = with_stores()
    ended = finish(run(shared, ROTATED))
    assert ended.outcome.steps == ("preparing", "issued", GRACE) and ended.outcome.waiting == ()
    assert contents(shared) == [stored(2, note="kept"), pair(2)], "other fields are kept"
    assert [version for version, _fields in shared.stores.values()] == [4, 8]
    assert shared.record.handed_over_at and shared.record.transitions[-1]["what"] == "handed k2 to vault, other"
    goal(shared, RETIRED, "retire")
    assert list(shared.provider) == ["k2"] and keys_in_stores(shared) == {"k2"}
    assert [version for version, _fields in shared.stores.values()] == [4, 8], "nothing is written twice"


def test_an_empty_store_receives_the_new_key_and_in_a_rollback_the_old_key():
    shared = SharedState()
    finish(run(shared, ROTATED))
    assert contents(shared) == [stored(2), pair(2)]
    goal(shared, ROLLED_BACK, "back")
    assert contents(shared) == [stored(1), pair(1)] and list(shared.provider) == ["k1"]


def test_an_abort_writes_nothing_to_a_store():
    shared = SharedState()
    finish(run(shared, ROTATED, pause=True))
    goal(shared, ABORTED, "abort")
    assert shared.stores == {} and list(shared.provider) == ["k1"]


def count_calls(state):
    shared = with_stores()
    if state != ROTATED:
        finish(run(shared, ROTATED, "first"))
    running, calls = run(shared, state), 0
    while not running.ended:
        running.advance()
        calls += 1
    return calls


@pytest.mark.parametrize("lose", [pytest.param(False, id="killed"), pytest.param(True, id="reply lost")])
@pytest.mark.parametrize("state", [ROTATED, RETIRED, ROLLED_BACK])
def test_the_plain_command_continues_after_any_step(state, lose):
    """No store ever contains a key that was deleted, also if a run is killed after any call, or a reply is lost."""
    for position in range(count_calls(state)):
        shared = with_stores()
        if state != ROTATED:
            finish(run(shared, ROTATED, "first"))
        running = run(shared, state, "killed")
        for number in range(position + 1):
            if not running.ended:
                running.advance(lose=lose and number == position)
            assert keys_in_stores(shared) <= set(shared.provider)
        if lose and not running.ended:
            finish(running)
        if state == ROTATED and shared.record is None:
            finish(run(shared, ROTATED, "again"))  # killed before the record existed
        goal(shared, state, "again")
        assert keys_in_stores(shared) == {f"k{shared.keys if ENDS[state] == 2 else 1}"} <= set(shared.provider)
        if state != ROLLED_BACK:
            goal(shared, RETIRED, "retire")
            assert keys_in_stores(shared) == set(shared.provider), position


def test_a_store_that_another_client_writes_is_never_changed():
    shared = with_stores()
    running = run(shared, ROTATED)
    while running.call.name != "write_store":
        running.advance()
    shared.stores["other"] = (8, {"id": "theirs", "secret": "x"})
    ended = finish(running)
    assert ended.error.code == "conflict" and "another client writes it" in ended.error.message
    assert shared.stores["other"] == (8, {"id": "theirs", "secret": "x"}) and shared.record.phase == GRACE
    retired = finish(run(shared, RETIRED, "retire"))
    assert retired.error.code == "conflict" and set(shared.provider) == {"k1", "k2"}
    back = finish(run(shared, ROLLED_BACK, "back"))
    assert back.error.code == "conflict" and set(shared.provider) == {"k1", "k2"}
    assert shared.credentials[0].values == pair(1), "the new key is kept only for the store"
    finish(run(shared, ROLLED_BACK, "without", external_stores=STORES[:1]))
    assert list(shared.provider) == ["k1"] and shared.stores["other"] == (8, {"id": "theirs", "secret": "x"})


def test_another_writer_between_the_read_and_the_write_is_noticed():
    shared = with_stores()
    running = run(shared, ROTATED)
    while running.call.name != "write_store":
        running.advance()
    shared.stores["vault"] = (4, stored(9))
    assert finish(running).error.code == "conflict" and shared.stores["vault"] == (4, stored(9))


def test_the_gate_holds_the_old_key_and_repair_writes_again():
    shared = with_stores()
    finish(run(shared, ROTATED))
    shared.stores["vault"] = (9, stored(1))  # restored from a backup
    waiting = finish(run(shared, RETIRED, "retire")).outcome.waiting
    assert "vault to contain the new key; it contains the old key" in waiting[0] and len(shared.provider) == 2
    repaired = finish(run(shared, ROTATED, "repair", repair=True))
    assert repaired.outcome.record and shared.stores["vault"] == (10, stored(2))
    goal(shared, RETIRED, "later")
    assert list(shared.provider) == ["k2"]


def test_an_overridden_gate_neither_reads_nor_writes():
    shared = with_stores()
    running = run(shared, ROTATED, skip_stores=True)
    names = []
    while not running.ended:
        names.append(running.call.name)
        running.advance()
    assert not {"read_store", "write_store"} & set(names) and keys_in_stores(shared) == {"k1"}
    finish(run(shared, ROTATED, "later"))
    assert keys_in_stores(shared) == {"k2"}, "a later run hands the key over"


@pytest.mark.parametrize("issuer", [Single, Locking])
def test_a_store_that_does_not_accept_its_own_secrets(issuer):
    """This is no refused key of the credential, which must not be tried often where accounts lock."""
    shared = with_stores(issuer=issuer)
    running = run(shared, ROTATED)
    while running.call.name != "read_store" or shared.record.phase != GRACE:
        running.advance()
    running._read_store = refuse
    assert finish(running).error.code == "refused" and keys_in_stores(shared) == {"k1"}
    goal(shared, RETIRED, "later")
    assert keys_in_stores(shared) == {"k2"}


def refuse(settings):
    raise IssuerError("refused", "the store does not accept the key")


def test_a_store_that_is_added_in_grace_receives_the_key():
    shared = with_stores()
    finish(run(shared, ROTATED, external_stores=()))
    assert keys_in_stores(shared) == {"k1"}
    finish(run(shared, RETIRED, "with"))
    assert keys_in_stores(shared) == {"k2"}


def test_an_adopted_key_is_handed_over():
    shared = with_stores()
    finish(run(shared, ROTATED))
    finish(run(shared, ROLLED_BACK, "back"))
    assert keys_in_stores(shared) == {"k1"}
    finish(run(shared, ROTATED, "second"))
    shared.provider.pop("k1", None)
    shared.save(pair(shared.add_key("person")[1:]))
    assert not finish(run(shared, ADOPTED, "adopt")).error
    finish(run(shared, RETIRED, "retire"))
    assert keys_in_stores(shared) == {shared.credentials[0].values["id"]}


def test_a_key_in_a_store_is_not_deleted_with_a_forgotten_rotation():
    shared = with_stores()
    finish(run(shared, ROTATED))
    shared.save(pair(1))
    finish(run(shared, FORGOTTEN, "forget"))
    assert shared.record is None and "k2" in shared.provider and keys_in_stores(shared) == {"k2"}


def test_a_password_is_handed_over_and_rolled_back():
    shared = with_stores(issuer=Single)
    finish(run(shared, ROTATED))
    assert keys_in_stores(shared) == {"k2"} and shared.accepted == "k2"
    goal(shared, ROLLED_BACK, "back")
    assert keys_in_stores(shared) == {"k1"} and shared.accepted == "k1"


RECORD = RotationRecord(
    "r", (("cc-a", "uid"),), "d", "i", ("id",), GRACE,
    old=KeyGeneration("k1", "v1", {"id": "1"}), new=KeyGeneration("k2", "v2", {"id": "2"}))


@pytest.mark.parametrize(("digests", "state", "words"), [
    pytest.param({"id": "2"}, OPEN, "vault contains the new key", id="new"),
    pytest.param({"id": "1"}, WAITING, "it contains the old key", id="old"),
    pytest.param({"id": "3"}, WAITING, "it contains a value of another client", id="foreign"),
    pytest.param({}, WAITING, "it contains no key", id="absent"),
    pytest.param(IssuerError("forbidden", "may not be read."), UNKNOWN, "may not be read", id="unreadable"),
    pytest.param(RanchhandError("invalid", "is unknown."), UNKNOWN, "is unknown", id="unusable"),
])
def test_the_gate(digests, state, words):
    gate = module.external_store_gate(RECORD, [("other", {"id": "2"}), ("vault", digests)])
    assert (gate.name, gate.state) == ("external_store", state) and words in gate.detail


@pytest.mark.parametrize(("settings", "digests", "is_source", "code"), [
    pytest.param({}, {"id": "1"}, False, None, id="the same key"),
    pytest.param({}, {"id": "1"}, True, None, id="the same key in the source"),
    pytest.param({}, {}, False, None, id="empty"),
    pytest.param({}, {}, True, "invalid", id="empty source"),
    pytest.param({}, {"id": "3"}, False, "conflict", id="another key"),
    pytest.param({}, {"id": "3"}, True, "conflict", id="another key in the source"),
    pytest.param({"fields": {"nosuch": "x"}}, {}, False, "invalid", id="a field that the key does not have"),
])
def test_a_rotation_does_not_start_with_another_key_in_a_store(settings, digests, is_source, code):
    credential = CredentialSnapshot("cc-a", "uid", "1", None, {"id": "k1"}, {"id": "1"})
    try:
        module.check_before_start({"name": "vault", **settings}, credential, digests, ("id",), is_source)
        found = None
    except RanchhandError as error:
        found = error.code
    assert found == code


@pytest.mark.parametrize(("digests", "key"), [
    ({"id": "2"}, "new"), ({"id": "1"}, "old"), ({"id": "3"}, module.FOREIGN), ({}, module.ABSENT),
    ({"id": "2", "other": "x"}, module.FOREIGN),
])
def test_which_key_a_store_contains(digests, key):
    assert module.key_in_store(RECORD, digests) == key
    if key == module.FOREIGN:
        for wanted in (module.OLD, module.NEW):
            with pytest.raises(RanchhandError, match="another value than r"):
                module.is_write_needed(replace(RECORD, members=(("r", "uid"),)), STORE, digests, wanted)
        return
    assert module.is_write_needed(RECORD, STORE, digests, module.NEW) == (key in ("old", module.ABSENT))
    assert module.is_write_needed(RECORD, STORE, digests, module.OLD) == (key == "new")


def test_a_store_is_read_with_its_own_secrets(monkeypatch):
    """A failure of a store is part of what is read, so that the gate reports it."""
    contents = {
        "vault": StoreContent({"key": "k1", "secret": 5, "note": "n"}, "7"), "other": IssuerError("forbidden", "no"),
        "later": RanchhandError("invalid", "no"),
    }

    def load(settings, secrets):
        assert secrets == ({"token": "t"} if settings["name"] == "vault" else {})

        def read():
            found = contents[settings["name"]]
            if isinstance(found, Exception):
                raise found
            return found

        return SimpleNamespace(read=read)

    monkeypatch.setattr(module, "load_store", load)
    digests = SimpleNamespace(
        leader_id="own", digests_of=lambda values: {name: f"<{text}>" for name, text in values.items()})
    access = module.StoreAccess({"vault": {"token": "t"}}, digests)
    found = access.read(STORE, ("id", "secret", "third"))
    assert found == module.StoreSnapshot(contents["vault"], {"id": "<k1>", "secret": "<5>"})
    stores = (STORE, {"name": "other"}, {"name": "later"})
    record = replace(RECORD, fields=("id", "secret"), external_stores=stores)
    assert access.read_all(record) == [
        ("vault", {"id": "<k1>", "secret": "<5>"}), ("other", contents["other"]), ("later", contents["later"]),
    ]
    assert module.values_in_store(STORE, ("id",), StoreContent(None)) == {}


def test_each_write_has_an_id_of_its_own_that_repetitions_share():
    requests = []

    class Recorder:
        def __init__(self, settings, secrets):
            pass

        def write(self, fields, content, request_id):
            requests.append((fields, request_id))

    access = module.StoreAccess({}, dict)
    original, module.load_store = module.load_store, Recorder
    try:
        for what, version in (("g1-e1", "3"), ("g1-e1", "3"), ("g1-e1", "4"), ("g1-old", "4")):
            snapshot = module.StoreSnapshot(module.StoreContent({}, version), {})
            access.write(STORE, {"id": "k1", "secret": "s"}, snapshot, what)
    finally:
        module.load_store = original
    (fields, first), (_again, second), *others = requests
    assert fields == {"key": "k1", "secret": "s"} and first == second
    assert len({first, *(request for _fields, request in others)}) == 3


VALID = {
    "vault": {"url": "https://v", "path": "p", "mount": "kv", "namespace": "n", "ca_bundle": "/ca"},
    "aws_secrets_manager": {"secret_id": "s", "region": "eu-west-1", "profile": "p"},
    "azure_key_vault": {"vault_url": "https://v.vault.azure.net", "secret_name": "s", "tenant_id": "t"},
    "google_secret_manager": {"project_id": "p", "secret_id": "s", "endpoint_url": "https://e", "ca_bundle": "/ca"},
    "kubernetes": {"namespace": "n", "secret_name": "s", "context": "c"},
    "rancher": {"credential_id": "cc-a", "context": "c"},
}


@pytest.mark.parametrize("kind", VALID)
def test_valid_settings(kind):
    assert registry.validate_stores([{"name": "a", "type": kind, **VALID[kind]}]) == []


@pytest.mark.parametrize("kind", VALID)
def test_settings_that_are_required(kind):
    valid = {"name": "a", "type": kind, **VALID[kind]}
    assert registry.STORE_TYPES[kind].required
    for name in ("name", *registry.STORE_TYPES[kind].required):
        for missing in ({other: value for other, value in valid.items() if other != name}, {**valid, name: None}):
            assert registry.validate_stores([missing]) == [f"external_stores[0]: {name} is required"]
    assert len(registry.validate_stores([{"type": kind}])) == 1 + len(registry.STORE_TYPES[kind].required)


@pytest.mark.parametrize(("value", "valid"), [
    ("a", True), ("a b", True), ("a" * 1000, True), ("", False), ("a" * 1001, False), (" a", False), ("a ", False),
    ("a\tb", False), (["a"], False),
])
def test_texts_of_settings(value, valid):
    wrong = [] if valid else ["external_stores[0]: path must be a text of 1 to 1000 printable characters"]
    assert registry.validate_stores([{**STORE, "path": value}]) == wrong


@pytest.mark.parametrize(("fields", "valid"), [
    ({}, True), ({"secretKey": "a.b-c_D"}, True), ({"a": "b", "b": "a"}, True), ({"a": "b c"}, False),
    ({"a/b": "c"}, False), ({"a": ""}, False), ({"a": 1}, False), ({"a": "1", "b": 1}, False), ("a", False),
])
def test_names_of_fields_in_a_store(fields, valid):
    wrong = "external_stores[0]: fields must be a mapping of fields of the credential to different names in the store"
    assert registry.validate_stores([{**STORE, "fields": fields}]) == ([] if valid else [wrong])


@pytest.mark.parametrize(("kind", "secrets", "name"), [
    ("vault", {"token": "t"}, "Vault"), ("vault", {"token": "t", "other": None}, "Vault"),
    ("aws_secrets_manager", {}, "SecretsManager"), ("aws_secrets_manager", {"session_token": "s"}, "SecretsManager"),
    ("aws_secrets_manager", {"access_key": "a", "secret_key": "s"}, "SecretsManager"),
    ("aws_secrets_manager", {"access_key": "a", "secret_key": "s", "session_token": "s"}, "SecretsManager"),
    ("kubernetes", {"kubeconfig": "k"}, "KubernetesSecret"), ("rancher", {"kubeconfig": "k"}, "RancherCredential"),
    ("rancher", {"connection": {"host": "h"}}, "RancherCredential"),
])
def test_the_class_of_a_store(kind, secrets, name):
    store = registry.load_store({"name": "a", "type": kind, **VALID[kind]}, secrets)
    assert type(store).__name__ == name


def test_a_connection_is_a_mapping():
    with pytest.raises(IssuerError, match="connection must be a mapping"):
        registry.load_store({"name": "a", "type": "rancher", **VALID["rancher"]}, {"connection": "text"})


@pytest.mark.parametrize(("stores", "words"), [
    pytest.param(["x"], "external_stores[0]: must be a mapping", id="text"),
    pytest.param([{"name": "a", "type": "consul"}], "type must be one of vault, aws_secrets_manager", id="type"),
    pytest.param([{"name": "a", "type": "vault", "url": "u"}], "path is required", id="required"),
    pytest.param([{**STORE, "token": "canary"}], "unknown setting token", id="a secret"),
    pytest.param([{**STORE, "path": 7}], "path must be a text", id="number"),
    pytest.param([{**STORE, "path": "a\nb"}], "path must be a text", id="line break"),
    pytest.param([{**STORE, "fields": {"a": "x", "b": "x"}}], "different names", id="two fields with one name"),
    pytest.param([{**STORE, "fields": ["a"]}], "fields must be a mapping", id="list of fields"),
    pytest.param([STORE, STORE], "a name of its own", id="same name"),
])
def test_invalid_settings(stores, words):
    text = "; ".join(registry.validate_stores(stores))
    assert words in text and "canary" not in text


def test_the_id_of_the_credential_is_part_of_a_place_only():
    (expanded,) = registry.expand_stores([{**STORE, "path": "a/{id}", "url": "https://{id}", "mount": None}], "cc")
    assert expanded == {**STORE, "path": "a/cc", "url": "https://{id}"}
    for place in ("secret_id", "secret_name"):
        assert registry.expand_stores([{place: "{id}/{id}"}], "cc") == ({place: "cc/cc"},)


def test_all_types_are_valid_settings_here():
    assert set(VALID) == set(registry.STORE_TYPES)


@pytest.mark.parametrize(("kind", "secrets", "words"), [
    pytest.param("vault", {}, "external store a requires token in external_store_secrets", id="no token"),
    pytest.param("vault", {"token": "t", "password": "p"}, "requires token", id="unknown secret"),
    pytest.param("aws_secrets_manager", {"access_key": "a"}, "requires access_key and secret_key", id="half a pair"),
    pytest.param("azure_key_vault", {"client_id": "c"}, "requires client_id and client_secret", id="no client_secret"),
    pytest.param("google_secret_manager", {}, "requires credentials", id="no credentials"),
    pytest.param("kubernetes", {}, "requires kubeconfig", id="no kubeconfig"),
    pytest.param("later", {}, "has the type later", id="type of a later release"),
])
def test_missing_secrets(kind, secrets, words):
    with pytest.raises(IssuerError, match=words):
        registry.load_store({"name": "a", "type": kind, **VALID.get(kind, {})}, secrets)
