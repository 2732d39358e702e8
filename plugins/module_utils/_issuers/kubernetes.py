# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The issuer of ServiceAccount tokens, for Harvester clusters without Rancher in between.

A new token is bound to an empty Secret of its own, and revoked by deleting this Secret. API servers accept a revoked
token for up to ten seconds, if they saw it a moment ago, so verify() also reads the Secret.

The account that signs in needs, in the namespace of the ServiceAccount: create on its serviceaccounts/token, and get,
list, create and delete on secrets.
"""

from __future__ import annotations

import base64
import contextlib
import datetime
import hashlib
import json
import secrets
import time
import typing as t
from collections.abc import Mapping

from .._common.errors import ApiError, RanchhandError
from .._common.times import UTC, format_time, now, parse_time
from .._kubernetes.client import KubernetesClient, name_in_path
from .._kubernetes.connection import CONNECTION
from .._kubernetes.kubeconfig import parse_yaml
from .._rancher.annotations import ROTATION_KEY_LABEL, ROTATION_MARK
from ..issuer import CALL_TIMEOUT, IssuedKey, Issuer, IssuerError, Key, Values
from .options import parse_duration_option
from .registry import ISSUERS

FIELD, = ISSUERS["kubernetes"].fields
OPTIONS = ("namespace", "service_account", "expiration", "sign_in", "kubeconfig")
SHORTEST = 600  # seconds; Kubernetes' minimum
_PREFIX = "system:serviceaccount:"
_LEGACY = "kubernetes.io/serviceaccount/secret.name"
_LEGACY_TYPE = "kubernetes.io/service-account-token"
_WHO = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
_WHAT = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
_CODES = {"forbidden": "forbidden", "conflict": "busy", "unreachable": "unreachable", "unsupported": "unsupported"}


class Token:
    """The claims of a ServiceAccount's token, not verified."""

    def __init__(self, text: str) -> None:
        try:
            payload = text.split(".")[1]
            claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
            self.username: str = claims["sub"]
            if not self.username.startswith(_PREFIX):
                raise ValueError
            self.namespace, self.account = self.username[len(_PREFIX):].split(":")
            bound = (claims.get("kubernetes.io") or {}).get("secret", {})
            self.secret: str | None = bound.get("name") or claims.get(_LEGACY)
            self.secret_uid: str | None = bound.get("uid")
            self.issued_at, self.expires_at = (
                None
                if claims.get(name) is None
                else datetime.datetime.fromtimestamp(claims[name], UTC)
                for name in ("iat", "exp")
            )
            self.digest = claims.get("jti") or hashlib.sha256(text.encode()).hexdigest()[:12]
        except (IndexError, KeyError, ValueError, TypeError, AttributeError, OverflowError, OSError):
            raise IssuerError(
                "unsupported",
                f"{FIELD} contains no token of a ServiceAccount. For a token of Rancher, set issuer: harvester. For a "
                "certificate, create a kubeconfig of the Harvester cluster with a ServiceAccount",
            ) from None

    @property
    def key_id(self) -> str:
        """The name of the Secret that the token is bound to; if there is none, a text that cannot be such a name."""
        until = f" until {format_time(self.expires_at)}" if self.expires_at else ""
        return self.secret or f"serviceaccount {self.namespace}/{self.account}, token {self.digest}{until}"


class Kubeconfig:
    """The active cluster and user of the kubeconfig in a credential's fields."""

    def __init__(self, values: Values) -> None:
        text = values.get(FIELD) or ""
        try:
            self._content = parse_yaml(text)
            names = [item["name"] for item in self._content["contexts"]]
            context = _named(self._content, "context", self._content.get("current-context") or names[0])
            self.cluster = _named(self._content, "cluster", context["cluster"])
            self._user = _named(self._content, "user", context["user"])
            self._token = self._user.get("token", "")
        except Exception:  # malformed YAML; the text of the exception may quote it
            raise IssuerError("invalid", f"{FIELD} is not a kubeconfig with a context, a cluster and a user") from None
        if "certificate-authority" in self.cluster:
            raise IssuerError(
                "invalid", f"{FIELD} names a file as certificate-authority. Use certificate-authority-data instead"
            )
        self._is_json = text.lstrip().startswith("{")

    @property
    def has_token(self) -> bool:
        return isinstance(self._token, str) and bool(self._token)

    @property
    def token(self) -> Token:
        """The token of a ServiceAccount. Raises IssuerError if it is another one."""
        return Token(self.bearer)

    @property
    def bearer(self) -> str:
        """The text of the token, which may be one of Rancher; "" if there is none."""
        return self._token if self.has_token else ""

    def connection(self) -> dict[str, t.Any]:
        """Return a kubeconfig with only the cluster and the token, without other settings such as programs to run."""
        return {
            "current-context": "it",
            "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
            "clusters": [{"name": "it", "cluster": self.cluster}],
            "users": [{"name": "it", "user": {"token": self._token}}],
        }

    def with_token(self, token: str) -> str:
        """Return the kubeconfig with another token."""
        self._user["token"] = self._token = token
        if self._is_json:
            return json.dumps(self._content)
        import yaml
        return yaml.safe_dump(self._content, sort_keys=False)


