# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cost of the API server itself: requests with only urllib3 and json."""

from __future__ import annotations

import concurrent.futures
import json
import time

import urllib3

CONNECTIONS = 16
PAGE = 500
_MERGE_PATCH, _JSON_PATCH = "application/merge-patch+json", "application/json-patch+json"


class Bare:
    """A minimal client: JSON over kept-alive connections."""

    def __init__(self, url, ca_file, token):
        address = urllib3.util.parse_url(url)
        self._pool = urllib3.HTTPSConnectionPool(
            address.host, address.port, maxsize=CONNECTIONS, block=True, retries=False, ca_certs=str(ca_file)
        )
        self._headers = {
            "Accept": "application/json",
            "Content-Type": "application/json",
            "Authorization": "Bearer " + token,
        }

    def request(self, method, path, content=None):
        headers = dict(self._headers)
        if method == "PATCH":
            headers["Content-Type"] = _JSON_PATCH if content.startswith(b"[") else _MERGE_PATCH
        answer = self._pool.urlopen(method, path, body=content, headers=headers)
        if answer.status >= 300:
            raise RuntimeError("%s %s: %d %s" % (method, path, answer.status, answer.data[:300]))
        return answer.data

    def post_all(self, path, bodies):
        """Create all objects over 16 connections; returns the seconds, including encoding."""
        begun = time.perf_counter()
        with concurrent.futures.ThreadPoolExecutor(CONNECTIONS) as executor:
            for unused in executor.map(lambda body: self.request("POST", path, json.dumps(body).encode()), bodies):
                pass
        return time.perf_counter() - begun

    def patch_all(self, patches):
        """Patch all objects over 16 connections; returns the seconds, including encoding."""
        begun = time.perf_counter()
        with concurrent.futures.ThreadPoolExecutor(CONNECTIONS) as executor:
            list(executor.map(lambda patch: self.request("PATCH", patch[0], json.dumps(patch[1]).encode()), patches))
        return time.perf_counter() - begun

    def list_all(self, path):
        """Return all items, listed in pages."""
        items, token = [], ""
        while True:
            page = json.loads(
                self.request("GET", "%s?limit=%d%s" % (path, PAGE, "&continue=" + token if token else ""))
            )
            items += page["items"]
            token = page["metadata"].get("continue")
            if not token:
                return items

    def timed_list(self, path):
        begun = time.perf_counter()
        self.list_all(path)
        return time.perf_counter() - begun

    def delete_all(self, path, names):
        with concurrent.futures.ThreadPoolExecutor(CONNECTIONS) as executor:
            list(executor.map(lambda name: self.request("DELETE", "%s/%s" % (path, name)), names))
