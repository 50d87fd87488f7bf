"""Reads of what is about to be written: BatchGetItem, strongly consistent.

https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, Protocol

import msgspec

from sluice.message import items
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


class DynamoDBCalls(Protocol):
    def begin(self, call: Call, seconds: float, submit: Submit) -> Running[Answer]: ...


@dataclass(frozen=True, slots=True)
class Stored:
    """What one read has found."""

    items: Mapping[Operation, Mapping[str, Any] | None] = field(default_factory=dict)
    """By the operation that asked: its item in DynamoDB JSON, None where there is none. Others were not read."""
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
            "BatchGetItem", _encode(request), lambda boto, left: _by_boto3(boto, request, left), MAX_ANSWER_BYTES
        )
        return self._dynamodb.begin(call, seconds, submit)

    def stored(self, operations: Sequence[Operation], answer: Answer) -> Stored:
        """What the answer says of each operation's item. An answer of which a part cannot be right says nothing."""
        if isinstance(answer, Refusal):
            return Stored(error=answer.name)
        if isinstance(answer, NoAnswer | NotConfigured):
            return Stored(error=answer.reason)
        try:
            return self._found(operations, answer)
        except (AttributeError, LookupError, TypeError, ValueError, InvalidOperation):
            return Stored(error="an answer that cannot be right")

    def _found(self, operations: Sequence[Operation], answer: Mapping[str, Any]) -> Stored:
        """Raises one of several errors where the answer is not what it must be."""
        table = operations[0].table
        key = self._keys[table]
        # Whoever is neither in the answer nor unprocessed is not in the table: no list may be missing.
        responses, unprocessed = answer["Responses"], answer["UnprocessedKeys"]
        if not {*responses, *unprocessed} <= {table}:
            raise LookupError
        unasked = {operation.key: operation for operation in operations}
        found: dict[Operation, Mapping[str, Any] | None] = {}
        for item in responses.get(table, ()):
            found[unasked.pop(_identity(table, key, item))] = item
        for attributes in unprocessed[table]["Keys"] if unprocessed else ():
            del unasked[_identity(table, key, attributes)]
        if unasked and not isinstance(responses[table], list):
            raise TypeError
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


def _identity(table: str, attributes: Sequence[KeyAttribute], item: Mapping[str, Any]) -> Key:
    first = _value(attributes[0], item)
    return (table, first, _value(attributes[1], item) if len(attributes) > 1 else None)


def _value(attribute: KeyAttribute, item: Mapping[str, Any]) -> KeyValue:
    text = item[attribute.name][attribute.type]
    if type(text) is not str:
        raise TypeError
    if attribute.type == "S":
        return text
    return Decimal(text) if attribute.type == "N" else base64.b64decode(text, validate=True)


def _units(answer: Mapping[str, Any]) -> float | None:
    """Raises ValueError or TypeError where it says something that cannot be."""
    capacities = answer.get("ConsumedCapacity")
    if capacities is None:
        return None
    total = 0.0
    for capacity in capacities:
        units = capacity["CapacityUnits"]
        if type(units) not in (int, float) or not 0 <= units <= MAX_UNITS:
            raise ValueError
        total += units
    return total


def _by_boto3(boto: BotoCalls, request: Mapping[str, Any], seconds: float) -> Answer:
    given: dict[str, Any] = _converted(request, base64.b64decode)
    answer = boto.call("batch_get_item", given, seconds)
    if isinstance(answer, Refusal | NoAnswer | NotConfigured):
        return answer
    wanted = {name: answer[name] for name in ("Responses", "UnprocessedKeys", "ConsumedCapacity") if name in answer}
    converted: dict[str, Any] = _converted(wanted, lambda binary: base64.b64encode(binary).decode())
    return converted


def _converted(value: Any, convert: Callable[[Any], Any], kind: str = "") -> Any:
    """With `convert` done to all binary, which boto3 takes and gives as bytes."""
    if isinstance(value, dict):
        # {"B": ...} is binary only as the one member of a value; a table or an attribute may be called B as well.
        is_value = len(value) == 1
        return {name: _converted(inner, convert, name if is_value else "") for name, inner in value.items()}
    if isinstance(value, list):
        return [_converted(inner, convert, kind if kind == "BS" else "") for inner in value]
    return convert(value) if kind in ("B", "BS") and isinstance(value, str | bytes) else value
