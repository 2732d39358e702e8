# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects for benchmarks, as large as real ones."""

from __future__ import annotations

import base64
import hashlib

SECRETS = "/api/v1/namespaces/cattle-global-data/secrets"
OWNER = "u-wt94n"


def credential(prefix, number):
    """An item for cloud_credential."""
    name = "%s-%05d" % (prefix, number)
    return {
        "name": name,
        "driver": "amazonec2",
        "owner": OWNER,
        "description": "made by the benchmark",
        "config": {"accessKey": "AKIA%016d" % number, "defaultRegion": "eu-central-1"},
        "secrets": {"secretKey": base64.b64encode(hashlib.sha256(name.encode()).digest())[:40].decode()},
    }


def secret(item):
    """Return the Secret that Rancher and the collection create from such an item, with another name."""
    fields = {**item["config"], **item["secrets"]}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "metadata": {
            "name": "cc-" + item["name"],
            "namespace": "cattle-global-data",
            "labels": {"cattle.io/creator": "norman"},
            "annotations": {
                "field.cattle.io/creatorId": item["owner"],
                "field.cattle.io/name": item["name"],
                "field.cattle.io/description": item["description"],
                "provisioning.cattle.io/driver": "aws",
            },
        },
        "data": {
            "amazonec2credentialConfig-" + key: base64.b64encode(value.encode()).decode()
            for key, value in fields.items()
        },
    }


def credential_id(number):
    return "cattle-global-data:cc-%05d" % number


_ROLES = {
    "etcdRole": True,
    "controlPlaneRole": True,
    "workerRole": True,
    "drainBeforeDelete": True,
    "unhealthyNodeTimeout": "0s",
    "quantity": 3,
}


def _amazon(number):
    # every field of the driver, as Rancher stores them
    return {
        "ami": "ami-%017x" % number,
        "blockDurationMinutes": "0",
        "deviceName": "/dev/sda1",
        "encryptEbsVolume": False,
        "endpoint": "",
        "httpEndpoint": "enabled",
        "httpTokens": "optional",
        "iamInstanceProfile": "rancher-node-profile",
        "insecureTransport": False,
        "instanceType": "t3a.xlarge",
        "keypairName": "",
        "kmsKey": "",
        "monitoring": False,
        "privateAddressOnly": False,
        "region": "eu-central-1",
        "requestSpotInstance": False,
        "retries": "5",
        "rootSize": "100",
        "securityGroup": ["rancher-nodes"],
        "securityGroupReadonly": False,
        "sessionToken": "",
        "spotPrice": "0.50",
        "sshKeyContents": "",
        "sshUser": "ubuntu",
        "subnetId": "subnet-%017x" % number,
        "tags": "team,platform,stage,production,number,%d" % number,
        "useEbsOptimizedInstance": False,
        "usePrivateAddress": False,
        "userdata": "",
        "volumeType": "gp3",
        "vpcId": "vpc-%017x" % (number % 7),
        "zone": "a",
    }


def node_template(number, credentials):
    return "/apis/management.cattle.io/v3/namespaces/cattle-global-nt/nodetemplates", {
        "apiVersion": "management.cattle.io/v3",
        "kind": "NodeTemplate",
        "metadata": {
            "name": "nt-%05d" % number,
            "labels": {"cattle.io/creator": "norman"},
            "annotations": {
                "field.cattle.io/creatorId": OWNER,
                "lifecycle.cattle.io/create.node-template-controller_local": "true",
            },
        },
        "amazonec2Config": _amazon(number),
        "spec": {
            "displayName": "template %d" % number,
            "driver": "amazonec2",
            "cloudCredentialName": credential_id(number % credentials),
            "engineInstallURL": "https://releases.rancher.com/install-docker/20.10.sh",
            "useInternalIpAddress": True,
            "engineRegistryMirror": [],
            "engineInsecureRegistry": [],
            "nodeTaints": [],
            "logOpt": None,
        },
    }


