# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  kubeconfig:
    description:
      - Path of a kubeconfig, or its content as a mapping or as YAML text.
      - If it is not set, E(K8S_AUTH_KUBECONFIG), the service account of the pod if the pod has its token,
        E(KUBECONFIG) and C(~/.kube/config) are used, in this order.
      - A relative path, also of a certificate, starts at the directory in which C(ansible-playbook) was started; with a
        connection other than local, at that of the module on the managed host.
      - It must connect to Rancher's management cluster (C(local)), directly or through Rancher's proxy.
    type: raw
  context:
    description:
      - Context of the kubeconfig to use.
      - Can also be given with E(K8S_AUTH_CONTEXT).
    type: str
  host:
    description:
      - URL of the API server, for example V(https://rancher.example.com/k8s/clusters/local) together with a Rancher API
        token in O(api_key).
      - Can also be given with E(K8S_AUTH_HOST).
    type: str
  api_key:
    description:
      - Bearer token, such as a Rancher API token.
      - Can also be given with E(K8S_AUTH_API_KEY).
    type: str
  username:
    description:
      - User name for HTTP basic authentication.
      - Can also be given with E(K8S_AUTH_USERNAME).
    type: str
  password:
    description:
      - Password for HTTP basic authentication.
      - Can also be given with E(K8S_AUTH_PASSWORD).
    type: str
  validate_certs:
    description:
      - Whether to verify the certificate of the API server. By default it is verified, unless the kubeconfig sets
        C(insecure-skip-tls-verify).
      - Can also be given with E(K8S_AUTH_VERIFY_SSL).
    type: bool
    aliases: [verify_ssl]
  ca_cert:
    description:
      - Path of a file with the certificates of the trusted authorities.
      - Can also be given with E(K8S_AUTH_SSL_CA_CERT).
    type: path
    aliases: [ssl_ca_cert]
  client_cert:
    description:
      - Path of the client certificate.
      - Can also be given with E(K8S_AUTH_CERT_FILE).
    type: path
    aliases: [cert_file]
  client_key:
    description:
      - Path of the key of the client certificate.
      - Can also be given with E(K8S_AUTH_KEY_FILE).
    type: path
    aliases: [key_file]
  proxy:
    description:
      - URL of an HTTP proxy.
      - Can also be given with E(K8S_AUTH_PROXY).
    type: str
  no_proxy:
    description:
      - Hosts to connect to without the proxy, separated by commas.
      - Can also be given with E(K8S_AUTH_NO_PROXY).
    type: str
  proxy_headers:
    description:
      - Headers of requests to the proxy.
      - Can also be given with E(K8S_AUTH_PROXY_HEADERS), as a JSON object.
    type: dict
    suboptions:
      proxy_basic_auth:
        description: User name and password for the proxy, separated by a colon.
        type: str
      basic_auth:
        description: User name and password for basic authentication, separated by a colon.
        type: str
      user_agent:
        description: User agent that is sent to the proxy.
        type: str
  impersonate_user:
    description:
      - User to impersonate.
      - Can also be given with E(K8S_AUTH_IMPERSONATE_USER).
    type: str
  impersonate_groups:
    description:
      - Groups to impersonate.
      - Can also be given with E(K8S_AUTH_IMPERSONATE_GROUPS), separated by commas.
    type: list
    elements: str
  use_environment:
    description:
      - Whether connection options that are not set are taken from the C(K8S_AUTH_*) environment variables.
      - P(ranchhand.rancher.connection#lookup) sets V(false) for hosts that name their own Rancher.
    type: bool
    default: true
requirements:
  - python >= 3.9
  - kubernetes >= 24.2.0
"""
