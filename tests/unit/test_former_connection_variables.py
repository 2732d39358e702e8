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
def test_a_former_variable_with_another_value_is_rejected_if_the_host_names_its_server(server):
    variables = {server: "prod", "rotate_kubeconfig": "/etc/secret.yaml", "guard_api_key": "secret"}
    with pytest.raises(ValidationErrors) as error:
        reject_former_variables(variables, connection_defaults(variables))
    assert error.value.messages == [
        "guard_api_key is ignored, and rancher_api_key has another value or none. Remove guard_api_key",
        "rotate_kubeconfig is ignored, and rancher_kubeconfig has another value or none. Remove rotate_kubeconfig",
    ]
    assert "secret" not in error.value.message


@pytest.mark.parametrize(
    ("former", "current"),
    [
        ({"rotate_kubeconfig": "/etc/prod.yaml"}, {"rancher_kubeconfig": "/etc/prod.yaml"}),
        ({"rotate_ca_cert": "$HOME/ca.crt"}, {"rancher_host": "https://x", "rancher_ca_cert": "~/ca.crt"}),
        ({"report_validate_certs": "no"}, {"rancher_host": "https://x", "rancher_validate_certs": False}),
        ({"guard_host": "", "guard_api_key": None}, {"rancher_context": "prod"}),
    ],
    ids=str,
)
def test_a_former_variable_with_the_same_value_or_none_is_ignored(former, current):
    variables = {**former, **current}
    reject_former_variables(variables, connection_defaults(variables))


def test_a_former_variable_that_is_not_valid_is_another_value():
    variables = {"rancher_context": "prod", "rotate_validate_certs": "secret"}
    with pytest.raises(ValidationErrors) as error:
        reject_former_variables(variables, connection_defaults(variables))
    assert "secret" not in error.value.message and len(error.value.messages) == 1


def test_other_variables_are_ignored():
    reject_former_variables({"rotate_hosts": "ranchers", "my_rotate_host": "x"}, {})
    assert len(FORMER_VARIABLES) == 36
