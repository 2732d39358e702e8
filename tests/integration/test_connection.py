# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All ways to authenticate, and the messages if there is none."""

from __future__ import annotations

import base64
import contextlib
import datetime
import inspect
import json
import os
import re
import runpy
import socket
import threading
import time
from pathlib import Path

import pytest
import yaml
from ansible_collections.ranchhand.rancher.plugins.module_utils._common.errors import RanchhandError
from ansible_collections.ranchhand.rancher.plugins.module_utils._common.times import now
from ansible_collections.ranchhand.rancher.plugins.module_utils._kubernetes import client as client_module
from ansible_collections.ranchhand.rancher.plugins.module_utils._kubernetes import kubeconfig as kubeconfig_module
from ansible_collections.ranchhand.rancher.plugins.module_utils._kubernetes import libraries, transport
from ansible_collections.ranchhand.rancher.plugins.module_utils._kubernetes.client import KubernetesClient
from ansible_collections.ranchhand.rancher.plugins.module_utils._kubernetes.concurrency import parallel_results
from ansible_collections.ranchhand.rancher.plugins.module_utils._kubernetes.configuration import ConnectionConfiguration
from ansible_collections.ranchhand.rancher.plugins.module_utils._kubernetes.connection import (
    CONNECTION,
    connection_options,
)

from control_plane import ControlPlane
from support.cluster import INFO, MODULE, SECRETS, Cluster
from support.fakes import ConnectProxy, FaultInjector, basic, reply

MASTERS = ["system:masters"]
WAYS = pytest.mark.parametrize(
    "as_module", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["in process", "as a module"]
)


@pytest.fixture(autouse=True)
def _no_ambient_cluster(monkeypatch, tmp_path):
    for name in list(os.environ):
        if name.startswith(("K8S_AUTH_", "KUBE")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))


class Credentials:
    """A user's credentials in all their forms."""

    def __init__(self, control_plane, folder, name):
        self.path = control_plane.user(name, MASTERS)
        self.mapping = json.loads(self.path.read_text())
        user, cluster = self.mapping["users"][0]["user"], self.mapping["clusters"][0]["cluster"]
        self.files = {}
        for option, owner, key in (
            ("client_cert", user, "client-certificate-data"),
            ("client_key", user, "client-key-data"),
            ("ca_cert", cluster, "certificate-authority-data"),
        ):
            path = folder / f"{name}.{option}"
            path.write_bytes(base64.b64decode(owner[key]))
            self.files[option] = str(path)

    def with_user(self, user):
        return {**self.mapping, "users": [{"name": self.mapping["users"][0]["name"], "user": user}]}


@contextlib.contextmanager
def _watched(folder):
    """Yields a set of the files that were ever in a folder, even for a short time (polled every 2 ms)."""
    folder.mkdir()
    seen, done = set(), threading.Event()

    def watch():
        while not done.wait(0.002):
            seen.update(os.listdir(folder))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        done.set()
        thread.join()
        seen.update(os.listdir(folder))


def _script(path, text):
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o700)
    return str(path)


def _exec(command, **more):
    return {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": command,
            "interactiveMode": "Never",
            **more,
        }
    }


