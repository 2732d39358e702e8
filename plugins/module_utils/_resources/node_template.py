# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The module node_template."""

from __future__ import annotations

import typing as t
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace

from .._common.errors import RanchhandError
from .._common.options import OptionSpec, single_or_list
from .._kubernetes.connection import CONNECTION
from .._rancher.cloud_credential import CloudCredential
from .._rancher.node_template import NodeTemplate, parse_node_template, show_node_template
from .._rancher.queries import (
    SECRETS_PATH,
    TEMPLATES_PATH,
    list_cloud_credentials,
    list_node_template_objects,
    parse_version,
    read_references,
    read_server_version,
)
from .._rancher.references import (
    CREDENTIAL_NAMESPACE,
    TEMPLATE_NAMESPACE,
    TEMPLATE_REFERENCE_FIELDS,
    ReferenceIndex,
    credential_id,
    referenced_name,
)
from .._runtime.execute import Connect, RunMode
from .announcements import announce, withdraw
from .catalog import Catalog
from .cloud_credential import OBJECT_ITEM
from .cloud_credential_plan import credential_catalog
from .desired import DesiredNodeTemplate
from .node_template_plan import (
    TEMPLATE_CALL_OPTIONS,
    ObservedNodeTemplates,
    TemplateChange,
    parse_desired_node_templates,
    plan_node_templates,
    template_catalog,
)
from .reconciler import CACHE_SECONDS, FOREVER, Reconciler
from .report import report

NODE_TEMPLATE_ITEM = OBJECT_ITEM.merge(OptionSpec({
    "cloud_credential": {"type": "str"},
    "rancher_version": {"type": "str"},
    "engine_install_url": {"type": "str"},
    "docker_version": {"type": "str"},
    "engine_env": {"type": "dict"},
    "engine_insecure_registry": {"type": "list", "elements": "str"},
    "engine_label": {"type": "dict"},
    "engine_opt": {"type": "dict"},
    "engine_registry_mirror": {"type": "list", "elements": "str"},
    "engine_storage_driver": {"type": "str"},
    "storage_opt": {"type": "dict"},
    "log_opt": {"type": "dict"},
    "use_internal_ip_address": {"type": "bool"},
    "auth_certificate_authority": {"type": "str"},
    "auth_key": {"type": "str", "no_log": True},
    "node_taints": {"type": "list", "elements": "dict", "options": {
        "key": {"type": "str", "required": True, "no_log": False},
        "value": {"type": "str"},
        "effect": {"type": "str", "choices": ["NoSchedule", "PreferNoSchedule", "NoExecute"], "required": True},
    }},
}))
NODE_TEMPLATE = single_or_list(CONNECTION, NODE_TEMPLATE_ITEM, "node_templates", TEMPLATE_CALL_OPTIONS)


def manage_node_templates(params: Mapping[str, t.Any], connect: Connect, mode: RunMode) -> dict[str, t.Any]:
    """Create, update and delete node templates."""
    desired = parse_desired_node_templates(params)
    many = params.get("node_templates") is not None
    if not desired:
        return {"changed": False, "node_templates": []}
    reconciler = NodeTemplateReconciler(connect(), desired)
    changes = reconciler.run(mode)
    reconciler.warn_of_secrets(changes)
    schemas = reconciler.observed.schemas
    return report(changes, reconciler.warnings, schemas, show_node_template, mode, "node_template", many)


