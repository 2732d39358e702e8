# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What a cloud credential is, and what to do so that it becomes what is wanted.

PRIVATE to the collection. Pure: neither Ansible nor a cluster is needed.
"""

from __future__ import annotations

import base64
import re
import typing as t
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ._driver_schema import Config, Fields, Schemas, as_text, check_config, missing_fields, same_json
from ._errors import Mistakes, RanchhandError
from ._marks import ROTATED_AT, ROTATED_FIELDS
from ._metadata import ANNOTATIONS_LIMIT, CREATOR_ID, CREATOR_LABEL, DESCRIPTION, DISPLAY_NAME, UI_DRIVER, Users, differing, merged
from ._planning import (
    Catalog, Change, Wanted, common_fields, fields_to_check, new_owner, plan_each, plan_removal, refuse_deleting, refuse_other_driver,
    same_twice, told_together, wanted_items,
)
from ._references import NAMESPACE, Index
from ._secret_text import encode

WHAT = "cloud credential"

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
    # Norman's own name for the key is <driver>credentialConfig; what else ends in Config it reads too, as of no driver that there is
    drivers = sorted(prefix[:-len("credentialConfig")] or prefix if prefix.endswith("credentialConfig") else prefix for prefix in prefixes)
    driver = drivers[0] if len(prefixes) == 1 and not drivers[0].endswith("Config") else None
    problem = None
    if len(prefixes) > 1:
        problem = f"has fields of several drivers ({', '.join(drivers)}), of which Rancher reads one at random"
    elif driver is None:
        problem = f"has its fields under {drivers[0]}, which is no driver's"
    elif not annotations.get(CREATOR_ID):
        problem = f"has no annotation {CREATOR_ID}, so that it belongs to nobody"
    return Credential(
        id=metadata["name"], uid=metadata["uid"], resource_version=metadata["resourceVersion"],
        name=annotations.get(DISPLAY_NAME) or metadata["name"],
        driver=driver,
        owner=annotations.get(CREATOR_ID) or None, description=annotations.get(DESCRIPTION) or "",
        created_at=metadata.get("creationTimestamp"), labels=metadata.get("labels") or {}, annotations=annotations,
        data=next(iter(prefixes.values())) if driver else {},
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


def desired_from(params: Mapping[str, t.Any]) -> list[Wanted]:
    """What the parsed options ask for; raises Mistakes."""
    mistakes: list[str] = []
    result = []
    for where, item in wanted_items(params, "credentials"):
        arguments, wrong = common_fields(where, item, NAMESPACE)
        mistakes += wrong
        result.append(Wanted(**arguments))
    if mistakes:
        raise Mistakes(mistakes)
    return result


EMPTY = Catalog(WHAT, NAMESPACE)


@dataclass(frozen=True)
class Observed:
    """What a cluster holds; ``schemas`` None where they were not read, ``me`` the connection's own Rancher user if it has one."""

    stored: Catalog = EMPTY
    schemas: Schemas | None = None
    users: Users = Users(())
    me: str | None = None


def plan(desired: t.Sequence[Wanted], observed: Observed, references: Index | None = None) -> list[Change]:
    """What to do about each of the wanted credentials, in their order.

    Without ``references`` no removal is planned beyond finding out what it would remove. Raises Mistakes for all items together
    if there is a mistake in any; ``in_use`` is no mistake, but makes its own item ``refused``.
    """
    def plan_one(one: Wanted) -> Change:
        current = observed.stored.match(one, observed.users)
        if one.state == "absent":
            used_by = references.to(current) if references and current else None
            return plan_removal(one, current, used_by, references.unlisted if references else (), WHAT)
        return _plan_update(one, current, observed) if current else _plan_creation(one, observed)

    changes, errors = plan_each(desired, plan_one)
    errors += same_twice(changes) + _shared_tokens(changes, observed)
    if errors:
        raise told_together(errors)
    return changes


def _fields_for(desired: Wanted, driver: str, observed: Observed) -> Fields | None:
    return fields_to_check(
        desired, observed.schemas, lambda schemas: schemas.credential_fields(driver),
        f"the schema of driver {driver} has no credential fields; validate_config: false stores what is given",
    )


def _checked(fields: Fields | None, public: Mapping[str, t.Any], secret: Mapping[str, t.Any], creating: bool) -> Config:
    config, mistakes = check_config(fields, public, secret, as_text)
    mistakes += missing_fields(fields, config, creating)
    if mistakes:
        raise Mistakes(mistakes)
    return config


