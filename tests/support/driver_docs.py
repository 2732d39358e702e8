# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Renders docs/drivers.md from the schemas that were recorded from Ranchers.

    cd tests && PYTHONPATH=.:../.local/root python -m support.driver_docs

writes the page.
"""

from __future__ import annotations

import json
from pathlib import Path

from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher.driver_schema import DriverSchemas
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation.node_driver_info import show_driver

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/drivers.md"
VERSIONS = ("2.10", "2.15")

_HEAD = """\
<!-- Generated from recorded schemas by `python -m support.driver_docs` in tests. -->
# Drivers

These are the drivers that are active in a new Rancher %(versions)s, and the fields of their cloud credentials and
machines. Your Rancher may have others: the module `node_driver_info` lists them.

```yaml
- name: Read the fields of all active drivers
  ranchhand.rancher.node_driver_info:
  register: drivers
```

Public fields belong in `config`, secret ones in `secrets`. A field is in all of these versions unless its description
names one.
"""


def schemas(version):
    """Return the schemas of a recorded Rancher."""
    path = ROOT / f"tests/control_plane/fixtures/rancher-{version}.0.json"
    objects = json.loads(path.read_text(encoding="utf-8"))
    return DriverSchemas(item for item in objects if item["kind"] == "DynamicSchema")


def render():
    """Return the page."""
    recorded = {version: schemas(version) for version in VERSIONS}
    names = sorted(set().union(*(each.drivers | each.machine_drivers for each in recorded.values())))
    page = _HEAD % {"versions": " and ".join(VERSIONS)}
    for name in names:
        shown = {
            version: show_driver(each, name)
            for version, each in recorded.items()
            if name in each.drivers | each.machine_drivers
        }
        latest = list(shown.values())[-1]
        page += f"\n## {name}\n\n{_keys(latest)}{_only(shown)}\n\n{_verified(latest)}\n"
        for title, kind in (("Cloud credential", "credential_fields"), ("Machine", "machine_fields")):
            fields = {version: driver[kind] for version, driver in shown.items() if driver[kind]}
            if fields:
                page += f"\n{title} fields:\n\n{_table(fields)}"
            if fields and kind == "credential_fields":
                page += "\n" + _example(name, list(fields.values())[-1])
    return page


def _keys(driver):
    if not driver["issuer"]:
        return "Rotation: you supply the new key, and delete the old one at the provider."
    disabled = "disabled, later deleted" if driver["disables_keys"] else "deleted"
    return f"Rotation: issuer `{driver['issuer']}` creates and verifies the new key; the old key is {disabled}."


def _verified(driver):
    if not driver["verifies_keys"]:
        return "`verify` is not available."
    options = ", ".join(f"`{name}`" for name in driver["verify_options"]) or "none"
    return f"`verify` signs in with the key before it is stored. `verify_options`: {options}."


def _only(shown):
    return "" if len(shown) == len(VERSIONS) else f" Only in Rancher {next(iter(shown))}."


def _table(by_version):
    rows = {}
    for version, fields in by_version.items():
        for field in fields:
            rows.setdefault(field["name"], {})[version] = field
    text = "| Field | Type | Default | |\n|---|---|---|---|\n"
    for name, versions in sorted(rows.items()):
        field = list(versions.values())[-1]
        notes = [word for word in ("required", "secret") if field[word]]
        if len(versions) < len(by_version):
            notes.append(f"only in Rancher {next(iter(versions))}")
        default = "" if field["default"] is None else f"`{json.dumps(field['default'])}`"
        text += f"| `{name}` | {field['type']} | {default} | {', '.join(notes)} |\n"
    return text


def _example(name, fields):
    required = [field for field in fields if field["required"]] or fields
    lines = [
        "```yaml", f"- name: Create a cloud credential of driver {name}", "  ranchhand.rancher.cloud_credential:",
        f"    name: {name} prod", f"    driver: {name}", "    owner: admin",
    ]  # fmt: skip
    for option, secret in (("config", False), ("secrets", True)):
        chosen = [field["name"] for field in required if field["secret"] is secret]
        if chosen:
            lines += [f"    {option}:"]
            lines += [f'      {each}: "{{{{ {name}_{_snake(each)} }}}}"' for each in chosen]
    return "\n".join([*lines, "```", ""])


def _snake(name):
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
