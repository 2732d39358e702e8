# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The only file that talks to the API server.

PRIVATE to the collection. The kubernetes client gives configuration, authentication and the connection pool; requests are
plain JSON over that pool, which works alike from client 24.2 to 37 and costs a third of the dynamic client.
"""

from __future__ import annotations

import base64
import copy
import inspect
import json
import os
import random
import re
import ssl
import threading
import time
import typing as t
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote, urlencode

from ._errors import ApiError, RanchhandError
from ._options import AUTH

try:
    import urllib3
    from kubernetes.client.configuration import Configuration
    from kubernetes.client.rest import RESTClientObject
    from kubernetes.config import ConfigException, load_incluster_config
    from kubernetes.config.dateutil import parse_rfc3339
    from kubernetes.config.exec_provider import ExecProvider
    from kubernetes.config.kube_config import KubeConfigLoader, KubeConfigMerger
    MISSING = None
except ImportError as import_error:
    KubeConfigLoader = object
    MISSING = import_error

MANAGER = "ranchhand.rancher"  # as which we ask, and whose the fields are that we apply
CONNECTIONS = 16
PAGE = 500
ATTEMPTS = 5
CONNECT_TIMEOUT = 10.0  # seconds
READ_TIMEOUT = 60.0     # seconds, the API server's own limit for a request
EVENT_TIMEOUT = 2.0     # seconds to wait for an event that must come; a proxy may hold events back
LONGEST_PAUSE = 30.0    # seconds

_DATA_KEYS = ("certificate-authority-data", "client-certificate-data", "client-key-data")


def connection_options(params: Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The connection options of a module, completed from K8S_AUTH_* variables as kubernetes.core does.

    Raises RanchhandError (``invalid``).
    """
    found = {}
    for name, option in AUTH.options.items():
        value = params.get(name)
        for alias in (name, *option.get("aliases", ())):
            value = os.environ.get(f"K8S_AUTH_{alias.upper()}") or None if value is None else value
        if isinstance(value, str):
            if option["type"] == "bool":
                value = value.strip().lower() not in ("0", "false", "f", "no", "n", "off", "")
            elif option["type"] == "list":
                value = [part.strip() for part in value.split(",") if part.strip()]
            elif option["type"] == "dict":
                value = _mapping(value, f"K8S_AUTH_{name.upper()}")
        if value is None and "options" in option:
            value = {one: os.environ.get(f"K8S_AUTH_{name.upper()}_{one.upper()}") for one in option["options"]}
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


class _Configuration:
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
                kubeconfig = _yaml(kubeconfig)
            if isinstance(kubeconfig, Mapping):
                self._load_kubeconfig(copy.deepcopy(dict(kubeconfig)), context, "")
            elif kubeconfig or context or "KUBERNETES_SERVICE_HOST" not in os.environ:
                path = kubeconfig or os.environ.get("KUBECONFIG") or "~/.kube/config"
                expanded = os.path.expanduser(path)
                content = _yaml(_read(expanded)) if os.path.isfile(expanded) else None
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
        fields = [("Accept", "application/json"), ("User-Agent", MANAGER)]
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
                _load_pair(context, certificate or _read(client.cert_file), key or _read(client.key_file))
            elif client.cert_file:
                context.load_cert_chain(client.cert_file, client.key_file)
        except (OSError, ValueError, TypeError) as error:
            raise RanchhandError("invalid", f"the certificates of the connection cannot be used: {getattr(error, 'strerror', None) or error}") from None
        return context


def _config_problem(text: str) -> str:
    """What the client says of a kubeconfig, less what it may quote: whole entries of users, with their tokens."""
    found = re.search(r"File does not exist: .*|Expected object with name \S+|Expected key [\w-]+|Service .*|.* file exists but empty", text)
    return found.group(0) if found else "it is malformed"


def _yaml(text: str | bytes) -> t.Any:
    """YAML, by libyaml where PyYAML has it: it takes a tenth of the time."""
    import yaml
    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


