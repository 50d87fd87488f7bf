"""What names the columns of a CSV file: its first row or --columns, and --rename; and what stands between cells."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from sluice.cli import UsageError
from sluice.sending.record import START

from .options import Input
from .rows import Row, Rows
from .source import HEAD_BYTES, Lines, Source

DELIMITERS = {",": "comma", ";": "';'", "\t": "tab", "|": "'|'"}
"""What stands between cells in files of this world, as it is told."""
_SEPARATOR_LINE = re.compile(rb"(?:\xef\xbb\xbf)?sep=(.)")  # The first line of a file that Excel is to open.


class Head(NamedTuple):
    """The beginning of a CSV file."""

    header: Row
    """Its text begins with the line that says what the delimiter is, where there is one, and is empty without both."""
    names: tuple[str | None, ...]
    """Attributes by column; None for a column that is left out, "" for one without a name, which must be empty."""
    delimiter: str
    why: str | None
    """How the delimiter is known where it is not the usual one; None where it was given, too."""
    sample: list[list[str]]
    """The rows of the first MiB, where they were asked for."""


def head_of(source: Source, given: Input, *, whole: bool) -> Head | None:
    """The columns, and with `whole` the rows of the first MiB; None for a file in which nothing stands.

    Raises `UsageError` for a header that cannot be one.
    """
    delimiter, why, told = given.delimiter, None, None
    usual = "\t" if source.stem.lower().endswith(".tsv") else ","
    rows = _rows(source, delimiter or usual, whole=whole)
    header = next((row for row in rows if row.text), None)  # A byte order mark alone is nothing.
    if header is not None and (told := _SEPARATOR_LINE.fullmatch(header.text)):
        if delimiter is None:
            delimiter, why = told[1].decode("latin-1"), "its first line says so"
        rows = _rows(source, delimiter, whole=whole, skip=1)
        before, header = header, next(rows, None)
    if header is None:
        return None
    if delimiter is None and (delimiter := _guessed(header.text, usual)):
        why = "by its first line; --delimiter would say otherwise"
        rows = _rows(source, delimiter, whole=whole)
        header = next(rows)
    if given.columns:
        rows = iter([header, *rows])
        end, text = (before.end, told[0]) if told else (START, b"")
        header = Row(1, end, text, list(given.columns))
    elif told is not None:
        header = header._replace(text=told[0] + b"\n" + header.text)
    names = _named(source, header, given.rename)
    sample = [row.cells for row in rows if row.fault is None] if whole else []
    return Head(header, names, delimiter or usual, why, sample)


def check_keys(source: Source, head: Head, key_types: Mapping[str, str]) -> None:
    """Raises `UsageError` where an attribute of the key is no column, for then no row could be sent."""
    for key in key_types:
        if key not in head.names:
            columns = ", ".join(name for name in head.names[:20] if name)[:300]
            way = _nearly(head, key) or f"it has {columns}: --rename COLUMN={key} makes one of them the key"
            raise UsageError(f"the table's key {key!r} is no column of {source.name}; {way}")


def _nearly(head: Head, key: str) -> str | None:
    near = [name for name in head.names if name and _bare(name) == _bare(key)]
    if near:
        return f"{near[0]!r} is nearly that: --rename '{near[0]}={key}'"
    for delimiter, option in DELIMITERS.items():
        cells = head.header.text.decode("utf-8", "replace").splitlines()[-1:]
        if delimiter != head.delimiter and any(key in cell.replace('"', "").split(delimiter) for cell in cells):
            return f"its delimiter looks like {option}: --delimiter {option}"
    return None


def _bare(name: str) -> str:
    return re.sub(r"[\W_]", "", name).casefold()


def _guessed(line: bytes, usual: str) -> str | None:
    """Another delimiter, where the line has that one and not the usual one."""
    text = line.decode("utf-8", "replace")
    others = [one for one in DELIMITERS if one in text]
    return max(others, key=text.count) if others and usual not in others else None


def _named(source: Source, header: Row, rename: Sequence[tuple[str, str]]) -> tuple[str | None, ...]:
    where = f"line {header.line} of {source.name} must name the columns"
    if header.fault is not None:
        raise UsageError(f"{where}: {header.fault.message}; --columns NAME,… names those of a file without a header")
    names: list[str | None] = list(header.cells)
    for old, new in rename:
        place = int(old[1:]) - 1 if re.fullmatch(r"#[0-9]{1,6}", old) and old not in header.cells else None
        if place is None and old in header.cells:
            place = header.cells.index(old)
        if place is None or not 0 <= place < len(names):
            columns = ", ".join(map(repr, header.cells[:20]))
            raise UsageError(f"--rename names {old!r}, which is no column of {source.name}; it has {columns}")
        names[place] = new or None
    last = max((place for place, name in enumerate(names) if name != ""), default=-1)
    for place, name in enumerate(names[: last + 1], 1):
        ways = f"--rename '#{place}=NAME' gives it one, --rename '#{place}=' leaves it out"
        if name == "":
            raise UsageError(f"{where}: column {place} of {len(names)} has no name; {ways}")
        if name is not None and name in names[: place - 1]:
            raise UsageError(f"{where}: {name!r}, column {place}, stands there twice; {ways}")
    if last < 0:
        raise UsageError(f"{where}: none of {len(names)} has a name; --columns NAME,… names them")
    return tuple(names)


def _rows(source: Source, delimiter: str, *, whole: bool, skip: int = 0) -> Iterator[Row]:
    """The rows of the first MiB, as far as it is there: of standard input no more than the first needs."""
    count = None if whole or source.is_file else 1 + skip
    while True:
        head = source.head(lines=count)
        if len(head) >= HEAD_BYTES:
            head = head[: head.rfind(b"\n") + 1] or head  # The last line may be cut.
        rows = iter(Rows(Lines(io.BytesIO(head), START), delimiter))
        first = [row for _, row in zip(range(skip + 1), rows, strict=False)]
        is_there = len(first) > skip and first[skip].fault is None
        if is_there or count is None or head.count(b"\n") < count:
            yield from first[skip:]
            yield from rows
            return
        count *= 2
