# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""cloud_credential_info says what is wrong with credentials, and shows nothing of them by that."""

from __future__ import annotations

import base64
import datetime
import json

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
    """A certificate in PEM that ends in so many days."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "canary-subject")])
    end = NOW + datetime.timedelta(days=days)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), end - datetime.timedelta(days=400), end)
    made = builder.sign(key, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM).decode()


def jwt(**claims):
    parts = ({"alg": "RS256"}, {"iss": "canary-issuer", **claims})
    return ".".join([*(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts), "canary-signature"])


def kubeconfig(pem="", token="kubeconfig-user-x:canary-token"):
    inside = base64.b64encode(pem.encode()).decode()
    return f"apiVersion: v1\nusers:\n- name: a\n  user:\n    client-certificate-data: {inside}\n    token: {token}\n"


def problems(result):
    """The codes of each credential's problems by its name."""
    return {one["name"]: {problem["code"] for problem in one["problems"]} for one in result["credentials"]}


def dangling(result):
    """What refers to each credential that is gone, by its name; other tests leave such references behind."""
    return {one["id"].partition(":")[2]: [reference["name"] for reference in one["references"]] for one in result["dangling"]}


def test_what_is_wrong(cluster):
    in_days = {days: (NOW + datetime.timedelta(days=days)).timestamp() for days in (-1, 10, 100)}
    cluster.secret("cc-good", display_name="good")
    cluster.secret("cc-gone", display_name="owner gone", owner="u-gone", fields={"accessToken": "canary-other"})
    cluster.secret("cc-off", "outscale", {"accessKey": "a", "secretKey": "canary-outscale"}, "driver off")
    for number in (1, 2):
        cluster.secret(f"cc-twin{number}", display_name="twin", fields={"accessToken": f"canary-twin{number}"})
    cluster.secret("cc-ec2", "amazonec2", {"accessKey": "AKIASHARED", "secretKey": "canary-ec2"}, "shared")
    cluster.secret("cc-s3", "s3", {"accessKey": "AKIASHARED", "secretKey": "canary-s3", "defaultEndpointCA": certificate(10)}, "shared")
    cluster.secret("cc-pem", "s3", {"accessKey": "B", "secretKey": "canary", "defaultEndpointCA": certificate(100) + certificate(-1)}, "chain")
    for name, text, annotations in (
        ("certificate", kubeconfig(certificate(-1)), {}),
        ("token", kubeconfig(token=jwt(exp=in_days[10])), {}),
        ("annotation", kubeconfig(token="kubeconfig-user-y:canary"), {"rancher.io/expiration-timestamp": str(int(in_days[-1] * 1000))}),
        ("endless", kubeconfig(certificate(100), jwt(sub="canary")), {"rancher.io/expiration-timestamp": "0"}),
        ("hostile", "eyJ.eyJ.x eyJh.eyJh.x -----BEGIN CERTIFICATE-----x-----END CERTIFICATE----- LS0tLS1CRUdJTiBDRVJUx", {}),
    ):
        cluster.secret(f"cc-h{name}", "harvester", {"clusterType": "imported", "kubeconfigContent": text}, f"kubeconfig {name}", annotations=annotations)
    downstream(cluster, "prod", {"cloudCredentialSecretName": "cattle-global-data:cc-good", "rkeConfig": {"machinePools": [
        {"name": "a", "cloudCredentialSecretName": "cattle-global-data:cc-lost"}]}})
    for name, spec in (
        ("fine", {"driver": "digitalocean", "digitaloceanConfig": {"size": "s"}}), ("bare", {"driver": "digitalocean"}),
        ("other", {"driver": "amazonec2", "amazonec2Config": {"region": "r"}}),
    ):
        config = {key: spec.pop(key) for key in list(spec) if key.endswith("Config")}
        cluster.api.post(TEMPLATES, {
            "apiVersion": "management.cattle.io/v3", "kind": "NodeTemplate", **config,
            "metadata": {"name": f"nt-{name}", "annotations": {"field.cattle.io/creatorId": "u-wt94n"}},
            "spec": {**spec, "cloudCredentialName": "cattle-global-data:cc-good"}})
    mark = cluster.control_plane.audit_mark()
    result, narrowed, plain = (one for one in cluster.play(
        {INFO: {"problems": True}}, {INFO: {"problems": True, "id": "cc-ec2", "expires_within": "200d"}}, {INFO: {}}).results)
    assert problems(result) == {
        "good": {"template_broken"}, "owner gone": {"owner_gone", "unused"}, "driver off": {"driver_inactive", "unused"},
        "twin": {"duplicate_name", "unused"}, "shared": {"shared_key", "unused", "expires_soon"}, "chain": {"expired", "unused"},
        # the furniture's Rancher has its feature harvester off
        **{f"kubeconfig {name}": {"driver_inactive", "unused", *ends} for name, ends in {
            "certificate": ["expired"], "token": ["expires_soon"], "annotation": ["expired"], "endless": [], "hostile": []}.items()},
    }
    told = {one["id"].partition(":")[2]: one for one in result["credentials"]}
    assert [one["message"] for one in told["cc-good"]["problems"]] == [
        "node template nt-bare (cattle-global-nt:nt-bare), which uses it, has no digitaloceanConfig, so that no machine can be made from it",
        "node template nt-other (cattle-global-nt:nt-other), which uses it, is of driver amazonec2",
    ]
    assert {one["message"] for one in told["cc-ec2"]["problems"]} == {"has the same key as cattle-global-data:cc-s3", "nothing refers to it"}
    assert [one["message"].partition("T")[0] for one in told["cc-pem"]["problems"] if one["code"] == "expired"] == [
        f"a certificate in defaultEndpointCA ended at {(NOW - datetime.timedelta(days=1)).date()}"]
    assert {problem["level"] for one in result["credentials"] for problem in one["problems"] if problem["code"] == "expired"} == {"error"}
    assert (told["cc-good"]["owner_name"], told["cc-gone"]["owner_name"], told["cc-good"]["key_age_from"]) == ("alice", None, "secret")
    assert (told["cc-good"]["due"], told["cc-good"]["due_at"], told["cc-good"]["max_age"]) == (False, None, None)
    assert told["cc-good"]["rotation"]["phase"] == "idle" and told["cc-good"]["rotation"]["running"] is False
    assert dangling(result)["cc-lost"] == ["prod"] and "cc-good" not in dangling(result)
    assert "problems_incomplete" not in result and not cluster.writes(mark)
    assert [(one["id"], {problem["code"] for problem in one["problems"]}) for one in narrowed["credentials"]] == [
        ("cattle-global-data:cc-ec2", {"shared_key", "unused"})]
    assert "dangling" not in plain and "problems" not in plain["credentials"][0]
    values = [base64.b64decode(value).decode() for secret in cluster.secrets() for key, value in secret["data"].items()
              if not key.endswith(("-accessKey", "-clusterType"))]
    shown = json.dumps([result, narrowed])
    assert "canary" not in shown and not [value for value in values if value in shown]


