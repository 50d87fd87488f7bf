"""Whether JSON has the shape that botocore's model of a service gives it.

botocore's parser takes that for granted and fails in many ways where it does not hold, none of which says that it was
the answer.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

MAX_NESTING = 100
"""Shapes inside of shapes; an item of DynamoDB's 32 levels has two for each, and botocore's parser needs a stack."""

_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
}


def fits(value: Any, shape: Any, level: int = 0) -> bool:
    """Whether every member that the shape names is of the type that it names; others do not count."""
    if level > MAX_NESTING:
        return False
    match shape.type_name:
        case "structure":
            return isinstance(value, dict) and all(
                inner is None or name not in shape.members or fits(inner, shape.members[name], level + 1)
                for name, inner in value.items()
            )
        case "map":
            return isinstance(value, dict) and all(fits(inner, shape.value, level + 1) for inner in value.values())
        case "list":
            return isinstance(value, list) and all(fits(inner, shape.member, level + 1) for inner in value)
        case "blob":
            return isinstance(value, str) and _is_base64(value)
    types = _TYPES.get(shape.type_name)
    return types is None or (isinstance(value, types) and (bool in types or not isinstance(value, bool)))


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(text)
    except (binascii.Error, ValueError):
        return False
    return True
