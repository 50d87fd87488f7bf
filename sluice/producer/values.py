"""Python values as JSON, by rules that lose nothing: docs/producers.md has them as a table. Pure."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any
from uuid import UUID

import msgspec

from sluice.message import items
from sluice.message.items import Rejected

_MIN_INT, _MAX_INT = -(1 << 63), (1 << 64) - 1  # What msgspec writes as a number by itself.
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
    text = _number_text(value)
    if text is not None:
        return value if kind is int and _MIN_INT <= value <= _MAX_INT else msgspec.Raw(text.encode())
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
    text = _number_text(value)
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
        case tuple() if hasattr(value, "_fields"):
            return dict(zip(value._fields, value, strict=True))
        case list() | tuple():
            return list(value)
        case Mapping():
            return dict(value)
    names = _fields(value)
    if names is not None:
        return {name: _attribute(value, name) for name in names}
    return _scalar(value)


def _fields(value: Any) -> list[str] | None:
    """The fields of a dataclass, of a class made by attrs, or of a msgspec Struct; None for anything else."""
    kind = type(value)
    if dataclasses.is_dataclass(kind):
        return [field.name for field in dataclasses.fields(kind)]
    if hasattr(kind, "__attrs_attrs__"):
        return [field.name for field in kind.__attrs_attrs__]
    return list(kind.__struct_fields__) if hasattr(kind, "__struct_fields__") else None


def _attribute(value: Any, name: str) -> Any:
    try:
        return getattr(value, name)
    except AttributeError:
        raise Rejected("InvalidAttribute", f"field {name} of the {type(value).__name__} has no value") from None


def _scalar(value: Any) -> Any:
    kind = type(value)
    numpy_kind = _numpy_kind(value)
    if numpy_kind not in (None, "M"):
        found = value.item()
    elif _is_missing(value):
        text = f"a {kind.__name__} that is not equal to itself, as NaN, is a missing value: leave it out, or give None"
        raise Rejected("InvalidAttribute", text)
    elif isinstance(value, str):
        found = str.__str__(value)
    elif isinstance(value, UUID | PurePath) or numpy_kind == "M":  # As `item` a date of nanoseconds is an int.
        found = str(value)
    elif isinstance(value, datetime | date | time):
        found = value.isoformat()
    else:
        found = _of_a_model(value)
    if type(found) is kind:  # As of numpy's longdouble, for which Python has no number.
        raise _no_rule(kind)
    return found


def _numpy_kind(value: Any) -> str | None:
    """The kind of a numpy scalar, or of an array without dimensions; None for anything else.

    Known by what it offers, so that nobody needs numpy. Raises `Rejected` for a duration, and for a record, whose names
    would be lost.
    """
    kind = type(value)
    if not callable(getattr(kind, "item", None)) or not hasattr(value, "dtype") or getattr(value, "shape", ()) != ():
        return None
    numpy_kind = str(getattr(value.dtype, "kind", ""))
    if numpy_kind in ("m", "V"):
        raise _no_rule(kind)
    return numpy_kind


def _of_a_model(value: Any) -> Any:
    """What a model of pydantic's holds, known in the same way: of version 2, or of 1."""
    kind = type(value)
    if callable(getattr(kind, "model_dump", None)):
        return value.model_dump()
    if hasattr(kind, "__fields__") and callable(getattr(kind, "dict", None)):
        return value.dict()
    raise _no_rule(kind)


def _is_missing(value: Any) -> bool:
    """Whether it is not equal to itself, as pandas' NaT and every NaN; or says that it does not know, as pandas' NA."""
    try:
        differs = value != value
        return differs is value or bool(differs)
    except ArithmeticError:  # Decimal("sNaN"), which cannot even be compared.
        return True
    except (TypeError, ValueError):  # Arrays.
        return False


def _no_rule(kind: type) -> Rejected:
    return Rejected("InvalidAttribute", f"no rule says how to store a {kind.__name__}")


def _number_text(value: Any) -> str | None:
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
