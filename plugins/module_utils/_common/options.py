# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Argument specifications that can be merged, and their parser, which reports all validation errors together.

Specifications use ansible-core's format and one more type: ``duration``, which is a string such as ``90s`` in a
playbook and a number of seconds in the parsed options. Its defaults are written as strings.
"""

from __future__ import annotations

import os
import re
import typing as t
from collections.abc import Mapping
from dataclasses import dataclass, field

from .errors import ValidationErrors
from .times import parse_duration

# What YAML 1.1 and ansible-core accept as true and false.
_BOOLEANS: Mapping[t.Any, bool] = {
    **dict.fromkeys(("y", "yes", "on", "1", "true", "t", 1), True),
    **dict.fromkeys(("n", "no", "off", "0", "false", "f", 0), False),
}

Option = t.Dict[str, t.Any]
Options = t.Mapping[str, Option]


@dataclass(frozen=True)
class OptionSpec:
    """Options with the constraints that belong to them; a constraint is kept when specifications are merged."""

    options: Options
    mutually_exclusive: tuple[tuple[str, ...], ...] = ()

    def merge(self, *others: OptionSpec) -> OptionSpec:
        """Return a specification with the options and constraints of all."""
        options = dict(self.options)
        exclusive = self.mutually_exclusive
        for other in others:
            options.update(other.options)
            exclusive += other.mutually_exclusive
        return OptionSpec(options, exclusive)

    def for_module(self) -> dict[str, t.Any]:
        """Return the keyword arguments for AnsibleModule, which has no type ``duration``."""
        return {"argument_spec": _for_module(self.options), "mutually_exclusive": list(self.mutually_exclusive)}


def _for_module(options: Options) -> dict[str, Option]:
    converted = {}
    for name, option in options.items():
        option = dict(option)
        if option.get("type") == "duration":
            option["type"] = "str"
        if "options" in option:
            option["options"] = _for_module(option["options"])
        converted[name] = option
    return converted


WAIT = OptionSpec({
    "wait": {"type": "bool", "default": False},
    "wait_timeout": {"type": "duration", "default": "120s"},
    "wait_sleep": {"type": "duration", "default": "5s"},
})


def single_or_list(call: OptionSpec, item: OptionSpec, list_name: str, per_call: t.Collection[str]) -> OptionSpec:
    """Return the specification of a module that takes one object, or a list of objects under ``list_name``.

    The options ``per_call`` of an item can also be set on the call, for all items of the list. Within an item they have
    no default, so that the value of the call applies.
    """
    suboptions = {
        name: {key: value for key, value in option.items() if not (name in per_call and key == "default")}
        for name, option in item.options.items()
    }
    exclusive = tuple((list_name, name) for name in item.options if name not in per_call)
    items = OptionSpec({list_name: {"type": "list", "elements": "dict", "options": suboptions}}, exclusive)
    return item.merge(call, items)


_EXPECTED = {
    "str": "a string", "path": "a path", "bool": "true or false", "int": "a whole number of at least 0",
    "dict": "a mapping", "list": "a list",
}
_TYPE_NAMES: tuple[tuple[t.Any, str], ...] = (
    (bool, "a boolean"), (str, "this string"), (int, "this number"), (float, "a floating point number"),
    (Mapping, "a mapping"), (list, "a list"),
)


def _wrong_type(kind: str, value: t.Any) -> ValueError:
    found = next((name for type_, name in _TYPE_NAMES if isinstance(value, type_)), "this value")
    return ValueError(f"must be {_EXPECTED[kind]}, not {found}")


def _parse_str(value: t.Any) -> str:
    if isinstance(value, (str, int)) and not isinstance(value, bool):
        return str(value)
    raise _wrong_type("str", value)


def _parse_path(value: t.Any) -> str:
    if isinstance(value, str):
        if "\0" in value:
            raise ValueError("must not contain a NUL character")
        return os.path.expanduser(os.path.expandvars(value))
    raise _wrong_type("path", value)


def _parse_bool(value: t.Any) -> bool:
    key = value.strip().lower() if isinstance(value, str) else value
    if isinstance(key, (str, int, float)) and key in _BOOLEANS:
        return _BOOLEANS[key]
    raise _wrong_type("bool", value)


def _parse_int(value: t.Any) -> int:
    if isinstance(value, (str, int)) and not isinstance(value, bool) and re.fullmatch("[0-9]{1,18}", _digits(value)):
        return int(value)
    raise _wrong_type("int", value)


def _digits(value: str | int) -> str:
    """Return the text of a number; "" if Python refuses to convert one with thousands of digits."""
    try:
        return str(value).strip()
    except ValueError:
        return ""


def _parse_duration(value: t.Any) -> int:
    return parse_duration(value if isinstance(value, str) else "")


# Each returns the typed value, or raises ValueError with the end of a sentence that never contains the value.
_PARSERS: Mapping[str, t.Callable[[t.Any], t.Any]] = {
    "str": _parse_str, "path": _parse_path, "bool": _parse_bool, "int": _parse_int, "duration": _parse_duration,
    "raw": lambda value: value,
}


class ParsedOptions(t.Dict[str, t.Any]):
    """Typed options; ``invalid`` are those whose value was reported as an error, and which are None therefore."""

    invalid: frozenset[str] = frozenset()


@dataclass
class _Parser:
    errors: list[str] = field(default_factory=list)
    _names: dict[int, dict[str, str]] = field(default_factory=dict)

    def mapping(self, options: Options, values: Mapping[str, t.Any], where: str) -> dict[str, t.Any]:
        names = self._option_names(options)
        parsed = ParsedOptions()
        for key, value in values.items():
            name = names.get(key)
            if name is None:
                self.errors.append(f"{where}unknown option {key!s:.60}; allowed are {', '.join(sorted(options))}")
            elif value is not None:
                if parsed.get(name) is not None:
                    self.errors.append(f"{where}{name} is set twice, under two of its names")
                errors = len(self.errors)
                parsed[name] = self.value(options[name], value, where, name)
                if len(self.errors) > errors:
                    parsed.invalid |= {name}
        for name, option in options.items():
            if parsed.get(name) is None:
                if option.get("required") and name not in parsed:  # otherwise its error is reported already
                    self.errors.append(f"{where}{name} is required")
                parsed[name] = _default(option)
        return parsed

    def _option_names(self, options: Options) -> dict[str, str]:
        """Return the option of each name and alias; computed once for all items of a list."""
        names = self._names.get(id(options))
        if names is None:
            names = {alias: name for name, option in options.items() for alias in (name, *option.get("aliases", ()))}
            self._names[id(options)] = names
        return names

    def value(self, option: Option, value: t.Any, where: str, name: str) -> t.Any:
        """Return the typed value; None after an error."""
        kind = option.get("type", "str")
        try:
            if kind == "dict":
                return self._dict(option, value, where, name)
            if kind == "list":
                return self._list(option, value, where, name)
            parsed = _PARSERS[kind](value)
        except ValueError as error:
            self.errors.append(f"{where}{name} {error}")
            return None
        if "choices" in option and parsed not in option["choices"]:
            self.errors.append(f"{where}{name} must be one of {', '.join(option['choices'])}")
        return parsed

    def _dict(self, option: Option, value: t.Any, where: str, name: str) -> dict[str, t.Any]:
        if not isinstance(value, Mapping):
            raise _wrong_type("dict", value)
        return self.mapping(option["options"], value, f"{where}{name}: ") if "options" in option else dict(value)

    def _list(self, option: Option, value: t.Any, where: str, name: str) -> list[t.Any]:
        if isinstance(value, str) and option.get("elements") == "str":
            value = [part.strip() for part in value.split(",")]
        if not isinstance(value, list):
            raise _wrong_type("list", value)
        element_option = {key: option[key] for key in ("options",) if key in option}
        element_option["type"] = option["elements"]
        return [
            self.value(element_option, element, where, _element_name(name, index, element))
            for index, element in enumerate(value)
        ]


def _default(option: Option) -> t.Any:
    value = option.get("default")
    return _parse_duration(value) if option.get("type") == "duration" and value is not None else value


def _element_name(list_name: str, index: int, element: t.Any) -> str:
    label = (element.get("name") or element.get("id")) if isinstance(element, Mapping) else None
    return f"{list_name}[{index}]" + (f" ({label:.60})" if isinstance(label, str) else "")


def parse_options(
    spec: OptionSpec, values: Mapping[str, t.Any], check: t.Callable[[Mapping[str, t.Any]], t.Any] = lambda parsed: None
) -> dict[str, t.Any]:
    """Return the options of a task, typed, with defaults; null and absent are the same.

    Args:
        check: further validation of the parsed options; its errors are reported together with those of the parser.

    Raises:
        ValidationErrors: all errors. No message contains a value, as any value may be a misplaced secret.
    """
    parser = _Parser()
    parsed = parser.mapping(spec.options, values, "")
    for names in spec.mutually_exclusive:
        present = [name for name in names if values.get(name) is not None]
        if len(present) > 1:
            parser.errors.append(f"{' and '.join(present)} are mutually exclusive")
    try:
        check(parsed)
    except ValidationErrors as error:
        parser.errors += error.messages
    if parser.errors:
        raise ValidationErrors(parser.errors)
    return parsed


def to_builtin(value: t.Any) -> t.Any:
    """Return a task's arguments as built-in types.

    ansible-core passes its own string types (vaulted, unsafe, tagged), some of which do not derive from ``str``.
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
    return str.__str__(value) if isinstance(value, str) else str(value)  # str() of an unsafe string is unsafe again
