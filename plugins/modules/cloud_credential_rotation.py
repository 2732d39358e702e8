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
  - Replaces the key of a cloud credential in place, and retires the old key later. Each run does as much as is safe
    at that time and returns what it waits for. If a run is interrupted, run the same task again.
  - O(state=rotated) issues a new key, verifies it, writes it to the credential in one request, and verifies it again.
    Then both keys are valid. O(state=retired), run daily, disables the old key when its grace time is over and
    nothing uses it any more, and deletes it in a later run.
  - The state of a rotation is stored in a ConfigMap. The values of keys are stored in immutable Secrets as long as
    they are needed. Both are in O(namespace).
  - If another client changes the key during a rotation, nothing is changed and the task fails with the RV(code)
    V(drift).
  - The guide is at U(https://github.com/ranchhand/ranchhand.rancher/blob/main/docs/guides/rotation.md), the runbook
    for each failure at U(https://github.com/ranchhand/ranchhand.rancher/blob/main/docs/runbooks/rotation.md).
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
      - Reads everything, verifies the current key, and returns the phases that a run would go through. Issues and
        writes nothing.
  diff_mode:
    support: none
    details:
      - RV(rotation.steps) contains what changes.
notes:
  - Credentials with the same key, such as an EC2 and an S3 credential, are rotated together or not at all, see
    O(shared_key).
  - With O(credentials), each credential is rotated independently. If some of them fail, the others are still rotated,
    and the task fails with the RV(code) V(partial). An item fails by itself too if its credential does not exist, its
    record cannot be read, or a value is missing. Only options that are not valid by themselves stop the whole task.
  - A credential that was deleted during its rotation is found by its O(id), through its record.
options:
  name:
    description: Name of the credential, as Rancher's UI shows it.
    type: str
  id:
    description: Id of the credential, such as V(cattle-global-data:cc-7kq2f) or V(cc-7kq2f).
    type: str
  driver:
    description: Driver of the credential, if several credentials have the same O(name).
    type: str
  owner:
    description: User name, principal id or user id of the owner, if several credentials have the same O(name).
    type: str
  state:
    description:
      - State that the rotation must reach.
      - V(rotated) starts a rotation if it is due, or continues one that was started, up to the cutover.
      - V(retired) retires the old key, one step in each run, as soon as times and gates allow it. It also completes
        interrupted runs, and writes the current key again after Rancher was restored from a backup.
      - V(rolled_back) writes the old key to the credential and deletes the new key. Possible until the old key is
        being deleted.
      - V(aborted) ends a rotation before its cutover, and deletes the new key.
      - V(adopted) accepts the key that the credential contains now, if another client changed it during a rotation. The
        key is verified first, and must belong to the same principal. The old key is retired as usual.
      - V(forgotten) ends a rotation whose credential was deleted. It deletes the keys that the rotation issued, except
        keys that a credential contains, and then the kept values and the record.
    type: str
    choices: [rotated, retired, rolled_back, aborted, adopted, forgotten]
    default: rotated
  max_age:
    description:
      - Maximum age of a key, such as V(90d). With O(state=rotated), a key that is older, or expires soon, is rotated.
      - The age counts from the last rotation. If the key was never rotated, the cloud provider is asked for its
        creation, once for each user of the provider.
      - O(state=rotated) requires either this option or O(rotation_id).
    type: str
  rotation_id:
    description:
      - Identifier of a rotation, such as a ticket or a quarter. With O(state=rotated), the key is rotated once for
        each identifier. A rotation that failed, was aborted or was rolled back is started again. At most 128
        printable characters.
    type: str
  reason:
    description: Reason of the rotation, for the record and the audit. At most 1000 printable characters.
    type: str
  issuer:
    description:
      - Issuer of new keys. The default is V(aws) for the drivers amazonec2 and s3, V(kubernetes) for harvester, the
        issuer of the same name for alibaba, azure, exoscale, google, linode, oci, openstack, otc, outscale, pve and
        vmwarevsphere, and V(supplied) for all others. In credentials of driver s3, V(ceph) is for keys of a Ceph RADOS
        Gateway, V(minio) for access keys of MinIO, and V(spaces) for access keys of DigitalOcean Spaces. V(harvester)
        is for tokens of Rancher in credentials of driver harvester.
      - With V(supplied), the playbook sets the new value in O(config) and O(secrets), and confirms with
        O(old_key_removed) that the old key does not exist any more. A run signs in with the new value, if keys of the
        driver can be verified; V(verify) in O(issuer_options) turns this off.
      - An issuer of another collection has a full name such as V(my.collection.name).
    type: str
  issuer_options:
    description:
      - Options of the issuer that are not secret. The guide lists them.
      - The record keeps them. Without this option, those of the record apply; with it, none of the record does.
    type: dict
  issuer_secrets:
    description: Secret options of the issuer. They are not kept.
    type: dict
  issuer_secrets_name:
    description:
      - Name of the secret options of the issuer in O(issuer_secrets_by_name). The record keeps the name, so that later
        runs find the secrets.
      - O(issuer_secrets) takes precedence.
    type: str
  issuer_secrets_by_name:
    description: Secret options of issuers, by O(issuer_secrets_name); each is a mapping like O(issuer_secrets).
    type: dict
  config:
    description:
      - Public fields of the new value, such as V(accessKey), with O(issuer=supplied). The schema of the driver decides
        which fields are public. A secret field is rejected.
    type: dict
  secrets:
    description: Secret fields of the new value, such as V(secretKey), with O(issuer=supplied).
    type: dict
  grace:
    description:
      - Minimum time after the cutover in which both keys are valid, such as V(24h).
      - The default is V(24h), and V(7d) if the key is used for S3. With O(state=retired), this replaces the time that
        the rotation was started with.
    type: str
  soak:
    description:
      - Time between disabling and deleting the old key, in which a rollback is possible, such as V(7d). The default
        is V(7d). With O(state=retired), this replaces the time that the rotation was started with.
    type: str
  drain:
    description:
      - Time to wait after taking over from a run whose end is not known. It must be longer than any call to the cloud
        provider, which takes at most 50 seconds, and at most V(1h). If that run has certainly ended, five seconds are
        used.
    type: str
    default: 60s
  verify_timeout:
    description: Maximum time for the new key to become valid, at most V(1h).
    type: str
    default: 120s
  on_verify_failure:
    description:
      - Reaction if the new key does not become valid. V(rollback) returns to the old key and deletes the new one.
        V(stop) changes nothing.
    type: str
    choices: [rollback, stop]
    default: rollback
  orphan_policy:
    description:
      - Handling of orphaned keys. If a run is killed while a key is being issued, the key's secret is lost and the
        key is orphaned.
      - V(evidence) deletes such a key if it has the mark of the request or, with a provider that stores no marks but
        reports the last use, if it was created when a key was requested according to the record, and was never used.
        V(never) fails with the RV(code) V(orphan).
    type: str
    choices: [evidence, never]
    default: evidence
  shared_key:
    description:
      - Handling of other credentials that contain the same key and are not in the same task. V(refuse) fails with the
        RV(code) V(shared_key). V(together) rotates them too.
    type: str
    choices: [refuse, together]
    default: refuse
  pause_before_cutover:
    description: Whether to stop when the new key is issued. Run the task without this option to continue.
    type: bool
    default: false
  repair:
    description:
      - Whether O(state=rotated) writes the new key again if, after the cutover, the credential contains the old key
        or a mix of both.
    type: bool
    default: false
  old_key_removed:
    description:
      - Confirmation that the old key does not exist any more, with O(state=retired). Required with O(issuer=supplied),
        and possible if the id of the old key is unknown.
    type: bool
    default: false
  current_key_id:
    description:
      - Id of the key that is replaced, at the cloud provider. Required before the key is retired if neither the
        credential nor the provider reports the id. The gate V(old_key_identity) waits for it. Also possible with
        O(state=retired).
      - An id that the collection knows takes precedence, so an id of an earlier rotation does no harm.
    type: str
    version_added: 1.0.0
  assume_dead:
    description: Confirmation that the previous run has ended, so that this run does not wait for it.
    type: bool
    default: false
  override_gates:
    description:
      - Gates to bypass even if they are closed or cannot be evaluated. RV(rotation.gates) contains the bypassed
        gates.
    type: list
    elements: str
    default: []
  external_stores:
    version_added: 1.0.0
    description:
      - Secret stores that receive a copy of the key, such as those from which other clients read it. After the cutover,
        the same run writes the new key to each of them. The gate V(external_store) keeps the old key until all of them
        contain the new one. A rollback writes the old key to them before it deletes the new one.
      - A store is read first. If it contains neither the old key nor the new one, another client writes it. Then it is
        not changed, and the task fails with the RV(code) V(conflict).
      - Each store has a unique C(name), a C(type), and optionally C(fields), which maps fields of the credential, such
        as V(accessKey), to their names in the store. Other fields of the secret in the store are kept.
      - C(type=vault) is the KV secrets engine, version 2, of HashiCorp Vault or OpenBao, with C(url), C(path), C(mount)
        (default V(secret)), C(namespace) of Vault, and C(ca_bundle). Its secret is C(token).
      - C(type=aws_secrets_manager) is a secret of AWS Secrets Manager that contains a JSON object. It must exist. Its
        settings are C(secret_id), C(region), C(profile), C(endpoint_url) and C(ca_bundle). Its secrets are
        C(access_key), C(secret_key) and C(session_token); without them, the AWS SDK signs in by itself.
      - C(type=azure_key_vault) is a secret of Azure Key Vault that contains a JSON object. Its settings are
        C(vault_url), such as V(https://ranchhand.vault.azure.net), C(secret_name), C(tenant_id), C(endpoint_url) and
        C(ca_bundle). Its secrets are C(client_id) and C(client_secret) of an application of the tenant.
      - C(type=google_secret_manager) is a secret of Google Secret Manager that contains a JSON object, or has no
        version. It must exist. Its settings are C(project_id), C(secret_id), C(endpoint_url) and C(ca_bundle). Its
        secret is C(credentials), the key of a service account in JSON.
      - Writes to Azure Key Vault and Google Secret Manager have no precondition. If another client writes to the secret
        at the same moment, its value may be replaced.
      - C(type=kubernetes) is a Secret of another cluster, with its C(namespace) and C(secret_name), and C(context) of
        the kubeconfig. Its secret is C(kubeconfig), as path or content.
      - C(type=rancher) is a credential of another Rancher that contains the same key, with its C(credential_id), and
        C(context) of the kubeconfig. It must exist. Its secret is C(kubeconfig), as path or content, or C(connection),
        a mapping of connection options. The other Rancher does not rotate this credential any more (RV(code)
        V(other_writer)), and the gates that depend on machines are evaluated there too. If the Rancher that rotates is
        lost, O(state=adopted) with this option takes the rotation over in another one.
      - V({id}) in C(path), C(secret_id) and C(secret_name) is replaced by the id of the credential, such as
        V(cc-7kq2f).
      - The record keeps these settings. Without this option, those of the record apply; an empty list removes them.
    type: list
    elements: dict
  cutover:
    version_added: 1.0.0
    description:
      - V(external) is for a credential that another tool, such as External Secrets Operator or Vault Secrets Operator,
        writes from a store. O(external_stores) then contains exactly this store. The run writes the new key to the
        store, requests External Secrets to read it, and waits for at most O(verify_timeout) until the tool has written
        the credential. If it has not, the store receives the old key again, and the task fails with the RV(code)
        V(unconfirmed). The data of the credential is never written.
      - The option applies when a rotation begins. Without it, the one of the former rotation applies, at first
        V(direct).
      - Not possible if the old key ends with the new one, as a password does.
    type: str
    choices: [direct, external]
  external_store_secrets:
    version_added: 1.0.0
    description:
      - Secret settings of O(external_stores), by the name of the store, such as C(token) of a Vault. They are not kept.
    type: dict
  credentials:
    description:
      - List of credentials to rotate, instead of a single one.
      - Options that an item does not set are taken from the task, except O(name), O(id), O(driver), O(owner),
        O(config) and O(secrets).
    type: list
    elements: dict
    suboptions:
      name:
        description: Same as O(name).
        type: str
      id:
        description: Same as O(id).
        type: str
      driver:
        description: Same as O(driver).
        type: str
      owner:
        description: Same as O(owner).
        type: str
      state:
        description: Same as O(state).
        type: str
        choices: [rotated, retired, rolled_back, aborted, adopted, forgotten]
      max_age:
        description: Same as O(max_age).
        type: str
      rotation_id:
        description: Same as O(rotation_id).
        type: str
      reason:
        description: Same as O(reason).
        type: str
      issuer:
        description: Same as O(issuer).
        type: str
      issuer_options:
        description: Same as O(issuer_options).
        type: dict
      issuer_secrets:
        description: Same as O(issuer_secrets).
        type: dict
      issuer_secrets_name:
        description: Same as O(issuer_secrets_name).
        type: str
      config:
        description: Same as O(config).
        type: dict
      secrets:
        description: Same as O(secrets).
        type: dict
      grace:
        description: Same as O(grace).
        type: str
      soak:
        description: Same as O(soak).
        type: str
      drain:
        description: Same as O(drain).
        type: str
      verify_timeout:
        description: Same as O(verify_timeout).
        type: str
      on_verify_failure:
        description: Same as O(on_verify_failure).
        type: str
        choices: [rollback, stop]
      orphan_policy:
        description: Same as O(orphan_policy).
        type: str
        choices: [evidence, never]
      shared_key:
        description: Same as O(shared_key).
        type: str
        choices: [refuse, together]
      pause_before_cutover:
        description: Same as O(pause_before_cutover).
        type: bool
      repair:
        description: Same as O(repair).
        type: bool
      old_key_removed:
        description: Same as O(old_key_removed).
        type: bool
      current_key_id:
        description: Same as O(current_key_id).
        type: str
        version_added: 1.0.0
      assume_dead:
        description: Same as O(assume_dead).
        type: bool
      override_gates:
        description: Same as O(override_gates).
        type: list
        elements: str
      external_stores:
        version_added: 1.0.0
        description: Same as O(external_stores).
        type: list
        elements: dict
      cutover:
        description: Same as O(cutover).
        type: str
        choices: [direct, external]
  parallel:
    description: Number of rotations that run at the same time, from 1 to 32.
    type: int
    default: 8
  rate:
    description: Maximum number of calls per second to each account of a cloud provider.
    type: int
    default: 20
  namespace:
    description:
      - Namespace of records and stored keys. It must not be a namespace that Rancher's backups contain.
    type: str
    default: rancher-credential-rotation
  audit_file:
    description:
      - Path of a file on the controller to which a line of JSON is added for each transition. It contains no secret
        values.
    type: path
seealso:
  - module: ranchhand.rancher.cloud_credential_rotation_info
  - module: ranchhand.rancher.cloud_credential
"""

EXAMPLES = r"""
- name: Rotate AWS keys that are older than 90 days (run nightly)
  ranchhand.rancher.cloud_credential_rotation:
    max_age: 90d
    credentials:
      - name: aws prod
      - name: aws staging

- name: Retire old keys (run daily)
  ranchhand.rancher.cloud_credential_rotation:
    state: retired
    credentials:
      - name: aws prod
      - name: aws staging

- name: Replace a leaked key, without a grace time
  ranchhand.rancher.cloud_credential_rotation:
    name: aws prod
    rotation_id: leak-2026-11
    reason: found in a public repository
    grace: 0s

- name: Rotate keys of two accounts, each with the secrets of its own administrator
  ranchhand.rancher.cloud_credential_rotation:
    max_age: 90d
    issuer_options:
      sign_in: given
    issuer_secrets_by_name:
      prod: "{{ vaulted_admin_prod }}"
      staging: "{{ vaulted_admin_staging }}"
    credentials:
      - name: aws prod
        issuer_secrets_name: prod
      - name: aws staging
        issuer_secrets_name: staging

- name: Accept the key that Terraform wrote during a rotation
  ranchhand.rancher.cloud_credential_rotation:
    name: aws prod
    state: adopted

- name: Rotate a key, and hand the new key to Vault and to another cluster
  ranchhand.rancher.cloud_credential_rotation:
    name: aws prod
    max_age: 90d
    external_stores:
      - name: vault
        type: vault
        url: https://vault.example.com
        path: rancher/{id}
        fields: {accessKey: access_key, secretKey: secret_key}
      - name: backup cluster
        type: kubernetes
        namespace: velero
        secret_name: aws-prod
    external_store_secrets:
      vault:
        token: "{{ vault_token }}"
      backup cluster:
        kubeconfig: /etc/ranchhand/backup-cluster.yaml

- name: Delete what is left of the rotation of a deleted credential
  ranchhand.rancher.cloud_credential_rotation:
    id: cc-7kq2f
    state: forgotten

- name: Rotate a key that only the playbook can supply
  ranchhand.rancher.cloud_credential_rotation:
    name: do prod
    issuer: supplied
    rotation_id: 2026-q4
    secrets:
      accessToken: "{{ vaulted_new_token }}"

- name: The same, if the cloud provider cannot be reached from here
  ranchhand.rancher.cloud_credential_rotation:
    name: do prod
    issuer: supplied
    issuer_options:
      verify: false
    rotation_id: 2026-q4
    secrets:
      accessToken: "{{ vaulted_new_token }}"
"""

RETURN = r"""
rotation:
  description: Status of the rotation of the single credential.
  returned: with O(name) or O(id)
  type: dict
  contains: &rotation
    id:
      description: Id of the credential; null if none was found.
      type: str
      sample: cattle-global-data:cc-7kq2f
    name:
      description: Name of the credential; null if it was deleted.
      type: str
      sample: aws prod
    driver:
      description: Driver of the credential.
      type: str
      sample: amazonec2
    owner:
      description: Id of the owner.
      type: str
      sample: u-7xk2p
    members:
      description: Ids of all credentials that contain this key, as the record names them.
      type: list
      elements: str
      sample: [cattle-global-data:cc-7kq2f]
    issuer:
      description: Issuer of the keys; null before the first rotation.
      type: str
      sample: aws
    phase:
      description:
        - Phase of the rotation. One of V(idle), V(preparing), V(issued), V(grace), V(disabling), V(disabled),
          V(deleting), V(rolling_back) and V(aborting). Null if it is not known.
      type: str
      sample: grace
    generation:
      description: Number of rotations that were started.
      type: int
      sample: 3
    rotation_id:
      description: O(rotation_id) of the latest rotation.
      type: str
      sample: 2026-q4
    reason:
      description: O(reason) of the latest rotation.
      type: str
      sample: quarterly
    key_id:
      description: Id of the current or new key at the cloud provider; null if it is not known yet.
      type: str
      sample: AKIAIOSFODNN7EXAMPLE
    old_key_id:
      description: Id of the key that is being retired; null without a rotation in progress, or if it is unknown.
      type: str
      sample: AKIAI44QH8DHBEXAMPLE
    started_at:
      description: Start of the rotation in progress.
      type: str
      sample: "2026-11-24T02:00:01Z"
    issued_at:
      description: Time at which the new key was issued.
      type: str
      sample: "2026-11-24T02:00:03Z"
    cutover_at:
      description: Time at which the new key was written to the credential.
      type: str
      sample: "2026-11-24T02:00:19Z"
    handed_over_at:
      description: Time at which all O(external_stores) contained the new key.
      type: str
      sample: null
    disabled_at:
      description: Time at which the old key was disabled.
      type: str
      sample: null
    rotated_at:
      description: Time of the cutover of the last completed rotation.
      type: str
      sample: "2026-08-24T02:00:17Z"
    expires_at:
      description: Expiry of the key; null if it does not expire.
      type: str
      sample: null
    retire_not_before:
      description: End of the grace time.
      type: str
      sample: "2026-11-25T02:00:19Z"
    delete_not_before:
      description: End of the soak time.
      type: str
      sample: null
    next_step:
      description: Next step of the rotation.
      type: str
      sample: disable the old key
    failures:
      description: Number of runs that have failed since the latest transition.
      type: int
      sample: 0
    external_stores:
      description: Names of the O(external_stores) of the latest rotation.
      type: list
      elements: str
      sample: [vault]
    transitions:
      description: Latest transitions, each with its time, phase, description and run.
      type: list
      elements: dict
      sample:
        - at: "2026-11-24T02:00:19Z"
          phase: grace
          what: cut over to AKIAIOSFODNN7EXAMPLE
          run: 5d41402a
    action:
      description:
        - Result of this run. V(rotated), V(retired), V(rolled_back), V(aborted), V(adopted) or V(forgotten) if this
          state was reached, V(advanced) after a step towards it, V(unchanged), or V(failed).
      type: str
      sample: rotated
    steps:
      description: Phases that this run went through; in check mode, phases that a run would go through.
      type: list
      elements: str
      sample: [preparing, issued, grace]
    waiting_for:
      description: Reasons why the run did not continue.
      type: list
      elements: str
      sample: ["grace: 2026-11-25T02:00:19Z"]
    gates:
      description: Evaluated gates. C(state) is V(open), V(waiting) or V(unknown).
      returned: if gates were evaluated
      type: list
      elements: dict
      sample: [{name: grace, state: waiting, detail: "2026-11-25T02:00:19Z"}]
    msg:
      description: Failure of this credential.
      returned: if it failed
      type: str
    code:
      description: Failure code of this credential.
      returned: if it failed
      type: str
rotations:
  description: Status of the rotation of each of O(credentials), in their order.
  returned: with O(credentials)
  type: list
  elements: dict
  contains: *rotation
code:
  description:
    - Failure code. One of V(invalid), V(ambiguous), V(not_found), V(forbidden), V(conflict), V(unsupported),
      V(unreachable), V(server_error) and V(partial), or one of V(busy), V(drift), V(gone), V(not_cut_over),
      V(old_unusable), V(orphan), V(other_writer), V(provider_refused), V(shared_key), V(slot_taken), V(throttled),
      V(too_late), V(unconfirmed), V(unfinished), V(unproven), V(unusable) and V(verify_failed), which the runbook
      explains.
  returned: failure
  type: str
  sample: drift
"""
