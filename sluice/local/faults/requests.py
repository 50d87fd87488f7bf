"""Write requests as DynamoDB sees them: which items they touch, what they cost, and which are illegal.

What the local stand-ins let pass is refused here, by the rules of the pages API_BatchWriteItem, API_TransactWriteItems,
Constraints and CapacityUnitCalculations of https://docs.aws.amazon.com/amazondynamodb/latest/.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

MAX_BATCH = 25  # API_BatchWriteItem
MAX_TRANSACTION = 100  # API_TransactWriteItems
MAX_BATCH_BYTES = 16 * 1024 * 1024  # API_BatchWriteItem
MAX_TRANSACTION_BYTES = 4 * 1024 * 1024  # API_TransactWriteItems
MAX_ITEM_BYTES = 400 * 1024  # Constraints
WRITE_UNIT_BYTES = 1024  # CapacityUnitCalculations

Item = dict[str, dict[str, Any]]
"""An item in DynamoDB JSON as it is on the wire; binary is base64 text."""
KeyValue = str | bytes | Decimal


_MALFORMED = (KeyError, TypeError, AttributeError, ValueError, InvalidOperation)


class IllegalRequestError(Exception):
    """DynamoDB answers such a request with ValidationException and this text, and writes nothing of it."""


class UnknownTableError(Exception):
    """The endpoint does not know the table."""


@dataclass(frozen=True, slots=True)
class Table:
    """What has to be known of a table."""

    name: str
    key: tuple[str, ...]
    """Names of the key attributes, the partition key first."""
    arn: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Write:
    """One item that a request writes."""

    table: Table
    named: str
    """The table as the request names it: by name or by ARN."""
    key: tuple[KeyValue, ...]
    """Typed, so that 1, 1.0 and 1e0 are one item."""
    key_attributes: Item
    item: Item | None
    """What a put stores; None for a delete, an update or a condition check."""
    request: dict[str, Any]
    """The element of the request."""

    @property
    def identity(self) -> tuple[str, tuple[KeyValue, ...]]:
        return self.table.name, self.key


def writes(
    operation: str, request: Mapping[str, Any], request_bytes: int, table_of: Callable[[str], Table]
) -> list[Write]:
    """The items that a request writes; raises `IllegalRequestError`, and what `table_of` raises."""
    try:
        found = [_write(table_of(named), named, content, element) for named, content, element in _elements(request)]
        sizes = [item_bytes(write.item) for write in found if write.item is not None]
    except _MALFORMED:
        # A key attribute is missing or cannot be one, or some value is none that DynamoDB knows.
        raise IllegalRequestError("The provided key element does not match the schema") from None
    if operation == "BatchWriteItem":
        _check_together(found, MAX_BATCH, "Too many items requested for the BatchWriteItem call")
        if request_bytes > MAX_BATCH_BYTES:
            raise IllegalRequestError("The request exceeds the maximum size of 16 MB for BatchWriteItem")
    if operation == "TransactWriteItems":
        _check_together(found, MAX_TRANSACTION, "Too many items requested for the TransactWriteItems call")
        if request_bytes > MAX_TRANSACTION_BYTES:
            raise IllegalRequestError("The request exceeds the maximum size of 4 MB for TransactWriteItems")
    if max(sizes, default=0) > MAX_ITEM_BYTES:
        raise IllegalRequestError("Item size has exceeded the maximum allowed size")
    return found


def _check_together(found: Sequence[Write], most: int, too_many: str) -> None:
    if len(found) > most:
        raise IllegalRequestError(too_many)
    if len({write.identity for write in found}) < len(found):
        raise IllegalRequestError("Provided list of item keys contains duplicates")


def _elements(request: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """(table as named, what holds Item or Key, the element itself) of everything that is written."""
    if "RequestItems" in request:
        for named, requests in request["RequestItems"].items():
            for element in requests:
                ((_, content),) = element.items()
                yield named, content, element
    elif "TransactItems" in request:
        for element in request["TransactItems"]:
            ((_, content),) = element.items()
            yield content["TableName"], content, element
    else:
        yield request["TableName"], dict(request), dict(request)


def _write(table: Table, named: str, content: dict[str, Any], element: dict[str, Any]) -> Write:
    item = content.get("Item")
    attributes = content["Key"] if item is None else item
    key_attributes = {name: attributes[name] for name in table.key}
    return Write(table, named, tuple(map(key_value, key_attributes.values())), key_attributes, item, element)


def key_value(value: dict[str, Any]) -> KeyValue:
    """A key attribute's value, typed. Raises KeyError, ValueError or InvalidOperation for what cannot be one."""
    ((kind, content),) = value.items()
    if kind == "N":
        return Decimal(content)
    return base64.b64decode(content, validate=True) if kind == "B" else str({"S": content}[kind])


def respelled(write: Write, spelling: str) -> dict[str, Any]:
    """The element of a batch with its number keys written differently: `spelling` is appended, as .0 or E0."""
    ((action, content),) = write.request.items()
    ((inner, attributes),) = content.items()
    changed = {
        name: {"N": f"{value['N']}{spelling}"} if name in write.table.key and _is_plain_integer(value) else value
        for name, value in attributes.items()
    }
    return {action: {inner: changed}}


def _is_plain_integer(value: dict[str, Any]) -> bool:
    return str(value.get("N", "")).lstrip("-").isdecimal()


def write_units(*images: Item | None) -> int:
    """Write units of one item: the larger of its old and new image, in whole KB, at least 1."""
    return max([1, *(-(-item_bytes(image) // WRITE_UNIT_BYTES) for image in images if image)])


def item_bytes(item: Item) -> int:
    """Size of an item in bytes by the rule of CapacityUnitCalculations; names count."""
    return sum(len(name.encode()) + _value_bytes(value) for name, value in item.items())


def _value_bytes(value: dict[str, Any]) -> int:
    ((kind, content),) = value.items()
    match kind:
        case "S":
            return len(content.encode())
        case "N":
            digits = "".join(map(str, Decimal(content).as_tuple().digits)).strip("0")
            return (len(digits) + 1) // 2 + 1
        case "B":
            return len(base64.b64decode(content))
        case "SS" | "NS" | "BS":
            return sum(_value_bytes({kind[0]: element}) for element in content)
        case "L":
            return 3 + sum(1 + _value_bytes(element) for element in content)
        case "M":
            return 3 + len(content) + item_bytes(content)
    return 1  # BOOL and NULL
