# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Error messages: what failed, why, and what to do. They never quote a request."""

from __future__ import annotations

import json
import re

from .._common.errors import ApiError, ErrorCode, RanchhandError
from .libraries import urllib3

CONNECT_TIMEOUT = 10.0  # seconds
READ_TIMEOUT = 60.0     # seconds, the API server's own limit for a request

_REASONS = (
    "Connection refused", "Name or service not known", "Connection reset by peer", "No route to host",
    "Temporary failure in name resolution", "Network is unreachable",
)


def unreachable(host: str, error: BaseException, attempts: int, seconds: float) -> RanchhandError:
    """Return the failure of a request that got no response, in so many attempts within this time."""
    tried = f" ({attempts} attempts in {seconds:.0f} seconds)" if attempts > 1 else ""
    return RanchhandError("unreachable", f"the API server {host} cannot be reached: {network_problem(error)}{tried}")


def unauthorized(host: str, option: str) -> ApiError:
    """Return the failure of a request whose credentials, set by ``option``, the server rejected."""
    return ApiError(
        "forbidden", f"the API server {host} rejected the credentials of the connection (401 Unauthorized); they may "
                     f"have expired. Check {option}, or the variable that sets it", 401,
    )


def not_kubernetes(host: str) -> RanchhandError:
    """Return the failure of a request to another kind of server."""
    message = f"{host} does not answer like a Kubernetes API server; check the URL, including its path, and the proxy"
    return RanchhandError("unreachable", message)


def network_problem(error: BaseException) -> str:
    """Return the innermost reason of a failed connection."""
    if isinstance(error, urllib3.exceptions.ProxyError):
        return f"the proxy failed: {network_problem(error.original_error)}"
    if isinstance(error, urllib3.exceptions.ReadTimeoutError):
        waited = re.search(r"read timeout=([\d.]+)", str(error))
        return f"no answer within {float(waited.group(1)) if waited else READ_TIMEOUT:.0f} seconds"
    new_connection = isinstance(error, urllib3.exceptions.NewConnectionError)  # derives from ConnectTimeoutError
    if isinstance(error, urllib3.exceptions.ConnectTimeoutError) and not new_connection:
        return f"no connection within {CONNECT_TIMEOUT:.0f} seconds"
    text = str(error)
    if "CERTIFICATE_VERIFY_FAILED" in text:
        match = re.search(r"certificate verify failed: ([^(]+)", text)
        reason = match.group(1).strip() if match else "verification failed"
        return f"its certificate is not trusted ({reason}); set ca_cert to the certificates of its authority"
    match = re.search("|".join(_REASONS), text) or re.search(r"(?<=\] )[^\[\]()]+", text)
    return match.group(0).strip() if match else type(error).__name__


_VERBS = {"GET": "read", "POST": "create", "PATCH": "update", "DELETE": "delete"}
_CODES: dict[int, ErrorCode] = {403: "forbidden", 404: "not_found", 409: "conflict", 422: "invalid"}
_WITHOUT_MESSAGE = {403: "403 Forbidden", 404: "not found", 409: "conflict"}  # Rancher's proxy answers with no body


def api_error(method: str, path: str, status: int, data: bytes) -> ApiError:
    """Return the failure that an error response means."""
    try:
        answer = json.loads(data)
    except (ValueError, RecursionError):
        answer = None
    answer = answer if isinstance(answer, dict) else {}
    reason = str(answer.get("reason") or "")
    action = f"{_VERBS[method]} {_resource(path)}"
    explanation = str(answer.get("message") or "").strip() or _WITHOUT_MESSAGE.get(status, f"HTTP status {status}")
    message = f"cannot {action}: {explanation}"
    if status == 403:
        message = f"this connection may not {action}: {explanation}"
    if status == 400:  # the explanation may quote the body of the request
        message = f"cannot {action}: the API server rejected the request as malformed (400)"
    return ApiError(_CODES.get(status, "server_error"), message, status, reason)


def _resource(path: str) -> str:
    """Return the resource of a path as kubectl writes it, such as ``secrets cc-x in namespace cattle-global-data``."""
    parts = path.strip("/").split("/")
    parts = parts[2:] if parts[0] == "api" else parts[1:]
    group = ""
    if path.startswith("/apis/") and len(parts) > 1:
        group, parts = f".{parts[0]}", parts[2:]
    namespace = ""
    if len(parts) > 2 and parts[0] == "namespaces":
        namespace, parts = f" in namespace {parts[1]}", parts[2:]
    name = f" {parts[1]}" if len(parts) > 1 else ""
    return "".join(parts[:1]) + group + name + namespace or path
