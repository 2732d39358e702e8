# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documented commands that sign a release and verify its signature, with a key that exists only in this test."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from harness import debian, release

from .conftest import ROOT, VERSION


@pytest.fixture
def signer(tools):
    """Environment variables of gpg with a new key, in a path that is short enough for the socket of its agent."""
    debian.ensure(gpg="gnupg")
    with tempfile.TemporaryDirectory(prefix="gpg-") as folder:
        env = {**tools, "GNUPGHOME": folder}
        subprocess.run(
            ["gpg", "--batch", "--passphrase", "", "--quick-generate-key", "maintainer@example.com", "ed25519", "sign"],
            env=env, check=True, capture_output=True,
        )
        yield env
        subprocess.run(["gpgconf", "--kill", "all"], env=env, check=True)


@pytest.fixture
def installation(released, signer, tmp_path):
    """The function that verifies an installation of the artifact, and the folder that contains artifact and signature.

    ansible-galaxy installs with a signature only from a server.
    """
    _repository, built = released
    built = Path(shutil.copy(built, tmp_path))
    shell(signer, tmp_path, release.sign_command(Path(built.name)))
    env = {**signer, "HOME": str(tmp_path), "ANSIBLE_COLLECTIONS_PATH": str(tmp_path)}
    shell(env, tmp_path, f"gpg --armor --export > maintainers.asc; {importing()}")
    shell(env, tmp_path, f"ansible-galaxy collection install {built.name} --offline --collections-path .")
    return lambda: shell(env, tmp_path, verifying(), check=False), tmp_path


def importing():
    """Return the documented command that creates the keyring."""
    return next(line for line in documented().splitlines() if line.startswith("gpg "))


def verifying():
    """Return the documented command that verifies an installation."""
    return next(line for line in documented().splitlines() if line.startswith("ansible-galaxy collection verify"))


def documented():
    section = (ROOT / "docs" / "versions.md").read_text().partition("## Verify a signature")[2]
    return section.replace("\\\n", " ").replace("VERSION", VERSION)


def shell(env, folder, command, check=True):
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command], env=env, cwd=folder, check=False, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )
    assert done.returncode == 0 or not check, done.stdout
    return done


def test_the_signature_of_an_installation_is_verified(installation):
    verify, _folder = installation
    done = verify()
    assert done.returncode == 0 and "verified" in done.stdout.lower(), done.stdout


def test_a_signature_of_something_else_is_refused(installation, signer):
    verify, folder = installation
    name = f"ranchhand-rancher-{VERSION}.asc"
    shell(signer, folder, f"rm {name}; echo '{{}}' | gpg --armor --detach-sign --output {name}")
    done = verify()
    assert done.returncode != 0 and "signature" in done.stdout, done.stdout


def test_a_changed_file_is_found(installation):
    verify, folder = installation
    (folder / "ansible_collections" / "ranchhand" / "rancher" / "plugins" / "modules" / "guard.py").write_text("pass")
    done = verify()
    assert done.returncode != 0 and "plugins/modules/guard.py" in done.stdout, done.stdout
