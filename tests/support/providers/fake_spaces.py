# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fake of the access keys of DigitalOcean Spaces, and of the object store that accepts them, on one server.

Sources: DigitalOcean's OpenAPI description (paths, members, scopes, statuses, pages), godo for the answer to the
request for a single key, and the S3 API for the answers of the store. Not documented: the answer to a key too many.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
from urllib.parse import parse_qsl

from support.providers.fake_provider import (
    FakeKey,
    FakeProvider,
    answer_json,
    canonical_digest,
    format_zulu,
    is_late,
    parse_zulu,
)

REGION, BUCKET = "nyc3", "snapshots"
GRANTS = ({"bucket": BUCKET, "permission": "readwrite"},)
SCOPES = ("spaces_key:read", "spaces_key:create_credentials", "spaces_key:delete")
_PATH = re.compile(r"/v2/spaces/keys(?:/([^/]+))?")
_PERMISSIONS = ("read", "readwrite", "fullaccess")
_REQUIRED = {("GET", False): 0, ("GET", True): 0, ("POST", False): 1, ("DELETE", True): 2}
_SIGNATURE = re.compile(
    "AWS4-HMAC-SHA256 Credential=([^/]+)/([0-9]{8})/([^/]+)/s3/aws4_request, SignedHeaders=([^,]+), "
    "Signature=([0-9a-f]{64})"
)


class FakeSpaces(FakeProvider):
    """Principals are teams. ``tokens`` maps the API tokens to their team and scopes; ``page_size`` is the most that a
    page contains, and ``most`` the number of keys that a team may have.
    """

    issuer = "spaces"
    issuing = "POST /v2/spaces/keys$"
    rotator = FakeProvider.principal
    secret_field = "secretKey"
    signs_in = False

    def __init__(self, folder):
        super().__init__(folder)
        self.page_size = self.most = 200
        self.tokens = {}
        self._token = self.token()

    @property
    def secret_options(self):
        return {"token": self._token}

    def token(self, team=FakeProvider.principal, scopes=SCOPES):
        text = f"dop_v1_{secrets.token_hex(32)}"
        self.tokens[text] = (team, scopes)
        return text

    def generate(self, owner, grants=GRANTS, name="by hand"):
        key_id = f"DO{secrets.token_hex(9).upper()}"
        return self.add(FakeKey(key_id, secrets.token_urlsafe(32), owner, mark=name, more={"grants": list(grants)}))

    def credential(self, key):
        return {
            "accessKey": key.id, "secretKey": key.secret, "defaultEndpoint": self.url.removeprefix("https://"),
            "defaultRegion": REGION, "defaultBucket": BUCKET, "defaultEndpointCA": self.ca_bundle.read_text(),
        }

    def revoke(self, key_ids):
        super().revoke(key_ids)
        self.tokens.clear()

    def administrator(self):
        return {"sign_in": "given", "token": self.token()}

    def handle(self, seen):
        path, _question, query = seen.path.partition("?")
        return self._manage(seen, path, query) if path.startswith("/v2/") else self._list_store(seen, path)

    def _manage(self, seen, path, query):
        token = self.tokens.get(seen.headers.get("authorization", "").removeprefix("Bearer "))
        if token is None:
            return _error(401, "unauthorized", "Unable to authenticate you")
        match = _PATH.fullmatch(path)
        needed = _REQUIRED.get((seen.method, bool(match[1]))) if match else None
        if needed is None:
            return _error(404, "not_found", "The resource you were accessing could not be found.")
        team, scopes = token
        if self.forbidden or SCOPES[needed] not in scopes:
            return _error(403, "forbidden", "You are not authorized to perform this operation")
        if seen.method == "POST":
            return self._create(team, json.loads(seen.body))
        if not match[1]:
            return self._list_keys(team, dict(parse_qsl(query)))
        key = self.keys.get(match[1])
        if key is None or key.owner != team:
            return _error(404, "not_found", "The resource you were accessing could not be found.")
        if seen.method == "GET":
            return answer_json(200, {"key": _show(key)})
        del self.keys[key.id]
        return 204, {}, b""

    def _list_keys(self, team, query):
        page, size = int(query.get("page", 1)), int(query.get("per_page", 20))
        if not 1 <= size <= 200:
            return _error(400, "bad_request", "per_page must be between 1 and 200.")
        size = min(size, self.page_size)
        entries = [_show(key) for key in self.listed(team)]
        return answer_json(200, {
            "keys": entries[(page - 1) * size:page * size], "links": {}, "meta": {"total": len(entries)},
        })

    def _create(self, team, wanted):
        permissions = {grant["permission"] for grant in wanted["grants"]}
        if not permissions <= set(_PERMISSIONS) or "fullaccess" in permissions and len(permissions) > 1:
            return _error(400, "bad_request", "cannot mix fullaccess permission with scoped permissions.")
        if sum(key.owner == team for key in self.keys.values()) >= self.most:
            return _error(422, "unprocessable_entity", "limit exceeded")
        key = self.generate(team, wanted["grants"], wanted["name"])
        return answer_json(201, {"key": {**_show(key), "secret_key": key.secret}})

    def _list_store(self, seen, path):
        """Answer to the requests of the S3 API for the objects of a bucket, and for the buckets."""
        key, code = self._sign_in(seen)
        if code:
            return _store_error(403, code)
        bucket = path.strip("/")
        if seen.method != "GET" or "/" in bucket:
            return _store_error(405, "MethodNotAllowed")
        if not any(grant["permission"] == "fullaccess" or grant["bucket"] == bucket for grant in key.more["grants"]):
            return _store_error(403, "AccessDenied")
        return 200, {"Content-Type": "application/xml"}, (
            f'<?xml version="1.0" encoding="UTF-8"?><{"ListBucketResult" if bucket else "ListAllMyBucketsResult"} '
            'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"/>'
        ).encode()

    def _sign_in(self, seen):
        """Return the key that signed a request, and the code of the refusal."""
        match = _SIGNATURE.fullmatch(seen.headers.get("authorization", ""))
        if not match:
            return None, "AccessDenied"
        key, names, moment = self.keys.get(match[1]), match[4].split(";"), seen.headers.get("x-amz-date", "")
        if not key:
            return None, "InvalidAccessKeyId"
        if is_late(parse_zulu(moment, "%Y%m%dT%H%M%SZ"), 15):
            return None, "RequestTimeTooSkewed"
        complete = {"host", "x-amz-content-sha256", "x-amz-date"} <= set(names) and moment.startswith(match[2])
        same_content = seen.headers.get("x-amz-content-sha256") == hashlib.sha256(seen.body).hexdigest()
        scope = f"{match[2]}/{match[3]}/s3/aws4_request"
        text = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{canonical_digest(seen, names)}"
        digest = f"AWS4{key.secret}".encode()
        for part in (*scope.split("/"), text):
            digest = hmac.new(digest, part.encode(), hashlib.sha256).digest()
        if not complete or not same_content or digest.hex() != match[5]:
            return None, "SignatureDoesNotMatch"
        return (key, None) if self.accepts(key) else (None, "InvalidAccessKeyId")


def _show(key):
    return {
        "name": key.mark, "access_key": key.id, "grants": key.more["grants"], "created_at": format_zulu(key.created_at),
    }


def _error(status, kind, message):
    return answer_json(status, {"id": kind, "message": message})


def _store_error(status, code):
    return status, {"Content-Type": "application/xml"}, (
        f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><RequestId>tx0</RequestId></Error>'
    ).encode()
