# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What cloud_credential_rotation does.

PRIVATE to the collection. It runs on the controller only, as issuers of other collections can be loaded nowhere else.
"""

from __future__ import annotations

import re
import typing as t
from collections.abc import Mapping

from .options import RECORD_NAMESPACE

# Who keeps Secrets as others say: by a label or annotation, or by the name under which it writes (metadata.managedFields).
OTHER_WRITERS = re.compile(r"external-?secrets|argocd|fleet|flux|kustomize-controller|helm|terraform|sealed-?secrets|vault-secrets-operator|crossplane", re.I)
OTHER_WRITER_KEYS = re.compile(r"external-secrets\.io/|argocd\.argoproj\.io/|objectset\.rio\.cattle\.io/|kustomize\.toolkit\.fluxcd\.io/|meta\.helm\.sh/|"
                          r"sealedsecrets\.bitnami\.com/|secrets\.hashicorp\.com/|crossplane\.io/")

# What a rotation does with the namespace of its records, and with credentials.
REQUIRED_PERMISSIONS = (("", "secrets", None, ("get", "patch")), ("", "secrets", RECORD_NAMESPACE, ("get", "list", "create", "delete")),
           ("", "configmaps", RECORD_NAMESPACE, ("get", "list", "create", "patch")), ("coordination.k8s.io", "leases", RECORD_NAMESPACE, ("get", "create", "patch")))


def find_other_writer(secret: Mapping[str, t.Any]) -> str | None:
    """Who else keeps a Secret as it is: External Secrets, a GitOps tool, an owner; None if nobody is known to."""
    metadata = secret["metadata"]
    for owner in metadata.get("ownerReferences") or ():
        if owner.get("controller"):
            return f"{owner.get('kind')} {owner.get('name')}"
    for marks in ("labels", "annotations"):
        for key in metadata.get(marks) or {}:
            if OTHER_WRITER_KEYS.search(key):
                return f"whoever set {key}"
    for entry in metadata.get("managedFields") or ():
        if "f:data" in (entry.get("fieldsV1") or {}) and OTHER_WRITERS.search(entry.get("manager") or ""):
            return str(entry["manager"])
    return None
