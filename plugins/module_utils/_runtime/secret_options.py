# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Finds the secrets among the options of a module, even if the options are not valid, as errors are masked too."""

from __future__ import annotations

import re
import typing as t
from collections.abc import Mapping

from .._common.masking import secret_leaves

# Options of a call, or of an item of its list.
_SECRET_OPTIONS = (
    "secrets", "issuer_secrets", "issuer_secrets_by_name", "auth_key", "api_key", "password",
)
_SECRET_PROXY_HEADERS = ("proxy_basic_auth", "basic_auth")
_SECRET_KUBECONFIG_KEYS = (
    "token", "password", "client-key-data", "access-token", "id-token", "refresh-token", "client-secret",
)


def secret_values(params: Mapping[str, t.Any]) -> t.Iterator[str]:
    """Yield all secrets in the options of a module."""
    for name in _SECRET_OPTIONS:
        yield from secret_leaves(params.get(name))
    yield from _store_secrets(params.get("external_store_secrets"))
    for value in params.values():
        for item in value if isinstance(value, list) else ():
            if isinstance(item, Mapping):
                yield from secret_values(item)
    headers = params.get("proxy_headers")
    if isinstance(headers, Mapping):
        for name in _SECRET_PROXY_HEADERS:
            yield from secret_leaves(headers.get(name))
    yield from _kubeconfig_secrets(params.get("kubeconfig"))


def _store_secrets(stores: t.Any) -> t.Iterator[str]:
    """Yield the secrets of external stores; of a connection, its names and URLs are none."""
    for secrets in stores.values() if isinstance(stores, Mapping) else [stores]:
        connection = secrets.get("connection") if isinstance(secrets, Mapping) else None
        yield from secret_values(connection) if isinstance(connection, Mapping) else secret_leaves(secrets)


def _kubeconfig_secrets(kubeconfig: t.Any) -> t.Iterator[str]:
    if isinstance(kubeconfig, Mapping):
        for key, value in kubeconfig.items():
            yield from secret_leaves(value) if key in _SECRET_KUBECONFIG_KEYS else _kubeconfig_secrets(value)
    elif isinstance(kubeconfig, list):
        for value in kubeconfig:
            yield from _kubeconfig_secrets(value)
    elif isinstance(kubeconfig, str):  # the content of a file, or its path
        yield from re.findall(rf"(?:{'|'.join(_SECRET_KUBECONFIG_KEYS)})\W{{1,5}}([^\s\"',}}]+)", kubeconfig)
