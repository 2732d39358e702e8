# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What a cloud credential is, and what to do so that it becomes what is wanted.

PRIVATE to the collection. Pure: neither Ansible nor a cluster is needed.
"""

from __future__ import annotations

import base64
import json
import re
import typing as t
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ._driver_schema import Config, Fields, Schemas, check_config, trim
from ._errors import Mistakes, RanchhandError
from ._metadata import (
    ANNOTATIONS_LIMIT, CREATOR_ID, CREATOR_LABEL, DESCRIPTION, DISPLAY_NAME, UI_DRIVER, Entries, Users, check_entries, check_id,
    check_name, differing, merged,
)
from ._references import NAMESPACE, Index, Reference
from ._secret_text import encode

# Rancher's UI names some credential drivers otherwise than node drivers (dashboard shell/store/plugins.js driverMap).
_UI_WORD = {"amazonec2": "aws", "google": "gcp", "oci": "oracle"}

# Cached by the AKS operator without regard to a changed subscription (aks-operator pkg/aks/client.go).
_AZURE_TENANT = ("cluster.management.cattle.io/azure-tenant-id", "cluster.management.cattle.io/azure-tenant-id-created-at")

SECRET_LIMIT = 1024 * 1024  # bytes of all values of a Secret together (k8s.io/api core/v1 MaxSecretSize)


@dataclass(frozen=True)
class Credential:
    """A cloud credential as it is stored.

    ``id`` is the metadata.name, ``data`` maps bare field names to base64 text, ``problem`` says why Rancher cannot make sense of it.
    """

    id: str
    uid: str
    resource_version: str
    name: str
    driver: str | None
    owner: str | None
    description: str
    created_at: str | None
    labels: Mapping[str, str] = field(repr=False)
    annotations: Mapping[str, str] = field(repr=False)
    data: Mapping[str, str] = field(repr=False)
    finalizers: tuple[str, ...] = ()
    deleting: bool = False
    problem: str | None = None

    @property
    def full_id(self) -> str:
        return f"{NAMESPACE}:{self.id}"

    def text(self, name: str) -> str:
        """The decoded value of a field, "" where it is missing."""
        return base64.b64decode(self.data.get(name) or "").decode(errors="replace")


def from_secret(secret: Mapping[str, t.Any]) -> Credential | None:
    """A Secret as Rancher reads it; None if Rancher takes it for no credential.

    Only the keys decide: label, type and annotations do not (pkg/schemas/mapper/credentialmapper.go).
    """
    prefixes: dict[str, dict[str, str]] = {}
    for key, value in (secret.get("data") or {}).items():
        parts = key.split("-")
        if len(parts) == 2 and parts[0].endswith("Config"):
            prefixes.setdefault(parts[0], {})[parts[1]] = value or ""
    if not prefixes:
        return None
    metadata = secret["metadata"]
    annotations = metadata.get("annotations") or {}
    # Norman's own name for the key is <driver>credentialConfig
    drivers = sorted(re.sub("(credential)?Config$", "", prefix) for prefix in prefixes)
    problem = None
    if len(prefixes) > 1:
        problem = f"has fields of several drivers ({', '.join(drivers)}), of which Rancher reads one at random"
    elif not annotations.get(CREATOR_ID):
        problem = f"has no annotation {CREATOR_ID}, so that it belongs to nobody"
    return Credential(
        id=metadata["name"], uid=metadata["uid"], resource_version=metadata["resourceVersion"],
        name=annotations.get(DISPLAY_NAME) or metadata["name"],
        driver=drivers[0] if len(prefixes) == 1 else None,
        owner=annotations.get(CREATOR_ID) or None, description=annotations.get(DESCRIPTION) or "",
        created_at=metadata.get("creationTimestamp"), labels=metadata.get("labels") or {}, annotations=annotations,
        data=next(iter(prefixes.values())) if len(prefixes) == 1 else {},
        finalizers=tuple(metadata.get("finalizers") or ()), deleting=bool(metadata.get("deletionTimestamp")), problem=problem,
    )


def show(credential: Credential, schemas: Schemas | None) -> dict[str, t.Any]:
    """What may be shown of a credential: values of fields that the driver's schema knows to be public, names of all others."""
    fields = schemas.known_fields(credential.driver) if schemas and credential.driver else None
    public = [name for name in credential.data if fields and name in fields and not fields[name].secret]
    return {
        "id": credential.full_id, "name": credential.name, "driver": credential.driver, "owner": credential.owner,
        "description": credential.description,
        "config": {name: credential.text(name) for name in sorted(public)},
        "secret_fields": sorted(set(credential.data) - set(public)),
        "created_at": credential.created_at,
    }


