"""The nouns that every room shares: an operation, its item's key, and why one is rejected."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

AttributeValue = dict[str, Any]
"""DynamoDB JSON with one type, as boto3 takes it: `{"S": "a"}`, `{"N": "1"}`, `{"B": b"..."}`, ..."""

Call = Literal["batch_write_item", "put_item", "delete_item", "update_item"]
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
    """Where an operation comes from: the message, and the place in its body, so that a dead letter carries just it."""

    message_id: str
    redelivered: bool
    """Received before: an earlier attempt of unknown outcome may have applied the operation already."""
    element: int
    """Position in the body's array; 0 where the body is a single object."""
    table: str | None = None
    """The key inside a RequestItems object."""
    position: int = 0
    """Position in that table's list of requests."""


@dataclass(frozen=True, slots=True, eq=False)
class Operation:
    """One write to one item of one table, checked and ready to be sent.

    Compared by identity: two equal operations of two messages are still two.
    """

    key: Key
    call: Call
    request: dict[str, Any]
    """For BatchWriteItem `{"PutRequest": ...}` or `{"DeleteRequest": ...}`; else the call's arguments but TableName."""
    size: int
    """Bytes of the item (of key and values, for a delete or update) by DynamoDB's own size rule."""
    source: Source
    version: tuple[str, AttributeValue] | None = None
    """Attribute and value, where the table's newest version wins."""
    is_conditional: bool = False
    """It has a condition of its own, besides that of its version."""

    @property
    def table(self) -> str:
        return self.key[0]

    @property
    def goes_in_batches(self) -> bool:
        """An unconditional put or delete, which also supersedes every earlier operation on its item."""
        return self.call == "batch_write_item"

    @property
    def write_units(self) -> int:
        """An estimate; ConsumedCapacity tells the truth afterwards (the old item and the indexes count too)."""
        return max(1, -(-self.size // 1024))
