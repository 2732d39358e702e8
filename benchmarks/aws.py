# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cost of rotations without a protocol: the same requests to AWS and writes to the API server, bare."""

from __future__ import annotations

import concurrent.futures
import json
import re
import time
from collections import Counter
from urllib.parse import urlencode

import urllib3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

_VERSIONS = {"iam": "2010-05-08", "sts": "2011-06-15"}
_STS = ("AssumeRole", "GetCallerIdentity")
# in the order of a rotation
_ACTIONS = ("ListAccessKeys", "GetAccessKeyLastUsed", "CreateAccessKey", "GetCallerIdentity")
_PADDING = "x" * 1500  # about the size of a record


class BareAws:
    """A minimal client: signed requests over kept-alive connections."""

    def __init__(self, url, connections):
        self._url = url + "/"
        self._pool = urllib3.PoolManager(maxsize=connections, block=True, retries=False)

    def request(self, key, action, **parameters):
        service = "sts" if action in _STS else "iam"
        body = urlencode({"Action": action, "Version": _VERSIONS[service], **parameters})
        request = AWSRequest(
            "POST", self._url, data=body, headers={"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
        )
        SigV4Auth(Credentials(key["accessKey"], key["secretKey"]), service, "us-east-1").add_auth(request)
        answer = self._pool.request("POST", self._url, body=body, headers=dict(request.headers.items()))
        if answer.status != 200:
            raise RuntimeError("%s: %d %s" % (action, answer.status, answer.data[:300]))
        return answer.data.decode()

    def rotate(self, key, actions):
        """Send these numbers of requests for a user, by action; those after CreateAccessKey with the new key."""
        unknown = set(actions) - set(_ACTIONS)
        if unknown:
            raise RuntimeError("the bare rotation has no %s" % ", ".join(sorted(unknown)))
        for action in _ACTIONS:
            for unused in range(actions[action]):
                parameters = {"AccessKeyId": key["accessKey"]} if action == "GetAccessKeyLastUsed" else {}
                answer = self.request(key, action, **parameters)
                if action == "CreateAccessKey":
                    found = (re.search("<%s>(.*)</%s>" % (tag, tag), answer).group(1) for tag in _TAGS)
                    key = dict(zip(("accessKey", "secretKey"), found))


_TAGS = ("AccessKeyId", "SecretAccessKey")
_PATHS = {
    "secrets": "/api/v1/namespaces/%s/secrets",
    "configmaps": "/api/v1/namespaces/%s/configmaps",
    "events": "/api/v1/namespaces/%s/events",
    "leases": "/apis/coordination.k8s.io/v1/namespaces/%s/leases",
}
_CONTENTS = {
    "secrets": {"data": {"payload": "e30="}},
    "configmaps": {"data": {"record": _PADDING}},
    "events": {"involvedObject": {"kind": "Secret", "namespace": "NAMESPACE"}, "message": "bare", "reason": "Bare"},
    "leases": {"spec": {"holderIdentity": "bare"}},
}


def count_writes(events):
    """Return the number of writes in an audit log, by verb and resource."""
    counts = Counter()
    for event in events:
        resource = event.get("objectRef", {}).get("resource")
        if event["verb"] in ("create", "update", "patch", "delete") and resource in _PATHS:
            counts[event["verb"], resource] += 1
    return counts


def write_objects(bare, namespace, name, writes):
    """Write objects as often as a rotation does: create them, change the first of them, and delete them again."""
    for resource in sorted({resource for unused, resource in writes}):
        path = _PATHS[resource] % namespace
        created = max(1, writes["create", resource], writes["delete", resource])
        for number in range(created):
            body = json.dumps({"metadata": {"name": "%s-%d" % (name, number)}, **_CONTENTS[resource]})
            bare.request("POST", path, body.replace("NAMESPACE", namespace).encode())
        for number in range(writes["patch", resource] + writes["update", resource]):
            change = json.dumps({"metadata": {"annotations": {"bare": "%d%s" % (number, _PADDING)}}}).encode()
            bare.request("PATCH", "%s/%s-0" % (path, name), change)
        for number in range(writes["delete", resource]):
            bare.request("DELETE", "%s/%s-%d" % (path, name, number))


def shares(counts, parts):
    """Divide counters into so many parts that differ by one at most."""
    return [
        Counter({name: count * (part + 1) // parts - count * part // parts for name, count in counts.items()})
        for part in range(parts)
    ]


def rotate_bare(bare, aws_url, namespace, keys, actions, writes, parallel):
    """Send all requests and writes of the rotations of these keys; returns the seconds."""
    aws = BareAws(aws_url, parallel)
    work = list(zip(range(len(keys)), keys, shares(actions, len(keys)), shares(writes, len(keys))))

    def rotate(item):
        number, key, own_actions, own_writes = item
        aws.rotate(key, own_actions)
        write_objects(bare, namespace, "bare-%05d" % number, own_writes)

    begun = time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(parallel) as executor:
        list(executor.map(rotate, work))
    return time.perf_counter() - begun
