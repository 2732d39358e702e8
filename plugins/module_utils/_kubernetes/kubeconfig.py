# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Reads kubeconfigs with the kubernetes client, without its temporary files, and without quotations in errors."""

from __future__ import annotations

import base64
import contextlib
import copy
import hashlib
import inspect
import json
import os
import re
import threading
import time
import typing as t
from collections.abc import Mapping
from dataclasses import replace

from .._common.errors import RanchhandError
from .connection import is_path
from .libraries import (
    ConfigException,
    ExecProvider,
    KubeConfigLoader,
    KubeConfigMerger,
    incluster_config,
    parse_rfc3339,
)
from .tls import CertificateData, read_file

_DATA_KEYS = {
    "certificate-authority-data": "authorities", "client-certificate-data": "certificate", "client-key-data": "key",
}

# The parts of the client's errors that contain no secret.
_SAFE_PROBLEMS = (
    "File does not exist: .*", r"Expected object with name \S+", r"Expected key [\w-]+", "Service .*",
    ".* file exists but empty",
)


# How long before its end a token or certificate is renewed, and how old the content of a token file may be, in seconds.
_EXPIRY_MARGIN = 30.0
_TOKEN_FILE_AGE = 60.0


class KubeconfigCredentials:
    """The credentials from a kubeconfig or the service account of a pod, renewed when they expire.

    ``certificates`` are the PEM data that are not in files. A renewed certificate is another object. Safe for threads.
    """

    def __init__(
        self, client: t.Any, loader: _Loader | None = None, certificates: CertificateData | None = None,
    ) -> None:
        self._client = client
        self._loader = loader
        self._lock = threading.Lock()
        self.certificates = certificates or CertificateData()

    def authorization(self) -> str | None:
        """Return the header Authorization for a request now; None if there is none."""
        if self._loader is None:  # the client reads the token of the pod again each minute
            return next((setting["value"] for setting in self._client.auth_settings().values()), None)
        with self._lock:
            if self._loader.expires_soon():
                self._renew()
            return self._loader.header

    def renew(self) -> bool:
        """Renew the credentials that the API server has rejected; returns whether there may be others."""
        if self._loader is None or not self._loader.renewable:
            return False
        with self._lock:
            self._renew()
        return True

    def _renew(self) -> None:
        loader = t.cast(_Loader, self._loader)
        with _explained():
            loader.renew()
        if loader.certificate:
            certificate, key = loader.certificate
            self.certificates = replace(self.certificates, certificate=certificate, key=key)


def load_kubeconfig(client: t.Any, kubeconfig: t.Any, context: str | None) -> KubeconfigCredentials:
    """Set the server of a Configuration of the kubernetes client, and return the credentials.

    The source is the option kubeconfig (a path, a mapping or text), the service account of the pod, or a default file.
    Raises RanchhandError (``invalid``, or ``forbidden`` from an exec plugin).
    """
    with _explained():
        return _load(client, kubeconfig, context)


@contextlib.contextmanager
def _explained() -> t.Iterator[None]:
    try:
        yield
    except RanchhandError:
        raise
    except ConfigException as error:
        raise RanchhandError("invalid", f"cannot use the kubeconfig: {_config_problem(str(error))}") from None
    except OSError as error:
        raise RanchhandError("invalid", f"cannot read the kubeconfig {error.filename}: {error.strerror}") from None
    except Exception as error:  # a malformed file can raise anything in the client or in PyYAML
        raise RanchhandError("invalid", f"the kubeconfig is malformed ({type(error).__name__})") from None


def _load(client: t.Any, kubeconfig: t.Any, context: str | None) -> KubeconfigCredentials:
    if isinstance(kubeconfig, str) and not is_path(kubeconfig):
        kubeconfig = parse_yaml(kubeconfig)
    if isinstance(kubeconfig, Mapping):
        return _load_content(client, copy.deepcopy(dict(kubeconfig)), context, "")
    if _uses_service_account(kubeconfig, context):
        incluster_config.load_incluster_config(client_configuration=client)
        return KubeconfigCredentials(client)
    path = _path(kubeconfig)
    expanded = os.path.expanduser(path)
    content = parse_yaml(read_file(expanded)) if os.path.isfile(expanded) else None
    if isinstance(content, dict):
        return _load_content(client, content, context, os.path.abspath(os.path.dirname(expanded)))
    merged = KubeConfigMerger(expanded).config  # several files, or no valid one
    if merged is None:
        raise RanchhandError("invalid", f"there is no kubeconfig at {path}; set kubeconfig, or host and api_key")
    return _load_content(client, merged, context, None)


def _uses_service_account(kubeconfig: t.Any, context: str | None) -> bool:
    """Whether the service account of the pod is used: as by kubernetes.core before KUBECONFIG, if it has a token."""
    return (
        not kubeconfig and not context and "KUBERNETES_SERVICE_HOST" in os.environ
        and incluster_config is not None and os.path.isfile(incluster_config.SERVICE_TOKEN_FILENAME)
    )


def _path(kubeconfig: t.Any) -> str:
    return kubeconfig or os.environ.get("KUBECONFIG") or "~/.kube/config"


