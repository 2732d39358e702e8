#!/usr/bin/python
# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: report
short_description: Write a report on the cloud credentials of Ranchers
version_added: 0.1.0
description:
  - Makes one report out of what M(ranchhand.rancher.cloud_credential_info) returned on each host of the play, as HTML, JSON, CSV,
    Markdown and Prometheus' text format.
  - The role P(ranchhand.rancher.report#role) asks the Ranchers and calls this.
  - It runs on the controller and asks nobody anything. Files are replaced at once, with mode C(0644).
  - What each format has is described at U(https://github.com/ranchhand/ranchhand.rancher/blob/main/docs/report.md).
author:
  - ranchhand contributors (@ranchhand)
attributes:
  async:
    description: Supports being used with the C(async) keyword.
    support: none
    details:
      - It runs in the controller's process, which cannot run in the background.
  check_mode:
    description: Can run in C(check_mode) and return changed status prediction without modifying target.
    support: full
    details:
      - Nothing is written. It fails as it would for real.
  diff_mode:
    description: Will return details on what has changed (or possibly needs changing in C(check_mode)), when in diff mode.
    support: none
  idempotent:
    description: When run twice in a row outside check mode, with the same arguments, the second invocation indicates no change.
    support: full
    details:
      - Each run writes the files anew, so that they tell when they were generated. If that is all that is new, RV(ignore:changed) is false.
        Ages are in whole days.
options:
  registered:
    description:
      - Name of the variable in which each host of the play has registered what M(ranchhand.rancher.cloud_credential_info) returned with
        O(ranchhand.rancher.cloud_credential_info#module:problems=true). Each host is a Rancher.
      - A result without C(credentials) is a Rancher that could not be read; its C(msg) says why.
    type: str
    required: true
  files:
    description:
      - The files to write, by format. Their directories have to exist.
      - A relative path begins where C(ansible-playbook) was started.
    type: dict
    required: true
    suboptions:
      html:
        description: One page that needs nothing else and asks for nothing from anywhere.
        type: path
      json:
        description: All that is known, for programs.
        type: path
      csv:
        description: A line for each credential. Names that a spreadsheet would take for a formula begin with an apostrophe.
        type: path
      markdown:
        description: Figures, problems and credentials, as for the summary of a CI job.
        type: path
      prometheus:
        description: Metrics for the textfile collector of node_exporter, which wants a name that ends with C(.prom).
        type: path
  fail_on:
    description:
      - Fail, after the files are written, if a credential has one of these problems. Each is the code of a problem or a level.
      - A level means what is worse too, so V(warning) is warnings and errors.
      - A problem that could not be looked for, for want of a right, counts as found.
      - The codes are V(unreadable), V(owner_gone), V(template_broken), V(drift), V(restored), V(expired) and V(dangling), which are errors, V(driver_inactive),
        V(duplicate_name), V(shared_key), V(overdue), V(stuck_rotation) and V(expires_soon), which are warnings, and V(unused), which is a notice.
      - A Rancher that could not be read is always a failure.
    type: list
    elements: str
    default: []
    choices: [error, warning, notice, unreadable, owner_gone, template_broken, drift, restored, expired, dangling, driver_inactive, duplicate_name,
              shared_key, overdue, stuck_rotation, expires_soon, unused]
  runbook_url:
    description: Where the runbooks are that problems link to, C(credentials.md) and C(rotation.md).
    type: str
    default: https://github.com/ranchhand/ranchhand.rancher/blob/main/docs/runbooks
seealso:
  - module: ranchhand.rancher.cloud_credential_info
"""

EXAMPLES = r"""
- name: Look at the credentials of this Rancher
  ranchhand.rancher.cloud_credential_info:
    problems: true
    max_age: 90d
  register: found

- name: Write a page, and fail if a key is too old
  ranchhand.rancher.report:
    registered: found
    files:
      html: /var/www/html/credentials.html
    fail_on: [overdue]
  run_once: true
"""

RETURN = r"""
files:
  description: The full paths of the files, by format.
  returned: when the options are valid
  type: dict
  sample: {html: /var/www/html/credentials.html}
figures:
  description: How many Ranchers and credentials there are, and how many credentials are in which state.
  returned: when the options are valid
  type: dict
  sample:
    {ranchers: 2, ranchers_unread: 0, credentials: 60, dangling: 0, due: 10, due_soon: 6, rotating: 3, unused: 13,
     with_errors: 4, with_warnings: 14, with_notices: 13}
code:
  description: What kind of failure it is. V(invalid), or V(problems) for what O(fail_on) names and for Ranchers that could not be read.
  returned: failure
  type: str
  sample: problems
"""
