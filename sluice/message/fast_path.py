"""The short way for bodies that are obviously right, which nearly all are. Whatever is not goes the exact way.

The short way never says what is wrong: it gives up, and the exact way (`parsing`, `forms`, `items`) does it all again.
So there is one place that decides what is rejected and why, and a mistake here could only be to take too much: a test
compares the two on random bodies.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import msgspec

from . import items
from .items import MAX_DIGITS, MAX_NESTING, Rejected
from .operation import AttributeValue, BatchWrite, Key, KeyValue, Operation, Source
from .settings import KeyAttribute, Settings, Table

MAX_BODY_BYTES = 65_535
"""Of an operation's JSON. No attribute name in it is too long then, and the item is not too large: no value has more
bytes by DynamoDB's rule than its DynamoDB JSON has. A list's 3 bytes, and 1 for each element, are fewer than the 8 of
`{"L":[]}` and the comma (a map's likewise); a number of n digits counts 1 + n / 2; the others count what they show."""
_USUAL_PARTITION_KEY, _USUAL_SORT_KEY = items.MAX_PARTITION_KEY_BYTES // 4, items.MAX_SORT_KEY_BYTES // 4
"""Characters; UTF-8 has at most 4 bytes for each."""
_MAX_NUMBER = 200
"""Characters; a longer one is left to the exact way at once, which would have to read it again."""
_usual_number = re.compile(r"-?(?:0|[1-9][0-9]{0,18})(?:\.[0-9]{1,18})?").fullmatch
_TRUE, _FALSE, _NULL = {"BOOL": True}, {"BOOL": False}, {"NULL": True}


class Unusual(Exception):
    """Raised where the short way ends, caught once; never seen outside."""


class Number(msgspec.Struct, gc=False):
    """A number with a point or an exponent, as it was written. It is encoded as DynamoDB JSON as it stands."""

    N: str


_REQUESTS = {("PutRequest", "Item"), ("DeleteRequest", "Key")}

_decode = msgspec.json.Decoder(float_hook=Number).decode
_split = msgspec.json.Decoder(list[msgspec.Raw]).decode
_encode = msgspec.json.encode


class FastPath:
    """Builds the operations of usual bodies: unconditional puts and deletes, in every form that has them.

    Not for settings whose default table has a version: every write to it is conditional.
    """

    def __init__(self, settings: Settings) -> None:
        tables = [table for table in settings.tables if table.version is None]
        self._targets = {name: _Target(table) for table in tables for name in (table.alias, table.name)}
        self._default = self._targets[settings.tables[0].name]
        self._is_item = settings.record_format == "item"

    def operations(self, body: Any, message_id: str, redelivered: bool) -> tuple[Operation, ...] | None:
        """All operations of a body, in its order; None where one of them, or anything around them, is unusual."""
        if type(body) is not str:
            return None
        try:
            if body[:1] == "[":
                return tuple(self._in_array(body, message_id, redelivered)) or None
            found = _decode(body)
            source = Source(message_id, redelivered, 0)
            if "RequestItems" in found and not self._is_item:
                return tuple(self._requests(found, source))
            return (self._operation(found, source),)
        # Besides the first two: text that is no JSON, or a body that is not of the form that it is taken for.
        except (Unusual, Rejected, ValueError, RecursionError, LookupError, TypeError, AttributeError):
            return None

    def _in_array(self, body: str, message_id: str, redelivered: bool) -> Iterator[Operation]:
        # One after the other: a whole array of values takes ten times the memory of its text, and a third more time.
        for number, text in enumerate(_split(body)):
            element = _decode(text)
            source = Source(message_id, redelivered, number)
            if "RequestItems" in element and not self._is_item:
                yield from self._requests(element, source)
            else:
                yield self._operation(element, source)

    def _requests(self, element: dict[str, Any], source: Source) -> Iterator[Operation]:
        ((_, tables),) = element.items()
        _require_usual(bool(tables))
        for table, requests in tables.items():
            _require_usual(type(requests) is list and bool(requests))
            for position, request in enumerate(requests):
                place = Source(source.message_id, source.redelivered, source.element, table, position)
                yield self._targets[table].request(request, place)

    def _operation(self, element: dict[str, Any], source: Source) -> Operation:
        if self._is_item:
            return self._default.put(element, source)
        if len(element) > 1:
            target = self._targets[element.pop("table")]
            ((action, content),) = element.items()
            _require_usual(action in ("put", "delete"))
        else:
            target = self._default
            ((action, content),) = element.items()
        match action:
            case "put":
                return target.put(content, source)
            case "delete":
                return target.delete(content, source)
            case "Put" | "Delete":
                if len(content) > 1:
                    target = self._targets[content.pop("TableName")]
                return target.request({f"{action}Request": content}, source)
        return target.request(element, source)


class _Target:
    """A table, laid out for the checks of its key."""

    def __init__(self, table: Table) -> None:
        self._name = table.name
        self._partition, self._sort = table.partition_key, table.sort_key
        self._partition_name = table.partition_key.name
        self._sort_name = None if table.sort_key is None else table.sort_key.name
        self._key_length = len(table.key)
        self._is_text = all(attribute.type == "S" for attribute in table.key)

    def put(self, item: dict[str, Any], source: Source) -> Operation:
        """Of a plain item."""
        _convert(item, 1)
        return self._operation(item, {"PutRequest": {"Item": item}}, source)

    def delete(self, key: dict[str, Any], source: Source) -> Operation:
        """Of a plain key."""
        _require_usual(len(key) == self._key_length)
        _convert(key, 1)
        return self._operation(key, {"DeleteRequest": {"Key": key}}, source)

    def request(self, request: dict[str, Any], source: Source) -> Operation:
        """Of DynamoDB's own `{"PutRequest": {"Item": ...}}` or `{"DeleteRequest": {"Key": ...}}`."""
        ((action, content),) = request.items()
        ((inner, attributes),) = content.items()
        _require_usual((action, inner) in _REQUESTS)
        _require_usual(inner == "Item" or len(attributes) == self._key_length)
        _check(attributes, 1)
        return self._operation(attributes, request, source)

    def _operation(self, attributes: dict[str, Any], request: dict[str, Any], source: Source) -> Operation:
        key: Key
        if self._is_text:
            partition = attributes[self._partition_name]["S"]
            sort = None if self._sort_name is None else attributes[self._sort_name]["S"]
            if not 0 < len(partition) <= _USUAL_PARTITION_KEY or (
                sort is not None and not 0 < len(sort) <= _USUAL_SORT_KEY
            ):
                raise Unusual
            key = (self._name, partition, sort)
        else:
            key = (self._name, *self._key_values(attributes))
        body = _encode(request)
        if len(body) > MAX_BODY_BYTES:
            raise Unusual
        return BatchWrite(key=key, source=source, body=body)

    def _key_values(self, attributes: dict[str, Any]) -> tuple[KeyValue, KeyValue | None]:
        sort = None if self._sort is None else _key_value(self._sort, attributes, _USUAL_SORT_KEY)
        return _key_value(self._partition, attributes, _USUAL_PARTITION_KEY), sort


def _key_value(attribute: KeyAttribute, attributes: dict[str, Any], longest: int) -> KeyValue:
    value = attributes[attribute.name]
    if attribute.type == "N":
        return Decimal(value.N if type(value) is Number else value["N"])
    content: str | bytes = value[attribute.type]
    _require_usual(0 < len(content) <= longest)
    return content


def _convert(attributes: dict[Any, Any], level: int) -> None:
    """Plain values to DynamoDB JSON, in place, which is cheaper; the nesting level of the map or list is `level`."""
    if "" in attributes or level > MAX_NESTING:
        raise Unusual
    for name, value in attributes.items():  # In one loop: a call for each value would cost half as much again.
        kind = type(value)
        if kind is str:
            attributes[name] = {"S": value}
        elif kind is int:
            text = str(value)
            if len(text) > MAX_DIGITS:
                raise Unusual
            attributes[name] = {"N": text}
        elif kind is Number:
            text = value.N
            # Few digits and no exponent: in range. What sorts before "-1" begins with "-0", and may be a zero.
            if len(text) > MAX_DIGITS or "e" in text or "E" in text or text < "-1":
                attributes[name] = _number_value(text)
        elif kind is dict:
            _convert(value, level + 1)
            attributes[name] = {"M": value}
        elif kind is list:
            elements = dict(enumerate(value))
            _convert(elements, level + 1)
            attributes[name] = {"L": list(elements.values())}
        elif value is None:
            attributes[name] = _NULL
        else:
            attributes[name] = _TRUE if value else _FALSE


def _check(attributes: dict[Any, Any], level: int) -> None:
    """Values that came as DynamoDB JSON; what is to be spelled otherwise is replaced."""
    if "" in attributes or level > MAX_NESTING:
        raise Unusual
    for name, value in attributes.items():
        ((kind, content),) = value.items()
        if kind == "S":
            if type(content) is not str:
                raise Unusual
        elif kind == "N":
            if not _usual_number(content) or content < "-1":
                attributes[name] = _number_value(content)
        elif kind == "M":
            _check(content, level + 1)
        elif kind == "L":
            if type(content) is not list:
                raise Unusual
            elements = dict(enumerate(content))
            _check(elements, level + 1)
            attributes[name] = {"L": list(elements.values())}
        else:
            attributes[name] = items.native_value(value, level)[0]


def _number_value(text: Any) -> AttributeValue:
    _require_usual(type(text) is str and len(text) <= _MAX_NUMBER)
    return items.number(text)[0]


def _require_usual(holds: bool) -> None:
    if not holds:
        raise Unusual