def _sign_in(client: KubernetesClient) -> str | None:
    """Return the user of the token, None if the API server does not report it, before Kubernetes 1.28.

    Such a server accepts the token of a ServiceAccount only if its claims are true.
    """
    with _translated():
        try:
            return t.cast(str, client.post(_WHO, {})["status"]["userInfo"]["username"])
        except ApiError as error:
            if error.status != 404 or not client.post(_WHAT, {"spec": {"namespace": "default"}})["status"][
                "resourceRules"
            ]:
                raise
            return None


def verify_kubeconfig(values: Values, options: Mapping[str, t.Any]) -> None:
    """Sign in with a token of a ServiceAccount or, through a Rancher that Harvester is imported into, of Rancher."""
    kubeconfig = Kubeconfig(values)
    if not kubeconfig.has_token:
        raise IssuerError("unsupported", f"{FIELD} contains no token. Only tokens can be verified")
    _sign_in(_connect(kubeconfig.connection()))


def _named(content: Mapping[str, t.Any], section: str, name: str) -> dict[str, t.Any]:
    found = next(item for item in content[f"{section}s"] if item["name"] == name)[section]
    if not isinstance(found, dict):
        raise TypeError
    return found


class Kubernetes(Issuer):
    """The tokens of a ServiceAccount.

    Options: ``namespace`` and ``service_account`` are the expected ones of the token. ``expiration`` is the lifetime
    of a token, such as ``90d``; the API server may shorten it. ``sign_in`` is ``rotating``, with the token in the
    credential, or ``given``, with ``kubeconfig`` (as content or path) of another account.
    """

    drivers = ISSUERS["kubernetes"].drivers
    fields = (FIELD,)
    disables = False
    marks = True
    recorded_options = ("namespace", "service_account", "expiration", "sign_in")

    def __init__(self, options: t.Mapping[str, t.Any]) -> None:
        super().__init__(options)
        given = {name for name, value in options.items() if value is not None}
        unknown = sorted(set(options).difference(OPTIONS))
        if unknown:
            raise IssuerError("invalid", f"unknown option {', '.join(unknown)}; allowed are {', '.join(OPTIONS)}")
        self._sign_in = options.get("sign_in") or "rotating"
        if self._sign_in not in ("rotating", "given"):
            raise IssuerError("invalid", "sign_in must be rotating or given")
        if (self._sign_in == "given") != ("kubeconfig" in given):
            raise IssuerError("invalid", "kubeconfig and sign_in: given require each other")
        self._expiration = parse_duration_option(options, "expiration", "90d", SHORTEST)

    def key_id(self, values: Values) -> str:
        return Kubeconfig(values).token.key_id

    def keys(self, by: Values) -> list[Key]:
        token = self._token(by)
        client = self._client(by)
        with _translated():
            found = list(client.list_objects(_secrets(token), labelSelector=f"{ROTATION_KEY_LABEL}={_label(token)}"))
        keys = [
            Key(
                item["metadata"]["name"],
                created_at=parse_time(item["metadata"]["creationTimestamp"]),
                mark=(item["metadata"].get("annotations") or {}).get(ROTATION_MARK),
            )
            for item in found
        ]
        return keys + (
            [] if any(item.id == token.key_id for item in keys) else [Key(token.key_id, created_at=token.issued_at)]
        )

    def can_list(self, key_id: str) -> bool:
        return " " not in key_id  # a token that is bound to no Secret

    def issue(self, by: Values, mark: str) -> IssuedKey:
        kubeconfig = Kubeconfig(by)
        token = self._token(by)
        name = f"{token.account}-ranchhand-{secrets.token_hex(3)[:5]}"
        body = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": name, "labels": {ROTATION_KEY_LABEL: _label(token)}, "annotations": {ROTATION_MARK: mark},
            },
            "type": "Opaque",
        }
        client = self._client(by)
        with _translated():
            try:
                secret = client.post(_secrets(token), body)
            except ApiError as error:
                if error.reason != "AlreadyExists":  # the reply to the first attempt was lost
                    raise
                secret = client.get(_secrets(token, name))
            try:
                answer = client.post(
                    f"/api/v1/namespaces/{name_in_path(token.namespace)}/serviceaccounts/"
                    f"{name_in_path(token.account)}/token",
                    {
                        "apiVersion": "authentication.k8s.io/v1",
                        "kind": "TokenRequest",
                        "spec": {
                            "expirationSeconds": self._expiration,
                            "boundObjectRef": {
                                "apiVersion": "v1",
                                "kind": "Secret",
                                "name": name,
                                "uid": secret["metadata"]["uid"],
                            },
                        },
                    },
                )
            except RanchhandError:
                _delete_empty(client, _secrets(token, name), secret["metadata"])
                raise
            return IssuedKey({FIELD: kubeconfig.with_token(answer["status"]["token"])}, name)

    def verify(self, values: Values, by: Values) -> None:
        kubeconfig = Kubeconfig(values)
        token, expected = kubeconfig.token, self._token(by).username
        until = time.monotonic() + CALL_TIMEOUT - 1
        found = _sign_in(_connect(kubeconfig.connection())) or token.username
        if found != expected:
            raise IssuerError("invalid", f"the token belongs to {found}, not to {expected}")
        if token.secret:
            _require_secret(self._client(values, until), token)

    def delete(self, key_id: str, by: Values) -> None:
        token = self._token(by)
        unbound, _until, end = key_id.partition(" until ")
        if end and parse_time(end) < now():
            return
        if " " in unbound:
            raise IssuerError(
                "unsupported",
                f"{key_id} is not bound to a Secret, so this token cannot be revoked alone. Wait until it expires, "
                "or delete and "
                "recreate the ServiceAccount, which revokes all its tokens",
            )
        path = _secrets(token, key_id)
        client = self._client(by)
        with _translated():
            try:
                secret = client.get(path)
                metadata = secret["metadata"]
                if secret.get("data") and secret.get("type") != _LEGACY_TYPE:
                    raise IssuerError(
                        "unsupported",
                        f"Secret {key_id} in namespace {token.namespace} contains data, so it is not deleted. "
                        "Delete it when nothing else needs it, which revokes the token",
                    )
                client.delete(path, metadata["uid"], metadata["resourceVersion"])
            except ApiError as error:
                if error.status != 404:
                    raise

    def expires_at(self, values: Values) -> datetime.datetime | None:
        return Kubeconfig(values).token.expires_at

    def _token(self, by: Values) -> Token:
        token = Kubeconfig(by).token
        for option, found in (("namespace", token.namespace), ("service_account", token.account)):
            if self.options.get(option) not in (None, found):
                raise IssuerError(
                    "invalid",
                    f"the token belongs to ServiceAccount {token.namespace}/{token.account}, not to the {option} "
                    f"{self.options[option]}",
                )
        return token

    def _client(self, by: Values, until: float | None = None) -> KubernetesClient:
        return _connect(self.options["kubeconfig"] if self._sign_in == "given" else Kubeconfig(by).connection(), until)


