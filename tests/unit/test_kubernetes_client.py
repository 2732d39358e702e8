# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of the client that need no API server: the cache, error messages, and the missing third-party package."""

from __future__ import annotations

import json
import subprocess
import sys
import threading

import pytest
from ansible_collections.ranchhand.rancher.plugins.module_utils._kubernetes.cache import ReadCache
from ansible_collections.ranchhand.rancher.plugins.module_utils._kubernetes.concurrency import parallel_results
from ansible_collections.ranchhand.rancher.plugins.module_utils._kubernetes.messages import api_error

SECRET = "/api/v1/namespaces/cattle-global-data/secrets/cc-x"
CLUSTERS = "/apis/provisioning.cattle.io/v1/namespaces/fleet-default/clusters"


class Reader:
    """Returns the number of its calls."""

    calls = 0

    def __call__(self):
        self.calls += 1
        return self.calls


@pytest.fixture
def clock():
    return [0.0]


@pytest.fixture
def cache(clock):
    return ReadCache(lambda: clock[0])


def test_values_are_read_again_when_they_are_too_old(cache, clock):
    reader = Reader()
    assert [cache.get("key", 10, reader), cache.get("key", 10, reader)] == [1, 1]
    clock[0] = 10.1
    assert cache.get("key", 10, reader) == 2


def test_an_update_does_not_change_the_age(cache, clock):
    reader = Reader()
    cache.update("key", lambda value: value + 100)
    assert cache.get("key", 10, reader) == 1, "there was nothing to update"
    clock[0] = 9
    cache.update("key", lambda value: value + 100)
    assert cache.get("key", 10, reader) == 101
    clock[0] = 10.1
    assert cache.get("key", 10, reader) == 2


def test_an_invalidated_value_is_read_again(cache):
    reader = Reader()
    cache.get("key", 10, reader)
    cache.invalidate("key")
    assert cache.get("key", 10, reader) == 2


def test_concurrent_threads_read_once(cache):
    reader, started = Reader(), threading.Barrier(4)

    def read(_number):
        started.wait(10)
        return cache.get("key", 10, reader)

    assert list(parallel_results(read, range(4))) == [1, 1, 1, 1]


def status_object(message="", reason=""):
    return json.dumps({"kind": "Status", "message": message, "reason": reason}).encode()


@pytest.mark.parametrize(
    ("method", "path", "status", "data", "code", "message"),
    [
        pytest.param(
            "DELETE",
            SECRET,
            403,
            b"",
            "forbidden",
            "this connection may not delete secrets cc-x in namespace cattle-global-data: 403 Forbidden",
            id="403 without a body",
        ),
        pytest.param(
            "POST",
            CLUSTERS,
            403,
            status_object("denied"),
            "forbidden",
            "this connection may not create clusters.provisioning.cattle.io in namespace fleet-default: denied",
            id="403",
        ),
        pytest.param(
            "GET",
            "/apis/management.cattle.io/v3/users/u-x",
            404,
            status_object("no such user", "NotFound"),
            "not_found",
            "cannot read users.management.cattle.io u-x: no such user",
            id="404",
        ),
        pytest.param(
            "PATCH",
            SECRET,
            409,
            b"<html>",
            "conflict",
            "cannot update secrets cc-x in namespace cattle-global-data: conflict",
            id="409 without JSON",
        ),
        pytest.param(
            "PATCH",
            SECRET,
            400,
            status_object("cannot parse: secret value"),
            "server_error",
            "cannot update secrets cc-x in namespace cattle-global-data: the API server rejected the request as"
            " malformed (400)",
            id="400",
        ),
        pytest.param(
            "POST",
            "/api/v1/namespaces",
            422,
            status_object("metadata.name: invalid"),
            "invalid",
            "cannot create namespaces: metadata.name: invalid",
            id="422",
        ),
        pytest.param("GET", "/version", 503, b"[]", "server_error", "cannot read /version: HTTP status 503", id="503"),
    ],
)
def test_error_responses_become_messages(method, path, status, data, code, message):
    error = api_error(method, path, status, data)
    assert (error.code, error.message, error.status) == (code, message, status)


def test_a_missing_package_is_reported_with_a_remedy():
    program = (
        "import sys; sys.modules['kubernetes'] = None\n"
        "from ansible_collections.ranchhand.rancher.plugins.module_utils._kubernetes.client import KubernetesClient\n"
        "try: KubernetesClient({})\n"
        "except Exception as error: print(error.code, error.message)\n"
    )
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert output.startswith("unsupported cannot import the Python package kubernetes"), output
    assert output.endswith("install version 24.2.0 or newer\n"), output
