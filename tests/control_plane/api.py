# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A minimal client for tests: JSON in, JSON out, over kept-alive connections. Threads can share it."""

from __future__ import annotations

import json

import urllib3


class ApiError(Exception):
    """The API server answered with an error."""

    def __init__(self, status, reason, message):
        super().__init__("%s %s: %s" % (status, reason, message))
        self.status = status
        self.reason = reason
        self.message = message


class ApiClient:
    """One user's way to the API server, by bearer token or by client certificate."""

    def __init__(self, url, ca_file, token=None, cert_file=None, key_file=None, connections=16):
        address = urllib3.util.parse_url(url)
        self._headers = {"Accept": "application/json"}
        if token:
            self._headers["Authorization"] = "Bearer " + token
        self._pool = urllib3.HTTPSConnectionPool(
            address.host,
            address.port,
            maxsize=connections,
            timeout=urllib3.Timeout(connect=5, read=60),
            retries=False,
            ca_certs=str(ca_file),
            cert_reqs="CERT_REQUIRED",
            cert_file=str(cert_file) if cert_file else None,
            key_file=str(key_file) if key_file else None,
        )

    def get(self, path):
        return self.request("GET", path)

    def post(self, path, body):
        return self.request("POST", path, body)

    def put(self, path, body):
        return self.request("PUT", path, body)

    def patch(self, path, body, content_type="application/merge-patch+json"):
        return self.request("PATCH", path, body, content_type)

    def delete(self, path, body=None):
        return self.request("DELETE", path, body)

    def request(self, method, path, body=None, content_type="application/json", headers=None):
        """Send one request and return the object of the response.

        Raises ApiError for any status except 2xx, and urllib3's HTTPError for a broken connection.
        """
        headers = dict(self._headers, **(headers or {}))
        content = None
        if body is not None:
            content = json.dumps(body).encode()
            headers["Content-Type"] = content_type
        response = self._pool.urlopen(method, path, body=content, headers=headers, redirect=False)
        text = response.data.decode("utf-8", "replace")
        try:
            answer = json.loads(text) if text.strip() else {}
        except ValueError:
            answer = {"message": text.strip()}
        if response.status // 100 != 2:
            raise ApiError(response.status, answer.get("reason", ""), answer.get("message", ""))
        return answer

    def close(self):
        self._pool.close()
