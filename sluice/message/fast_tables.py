"""Operations of attributes that `fast_values` has let through, for each table: key, expressions, body."""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from . import items
from .expressions import NEWER_VALUE, Expressions
from .fast_values import Number, Unusual, binary
from .operation import AttributeValue, BatchWrite, Key, KeyValue, Operation, SingleCall, SingleWrite, Source
from .settings import KeyAttribute, Table

MAX_BODY_BYTES = 65_535
"""Of an operation's JSON. No attribute name in it is too long then, and the item is not too large: no value has more
bytes by DynamoDB's rule than its DynamoDB JSON has. A list's 3 bytes, and 1 for each element, are fewer than the 8 of
`{"L":[]}` and the comma (a map's likewise); a number of n digits counts 1 + n / 2; the others count what they show."""
MAX_KNOWN_EXPRESSIONS = 256
"""Of each table; with names of MAX_NAMES and two expressions of 4,096 bytes each, a few megabytes at most."""
MAX_NAMES = 4096
"""Characters of all attribute names that go with an expression."""
USUAL_PARTITION_KEY, USUAL_SORT_KEY = items.MAX_PARTITION_KEY_BYTES // 4, items.MAX_SORT_KEY_BYTES // 4
"""Characters; UTF-8 has at most 4 bytes for each."""

_encode = msgspec.json.encode


class Given(NamedTuple):
    """The expressions of an operation as it came, with their names, and their values in DynamoDB JSON."""

    condition: str | None
    update: str | None
    names: dict[str, Any]
    values: dict[str, Any]


_NOTHING = Given(None, None, {}, {})


class FastTable:
    """A table, laid out for the checks of its key. Every method raises `Unusual` or `Rejected`, or any error by which
    a value shows that it is not what it is taken for."""

    def __init__(self, table: Table) -> None:
        self._name = table.name
        self._partition, self._sort = table.partition_key, table.sort_key
        self._partition_name = table.partition_key.name
        self._sort_name = None if table.sort_key is None else table.sort_key.name
        self._key_names = {attribute.name for attribute in table.key}
        self._key_length = len(table.key)
        self._is_text = all(attribute.type == "S" for attribute in table.key)
        self._version = table.version
        # Those that are refused are not kept, as they raise.
        self._checked = lru_cache(MAX_KNOWN_EXPRESSIONS)(self._check)

    def put(
        self, item: dict[str, Any], source: Source, given: Given = _NOTHING, *, body: bytes | None = None
    ) -> Operation:
        """`body`: the request of a put without conditions, where it is at hand."""
        key = self._key(item)
        if self._version is not None:
            return self._single(key, source, "put_item", {"Item": item}, given, item[self._version])
        if given is not _NOTHING:
            return self._single(key, source, "put_item", {"Item": item}, given)
        return BatchWrite(key=key, source=source, body=_body({"PutRequest": {"Item": item}}, body))

    def delete(
        self,
        attributes: dict[str, Any],
        source: Source,
        given: Given = _NOTHING,
        version: AttributeValue | None = None,
        *,
        body: bytes | None = None,
    ) -> Operation:
        key = self._only_key(attributes)
        if self._version is not None or given is not _NOTHING:
            return self._single(key, source, "delete_item", {"Key": attributes}, given, version)
        return BatchWrite(key=key, source=source, body=_body({"DeleteRequest": {"Key": attributes}}, body))

    def update(self, attributes: dict[str, Any], source: Source, given: Given) -> Operation:
        key = self._only_key(attributes)
        if given.update is None:
            raise Unusual
        request = {"Key": attributes, **self._checked(given.condition, given.update, *_names(given))}
        if given.values:
            request["ExpressionAttributeValues"] = given.values
        is_conditional = given.condition is not None
        return SingleWrite(
            key=key, source=source, call="update_item", body=_body(request), is_conditional=is_conditional
        )

    def _single(
        self,
        key: Key,
        source: Source,
        call: SingleCall,
        request: dict[str, Any],
        given: Given,
        version: AttributeValue | Number | None = None,
    ) -> Operation:
        """A put or delete with a condition of its own, or that of the table's version, or both."""
        newest: tuple[str, AttributeValue] | None = None
        values = given.values
        if self._version is not None:
            newest = self._version, _version(version)
            values = {**values, NEWER_VALUE: newest[1]}
        elif version is not None or given.condition is None:
            raise Unusual
        if given.update is not None:
            raise Unusual
        request |= self._checked(given.condition, None, *_names(given))
        if values:
            request["ExpressionAttributeValues"] = values
        is_conditional = given.condition is not None
        return SingleWrite(
            key=key, source=source, call=call, body=_body(request), version=newest, is_conditional=is_conditional
        )

    def _check(
        self,
        condition: str | None,
        update: str | None,
        names: tuple[tuple[str, Any], ...],
        values: tuple[str, ...],
    ) -> dict[str, Any]:
        """The arguments of the call that are the same whatever the values are, which need be checked only once."""
        expressions = Expressions(condition, update, dict(names), {name: {} for name in values})
        expressions.check(set() if update is None else self._key_names)
        if self._version is not None and update is None:
            expressions = expressions.only_newer(self._version, {})
        arguments = expressions.arguments()
        arguments.pop("ExpressionAttributeValues", None)
        return arguments

    def _only_key(self, attributes: dict[str, Any]) -> Key:
        if len(attributes) != self._key_length:
            raise Unusual
        return self._key(attributes)

    def _key(self, attributes: dict[str, Any]) -> Key:
        if self._is_text:
            partition = attributes[self._partition_name]["S"]
            sort = None if self._sort_name is None else attributes[self._sort_name]["S"]
            if not 0 < len(partition) <= USUAL_PARTITION_KEY or (
                sort is not None and not 0 < len(sort) <= USUAL_SORT_KEY
            ):
                raise Unusual
            return (self._name, partition, sort)
        sort = None if self._sort is None else _key_value(self._sort, attributes, USUAL_SORT_KEY)
        return (self._name, _key_value(self._partition, attributes, USUAL_PARTITION_KEY), sort)


