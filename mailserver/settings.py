"""Frozen config dataclasses, read from named text values (the environment, a TOML file).

Every field of a config dataclass is one setting: its variable is the prefix and the field's name in capitals
(`WAYPOST_SMTP_` and `line_limit_octets` give WAYPOST_SMTP_LINE_LIMIT_OCTETS), its type says what text is right, its
default what holds without it, and the comment at it (see `field_comments`) what it means. A field whose type is itself
a config dataclass is a group with a longer prefix. So a package names a limit once, as a field, and it is a setting.

`metadata` of a field may hold: `help` (instead of the comment), `variable` (another name), `prefix` (of a group),
`variables` (of a group: field name to variable), `least` and `most` (of a number; without `least` numbers are not
negative), `example`, `is_secret`.
"""

import difflib
import math
import types
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from mailserver.field_comments import field_comments

T = TypeVar("T")

TRUE = frozenset({"1", "yes", "true", "on"})
FALSE = frozenset({"0", "no", "false", "off"})
SECRET_WORDS = ("PASSWORD", "SECRET", "KEY", "TOKEN", "URL")


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one setting, and a line that would be right."""

    variable: str
    wrong: str
    example: str

    def __str__(self) -> str:
        return f"{self.variable}: {self.wrong}; for example {self.variable}={self.example}"


class ConfigurationInvalid(Exception):
    """The configuration cannot be used; `problems` names every setting that is wrong, not only the first."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Setting:
    """One named setting, as `--settings` lists it. `default` is None where the setting must be given."""

    variable: str
    kind: str
    default: str | None
    meaning: str
    is_secret: bool


@dataclass(frozen=True, slots=True)
class _Leaf:
    variable: str
    field: Field[Any]
    hint: Any
    meaning: str
    default: Any  # MISSING where the setting must be given

    @property
    def is_secret(self) -> bool:
        given = self.field.metadata.get("is_secret")
        return any(word in self.variable for word in SECRET_WORDS) if given is None else bool(given)

    @property
    def is_required(self) -> bool:
        return self.default is MISSING


def from_environment(kind: type[T], prefix: str, values: Mapping[str, str]) -> T:
    """Build `kind` from the values whose names begin with `prefix`. Raises ConfigurationInvalid with every problem."""
    problems: list[Problem] = []
    built = _build(kind, prefix, values, {}, MISSING, problems)
    if problems:
        first_of_each: dict[tuple[str, str], Problem] = {}
        for problem in problems:
            first_of_each.setdefault((problem.variable, problem.wrong), problem)
        raise ConfigurationInvalid(tuple(first_of_each.values()))
    return cast(T, built)


def settings_of(kind: type, prefix: str) -> list[Setting]:
    """Every setting of `kind`, in the order of its fields; a variable that several fields read is listed once."""
    listed: dict[str, Setting] = {}
    for leaf in _leaves(kind, prefix, {}, MISSING):
        default = None if leaf.is_required else show(leaf.default)
        listed.setdefault(
            leaf.variable, Setting(leaf.variable, _kind_name(leaf.hint), default, leaf.meaning, leaf.is_secret)
        )
    return list(listed.values())


def unknown_among(names: Mapping[str, str], known: list[Setting], prefix: str) -> dict[str, str | None]:
    """Names that begin with the prefix and are no setting, each with the setting that was probably meant, or None."""
    variables = [setting.variable for setting in known]
    unknown = sorted(name for name in names if name.startswith(prefix) and name not in variables)
    return {name: next(iter(difflib.get_close_matches(name, variables, 1, 0.85)), None) for name in unknown}