def source_identity(kubeconfig: t.Any, context: str | None) -> list[t.Any]:
    """Return what identifies the server and user that the options mean now, as JSON types without any secret.

    Files count by their content, as ``kubectl config use-context`` changes the Rancher that a file means.
    """
    if kubeconfig and not is_path(kubeconfig):
        return ["content", _digest(json.dumps(kubeconfig, sort_keys=True).encode()), context]
    if _uses_service_account(kubeconfig, context):
        return ["pod", os.environ["KUBERNETES_SERVICE_HOST"], os.environ.get("KUBERNETES_SERVICE_PORT")]
    paths = [os.path.abspath(os.path.expanduser(path)) for path in _path(kubeconfig).split(os.pathsep)]
    return ["files", context, [[path, _content_digest(path)] for path in paths]]


def _content_digest(path: str) -> str | None:
    try:
        return _digest(read_file(path))
    except (OSError, ValueError):
        return None


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _load_content(client: t.Any, content: t.Any, context: str | None, base_path: str | None) -> KubeconfigCredentials:
    certificates = _take_certificates(content if isinstance(content, dict) else content.value)
    loader = _Loader(content, active_context=context, config_base_path=base_path)
    loader.load_and_set(client)
    client.api_key, client.refresh_api_key_hook = {}, None  # the header and its renewal are ours
    active = loader.current_context["context"]
    data = CertificateData()
    for (owner, key), value in certificates.items():
        if owner in (active.get("cluster"), active.get("user")):
            setattr(data, _DATA_KEYS[key], value)
    if loader.certificate:
        data.certificate, data.key = loader.certificate
    return KubeconfigCredentials(client, loader, data)


def _take_certificates(content: t.Any) -> dict[tuple[str, str], bytes]:
    """Remove certificates and keys from all clusters and users, as the loader would write them to temporary files."""
    taken = {}
    for section in ("cluster", "user"):
        for entry in content.get(f"{section}s") or ():
            entry = entry if isinstance(entry, dict) else entry.value
            for key in _DATA_KEYS:
                if (entry.get(section) or {}).get(key):
                    taken[entry["name"], key] = base64.b64decode(entry[section].pop(key))
    return taken


class _Loader(KubeConfigLoader):
    """The client's loader with other exec plugins: their certificates are kept in memory, and failures raise."""

    certificate: tuple[bytes, bytes] | None = None
    _loaded_at = 0.0

    @property
    def header(self) -> str | None:
        """The header Authorization."""
        header: str | None = self.__dict__.get("token")
        return header and header.strip()  # a token file may end with a line break

    @property
    def renewable(self) -> bool:
        """Whether the user's entry gets its credentials from elsewhere."""
        return self._user is not None and any(key in self._user for key in ("exec", "tokenFile", "auth-provider"))

    def expires_soon(self) -> bool:
        """Whether the credentials have to be renewed before a request."""
        if self._user is not None and "tokenFile" in self._user:
            return time.monotonic() - self._loaded_at > _TOKEN_FILE_AGE
        expiry = self.__dict__.get("expiry")
        return expiry is not None and expiry.timestamp() - _EXPIRY_MARGIN <= time.time()

    def renew(self) -> None:
        """Read the credentials again."""
        self.__dict__.pop("expiry", None)
        self._load_authentication()

    def _load_authentication(self) -> None:
        self._loaded_at = time.monotonic()
        super()._load_authentication()

    def _load_from_exec_plugin(self) -> bool | None:
        if "exec" not in self._user:
            return None
        plugin = self._user["exec"]
        arguments = (plugin, self._get_base_path(self._cluster.path), self._cluster)
        failure = f"the exec plugin {plugin.value.get('command')} of the kubeconfig returned no credentials"
        try:  # up to client 25, ExecProvider takes no cluster
            status = ExecProvider(*arguments[:len(inspect.signature(ExecProvider).parameters)]).run()
        except (ConfigException, OSError) as error:
            code = re.search(r"process returned -?\d+", str(error))
            reason = code.group(0) if code else getattr(error, "strerror", None) or "malformed output"
            raise RanchhandError("forbidden", f"{failure} ({reason})") from None
        if "token" in status:
            self.token = f"Bearer {status['token']}"
        elif status.get("clientCertificateData") and status.get("clientKeyData"):
            self.certificate = (status["clientCertificateData"].encode(), status["clientKeyData"].encode())
        else:
            raise RanchhandError("forbidden", f"{failure}: neither a token nor a certificate with its key")
        if "expirationTimestamp" in status:
            self.expiry = parse_rfc3339(status["expirationTimestamp"])
        return True


def _config_problem(text: str) -> str:
    """Return the reason in an error of the client without what it may quote: entries of users, with their tokens."""
    match = re.search("|".join(_SAFE_PROBLEMS), text)
    return match.group(0) if match else "it is malformed"


def parse_yaml(text: str | bytes) -> t.Any:
    """Parse YAML with libyaml if PyYAML has it, in a tenth of the time."""
    import yaml
    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
