# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Reads kubeconfigs with the kubernetes client, without its temporary files, and without quotations in errors."""

from __future__ import annotations

import base64
import copy
import inspect
import os
import re
import typing as t
from collections.abc import Mapping

from .._common.errors import RanchhandError
from .connection import is_path
from .libraries import (
    ConfigException,
    ExecProvider,
    KubeConfigLoader,
    KubeConfigMerger,
    load_incluster_config,
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


def load_kubeconfig(client: t.Any, kubeconfig: t.Any, context: str | None) -> CertificateData:
    """Set the server and the credentials of a Configuration of the kubernetes client, and return its certificates.

    The source is the option kubeconfig (a path, a mapping or text), the service account of the pod, or a default file.
    Raises RanchhandError (``invalid``, or ``forbidden`` from an exec plugin).
    """
    try:
        return _load(client, kubeconfig, context)
    except RanchhandError:
        raise
    except ConfigException as error:
        raise RanchhandError("invalid", f"cannot use the kubeconfig: {_config_problem(str(error))}") from None
    except OSError as error:
        raise RanchhandError("invalid", f"cannot read the kubeconfig {error.filename}: {error.strerror}") from None
    except Exception as error:  # a malformed file can raise anything in the client or in PyYAML
        raise RanchhandError("invalid", f"the kubeconfig is malformed ({type(error).__name__})") from None


def _load(client: t.Any, kubeconfig: t.Any, context: str | None) -> CertificateData:
    if isinstance(kubeconfig, str) and not is_path(kubeconfig):
        kubeconfig = parse_yaml(kubeconfig)
    if isinstance(kubeconfig, Mapping):
        return _load_content(client, copy.deepcopy(dict(kubeconfig)), context, "")
    if not kubeconfig and not context and "KUBERNETES_SERVICE_HOST" in os.environ:
        load_incluster_config(client_configuration=client)
        return CertificateData()
    path = kubeconfig or os.environ.get("KUBECONFIG") or "~/.kube/config"
    expanded = os.path.expanduser(path)
    content = parse_yaml(read_file(expanded)) if os.path.isfile(expanded) else None
    if isinstance(content, dict):
        return _load_content(client, content, context, os.path.abspath(os.path.dirname(expanded)))
    merged = KubeConfigMerger(expanded).config  # several files, or no valid one
    if merged is None:
        raise RanchhandError("invalid", f"there is no kubeconfig at {path}; set kubeconfig, or host and api_key")
    return _load_content(client, merged, context, None)


def _load_content(client: t.Any, content: t.Any, context: str | None, base_path: str | None) -> CertificateData:
    certificates = _take_certificates(content if isinstance(content, dict) else content.value)
    loader = _Loader(content, active_context=context, config_base_path=base_path)
    loader.load_and_set(client)
    active = loader.current_context["context"]
    data = CertificateData()
    for (owner, key), value in certificates.items():
        if owner in (active.get("cluster"), active.get("user")):
            setattr(data, _DATA_KEYS[key], value)
    if loader.certificate:
        data.certificate, data.key = loader.certificate
    return data


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
