"""The short way for bodies that are obviously right, which nearly all are. Whatever is not goes the exact way.

The short way never says what is wrong: it gives up, and the exact way (`exact_json`, `forms`, `items`, `expressions`,
`envelope`) does it all again. So there is one place that decides what is rejected and why, and a mistake here could
only be to take too much: a test compares the two on random bodies.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from .fast_deletes import BEGINNINGS, BEGINNINGS_OF_ONE, FastDeletes
from .fast_puts import FastPuts
from .fast_tables import FastTable, Given, fast_table
from .fast_values import Number, Unusual, check, convert
from .items import Rejected
from .operation import BatchWrite, Operation, Source
from .records import Usual
from .settings import Settings

_PLAIN_MEMBERS = ("condition", "expression", "names", "values")
_NATIVE_MEMBERS = (
    "ConditionExpression",
    "UpdateExpression",
    "ExpressionAttributeNames",
    "ExpressionAttributeValues",
)

_FIELD = r'(?:[A-Za-z_][A-Za-z0-9_]{0,99}|"[ !#-\[\]-~]{1,100}")'
_PATH = rf"{_FIELD}(?:\.{_FIELD}){{0,9}}"
_SIMPLE_EXPRESSION = rf"({_PATH})|powertools_json\(({_PATH})\)(?:\.({_PATH}))?"

_decode = msgspec.json.Decoder(float_hook=Number).decode
_split = msgspec.json.Decoder(list[msgspec.Raw]).decode

_COMPACT = (b'{"PutRequest":{"Item":{"', b'{"DeleteRequest":{"Key":{"')
_AS_THEY_CAME = ('{"put"', '{"PutRequest"', '{"DeleteRequest"')
"""Beginnings of texts that are of use beside what they say."""
_NOWHERE = Source("", False, 0)
# Besides the first two: text that is no JSON, or a body that is not of the form that it is taken for.
_UNUSUAL = (Unusual, Rejected, ValueError, RecursionError, LookupError, TypeError, AttributeError)
Steps = tuple[str | None, ...]
"""The way through an envelope: a field's name, or None where the text that was found is JSON to be read."""


def steps_of(expression: str | None) -> Steps | None:
    """The steps of a RECORD_EXPRESSION such as `detail`, `a."b-c"`, `powertools_json(a.b)` or `powertools_json(a).b`,
    which is valid then; None for any other."""
    if expression is None:
        return ()
    match = re.fullmatch(_SIMPLE_EXPRESSION, expression)
    if match is None:
        return None
    path, text, inside = ([field.strip('"') for field in re.findall(_FIELD, found or "")] for found in match.groups())
    return (*path, *text, *([None] if text else []), *inside)


