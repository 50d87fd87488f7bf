"""The nouns that every room shares: an operation, its item's key, and why one is rejected."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

AttributeValue = dict[str, Any]
"""DynamoDB JSON with one type, as boto3 takes it: `{"S": "a"}`, `{"N": "1"}`, `{"B": b"..."}`, ..."""

KeyValue = str | Decimal | bytes
Key = tuple[str, KeyValue, KeyValue | None]
"""An item's identity: table name, partition key, sort key; typed values, so that 1, 1.0 and 1e0 are one item."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why an operation can never succeed: an error code of the contract, and a sentence without item values."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Source:
    """Where in a message's body an operation stands, so that a dead letter can carry just the bad ones."""

    element: int
    """Position in the body's array; 0 where the body is a single object."""
    table: str | None = None
    """The key inside a RequestItems object."""
    position: int = 0
    """Position in that table's list of requests."""


@dataclass(frozen=True, slots=True, eq=False)
class Operation:
    """One unconditional write to one item of one table, checked, ready for BatchWriteItem.

    Compared by identity: two equal operations of two messages are still two.
    """

    key: Key
    request: dict[str, Any]
    """`{"PutRequest": {"Item": ...}}` or `{"DeleteRequest": {"Key": ...}}`."""
    size: int
    """Bytes of the item (of the key, for a delete) by DynamoDB's own size rule."""
    source: Source

    @property
    def table(self) -> str:
        return self.key[0]

    @property
    def write_units(self) -> int:
        """An estimate; ConsumedCapacity tells the truth afterwards (the old item and the indexes count too)."""
        return max(1, -(-self.size // 1024))
