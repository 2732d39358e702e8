# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""parse → observe → plan → apply → report, once, for modules and action plugins.

PRIVATE to the collection.
"""

from __future__ import annotations

import datetime
import random
import time
import traceback
import typing as t
from collections.abc import Mapping
from dataclasses import replace

from . import _observe as observe
from ._credential import PER_CALL, Change, Credential, Desired, Observed, desired_from, from_secret, match, plan, show
from ._driver_schema import Schemas
from ._errors import ApiError, Mistakes, RanchhandError
from ._kubernetes import Api, connection_options, name_in_path
from ._metadata import Users, check_id
from ._options import AUTH, WAIT, Spec, call_and_item
from ._references import NAMESPACE
from ._secret_text import HIDDEN, forms, leaves, mask

_CREDENTIAL = Spec({
    "name": {"type": "str"},
    "id": {"type": "str"},
    "driver": {"type": "str"},
    "owner": {"type": "str"},
    "description": {"type": "str"},
    "labels": {"type": "dict"},
    "annotations": {"type": "dict"},
    "config": {"type": "dict"},
    "secrets": {"type": "dict", "no_log": True},
    "update_secrets": {"type": "str", "choices": ["always", "on_create"], "default": "always", "no_log": False},
    "validate_config": {"type": "bool", "default": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "force": {"type": "bool", "default": False},
}).merge(WAIT)

CLOUD_CREDENTIAL = call_and_item(AUTH, _CREDENTIAL, "credentials", PER_CALL)

CLOUD_CREDENTIAL_INFO = AUTH.merge(Spec({
    "name": {"type": "str"},
    "id": {"type": "str"},
    "driver": {"type": "str"},
    "owner": {"type": "str"},
    "references": {"type": "bool", "default": False},
}))

# What Kubernetes itself appends to a generateName (apimachinery pkg/util/rand).
_NAME_CHARACTERS = "bcdfghjklmnpqrstvwxz2456789"
_CONFLICTS = 5
_RULE_TIMEOUT = 30.0  # seconds for Rancher to let a creator read what it created; seen to take three


def secret_values(params: Mapping[str, t.Any]) -> list[str]:
    """All values of a module's options that must not be shown."""
    items = [params, *(item for item in params.get("credentials") or () if isinstance(item, Mapping))]
    found = [text for item in items for text in leaves(item.get("secrets"))]
    found += [params[name] for name in ("api_key", "password") if isinstance(params.get(name), str)]
    headers = params.get("proxy_headers")
    if isinstance(headers, Mapping):
        found += [headers[name] for name in ("proxy_basic_auth", "basic_auth") if isinstance(headers.get(name), str)]
    if isinstance(params.get("kubeconfig"), Mapping):
        found += _kubeconfig_secrets(params["kubeconfig"])
    return found


def _kubeconfig_secrets(value: t.Any) -> t.Iterator[str]:
    if isinstance(value, Mapping):
        for key, element in value.items():
            if key in ("token", "password", "client-key-data", "access-token", "id-token", "refresh-token", "client-secret"):
                yield from leaves(element)
            else:
                yield from _kubeconfig_secrets(element)
    elif isinstance(value, list):
        for element in value:
            yield from _kubeconfig_secrets(element)


class Mode(t.NamedTuple):
    """How Ansible runs the task."""

    check: bool = False
    diff: bool = False


Connect = t.Callable[[], Api]
Run = t.Callable[[t.Mapping[str, t.Any], Connect, Mode], t.Dict[str, t.Any]]


def execute(run: Run, params: Mapping[str, t.Any], mode: Mode, connect: t.Callable[[Mapping[str, t.Any]], Api] = Api) -> dict[str, t.Any]:
    """A module's result, failures included, with nothing in it that must not be shown."""
    try:
        result = run(params, lambda: connect(connection_options(params)), mode)
    except RanchhandError as error:
        result = {"failed": True, "msg": error.message, "code": error.code}
        if isinstance(error, Failed):
            result.update(error.result)
    except Exception as error:  # a mistake of ours: where it happened, and nothing of what it was about
        last = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{last.filename.rpartition('/')[2]}:{last.lineno}"
        result = {"failed": True, "msg": f"internal error ({type(error).__name__} at {place}); please report it", "code": "server_error"}
    return mask(result, forms(secret_values(params)))


class Failed(RanchhandError):
    """A failure that comes with what became of each item."""

    def __init__(self, code: str, message: str, result: Mapping[str, t.Any]) -> None:
        super().__init__(code, message)
        self.result = result