def _require_secret(client: KubernetesClient, token: Token) -> None:
    """Raise IssuerError if the Secret of a token was deleted, or is another one of this name."""
    with _translated():
        try:
            uid = client.get(_secrets(token, token.secret))["metadata"]["uid"]
        except ApiError as error:
            if error.status != 404:
                raise
            uid = None
    if uid is None or token.secret_uid not in (None, uid):
        raise IssuerError(
            "refused",
            f"the token is revoked: Secret {token.secret} in namespace {token.namespace}, to which it is bound, was "
            "deleted",
        )


def _delete_empty(client: KubernetesClient, path: str, metadata: Mapping[str, t.Any]) -> None:
    """Delete the Secret of a token that was not issued, so that it is not listed as a key."""
    try:
        client.delete(path, metadata["uid"], metadata["resourceVersion"])
    except RanchhandError as error:
        raise IssuerError("unreachable", f"no token was issued, but its Secret is left: {error.message}") from None


@contextlib.contextmanager
def _translated() -> t.Iterator[None]:
    """Turn errors of the cluster into errors of the contract."""
    try:
        yield
    except RanchhandError as error:
        status = error.status if isinstance(error, ApiError) else 0
        code = {401: "refused", 429: "busy"}.get(status, _CODES.get(error.code, "invalid"))
        raise IssuerError("unreachable" if status >= 500 else code, error.message) from None
    except (LookupError, TypeError, ValueError, AttributeError):
        raise IssuerError("unreachable", "the cluster does not answer like a Kubernetes API server") from None


def _connect(kubeconfig: t.Any, until: float | None = None) -> KubernetesClient:
    """Connect to a cluster; all requests end by ``until``, or within the time of a call from now."""
    # The environment is not used, because it selects the cluster of Rancher.
    with _translated():
        return KubernetesClient(
            {**dict.fromkeys(CONNECTION.options), "kubeconfig": kubeconfig, "use_environment": False},
            patience=CALL_TIMEOUT - 1 if until is None else until - time.monotonic(),
        )


def _label(token: Token) -> str:
    if len(token.account) > 63:
        raise IssuerError(
            "unsupported",
            f"the name of ServiceAccount {token.namespace}/{token.account} is longer than the 63 characters of a label",
        )
    return token.account


def _secrets(token: Token, name: str | None = None) -> str:
    return f"/api/v1/namespaces/{name_in_path(token.namespace)}/secrets" + (f"/{name_in_path(name)}" if name else "")
