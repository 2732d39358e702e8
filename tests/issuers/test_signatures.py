# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signatures of requests, compared with what the providers publish or what openssl computes."""

from __future__ import annotations

import datetime

import pytest
from ansible_collections.ranchhand.rancher.plugins.module_utils._issuers import signatures
from ansible_collections.ranchhand.rancher.plugins.module_utils._issuers.signatures import Request
from ansible_collections.ranchhand.rancher.plugins.module_utils.issuer import IssuerError
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

UTC = datetime.timezone.utc
AT = datetime.datetime(2026, 11, 25, 19, 0, tzinfo=UTC)

# The example key and requests of Oracle's documentation of request signatures.
OCI_PEM = "-----BEGIN {0}-----\n{1}\n-----END {0}-----".format("RSA PRIVATE KEY", """\
MIICXgIBAAKBgQDCFENGw33yGihy92pDjZQhl0C36rPJj+CvfSC8+q28hxA161QF
NUd13wuCTUcq0Qd2qsBe/2hFyc2DCJJg0h1L78+6Z4UMR7EOcpfdUE9Hf3m/hs+F
UR45uBJeDK1HSFHD8bHKD6kv8FPGfJTotc+2xjJwoYi+1hqp1fIekaxsyQIDAQAB
AoGBAJR8ZkCUvx5kzv+utdl7T5MnordT1TvoXXJGXK7ZZ+UuvMNUCdN2QPc4sBiA
QWvLw1cSKt5DsKZ8UETpYPy8pPYnnDEz2dDYiaew9+xEpubyeW2oH4Zx71wqBtOK
kqwrXa/pzdpiucRRjk6vE6YY7EBBs/g7uanVpGibOVAEsqH1AkEA7DkjVH28WDUg
f1nqvfn2Kj6CT7nIcE3jGJsZZ7zlZmBmHFDONMLUrXR/Zm3pR5m0tCmBqa5RK95u
412jt1dPIwJBANJT3v8pnkth48bQo/fKel6uEYyboRtA5/uHuHkZ6FQF7OUkGogc
mSJluOdc5t6hI1VsLn0QZEjQZMEOWr+wKSMCQQCC4kXJEsHAve77oP6HtG/IiEn7
kpyUXRNvFsDE0czpJJBvL/aRFUJxuRK91jhjC68sA7NsKMGg5OXb5I5Jj36xAkEA
gIT7aFOYBFwGgQAQkWNKLvySgKbAZRTeLBacpHMuQdl1DfdntvAyqpAZ0lY0RKmW
G6aFKaqQfOXKCyWoUiVknQJAXrlgySFci/2ueKlIE1QqIiLSZ8V8OlpFLRnb1pzI
7U1yQXnTAEFYM560yJlzUpOb1V4cScGd365tiSMvxLOvTA==""")
OCI_COMPARTMENT = "ocid1.compartment.oc1..aaaaaaaam3we6vgnherjq5q2idnccdflvjsnog7mlr6rtdb25gilchfeyjxa"
OCI_GET = Request(
    "GET", "iaas.us-phoenix-1.oraclecloud.com", "/20160918/instances",
    f"availabilityDomain=Pjwf%3A%20PHX-AD-1&compartmentId={OCI_COMPARTMENT}&displayName=TeamXInstances"
    "&volumeId=ocid1.volume.oc1.phx.abyhqljrgvttnlx73nmrwfaux7kcvzfs3s66izvxf2h4lgvyndsdsnoiwr5q",
)
OCI_POST = Request(
    "POST", "iaas.us-phoenix-1.oraclecloud.com", "/20160918/volumeAttachments", content=f"""\
{{
    "compartmentId": "{OCI_COMPARTMENT}",
    "instanceId": "ocid1.instance.oc1.phx.abuw4ljrlsfiqw6vzzxb43vyypt4pkodawglp3wqxjqofakrwvou52gb6s5a",
    "volumeId": "ocid1.volume.oc1.phx.abyhqljrgvttnlx73nmrwfaux7kcvzfs3s66izvxf2h4lgvyndsdsnoiwr5q"
}}""".encode(),
)
OCI_SIGNATURES = {
    OCI_GET: "GBas7grhyrhSKHP6AVIj/h5/Vp8bd/peM79H9Wv8kjoaCivujVXlpbKLjMPeDUhxkFIWtTtLBj3sUzaFj34XE6YZAHc9r2DmE4pMwOAy"
             "/kiITcZxa1oHPOeRheC0jP2dqbTll8fmTZVwKZOKHYPtrLJIJQHJjNvxFWeHQjMaR7M=",
    OCI_POST: "Mje8vIDPlwIHmD/cTDwRxE7HaAvBg16JnVcsuqaNRim23fFPgQfLoOOxae6WqKb1uPjYEl0qIdazWaBy/Ml8DRhqlocMwoSXv0fbukP8"
              "J5N80LCmzT/FFBvIvTB91XuXI3hYfP9Zt1l7S6ieVadHUfqBedWH0itrtPJBgKmrWso=",
}


