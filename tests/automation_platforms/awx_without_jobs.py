# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fake of AWX's API that runs no jobs, no project updates and no schedules; AWX itself needs containers.

It rejects what AWX 24.6.1 was seen to reject, and behaves as AWX where the role depends on it: names are unique within
an organization, schedules within a template, credential types everywhere; inventories are deleted later; a project
knows the playbooks of its last update; a deletion takes dependent objects with it, or leaves them without the object;
only superusers change credential types. It does not know permissions otherwise, and fields that the role does not use.
"""

from __future__ import annotations

import json
import re
import threading
import zoneinfo
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

PAGE = 25
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
# What happens to an object when the object in one of its fields is deleted: it is deleted too, or loses the field.
_CASCADE = {
    ("inventory_sources", "inventory"), ("inventory_sources", "source_project"), ("schedules", "unified_job_template"),
    ("workflow_job_template_nodes", "workflow_job_template"), ("workflow_approval_templates", "workflow_job_template"),
}
_UNIQUE = {
    "organizations": ("name",),
    "credential_types": ("name", "kind"),
    "credentials": ("name", "organization", "credential_type"),
    "schedules": ("name", "unified_job_template"),
    "workflow_job_template_nodes": ("identifier", "workflow_job_template"),
    "inventory_sources": ("name", "inventory"),
}
_NOT_COMPARED = ("id", "url", "related", "associated", "summary_fields")
_DEFAULTS = {"inventories": {"kind": "", "pending_deletion": False}}


class AwxWithoutJobs:
    """A server in this process, within a ``with`` block.

    ``playbooks`` are the files in the repository of all projects, ``repository_works`` whether updates succeed.
    ``running`` are names of templates with a running job. An inventory is deleted after ``deletion_requests`` more
    requests.
    """

    def __init__(self):
        self.objects = {}
        self.writes = []
        self.playbooks = ["rotate.yml", "retire.yml", "playbooks/report.yml"]
        self.repository_works = True
        self.superuser = True
        self.running = set()
        self.deletion_requests = 3
        self._deletions = {}
        self._updates = {}
        self._lock = threading.Lock()
        self.organizations = [self.add("organizations", name=name)["id"] for name in ("Default", "Second")]
        for name in ("ours", "newer"):
            self.add("execution_environments", name=name, organization=None)
        kinds = {"Machine": "ssh", "Amazon Web Services": "cloud", "Source Control": "scm"}
        self.types = {name: self.add("credential_types", name=name, kind=kind)["id"] for name, kind in kinds.items()}
        for organization in self.organizations:
            for name, type_name in (("aws audit", "Amazon Web Services"), ("git", "Source Control")):
                self.add("credentials", name=name, organization=organization, credential_type=self.types[type_name])

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
        url = f"/api/v2/{collection}/{number}/"
        self.objects[number] = {
            "collection": collection,
            "type": {"inventories": "inventory"}.get(collection, collection.removesuffix("s")),
            "id": number,
            "url": url,
            "related": {"update": f"{url}update/"} if collection == "projects" else {},
            "associated": {},
            "deleted": False,
            **_DEFAULTS.get(collection, {}),
            **fields,
        }
        return self.objects[number]

    def all(self, *collections):
        return [item for item in self.objects.values() if item["collection"] in collections and not item["deleted"]]

    def named(self, collection, organization="Default"):
        """The objects of one organization, by name; nodes by their identifier."""
        found = [item for item in self.all(collection) if self.organization_of(item) == organization]
        return {item.get("identifier") or item["name"]: item for item in found}

    def organization_of(self, item):
        """The name of an object's organization, its own or that of the object to which it belongs."""
        if item.get("organization"):
            return self.objects[item["organization"]]["name"]
        for field in ("inventory", "workflow_job_template", "unified_job_template"):
            if item.get(field):
                return self.organization_of(self.objects[item[field]])
        return None

    def hasten_deletions(self, requests):
        """Delete the inventories that are being deleted after so many more requests."""
        with self._lock:
            self._deletions = dict.fromkeys(self._deletions, requests)

    def finish_deletions(self):
        """Delete the inventories that are being deleted now."""
        with self._lock:
            self._progress(len(self.objects) + self.deletion_requests)

    def state(self, organization="Default"):
        """All objects of an organization and all credential types, comparable: names for ids, without empty fields."""
        found = {}
        for item in self.all(*{item["collection"] for item in self.objects.values()} - {"organizations"}):
            if item["collection"] != "credential_types" and self.organization_of(item) != organization:
                continue
            shown = {
                field: self._name(value) if field in _FIELDS and value else value for field, value in item.items()
                if value not in (None, "", [], {}) and field not in _NOT_COMPARED
            }
            for field, numbers in item["associated"].items():
                if numbers:
                    shown[field] = sorted(self._name(number) for number in numbers)
            found[item["collection"], self._name(item["id"])] = shown
        return found

    def _name(self, number):
        item = self.objects[int(number)]
        parts = [item.get("identifier") or item["name"]]
        for field in ("workflow_job_template", "unified_job_template", "credential_type"):
            if item.get(field) and item["collection"] in ("workflow_job_template_nodes", "schedules", "credentials"):
                parts.append(self.objects[item[field]]["name"])
        return " of ".join(parts)

    def answer(self, method, path, body):
        """Status and JSON of the reply."""
        self._progress(1)
        split = urlsplit(path)
        collection, *rest = split.path.removeprefix("/api/v2/").strip("/").split("/")
        if method != "GET":
            self.writes.append((method, split.path, body))
            if collection == "credential_types" and not self.superuser:
                return 403, {"detail": "You do not have permission to perform this action."}
        if collection == "project_updates":
            return 200, self._updates[int(rest[0])]
        if not rest:
            return self._create(collection, body) if method == "POST" else self._list(collection, split)
        item = self._find(collection, unquote(rest[0]))
        if item is None:
            return 404, {"detail": "Not found."}
        if len(rest) > 1:
            return self._answer_related(item, rest[1], method, body)
        if method == "DELETE":
            return self._delete(item)
        return self._update(item, body) if method == "PATCH" else (200, self._shown(item))

    def _progress(self, requests):
        for number in list(self._deletions):
            self._deletions[number] -= requests
            if self._deletions[number] <= 0:
                del self._deletions[number]
                self._remove(self.objects[number])

    def _find(self, collection, name):
        """The object with this id or named URL."""
        if name.isdecimal():
            found = [item for item in self.all(collection) if item["id"] == int(name)]
        else:
            found = [item for item in self.all(collection) if self._named_url(item) == name]
        return found[0] if found else None

    def _named_url(self, item):
        parts = [item.get("name", "")]
        if item["collection"] == "credentials":
            kind = self.objects[item["credential_type"]]
            parts += [kind["name"], kind["kind"]]
        return "++".join([*parts, self.organization_of(item) or ""])

    def _list(self, collection, split):
        query = dict(parse_qsl(split.query))
        page = int(query.pop("page", 1))
        alternatives = {key[4:]: query.pop(key) for key in list(query) if key.startswith("or__")}

        def matches(item):
            return all(_matches(item, key, value) for key, value in query.items()) and (
                not alternatives or any(_matches(item, key, value) for key, value in alternatives.items())
            )

        found = [item for item in self.all(*(_UNIFIED if collection == "unified_job_templates" else (collection,)))
                 if matches(item)]
        more = len(found) > page * PAGE
        following = urlencode({**dict(parse_qsl(split.query)), "page": page + 1})
        return 200, {
            "count": len(found), "next": f"{split.path}?{following}" if more else None,
            "results": [self._shown(item) for item in found[(page - 1) * PAGE:page * PAGE]],
        }

    def _answer_related(self, item, name, method, body):
        if item["collection"] == "projects" and name == "playbooks":
            return 200, item["known_playbooks"]
        if item["collection"] == "projects" and name == "update":
            return 202, self._update_project(item)
        if name == "create_approval_template" and method == "POST":
            approval = self.add(
                "workflow_approval_templates", workflow_job_template=item["workflow_job_template"], **body
            )
            item["unified_job_template"], item["related"] = approval["id"], {"unified_job_template": approval["url"]}
            return 201, self._shown(approval)
        if item["collection"] not in ("workflow_job_template_nodes", "job_templates"):
            return 404, {"detail": "Not found."}
        associated = item["associated"].setdefault(name, [])
        if method == "GET":
            results = [self._shown(self.objects[number]) for number in associated]
            return 200, {"count": len(results), "next": None, "results": results}
        if body.get("disassociate"):
            associated.remove(body["id"])
            return 204, None
        kind = self.objects[body["id"]].get("credential_type")
        if kind and kind in [self.objects[number]["credential_type"] for number in associated]:
            return 400, {"error": f"Cannot assign multiple {self.objects[kind]['name']} credentials."}
        associated.append(body["id"])
        return 204, None

    def _errors(self, item):
        """The errors of an object as it would be stored."""
        errors = {
            field: ["Invalid pk: object does not exist."]
            for field, collections in _FIELDS.items()
            if item.get(field) and item[field] not in [other["id"] for other in self.all(*collections)]
        }
        unique = _UNIQUE.get(item["collection"], ("name", "organization"))
        for other in self.all(item["collection"]):
            same = all(other.get(field) == item.get(field) for field in unique)
            if other["id"] != item["id"] and same and item["collection"] != "workflow_approval_templates":
                errors["__all__"] = [f"An object with this {', '.join(unique)} already exists."]
        if item["collection"] == "job_templates" and item.get("project") and "project" not in errors:
            if item.get("playbook") not in self.objects[item["project"]]["known_playbooks"]:
                errors["playbook"] = ["Playbook not found for project."]
        if item["collection"] == "schedules":
            zone = re.search("TZID=([^:]+):", item["rrule"])
            if zone is None or zone.group(1) not in zoneinfo.available_timezones():
                errors["rrule"] = ["A valid TZID must be provided (e.g., America/New_York)"]
        return errors

    def _create(self, collection, body):
        item = self.add(collection, **_stored(collection, body))
        errors = self._errors(item)
        if errors:
            del self.objects[item["id"]]
            return 400, errors
        self._after_write(item, body)
        return 201, self._shown(item)

    def _update(self, item, body):
        changed = {**item, **_stored(item["collection"], body)}
        errors = self._errors(changed)
        if errors:
            return 400, errors
        item.update(changed)
        self._after_write(item, body)
        return 200, self._shown(item)

    def _after_write(self, item, body):
        if item["collection"] == "projects":
            item.setdefault("known_playbooks", [])
            if {"scm_url", "scm_branch", "credential"} & set(body):
                item["summary_fields"] = {"current_update": {"id": self._update_project(item)["id"]}}
        if item["collection"] == "job_templates":  # the organization is that of the project
            item["organization"] = self.objects[item["project"]]["organization"]

    def _update_project(self, project):
        number = len(self._updates) + 1
        if self.repository_works:
            project["known_playbooks"] = list(self.playbooks)
        project["status"] = "successful" if self.repository_works else "failed"
        project["scm_revision"] = "revision of " + ",".join(project["known_playbooks"])
        self._updates[number] = {
            "id": number, "url": f"/api/v2/project_updates/{number}/", "status": project["status"], "finished": "now",
            "failed": not self.repository_works, "scm_revision": project["scm_revision"],
        }
        return self._updates[number]

    def _delete(self, item):
        if item["collection"] == "inventories":
            if item["pending_deletion"]:
                return 400, {"error": "Inventory is already pending deletion."}
            item["pending_deletion"] = True
            self._deletions[item["id"]] = self.deletion_requests
            return 202, None
        if item.get("name") in self.running:
            return 409, {"error": "Resource is being used by running jobs."}
        if item["collection"] == "credential_types" and any(
            other["credential_type"] == item["id"] for other in self.all("credentials")
        ):
            return 403, {"detail": "Credential types that are in use cannot be deleted"}
        self._remove(item)
        return 204, None

    def _remove(self, item):
        item["deleted"] = True
        for other in self.all(*{item["collection"] for item in self.objects.values()}):
            for field, collections in _FIELDS.items():
                if other.get(field) == item["id"] and item["collection"] in collections and not other["deleted"]:
                    if (other["collection"], field) in _CASCADE:
                        self._remove(other)
                        continue
                    other[field] = None
                    if field == "project":
                        other["playbook"] = ""
            for numbers in other["associated"].values():
                if item["id"] in numbers:
                    numbers.remove(item["id"])

    def _shown(self, item):
        summary = dict(item.get("summary_fields") or {})
        for field in _FIELDS:
            if item.get(field):
                summary[field] = {"id": item[field], "name": self.objects[item[field]].get("name")}
        shown = {**item, "summary_fields": summary}
        item.pop("summary_fields", None)  # an update is only current in the reply to the request that started it
        if item["collection"] == "credentials":
            shown["inputs"] = {name: "$encrypted$" for name in item.get("inputs", {})}
        return shown


def _stored(collection, body):
    """A body as AWX stores it: an empty reference is null, and the kind of an inventory is never null."""
    stored = {key: None if key in _FIELDS and value == "" else value for key, value in body.items()}
    if collection == "inventories" and stored.get("kind", "") is None:
        stored["kind"] = ""
    return stored


def _matches(item, key, value):
    field, _separator, operator = key.partition("__")
    stored = item.get(field)
    if operator == "startswith":
        return str(stored).startswith(value)
    return not operator and str(stored) == value