def show(value: object) -> str:
    """A value as the text one would write for it."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case tuple():
            return ",".join(show(each) for each in value)
        case _:
            return str(value)


def _build(
    kind: type[Any],
    prefix: str,
    values: Mapping[str, str],
    variables: Mapping[str, str],
    whole: Any,
    problems: list[Problem],
) -> Any:
    """`whole` is the instance that holds without any value, or MISSING."""
    hints = get_type_hints(kind)
    before = len(problems)
    arguments: dict[str, Any] = {}
    for field in fields(kind):
        hint = hints[field.name]
        default = _default(field, whole)
        if _is_group(hint):
            names = field.metadata.get("variables", {})
            arguments[field.name] = _build(hint, _group_prefix(field, prefix), values, names, default, problems)
            continue
        leaf = _leaf(field, hint, prefix, variables, "", default)
        text = values.get(leaf.variable, "").strip()
        if text:
            _read_into(arguments, leaf, text, problems)
        elif leaf.is_required:
            problems.append(Problem(leaf.variable, "must be set", _example(leaf)))
        else:
            arguments[field.name] = default
    if len(problems) > before:
        return None
    try:
        return kind(**arguments)
    except ValueError as error:  # what __post_init__ says of several fields together
        problems.append(Problem(prefix + "…", str(error), "…"))
        return None


def _read_into(arguments: dict[str, Any], leaf: _Leaf, text: str, problems: list[Problem]) -> None:
    try:
        value = _parse(leaf.hint, text)
        _check_range(value, leaf.field.metadata)
    except ValueError as error:
        shown = "its value" if leaf.is_secret else repr(text)
        problems.append(Problem(leaf.variable, f"{shown} {error}", _example(leaf)))
    else:
        arguments[leaf.field.name] = value


def _parse(hint: Any, text: str) -> Any:
    """The value that the text says. Raises ValueError whose text continues a sentence that began with the value."""
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return _parse(next(each for each in get_args(hint) if each is not types.NoneType), text)
    if origin is Literal:
        return _parse_choice([str(each) for each in get_args(hint)], text)
    if origin is tuple:
        return tuple(_parse(get_args(hint)[0], each.strip()) for each in text.split(",") if each.strip())
    if hint is bool:
        return _parse_bool(text)
    if hint is int:
        return _parse_number(int, text, "is not a whole number")
    if hint is float:
        return _parse_number(float, text, "is not a number")
    if hint in (str, Path):
        return hint(text)
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return hint(_parse_choice([str(each) for each in hint], text))
    return hint.from_text(text)


def _parse_bool(text: str) -> bool:
    if text.lower() in TRUE:
        return True
    if text.lower() in FALSE:
        return False
    raise ValueError("is neither yes nor no")


def _parse_number(kind: type[int] | type[float], text: str, complaint: str) -> float:
    try:
        value = kind(text)
    except ValueError:
        raise ValueError(complaint) from None
    if not math.isfinite(value):
        raise ValueError(complaint)
    return value


def _parse_choice(choices: list[str], text: str) -> str:
    if text not in choices:
        raise ValueError(f"is none of {', '.join(choices)}")
    return text


def _check_range(value: Any, metadata: Mapping[str, Any]) -> None:
    for each in value if isinstance(value, tuple) else (value,):
        if isinstance(each, bool) or not isinstance(each, int | float):
            continue
        least, most = metadata.get("least", 0), metadata.get("most")
        if each < least:
            raise ValueError(f"is less than {least}")
        if most is not None and each > most:
            raise ValueError(f"is more than {most}")


def _example(leaf: _Leaf) -> str:
    if "example" in leaf.field.metadata:
        return str(leaf.field.metadata["example"])
    if not leaf.is_required and (shown := show(leaf.default)):
        return shown
    hint = leaf.hint
    if get_origin(hint) in (Union, types.UnionType):
        hint = get_args(hint)[0]
    if get_origin(hint) is Literal:
        return str(get_args(hint)[0])
    return {int: "10", float: "2.5", bool: "yes", Path: "/etc/waypost/file"}.get(hint, "text")


def _leaves(kind: type, prefix: str, variables: Mapping[str, str], whole: Any) -> Iterator[_Leaf]:
    hints = get_type_hints(kind)
    meanings = field_comments(kind)
    for field in fields(kind):
        hint = hints[field.name]
        default = _default(field, whole)
        if _is_group(hint):
            yield from _leaves(hint, _group_prefix(field, prefix), field.metadata.get("variables", {}), default)
        else:
            yield _leaf(field, hint, prefix, variables, meanings.get(field.name, ""), default)


def _leaf(field: Field[Any], hint: Any, prefix: str, variables: Mapping[str, str], meaning: str, default: Any) -> _Leaf:
    own_name = field.metadata.get("variable", prefix + field.name.upper())
    return _Leaf(variables.get(field.name, own_name), field, hint, field.metadata.get("help", meaning), default)


def _default(field: Field[Any], whole: Any) -> Any:
    if whole is not MISSING:
        return getattr(whole, field.name)
    return field.default if field.default is not MISSING else _made(field.default_factory)


def _made(factory: Any) -> Any:
    return MISSING if factory is MISSING else factory()


def _group_prefix(field: Field[Any], prefix: str) -> str:
    return str(field.metadata.get("prefix", f"{prefix}{field.name.upper()}_"))


def _is_group(hint: Any) -> bool:
    return is_dataclass(hint) and not hasattr(hint, "from_text")


def _kind_name(hint: Any) -> str:
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return _kind_name(next(each for each in get_args(hint) if each is not types.NoneType))
    if origin is Literal:
        return "|".join(str(each) for each in get_args(hint))
    if origin is tuple:
        return f"{_kind_name(get_args(hint)[0])},…"
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return "|".join(str(each) for each in hint)
    names = {bool: "yes|no", int: "whole number", float: "number", str: "text", Path: "path"}
    return names.get(hint) or str(hint.__name__).lower()
