# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""IAM and STS of AWS: those of moto, which check signatures and policies, with restrictions that moto lacks.

    with Aws() as aws:
        key = aws.create_user("rancher")

    python -m support.providers.aws [--port N] [-- COMMAND ...]

moto accepts inactive keys, knows every key at once, lets a user change the keys of other users and accounts, lets every
identity assume roles of other accounts, and never fails. Here, inactive and too young keys are refused, users can only
manage their own keys, administrators only those of their account, roles only serve accounts that they trust, and
`Faults` injects failures.
"""

from __future__ import annotations

import argparse
import datetime
import io
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import typing
from pathlib import Path
from urllib.parse import parse_qsl

import urllib3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from moto.core import DEFAULT_ACCOUNT_ID as ACCOUNT
from moto.core.authorization import enable_iam_authentication
from moto.core.base_backend import BackendDict
from moto.core.utils import utcnow
from moto.iam.models import iam_backends
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server
from werkzeug.wrappers import Response

REGION = "us-east-1"
_OWN_KEYS = ("iam:*", "sts:*")
_CHANGES = ("UpdateAccessKey", "DeleteAccessKey")
_KEY_ACTIONS = ("CreateAccessKey", "ListAccessKeys", "GetAccessKeyLastUsed", *_CHANGES)
_READER = "support.providers.aws reader"
_ERROR = """<ErrorResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><Error><Type>Sender</Type><Code>{}</Code><Message>{}</Message></Error>\
<RequestId>00000000-0000-0000-0000-000000000000</RequestId></ErrorResponse>"""
_pool = urllib3.PoolManager(maxsize=8, retries=False, timeout=urllib3.Timeout(5))


class Request(typing.NamedTuple):
    """A request with its time (time.time()), the id of the key that signed it, and the status; None if the connection
    was cut.
    """

    time: float
    action: str
    key: str
    parameters: dict
    status: typing.Optional[int]


def before(perform):
    """Cut the connection without performing the action."""


def lost_reply(perform):
    """Perform the action, and cut the connection before the reply."""
    perform()


def delay(seconds):
    """Perform the action after so many seconds."""
    return call_before(lambda: time.sleep(seconds))


def error(code, status=400):
    """Answer with this error without performing the action."""
    return lambda perform: _error(code, status)


def call_before(hook):
    """Call a function before the action."""

    def fault(perform):
        hook()
        return perform()

    return fault


def call_after(hook):
    """Call a function between the action and the reply."""

    def fault(perform):
        response = perform()
        hook()
        return response

    return fault


class Faults:
    """Injects failures into requests.

    A rule is a fault for the next `times` requests whose action matches. A fault is called with the function that
    performs the action, and returns the response, or None to cut the connection.
    """

    def __init__(self):
        self._rules = []
        self._lock = threading.Lock()

    def rule(self, action, fault, times=1):
        self._rules.append([action, fault, times])

    def clear(self):
        self._rules.clear()

    def take(self, action):
        with self._lock:
            for rule in self._rules:
                if rule[2] and re.fullmatch(rule[0], action):
                    rule[2] -= 1
                    return rule[1]
        return lambda perform: perform()


class Aws:
    """AWS on loopback, in a thread of this process. A process can have only one, because moto's state is global.

    Keys from CreateAccessKey are unknown for `propagation_delay` seconds; those of create_user, create_admin and
    add_key are valid at once. An account exists as soon as it is named.
    """

    _only = threading.Lock()

    def __init__(self, port=0, propagation_delay=0.0):
        self.propagation_delay = propagation_delay
        self.faults = Faults()
        self.requests = []
        self._port = port
        self._known = set()
        self._admins = set()
        self._trusted = {}
        self._performing = threading.Lock()

    def __enter__(self):
        if not self._only.acquire(blocking=False):
            raise RuntimeError("this process has an AWS already")
        try:
            BackendDict.reset()
            self._moto = DomainDispatcherApplication(create_backend_app)
            self._server = make_server("127.0.0.1", self._port, self._answer, threaded=True, request_handler=_Handler)
        except BaseException:
            self._only.release()
            raise
        self._authentication = enable_iam_authentication()
        self._authentication.__enter__()
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *exception):
        self._server.shutdown()
        self._server.server_close()
        self._authentication.__exit__(None, None, None)
        self._only.release()

    def create_user(self, name, account=ACCOUNT):
        """Create a user that may manage its own keys; returns its first key as Rancher's fields."""
        return self._create(name, _OWN_KEYS, account)

    def create_admin(self, name="admin", account=ACCOUNT):
        """Create a user with all permissions in its account; returns its first key."""
        self._admins.add((account, name))
        return self._create(name, ("*",), account)

    def create_role(self, name, account=ACCOUNT, trusted=ACCOUNT):
        """Create a role with all permissions in its account, which another account may assume; returns its ARN."""
        arn = f"arn:aws:iam::{account}:role/{name}"
        trust = _policy(("sts:AssumeRole",), Principal={"AWS": trusted})
        _iam(account).create_role(name, json.dumps(trust), "/", None, "", [], 3600)
        _iam(account).put_role_policy(name, "test", json.dumps(_policy(("*",))))
        self._trusted[arn] = trusted
        return arn

    def set_policy(self, user, *actions, account=ACCOUNT):
        """Permit a user only these actions."""
        _iam(account).put_user_policy(user, "test", json.dumps(_policy(actions or ("none:None",))))

    def add_key(self, user, account=ACCOUNT):
        """Create another key that is valid at once."""
        key = _iam(account).create_access_key(user)
        self._known.add(key.access_key_id)
        return {"accessKey": key.access_key_id, "secretKey": key.secret_access_key}

    def keys(self, user, account=ACCOUNT):
        """Return id and status of each key."""
        return [(key.access_key_id, key.status) for key in _iam(account).list_access_keys(user)]

    def set_status(self, key_id, status):
        self._key(key_id).status = status

    def set_created(self, key_id, days):
        """Set the age of a key."""
        self._key(key_id).create_date = utcnow() - datetime.timedelta(days=days)

    def delete_key(self, key_id):
        account, _key = self._find(key_id)
        _iam(account).delete_access_key_by_name(key_id)

    def works(self, access_key, secret_key):
        return works(self.url, access_key, secret_key)

    def _create(self, name, actions, account):
        _iam(account).create_user(REGION, name)
        self.set_policy(name, *actions, account=account)
        return self.add_key(name, account)

    def _key(self, key_id):
        return self._find(key_id)[1]

    @staticmethod
    def _find(key_id):
        """Return the account of a key, and the key; None if it does not exist."""
        for account in list(iam_backends):
            key = _iam(account).access_keys.get(key_id)
            if key:
                return account, key
        return None, None

    def _answer(self, environ, start_response):
        begun = time.time()
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        form = dict(parse_qsl(body.decode()))
        target = environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[2]  # of services with a JSON protocol
        action, signer = form.pop("Action", target), _signer(environ)

        def perform():
            with self._performing:
                return self._refusal(action, signer, form) or Response.from_app(self._moto, environ, buffered=True)

        if environ.get("HTTP_USER_AGENT") == _READER:
            return perform()(environ, start_response)
        response = self.faults.take(action)(perform)
        form.pop("Version", None)
        self.requests.append(Request(begun, action, signer, form, response and response.status_code))
        if not response:
            raise ConnectionAbortedError
        return response(environ, start_response)

    def _refusal(self, action, signer, form):
        """Return the response to a request that moto would wrongly accept, else None."""
        account, key = self._find(signer)
        if not key:
            return None
        age = (utcnow() - key.create_date).total_seconds()
        young = key.user_name and signer not in self._known and age < self.propagation_delay
        if key.status != "Active" or young:
            return _error("InvalidClientTokenId", 403)
        if action == "AssumeRole" and self._trusted.get(form.get("RoleArn")) != account:
            return _error("AccessDenied", 403)
        return self._refusal_of_keys(action, account, key, form) if action in _KEY_ACTIONS else None

    def _refusal_of_keys(self, action, account, key, form):
        user = form.get("UserName", key.user_name)
        owner = self._find(form.get("AccessKeyId"))
        owner = owner[1] and (owner[0], owner[1].user_name)
        may_all = key.user_name is None or (account, key.user_name) in self._admins  # a role, or an administrator
        if action == "GetAccessKeyLastUsed":
            allowed = owner and owner[0] == account and (may_all or owner[1] == key.user_name)
            return None if allowed else _error("AccessDenied", 403)
        if user != key.user_name and not may_all:
            return _error("AccessDenied", 403)
        if action in _CHANGES and owner != (account, user):
            return _error("NoSuchEntity", 404)
        return None


