# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Argument specifications that merge, and one parser for them that reports every mistake at once.

PRIVATE to the collection.
"""

from __future__ import annotations

import os
import typing as t
from collections.abc import Mapping
from dataclasses import dataclass, field

from ansible.module_utils.parsing.convert_bool import BOOLEANS, boolean

from .errors import ValidationErrors


@dataclass(frozen=True)
class OptionSpec:
    """Options in ansible-core's argument spec format, with the constraints that belong to them.

    A constraint that names other options travels with its options when specs are merged.
    """

    options: Mapping[str, dict[str, t.Any]]
    mutually_exclusive: tuple[tuple[str, ...], ...] = ()

    def merge(self, *others: OptionSpec) -> OptionSpec:
        """One spec that has the options and constraints of all."""
        options = dict(self.options)
        exclusive = self.mutually_exclusive
        for other in others:
            options.update(other.options)
            exclusive += other.mutually_exclusive
        return OptionSpec(options, exclusive)

    def for_module(self) -> dict[str, t.Any]:
        """Keyword arguments for AnsibleModule."""
        return {"argument_spec": dict(self.options), "mutually_exclusive": list(self.mutually_exclusive)}


WAIT = OptionSpec({
    "wait": {"type": "bool", "default": False},
    "wait_timeout": {"type": "int", "default": 120},
    "wait_sleep": {"type": "int", "default": 5},
})


def single_or_list(call: OptionSpec, item: OptionSpec, list_name: str, per_call: t.Collection[str]) -> OptionSpec:
    """The spec of a module that takes one object, or a list of them under ``list_name``.

    ``per_call`` are the options of ``item`` that may also stand on the call for all items of the list; within an item they
    have no default, so that what stands on the call shows through.
    """
    suboptions = {
        name: {key: value for key, value in option.items() if not (name in per_call and key == "default")}
        for name, option in item.options.items()
    }
    exclusive = tuple((list_name, name) for name in item.options if name not in per_call)
    return item.merge(call, OptionSpec({list_name: {"type": "list", "elements": "dict", "options": suboptions}}, exclusive))


@dataclass
class _Parser:
    mistakes: list[str] = field(default_factory=list)
    _names: dict[int, dict[str, str]] = field(default_factory=dict)

    def mapping(self, spec: Mapping[str, dict[str, t.Any]], given: Mapping[str, t.Any], where: str) -> dict[str, t.Any]:
        names = self._names.get(id(spec))
        if names is None:
            names = self._names[id(spec)] = {alias: name for name, option in spec.items() for alias in (name, *option.get("aliases", ()))}
        parsed: dict[str, t.Any] = {}
        for key, value in given.items():
            name = names.get(key)
            if name is None:
                self.mistakes.append(f"{where}unknown option {key!s:.60}; allowed are {', '.join(sorted(spec))}")
            elif value is not None:
                if parsed.get(name) is not None:
                    self.mistakes.append(f"{where}{name} is given twice, under two of its names")
                parsed[name] = self.value(spec[name], value, where, name)
        for name, option in spec.items():
            if parsed.get(name) is None:
                if option.get("required") and name not in parsed:  # else its mistake has been told
                    self.mistakes.append(f"{where}{name} is required")
                parsed[name] = option.get("default")
        return parsed

    def value(self, option: dict[str, t.Any], value: t.Any, where: str, name: str) -> t.Any:
        kind = option.get("type", "str")
        parsed = getattr(self, f"_{kind}")(option, value, where, name)
        if parsed is None:
            self.mistakes.append(f"{where}{name} must be {_EXPECTED[kind]}, not {_type_name(value)}")
        elif "choices" in option and parsed not in option["choices"]:
            self.mistakes.append(f"{where}{name} must be one of {', '.join(option['choices'])}")
        return parsed

    def _str(self, option: dict[str, t.Any], value: t.Any, where: str, name: str) -> str | None:
        if isinstance(value, (str, int)) and not isinstance(value, bool):
            return str(value)
        return None

    def _path(self, option: dict[str, t.Any], value: t.Any, where: str, name: str) -> str | None:
        return os.path.expanduser(os.path.expandvars(value)) if isinstance(value, str) else None

    def _raw(self, option: dict[str, t.Any], value: t.Any, where: str, name: str) -> t.Any:
        return value

    def _bool(self, option: dict[str, t.Any], value: t.Any, where: str, name: str) -> bool | None:
        if isinstance(value, str):
            value = value.strip().lower()
        return boolean(value) if not isinstance(value, (dict, list)) and value in BOOLEANS else None

    def _int(self, option: dict[str, t.Any], value: t.Any, where: str, name: str) -> int | None:
        if isinstance(value, str) and value.strip().isdigit():
            return int(value)
        return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None

    def _dict(self, option: dict[str, t.Any], value: t.Any, where: str, name: str) -> dict[str, t.Any] | None:
        if not isinstance(value, Mapping):
            return None
        if "options" in option:
            return self.mapping(option["options"], value, f"{where}{name}: ")
        return dict(value)

    def _list(self, option: dict[str, t.Any], value: t.Any, where: str, name: str) -> list[t.Any] | None:
        if isinstance(value, str) and option.get("elements") == "str":
            value = [part.strip() for part in value.split(",")]
        if not isinstance(value, list):
            return None
        item = {"type": option["elements"], **{key: option[key] for key in ("options",) if key in option}}
        if item["type"] != "dict":
            return [self.value(item, element, where, f"{name}[{index}]") for index, element in enumerate(value)]
        parsed = []
        for index, element in enumerate(value):
            if isinstance(element, Mapping):
                label = element.get("name") or element.get("id")
                place = f"{name}[{index}]" + (f" ({label:.60})" if isinstance(label, str) else "")
                parsed.append(self.mapping(item["options"], element, f"{where}{place}: "))
            else:
                self.mistakes.append(f"{where}{name}[{index}] must be {_EXPECTED['dict']}, not {_type_name(element)}")
                parsed.append(None)  # so that the others keep their index
        return parsed


_EXPECTED = {
    "str": "a string", "path": "a path", "bool": "true or false", "int": "a whole number of at least 0",
    "dict": "a mapping", "list": "a list", "raw": "a value",
}


def _type_name(value: t.Any) -> str:
    for kind, name in ((bool, "a boolean"), (str, "this string"), (int, "this number"), (float, "a floating point number"),
                       (Mapping, "a mapping"), (list, "a list")):
        if isinstance(value, kind):
            return name
    return "this value"


def parse_options(
    spec: OptionSpec, given: Mapping[str, t.Any], check: t.Callable[[Mapping[str, t.Any]], t.Any] = lambda parsed: None
) -> dict[str, t.Any]:
    """Options as given in a task, typed, with defaults; null and absent are the same.

    ``check`` looks at the parsed options and raises Mistakes too; what it finds is told together with the rest. No message
    holds a value, as any value may be a secret put in the wrong place. Raises Mistakes with all that is wrong.
    """
    parser = _Parser()
    parsed = parser.mapping(spec.options, given, "")
    for names in spec.mutually_exclusive:
        both = [name for name in names if given.get(name) is not None]
        if len(both) > 1:
            parser.mistakes.append(f"{' and '.join(both)} cannot be given together")
    try:
        check(parsed)
    except ValidationErrors as error:
        parser.mistakes += error.messages
    if parser.mistakes:
        raise ValidationErrors(parser.mistakes)
    return parsed


def to_builtin(value: t.Any) -> t.Any:
    """A task's arguments as built-in types.

    ansible-core hands over its own kinds of strings (vaulted, unsafe, tagged), some of which are no ``str``.
    """
    if isinstance(value, Mapping):
        return {str(to_builtin(key)): to_builtin(element) for key, element in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_builtin(element) for element in value]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    return str.__str__(value) if isinstance(value, str) else str(value)  # str() of an unsafe one is unsafe again
