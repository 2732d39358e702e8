# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Turns connection options into what requests need: URL, headers and a pool of connections."""

from __future__ import annotations

import base64
import re
import ssl
import threading
import typing as t
from collections.abc import Mapping
from dataclasses import replace

from .._common.errors import RanchhandError
from .concurrency import CONNECTIONS
from .connection import FIELD_MANAGER, is_complete
from .kubeconfig import KubeconfigCredentials, load_kubeconfig
from .libraries import Configuration, RESTClientObject, urllib3
from .tls import CertificateData, tls_context

# Option, attribute of the client's Configuration, and attribute of CertificateData.
_FILE_OPTIONS = (
    ("ca_cert", "ssl_ca_cert", "authorities"),
    ("client_cert", "cert_file", "certificate"),
    ("client_key", "key_file", "key"),
)


_PROXY_FORM = "must be a URL such as http://proxy.example.com:3128"


class ConnectionConfiguration:
    """Server and credentials of a connection, from options, a kubeconfig or the service account of the pod."""

    def __init__(self, options: Mapping[str, t.Any]) -> None:
        self._options = options
        self._client = Configuration()
        self._client.connection_pool_maxsize = CONNECTIONS
        self._client.retries = False
        self._kubeconfig: KubeconfigCredentials | None = None
        if not is_complete(options):
            self._kubeconfig = load_kubeconfig(self._client, options["kubeconfig"], options["context"])
        self._override()
        self._client.proxy = _proxy_url(self._client.proxy)
        self._lock = threading.Lock()
        self._pool: t.Any = None
        self._pool_data: CertificateData | None = None
        self.host: str = self._client.host
        if "@" in self.host.partition("://")[2].partition("/")[0]:
            raise RanchhandError("invalid", "host must not contain credentials; set username and password instead")

    def _override(self) -> None:
        """Replace settings of the kubeconfig by the options."""
        client, options = self._client, self._options
        if options["host"]:
            client.host = options["host"].rstrip("/")
        if options["validate_certs"] is not None:
            client.verify_ssl = options["validate_certs"]
        for option, attribute, _data in _FILE_OPTIONS:
            if options[option]:
                setattr(client, attribute, options[option])
        for name in ("proxy", "no_proxy"):
            if options[name]:
                setattr(client, name, options[name])
        headers = {key: value for key, value in (options["proxy_headers"] or {}).items() if value}
        if headers:
            client.proxy_headers = urllib3.make_headers(**headers)

    def headers(self) -> t.Any:
        """Return the headers of a request; tokens that expire are renewed."""
        options = self._options
        fields = [("Accept", "application/json"), ("User-Agent", FIELD_MANAGER)]
        authorization = self._authorization()
        if authorization:
            fields.append(("authorization", authorization))
        if options["impersonate_user"]:
            fields.append(("Impersonate-User", options["impersonate_user"]))
        fields += [("Impersonate-Group", group) for group in options["impersonate_groups"] or ()]
        for name, value in fields:
            if not re.fullmatch(r"[\x20-\x7e\xa0-\xff]*", value):
                message = f"the value for the HTTP header {name} must be one line of Latin-1 characters"
                raise RanchhandError("invalid", message)
        return urllib3.HTTPHeaderDict(fields)

    def _authorization(self) -> str | None:
        """Return one header, as servers and proxies differ in which of several they use."""
        options = self._options
        if options["api_key"]:
            return f"Bearer {options['api_key'].strip()}"
        if options["username"] and options["password"]:
            return "Basic " + base64.b64encode(f"{options['username']}:{options['password']}".encode()).decode()
        return self._kubeconfig.authorization() if self._kubeconfig else None

    @property
    def credentials_option(self) -> str:
        """The options that set the credentials of requests."""
        if self._options["api_key"]:
            return "api_key"
        if self._options["username"] and self._options["password"]:
            return "username and password"
        return "kubeconfig" if self._kubeconfig else "client_cert and client_key"

    def renew(self) -> bool:
        """Renew the credentials that the API server has rejected; returns whether there may be others."""
        return self._kubeconfig is not None and self.credentials_option == "kubeconfig" and self._kubeconfig.renew()

    def pool(self) -> t.Any:
        """Return the client's pool of connections, with our TLS context; a new one after a certificate was renewed."""
        with self._lock:
            data = self._kubeconfig.certificates if self._kubeconfig else None
            if self._pool is None or data is not self._pool_data:
                self._pool, self._pool_data = self._new_pool(data or CertificateData()), data
            return self._pool

    def _new_pool(self, data: CertificateData) -> t.Any:
        try:
            manager = RESTClientObject(self._client).pool_manager
        except (ValueError, AssertionError):  # of urllib3, which quotes the URL with its password
            raise RanchhandError("invalid", f"proxy {_PROXY_FORM}") from None
        if self.host.startswith("https"):
            settings = manager.connection_pool_kw
            for key in ("cert_reqs", "ca_certs", "ca_cert_data", "cert_file", "key_file"):
                settings.pop(key, None)
            overridden = {name: None for option, _attribute, name in _FILE_OPTIONS if self._options[option]}
            settings["ssl_context"] = tls_context(self._client, replace(data, **overridden))
            if not self._client.verify_ssl:
                settings["cert_reqs"] = ssl.CERT_NONE
        manager.connection_pool_kw["block"] = True
        return manager


def _proxy_url(proxy: str | None) -> str | None:
    """Return the URL of a proxy: like curl and Go, without a scheme it is that of HTTP."""
    if not proxy:
        return None
    url = proxy if "://" in proxy else f"http://{proxy}"
    try:
        parsed = urllib3.util.parse_url(url)
    except urllib3.exceptions.HTTPError:
        parsed = None
    if parsed is None or not parsed.host or parsed.scheme not in ("http", "https", "socks5", "socks5h", "socks4"):
        raise RanchhandError("invalid", f"proxy {_PROXY_FORM}")
    return url
