"""Records of a file in the form in which they stand in a message; `send` and `verify` share it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import replace

import msgspec

from sluice.cli import UsageError
from sluice.message.operation import Rejection
from sluice.sending.record import START, Position, Record, allowed, around, native_around

from .columns import columns_of
from .content import content_of
from .elements import Elements
from .options import NATIVE, Input
from .parquet import Parquet
from .requests import requests
from .rows import TOO_LONG
from .source import MAX_LINE_BYTES, Source, Store


class Reader:
    """Reads one file. `key_types` are the types of the table's key attributes, where they are known.

    Raises `CommandError` where the file cannot be read, `UsageError` where it is not what the options say.
    """

    def __init__(self, given: Input, key_types: Mapping[str, str] | None = None, store: Store | None = None) -> None:
        self.source = Source(given.file, given.encoding, store)
        self._store, self._key_types = store, key_types
        self._given = given
        self._content = content_of(self.source, given)
        self.kind = self._content.kind
        if given.bare and self.kind in NATIVE:
            raise UsageError(f"{given.file} holds {self.kind}, which do not go with --format item")
        if self.kind in ("operations", "requests") and given.table is not None:
            raise UsageError(f"--table does not go with {self.kind}, which name their tables themselves")
        if self.kind != "csv" and given.for_csv:
            raise UsageError(f"{given.for_csv[0]} is for CSV, and {given.file} holds {self.kind}")
        self._parquet = Parquet(self.source, given, key_types or {}) if self.kind == "parquet" else None
        self.columns = columns_of(self.source, given, key_types or {}) if self.kind == "csv" else None

    def done(self, position: Position) -> int:
        """Bytes of the file up to a position, nearly."""
        if self._parquet is not None:
            return (self.source.size() or 0) * position.offset // max(1, self._parquet.rows)
        return self.source.done(position)

    def with_types(self, types: Mapping[str, str]) -> Reader:
        """The same file, with these types of its columns."""
        return Reader(replace(self._given, types=tuple(types.items()), infer=False), self._key_types, self._store)

    @property
    def header(self) -> bytes | None:
        """The first row of a CSV file as it stands there."""
        return None if self.columns is None else self.columns.header.text or None

    @property
    def form(self) -> str:
        """What is read, in words."""
        encoding = self.source.encoding
        return f"{self.kind}{f', in {encoding.upper()}' if encoding else ''}"

    def check_text(self) -> None:
        """Raises `UsageError` where the file seems to be written in another encoding than it was said to be."""
        other = None if self.kind == "parquet" else self.source.other_encoding()
        if other is not None:
            lines = "--encoding utf-8 reads it all the same, and rejects lines that are not UTF-8"
            raise UsageError(f"{self.source.name} is not UTF-8; it looks like {other}: --encoding {other} ({lines})")

    def records(self, start: Position = START) -> Iterator[Record]:
        """The records from a position on that is the `end` of a record, or START."""
        with self.source.reading():
            if self._parquet is not None:
                yield from self._parquet.records(start)
            elif self.columns is not None:
                yield from self.columns.records(self.source, start)
            elif self.kind == "requests":
                yield from requests(self.source, start)
            elif self.kind != "csv":
                yield from self._converted(self._lines(start) if self._content.is_lines else self._elements(start))

    def _converted(self, texts: Iterator[tuple[int, Position, bytes, Rejection | None]]) -> Iterator[Record]:
        convert = Export(self._given.table).body if self.kind == "export" else None
        before, after = self._around()
        is_shown = self.kind in ("export", "dynamodb")
        for line, end, text, fault in texts:
            body = text
            if convert is not None and fault is None:
                body, fault = convert(text)
            if fault is not None:
                yield Record(line, end, text, fault)
            else:
                yield Record(line, end, allowed(before + body + after), None, text if is_shown else None)

    def _elements(self, start: Position) -> Iterator[tuple[int, Position, bytes, Rejection | None]]:
        elements = Elements(self.source.stream(start), start, in_array=self._content.in_array)
        yield from elements
        if elements.is_unsure:  # Raises where the array is not closed.
            deque(Elements(self.source.stream(), START, in_array=False), maxlen=0)

    def _lines(self, start: Position) -> Iterator[tuple[int, Position, bytes, Rejection | None]]:
        lines = self.source.lines(start)
        for line in lines:
            text = line.strip(b" \t\r\n")
            number = lines.line
            if number == 1:
                text = text.removeprefix(b"\xef\xbb\xbf")
            if text:
                yield number, Position(lines.offset, number), text, TOO_LONG if len(line) >= MAX_LINE_BYTES else None

    def _around(self) -> tuple[bytes, bytes]:
        if self.kind == "dynamodb":
            return native_around("Put", self._given.table)
        if self.kind != "items" or self._given.bare:
            return b"", b""
        return around(self._given.table)


class Export:
    """Lines of a DynamoDB export: `{"Item": …}` of a full one, Keys and NewImage of an incremental one.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/S3DataExport.Output.html
    """

    class _Line(msgspec.Struct):
        Item: msgspec.Raw = msgspec.Raw()
        Keys: msgspec.Raw = msgspec.Raw()
        NewImage: msgspec.Raw = msgspec.Raw()

    def __init__(self, table: str | None) -> None:
        self._decode = msgspec.json.Decoder(self._Line).decode
        self._put, self._delete = native_around("Put", table), native_around("Delete", table)

    def body(self, line: bytes) -> tuple[bytes, Rejection | None]:
        try:
            change = self._decode(line)
        except (ValueError, RecursionError) as error:
            return line, Rejection("InvalidJson", f"not a line of an export: {type(error).__name__}")
        item = bytes(change.Item or change.NewImage)
        (before, after), content = (self._put, item) if item else (self._delete, bytes(change.Keys))
        if not content:
            return line, Rejection("UnknownOperation", "a line of an export has Item, or Keys and perhaps NewImage")
        return before + content + after, None
