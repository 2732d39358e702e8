# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What the modules node_template and node_template_info do.

PRIVATE to the collection.
"""

from __future__ import annotations

import contextlib
import typing as t
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace

from .._common.errors import RanchhandError
from .._common.options import OptionSpec, single_or_list
from .._common.times import format_time, now
from .._kubernetes.connection import CONNECTION
from .._rancher.annotations import INTENT, deleting_run
from .._rancher.cloud_credential import CloudCredential
from .._rancher.node_template import NodeTemplate, parse_node_template, show_node_template
from .._rancher.queries import (
    SECRETS_PATH,
    TEMPLATES_PATH,
    list_cloud_credentials,
    list_node_template_objects,
    parse_version,
    read_own_user,
    read_references,
    read_server_version,
)
from .._rancher.references import CREDENTIAL_NAMESPACE, ReferenceIndex, TEMPLATE_REFERENCE_FIELDS, referenced_name
from .._runtime.execute import Connect, RunMode
from .catalog import Catalog
from .cloud_credential import CREDENTIAL_ITEM
from .cloud_credential_plan import NO_CREDENTIALS
from .node_template_plan import (
    DesiredNodeTemplate,
    NODE_TEMPLATE_CALL_OPTIONS,
    ObservedNodeTemplates,
    parse_desired_node_templates,
    plan_node_templates,
)
from .planning import Change
from .reconciler import CACHE_SECONDS, FOREVER, Reconciler
from .report import report

NODE_TEMPLATE_ITEM = CREDENTIAL_ITEM.merge(OptionSpec({
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
NODE_TEMPLATE = single_or_list(CONNECTION, NODE_TEMPLATE_ITEM, "node_templates", NODE_TEMPLATE_CALL_OPTIONS)


def manage_node_templates(params: Mapping[str, t.Any], connect: Connect, mode: RunMode) -> dict[str, t.Any]:
    """node_template: creates, updates and deletes."""
    desired = parse_desired_node_templates(params)
    if not desired:
        return {"changed": False, "node_templates": []}
    manager = NodeTemplateReconciler(connect(), desired)
    changes = manager.run(mode)
    manager.warn_of_secrets(changes)
    return report(
        changes, manager.warnings, manager.observed.schemas, show_node_template, mode, "node_template", params.get("node_templates") is not None
    )


class NodeTemplateReconciler(Reconciler):
    """The node templates of one call."""

    path = TEMPLATES_PATH
    prefix = "nt-"
    empty = ObservedNodeTemplates.stored

    def parse(self, item: Mapping[str, t.Any]) -> NodeTemplate:
        return parse_node_template(item)

    def read_all(self) -> t.Iterator[NodeTemplate]:
        return map(parse_node_template, list_node_template_objects(self.client))

    def observe(self) -> ObservedNodeTemplates:
        wanted: t.Sequence[DesiredNodeTemplate] = self.desired
        present = [one for one in wanted if one.state == "present"]
        found, schemas, users, version = self.client.parallel_reads(
            lambda: self._only({one.id for one in wanted}) if all(one.id for one in wanted) else self.catalog(),
            self.schemas,
            self.users,
            lambda: self.client.cached("version", FOREVER, lambda: parse_version(read_server_version(self.client))) if present else None,
        )
        stated = {parse_version(one.rancher_version) for one in present if one.rancher_version}
        if version is None and len(stated) == 1:
            version = stated.pop()
        observed = ObservedNodeTemplates(found, self._credentials(present, found), schemas, users, version=version)
        if self.creates_for_itself(observed):
            me = read_own_user(self.client)
            observed = replace(observed, me=me.id if me else None)
        return observed

    def _only(self, ids: t.Collection[str]) -> Catalog:
        return self.empty.of(map(parse_node_template, list_node_template_objects(self.client, ids)))

    def _credentials(self, present: t.Sequence[DesiredNodeTemplate], stored: Catalog) -> Catalog:
        """The credentials that are asked for, and those of templates that are handed over; no request if there are none."""
        asked = {one.cloud_credential.strip() for one in present if one.cloud_credential}
        asked |= {stored.by_id[one.id].credential for one in present if one.owner and one.id in stored.by_id}
        asked.discard("")
        if not asked:
            return NO_CREDENTIALS
        by_id = {referenced_name(one, None) for one in asked}  # None for a name, or for an id without its namespace
        if None in by_id:
            return self.client.cached(SECRETS_PATH, CACHE_SECONDS, lambda: NO_CREDENTIALS.of(list_cloud_credentials(self.client)))
        return NO_CREDENTIALS.of(list_cloud_credentials(self.client, by_id))

    def references(self) -> ReferenceIndex:
        return read_references(self.client, TEMPLATE_REFERENCE_FIELDS)

    def plan(self, desired: t.Sequence[t.Any], observed: ObservedNodeTemplates, references: ReferenceIndex | None = None) -> list[Change]:
        return plan_node_templates(desired, observed, references)

    def write_all(self, changes: list[Change]) -> list[Change]:
        """Announce on each credential that something is about to refer to it, write, and take the announcement back (see _marks)."""
        users: dict[str, list[int]] = defaultdict(list)
        for index, change in enumerate(changes):
            # also where it would not change: planned again after a conflict, it may
            if change.action in ("created", "updated") and change.desired.cloud_credential:
                users[referenced_name(change.after.credential, CREDENTIAL_NAMESPACE)].append(index)
        announced = dict(zip(users, self.client.parallel_map(self._announce, list(users))))
        refused = {index: error for name, error in announced.items() if isinstance(error, RanchhandError) for index in users[name]}
        done = super().write_all([replace(change, action="failed", error=refused.get(index)) if index in refused else change
                                  for index, change in enumerate(changes)])
        self.client.parallel_map(self._withdraw, [credential for credential in announced.values() if isinstance(credential, CloudCredential)])
        return done

    def _announce(self, name: str) -> CloudCredential | RanchhandError:
        def decide(credential: CloudCredential) -> dict[str, str | None]:
            condemned = deleting_run(credential.annotations, now())
            if condemned or credential.deleting:
                raise RanchhandError("conflict", f"cloud credential {credential.full_id} is being deleted by another run ({condemned})")
            return {INTENT + self.run_id: format_time(now())}

        try:
            marked = self.mark(self.observed.credentials.by_id[name], decide)
        except RanchhandError as error:
            return error
        return marked or RanchhandError("conflict", f"cloud credential {CREDENTIAL_NAMESPACE}:{name} was deleted meanwhile")

    def _withdraw(self, credential: CloudCredential) -> None:
        """An announcement that stays is ignored after a while."""
        with contextlib.suppress(RanchhandError):
            self.mark(credential, lambda one: {INTENT + self.run_id: None} if INTENT + self.run_id in one.annotations else {})

    def warn_of_secrets(self, changes: t.Sequence[Change]) -> None:
        named = [
            change.desired.name or change.desired.id for change in changes
            if change.desired.state == "present" and change.desired.secrets and (change.desired.update_secrets == "always" or not change.before)
        ]
        if named:
            self.warnings.append(
                f"the secrets of node template {', '.join(named)} lie in plain text in the object, readable by all who may read node templates; "
                "use a cloud credential for what it covers"
            )