@dataclass(frozen=True)
class Desired:
    """What a playbook asks for, of one credential."""

    where: str
    name: str | None
    id: str | None
    driver: str | None
    owner: str | None
    description: str | None
    labels: Entries
    annotations: Entries
    config: Mapping[str, t.Any]
    secrets: Mapping[str, t.Any] = field(repr=False)
    state: str = "present"
    force: bool = False
    update_secrets: str = "always"
    validate_config: bool = True
    wait: bool = False
    wait_timeout: int = 120
    wait_sleep: int = 5


PER_CALL = ("state", "force", "update_secrets", "validate_config", "wait", "wait_timeout", "wait_sleep")


def desired_from(params: Mapping[str, t.Any]) -> list[Desired]:
    """What the parsed options ask for; raises Mistakes."""
    mistakes: list[str] = []
    result = []
    items = params.get("credentials")
    if items is None:
        items = [params]
    elif not items and params.get("name") is None:
        return []
    for index, item in enumerate(items):
        if item is None:  # a mistake that the parser has told already
            continue
        options = {**item, **{key: params[key] for key in PER_CALL if item.get(key) is None}}
        label = item.get("name") or item.get("id") or ""
        where = f"credentials[{index}] ({label:.60}): " if params.get("credentials") is not None else ""
        name, wrong = check_name(item.get("name"))
        identifier, wrong_id = check_id(item.get("id"), NAMESPACE)
        labels, wrong_labels = check_entries("labels", item.get("labels"))
        annotations, wrong_annotations = check_entries("annotations", item.get("annotations"))
        wrong += wrong_id + wrong_labels + wrong_annotations
        if item.get("name") is None and item.get("id") is None:
            wrong.append("name or id is required")
        mistakes += [where + sentence for sentence in wrong]
        description = item.get("description")
        result.append(Desired(
            where, name, identifier, _trimmed(item.get("driver")), _trimmed(item.get("owner")),
            None if description is None else trim(description), labels, annotations, item.get("config") or {}, item.get("secrets") or {},
            **{key: options[key] for key in PER_CALL},
        ))
    if mistakes:
        raise Mistakes(mistakes)
    return result


def _trimmed(text: str | None) -> str | None:
    return trim(text) or None if text is not None else None


@dataclass(frozen=True)
class Observed:
    """What a cluster holds; ``schemas`` None where they were not read, ``me`` the connection's own Rancher user if it has one."""

    credentials: tuple[Credential, ...]
    schemas: Schemas | None = None
    users: Users = Users(())
    me: str | None = None


@dataclass(frozen=True)
class Change:
    """What to do about one credential, or why not.

    ``body`` is the Secret to create, or the merge patch to apply. ``after`` is what will be stored.
    """

    desired: Desired
    action: str
    before: Credential | None = None
    after: Credential | None = None
    changed_fields: tuple[str, ...] = ()
    body: Mapping[str, t.Any] = field(default_factory=dict, repr=False)
    references: tuple[Reference, ...] | None = None
    unlisted: tuple[str, ...] = ()
    error: RanchhandError | None = None

    @property
    def writes(self) -> bool:
        return self.action in ("created", "updated", "deleted")


