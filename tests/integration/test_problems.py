# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""cloud_credential_info with problems: ages of keys, policies, and every problem, without any secret value."""

from __future__ import annotations

import base64
import datetime
import json
from dataclasses import dataclass

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from support.cluster import INFO
from support.objects import MACHINES, TEMPLATES, downstream
from support.rights import documented, single_rights, without
from support.rotations import RotatingCredential

NOW = datetime.datetime.now(datetime.timezone.utc)


def certificate(days):
    """Return a certificate in PEM that expires in this number of days."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "canary-subject")])
    end = NOW + datetime.timedelta(days=days)
    start = end - datetime.timedelta(days=400)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), start, end)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def jwt(**claims):
    parts = ({"alg": "RS256"}, {"iss": "canary-issuer", **claims})
    encoded = (base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)
    return ".".join([*encoded, "canary-signature"])


def kubeconfig(pem="", token="kubeconfig-user-x:canary-token"):
    data = base64.b64encode(pem.encode()).decode()
    return f"apiVersion: v1\nusers:\n- name: a\n  user:\n    client-certificate-data: {data}\n    token: {token}\n"


def problems(result):
    """Return the codes of the problems of each credential, by its name."""
    return {shown["name"]: {problem["code"] for problem in shown["problems"]} for shown in result["credentials"]}


def dangling(result):
    """Return the names of the objects that refer to each missing credential."""
    return {
        missing["id"].partition(":")[2]: [reference["name"] for reference in missing["references"]]
        for missing in result["dangling"]
    }


def add_credentials_with_problems(cluster):
    seconds = {days: (NOW + datetime.timedelta(days=days)).timestamp() for days in (-1, 10, 100)}
    cluster.secret("cc-good", display_name="good")
    cluster.secret("cc-gone", display_name="owner gone", owner="u-gone", fields={"accessToken": "canary-other"})
    cluster.secret("cc-off", "outscale", {"accessKey": "a", "secretKey": "canary-outscale"}, "driver off")
    for number in (1, 2):
        cluster.secret(f"cc-twin{number}", display_name="twin", fields={"accessToken": f"canary-twin{number}"})
    cluster.secret("cc-ec2", "amazonec2", {"accessKey": "AKIASHARED", "secretKey": "canary-ec2"}, "shared")
    shared = {"accessKey": "AKIASHARED", "secretKey": "canary-s3", "defaultEndpointCA": certificate(10)}
    cluster.secret("cc-s3", "s3", shared, "shared")
    chain = {"accessKey": "B", "secretKey": "canary", "defaultEndpointCA": certificate(100) + certificate(-1)}
    cluster.secret("cc-pem", "s3", chain, "chain")
    stamp = "rancher.io/expiration-timestamp"
    hostile = "eyJ.eyJ.x eyJh.eyJh.x -----BEGIN CERTIFICATE-----x-----END CERTIFICATE----- LS0tLS1CRUdJTiBDRVJUx"
    for name, text, note in (
        ("certificate", kubeconfig(certificate(-1)), {}),
        ("token", kubeconfig(token=jwt(exp=seconds[10])), {}),
        ("annotation", kubeconfig(token="kubeconfig-user-y:canary"), {stamp: str(int(seconds[-1] * 1000))}),
        ("endless", kubeconfig(certificate(100), jwt(sub="canary")), {stamp: "0"}),
        ("hostile", hostile, {}),
    ):
        fields = {"clusterType": "imported", "kubeconfigContent": text}
        cluster.secret(f"cc-h{name}", "harvester", fields, f"kubeconfig {name}", annotations=note)
    pools = [{"name": "a", "cloudCredentialSecretName": "cattle-global-data:cc-lost"}]
    downstream(cluster, "prod", {
        "cloudCredentialSecretName": "cattle-global-data:cc-good", "rkeConfig": {"machinePools": pools}})
    for name, driver, config in (
        ("fine", "digitalocean", {"digitaloceanConfig": {"size": "s"}}),
        ("bare", "digitalocean", {}),
        ("other", "amazonec2", {"amazonec2Config": {"region": "r"}}),
    ):
        cluster.api.post(TEMPLATES, {
            "apiVersion": "management.cattle.io/v3", "kind": "NodeTemplate", **config,
            "metadata": {"name": f"nt-{name}", "annotations": {"field.cattle.io/creatorId": "u-wt94n"}},
            "spec": {"driver": driver, "cloudCredentialName": "cattle-global-data:cc-good"}})


def test_every_problem_is_found(cluster):
    add_credentials_with_problems(cluster)
    mark = cluster.control_plane.audit_mark()
    result, narrowed, plain = cluster.play(
        {INFO: {"problems": True}},
        {INFO: {"problems": True, "id": "cc-ec2", "expires_within": "200d"}},
        {INFO: {}},
    ).results
    assert problems(result) == {
        "good": {"template_broken"}, "owner gone": {"owner_gone", "unused"},
        "driver off": {"driver_inactive", "unused"}, "twin": {"duplicate_name", "unused"},
        "shared": {"shared_key", "unused", "expires_soon"}, "chain": {"expired", "unused"},
        # the feature harvester is off in the recorded Rancher
        "kubeconfig certificate": {"driver_inactive", "unused", "expired"},
        "kubeconfig token": {"driver_inactive", "unused", "expires_soon"},
        "kubeconfig annotation": {"driver_inactive", "unused", "expired"},
        "kubeconfig endless": {"driver_inactive", "unused"},
        "kubeconfig hostile": {"driver_inactive", "unused", "malformed"},
    }
    by_id = {shown["id"].partition(":")[2]: shown for shown in result["credentials"]}
    bare, other = (problem["message"] for problem in by_id["cc-good"]["problems"])
    assert bare.startswith("node template nt-bare (cattle-global-nt:nt-bare), which uses it, has no ")
    assert other == "node template nt-other (cattle-global-nt:nt-other), which uses it, has driver amazonec2"
    assert {problem["message"] for problem in by_id["cc-ec2"]["problems"]} == {
        "contains the same key as cattle-global-data:cc-s3", "no object refers to it"}
    found = [problem for shown in result["credentials"] for problem in shown["problems"]]
    assert {problem["level"] for problem in found if problem["code"] == "expired"} == {"error"}
    message, = (problem["message"] for problem in by_id["cc-pem"]["problems"] if problem["code"] == "expired")
    day = (NOW - datetime.timedelta(days=1)).date()
    assert message.startswith(f"a certificate in defaultEndpointCA expired at {day}T") and message.endswith("Z")
    good = by_id["cc-good"]
    assert (good["owner_name"], by_id["cc-gone"]["owner_name"], good["key_age_source"]) == ("alice", None, "secret")
    assert (good["due"], good["due_at"], good["max_age_seconds"]) == (False, None, None)
    assert good["rotation"]["phase"] == "idle" and good["rotation"]["running"] is False
    assert dangling(result)["cc-lost"] == ["prod"] and "cc-good" not in dangling(result)
    assert "problems_incomplete" not in result and not cluster.writes(mark)
    assert [shown["id"] for shown in narrowed["credentials"]] == ["cattle-global-data:cc-ec2"]
    assert problems(narrowed) == {"shared": {"shared_key", "unused"}}
    assert "dangling" not in plain and [shown["problems"] for shown in plain["credentials"]] == [[]] * len(by_id)
    former = {"age", "key_age", "key_age_from", "max_age", "problem"}
    assert not [shown for shown in by_id.values() if former & set(shown)]
    values = [
        base64.b64decode(value).decode() for secret in cluster.secrets() for key, value in secret["data"].items()
        if not key.endswith(("-accessKey", "-clusterType"))
    ]
    text = json.dumps([result, narrowed])
    assert "canary" not in text and not [value for value in values if value in text]


def test_an_unreadable_credential_has_this_problem_in_every_result(cluster):
    cluster.secret("cc-both", "amazonec2", {"accessKey": "A", "secretKey": "canary"}, "both")
    cluster.api.patch("/api/v1/namespaces/cattle-global-data/secrets/cc-both", {"stringData": {
        "digitaloceancredentialConfig-accessToken": "canary-token"}})
    plain, checked = cluster.play({INFO: {}}, {INFO: {"problems": True}}).results
    problem, = plain["credentials"][0]["problems"]
    assert (problem["code"], problem["level"]) == ("unreadable", "error")
    assert problem["message"].startswith("has fields of several drivers (amazonec2, digitalocean)")
    assert problem in checked["credentials"][0]["problems"] and problems(checked) == {"both": {"unreadable", "unused"}}


@dataclass(frozen=True)
class PolicyCase:
    """Options, and the allowed age in seconds of each credential to which a policy applies."""

    options: dict
    max_ages: dict


POLICIES = {
    "none": PolicyCase({}, {}),
    "for all": PolicyCase({"max_age": "1d"}, {"aws prod": 86400, "aws test": 86400, "do": 86400}),
    "the first that matches": PolicyCase(
        {"max_age": "1w", "policies": [
            {"name_pattern": "aws*", "owner": "alice", "max_age": "0s"}, {"driver": "amazonec2", "max_age": "2d"}]},
        {"aws prod": 0, "aws test": 172800, "do": 604800}),
    "by user id": PolicyCase({"policies": [{"owner": "user-8knjc", "max_age": "5m"}]}, {"aws test": 300}),
    "a pattern is not a regular expression": PolicyCase(
        {"policies": [{"name_pattern": "aws.*|do", "max_age": "5m"}, {"name_pattern": "d?", "max_age": "1h"}]},
        {"do": 3600}),
}


def test_ages_and_policies(cluster, subtests):
    for name, driver, owner in (
        ("aws prod", "amazonec2", "u-wt94n"), ("aws test", "amazonec2", "user-8knjc"),
        ("do", "digitalocean", "u-wt94n"),
    ):
        fields = {"accessKey": name, "accessToken": "canary"}
        cluster.secret(f"cc-{name.replace(' ', '-')}", driver, fields, name, owner)
    played = cluster.play(*({INFO: {"problems": True, **case.options}} for case in POLICIES.values()))
    for (name, case), result in zip(POLICIES.items(), played.results):
        with subtests.test(name):
            found = {shown["name"]: shown["max_age_seconds"] for shown in result["credentials"]}
            assert {name: age for name, age in found.items() if age is not None} == case.max_ages
            overdue = {name for name, codes in problems(result).items() if "overdue" in codes}
            assert overdue == {name for name, age in case.max_ages.items() if age == 0}
            assert overdue == {shown["name"] for shown in result["credentials"] if shown["due"]}
            for shown in result["credentials"]:
                assert 0 <= shown["key_age_seconds"] <= shown["age_seconds"] + 1
                assert shown["due_at"] is None or shown["due_at"].endswith("Z")


def test_invalid_health_options(cluster):
    first = {"problems": True, "policies": [{"max_age": "1d"}, {"driver": "x"}, {"name": "aws*", "max_age": "1d"}]}
    second = {"problems": True, "max_age": "90", "policies": [{"max_age": "1y"}], "expires_within": "3651d"}
    cases = [
        (first, ("policies[1]: max_age is required", "policies[2] (aws*): unknown option name; allowed are")),
        (second, ("max_age must be", "policies[0]: max_age must be", "expires_within must not be longer than 3650d")),
        ({"problems": True, "namespace": "cattle-x"}, ("namespace must not begin with",)),
    ]
    for options, messages in cases:
        result = cluster.play({INFO: options}).result
        assert result["code"] == "invalid" and all(message in result["msg"] for message in messages), result


def _age_record(rotating, **changes):
    """Change the record of a rotation, and move its times to a week before."""
    path = f"/api/v1/namespaces/{rotating.namespace}/configmaps/rotation-{rotating.id}"
    record = json.loads(rotating.cluster.api.get(path)["data"]["record"])
    record.update(changes)

    def a_week_before(text):
        return (datetime.datetime.fromisoformat(text.replace("Z", "+00:00")) - datetime.timedelta(days=7)).isoformat()

    for name, value in record.items():
        if name.endswith("_at") and value:
            record[name] = a_week_before(value)
    record["transitions"] = [{**step, "at": a_week_before(step["at"])} for step in record["transitions"]]
    rotating.cluster.api.patch(path, {"data": {"record": json.dumps(record)}})


@pytest.mark.parametrize("phase", ["grace", "issued"])
def test_rotations(cluster, aws, phase):
    rotating = RotatingCredential(cluster, aws)
    info = {INFO: {"problems": True, "namespace": rotating.namespace, "max_age": "90d"}}
    query = {INFO: {**info[INFO], "query_providers": True}}
    queried, = cluster.play(query, environment={"AWS_ENDPOINT_URL": aws.url}).result["credentials"]
    assert queried["key_age_source"] == "provider" and queried["rotation"]["phase"] == "idle"
    assert abs(queried["key_age_seconds"] - queried["age_seconds"]) < 60
    assert rotating.run(pause_before_cutover=phase == "issued")["rotation"]["phase"] == phase
    fresh, = cluster.play(info).result["credentials"]
    assert {problem["code"] for problem in fresh["problems"]} == {"unused"} and fresh["due"] is (phase == "issued")
    assert fresh["key_age_source"] == ("record" if phase == "grace" else "secret")
    _age_record(rotating)
    aged, = cluster.play(info).result["credentials"]
    stuck, = (problem["message"] for problem in aged["problems"] if problem["code"] == "stuck_rotation")
    assert f"in phase {phase} for" in stuck, aged
    assert aged["rotation"]["phase"] == phase and aged["rotation"]["transitions"], aged
    if phase == "grace":
        rotating.cluster.api.patch(f"/api/v1/namespaces/cattle-global-data/secrets/{rotating.id}", {"stringData": {
            "amazonec2credentialConfig-secretKey": "canary-typed"}})
        drifted = cluster.play(info).result
        assert problems(drifted) == {f"aws {rotating.id}": {"unused", "drift"}}
        assert "canary-typed" not in json.dumps(drifted)


def test_checks_without_permission_are_skipped_and_listed(cluster, aws, grant):
    """The permissions of docs/rbac/report.yaml suffice; without one of them, a check fails or is listed as skipped."""
    namespace, *roles = documented("report")
    assert [(role["kind"], role["metadata"].get("namespace")) for role in roles] == [
        ("Role", "cattle-global-data"), ("Role", namespace["metadata"]["name"]), ("Role", "fleet-default"),
        ("ClusterRole", None)]
    rotating = RotatingCredential(cluster, aws)
    rotating.namespace = namespace["metadata"]["name"]
    cluster.api.post(MACHINES, {
        "apiVersion": "rke-machine.cattle.io/v1", "kind": "Amazonec2Machine", "metadata": {"name": "machine"},
        "spec": {"common": {"cloudCredentialSecretName": f"cattle-global-data:{rotating.id}"}}})
    downstream(cluster, "lost", {"cloudCredentialSecretName": "cattle-global-data:cc-lost"})
    downstream(cluster, "own", {"cloudCredentialSecretName": "own-secret"})  # of the cluster's namespace
    assert rotating.run()["rotation"]["phase"] == "grace"
    groups = (
        "management.cattle.io/v3", "provisioning.cattle.io/v1", "rke.cattle.io/v1", "rke-machine.cattle.io/v1",
        "aks.cattle.io/v1", "eks.cattle.io/v1", "gke.cattle.io/v1",
    )
    installed = {resource["name"] for group in groups for resource in cluster.api.get(f"/apis/{group}")["resources"]}
    rights = [
        right for right in single_rights(roles)
        if right[2] in ("", "batch", "rke-machine.cattle.io") or right[3] in installed
    ]
    remaining = [roles, *(without(roles, *right[:2], *right[3:]) for right in rights)]
    kubeconfigs = [grant(f"checker-{number}", left) for number, left in enumerate(remaining)]
    complete, *results = cluster.play(
        *({INFO: {"problems": True, "kubeconfig": kubeconfig}} for kubeconfig in kubeconfigs)).results
    cluster.api.delete(f"{MACHINES}/machine")
    assert dangling(complete) == {"cc-lost": ["lost"], "own-secret": ["own"]}
    assert "problems_incomplete" not in complete and complete["credentials"][0]["rotation"]["gates"], complete
    assert {gate["state"] for gate in complete["credentials"][0]["rotation"]["gates"]} <= {"open", "waiting"}
    assert len(results) == len(rights) > 12
    checks = {
        "users": "owner_gone: ", "dynamicschemas": "driver_inactive: ", "nodetemplates": "template_broken: ",
        "configmaps": "stuck_rotation: ",
    }
    gates = {"jobs": "machine_jobs", "settings": "rancher_version"}
    for (number, _position, _group, resource, _verb), result in zip(rights, results):
        skipped = " ".join(result.get("problems_incomplete", ()))
        if resource in gates:
            states = {gate["name"]: gate["state"] for gate in result["credentials"][0]["rotation"]["gates"]}
            unknown = [name for name, state in states.items() if state == "unknown"]
            assert unknown == [gates[resource]] and not skipped, (resource, result)
        elif resource == "secrets" and number == 0:
            assert result["code"] == "forbidden", result
        elif resource == "secrets" and number == 2:
            assert skipped == "dangling: this connection may not read secrets in the namespaces of clusters", result
        else:
            kind = {"secrets": "configmaps", "*": ""}.get(resource, resource)
            assert checks.get(kind, f"unused: this connection may not list {kind}") in skipped, (resource, result)


def test_as_a_module(cluster):
    cluster.secret("cc-one", "amazonec2", {"accessKey": "A", "secretKey": "canary"}, "one")
    nowhere = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
    result = cluster.play(
        {INFO: {"problems": True, "query_providers": True}}, as_module=True, environment=nowhere
    ).result
    assert problems(result) == {"one": {"unused"}}, result
    assert result["credentials"][0]["key_age_source"] == "secret", result
    reason, = result["problems_incomplete"]
    assert "AWS did not answer iam:ListAccessKeys" in reason
