"""SQS record ⇄ operations: the wire contract of a message's body.

A body that is wrong as a whole, or an operation that is wrong by itself, becomes a `Rejection`, never an exception.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from typing import Any

from . import items
from .expressions import Expressions
from .items import Rejected
from .operation import AttributeValue, Call, Key, Operation, Rejection, Source
from .settings import Settings, Table

_PLAIN = ("put", "delete", "update")
_NATIVE_EXPRESSIONS = {"ConditionExpression", "ExpressionAttributeNames", "ExpressionAttributeValues"}
_TABLE_ARN = re.compile(r"arn:aws[a-z-]*:dynamodb:([a-z0-9-]{1,32}):[0-9]{12}:table/([A-Za-z0-9_.-]{1,255})")
# Escapes as JSON reads them, left to right: a surrogate pair, a lone surrogate (caught), anything else.
_ESCAPE = re.compile(r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F])|.)", re.DOTALL)
_NO_EXPRESSIONS = Expressions()
_BETWEEN_MEMBERS = re.compile(r"[\s,:]*")


@dataclass(frozen=True, slots=True)
class HugeNumber:
    """A number whose exponent no Decimal can hold, as it was written; a number still, and no text."""

    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True, eq=False)
class Message:
    """One SQS record, decoded: operations that can be tried, and rejections of those that cannot."""

    record: Mapping[str, Any]
    operations: tuple[Operation, ...]
    rejected: tuple[tuple[Source | None, Rejection], ...]
    """A source of None is the whole body."""
    sources: tuple[Source, ...] = ()
    """Of all operations, good and bad, in the order of the body."""

    @property
    def id(self) -> str:
        return str(self.record["messageId"])

    @property
    def receive_count(self) -> int:
        return receive_count(self.record)

    @property
    def group(self) -> str | None:
        """The message group of a FIFO queue; order matters within it. None on a standard queue (fair queues too)."""
        if not str(self.record.get("eventSourceARN", "")).endswith(".fifo"):
            return None
        return str(self.record.get("attributes", {}).get("MessageGroupId", ""))


class Decoder:
    """Decodes records as the settings say. Raises `SettingsError` at once for a bad RECORD_EXPRESSION.

    `region` is the function's own: a table ARN of another region is not one of our tables.
    """

    def __init__(self, settings: Settings, region: str | None = None) -> None:
        self._by_name = {table.name: table for table in settings.tables}
        self._tables = self._by_name | {table.alias: table for table in settings.tables}
        self._default = settings.tables[0]
        self._region = region
        self._expand = self._item if settings.record_format == "item" else self._operations
        self._open: Callable[[Any], Any] | None = None
        if settings.record_expression is not None:
            from .envelope import (
                Envelope,
            )  # jmespath costs cold starts time, and most functions never need it

            self._open = Envelope(settings.record_expression, parse_json).open

    def decode(self, record: Mapping[str, Any]) -> Message:
        try:
            body = parse_json(record["body"])
            found = body if self._open is None else self._open(body)
            elements = found if isinstance(found, list) else [found]
            if not elements:
                raise Rejected("UnknownOperation", "an empty array holds no operation")
        except Rejected as rejected:
            return Message(record, (), ((None, rejected.rejection()),))
        operations: list[Operation] = []
        refused: list[tuple[Source | None, Rejection]] = []
        sources: list[Source] = []
        for position, element in enumerate(elements):
            for source, build in self._expand(element, _source(record, position)):
                sources.append(source)
                try:
                    operations.append(build())
                except Rejected as rejected:
                    refused.append((source, rejected.rejection()))
        return Message(record, tuple(operations), tuple(refused), tuple(sources))

    def _item(self, element: Any, source: Source) -> Iterator[tuple[Source, Callable[[], Operation]]]:
        yield source, lambda: self._plain_put(element, self._default, Expressions(), source)

    def _operations(self, element: Any, source: Source) -> Iterator[tuple[Source, Callable[[], Operation]]]:
        """The operations of one element, each still to be built, so that each can be rejected by itself."""
        if isinstance(element, dict) and _is_request_items(element):
            for table, requests in element["RequestItems"].items():
                for position, request in enumerate(requests):
                    yield self._request(request, table, replace(source, table=table, position=position))
        else:
            yield source, lambda: self._single(element, source)

    def _request(self, request: Any, table: str, source: Source) -> tuple[Source, Callable[[], Operation]]:
        return source, lambda: self._native_request(request, self._table(table), source)

    def _single(self, element: Any, source: Source) -> Operation:
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
        raise Rejected("UnknownOperation", f"not an operation of this contract: {_keys(element)}")

    def _plain(self, element: dict[str, Any], action: str, source: Source) -> Operation:
        known = {action, "table", "condition", "names", "values"}
        known |= {"put": set(), "delete": {"version"}, "update": {"expression"}}[action]
        _refuse_unknown(element, known)
        table = self._table(element["table"]) if "table" in element else self._default
        if action == "update" and "expression" not in element:
            raise Rejected("UnknownOperation", "update must have an expression")
        expressions = Expressions(
            _text(element, "condition"),
            _text(element, "expression"),
            _object(element, "names"),
            _values(_object(element, "values"), items.plain_value),
        )
        if action == "put":
            return self._plain_put(element["put"], table, expressions, source)
        if not isinstance(element[action], dict):
            raise Rejected("UnknownOperation", f"{action} must hold the key as an object")
        key, size = items.plain_item(element[action])
        if action == "update":
            return _update(table, key, size, expressions, source)
        version = items.plain_value(element["version"], 1)[0] if "version" in element else None
        return _delete(table, key, size, expressions, source, version)

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
        build = _put if inner == "Item" else _delete
        return build(table, attributes, size, Expressions(), source)

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
            _text(content, "ConditionExpression"),
            _text(content, "UpdateExpression"),
            _object(content, "ExpressionAttributeNames"),
            _values(_object(content, "ExpressionAttributeValues"), items.native_value),
        )
        attributes, size = items.native_item(content[inner])
        build = {"Put": _put, "Delete": _delete, "Update": _update}[name]
        return build(table, attributes, size, expressions, source)

    def _table(self, name: Any) -> Table:
        if not isinstance(name, str):
            raise Rejected("UnknownTable", "the table must be named by a string")
        table = self._tables.get(name)
        if table is None and (arn := _TABLE_ARN.fullmatch(name)):
            region, own_name = arn.groups()
            if self._region not in (None, region):
                raise Rejected("UnknownTable", f"a table of {region}; this function writes in {self._region}")
            table = self._by_name.get(own_name)
        if table is None:
            shown = name if len(name) <= 100 else name[:100] + "..."
            raise Rejected("UnknownTable", f"{shown!r} is not one of the tables in TABLES")
        return table


def parse_json(text: Any) -> Any:
    """JSON with every number as an exact Decimal. Raises `Rejected` with InvalidJson or NestingTooDeep."""
    if not isinstance(text, str):
        raise Rejected("InvalidJson", "the body is not text")
    try:
        text.encode()
        if "\\ud" in text or "\\uD" in text:
            _refuse_lone_surrogates(text)
        return json.loads(text, parse_float=_number, parse_int=_number, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:  # Its text names a position, never a value.
        raise Rejected("InvalidJson", str(error)) from None
    except UnicodeEncodeError:
        raise Rejected("InvalidJson", "a lone surrogate is not a character") from None
    except RecursionError:
        text = f"JSON nested too deeply; an item takes {items.MAX_NESTING} levels"
        raise Rejected("NestingTooDeep", text) from None


def rejected_body(message: Message, sources: Sequence[Source | None], whole: bool) -> str:
    """The body of a dead letter: just the bad operations, to the letter as they came in.

    The whole body where it could not be parsed, where every operation is bad, or where `whole` asks for it.
    """
    body = str(message.record["body"])
    bad = [source for source in sources if source is not None]
    if whole or len(bad) < len(sources) or len(bad) == len(message.sources):
        return body
    try:
        if not body.lstrip().startswith("["):
            return _narrowed(body, bad)
        elements = [text for _, text in _members(body).values()]
        by_element: dict[int, list[Source]] = {}
        for source in bad:
            by_element.setdefault(source.element, []).append(source)
        return f"[{','.join(_narrowed(elements[element], here) for element, here in sorted(by_element.items()))}]"
    except RecursionError:  # A bad operation nested so deeply that it was only just parsed.
        return body


def _narrowed(element: str, bad: Sequence[Source]) -> str:
    """The text of an element; of a RequestItems object only its bad requests."""
    if any(source.table is None for source in bad):
        return element
    tables = _members(_members(element)["RequestItems"][1])
    positions: dict[str, list[int]] = {}
    for source in bad:
        assert source.table is not None
        positions.setdefault(source.table, []).append(source.position)
    texts = []
    for table, of_table in positions.items():
        name, requests = tables[table]
        members = [text for _, text in _members(requests).values()]
        texts.append(f"{name}:[{','.join(members[position] for position in of_table)}]")
    return f'{{"RequestItems":{{{",".join(texts)}}}}}'


def _members(text: str) -> dict[str, tuple[str, str]]:
    """The members of a JSON object (or array, by position), each with the text of its name and of its value."""
    decoder = json.JSONDecoder(parse_float=str, parse_int=str)
    members: dict[str, tuple[str, str]] = {}
    start = _skip(text, 0)
    is_object = text[start] == "{"
    position = start + 1
    while text[position := _skip(text, position)] not in "]}":
        name, name_text = str(len(members)), ""
        if is_object:
            name, end = decoder.raw_decode(text, position)
            name_text, position = text[position:end], _skip(text, end)
        _, end = decoder.raw_decode(text, position)
        members[name] = (name_text, text[position:end])
        position = end
    return members


def _skip(text: str, start: int) -> int:
    between = _BETWEEN_MEMBERS.match(text, start)
    return between.end() if between else start


def _put(
    table: Table, attributes: dict[str, AttributeValue], size: int, expressions: Expressions, source: Source
) -> Operation:
    key = items.key_of(table, attributes)
    items.check_size(size)
    version = None if table.version is None else attributes.get(table.version)
    if expressions == _NO_EXPRESSIONS and table.version is None:
        return Operation(key, "batch_write_item", {"PutRequest": {"Item": attributes}}, size, source)
    return _single_call(table, key, "put_item", {"Item": attributes}, size, expressions, source, version)


def _delete(
    table: Table,
    attributes: dict[str, AttributeValue],
    size: int,
    expressions: Expressions,
    source: Source,
    version: AttributeValue | None = None,
) -> Operation:
    key = items.key_of(table, attributes)
    items.check_only_key(table, attributes)
    if version is not None and table.version is None:
        raise Rejected("UnknownOperation", "version: the table has no version attribute")
    if expressions == _NO_EXPRESSIONS and table.version is None:
        return Operation(key, "batch_write_item", {"DeleteRequest": {"Key": attributes}}, size, source)
    return _single_call(table, key, "delete_item", {"Key": attributes}, size, expressions, source, version)


def _update(
    table: Table, attributes: dict[str, AttributeValue], size: int, expressions: Expressions, source: Source
) -> Operation:
    key = items.key_of(table, attributes)
    items.check_only_key(table, attributes)
    expressions.check({attribute.name for attribute in table.key})
    request = {"Key": attributes, **expressions.arguments()}
    is_conditional = expressions.condition is not None
    return Operation(key, "update_item", request, size, source, None, is_conditional)


def _single_call(
    table: Table,
    key: Key,
    call: Call,
    request: dict[str, Any],
    size: int,
    expressions: Expressions,
    source: Source,
    version: AttributeValue | None,
) -> Operation:
    """A conditional put or delete: conditional by the message's own words, by the table's version, or by both."""
    expressions.check(set())
    is_conditional = expressions.condition is not None
    if table.version is None:
        return Operation(key, call, request | expressions.arguments(), size, source, None, is_conditional)
    if version is None or not version.keys() & {"N", "S"}:
        what = f"attribute {table.version!r}" if call == "put_item" else '"version" beside the key'
        text = f"table {table.alias!r} keeps the newest version: {what} must be a number or a string"
        raise Rejected("MissingVersion", text)
    expressions = expressions.only_newer(table.version, version)
    request |= expressions.arguments()
    return Operation(key, call, request, size, source, (table.version, version), is_conditional)


def _source(record: Mapping[str, Any], element: int) -> Source:
    return Source(str(record["messageId"]), receive_count(record) > 1, element)


def receive_count(record: Mapping[str, Any]) -> int:
    return int(record.get("attributes", {}).get("ApproximateReceiveCount", 1))


def _text(element: Mapping[str, Any], name: str) -> str | None:
    """An expression, None where there is none; a null is not none, it would make an unconditional write of this one."""
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


def _is_request_items(element: dict[str, Any]) -> bool:
    tables = element.get("RequestItems")
    if len(element) != 1 or not isinstance(tables, dict) or not tables:
        return False
    return all(isinstance(requests, list) and requests for requests in tables.values())


def _refuse_unknown(element: dict[str, Any], known: set[str]) -> None:
    if unknown := {name: None for name in element if name not in known}:
        raise Rejected("UnknownOperation", f"not part of this operation: {_keys(unknown)}")


def _keys(element: dict[str, Any]) -> str:
    names = [repr(name if len(name) <= 50 else name[:50] + "...") for name in list(element)[:5]]
    return ", ".join(names) + (", ..." if len(element) > len(names) else "") if names else "an empty object"


def _number(text: str) -> Decimal | HugeNumber:
    try:
        return Decimal(text)
    except InvalidOperation:
        return HugeNumber(text)


def _refuse_constant(name: str) -> Any:
    raise Rejected("InvalidJson", f"{name} is not JSON")


def _refuse_lone_surrogates(text: str) -> None:
    if any(escape.group(1) for escape in _ESCAPE.finditer(text)):
        raise Rejected("InvalidJson", "a lone surrogate is not a character")
