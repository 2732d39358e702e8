# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts with connection variables that roles do not read any more."""

from __future__ import annotations

import pytest
from ansible_collections.ranchhand.rancher.plugins.module_utils._common.errors import ValidationErrors
from ansible_collections.ranchhand.rancher.plugins.plugin_utils._connection import (
    FORMER_VARIABLES,
    connection_defaults,
    reject_former_variables,
)


@pytest.mark.parametrize("current", [{}, {"rancher_api_key": "token"}, {"rancher_kubeconfig": ""}], ids=str)
def test_a_former_variable_is_rejected_if_the_host_names_no_server(current):
    variables = {**current, "rotate_kubeconfig": "/etc/prod.yaml", "report_ca_cert": "/etc/ca.crt"}
    with pytest.raises(ValidationErrors) as error:
        reject_former_variables(variables, connection_defaults(variables))
    assert error.value.messages == [
        "report_ca_cert is replaced by rancher_ca_cert. Rename it",
        "rotate_kubeconfig is replaced by rancher_kubeconfig. Rename it",
    ]


@pytest.mark.parametrize("server", ["rancher_kubeconfig", "rancher_context", "rancher_host"])
def test_a_former_variable_is_ignored_if_the_host_names_its_server(server):
    variables = {server: "prod", "rotate_kubeconfig": "/etc/prod.yaml"}
    reject_former_variables(variables, connection_defaults(variables))


def test_other_variables_are_ignored():
    reject_former_variables({"rotate_hosts": "ranchers", "my_rotate_host": "x"}, {})
    assert len(FORMER_VARIABLES) == 36
