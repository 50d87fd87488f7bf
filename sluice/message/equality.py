"""Whether two items are equal, both in DynamoDB JSON as it is on the wire (binary is base64)."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

Attributes = Mapping[str, msgspec.Raw]
"""An item, of which each value is JSON that nobody has read: most are equal byte by byte, and need not be."""

_decode = msgspec.json.Decoder().decode


def are_equal(item: Attributes, stored: Attributes) -> bool:
    """Whether the attributes are the same, and all of them: numbers by value, sets without order, binary by bytes.

    `item` has been checked. The values of `stored` may be any JSON: what is no value is equal to none. Raises nothing.
    """
    if item.keys() != stored.keys():
        return False
    try:
        for name, value in item.items():
            if value != stored[name] and not _is_same(_decode(value), _decode(stored[name])):
                return False
    except (ArithmeticError, TypeError, ValueError, RecursionError, msgspec.DecodeError):
        return False
    return True


def _are_same_maps(one: Mapping[str, Any], other: Any) -> bool:
    return type(other) is dict and one.keys() == other.keys() and all(_is_same(one[name], other[name]) for name in one)


def _is_same(one: Mapping[str, Any], other: Any) -> bool:
    if one == other:
        return True
    ((kind, content),) = one.items()
    if type(other) is not dict or len(other) != 1 or kind not in other:
        return False
    stored = other[kind]
    match kind:
        case "N":
            return _number(content) == _number(stored)
        case "B":
            return _binary(content) == _binary(stored)
        case "M":
            return _are_same_maps(content, stored)
        case "L":
            return type(stored) is list and len(content) == len(stored) and all(map(_is_same, content, stored))
        case "SS" | "NS" | "BS":
            member = {"SS": _text, "NS": _number, "BS": _binary}[kind]
            return (
                type(stored) is list
                and len(content) == len(stored)
                and set(map(member, content)) == set(map(member, stored))
            )
    return False


def _text(content: Any) -> str:
    if type(content) is not str:
        raise TypeError
    return content


def _number(content: Any) -> Decimal:
    return Decimal(_text(content))


def _binary(content: Any) -> bytes:
    return base64.b64decode(_text(content), validate=True)
