# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The admission policies that keep every client from using a credential that is being deleted.

PRIVATE to the collection. Pure. Tried with kube-apiserver 1.36; ValidatingAdmissionPolicy is v1 since Kubernetes 1.30.
"""

from __future__ import annotations

import datetime
import typing as t
from collections.abc import Mapping

from .._common.times import Time
from .._rancher.annotations import ALLOW_DELETE, ANNOTATION_LIFETIME, GUARD_SETTLE, entry_time
from .._rancher.references import CREDENTIAL_NAMESPACE, CREDENTIAL_REFERENCE_FIELDS, ReferenceField, TURTLES_PROVIDERS

DELETION_LIST = "ranchhand-condemned"
IN_USE = "ranchhand-in-use"
PROBE = "ranchhand-probe"

# How long a deleted name stays condemned: a form of the UI may have been opened before.
RETAIN = datetime.timedelta(hours=24)
ADMISSION = "/apis/admissionregistration.k8s.io/v1"
POLICIES = f"{ADMISSION}/validatingadmissionpolicies"
BINDINGS = f"{ADMISSION}/validatingadmissionpolicybindings"
CONFIG_MAPS = f"/api/v1/namespaces/{CREDENTIAL_NAMESPACE}/configmaps"


def guard_objects(protect_in_use: bool, settle: int) -> dict[str, dict[str, t.Any]]:
    """What has to be there, by the path of each, in the order of their creation."""
    found = {f"{CONFIG_MAPS}/{DELETION_LIST}": _config_map(DELETION_LIST), f"{POLICIES}/{DELETION_LIST}": _deletion_policy(),
             f"{BINDINGS}/{DELETION_LIST}": _binding(DELETION_LIST, {GUARD_SETTLE: str(settle)})}
    if protect_in_use:
        found.update({f"{CONFIG_MAPS}/{IN_USE}": _config_map(IN_USE), f"{POLICIES}/{IN_USE}": _in_use_policy(), f"{BINDINGS}/{IN_USE}": _binding(IN_USE, {})})
    return found


def guard_paths() -> list[str]:
    """Everything the guard may consist of, in the order of its removal."""
    return list(reversed(guard_objects(True, 0)))


def _config_map(name: str) -> dict[str, t.Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": CREDENTIAL_NAMESPACE}}


def _binding(name: str, annotations: Mapping[str, str]) -> dict[str, t.Any]:
    return {
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": name, "annotations": dict(annotations)},
        "spec": {
            "policyName": name, "validationActions": ["Deny"],
            "paramRef": {"name": name, "namespace": CREDENTIAL_NAMESPACE, "parameterNotFoundAction": "Allow"},
        },
    }


def _policy(name: str, spec: Mapping[str, t.Any]) -> dict[str, t.Any]:
    return {
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy", "metadata": {"name": name},
        "spec": {"failurePolicy": "Fail", "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"}, **spec},
    }


def _rule(group: str, resource: str, operations: t.Sequence[str], **more: t.Any) -> dict[str, t.Any]:
    return {"apiGroups": [group], "apiVersions": ["*"], "operations": list(operations), "resources": [resource], "scope": "*", **more}


def _deletion_policy() -> dict[str, t.Any]:
    places = [place for place in CREDENTIAL_REFERENCE_FIELDS if place.written_by_users]
    resources = sorted({(place.group, place.resource or "*") for place in places})
    return _policy(DELETION_LIST, {
        "matchConstraints": {"resourceRules": [
            *(_rule(group, resource, ("CREATE", "UPDATE")) for group, resource in resources),
            _rule("", "configmaps", ("CREATE",), resourceNames=[PROBE]),
        ]},
        "variables": [
            {"name": "home", "expression": f"object.metadata.?namespace.orValue('') == '{CREDENTIAL_NAMESPACE}'"},
            {"name": "refs", "expression": _references(places, "object")},
            {"name": "before", "expression": f"oldObject == null ? [] : ({_references(places, 'oldObject')})"},
            {"name": "added", "expression": "variables.refs.filter(r, r != '' && !(r in variables.before))"},
            # the spellings of _references.credential_id; display names start with a line feed, which no reference has
            {"name": "names", "expression":
                "variables.added.filter(r, !r.startsWith('\\n')).map(r, r.contains(':') ? r.split(':')[r.split(':').size() - 1] : "
                "r.contains('/') ? r.split('/')[r.split('/').size() - 1] : variables.home ? r : '')"},
            {"name": "condemned", "expression":
                "variables.names.filter(n, n in params.?data.orValue({})) + variables.added.filter(r, r.startsWith('\\n') && "
                "params.?data.orValue({}).exists(k, params.data[k].endsWith(' ' + r.substring(1)))).map(r, r.substring(1))"},
        ],
        "validations": [{
            "expression": "size(variables.condemned) == 0",
            "messageExpression":
                "'cloud credential ' + variables.condemned.join(', ') + ' is being deleted; if nobody is deleting it, run the role ranchhand.rancher.guard'",
        }],
    })


def _references(places: t.Sequence[ReferenceField], variable: str) -> str:
    """A CEL expression for the list of all references that an object holds, each as its field spells it."""
    kinds: dict[str, list[str]] = {"request.kind.group == '' && request.kind.kind == 'ConfigMap'": [f"[string({_at(variable, 'data.credential')})]"]}
    for place in places:
        condition = f"request.kind.group == '{place.group}' && request.kind.kind"
        condition += f" == '{place.kind}'" if place.resource else f".endsWith('{place.kind}')"
        kinds.setdefault(condition, []).append(_values(place, variable))
    expression = "[]"
    for condition, lists in kinds.items():
        expression = f"{condition} ? ({' + '.join(lists)}) : {expression}"
    return expression


def _values(place: ReferenceField, variable: str) -> str:
    """A CEL expression for the list of what one place of an object holds; null and whatever else is no text is nothing."""
    head, brackets, tail = place.field.partition("[].")
    if brackets:
        elements = _at(variable, head, "[]")
        return f"(type({elements}) == list ? {elements} : []).map(e, {_at('e', tail)}).filter(v, type(v) == string)"
    values = f"[{_at(variable, place.field)}].filter(v, type(v) == string && v != '')"
    if place.form == "display name":
        provider = _at(variable, "spec.name")
        provider = f"(type({provider}) == string && {provider} != '' ? {provider} : {variable}.metadata.name).lowerAscii()"
        return f"{values}.map(v, '\\n' + {provider} + '/' + v)"
    return f"{values}.map(v, ':' + v)" if place.form == "bare" else values


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
                "'cloud credential ' + oldObject.metadata.name + ' is in use by ' + params.data[oldObject.metadata.name] + '; to delete it all the same, "
                f"first: kubectl -n {CREDENTIAL_NAMESPACE} annotate secret ' + oldObject.metadata.name + ' {ALLOW_DELETE}=true'",
        }],
    })


def deletion_entry(time: str, run: str, credential: t.Any) -> str:
    """What the list of the condemned says of a credential: since when, by which run, and how Turtles would call it."""
    provider = TURTLES_PROVIDERS.get(credential.driver, credential.driver)
    return f"{time} {run} {provider}/{credential.name}"


def expired_entries(condemned: Mapping[str, str], at: Time) -> dict[str, None]:
    """Entries that need not stay, as a patch that removes them."""
    return {name: None for name, entry in condemned.items() if at - entry_time(entry) > RETAIN}


def stale_entries(condemned: Mapping[str, str], there: t.Collection[str], at: Time) -> list[str]:
    """Credentials that are condemned and still there although the run that condemned them has to be over."""
    return sorted(name for name, entry in condemned.items() if name in there and at - entry_time(entry) > ANNOTATION_LIFETIME)


def differs(wanted: t.Any, stored: t.Any) -> bool:
    """Whether an object lacks anything of what is wanted; what the API server adds is no difference."""
    if isinstance(wanted, Mapping):
        stored = {} if stored is None else stored
        return not isinstance(stored, Mapping) or any(differs(value, stored.get(key)) for key, value in wanted.items())
    if isinstance(wanted, list):
        return not isinstance(stored, list) or len(wanted) != len(stored) or any(map(differs, wanted, stored))
    return bool(wanted != stored)