def _iam(account):
    return iam_backends[account]["aws"]


def _policy(actions, **subject):
    statement = {"Effect": "Allow", "Action": actions, **(subject or {"Resource": "*"})}
    return {"Version": "2012-10-17", "Statement": [statement]}


class _Handler(MotoRequestHandler):
    def log(self, type, message, *arguments):  # noqa: A002 # pylint: disable=redefined-builtin
        pass

    def connection_dropped(self, error, environ=None):  # pylint: disable=redefined-outer-name
        self.close_connection = True


def works(url, access_key, secret_key):
    """Return whether AWS accepts a key, by a GetCallerIdentity that is neither recorded nor subject to faults."""
    request = AWSRequest(
        "POST",
        url + "/",
        data="Action=GetCallerIdentity&Version=2011-06-15",
        headers={"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"},
    )
    SigV4Auth(Credentials(access_key, secret_key), "sts", REGION).add_auth(request)
    headers = {**dict(request.headers.items()), "User-Agent": _READER}
    return _pool.request("POST", url + "/", body=request.body, headers=headers).status == 200


def _signer(environ):
    found = re.search("Credential=([^/]+)/", environ.get("HTTP_AUTHORIZATION", ""))
    return found.group(1) if found else ""


def _error(code, status):
    return Response(_ERROR.format(code, f"{code} (from the test)"), status, content_type="text/xml")