def manage_credentials(params: Mapping[str, t.Any], connect: Connect, mode: Mode) -> dict[str, t.Any]:
    """cloud_credential: creates, updates and deletes."""
    desired = desired_from(params)
    if not desired:
        return {"changed": False, "credentials": []}
    run = _CredentialRun(connect(), desired)
    changes = run.look()
    if not mode.check:
        changes = run.apply(run.wait_for_references(changes))
    return _report(changes, run, mode, many=params.get("credentials") is not None)


class _CredentialRun:
    """The requests of one call for the wanted credentials."""

    def __init__(self, api: Api, desired: list[Desired]) -> None:
        self.api = api
        self.desired = desired
        self.observed = Observed(())
        self.restricted = False
        self.warnings: list[str] = []

    def look(self) -> list[Change]:
        """Observe and plan."""
        self.observed = self._observe()
        changes = plan(self.desired, self.observed)
        if any(change.action == "deleted" for change in changes):
            changes = plan(self.desired, self.observed, observe.references(self.api))
        return changes

    def _observe(self) -> Observed:
        wanted = self.desired
        ids = {one.id for one in wanted if one.id is not None}
        harvester = any("kubeconfigContent" in one.secrets for one in wanted)
        reads: list[t.Callable[[], t.Any]] = [
            lambda: self._credentials(ids if all(one.id for one in wanted) and not harvester else None),
            lambda: observe.schemas(self.api) if any(one.validate_config for one in wanted) else None,
            lambda: observe.users(self.api) if any(one.owner for one in wanted) else Users(()),
        ]
        credentials, schemas, users = self.api.parallel(lambda read: read(), reads)
        observed = Observed(tuple(credentials), schemas, users)
        if any(one.state == "present" and one.id is None and one.owner is None and _is_new(one, observed) for one in wanted):
            me = observe.myself(self.api)
            observed = replace(observed, me=me.id if me else None)
        return observed

    def _credentials(self, ids: t.Collection[str] | None) -> list[Credential]:
        found = (from_secret(secret) for secret in observe.secrets(self.api, ids))
        return [credential for credential in found if credential is not None]

    def wait_for_references(self, changes: list[Change]) -> list[Change]:
        """Look again and again until what should be deleted with ``wait`` is in use no more, or its time is up."""
        start = time.monotonic()
        while True:
            waiting = [
                change.desired for change in changes
                if change.action == "refused" and change.desired.wait and time.monotonic() - start < change.desired.wait_timeout
            ]
            if not waiting:
                return changes
            time.sleep(max(0.2, min(one.wait_sleep for one in waiting)))
            changes = self.look()

    def apply(self, changes: list[Change]) -> list[Change]:
        """Write in parallel; what goes wrong with one item is told with it and stops no other."""
        done = self.api.parallel(lambda change: self._guarded(self._write, change) if change.writes else change, changes)
        created = [index for index, change in enumerate(done) if change.action == "created" and change.error is None]
        if created:
            self._wait_until_readable([done[index].after.id for index in created])
            stored = self._credentials(None)
            for index in created:
                done[index] = self._guarded(lambda change: self._without_twin(change, stored), done[index])
        return done

    def _guarded(self, step: t.Callable[[Change], Change], change: Change) -> Change:
        try:
            return step(change)
        except RanchhandError as error:
            return replace(change, action="failed", error=error)

    def _write(self, change: Change) -> Change:
        for _attempt in range(_CONFLICTS):
            try:
                return {"created": self._create, "updated": self._update, "deleted": self._delete}[change.action](change)
            except ApiError as error:
                if error.status != 409:
                    raise
                conflict = error
            again = self._replan(change)
            if not again.writes:
                # either a concurrent run did the same, or our own write had arrived and its reply was lost
                return replace(again, action=change.action, changed_fields=change.changed_fields) if again.error is None else again
            change = again
        raise conflict

    def _replan(self, change: Change) -> Change:
        """The same item once more, with what its credential is now."""
        current = change.before or change.after
        secret = observe.secret(self.api, current.id) if current else None
        fresh = from_secret(secret) if secret else None
        if fresh is None:
            raise RanchhandError("conflict", f"{current.full_id if current else 'it'} was deleted by somebody else meanwhile; run again")
        references = observe.references(self.api) if change.action == "deleted" else None
        desired = replace(change.desired, id=fresh.id)
        again, = plan([desired], replace(self.observed, credentials=(fresh,)), references)
        return replace(again, desired=change.desired)

    def _create(self, change: Change) -> Change:
        for _attempt in range(_CONFLICTS):
            name = "cc-" + "".join(random.SystemRandom().choices(_NAME_CHARACTERS, k=5))
            body = {**change.body, "metadata": {**change.body["metadata"], "name": name}}
            try:
                stored = self.api.post(observe.SECRETS, body)
            except ApiError as error:
                if error.reason != "AlreadyExists":
                    if error.status == 404:
                        raise RanchhandError(
                            "unsupported", f"{self.api.host} is not the management cluster of a Rancher: it has no namespace {NAMESPACE}"
                        ) from None
                    raise
                stored = observe.secret(self.api, name) or {}
                if stored.get("data") != body["data"]:  # the name was taken, by chance; otherwise our own, whose reply was lost
                    continue
            return replace(change, after=from_secret(stored))
        raise RanchhandError("conflict", "no free name could be found")

    def _update(self, change: Change) -> Change:
        return replace(change, after=from_secret(self.api.patch(self._path(change), change.body)))

    def _path(self, change: Change) -> str:
        current = change.before or change.after
        return f"{observe.SECRETS}/{name_in_path(current.id if current else '')}"

    def _delete(self, change: Change) -> Change:
        current, wanted = change.before, change.desired
        if current is None:
            return change
        try:
            self.api.delete(self._path(change), current.uid, current.resource_version)
        except ApiError as error:
            if error.status != 404:
                raise
        if not current.finalizers:
            return change
        waited = 0.0
        while True:
            left = observe.secret(self.api, current.id)
            held_by = ", ".join((left or {}).get("metadata", {}).get("finalizers") or ())
            if not left or left["metadata"]["uid"] != current.uid:
                return change
            if not wanted.wait:
                self.warnings.append(f"{current.full_id} goes as soon as its finalizers are done: {held_by}")
                return change
            if waited >= wanted.wait_timeout:
                raise RanchhandError("conflict", f"{current.full_id} is still held by {held_by} after {wanted.wait_timeout} seconds")
            time.sleep(max(0.2, wanted.wait_sleep))
            waited += max(0.2, wanted.wait_sleep)

    def _wait_until_readable(self, names: list[str]) -> None:
        """Wait until an ordinary Rancher user's rules show what it created, so that its next run finds it."""
        try:
            next(iter(self.api.list(observe.SECRETS, fieldSelector="metadata.name=none")), None)
            return
        except ApiError as error:
            if error.status != 403:
                raise
        deadline = time.monotonic() + _RULE_TIMEOUT
        while not set(names) <= set(observe.readable_secrets(self.api)):
            if time.monotonic() > deadline:
                self.warnings.append(f"Rancher has not yet let this connection read {', '.join(names)}; the next run may not find them")
                return
            time.sleep(0.5)

    def _without_twin(self, change: Change, stored: list[Credential]) -> Change:
        """Give way to a credential that a concurrent run created under the same name just before ours."""
        mine = change.after
        if mine is None:
            return change
        elder = [
            one for one in stored
            if one.id != mine.id and (one.name, one.driver, one.owner) == (mine.name, mine.driver, mine.owner) and not one.deleting
            and ((one.created_at or "") < (mine.created_at or "")
                 or one.created_at == mine.created_at and int(one.resource_version) < int(mine.resource_version))
        ]
        if not elder:
            return change
        current = next((one for one in stored if one.uid == mine.uid), mine)
        self.api.delete(f"{observe.SECRETS}/{mine.id}", mine.uid, current.resource_version)
        again, = plan([change.desired], replace(self.observed, credentials=tuple(elder)))
        return self._write(again) if again.writes else again


