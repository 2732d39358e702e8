# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""No secret of a rotation appears anywhere: new secrets are canaries, or created by the provider and searched for."""

from __future__ import annotations

import json
import secrets

import pytest

from support.canaries import Canaries, Run
from support.cluster import decoded
from support.fakes import FaultInjector, reply
from support.providers.aws_process import AwsManager

ROTATION = "ranchhand.rancher.cloud_credential_rotation"
INFO = "ranchhand.rancher.cloud_credential_rotation_info"


@pytest.fixture(scope="module")
def cloud():
    with AwsManager() as manager:
        yield manager.AwsProcess()


class RotatingCredential(Run):
    """A credential with a key of a user of its own, and all output about its rotation."""

    def __init__(self, cluster, folder, cloud):
        self.cloud = cloud
        self.id, self.user = f"cc-{secrets.token_hex(4)}", f"user-{secrets.token_hex(4)}"
        self.namespace = f"rotation-{secrets.token_hex(4)}"
        key = cloud.create_user(self.user)
        super().__init__(cluster, folder, Canaries(secret_of_the_old_key=key["secretKey"]))
        cluster.secret(self.id, "amazonec2", {**key, "defaultRegion": "eu-central-1"}, "aws")
        self.output = []

    def task(self, state="rotated", **options):
        return {
            ROTATION: {
                "id": self.id,
                "state": state,
                "namespace": self.namespace,
                "drain": "1s",
                "verify_timeout": "2s",
                "rotation_id": "first",
                "issuer_options": {"endpoint_url": self.cloud.address(), "propagation": "0s"},
                "audit_file": str(self.folder / "audit"),
                **options,
            }
        }

    def play(self, *tasks, **options):
        before = set(self.cluster.directory.iterdir())
        played = super().play(*tasks, **options)
        self.output.append(played.output)
        self.output += [
            path.read_text() for path in set(self.cluster.directory.iterdir()) - before if path.suffix == ".results"
        ]
        return played

    def kept(self):
        items = self.cluster.api.get(f"/api/v1/namespaces/{self.namespace}/secrets")["items"]
        return [
            json.loads(decoded(item)["payload"]) for item in items if item["metadata"]["name"] != "rotation-digests"
        ]

    def look_back(self):
        """All again, with the secrets that were made meanwhile."""
        for number, value in enumerate(self.kept()):
            self.canaries.values.update(
                {f"kept {number} {name}": text for name, text in value.items() if name in ("secretKey", "accessToken")}
            )
        stored = {name.partition("-")[2]: text for name, text in decoded(self.cluster.stored(self.id)).items()}
        self.canaries.values.update(
            {f"stored {name}": stored[name] for name in ("secretKey", "accessToken") if name in stored}
        )
        for path in self.folder.rglob("*"):
            if path.is_file():
                self.output.append(path.read_text(errors="replace"))
        for resource in ("api/v1/{}/configmaps", "api/v1/{}/events", "apis/coordination.k8s.io/v1/{}/leases"):
            items = self.cluster.api.get("/" + resource.format(f"namespaces/{self.namespace}"))["items"]
            assert items, f"nothing in {resource}"
            self.output.append(json.dumps(items))
        self.output.append(json.dumps(self.cluster.stored(self.id)["metadata"]))
        self.canaries.assert_hidden("\n".join([*self.output, *self.arguments]), "the output")


@pytest.fixture
def rotating(cluster, tmp_path, cloud):
    return RotatingCredential(cluster, tmp_path, cloud)


def _shown(name):
    return {"ansible.builtin.debug": {"var": name}}


def _codes(played):
    return [
        result.get("code") or result["rotation"]["phase"]
        for result in played.results
        if "rotation" in result or "code" in result
    ]


def test_a_rotation_that_works(rotating):
    status = {INFO: {"namespace": rotating.namespace, "gates": True}, "register": "status"}
    played = rotating.play(
        {**rotating.task(), "check_mode": True},
        {**rotating.task(reason="quarterly"), "register": "done"},
        _shown("done"),
        status,
        _shown("status"),
        {**rotating.task("retired", grace="0s"), "register": "done"},
        _shown("done"),
    )
    assert _codes(played)[1:] == ["grace", "disabled"], played.output
    rotating.look_back()
    assert sum(name.startswith("kept") for name in rotating.canaries.values) == 2, "the old value and the new one"
    played = rotating.play(
        rotating.task("retired", soak="0s"), rotating.task(rotation_id="second"), rotating.task("rolled_back")
    )
    assert _codes(played) == ["idle", "grace", "idle"], played.output
    rotating.look_back()
    assert (rotating.folder / "audit").read_text().count("\n") == 12


