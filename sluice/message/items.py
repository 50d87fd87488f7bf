"""DynamoDB facts: attribute values, item size, key identity, and what the service would reject.

Limits: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
Sizes: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from .operation import AttributeValue, Key, KeyValue, Rejection
from .settings import ANY_TABLE, KeyAttribute, Table

MAX_ITEM_BYTES = 400 * 1024
MAX_NESTING = 32  # Levels; the item itself is the first.
MAX_DIGITS = 38
MAX_ADJUSTED_EXPONENT, MIN_ADJUSTED_EXPONENT = 125, -130  # 9.99...E+125 and 1E-130
MAX_PARTITION_KEY_BYTES, MAX_SORT_KEY_BYTES = 2048, 1024
MAX_ATTRIBUTE_NAME_BYTES = 65_535

_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_MAX_USUAL_NUMBER = 45  # 38 digits, a sign, a point, an exponent

Sized = tuple[AttributeValue, int]
"""An attribute value and its size in bytes, without its name."""


class Rejected(Exception):
    """Raised inside the checks of one operation and caught once, where operations are decoded."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.path = ""

    def inside(self, step: str) -> Rejected:
        """Prepend one step of the path to the attribute, on the way out of the recursion."""
        self.path = f"{step}{self.path}"
        return self

    def rejection(self) -> Rejection:
        where = f"attribute {_shown(self.path.lstrip('.'))}: " if self.path else ""
        return Rejection(self.code, where + self.message)


def plain_item(item: dict[str, Any]) -> tuple[dict[str, AttributeValue], int]:
    """The attributes of a plain JSON object in DynamoDB JSON, and their size in bytes. Raises `Rejected`."""
    return _attributes(item, plain_value, 1)


def native_item(item: Any) -> tuple[dict[str, AttributeValue], int]:
    """Check attributes that came as DynamoDB JSON; binary is decoded. Raises `Rejected`."""
    if not isinstance(item, dict):
        raise Rejected("UnknownOperation", "the item or key must be an object")
    return _attributes(item, native_value, 1)


def check_size(size: int) -> None:
    if size > MAX_ITEM_BYTES:
        raise Rejected("ItemTooLarge", f"the item has {size:,} bytes; DynamoDB takes {MAX_ITEM_BYTES:,}")


def key_of(table: Table, attributes: dict[str, AttributeValue]) -> Key:
    """The identity of the item in the table. Raises `Rejected` where a key attribute is not as it must be."""
    if table is ANY_TABLE:
        return (table.name, "", None)
    partition = _key_value(table.partition_key, attributes, MAX_PARTITION_KEY_BYTES)
    if table.sort_key is None:
        return (table.name, partition, None)
    return (table.name, partition, _key_value(table.sort_key, attributes, MAX_SORT_KEY_BYTES))


def check_index_keys(table: Table, attributes: dict[str, AttributeValue]) -> None:
    """Raises `Rejected` for an index key that DynamoDB refuses; an item without it is just not in the index.

    Each attribute of a key is checked by itself. Whether several of them are too long together only DynamoDB tells.
    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.OnlineOps.ViolationDetection.html
    """
    for index in table.indexes:
        for key, limit in ((index.partition_key, MAX_PARTITION_KEY_BYTES), (index.sort_key, MAX_SORT_KEY_BYTES)):
            for attribute in key:
                if (value := attributes.get(attribute.name)) is not None:
                    _checked(attribute, value, limit, f" of index {_shown(index.name)}")


def key_names(table: Table, key: Mapping[str, AttributeValue]) -> set[str]:
    """The names of the table's key attributes; of any table those of the key that is given."""
    return set(key) if table is ANY_TABLE else {attribute.name for attribute in table.key}


def check_only_key(table: Table, attributes: dict[str, AttributeValue]) -> None:
    names = key_names(table, attributes)
    for name in attributes:
        if name not in names:
            raise Rejected("UnexpectedKeyAttribute", f"{_shown(name)} is not a key attribute of the table")


def is_same(one: Mapping[str, AttributeValue], other: Mapping[str, AttributeValue]) -> bool:
    """Whether two maps of attributes are equal as DynamoDB compares them: numbers by value, sets without order."""
    return one.keys() == other.keys() and all(_comparable(one[name]) == _comparable(other[name]) for name in one)


