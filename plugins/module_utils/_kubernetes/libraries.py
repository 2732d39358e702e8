# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Third-party packages of the client; ``MISSING`` is the ImportError if they are not installed."""

from __future__ import annotations

import typing as t

__all__ = [
    "MISSING", "ConfigException", "Configuration", "ExecProvider", "KubeConfigLoader", "KubeConfigMerger",
    "RESTClientObject", "incluster_config", "parse_rfc3339", "urllib3",
]

MISSING: ImportError | None = None
try:
    import urllib3
    from kubernetes.client.configuration import Configuration
    from kubernetes.client.rest import RESTClientObject
    from kubernetes.config import ConfigException, incluster_config
    from kubernetes.config.dateutil import parse_rfc3339
    from kubernetes.config.exec_provider import ExecProvider
    from kubernetes.config.kube_config import KubeConfigLoader, KubeConfigMerger
except ImportError as import_error:
    MISSING = import_error
    KubeConfigLoader = object
    unavailable: t.Any = None
    ConfigException = Configuration = ExecProvider = KubeConfigMerger = RESTClientObject = unavailable
    incluster_config = parse_rfc3339 = urllib3 = unavailable