def match(desired: Desired, observed: Observed) -> Credential | None:
    """The one stored credential that is meant; None if there is none.

    Raises RanchhandError: ``ambiguous``, or ``not_found`` for an unknown id that should be present.
    """
    if desired.id is not None:
        for credential in observed.credentials:
            if credential.id == desired.id:
                return credential
        if desired.state == "present":
            raise RanchhandError("not_found", f"there is no cloud credential with the id {NAMESPACE}:{desired.id}")
        return None
    owner = desired.owner
    if owner and all(credential.owner != owner for credential in observed.credentials):  # a user that is gone may still own some
        owner = observed.users.find(owner)
    found = [
        credential for credential in observed.credentials
        if credential.name == desired.name
        and desired.driver in (None, credential.driver)
        and owner in (None, credential.owner)
    ]
    if len(found) > 1:
        candidates = ", ".join(f"{one.full_id} (driver {one.driver}, owner {one.owner})" for one in sorted(found, key=lambda one: one.id))
        raise RanchhandError("ambiguous", f"{len(found)} cloud credentials have the name {desired.name:.80}: {candidates}; give the id")
    return found[0] if found else None


def plan(desired: t.Sequence[Desired], observed: Observed, references: Index | None = None) -> list[Change]:
    """What to do about each of the wanted credentials, in their order.

    Without ``references`` no removal is planned beyond finding out what it would remove. Raises Mistakes for all items together
    if there is a mistake in any; ``in_use`` is no mistake, but makes its own item ``refused``.
    """
    changes: list[Change] = []
    errors: list[tuple[str, RanchhandError]] = []
    for one in desired:
        try:
            changes.append(_plan_one(one, observed, references))
        except Mistakes as error:
            errors += [(one.where, RanchhandError(error.code, sentence)) for sentence in error.sentences]
        except RanchhandError as error:
            errors.append((one.where, error))
    errors += _clashes(changes, observed)
    if errors:
        codes = {error.code for _where, error in errors}
        raise Mistakes([where + error.message for where, error in errors], codes.pop() if len(codes) == 1 else "invalid")
    return changes


def _plan_one(desired: Desired, observed: Observed, references: Index | None) -> Change:
    current = match(desired, observed)
    if desired.state == "absent":
        return _plan_removal(desired, current, references)
    if current is None:
        return _plan_creation(desired, observed)
    return _plan_update(desired, current, observed)


def _plan_removal(desired: Desired, current: Credential | None, references: Index | None) -> Change:
    if current is None or current.deleting:
        return Change(desired, "unchanged", before=current)
    if desired.driver and desired.driver != current.driver:
        raise RanchhandError("invalid", f"{current.full_id} is of driver {current.driver}, not {desired.driver:.60}")
    if references is None:
        return Change(desired, "deleted", before=current)
    used_by = references.to(current.id)
    if (used_by or references.unlisted) and not desired.force:
        if used_by:
            users = ", ".join(map(str, used_by[:5])) + (f" and {len(used_by) - 5} more" if len(used_by) > 5 else "")
            error = RanchhandError("in_use", f"cloud credential {current.name:.80} ({current.full_id}) is in use by {users}")
        else:
            raise RanchhandError(
                "forbidden", f"cannot tell whether {current.full_id} is in use: this connection may not list "
                             f"{', '.join(references.unlisted)} in all namespaces; allow that, or delete with force: true"
            )
        return Change(desired, "refused", before=current, after=current, references=used_by, error=error, unlisted=references.unlisted)
    return Change(desired, "deleted", before=current, references=used_by, unlisted=references.unlisted)


def _fields_for(desired: Desired, driver: str, observed: Observed) -> Fields | None:
    if not desired.validate_config:
        return None
    if observed.schemas is None:
        raise RanchhandError(
            "forbidden", "the fields of the driver cannot be checked: this connection may not list dynamicschemas.management.cattle.io; "
                         "allow that, or give validate_config: false"
        )
    fields = observed.schemas.credential_fields(driver)
    if fields is None:
        raise RanchhandError("invalid", f"the schema of driver {driver} has no credential fields; validate_config: false stores what is given")
    return fields


def _checked(desired: Desired, fields: Fields | None, secrets: Mapping[str, t.Any], creating: bool) -> Config:
    config, mistakes = check_config(fields, desired.config, secrets)
    for name in sorted(fields or ()):
        wanted = fields[name] if fields else None
        if wanted and wanted.required:
            given = config.texts.get(name) if creating or name in config.texts else "kept"
            if not given and not (creating and name not in config.texts and wanted.default):
                mistakes.append(f"{'secrets' if wanted.secret else 'config'}.{name} is required and must not be empty")
    if mistakes:
        raise Mistakes(mistakes)
    return config


