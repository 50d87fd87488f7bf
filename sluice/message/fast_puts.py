"""Puts that are written alike: the same names in the same order, and other values. Of one that has been decoded a
pattern is made, which finds the values of the next in its text, and a form of its request, into which they are put."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

from .fast_tables import MAX_BODY_BYTES
from .fast_values import Unusual
from .items import MAX_PARTITION_KEY_BYTES, MAX_SORT_KEY_BYTES
from .operation import BatchWrite, Operation, Source
from .settings import Table

FIRST_LESSON = 100
"""Puts without a shape after which one is made of the next: it takes half a millisecond, as much as it saves 300 puts.
Each further one needs 100 more than the one before: a million puts of which no two are alike get 140 shapes, which take
two percent of their time."""
MAX_VALUES = 64
"""Of a put that gets a shape; that of an embedding would take longer to make than it saves."""

_TEXT = rb'[^"\\\x00-\x1f]*'
_KEY = rb'(?P<%b>[^"\\\x00-\x1f]{1,%d})'
_NUMBER = rb"-?(?:[1-9][0-9]{0,17}(?:\.[0-9]{1,17})?|0\.0{0,9}[1-9][0-9]{0,20})|0(?:\.0{1,9})?"
"""One that may stand as it is: in range, without an exponent, no zero with a sign."""
_NATIVE = b'{"PutRequest"'


class _Shape(NamedTuple):
    match: Callable[[bytes], re.Match[bytes] | None]
    """Finds the values, a group each."""
    request: bytes | None
    """With `%b` for each of them; None where the text itself is the request."""
    partition: int
    """Which of them is the partition key."""
    sort: int


class FastPuts:
    """Of a table that `takes` them. Gives up on what is not written as one before it was."""

    def __init__(self, table: Table, *, are_items: bool) -> None:
        """`are_items`: a text is the item itself."""
        self._name = table.name
        self._keys = {table.partition_key.name: _KEY % (b"partition", MAX_PARTITION_KEY_BYTES)}
        self._has_sort_key = table.sort_key is not None
        if table.sort_key is not None:
            self._keys[table.sort_key.name] = _KEY % (b"sort", MAX_SORT_KEY_BYTES)
        self._are_items = are_items
        self._shapes: dict[int, _Shape] = {}
        """By the quotation marks in a text, which are soon counted, and differ mostly where shapes do."""
        self._missed = 0
        self._lesson = FIRST_LESSON

    @staticmethod
    def takes(table: Table) -> bool:
        """Whether a put into it needs no more than the table's keys, and they are text."""
        return table.version is None and not table.indexes and all(each.type == "S" for each in table.key)

    def operation(self, text: bytes, source: Source) -> BatchWrite | None:
        shape = self._shapes.get(text.count(b'"')) if self._shapes else None
        if shape is None or (match := shape.match(text)) is None:
            return None
        values = match.groups()
        body = text if shape.request is None else shape.request % values
        if len(body) > MAX_BODY_BYTES:
            return None
        sort = values[shape.sort].decode() if self._has_sort_key else None
        return BatchWrite(key=(self._name, values[shape.partition].decode(), sort), source=source, body=body)

    def miss(self, text: bytes, operation: Operation) -> None:
        """Be told what a text without a shape was decoded to."""
        self._missed += 1
        if self._missed > self._lesson and operation.body.startswith(_NATIVE):
            self._missed, self._lesson = 0, self._lesson + FIRST_LESSON
            self._learn(text, operation.body)

    def _learn(self, text: bytes, request: bytes) -> None:
        if request.count(b"{") > MAX_VALUES:
            return
        try:
            shape = self._shape(text, request)
        except Unusual:
            return
        if shape.match(text):  # Not where it is written in an unusual way, or says more than the item.
            self._shapes[text.count(b'"')] = shape

    def _shape(self, text: bytes, request: bytes) -> _Shape:
        is_native = text.startswith(_NATIVE) and not self._are_items
        writing = _Writing(is_native=is_native, is_request=is_native and text == request)
        pattern, form = writing.map(msgspec.json.decode(request)["PutRequest"]["Item"], self._keys)
        if is_native:
            pattern = writing.object([(b'"PutRequest"', writing.object([(b'"Item"', pattern)]))])
        elif not self._are_items:
            pattern = writing.object([(b'"put"', pattern)])
        compiled = re.compile(pattern)
        return _Shape(
            match=compiled.fullmatch,
            request=None if writing.is_request else b'{"PutRequest":{"Item":%b}}' % form,
            partition=compiled.groupindex["partition"] - 1,
            sort=compiled.groupindex.get("sort", 0) - 1,
        )


class _Writing:
    """Makes of values in DynamoDB JSON a pattern of all that are written alike, and their form in a request."""

    def __init__(self, *, is_native: bool, is_request: bool) -> None:
        """`is_request`: what is written is a request as it stands, of which nothing but the key is to be found."""
        self.is_request = is_request
        self._is_native = is_native
        self._group = b"(?:%b)" if is_request else b"(%b)"
        self._blank = b"" if is_request else b" ?"  # Many libraries write one.

    def map(self, values: Mapping[str, Any], keys: Mapping[str, bytes]) -> tuple[bytes, bytes]:
        members, forms = [], []
        for name, value in values.items():
            pattern, form = self._value(value, keys.get(name))
            encoded = msgspec.json.encode(name)
            members.append((re.escape(encoded), pattern))
            forms.append(b"%b:%b" % (encoded.replace(b"%", b"%%"), form))
        return self.object(members), b"{%b}" % b",".join(forms)

    def object(self, members: Iterable[tuple[bytes, bytes]]) -> bytes:
        """A pattern, of those of its members' names and values."""
        return rb"\{%b\}" % self._joined([name + b":" + self._blank + value for name, value in members])

    def _joined(self, patterns: Iterable[bytes]) -> bytes:
        return (b"," + self._blank).join(patterns)

    def _value(self, value: Mapping[str, Any], key: bytes | None = None) -> tuple[bytes, bytes]:
        ((kind, content),) = value.items()
        match kind:
            case "S":
                pattern, form = b'"%b"' % (key or self._group % _TEXT), b'"%b"'
            case "N":
                pattern, form = self._group % _NUMBER, b'"%b"'
                if self._is_native:
                    pattern = b'"%b"' % pattern
            case "BOOL":
                pattern, form = self._group % b"true|false", b"%b"
            case "NULL":
                pattern, form = b"true" if self._is_native else b"null", b"true"
            case "M":
                pattern, form = self.map(content, {})
            case "L":
                elements = [self._value(element) for element in content]
                pattern = rb"\[%b\]" % self._joined([pattern for pattern, _ in elements])
                form = b"[%b]" % b",".join([form for _, form in elements])
            case _:
                raise Unusual
        name = b'"%b"' % kind.encode()
        return self.object([(name, pattern)]) if self._is_native else pattern, b"{%b:%b}" % (name, form)
