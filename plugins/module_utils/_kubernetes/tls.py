# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""TLS of a connection, with certificates and keys that are kept in memory instead of in temporary files."""

from __future__ import annotations

import os
import ssl
import typing as t
from dataclasses import dataclass

from .._common.errors import RanchhandError


@dataclass
class CertificateData:
    """The PEM data of a connection that are not in files of the user."""

    authorities: bytes | None = None
    certificate: bytes | None = None
    key: bytes | None = None


def tls_context(client: t.Any, data: CertificateData) -> ssl.SSLContext:
    """Return the context for a Configuration of the kubernetes client; raises RanchhandError (``invalid``)."""
    try:
        if data.authorities:
            context = ssl.create_default_context(cadata=data.authorities.decode("ascii"))
        else:
            context = ssl.create_default_context(cafile=client.ssl_ca_cert or None)
        if not client.verify_ssl:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if data.certificate or data.key:
            _load_pair(context, data.certificate or read_file(client.cert_file), data.key or read_file(client.key_file))
        elif client.cert_file:
            context.load_cert_chain(client.cert_file, client.key_file)
    except (OSError, ValueError, TypeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise RanchhandError("invalid", f"cannot use the certificates of the connection: {reason}") from None
    return context


def _load_pair(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    """Load a client certificate from memory: ssl accepts only files, so they are read from pipes."""
    pipes = []
    try:
        for content in (certificate, key):
            pipe, writer = os.pipe()
            pipes.append(pipe)
            with open(writer, "wb", closefd=True) as file:
                os.set_blocking(writer, False)  # a pipe takes 64 KiB; more fails instead of blocking forever
                file.write(content)
        context.load_cert_chain(*(f"/dev/fd/{pipe}" for pipe in pipes))
    finally:
        for pipe in pipes:
            os.close(pipe)


def read_file(path: str) -> bytes:
    """Return the content of a file."""
    with open(path, "rb") as file:
        return file.read()
