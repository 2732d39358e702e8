# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""HTTP requests to one API server: connections, headers, timeouts and retries."""

from __future__ import annotations

import contextlib
import json
import random
import time
import typing as t
from collections.abc import Mapping
from urllib.parse import urlencode

from .._common.errors import RanchhandError
from .configuration import ConnectionConfiguration
from .libraries import urllib3
from .messages import CONNECT_TIMEOUT, READ_TIMEOUT, api_error, not_kubernetes, unauthorized, unreachable

ATTEMPTS = 5
LONGEST_PAUSE = 30.0  # seconds


class Transport:
    """Requests with JSON bodies and JSON answers, retried if that is safe.

    Writes are retried too, even if the answer was lost: every write of this collection has a fixed name, a
    resourceVersion or tests of the old values, so that repeating a successful one fails with 409 or 422.
    """

    def __init__(self, configuration: ConnectionConfiguration, patience: float | None = None) -> None:
        """Connect with ``configuration``; all requests end within ``patience`` seconds from now."""
        self.host = configuration.host
        self._configuration = configuration
        configuration.pool()  # reports what is wrong with the certificates and the proxy
        self._deadline = None if patience is None else time.monotonic() + patience

    def request(
        self, method: str, path: str, body: Mapping[str, t.Any] | t.Sequence[Mapping[str, t.Any]] | None = None,
        query: Mapping[str, t.Any] | None = None, content_type: str = "application/json",
    ) -> dict[str, t.Any]:
        """Return the JSON object in the response; raises ApiError for an error, RanchhandError without a response."""
        payload = None if body is None else json.dumps(body).encode()
        url = self._url(path, query)
        renewed = False
        start = time.monotonic()
        for attempt in range(1, ATTEMPTS + 1):
            headers = self._configuration.headers()
            if body is not None:
                headers["Content-Type"] = content_type
            pause = 0.2 * 2 ** attempt * random.uniform(0.5, 1.0)
            try:
                response = self._configuration.pool().request(
                    method, url, body=payload, headers=headers, timeout=self._timeout(), retries=False, redirect=False,
                )
            except (urllib3.exceptions.HTTPError, OSError) as error:
                failure: RanchhandError = unreachable(self.host, error, attempt, time.monotonic() - start)
                retry = _may_be_temporary(error, attempt)
            else:
                if response.status < 300:
                    return self._json_object(response.data)
                failure = api_error(method, path, response.status, response.data)
                if response.status == 401:
                    failure = unauthorized(self.host, self._configuration.credentials_option)
                    if not renewed and self._configuration.renew():
                        renewed = True
                        continue
                retry = response.status == 429 or response.status >= 500
                pause = _requested_pause(response.headers, pause)
            if not retry or attempt == ATTEMPTS or self._too_late(pause):
                break
            time.sleep(pause)
        raise failure

    @contextlib.contextmanager
    def stream(self, path: str, query: Mapping[str, t.Any], read_timeout: float) -> t.Iterator[t.Any]:
        """Yield the response to a GET, whose lines are read as they arrive. Not retried."""
        timeout = urllib3.Timeout(connect=CONNECT_TIMEOUT, read=read_timeout)
        response = self._configuration.pool().request(
            "GET", self._url(path, query), headers=self._configuration.headers(), timeout=timeout, retries=False,
            redirect=False, preload_content=False,
        )
        try:
            yield response
        finally:
            response.close()
            response.release_conn()

    def _url(self, path: str, query: Mapping[str, t.Any] | None) -> str:
        return self.host + path + (f"?{urlencode(query)}" if query else "")

    def _timeout(self) -> t.Any:
        rest = None if self._deadline is None else max(self._deadline - time.monotonic(), 0.001)
        return urllib3.Timeout(total=rest, connect=CONNECT_TIMEOUT, read=READ_TIMEOUT)

    def _too_late(self, pause: float) -> bool:
        return self._deadline is not None and time.monotonic() + pause >= self._deadline

    def _json_object(self, data: bytes) -> dict[str, t.Any]:
        try:
            value = json.loads(data)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            raise not_kubernetes(self.host)
        return value


def _may_be_temporary(error: BaseException, attempt: int) -> bool:
    """Whether a request without a response is worth another attempt; a silent server gets one more."""
    if isinstance(error, urllib3.exceptions.ReadTimeoutError):
        return attempt == 1
    if isinstance(error, urllib3.exceptions.LocationParseError):
        return False
    return "CERTIFICATE_VERIFY_FAILED" not in str(error)


def _requested_pause(headers: Mapping[str, str], default: float) -> float:
    """Return the seconds that the server asks the client to wait."""
    seconds = headers.get("Retry-After", "")
    return min(float(seconds), LONGEST_PAUSE) if seconds.isdecimal() else default
