"""Operations that can never succeed, and messages that are no JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any


def _put(**item: Any) -> str:
    return json.dumps({"put": item})


def _native_put(**item: Any) -> str:
    return json.dumps({"PutRequest": {"Item": item}})


def _nested(order: str) -> str:
    return f'{{"put":{{"order":"{order}","deep":{"[" * 33}1{"]" * 33}}}}}'


BAD: Sequence[tuple[str, Callable[[str], str]]] = (
    ("UnknownOperation", lambda order: json.dumps({"upsert": {"order": order}})),
    ("UnknownTable", lambda order: json.dumps({"put": {"order": order}, "table": "elsewhere"})),
    ("MissingKey", lambda order: _put(name=order)),
    ("UnexpectedKeyAttribute", lambda order: json.dumps({"delete": {"order": order, "more": 1}})),
    ("KeyTypeMismatch", lambda _: _put(order=17)),
    ("EmptyKey", lambda order: _put(order="", name=order)),
    ("KeyTooLong", lambda order: _put(order=order + "x" * 2048)),
    ("ItemTooLarge", lambda order: _put(order=order, padding="x" * 409_600)),
    ("NestingTooDeep", _nested),
    ("InvalidNumber", lambda order: f'{{"put":{{"order":"{order}","n":1{"0" * 37}.01}}}}'),
    ("InvalidNumber", lambda order: _native_put(order={"S": order}, n={"N": "1E126"})),
    ("EmptySet", lambda order: _native_put(order={"S": order}, tags={"SS": []})),
    ("DuplicateSetElement", lambda order: _native_put(order={"S": order}, sizes={"NS": ["1", "1.0"]})),
    ("InvalidAttribute", lambda order: _native_put(order={"S": order}, raw={"B": "not base64!"})),
    ("InvalidExpression", lambda order: json.dumps({"put": {"order": order}, "condition": "#a = :b"})),
    ("InvalidExpression", lambda order: json.dumps({"update": {"order": order}, "expression": ""})),
    ("MissingVersion", lambda order: json.dumps({"put": {"article": order}, "table": "stock"})),
    ("MissingVersion", lambda order: json.dumps({"Delete": {"Key": {"article": {"S": order}}, "TableName": "stock"}})),
)
"""The code of its rejection, and the text for a key of its own."""
UNREADABLE = (
    '{"put": {"order": "cut sho',
    '{"put": {"order": "bad", "n": NaN}}',
    "order,price",
    r'{"put": {"order": "\ud800"}}',
)