class FastIndexedTable(FastTable):
    """A table with secondary indexes: the attributes of their keys are checked too, where an item has them."""

    def __init__(self, table: Table) -> None:
        super().__init__(table)
        keys = [(attribute, USUAL_PARTITION_KEY) for index in table.indexes for attribute in index.partition_key]
        keys += [(attribute, USUAL_SORT_KEY) for index in table.indexes for attribute in index.sort_key]
        self._index_keys = tuple(dict(keys).items())  # Of an attribute with both uses, the later and lower limit.

    def put(
        self, item: dict[str, Any], source: Source, given: Given = _NOTHING, *, body: bytes | None = None
    ) -> Operation:
        for attribute, longest in self._index_keys:
            if attribute.name in item:
                _key_value(attribute, item, longest)
        return super().put(item, source, given, body=body)


def fast_table(table: Table) -> FastTable:
    return FastIndexedTable(table) if table.indexes else FastTable(table)


def _names(given: Given) -> tuple[tuple[tuple[str, Any], ...], tuple[str, ...]]:
    if given.names and sum(map(len, given.names.values())) > MAX_NAMES:
        raise Unusual
    return tuple(given.names.items()), tuple(given.values)


def _key_value(attribute: KeyAttribute, attributes: dict[str, Any], longest: int) -> KeyValue:
    value = attributes[attribute.name]
    if attribute.type == "N":
        return Decimal(value.N if type(value) is Number else value["N"])
    content: str | bytes = value["S"] if attribute.type == "S" else binary(value["B"])
    if not 0 < len(content) <= longest:
        raise Unusual
    return content


def _version(value: AttributeValue | Number | None) -> AttributeValue:
    if type(value) is Number:
        return {"N": value.N}
    if type(value) is not dict or not ("N" in value or "S" in value):
        raise Unusual
    return value


def _body(request: dict[str, Any], body: bytes | None = None) -> bytes:
    if body is None:
        body = _encode(request)
    if len(body) > MAX_BODY_BYTES:
        raise Unusual
    return body
