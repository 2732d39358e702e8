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

from . import _observe as observe
from ._credential import EMPTY, Credential
from ._errors import Mistakes, RanchhandError
from ._manage import FOREVER, READ_LIFE, Manager
from ._manage_credentials import FILTERS, credentials, describe, listing, wanted_by
from ._manage_credentials import ITEM as CREDENTIAL_ITEM
from ._marks import INTENT, condemned_by, now, stamp
from ._metadata import check_id
from ._node_template import PER_CALL, NodeTemplate, Observed, WantedTemplate, desired_from, from_object, plan, show
from ._observe import TEMPLATES
from ._options import AUTH, Spec, call_and_item
from ._planning import Catalog, Change
from ._references import NAMESPACE, TEMPLATE_PLACES, TEMPLATES_NAMESPACE, Index, credential_id
from ._run import Connect, Mode, report

_ITEM = CREDENTIAL_ITEM.merge(Spec({
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

NODE_TEMPLATE = call_and_item(AUTH, _ITEM, "node_templates", PER_CALL)

NODE_TEMPLATE_INFO = AUTH.merge(FILTERS)


def manage_node_templates(params: Mapping[str, t.Any], connect: Connect, mode: Mode) -> dict[str, t.Any]:
    """node_template: creates, updates and deletes."""
    desired = desired_from(params)
    if not desired:
        return {"changed": False, "node_templates": []}
    manager = TemplateManager(connect(), desired)
    changes = manager.run(mode)
    manager.warn_of_secrets(changes)
    return report(
        changes, manager.warnings, manager.observed.schemas, show, mode, "node_template", params.get("node_templates") is not None
    )


class TemplateManager(Manager):
    """The node templates of one call."""

    path = TEMPLATES
    prefix = "nt-"
    empty = Observed.stored

    def parse(self, item: Mapping[str, t.Any]) -> NodeTemplate:
        return from_object(item)

    def read_all(self) -> t.Iterator[NodeTemplate]:
        return map(from_object, observe.templates(self.api))

    def observe(self) -> Observed:
        wanted: t.Sequence[WantedTemplate] = self.desired
        present = [one for one in wanted if one.state == "present"]
        found, schemas, users, version = self.api.at_once(
            lambda: self._only({one.id for one in wanted}) if all(one.id for one in wanted) else self.catalog(),
            self.schemas,
            self.users,
            lambda: self.api.remembered("version", FOREVER, lambda: observe.parse_version(observe.server_version(self.api))) if present else None,
        )
        stated = {observe.parse_version(one.rancher_version) for one in present if one.rancher_version}
        if version is None and len(stated) == 1:
            version = stated.pop()
        observed = Observed(found, self._credentials(present, found), schemas, users, version=version)
        if self.creates_for_itself(observed):
            me = observe.myself(self.api)
            observed = replace(observed, me=me.id if me else None)
        return observed

    def _only(self, ids: t.Collection[str]) -> Catalog:
        return self.empty.of(map(from_object, observe.templates(self.api, ids)))

    def _credentials(self, present: t.Sequence[WantedTemplate], stored: Catalog) -> Catalog:
        """The credentials that are asked for, and those of templates that are handed over; no request if there are none."""
        asked = {one.cloud_credential.strip() for one in present if one.cloud_credential}
        asked |= {stored.by_id[one.id].credential for one in present if one.owner and one.id in stored.by_id}
        asked.discard("")
        if not asked:
            return EMPTY
        by_id = {credential_id(one, None) for one in asked}  # None for a name, or for an id without its namespace
        if None in by_id:
            return self.api.remembered(observe.SECRETS, READ_LIFE, lambda: EMPTY.of(credentials(self.api)))
        return EMPTY.of(credentials(self.api, by_id))

    def references(self) -> Index:
        return observe.references(self.api, TEMPLATE_PLACES)

    def plan(self, desired: t.Sequence[t.Any], observed: Observed, references: Index | None = None) -> list[Change]:
        return plan(desired, observed, references)

    def write_all(self, changes: list[Change]) -> list[Change]:
        """Announce on each credential that something is about to refer to it, write, and take the announcement back (see _marks)."""
        users: dict[str, list[int]] = defaultdict(list)
        for index, change in enumerate(changes):
            # also where it would not change: planned again after a conflict, it may
            if change.action in ("created", "updated") and change.desired.cloud_credential:
                users[credential_id(change.after.credential, NAMESPACE)].append(index)
        announced = dict(zip(users, self.api.parallel(self._announce, list(users))))
        refused = {index: error for name, error in announced.items() if isinstance(error, RanchhandError) for index in users[name]}
        done = super().write_all([replace(change, action="failed", error=refused.get(index)) if index in refused else change
                                  for index, change in enumerate(changes)])
        self.api.parallel(self._withdraw, [credential for credential in announced.values() if isinstance(credential, Credential)])
        return done

    def _announce(self, name: str) -> Credential | RanchhandError:
        def decide(credential: Credential) -> dict[str, str | None]:
            condemned = condemned_by(credential.annotations, now())
            if condemned or credential.deleting:
                raise RanchhandError("conflict", f"cloud credential {credential.full_id} is being deleted by another run ({condemned})")
            return {INTENT + self.run_id: stamp(now())}

        try:
            marked = self.mark(self.observed.credentials.by_id[name], decide)
        except RanchhandError as error:
            return error
        return marked or RanchhandError("conflict", f"cloud credential {NAMESPACE}:{name} was deleted meanwhile")

    def _withdraw(self, credential: Credential) -> None:
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


def list_node_templates(params: Mapping[str, t.Any], connect: Connect, mode: Mode) -> dict[str, t.Any]:
    """node_template_info: what there is, without any secret."""
    api = connect()
    identifier, mistakes = check_id(params["id"], TEMPLATES_NAMESPACE)
    if mistakes:
        raise Mistakes(mistakes)
    items, schemas, users, index = api.at_once(
        lambda: observe.templates(api, None if identifier is None else [identifier]),
        lambda: observe.schemas(api),
        lambda: observe.users(api) if params["owner"] else None,
        lambda: observe.references(api, TEMPLATE_PLACES) if params["references"] else None,
    )
    found = [one for one in map(from_object, items) if wanted_by(params, one, users)]
    return listing("node_templates", [describe(one, show(one, schemas), index) for one in found], index)