def test_rotations_that_fail(rotating):
    """A lost reply, a provider that rejects a request, a new key that does not work, a value of another client."""
    cloud = rotating.cloud
    cloud.lose(rotating.user, "CreateAccessKey")
    lost = rotating.play(rotating.task(), rotating.task("aborted"))
    assert _codes(lost) == ["unreachable", "idle"], lost.output
    theirs = cloud.create_user(f"{rotating.user}-theirs")
    rotating.canaries.values["typed in"] = theirs["secretKey"]
    assert _codes(rotating.play(rotating.task(rotation_id="second", pause_before_cutover=True))) == ["issued"]
    rotating.look_back()
    rotating.cluster.api.patch(f"/api/v1/namespaces/cattle-global-data/secrets/{rotating.id}", {
        "stringData": {f"amazonec2credentialConfig-{name}": value for name, value in theirs.items()}})
    drift = rotating.play(
        *[rotating.task(state, rotation_id="second") for state in ("rotated", "retired", "rolled_back", "aborted")]
    )
    assert _codes(drift) == ["drift"] * 4, drift.output
    rotating.look_back()


def test_an_admin_signs_in(rotating):
    """Its own secret is as secret, in a task's options and where the SDK fails."""
    admin = rotating.cloud.create_user(f"{rotating.user}-admin")
    rotating.canaries.values["admin"] = admin["secretKey"]
    options = {
        "endpoint_url": rotating.cloud.address(),
        "propagation": "0s",
        "sign_in": "given",
        "access_key": admin["accessKey"],
    }
    good = rotating.task(issuer_options=options, issuer_secrets={"secret_key": "{{ canary.admin }}"})
    wrong = rotating.task(
        issuer_options={**options, "secret_key": "{{ canary.admin }}", "sign_in": "{{ canary.admin }}"}
    )
    by_name = rotating.task(
        issuer_options=options, issuer_secrets_name="admin",
        issuer_secrets_by_name={"admin": {"secret_key": "{{ canary.admin }}"}},
    )
    played = rotating.play(good, wrong, by_name)
    assert all("code" in result for result in played.results), played.output
    rotating.canaries.assert_hidden(played.output, "output")


class Quoting(FaultInjector):
    """A server that answers whatever comes with what it was sent."""

    def __init__(self, status):
        super().__init__()
        self.rule(".*", reply(status, "this: {body} with {headers}"), times=1000)


@pytest.mark.parametrize("status", [400, 403, 500])
def test_a_cloud_that_quotes_what_it_was_sent(rotating, status):
    with Quoting(status) as cloud:
        played = rotating.play(rotating.task(issuer_options={"endpoint_url": cloud.url, "propagation": "0s"}))
        assert cloud.seen
    assert "code" in played.result, played.output


def test_an_api_server_that_quotes_what_it_was_sent(rotating):
    """Values are in the bodies of the kept Secrets, and of the cutover."""
    path = f"/{rotating.namespace}/secrets$"
    with FaultInjector(rotating.cluster.control_plane) as faults:
        environment = {"K8S_AUTH_HOST": faults.url, "K8S_AUTH_API_KEY": faults.options["api_key"]}
        faults.rule("POST", reply(422, "this: {body} with {headers}"), path, about="payload")
        first = rotating.play(rotating.task(), environment=environment)
        faults.rule("PATCH", reply(422, "this: {body} with {headers}"), f"/{rotating.id}$", about="data")
        second = rotating.play(rotating.task(), environment=environment)
    rotating.canaries.values["token"] = faults.options["api_key"]
    assert [first.result["code"], second.result["code"]] == ["invalid", "invalid"], first.output + second.output
    rotating.look_back()


def test_values_that_a_playbook_supplies(rotating):
    rotating.cluster.api.delete(f"/api/v1/namespaces/cattle-global-data/secrets/{rotating.id}")
    rotating.cluster.secret(rotating.id, "digitalocean", {"accessToken": rotating.canaries["old"]}, "do")
    common = {"issuer": "supplied", "issuer_options": {"verify": False}}
    secret = {"secrets": {"accessToken": "{{ canary.new }}"}}
    played = rotating.play(
        rotating.task(**common, secrets={"accessTokn": "{{ canary.new }}"}),
        rotating.task(**common, secrets={"accessToken": ["{{ canary.new }}"]}),
        rotating.task(
            **common,
            config={"accessToken": "{{ canary.new }}"},
            rotation_id="{{ canary.third }}",
            grace=["{{ canary.third }}"],
        ),
        {**rotating.task(**common, **secret), "register": "done"},
        _shown("done"),
        rotating.task("retired", **common, grace="0s"),
        rotating.task("retired", **common, grace="0s", old_key_removed=True),
    )
    assert _codes(played)[-3:] == ["grace", "grace", "idle"], played.output
    rotating.look_back()
