# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Signs in to object stores with the API of Amazon S3, for credentials of driver s3."""

from __future__ import annotations

import base64
import re
import typing as t
from collections.abc import Mapping
from urllib.parse import quote

from .._common.times import now
from ..issuer import IssuerError, Values
from .http import HttpApi
from .options import is_true, require_fields
from .signatures import Request, sign_aws

_RESULT = re.compile(rb"<(ListBucketResult|ListAllMyBucketsResult)[ >]")
_CODE = re.compile(rb"<Code>([A-Za-z]+)</Code>")


def connect(name: str, values: Values, options: Mapping[str, t.Any], until: float | None = None) -> HttpApi:
    """Return the API at the endpoint of a credential; ``name`` is that of the provider in messages."""
    endpoint, = require_fields(values, "defaultEndpoint")
    return HttpApi(
        name, endpoint if "://" in endpoint else f"https://{endpoint}", options,
        not is_true(values.get("defaultSkipSSLVerify")), authorities=_decode(values.get("defaultEndpointCA", "")),
        until=until,
    )


def verify_store(values: Values, options: Mapping[str, t.Any], until: float | None = None) -> None:
    """List one object of the default bucket, or the buckets if there is none.

    ``until`` is the deadline of another API that is used in the same call.
    """
    key, secret = require_fields(values, "accessKey", "secretKey")
    api = connect("the S3 store", values, options, until)
    bucket = values.get("defaultBucket")
    path, query = (f"/{quote(bucket, safe='')}", "list-type=2&max-keys=1") if bucket else ("/", "")
    request = Request("GET", api.host, path, query)
    region = str(options.get("region") or values.get("defaultRegion") or "us-east-1")
    headers = sign_aws(request, key, secret, region, "s3", now())
    answer = api.send("GET", request.target, {"Accept": "application/xml", **headers})  # Ceph can answer in JSON
    code = _CODE.search(answer.raw)
    if answer.status == 403 and (code is None or code[1] != b"AccessDenied"):
        api.require_clock(answer)
        raise IssuerError("refused", f"{api.name} ({api.host}) does not accept the key (HTTP status 403)")
    api.require(answer, "list objects of defaultBucket" if bucket else "list buckets")
    if not _RESULT.search(answer.raw):
        raise IssuerError("unreachable", f"{api.name} ({api.host}) does not answer like an S3 store")


def _decode(authorities: str) -> str:
    """Return CA certificates, which Rancher accepts in base64, too."""
    try:
        return base64.b64decode(authorities, validate=True).decode()
    except ValueError:
        return authorities
