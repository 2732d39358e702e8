# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Credentials with keys that the module or the playbooks rotate."""

from __future__ import annotations

import json
import re
import secrets
import sys

from support.cluster import SECRETS, decoded
from support.playbooks import ansible_playbook

ROTATION = "ranchhand.rancher.cloud_credential_rotation"
ROTATION_INFO = "ranchhand.rancher.cloud_credential_rotation_info"
NO_TERMINAL = "[WARNING]: Not waiting for response to prompt as stdin is not interactive"


class RotatingCredential:
    """A credential with the key of its own user, and tasks that rotate it with records in its own namespace."""

    def __init__(self, cluster, aws, driver="amazonec2"):
        self.cluster, self.aws = cluster, aws
        self.user = f"user-{secrets.token_hex(4)}"
        self.key = aws.create_user(self.user)
        self.id = f"cc-{secrets.token_hex(4)}"
        self.namespace = f"rotation-{secrets.token_hex(4)}"
        self.add(self.id, driver)

    def add(self, identifier, driver="amazonec2", key=None):
        self.cluster.secret(
            identifier, driver, {**(key or self.key), "defaultRegion": "eu-central-1"}, f"aws {identifier}"
        )

    def task(self, state="rotated", **options):
        common = {
            "id": self.id,
            "state": state,
            "namespace": self.namespace,
            "drain": "1s",
            "verify_timeout": "5s",
            "issuer_options": {"endpoint_url": self.aws.url, "propagation": "0s"},
        }
        if state == "rotated" and "max_age" not in options:
            common["rotation_id"] = "first"
        return {ROTATION: {key: value for key, value in {**common, **options}.items() if value is not None}}

    def play(self, *tasks, **options):
        return self.cluster.play(*tasks, **options)

    def run(self, state="rotated", **options):
        """Run one task and return its result."""
        return self.play(self.task(state, **options)).result

    @property
    def live(self):
        stored = decoded(self.cluster.stored(self.id))
        return {name: stored[f"amazonec2credentialConfig-{name}"] for name in ("accessKey", "secretKey")}

    @property
    def keys(self):
        return dict(self.aws.keys(self.user))

    def works(self):
        live = self.live
        return self.aws.works(live["accessKey"], live["secretKey"])

    def original_key_only(self):
        """Return whether the credential has its original key, which works, and the user has no other."""
        return self.keys == {self.key["accessKey"]: "Active"} and self.live == self.key and self.works()

    def kept(self):
        """Return the values that are kept, by the name of their Secret."""
        items = self.cluster.api.get(f"/api/v1/namespaces/{self.namespace}/secrets")["items"]
        return {
            item["metadata"]["name"]: json.loads(decoded(item)["payload"])
            for item in items
            if item["metadata"]["name"] != "rotation-digests"
        }


class RotationFleet:
    """Credentials, each with its own key, and playbooks that rotate them with records in one namespace."""

    def __init__(self, cluster, aws, directory):
        self.cluster, self.aws, self.directory = cluster, aws, directory
        self.namespace = f"rotation-{secrets.token_hex(4)}"
        self._events = directory / "events"
        self.members = []

    def add(self, count):
        """Create more credentials and return their names."""
        for _number in range(count):
            member = RotatingCredential(self.cluster, self.aws)
            member.namespace, member.name = self.namespace, f"aws {member.id}"
            self.members.append(member)
        return [member.name for member in self.members[-count:]]

    def run(self, playbook, *arguments, code=0, **variables):
        """Run a playbook and return its output."""
        common = {f"{playbook}_namespace": self.namespace, "ansible_python_interpreter": sys.executable}
        options = {"endpoint_url": self.aws.url, "propagation": "0s"}
        if playbook == "rotate":
            common.update(
                rotate_credentials=[{"name": member.name} for member in self.members], rotate_rotation_id="first"
            )
        if playbook in ("rotate", "rollback"):
            common[f"{playbook}_issuer_options"] = options
        if playbook == "retire":
            common["retire_issuers"] = {"aws": {"issuer_options": options, "drain": "1s"}}
        command = [
            "-i",
            "localhost,",
            "-c",
            "local",
            f"ranchhand.rancher.{playbook}",
            "-e",
            json.dumps({**common, **variables}),
            *arguments,
        ]
        done = ansible_playbook(*command, env=self.cluster.environment(), timeout=120)
        assert done.returncode == code, done.stdout
        assert self.members[0].key["secretKey"] not in done.stdout
        assert "WARNING" not in done.stdout.replace(NO_TERMINAL, ""), done.stdout
        return done.stdout

    def spoil(self, member):
        """Change the secret part of a credential's key, as another user would."""
        self.cluster.api.patch(
            f"{SECRETS}/{member.id}", {"stringData": {"amazonec2credentialConfig-secretKey": "somebody's"}}
        )

    def hook(self, name, *tasks):
        """Write a file of tasks and return its path."""
        file = self.directory / f"{name}.yml"
        file.write_text(json.dumps(tasks))
        return str(file)

    def notify(self, prefix="rotate"):
        command = f"echo '{{{{ {prefix}_event }}}} {{{{ {prefix}_rotation.name }}}}' >> {self._events}"
        return self.hook("notify", {"name": "Record the event", "ansible.builtin.shell": command})

    def events(self):
        """Return the events that the hook received since the last call."""
        events = self._events.read_text().splitlines() if self._events.exists() else []
        self._events.unlink(missing_ok=True)
        return events

    def asked(self, action):
        return [request for request in self.aws.requests if request.action == action]

    def original(self, member):
        return member.original_key_only()


class LeakedKeyFleet(RotationFleet):
    """Credentials of which keys leak, and the playbook leaked_key."""

    def leaked(self, key, *arguments, **options):
        issuer_options = {"endpoint_url": self.aws.url, "propagation": "0s"}
        return self.run(
            "leaked_key",
            *arguments,
            leaked_key_id=key,
            rotate_namespace=self.namespace,
            retire_namespace=self.namespace,
            rotate_issuer_options=issuer_options,
            **options,
        )

    def status(self, member):
        (found,) = self.cluster.play({ROTATION_INFO: {"id": member.id, "namespace": self.namespace}}).result[
            "rotations"
        ]
        return found


def changed(output):
    return int(re.search(r"changed=(\d+)", output).group(1))
