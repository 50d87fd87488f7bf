"""Whether two items are equal, both in DynamoDB JSON as it is on the wire (binary is base64)."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from decimal import Decimal
from typing import Any


def are_equal(item: Mapping[str, Any], stored: Any) -> bool:
    """Whether the attributes are the same, and all of them: numbers by value, sets without order, binary by bytes.

    `item` has been checked. `stored` may be anything: what is not an item is not equal to one. Raises nothing.
    """
    if item == stored:  # The usual; the rest is for other spellings of the same values.
        return True
    try:
        return _are_same_maps(item, stored)
    except (ArithmeticError, TypeError, ValueError):
        return False


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
