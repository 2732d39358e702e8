# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The types of secret stores, their settings, and where their classes are."""

from __future__ import annotations

import importlib
import re
import typing as t
from collections.abc import Mapping
from dataclasses import dataclass

from ..issuer import IssuerError
from .interface import SecretStore


@dataclass(frozen=True)
class StoreType:
    """The settings of a type. ``secrets`` are alternatives, each a set of names that are set together."""

    module: str
    class_name: str
    required: tuple[str, ...]
    optional: tuple[str, ...] = ()
    secrets: tuple[tuple[str, ...], ...] = ()
    optional_secrets: tuple[str, ...] = ()


MEMBER = "rancher"  # a cloud credential of another Rancher
STORE_TYPES: Mapping[str, StoreType] = {
    "vault": StoreType(
        "vault", "Vault", ("url", "path"), ("mount", "namespace", "ca_bundle"), (("token",),)),
    "aws_secrets_manager": StoreType(
        "aws_secrets_manager", "SecretsManager", ("secret_id", "region"), ("profile", "endpoint_url", "ca_bundle"),
        ((), ("access_key", "secret_key")), ("session_token",)),
    "azure_key_vault": StoreType(
        "azure_key_vault", "KeyVault", ("vault_url", "secret_name", "tenant_id"), ("endpoint_url", "ca_bundle"),
        (("client_id", "client_secret"),)),
    "google_secret_manager": StoreType(
        "google_secret_manager", "SecretManager", ("project_id", "secret_id"), ("endpoint_url", "ca_bundle"),
        (("credentials",),)),
    "kubernetes": StoreType(
        "kubernetes", "KubernetesSecret", ("namespace", "secret_name"), ("context",), (("kubeconfig",),)),
    MEMBER: StoreType(
        "kubernetes", "RancherCredential", ("credential_id",), ("context",), (("kubeconfig",), ("connection",))),
}
ID = "{id}"  # in a setting: the id of the credential, without its namespace
_COMMON = ("name", "type", "fields")
_PLACES = ("path", "secret_id", "secret_name")
_LONGEST = 1000  # characters of a setting; the record keeps all settings


def validate_stores(stores: t.Sequence[t.Any]) -> list[str]:
    """Return the validation errors of the option external_stores. No message contains a value that may be secret."""
    errors = []
    for index, store in enumerate(stores):
        where = f"external_stores[{index}]: "
        errors += [where + error for error in _validate_store(store)]
    names = [store["name"] for store in stores if isinstance(store, Mapping) and isinstance(store.get("name"), str)]
    if len(set(names)) < len(names):
        errors.append("external_stores: each store requires a name of its own")
    return errors


def _validate_store(store: t.Any) -> list[str]:
    if not isinstance(store, Mapping):
        return ["must be a mapping"]
    kind = STORE_TYPES.get(str(store.get("type")))
    if kind is None:
        return [f"type must be one of {', '.join(STORE_TYPES)}"]
    allowed = (*_COMMON, *kind.required, *kind.optional)
    errors = []
    unknown = [str(name) for name in store if name not in allowed]
    if unknown:
        errors.append(f"unknown setting {', '.join(unknown):.80}; allowed are {', '.join(allowed)}")
    for name in ("name", *kind.required):
        if store.get(name) is None:
            errors.append(f"{name} is required")
    for name in allowed:
        if name not in ("type", "fields") and store.get(name) is not None and not _is_text(store[name]):
            errors.append(f"{name} must be a text of 1 to {_LONGEST} printable characters")
    if store.get("fields") is not None and not _are_names(store["fields"]):
        errors.append("fields must be a mapping of fields of the credential to different names in the store")
    return errors


def _is_text(value: t.Any) -> bool:
    return isinstance(value, str) and value.isprintable() and value == value.strip() and 0 < len(value) <= _LONGEST


def _are_names(fields: t.Any) -> bool:
    if not isinstance(fields, Mapping) or len(fields) != len(set(map(str, fields.values()))):
        return False
    return all(_is_text(text) and re.fullmatch(r"[-._a-zA-Z0-9]+", text) for pair in fields.items() for text in pair)


def expand_stores(stores: t.Sequence[Mapping[str, t.Any]], identifier: str) -> tuple[Mapping[str, t.Any], ...]:
    """Return the settings of stores for the credential with an id."""
    return tuple(
        {
            name: value.replace(ID, identifier) if name in _PLACES else value
            for name, value in store.items() if value is not None
        }
        for store in stores
    )


def load_store(settings: Mapping[str, t.Any], secrets: Mapping[str, t.Any]) -> SecretStore:
    """Create a store. Raises IssuerError if its secrets are missing; the record may have settings of other releases."""
    name, kind = settings["name"], STORE_TYPES.get(settings["type"])
    if kind is None:
        raise IssuerError("unsupported", f"external store {name} has the type {settings['type']:.60}, which is unknown")
    given = {key: value for key, value in secrets.items() if value is not None}
    known = {*kind.optional_secrets, *(key for keys in kind.secrets for key in keys)}
    needed = {key for key in given if key not in kind.optional_secrets}
    if needed not in [set(keys) for keys in kind.secrets] or not known.issuperset(given):
        wanted = " or ".join(" and ".join(keys) for keys in kind.secrets if keys)
        raise IssuerError("invalid", f"external store {name} requires {wanted} in external_store_secrets: {name}")
    store_class: t.Callable[[t.Any, t.Any], SecretStore] = getattr(
        importlib.import_module(f"{__package__}.{kind.module}"), kind.class_name)
    return store_class(settings, given)