class Api:
    """JSON requests to one API server, retried where that is safe, and errors told as sentences.

    ``options`` are those of connection_options(). A write is retried after a lost reply too: every write of this collection
    has a fixed name or a resourceVersion, so that the repeat of one that had arrived is a 409. ``patience`` are the seconds from
    now on within which all requests have to end.
    """

    def __init__(self, options: Mapping[str, t.Any], patience: float | None = None) -> None:
        if MISSING:
            raise RanchhandError("unsupported", f"the Python package kubernetes (24.2.0 or newer) cannot be imported: {MISSING}")
        self._options = options
        self._deadline = None if patience is None else time.monotonic() + patience
        self._configuration = _Configuration(options)
        self._pool = self._configuration.pool()
        self._memory: dict[str, tuple[float, t.Any]] = {}
        self._reading: dict[str, threading.Lock] = {}
        self._events: dict[str, t.Iterator[tuple[str, dict[str, t.Any]]]] = {}
        self._watches = True
        self.progress: t.Callable[[int, int], None] = lambda done, total: None
        self.host = self._configuration.client.host

    def remembered(self, key: str, seconds: float, read: t.Callable[[], t.Any]) -> t.Any:
        """What was read under this key at most so many seconds ago, else what is read now.

        A module process asks everything once; in process, the items of a loop share one Api. Of threads that ask at once, one reads.
        """
        with self._reading.setdefault(key, threading.Lock()):
            found = self._memory.get(key)
            if found is None or time.monotonic() - found[0] > seconds:
                found = self._memory[key] = (time.monotonic(), read())
            return found[1]

    def amend(self, key: str, change: t.Callable[[t.Any], t.Any]) -> None:
        """Apply what was written to what is remembered, which does not get younger by that."""
        if key in self._memory:
            read_at, value = self._memory[key]
            self._memory[key] = (read_at, change(value))

    def forget(self, key: str) -> None:
        """Read it anew next time."""
        self._memory.pop(key, None)

    def get(self, path: str, **query: t.Any) -> dict[str, t.Any]:
        return self._request("GET", path, query=query)

    def post(self, path: str, body: Mapping[str, t.Any], **query: t.Any) -> dict[str, t.Any]:
        return self._request("POST", path, body, query)

    def patch(self, path: str, body: Mapping[str, t.Any]) -> dict[str, t.Any]:
        """A JSON merge patch; its metadata should carry uid and resourceVersion."""
        return self._request("PATCH", path, body)

    def apply(self, path: str, body: Mapping[str, t.Any], **query: t.Any) -> dict[str, t.Any]:
        """A server-side apply: creates or changes the object, and removes what an earlier one of ours set and this one does not.

        Its metadata should carry uid and resourceVersion if the object is there.
        """
        return self._request("PATCH", path, body, {"fieldManager": MANAGER, "force": "true", **query}, "application/apply-patch+yaml")

    def delete(self, path: str, uid: str, resource_version: str) -> dict[str, t.Any]:
        """Deletes just this version of just this object.

        In the background: Rancher's webhook refuses to orphan Roles (rancher/webhook pkg/resources/core/v1/secret).
        """
        return self._request("DELETE", path, {
            "apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background",
            "preconditions": {"uid": uid, "resourceVersion": resource_version},
        })

    def list(self, path: str, **query: t.Any) -> t.Iterator[dict[str, t.Any]]:
        """All items of a collection, page by page; starts anew if the server forgot where it was (410)."""
        seen: set[str] = set()
        token = None
        restarts = 0
        while True:
            try:
                page = self.get(path, limit=PAGE, **({"continue": token} if token else {}), **query)
            except ApiError as error:
                if error.status != 410 or restarts == 3:
                    raise
                token, restarts = None, restarts + 1
                continue
            if not str(page.get("kind")).endswith("List"):
                raise self._no_kubernetes()
            for item in page.get("items") or ():
                uid = item["metadata"]["uid"]
                if restarts == 0 or uid not in seen:
                    seen.add(uid)
                    yield item
            metadata = page.get("metadata") or {}
            token = metadata.get("continue")
            if not token:
                if not query:
                    self._events[path] = self._watch(path, metadata.get("resourceVersion") or "")
                return

    def events(self, path: str) -> t.Iterator[tuple[str, dict[str, t.Any]]]:
        """What was written to a collection after it was listed last, in the order in which it was written, each as its type and object.

        Who asks again gets what came after that. Ends when nothing comes for a moment, or where there is no right to watch.
        """
        return self._events.get(path, iter(())) if self._watches else iter(())

    def _watch(self, path: str, resource_version: str) -> t.Iterator[tuple[str, dict[str, t.Any]]]:
        url = f"{self.host}{path}?{urlencode({'watch': 1, 'resourceVersion': resource_version})}"
        timeout = urllib3.Timeout(connect=CONNECT_TIMEOUT, read=EVENT_TIMEOUT)
        headers = urllib3.HTTPHeaderDict(self._configuration.headers(self._options))
        try:
            answer = self._pool.request("GET", url, headers=headers, timeout=timeout, retries=False, redirect=False, preload_content=False)
            try:
                self._watches = answer.status == 200
                for line in answer if self._watches else ():
                    event = json.loads(line)
                    if event["type"] == "ERROR":  # such as a version that the API server does not remember any more
                        return
                    yield event["type"], event["object"]
            finally:
                answer.close()
                answer.release_conn()
        except (urllib3.exceptions.HTTPError, OSError, ValueError, KeyError):
            self._watches = False

    def parallel(self, function: t.Callable[[t.Any], t.Any], arguments: t.Sequence[t.Any]) -> list[t.Any]:
        """The function's results for all arguments, in their order, over a bounded number of connections."""
        results = []
        for result in _threads(function, arguments):
            results.append(result)
            if len(arguments) > 1:
                self.progress(len(results), len(arguments))
        return results

    def at_once(self, *reads: t.Callable[[], t.Any]) -> list[t.Any]:
        """The results of some independent reads."""
        return list(_threads(lambda read: read(), reads))

    def _request(
        self, method: str, path: str, body: Mapping[str, t.Any] | None = None, query: Mapping[str, t.Any] | None = None,
        content_type: str | None = None,
    ) -> dict[str, t.Any]:
        url = self.host + path + (f"?{urlencode(query)}" if query else "")
        headers = urllib3.HTTPHeaderDict(self._configuration.headers(self._options))
        if body is not None:
            headers["Content-Type"] = content_type or ("application/merge-patch+json" if method == "PATCH" else "application/json")
        payload = None if body is None else json.dumps(body).encode()
        for attempt in range(1, ATTEMPTS + 1):
            pause = 0.2 * 2 ** attempt * random.uniform(0.5, 1.0)
            rest = None if self._deadline is None else max(self._deadline - time.monotonic(), 0.001)
            timeout = urllib3.Timeout(total=rest, connect=CONNECT_TIMEOUT, read=READ_TIMEOUT)
            try:
                answer = self._pool.request(method, url, body=payload, headers=headers, timeout=timeout, retries=False, redirect=False)
            except (urllib3.exceptions.HTTPError, OSError) as error:
                mute = isinstance(error, urllib3.exceptions.ReadTimeoutError) and attempt > 1
                hopeless = isinstance(error, urllib3.exceptions.LocationParseError) or "CERTIFICATE_VERIFY_FAILED" in str(error)
                if attempt == ATTEMPTS or mute or hopeless or self._late(pause):
                    raise RanchhandError("unreachable", f"the API server {self.host} cannot be reached: {_why(error)}") from None
            else:
                if answer.status < 300:
                    return self._json(answer.data)
                wait = answer.headers.get("Retry-After", "")
                pause = min(float(wait), LONGEST_PAUSE) if wait.isdigit() else pause
                if attempt == ATTEMPTS or self._late(pause) or not (answer.status == 429 or answer.status >= 500):
                    raise _error(method, path, answer.status, answer.data)
            time.sleep(pause)
        raise AssertionError("unreachable code")

    def _late(self, pause: float) -> bool:
        return self._deadline is not None and time.monotonic() + pause >= self._deadline

    def _json(self, data: bytes) -> dict[str, t.Any]:
        try:
            value = json.loads(data)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise self._no_kubernetes()
        return value

    def _no_kubernetes(self) -> RanchhandError:
        return RanchhandError("unreachable", f"{self.host} does not answer like a Kubernetes API server")