def _exec_credential(**status):
    return json.dumps({"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status})


def _who(event):
    acting = event.get("impersonatedUser")
    return event["user"]["username"], acting and (acting["username"], sorted(acting["groups"]))


@WAYS
def test_all_ways_to_authenticate_without_temporary_files(cluster, tmp_path, as_module):
    control_plane = cluster.control_plane

    def user(name):
        return Credentials(control_plane, tmp_path, name)

    token, ca, url = control_plane.token, str(control_plane.ca_file), control_plane.url
    by_path, inline, text, as_json, files, contexts, adjacent, plugin, trusting = map(
        user, ("path", "inline", "text", "json", "files", "contexts", "adjacent", "plugin", "trusting")
    )
    two = {**contexts.mapping, "current-context": "wrong"}
    two["contexts"] = [*two["contexts"], {"name": "wrong", "context": {"cluster": "ranchhand", "user": "unprivileged"}}]
    two["users"] = [*two["users"], {"name": "unprivileged", "user": {"token": "wrong"}}]
    relative = adjacent.with_user({"client-certificate": "adjacent.client_cert", "client-key": "adjacent.client_key"})
    relative["clusters"] = [
        {"name": "ranchhand", "cluster": {"server": url, "certificate-authority": "adjacent.ca_cert"}}
    ]
    (tmp_path / "relative.yaml").write_text(yaml.safe_dump(relative))
    (tmp_path / "token").write_text(token)
    pem = {
        key: Path(plugin.files[option]).read_text()
        for key, option in (("clientCertificateData", "client_cert"), ("clientKeyData", "client_key"))
    }
    (tmp_path / "certificate.json").write_text(_exec_credential(**pem))
    (tmp_path / "token.json").write_text(_exec_credential(token=token))
    untrusted = {**trusting.mapping, "clusters": [{"name": "ranchhand", "cluster": {"server": url}}]}
    admin = (ControlPlane.ADMINISTRATOR, None)
    cases = [
        ({"kubeconfig": str(by_path.path)}, ("path", None)),
        ({"kubeconfig": inline.mapping}, ("inline", None)),
        ({"kubeconfig": yaml.safe_dump(text.mapping)}, ("text", None)),
        ({"kubeconfig": "{{ as_json }}"}, ("json", None)),
        ({"kubeconfig": two, "context": "ranchhand"}, ("contexts", None)),
        ({"kubeconfig": str(tmp_path / "relative.yaml")}, ("adjacent", None)),
        ({"kubeconfig": untrusted, "ca_cert": ca}, ("trusting", None)),
        ({"kubeconfig": untrusted, "validate_certs": False}, ("trusting", None)),
        ({"kubeconfig": inline.with_user({"tokenFile": str(tmp_path / "token")})}, admin),
        ({"kubeconfig": inline.with_user(_exec(_script(tmp_path / "token.sh", f"cat {tmp_path}/token.json")))}, admin),
        ({"kubeconfig": inline.with_user(_exec("cat", args=[str(tmp_path / "certificate.json")]))}, ("plugin", None)),
        ({"host": url, "api_key": token, "ca_cert": ca}, admin),
        ({"host": url + "/", "api_key": token + "\n", "ssl_ca_cert": ca}, admin),
        ({"host": url, "api_key": token, "verify_ssl": False}, admin),
        ({"host": url, **files.files}, ("files", None)),
        (
            {
                "impersonate_user": "someone",
                "impersonate_groups": ["system:masters", "team"],
                "kubeconfig": inline.mapping,
            },
            ("inline", ("someone", ["system:authenticated", "system:masters", "team"])),
        ),
    ]
    if as_module:  # each takes a second
        cases = cases[1::3]
    mark = control_plane.audit_mark()
    with _watched(tmp_path / "tmp") as written:
        played = cluster.play(
            *[{INFO: {"id": f"cc-case{number}", **options}} for number, (options, _user) in enumerate(cases)],
            as_module=as_module,
            variables={"as_json": json.dumps(as_json.mapping)},
            environment={"K8S_AUTH_KUBECONFIG": "/nowhere", "TMPDIR": str(tmp_path / "tmp")},
        )
    assert [(task["status"], task["result"].get("msg")) for task in played.tasks] == [("ok", None)] * len(cases)
    assert "WARNING" not in played.output and "Warning" not in played.output
    users = {
        event["requestURI"].rpartition("cc-case")[2]: _who(event)
        for event in control_plane.audit(mark)
        if "/cc-case" in event["requestURI"]
    }
    assert users == {str(number): expected for number, (_options, expected) in enumerate(cases)}
    # except files of ansible-core, and Python's check of whether the folder is writable
    assert not {name for name in written if not re.fullmatch("ansible.*|pymp-.*|[a-z0-9_]{8}", name)}


def test_environment_variables(cluster, monkeypatch):
    """All are read; options of the task override them; an empty variable is not set."""
    control_plane = cluster.control_plane
    empty = {
        f"K8S_AUTH_{name}": ""
        for name in ("KUBECONFIG", "VERIFY_SSL", "CONTEXT", "PROXY", "IMPERSONATE_USER", "IMPERSONATE_GROUPS")
    }
    environment = {**empty, "K8S_AUTH_HOST": control_plane.url, "K8S_AUTH_API_KEY": control_plane.token}
    trusted = {"K8S_AUTH_SSL_CA_CERT": str(control_plane.ca_file)}
    refused = cluster.play({INFO: {}}, environment=environment).result
    allowed = cluster.play(
        {INFO: {}},
        {INFO: {"host": "https://127.0.0.1:1", "kubeconfig": None, "api_key": "x", "context": ""}},
        environment={**environment, **trusted},
    ).results
    assert refused["code"] == "unreachable" and "certificate is not trusted" in refused["msg"], refused
    assert allowed[0]["credentials"] == [] and allowed[1]["code"] == "unreachable" and ":1 " in allowed[1]["msg"], (
        allowed
    )
    variables = {
        "KUBECONFIG": "/a",
        "CONTEXT": "b",
        "HOST": "https://c",
        "API_KEY": "d",
        "USERNAME": "e",
        "PASSWORD": "f",
        "VERIFY_SSL": "no",
        "SSL_CA_CERT": "/g",
        "CERT_FILE": "/h",
        "KEY_FILE": "/i",
        "PROXY": "http://j",
        "NO_PROXY": "k,l",
        "IMPERSONATE_USER": "m",
        "IMPERSONATE_GROUPS": "n,o",
        "PROXY_HEADERS_PROXY_BASIC_AUTH": "p:q",
    }
    for name, value in variables.items():
        monkeypatch.setenv(f"K8S_AUTH_{name}", value)
    assert connection_options({"context": "given"}) == {
        "kubeconfig": "/a",
        "context": "given",
        "host": "https://c",
        "api_key": "d",
        "username": "e",
        "password": "f",
        "validate_certs": False,
        "ca_cert": "/g",
        "client_cert": "/h",
        "client_key": "/i",
        "proxy": "http://j",
        "no_proxy": "k,l",
        "impersonate_user": "m",
        "impersonate_groups": ["n", "o"],
        "proxy_headers": {"proxy_basic_auth": "p:q", "basic_auth": None, "user_agent": None},
    }


def test_parity_with_kubernetes_core(monkeypatch):
    """Same names, aliases, types and variables, except persist_config, which writes files, and use_environment."""
    path = os.environ.get("RANCHHAND_KUBERNETES_CORE")
    if not path:
        assert os.environ.get("CI", "").lower() in ("", "0", "false"), (
            "RANCHHAND_KUBERNETES_CORE must name kubernetes.core's args_common.py"
        )
        pytest.skip("kubernetes.core was not fetched")
    theirs = runpy.run_path(path)
    options = dict(theirs["AUTH_ARG_SPEC"])
    del options["persist_config"]

    def comparable(spec):
        return {
            name: (
                option.get("type", "str"),
                sorted(option.get("aliases", ())),
                bool(option.get("no_log")),
                option.get("elements"),
                comparable(option.get("options", {})),
            )
            for name, option in spec.items()
        }

    ours = {name: option for name, option in CONNECTION.options.items() if name != "use_environment"}
    assert comparable(ours) == comparable(options)
    for variable, name in {**{name: name for name in options}, **theirs["AUTH_ARG_MAP"]}.items():
        if name in options and name != "proxy_headers":
            monkeypatch.setenv(f"K8S_AUTH_{variable.upper()}", "1")
            assert connection_options({})[name] in ("1", True, ["1"]), variable
            monkeypatch.delenv(f"K8S_AUTH_{variable.upper()}")
    for name in options["proxy_headers"]["options"]:
        monkeypatch.setenv(f"K8S_AUTH_PROXY_HEADERS_{name.upper()}", "1")
        assert connection_options({})["proxy_headers"][name] == "1"


def test_proxies(cluster):
    """A proxy is used, gets its own credentials, is bypassed with no_proxy, and is named in errors."""
    here = {"kubeconfig": str(cluster.control_plane.kubeconfig), "id": "cc-x"}
    with ConnectProxy() as proxy:
        address = cluster.control_plane.url.partition("://")[2]
        by_proxy = {"proxy": proxy.url, "proxy_headers": {"proxy_basic_auth": "me:secret"}}
        played = cluster.play(
            {INFO: {**here, **by_proxy}},
            {INFO: {**here, **by_proxy, "no_proxy": "example.com,127.0.0.1"}},
            {INFO: {**here, "proxy": "http://127.0.0.1:1"}},
        )
        through, around, away = played.results
        assert through["credentials"] == around["credentials"] == []
        assert {target for target, _headers in proxy.asked} == {address} and len(proxy.asked) <= 3
        assert proxy.asked[0][1]["proxy-authorization"] == basic("me", "secret")
    assert away["code"] == "unreachable" and "proxy" in away["msg"] and "refused" in away["msg"], away


def test_user_and_password_reach_the_server(cluster):
    """kube-apiserver no longer supports passwords; a recorder is the fake of a server that does."""
    with FaultInjector() as recorder:
        recorder.rule(
            "GET",
            lambda seen: (200, {"Content-Type": "application/json"}, b'{"kind": "SecretList", "items": []}'),
            times=100,
        )
        result = cluster.play({INFO: {"host": recorder.url, "username": "me", "password": "p:ä"}}).result
        assert result["credentials"] == []
        assert {seen.headers["authorization"] for seen in recorder.seen} == {basic("me", "p:ä")}


def test_in_a_pod(cluster, monkeypatch, tmp_path):
    """With other paths of the pod's token and certificates; in this process."""
    from kubernetes.config import incluster_config

    (tmp_path / "token").write_text(cluster.control_plane.token)
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(tmp_path / "token"))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(cluster.control_plane.ca_file))
    host, _colon, port = cluster.control_plane.url.partition("://")[2].rpartition(":")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", port)
    assert KubernetesClient(connection_options({})).get(SECRETS)["items"] == []
    by_path = KubernetesClient(connection_options({"kubeconfig": str(cluster.control_plane.user("unprivileged"))}))
    with pytest.raises(RanchhandError, match="unprivileged"):
        by_path.get(SECRETS)
    (tmp_path / "token").unlink()
    with pytest.raises(RanchhandError) as refused:
        KubernetesClient(connection_options({}))
    assert refused.value.code == "invalid"
    monkeypatch.setenv("KUBECONFIG", str(cluster.control_plane.kubeconfig))
    assert KubernetesClient(connection_options({})).get(SECRETS)["items"] == []


