# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Any input of a stranger has a result or an expected failure: a code, short sentences, no value, no exception.

RANCHHAND_HOSTILE_INPUTS sets the number of inputs for each test; ``make soak`` uses many. Inputs that once failed are
kept as examples.
"""

from __future__ import annotations

import base64
import csv
import datetime
import io
import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import pytest
import yaml
from ansible_collections.ranchhand.rancher.plugins.module_utils._common.errors import (
    FAILURE_CODES,
    RanchhandError,
    ValidationErrors,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._common.masking import mask, secret_forms
from ansible_collections.ranchhand.rancher.plugins.module_utils._common.options import (
    OptionSpec,
    parse_options,
    to_builtin,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._common.text import trim
from ansible_collections.ranchhand.rancher.plugins.module_utils._common.times import UTC, now
from ansible_collections.ranchhand.rancher.plugins.module_utils._guard.module import GUARD
from ansible_collections.ranchhand.rancher.plugins.module_utils._health.checker import HealthChecker, HealthContext
from ansible_collections.ranchhand.rancher.plugins.module_utils._health.cloud_credential_info import (
    CLOUD_CREDENTIAL_INFO,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._health.evaluation import KeyState, evaluate
from ansible_collections.ranchhand.rancher.plugins.module_utils._kubernetes.kubeconfig import (
    load_kubeconfig,
    source_identity,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._kubernetes.libraries import (
    MISSING,
    Configuration,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._kubernetes.messages import api_error
from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher.annotations import (
    announced_runs,
    deleting_run,
    leftover_marks,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher.cloud_credential import (
    parse_cloud_credential,
    show_cloud_credential,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher.driver_schema import DriverSchemas
from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher.machine_pools import parse_machine_pools
from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher.node_template import (
    parse_node_template,
    show_node_template,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher.references import (
    CREDENTIAL_REFERENCE_FIELDS,
    TEMPLATE_REFERENCE_FIELDS,
    ReferenceIndex,
    ReferenceReader,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher.users import User, Users
from ansible_collections.ranchhand.rancher.plugins.module_utils._resources.cloud_credential import CLOUD_CREDENTIAL
from ansible_collections.ranchhand.rancher.plugins.module_utils._resources.cloud_credential_plan import (
    ObservedCredentials,
    credential_catalog,
    parse_desired_credentials,
    plan_cloud_credentials,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._resources.info import (
    NODE_TEMPLATE_INFO,
    add_details,
    info_result,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._resources.manifest import MANIFEST
from ansible_collections.ranchhand.rancher.plugins.module_utils._resources.node_template import NODE_TEMPLATE
from ansible_collections.ranchhand.rancher.plugins.module_utils._resources.node_template_plan import (
    ObservedNodeTemplates,
    parse_desired_node_templates,
    plan_node_templates,
    template_catalog,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation.options import (
    CLOUD_CREDENTIAL_ROTATION,
    CLOUD_CREDENTIAL_ROTATION_INFO,
    check_info,
    parse_rotations,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation.status import due_time, key_issued_at
from ansible_collections.ranchhand.rancher.plugins.plugin_utils._declaration import declaration
from ansible_collections.ranchhand.rancher.plugins.plugin_utils._declare import drift, object_rows, removal_plan
from ansible_collections.ranchhand.rancher.plugins.plugin_utils._report import write
from ansible_collections.ranchhand.rancher.plugins.plugin_utils._report.model import (
    build,
    find_failures,
    validation_errors,
)
from ansible_collections.ranchhand.rancher.plugins.plugin_utils._text_output import reference_tree, table
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

INPUTS = int(os.environ.get("RANCHHAND_HOSTILE_INPUTS", "50"))
hostile = settings(
    max_examples=INPUTS, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large,
                                                HealthCheck.large_base_example])
NOW = datetime.datetime(2026, 11, 24, tzinfo=UTC)
SECRET = "canary-4f1c"
LONGEST_SENTENCE = 2000
LONGEST_TIME = 5  # seconds, on a busy machine

PEM = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
NASTY = [
    "", " ", "\x00", "\n", "a\nb", "\x1b[2J", "\u202ex", "\u3164", "\U0001f4a5", "{{ lookup('pipe', 'x') }}", "=1+1",
    "../..", "-1", "\u00b2", "9" * 5000, "x" * 5000, "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z",
    "2026-01-01T00:00:00Z", "nan", "null", "true", "eyJh.eyJ9.x", "eyJhIjoxfQ.eyJleHAiOjFlOTk5fQ.x", "eyJ-" * 500, PEM,
    PEM * 30, base64.b64encode(PEM.encode()).decode(), "cattle-global-data:cc-a", "a:b", "a/b", "cc-a",
    "999999999999999",
    "u-a", "alice", "azure", "[" * 3000, "{" * 3000, "<html>", "&<>\"'\\", "\ufeff", "a" * 64 + ".b",
    "%s%n", "Config",
]
TEXT = st.sampled_from(NASTY) | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NUMBERS = st.integers() | st.floats() | st.sampled_from([10**30, -1, 0, 2**63, 1e308])
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4), max_leaves=12,
)
# What an API server accepts in metadata, and in the data of a Secret.
ENTRIES = st.dictionaries(
    st.sampled_from([
        "field.cattle.io/name", "field.cattle.io/creatorId", "field.cattle.io/description", "ownerBindingsCreated",
        "rancher.io/expiration-timestamp", "ranchhand.cattle.io/rotated-at", "ranchhand.cattle.io/rotated-fields",
        "ranchhand.cattle.io/rotation-token", "ranchhand.cattle.io/marked-for-deletion",
        "ranchhand.cattle.io/condemned",
        "ranchhand.cattle.io/intent.x", "cluster-api.cattle.io/capi-static-identity-ref",
    ]), TEXT, max_size=5)
METADATA = st.builds(
    lambda name, annotations, labels, finalizers, deleted: {
        "name": name, "uid": name, "resourceVersion": "1", "creationTimestamp": "2026-01-01T00:00:00Z",
        "annotations": annotations, "labels": labels, "finalizers": finalizers,
        **({"deletionTimestamp": "2026-01-01T00:00:00Z"} if deleted else {}),
    },
    st.sampled_from(["cc-a", "cc-b", "x.y"]), st.none() | ENTRIES, st.none() | ENTRIES,
    st.lists(st.just("example.com/hold"), max_size=2),
    st.booleans(),
)
DATA = st.dictionaries(
    st.sampled_from([
        "azurecredentialConfig-clientId", "azurecredentialConfig-clientSecret",
        "harvestercredentialConfig-kubeconfigContent",
        "amazonec2credentialConfig-accessKey", "credentialConfig-x", "Config-x", "a-b-c", "xConfig-", "fooConfig-bar",
    ]), TEXT.map(lambda text: base64.b64encode(text.encode()).decode()) | st.none(), max_size=4)
SECRETS = st.fixed_dictionaries({"metadata": METADATA, "data": st.none() | DATA})
SPEC = st.dictionaries(
    st.sampled_from(["driver", "displayName", "description", "cloudCredentialName", "engineEnv", "nodeTaints",
                     "authKey", "engineRegistryMirror", "useInternalIpAddress", "dockerVersion"]), JSON, max_size=6)
TEMPLATE_OBJECTS = st.fixed_dictionaries(
    {"metadata": METADATA}, optional={"spec": SPEC | JSON, "azureConfig": JSON, "NoneConfig": JSON})


def outcome(function, *arguments):
    """Return the result, or None after an expected failure, whose code and sentences are checked."""
    start = time.process_time()
    try:
        return function(*arguments)
    except RanchhandError as error:
        assert error.code in FAILURE_CODES
        sentences = error.messages if isinstance(error, ValidationErrors) else [error.message]
        for sentence in sentences:
            assert sentence and len(sentence) < LONGEST_SENTENCE
            assert SECRET not in sentence and "Traceback" not in sentence
        return None
    finally:
        assert time.process_time() - start < LONGEST_TIME


# The options of all modules

class Module(NamedTuple):
    """The options of a module, and their further validation."""

    spec: OptionSpec
    check: Callable = lambda parsed: None


MODULES = {
    "cloud_credential": Module(CLOUD_CREDENTIAL, parse_desired_credentials),
    "cloud_credential_info": Module(CLOUD_CREDENTIAL_INFO),
    "cloud_credential_rotation": Module(CLOUD_CREDENTIAL_ROTATION, parse_rotations),
    "cloud_credential_rotation_info": Module(CLOUD_CREDENTIAL_ROTATION_INFO, check_info),
    "guard": Module(GUARD),
    "manifest": Module(MANIFEST),
    "node_template": Module(NODE_TEMPLATE, parse_desired_node_templates),
    "node_template_info": Module(NODE_TEMPLATE_INFO),
    "report": Module(write.REPORT, write.check_report),
}


def values(option):
    """Return values of an option, most of them of its type."""
    kind = option.get("type", "str")
    if option.get("no_log"):
        return st.just(SECRET) | st.dictionaries(TEXT, st.just(SECRET), max_size=3)
    if "options" in option:
        inner = arguments(option["options"])
        return JSON | (st.lists(inner, max_size=3) if kind == "list" else inner)
    typed = {
        "bool": st.booleans(), "int": NUMBERS, "dict": st.dictionaries(TEXT, JSON, max_size=3),
        "list": st.lists(JSON, max_size=3), "duration": st.sampled_from(["1s", "90d", "x", "9" * 30 + "d"]),
    }.get(kind, TEXT)
    if "choices" in option:
        typed |= st.sampled_from(option["choices"])
    return typed | JSON


def arguments(options):
    known = {name: values(option) for name, option in options.items()}
    return st.fixed_dictionaries({}, optional=known) | st.dictionaries(TEXT, JSON, max_size=2)


@pytest.mark.parametrize("module", MODULES.values(), ids=MODULES)
def test_options_of_a_module(module):
    @hostile
    @given(arguments(module.spec.options))
    @example({"files": {"html": "\0"}})
    def check(given_arguments):
        outcome(parse_options, module.spec, to_builtin(given_arguments), module.check)

    check()


# Objects in the cluster

def health(credentials, templates=()):
    users = Users([User("u-a", "alice")])
    return HealthChecker(HealthContext(credentials, None, users, ReferenceIndex(), templates))


@hostile
@given(st.lists(SECRETS, max_size=4))
@example([{"metadata": {"name": "cc-a", "uid": "1", "resourceVersion": "1", "annotations": {
    "rancher.io/expiration-timestamp": "999999999999999"}}, "data": {"azurecredentialConfig-clientId": ""}}])
def test_secrets(objects):
    credentials = [found for found in map(parse_cloud_credential, objects) if found is not None]
    checker = health(credentials)
    shown = []
    for credential in credentials:
        issued_at, source = key_issued_at(credential, None, None)
        due_at = due_time(issued_at, 10 * 365 * 86400, None, None)
        status = {"key_age_seconds": 1, "key_age_source": source, "due_at": None, "due": bool(due_at), "problems": []}
        health_of_key = outcome(
            evaluate, checker, credential, KeyState(None, status, 86400), NOW, datetime.timedelta(days=3650))
        assert all(len(problem["message"]) < LONGEST_SENTENCE for problem in health_of_key["problems"])
        shown.append({**add_details(credential, show_cloud_credential(credential, None), ReferenceIndex()),
                      **health_of_key, "owner_name": None, "rotation": None})
        annotations = credential.annotations
        announced_runs(annotations, now()), deleting_run(annotations, now()), leftover_marks(annotations, now())
    result = info_result("credentials", shown, None)
    json.dumps(result)
    written(result)
    yaml.load(declaration(result["credentials"], []), TextLoader)
    catalog = credential_catalog(credentials)
    for credential in credentials:
        for options in ({"id": credential.id}, {"name": credential.name}):
            for state in ("present", "absent"):
                call = {**options, "state": state, "description": "new", "config": {"tenantId": "x"},
                        "validate_config": False}
                desired = outcome(parse_credentials, call)
                if desired:
                    outcome(plan_cloud_credentials, desired, ObservedCredentials(catalog), ReferenceIndex())


def parse_credentials(options):
    return parse_desired_credentials(parse_options(CLOUD_CREDENTIAL, options))


@hostile
@given(st.lists(TEMPLATE_OBJECTS, max_size=4))
@example([{
    "metadata": {"name": "nt-a", "uid": "1", "resourceVersion": "1"}, "spec": {"driver": {}, "displayName": []},
}])
def test_node_templates(objects):
    templates = [parse_node_template(item) for item in objects]
    shown = [add_details(template, show_node_template(template, None), ReferenceIndex()) for template in templates]
    result = info_result("node_templates", shown, None)
    json.dumps(result)
    yaml.load(declaration([], result["node_templates"]), TextLoader)
    health([], templates)
    catalog = template_catalog(templates)
    for template in templates:
        for state in ("present", "absent"):
            call = {"id": template.id, "state": state, "engine_env": {"a": "b"}, "node_taints": [],
                    "description": "new", "docker_version": "1", "config": {"region": "x"}, "validate_config": False}
            desired = outcome(parse_templates, call)
            if desired:
                outcome(plan_node_templates, desired, ObservedNodeTemplates(catalog, version=(2, 10)), ReferenceIndex())


def parse_templates(options):
    return parse_desired_node_templates(parse_options(NODE_TEMPLATE, options))


def objects_with(path, leaves):
    """Return objects with a value, or another type, at each step of a path."""
    step, _dot, rest = path.partition(".")
    name = step.removesuffix("[]")
    inner = objects_with(rest, leaves) if rest else leaves
    return st.fixed_dictionaries({}, optional={name: (st.lists(inner, max_size=3) if step != name else inner) | JSON})


FIELDS = [*CREDENTIAL_REFERENCE_FIELDS, *TEMPLATE_REFERENCE_FIELDS]


@hostile
@given(st.sampled_from(FIELDS).flatmap(lambda row: st.tuples(st.just(row), objects_with(row.field, JSON), METADATA)))
def test_references(found):
    row, item, metadata = found
    item = {**item, "metadata": {**metadata, "namespace": "fleet-default"}}
    index = ReferenceIndex(ReferenceReader([row], row.kind).read(item))
    index.dangling(())
    index.secrets_of_clusters()
    if row.group == "provisioning.cattle.io":
        parse_machine_pools(item)


@hostile
@given(st.fixed_dictionaries({"metadata": METADATA}, optional={"username": JSON, "principalIds": JSON}), TEXT)
def test_users(item, owner):
    users = Users([User.from_object(item), User("u-a", "alice")])
    outcome(users.find, owner)


# Answers of servers, files and results

@hostile
@given(st.sampled_from([400, 401, 403, 404, 409, 410, 422, 429, 500, 503]),
       st.binary(max_size=50) | JSON.map(lambda value: json.dumps(value).encode())
       | st.fixed_dictionaries({"message": JSON, "reason": JSON}).map(lambda value: json.dumps(value).encode()))
def test_error_responses(status, data):
    error = api_error("GET", "/api/v1/namespaces/cattle-global-data/secrets/cc-a", status, data)
    assert error.code in FAILURE_CODES and error.message


USER = st.dictionaries(
    st.sampled_from(["token", "tokenFile", "exec", "auth-provider", "username", "password", "client-certificate-data",
                     "client-key-data"]), st.just(SECRET) | JSON.filter(lambda value: not isinstance(value, str)),
    max_size=3)


def entries(kind, content):
    entry = st.fixed_dictionaries({"name": st.just("x") | JSON, kind: content | JSON})
    return st.lists(entry | JSON, max_size=2) | JSON


KUBECONFIGS = st.fixed_dictionaries({}, optional={
    "current-context": st.just("x") | JSON,
    "contexts": entries("context", st.fixed_dictionaries({"cluster": st.just("x"), "user": st.just("x")})),
    "clusters": entries("cluster", st.fixed_dictionaries({"server": TEXT | JSON}, optional={
        "certificate-authority-data": TEXT, "proxy-url": TEXT})),
    "users": entries("user", USER),
})


@hostile
@given(KUBECONFIGS | KUBECONFIGS.map(lambda value: yaml.safe_dump(value) + "\n# text\n"))
def test_kubeconfigs(kubeconfig):
    if MISSING:
        pytest.skip("the kubernetes client is not installed")
    outcome(load_kubeconfig, Configuration(), kubeconfig, None)
    source_identity(kubeconfig, None)


def written(result):
    """Write all formats of the report on a result."""
    model = build({"prod": result}, NOW, "https://runbooks.example")
    texts = {name: writer(model) for name, writer in write.WRITERS.items()}
    json.loads(texts["json"])
    rows = list(csv.reader(io.StringIO(texts["csv"])))
    assert {len(row) for row in rows} == {len(rows[0])} and len(rows) == 1 + len(model["credentials"])
    assert all("\n" not in cell for row in rows for cell in row)
    find_failures(model, ["notice"])


@hostile
@given(st.dictionaries(TEXT, st.fixed_dictionaries({}, optional={
    "credentials": st.lists(st.fixed_dictionaries({"problems": JSON, "key_age_source": JSON}, optional={
        name: JSON for name in ("id", "name", "due_at", "rotation", "references", "key_age_seconds", "max_age_seconds")
    }), max_size=2) | JSON, "dangling": JSON, "msg": JSON, "problems_incomplete": JSON, "references_incomplete": JSON,
}) | JSON, max_size=2) | JSON)
def test_registered_results(results):
    """What a user passes to the module report."""
    if not validation_errors(results):
        model = build(results, NOW, "https://runbooks.example")
        for writer in write.WRITERS.values():
            writer(model)


OBJECTS = st.lists(st.fixed_dictionaries({
    "id": st.sampled_from(["cattle-global-data:cc-a", "cattle-global-data:cc-b"]), "name": TEXT,
    "driver": TEXT | st.none(), "owner": TEXT | st.none(),
    "action": st.sampled_from(["created", "updated", "deleted", "refused", "unchanged"]),
    "changed_fields": st.lists(TEXT, max_size=2), "references": st.lists(st.fixed_dictionaries(
        {"kind": TEXT, "namespace": TEXT | st.none(), "name": TEXT, "field": TEXT}), max_size=2),
}), max_size=3)


@hostile
@given(OBJECTS)
def test_tables(objects):
    plan = removal_plan({"credentials": {"credentials": objects}})
    lines = table(plan["rows"]) + reference_tree(objects)
    lines += table(object_rows(drift({"credentials": objects}, {}), view="drift"))
    assert all(line.isprintable() and len(line.splitlines()) <= 1 for line in lines)
    assert len(table(plan["rows"])) <= 1 + len(objects) + sum(len(item["references"]) for item in objects)


@hostile
@given(st.lists(TEXT.filter(lambda text: len(text.strip()) >= 8), max_size=3), JSON)
def test_masking(secrets, value):
    forms = secret_forms(secrets)
    shown = json.dumps(mask([value, *map(json.dumps, secrets), *secrets], forms), ensure_ascii=False)
    assert not [secret for secret in secrets if secret in shown and secret not in json.dumps(list(keys(value)))]


def keys(value):
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, element in pairs:
        yield str(key)
        yield from keys(element)


# The round trip: what was declared and exported is unchanged when it is applied again

NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12).filter(trim)
DECLARED = st.fixed_dictionaries({
    "name": NAMES, "driver": st.just("digitalocean"), "owner": st.just("u-a"), "description": NAMES | st.just(""),
    "secrets": st.dictionaries(st.sampled_from(["accessToken", "other"]), st.text(max_size=5), min_size=1),
})


@hostile
@given(DECLARED)
def test_a_declaration_is_unchanged_after_its_export(declared):
    users = Users([User("u-a", "alice")])
    desired = parse_credentials({**declared, "validate_config": False})
    change, = plan_cloud_credentials(desired, ObservedCredentials(credential_catalog(), users=users))
    metadata = {**change.body["metadata"], "name": "cc-a", "uid": "1", "resourceVersion": "1"}
    stored = parse_cloud_credential({**change.body, "metadata": metadata})
    shown = add_details(stored, show_cloud_credential(stored, None), None)
    exported, = yaml.load(declaration([shown], []), TextLoader)["cloud_credentials_list"]
    for options in (exported, {**declared, "validate_config": False}):
        options = {key: value for key, value in options.items() if options is not exported or key != "secrets"}
        desired = parse_credentials({"validate_config": False, **options})
        observed = ObservedCredentials(credential_catalog([replace(stored)]), users=users)
        assert plan_cloud_credentials(desired, observed)[0].action == "unchanged"


SCHEMAS = DriverSchemas([
    {"metadata": {"name": "credentialconfig"}, "spec": {"resourceFields": {"digitaloceancredentialConfig": {}}}},
    {"metadata": {"name": "digitaloceancredentialconfig"}, "spec": {"resourceFields": {
        "accessToken": {"type": "password", "required": True}}}},
    {"metadata": {"name": "digitaloceanconfig"}, "spec": {"resourceFields": {
        "region": {"default": {"stringValue": "nyc3"}}, "size": {}, "ipv6": {"type": "boolean"},
        "sshPort": {"type": "int"}, "tags": {"type": "array[string]"}, "accessToken": {"type": "password"}}}},
])
MAPS = st.dictionaries(NAMES, NAMES, max_size=2)
DECLARED_TEMPLATES = st.fixed_dictionaries({
    "name": NAMES, "driver": st.just("digitalocean"), "owner": st.just("u-a"),
    "config": st.fixed_dictionaries({"size": NAMES}, optional={
        "region": NAMES, "ipv6": st.booleans(), "sshPort": st.integers(-9, 10**6),
        "tags": st.lists(NAMES, max_size=2)}),
}, optional={
    "description": NAMES, "engine_env": MAPS, "engine_label": MAPS, "storage_opt": MAPS, "docker_version": NAMES,
    "engine_registry_mirror": st.lists(NAMES, max_size=2), "use_internal_ip_address": st.booleans(),
    "node_taints": st.lists(st.fixed_dictionaries({"key": NAMES, "effect": st.just("NoSchedule")}), max_size=2),
})


@hostile
@given(DECLARED_TEMPLATES, NAMES)
def test_a_declared_node_template_is_unchanged_after_its_export(declared, credential_name):
    credential = parse_cloud_credential({
        "metadata": {"name": "cc-a", "uid": "1", "resourceVersion": "1", "annotations": {
            "field.cattle.io/name": credential_name, "field.cattle.io/creatorId": "u-a"}},
        "data": {"digitaloceancredentialConfig-accessToken": "eA=="}})
    desired = parse_templates({**declared, "cloud_credential": "cattle-global-data:cc-a"})
    observed = ObservedNodeTemplates(
        template_catalog(), SCHEMAS, Users([User("u-a", "alice")]), credentials=credential_catalog([credential]),
        version=(2, 10))
    change, = plan_node_templates(desired, observed)
    metadata = {**change.body["metadata"], "name": "nt-a", "uid": "1", "resourceVersion": "1"}
    stored = parse_node_template({**change.body, "metadata": metadata})
    shown = add_details(stored, show_node_template(stored, SCHEMAS), None)
    text = declaration([add_details(credential, show_cloud_credential(credential, SCHEMAS), None)], [shown])
    exported, = yaml.load(text, TextLoader)["cloud_credentials_node_templates"]
    exported.pop("secrets", None)
    observed = replace(observed, stored=template_catalog([stored]))
    for options in ({"id": "nt-a", **exported}, {**declared, "id": "nt-a"}):
        again, = plan_node_templates(parse_templates(options), observed)
        assert (again.action, again.changed_fields) == ("unchanged", ())


class TextLoader(yaml.SafeLoader):
    """Reads !unsafe as text, as Ansible does."""


TextLoader.add_constructor("!unsafe", TextLoader.construct_yaml_str)
