# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects for every field that can refer to a credential, derived from the table of these fields alone."""

from __future__ import annotations

import typing

from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher.references import (
    CREDENTIAL_REFERENCE_FIELDS,
    ReferenceField,
)

from control_plane.fixtures import Resource, resources

DATA = "cattle-global-data"


class Spot(typing.NamedTuple):
    """A field that can refer to a credential, on one kind of the fixtures."""

    place: ReferenceField
    resource: Resource

    def __str__(self):
        return f"{self.resource.kind}.{self.resource.group} {self.place.field}"

    @property
    def home(self):
        """The namespace of such objects."""
        return "fleet-default" if self.resource.namespaced else None

    def path(self, namespace):
        middle = f"namespaces/{namespace}/" if namespace else ""
        return f"/apis/{self.resource.group}/{self.resource.version}/{middle}{self.resource.plural}"

    def body(self, name, value, spec=None):
        """Return an object with the value in this field."""
        content = nested(self.place.field, value)
        if spec:
            content["spec"] = {**spec, **content.get("spec", {})}
        return {
            "apiVersion": f"{self.resource.group}/{self.resource.version}",
            "kind": self.resource.kind,
            "metadata": {"name": name},
            **content,
        }

    def create(self, api, name, value, namespace="", spec=None):
        """Create such an object and return its path; its status is written as a controller writes it."""
        path, body = self.path(self.home if namespace == "" else namespace), self.body(name, value, spec)
        api.post(path, body)
        if self.resource.status and "status" in body:
            api.patch(f"{path}/{name}/status", {"status": body["status"]})
        return f"{path}/{name}"


def nested(path, value):
    """Return an object with the value at a path; a list in the path contains another element before it."""
    step, _dot, rest = path.partition(".")
    inner = nested(rest, value) if rest else value
    return {step[:-2]: [{"name": "other"}, {"name": "used", **inner}]} if step.endswith("[]") else {step: inner}


def spots(rancher):
    """Return all fields of the table, on all kinds that a Rancher of this version has."""
    return [
        Spot(place, resource)
        for place in CREDENTIAL_REFERENCE_FIELDS
        for resource in resources(rancher)
        if (resource.group, resource.version) == (place.group, place.version)
        and (resource.plural == place.resource or place.resource is None and resource.kind.endswith(place.kind))
    ]


def spellings(spot, name):
    """Return the values with which a field can refer to the credential of this metadata.name.

    Each has the namespace of the object; None: the object is cluster-wide.
    """
    if spot.place.form == "bare":
        return [(name, spot.home)]
    found = [(f"{DATA}:{name}", spot.home), (f"other:{name}", spot.home), (f"{DATA}/{name}", spot.home)]
    return found + ([(name, DATA)] if spot.resource.namespaced else [])


def others(spot, name):
    """Return similar values that refer to another object, or to none."""
    if spot.place.form == "bare":
        return [(f"{name}x", spot.home), ("", spot.home), (None, spot.home)]
    return [
        (name, spot.home),
        (f"{DATA}:{name}x", spot.home),
        (f"{name}:{DATA}", spot.home),
        ("", spot.home),
        (None, spot.home),
    ]
