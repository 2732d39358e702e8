# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The only file that talks to the API server.

PRIVATE to the collection. The kubernetes client gives configuration, authentication and the connection pool; requests are
plain JSON over that pool, which works alike from client 24.2 to 37 and costs a third of the dynamic client.
"""

from __future__ import annotations

import json
import re

from .._common.errors import ApiError
from .libraries import urllib3

CONNECT_TIMEOUT = 10.0  # seconds
READ_TIMEOUT = 60.0     # seconds, the API server's own limit for a request


def describe_network_error(error: BaseException) -> str:
    """The innermost reason of a failed connection, as a person would say it."""
    if isinstance(error, urllib3.exceptions.ProxyError):
        return f"the proxy on the way says or is: {describe_network_error(error.original_error)}"
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


def api_error(method: str, path: str, status: int, data: bytes) -> ApiError:
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
