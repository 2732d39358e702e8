# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bench with other providers: fakes, each for a single credential, a Keystone, and a Harvester cluster."""

from __future__ import annotations

import collections
import contextlib
import os
import signal
import tempfile
import threading
from pathlib import Path
from types import SimpleNamespace

import urllib3
from ansible_collections.ranchhand.rancher.plugins.module_utils._issuers.registry import ISSUERS, load_issuer
from ansible_collections.ranchhand.rancher.plugins.module_utils.issuer import IssuerError

from control_plane import ApiError
from support.fakes import FaultInjector
from support.providers.fake_vcenter import ADMINISTRATOR, DOMAIN, FakeVcenter
from support.service_accounts import stored

from . import plays
from .bench import POLL, Subject
from .runner import PROVIDER_CALLS

ISSUING = ("issue", "activate")  # a new key is valid after the last of them


class ProviderSubject(Subject):
    """A credential of another driver than those of AWS."""

    issuer_secrets: dict = {}
    ends_at_cutover = False
    # Calls to the provider whose reply can be lost, and what the run does then.
    losable = tuple((name, "exception") for name in ISSUING)

    def __init__(self, bench, issuer):
        self.issuer_name, self.driver = issuer, ISSUERS[issuer].drivers[0]
        self._ids = {}
        super().__init__(bench)
        self.key_id(self.key)  # while it exists

    def create_principal(self):
        self._created = self.create()
        self.issuer = self._load()
        self.fields = self.issuer.fields
        return self._created

    def create(self):
        """Create what has keys; returns all fields of a credential with its first key."""
        raise NotImplementedError

    def given(self, state, **options):
        return super().given(state, issuer_secrets=self.issuer_secrets, **options)

    def key_id(self, values):
        """Return the id, also after the key was deleted."""
        known = tuple(values.values())
        if known not in self._ids:
            self._ids[known] = self._ask("identify", values)
        return self._ids[known]

    def works(self, values):
        try:
            self._ask("verify", values)
        except IssuerError as error:
            return error.code != "refused"
        return True

    def _load(self):
        return load_issuer(self.issuer_name, {**self.issuer_options, **self.issuer_secrets})

    def _ask(self, method, values):
        complete = {**self._created, **values}
        return getattr(self._load(), method)(complete, complete)

    def changes(self):
        return sorted(self.keys.items())

    def reached(self, phase):
        return "idle" if phase == "disabled" and not self.issuer.disables else phase

    def look_back(self):
        if self.seen_wrong:
            raise self.violation("; ".join(self.seen_wrong[:3]))


class FakeSubject(ProviderSubject):
    """A credential with a key of a fake."""

    def __init__(self, bench, fake):
        self.fake, self.ends_at_cutover = fake, fake.ends_at_cutover
        super().__init__(bench, fake.issuer)

    def create(self):
        return self.fake.create_key()

    @property
    def issuer_options(self):
        return self.fake.options

    @property
    def issuer_secrets(self):
        return self.fake.secret_options

    def given(self, state, **options):
        return super().given(state, issuer=self.fake.issuer, **options)

    def _load(self):
        return self.fake.load()

    @contextlib.contextmanager
    def controlled(self):
        """Let the provider see what the credential contains, if it ends the old key at the cutover."""
        done = threading.Event()

        def watch():
            while not done.wait(POLL):
                with contextlib.suppress(urllib3.exceptions.HTTPError, ApiError):
                    self.fake.credential_changed(*self.live.values())

        thread = threading.Thread(target=watch, daemon=True)
        if self.ends_at_cutover:
            thread.start()
        try:
            yield self
        finally:
            done.set()
            if self.ends_at_cutover:
                thread.join()

    @property
    def keys(self):
        return {key.id: "Active" if key.enabled else "Inactive" for key in self.fake.listed(self.fake.principal)}

    def lose_at_provider(self, name, victim=None, seconds=0):
        if name not in ISSUING or victim or seconds:
            raise ValueError(f"the fakes cannot lose the reply to {name}")
        self.fake.lose(self.fake.issuing)

    def plain(self, state, **options):
        """Nothing at Google proves who created a key: if a reply was lost, a person deletes it, as the message says."""
        ended = self.run(state, **options)
        if self.driver == "google" and (ended.result or {}).get("code") == "orphan":
            orphan, = [key_id for key_id in self.keys if key_id in ended.result["msg"]]
            self.check(orphan not in (self.key_id(self.live), self.key_id(self.key)), "a key in use is the orphan")
            del self.fake.keys[orphan]
            self.history.append("a person deletes the orphan")
            ended = self.run(state, **options)
        return self.require_success(state, ended)


