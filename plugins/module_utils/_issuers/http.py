# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Requests to the HTTP API of a provider, for issuers and verifiers.

One fixed host, no redirects, verified certificates, a deadline for all requests together, and a limit for the size of
an answer. Messages contain the status, but no text of the provider, because it may quote what was sent.
"""

from __future__ import annotations

import contextlib
import json
import os
import ssl
import tempfile
import threading
import time
import typing as t
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from .._common.times import Time, now, parse_time
from ..issuer import CALL_TIMEOUT, IssuerError

OPTIONS = ("endpoint_url", "ca_bundle")
LARGEST_ANSWER = 1024 * 1024  # bytes
LARGEST_SKEW = 300.0  # seconds; providers reject signatures that are further off
_CHUNK = 64 * 1024
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


class Answer(t.NamedTuple):
    """An answer of a provider; ``content`` is its JSON, None if it is empty or no JSON, and ``raw`` are its bytes.

    ``headers`` ignore case.
    """

    status: int
    content: t.Any
    headers: Mapping[str, str] = {}
    raw: bytes = b""

    def text(self, name: str) -> str:
        """Return a text in the JSON object; "" if there is none."""
        found = self.content.get(name) if isinstance(self.content, Mapping) else None
        return found if isinstance(found, str) else ""


class HttpApi:
    """The API of a provider, for the time of one call of the contract.

    Args:
        name: the provider in messages.
        url: its URL; ``endpoint_url`` in the options replaces it, ``ca_bundle`` is a file with CA certificates.
        validate_certs: whether to verify the server.
        allow_http: whether the credential itself has a URL without TLS.
        until: the deadline of another API that is used in the same call (time.monotonic()).
        authorities: CA certificates in PEM format that the credential contains; ``ca_bundle`` replaces them.
    """

    def __init__(
        self, name: str, url: str, options: Mapping[str, t.Any], validate_certs: bool = True, allow_http: bool = False,
        until: float | None = None, authorities: str = "",
    ) -> None:
        self.name = name
        url = str(options.get("endpoint_url") or url)
        try:
            parts = urlsplit(url)
            host, secure = parts.hostname or "", parts.scheme == "https"
            port = f":{parts.port}" if parts.port else ""
        except ValueError:
            raise IssuerError("invalid", f"the URL of {name} is malformed") from None
        if not host or "@" in parts.netloc or parts.query or parts.fragment:
            raise IssuerError("invalid", f"the URL of {name} must have a host, and no user, query or fragment")
        if not secure and not (parts.scheme == "http" and (allow_http or host in _LOOPBACK)):
            raise IssuerError("invalid", f"the URL of {name} must begin with https://")
        self.host = f"{host:.100}{port}"
        self._url = url.rstrip("/")
        self._verify: bool | str = validate_certs
        self._authorities = ""
        if validate_certs and options.get("ca_bundle"):
            self._verify = str(options["ca_bundle"])
            if not os.path.exists(self._verify):
                raise IssuerError("invalid", f"ca_bundle {self._verify:.200} does not exist on the controller")
        elif validate_certs and authorities:
            try:
                ssl.create_default_context(cadata=authorities)
            except (TypeError, ValueError, ssl.SSLError):
                raise IssuerError("invalid", f"the CA certificates of {name} in the credential are malformed") from None
            self._authorities = authorities
        self.until = until or time.monotonic() + CALL_TIMEOUT - 1

    def send(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, form: Mapping[str, str] | None = None,
        body: t.Any = None,
    ) -> Answer:
        """Send one request, which is never repeated. Raises IssuerError if there is no answer, or a redirect.

        ``body`` is sent as JSON unless it is None; bytes, which may be signed, are sent as they are. A thread sends the
        request, because the limits of an HTTP client do not cover name resolution and slow headers.
        """
        requests = _load()
        done: list[Answer | IssuerError] = []

        def work() -> None:
            try:
                done.append(self._exchange(requests, method, path, headers or {}, form, body))
            except IssuerError as error:
                done.append(error)
            except Exception as error:
                done.append(self._problem(requests, error))

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        thread.join(max(self.until - time.monotonic(), 0.0))
        result = done[0] if done else self._unreachable("did not answer in time")
        if isinstance(result, IssuerError):
            raise result
        return result

    def require(self, answer: Answer, right: str) -> Answer:
        """Return the answer if the request was performed. ``right`` is what a 403 means that the key may not do."""
        if answer.status < 300:
            return answer
        what, status = f"{self.name} ({self.host})", f"(HTTP status {answer.status})"
        if answer.status == 401:
            raise IssuerError("refused", f"{what} does not accept the key {status}")
        if answer.status == 403:
            raise IssuerError("forbidden", f"{what} accepts the key, but does not allow it to {right} {status}")
        if answer.status == 429:
            raise IssuerError("busy", f"{what} limits the rate of requests {status}")
        if answer.status >= 500:
            raise IssuerError("unreachable", f"{what} could not process the request {status}")
        raise IssuerError("invalid", f"{what} rejected the request {status}")

    def require_member(self, answer: Answer, name: str) -> None:
        """Raise IssuerError unless the answer is that of the provider, and not of a portal that answers any request."""
        if not isinstance(answer.content, Mapping) or name not in answer.content:
            raise self._unreachable("does not answer like this provider")

    def require_clock(self, answer: Answer) -> None:
        """Raise IssuerError if a signature is rejected because of the time that it contains."""
        skew = clock_skew(answer.headers.get("date", ""))
        if abs(skew) > LARGEST_SKEW:
            raise IssuerError(
                "invalid",
                f"{self.name} ({self.host}) rejects the time of the request: the clock of the controller is "
                f"{round(abs(skew) / 60)} minutes {'fast' if skew > 0 else 'slow'}. Correct the clock",
            )

    def _exchange(
        self, requests: t.Any, method: str, path: str, headers: Mapping[str, str], form: Mapping[str, str] | None,
        body: t.Any,
    ) -> Answer:
        with self._trusted() as verify, requests.Session() as session, session.request(
            method,
            self._url + path,
            headers={"Accept": "application/json", "Accept-Encoding": "identity", **headers},
            data=body if isinstance(body, bytes) else form,
            json=None if isinstance(body, bytes) else body,
            verify=verify,
            timeout=max(self.until - time.monotonic(), 0.001),
            allow_redirects=False,
            stream=True,
            auth=_no_netrc,
        ) as response:
            if 300 <= response.status_code < 400:
                message = f"{self.name} ({self.host}) answers with a redirect, which is not followed. Check its URL"
                raise IssuerError("invalid", message)
            content = bytearray()
            for chunk in response.iter_content(_CHUNK):
                content += chunk
                if len(content) > LARGEST_ANSWER:
                    raise self._unreachable(f"answers with more than {LARGEST_ANSWER} bytes")
            return Answer(response.status_code, parse_json(bytes(content)), response.headers, bytes(content))

    @contextlib.contextmanager
    def _trusted(self) -> Iterator[bool | str]:
        """Return what requests verifies the server with; it reads certificates from files only."""
        if not self._authorities:
            yield self._verify
            return
        with tempfile.NamedTemporaryFile("w", encoding="ascii", suffix=".pem") as file:
            file.write(self._authorities)
            file.flush()
            yield file.name

    def _problem(self, requests: t.Any, error: Exception) -> IssuerError:
        if isinstance(error, requests.exceptions.SSLError):
            return self._unreachable("has a certificate that is not trusted. Set ca_bundle")
        if isinstance(error, requests.exceptions.ProxyError):
            return self._unreachable("cannot be reached through the proxy in the environment")
        if isinstance(error, requests.exceptions.Timeout):
            return self._unreachable("did not answer in time")
        if isinstance(error, (ValueError, TypeError)):  # of a header or the URL; the text may quote the key
            return IssuerError("invalid", f"the credential contains characters that cannot be sent to {self.name}")
        return self._unreachable(f"cannot be reached ({type(error).__name__})")

    def _unreachable(self, reason: str) -> IssuerError:
        return IssuerError("unreachable", f"{self.name} ({self.host}) {reason}")


def _load() -> t.Any:
    try:
        import requests
    except ImportError as error:
        raise IssuerError(
            "unsupported",
            f"the Python package requests is required on the controller, but cannot be imported: {error}",
        ) from None
    return requests


def clock_skew(date: str) -> float:
    """Return the seconds by which this machine's clock is ahead of the date of an answer; 0 if this is unknown."""
    try:
        return (now() - parsedate_to_datetime(date)).total_seconds()
    except (TypeError, ValueError):
        return 0.0


def read_time(value: t.Any) -> Time | None:
    """Return a time in an answer; None if there is none, and for the year 9999, with which Google means no end."""
    try:
        return parse_time(value)
    except (TypeError, ValueError):
        return None


def _no_netrc(request: t.Any) -> t.Any:
    """Add nothing to a request. Without a function of its own, requests signs in with passwords of ~/.netrc."""
    return request


def parse_json(content: bytes) -> t.Any:
    """Return the content of a JSON text; None if it is none."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None
