# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine for one test, in Linux namespaces: it shares programs and network with this machine, and is removed
afterwards.
"""

from __future__ import annotations

import os
import secrets
import shlex
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).parents[2]
# The machine's path of Ansible: the folders of the packages, of Python and of the collection may be hidden from a unit.
PROGRAM = "/mnt/bin/ansible-playbook"

_PREPARE = """\
set -e
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs /mnt
mkdir -p /mnt/python /mnt/site /mnt/bin /mnt/collections/ansible_collections/ranchhand/rancher /mnt/etc /mnt/project
mount --bind {python} /mnt/python
mount --bind {site} /mnt/site
mount --bind {root} /mnt/collections/ansible_collections/ranchhand/rancher
cat > {program} <<'END'
#!/bin/sh
PYTHONPATH=/mnt/site LD_LIBRARY_PATH=/mnt/python/lib exec /mnt/python/bin/{interpreter} -m ansible playbook "$@"
END
chmod 755 {program}
printf '[defaults]\\ncollections_path = /mnt/collections\\n' > /mnt/project/ansible.cfg
cp -a /etc/. /mnt/etc
rm -rf /mnt/etc/ranchhand /mnt/etc/cron.d/ranchhand
mount --bind /mnt/etc /etc
mount -t tmpfs -o mode=755 tmpfs /run
mount -t tmpfs -o mode=755 tmpfs /var/lib
mount -t tmpfs -o mode=1777 tmpfs /tmp
"""

# Only the required units and no journal: the output of units is written to a file.
_SYSTEMD = """\
umount -Rl /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
rm -rf /etc/systemd/system/*
printf '[Unit]\\nWants=dbus.socket timers.target\\n' > /etc/systemd/system/ranchhand.target
mount --make-rshared /
exec env -i container=ranchhand PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --system --unit=ranchhand.target
"""


def prepared():
    """Return the first part of a shell script that turns a mount namespace into such a machine."""
    site = next(Path(entry) for entry in sys.path if entry.endswith("site-packages"))
    return _PREPARE.format(
        python=shlex.quote(sys.base_prefix),
        site=shlex.quote(str(site)),
        root=shlex.quote(str(ROOT)),
        program=PROGRAM,
        interpreter=f"python{sys.version_info[0]}.{sys.version_info[1]}",
    )


class Machine:
    """A machine with its own init, which is a systemd if `systemd` is true. Requires root."""

    def __init__(self, systemd=False):
        assert os.geteuid() == 0, "a machine in namespaces requires root"
        self._systemd = systemd
        self._group = None

    def __enter__(self):
        script = prepared() + (_SYSTEMD if self._systemd else "exec sleep infinity\n")
        flags = ["--mount", "--pid", "--fork", "--mount-proc", "--kill-child"]
        if self._systemd:
            where = subprocess.run(
                ["findmnt", "-n", "-o", "TARGET", "-t", "cgroup2"], stdout=subprocess.PIPE, text=True, check=True
            ).stdout.split()[0]
            self._group = Path(where) / f"ranchhand-{secrets.token_hex(4)}"
            self._group.mkdir()
            flags += ["--uts", "--ipc", "--cgroup"]
            unshare = f"unshare {' '.join(flags)} sh -c {shlex.quote(script)}"
            script = f"set -e\necho $$ > {self._group}/cgroup.procs\nexec {unshare}\n"
            command = ["sh", "-c", script]
        else:
            command = ["unshare", *flags, "sh", "-c", script]
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        deadline = time.monotonic() + 30
        while not self._ready():
            assert self._process.poll() is None, self._process.stderr.read().decode()
            assert time.monotonic() < deadline, "the machine did not start"
            time.sleep(0.05)
        return self

    def _ready(self):
        with suppress(OSError, IndexError):
            parent = self._process.pid
            self._init = int(Path(f"/proc/{parent}/task/{parent}/children").read_text().split()[0])
            if self._systemd:
                return self.run("systemctl", "is-active", "ranchhand.target", check=False).returncode == 0
            return Path(f"/proc/{self._init}/comm").read_text().strip() == "sleep"
        return False

    def __exit__(self, *exception):
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self._process.stderr.close()
        if self._group:
            for _attempt in range(50):
                time.sleep(0.05)
                with suppress(OSError):
                    for folder, _folders, _files in os.walk(self._group, topdown=False):
                        os.rmdir(folder)
                    break

    def run(self, *command, check=True, env=None):
        """Run a command in the machine, as root, with a minimal environment."""
        done = subprocess.run(
            [
                "nsenter",
                "-t",
                str(self._init),
                "--mount",
                "--pid",
                *(["--cgroup"] if self._systemd else []),
                "env",
                "-i",
                "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
                "HOME=/tmp",
                "LC_ALL=C.UTF-8",
                *(f"{name}={value}" for name, value in (env or {}).items()),
                *command,
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )
        assert not check or done.returncode == 0, done.stdout
        return done

    def path(self, path):
        """Return the path outside of the machine for a path inside."""
        return Path(f"/proc/{self._init}/root{path}")
