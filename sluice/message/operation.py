"""The nouns that every room shares: an operation, its item's key, and why one is rejected."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, ClassVar, Literal, TypeGuard

import msgspec

AttributeValue = dict[str, Any]
"""DynamoDB JSON with one type, as boto3 takes it: `{"S": "a"}`, `{"N": "1"}`, `{"B": b"..."}`, ..."""

SingleCall = Literal["put_item", "delete_item", "update_item"]
"""As boto3's clients name it."""
KeyValue = str | Decimal | bytes
Key = tuple[str, KeyValue, KeyValue | None]
"""An item's identity: table name, partition key, sort key; typed values, so that 1, 1.0 and 1e0 are one item."""


class Rejection(msgspec.Struct, frozen=True):
    """Why an operation can never succeed: an error code of the contract, and a sentence without item values."""

    code: str
    message: str


# Several of these are made for every record: a Struct takes 0.05 us, a frozen dataclass 0.6. None of them is ever
# part of a cycle, so that the garbage collector need not look at them.


class Source(msgspec.Struct, frozen=True, gc=False):
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


class Operation(msgspec.Struct, frozen=True, eq=False, gc=False, kw_only=True):
    """One write to one item of one table, checked and ready to be sent: a `BatchWrite` or a `SingleWrite`.

    Compared by identity: two equal operations of two messages are still two.
    """

    goes_in_batches: ClassVar[bool]
    key: Key
    source: Source
    body: bytes
    """Its request as JSON in UTF-8: `{"PutRequest": ...}` or `{"DeleteRequest": ...}`; of a single write the arguments
    without TableName, a key or an item first."""

    @property
    def table(self) -> str:
        return self.key[0]

    @property
    def request(self) -> dict[str, Any]:
        """As boto3 takes it: an element of BatchWriteItem's list, or the arguments of the call without TableName."""
        raise NotImplementedError

    @property
    def write_units(self) -> int:
        """An estimate; ConsumedCapacity tells the truth afterwards (the old item and the indexes count too)."""
        size = len(self.body)
        if size > 1024:
            size -= _JSON_AROUND_A_VALUE * self.body.count(b'{"')
        return max(1, -(-size // 1024))


class BatchWrite(Operation, frozen=True, eq=False, gc=False, kw_only=True):
    """An unconditional put or delete, which also supersedes every earlier operation on its item."""

    goes_in_batches: ClassVar[bool] = True

    @property
    def request(self) -> dict[str, Any]:
        ((action, content),) = msgspec.json.decode(self.body).items()
        ((inner, attributes),) = content.items()
        return {action: {inner: {name: _with_bytes(value) for name, value in attributes.items()}}}


class SingleWrite(Operation, frozen=True, eq=False, gc=False, kw_only=True):
    """A conditional put or delete, or an update: a call of its own."""

    goes_in_batches: ClassVar[bool] = False
    call: SingleCall
    version: tuple[str, AttributeValue] | None = None
    """Attribute and value, where the table's newest version wins."""
    is_conditional: bool
    """It has a condition of its own, besides that of its version."""
    is_once: bool = False
    """An update for UPDATE_ONCE: a transaction of one."""
    delivery: int = 0
    """Of such an update that is to be applied at each delivery of its message, not once in all: the receive count."""

    @property
    def write_units(self) -> int:
        # A transaction writes twice (amazondynamodb/latest/developerguide/transaction-apis.html#transaction-capacity).
        return super().write_units * (2 if self.is_once else 1)

    @property
    def request(self) -> dict[str, Any]:
        arguments: dict[str, Any] = msgspec.json.decode(self.body)
        for name in _OF_ATTRIBUTE_VALUES & arguments.keys():
            arguments[name] = {key: _with_bytes(value) for key, value in arguments[name].items()}
        return arguments


def go_in_batches(operations: Iterable[Operation]) -> TypeGuard[Iterable[BatchWrite]]:
    """Whether operations that are all of one kind are batch writes."""
    return next(iter(operations)).goes_in_batches


_OF_ATTRIBUTE_VALUES = {"Item", "Key", "ExpressionAttributeValues"}
_JSON_AROUND_A_VALUE = 11
"""Bytes that are no part of the item by DynamoDB's rule, in `"name":{"S":"value"},` and without a name, on average."""


def _with_bytes(value: Mapping[str, Any]) -> AttributeValue:
    """An attribute value in which binary is no longer base64."""
    ((kind, content),) = value.items()
    match kind:
        case "B":
            return {kind: base64.b64decode(content)}
        case "BS":
            return {kind: [base64.b64decode(member) for member in content]}
        case "L":
            return {kind: [_with_bytes(element) for element in content]}
        case "M":
            return {kind: {name: _with_bytes(member) for name, member in content.items()}}
    return {kind: content}