def cluster(number, credentials, each=3):
    """A cluster with ``each`` pools."""
    name = "cluster-%05d" % number
    pools = [
        {
            "name": "pool%d" % pool,
            **_ROLES,
            "cloudCredentialSecretName": credential_id((number + pool) % credentials),
            "hostnamePrefix": name + "-",
            "labels": {"pool": "pool%d" % pool},
            "taints": [],
            "machineConfigRef": {"kind": "Amazonec2Config", "name": "nc-%s-pool%d" % (name, pool)},
            "rollingUpdate": {"maxUnavailable": "0", "maxSurge": "1"},
        }
        for pool in range(each)
    ]
    return "/apis/provisioning.cattle.io/v1/namespaces/fleet-default/clusters", {
        "apiVersion": "provisioning.cattle.io/v1",
        "kind": "Cluster",
        "metadata": {
            "name": name,
            "annotations": {"field.cattle.io/creatorId": OWNER},
            "labels": {"stage": "production"},
            "finalizers": ["wrangler.cattle.io/provisioning-cluster-remove", "wrangler.cattle.io/rke-cluster-remove"],
        },
        "spec": {
            "cloudCredentialSecretName": credential_id(number % credentials),
            "kubernetesVersion": "v1.32.8+rke2r1",
            "localClusterAuthEndpoint": {"enabled": False},
            "rkeConfig": {
                "chartValues": {"rke2-calico": {"installation": {"calicoNetwork": {"mtu": 1450}}}},
                "machinePools": pools,
                "etcd": {
                    "snapshotRetention": 5,
                    "snapshotScheduleCron": "0 */5 * * *",
                    "s3": {
                        "bucket": "snapshots",
                        "endpoint": "s3.eu-central-1.amazonaws.com",
                        "folder": name,
                        "region": "eu-central-1",
                        "cloudCredentialName": credential_id((number + 1) % credentials),
                    },
                },
                "machineGlobalConfig": {
                    "cni": "calico",
                    "disable-kube-proxy": False,
                    "etcd-expose-metrics": False,
                    "profile": "cis",
                },
                "machineSelectorConfig": [{"config": {"protect-kernel-defaults": True}}],
                "registries": {"configs": {}, "mirrors": {}},
                "upgradeStrategy": {
                    "controlPlaneConcurrency": "1",
                    "workerConcurrency": "10%",
                    "controlPlaneDrainOptions": {
                        "deleteEmptyDirData": True,
                        "disableEviction": False,
                        "enabled": False,
                        "gracePeriod": -1,
                        "timeout": 120,
                    },
                },
            },
        },
    }


def machine_config(number, each):
    """The machine config of a pool, of which each cluster has ``each``."""
    return "/apis/rke-machine-config.cattle.io/v1/namespaces/fleet-default/amazonec2configs", {
        "apiVersion": "rke-machine-config.cattle.io/v1",
        "kind": "Amazonec2Config",
        "metadata": {"name": "nc-cluster-%05d-pool%d" % (number // each, number % each)},
        **_amazon(number),
    }


def machine(number, credentials, each=10):
    """A machine of a cluster that has ``each`` of them."""
    cluster_name = "cluster-%05d" % (number // each)
    name = "%s-pool%d-%05d" % (cluster_name, number % 3, number)
    address = "10.%d.%d.%d" % (number // 65536, number // 256 % 256, number % 256)
    return "/apis/rke-machine.cattle.io/v1/namespaces/fleet-default/amazonec2machines", {
        "apiVersion": "rke-machine.cattle.io/v1",
        "kind": "Amazonec2Machine",
        "metadata": {
            "name": name,
            "labels": {
                "cluster.x-k8s.io/cluster-name": cluster_name,
                "rke.cattle.io/rke-machine-pool-name": "pool%d" % (number % 3),
                "rke.cattle.io/worker-role": "true",
                "rke.cattle.io/etcd-role": "true",
                "rke.cattle.io/control-plane-role": "true",
            },
            "annotations": {
                "cluster.x-k8s.io/cloned-from-groupkind": "Amazonec2MachineTemplate.rke-machine.cattle.io",
                "cluster.x-k8s.io/cloned-from-name": "%s-pool%d" % (cluster_name, number % 3),
            },
            "finalizers": ["wrangler.cattle.io/machine-provision-remove"],
            "ownerReferences": [
                {
                    "apiVersion": "cluster.x-k8s.io/v1beta1",
                    "kind": "Machine",
                    "name": name,
                    "uid": "00000000-0000-0000-0000-000000000000",
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        },
        "spec": {
            **_amazon(number),
            "providerID": "aws:///eu-central-1a/i-%017x" % number,
            "common": {
                "cloudCredentialSecretName": credential_id(number % credentials),
                "labels": {},
                "taints": [],
                "engineInstallURL": "",
            },
        },
        "status": {
            "ready": True,
            "jobName": name + "-machine-provision",
            "cloudCredentialSecretName": credential_id(number % credentials),
            "addresses": [
                {"type": "ExternalIP", "address": address},
                {"type": "InternalIP", "address": address},
                {"type": "Hostname", "address": name},
            ],
            "conditions": [
                {"type": kind, "status": "True", "lastUpdateTime": "2026-01-01T00:00:00Z", "reason": "", "message": ""}
                for kind in ("CreateJob", "Ready", "InfrastructureReady")
            ],
        },
    }
