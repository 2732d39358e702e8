# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Argument specifications that merge, and one parser for them that reports every mistake at once.

PRIVATE to the collection.
"""

from __future__ import annotations

import base64
import copy
import inspect
import json
import os
import re
import ssl
import typing as t
from collections.abc import Mapping

from .._common.errors import RanchhandError
from .._common.options import OptionSpec
from .libraries import Configuration, ConfigException, ExecProvider, KubeConfigLoader, KubeConfigMerger, RESTClientObject, load_incluster_config, parse_rfc3339, urllib3

# The names, aliases and types of kubernetes.core 6.6.0, without persist_config, which writes files; use_environment is ours.
CONNECTION = OptionSpec({
    "kubeconfig": {"type": "raw"},
    "context": {"type": "str"},
    "host": {"type": "str"},
    "api_key": {"type": "str", "no_log": True},
    "username": {"type": "str"},
    "password": {"type": "str", "no_log": True},
    "validate_certs": {"type": "bool", "aliases": ["verify_ssl"]},
    "ca_cert": {"type": "path", "aliases": ["ssl_ca_cert"]},
    "client_cert": {"type": "path", "aliases": ["cert_file"]},
    "client_key": {"type": "path", "aliases": ["key_file"], "no_log": False},
    "proxy": {"type": "str"},
    "no_proxy": {"type": "str"},
    "proxy_headers": {"type": "dict", "options": {
        "proxy_basic_auth": {"type": "str", "no_log": True},
        "basic_auth": {"type": "str", "no_log": True},
        "user_agent": {"type": "str"},
    }},
    "impersonate_user": {"type": "str"},
    "impersonate_groups": {"type": "list", "elements": "str"},
    "use_environment": {"type": "bool", "default": True},
})
FIELD_MANAGER = "ranchhand.rancher"  # as which we ask, and whose the fields are that we apply
CONNECTIONS = 16
_DATA_KEYS = ("certificate-authority-data", "client-certificate-data", "client-key-data")


def connection_options(params: Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The connection options of a module, completed from K8S_AUTH_* variables as kubernetes.core does.

    With ``use_environment`` false, no K8S_AUTH_* variable is read. Raises RanchhandError (``invalid``).
    """
    environment = {} if params.get("use_environment") is False else os.environ
    found = {}
    for name, option in CONNECTION.options.items():
        if name == "use_environment":
            continue
        value = params.get(name)
        for alias in (name, *option.get("aliases", ())):
            value = environment.get(f"K8S_AUTH_{alias.upper()}") or None if value is None else value
        if isinstance(value, str):
            if option["type"] == "bool":
                value = value.strip().lower() not in ("0", "false", "f", "no", "n", "off", "")
            elif option["type"] == "list":
                value = [part.strip() for part in value.split(",") if part.strip()]
            elif option["type"] == "dict":
                value = _mapping(value, f"K8S_AUTH_{name.upper()}")
        if value is None and "options" in option:
            value = {one: environment.get(f"K8S_AUTH_{name.upper()}_{one.upper()}") for one in option["options"]}
        found[name] = value
    return found


def _mapping(text: str, what: str) -> dict[str, t.Any]:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise RanchhandError("invalid", f"{what} must be a JSON object")
    return value


def is_path(kubeconfig: t.Any) -> bool:
    """Whether this says where a kubeconfig is; else it is one, as a mapping or as text, or nothing."""
    return isinstance(kubeconfig, str) and "\n" not in kubeconfig.strip() and not kubeconfig.lstrip().startswith("{")