class FastPath:
    """Builds the operations of usual bodies, in every form that there is; `steps` lead to the records in a body."""

    def __init__(self, settings: Settings, steps: Steps = ()) -> None:
        self._tables: dict[str, FastTable] = {}
        for table in settings.tables:
            self._tables[table.alias] = self._tables[table.name] = fast_table(table)
        self._default = self._tables[settings.tables[0].name]
        self._is_item = settings.record_format == "item"
        takes_deletes = not self._is_item and FastDeletes.takes(settings.tables[0])
        self._deletes = FastDeletes(settings.tables[0]) if takes_deletes else None
        takes_puts = FastPuts.takes(settings.tables[0])
        self._puts = FastPuts(settings.tables[0], are_items=self._is_item) if takes_puts else None
        self._beginnings = ("{",) if self._is_item else _AS_THEY_CAME
        self._steps = steps
        self._ends_in_text = not steps or steps[-1] is None

    def operations(self, body: Any, message_id: str, redelivered: bool) -> tuple[Operation, ...] | None:
        """All operations of a body, in its order; None where one of them, or anything around them, is unusual."""
        if type(body) is not str:
            return None
        try:
            found: Any = self._found(body) if self._steps else body
            if self._ends_in_text and found.startswith(BEGINNINGS) and self._deletes is not None:
                deletes = self._deletes.operations(found, message_id, redelivered)
                if deletes is not None:
                    return deletes
            if self._ends_in_text and found[:1] == "[":
                # One after the other: a whole array of values takes ten times the memory of its text, and a third
                # more time.
                return tuple(self._in_array(_split(found), message_id, redelivered, are_texts=True)) or None
            text, source = None, Source(message_id, redelivered, 0)
            if self._ends_in_text:
                if found.startswith(self._beginnings):
                    text = found.encode()
                    if self._puts is not None and (put := self._puts.operation(text, source)) is not None:
                        return (put,)
                found = _decode(found)
            if type(found) is list:
                return tuple(self._in_array(found, message_id, redelivered)) or None
            return tuple(self._element(found, source, text))
        except _UNUSUAL:
            return None

    def deletes(self, messages: Sequence[Usual | None]) -> Sequence[BatchWrite] | None:
        """Those of messages each of which is one delete; None where any is something else, or unusual."""
        usual = [message for message in messages if message is not None]
        if self._deletes is None or self._steps or not usual or len(usual) < len(messages):
            return None
        try:
            return self._deletes.of_messages(usual) if usual[0][1].startswith(BEGINNINGS_OF_ONE) else None
        except UnicodeError:
            return None

    def takes(self, element: bytes) -> bool:
        """Whether one element of a body, by itself, is usual; False says nothing."""
        try:
            found = _decode(element)
            deque(self._element(found, _NOWHERE), maxlen=0)
        except _UNUSUAL:
            return False
        return True

    def _found(self, body: str) -> Any:
        found = _decode(body)
        for step in self._steps[:-1]:
            found = _decode(found) if step is None else found[step]
        last = self._steps[-1]
        return found if last is None else found[last]

    def _in_array(
        self, elements: Sequence[Any], message_id: str, redelivered: bool, *, are_texts: bool = False
    ) -> Iterator[Operation]:
        for number, element in enumerate(elements):
            source = Source(message_id, redelivered, number)
            if not are_texts:
                yield from self._element(element, source)
                continue
            text = bytes(element)
            if self._puts is not None and (put := self._puts.operation(text, source)) is not None:
                yield put
            else:
                yield from self._element(_decode(text), source, text)

    def _element(self, element: dict[str, Any], source: Source, text: bytes | None = None) -> Iterable[Operation]:
        if "RequestItems" in element and not self._is_item:
            return self._requests(element, source)
        operation = self._operation(element, source, text)
        if text is not None and self._puts is not None:
            self._puts.miss(text, operation)
        return (operation,)

    def _requests(self, element: dict[str, Any], source: Source) -> Iterator[Operation]:
        ((_, tables),) = element.items()
        _require_usual(bool(tables))
        for table, requests in tables.items():
            _require_usual(type(requests) is list and bool(requests))
            for position, request in enumerate(requests):
                place = Source(source.message_id, source.redelivered, source.element, table, position)
                yield _request(self._tables[table], request, place)

    def _operation(self, element: dict[str, Any], source: Source, text: bytes | None) -> Operation:
        if self._is_item:
            convert(element)
            return self._default.put(element, source)
        if "put" in element:
            item = element.pop("put")
            convert(item)
            table = self._table(element, "table")
            return table.put(item, source, _given(element, _PLAIN_MEMBERS)) if element else table.put(item, source)
        if "delete" in element:
            return self._plain_delete(element, source)
        if "update" in element:
            key = element.pop("update")
            convert(key)
            return self._table(element, "table").update(key, source, _given(element, _PLAIN_MEMBERS))
        ((action, content),) = element.items()
        if action in ("PutRequest", "DeleteRequest"):
            return _request(self._default, element, source, text)
        return self._transact_element(action, content, source)

    def _plain_delete(self, element: dict[str, Any], source: Source) -> Operation:
        key = element.pop("delete")
        convert(key)
        table = self._table(element, "table")
        if not element:
            return table.delete(key, source)
        version = None
        if "version" in element:
            held = {"version": element.pop("version")}
            convert(held)
            version = held["version"]
        return table.delete(key, source, _given(element, _PLAIN_MEMBERS), version)

    def _transact_element(self, action: str, content: dict[str, Any], source: Source) -> Operation:
        table = self._table(content, "TableName")
        attributes = content.pop("Item" if action == "Put" else "Key")
        check(attributes)
        if action == "Update":
            return table.update(attributes, source, _given(content, _NATIVE_MEMBERS))
        _require_usual(action in ("Put", "Delete"))
        build = table.put if action == "Put" else table.delete
        return build(attributes, source, _given(content, _NATIVE_MEMBERS)) if content else build(attributes, source)

    def _table(self, element: dict[str, Any], name: str) -> FastTable:
        return self._tables[element.pop(name)] if name in element else self._default


def _request(table: FastTable, request: dict[str, Any], source: Source, text: bytes | None = None) -> Operation:
    """Of DynamoDB's own `{"PutRequest": {"Item": ...}}` or `{"DeleteRequest": {"Key": ...}}`, and its text."""
    (action,) = request
    content = request[action]
    (inner,) = content
    attributes = content[inner]
    body = _copied(text, check(attributes) + 4)
    if action == "PutRequest" and inner == "Item":
        return table.put(attributes, source, body=body)
    _require_usual(action == "DeleteRequest" and inner == "Key")
    return table.delete(attributes, source, body=body)


def _copied(text: bytes | None, quotes: float) -> bytes | None:
    """A request as it came, where it is right as it stands: to encode it again takes a sixth of the time.

    `quotes`: of its quotation marks; see `check`. White space would count as a part of the item, and is not copied.
    """
    return text if text is not None and text.startswith(_COMPACT) and text.count(b'"') == quotes else None


def _given(element: dict[str, Any], members: tuple[str, str, str, str]) -> Given:
    """The expressions of an operation from which all else is taken out already."""
    condition, update, names, values = members
    given = Given(_text(element, condition), _text(element, update), element.pop(names, {}), element.pop(values, {}))
    _require_usual(not element)
    if given.values != {}:
        convert(given.values) if members is _PLAIN_MEMBERS else check(given.values)
    return given


def _text(element: dict[str, Any], name: str) -> str | None:
    """The expression, None where absent; null is unusual."""
    if name not in element:
        return None
    text = element.pop(name)
    _require_usual(type(text) is str)
    return text  # type: ignore[no-any-return]


def _require_usual(holds: bool) -> None:
    if not holds:
        raise Unusual