def _plan_creation(desired: Wanted, observed: Observed) -> Change:
    owner = new_owner(desired, observed.users, observed.me, WHAT, [] if desired.config or desired.secrets else ["config and secrets are required"])
    fields = _fields_for(desired, desired.driver, observed)
    config = _checked(fields, desired.config, desired.secrets, creating=True)
    # Norman stores the default of every field that has one, "" included (norman parse/builder/builder.go); static types have none
    defaults = {name: str(one.default) for name, one in (fields or {}).items() if one.default is not None}
    texts = merged(defaults, config.values)
    if not texts:
        raise RanchhandError("invalid", "a new cloud credential needs at least one field in config or secrets")
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


def _plan_update(desired: Wanted, current: Credential, observed: Observed) -> Change:
    refuse_deleting(current)
    refuse_other_driver(desired, current, WHAT)
    if current.driver is None:
        raise RanchhandError("invalid", f"{current.full_id} {current.problem}; repair or delete it first")

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
    owner = current.owner if desired.owner in (None, current.owner) else observed.users.find(desired.owner)
    if owner != current.owner:
        annotations[CREATOR_ID] = owner
        changed.append("owner")

    rotated = {name for name in current.annotations.get(ROTATED_FIELDS, "").split(",") if name}
    secrets, public = desired.secrets, desired.config
    if desired.update_secrets == "on_create":
        # the public half of a rotated key belongs to the secret one
        secrets, public = {}, {name: value for name, value in public.items() if name not in rotated}
    data: dict[str, str | None] = {}
    if public or secrets:
        fields = _fields_for(desired, current.driver, observed)
        config = _checked(fields, public, secrets, creating=False)
        for name, text in config.values.items():
            if text is None and name in current.data:
                data[name] = None
            elif text is not None and not _same(text, current, name, name in config.as_json):
                data[name] = encode(text)
    overwritten = sorted(rotated & set(data))
    if overwritten and not desired.force:
        raise RanchhandError(
            "conflict", f"{', '.join(overwritten)} of {current.full_id} are kept by cloud_credential_rotation, since {current.annotations.get(ROTATED_AT)}, "
                        "and would be replaced by another key: leave them out, or update_secrets: on_create, or force: true if that is what you want"
        )
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
    return same_json(text, stored) if as_json else stored == text


def _check_sizes(after: Credential, texts: Mapping[str, str]) -> None:
    size = sum(len(text.encode()) for text in texts.values())
    if size > SECRET_LIMIT:
        raise RanchhandError("invalid", f"the fields have {size} bytes together; a Secret takes {SECRET_LIMIT}")
    size = sum(len(key.encode()) + len(value.encode()) for key, value in after.annotations.items())
    if size > ANNOTATIONS_LIMIT:
        raise RanchhandError("invalid", f"name, description and annotations have {size} bytes together; Kubernetes takes {ANNOTATIONS_LIMIT}")


def _shared_tokens(changes: t.Sequence[Change], observed: Observed) -> list[tuple[str, RanchhandError]]:
    """Harvester tokens that would be in two credentials: Rancher deletes the token with the first of them."""
    errors = []
    new_tokens = [change for change in changes if change.writes and change.after and "kubeconfigContent" in change.changed_fields]
    if not new_tokens:
        return []
    renewed = {change.before.id for change in new_tokens if change.before}  # but none that is deleted: its token goes with it
    tokens = {harvester_token(one): one.full_id for one in observed.stored.by_id.values() if one.id not in renewed}
    for change in new_tokens:
        token = harvester_token(change.after) if change.after else None
        if token and token in tokens:
            errors.append((change.desired.where, RanchhandError(
                "invalid", f"secrets.kubeconfigContent has the same Harvester token as {tokens[token]}; each credential needs one of its own, "
                           "as Rancher deletes the token together with the credential"
            )))
        tokens[token] = change.desired.where.rstrip(": ")
    return errors


def harvester_token(credential: Credential) -> str | None:
    """The id of the token in a Harvester's kubeconfig."""
    if credential.driver != "harvester" or not credential.data.get("kubeconfigContent"):
        return None
    found = re.search(r"""["']?token["']?\s*:\s*["']?([^\s"',}]+)""", credential.text("kubeconfigContent"))
    return found.group(1).partition(":")[0] if found else None