def _threads(function: t.Callable[[t.Any], t.Any], arguments: t.Sequence[t.Any]) -> t.Iterator[t.Any]:
    if len(arguments) < 2:
        yield from map(function, arguments)
        return
    with ThreadPoolExecutor(max_workers=min(CONNECTIONS, len(arguments))) as executor:
        yield from executor.map(function, arguments)


def _why(error: BaseException) -> str:
    """The innermost reason of a failed connection, as a person would say it."""
    if isinstance(error, urllib3.exceptions.ProxyError):
        return f"the proxy on the way says or is: {_why(error.original_error)}"
    if isinstance(error, urllib3.exceptions.ConnectTimeoutError) and not isinstance(error, urllib3.exceptions.NewConnectionError):
        return f"no connection within {CONNECT_TIMEOUT:.0f} seconds"
    if isinstance(error, urllib3.exceptions.ReadTimeoutError):
        waited = re.search(r"read timeout=([\d.]+)", str(error))
        return f"no answer within {float(waited.group(1)) if waited else READ_TIMEOUT:.0f} seconds"
    reason = str(error)
    if "CERTIFICATE_VERIFY_FAILED" in reason:
        found = re.search(r"certificate verify failed: ([^(]+)", reason)
        return f"its certificate is not trusted ({found.group(1).strip() if found else 'verification failed'}); see ca_cert"
    for words in ("Connection refused", "Name or service not known", "Connection reset by peer", "No route to host",
                  "Temporary failure in name resolution", "Network is unreachable"):
        if words in reason:
            return words
    found = re.search(r"\] ([^\[\]()]+)", reason)
    return found.group(1).strip() if found else type(error).__name__


