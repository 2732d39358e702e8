# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All versions of all objects, in the order in which they were stored, as watches report them."""

from __future__ import annotations

import json
import threading
import time
import typing

import urllib3

from support.cluster import SECRETS
from support.objects import TEMPLATES

from .fleet import Record, parse

PATHS = (SECRETS, TEMPLATES)
MARKER = "marker"  # the name of the objects that end a history


class Event(typing.NamedTuple):
    """A version of an object; `gone` if it was deleted with it."""

    version: int
    gone: bool
    record: Record


def version_now(api):
    """Return the version of the cluster that a read returns now."""
    return int(api.get(f"{SECRETS}?limit=1")["metadata"]["resourceVersion"])


class History:
    """Records the events of credentials and node templates, whose versions have one order in etcd."""

    def __init__(self, control_plane):
        self._control_plane = control_plane
        self.start = version_now(control_plane.api)
        self.stored = [record for path in PATHS for record in map(parse, _at(control_plane.api, path, self.start))]
        self._events = {path: [] for path in PATHS}
        self._gaps = list(PATHS)  # until the watch has reported everything
        self._threads = [threading.Thread(target=self._watch, args=(path,), daemon=True) for path in PATHS]
        for thread in self._threads:
            thread.start()

    def _watch(self, path):
        version = str(self.start)
        pool = urllib3.PoolManager(ca_certs=str(self._control_plane.ca_file), retries=False)
        headers = {"Authorization": f"Bearer {self._control_plane.token}"}
        while True:
            address = f"{self._control_plane.url}{path}?watch=1&resourceVersion={version}"
            response = pool.request("GET", address, headers=headers, preload_content=False)
            for line in _lines(response):
                event = json.loads(line)
                if event["type"] == "ERROR":
                    return
                version = event["object"]["metadata"]["resourceVersion"]
                if event["object"]["metadata"]["name"] == MARKER:
                    self._gaps.remove(path)
                    return
                self._events[path].append(Event(int(version), event["type"] == "DELETED", parse(event["object"])))

    def end(self):
        """Return all events in their order, when the watches have reported what is stored now."""
        api = self._control_plane.api
        for path, body in (
            (SECRETS, {}),
            (TEMPLATES, {"apiVersion": "management.cattle.io/v3", "kind": "NodeTemplate", "spec": {}}),
        ):
            api.post(path, {**body, "metadata": {"name": MARKER}})
            api.delete(f"{path}/{MARKER}")
        deadline = time.monotonic() + 60
        for thread in self._threads:
            thread.join(deadline - time.monotonic())
        if self._gaps:
            raise RuntimeError(f"the history of {self._gaps} is incomplete")
        return sorted(event for events in self._events.values() for event in events)


def _lines(response):
    rest = b""
    for chunk in response.stream():
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines


def read_stored(api):
    """Return all records as they are stored at one version, and this version."""
    version = version_now(api)
    return [record for path in PATHS for record in map(parse, _at(api, path, version))], version


def _at(api, path, version):
    return api.get(f"{path}?resourceVersion={version}&resourceVersionMatch=Exact")["items"]
