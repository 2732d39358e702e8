# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Events of a collection that was listed, so that it need not be listed again."""

from __future__ import annotations

import json
import typing as t

from .libraries import urllib3
from .transport import Transport

EVENT_TIMEOUT = 2.0  # seconds to wait for an event; a proxy may delay events

Event = t.Tuple[str, t.Dict[str, t.Any]]


class CollectionWatches:
    """The watches of one client, by the path of the collection; a watch is opened when its events are first read."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._events: dict[str, t.Iterator[Event]] = {}
        self._available = True

    def start(self, path: str, resource_version: str) -> None:
        """Watch a collection from the version in which it was listed."""
        self._events[path] = self._watch(path, resource_version)

    def events(self, path: str) -> t.Iterator[Event]:
        """Return the events of a collection, each with its type and object, since it was listed or since the last call.

        Ends if there is no event for a moment, or if the connection may not watch.
        """
        return self._events.get(path, iter(())) if self._available else iter(())

    def _watch(self, path: str, resource_version: str) -> t.Iterator[Event]:
        query = {"watch": 1, "resourceVersion": resource_version}
        try:
            with self._transport.stream(path, query, EVENT_TIMEOUT) as response:
                self._available = response.status == 200
                for line in response if self._available else ():
                    event = json.loads(line)
                    if event["type"] == "ERROR":  # such as a version that the API server no longer has
                        return
                    yield event["type"], event["object"]
        except (urllib3.exceptions.HTTPError, OSError, ValueError, KeyError):
            self._available = False