def _plan_creation(desired: Desired, observed: Observed) -> Change:
    mistakes = []
    if desired.driver is None:
        mistakes.append(f"there is no cloud credential with the name {desired.name:.80}; to create it, driver is required")
    owner = observed.users.find(desired.owner) if desired.owner else observed.me
    if owner is None:
        mistakes.append(
            f"there is no cloud credential with the name {desired.name:.80}; to create it, owner is required "
            "(a user id, username or principal id), as this connection is no Rancher user itself"
        )
    if not desired.config and not desired.secrets:
        mistakes.append(f"there is no cloud credential with the name {desired.name:.80}; to create it, config and secrets are required")
    if mistakes or desired.driver is None or owner is None:
        raise Mistakes(mistakes)
    fields = _fields_for(desired, desired.driver, observed)
    # null removes, and there is nothing to remove yet
    given = {
        "config": {name: value for name, value in desired.config.items() if value is not None},
        "secrets": {name: value for name, value in desired.secrets.items() if value is not None},
    }
    config = _checked(replace(desired, config=given["config"]), fields, given["secrets"], creating=True)
    texts = {
        # Norman stores the default of every field that has one, "" included (norman parse/builder/builder.go); static types have none
        **{name: str(one.default) for name, one in (fields or {}).items() if one.default is not None},
        **{name: text for name, text in config.texts.items() if text is not None},
    }
    data = {name: encode(text) for name, text in texts.items()}
    annotations = merged({
        CREATOR_ID: owner, DISPLAY_NAME: desired.name or "", UI_DRIVER: _UI_WORD.get(desired.driver, desired.driver),
        **({DESCRIPTION: desired.description} if desired.description else {}),
    }, desired.annotations)
    labels = merged(CREATOR_LABEL, desired.labels)
    after = Credential(
        id="", uid="", resource_version="", name=desired.name or "", driver=desired.driver, owner=owner,
        description=desired.description or "", created_at=None, labels=labels, annotations=annotations, data=data,
    )
    _check_sizes(after, texts)
    body = {
        "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
        "metadata": {"namespace": NAMESPACE, "generateName": "cc-", "labels": labels, "annotations": annotations},
        "data": {_key(desired.driver, name): value for name, value in data.items()},
    }
    fields_set = [name for name in ("name", "driver", "owner", "description", "labels", "annotations") if getattr(desired, name)]
    return Change(desired, "created", after=after, body=body, changed_fields=tuple(sorted({"name", "driver", "owner", *fields_set, *texts})))


def _key(driver: str, name: str) -> str:
    return f"{driver}credentialConfig-{name}"


