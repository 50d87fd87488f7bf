"""Whether the function would take a record: by its own decoder, with a short way for what is obviously right."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Literal

import msgspec

from functions.batch_writer.messages import Decoder
from functions.batch_writer.operation import Rejection
from functions.batch_writer.settings import KeyAttribute, Settings, Table

Format = Literal["operation", "item"]

_LONGEST_QUICK = 60_000
"""Bytes of JSON. So long a text is no item over 400 KB, and no attribute's name in it has over 65,535 bytes."""
_MAX_LEVEL = 32
_LARGEST = 10**37
_SHORT_KEY = 256  # Characters, of at most 4 bytes each: no longer than the 1,024 bytes of a sort key.
_QUICK_NUMBER = re.compile(r"-?[0-9]{1,19}(?:\.[0-9]{1,18})?")
_OF_KEYS = {"MissingKey", "UnexpectedKeyAttribute", "KeyTypeMismatch", "EmptyKey", "KeyTooLong", "UnknownTable"} | {
    "MissingVersion"
}
"""What cannot be told without knowing the tables."""


class _Unusual(Exception):
    """Not obviously right; the exact check decides."""


def _quick_float(text: str) -> float:
    if not _QUICK_NUMBER.fullmatch(text):
        raise _Unusual
    return 0.5


class Checker:
    """Checks records against the function's tables; without tables only what every table would refuse.

    Raises `ValueError` where the tables do not make settings.
    """

    def __init__(self, tables: Sequence[Table], expects: Format = "operation", region: str | None = None) -> None:
        self._knows_tables = bool(tables)
        settings = Settings(tuple(tables) or (Table("", "", KeyAttribute("", "S")),), record_format=expects)
        self._decode = Decoder(settings, region).decode
        self._bare = expects == "item"
        named = {table.name: table for table in tables} | {table.alias: table for table in tables}
        self._tables = {name: _quick_keys(table) for name, table in named.items()}
        self._default: Keys | None = _quick_keys(tables[0]) if tables else ()
        self._parse = msgspec.json.Decoder(float_hook=_quick_float).decode

    def __call__(self, body: bytes) -> Rejection | None:
        """What is wrong with one element of a message's body; None is for nothing."""
        return None if self.is_obviously_right(body) else self.exactly(body)

    def exactly(self, body: bytes) -> Rejection | None:
        """By the function's decoder, of which the short way is no more than a part."""
        try:
            text = f"[{body.decode()}]"
        except UnicodeDecodeError:
            return Rejection("InvalidJson", "not UTF-8")
        for _, rejection in self._decode({"messageId": "", "body": text}).rejected:
            if self._knows_tables or rejection.code not in _OF_KEYS:
                return rejection
        return None

    def is_obviously_right(self, body: bytes) -> bool:
        """True only where the function takes it; False is no verdict."""
        if len(body) > _LONGEST_QUICK:
            return False
        try:
            element = self._parse(body)
            return self._is_put(element)
        except (_Unusual, ValueError, RecursionError):
            return False

    def _is_put(self, element: Any) -> bool:
        if type(element) is not dict:
            return False
        if self._bare:
            return _has_keys(element, self._default, plain=True) and _all(element, _is_plain, 1)
        keys = self._default
        if len(element) == 2 and "table" in element:
            name = element["table"]
            keys = self._tables.get(name) if type(name) is str else None
        elif len(element) != 1:
            return False
        if "put" in element:
            item = element["put"]
            return type(item) is dict and _has_keys(item, keys, plain=True) and _all(item, _is_plain, 1)
        request = element.get("PutRequest")
        if type(request) is not dict or len(element) != 1 or len(request) != 1:
            return False
        item = request.get("Item")
        return type(item) is dict and _has_keys(item, keys, plain=False) and _all(item, _is_native, 1)


Keys = tuple[tuple[str, str], ...]
"""Names and types of the attributes that an item must have."""


def _quick_keys(table: Table) -> Keys | None:
    """None where a key is binary or the table has a version, and so nothing about it is obvious."""
    if table.version is not None or any(attribute.type == "B" for attribute in table.key):
        return None
    return tuple((attribute.name, attribute.type) for attribute in table.key)


def _has_keys(item: dict[str, Any], keys: Keys | None, *, plain: bool) -> bool:
    if keys is None:
        return False
    for name, kind in keys:
        value = item.get(name)
        if not plain:
            value = value.get(kind) if type(value) is dict else None
        if kind == "S" or not plain:
            if type(value) is not str or not 0 < len(value) <= _SHORT_KEY:
                return False
        elif type(value) is not int and type(value) is not float:
            return False
    return True


def _all(values: dict[str, Any], is_right: Callable[[Any, int], bool], level: int) -> bool:
    for name, value in values.items():  # noqa: SIM110  # A third faster than all() of a generator; measured.
        if not name or not is_right(value, level):
            return False
    return True


def _is_plain(value: Any, level: int) -> bool:
    kind = type(value)
    if kind is str or kind is float or kind is bool or value is None:
        return True
    if kind is int:
        return bool(-_LARGEST < value < _LARGEST)
    if level >= _MAX_LEVEL:
        return False
    if kind is dict:
        return _all(value, _is_plain, level + 1)
    return all(_is_plain(element, level + 1) for element in value)


def _is_native(value: Any, level: int) -> bool:
    if type(value) is not dict or len(value) != 1:
        return False
    ((kind, content),) = value.items()
    if kind == "S":
        return type(content) is str
    if kind == "N":
        return type(content) is str and _QUICK_NUMBER.fullmatch(content) is not None
    if kind == "BOOL":
        return type(content) is bool
    if kind == "NULL":
        return content is True
    if kind == "M":
        return isinstance(content, dict) and level < _MAX_LEVEL and _all(content, _is_native, level + 1)
    if kind == "L":
        return isinstance(content, list) and level < _MAX_LEVEL and all(_is_native(e, level + 1) for e in content)
    return False  # Sets and binary take the exact way.
