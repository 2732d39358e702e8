# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The third-party packages of the connection; ``MISSING`` is the ImportError if they are not installed.

PRIVATE to the collection.
"""

from __future__ import annotations

try:
    import urllib3
    from kubernetes.client.configuration import Configuration
    from kubernetes.client.rest import RESTClientObject
    from kubernetes.config import ConfigException, load_incluster_config
    from kubernetes.config.dateutil import parse_rfc3339
    from kubernetes.config.exec_provider import ExecProvider
    from kubernetes.config.kube_config import KubeConfigLoader, KubeConfigMerger
    MISSING = None
except ImportError as import_error:
    KubeConfigLoader = object
    MISSING = import_error
