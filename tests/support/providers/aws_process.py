# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The AWS of support/providers in a separate process, with faults that affect only one user."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections import Counter
from multiprocessing.managers import BaseManager

from support.providers.aws import ACCOUNT, Aws, Faults, _signer

_here = threading.local()


class _FaultsOfUsers(Faults):
    def __init__(self, aws):
        super().__init__()
        self._aws = aws
        self._lost = {}

    def lose(self, user, action, pid, seconds):
        self._lost[user, action] = (pid, seconds)

    def take(self, action):
        lost = self._lost.pop((self._aws.user_of(_here.signer), action), None)
        if lost is None:
            return super().take(action)
        pid, seconds = lost

        def fault(perform):
            perform()
            if pid:
                os.kill(pid, signal.SIGKILL)
            time.sleep(seconds)

        return fault


class AwsProcess(Aws):
    """The AWS in the other process, with the functions that tests call from theirs."""

    def __init__(self, propagation_delay=0.0):
        super().__init__(propagation_delay=propagation_delay)
        self.faults = _FaultsOfUsers(self)
        self._users = {}
        threading.Thread(target=self._end_with_parent, daemon=True).start()
        self.__enter__()

    @staticmethod
    def _end_with_parent():
        multiprocessing.parent_process().join()
        os._exit(0)

    def address(self):
        return self.url

    def create_user(self, name, account=ACCOUNT):
        with self._performing:
            return super().create_user(name, account)

    def count_actions(self):
        """Return the number of requests by action since the last call."""
        counted = Counter(request.action for request in self.requests)
        self.requests.clear()
        return counted

    def user_of(self, signer):
        with self._performing:
            key = self._key(signer)
        if key:
            self._users[signer] = key.user_name
        return self._users.get(signer)

    def lose(self, user, action, pid=None, seconds=0.0):
        """Perform the next such request of a user without a reply: kill a process, or cut the connection after so many
        seconds.
        """
        self.faults.lose(user, action, pid, seconds)

    def changes(self, user):
        """Return action, parameters and status of each request that changes, or should have changed, a user's keys."""
        writes = ("CreateAccessKey", "UpdateAccessKey", "DeleteAccessKey")
        return [
            (request.action, request.parameters, request.status)
            for request in list(self.requests)
            if self._users.get(request.key) == user and request.action in writes
        ]

    def _answer(self, environ, start_response):
        _here.signer = _signer(environ)
        self.user_of(_here.signer)
        return super()._answer(environ, start_response)


class AwsManager(BaseManager):
    """Starts an AWS in a separate process, independent of an AWS in this process."""

    def __init__(self):
        super().__init__(ctx=multiprocessing.get_context("spawn"))


AwsManager.register("AwsProcess", AwsProcess)