_VERBS = {"GET": "read", "POST": "create", "PATCH": "update", "DELETE": "delete"}


def _error(method: str, path: str, status: int, data: bytes) -> ApiError:
    try:
        answer = json.loads(data)
        answer = answer if isinstance(answer, dict) else {}
    except ValueError:
        answer = {}  # Rancher's proxy answers 403 with an empty body
    said = str(answer.get("message") or "").strip()
    reason = str(answer.get("reason") or "")
    what = f"{_VERBS[method]} {_resource(path)}"
    if status == 401:
        return ApiError("forbidden", "the API server does not accept the connection's credentials (401 Unauthorized)", status, reason)
    if status == 403:
        return ApiError("forbidden", f"this connection may not {what}" + (f": {said}" if said else " (403 Forbidden)"), status, reason)
    if status == 404:
        return ApiError("not_found", f"cannot {what}: " + (said or "not found"), status, reason)
    if status == 409:
        return ApiError("conflict", f"cannot {what}: " + (said or "conflict"), status, reason)
    if status == 400:  # its text may quote the request's body
        return ApiError("server_error", f"cannot {what}: the API server calls the request malformed (400)", status, reason)
    code = "invalid" if status == 422 else "server_error"
    return ApiError(code, f"cannot {what}: " + (said or f"HTTP status {status}"), status, reason)


def _resource(path: str) -> str:
    """What a path is about, in Kubernetes' own words."""
    parts = path.strip("/").split("/")
    parts = parts[2:] if parts[0] == "api" else parts[1:]
    group = f".{parts.pop(0)}" if path.startswith("/apis/") and len(parts) > 1 else ""
    parts = parts[1:] if group else parts
    if len(parts) > 2 and parts[0] == "namespaces":
        return f"{parts[2]}{group}" + (f" {parts[3]}" if len(parts) > 3 else "") + f" in namespace {parts[1]}"
    return "".join(parts[:1]) + group + (f" {parts[1]}" if len(parts) > 1 else "")


def name_in_path(name: str) -> str:
    """A name as one segment of a path."""
    return quote(name, safe="")
