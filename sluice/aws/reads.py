"""Reads of what is about to be written: BatchGetItem, strongly consistent.

https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, Protocol

import msgspec

from sluice.message import items
from sluice.message.equality import Attributes
from sluice.message.operation import AttributeValue, Key, KeyValue, Operation
from sluice.message.settings import KeyAttribute, Table

from .answer import Answer, NoAnswer, NotConfigured, Refusal
from .in_flight import Running, Submit
from .route import BotoCalls, Call

MAX_KEYS = 100
MAX_ANSWER_BYTES = 4 * 1024 * 1024
"""Of an answer's JSON. It could hold 16 MB of items; so much more than what is to be written is hardly equal to it, and
several such answers would not fit into a small function's memory."""
MAX_UNITS = MAX_KEYS * 100.0  # Read units: 400 KB an item, 4 KB a unit.

_encode = msgspec.json.encode
_key_value = msgspec.json.Decoder(dict[str, str]).decode


class _Keys(msgspec.Struct):
    Keys: list[dict[str, msgspec.Raw]]


class _Capacity(msgspec.Struct):
    CapacityUnits: float


class _Found(msgspec.Struct):
    """An answer as it must be. Whoever is in neither of the first two is not in the table: both must be there."""

    Responses: dict[str, list[dict[str, msgspec.Raw]]]
    UnprocessedKeys: dict[str, _Keys]
    ConsumedCapacity: list[_Capacity] | None = None


_decode = msgspec.json.Decoder(_Found).decode


class DynamoDBCalls(Protocol):
    def begin(self, call: Call, seconds: float, submit: Submit) -> Running[Answer]: ...


class Stored(msgspec.Struct, frozen=True):
    """What one read has found."""

    items: Mapping[Operation, Attributes | None] = msgspec.field(default_factory=dict)
    """By the operation that asked: its item, None where there is none. Others were not read."""
    units: float | None = None
    """Read units; None where the answer does not say."""
    error: str = ""
    """Why nothing was read; never an item's values."""


class Reads:
    """Reads the items of operations of one table. What is wrong with a call or its answer is told, never raised."""

    def __init__(self, tables: Sequence[Table], dynamodb: DynamoDBCalls) -> None:
        self._keys = {table.name: table.key for table in tables}
        self._dynamodb = dynamodb

    def begin(self, operations: Sequence[Operation], seconds: float, submit: Submit) -> Running[Answer]:
        """One BatchGetItem for at most 100 distinct items of one table."""
        table = operations[0].table
        key = self._keys[table]
        keys = [_key_json(key, operation.key) for operation in operations]
        request = {"RequestItems": {table: {"Keys": keys, "ConsistentRead": True}}, "ReturnConsumedCapacity": "TOTAL"}
        call = Call(
            "BatchGetItem",
            _encode(request),
            lambda boto, left: _by_boto3(boto, request, left),
            answer_bytes=MAX_ANSWER_BYTES,
            decode=_understood,
        )
        return self._dynamodb.begin(call, seconds, submit)

    def stored(self, operations: Sequence[Operation], answer: Answer) -> Stored:
        """What the answer says of each operation's item. An answer of which a part cannot be right says nothing."""
        if isinstance(answer, Refusal):
            return Stored(error=answer.name)
        if isinstance(answer, NoAnswer | NotConfigured):
            return Stored(error=answer.reason)
        try:
            return self._found(operations, answer["read"])
        except (LookupError, TypeError, ValueError, InvalidOperation, msgspec.DecodeError):
            return Stored(error="an answer that cannot be right")

    def _found(self, operations: Sequence[Operation], answer: _Found) -> Stored:
        """Raises one of several errors where the answer is not what it must be."""
        table = operations[0].table
        key = self._keys[table]
        responses, unprocessed = answer.Responses, answer.UnprocessedKeys
        if not {*responses, *unprocessed} <= {table}:
            raise LookupError
        unasked = {operation.key: operation for operation in operations}
        found: dict[Operation, Attributes | None] = {}
        for item in responses.get(table, ()):
            found[unasked.pop(_identity(table, key, item))] = item
        for attributes in unprocessed[table].Keys if unprocessed else ():
            del unasked[_identity(table, key, attributes)]
        if unasked and table not in responses:
            raise LookupError
        found.update(dict.fromkeys(unasked.values()))
        return Stored(found, _units(answer))


def _key_json(attributes: Sequence[KeyAttribute], key: Key) -> dict[str, AttributeValue]:
    found: dict[str, AttributeValue] = {attributes[0].name: {attributes[0].type: _text(key[1])}}
    if len(attributes) > 1 and key[2] is not None:
        found[attributes[1].name] = {attributes[1].type: _text(key[2])}
    return found


def _text(value: KeyValue) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, Decimal):
        return str(items.number(str(value))[0]["N"])  # It may be padded with more zeros than DynamoDB takes.
    return base64.b64encode(value).decode()


def _identity(table: str, attributes: Sequence[KeyAttribute], item: Attributes) -> Key:
    first = _value(attributes[0], item)
    return (table, first, _value(attributes[1], item) if len(attributes) > 1 else None)


def _value(attribute: KeyAttribute, item: Attributes) -> KeyValue:
    text = _key_value(item[attribute.name])[attribute.type]
    if attribute.type == "S":
        return text
    return Decimal(text) if attribute.type == "N" else base64.b64decode(text, validate=True)


def _units(answer: _Found) -> float | None:
    """Raises ValueError where it says something that cannot be."""
    if answer.ConsumedCapacity is None:
        return None
    units = [capacity.CapacityUnits for capacity in answer.ConsumedCapacity]
    if not all(0 <= each <= MAX_UNITS for each in units):
        raise ValueError
    return sum(units)


def _understood(content: bytes) -> dict[str, Any] | None:
    try:
        return {"read": _decode(content)}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _by_boto3(boto: BotoCalls, request: Mapping[str, Any], seconds: float) -> Answer:
    given: dict[str, Any] = _converted(request, base64.b64decode)
    answer = boto.call("batch_get_item", given, seconds)
    if isinstance(answer, Refusal | NoAnswer | NotConfigured):
        return answer
    said = {name: answer[name] for name in _Found.__struct_fields__ if name in answer}
    content = _encode(_converted(said, lambda binary: base64.b64encode(binary).decode()))
    return _understood(content) or NoAnswer("an answer that cannot be read")


def _converted(value: Any, convert: Callable[[Any], Any], kind: str = "") -> Any:
    """With `convert` done to all binary, which boto3 takes and gives as bytes."""
    if isinstance(value, dict):
        # {"B": ...} is binary only as the one member of a value; a table or an attribute may be called B as well.
        is_value = len(value) == 1
        return {name: _converted(inner, convert, name if is_value else "") for name, inner in value.items()}
    if isinstance(value, list):
        return [_converted(inner, convert, kind if kind == "BS" else "") for inner in value]
    return convert(value) if kind in ("B", "BS") and isinstance(value, str | bytes) else value
