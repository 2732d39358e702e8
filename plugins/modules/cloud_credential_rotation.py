#!/usr/bin/python
# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: cloud_credential_rotation
short_description: Rotate the keys of Rancher cloud credentials
version_added: 0.1.0
description:
  - Gives a cloud credential a new key in place, and retires the old one later. It goes as far as is safe now and says what it waits for;
    whatever happens to a run, the same task again finishes the job.
  - O(state=rotated) has a new key issued, verifies it, puts it into the credential with a single write, and sees that it works there.
    Then both keys are valid. O(state=retired), run daily, disables the old key when its grace time is over and nothing holds it any more,
    and deletes it in a later run.
  - What is known of a rotation is kept in a ConfigMap; values are kept in immutable Secrets until they are of no use. Both are in a
    namespace of their own.
  - If somebody else changes the key meanwhile, nothing is touched any more, and the task fails with the RV(code) V(drift).
  - The guide is at U(https://github.com/ranchhand/ranchhand.rancher/blob/main/docs/guides/rotation.md), and what to do about each failure at
    U(https://github.com/ranchhand/ranchhand.rancher/blob/main/docs/runbooks/rotation.md).
author:
  - ranchhand contributors (@ranchhand)
extends_documentation_fragment:
  - ranchhand.rancher._auth
  - ranchhand.rancher._attributes
attributes:
  async:
    support: none
    details:
      - It runs in the controller's process, which cannot run in the background.
  check_mode:
    support: full
    details:
      - Reads everything, verifies the current key, and says which phases a run would go through. Nothing is issued.
  diff_mode:
    support: none
    details:
      - RV(rotation.steps) says what changes.
notes:
  - Credentials that have the same key, as an EC2 and an S3 credential may, are rotated together or not at all, see O(shared_key).
  - Of several credentials each is a rotation of its own. What fails with one stops no other, and the task fails with V(partial).
options:
  name:
    description: Name of the credential, as Rancher's UI shows it.
    type: str
  id:
    description: Its id, such as V(cattle-global-data:cc-7kq2f) or V(cc-7kq2f).
    type: str
  driver:
    description: Narrows O(name).
    type: str
  owner:
    description: Narrows O(name). User name, principal id or user id.
    type: str
  state:
    description:
      - V(rotated) starts a rotation if it is due, or finishes one that was begun, up to the cutover.
      - V(retired) takes the old key out of service, one step in a run, as soon as time and gates allow. It also finishes what an interrupted run left,
        and puts the current key in again after Rancher was restored from a backup.
      - V(rolled_back) puts the old key in again and deletes the new one. Possible until the old one is being deleted.
      - V(aborted) gives up a rotation before its cutover.
    type: str
    choices: [rotated, retired, rolled_back, aborted]
    default: rotated
  max_age:
    description:
      - With O(state=rotated), rotate a key that is older, such as V(90d); also one that ends by itself before that. Either this or O(rotation_id) is
        required.
    type: str
  rotation_id:
    description: With O(state=rotated), rotate once for each value of this, such as the number of a ticket or a quarter.
    type: str
  reason:
    description: Why, for the record.
    type: str
  issuer:
    description:
      - Where new keys come from. By default V(aws) for amazonec2 and s3, V(kubernetes) for harvester, V(openstack) for openstack, else V(supplied).
      - With V(supplied) the playbook brings the new value in O(config) and O(secrets), and says with O(old_key_removed) that the old one is gone.
      - An issuer of another collection is named in full, C(my.collection.name).
    type: str
  issuer_options:
    description: Options of the issuer that are no secret; the guide lists them.
    type: dict
  issuer_secrets:
    description: Options of the issuer that are secret.
    type: dict
  config:
    description: With O(issuer=supplied), the public fields of the new value, such as V(accessKey).
    type: dict
  secrets:
    description: With O(issuer=supplied), the secret fields of the new value, such as V(secretKey).
    type: dict
  grace:
    description:
      - How long both keys stay valid at least, after the cutover. By default 24h, and 7d if the key is used for S3. With O(state=retired) it replaces
        what the rotation was started with.
    type: str
  soak:
    description: How long the old key stays disabled before it is deleted; until then it can be rolled back to. By default 7d.
    type: str
  drain:
    description:
      - How long to wait after taking over from a run whose end nobody saw, longer than any call to the cloud takes. Five seconds are enough where that
        run is known to be gone.
    type: str
    default: 60s
  verify_timeout:
    description: How long to try the new key until it works.
    type: str
    default: 120s
  on_verify_failure:
    description: What to do if it does not. Give it up, or stop and leave things as they are.
    type: str
    choices: [rollback, stop]
    default: rollback
  orphan_policy:
    description:
      - A run that is killed in the moment in which it is issued a key leaves one that nobody knows the secret of. V(evidence) deletes it if it was
        made just when the record says that one was asked for, and was never used; V(never) stops.
    type: str
    choices: [evidence, never]
    default: evidence
  shared_key:
    description: What to do if other credentials have the same key and are not named in the same task.
    type: str
    choices: [refuse, together]
    default: refuse
  pause_before_cutover:
    description: Stop when the new key is issued, to look at it. The same task without this goes on.
    type: bool
    default: false
  repair:
    description:
      - With O(state=rotated), put the new key in again where the credential holds the old one, or a mix of both, after the cutover.
    type: bool
    default: false
  old_key_removed:
    description: With O(issuer=supplied) and O(state=retired), say that the old key does not exist any more.
    type: bool
    default: false
  assume_dead:
    description: Say that the run before is certainly gone, so that nobody has to wait for it.
    type: bool
    default: false
  override_gates:
    description: Gates to take for open, whether they are closed or cannot be judged. What is overridden is in RV(rotation.gates).
    type: list
    elements: str
    default: []
  credentials:
    description:
      - Several credentials, in place of a single one.
      - What an item does not say is taken from the task, but for O(name), O(id), O(driver), O(owner), O(config) and O(secrets).
    type: list
    elements: dict
    suboptions:
      name:
        description: As O(name).
        type: str
      id:
        description: As O(id).
        type: str
      driver:
        description: As O(driver).
        type: str
      owner:
        description: As O(owner).
        type: str
      state:
        description: As O(state).
        type: str
        choices: [rotated, retired, rolled_back, aborted]
      max_age:
        description: As O(max_age).
        type: str
      rotation_id:
        description: As O(rotation_id).
        type: str
      reason:
        description: As O(reason).
        type: str
      issuer:
        description: As O(issuer).
        type: str
      issuer_options:
        description: As O(issuer_options).
        type: dict
      issuer_secrets:
        description: As O(issuer_secrets).
        type: dict
      config:
        description: As O(config).
        type: dict
      secrets:
        description: As O(secrets).
        type: dict
      grace:
        description: As O(grace).
        type: str
      soak:
        description: As O(soak).
        type: str
      drain:
        description: As O(drain).
        type: str
      verify_timeout:
        description: As O(verify_timeout).
        type: str
      on_verify_failure:
        description: As O(on_verify_failure).
        type: str
        choices: [rollback, stop]
      orphan_policy:
        description: As O(orphan_policy).
        type: str
        choices: [evidence, never]
      shared_key:
        description: As O(shared_key).
        type: str
        choices: [refuse, together]
      pause_before_cutover:
        description: As O(pause_before_cutover).
        type: bool
      repair:
        description: As O(repair).
        type: bool
      old_key_removed:
        description: As O(old_key_removed).
        type: bool
      assume_dead:
        description: As O(assume_dead).
        type: bool
      override_gates:
        description: As O(override_gates).
        type: list
        elements: str
  namespace:
    description: Where records and kept values are. It must not be one of those that Rancher's own backups take along.
    type: str
    default: rancher-credential-rotation
  audit_file:
    description: A file on the controller to which each transition is added as a line of JSON, without any value.
    type: path
seealso:
  - module: ranchhand.rancher.cloud_credential_rotation_info
  - module: ranchhand.rancher.cloud_credential
"""

EXAMPLES = r"""
- name: Each night, rotate AWS keys that are older than 90 days
  ranchhand.rancher.cloud_credential_rotation:
    max_age: 90d
    credentials:
      - name: aws prod
      - name: aws staging

- name: Each day, retire what was rotated before
  ranchhand.rancher.cloud_credential_rotation:
    state: retired
    credentials:
      - name: aws prod
      - name: aws staging

- name: A key has leaked, so it goes as soon as the new one works
  ranchhand.rancher.cloud_credential_rotation:
    name: aws prod
    rotation_id: leak-2026-11
    reason: found in a public repository
    grace: 0s

- name: A driver whose cloud has no issuer; the new value comes from a vault
  ranchhand.rancher.cloud_credential_rotation:
    name: do prod
    issuer: supplied
    rotation_id: 2026-q4
    secrets:
      accessToken: "{{ vaulted_new_token }}"
"""

RETURN = r"""
rotation:
  description: How the rotation stands, with a single credential.
  returned: with O(name) or O(id)
  type: dict
  contains: &rotation
    id:
      description: Id of the credential.
      type: str
      sample: cattle-global-data:cc-7kq2f
    name:
      description: Its name.
      type: str
      sample: aws prod
    driver:
      description: Its driver.
      type: str
      sample: amazonec2
    owner:
      description: Id of its owner.
      type: str
      sample: u-7xk2p
    members:
      description: Ids of all credentials that have this key.
      type: list
      elements: str
      sample: [cattle-global-data:cc-7kq2f]
    issuer:
      description: Where its keys come from.
      type: str
      sample: aws
    phase:
      description: One of V(idle), V(preparing), V(issued), V(grace), V(disabling), V(disabled), V(deleting), V(rolling_back) and V(aborting).
      type: str
      sample: grace
    generation:
      description: How often a rotation was begun.
      type: int
      sample: 3
    rotation_id:
      description: As given for the latest rotation.
      type: str
      sample: 2026-q4
    reason:
      description: As given for the latest rotation.
      type: str
      sample: quarterly
    key_id:
      description: What the cloud calls the key that is in use, or will be; null as long as that is not known.
      type: str
      sample: AKIAIOSFODNN7EXAMPLE
    old_key_id:
      description: The key that is on its way out.
      type: str
      sample: AKIAI44QH8DHBEXAMPLE
    started_at:
      description: When the rotation in progress was begun.
      type: str
      sample: "2026-11-24T02:00:01+00:00"
    issued_at:
      description: When its new key was there.
      type: str
      sample: "2026-11-24T02:00:03+00:00"
    cutover_at:
      description: When the credential got it.
      type: str
      sample: "2026-11-24T02:00:19+00:00"
    disabled_at:
      description: When the old key was disabled.
      type: str
      sample: null
    rotated_at:
      description: When the last finished rotation cut over.
      type: str
      sample: "2026-08-24T02:00:17+00:00"
    expires_at:
      description: When the key ends by itself, where it does.
      type: str
      sample: null
    retire_not_before:
      description: When the grace time is over.
      type: str
      sample: "2026-11-25T02:00:19+00:00"
    delete_not_before:
      description: When the old key may be deleted.
      type: str
      sample: null
    next_step:
      description: What comes next.
      type: str
      sample: disable the old key
    transitions:
      description: The latest transitions, each with its time, phase, a sentence, and the run.
      type: list
      elements: dict
      sample:
        - at: "2026-11-24T02:00:19+00:00"
          phase: grace
          what: cut over to AKIAIOSFODNN7EXAMPLE
          run: 5d41402a
    action:
      description:
        - V(rotated), V(retired), V(rolled_back) or V(aborted) if that was reached, V(advanced) if something was done on the way there,
          V(unchanged), or V(failed).
      type: str
      sample: rotated
    steps:
      description: The phases that this run went through; in check mode, that it would go through.
      type: list
      elements: str
      sample: [preparing, issued, grace]
    waiting_for:
      description: Why it went no further.
      type: list
      elements: str
      sample: ["grace: 2026-11-25T02:00:19+00:00"]
    gates:
      description: How each gate was judged, where that was necessary. C(state) is V(open), V(waiting) or V(unknown).
      type: list
      elements: dict
      sample: [{name: grace, state: waiting, detail: "2026-11-25T02:00:19+00:00"}]
    msg:
      description: What went wrong with this one.
      type: str
    code:
      description: What kind of failure that is.
      type: str
rotations:
  description: The same for each of O(credentials), in their order.
  returned: with O(credentials)
  type: list
  elements: dict
  contains: *rotation
code:
  description:
    - What kind of failure it is. Besides V(invalid), V(ambiguous), V(not_found), V(forbidden), V(conflict), V(unsupported), V(unreachable),
      V(server_error) and V(partial), one of V(busy), V(drift), V(gone), V(not_cut_over), V(old_unusable), V(orphan),
      V(other_writer), V(provider_refused), V(shared_key), V(slot_taken), V(too_late), V(unfinished), V(unusable) and V(verify_failed), each of which has a section in
      the runbook.
  returned: failure
  type: str
  sample: drift
"""
