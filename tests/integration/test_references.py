# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each reference field prevents the deletion of the credential that it refers to."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher.annotations import TURTLES_IDENTITY
from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher.references import (
    CREDENTIAL_REFERENCE_FIELDS,
    HISTORY,
    TEMPLATE_REFERENCE_FIELDS,
)

from control_plane.fixtures import RESOURCES
from support.cluster import INFO, MODULE
from support.reference_fields import others, spellings, spots

VERSIONS = ("2.10.0", "2.15.0")
DOCUMENT = Path(__file__).parents[2] / "docs" / "references.md"


@pytest.fixture(params=VERSIONS)
def version(request):
    return request.param


@pytest.fixture
def rancher(version, request):
    return request.getfixturevalue("cluster" if version == "2.10.0" else "cluster_215")


@pytest.fixture
def left(rancher):
    """Paths of objects that are deleted after the test."""
    paths = []
    yield paths
    for path in paths:
        rancher.api.delete(path)


def reference(spot, name, namespace):
    return {
        "kind": spot.resource.kind,
        "api_version": f"{spot.resource.group}/{spot.resource.version}",
        "namespace": namespace,
        "name": name,
        "field": spot.place.field,
        # no MachineDeployment refers to the templates of this test
        "use": HISTORY if spot.place.use == "template" else spot.place.use,
        **({"pools": ["used"]} if spot.place.use == "pool" else {}),
    }


def test_the_fixtures_contain_all_reference_fields():
    assert {spot.place for version in VERSIONS for spot in spots(version)} == set(CREDENTIAL_REFERENCE_FIELDS)


def test_all_reference_fields_in_all_spellings(rancher, version, left, subtests):
    used, unused = [], []
    for spot in spots(version):
        number = len(used) + len(unused)
        by_name = spot.place.form == "display name"
        for is_used, wanted in ((True, spellings(spot, "NAME")), (False, others(spot, "NAME"))):
            for offset, (value, namespace) in enumerate(wanted[:1] if by_name else wanted):
                credential = f"cc-{number}-{is_used:d}{offset}"
                rancher.secret(credential, display_name=f"name of {credential}")
                if by_name:  # a name counts together with the provider that its driver is
                    value, more = f"name of {credential}", {"name": "DigitalOcean" if is_used else "azure"}
                else:
                    value, more = value and value.replace("NAME", credential), None
                left.append(spot.create(rancher.api, f"user-{credential}", value, namespace, more))
                (used if is_used else unused).append(
                    (spot, credential, reference(spot, f"user-{credential}", namespace))
                )
    everything = [{"id": credential} for _spot, credential, _reference in used + unused]
    mark = rancher.control_plane.audit_mark()
    listing, entry, many, refused = rancher.play(
        {INFO: {"references": True}},
        {MODULE: {"state": "absent", **everything[0]}, "check_mode": True},
        {MODULE: {"state": "absent", "credentials": everything}, "check_mode": True},
        {MODULE: {"state": "absent", "credentials": everything}},
    ).tasks
    listed, refused = listing["result"], refused["result"]
    assert refused["code"] == "in_use" and "references_incomplete" not in listed
    shown = {item["id"].partition(":")[2]: item for item in listed["credentials"]}
    for item, (spot, credential, expected) in zip(refused["credentials"], used + unused):
        with subtests.test(f"{credential} {spot}"):
            references = [expected] if expected in [entry for _spot, _credential, entry in used] else []
            assert shown[credential]["references"] == item["references"] == references
            blocks = bool(references) and expected["use"] != HISTORY
            assert (item["action"], item.get("code")) == (("refused", "in_use") if blocks else ("deleted", None))
            words = ([expected["namespace"] + "/"] if expected["namespace"] else []) + [
                spot.resource.kind,
                expected["name"],
                spot.place.field,
            ]
            assert not blocks or all(word in item["msg"] for word in words)
    needed = [entry for entry in used if entry[2]["use"] != HISTORY]
    assert len(rancher.secrets()) == len(needed) > 40

    asked = [
        request for request in rancher.requests(mark) if request.verb == "list" and request.path.startswith("/apis/")
    ]
    lists = [
        [request.path for request in asked if since < request.time < until]
        for since, until in ((listing["ended"], entry["ended"]), (entry["ended"], many["ended"]))
    ]
    assert sorted(lists[0]) == sorted(lists[1]), "one credential costs as many requests as many"
    assert len(lists[0]) == len(set(lists[0])), "nothing is listed twice"
    kinds = {f"{path.rpartition('/')[2]}.{path.split('/')[2]}" for path in lists[0]} - {
        "dynamicschemas.management.cattle.io",
        "users.management.cattle.io",
    }
    assert kinds == {f"{spot.resource.plural}.{spot.resource.group}" for spot in spots(version)}, (
        "what is not there is not asked for"
    )

    for path in left:
        rancher.api.delete(path)
    left.clear()
    gone = rancher.play({MODULE: {"state": "absent", "credentials": everything}}).result
    actions = ["deleted" if entry in needed else "unchanged" for entry in used] + ["unchanged"] * len(unused)
    assert [item["action"] for item in gone["credentials"]] == actions
    assert not rancher.secrets()