def main():
    parser = argparse.ArgumentParser(
        prog="support.providers.aws",
        description="Run a command with its own AWS.",
        epilog="""
        The command gets its URL in AWS_ENDPOINT_URL, and a user's key in RANCHHAND_AWS_ACCESS_KEY and
        RANCHHAND_AWS_SECRET_KEY. The exit code is the command's.""",
    )
    parser.add_argument("--port", type=int, default=0, help="port on loopback (default: any free port)")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="the command and its arguments")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, _stop)
    code = 0
    try:
        with Aws(arguments.port) as aws:
            key = aws.create_user("rancher")
            command = arguments.command[1:] if arguments.command[:1] == ["--"] else arguments.command
            if command:
                code = _run(command, aws, key)
            else:
                _keep(aws, key)
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)


def _stop(signum, frame):
    raise SystemExit(128 + signum)


def _run(command, aws, key):
    # PYTHONPATH is only for this package. Without the user's own AWS settings, the command cannot reach another AWS.
    environment = {
        name: value for name, value in os.environ.items() if name != "PYTHONPATH" and not name.startswith("AWS_")
    }
    environment.update(
        {
            "AWS_ENDPOINT_URL": aws.url,
            "AWS_EC2_METADATA_DISABLED": "true",
            "RANCHHAND_AWS_ACCESS_KEY": key["accessKey"],
            "RANCHHAND_AWS_SECRET_KEY": key["secretKey"],
        }
    )
    process = subprocess.Popen(command, env=environment)
    try:
        return process.wait()
    except BaseException:
        process.terminate()
        process.wait()
        raise


def _keep(aws, key):
    with tempfile.TemporaryDirectory(prefix="ranchhand-aws-") as directory:
        file = Path(directory) / "key.json"
        file.touch(mode=0o600)
        file.write_text(json.dumps(key), encoding="utf-8")
        print(
            "\nAWS runs until you press Ctrl-C. Its endpoint, and the file with a user's key:\n\n"
            f"  {aws.url}\n  {file}\n",
            flush=True,
        )
        try:
            signal.pause()
        except KeyboardInterrupt:
            pass


if __name__ == "__main__":
    main()
