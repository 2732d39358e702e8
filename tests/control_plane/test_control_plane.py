# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The control plane that all other tests rely on."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
import yaml
from kubernetes import client, config

from control_plane import ApiClient, ApiError, ControlPlane, Unavailable, install_fixtures
from control_plane.fixtures import NAMESPACES, objects, resources

TESTS = Path(__file__).resolve().parents[1]
OWNER_PROGRAM = """
import signal, time
from control_plane import ControlPlane
signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs of a shell ignore it
with ControlPlane() as control_plane:
    print(control_plane.directory, *control_plane.pids.values(), flush=True)
    time.sleep(600)
"""


@pytest.fixture(scope="module")
def control_plane():
    with ControlPlane(tokens={"user-8knjc": ["system:authenticated"]}) as running:
        yield running


def _secret(name):
    return {"metadata": {"name": name}, "stringData": {"a": "b"}}


def _is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _eventually(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


def test_python_accepts_its_certificate_strictly(control_plane):
    context = ssl.create_default_context(cafile=str(control_plane.ca_file))
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    request = urllib.request.Request(
        control_plane.url + "/version", headers={"Authorization": "Bearer " + control_plane.token}
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    with opener.open(request, timeout=20) as answer:
        assert answer.status == 200
    with pytest.raises(ssl.SSLError):
        with ssl.create_default_context().wrap_socket(
            socket.create_connection(("127.0.0.1", int(control_plane.url.rsplit(":", 1)[1]))),
            server_hostname="127.0.0.1",
        ):
            pass


def test_users_authenticate_by_certificate_or_token_and_have_no_permissions(control_plane):
    for kubeconfig in (control_plane.user("user-8knjc", ["team"]), control_plane.token_kubeconfig("user-8knjc")):
        assert os.stat(kubeconfig).st_mode & 0o077 == 0
        with config.new_client_from_config(config_file=str(kubeconfig)) as api_client:
            with pytest.raises(client.ApiException) as refused:
                client.CoreV1Api(api_client).list_namespaced_secret("default")
            assert refused.value.status == 403
            assert "user-8knjc" in refused.value.body
    with config.new_client_from_config(config_file=str(control_plane.kubeconfig)) as api_client:
        assert client.CoreV1Api(api_client).list_namespaced_secret("default").items == []


def test_the_audit_log_shows_writers_since_a_position(control_plane):
    secrets = "/api/v1/namespaces/default/secrets"
    control_plane.api.post(secrets, _secret("before"))
    mark = control_plane.audit_mark()
    control_plane.api.post(secrets, _secret("after"))
    with pytest.raises(ApiError) as refused:
        control_plane.client("alice", ["team"]).post(secrets, _secret("by-alice"))
    assert (refused.value.status, refused.value.reason) == (403, "Forbidden")
    writes = [event for event in control_plane.audit(mark) if event["verb"] not in ("get", "list", "watch")]
    assert [(event["user"]["username"], event["verb"], event["responseStatus"]["code"]) for event in writes] == [
        (ControlPlane.ADMINISTRATOR, "create", 201),
        ("alice", "create", 403),
    ]
    assert "after" in writes[0]["objectRef"]["name"]


def test_a_service_account_gets_a_token_that_works(control_plane):
    accounts = "/api/v1/namespaces/default/serviceaccounts"
    control_plane.api.post(accounts, {"metadata": {"name": "robot"}})
    token = control_plane.api.post(accounts + "/robot/token", {"spec": {}})["status"]["token"]
    api = ApiClient(control_plane.url, control_plane.ca_file, token=token)
    review = api.post(
        "/apis/authentication.k8s.io/v1/selfsubjectreviews",
        {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"},
    )
    assert review["status"]["userInfo"]["username"] == "system:serviceaccount:default:robot"


def test_a_restarted_api_server_has_its_objects(control_plane):
    control_plane.api.post("/api/v1/namespaces/default/configmaps", {"metadata": {"name": "kept"}})
    control_plane.kill_apiserver()
    control_plane.start_apiserver()
    assert control_plane.api.get("/api/v1/namespaces/default/configmaps/kept")["metadata"]["name"] == "kept"


@pytest.mark.parametrize("rancher", ["2.10.0", pytest.param("2.15.0", marks=pytest.mark.slow)])
def test_the_fixtures_are_complete(rancher):
    with ControlPlane() as control_plane:
        install_fixtures(control_plane, rancher)
        install_fixtures(control_plane, rancher)
        api = control_plane.api
        assert set(NAMESPACES) <= {item["metadata"]["name"] for item in api.get("/api/v1/namespaces")["items"]}
        for item in resources(rancher):
            found = api.get("/apis/%s/%s/%s" % (item.group, item.version, item.plural))["items"]
            wanted = [
                content
                for content in objects(rancher)
                if content["kind"] == item.kind and content["apiVersion"].startswith(item.group)
            ]
            assert sorted(content["metadata"]["name"] for content in found) == sorted(
                content["metadata"]["name"] for content in wanted
            )
            for content in wanted:
                # The status is there as well: Rancher has no status subresource on these kinds.
                stored = next(other for other in found if other["metadata"]["name"] == content["metadata"]["name"])
                assert {key: value for key, value in stored.items() if key != "metadata"} == {
                    key: value for key, value in content.items() if key != "metadata"
                }
        groups = {group["name"] for group in api.get("/apis")["groups"]}
        assert ("turtles-capi.cattle.io" in groups) == (rancher == "2.15.0")


def test_two_control_planes_are_independent(control_plane):
    with ControlPlane() as other:
        assert other.url != control_plane.url
        other.api.post("/api/v1/namespaces", {"metadata": {"name": "only-here"}})
        with pytest.raises(ApiError) as missing:
            control_plane.api.get("/api/v1/namespaces/only-here")
        assert missing.value.status == 404
        directory, pids = other.directory, list(other.pids.values())
    assert not directory.exists()
    assert not any(map(_is_alive, pids))
    with pytest.raises(Unavailable):
        other.kill_apiserver()


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_is_left_after_its_owner_is_killed(signum):
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER_PROGRAM],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=dict(os.environ, PYTHONPATH=str(TESTS)),
        start_new_session=True,
    )
    try:
        directory, *pids = owner.stdout.readline().split()
        pids = [int(pid) for pid in pids]
        assert len(pids) == 3 and all(map(_is_alive, pids)) and os.path.isdir(directory)
    finally:
        os.killpg(owner.pid, signum)
        owner.wait()
        owner.stdout.close()
    assert _eventually(lambda: not any(map(_is_alive, pids)) and not os.path.exists(directory))


def test_a_missing_program_is_reported_in_a_sentence(monkeypatch, tmp_path):
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path))
    with pytest.raises(Unavailable, match="no program etcd and no kube-apiserver"):
        ControlPlane().start()
    for name, script in (("etcd", "echo it cannot be done >&2; exit 1"), ("kube-apiserver", "exit 1")):
        (tmp_path / name).write_text("#!/bin/sh\n" + script + "\n")
        (tmp_path / name).chmod(0o755)
    with pytest.raises(Unavailable, match="etcd ended while starting; its last words: it cannot be done$"):
        ControlPlane().start()


def test_the_kubeconfig_is_plain_yaml(control_plane):
    content = yaml.safe_load(control_plane.kubeconfig.read_text())
    assert content["clusters"][0]["cluster"]["server"] == control_plane.url