class ProxiedSubject(ProviderSubject):
    """A credential of a provider behind a proxy, which loses replies.

    `requests` maps a call, and what happens to the run, to the method and the path of a request, and a text in its
    body. `no_reply` is what arrives instead of the reply.
    """

    requests: dict = {}
    no_reply = None

    def __init__(self, bench, issuer, faults):
        self.faults = faults
        super().__init__(bench, issuer)

    @property
    def losable(self):
        return tuple(self.requests)

    def lose_at_provider(self, name, victim=None, seconds=0):
        if seconds:
            raise ValueError("a run does not wait for a reply here")
        if name == "issue" and self.issuer.generates_locally:  # which sends no request
            name = "activate"

        def lose(seen):
            self.faults.forward(seen)
            if victim:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(victim, signal.SIGKILL)
            return self.no_reply

        method, path, about = self.requests[name, "kill" if victim else "exception"]
        self.faults.rule(method, lose, path, about)


class PasswordSubject(ProxiedSubject):
    """A credential of an account with one password, which does not work between its change and the cutover."""

    def is_being_replaced(self, values):
        """Whether a run may have changed the password, and one that is kept works; or this one works again."""
        is_open = self.phase in ("issued", "rolling_back") and any(self.works(kept) for kept in self.kept())
        return is_open or self.works(values)

    @property
    def keys(self):
        return {self.key_id(self.key): "Active"}


class KeystoneSubject(PasswordSubject):
    """The password of a user, at a real Keystone."""

    requests = {("activate", "exception"): ("POST", "/password$", "")}

    def __init__(self, bench, keystone, faults):
        self._keystone = keystone
        super().__init__(bench, "openstack", faults)

    def create(self):
        return {"password": self._keystone.create_user(self.user)}

    @property
    def issuer_options(self):
        return {"auth_url": self.faults.url, "username": self.user}

    def changes(self):
        return [seen.path for seen in self.faults.seen if seen.path.endswith("/password")]


class VcenterSubject(ProxiedSubject):
    """A credential with an account of a fake of vCenter, which locks accounts."""

    def __init__(self, bench, vcenter, faults):
        self.vcenter = vcenter
        super().__init__(bench, "vmwarevsphere", faults)

    @property
    def issuer_options(self):
        return {"endpoint_url": self.faults.url}

    def create(self):
        self.vcenter.add(self.user, groups={"rancher"})
        return self.vcenter.credential(self.user)

    def works(self, values):
        return self.vcenter.works({**self._created, **values})  # which is no sign-in that could lock the account

    def changes(self):
        return [name for name in self.vcenter.calls if name.startswith(("Reset", "Enable", "Disable"))]

    def look_back(self):
        super().look_back()
        self.check(self.vcenter.refused <= self.refusals, f"{self.vcenter.refused} sign-ins were refused")
        self.check(
            self.vcenter.accounts[ADMINISTRATOR].failures == 0, "a sign-in of the administrator was refused")


class AccountSubject(VcenterSubject, PasswordSubject):
    """The password of a single account."""

    refusals = 2
    requests = {("activate", "exception"): ("POST", "", "<ResetSelfLocalPersonUserPassword")}

    def start(self, state, fault=None, **options):
        """The policy allows a former password if a run returns to it."""
        self.vcenter.policy["prohibitedPreviousPasswordsCount"] = 0 if state in ("rolled_back", "aborted") else 5
        return super().start(state, fault, **options)


class StrictSubject(AccountSubject):
    """A single account, at a vCenter that refuses former passwords, as it does by default."""

    def start(self, state, fault=None, **options):
        return super(AccountSubject, self).start(state, fault, **options)


