# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects for every place that can name a credential, made from nothing but the table itself."""

from __future__ import annotations

import typing

from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher.references import (
    CREDENTIAL_REFERENCE_FIELDS,
    ReferenceField,
)

from control_plane.fixtures import Resource, resources

DATA = "cattle-global-data"


class Spot(typing.NamedTuple):
    """A place on one kind that the fixtures have."""

    place: ReferenceField
    resource: Resource

    def __str__(self):
        return f"{self.resource.kind}.{self.resource.group} {self.place.field}"

    @property
    def home(self):
        """Where such objects are."""
        return "fleet-default" if self.resource.namespaced else None

    def path(self, namespace):
        middle = f"namespaces/{namespace}/" if namespace else ""
        return f"/apis/{self.resource.group}/{self.resource.version}/{middle}{self.resource.plural}"

    def body(self, name, value, spec=None):
        """An object that has the value in this place."""
        content = nested(self.place.field, value)
        if spec:
            content["spec"] = {**spec, **content.get("spec", {})}
        return {"apiVersion": f"{self.resource.group}/{self.resource.version}", "kind": self.resource.kind, "metadata": {"name": name}, **content}

    def create(self, api, name, value, namespace="", spec=None):
        """Put such an object there, and return its path; its status is written as a controller would."""
        path, body = self.path(self.home if namespace == "" else namespace), self.body(name, value, spec)
        api.post(path, body)
        if self.resource.status and "status" in body:
            api.patch(f"{path}/{name}/status", {"status": body["status"]})
        return f"{path}/{name}"


def nested(path, value):
    """An object with the value at a path; a list on the way has another element before it."""
    step, _dot, rest = path.partition(".")
    inner = nested(rest, value) if rest else value
    return {step[:-2]: [{"name": "other"}, inner]} if step.endswith("[]") else {step: inner}


def spots(rancher):
    """All places of the table on all kinds that a Rancher of this version has."""
    return [
        Spot(place, resource) for place in CREDENTIAL_REFERENCE_FIELDS for resource in resources(rancher)
        if (resource.group, resource.version) == (place.group, place.version)
        and (resource.plural == place.resource or place.resource is None and resource.kind.endswith(place.kind))
    ]


def spellings(spot, name):
    """How a place may name the credential with this metadata.name, each with the namespace of the object (None: of no namespace)."""
    if spot.place.form == "bare":
        return [(name, spot.home)]
    found = [(f"{DATA}:{name}", spot.home), (f"other:{name}", spot.home), (f"{DATA}/{name}", spot.home)]
    return found + ([(name, DATA)] if spot.resource.namespaced else [])


def others(spot, name):
    """What looks like that and names something else, or nothing."""
    if spot.place.form == "bare":
        return [(f"{name}x", spot.home), ("", spot.home), (None, spot.home)]
    return [(name, spot.home), (f"{DATA}:{name}x", spot.home), (f"{name}:{DATA}", spot.home), ("", spot.home), (None, spot.home)]