def test_ages_and_policies(cluster, subtests):
    for name, driver, owner in (("aws prod", "amazonec2", "u-wt94n"), ("aws test", "amazonec2", "user-8knjc"), ("do", "digitalocean", "u-wt94n")):
        cluster.secret(f"cc-{name.replace(' ', '-')}", driver, {"accessKey": name, "accessToken": "canary"}, name, owner)
    cases = {
        "none": ({}, {}),
        "for all": ({"max_age": "1d"}, {"aws prod": 86400, "aws test": 86400, "do": 86400}),
        "the first that fits": ({"max_age": "1w", "policies": [{"name": "aws*", "owner": "alice", "max_age": "0s"}, {"driver": "amazonec2", "max_age": "2d"}]},
                                {"aws prod": 0, "aws test": 172800, "do": 604800}),
        "by user id": ({"policies": [{"owner": "user-8knjc", "max_age": "5m"}]}, {"aws test": 300}),
        "a name is no pattern of another kind": ({"policies": [{"name": "aws.*|do", "max_age": "5m"}, {"name": "d?", "max_age": "1h"}]}, {"do": 3600}),
    }
    played = cluster.play(*({INFO: {"problems": True, **options}} for options, _expected in cases.values()))
    for (what, (_options, expected)), result in zip(cases.items(), played.results):
        with subtests.test(what):
            assert {one["name"]: one["max_age"] for one in result["credentials"] if one["max_age"] is not None} == expected
            overdue = {name for name, found in problems(result).items() if "overdue" in found}
            assert overdue == {name for name, age in expected.items() if age == 0} == {one["name"] for one in result["credentials"] if one["due"]}
    wrong = cluster.play({INFO: {"problems": True, "max_age": "90", "policies": [{"max_age": "1y"}, {"driver": "x"}], "namespace": "cattle-x"}}).result
    assert wrong["code"] == "invalid" and "policies[1]: max_age is required" in wrong["msg"], wrong
    wrong = cluster.play({INFO: {"problems": True, "max_age": "90", "policies": [{"max_age": "1y"}], "namespace": "cattle-x"}}).result
    for words in ("max_age must be", "policies[0]: max_age must be", "namespace must not begin with"):
        assert wrong["code"] == "invalid" and words in wrong["msg"], wrong


def _aged(rotating, **changes):
    """Make the record of a rotation look as if it had been there for a week."""
    path = f"/api/v1/namespaces/{rotating.namespace}/configmaps/rotation-{rotating.id}"
    record = json.loads(rotating.cluster.api.get(path)["data"]["record"])
    record.update(changes)
    week = datetime.timedelta(days=7)
    for name, value in record.items():
        if name.endswith("_at") and value:
            record[name] = (datetime.datetime.fromisoformat(value) - week).isoformat()
    record["transitions"] = [{**one, "at": (datetime.datetime.fromisoformat(one["at"]) - week).isoformat()} for one in record["transitions"]]
    rotating.cluster.api.patch(path, {"data": {"record": json.dumps(record)}})


