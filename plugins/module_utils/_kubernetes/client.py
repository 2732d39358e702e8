# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Client of one API server.

The kubernetes client provides configuration, authentication and the connection pool. Requests are plain JSON, which
works alike from client 24.2 to 37 and takes a third of the time of the dynamic client.
"""

from __future__ import annotations

import typing as t
from collections.abc import Mapping
from urllib.parse import quote

from .._common.errors import ApiError, RanchhandError
from .cache import ReadCache
from .concurrency import CONNECTIONS, Argument, Result, parallel_results
from .configuration import ConnectionConfiguration
from .connection import FIELD_MANAGER
from .libraries import MISSING
from .messages import not_kubernetes
from .transport import Transport
from .watch import CollectionWatches

PAGE = 500
MOST_PAGES = 4000  # of a list, that is two million objects, restarts included
RESTARTS = 3  # of a list whose continue token expired
CONFLICT_ATTEMPTS = 8  # of a write to an object that other clients change


class KubernetesClient:
    """Reads and writes objects as plain mappings.

    ``cached``, ``update_cached`` and ``invalidate`` are methods of ReadCache, ``watch_events`` of CollectionWatches.
    """

    def __init__(self, options: Mapping[str, t.Any], patience: float | None = None) -> None:
        """Connect with the result of connection_options(); all requests end within ``patience`` seconds from now."""
        if MISSING:
            message = f"cannot import the Python package kubernetes ({MISSING}); install version 24.2.0 or newer"
            raise RanchhandError("unsupported", message)
        self._transport = Transport(ConnectionConfiguration(options), patience)
        self.host = self._transport.host
        cache = ReadCache()
        self.cached, self.update_cached, self.invalidate = cache.get, cache.update, cache.invalidate
        self._watches = CollectionWatches(self._transport)
        self.watch_events = self._watches.events
        self.progress: t.Callable[[int, int], None] = lambda done, total: None

    def get(self, path: str, **query: t.Any) -> dict[str, t.Any]:
        """Return an object, or one page of a collection."""
        return self._transport.request("GET", path, query=query)

    def post(self, path: str, body: Mapping[str, t.Any], **query: t.Any) -> dict[str, t.Any]:
        """Create an object."""
        return self._transport.request("POST", path, body, query)

    def patch(self, path: str, body: Mapping[str, t.Any]) -> dict[str, t.Any]:
        """Apply a JSON merge patch; its metadata should contain uid and resourceVersion."""
        return self._transport.request("PATCH", path, body, content_type="application/merge-patch+json")

    def json_patch(self, path: str, operations: t.Sequence[Mapping[str, t.Any]]) -> dict[str, t.Any]:
        """Apply a JSON patch; it should test the uid and the values that it replaces.

        The API server answers 422 to a failed test. So does a repetition after a lost answer: read the object again.
        """
        return self._transport.request("PATCH", path, operations, content_type="application/json-patch+json")

    def apply(self, path: str, body: Mapping[str, t.Any], **query: t.Any) -> dict[str, t.Any]:
        """Create or change an object by server-side apply, which also removes fields that an earlier apply set.

        If the object exists, the metadata should contain uid and resourceVersion.
        """
        query = {"fieldManager": FIELD_MANAGER, "force": "true", **query}
        return self._transport.request("PATCH", path, body, query, "application/apply-patch+yaml")

    def delete(self, path: str, uid: str, resource_version: str) -> dict[str, t.Any]:
        """Delete exactly this version of this object.

        In the background, as Rancher's webhook refuses to orphan Roles (rancher/webhook pkg/resources/core/v1/secret).
        """
        return self._transport.request("DELETE", path, {
            "apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background",
            "preconditions": {"uid": uid, "resourceVersion": resource_version},
        })

    def list_objects(self, path: str, **query: t.Any) -> list[dict[str, t.Any]]:
        """Return all items of a collection."""
        return self.read_collection(path, lambda item: (item,), **query)

    def read_collection(
        self, path: str, read: t.Callable[[dict[str, t.Any]], t.Iterable[Result]], **query: t.Any,
    ) -> list[Result]:
        """Return what ``read`` returns for each item of a collection, which is requested page by page.

        If the continue token has expired (410), what was read is discarded, as these items may have changed or gone.
        """
        results: list[Result] = []
        token = None
        restarts = 0
        for _page in range(MOST_PAGES):
            try:
                page = self.get(path, limit=PAGE, **({"continue": token} if token else {}), **query)
            except ApiError as error:
                if error.status != 410 or restarts == RESTARTS:
                    raise
                results, token, restarts = [], None, restarts + 1
                continue
            items, metadata = page.get("items") or [], page.get("metadata") or {}
            if not _is_list_of_objects(page, items, metadata):
                raise not_kubernetes(self.host)
            for item in items:
                results += read(item)
            token = metadata.get("continue")
            if not token:
                if not query:
                    self._watches.start(path, metadata.get("resourceVersion") or "")
                return results
        raise RanchhandError("server_error", f"{self.host} returns {path} in more than {MOST_PAGES} pages")

    def parallel_map(
        self, function: t.Callable[[Argument], Result], arguments: t.Sequence[Argument], workers: int = CONNECTIONS
    ) -> list[Result]:
        """Return the function's results for all arguments, in their order, and report the progress."""
        results = []
        for result in parallel_results(function, arguments, workers):
            results.append(result)
            if len(arguments) > 1:
                self.progress(len(results), len(arguments))
        return results

    @staticmethod
    def parallel_reads(*reads: t.Callable[[], t.Any]) -> list[t.Any]:
        """Return the results of several independent reads."""
        return list(parallel_results(lambda read: read(), reads))


def _is_list_of_objects(page: Mapping[str, t.Any], items: t.Any, metadata: t.Any) -> bool:
    return (
        str(page.get("kind")).endswith("List") and isinstance(items, list) and isinstance(metadata, dict)
        and all(isinstance(item, dict) and _is_metadata(item.get("metadata")) for item in items)
    )


def _is_metadata(metadata: t.Any) -> bool:
    return isinstance(metadata, dict) and isinstance(metadata.get("name"), str)


def name_in_path(name: str) -> str:
    """Return a name as one segment of a path."""
    return quote(name, safe="")
