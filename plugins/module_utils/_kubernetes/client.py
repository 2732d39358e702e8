# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The only file that talks to the API server.

PRIVATE to the collection. The kubernetes client gives configuration, authentication and the connection pool; requests are
plain JSON over that pool, which works alike from client 24.2 to 37 and costs a third of the dynamic client.
"""

from __future__ import annotations

import json
import random
import threading
import time
import typing as t
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote, urlencode

from .._common.errors import ApiError, RanchhandError
from .connection import CONNECTIONS, ConnectionConfiguration, FIELD_MANAGER
from .messages import CONNECT_TIMEOUT, READ_TIMEOUT, api_error, describe_network_error
from .libraries import MISSING, urllib3

PAGE = 500
ATTEMPTS = 5
CONFLICT_ATTEMPTS = 8  # of a write whose object is changed by other clients
EVENT_TIMEOUT = 2.0     # seconds to wait for an event that must come; a proxy may hold events back
LONGEST_PAUSE = 30.0    # seconds


class KubernetesClient:
    """JSON requests to one API server, retried where that is safe, and errors told as sentences.

    ``options`` are those of connection_options(). A write is retried after a lost reply too: every write of this collection
    has a fixed name or a resourceVersion, so that the repeat of one that had arrived is a 409. ``patience`` are the seconds from
    now on within which all requests have to end.
    """

    def __init__(self, options: Mapping[str, t.Any], patience: float | None = None) -> None:
        if MISSING:
            raise RanchhandError("unsupported", f"the Python package kubernetes (24.2.0 or newer) cannot be imported: {MISSING}")
        self._options = options
        self._deadline = None if patience is None else time.monotonic() + patience
        self._configuration = ConnectionConfiguration(options)
        self._pool = self._configuration.pool()
        self._memory: dict[str, tuple[float, t.Any]] = {}
        self._reading: dict[str, threading.Lock] = {}
        self._events: dict[str, t.Iterator[tuple[str, dict[str, t.Any]]]] = {}
        self._watches = True
        self.progress: t.Callable[[int, int], None] = lambda done, total: None
        self.host = self._configuration.client.host

    def cached(self, key: str, seconds: float, read: t.Callable[[], t.Any]) -> t.Any:
        """What was read under this key at most so many seconds ago, else what is read now.

        A module process asks everything once; in process, the items of a loop share one Api. Of threads that ask at once, one reads.
        """
        with self._reading.setdefault(key, threading.Lock()):
            found = self._memory.get(key)
            if found is None or time.monotonic() - found[0] > seconds:
                found = self._memory[key] = (time.monotonic(), read())
            return found[1]

    def update_cached(self, key: str, change: t.Callable[[t.Any], t.Any]) -> None:
        """Apply what was written to what is remembered, which does not get younger by that."""
        if key in self._memory:
            read_at, value = self._memory[key]
            self._memory[key] = (read_at, change(value))

    def invalidate(self, key: str) -> None:
        """Read it anew next time."""
        self._memory.pop(key, None)

    def get(self, path: str, **query: t.Any) -> dict[str, t.Any]:
        return self._request("GET", path, query=query)

    def post(self, path: str, body: Mapping[str, t.Any], **query: t.Any) -> dict[str, t.Any]:
        return self._request("POST", path, body, query)

    def patch(self, path: str, body: Mapping[str, t.Any]) -> dict[str, t.Any]:
        """A JSON merge patch; its metadata should carry uid and resourceVersion."""
        return self._request("PATCH", path, body)

    def apply(self, path: str, body: Mapping[str, t.Any], **query: t.Any) -> dict[str, t.Any]:
        """A server-side apply: creates or changes the object, and removes what an earlier one of ours set and this one does not.

        Its metadata should carry uid and resourceVersion if the object is there.
        """
        return self._request("PATCH", path, body, {"fieldManager": FIELD_MANAGER, "force": "true", **query}, "application/apply-patch+yaml")

    def delete(self, path: str, uid: str, resource_version: str) -> dict[str, t.Any]:
        """Deletes just this version of just this object.

        In the background: Rancher's webhook refuses to orphan Roles (rancher/webhook pkg/resources/core/v1/secret).
        """
        return self._request("DELETE", path, {
            "apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background",
            "preconditions": {"uid": uid, "resourceVersion": resource_version},
        })

    def list_objects(self, path: str, **query: t.Any) -> t.Iterator[dict[str, t.Any]]:
        """All items of a collection, page by page; starts anew if the server forgot where it was (410)."""
        seen: set[str] = set()
        token = None
        restarts = 0
        while True:
            try:
                page = self.get(path, limit=PAGE, **({"continue": token} if token else {}), **query)
            except ApiError as error:
                if error.status != 410 or restarts == 3:
                    raise
                token, restarts = None, restarts + 1
                continue
            if not str(page.get("kind")).endswith("List"):
                raise self._no_kubernetes()
            for item in page.get("items") or ():
                uid = item["metadata"]["uid"]
                if restarts == 0 or uid not in seen:
                    seen.add(uid)
                    yield item
            metadata = page.get("metadata") or {}
            token = metadata.get("continue")
            if not token:
                if not query:
                    self._events[path] = self._watch(path, metadata.get("resourceVersion") or "")
                return

    def watch_events(self, path: str) -> t.Iterator[tuple[str, dict[str, t.Any]]]:
        """What was written to a collection after it was listed last, in the order in which it was written, each as its type and object.

        Who asks again gets what came after that. Ends when nothing comes for a moment, or where there is no right to watch.
        """
        return self._events.get(path, iter(())) if self._watches else iter(())

    def _watch(self, path: str, resource_version: str) -> t.Iterator[tuple[str, dict[str, t.Any]]]:
        url = f"{self.host}{path}?{urlencode({'watch': 1, 'resourceVersion': resource_version})}"
        timeout = urllib3.Timeout(connect=CONNECT_TIMEOUT, read=EVENT_TIMEOUT)
        headers = urllib3.HTTPHeaderDict(self._configuration.headers(self._options))
        try:
            answer = self._pool.request("GET", url, headers=headers, timeout=timeout, retries=False, redirect=False, preload_content=False)
            try:
                self._watches = answer.status == 200
                for line in answer if self._watches else ():
                    event = json.loads(line)
                    if event["type"] == "ERROR":  # such as a version that the API server does not remember any more
                        return
                    yield event["type"], event["object"]
            finally:
                answer.close()
                answer.release_conn()
        except (urllib3.exceptions.HTTPError, OSError, ValueError, KeyError):
            self._watches = False

    def parallel_map(self, function: t.Callable[[t.Any], t.Any], arguments: t.Sequence[t.Any]) -> list[t.Any]:
        """The function's results for all arguments, in their order, over a bounded number of connections."""
        results = []
        for result in _threads(function, arguments):
            results.append(result)
            if len(arguments) > 1:
                self.progress(len(results), len(arguments))
        return results

    def parallel_reads(self, *reads: t.Callable[[], t.Any]) -> list[t.Any]:
        """The results of some independent reads."""
        return list(_threads(lambda read: read(), reads))

    def _request(
        self, method: str, path: str, body: Mapping[str, t.Any] | None = None, query: Mapping[str, t.Any] | None = None,
        content_type: str | None = None,
    ) -> dict[str, t.Any]:
        url = self.host + path + (f"?{urlencode(query)}" if query else "")
        headers = urllib3.HTTPHeaderDict(self._configuration.headers(self._options))
        if body is not None:
            headers["Content-Type"] = content_type or ("application/merge-patch+json" if method == "PATCH" else "application/json")
        payload = None if body is None else json.dumps(body).encode()
        for attempt in range(1, ATTEMPTS + 1):
            pause = 0.2 * 2 ** attempt * random.uniform(0.5, 1.0)
            rest = None if self._deadline is None else max(self._deadline - time.monotonic(), 0.001)
            timeout = urllib3.Timeout(total=rest, connect=CONNECT_TIMEOUT, read=READ_TIMEOUT)
            try:
                answer = self._pool.request(method, url, body=payload, headers=headers, timeout=timeout, retries=False, redirect=False)
            except (urllib3.exceptions.HTTPError, OSError) as error:
                mute = isinstance(error, urllib3.exceptions.ReadTimeoutError) and attempt > 1
                hopeless = isinstance(error, urllib3.exceptions.LocationParseError) or "CERTIFICATE_VERIFY_FAILED" in str(error)
                if attempt == ATTEMPTS or mute or hopeless or self._late(pause):
                    raise RanchhandError("unreachable", f"the API server {self.host} cannot be reached: {describe_network_error(error)}") from None
            else:
                if answer.status < 300:
                    return self._json(answer.data)
                wait = answer.headers.get("Retry-After", "")
                pause = min(float(wait), LONGEST_PAUSE) if wait.isdigit() else pause
                if attempt == ATTEMPTS or self._late(pause) or not (answer.status == 429 or answer.status >= 500):
                    raise api_error(method, path, answer.status, answer.data)
            time.sleep(pause)
        raise AssertionError("unreachable code")

    def _late(self, pause: float) -> bool:
        return self._deadline is not None and time.monotonic() + pause >= self._deadline

    def _json(self, data: bytes) -> dict[str, t.Any]:
        try:
            value = json.loads(data)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise self._no_kubernetes()
        return value

    def _no_kubernetes(self) -> RanchhandError:
        return RanchhandError("unreachable", f"{self.host} does not answer like a Kubernetes API server")


def _threads(function: t.Callable[[t.Any], t.Any], arguments: t.Sequence[t.Any]) -> t.Iterator[t.Any]:
    if len(arguments) < 2:
        yield from map(function, arguments)
        return
    with ThreadPoolExecutor(max_workers=min(CONNECTIONS, len(arguments))) as executor:
        yield from executor.map(function, arguments)


def name_in_path(name: str) -> str:
    """A name as one segment of a path."""
    return quote(name, safe="")
