# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The objects of the guard: admission policies that reject new references to a credential that is being deleted.

Pure. Tested with kube-apiserver 1.36; ValidatingAdmissionPolicy is v1 since Kubernetes 1.30.
"""

from __future__ import annotations

import datetime
import typing as t
from collections.abc import Mapping

from .._common.times import Time
from .._rancher.annotations import ALLOW_DELETE, ANNOTATION_LIFETIME, GUARD_SETTLE, entry_time
from .._rancher.cloud_credential import CloudCredential
from .._rancher.references import (
    CREDENTIAL_NAMESPACE,
    CREDENTIAL_REFERENCE_FIELDS,
    TURTLES_PROVIDERS,
    ReferenceField,
)

# Names of a ConfigMap, a policy and a binding each.
DELETION_LIST = "ranchhand-marked-for-deletion"
IN_USE = "ranchhand-in-use"
FORMER_DELETION_LIST = "ranchhand-condemned"  # version 0.1 used this name

PROBE = "ranchhand-probe"

# How long the name of a deleted credential is kept on the list: a form of Rancher's UI may have been opened before.
RETAIN = datetime.timedelta(hours=24)
ADMISSION = "/apis/admissionregistration.k8s.io/v1"
POLICIES = f"{ADMISSION}/validatingadmissionpolicies"
BINDINGS = f"{ADMISSION}/validatingadmissionpolicybindings"
CONFIG_MAPS = f"/api/v1/namespaces/{CREDENTIAL_NAMESPACE}/configmaps"


def guard_objects(
    protect_in_use: bool, settle_seconds: int, in_use: Mapping[str, str] | None = None,
) -> dict[str, dict[str, t.Any]]:
    """Return the objects of the guard by path, in the order of their creation.

    ``in_use`` are credentials and their users.
    """
    objects = {
        f"{CONFIG_MAPS}/{DELETION_LIST}": _config_map(DELETION_LIST),
        f"{POLICIES}/{DELETION_LIST}": _deletion_policy(),
        f"{BINDINGS}/{DELETION_LIST}": _binding(DELETION_LIST, {GUARD_SETTLE: str(settle_seconds)}),
    }
    if protect_in_use:
        objects[f"{CONFIG_MAPS}/{IN_USE}"] = _config_map(IN_USE, in_use)
        objects[f"{POLICIES}/{IN_USE}"] = _in_use_policy()
        objects[f"{BINDINGS}/{IN_USE}"] = _binding(IN_USE, {})
    return objects


def guard_paths() -> list[str]:
    """Return the paths of all objects that the guard can have, in the order of their deletion."""
    return list(reversed(list(guard_objects(True, 0))))


def former_guard_paths() -> list[str]:
    """Return the paths of the objects that a former version installed, in the order of their deletion."""
    return [f"{kind}/{FORMER_DELETION_LIST}" for kind in (BINDINGS, POLICIES, CONFIG_MAPS)]


def corrections(
    desired: Mapping[str, Mapping[str, t.Any]], stored: Mapping[str, Mapping[str, t.Any] | None],
    listed: t.Collection[str],
) -> dict[str, dict[str, t.Any]]:
    """Return merge patches, by path, that remove what a server-side apply keeps as the entry of another client.

    ``listed`` are the names that the deletion list keeps.
    """
    patches: dict[str, dict[str, t.Any]] = {}
    for path, item in desired.items():
        current = stored[path] or {}
        if item["kind"] == "ConfigMap":
            kept = listed if path == f"{CONFIG_MAPS}/{DELETION_LIST}" else item.get("data", {})
            removed = {name: None for name in current.get("data") or {} if name not in kept}
            if removed:
                patches[path] = {"data": removed}
        elif "validationActions" in item["spec"]:
            actions = item["spec"]["validationActions"]
            if current and (current.get("spec") or {}).get("validationActions") != actions:
                patches[path] = {"spec": {"validationActions": actions}}
    return patches


def _config_map(name: str, data: Mapping[str, str] | None = None) -> dict[str, t.Any]:
    return {
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": CREDENTIAL_NAMESPACE},
        **({"data": dict(data)} if data else {}),
    }


def _binding(name: str, annotations: Mapping[str, str]) -> dict[str, t.Any]:
    return {
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": name, "annotations": dict(annotations)},
        "spec": {
            "policyName": name, "validationActions": ["Deny"],
            # Deny would stop Rancher while an API server does not see the ConfigMap (kubernetes/kubernetes#130887).
            "paramRef": {"name": name, "namespace": CREDENTIAL_NAMESPACE, "parameterNotFoundAction": "Allow"},
        },
    }


def _policy(name: str, spec: Mapping[str, t.Any]) -> dict[str, t.Any]:
    return {
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {"failurePolicy": "Fail", "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"}, **spec},
    }


def _rule(group: str, resource: str, operations: t.Sequence[str], **more: t.Any) -> dict[str, t.Any]:
    return {
        "apiGroups": [group], "apiVersions": ["*"], "operations": list(operations), "resources": [resource],
        "scope": "*", **more,
    }


def _deletion_policy() -> dict[str, t.Any]:
    fields = [field for field in CREDENTIAL_REFERENCE_FIELDS if field.written_by_users]
    resources = sorted({(field.group, field.resource or "*") for field in fields})
    return _policy(DELETION_LIST, {
        "matchConstraints": {"resourceRules": [
            *(_rule(group, resource, ("CREATE", "UPDATE")) for group, resource in resources),
            _rule("", "configmaps", ("CREATE",), resourceNames=[PROBE]),
        ]},
        "variables": [
            {"name": "home", "expression": f"object.metadata.?namespace.orValue('') == '{CREDENTIAL_NAMESPACE}'"},
            {"name": "refs", "expression": _references(fields, "object")},
            {"name": "before", "expression": f"oldObject == null ? [] : ({_references(fields, 'oldObject')})"},
            {"name": "added", "expression": "variables.refs.filter(r, r != '' && !(r in variables.before))"},
            # The spellings of references.referenced_name. A display name starts with a line feed, unlike any reference.
            {"name": "names", "expression":
                "variables.added.filter(r, !r.startsWith('\\n')).map(r, "
                "r.contains(':') ? r.split(':')[r.split(':').size() - 1] : "
                "r.contains('/') ? r.split('/')[r.split('/').size() - 1] : variables.home ? r : '')"},
            {"name": "marked", "expression":
                "variables.names.filter(n, n in params.?data.orValue({})) + "
                "variables.added.filter(r, r.startsWith('\\n') && params.?data.orValue({}).exists(k, "
                "params.data[k].endsWith(' ' + r.substring(1)))).map(r, r.substring(1))"},
        ],
        "validations": [{
            "expression": "size(variables.marked) == 0",
            "messageExpression":
                "'cloud credential ' + variables.marked.join(', ') + ' is being deleted; use another credential. "
                "If no run is deleting it, run the role ranchhand.rancher.guard'",
        }],
    })


def _references(fields: t.Sequence[ReferenceField], variable: str) -> str:
    """Return a CEL expression for the list of all references in an object, each as its field spells it."""
    probe = f"[string({_at(variable, 'data.credential')})]"
    kinds: dict[str, list[str]] = {"request.kind.group == '' && request.kind.kind == 'ConfigMap'": [probe]}
    for field in fields:
        condition = f"request.kind.group == '{field.group}' && request.kind.kind"
        condition += f" == '{field.kind}'" if field.resource else f".endsWith('{field.kind}')"
        kinds.setdefault(condition, []).append(_values(field, variable))
    expression = "[]"
    for condition, lists in kinds.items():
        expression = f"{condition} ? ({' + '.join(lists)}) : {expression}"
    return expression


def _values(field: ReferenceField, variable: str) -> str:
    """Return a CEL expression for the list of the texts in one field of an object; null and other types are ignored."""
    head, brackets, tail = field.field.partition("[].")
    if brackets:
        elements = _at(variable, head, "[]")
        texts = f"(type({elements}) == list ? {elements} : []).map(e, {_at('e', tail)})"
        return f"{texts}.filter(v, type(v) == string)"
    values = f"[{_at(variable, field.field)}].filter(v, type(v) == string && v != '')"
    if field.form == "display name":
        name = _at(variable, "spec.name")
        provider = f"(type({name}) == string && {name} != '' ? {name} : {variable}.metadata.name).lowerAscii()"
        return f"{values}.map(v, '\\n' + {provider} + '/' + v)"
    return f"{values}.map(v, ':' + v)" if field.form == "bare" else values


def _at(variable: str, path: str, missing: str = "''") -> str:
    return variable + "".join(f".?{step}" for step in path.split(".")) + f".orValue({missing})"


def _in_use_policy() -> dict[str, t.Any]:
    return _policy(IN_USE, {
        "matchConstraints": {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": CREDENTIAL_NAMESPACE}},
            "resourceRules": [_rule("", "secrets", ("DELETE",))],
        },
        "validations": [{
            "expression": "!(oldObject.metadata.name in params.?data.orValue({})) || "
                          f"oldObject.metadata.?annotations[?'{ALLOW_DELETE}'].orValue('') == 'true'",
            "messageExpression":
                "'cloud credential ' + oldObject.metadata.name + ' is in use by ' + "
                "params.data[oldObject.metadata.name] + "
                f"'. To delete it anyway, first run: kubectl -n {CREDENTIAL_NAMESPACE} annotate secret ' + "
                f"oldObject.metadata.name + ' {ALLOW_DELETE}=true'",
        }],
    })


def deletion_entry(time: str, run: str, credential: CloudCredential) -> str:
    """Return the entry of a credential on the deletion list: time, run, and the display name by which Turtles refers to
    it.
    """
    provider = TURTLES_PROVIDERS.get(credential.driver or "", credential.driver)
    return f"{time} {run} {provider}/{credential.name}"


def entry_run(entry: str) -> str:
    """Return the run that set an entry of the deletion list."""
    return (*entry.split(" "), "", "")[1]


def expired_entries(entries: Mapping[str, str], at: Time) -> set[str]:
    """Return the names on the deletion list that are not needed any more."""
    return {name for name, entry in entries.items() if at - entry_time(entry) > RETAIN}


def stale_entries(entries: Mapping[str, str], kept: t.Collection[str], at: Time) -> list[str]:
    """Return the names on the deletion list whose run must be over, and whose credential exists and is not being
    deleted (``kept``).
    """
    return sorted(
        name for name, entry in entries.items() if name in kept and at - entry_time(entry) > ANNOTATION_LIFETIME
    )
