# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The encryption of requests to MinIO's admin API and of its answers, with the secret key of the caller. Pure.

Sources: madmin-go and sio-go. A text is a salt, the number of an algorithm, a nonce, and chunks that are encrypted one
by one; the last one is marked.
"""

from __future__ import annotations

import hashlib
import os
import typing as t
from collections.abc import Iterator

from ..issuer import IssuerError

_SALT = 32
_NONCE = 8
_TAG = 16
_CHUNK = 16 * 1024
_ARGON2ID_AES_GCM, _PBKDF2_AES_GCM = 0, 2  # 1 is Argon2id with ChaCha20-Poly1305


def encrypt(secret: str, content: bytes) -> bytes:
    """Return the encrypted content. Raises IssuerError without the package cryptography.

    Every MinIO accepts PBKDF2, also with FIPS. The signature of a request protects the secret no better.
    """
    salt, nonce = os.urandom(_SALT), os.urandom(_NONCE)
    seal = _cipher(_PBKDF2_AES_GCM, secret, salt).encrypt
    chunks = _convert(seal, nonce, seal(nonce + bytes(4), b"", b""), content, _CHUNK)
    return b"".join((salt, bytes((_PBKDF2_AES_GCM,)), nonce, *chunks))


def decrypt(secret: str, content: bytes) -> bytes:
    """Return the decrypted content. Raises ValueError if it was not encrypted with this secret, and IssuerError."""
    start = _SALT + 1 + _NONCE
    if len(content) < start + _TAG:
        raise ValueError
    salt, algorithm, nonce = content[:_SALT], content[_SALT], content[_SALT + 1:start]
    cipher = _cipher(algorithm, secret, salt)
    mark = cipher.encrypt(nonce + bytes(4), b"", b"")
    from cryptography.exceptions import InvalidTag

    try:
        return b"".join(_convert(cipher.decrypt, nonce, mark, content[start:], _CHUNK + _TAG))
    except InvalidTag:
        raise ValueError from None


def _convert(
    convert: t.Callable[[bytes, bytes, bytes], bytes], nonce: bytes, mark: bytes, content: bytes, size: int
) -> Iterator[bytes]:
    """Encrypt or decrypt chunks of a size; ``mark`` is what all of them are bound to."""
    for index, offset in enumerate(range(0, max(len(content), 1), size), 1):
        is_last = offset + size >= len(content)
        yield convert(
            nonce + index.to_bytes(4, "little"), content[offset:offset + size], (b"\x80" if is_last else b"\0") + mark
        )


def _cipher(algorithm: int, secret: str, salt: bytes) -> t.Any:
    try:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
        from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
    except ImportError as error:
        raise IssuerError(
            "unsupported",
            "the Python package cryptography, version 44 or newer, is required on the controller for the answers of "
            f"MinIO. Install it: {error}",
        ) from None
    if algorithm == _PBKDF2_AES_GCM:
        return AESGCM(hashlib.pbkdf2_hmac("sha256", secret.encode(), salt, 8192, 32))
    try:
        key = Argon2id(salt=salt, length=32, iterations=1, lanes=4, memory_cost=64 * 1024).derive(secret.encode())
        return (AESGCM if algorithm == _ARGON2ID_AES_GCM else ChaCha20Poly1305)(key)
    except UnsupportedAlgorithm:
        raise IssuerError(
            "unsupported",
            "the Python package cryptography on the controller uses an OpenSSL without Argon2id, which the answers of "
            "MinIO require. Install a build with OpenSSL 3.2 or newer",
        ) from None