def _plan_update(desired: Desired, current: Credential, observed: Observed) -> Change:
    if current.deleting:
        raise RanchhandError(
            "conflict", f"{current.full_id} is being deleted and waits for {', '.join(current.finalizers) or 'the API server'}; "
                        "run again when it is gone"
        )
    if current.driver is None:
        raise RanchhandError("invalid", f"{current.full_id} {current.problem}; repair or delete it first")
    if desired.driver and desired.driver != current.driver:
        raise RanchhandError("invalid", f"{current.full_id} is of driver {current.driver}; the driver of a credential cannot be changed to {desired.driver:.60}")

    annotations: dict[str, str | None] = dict(differing(desired.annotations, current.annotations))
    changed = ["annotations"] if annotations else []
    labels = differing(desired.labels, current.labels)
    if labels:
        changed.append("labels")
    if desired.name is not None and desired.name != current.name:
        annotations[DISPLAY_NAME] = desired.name
        changed.append("name")
    if desired.description is not None and desired.description != current.description:
        annotations[DESCRIPTION] = desired.description or None
        changed.append("description")
    owner = observed.users.find(desired.owner) if desired.owner else current.owner
    if owner != current.owner:
        annotations[CREATOR_ID] = owner
        changed.append("owner")

    secrets = desired.secrets if desired.update_secrets == "always" else {}
    data: dict[str, str | None] = {}
    if desired.config or secrets:
        fields = _fields_for(desired, current.driver, observed)
        config = _checked(desired, fields, secrets, creating=False)
        for name, text in config.texts.items():
            if text is None and name in current.data:
                data[name] = None
            elif text is not None and not _same(text, current, name, name in config.as_json):
                data[name] = encode(text)
    changed += data
    if current.driver == "azure" and "subscriptionId" in data:
        annotations.update({key: None for key in _AZURE_TENANT if key in current.annotations})
    if not changed:
        return Change(desired, "unchanged", before=current, after=current)

    after = replace(
        current, name=desired.name or current.name, owner=owner,
        description=current.description if desired.description is None else desired.description,
        labels=merged(current.labels, labels), annotations=merged(current.annotations, annotations), data=merged(current.data, data),
    )
    if not after.data:
        raise RanchhandError("invalid", f"{current.full_id} would have no field left; delete it instead")
    _check_sizes(after, {name: after.text(name) for name in after.data})
    body: dict[str, t.Any] = {"metadata": {"uid": current.uid, "resourceVersion": current.resource_version}}
    if annotations:
        body["metadata"]["annotations"] = annotations
    if labels:
        body["metadata"]["labels"] = labels
    if data:
        body["data"] = {_key(current.driver, name): value for name, value in data.items()}
    return Change(desired, "updated", before=current, after=after, body=body, changed_fields=tuple(sorted(changed)))


def _same(text: str, current: Credential, name: str, as_json: bool) -> bool:
    if name not in current.data:
        return False
    stored = current.text(name)
    if as_json:
        try:
            return json.loads(stored) == json.loads(text)
        except ValueError:
            return False
    return stored == text


def _check_sizes(after: Credential, texts: Mapping[str, str]) -> None:
    size = sum(len(text.encode()) for text in texts.values())
    if size > SECRET_LIMIT:
        raise RanchhandError("invalid", f"the fields have {size} bytes together; a Secret takes {SECRET_LIMIT}")
    size = sum(len(key.encode()) + len(value.encode()) for key, value in after.annotations.items())
    if size > ANNOTATIONS_LIMIT:
        raise RanchhandError("invalid", f"name, description and annotations have {size} bytes together; Kubernetes takes {ANNOTATIONS_LIMIT}")


def _clashes(changes: t.Sequence[Change], observed: Observed) -> list[tuple[str, RanchhandError]]:
    """Items that mean the same credential, and Harvester tokens that would be in two: deleting one would revoke the other's."""
    errors = []
    seen: dict[t.Any, Change] = {}
    for change in changes:
        subject = change.before or change.after
        if subject is None:
            key: t.Any = (change.desired.id, change.desired.name, change.desired.driver, change.desired.owner)
        elif change.before:
            key = subject.id
        else:
            key = (subject.name, subject.driver, subject.owner)
        if key in seen:
            errors.append((change.desired.where, RanchhandError("invalid", f"is the same credential as {seen[key].desired.where.rstrip(': ')}")))
        seen.setdefault(key, change)
    new_tokens = [change for change in changes if change.writes and change.after and "kubeconfigContent" in change.changed_fields]
    leaving = {change.before.id for change in changes if change.before and (change.action == "deleted" or change in new_tokens)}
    tokens = {_harvester_token(one): one.full_id for one in observed.credentials if one.id not in leaving}
    for change in new_tokens:
        token = _harvester_token(change.after) if change.after else None
        if token and token in tokens:
            errors.append((change.desired.where, RanchhandError(
                "invalid", f"secrets.kubeconfigContent has the same Harvester token as {tokens[token]}; "
                           "Rancher deletes the token with the first of them, so each credential needs one of its own"
            )))
        tokens[token] = change.desired.where.rstrip(": ")
    return errors


def _harvester_token(credential: Credential) -> str | None:
    if credential.driver != "harvester" or not credential.data.get("kubeconfigContent"):
        return None
    found = re.search(r"""["']?token["']?\s*:\s*["']?([^\s"',}]+)""", credential.text("kubeconfigContent"))
    return found.group(1).partition(":")[0] if found else None
