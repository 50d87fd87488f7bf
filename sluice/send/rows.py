"""The rows of a CSV file by RFC 4180, with their places. A line that is no row costs itself, and nothing behind it."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from typing import NamedTuple

from sluice.message.operation import Rejection
from sluice.sending.record import START, Position

from .source import MAX_LINE_BYTES, Lines

MAX_ROW_BYTES = MAX_LINE_BYTES
"""A quotation mark that is not closed within so many bytes is never closed; an item has 400 KB at most."""
_BOM = b"\xef\xbb\xbf"
_TRIM_BYTES = 1 << 20
_MAX_CELL = 100_000  # The csv module takes 131,072 characters.
_QUOTED, _QUOTED_BYTES = re.compile(r'(?:[^"]++|"")*+'), re.compile(rb'(?:[^"]++|"")*+')

TOO_LONG = Rejection("ItemTooLarge", f"the line has over {MAX_LINE_BYTES >> 20} MiB")
NOT_UTF8 = Rejection("InvalidJson", "not UTF-8; a file of another encoding is read with --encoding, such as cp1252")
_STRAY_QUOTE = Rejection("InvalidRow", "a quotation mark within a cell that does not begin with one")
_BEHIND_QUOTE = Rejection("InvalidRow", "a cell goes on behind its closing quotation mark")
_BARE_RETURN = Rejection("InvalidRow", "a carriage return without a line feed in a cell that is not quoted")
_NOT_CLOSED = Rejection("InvalidRow", "a quotation mark is not closed before the end of the file")
_NOT_CLOSED_NEAR = Rejection("InvalidRow", f"a quotation mark is not closed within {MAX_ROW_BYTES >> 20} MiB")
_JOINED = Rejection("InvalidRow", "a quotation mark joins this line with the next ones, which are rows by themselves")


class Row(NamedTuple):
    """One row, or one line that is not a row. A tuple, for a file has millions."""

    line: int
    """The line on which it begins, from 1."""
    end: Position
    text: bytes
    """As it stands in the file, without its last line end."""
    cells: list[str]
    fault: Rejection | None = None
    """Why the line is no row; its cells mean nothing then."""


class Rows:
    """The rows of `lines`. Blank lines are nothing. `width`: cells of the header, where it is known.

    RFC 4180 to the letter, but that lines may end with LF alone and cells may hold any character. A line with which no
    such row begins is one with a `fault`, and the next line is read by itself: a quotation mark too many takes nothing
    with it. What is read depends on the place where reading begins and on nothing before it.
    https://www.rfc-editor.org/rfc/rfc4180#section-2
    """

    def __init__(self, lines: Lines, delimiter: str, width: int | None = None) -> None:
        self._lines = lines
        self._delimiter = delimiter
        self.width = width
        self._end = Position(lines.offset, lines.line)
        """Of what has been given."""
        self._ahead = bytearray()
        """Lines that were looked at for a closing quotation mark; those from `_at` on are still to be read."""
        self._at = 0
        self._held: tuple[bytes, Position] | None = None
        """A line behind those, which is too long to be looked at."""
        self._between = f'"{delimiter}"'
        one = re.escape(delimiter)
        # Possessive: nothing is tried twice, however long a cell is.
        quoted, plain = r'(?:[^"]++|"")*+', rf'[^"\r\n{one}]*+'
        self._cell = re.compile(rf'(?:"({quoted})"|({plain}))(?:({one})|(?:\r?\n)?\Z)')
        self._row = re.compile(rf'(?:"{quoted}"|{plain})(?:{one}(?:"{quoted}"|{plain}))*+')
        self._given: list[str] = []
        self._reader = csv.reader(iter(self._given.pop, None), delimiter=delimiter, strict=True)

    def __iter__(self) -> Iterator[Row]:
        return map(Row._make, self.tuples())

    def tuples(self) -> Iterator[tuple[int, Position, bytes, list[str], Rejection | None]]:
        """The rows as plain tuples, which take a quarter of the time to make."""
        lines, delimiter, longest = self._lines, self._delimiter, MAX_LINE_BYTES
        if self._end == START and (raw := next(lines, b"")):
            self._held = raw.removeprefix(_BOM), Position(lines.offset, lines.line)
        while True:
            if self._ahead or self._held:
                raw = self._again()
            elif raw := next(lines, b""):
                self._end = Position(lines.offset, lines.line)
            else:
                return
            end = self._end
            try:
                row = raw.decode()
            except UnicodeDecodeError:
                row = ""
            if not row or len(raw) >= longest:
                yield self._exactly(raw)
                continue
            text = raw
            if row[-1] == "\n":
                ending = -2 if row[-2:] == "\r\n" else -1
                row, text = row[:ending], raw[:ending]
            if '"' in row:
                cells = self._whole(row)
                yield (end.line, end, text, cells, None) if cells is not None else self._exactly(raw)
            elif "\r" in row:
                yield end.line, end, text, [], _BARE_RETURN
            elif row:
                yield end.line, end, text, row.split(delimiter), None

    def _whole(self, row: str) -> list[str] | None:
        """The cells of a row that has quoted ones and is whole on its line, as `_exactly` has them but in less time."""
        every = row[1:-1].split(self._between)
        if row.count('"') == 2 * len(every) and row[0] == '"' == row[-1]:
            return every  # Each cell is quoted, and none holds a quotation mark.
        if len(row) > _MAX_CELL or not self._row.fullmatch(row):
            return None
        self._given.append(row)
        return next(self._reader)

    def _again(self) -> bytes:
        """The next of the lines that were looked at."""
        if not self._ahead:
            assert self._held is not None
            (raw, self._end), self._held = self._held, None
            return raw
        behind = self._ahead.find(b"\n", self._at) + 1 or len(self._ahead)
        raw = bytes(self._ahead[self._at : behind])
        self._forward(behind)
        return raw

    def _forward(self, behind: int) -> None:
        """What was looked at is read up to here."""
        count = self._ahead.count(b"\n", self._at, behind) + (not self._ahead.endswith(b"\n", self._at, behind))
        self._end = Position(self._end.offset + behind - self._at, self._end.line + count)
        self._at = behind
        if behind == len(self._ahead) or behind > _TRIM_BYTES:
            del self._ahead[:behind]
            self._at = 0

    def _exactly(self, raw: bytes) -> Row:
        """The row that begins with this line, or why it begins none."""
        line, end, at = self._end.line, self._end, self._at
        text = _without_end(raw)
        if len(raw) >= MAX_LINE_BYTES:
            return Row(line, end, text, [], TOO_LONG)
        read = self._cells(raw)
        if isinstance(read, Rejection):
            return Row(line, end, text, [], read)
        cells, behind = read
        if behind > at:
            whole = _without_end(raw + self._ahead[at:behind])
            if self._is_joined(whole, len(cells)):
                return Row(line, end, text, [], _JOINED)
            text = whole
            self._forward(behind)
        return Row(line, self._end, text, cells, None if _is_utf8(text) else NOT_UTF8)

    def _cells(self, raw: bytes) -> tuple[list[str], int] | Rejection:
        """The cells of the row that begins with this line, and up to where in `_ahead` it goes."""
        cells: list[str] = []
        text, place, behind = _decoded(raw), 0, self._at
        match = self._cell.match
        while True:
            if cell := match(text, place):
                quoted, plain, more = cell.groups()
                cells.append(plain if quoted is None else quoted.replace('""', '"'))
                if more is None:
                    return cells, behind
                place = cell.end()
                continue
            fault = self._fault(text, place)
            if fault is not None:
                return fault
            begin = behind
            found = self._closed(begin, len(raw))
            if isinstance(found, Rejection):
                return found
            text, place, behind = text[place:] + _decoded(self._ahead[begin:found]), 0, found

    def _fault(self, text: str, place: int) -> Rejection | None:
        """What is wrong with the cell that begins here; None for a quoted one that goes on on the next line."""
        if text.startswith('"', place):
            content = _QUOTED.match(text, place + 1)
            return None if content is not None and content.end() == len(text) else _BEHIND_QUOTE
        quote, bare = text.find('"', place), text.find("\r", place)
        return _BARE_RETURN if bare >= 0 and (quote < 0 or bare < quote) else _STRAY_QUOTE

    def _closed(self, begin: int, before: int) -> int | Rejection:
        """Where in `_ahead` the line ends that closes a cell open at `begin`; `before`: bytes of the row's start."""
        place = begin
        while True:
            content = _QUOTED_BYTES.match(self._ahead, place)
            place = place if content is None else content.end()
            if place < len(self._ahead):
                return self._ahead.find(b"\n", place) + 1 or len(self._ahead)
            if before + len(self._ahead) - self._at > MAX_ROW_BYTES or self._held:
                return _NOT_CLOSED_NEAR
            if not self._look_on(MAX_ROW_BYTES - before - len(self._ahead) + self._at):
                return _NOT_CLOSED

    def _look_on(self, count: int) -> bool:
        """Look at more lines, up to one with a quotation mark or that makes it more bytes; False at the end."""
        more = bytearray()
        for raw in self._lines:
            if len(raw) >= MAX_LINE_BYTES:
                self._held = raw, Position(self._lines.offset, self._lines.line)
                break
            more += raw
            if b'"' in raw or len(more) > count:
                break
        self._ahead += more
        return bool(more) or self._held is not None

    def _is_joined(self, text: bytes, count: int) -> bool:
        """Whether a row of another width than the header consists of lines that have its width, each by itself."""
        delimiter = self._delimiter.encode()
        return count != self.width and all(line.count(delimiter) + 1 == self.width for line in text.split(b"\n"))


def _without_end(raw: bytes) -> bytes:
    return raw.removesuffix(b"\n").removesuffix(b"\r") if raw.endswith(b"\r\n") else raw.removesuffix(b"\n")


def _decoded(raw: bytes | bytearray) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