def _load_pair(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    """A client certificate from memory: ssl takes files only, and a private key does not belong in one."""
    ends = []
    try:
        for content in (certificate, key):
            end, writer = os.pipe()
            ends.append(end)
            with open(writer, "wb", closefd=True) as pipe:
                os.set_blocking(writer, False)  # a pipe holds 64 KiB; more is an error here, not a wait for ever
                pipe.write(content)
        context.load_cert_chain(*(f"/dev/fd/{end}" for end in ends))
    finally:
        for end in ends:
            os.close(end)


class _Loader(KubeConfigLoader):
    """The client's loader, but for exec plugins: their certificates stay in memory, and their failures are told."""

    certificate: tuple[bytes, bytes] | None = None

    def _load_from_exec_plugin(self) -> bool | None:
        if "exec" not in self._user:
            return None
        plugin = self._user["exec"]
        arguments = (plugin, self._get_base_path(self._cluster.path), self._cluster)
        told = f"the kubeconfig's exec plugin {plugin.value.get('command')} gave no credentials"
        try:  # up to client 25 it takes no cluster
            status = ExecProvider(*arguments[:len(inspect.signature(ExecProvider).parameters)]).run()
        except (ConfigException, OSError) as error:
            code = re.search(r"process returned -?\d+", str(error))
            raise RanchhandError("forbidden", f"{told} ({code.group(0) if code else getattr(error, 'strerror', None) or 'malformed output'})") from None
        if "token" in status:
            self.token = f"Bearer {status['token']}"
        elif status.get("clientCertificateData") and status.get("clientKeyData"):
            self.certificate = (status["clientCertificateData"].encode(), status["clientKeyData"].encode())
        else:
            raise RanchhandError("forbidden", f"{told}, neither a token nor a certificate with its key")
        if "expirationTimestamp" in status:
            self.expiry = parse_rfc3339(status["expirationTimestamp"])
        return True


class ConnectionConfiguration:
    """Where the API server is and how to be let in, from options, a kubeconfig or the pod's own account."""

    def __init__(self, options: Mapping[str, t.Any]) -> None:
        self.client = Configuration()
        self.client.connection_pool_maxsize = CONNECTIONS
        self.client.retries = False
        self._data: dict[str, bytes] = {}
        explicit = options["host"] and (
            options["api_key"] or (options["username"] and options["password"]) or (options["client_cert"] and options["client_key"])
        )
        if not explicit:
            self._load(options)
        self._overlay(options)
        if "@" in self.client.host.partition("://")[2].partition("/")[0]:
            raise RanchhandError("invalid", "the URL of the API server must not hold credentials; give username and password")

    def _load(self, options: Mapping[str, t.Any]) -> None:
        kubeconfig, context = options["kubeconfig"], options["context"]
        try:
            if isinstance(kubeconfig, str) and not is_path(kubeconfig):
                kubeconfig = parse_yaml(kubeconfig)
            if isinstance(kubeconfig, Mapping):
                self._load_kubeconfig(copy.deepcopy(dict(kubeconfig)), context, "")
            elif kubeconfig or context or "KUBERNETES_SERVICE_HOST" not in os.environ:
                path = kubeconfig or os.environ.get("KUBECONFIG") or "~/.kube/config"
                expanded = os.path.expanduser(path)
                content = parse_yaml(read_file(expanded)) if os.path.isfile(expanded) else None
                if isinstance(content, dict):
                    self._load_kubeconfig(content, context, os.path.abspath(os.path.dirname(expanded)))
                    return
                merged = KubeConfigMerger(expanded).config  # several files, or none that is good
                if merged is None:
                    raise RanchhandError("invalid", f"there is no kubeconfig at {path}; give kubeconfig, or host and api_key")
                self._load_kubeconfig(merged, context, None)
            else:
                load_incluster_config(client_configuration=self.client)
        except RanchhandError:
            raise
        except ConfigException as error:
            raise RanchhandError("invalid", f"the kubeconfig cannot be used: {_config_problem(str(error))}") from None
        except OSError as error:
            raise RanchhandError("invalid", f"the kubeconfig cannot be read: {error.strerror}: {error.filename}") from None
        except Exception as error:  # whatever a malformed file makes the client or YAML trip over; their texts may quote it
            raise RanchhandError("invalid", f"the kubeconfig is malformed ({type(error).__name__})") from None

    def _load_kubeconfig(self, merged: t.Any, context: str | None, base_path: str | None) -> None:
        # The loader would write these into files in a temp folder.
        entries = merged if isinstance(merged, dict) else merged.value
        kept: dict[tuple[str, str], bytes] = {}
        for section in ("cluster", "user"):
            for entry in entries.get(f"{section}s") or ():
                entry = entry if isinstance(entry, dict) else entry.value
                for key in _DATA_KEYS:
                    if (entry.get(section) or {}).get(key):
                        kept[entry["name"], key] = base64.b64decode(entry[section].pop(key))
        loader = _Loader(merged, active_context=context, config_base_path=base_path)
        loader.load_and_set(self.client)
        active = loader.current_context["context"]
        for owner in (active.get("cluster"), active.get("user")):
            self._data.update({key: kept[owner, key] for key in _DATA_KEYS if (owner, key) in kept})
        if loader.certificate:
            self._data.update(zip(("client-certificate-data", "client-key-data"), loader.certificate))

    def _overlay(self, options: Mapping[str, t.Any]) -> None:
        client = self.client
        if options["host"]:
            client.host = options["host"].rstrip("/")
        if options["api_key"]:
            client.api_key = {"authorization": f"Bearer {options['api_key'].strip()}"}
            client.refresh_api_key_hook = None
        if options["validate_certs"] is not None:
            client.verify_ssl = options["validate_certs"]
        for option, key, attribute in (
            ("ca_cert", "certificate-authority-data", "ssl_ca_cert"), ("client_cert", "client-certificate-data", "cert_file"),
            ("client_key", "client-key-data", "key_file"),
        ):
            if options[option]:
                self._data.pop(key, None)
                setattr(client, attribute, options[option])
        for name in ("proxy", "no_proxy"):
            if options[name]:
                setattr(client, name, options[name])
        headers = {key: value for key, value in (options["proxy_headers"] or {}).items() if value}
        if headers:
            client.proxy_headers = urllib3.make_headers(**headers)

    def headers(self, options: Mapping[str, t.Any]) -> list[tuple[str, str]]:
        """What every request carries; asks the client for its token again each time, as it may have been renewed."""
        fields = [("Accept", "application/json"), ("User-Agent", FIELD_MANAGER)]
        for setting in self.client.auth_settings().values():
            fields.append((setting["key"], setting["value"]))
        if options["username"] and options["password"]:
            fields.append(("authorization", "Basic " + base64.b64encode(f"{options['username']}:{options['password']}".encode()).decode()))
        if options["impersonate_user"]:
            fields.append(("Impersonate-User", options["impersonate_user"]))
        fields += [("Impersonate-Group", group) for group in options["impersonate_groups"] or ()]
        for name, value in fields:
            if not re.fullmatch(r"[\x20-\x7e\xa0-\xff]*", value):
                raise RanchhandError("invalid", f"what was given for the header {name} is not one line of Latin letters")
        return fields

    def pool(self) -> t.Any:
        """The client's own pool manager, with its certificates taken from memory where they are not in files."""
        manager = RESTClientObject(self.client).pool_manager
        if self.client.host.startswith("https"):
            settings = manager.connection_pool_kw
            for key in ("cert_reqs", "ca_certs", "ca_cert_data", "cert_file", "key_file"):
                settings.pop(key, None)
            settings["ssl_context"] = self._tls()
            if not self.client.verify_ssl:
                settings["cert_reqs"] = ssl.CERT_NONE
        manager.connection_pool_kw["block"] = True
        return manager

    def _tls(self) -> ssl.SSLContext:
        client = self.client
        try:
            authorities = self._data.get("certificate-authority-data")
            if authorities:
                context = ssl.create_default_context(cadata=authorities.decode("ascii"))
            else:
                context = ssl.create_default_context(cafile=client.ssl_ca_cert or None)
            if not client.verify_ssl:
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
            certificate, key = self._data.get("client-certificate-data"), self._data.get("client-key-data")
            if certificate or key:
                _load_pair(context, certificate or read_file(client.cert_file), key or read_file(client.key_file))
            elif client.cert_file:
                context.load_cert_chain(client.cert_file, client.key_file)
        except (OSError, ValueError, TypeError) as error:
            raise RanchhandError("invalid", f"the certificates of the connection cannot be used: {getattr(error, 'strerror', None) or error}") from None
        return context


def _config_problem(text: str) -> str:
    """What the client says of a kubeconfig, less what it may quote: whole entries of users, with their tokens."""
    found = re.search(r"File does not exist: .*|Expected object with name \S+|Expected key [\w-]+|Service .*|.* file exists but empty", text)
    return found.group(0) if found else "it is malformed"


def parse_yaml(text: str | bytes) -> t.Any:
    """YAML, by libyaml where PyYAML has it: it takes a tenth of the time."""
    import yaml
    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def read_file(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()
