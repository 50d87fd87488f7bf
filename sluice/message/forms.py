"""The forms in which a message may write an operation, each checked in full."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from . import items
from .expressions import Expressions
from .items import Rejected
from .operation import AttributeValue, BatchWrite, Key, Operation, SingleCall, SingleWrite, Source
from .settings import ANY_TABLE, Settings, Table

_PLAIN = ("put", "delete", "update")
_KNOWN = "put, delete, update, PutRequest, DeleteRequest, RequestItems, Put, Delete and Update"
_NATIVE_EXPRESSIONS = {"ConditionExpression", "ExpressionAttributeNames", "ExpressionAttributeValues"}
_PARTITION = r"aws(?:-cn|-us-gov|-eusc|-iso(?:-[a-z])?)?"  # botocore's data/partitions.json
_TABLE_ARN = re.compile(rf"arn:{_PARTITION}:dynamodb:([a-z0-9-]{{1,32}}):([0-9]{{12}}):table/([A-Za-z0-9_.-]{{1,255}})")
_NO_EXPRESSIONS = Expressions()
_ENCODE = msgspec.json.encode


class Forms:
    """Builds operations as the settings say; every method raises `Rejected`.

    `region` and `account` are the function's own, as far as known: a table ARN of another is not one of our tables.
    """

    def __init__(self, settings: Settings, region: str | None, account: str | None) -> None:
        self._by_name = {table.name: table for table in settings.tables}
        self._tables = self._by_name | {table.alias: table for table in settings.tables}
        self._default = settings.tables[0]
        self._region = region
        self.account = account

    def item(self, element: Any, source: Source) -> Operation:
        """A put of the element itself."""
        return self._plain_put(element, self._default, _NO_EXPRESSIONS, source)

    def request(self, request: Any, table: str, source: Source) -> Operation:
        """An element of a RequestItems list."""
        return self._native_request(request, self._table(table), source)

    def operation(self, element: Any, source: Source) -> Operation:
        if not isinstance(element, dict):
            raise Rejected("UnknownOperation", "an operation must be a JSON object")
        plain = [name for name in _PLAIN if name in element]
        if len(plain) == 1:
            return self._plain(element, plain[0], source)
        if len(plain) > 1:
            raise Rejected("UnknownOperation", f"{' and '.join(plain)} cannot stand in one operation")
        if len(element) == 1:
            ((name, content),) = element.items()
            if name in ("PutRequest", "DeleteRequest"):
                return self._native_request(element, self._default, source)
            if name in ("Put", "Delete", "Update"):
                return self._transact_element(name, content, source)
            if name == "RequestItems":
                text = "RequestItems must map table names to non-empty arrays of requests"
                raise Rejected("UnknownOperation", text)
        raise Rejected("UnknownOperation", f"unknown operation {_keys(element)}; known are {_KNOWN}")

    def _plain(self, element: dict[str, Any], action: str, source: Source) -> Operation:
        known = {action, "table", "condition", "names", "values"}
        known |= {"put": set(), "delete": {"version"}, "update": {"expression"}}[action]
        _refuse_unknown(element, known)
        table = self._table(element["table"]) if "table" in element else self._default
        if action == "update" and "expression" not in element:
            raise Rejected("UnknownOperation", "update must have an expression")
        expressions = Expressions(
            _expression(element, "condition"),
            _expression(element, "expression"),
            _object(element, "names"),
            _values(_object(element, "values"), items.plain_value),
        )
        if action == "put":
            return self._plain_put(element["put"], table, expressions, source)
        if not isinstance(element[action], dict):
            raise Rejected("UnknownOperation", f"{action} must hold the key as an object")
        key, _ = items.plain_item(element[action])
        if action == "update":
            return _update(table, key, expressions, source)
        version = items.plain_value(element["version"], 1)[0] if "version" in element else None
        return _delete(table, key, expressions, source, version)

    def _plain_put(self, item: Any, table: Table, expressions: Expressions, source: Source) -> Operation:
        if not isinstance(item, dict):
            raise Rejected("UnknownOperation", "an item must be a JSON object")
        attributes, size = items.plain_item(item)
        return _put(table, attributes, size, expressions, source)

    def _native_request(self, request: Any, table: Table, source: Source) -> Operation:
        if not isinstance(request, dict) or len(request) != 1:
            raise Rejected("UnknownOperation", "a request must hold one PutRequest or one DeleteRequest")
        ((name, content),) = request.items()
        inner = {"PutRequest": "Item", "DeleteRequest": "Key"}.get(name)
        if inner is None or not isinstance(content, dict) or list(content) != [inner]:
            raise Rejected("UnknownOperation", "a request must be a PutRequest of an Item or a DeleteRequest of a Key")
        attributes, size = items.native_item(content[inner])
        if inner == "Item":
            return _put(table, attributes, size, Expressions(), source)
        return _delete(table, attributes, Expressions(), source)

    def _transact_element(self, name: str, content: Any, source: Source) -> Operation:
        if not isinstance(content, dict):
            raise Rejected("UnknownOperation", f"{name} must be an object")
        inner = "Item" if name == "Put" else "Key"
        needed = {inner, "UpdateExpression"} if name == "Update" else {inner}
        _refuse_unknown(content, needed | {"TableName"} | _NATIVE_EXPRESSIONS)
        if missing := needed - set(content):
            raise Rejected("UnknownOperation", f"{name} must hold {' and '.join(sorted(missing))}")
        table = self._table(content["TableName"]) if "TableName" in content else self._default
        expressions = Expressions(
            _expression(content, "ConditionExpression"),
            _expression(content, "UpdateExpression"),
            _object(content, "ExpressionAttributeNames"),
            _values(_object(content, "ExpressionAttributeValues"), items.native_value),
        )
        attributes, size = items.native_item(content[inner])
        if name == "Put":
            return _put(table, attributes, size, expressions, source)
        build = _delete if name == "Delete" else _update
        return build(table, attributes, expressions, source)

    def _table(self, name: Any) -> Table:
        if not isinstance(name, str):
            raise Rejected("UnknownTable", "the table must be named by a string")
        if self._default is ANY_TABLE:
            return ANY_TABLE
        table = self._tables.get(name)
        if table is None and (arn := _TABLE_ARN.fullmatch(name)):
            region, account, own_name = arn.groups()
            if self._region not in (None, region):
                raise Rejected("UnknownTable", f"a table of {region}; this function writes in {self._region}")
            if self.account not in (None, account):
                raise Rejected("UnknownTable", "a table of another account than the function's")
            table = self._by_name.get(own_name)
        if table is None:
            shown = name if len(name) <= 100 else name[:100] + "..."
            raise Rejected("UnknownTable", f"{shown!r} is not one of the tables in TABLES")
        return table


def _put(
    table: Table, attributes: dict[str, AttributeValue], size: int, expressions: Expressions, source: Source
) -> Operation:
    key = items.key_of(table, attributes)
    items.check_index_keys(table, attributes)
    items.check_size(size)
    version = None if table.version is None else attributes.get(table.version)
    if expressions == _NO_EXPRESSIONS and table.version is None:
        return BatchWrite(key=key, source=source, body=_ENCODE({"PutRequest": {"Item": attributes}}))
    return _single_call(table, key, "put_item", {"Item": attributes}, expressions, source, version)


def _delete(
    table: Table,
    attributes: dict[str, AttributeValue],
    expressions: Expressions,
    source: Source,
    version: AttributeValue | None = None,
) -> Operation:
    key = items.key_of(table, attributes)
    items.check_only_key(table, attributes)
    if version is not None and table.version is None and table is not ANY_TABLE:
        raise Rejected("UnknownOperation", "version: the table has no version attribute")
    if expressions == _NO_EXPRESSIONS and table.version is None:
        return BatchWrite(key=key, source=source, body=_ENCODE({"DeleteRequest": {"Key": attributes}}))
    return _single_call(table, key, "delete_item", {"Key": attributes}, expressions, source, version)


def _update(table: Table, attributes: dict[str, AttributeValue], expressions: Expressions, source: Source) -> Operation:
    key = items.key_of(table, attributes)
    items.check_only_key(table, attributes)
    expressions.check(items.key_names(table, attributes))
    request = {"Key": attributes, **expressions.arguments()}
    return SingleWrite(
        key=key,
        source=source,
        call="update_item",
        body=_ENCODE(request),
        is_conditional=expressions.condition is not None,
    )


def _single_call(
    table: Table,
    key: Key,
    call: SingleCall,
    request: dict[str, Any],
    expressions: Expressions,
    source: Source,
    version: AttributeValue | None,
) -> Operation:
    """A conditional put or delete: conditional by the message's own words, by the table's version, or by both."""
    expressions.check(set())
    is_conditional = expressions.condition is not None
    newest: tuple[str, AttributeValue] | None = None
    if table.version is not None:
        newest = table.version, _version(table, call, version)
        expressions = expressions.only_newer(*newest)
    return SingleWrite(
        key=key,
        source=source,
        call=call,
        body=_ENCODE(request | expressions.arguments()),
        version=newest,
        is_conditional=is_conditional,
    )


def _version(table: Table, call: SingleCall, version: AttributeValue | None) -> AttributeValue:
    if version is None or not version.keys() & {"N", "S"}:
        what = f"attribute {table.version!r}" if call == "put_item" else '"version" beside the key'
        text = f"table {table.alias!r} keeps the newest version: {what} must be a number or a string"
        raise Rejected("MissingVersion", text)
    return version


def _expression(element: Mapping[str, Any], name: str) -> str | None:
    """The expression, None where absent. JSON null is rejected: taken as absent it would drop the condition."""
    if name not in element:
        return None
    if not isinstance(element[name], str):
        raise Rejected("InvalidExpression", f"{name} must be a string")
    return str(element[name])


def _object(element: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = element.get(name, {})
    if not isinstance(value, dict):
        raise Rejected("InvalidExpression", f"{name} must be an object")
    return value


def _values(values: dict[str, Any], convert: Callable[[Any, int], items.Sized]) -> dict[str, AttributeValue]:
    try:
        return {name: convert(value, 1)[0] for name, value in values.items()}
    except Rejected as rejected:
        raise rejected.inside("values") from None


def _refuse_unknown(element: dict[str, Any], known: set[str]) -> None:
    if unknown := {name: None for name in element if name not in known}:
        raise Rejected("UnknownOperation", f"not part of this operation: {_keys(unknown)}")


def _keys(element: dict[str, Any]) -> str:
    names = [repr(name if len(name) <= 50 else name[:50] + "...") for name in list(element)[:5]]
    return ", ".join(names) + (", ..." if len(element) > len(names) else "") if names else "an empty object"
