# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Turns connection options into what requests need: URL, headers and a pool of connections."""

from __future__ import annotations

import base64
import re
import ssl
import typing as t
from collections.abc import Mapping

from .._common.errors import RanchhandError
from .concurrency import CONNECTIONS
from .connection import FIELD_MANAGER, is_complete
from .kubeconfig import load_kubeconfig
from .libraries import Configuration, RESTClientObject, urllib3
from .tls import CertificateData, tls_context

# Option, attribute of the client's Configuration, and attribute of CertificateData.
_FILE_OPTIONS = (
    ("ca_cert", "ssl_ca_cert", "authorities"),
    ("client_cert", "cert_file", "certificate"),
    ("client_key", "key_file", "key"),
)


class ConnectionConfiguration:
    """Server and credentials of a connection, from options, a kubeconfig or the service account of the pod."""

    def __init__(self, options: Mapping[str, t.Any]) -> None:
        self._options = options
        self._client = Configuration()
        self._client.connection_pool_maxsize = CONNECTIONS
        self._client.retries = False
        self._certificates = CertificateData()
        if not is_complete(options):
            self._certificates = load_kubeconfig(self._client, options["kubeconfig"], options["context"])
        self._override()
        self.host: str = self._client.host
        if "@" in self.host.partition("://")[2].partition("/")[0]:
            raise RanchhandError("invalid", "host must not contain credentials; set username and password instead")

    def _override(self) -> None:
        """Replace settings of the kubeconfig by the options."""
        client, options = self._client, self._options
        if options["host"]:
            client.host = options["host"].rstrip("/")
        if options["api_key"]:
            client.api_key = {"authorization": f"Bearer {options['api_key'].strip()}"}
            client.refresh_api_key_hook = None
        if options["validate_certs"] is not None:
            client.verify_ssl = options["validate_certs"]
        for option, attribute, data in _FILE_OPTIONS:
            if options[option]:
                setattr(client, attribute, options[option])
                setattr(self._certificates, data, None)
        for name in ("proxy", "no_proxy"):
            if options[name]:
                setattr(client, name, options[name])
        headers = {key: value for key, value in (options["proxy_headers"] or {}).items() if value}
        if headers:
            client.proxy_headers = urllib3.make_headers(**headers)

    def headers(self) -> t.Any:
        """Return the headers of a request; the token is read again each time, as the client may have renewed it."""
        options = self._options
        fields = [("Accept", "application/json"), ("User-Agent", FIELD_MANAGER)]
        fields += [(setting["key"], setting["value"]) for setting in self._client.auth_settings().values()]
        if options["username"] and options["password"]:
            pair = base64.b64encode(f"{options['username']}:{options['password']}".encode()).decode()
            fields.append(("authorization", f"Basic {pair}"))
        if options["impersonate_user"]:
            fields.append(("Impersonate-User", options["impersonate_user"]))
        fields += [("Impersonate-Group", group) for group in options["impersonate_groups"] or ()]
        for name, value in fields:
            if not re.fullmatch(r"[\x20-\x7e\xa0-\xff]*", value):
                message = f"the value for the HTTP header {name} must be one line of Latin-1 characters"
                raise RanchhandError("invalid", message)
        return urllib3.HTTPHeaderDict(fields)

    def pool(self) -> t.Any:
        """Return the client's pool of connections, with our TLS context."""
        manager = RESTClientObject(self._client).pool_manager
        if self.host.startswith("https"):
            settings = manager.connection_pool_kw
            for key in ("cert_reqs", "ca_certs", "ca_cert_data", "cert_file", "key_file"):
                settings.pop(key, None)
            settings["ssl_context"] = tls_context(self._client, self._certificates)
            if not self._client.verify_ssl:
                settings["cert_reqs"] = ssl.CERT_NONE
        manager.connection_pool_kw["block"] = True
        return manager
