"""DynamoDB attribute values as the service checks, stores and measures them.

Rules: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html and
.../HowItWorks.NamingRulesDataTypes.html; sizes: .../CapacityUnitCalculations.html.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from tests.fakes.service import RefusedError

Value = dict[str, Any]
Item = dict[str, Value]
Typed = tuple[str, str | bytes]

MAX_DIGITS = 38  # Constraints, "Number"
MAX_EXPONENT, MIN_EXPONENT = 125, -130  # Constraints, "Number": 9.9…9E+125 down to 1E-130
MAX_LEVELS = 32  # Constraints, "Nested attribute depth"; the item itself is the first level
MAX_NAME_BYTES = 65_535  # botocore's model: AttributeName

_NUMBER = re.compile(r"([+-]?)([0-9]*)(?:\.([0-9]*))?(?:[eE]([+-]?[0-9]+))?")


class InvalidValueError(RefusedError):
    """What the service answers with ValidationException."""

    def __init__(self, message: str) -> None:
        super().__init__("ValidationException", message)


@lru_cache(1024)
def canonical_number(text: str) -> str:
    """The one spelling under which DynamoDB stores a number; raises InvalidValueError outside its range."""
    match = _NUMBER.fullmatch(text)
    if match is None or not (match[2] or match[3]):
        raise InvalidValueError(f"The parameter cannot be converted to a numeric value: {text}".rstrip(": "))
    whole, fraction = match[2], match[3] or ""
    digits = (whole + fraction).lstrip("0")
    if not digits:  # The exponent of a zero is held to the range, too.
        _check_magnitude(_exponent(match[4]))
        return "0"
    # Python converts no more than 4,300 digits; twenty are already beyond any exponent that is allowed.
    exponent = _exponent(match[4]) - len(fraction) + len(digits) - len(digits.rstrip("0"))
    digits = digits.rstrip("0")
    _check_magnitude(exponent + len(digits) - 1)
    if len(digits) > MAX_DIGITS:
        raise InvalidValueError("Attempting to store more than 38 significant digits in a Number")
    return ("-" if match[1] == "-" else "") + _plain(digits, exponent)


def _check_magnitude(exponent: int) -> None:
    if exponent > MAX_EXPONENT:
        raise InvalidValueError(
            "Number overflow. Attempting to store a number with magnitude larger than supported range"
        )
    if exponent < MIN_EXPONENT:
        raise InvalidValueError(
            "Number underflow. Attempting to store a number with magnitude smaller than supported range"
        )


def _exponent(text: str | None) -> int:
    if text is None:
        return 0
    digits = text.lstrip("+-").lstrip("0")[:20] or "0"
    return -int(digits) if text.startswith("-") else int(digits)


def _plain(digits: str, exponent: int) -> str:
    if exponent >= 0:
        return digits + "0" * exponent
    padded = digits.rjust(1 - exponent, "0")
    return f"{padded[:exponent]}.{padded[exponent:]}"


def canonical_item(item: Item) -> Item:
    """A copy of the item as the service stores it; raises InvalidValueError for what the service refuses."""
    return _canonical_map(item, level=1)


def canonical_value(value: Value, level: int = 1) -> Value:
    """A copy of one value as the service stores it; `level` is the nesting level it lies on."""
    if len(value) != 1:
        count = "is empty" if not value else "has more than one datatypes set"
        raise InvalidValueError(f"Supplied AttributeValue {count}, must contain exactly one of the supported datatypes")
    [(kind, content)] = value.items()
    match kind:
        case "S":
            _utf8(content)
            return {"S": content}
        case "N":
            return {"N": canonical_number(content)}
        case "B":
            return {"B": bytes(content)}
        case "BOOL":
            return {"BOOL": content}
        case "NULL":
            if content is not True:
                raise InvalidValueError(
                    "One or more parameter values were invalid: Null attribute value types must have the value of true"
                )
            return {"NULL": True}
        case "SS" | "NS" | "BS":
            return {kind: _canonical_set(kind, content)}
        case "L":
            _check_level(level + 1)
            return {"L": [canonical_value(element, level + 1) for element in content]}
        case "M":
            return {"M": _canonical_map(content, level + 1)}
    raise InvalidValueError("Supplied AttributeValue is empty, must contain exactly one of the supported datatypes")


def _canonical_map(attributes: Item, level: int) -> Item:
    _check_level(level)
    for name in attributes:
        if not name:
            raise InvalidValueError("One or more parameter values were invalid: Empty attribute name")
        if len(_utf8(name)) > MAX_NAME_BYTES:
            raise InvalidValueError(
                "One or more parameter values were invalid: Attribute name is too large, must be less than "
                f"{MAX_NAME_BYTES + 1} bytes"
            )
    return {name: canonical_value(value, level) for name, value in attributes.items()}


def _check_level(level: int) -> None:
    if level > MAX_LEVELS:
        raise InvalidValueError(
            "Nesting Levels have exceeded supported limits: Attributes in the item have nested levels beyond "
            "supported limit"
        )


def _canonical_set(kind: str, elements: Iterable[Any]) -> list[str] | list[bytes]:
    stored = [canonical_value({kind[0]: element})[kind[0]] for element in elements]
    if not stored:
        raise InvalidValueError(
            "One or more parameter values were invalid: An AttributeValue may not contain an empty set"
        )
    if len(set(stored)) < len(stored):
        raise InvalidValueError("One or more parameter values were invalid: Input collection contains duplicates")
    return stored


def typed(value: Value) -> Typed:
    """A scalar's identity: its type and its canonical content, so that N 1, 1.0 and 1e0 are the same."""
    [(kind, content)] = canonical_value(value).items()
    return kind, content


def item_bytes(item: Item) -> int:
    """Size of an item in bytes by the documented rule; the names of its attributes count."""
    return sum(len(_utf8(name)) + value_bytes(value) for name, value in item.items())


def value_bytes(value: Value) -> int:
    """Size of one value in bytes, without its name."""
    [(kind, content)] = value.items()
    match kind:
        case "S":
            return len(_utf8(content))
        case "N":
            return _number_bytes(content)
        case "B":
            return len(content)
        case "BOOL" | "NULL":
            return 1
        case "SS" | "NS" | "BS":
            return sum(value_bytes({kind[0]: element}) for element in content)
        case "L":  # 3 bytes for the list and 1 for each element
            return 3 + sum(1 + value_bytes(element) for element in content)
    return 3 + len(content) + item_bytes(content)  # A map, the only type left: 3 and 1 for each member.


def _number_bytes(text: str) -> int:
    digits = canonical_number(text).lstrip("-").replace(".", "").strip("0")
    return (len(digits) + 1) // 2 + 1


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise InvalidValueError("A string must be valid Unicode: it holds half of a surrogate pair") from error