def _is_new(desired: Desired, observed: Observed) -> bool:
    try:
        return match(desired, observed) is None
    except RanchhandError:
        return False


def _report(changes: list[Change], run: _CredentialRun, mode: Mode, many: bool) -> dict[str, t.Any]:
    schemas = run.observed.schemas
    shown = [_show_change(change, schemas) for change in changes]
    result: dict[str, t.Any] = {"changed": any(change.writes for change in changes)}
    result.update({"credentials": shown} if many else {"credential": shown[0]})
    if mode.diff:
        diffs = [_diff(change, schemas) for change in changes if change.writes]
        result["diff"] = diffs if many else diffs[0] if diffs else {"before": "", "after": ""}
    if run.warnings:
        result["warnings"] = run.warnings
    errors = [change for change in changes if change.error]
    if not errors:
        return result
    codes = {change.error.code for change in errors if change.error}
    code = codes.pop() if len(codes) == 1 and (codes == {"in_use"} or not many) else "partial"
    result["references"] = [reference.show() for change in errors for reference in change.references or ()]
    if not result["references"]:
        del result["references"]
    raise Failed(code, "; ".join(f"{change.desired.where}{change.error.message}" for change in errors if change.error), result)


def _show_change(change: Change, schemas: Schemas | None) -> dict[str, t.Any]:
    stored = change.before if change.action == "deleted" else change.after or change.before
    if stored is None:
        wanted = change.desired
        shown: dict[str, t.Any] = {
            "id": f"{NAMESPACE}:{wanted.id}" if wanted.id else None, "name": wanted.name, "driver": wanted.driver, "owner": wanted.owner,
            "description": wanted.description or "", "config": {}, "secret_fields": [], "created_at": None,
        }
    else:
        shown = show(stored, schemas)
        if not stored.id:
            shown["id"] = None
    shown.update(action=change.action, changed_fields=list(change.changed_fields))
    if change.references is not None:
        shown["references"] = [reference.show() for reference in change.references]
    if change.unlisted:
        shown["references_incomplete"] = list(change.unlisted)
    if change.error:
        shown.update(msg=change.error.message, code=change.error.code)
    return shown


