"""Python values as an operation that is ready to be sent.

The short way is for what is obviously right, and never says what is wrong; anything else goes by the producer's and
the function's own rules, which do.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from sluice.message import records
from sluice.message.decoder import Decoder
from sluice.message.fast_tables import Given, fast_table
from sluice.message.fast_values import Unusual
from sluice.message.items import MAX_NESTING, Rejected
from sluice.message.operation import Operation, Rejection, Source
from sluice.message.settings import Settings, Table
from sluice.producer.element import Extras, element
from sluice.producer.errors import InvalidRecordError
from sluice.producer.values import native

from .outcome import Action

_ERRORS = (Unusual, Rejected, KeyError, TypeError, ValueError, AttributeError, ArithmeticError)
"""By which a value shows that it is not what the short way takes it for; UnicodeEncodeError is a ValueError."""
_MAX_INT = 10**37
_NULL = {"NULL": True}
_TRUE, _FALSE = {"BOOL": True}, {"BOOL": False}


class Converter:
    """Makes operations for the given tables, the first of which is the default."""

    def __init__(self, tables: Sequence[Table], region: str | None = None) -> None:
        self._exact = Decoder(Settings(tuple(tables)), region)
        self._fast = {name: fast_table(table) for table in tables for name in (table.alias, table.name)}
        self._fast[""] = fast_table(tables[0])

    def put(self, item: Any, table: str, extras: Extras | None, source: Source) -> Operation | Rejection:
        """Every attribute of the item; `extras` are its condition, if it has one."""
        try:
            if type(item) is not dict:
                raise Unusual
            attributes = _attributes(item, 1)
            if extras is None:
                return self._fast[table].put(attributes, source)
            return self._fast[table].put(attributes, source, _given(extras))
        except _ERRORS:
            return self.exactly("put", item, table, extras, source)

    def delete(self, key: Any, table: str, extras: Extras | None, source: Source) -> Operation | Rejection:
        try:
            attributes, fast = _attributes(key, 1), self._fast[table]
            if extras is None:
                return fast.delete(attributes, source)
            version = None if extras.version is None else native(extras.version)
            return fast.delete(attributes, source, _given(extras), version)
        except _ERRORS:
            return self.exactly("delete", key, table, extras, source)

    def update(self, key: Any, table: str, extras: Extras, source: Source) -> Operation | Rejection:
        try:
            return self._fast[table].update(_attributes(key, 1), source, _given(extras))
        except _ERRORS:
            return self.exactly("update", key, table, extras, source)

    def exactly(
        self, action: Action, item: Any, table: str, extras: Extras | None, source: Source
    ) -> Operation | Rejection:
        """By the long way: slower, and with the reason where it is refused."""
        given = extras or Extras()
        try:
            body = element(action, unboxed(item), _named(given, table)).decode()
        except InvalidRecordError as error:
            return Rejection(error.code, str(error).partition(": ")[2] or str(error))
        message = self._exact.decode_exactly(records.unsent(body))
        for _, rejection in message.rejected:
            return rejection
        (operation,) = message.operations
        return msgspec.structs.replace(operation, source=source)


def unboxed(item: Any) -> Any:
    """The item with plain bytes in the place of boto3's `Binary`, wherever one stands."""
    kind = type(item)
    if kind.__name__ == "Binary" and kind.__module__ == "boto3.dynamodb.types":
        return item.value
    if isinstance(item, Mapping):
        return {name: unboxed(value) for name, value in item.items()}
    if kind in (list, tuple, set, frozenset):
        return kind(map(unboxed, item))
    return item


def _named(extras: Extras, table: str) -> Extras:
    return Extras(table or None, extras.condition, extras.expression, extras.names, extras.values, extras.version)


def _given(extras: Extras) -> Given:
    values = {} if extras.values is None else _attributes(extras.values, 1)
    return Given(extras.condition, extras.expression, dict(extras.names or {}), values)


# The commonest types first, each in one look: this runs for every attribute of every item.


def _attributes(values: Any, level: int) -> dict[str, Any]:
    """DynamoDB JSON of a map whose own nesting level is `level`."""
    if level > MAX_NESTING or "" in values:
        raise Unusual
    converted = {}
    for name, value in values.items():
        if type(name) is not str:
            raise Unusual
        kind = type(value)
        if kind is str:
            converted[name] = {"S": value}
        elif kind is int and -_MAX_INT < value < _MAX_INT:
            converted[name] = {"N": str(value)}
        else:
            converted[name] = _BY_TYPE[kind](value, level)
    return converted


def _list(values: Any, level: int) -> dict[str, Any]:
    if level >= MAX_NESTING:
        raise Unusual
    by_type = _BY_TYPE
    return {"L": [by_type[type(value)](value, level + 1) for value in values]}


def _string(value: str, _: int) -> dict[str, Any]:
    return {"S": value}


def _integer(value: int, _: int) -> dict[str, Any]:
    if -_MAX_INT < value < _MAX_INT:
        return {"N": str(value)}
    raise Unusual


def _decimal(value: Decimal, _: int) -> dict[str, Any]:
    text = str(value)
    # So short and without an exponent it is in range; what begins with "-0", or is no number, may be anything.
    if len(text) <= 38 and "E" not in text and text[0] in "123456789":
        return {"N": text}
    return native(value)


def _other(value: Any, _: int) -> dict[str, Any]:
    return native(value)


def _binary(value: bytes, _: int) -> dict[str, Any]:
    return {"B": base64.b64encode(value).decode()}


def _map(value: dict[str, Any], level: int) -> dict[str, Any]:
    return {"M": _attributes(value, level + 1)}


def _bool(value: bool, _: int) -> dict[str, Any]:
    return _TRUE if value else _FALSE


def _none(_: None, __: int) -> dict[str, Any]:
    return _NULL


_BY_TYPE: Mapping[type, Callable[[Any, int], dict[str, Any]]] = {
    str: _string,
    int: _integer,
    float: _other,
    Decimal: _decimal,
    bool: _bool,
    type(None): _none,
    dict: _map,
    list: _list,
    tuple: _list,
    bytes: _binary,
    set: _other,
    frozenset: _other,
}
