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


if __name__ == "__main__":
    main()