class AlternatingSubject(VcenterSubject):
    """Two accounts that alternate."""

    refusals = 1
    requests = {
        ("activate", "kill"): ("POST", "", "<EnableUserAccount"),
        ("activate", "exception"): ("POST", "", "<ResetLocalPersonUserPassword"),
        ("disable", "exception"): ("POST", "", "<DisableUserAccount"),
        ("enable", "exception"): ("POST", "", "<EnableUserAccount"),
        ("delete", "exception"): ("POST", "", "<ResetLocalPersonUserPassword"),
    }

    def create(self):
        self._stored = set()
        self.vcenter.add(f"{self.user}-b", groups={"rancher"}, disabled=True)
        return super().create()

    @property
    def issuer_options(self):
        accounts = [f"{self.user}{letter}@{DOMAIN}" for letter in ("", "-b")]
        return {**super().issuer_options, "accounts": accounts, **self._administrator("admin_username", "sign_in")}

    @property
    def issuer_secrets(self):
        return self._administrator("admin_password")

    def _administrator(self, *names):
        return {name: self.vcenter.admin[name] for name in names}

    def kept(self):
        kept = super().kept()
        self._stored.update(values["password"] for values in kept)
        return kept

    def run(self, state, fault=None, **options):
        ended = super().run(state, fault, **options)
        self.kept()
        return ended

    @property
    def keys(self):
        """The accounts that are enabled, or whose password is or was stored."""
        return {
            f"{name}@{DOMAIN}": "Inactive" if account.disabled else "Active"
            for name, account in self.vcenter.accounts.items()
            if name != ADMINISTRATOR and (not account.disabled or account.password in self._stored)
        }


