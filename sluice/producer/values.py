"""Python values as JSON, by rules that lose nothing: docs/producers.md has them as a table. Pure."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import msgspec

from functions.batch_writer import items
from functions.batch_writer.items import Rejected

_LEAST_INT, _MOST_INT = -(1 << 63), (1 << 64) - 1  # What msgspec writes as a number by itself.
_BINARY = (bytes, bytearray, memoryview)


class NeedsNativeError(Exception):
    """Binary or a set, for which plain JSON has no form."""


def plain(value: Any, level: int = 0) -> Any:
    """What msgspec writes as plain JSON of the value. Raises `NeedsNativeError`, and `Rejected`.

    `level` is the nesting of what the value stands in; the item itself is 1.
    """
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return value
    if kind is dict:
        return _map(value, plain, _deeper(level))
    if kind is list or kind is tuple:
        return _list(value, plain, _deeper(level))
    text = _number(value)
    if text is not None:
        return value if kind is int and _LEAST_INT <= value <= _MOST_INT else msgspec.Raw(text.encode())
    if isinstance(value, (*_BINARY, set, frozenset)):
        raise NeedsNativeError
    return plain(simpler(value), level)


def native(value: Any, level: int = 0) -> dict[str, Any]:
    """The same value in DynamoDB JSON. Raises `Rejected`."""
    kind = type(value)
    if kind is str:
        return {"S": value}
    if kind is bool:
        return {"BOOL": value}
    if value is None:
        return {"NULL": True}
    if kind is dict:
        return {"M": _map(value, native, _deeper(level))}
    if kind is list or kind is tuple:
        return {"L": _list(value, native, _deeper(level))}
    text = _number(value)
    if text is not None:
        return {"N": text}
    if isinstance(value, _BINARY):
        return {"B": base64.b64encode(value).decode()}
    if isinstance(value, set | frozenset):
        return _set(value)
    return native(simpler(value), level)


def simpler(value: Any) -> Any:
    """A value of a type that has no rule of its own, as one that has. Raises `Rejected` where there is none."""
    match value:
        case Enum():
            return value.value
        case str():
            return str.__str__(value)
        case UUID():
            return str(value)
        case datetime() | date() | time():
            return value.isoformat()
        case tuple() if hasattr(value, "_fields"):
            return dict(zip(value._fields, value, strict=True))
        case list() | tuple():
            return list(value)
        case Mapping():
            return dict(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    raise Rejected("InvalidAttribute", f"no rule says how to store a {type(value).__name__}")


def _number(value: Any) -> str | None:
    """A number with every digit it has; a float as its shortest spelling that reads back the same."""
    if isinstance(value, Enum | bool) or not isinstance(value, int | float | Decimal):
        return None
    if isinstance(value, int):
        if -(10**37) < value < 10**37:
            return int.__repr__(value)
        # A number of more digits than Python spells out at once (4,300) is refused below anyway.
        return _checked(Decimal(value) if value.bit_length() < 10_000 else Decimal("1E+400"))
    if isinstance(value, float):
        return _checked(Decimal(float.__repr__(value)), float.__repr__(value))
    return _checked(value)


def _checked(number: Decimal, text: str | None = None) -> str:
    if not number.is_finite():
        raise Rejected("InvalidNumber", "NaN and infinities are no numbers of DynamoDB's")
    items.plain_value(Decimal(number), 1)
    return text or str(Decimal(number))


def _map(values: dict[Any, Any], convert: Callable[[Any, int], Any], level: int) -> dict[str, Any]:
    converted = {}
    for name, value in values.items():
        if type(name) is not str:
            name = name.value if isinstance(name, Enum) else name
            if not isinstance(name, str):
                raise Rejected("InvalidAttribute", f"a name must be a string, not {type(name).__name__}")
            name = str.__str__(name)
        try:
            converted[name] = convert(value, level)
        except Rejected as rejected:
            raise rejected.inside(f".{name}") from None
    if len(converted) < len(values):
        raise Rejected("InvalidAttribute", "two names of a map are the same as strings")
    return converted


def _list(values: list[Any] | tuple[Any, ...], convert: Callable[[Any, int], Any], level: int) -> list[Any]:
    converted = []
    for position, value in enumerate(values):
        try:
            converted.append(convert(value, level))
        except Rejected as rejected:
            raise rejected.inside(f"[{position}]") from None
    return converted


def _set(values: set[Any] | frozenset[Any]) -> dict[str, Any]:
    elements = [native(value) for value in values]
    kinds = {kind for element in elements for kind in element}
    if not elements:
        raise Rejected("EmptySet", "a set must have at least one element")
    if len(kinds) > 1 or not kinds <= {"S", "N", "B"}:
        raise Rejected("InvalidAttribute", "a set holds strings, or numbers, or binary, and no two kinds of them")
    (kind,) = kinds
    members = sorted(element[kind] for element in elements)
    if len(set(members)) < len(members):
        raise Rejected("DuplicateSetElement", "two elements of a set are the same once stored")
    return {f"{kind}S": members}


def _deeper(level: int) -> int:
    if level >= items.MAX_NESTING:
        raise Rejected("NestingTooDeep", f"nested deeper than {items.MAX_NESTING} levels, the item being the first")
    return level + 1
