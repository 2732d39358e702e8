# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures one read in a separate process, because of its memory.

python -m benchmarks.child WHAT KUBECONFIG URL CA_FILE TOKEN [PATH ...]
"""

from __future__ import annotations

import concurrent.futures
import json
import resource
import sys
import time

from .bare import Bare


def main():
    what, kubeconfig, url, ca_file, token, *paths = sys.argv[1:]
    if what in ("lists", "lists at once"):
        bare = Bare(url, ca_file, token)

        def read():
            # the collection drops each page after use, this client each kind
            if what == "lists":
                return [len(bare.list_all(path)) for path in paths]
            with concurrent.futures.ThreadPoolExecutor(16) as executor:
                return list(executor.map(lambda path: len(bare.list_all(path)), paths))
    else:
        from ansible_collections.ranchhand.rancher.plugins.module_utils._common.options import parse_options
        from ansible_collections.ranchhand.rancher.plugins.module_utils._health.cloud_credential_info import (
            CLOUD_CREDENTIAL_INFO,
            list_cloud_credential_info,
        )
        from ansible_collections.ranchhand.rancher.plugins.module_utils._kubernetes.client import KubernetesClient
        from ansible_collections.ranchhand.rancher.plugins.module_utils._kubernetes.connection import connection_options
        from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher.queries import read_references

        options = {"kubeconfig": kubeconfig}

        def read():
            api = KubernetesClient(connection_options(options))
            if what == "references":
                return len(read_references(api).unlisted)
            parsed = parse_options(CLOUD_CREDENTIAL_INFO, {})
            return len(list_cloud_credential_info(parsed, lambda: api, None)["credentials"])

        if what == "resolve":
            read = _resolver(KubernetesClient(connection_options(options)))
        elif what == "nothing due":
            read = _nothing_due(lambda: KubernetesClient(connection_options(options)), json.loads(paths[0]))

    begun, cpu = time.perf_counter(), time.process_time()
    read()
    print(
        json.dumps(
            {
                "wall": time.perf_counter() - begun,
                "cpu": time.process_time() - cpu,
                "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            }
        )
    )


def _nothing_due(connect, options):
    """Return a function that runs rotations of which none is due, and must not load the SDK."""
    from ansible_collections.ranchhand.rancher.plugins.module_utils._common.options import parse_options
    from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation.executor import manage_rotations
    from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation.options import CLOUD_CREDENTIAL_ROTATION
    from ansible_collections.ranchhand.rancher.plugins.module_utils._runtime.execute import RunMode

    parsed = parse_options(CLOUD_CREDENTIAL_ROTATION, options)

    def read():
        result = manage_rotations(parsed, connect, RunMode())
        if result["changed"] or "botocore" in sys.modules:
            raise RuntimeError("something was due, or the SDK was loaded")

    return read


def _resolver(client):
    """Return a function that resolves rotations of all credentials, which are read before."""
    from ansible_collections.ranchhand.rancher.plugins.module_utils._common.options import parse_options
    from ansible_collections.ranchhand.rancher.plugins.module_utils._issuers.throttle import CallRates
    from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher.queries import list_cloud_credentials
    from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher.users import Users
    from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation.options import (
        CLOUD_CREDENTIAL_ROTATION,
        parse_rotations,
    )
    from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation.resolver import resolve
    from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation.store import RotationStore, read_history

    credentials = list_cloud_credentials(client)
    history = read_history(client, "rotation-resolve")
    items = [{"id": credential.id} for credential in credentials]
    desired = parse_rotations(parse_options(CLOUD_CREDENTIAL_ROTATION, {"credentials": items, "rotation_id": "first"}))

    def read():
        resolution = resolve(desired, RotationStore(credentials, history), Users(()), lambda: None, CallRates(20))
        if len(resolution.units) != len(credentials):
            raise RuntimeError("resolved %d units" % len(resolution.units))

    return read


if __name__ == "__main__":
    main()
