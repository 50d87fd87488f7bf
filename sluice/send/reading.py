"""Records of a file in the form in which they stand in a message; `send` and `verify` share it."""

from __future__ import annotations

import argparse
import codecs
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from sluice.cli import UsageError
from sluice.message.operation import Rejection
from sluice.sending.record import START, Position, Record, allowed, around, native_around

from .columns import TYPES, Columns, inferred
from .header import check_keys, head_of
from .requests import is_request_items, requests
from .rows import TOO_LONG
from .source import MAX_LINE_BYTES, Source

Kind = Literal["csv", "items", "operations", "export", "requests"]
KINDS: tuple[Kind, ...] = ("csv", "items", "operations", "export", "requests")
OPERATIONS = ("put", "delete", "update", "PutRequest", "DeleteRequest", "RequestItems", "Put", "Delete", "Update")


@dataclass(frozen=True, slots=True)
class Input:
    """How a file is to be read, and what the function expects."""

    file: str
    kind: Kind | None = None
    delimiter: str | None = None
    types: tuple[tuple[str, str], ...] = ()
    infer: bool = False
    empty: Literal["omit", "string", "null"] = "omit"
    table: str | None = None
    """The table that each record names."""
    bare: bool = False
    """The function takes items, not operations: RECORD_FORMAT=item."""
    encoding: str | None = None
    """None for UTF-8, and for UTF-16 where a file begins with its mark."""


def add_input_options(parser: argparse.ArgumentParser) -> None:
    """FILE, and how to read it."""
    parser.add_argument("file", metavar="FILE", help="the file, `-` for standard input; .gz and .zst are unpacked")
    group = parser.add_argument_group("input")
    group.add_argument(
        "--input",
        choices=("auto", *KINDS),
        default="auto",
        help="csv; JSON Lines of items or of operations; DynamoDB's own export to S3 in DynamoDB JSON, full or"
        " incremental; request items of `aws dynamodb batch-write-item` (default: by the extension and the first line)",
    )
    group.add_argument(
        "--encoding", metavar="NAME", help="such as cp1252 (default: UTF-8, and UTF-16 where the file says so)"
    )
    group.add_argument("--delimiter", metavar="CHAR", help="between cells of a CSV file (default: comma, tab for .tsv)")
    group.add_argument(
        "--types", metavar="COLUMN=TYPE,…", help=f"types of CSV columns: {', '.join(TYPES)} (default: S)"
    )
    group.add_argument("--infer", action="store_true", help="infer the types of the other columns, and show them")
    group.add_argument(
        "--empty",
        choices=("omit", "string", "null"),
        default="omit",
        help="what an empty cell becomes: no attribute (default), an empty string in columns of type S, or null",
    )
    group.add_argument("--table", metavar="ALIAS", help="the table that records go to (default: the function's first)")
    group.add_argument(
        "--format",
        choices=("operation", "item"),
        default="operation",
        help="what the function expects, its RECORD_FORMAT (default: operation)",
    )


def input_of(options: argparse.Namespace) -> Input:
    """Raises `UsageError` for options that do not fit together."""
    given = Input(
        file=options.file,
        kind=None if options.input == "auto" else options.input,
        delimiter={"\\t": "\t", "tab": "\t"}.get(options.delimiter, options.delimiter),
        types=_types(options.types or ""),
        infer=options.infer,
        empty=options.empty,
        table=options.table,
        bare=options.format == "item",
        encoding=_encoding(options.encoding),
    )
    if given.delimiter is not None and len(given.delimiter) != 1:
        raise UsageError(f"--delimiter must be one character, got {given.delimiter!r}")
    if given.bare and given.table is not None:
        raise UsageError("--table does not go with --format item: the function writes items to its first table")
    if given.bare and given.kind in ("operations", "export", "requests"):
        raise UsageError(f"--input {given.kind} does not go with --format item")
    return given


def records(options: argparse.Namespace, key_types: Mapping[str, str]) -> Iterator[Record]:
    """All records of the file that the options name."""
    return Reader(input_of(options), key_types).records()