@pytest.mark.parametrize("phase", ["grace", "issued"])
def test_rotations(cluster, aws, phase):
    rotating = RotatingCredential(cluster, aws)
    info = {INFO: {"problems": True, "namespace": rotating.namespace, "max_age": "90d"}}
    ask = {INFO: {**info[INFO], "ask_clouds": True}}
    environment = {"environment": {"AWS_ENDPOINT_URL": aws.url}}
    asked, = cluster.play(ask, **environment).result["credentials"]
    assert asked["key_age_from"] == "cloud" and abs(asked["key_age"] - asked["age"]) < 60 and asked["rotation"]["phase"] == "idle"
    assert rotating.run(pause_before_cutover=phase == "issued")["rotation"]["phase"] == phase
    fresh, = cluster.play(info).result["credentials"]
    assert {problem["code"] for problem in fresh["problems"]} == {"unused"} and fresh["due"] is (phase == "issued")
    assert fresh["key_age_from"] == ("record" if phase == "grace" else "secret")
    _aged(rotating)
    aged, = cluster.play(info).result["credentials"]
    stuck = [one["message"] for one in aged["problems"] if one["code"] == "stuck_rotation"]
    assert len(stuck) == 1 and phase in stuck[0] and aged["rotation"]["phase"] == phase and aged["rotation"]["transitions"], aged
    if phase == "grace":
        rotating.cluster.api.patch(f"/api/v1/namespaces/cattle-global-data/secrets/{rotating.id}", {"stringData": {
            "amazonec2credentialConfig-secretKey": "canary-typed"}})
        drifted = cluster.play(info).result
        assert problems(drifted) == {f"aws {rotating.id}": {"unused", "drift"}} and "canary-typed" not in json.dumps(drifted)


def test_what_may_not_be_looked_at_is_not_judged(cluster, aws, grant):
    """The rights of docs/rbac/report.yaml are enough, and without any of them what needs it is refused or named."""
    namespace, *roles = documented("report")
    assert [(role["kind"], role["metadata"].get("namespace")) for role in roles] == [
        ("Role", "cattle-global-data"), ("Role", namespace["metadata"]["name"]), ("ClusterRole", None)]
    rotating = RotatingCredential(cluster, aws)
    rotating.namespace = namespace["metadata"]["name"]
    cluster.api.post(MACHINES, {"apiVersion": "rke-machine.cattle.io/v1", "kind": "Amazonec2Machine", "metadata": {"name": "judged"},
                                "spec": {"common": {"cloudCredentialSecretName": f"cattle-global-data:{rotating.id}"}}})
    downstream(cluster, "lost", {"cloudCredentialSecretName": "cattle-global-data:cc-lost"})
    assert rotating.run()["rotation"]["phase"] == "grace"
    installed = {resource["name"] for group in ("management.cattle.io/v3", "provisioning.cattle.io/v1", "rke.cattle.io/v1", "rke-machine.cattle.io/v1",
                                                "aks.cattle.io/v1", "eks.cattle.io/v1", "gke.cattle.io/v1")
                 for resource in cluster.api.get(f"/apis/{group}")["resources"]}
    rights = [one for one in single_rights(roles) if one[2] in ("", "batch") or one[3] == "*" or one[3] in installed]
    missing = {"users": "owner_gone: ", "dynamicschemas": "driver_inactive: ", "nodetemplates": "template_broken: ", "configmaps": "stuck_rotation: "}
    gates = {"jobs": "machine_jobs", "settings": "rancher_version"}
    complete, *lacking = cluster.play(
        *({INFO: {"problems": True, "kubeconfig": grant(f"judge-{number}", left)}}
          for number, left in enumerate([roles, *(without(roles, *one[:2], *one[3:]) for one in rights)]))).results
    cluster.api.delete(f"{MACHINES}/judged")
    assert dangling(complete)["cc-lost"] == ["lost"] and rotating.id not in dangling(complete)
    assert "problems_incomplete" not in complete and complete["credentials"][0]["rotation"]["gates"], complete
    assert {gate["state"] for gate in complete["credentials"][0]["rotation"]["gates"]} <= {"open", "waiting"}
    assert len(lacking) == len(rights) > 12
    for (number, _position, _group, resource, _verb), result in zip(rights, lacking):
        told = " ".join(result.get("problems_incomplete", ()))
        if resource in gates:
            unknown = [gate["name"] for gate in result["credentials"][0]["rotation"]["gates"] if gate["state"] == "unknown"]
            assert unknown == [gates[resource]] and not told, (resource, result)
        elif resource == "secrets" and number == 0:
            assert result["code"] == "forbidden", result
        else:
            kind = {"secrets": "configmaps", "*": ""}.get(resource, resource)
            words = missing.get(kind, f"unused: this connection may not list {kind}")
            assert words in told, (resource, result)


def test_as_a_module(cluster):
    cluster.secret("cc-one", "amazonec2", {"accessKey": "A", "secretKey": "canary"}, "one")
    result = cluster.play({INFO: {"problems": True, "ask_clouds": True}}, as_module=True).result
    assert problems(result) == {"one": {"unused"}} and result["credentials"][0]["key_age_from"] == "secret", result
    assert ["clouds are asked from the controller only" in one for one in result["problems_incomplete"]] == [True]
