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
  - Writes one report from results of M(ranchhand.rancher.cloud_credential_info).
  - The formats are HTML, JSON, CSV, Markdown and the text format of Prometheus.
  - The role P(ranchhand.rancher.report#role) reads the Ranchers and calls this module.
  - Runs on the controller and connects to nothing. Each file is replaced atomically, with mode C(0644).
  - U(https://github.com/ranchhand/ranchhand.rancher/blob/main/docs/report.md) describes the content of each format.
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
      - Writes no file, and fails for the same problems as without check mode.
  diff_mode:
    description:
      - Will return details on what has changed (or possibly needs changing in C(check_mode)), when in diff mode.
    support: none
  idempotent:
    description:
      - When run twice in a row outside check mode, with the same arguments, the second invocation indicates no change.
    support: full
    details:
      - Each run writes the files again, with the time at which they were generated. If only this time differs,
        RV(ignore:changed) is false. Ages are in whole days.
options:
  registered:
    description:
      - Mapping of the names of Ranchers to what M(ranchhand.rancher.cloud_credential_info) returned with
        O(ranchhand.rancher.cloud_credential_info#module:problems=true).
      - A result without C(credentials), or null, is a Rancher that could not be read. Its C(msg) is the reason.
      - The lookup P(ranchhand.rancher.registered#lookup) returns this mapping, as JSON text, for all hosts of a play.
    type: raw
    required: true
  files:
    description:
      - Paths of the files to write, by format. Their directories must exist.
      - A relative path is relative to the directory in which C(ansible-playbook) was started.
    type: dict
    required: true
    suboptions:
      html:
        description: A page that contains everything it needs and loads nothing from the network.
        type: path
      json:
        description: The complete data, for programs.
        type: path
      csv:
        description: A line for each credential. Names that a spreadsheet would run as formulas begin with an
          apostrophe.
        type: path
      markdown:
        description: What to do today, figures, problems and credentials, for example for the summary of a CI job.
        type: path
      prometheus:
        description: Metrics for the textfile collector of node_exporter, which requires a name that ends with C(.prom).
        type: path
  fail_on:
    description:
      - Codes or levels of problems. The module fails, after the files are written, if a credential has one of them.
      - A level includes more severe levels, so V(warning) means warnings and errors.
      - A check that was skipped because the connection lacks a permission counts as a problem that was found.
      - Errors are V(unreadable), V(owner_gone), V(template_broken), V(drift), V(restored), V(gone),
        V(record_unreadable), V(expired), V(reference_unresolved), V(driver_mismatch), V(config_contradicts),
        V(sync_failed), V(key_refused) and V(dangling), warnings are V(driver_inactive), V(malformed),
        V(duplicate_name), V(shared_key), V(overdue), V(stuck_rotation), V(expires_soon) and V(key_forbidden), and
        V(unused) and V(config_repeats) are notices.
      - A Rancher that could not be read is always a failure.
    type: list
    elements: str
    default: []
    choices: [error, warning, notice, unreadable, owner_gone, template_broken, drift, restored, gone, record_unreadable,
              expired, dangling, reference_unresolved, driver_mismatch, config_contradicts, sync_failed,
              key_refused, driver_inactive, malformed, duplicate_name, shared_key, overdue, stuck_rotation,
              expires_soon, key_forbidden, unused, config_repeats]
  runbook_url:
    description: URL of the directory of the runbooks that problems link to, C(credentials.md) and C(rotation.md).
    type: str
    default: https://github.com/ranchhand/ranchhand.rancher/blob/main/docs/runbooks
  namespace:
    description: Namespace of the records of rotations, for the commands that the report shows.
    type: str
    default: rancher-credential-rotation
    version_added: 1.0.0
seealso:
  - module: ranchhand.rancher.cloud_credential_info
  - plugin: ranchhand.rancher.registered
    plugin_type: lookup
"""

EXAMPLES = r"""
- name: List the credentials of this Rancher
  ranchhand.rancher.cloud_credential_info:
    problems: true
    max_age: 90d
  register: listed

- name: Write a page on the credentials of all hosts, and fail if a key is overdue
  ranchhand.rancher.report:
    registered: "{{ lookup('ranchhand.rancher.registered', 'listed') }}"
    files:
      html: /var/www/html/credentials.html
    fail_on: [overdue]
  run_once: true
"""

RETURN = r"""
files:
  description: Absolute paths of the files, by format.
  returned: if the options are valid
  type: dict
  sample: {html: /var/www/html/credentials.html}
figures:
  description:
    - Numbers of Ranchers, of credentials, and of credentials in each state.
    - C(with_errors), C(with_warnings), C(with_notices) and C(without_problems) count each credential once, by its most
      severe problem, including those that do not exist although objects refer to them.
  returned: if the options are valid
  type: dict
  sample:
    {ranchers: 2, ranchers_unread: 0, credentials: 60, dangling: 0, due: 10, due_soon: 6, rotating: 3, unused: 13,
     with_errors: 4, with_warnings: 14, with_notices: 13, without_problems: 29}
today:
  description:
    - What to do, the most urgent task first, up to 10 tasks. A report contains all of them.
    - A task is a problem of a credential, or a Rancher that could not be read. C(why) is a sentence that explains
      C(code), and C(detail) the message of the problem.
    - C(remedy) contains what to do, and either a C(command) to paste or a C(page) of Rancher's UI. If both are null,
      see the runbook.
  returned: if the options are valid
  type: list
  elements: dict
  sample:
    - rancher: prod-eu
      id: cattle-global-data:cc-7kq2f
      name: payments prod aws
      owner: alice
      code: overdue
      level: warning
      why: The key is older than its policy allows.
      detail: its key was due for rotation 9 days ago
      remedy:
        what: Rotate the key
        command: >-
          ansible-playbook ranchhand.rancher.rotate -e '{rotate_credentials: [{id: cattle-global-data:cc-7kq2f}],
          rotate_max_age: 90d, rotate_hosts: prod-eu}'
        page: null
code:
  description:
    - Failure code.
    - V(invalid), V(unsupported), or V(problems) for problems that O(fail_on) names and Ranchers that could not be read.
  returned: failure
  type: str
  sample: problems
"""