def test_alibaba():
    """The example of Alibaba Cloud's documentation of its signature V3."""
    request = Request(
        "POST", "ecs.cn-shanghai.aliyuncs.com", "/",
        "ImageId=win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd&RegionId=cn-shanghai",
    )
    headers = signatures.sign_alibaba(
        request, "YourAccessKeyId", "YourAccessKeySecret", datetime.datetime(2023, 10, 26, 10, 22, 32, tzinfo=UTC),
        "3156853299f313e23d1673dc12e1703d", "RunInstances", "2014-05-26",
    )
    assert headers["authorization"] == (
        "ACS3-HMAC-SHA256 Credential=YourAccessKeyId,SignedHeaders=host;x-acs-action;x-acs-content-sha256;x-acs-date;"
        "x-acs-signature-nonce;x-acs-version,Signature=06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0"
    )


def test_aws():
    """What the AWS SDK sends to a store, at the same time."""
    url = "https://minio.example.com:9000/minio/admin/v3/update-service-account?accessKey=A%2FB%20~"
    sent = AWSRequest("POST", url, data=b"content")
    S3SigV4Auth(Credentials("AKIAKEY", "secret/key"), "s3", "us-east-1").add_auth(sent)
    at = datetime.datetime.strptime(sent.headers["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    path, _question, query = url.removeprefix("https://minio.example.com:9000").partition("?")
    request = Request("POST", "minio.example.com:9000", path, query, b"content")
    headers = signatures.sign_aws(request, "AKIAKEY", "secret/key", "us-east-1", "s3", at)
    assert headers["authorization"] == sent.headers["Authorization"]
    assert headers["x-amz-content-sha256"] == sent.headers["X-Amz-Content-SHA256"]


def test_exoscale():
    """The example in the tests of Exoscale's python-exoscale-auth."""
    key, secret = f"EXO{'x' * 24}", "X" * 43
    expires = int(datetime.datetime(2077, 1, 1, tzinfo=UTC).timestamp())
    headers = signatures.sign_exoscale(Request("GET", "api.exoscale.com", "/v2/zone"), key, secret, expires)
    assert headers["Authorization"] == (
        f"EXO2-HMAC-SHA256 credential={key},expires={expires},signature=Ntbq/p0HVmA3Zg1HHY+Lq1vjFGi7HeMrrgXDS5jRNlY="
    )


def test_outscale():
    """Computed with openssl from the description in OUTSCALE's documentation."""
    content = b'{"Tag": "ranchhand"}'
    request = Request("POST", "api.eu-west-2.outscale.com", "/api/v1/CreateAccessKey", content=content)
    headers = signatures.sign_outscale(request, "AK", "OSCSECRETKEYEXAMPLE", "eu-west-2", AT)
    assert headers["authorization"] == (
        "OSC4-HMAC-SHA256 Credential=AK/20261125/eu-west-2/api/osc4_request, "
        "SignedHeaders=content-type;host;x-osc-date, "
        "Signature=43d6c26bf5924027c7621ef507652fa34a6855cedc2bdf6bfc7d1afe5505fe3e"
    )


def test_otc():
    """Computed with openssl from the description in Open Telekom Cloud's documentation."""
    request = Request("GET", "iam.eu-de.otc.t-systems.com", "/v3.0/OS-CREDENTIAL/credentials", "user_id=0f8e")
    headers = signatures.sign_otc(request, "AK", "OTCSECRETKEYEXAMPLE", AT, "d0")
    assert headers["authorization"] == (
        "SDK-HMAC-SHA256 Access=AK, SignedHeaders=content-type;host;x-domain-id;x-sdk-date, "
        "Signature=951084f89bb8810371684f5a61ca0d481f134e9c504f936df865fca3c06cab1f"
    )


@pytest.mark.parametrize("request_", OCI_SIGNATURES, ids=["get", "post"])
def test_oci(request_):
    key = signatures.load_private_key(OCI_PEM, "privateKeyContents")
    at = datetime.datetime(2014, 1, 5, 21, 31, 40, tzinfo=UTC)
    # Oracle's example has the wrong weekday, so that its date is not that of a clock.
    headers = signatures.sign_oci(request_, "TENANCY/USER/FINGERPRINT", key, _WrongWeekday(at))
    assert headers["date"] == "Thu, 05 Jan 2014 21:31:40 GMT"
    assert f'signature="{OCI_SIGNATURES[request_]}"' in headers["authorization"]


class _WrongWeekday(datetime.datetime):
    def __new__(cls, at):
        return super().__new__(cls, *at.timetuple()[:6], tzinfo=at.tzinfo)

    def timetuple(self):
        found = list(super().timetuple())
        found[6] = 3
        return tuple(found)


@pytest.mark.parametrize(
    "pem",
    [
        pytest.param("", id="nothing"),
        pytest.param("secret-x", id="no PEM"),
        pytest.param(OCI_PEM[:400], id="cut"),
        pytest.param("-----BEGIN EC PRIVATE KEY-----\nsecret-x\n-----END EC PRIVATE KEY-----", id="not RSA"),
    ],
)
def test_private_keys_that_are_not_usable(pem):
    with pytest.raises(IssuerError) as caught:
        signatures.load_private_key(pem, "privateKeyContents")
    assert caught.value.code == "invalid" and "secret-x" not in caught.value.message