def _diff(change: Change, schemas: Schemas | None) -> dict[str, t.Any]:
    """Public values before and after; of secrets only which change, of labels and annotations only those that do."""
    before, after = change.before, None if change.action == "deleted" else change.after
    secret = {name for one in (before, after) if one for name in show(one, schemas)["secret_fields"]}
    sides = []
    for one, other, mark in ((before, after, "before"), (after, before, "after")):
        side: dict[str, t.Any] = {}
        if one:
            side = {key: value for key, value in show(one, schemas).items() if key not in ("id", "secret_fields", "created_at")}
            side["secrets"] = {
                name: f"{HIDDEN} ({mark})" if other and other.data.get(name) != one.data[name] else HIDDEN
                for name in sorted(secret) if name in one.data
            }
            for kind in ("labels", "annotations"):
                mine, others = getattr(one, kind), getattr(other, kind) if other else {}
                named = set(getattr(change.desired, kind))
                differing = {key: value for key, value in mine.items() if key in named and others.get(key) != value}
                if differing:
                    side[kind] = differing
        sides.append(side)
    stored = before or after
    header = f"{NAMESPACE}:{stored.id}" if stored and stored.id else "new cloud credential"
    return {"before": sides[0], "after": sides[1], "before_header": header, "after_header": header}


def list_credentials(params: Mapping[str, t.Any], connect: Connect, mode: Mode) -> dict[str, t.Any]:
    """cloud_credential_info: what there is, without any secret."""
    identifier, mistakes = check_id(params["id"], NAMESPACE)
    if mistakes:
        raise Mistakes(mistakes)
    api = connect()
    reads: list[t.Callable[[], t.Any]] = [
        lambda: observe.secrets(api, None if identifier is None else [identifier]),
        lambda: observe.schemas(api),
        lambda: observe.users(api) if params["owner"] else None,
        lambda: observe.references(api) if params["references"] else None,
    ]
    secrets, schemas, users, index = api.parallel(lambda read: read(), reads)
    owner = params["owner"]
    if owner:
        try:
            owner = users.find(owner)
        except RanchhandError as error:
            if error.code == "ambiguous":
                raise
            # a user that is gone may still own credentials
    now = datetime.datetime.now(datetime.timezone.utc)
    result = []
    for credential in filter(None, map(from_secret, secrets)):
        if (params["name"] in (None, credential.name) and params["driver"] in (None, credential.driver)
                and owner in (None, credential.owner)):
            shown = show(credential, schemas)
            shown["age"] = _age(credential.created_at, now)
            if credential.problem:
                shown["problem"] = credential.problem
            if index is not None:
                shown["references"] = [reference.show() for reference in index.to(credential.id)]
            result.append(shown)
    result.sort(key=lambda one: (one["name"], one["id"]))
    answer: dict[str, t.Any] = {"changed": False, "credentials": result}
    if index is not None and index.unlisted:
        answer["references_incomplete"] = list(index.unlisted)
    return answer


def _age(created_at: str | None, now: datetime.datetime) -> int | None:
    if created_at is None:
        return None
    created = datetime.datetime.strptime(created_at, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=datetime.timezone.utc)
    return max(0, int((now - created).total_seconds()))
