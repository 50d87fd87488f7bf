"""Settings as fields of a dataclass, read from CDK context: their parsers, names and reasons."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, TypeVar

T = TypeVar("T")
Parse = Callable[[Any], Any]
"""Takes a JSON value, or the text after `-c name=`; raises `ValueError` with what it must be."""


DERIVED: Any = object()
"""The default of a setting that follows from others, until it is worked out."""


class ConfigError(ValueError):
    """A setting of the stack is unknown, out of range or contradicts another."""


@dataclass(frozen=True, slots=True)
class Setting:
    """How one setting is read from CDK context, and why its default is what it is."""

    parse: Parse
    reason: str
    derivation: str = ""
    """The default in words, where it depends on other settings."""


def setting(default: T, parse: Parse, reason: str, derivation: str = "") -> T:
    """A field of a dataclass that is read from CDK context."""
    return field(default=default, metadata={"setting": Setting(parse, reason, derivation)})


def settings_of(kind: type) -> dict[str, tuple[str, Setting]]:
    """Name in context → field of the dataclass and its setting."""
    return {camel_case(f.name): (f.name, f.metadata["setting"]) for f in fields(kind) if "setting" in f.metadata}


def read(kind: type, context: Mapping[str, Any], where: str = "") -> dict[str, Any]:
    """Field → value, of the dataclass's settings that `context` has.

    Raises `ConfigError`, whose message begins with `where`.
    """
    given = {}
    for key, (name, setting) in settings_of(kind).items():
        if key in context:
            try:
                given[name] = setting.parse(context[key])
            except ConfigError:  # About a setting within this one, which it names.
                raise
            except ValueError as error:
                raise ConfigError(f"{where}{key} must be {error}, got {context[key]!r}") from None
    return given


def given(config: Any) -> set[str]:
    """The fields that are not at their defaults."""
    return {name for name, default, value in _values(config) if value != default and default is not DERIVED}


def check_values(config: Any) -> None:
    """Raise `ConfigError` for a value that its setting does not take, for who gives values in Python.

    Values that are parsed already, such as tables, are left alone.
    """
    for name, default, value in _values(config):
        if value is DERIVED or value == default or not isinstance(value, (str, int, float, type(None))):
            continue
        try:
            config.__dataclass_fields__[name].metadata["setting"].parse(value)
        except ValueError as error:
            raise ConfigError(f"{name} must be {error}, got {value!r}") from None


def _values(config: Any) -> list[tuple[str, Any, Any]]:
    """Name, default and value of each field that is a setting."""
    return [
        (f.name, f.default_factory() if f.default_factory is not MISSING else f.default, getattr(config, f.name))
        for f in fields(config)
        if "setting" in f.metadata
    ]


def camel_case(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
