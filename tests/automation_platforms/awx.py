# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fake of AWX, which needs containers: it stores what the modules of awx.awx send, and runs nothing.

Like AWX, it rejects references to objects that do not exist, hides secrets, and deletes dependent objects.
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

_UNIFIED = ("projects", "job_templates", "workflow_job_templates", "inventory_sources", "workflow_approval_templates")
# The collections to which the ids in a field belong.
_FIELDS = {
    "organization": ("organizations",),
    "credential_type": ("credential_types",),
    "credential": ("credentials",),
    "project": ("projects",),
    "source_project": ("projects",),
    "inventory": ("inventories",),
    "execution_environment": ("execution_environments",),
    "workflow_job_template": ("workflow_job_templates",),
    "unified_job_template": _UNIFIED,
}
# Fields whose object AWX deletes together with the one they name; otherwise it rejects the deletion.
_DEPENDENT = ("inventory", "workflow_job_template", "unified_job_template")


class Awx:
    """A server in this process, within a ``with`` block."""

    def __init__(self):
        self.objects = {}
        self.writes = []
        self._lock = threading.Lock()
        self.add("organizations", name="Default")
        for name in ("ours", "newer"):
            self.add("execution_environments", name=name)
        self.add("credentials", name="aws audit")

    def __enter__(self):
        awx = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                with awx._lock:
                    status, answer = awx.answer(self.command, self.path, json.loads(body) if body else None)
                content = b"" if answer is None else json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PATCH = do_DELETE = handle_any

            def log_message(self, *arguments):  # pylint: disable=arguments-differ
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        return self

    def __exit__(self, *exception):
        self._server.shutdown()
        self._server.server_close()

    def add(self, collection, /, **fields):
        number = len(self.objects) + 1
        self.objects[number] = {
            "collection": collection,
            "type": collection.removesuffix("s"),
            "id": number,
            "url": f"/api/v2/{collection}/{number}/",
            "related": {},
            "summary_fields": {},
            "associated": {},
            "scm_revision": "",
            "deleted": False,
            **fields,
        }
        return self.objects[number]

    def all(self, *collections):
        return [item for item in self.objects.values() if item["collection"] in collections and not item["deleted"]]

    def named(self, collection):
        return {item.get("identifier") or item["name"]: item for item in self.all(collection)}

    def answer(self, method, path, body):
        """Status and JSON of the reply."""
        split = urlsplit(path)
        collection, *rest = split.path.removeprefix("/api/v2/").strip("/").split("/")
        if method != "GET":
            self.writes.append((method, split.path, body))
        if not rest:
            if method == "POST":
                return self._create(collection, body)
            searched = _UNIFIED if collection == "unified_job_templates" else (collection,)
            return _listing(
                [
                    item
                    for item in self.all(*searched)
                    if all(str(item.get(key)) == value for key, value in parse_qsl(split.query))
                ]
            )
        item = self.objects.get(int(rest[0]))
        if item is None or item["deleted"] or item["collection"] != collection:
            return 404, {"detail": "Not found."}
        if len(rest) == 1:
            return (
                self._delete(item)
                if method == "DELETE"
                else self._update(item, body)
                if method == "PATCH"
                else (200, _shown(item))
            )
        if rest[1] == "create_approval_template" and method == "POST":
            approval = self.add(
                "workflow_approval_templates", workflow_job_template=item["workflow_job_template"], **body
            )
            item["unified_job_template"], item["related"] = approval["id"], {"unified_job_template": approval["url"]}
            return 201, _shown(approval)
        if collection not in ("workflow_job_template_nodes", "job_templates"):
            return 404, {"detail": "Not found."}
        associated = item["associated"].setdefault(rest[1], [])
        if method == "GET":
            return _listing([self.objects[number] for number in associated])
        (associated.remove if body.get("disassociate") else associated.append)(body["id"])
        return 204, None

    def _wrong(self, body):
        """Fields that refer to objects that do not exist."""
        return {
            field: ["Object does not exist."]
            for field, collections in _FIELDS.items()
            if body.get(field) and body[field] not in [item["id"] for item in self.all(*collections)]
        }

    def _create(self, collection, body):
        wrong = self._wrong(body)
        return (400, wrong) if wrong else (201, _shown(self.add(collection, **body)))

    def _update(self, item, body):
        wrong = self._wrong(body)
        if not wrong:
            item.update(body)
        return (400, wrong) if wrong else (200, _shown(item))

    def _delete(self, item):
        for other in self.objects.values():
            for field, collections in _FIELDS.items():
                if other.get(field) == item["id"] and item["collection"] in collections and not other["deleted"]:
                    if field not in _DEPENDENT:
                        return 409, {"error": f"{item['name']} is in use by {other['name']}"}
                    self._delete(other)
        item["deleted"] = True
        return 204, None


def _listing(found):
    return 200, {"count": len(found), "next": None, "results": [_shown(item) for item in found]}


def _shown(item):
    if item["collection"] == "credentials":
        return {**item, "inputs": {name: "$encrypted$" for name in item.get("inputs", {})}}
    return item