class HarvesterSubject(ProxiedSubject):
    """The tokens of a ServiceAccount in a namespace of its own, at a real API server."""

    issuer_options: dict = {}
    no_reply = (200, {}, b"")  # if the connection ended, the client would repeat the request
    requests = {
        ("issue", "exception"): ("POST", "/secrets$", ""),
        ("issue", "kill"): ("POST", "/token$", ""),
        ("delete", "exception"): ("DELETE", "/secrets/", ""),
    }

    def __init__(self, bench, harvester, faults):
        self._harvester = harvester
        super().__init__(bench, "kubernetes", faults)

    def create(self):
        api, self._secrets = self._harvester.api, f"/api/v1/namespaces/{self.user}/secrets"
        rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{self.user}"
        account = f"/api/v1/namespaces/{self.user}/serviceaccounts"
        api.post("/api/v1/namespaces", {"metadata": {"name": self.user}})
        api.post(account, {"metadata": {"name": "rancher"}})
        rules = [
            {"apiGroups": [""], "resources": ["serviceaccounts/token"], "verbs": ["create"]},
            {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list", "create", "delete"]},
        ]
        api.post(f"{rbac}/roles", {"metadata": {"name": "rotate"}, "rules": rules})
        api.post(f"{rbac}/rolebindings", {
            "metadata": {"name": "rotate"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "rotate"},
            "subjects": [{"kind": "ServiceAccount", "name": "rancher", "namespace": self.user}],
        })
        secret = api.post(self._secrets, {
            "metadata": {"name": self.user, "labels": {"ranchhand.cattle.io/rotation-key": "rancher"}}})["metadata"]
        bound = {"kind": "Secret", "apiVersion": "v1", "name": self.user, "uid": secret["uid"]}
        token = api.post(f"{account}/rancher/token", {"spec": {"boundObjectRef": bound}})["status"]["token"]
        values = stored(self._harvester, token)
        return {**values, "kubeconfigContent": values["kubeconfigContent"].replace(
            self._harvester.url, self.faults.url)}

    @property
    def keys(self):
        return {item["metadata"]["name"]: "Active" for item in self._harvester.api.get(self._secrets)["items"]}

    def works(self, values):
        """An API server accepts a revoked token for ten seconds more, so its Secret must exist, too."""
        return super().works(values) and self.key_id(values) in self.keys

    def changes(self):
        return [
            (seen.method, seen.path) for seen in self.faults.seen
            if seen.method != "GET" and not seen.path.endswith("selfsubjectreviews")
        ]


class ProviderBench:
    """A bench with credentials of a provider; what plays.crash needs. `create` returns a context with a subject."""

    def __init__(self, bench, name, create):
        self._bench, self._create = bench, create
        self.name = name
        self.counts = collections.Counter()

    @contextlib.contextmanager
    def subject(self):
        with self._create(self._bench) as created, self._bench.watched(created) as subject:
            yield subject


def fake(bench, kind):
    @contextlib.contextmanager
    def create(bench):
        with (
            tempfile.TemporaryDirectory() as folder,
            kind(Path(folder)) as running,
            FakeSubject(bench, running).controlled() as subject,
        ):
            yield subject
    return ProviderBench(bench, kind.issuer, create)


def vcenter(bench, kind):
    @contextlib.contextmanager
    def create(bench):
        with (
            tempfile.TemporaryDirectory() as folder,
            FakeVcenter(Path(folder)) as running,
            _faults(running.url, running.ca_bundle) as faults,
        ):
            yield kind(bench, running, faults)
    return ProviderBench(bench, "vmwarevsphere", create)


def openstack(bench, keystone):
    @contextlib.contextmanager
    def create(bench):
        with _faults(keystone.url.removesuffix("/v3")) as faults:
            yield KeystoneSubject(bench, keystone, faults)
    return ProviderBench(bench, "openstack", create)


def kubernetes(bench, harvester):
    @contextlib.contextmanager
    def create(bench):
        with _faults(harvester.url, harvester.ca_file) as faults:
            yield HarvesterSubject(bench, harvester, faults)
    return ProviderBench(bench, "kubernetes", create)


def _faults(url, ca_file=""):
    return FaultInjector(SimpleNamespace(token="", ca_file=ca_file, url=url))


def matrix(bench):
    """Return all cases of all scenarios that a ProviderBench can play.

    Some begin with a disabled key, and some return to an old key that may have ended at the cutover. At Google, the
    command after a lost key stops before it changes anything.
    """
    with bench.subject() as subject:
        disables, ends_at_cutover = subject.issuer.disables, subject.ends_at_cutover
    return [
        case for name, item in plays.SCENARIOS.items()
        if (disables or ("retired", plays.NOW) not in item.before)
        and not (bench.name == "google" and name == "rotate after a key was lost")
        and not (ends_at_cutover and item.command[0] == "rolled_back")
        for case in crashes(bench, name)
    ]


def crashes(bench, name, calls_of=plays.calls_of):
    """Return all cases of a scenario: SIGKILL after each write, an exception before each call, and lost replies."""
    with bench.subject() as subject:
        losable = subject.losable
    return [
        case for case in plays.crashes(name, calls_of(bench, name), ("kill", "exception"))
        if case[2].moment != "lost"
        or ((case[1], case[2].kind) in losable if case[1] in PROVIDER_CALLS else case[2].kind == "exception")
    ]


RETURNS = ("roll back", "abort after a key was lost")  # to a former password


def refused_returns(bench):
    """Return all cases of a StrictSubject in which the former password would have to be set again."""
    return [case for name in RETURNS for case in crashes(bench, name, refused_calls)]


def refused_calls(bench, name):
    scenario = plays.SCENARIOS[name]
    with bench.subject() as subject:
        plays.begin(subject, scenario.before)
        return _refused(subject, scenario).calls


def _refused(subject, scenario):
    ended = subject.run(scenario.command[0])
    code = (ended.result or {}).get("code")
    subject.check(code in ("old_unusable", "invalid"), f"the return to a former password ended with {code}")
    return ended


def refused_return(bench, case):
    """A run that cannot return to the former password breaks; again it cannot, and the rotation is finished instead."""
    name, _call, fault = case
    scenario = plays.SCENARIOS[name]
    with bench.subject() as subject:
        plays.begin(subject, scenario.before)
        subject.run(scenario.command[0], fault)
        _refused(subject, scenario)
        plays.go_on(subject, plays.SCENARIOS["rotate"])
    bench.counts[f"refused returns: {fault.moment}, {fault.kind}"] += 1