class NodeTemplateReconciler(Reconciler[DesiredNodeTemplate, NodeTemplate]):
    """Reconciles the node templates of one call."""

    path = TEMPLATES_PATH
    prefix = "nt-"
    observed: ObservedNodeTemplates

    def new_catalog(self, stored: t.Iterable[NodeTemplate]) -> Catalog[NodeTemplate]:
        return template_catalog(stored)

    def parse(self, item: Mapping[str, t.Any]) -> NodeTemplate:
        return parse_node_template(item)

    def list_all(self) -> t.Iterator[NodeTemplate]:
        return map(parse_node_template, list_node_template_objects(self.client))

    def observe(self) -> ObservedNodeTemplates:
        present = [item for item in self.desired if item.state == "present"]
        found, schemas, users, version = self.client.parallel_reads(
            self._find_templates, self.schemas, self.users, lambda: self._version(present),
        )
        credentials = self._credentials(present, found)
        # pylint does not see the fields of a generic base class
        return ObservedNodeTemplates(  # pylint: disable=redundant-keyword-arg
            found, schemas, users, credentials=credentials, version=version
        )

    def _find_templates(self) -> Catalog[NodeTemplate]:
        ids = {item.id for item in self.desired if item.id}
        if all(item.id for item in self.desired):
            return template_catalog(map(parse_node_template, list_node_template_objects(self.client, ids)))
        return self.catalog()

    def _version(self, present: t.Sequence[DesiredNodeTemplate]) -> tuple[int, int] | None:
        """Return the version of Rancher, if a node template has to be present.

        An option can set one that cannot be read.
        """
        if not present:
            return None
        version: tuple[int, int] | None = self.client.cached(
            "version", FOREVER, lambda: parse_version(read_server_version(self.client)),
        )
        specified = {parse_version(item.rancher_version) for item in present if item.rancher_version}
        return specified.pop() if version is None and len(specified) == 1 else version

    def _credentials(
        self, present: t.Sequence[DesiredNodeTemplate], stored: Catalog[NodeTemplate],
    ) -> Catalog[CloudCredential]:
        """Read the credentials that items name, and those of templates that get another owner."""
        ids = {credential_id(item.cloud_credential.strip()) for item in present if item.cloud_credential}
        references = {stored.by_id[item.id].credential for item in present if item.owner and item.id in stored.by_id}
        ids |= {referenced_name(reference, TEMPLATE_NAMESPACE) or "" for reference in references} - {""}
        if not ids:
            return credential_catalog()
        if None in ids:  # a name, or an id without its namespace
            found: Catalog[CloudCredential] = self.client.cached(
                SECRETS_PATH, CACHE_SECONDS, lambda: credential_catalog(list_cloud_credentials(self.client)),
            )
            return found
        return credential_catalog(list_cloud_credentials(self.client, {identifier for identifier in ids if identifier}))

    def read_references(self) -> ReferenceIndex:
        return read_references(self.client, TEMPLATE_REFERENCE_FIELDS)

    def plan(
        self, desired: t.Sequence[DesiredNodeTemplate], stored: Catalog[NodeTemplate],
        references: ReferenceIndex | None = None,
    ) -> list[TemplateChange]:
        return plan_node_templates(desired, replace(self.observed, stored=stored), references)

    def write_all(self, changes: list[TemplateChange]) -> list[TemplateChange]:
        """Announce the new references on each credential, write, and remove the announcements (see
        _rancher/annotations.py).
        """
        users: dict[str, list[int]] = defaultdict(list)
        for index, change in enumerate(changes):
            # an unchanged reference is announced too: it may change when the item is planned again after a conflict
            if change.action in ("created", "updated") and change.after and change.desired.cloud_credential:
                users[referenced_name(change.after.credential, CREDENTIAL_NAMESPACE) or ""].append(index)
        answers = dict(zip(users, self.client.parallel_map(self._announce, list(users))))
        pending = list(changes)
        announced = []
        for name, answer in answers.items():
            if isinstance(answer, CloudCredential):
                announced.append(answer)
            else:
                for index in users[name]:
                    pending[index] = replace(changes[index], action="failed", error=answer)
        done = super().write_all(pending)
        self.client.parallel_map(lambda credential: withdraw(self.client, credential, self.run_id), announced)
        return done

    def _announce(self, name: str) -> CloudCredential | RanchhandError:
        """Announce a reference on a credential; returns the error if this is refused or fails."""
        remedy = "set another cloud_credential, or run again if it is kept"
        try:
            return announce(self.client, self.observed.credentials.by_id[name], self.run_id, remedy)
        except RanchhandError as error:
            return error

    def warn_of_secrets(self, changes: t.Sequence[TemplateChange]) -> None:
        """Warn if node templates contain secrets, as these are stored in plain text."""
        names = [
            change.desired.name or change.desired.id or "" for change in changes
            if change.desired.state == "present" and change.desired.secrets
            and (change.desired.update_secrets == "always" or not change.before)
        ]
        if names:
            self.warnings.append(
                f"the secrets of node template {', '.join(names)} are stored in plain text in the object, where every "
                "user who may "
                "read node templates can read them; use a cloud credential for the fields that it covers"
            )
