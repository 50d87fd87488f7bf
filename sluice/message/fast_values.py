"""Attribute values that are obviously right: plain JSON → DynamoDB JSON, and checks of DynamoDB JSON, both in place."""

from __future__ import annotations

import binascii
import math
import re
from collections.abc import Collection, Iterable
from decimal import Decimal
from typing import Any

import msgspec

from . import items
from .items import MAX_DIGITS, MAX_NESTING
from .operation import AttributeValue

MIN_LONG_LIST = 16
"""Elements from which on a list of numbers, such as an embedding, is checked as a whole."""
_MAX_NUMBER = 200
"""Characters; a longer one is left to the exact way at once, which would have to read it again."""
_usual_number = re.compile(
    r"-?(?:[1-9][0-9]*(?:\.[0-9]+)?|0\.0*[1-9][0-9]*)(?:[eE][+-]?[0-8]?[0-9])?|0(?:\.0+)?"
).fullmatch
"""Not longer than MAX_DIGITS it is in range: 10 ** 33 and 89 more are less than 10 ** 125, and so it is downwards."""
_negative_zero = re.compile(r"-[0.]++(?:,|$)").search
_floats = msgspec.json.Decoder(list[float]).decode
_REPLACED = -math.inf
"""Instead of a number of quotation marks: what there are now are others."""
_TRUE, _FALSE, _NULL = {"BOOL": True}, {"BOOL": False}, {"NULL": True}


class Unusual(Exception):
    """Raised where the short way ends, caught once; never seen outside."""


class Number(msgspec.Struct, gc=False):
    """A number with a point or an exponent, as it was written. It is encoded as DynamoDB JSON as it stands."""

    N: str


def convert(attributes: dict[str, Any], level: int = 1) -> None:
    """Make DynamoDB JSON of the plain values of a map whose own nesting level is `level`. Raises `Unusual`."""
    if "" in attributes:
        raise Unusual
    _convert(attributes, attributes.items(), level)


def check(attributes: dict[str, Any], level: int = 1) -> float:
    """Check a map that came as DynamoDB JSON; what is to be spelled otherwise is replaced. Raises `Unusual`.

    The quotation marks in its JSON: JSON that has as many has no name twice, nor an escaped quotation mark. Less than
    any number where something was replaced.
    """
    if "" in attributes:
        raise Unusual
    return 2 * len(attributes) + _check(attributes.values(), level)


def binary(text: str) -> bytes:
    """The bytes of base64 that is written as everybody writes it. Raises `Unusual` or `ValueError`."""
    data = binascii.a2b_base64(text)
    if binascii.b2a_base64(data, newline=False).decode() != text:
        raise Unusual
    return data


# In one loop each: a call for each value would cost half as much again. What is converted is a map, or a list with its
# positions for names, which is replaced in place: a new one would cost more than the check.


def _convert(values: Any, members: Iterable[tuple[Any, Any]], level: int) -> None:
    if level > MAX_NESTING:
        raise Unusual
    for name, value in members:
        kind = type(value)
        if kind is str:
            values[name] = {"S": value}
        elif kind is int:
            text = str(value)
            if len(text) > MAX_DIGITS:
                raise Unusual
            values[name] = {"N": text}
        elif kind is Number:
            text = value.N
            # Few digits and no exponent: in range. What sorts before "-1" begins with "-0", and may be a zero.
            if (text < "-1" and not text.strip("-0.")) or len(text) > MAX_DIGITS or "e" in text or "E" in text:
                values[name] = _number(text)
        elif kind is dict:
            convert(value, level + 1)
            values[name] = {"M": value}
        elif kind is list:
            if len(value) < MIN_LONG_LIST or level == MAX_NESTING or not _are_usual_numbers(value):
                _convert(value, enumerate(value), level + 1)
            values[name] = {"L": value}
        elif value is None:
            values[name] = _NULL
        else:
            values[name] = _TRUE if value else _FALSE


def _check(values: Collection[Any], level: int) -> float:
    """The quotation marks of the values; see `check`."""
    if level > MAX_NESTING:
        raise Unusual
    quotes: float = 4 * len(values)  # As if all were strings.
    for value in values:
        (kind,) = value  # And not the items: a quarter less time for all of the loop.
        content = value[kind]
        if kind == "S":
            if type(content) is not str:
                raise Unusual
        elif kind == "N":
            if len(content) > MAX_DIGITS or not _usual_number(content):
                value[kind] = _number(content)["N"]
                quotes = _REPLACED
        elif kind == "M":
            quotes += check(content, level + 1) - 2
        elif kind == "L":
            quotes += _check_list(content, level) - 2
        elif kind in ("BOOL", "NULL"):
            _check_constant(kind, content)
            quotes -= 2
        elif kind == "B":
            binary(content)
        else:
            quotes += _check_set(kind, content) - 2
    return quotes


def _check_constant(kind: str, value: Any) -> None:
    if type(value) is not bool or (kind == "NULL" and not value):
        raise Unusual


def _check_list(elements: Any, level: int) -> float:
    if type(elements) is not list:
        raise Unusual
    if len(elements) < MIN_LONG_LIST or level == MAX_NESTING or not _are_usual_native_numbers(elements):
        return _check(elements, level + 1)
    return 4 * len(elements)


def _check_set(kind: str, members: Any) -> float:
    if type(members) is not list or not members:
        raise Unusual
    quotes: float = 2 * len(members)
    if kind == "NS":
        floats = _usual_floats(members)
        if floats is not None and len(set(floats)) == len(floats):  # Different floats are different numbers.
            return 2 * len(members)
        if not all(map(_usual_number, members)) or max(map(len, members)) > MAX_DIGITS:
            members[:] = [_number(member)["N"] for member in members]
            quotes = _REPLACED
        distinct: set[Any] = set(map(Decimal, members))
    elif kind == "SS":
        "".join(members)  # A TypeError where one is no string.
        distinct = set(members)
    elif kind == "BS":
        distinct = set(map(binary, members))
    else:
        raise Unusual
    if len(distinct) < len(members):
        raise Unusual
    return quotes


def _number(text: Any) -> AttributeValue:
    if type(text) is not str or len(text) > _MAX_NUMBER:
        raise Unusual
    if len(text) <= MAX_DIGITS and _usual_number(text):
        return {"N": text}
    return items.number(text)[0]


def _are_usual_numbers(values: list[Any]) -> bool:
    """Whether a list holds nothing but a `Number` each that may stand as it is: no zero with a sign, no exponent."""
    if type(values[0]) is not Number:
        return False
    try:
        texts = [value.N for value in values]
    except AttributeError:
        return False
    joined = ",".join(texts)
    return "e" not in joined and "E" not in joined and max(map(len, texts)) <= MAX_DIGITS and not _negative_zero(joined)


def _are_usual_native_numbers(values: list[Any]) -> bool:
    """The same of DynamoDB JSON, in which a number may be any text."""
    try:
        texts = [value["N"] for value in values]
    except KeyError:
        return False
    return sum(map(len, values)) == len(texts) and _usual_floats(texts) is not None


def _usual_floats(texts: list[str]) -> list[float] | None:
    """What texts say that are numbers and may stand as they are; None, or a ValueError, where one of them may not."""
    joined = ",".join(texts)
    # JSON's grammar, without exponents and white space.
    if max(map(len, texts)) > MAX_DIGITS or joined.encode().translate(None, b"-.,0123456789") or _negative_zero(joined):
        return None
    floats = _floats(f"[{joined}]")
    return floats if len(floats) == len(texts) else None  # A text with a comma in it adds a number.
