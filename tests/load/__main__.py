# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run concurrent playbooks under faults, and write docs/load.md. Exit code 1 after a violation.

    python -m load [--seconds 600] [--playbooks 16] [--credentials 2000] [--seed 1]

Only a run with the default playbooks and credentials writes the document.
"""

from __future__ import annotations

import argparse
import datetime
import os
import re
import sys
from pathlib import Path

from .faults import CALM, IN_A_ROW, OUTAGE, OUTAGE_EVERY, RATE
from .fleet import HOT
from .run import Load

ROOT = Path(__file__).resolve().parents[2]
MODULE = ROOT / "tests" / "control_plane" / "go" / "kube-apiserver" / "go.mod"
DOCUMENT = ROOT / "docs" / "load.md"
SECONDS, PLAYBOOKS, CREDENTIALS = 600, 16, 2000
GROUPS = {
    "Load": "What ran",
    "Faults": "Faults",
    "Writes": "What was stored",
    "Results": "Results by what a task declares for an object",
}


def main():
    parser = argparse.ArgumentParser(prog="python -m load")
    parser.add_argument("--seconds", type=int, default=SECONDS)
    parser.add_argument("--playbooks", type=int, default=PLAYBOOKS)
    parser.add_argument("--credentials", type=int, default=CREDENTIALS)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with Load(arguments.seed, arguments.playbooks, arguments.credentials) as load:
        outcome = load.run(arguments.seconds)
    for (group, name), count in sorted(outcome.counts.items()):
        print(f"{count:7d} {group}: {name}")
    print(*outcome.violations[:50], sep="\n")
    print(f"{len(outcome.violations)} violations in {outcome.seconds:.0f} s")
    if (arguments.playbooks, arguments.credentials) == (PLAYBOOKS, CREDENTIALS):
        _write(outcome, arguments)
    sys.exit(1 if outcome.violations else 0)


def _write(outcome, arguments):
    version = re.search(r"k8s\.io/kubernetes (v\S+)", MODULE.read_text(encoding="utf-8"), re.M).group(1)
    tables = "\n\n".join(
        f"| {title} | |\n|---|---|\n" + "\n".join(
            f"| {name} | {count} |" for (found, name), count in sorted(outcome.counts.items()) if found == group
        )
        for group, title in GROUPS.items()
    )
    DOCUMENT.write_text(f"""\
# How concurrent runs are tested

`make soak` runs playbooks at once under faults and writes this page. Last run: {datetime.date.today()}, on
{os.cpu_count()} processors, with Python {sys.version.split()[0]}, a real kube-apiserver {version} with etcd, and the
seed {arguments.seed}. **Violations: {len(outcome.violations)}.**

{PLAYBOOKS} processes of ansible-playbook run at once, in rounds, for {arguments.seconds} seconds. They create, update,
delete and hand over the same {CREDENTIALS} credentials, and create, change and delete {CREDENTIALS // 10} node
templates that use {CREDENTIALS // 5} of them. {CREDENTIALS // 200} credentials are in use by clusters. Each playbook
draws a slice that overlaps with those of others, and all playbooks of a round share {HOT} credentials. Machine configs
do not take part: they contain no reference to a credential.

A proxy in front of kube-apiserver answers {RATE:.0%} of the requests with a fault, at most {IN_A_ROW} times in a row,
and all requests for {OUTAGE:.0f} s every {OUTAGE_EVERY:.0f} s, followed by {CALM:.0f} s without faults. The retries of
the modules survive this. For a few writes, every attempt fails.

A watch records each version of each credential and node template, in the order in which etcd stored them. These are
violations:

- In a version, a node template or cluster refers to a credential that does not exist.
- In a version, a credential has the access key of one declaration and the secret key, description or owner of another.
- A version was written by a task that does not declare it, that was over, or that selected the object by an owner that
  it did not have any more.
- A credential was deleted that no running task declared absent for this owner.
- A task reported an object as created, updated, deleted or unchanged, and it was not. A task reported a failure, and
  the object was written, although the failure code excludes that.
- A deletion was refused, and nothing referred to the credential.
- After a round, an object exists twice, or an annotation of a run is left.
- After the last round, one run of the complete declaration without faults does not lead to exactly what it declares, or
  a second one changes something.
- A failure has no code or is an internal error, or an output contains a traceback or a secret.

{tables}

A call fails as a whole with `ambiguous` if it reads the objects at the moment at which two runs have created the same
one, and with `not_found` if an object that it selects by id was deleted. Nothing is written then, and running it again
is the remedy. The same holds for objects that failed with `conflict`.

Longer outages are tested in `tests/faults`: a run that cannot remove its annotations leaves them for 15 minutes.
""", encoding="utf-8")


if __name__ == "__main__":
    main()