def is_newer(version: AttributeValue, stored: AttributeValue | None) -> bool:
    """Whether `stored < version` as a condition would find it; values of different types do not compare."""
    if stored is None:
        return True
    (kind, content), (stored_kind, stored_content) = _comparable(version), _comparable(stored)
    return bool(kind == stored_kind and stored_content < content)


def is_value(value: Any) -> bool:
    """Whether what botocore has made of an answer is an attribute value that can be compared."""
    if not isinstance(value, dict) or len(value) != 1:
        return False
    ((kind, content),) = value.items()
    match kind:
        case "L":
            return all(map(is_value, content))
        case "M":
            return all(map(is_value, content.values()))
        case "N" | "NS":
            try:
                for text in (content,) if kind == "N" else content:
                    number(text)
            except Rejected:
                return False
    return True


def _comparable(value: AttributeValue) -> tuple[str, Any]:
    ((kind, content),) = value.items()
    match kind:
        case "S":
            return kind, content.encode()  # Strings compare by their UTF-8 bytes.
        case "N":
            return kind, Decimal(content)
        case "SS" | "BS":
            return kind, frozenset(content)
        case "NS":
            return kind, frozenset(map(Decimal, content))
        case "L":
            return kind, [_comparable(element) for element in content]
        case "M":
            return kind, {name: _comparable(element) for name, element in content.items()}
    return kind, content


def _key_value(attribute: KeyAttribute, attributes: dict[str, AttributeValue], limit: int) -> KeyValue:
    value = attributes.get(attribute.name)
    if value is None:
        raise Rejected("MissingKey", f"key attribute {_shown(attribute.name)} is missing")
    return _checked(attribute, value, limit)


def _checked(attribute: KeyAttribute, value: AttributeValue, limit: int, of_index: str = "") -> KeyValue:
    ((kind, content),) = value.items()
    if kind != attribute.type:
        text = f"key attribute {_shown(attribute.name)}{of_index} must be of type {attribute.type}, not {kind}"
        raise Rejected("KeyTypeMismatch", text)
    if kind == "N":
        return Decimal(content)
    length = len(content) if kind == "B" else _utf8_length(content)
    if length == 0:
        raise Rejected("EmptyKey", f"key attribute {_shown(attribute.name)}{of_index} is empty")
    if length > limit:
        text = f"key attribute {_shown(attribute.name)}{of_index} has {length:,} bytes; DynamoDB takes {limit:,}"
        raise Rejected("KeyTooLong", text)
    assert isinstance(content, str | bytes)
    return content


def _attributes(
    values: dict[str, Any], convert: Callable[[Any, int], Sized], level: int
) -> tuple[dict[str, AttributeValue], int]:
    """Convert a map whose own nesting level is `level`; the size is that of names and values."""
    attributes, size = {}, 0
    for name, value in values.items():
        try:
            attributes[name], bytes_of_value = convert(value, level)
        except Rejected as rejected:
            raise rejected.inside(f".{name}") from None
        bytes_of_name = _utf8_length(name)
        if not 0 < bytes_of_name <= MAX_ATTRIBUTE_NAME_BYTES:
            raise Rejected("InvalidAttribute", "an attribute name must have 1 to 65,535 bytes")
        size += bytes_of_name + bytes_of_value
    return attributes, size


def _elements(values: list[Any], convert: Callable[[Any, int], Sized], level: int) -> Sized:
    elements, size = [], 3 + len(values)  # 3 bytes for a list, 1 more for each of its elements
    for position, value in enumerate(values):
        try:
            element, bytes_of_element = convert(value, level)
        except Rejected as rejected:
            raise rejected.inside(f"[{position}]") from None
        elements.append(element)
        size += bytes_of_element
    return {"L": elements}, size


def _map(values: dict[str, Any], convert: Callable[[Any, int], Sized], level: int) -> Sized:
    attributes, size = _attributes(values, convert, level)
    return {"M": attributes}, 3 + len(attributes) + size


def _deeper(level: int) -> int:
    if level >= MAX_NESTING:
        raise Rejected("NestingTooDeep", f"nested deeper than {MAX_NESTING} levels, the item being the first")
    return level + 1


def plain_value(value: Any, level: int) -> Sized:
    """Ordinary JSON inside a map or list of nesting level `level`. Raises `Rejected`."""
    kind = type(value)
    if kind is str:
        return {"S": value}, _utf8_length(value)
    if kind is Decimal:
        return _decimal(value, str(value))
    if value is True or value is False:
        return {"BOOL": value}, 1
    if value is None:
        return {"NULL": True}, 1
    if isinstance(value, dict):
        return _map(value, plain_value, _deeper(level))
    if isinstance(value, list):
        return _elements(value, plain_value, _deeper(level))
    return number(str(value))  # A number too long for a Decimal, or one that RECORD_EXPRESSION computed.


