"""CSV: rows to items, by the types of their columns. RFC 4180, UTF-8, the first row is the header."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from itertools import dropwhile
from typing import Any

import msgspec

from sluice.cli import UsageError, counted
from sluice.message import items
from sluice.message.exact_json import parse_json
from sluice.message.operation import Rejection
from sluice.sending.record import START, Position, Record, allowed, around, native_around

from .header import check_keys, head_of
from .options import Input
from .rows import Row, Rows
from .source import Source

_JSON_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,6})?")
_MAX_DIGITS = (
    38  # https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html
)
_BOOLEANS = {"true": True, "false": False}


OMITTED, BLANK = "omitted", "blank"
"""In place of a type: the column is left out; or it has no name and must be empty."""


class _BadCell(Exception):
    """A cell that is not of its column's type."""


def _number_cell(cell: str) -> msgspec.Raw:
    """The number with every digit it is written with, in JSON's spelling: no plus, no leading zeros."""
    if _JSON_NUMBER.fullmatch(cell):
        return msgspec.Raw(cell.encode())
    text = cell.strip()
    if not _NUMBER.fullmatch(text):
        raise _BadCell("InvalidNumber", "not a number")
    try:
        return msgspec.Raw(str(Decimal(text)).encode())
    except InvalidOperation:
        raise _BadCell("InvalidNumber", "the exponent is out of range") from None


def _boolean(cell: str) -> bool:
    value = _BOOLEANS.get(cell.strip().lower())
    if value is None:
        raise _BadCell("InvalidAttribute", "neither true nor false")
    return value


def _json(cell: str) -> msgspec.Raw:
    try:
        msgspec.json.decode(cell)
    except (ValueError, RecursionError):
        raise _BadCell("InvalidJson", "not JSON") from None
    return msgspec.Raw(cell.encode())


