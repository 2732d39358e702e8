# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Finds the tools that manage an object and would restore what another client changes.

Pure.
"""

from __future__ import annotations

import re
import typing as t
from collections.abc import Mapping

# Tools that manage objects, by the name under which they write (metadata.managedFields), and by a label or annotation.
_WRITERS = re.compile(
    r"external-?secrets|argocd|fleet|flux|kustomize-controller|helm|terraform|sealed-?secrets|vault-secrets-operator|"
    r"crossplane",
    re.I,
)
_WRITER_KEYS = re.compile(
    r"external-secrets\.io/|argocd\.argoproj\.io/|objectset\.rio\.cattle\.io/|kustomize\.toolkit\.fluxcd\.io/|"
    r"meta\.helm\.sh/|sealedsecrets\.bitnami\.com/|secrets\.hashicorp\.com/|crossplane\.io/"
)
_MANAGED_BY = "app.kubernetes.io/managed-by"


def find_other_writer(item: Mapping[str, t.Any], part: str) -> str | None:
    """Return the tool that manages an object, such as External Secrets, Helm or Terraform; None if there is none.

    Args:
        part: the part of the object that counts, as in metadata.managedFields, such as ``f:data``.
    """
    metadata = item["metadata"]
    for owner in metadata.get("ownerReferences") or ():
        if owner.get("controller"):
            return f"{owner.get('kind')} {owner.get('name')}"
    for entries in ("labels", "annotations"):
        for key, value in (metadata.get(entries) or {}).items():
            if _WRITER_KEYS.search(key):
                return f"the tool that set {key}"
            if key == _MANAGED_BY and _WRITERS.search(str(value)):
                return str(value)
    for entry in metadata.get("managedFields") or ():
        if part in (entry.get("fieldsV1") or {}) and _WRITERS.search(entry.get("manager") or ""):
            return str(entry["manager"])
    return None
