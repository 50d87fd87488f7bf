"""The first row of a CSV file, which names the columns, and what stands between them."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from sluice.cli import UsageError
from sluice.sending.record import START

from .rows import Row, Rows
from .source import HEAD_BYTES, Lines, Source

DELIMITERS = {",": ",", ";": "';'", "\t": "tab", "|": "'|'"}
"""What stands between cells in files of this world, as it is written behind --delimiter."""
_SEPARATOR_LINE = re.compile(rb"(?:\xef\xbb\xbf)?sep=(.)")  # The first line of a file that Excel is to open.


class Head(NamedTuple):
    """The beginning of a CSV file."""

    header: Row
    """Its text begins with the line that says what the delimiter is, where there is one."""
    delimiter: str
    is_told: bool
    """The file itself says what its delimiter is."""
    sample: list[list[str]]
    """The rows of the first MiB, where they were asked for."""


def head_of(source: Source, delimiter: str | None, *, whole: bool) -> Head:
    """The header, and with `whole` the rows of the first MiB. Raises `UsageError` for a header that cannot be one."""
    usual = "\t" if source.stem.lower().endswith(".tsv") else ","
    rows = _rows(source, delimiter or usual, whole=whole)
    header = next(rows, None)
    told = _SEPARATOR_LINE.fullmatch(header.text) if header is not None else None
    if told is not None:
        delimiter = delimiter or told[1].decode("latin-1")
        rows = _rows(source, delimiter, whole=whole, skip=1)
        header = next(rows, None)
    if header is None:
        raise UsageError(f"{source.name} is empty: the first line must name the columns")
    if delimiter is None:
        _check_delimiter(source, header, usual)
    _check_names(source, header)
    sample = [row.cells for row in rows if row.fault is None] if whole else []
    if told is not None:
        header = header._replace(text=told[0] + b"\n" + header.text)
    return Head(header, delimiter or usual, told is not None, sample)


def check_keys(source: Source, names: tuple[str, ...], key_types: Mapping[str, str]) -> None:
    """Raises `UsageError` where an attribute of the key is no column, for then no row could be sent."""
    for key in key_types:
        if key not in names:
            near = [repr(name) for name in names if _bare(name) == _bare(key)]
            hint = f"; {' and '.join(near)} is nearly that, but not the same" if near else ""
            raise UsageError(f"{source.name} has no column {key!r}, which is the table's key{hint}")


def _bare(name: str) -> str:
    return re.sub(r"[\W_]", "", name).casefold()


def _check_delimiter(source: Source, header: Row, usual: str) -> None:
    text = header.text.decode("utf-8", "replace")
    others = [one for one in DELIMITERS if one != usual and one in text]
    if usual not in text and others:
        option = DELIMITERS[max(others, key=text.count)]
        raise UsageError(f"the first line of {source.name} seems to have other delimiters: --delimiter {option}")


def _check_names(source: Source, header: Row) -> None:
    where = f"line {header.line} of {source.name} must name the columns"
    if header.fault is not None:
        raise UsageError(f"{where}: {header.fault.message}")
    for place, name in enumerate(header.cells, 1):
        if name == "":
            raise UsageError(f"{where}: column {place} of {len(header.cells)} has no name")
        if header.cells.count(name) > 1:
            raise UsageError(f"{where}: the column {name!r} stands there twice")


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
