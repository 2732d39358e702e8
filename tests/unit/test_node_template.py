# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Node templates: what Rancher reads of them, what results show, and the plan of a task."""

from __future__ import annotations

import base64
import re
from dataclasses import replace

import pytest
from ansible_collections.ranchhand.rancher.plugins.module_utils._common.errors import ValidationErrors
from ansible_collections.ranchhand.rancher.plugins.module_utils._common.options import parse_options
from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher.cloud_credential import (
    parse_cloud_credential,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher.driver_schema import DriverSchemas
from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher.node_template import (
    SPEC_OPTIONS,
    NodeTemplate,
    node_template_object,
    parse_node_template,
    show_node_template,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher.users import User, Users
from ansible_collections.ranchhand.rancher.plugins.module_utils._resources.cloud_credential_plan import (
    credential_catalog,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._resources.differences import apply_merge_patch
from ansible_collections.ranchhand.rancher.plugins.module_utils._resources.node_template import NODE_TEMPLATE
from ansible_collections.ranchhand.rancher.plugins.module_utils._resources.node_template_plan import (
    ObservedNodeTemplates,
    parse_desired_node_templates,
    plan_node_templates,
    template_catalog,
)

OWNER, BINDINGS = "field.cattle.io/creatorId", "ownerBindingsCreated"


def stored(name="nt-a", config=None, driver="digitalocean", metadata=None, annotations=None, **spec):
    """Return a NodeTemplate object as Rancher stores it."""
    return {
        "metadata": {
            "name": name, "uid": f"uid-{name}", "resourceVersion": "5", "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": {"team": "a"}, "annotations": {OWNER: "u-a", **(annotations or {})},
            "finalizers": ["example.com/hold"], **(metadata or {}),
        },
        "spec": {
            "displayName": "small", "driver": driver, "cloudCredentialName": "cattle-global-data:cc-a",
            "useInternalIpAddress": True, **spec,
        },
        f"{driver}Config": {"region": "nyc3", "size": "s-1"} if config is None else config,
    }


def test_the_fields_of_the_options_as_rancher_spells_them():
    assert {option: key for option, (key, _form) in SPEC_OPTIONS.items()} == {
        "auth_certificate_authority": "authCertificateAuthority", "auth_key": "authKey",
        "docker_version": "dockerVersion", "engine_env": "engineEnv",
        "engine_insecure_registry": "engineInsecureRegistry", "engine_install_url": "engineInstallURL",
        "engine_label": "engineLabel", "engine_opt": "engineOpt", "engine_registry_mirror": "engineRegistryMirror",
        "engine_storage_driver": "engineStorageDriver", "log_opt": "logOpt", "node_taints": "nodeTaints",
        "storage_opt": "storageOpt", "use_internal_ip_address": "useInternalIpAddress",
    }
    kinds = {"text": "str", "map": "dict", "list": "list", "flag": "bool"}
    assert {option: kinds[form] for option, (_key, form) in SPEC_OPTIONS.items()} == {
        option: NODE_TEMPLATE.options[option]["type"] for option in SPEC_OPTIONS}


class TestParsing:
    def test_all_that_rancher_reads(self):
        item = stored(description="for tests", dockerVersion="20.10")
        assert parse_node_template(item) == NodeTemplate(
            id="nt-a", uid="uid-nt-a", resource_version="5", name="small", driver="digitalocean", owner="u-a",
            description="for tests", created_at="2026-01-01T00:00:00Z", credential="cattle-global-data:cc-a",
            labels={"team": "a"}, annotations={OWNER: "u-a"}, config={"region": "nyc3", "size": "s-1"},
            spec=item["spec"], finalizers=("example.com/hold",), deleting=False, problem=None,
        )
        assert parse_node_template(item).full_id == "cattle-global-nt:nt-a"

    def test_an_object_with_nothing_but_a_name(self):
        parsed = parse_node_template({"metadata": {"name": "nt-a", "uid": "u", "resourceVersion": "1"}})
        assert parsed == NodeTemplate(
            id="nt-a", uid="u", resource_version="1", name="nt-a", driver=None, owner=None, description="",
            created_at=None, credential="", labels={}, annotations={}, config={}, spec={}, finalizers=(),
            deleting=False, problem="has no driver",
        )

    def test_a_template_that_is_being_deleted(self):
        assert parse_node_template(stored(metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"})).deleting

    @pytest.mark.parametrize(
        ("item", "problem"),
        [
            pytest.param(stored(), None, id="none"),
            pytest.param(stored(driver=""), "has no driver", id="no driver"),
            pytest.param(
                {**stored(), "digitaloceanConfig": None},
                "has no digitaloceanConfig, so Rancher cannot create machines from it", id="no config"),
            pytest.param(
                {**stored(), "digitaloceanConfig": "text"},
                "has no digitaloceanConfig, so Rancher cannot create machines from it", id="text for a config"),
            pytest.param(
                stored(config={}),
                "has an empty digitaloceanConfig, so Rancher does not pass the cloud credential to its machines",
                id="an empty config"),
            pytest.param(stored(config={}, cloudCredentialName=""), None, id="an empty config without a credential"),
            pytest.param(
                stored(annotations={OWNER: ""}), f"has no annotation {OWNER} and therefore no owner", id="no owner"),
        ],
    )
    def test_why_rancher_cannot_use_a_template(self, item, problem):
        assert parse_node_template(item).problem == problem

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            *((name, value) for name in ("driver", "displayName", "description", "cloudCredentialName")
              for value in (5, ["x"])),
            *((key, {"text": 5, "map": ["x"], "list": "x", "flag": "true"}[form]) for key, form in
              SPEC_OPTIONS.values()),
        ],
    )
    def test_a_field_of_another_type_is_a_problem_and_not_a_failure(self, field, value):
        parsed = parse_node_template(stored(**{field: value}))
        assert parsed.problem == f"has a field spec.{field} of the wrong type"
        assert {type(text) for text in (parsed.name, parsed.description, parsed.credential)} == {str}

    def test_a_specification_of_another_type_is_a_problem_and_not_a_failure(self):
        parsed = parse_node_template({**stored(), "spec": ["x"]})
        assert (parsed.problem, parsed.spec) == ("has a field spec of the wrong type", {})

    def test_the_first_field_of_another_type_is_named(self):
        parsed = parse_node_template(stored(dockerVersion=5, displayName=5, logOpt=5))
        assert parsed.problem == "has a field spec.dockerVersion of the wrong type"

    def test_the_object_of_a_template_parses_to_it(self):
        template = parse_node_template(stored(logOpt={"a": "b"}))
        assert parse_node_template(node_template_object(template)) == template


SCHEMAS = DriverSchemas([
    {"metadata": {"name": name}, "spec": {"resourceFields": fields}} for name, fields in {
        "digitaloceanconfig": {
            "accessToken": {"type": "password", "required": True, "default": {"stringValue": ""}},
            "region": {"type": "string", "default": {"stringValue": "nyc3"}},
            "size": {"type": "string", "required": True, "default": {"stringValue": ""}},
            "backups": {"type": "boolean", "default": {"boolValue": False}},
            "tags": {"type": "array[string]", "default": {"stringSliceValue": None}},
            "sshKeyPath": {"type": "password"},
        },
        "credentialconfig": {"digitaloceancredentialConfig": {}},
        "digitaloceancredentialconfig": {"accessToken": {"type": "password"}},
    }.items()
])


class TestShowing:
    def test_public_fields_are_shown_and_others_only_named(self):
        template = parse_node_template(stored(
            config={"region": "nyc3", "sshKeyPath": "canary", "unheard": "canary"}, authKey="canary", logOpt={"a": "b"},
            dockerVersion="", engineEnv={}, nodeTaints=[], engineLabel=["canary"],
        ))
        assert show_node_template(template, SCHEMAS) == {
            "id": "cattle-global-nt:nt-a", "name": "small", "driver": "digitalocean", "owner": "u-a",
            "description": "", "cloud_credential": "cattle-global-data:cc-a", "config": {"region": "nyc3"},
            "secret_fields": ["sshKeyPath", "unheard"], "log_opt": {"a": "b"}, "use_internal_ip_address": True,
            "created_at": "2026-01-01T00:00:00Z",
        }

    @pytest.mark.parametrize("schemas", [None, DriverSchemas([])], ids=["not read", "of other drivers"])
    def test_without_the_schema_of_the_driver_no_value_is_shown(self, schemas):
        shown = show_node_template(parse_node_template(stored(cloudCredentialName=None)), schemas)
        assert (shown["config"], shown["secret_fields"]) == ({}, ["region", "size"])
        assert shown["cloud_credential"] is None

    def test_a_flag_that_is_off_is_shown(self):
        shown = show_node_template(parse_node_template(stored(useInternalIpAddress=False)), SCHEMAS)
        assert shown["use_internal_ip_address"] is False

    def test_without_a_driver_no_value_is_shown(self):
        shown = show_node_template(parse_node_template(stored(driver=None)), SCHEMAS)
        assert (shown["driver"], shown["config"]) == (None, {})

    def test_no_representation_contains_a_field(self):
        assert "nyc3" not in repr(parse_node_template(stored()))


USERS = Users([User("u-a", "alice"), User("u-b", "bob")])


def credential(name="cc-a", display_name="do prod", driver="digitalocean", owner="u-a", **metadata):
    token = base64.b64encode(b"canary").decode()
    return parse_cloud_credential({
        "metadata": {"name": name, "uid": name, "resourceVersion": "1", **metadata, "annotations": {
            OWNER: owner, "field.cattle.io/name": display_name}},
        "data": {f"{driver}credentialConfig-accessToken": token},
    })


def observed(*templates, credentials=(credential(),), schemas=SCHEMAS, version=(2, 11), own_user="u-a"):
    catalog = template_catalog(map(parse_node_template, templates))
    return ObservedNodeTemplates(
        catalog, schemas, USERS, own_user, credentials=credential_catalog(credentials), version=version)


def desired(**options):
    return parse_desired_node_templates(parse_options(NODE_TEMPLATE, options))


def plan(rancher, **options):
    (change,) = plan_node_templates(desired(**options), rancher)
    return change


def refusal(rancher, **options):
    """Return code and messages of a task that is refused."""
    with pytest.raises(ValidationErrors) as refused:
        plan(rancher, **options)
    return refused.value.code, refused.value.messages


NEW = {"name": "new", "driver": "digitalocean", "cloud_credential": "do prod", "config": {"size": "s-2"}}


class TestCreation:
    def test_the_object_to_create(self):
        change = plan(
            observed(), **NEW, description="for tests", labels={"a": "b", "c": None}, annotations={"d": "e"},
            engine_label={"x": 5, "y": None}, engine_registry_mirror=["https://m", "n"], docker_version="20.10",
            auth_key="", use_internal_ip_address=False,
            node_taints=[{"key": "k", "effect": "NoSchedule", "value": None}],
        )
        assert change.action == "created" and change.before is None
        assert change.body == {
            "apiVersion": "management.cattle.io/v3", "kind": "NodeTemplate",
            "metadata": {
                "namespace": "cattle-global-nt", "generateName": "nt-",
                "labels": {"cattle.io/creator": "norman", "a": "b"},
                "annotations": {OWNER: "u-a", "d": "e"},
            },
            "spec": {
                "displayName": "new", "driver": "digitalocean", "useInternalIpAddress": False,
                "description": "for tests", "cloudCredentialName": "cattle-global-data:cc-a",
                "engineLabel": {"x": "5"}, "engineRegistryMirror": ["https://m", "n"], "dockerVersion": "20.10",
                "nodeTaints": [{"key": "k", "effect": "NoSchedule"}],
            },
            "digitaloceanConfig": {"region": "nyc3", "size": "s-2", "backups": False},
        }
        assert change.changed_fields == tuple(sorted([
            "name", "driver", "owner", "description", "labels", "annotations", "cloud_credential", "region", "size",
            "backups", "engine_label", "engine_registry_mirror", "docker_version", "auth_key", "node_taints",
            "use_internal_ip_address",
        ]))
        assert change.after.name == "new" and change.after.id == "" and change.after.problem is None

    def test_machines_use_their_internal_address_unless_the_task_decides_otherwise(self):
        change = plan(observed(), **NEW)
        assert change.body["spec"] == {
            "displayName": "new", "driver": "digitalocean", "useInternalIpAddress": True,
            "cloudCredentialName": "cattle-global-data:cc-a",
        }
        assert change.changed_fields == ("backups", "cloud_credential", "driver", "name", "owner", "region", "size")

    def test_a_template_without_a_credential_contains_the_secrets_itself(self):
        change = plan(observed(), name="new", driver="digitalocean", config={"size": "x", "region": None},
                      secrets={"accessToken": "canary"})
        assert change.body["digitaloceanConfig"] == {"accessToken": "canary", "backups": False, "size": "x"}
        assert "cloudCredentialName" not in change.body["spec"] and "canary" not in repr(change)

    def test_the_owner_is_the_user_of_the_task_or_of_the_connection(self):
        assert plan(observed(), **NEW).after.owner == "u-a"
        theirs = observed(credentials=[credential(owner="u-b")])
        assert plan(theirs, **NEW, owner="bob").body["metadata"]["annotations"] == {OWNER: "u-b"}

    def test_all_that_is_missing_is_reported(self):
        prefix = 'no node template has the name "new"; to create it, '
        assert refusal(observed(own_user=None), name="new") == ("invalid", [
            f"{prefix}driver is required",
            f"{prefix}owner is required (a user id, username or principal id), as this connection is not authenticated "
            "as a Rancher user",
            f"{prefix}config or cloud_credential is required",
        ])
        for option in ({"config": {"size": "x"}, "secrets": {"accessToken": "x"}}, {"cloud_credential": "do prod"}):
            assert refusal(observed(own_user=None), name="new", driver="digitalocean", **option)[1] == [
                f"{prefix}owner is required (a user id, username or principal id), as this connection is not "
                "authenticated as a Rancher user"]
        new = {"name": "new", "driver": "digitalocean", "config": {"size": "x"}}
        (_owner, required) = refusal(observed(own_user=None), **new)[1]
        assert required.startswith("secrets.accessToken is required")

    def test_required_fields_that_neither_task_nor_credential_contains(self):
        _code, messages = refusal(observed(), name="new", driver="digitalocean", config={"region": "ams3"})
        assert [message.partition(" is required")[0] for message in messages] == ["secrets.accessToken", "config.size"]
        _code, (message,) = refusal(observed(), **{**NEW, "config": {"region": "ams3"}})
        assert message.startswith("config.size is required")

    def test_a_field_of_the_credential_is_refused(self):
        code, messages = refusal(observed(), **NEW, secrets={"accessToken": "canary"})
        assert (code, messages) == (
            "invalid", ["accessToken comes from the cloud credential; remove it from the node template"])

    def test_an_empty_config_is_refused(self):
        code, (message,) = refusal(observed(schemas=None), **{**NEW, "config": {}}, validate_config=False)
        assert code == "invalid" and message.startswith("config must not be empty")

    @pytest.mark.parametrize(("schemas", "driver", "code", "words"), [
        pytest.param(None, "digitalocean", "forbidden", "may not list dynamicschemas", id="not readable"),
        pytest.param(SCHEMAS, "azure", "invalid", "driver azure has no schema for node templates", id="no schema"),
    ])
    def test_fields_that_cannot_be_validated(self, schemas, driver, code, words):
        options = {"name": "new", "driver": driver, "config": {"any": "x"}}
        found, (message,) = refusal(observed(schemas=schemas), **options)
        assert found == code and words in message
        change = plan(observed(schemas=schemas), **options, validate_config=False)
        assert change.body[f"{driver}Config"] == {"any": "x"}

    @pytest.mark.parametrize(("version", "words"), [
        (None, "the version of this Rancher is unknown"), ((2, 12), "Rancher 2.12 does not support RKE1"),
    ])
    def test_a_rancher_that_would_not_start_again_gets_no_template(self, version, words):
        rancher = observed(stored(), version=version)
        for options in (NEW, {"id": "nt-a", "description": "x"}):
            with pytest.raises(Exception, match=words) as refused:
                plan(rancher, **options)
            assert refused.value.code == "unsupported"
        assert plan(rancher, id="nt-a", state="absent").action == "deleted"
        assert plan(observed(stored(), version=(2, 11)), id="nt-a").action == "unchanged"


MANY = (
    credential(), credential("cc-b", owner="u-b"), credential("cc-c", "twice"), credential("cc-d", "twice"),
    credential("cc-e", "aws", driver="amazonec2"), credential("cc-f", "cc-a", owner="u-b"),
    credential("cc-g", "gone", deletionTimestamp="2026-01-01T00:00:00Z", finalizers=["x"]),
    credential("cc-h", "two drivers"), credential("cc-i", "two drivers", driver="amazonec2"),
)


class TestCredential:
    @pytest.mark.parametrize(("name_or_id", "expected"), [
        pytest.param("cattle-global-data:cc-a", "cc-a", id="id"),
        pytest.param("cattle-global-data/cc-a", "cc-a", id="id with a slash"),
        pytest.param(" do prod ", "cc-a", id="name, of the same owner"),
        pytest.param("cc-c", "cc-c", id="metadata.name"),
        pytest.param("cc-a", "cc-a", id="metadata.name that is another owner's name of a credential"),
        pytest.param("two drivers", "cc-h", id="name, of the same driver"),
    ])
    def test_a_credential_is_found_by_id_and_by_name(self, name_or_id, expected):
        change = plan(observed(credentials=MANY), **{**NEW, "cloud_credential": name_or_id})
        assert change.after.credential == f"cattle-global-data:{expected}"

    @pytest.mark.parametrize(("name_or_id", "code", "words"), [
        pytest.param("nosuch", "not_found", '"nosuch" does not exist, neither as a name nor as an id', id="unknown"),
        pytest.param(
            "cattle-global-data:cc-z", "not_found", '"cattle-global-data:cc-z" does not exist', id="unknown id"),
        pytest.param("cattle-global-data:twice", "not_found", "does not exist", id="a name is no id"),
        pytest.param("twice", "ambiguous", '2 cloud credentials have the name "twice"', id="ambiguous"),
        pytest.param(
            "aws", "invalid",
            "cloud_credential cattle-global-data:cc-e is of driver amazonec2; a node template of driver digitalocean",
            id="another driver"),
        pytest.param(
            "cattle-global-data:cc-b", "invalid", "cc-b belongs to u-b, the node template to u-a", id="another owner"),
        pytest.param("gone", "conflict", "cattle-global-data:cc-g is being deleted", id="being deleted"),
    ])
    def test_a_credential_that_cannot_be_used(self, name_or_id, code, words):
        found, (message,) = refusal(observed(credentials=MANY), **{**NEW, "cloud_credential": name_or_id})
        assert found == code and words in message

    def test_without_validation_other_owners_are_allowed_and_make_a_name_ambiguous(self):
        rancher = observed(credentials=MANY)
        options = {**NEW, "validate_config": False}
        change = plan(rancher, **{**options, "cloud_credential": "cattle-global-data:cc-b"})
        assert change.after.credential == "cattle-global-data:cc-b"
        assert refusal(rancher, **{**options, "cloud_credential": "do prod"})[0] == "ambiguous"


class TestUpdate:
    @pytest.mark.parametrize("options", [
        {}, {"name": "small"}, {"config": {"region": "nyc3"}}, {"description": ""}, {"owner": "alice"},
        {"cloud_credential": "do prod"}, {"labels": {"team": "a", "gone": None}}, {"docker_version": ""},
        {"engine_env": {"gone": None}}, {"engine_insecure_registry": []}, {"use_internal_ip_address": True},
    ], ids=str)
    def test_what_is_stored_already_is_unchanged(self, options):
        change = plan(observed(stored()), id="nt-a", **options)
        assert (change.action, change.body, change.changed_fields) == ("unchanged", {}, ())

    @pytest.mark.parametrize(("options", "patch", "changed"), [
        pytest.param({"name": "other"}, {"spec": {"displayName": "other"}}, "name", id="name"),
        pytest.param({"description": "x"}, {"spec": {"description": "x"}}, "description", id="description"),
        pytest.param({"labels": {"team": None}}, {"metadata": {"labels": {"team": None}}}, "labels", id="label"),
        pytest.param({"annotations": {"a": "b"}}, {"metadata": {"annotations": {"a": "b"}}}, "annotations",
                     id="annotation"),
        pytest.param({"docker_version": " 20 "}, {"spec": {"dockerVersion": "20"}}, "docker_version", id="text"),
        pytest.param({"engine_storage_driver": ""}, {"spec": {"engineStorageDriver": None}}, "engine_storage_driver",
                     id="empty text"),
        pytest.param({"engine_env": {"a": 5, "b": None}}, {"spec": {"engineEnv": {"a": "5"}}}, "engine_env", id="map"),
        pytest.param({"log_opt": {"old": None}}, {"spec": {"logOpt": {"old": None}}}, "log_opt", id="map entry"),
        pytest.param({"engine_registry_mirror": ["a"]}, {"spec": {"engineRegistryMirror": ["a"]}},
                     "engine_registry_mirror", id="list"),
        pytest.param({"engine_insecure_registry": []}, {"spec": {"engineInsecureRegistry": []}},
                     "engine_insecure_registry", id="empty list"),
        pytest.param({"use_internal_ip_address": False}, {"spec": {"useInternalIpAddress": False}},
                     "use_internal_ip_address", id="flag"),
        pytest.param({"config": {"tags": ["a", 5], "size": " s-3 "}},
                     {"digitaloceanConfig": {"tags": ["a", "5"], "size": "s-3"}}, "size tags", id="config"),
        pytest.param({"config": {"region": None}}, {"digitaloceanConfig": {"region": None}}, "region",
                     id="field to remove"),
        pytest.param({"secrets": {"sshKeyPath": "canary"}}, {"digitaloceanConfig": {"sshKeyPath": "canary"}},
                     "sshKeyPath", id="secret"),
    ])
    def test_only_what_differs_is_patched(self, options, patch, changed):
        item = stored(logOpt={"old": "x", "kept": "y"}, engineStorageDriver="zfs", engineInsecureRegistry=["a"])
        change = plan(observed(item), id="nt-a", **options)
        precondition = {"metadata": {"uid": "uid-nt-a", "resourceVersion": "5", **patch.get("metadata", {})}}
        assert change.body == {**patch, **precondition}
        assert (change.action, change.changed_fields) == ("updated", tuple(changed.split()))
        after = parse_node_template(apply_merge_patch(item, change.body))
        assert replace(change.after, labels=after.labels, annotations=after.annotations) == after
        assert plan(observed(apply_merge_patch(item, change.body)), id="nt-a", **options).action == "unchanged"

    def test_a_map_of_another_type_is_replaced(self):
        change = plan(observed(stored(logOpt="text")), id="nt-a", log_opt={"a": "b"})
        assert change.body["spec"] == {"logOpt": {"a": "b"}}

    def test_secrets_are_written_once_if_the_task_wants_that(self):
        options = {"id": "nt-a", "secrets": {"sshKeyPath": "canary"}, "update_secrets": "on_create"}
        assert plan(observed(stored()), **options).action == "unchanged"
        change = plan(observed(stored()), **options, config={"size": "x"})
        assert change.body["digitaloceanConfig"] == {"size": "x"}

    def test_a_field_that_the_credential_contains_cannot_be_set(self):
        for options in ({}, {"cloud_credential": "cattle-global-data:cc-a"}):
            _code, messages = refusal(observed(stored()), id="nt-a", secrets={"accessToken": "x"}, **options)
            assert messages == ["accessToken comes from the cloud credential; remove it from the node template"]
        for item, schemas in ((stored(cloudCredentialName=""), SCHEMAS), (stored(), None)):
            change = plan(observed(item, schemas=schemas), id="nt-a", secrets={"accessToken": "x"},
                          validate_config=False)
            assert change.changed_fields == ("accessToken",)

    def test_the_last_field_cannot_be_removed(self):
        code, (message,) = refusal(observed(stored(config={"region": "x"})), id="nt-a", config={"region": None})
        assert code == "invalid" and message.startswith("digitaloceanConfig of cattle-global-nt:nt-a would be empty")

    def test_a_new_credential_replaces_the_fields_that_it_contains(self):
        item = stored(cloudCredentialName="", config={"accessToken": "canary", "size": "s-1"})
        change = plan(observed(item), id="nt-a", cloud_credential="do prod")
        assert change.body["spec"] == {"cloudCredentialName": "cattle-global-data:cc-a"}
        assert change.body["digitaloceanConfig"] == {"accessToken": None}
        assert change.changed_fields == ("accessToken", "cloud_credential")

    @pytest.mark.parametrize("spelling", ["cattle-global-data:cc-a", "cattle-global-data/cc-a"])
    def test_the_same_credential_in_another_spelling_is_no_change(self, spelling):
        item = stored(cloudCredentialName=spelling)
        assert plan(observed(item), id="nt-a", cloud_credential="do prod").action == "unchanged"

    def test_another_owner_needs_a_credential_of_that_owner(self):
        item = stored(annotations={BINDINGS: "true"})
        code, (message,) = refusal(observed(item), id="nt-a", owner="bob")
        assert code == "invalid" and "belongs to u-a, the node template to u-b" in message
        for rancher, options in (
            (observed(item), {"validate_config": False}),
            (observed(item, credentials=[credential(owner="u-b")]), {}),
        ):
            change = plan(rancher, id="nt-a", owner="bob", **options)
            assert change.body["metadata"]["annotations"] == {OWNER: "u-b", BINDINGS: None}
            assert change.changed_fields == ("owner",)

    def test_another_owner_of_a_template_without_credential(self):
        change = plan(observed(stored(cloudCredentialName="")), id="nt-a", owner="bob")
        assert change.body["metadata"]["annotations"] == {OWNER: "u-b"}

    def test_the_bindings_of_the_owner_are_kept_otherwise(self):
        change = plan(observed(stored(annotations={BINDINGS: "true"})), id="nt-a", description="x")
        assert "annotations" not in change.body["metadata"]

    @pytest.mark.parametrize(("item", "options", "code", "words"), [
        pytest.param(stored(), {"driver": "azure"}, "invalid",
                     "the driver of a node template cannot be changed to azure", id="another driver"),
        pytest.param(stored(driver=None), {"description": "x"}, "invalid",
                     "cattle-global-nt:nt-a has no driver; repair or delete it first", id="no driver"),
        pytest.param(stored(metadata={"deletionTimestamp": "x"}), {"description": "x"}, "conflict",
                     "is being deleted and waits for example.com/hold; run again", id="being deleted"),
        pytest.param(stored(metadata={"deletionTimestamp": "x", "finalizers": []}), {"description": "x"}, "conflict",
                     "waits for the API server", id="being deleted, without finalizers"),
    ])
    def test_a_template_that_cannot_be_updated(self, item, options, code, words):
        found, (message,) = refusal(observed(item), id="nt-a", **options)
        assert found == code and words in message


def test_validation_errors_of_all_items_are_reported_together():
    with pytest.raises(ValidationErrors) as refused:
        desired(node_templates=[
            {"name": "a", "cloud_credential": " ", "engine_label": {"x": 1.5}},
            {"driver": "azure", "log_opt": {"y": ["canary"]}, "engine_opt": {"z": 1.5}},
            {"name": "fine", "cloud_credential": "x"},
        ])
    assert [re.sub(" must .*", "", message) for message in refused.value.messages] == [
        "node_templates[0] (a): engine_label", "node_templates[0] (a): cloud_credential",
        "node_templates[1]: name or id is required", "node_templates[1]: engine_opt", "node_templates[1]: log_opt",
    ]


def test_options_of_a_call_apply_to_its_templates():
    items = desired(
        node_templates=[{"name": "a", "rancher_version": "2.10"}, {"name": "b", "cloud_credential": "x"}],
        rancher_version="2.11", state="absent")
    assert [(item.where, item.rancher_version, item.cloud_credential, item.state) for item in items] == [
        ("node_templates[0] (a): ", "2.10", None, "absent"), ("node_templates[1] (b): ", "2.11", "x", "absent")]