class Expiring:
    """An exec plugin or token file whose credentials can be replaced while a client exists."""

    def __init__(self, folder):
        self.output = folder / "output"
        self.runs = folder / "runs"
        self.command = _script(folder / "plugin.sh", f"echo run >> {self.runs}\ncat {self.output}")

    def returns(self, seconds, **status):
        expiry = (now() + datetime.timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
        self.output.write_text(_exec_credential(expirationTimestamp=expiry, **status))

    @property
    def count(self):
        return len(self.runs.read_text().splitlines())


def _certificate(credentials):
    return {
        key: Path(credentials.files[option]).read_text()
        for key, option in (("clientCertificateData", "client_cert"), ("clientKeyData", "client_key"))
    }


def test_a_certificate_of_an_exec_plugin_is_renewed(cluster, tmp_path):
    control_plane = cluster.control_plane
    first, second = (Credentials(control_plane, tmp_path, name) for name in ("first-certificate", "second-certificate"))
    plugin = Expiring(tmp_path)
    plugin.returns(31, **_certificate(first))
    client = KubernetesClient(connection_options({"kubeconfig": first.with_user(_exec(plugin.command))}))
    mark = control_plane.audit_mark()
    client.get(SECRETS, limit=1)
    before = plugin.count
    plugin.returns(3600, **_certificate(second))
    time.sleep(2)
    list(parallel_results(lambda _number: client.get(SECRETS, limit=2), range(8)))
    users = [event["user"]["username"] for event in control_plane.audit(mark) if "limit=" in event["requestURI"]]
    assert users == ["first-certificate"] + ["second-certificate"] * 8
    assert plugin.count == before + 1


@pytest.mark.parametrize(
    ("credentials", "option"),
    [
        ({"api_key": "x", "username": "a", "password": "b"}, "api_key"),
        ({"username": "a", "password": "b"}, "username and password"),
        ({"client_cert": "a.crt", "client_key": "a.key"}, "client_cert and client_key"),
    ],
    ids=str,
)
def test_the_option_of_the_credentials(credentials, option):
    options = connection_options({"host": "https://127.0.0.1:1", **credentials})
    assert ConnectionConfiguration(options).credentials_option == option


def test_a_rejected_token_is_renewed_once(cluster, tmp_path):
    """For a token file, and for an exec plugin; the options of the task are kept."""
    control_plane = cluster.control_plane
    mapping = json.loads(control_plane.user("someone", MASTERS).read_text())
    token = tmp_path / "token"
    plugin = Expiring(tmp_path)
    for user in ({"tokenFile": str(token)}, _exec(plugin.command)):
        token.write_text("expired\n")
        plugin.returns(3600, token="expired")
        kubeconfig = {**mapping, "users": [{"name": mapping["users"][0]["name"], "user": user}]}
        kubeconfig["clusters"] = [{"name": "ranchhand", "cluster": {"server": "https://127.0.0.1:1"}}]
        options = {"host": control_plane.url, "ca_cert": str(control_plane.ca_file)}
        client = KubernetesClient(connection_options({"kubeconfig": kubeconfig, **options}))
        with pytest.raises(RanchhandError, match="401 Unauthorized.*Check kubeconfig"):
            client.get(SECRETS)
        token.write_text(control_plane.token + "\n")
        plugin.returns(3600, token=control_plane.token)
        assert client.get(SECRETS)["items"] == []


def test_a_token_file_is_read_again_after_a_minute(cluster, tmp_path, monkeypatch):
    token = tmp_path / "token"
    token.write_text("first")
    with FaultInjector() as recorder:
        recorder.rule(
            "GET", lambda seen: (200, {"Content-Type": "application/json"}, b'{"kind": "SecretList"}'), times=9)
        kubeconfig = {
            "current-context": "x", "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
            "clusters": [{"name": "x", "cluster": {"server": recorder.url}}],
            "users": [{"name": "x", "user": {"tokenFile": str(token)}}],
        }
        client = KubernetesClient(connection_options({"kubeconfig": kubeconfig}))
        client.get(SECRETS)
        token.write_text("second")
        client.get(SECRETS)
        monkeypatch.setattr(kubeconfig_module, "_TOKEN_FILE_AGE", -1.0)
        client.get(SECRETS)
        by_password = {"kubeconfig": kubeconfig, "username": "me", "password": "secret"}
        KubernetesClient(connection_options(by_password)).get(SECRETS)
        KubernetesClient(connection_options({**by_password, "api_key": "own"})).get(SECRETS)
        headers = [seen.headers["authorization"] for seen in recorder.seen]
    assert headers == ["Bearer first", "Bearer first", "Bearer second", basic("me", "secret"), "Bearer own"]


@pytest.mark.parametrize("by", ["option", "environment", "kubeconfig"])
def test_a_proxy_without_a_scheme(cluster, monkeypatch, by):
    with ConnectProxy() as proxy:
        address = proxy.url.partition("://")[2]
        kubeconfig = json.loads(Path(cluster.control_plane.kubeconfig).read_text())
        options = {"kubeconfig": kubeconfig}
        if by == "option":
            options["proxy"] = address
        elif by == "environment":
            monkeypatch.setenv("K8S_AUTH_PROXY", address)
        else:
            kubeconfig["clusters"][0]["cluster"]["proxy-url"] = address
        assert KubernetesClient(connection_options(options)).get(SECRETS)["items"] == []
        if by != "kubeconfig" or supports_proxy_url():
            assert len(proxy.asked) == 1


def supports_proxy_url():
    """Return whether this version of the client reads proxy-url."""
    return "proxy-url" in inspect.getsource(libraries.KubeConfigLoader)


@pytest.mark.parametrize("proxy", ["ftp://me:canary@proxy:1", "http://", "http://proxy:port-canary", "://canary"])
def test_a_malformed_proxy_is_refused_without_quoting_it(cluster, proxy):
    with pytest.raises(RanchhandError, match="^proxy must be a URL such as ") as refused:
        KubernetesClient(connection_options({"kubeconfig": str(cluster.control_plane.kubeconfig), "proxy": proxy}))
    assert refused.value.code == "invalid" and "canary" not in refused.value.message


def test_a_list_starts_again_after_its_token_expired(cluster, monkeypatch):
    """The result is that of the last attempt: neither objects that are gone, nor former versions."""
    monkeypatch.setattr(client_module, "PAGE", 2)
    names = [cluster.secret(f"cc-{letter}", display_name="before")["metadata"]["name"] for letter in "abc"]
    with FaultInjector(cluster.control_plane) as faults:
        def change_and_expire(seen):
            cluster.api.delete(f"{SECRETS}/cc-b")
            cluster.api.patch(f"{SECRETS}/cc-a", {"metadata": {"annotations": {"field.cattle.io/name": "after"}}})
            return reply(410, "expired", "Expired")(seen)

        faults.rule("GET", change_and_expire, path="continue=")
        found = KubernetesClient(connection_options(faults.options)).list_objects(SECRETS)
    assert names == ["cc-a", "cc-b", "cc-c"]
    shown = [(item["metadata"]["name"], item["metadata"]["annotations"]["field.cattle.io/name"]) for item in found]
    assert shown == [("cc-a", "after"), ("cc-c", "before")]


def test_messages_of_failed_connections(cluster, tmp_path):
    control_plane = cluster.control_plane
    secret = cluster.secret("cc-there", display_name="there")["metadata"]["name"]
    url, ca = control_plane.url, str(control_plane.ca_file)
    unprivileged = str(control_plane.user("unprivileged"))
    mapping = Credentials(control_plane, tmp_path, "someone")
    failing = mapping.with_user(_exec(_script(tmp_path / "failing.sh", "echo quite secret >&2; exit 3")))
    silent = mapping.with_user(_exec("true"))
    missing = mapping.with_user(_exec("/no/such/plugin"))
    empty = mapping.with_user(_exec("echo", args=[_exec_credential()]))
    half = {
        **mapping.mapping,
        "users": [
            {"name": "someone", "user": {"client-certificate-data": "bm90aGluZw==", "client-key-data": "bm90aGluZw=="}}
        ],
    }
    with FaultInjector(control_plane) as faults, FaultInjector() as other, FaultInjector() as rancher:
        faults.rule("GET", reply(403), path="/secrets", times=1000)
        faults.rule("POST", reply(403), path="selfsubjectrulesreviews", times=1000)
        other.rule("GET", lambda seen: (200, {"Content-Type": "text/html"}, b"<html>hello</html>"), times=1000)
        rancher.rule(
            "GET",
            lambda seen: (200, {"Content-Type": "application/json"}, b'{"type": "collection", "data": []}'),
            times=1000,
        )
        by = {"host": url, "ca_cert": ca}
        cases = [
            ({"host": "https://127.0.0.1:1", "api_key": "x"}, "unreachable", "Connection refused (5 attempts in "),
            ({"host": url, "api_key": "x"}, "unreachable", "certificate is not trusted"),
            ({**by, "host": url.replace("127.0.0.1", "127.0.0.2"), "api_key": "x"}, "unreachable", ""),
            ({**by, "api_key": "wrong"}, "forbidden", f"{url} rejected the credentials of the connection (401"),
            ({**by, "api_key": "wrong"}, "forbidden", "Check api_key"),
            ({"kubeconfig": unprivileged}, "forbidden", "secrets in namespace cattle-global-data"),
            (
                {"kubeconfig": unprivileged, "id": secret},
                "forbidden",
                f"secrets {secret} in namespace cattle-global-data",
            ),
            ({**faults.options}, "forbidden", "may not"),
            ({**faults.options, "id": secret}, "forbidden", "secrets"),
            (
                {**other.options, "host": other.url, "api_key": "x"},
                "unreachable",
                "does not answer like a Kubernetes API server",
            ),
            ({"host": rancher.url, "api_key": "x"}, "unreachable", "does not answer like a Kubernetes API server"),
            ({"kubeconfig": "/no/such/file"}, "invalid", "/no/such/file"),
            ({"kubeconfig": mapping.mapping, "context": "nowhere"}, "invalid", "nowhere"),
            ({"kubeconfig": half}, "invalid", "certificate"),
            ({**by, "client_cert": "/no/such.crt", "client_key": "/no/such.key"}, "invalid", "No such file"),
            ({"kubeconfig": failing}, "forbidden", "failing.sh"),
            ({"kubeconfig": silent}, "forbidden", "true"),
            ({"kubeconfig": missing}, "forbidden", "/no/such/plugin"),
            ({"kubeconfig": empty}, "forbidden", "neither a token"),
        ]
        played = cluster.play(
            *[{INFO: options} for options, _code, _words in cases],
            {MODULE: {"kubeconfig": unprivileged, "name": "there", "state": "absent"}},
            {MODULE: {"kubeconfig": unprivileged, "id": secret, "state": "absent"}},
            {MODULE: {**faults.options, "name": "there", "state": "absent"}},
            environment={"K8S_AUTH_KUBECONFIG": ""},
        )
    results = played.results
    outcomes = [(result.get("code"), result.get("msg", "")) for result in results]
    for (options, code, words), (real, message) in zip(cases, outcomes):
        assert real == code and words in message, (options, real, message)
    assert [code for code, _message in outcomes[len(cases) :]] == ["forbidden"] * 3, "403 reads as absent"
    for _code, message in outcomes:
        assert "\n" not in message and len(message) < 300 and "internal error" not in message, message
    assert "Traceback" not in played.output and "quite secret" not in played.output
    assert cluster.stored(secret)


def test_a_host_without_credentials_does_not_get_those_of_another_server(monkeypatch, cluster):
    """Neither those of the environment nor those of the default kubeconfig."""
    monkeypatch.setenv("K8S_AUTH_API_KEY", "of another server")
    monkeypatch.setenv("KUBECONFIG", str(cluster.control_plane.kubeconfig))
    options = {"host": "http://127.0.0.1:1", "use_environment": False}
    with pytest.raises(RanchhandError, match="host has no credentials: set api_key"):
        connection_options(options)
    assert connection_options({**options, "api_key": "own"})["api_key"] == "own"


def test_a_server_that_never_answers(cluster, monkeypatch):
    """With a shorter timeout and fewer attempts; in this process."""
    monkeypatch.setattr(transport, "READ_TIMEOUT", 0.2)
    monkeypatch.setattr(transport, "ATTEMPTS", 2)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        api = KubernetesClient(
            connection_options({"host": f"http://127.0.0.1:{listener.getsockname()[1]}", "api_key": "x"})
        )
        started = time.monotonic()
        with pytest.raises(RanchhandError) as refused:
            api.get(SECRETS)
    assert refused.value.code == "unreachable" and "no answer within" in refused.value.message
    assert time.monotonic() - started < 5


def test_a_cluster_without_rancher():
    with ControlPlane() as bare:
        folder = bare.directory / "plays"
        folder.mkdir()
        new = {"name": "x", "driver": "digitalocean", "config": {}, "secrets": {"accessToken": "x"}}
        unprivileged = str(bare.user("unprivileged"))
        played = Cluster(bare, folder).play(
            {INFO: {}},
            {MODULE: {**new, "owner": "alice"}},
            {MODULE: {"name": "x", "state": "absent"}},
            {MODULE: {**new, "owner": "alice", "validate_config": False}},
            {INFO: {"kubeconfig": unprivileged}},
            {INFO: {"id": "cc-x"}},
        )
        for result in played.results[:4]:
            assert result["code"] == "unsupported" and "not the management cluster of a Rancher" in result["msg"], (
                result
            )
        assert played.results[4]["code"] == "forbidden"
        assert played.results[5]["code"] == "unsupported"


def _json(value):
    return 200, {"Content-Type": "application/json"}, value if isinstance(value, bytes) else json.dumps(value).encode()


ODD_ANSWERS = {
    "HTML": (200, {"Content-Type": "text/html"}, b"<html>canary</html>"),
    "no body": _json(b""),
    "truncated": _json(b'{"kind": "SecretList", "items": [{"metadata": {"na'),
    "a list": _json([{"kind": "SecretList"}]),
    "nested": _json(b"[" * 200_000),
    "another kind": _json({"kind": "Status", "items": []}),
    "items of text": _json({"kind": "SecretList", "items": "canary"}),
    "an item of null": _json({"kind": "SecretList", "items": [None]}),
    "an item without metadata": _json({"kind": "SecretList", "items": [{"data": {"canary": "x"}}]}),
    "metadata of text": _json({"kind": "SecretList", "items": [], "metadata": "canary"}),
    "a name that is a number": _json({"kind": "SecretList", "items": [{"metadata": {"name": 5}}]}),
    "a redirect": (302, {"Location": "http://canary.example/"}, b""),
    "not UTF-8": _json(b"\xff\xfe{}"),
    "endless pages": _json({"kind": "SecretList", "items": [], "metadata": {"continue": "x"}}),
}


@pytest.mark.parametrize("answer", ODD_ANSWERS.values(), ids=ODD_ANSWERS)
def test_odd_answers_are_expected_failures(answer, monkeypatch):
    """A fake server; nothing is written, and no part of the answer is in the message."""
    monkeypatch.setattr(client_module, "MOST_PAGES", 20)
    with FaultInjector() as server:
        server.rule(".*", lambda seen: answer, times=100)
        client = KubernetesClient(connection_options({"host": server.url, "api_key": "x"}))
        with pytest.raises(RanchhandError) as failure:
            client.list_objects(SECRETS)
        assert {seen.method for seen in server.seen} == {"GET"} and len(server.seen) <= 20
    assert failure.value.code in ("unreachable", "server_error")
    assert "canary" not in failure.value.message and len(failure.value.message) < 200