def test_the_identity_that_turtles_deletes_does_not_count_as_a_reference(cluster_215):
    (spot,) = [spot for spot in spots("2.15.0") if spot.place.form == "bare"]
    paths = [spot.create(cluster_215.api, name, name) for name in ("cc-mirrored", "cc-other")]
    cluster_215.secret("cc-mirrored", display_name="a", annotations={TURTLES_IDENTITY: "cc-mirrored"})
    cluster_215.secret("cc-other", display_name="b", annotations={TURTLES_IDENTITY: "cc-another"})
    result = cluster_215.play({MODULE: {"state": "absent", "credentials": [{"name": "a"}, {"name": "b"}]}}).result
    for path in paths:
        cluster_215.api.delete(path)
    assert [item["action"] for item in result["credentials"]] == ["deleted", "refused"]


HIDDEN = ("etcdsnapshots.rke.cattle.io", "azuremachines.rke-machine.cattle.io", "nodetemplates.management.cattle.io")


def test_a_resource_that_may_not_be_listed_prevents_the_deletion(cluster):
    cluster.secret("cc-one")
    rbac = "/apis/rbac.authorization.k8s.io/v1"
    groups = {}
    for item in RESOURCES:
        if f"{item.plural}.{item.group}" not in HIDDEN:
            groups.setdefault(item.group, []).append(item.plural)
    rules = [
        {"apiGroups": [group], "resources": plurals, "verbs": ["get", "list"]} for group, plurals in groups.items()
    ]
    rules.append({"apiGroups": [""], "resources": ["secrets"], "verbs": ["*"]})
    cluster.api.post(f"{rbac}/clusterroles", {"metadata": {"name": "limited"}, "rules": rules})
    cluster.api.post(
        f"{rbac}/clusterrolebindings",
        {
            "metadata": {"name": "limited"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "limited"},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "limited"}],
        },
    )
    gone = {"name": "test", "state": "absent"}
    try:
        played = cluster.play(
            {INFO: {"references": True}},
            {MODULE: gone},
            {MODULE: {**gone, "force": True}},
            kubeconfig=cluster.control_plane.user("limited"),
        )
    finally:
        for kind in ("clusterroles", "clusterrolebindings"):
            cluster.api.delete(f"{rbac}/{kind}/limited")
    listed, refused, forced = played.results
    assert (listed["references_incomplete"], listed["credentials"][0]["references"]) == (sorted(HIDDEN), [])
    assert (refused["code"], refused["changed"]) == ("forbidden", False)
    assert "list" in refused["msg"] and all(kind in refused["msg"] for kind in HIDDEN)
    assert forced["credential"]["action"] == "deleted" and forced["credential"]["references_incomplete"] == sorted(
        HIDDEN
    )
    assert not cluster.secrets()


def test_the_table_in_the_documentation_is_current():
    rows = [
        [re.sub("`", "", cell.strip()) for cell in line.strip("|").split("|")]
        for line in DOCUMENT.read_text().splitlines()
        if line.startswith("| ")
    ]
    documented = [tuple(row[:6]) for row in rows if "/" in row[1]]
    forms = {"id": "id", "bare": "bare name", "display name": "display name"}
    table = [
        (
            ("…" if place.resource is None else "") + place.kind,
            place.api_version,
            place.field,
            forms[place.form],
            place.rancher,
            "pool, history" if place.use == "template" else place.use.replace("_", " "),
        )
        for place in CREDENTIAL_REFERENCE_FIELDS + TEMPLATE_REFERENCE_FIELDS
    ]
    assert documented == table