class Reader:
    """Reads one file. `key_types` are the types of the table's key attributes, where they are known.

    Raises `CommandError` where the file cannot be read, `UsageError` where it is not what the options say.
    """

    def __init__(self, given: Input, key_types: Mapping[str, str] | None = None) -> None:
        self.source = Source(given.file, given.encoding)
        self._given = given
        self._key_types = key_types or {}
        self.kind = given.kind or self._kind()
        if given.bare and self.kind in ("operations", "export", "requests"):
            raise UsageError(f"{given.file} holds {self.kind}, which do not go with --format item")
        if self.kind in ("operations", "requests") and given.table is not None:
            raise UsageError(f"--table does not go with {self.kind}, which name their tables themselves")
        if self.kind != "csv" and (given.types or given.infer or given.delimiter):
            raise UsageError(f"--types, --infer and --delimiter are for CSV, and {given.file} holds {self.kind}")
        self.columns = self._columns() if self.kind == "csv" else None

    @property
    def header(self) -> bytes | None:
        """The first row of a CSV file as it stands there."""
        return None if self.columns is None else self.columns.header.text

    def records(self, start: Position = START) -> Iterator[Record]:
        """The records from a position on that is the `end` of a record, or START."""
        with self.source.reading():
            if self.columns is not None:
                yield from self.columns.records(self.source, start)
            elif self.kind == "requests":
                yield from requests(self.source, start)
            elif self.kind == "export":
                yield from self._lines(start, _Export(self._given.table).body)
            else:
                yield from self._lines(start, None)

    def _lines(self, start: Position, convert: Callable[[bytes], bytes | Rejection] | None) -> Iterator[Record]:
        lines = self.source.lines(start)
        before, after = self._around()
        for line in lines:
            text = line.strip(b" \t\r\n")
            number = lines.line
            if number == 1:
                text = text.removeprefix(b"\xef\xbb\xbf")
            if not text:
                continue
            end = Position(lines.offset, number)
            if len(line) >= MAX_LINE_BYTES:
                yield Record(number, end, text, TOO_LONG)
                continue
            body: bytes | Rejection = text if convert is None else convert(text)
            if isinstance(body, Rejection):
                yield Record(number, end, text, body)
            else:
                yield Record(number, end, allowed(before + body + after), None, text if convert is not None else None)

    def _around(self) -> tuple[bytes, bytes]:
        if self.kind != "items" or self._given.bare:
            return b"", b""
        return around(self._given.table)

    def _kind(self) -> Kind:
        if self.source.stem.lower().endswith((".csv", ".tsv")):
            return "csv"
        value = _first_object(self.source)
        if value is None:
            if not self.source.head(lines=1).removeprefix(b"\xef\xbb\xbf").strip():
                return "items"  # There is nothing in it, of whatever kind.
            raise UsageError(f"cannot tell what {self._given.file} holds; say it by --input {'|'.join(KINDS)}")
        if is_request_items(value) and not self._given.bare:
            return "requests"
        if set(value) == {"Item"} or {"Metadata", "Keys"} <= set(value):
            return "export"
        named = [name for name in OPERATIONS if isinstance(value.get(name), dict)]
        return "operations" if named and not self._given.bare else "items"

    def _columns(self) -> Columns:
        given = self._given
        head = head_of(self.source, given.delimiter, whole=given.infer)
        names = tuple(head.header.cells)
        check_keys(self.source, names, self._key_types)
        types = dict.fromkeys(names, "S") | (inferred(names, head.sample) if given.infer else {})
        types |= self._key_types
        for name, kind in given.types:
            if name not in types:
                raise UsageError(f"--types names {name!r}, which is no column of {given.file}")
            types[name] = kind
        if given.bare and "B" in types.values():
            raise UsageError("binary columns (B) do not go with --format item: plain JSON has no binary")
        return Columns(
            header=head.header,
            names=names,
            types=tuple(types.values()),
            delimiter=head.delimiter,
            is_told=head.is_told,
            empty=given.empty,
            table=given.table,
            bare=given.bare,
            sampled=len(head.sample),
        )


class _Export:
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

    def body(self, line: bytes) -> bytes | Rejection:
        try:
            change = self._decode(line)
        except (ValueError, RecursionError) as error:
            return Rejection("InvalidJson", f"not a line of an export: {type(error).__name__}")
        item = bytes(change.Item or change.NewImage)
        (before, after), content = (self._put, item) if item else (self._delete, bytes(change.Keys))
        if not content:
            return Rejection("UnknownOperation", "a line of an export has Item, or Keys and perhaps NewImage")
        return before + content + after


def _first_object(source: Source) -> dict[str, Any] | None:
    """The first line of the first MiB that is a JSON object, or all of it where that is request items.

    Of standard input no more is read than that takes.
    """
    count = 1
    while True:
        head = source.head(lines=None if source.is_file else count)
        for line in head.removeprefix(b"\xef\xbb\xbf").split(b"\n"):
            with suppress(ValueError, RecursionError):
                value = msgspec.json.decode(line.strip())
                if isinstance(value, dict):
                    return value
        if source.is_file or head.count(b"\n") < count:
            with suppress(ValueError, RecursionError):
                value = msgspec.json.decode(head.removeprefix(b"\xef\xbb\xbf"))
                if is_request_items(value):
                    return value
            return None
        count *= 2


def _encoding(name: str | None) -> str | None:
    if name is None:
        return None
    try:
        codec = codecs.lookup(name)
        if not codec._is_text_encoding:
            raise LookupError
    except (LookupError, ValueError):
        raise UsageError(f"--encoding must be an encoding that Python knows, such as cp1252, got {name!r}") from None
    return codec.name.removesuffix("-sig")


def _types(text: str) -> tuple[tuple[str, str], ...]:
    types = []
    for part in filter(None, text.split(",")):
        name, equals, kind = part.rpartition("=")
        if not equals or kind not in TYPES:
            raise UsageError(f"--types must be COLUMN=TYPE,… with types of {', '.join(TYPES)}, got {part!r}")
        types.append((name, kind))
    return tuple(types)


__all__ = ["Input", "Reader", "Record", "add_input_options", "input_of", "records"]
