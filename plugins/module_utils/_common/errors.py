# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Failure codes of all modules, and the exceptions that carry them.

docs/failure-codes.md is generated from ``FAILURE_CODES``. A new code needs an entry there and in ``ErrorCode``.
"""

from __future__ import annotations

import traceback
import typing as t
from collections.abc import Mapping

ErrorCode = t.Literal[
    "ambiguous", "busy", "conflict", "drift", "forbidden", "gone", "in_use", "invalid", "not_cut_over", "not_found",
    "old_unusable", "orphan", "other_writer", "partial", "problems", "provider_refused", "server_error", "shared_key",
    "slot_taken", "throttled", "too_late", "unconfirmed", "unfinished", "unproven", "unreachable", "unsupported",
    "unusable",
    "verify_failed",
]

_CREDENTIAL, _TEMPLATE = ("cloud_credential", "cloud_credential_info"), ("node_template", "node_template_info")
_CONFIG = ("machine_config", "machine_config_info")
_ROTATION = ("cloud_credential_rotation", "cloud_credential_rotation_info")
_REPOINT = ("cloud_credential_repoint",)
_OBJECTS = ("guard", "manifest")
_CONNECTED = (
    *_CREDENTIAL, *_TEMPLATE, *_CONFIG, *_ROTATION, *_REPOINT, "node_driver_info", "upgrade_info", *_OBJECTS,
)
_ALL = (*_CONNECTED, "report")


class FailureCode(t.NamedTuple):
    """What a failure code means to the user of a module."""

    meaning: str
    remedy: str
    modules: tuple[str, ...]


FAILURE_CODES: Mapping[ErrorCode, FailureCode] = {
    "invalid": FailureCode(
        "The options are not valid: by themselves, for the driver, or for the object as it is stored. No object was"
        " written, except if the API server reported the error.",
        "Correct the options that the message names. All validation errors of a call are reported together.",
        _ALL,
    ),
    "ambiguous": FailureCode(
        "Several objects match the name, or several users match the owner.",
        "Set `id` to one of the ids in the message, or narrow the match with `driver` and `owner`.",
        (*_CREDENTIAL, *_TEMPLATE, "machine_config", *_ROTATION, *_REPOINT),
    ),
    "not_found": FailureCode(
        "The object, the owner or the namespace does not exist.",
        "Check the name or id, and that the connection is to the intended Rancher.",
        _CONNECTED,
    ),
    "in_use": FailureCode(
        "The object cannot be deleted because other objects refer to it; `references` lists them. Or the update of a"
        " machine config would replace nodes; `would_roll` lists their pools.",
        "Point these objects at another credential (module `cloud_credential_repoint`) or delete them first, wait for"
        " them with `wait: true`, or delete the object anyway with `force: true`. Update the machine config with"
        " `on_use: roll` to replace the nodes.",
        ("cloud_credential", "node_template", "machine_config"),
    ),
    "forbidden": FailureCode(
        "The API server rejected the connection's credentials, or the connection lacks the permission in the message.",
        "Renew the credentials, or grant the permission; docs/rbac has roles for each use.",
        _CONNECTED,
    ),
    "conflict": FailureCode(
        "Another client changed or deleted the object at the same time, or stored objects contradict each other.",
        "Run the task again. If the failure persists, read the message: it names the object to repair.",
        _CONNECTED,
    ),
    "unsupported": FailureCode(
        "This is not available here: the server is not a Rancher management cluster or too old, a Python package is"
        " missing, or a keyword of the task does not apply to the module.",
        "Connect to the management cluster, upgrade, install the package or remove the keyword, as the message says.",
        _ALL,
    ),
    "unreachable": FailureCode(
        "The API server or the cloud provider cannot be reached, or did not answer in time. It may have processed the"
        " request.",
        "Check the URL, the proxy, the certificates and the network, then run the task again, which is safe.",
        _CONNECTED,
    ),
    "server_error": FailureCode(
        "The API server reported an error that the options do not cause, or the module has a bug (`internal error`).",
        "Run the task again; report an internal error with the location in its message.",
        _ALL,
    ),
    "partial": FailureCode(
        "Some items of a list failed, the others were processed. Each failed item has its own `msg` and `code`.",
        "Handle the failed items by their own codes, and run the task again.",
        ("cloud_credential", "node_template", "machine_config", "cloud_credential_rotation", *_REPOINT),
    ),
    "problems": FailureCode(
        "The report has a problem that `fail_on` names. The files were written.",
        "Fix the problem that the message names; docs/runbooks/credentials.md has a section for each.",
        ("report",),
    ),
    "busy": FailureCode(
        "Another run is rotating this credential, or Rancher is creating, replacing or deleting machines of the"
        " cluster.",
        "Run the task again when that has ended. Set `assume_dead: true` only if the other run has certainly ended.",
        ("cloud_credential_rotation", *_REPOINT),
    ),
    "drift": FailureCode(
        "During a rotation, another client changed the credential. Nothing was changed, neither in Rancher nor at the"
        " cloud provider.",
        "Find out which client wrote the credential. Then write the new key again with `repair: true`, or roll back.",
        ("cloud_credential_rotation",),
    ),
    "gone": FailureCode(
        "During its rotation, the credential was deleted, or deleted and created again.",
        "Delete the keys that are no longer used at the cloud provider, and remove the record of the rotation.",
        ("cloud_credential_rotation",),
    ),
    "not_cut_over": FailureCode(
        "The rotation cannot be rolled back because the new key is not in use yet.",
        "Use `state: aborted`.",
        ("cloud_credential_rotation",),
    ),
    "old_unusable": FailureCode(
        "The rotation cannot be rolled back because the old key no longer works. The new key is kept.",
        "Find out who disabled or deleted the old key. Then continue with `state: retired`, or rotate again.",
        ("cloud_credential_rotation",),
    ),
    "orphan": FailureCode(
        "A run was killed while a key was being issued, and it cannot be proven that the unknown key at the"
        " cloud provider is this one.",
        "If nothing uses the key in the message, delete it at the cloud provider, and run the task again.",
        ("cloud_credential_rotation",),
    ),
    "other_writer": FailureCode(
        "Another tool manages the object and would restore the old key or the old credential.",
        "Change it in that tool. If the tool ignores these fields, set `override_gates: [other_writer]`.",
        ("cloud_credential_rotation", *_REPOINT),
    ),
    "provider_refused": FailureCode(
        "The cloud provider refused a request other than the verification of the new key.",
        "Grant the permission in the message to the account of the issuer, or use another account (`issuer_options`).",
        ("cloud_credential_rotation",),
    ),
    "shared_key": FailureCode(
        "Other credentials, which the message names, contain the same key and would stop working.",
        "List all of them in the same task, or set `shared_key: together`.",
        ("cloud_credential_rotation",),
    ),
    "slot_taken": FailureCode(
        "The cloud provider allows no more keys for this user.",
        "Delete the key in the message if nothing uses it; otherwise create a separate user for its client.",
        ("cloud_credential_rotation",),
    ),
    "throttled": FailureCode(
        "The cloud provider rejected a request because there were too many. The request was not performed.",
        "Run the task again later; rotate fewer credentials of the account at the same time.",
        ("cloud_credential", "cloud_credential_rotation"),
    ),
    "too_late": FailureCode(
        "The rotation is beyond the phase in which it could be aborted or rolled back.",
        "If the new key is in use, use `state: rolled_back`. If the old key is being deleted, finish with"
        " `state: retired` and rotate again.",
        ("cloud_credential_rotation",),
    ),
    "unconfirmed": FailureCode(
        "What was requested has not arrived in time: Rancher has not taken the other credential over within"
        " `wait_timeout`, or another tool has not written the new key within `verify_timeout`.",
        "Keep the former credential, remove the cause in the message, and run the task again.",
        ("cloud_credential_rotation", *_REPOINT),
    ),
    "unfinished": FailureCode(
        "A new rotation cannot start because the old key of the previous rotation still exists.",
        "Finish the previous rotation with `state: retired`, then run the task again.",
        ("cloud_credential_rotation",),
    ),
    "unproven": FailureCode(
        "A step that disables, deletes or overwrites a key was not performed, because it could not be proven that the"
        " credentials work without it, or because the key is not in the state in which the rotation left it.",
        "Follow the message; docs/runbooks/rotation.md describes each case.",
        ("cloud_credential_rotation",),
    ),
    "unusable": FailureCode(
        "The current key of the credential does not work, so no rotation was started.",
        "Store a working key with Rancher's UI or the module cloud_credential.",
        ("cloud_credential_rotation",),
    ),
    "verify_failed": FailureCode(
        "The cloud provider does not accept the new key. `cloud_credential` did not write it. A rotation tried it for"
        " `verify_timeout`; by default it deleted the new key, and the old key is in use.",
        "Read the answer of the cloud provider in the message. Correct the value, or wait until the provider knows the"
        " key: run the task again, or raise `verify_timeout`.",
        ("cloud_credential", "cloud_credential_rotation"),
    ),
}


class RanchhandError(Exception):
    """Expected failure with an error code, reported to the user."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code: ErrorCode = code
        self.message = message


class ApiError(RanchhandError):
    """Error response of the API server.

    ``status`` is the HTTP status, ``reason`` Kubernetes' machine-readable reason such as ``AlreadyExists``.
    """

    def __init__(self, code: ErrorCode, message: str, status: int, reason: str = "") -> None:
        super().__init__(code, message)
        self.status = status
        self.reason = reason


class ValidationErrors(RanchhandError):
    """All validation errors of the input, one sentence each."""

    def __init__(self, messages: list[str], code: ErrorCode = "invalid") -> None:
        super().__init__(code, "; ".join(messages))
        self.messages = messages


def internal_error(error: Exception) -> RanchhandError:
    """Return the failure that a bug means: its location is reported, but not its text, which may contain anything."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    location = f"{last.filename.rpartition('/')[2]}:{last.lineno}"
    message = f"internal error ({type(error).__name__} at {location}); please report it"
    return RanchhandError("server_error", message)


class FailureWithResult(RanchhandError):
    """Failure with the results of the items that were processed."""

    def __init__(self, code: ErrorCode, message: str, result: Mapping[str, t.Any]) -> None:
        super().__init__(code, message)
        self.result = result