def native_value(value: Any, level: int) -> Sized:
    """An attribute value in DynamoDB JSON, inside a map or list of nesting level `level`. Raises `Rejected`."""
    if not isinstance(value, dict) or len(value) != 1:
        raise Rejected("InvalidAttribute", 'must be an object with exactly one type, such as {"S": ...}')
    ((kind, content),) = value.items()
    match kind:
        case "S":
            return {"S": _string(content)}, _utf8_length(content)
        case "N":
            return number(_string(content))
        case "B":
            binary = _binary(content)
            return {"B": binary}, len(binary)
        case "BOOL":
            _require_value(content is True or content is False, "BOOL must be true or false")
            return value, 1
        case "NULL":
            _require_value(content is True, "NULL must be true")
            return value, 1
        case "M":
            _require_value(isinstance(content, dict), "M must be an object")
            return _map(content, native_value, _deeper(level))
        case "L":
            _require_value(isinstance(content, list), "L must be an array")
            return _elements(content, native_value, _deeper(level))
        case "SS" | "NS" | "BS":
            return _set(kind, content)
    raise Rejected("InvalidAttribute", f"{_shown(kind)} is not a DynamoDB type")


def _set(kind: str, content: Any) -> Sized:
    _require_value(isinstance(content, list), f"{kind} must be an array")
    if not content:
        raise Rejected("EmptySet", "a set must have at least one element")
    elements = [native_value({kind[0]: element}, 0) for element in content]
    members = [element[kind[0]] for element, _ in elements]
    distinct = {Decimal(member) for member in members} if kind == "NS" else set(members)
    if len(distinct) < len(members):
        raise Rejected("DuplicateSetElement", "an element stands in the set twice")
    return {kind: members}, sum(size for _, size in elements)


def number(text: str) -> Sized:
    """A number that came as text. Raises `Rejected`."""
    if not _NUMBER.fullmatch(text):
        raise Rejected("InvalidNumber", "not a number that DynamoDB can store")
    try:
        value = Decimal(text)
    except InvalidOperation:  # An exponent that no Decimal can hold.
        if not text.lower().partition("e")[0].strip("+-0."):
            return {"N": "0"}, 1
        raise Rejected("InvalidNumber", "the exponent is out of range") from None
    return _decimal(value, text)


def _decimal(number: Decimal, text: str) -> Sized:
    """A number in a spelling that DynamoDB takes, with every digit that it was written with. Raises `Rejected`."""
    if not number:
        return {"N": "0"}, 1
    sign, digits, exponent = number.as_tuple()
    assert isinstance(exponent, int)
    significant = len(digits)
    while digits[significant - 1] == 0:
        significant -= 1
    if significant > MAX_DIGITS:
        text = f"{significant:,} significant digits; DynamoDB keeps {MAX_DIGITS}"
        raise Rejected("InvalidNumber", text)
    if not MIN_ADJUSTED_EXPONENT <= number.adjusted() <= MAX_ADJUSTED_EXPONENT:
        raise Rejected("InvalidNumber", "out of range; DynamoDB takes 1E-130 to 9.99E+125, their negatives, and 0")
    if len(text) > _MAX_USUAL_NUMBER:  # Padded with zeros: the same value, spelled shorter.
        text = str(Decimal((sign, digits[:significant], exponent + len(digits) - significant)))
    return {"N": text}, 1 + (significant + 1) // 2


def _string(content: Any) -> str:
    _require_value(isinstance(content, str), "the value must be a string")
    assert isinstance(content, str)
    return content


def _binary(content: Any) -> bytes:
    text = _string(content)
    try:
        binary = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Rejected("InvalidAttribute", "B must be base64") from None
    # Python takes padding after four whole characters, too: "QUJD=".
    _require_value(len(text) == (len(binary) + 2) // 3 * 4, "B must be base64")
    return binary


def _require_value(holds: bool, requirement: str) -> None:
    if not holds:
        raise Rejected("InvalidAttribute", requirement)


def _utf8_length(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


def _shown(name: str) -> str:
    """A name as it may stand in an error: quoted, printable, short."""
    return repr(name if len(name) <= 100 else name[:100] + "...")
