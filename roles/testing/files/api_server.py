# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start or stop a Kubernetes API server on loopback, with an etcd. Writes "started", "running", "stopped" or "absent".

    api_server.py start FOLDER BINARIES RANCHER
    api_server.py stop FOLDER

Both processes continue after this one ends. FOLDER contains their data and the kubeconfig. Standard library only.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

START_SECONDS = 60
STATE = "server.json"


class Failure(Exception):
    """A sentence for the user."""


def start(folder, binaries, rancher):
    """Start both processes, unless they run for this version of Rancher. Existing data is deleted."""
    state = read_state(folder)
    if state and state["rancher"] == rancher and len(running(folder, state)) == 2 and ready(folder, state):
        return "running"
    stop(folder)
    folder.mkdir(mode=0o700, parents=True)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"
    state = {"rancher": rancher, "url": url, "token": secrets.token_hex(24), "pids": []}
    try:
        for argv in (etcd(folder, binaries), api_server(folder, binaries, state)):
            state["pids"].append(launch(folder, argv))
            # Before the next step, so that a run that is interrupted leaves no process that "stop" does not find.
            write(folder / STATE, json.dumps(state))
        wait(folder, state)
        write(folder / "kubeconfig.yaml", json.dumps(kubeconfig(folder, state), indent=1))
    except BaseException:
        stop(folder)
        raise
    return "started"


def stop(folder):
    """End both processes and delete the folder. A folder that this program has not created is refused."""
    if not folder.exists():
        return "absent"
    state = read_state(folder)
    if not state and any(folder.iterdir()):
        raise Failure(f"{folder} contains other files: set testing_folder to another folder, or delete it.")
    pids = running(folder, state) if state else []
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in pids:
            signal_process(pid, number)
        deadline = time.monotonic() + 10
        while (pids := [pid for pid in pids if belongs(pid, folder)]) and time.monotonic() < deadline:
            time.sleep(0.05)
    shutil.rmtree(folder)
    return "stopped"


def etcd(folder, binaries):
    return [
        str(binaries / "etcd"), f"--data-dir={folder}/etcd", "--unsafe-no-fsync", "--log-level=warn",
        # Sockets in the working directory: no port can collide, and their paths cannot be too long.
        "--listen-client-urls=unix://etcd.socket", "--listen-peer-urls=unix://peers.socket",
        # Unused, because etcd has only this member.
        "--advertise-client-urls=http://127.0.0.1:2379",
    ]


def api_server(folder, binaries, state):
    write(folder / "tokens.csv", f'{state["token"]},kubernetes-admin,kubernetes-admin,"system:masters"\n')
    certificates = folder / "certificates"
    return [
        str(binaries / "kube-apiserver"), "--etcd-servers=unix://etcd.socket",
        "--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", "--endpoint-reconciler-type=none",
        f"--secure-port={state['url'].rpartition(':')[2]}", f"--cert-dir={certificates}",
        f"--token-auth-file={folder}/tokens.csv",
        # It creates the key with its certificate.
        f"--service-account-key-file={certificates}/apiserver.key",
        f"--service-account-signing-key-file={certificates}/apiserver.key",
        "--service-account-issuer=https://kubernetes.default.svc", "--service-cluster-ip-range=10.0.0.0/24",
        "--authorization-mode=RBAC",
        # No controller creates the "default" accounts for which this plugin waits.
        "--disable-admission-plugins=ServiceAccount", "--profiling=false",
    ]  # fmt: skip


def launch(folder, argv):
    """Start a process that does not end with this one or with its terminal, and return its id."""
    log = folder / f"{Path(argv[0]).name}.log"
    try:
        with log.open("ab") as output:
            process = subprocess.Popen(
                argv, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
                env={"PATH": os.defpath, "HOME": str(folder)},
            )  # fmt: skip
    except OSError as error:
        raise Failure(f"{argv[0]} cannot be started: {error.strerror}. Check testing_binaries.") from None
    return process.pid


def wait(folder, state):
    deadline = time.monotonic() + START_SECONDS
    while not ready(folder, state):
        for name, pid in zip(("etcd", "kube-apiserver"), state["pids"]):
            if os.waitpid(pid, os.WNOHANG)[0]:
                raise Failure(f"{name} ended while it was starting: {last_words(folder, name)}")
        if time.monotonic() > deadline:
            log = last_words(folder, "kube-apiserver")
            raise Failure(f"The API server was not ready after {START_SECONDS} s: {log}")
        time.sleep(0.1)


def ready(folder, state):
    """Whether the API server serves requests."""
    request = urllib.request.Request(state["url"] + "/readyz", headers={"Authorization": f"Bearer {state['token']}"})
    try:
        context = ssl.create_default_context(cafile=folder / "certificates" / "apiserver.crt")
        handlers = (urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
        with urllib.request.build_opener(*handlers).open(request, timeout=5) as response:
            return response.status == 200
    except OSError:  # also of the file, of TLS and of HTTP
        return False


def kubeconfig(folder, state):
    """The certificate of the server is followed by that of its own authority."""
    authority = (folder / "certificates" / "apiserver.crt").read_bytes()
    cluster = {"server": state["url"], "certificate-authority-data": base64.b64encode(authority).decode()}
    return {
        "apiVersion": "v1", "kind": "Config", "current-context": "testing",
        "clusters": [{"name": "testing", "cluster": cluster}],
        "users": [{"name": "kubernetes-admin", "user": {"token": state["token"]}}],
        "contexts": [{"name": "testing", "context": {"cluster": "testing", "user": "kubernetes-admin"}}],
    }  # fmt: skip


def read_state(folder):
    try:
        state = json.loads((folder / STATE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return state if isinstance(state, dict) and {"rancher", "url", "token", "pids"} <= set(state) else None


def running(folder, state):
    return [pid for pid in state["pids"] if belongs(pid, folder)]


def belongs(pid, folder):
    """Whether the process works with this folder. Its id may have been reused after a restart of the machine."""
    if Path("/proc/self/cmdline").exists():
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
        except OSError:
            return False
    else:
        command = ["ps", "-o", "args=", "-p", str(pid)]
        words = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return f"={folder}/" in words


def signal_process(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def write(path, text):
    """Write a file that no other user can read."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)


def last_words(folder, name):
    path = folder / f"{name}.log"
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
    return " | ".join([line.strip() for line in lines if line.strip()][-3:]) or "it wrote no log"


def main(command, folder, *arguments):
    folder = Path(folder)
    try:
        if command == "start":
            binaries, rancher = arguments
            done = start(folder, Path(binaries), rancher)
        else:
            done = stop(folder)
    except Failure as failure:
        sys.exit(str(failure))
    except OSError as error:
        sys.exit(f"{error.filename or folder}: {error.strerror or error}")
    print(done)


if __name__ == "__main__":
    main(*sys.argv[1:])