_CONVERTERS: dict[str, Callable[[str], Any] | None] = {"S": None, "N": _number_cell, "BOOL": _boolean, "JSON": _json}


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of one file and what becomes of their cells."""

    header: Row
    names: tuple[str, ...]
    types: tuple[str, ...]
    """OMITTED or BLANK for a column that is no attribute."""
    delimiter: str
    why: str | None
    """How the delimiter is known where it is not the usual one; None where it was given, too."""
    empty: str
    nulls: frozenset[str]
    """Cells without a value, "" among them."""
    table: str | None
    bare: bool
    guessed: Mapping[str, str]
    """The types that were inferred."""
    sampled: int
    """The rows that they were inferred from."""

    def records(self, source: Source, start: Position) -> Iterator[Record]:
        """The rows after a position, each as an operation or item."""
        convert, width = self._converter(), len(self.names)
        if start == START and source.is_file:
            start = self.header.end
        rows = Rows(source.lines(start), self.delimiter, width).tuples()
        if start == START:
            rows = dropwhile(lambda row: row[1] <= self.header.end, rows)
        for line, end, text, cells, fault in rows:
            if fault is None and len(cells) != width:
                fault = Rejection("InvalidRow", f"{len(cells)} cells in a row; the header has {width}")
            if fault is not None:
                yield Record(line, end, text, fault)
                continue
            try:
                body = convert(cells)
            except _BadCell as bad:
                yield Record(line, end, text, Rejection(*bad.args))
            else:
                yield Record(line, end, allowed(body), None, text)

    def description(self) -> Iterator[str]:
        """Delimiter and columns, in lines."""
        if self.why is not None:
            yield f"Delimiter: {self.delimiter!r} ({self.why})"
        types = ", ".join(f"{name}={kind}" for name, kind in zip(self.names, self.types, strict=True))
        yield f"Columns: {types}" + (f" (inferred from {counted(self.sampled, 'row')})" if self.sampled else "")

    def _converter(self) -> Callable[[list[str]], bytes]:
        encode = msgspec.json.Encoder().encode
        if "B" in self.types:
            before, after = native_around("Put", self.table)
            return lambda row: before + encode(self._native(row)) + after
        before, after = (b"", b"") if self.bare else around(self.table)
        if set(self.types) == {"S"} and self.empty == "omit" and self.nulls == {""}:
            names = self.names
            return lambda row: before + encode({n: cell for n, cell in zip(names, row, strict=True) if cell}) + after
        return lambda row: before + encode(self._plain(row)) + after

    def _plain(self, row: Iterable[str]) -> dict[str, Any]:
        item: dict[str, Any] = {}
        for name, kind, cell in zip(self.names, self.types, row, strict=True):
            if kind == OMITTED:
                continue
            if cell in self.nulls:
                if kind == BLANK:
                    continue
                if self.empty == "null":
                    item[name] = None
                elif self.empty == "string" and kind == "S" and cell == "":
                    item[name] = ""
                continue
            if kind == BLANK:
                raise _BadCell("InvalidRow", "a value in a column without a name")
            convert = _CONVERTERS[kind]
            try:
                item[name] = cell if convert is None else convert(cell)
            except _BadCell as bad:
                raise _in_column(bad, name) from None
        return item

    def _native(self, row: Sequence[str]) -> dict[str, Any]:
        """The whole item in DynamoDB JSON, as plain JSON has no binary."""
        binary: dict[str, str] = {}
        plain: dict[str, str] = {}
        for name, kind, cell in zip(self.names, self.types, row, strict=True):
            (binary if kind == "B" and cell not in self.nulls else plain)[name] = cell
        for name, cell in binary.items():
            try:
                base64.b64decode(cell, validate=True)
            except (binascii.Error, ValueError):
                raise _in_column(_BadCell("InvalidAttribute", "not base64"), name) from None
        text = msgspec.json.encode(self._plain([plain.get(name, "") for name in self.names])).decode()
        try:
            attributes, _ = items.plain_item(parse_json(text))
        except items.Rejected as rejected:
            refused = rejected.rejection()
            raise _BadCell(refused.code, refused.message) from None
        for name in binary:
            attributes[name] = {"B": binary[name]}
        return attributes


def columns_of(source: Source, given: Input, key_types: Mapping[str, str]) -> Columns | None:
    """The columns of a CSV file; None where nothing stands in it. Raises `UsageError` where they do not fit."""
    head = head_of(source, given, whole=given.infer)
    if head is None:
        return None
    check_keys(source, head, key_types)
    known = {**key_types, **dict(given.types)}
    if absent := [name for name, _ in given.types if name not in head.names]:
        columns = ", ".join(map(repr, filter(None, head.names)))[:300]
        raise UsageError(f"--types names {absent[0]!r}, which is no column of {source.name}; it has {columns}")
    guessed = inferred(head.names, head.sample, given.nulls) if given.infer else {}
    known = guessed | known
    if given.bare and "B" in known.values():
        raise UsageError("binary columns (B) do not go with --format item: plain JSON has no binary")
    types = tuple(known.get(name, "S") if name else OMITTED if name is None else BLANK for name in head.names)
    names = tuple(name or f"column {place}" for place, name in enumerate(head.names, 1))
    return Columns(
        header=head.header,
        names=names,
        types=types,
        delimiter=head.delimiter,
        why=head.why,
        empty=given.empty,
        nulls=given.nulls | {""},
        table=given.table,
        bare=given.bare,
        guessed=guessed,
        sampled=len(head.sample),
    )


def inferred(
    names: Sequence[str | None], rows: Sequence[Sequence[str]], nulls: Set[str] = frozenset()
) -> dict[str, str]:
    """The narrowest of N, BOOL and S that takes every cell of a column; none where all are empty.

    A number with a leading zero or a plus is rather a code that is made of digits.
    """
    types = {}
    for position, name in enumerate(names):
        cells = {row[position] for row in rows if position < len(row)} - {""} - nulls
        if not name or not cells:
            continue
        types[name] = "S"
        if all(_looks_like_a_number(cell) for cell in cells):
            types[name] = "N"
        elif cells <= {"true", "false", "True", "False", "TRUE", "FALSE"}:
            types[name] = "BOOL"
    return types


def _looks_like_a_number(cell: str) -> bool:
    return bool(_JSON_NUMBER.fullmatch(cell)) and sum(map(str.isdigit, cell)) <= _MAX_DIGITS


def _in_column(bad: _BadCell, name: str) -> _BadCell:
    code, message = bad.args
    return _BadCell(code, f"column {name[:100]!r}: {message}")
