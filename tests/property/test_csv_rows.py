"""Rows of CSV against the grammar of RFC 4180, written down a second time character by character."""

from __future__ import annotations

import csv
import io
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.send.rows import Row, Rows
from sluice.send.source import Lines
from sluice.sending.record import START

REPEATABLE = settings(deadline=None, derandomize=True, database=None, max_examples=300)
texts = st.text(st.sampled_from('ab,;"\r\n é'), max_size=40)
cells = st.text(st.sampled_from('ab,"\r\n é'), max_size=6)

how_written = st.sampled_from(
    [{"quoting": csv.QUOTE_ALL, "lineterminator": "\n"}, {"quoting": csv.QUOTE_MINIMAL, "lineterminator": "\r\n"}]
)


def rows_of(content: bytes, width: int | None = None) -> list[Row]:
    return list(Rows(Lines(io.BytesIO(content), START), ",", width))


def first_row(text: str) -> tuple[list[str], int] | None:
    """The cells of the row with which the text begins, and its length; None where it begins with none."""
    found: list[str] = []
    place = 0
    while True:
        cell = ""
        if text.startswith('"', place):
            place += 1
            while text[place : place + 1] != '"' or text[place : place + 2] == '""':
                if place >= len(text):
                    return None
                cell += text[place]
                place += 2 if text[place] == '"' else 1
            place += 1
        else:
            while place < len(text) and text[place] not in ',"\r\n':
                cell += text[place]
                place += 1
        found.append(cell)
        rest = text[place:]
        if not rest or rest.startswith(("\n", "\r\n")):
            return found, place + len(rest[: rest.find("\n") + 1] if rest else "")
        if not rest.startswith(","):
            return None
        place += 1


def by_the_grammar(text: str) -> list[tuple[int, list[str] | None]]:
    """Line and cells of each row; no cells for a line that is not a row."""
    found: list[tuple[int, list[str] | None]] = []
    line = 1
    while text:
        row = first_row(text)
        length = text.find("\n") + 1 or len(text) if row is None else row[1]
        if text[:length] not in ("\n", "\r\n"):
            found.append((line, None if row is None else row[0]))
        line += text.count("\n", 0, length)
        text = text[length:]
    return found


@REPEATABLE
@given(texts)
def test_rows_are_those_of_the_grammar(text: str) -> None:
    found = rows_of(text.encode())

    assert [(row.line, None if row.fault else row.cells) for row in found] == by_the_grammar(text)


@REPEATABLE
@given(st.lists(st.lists(cells, min_size=2, max_size=3), max_size=5), how_written)
def test_what_is_written_by_the_rules_is_read_as_it_was(written: list[list[str]], how: dict[str, Any]) -> None:
    file = io.StringIO(newline="")
    csv.writer(file, **how).writerows(written)

    found = rows_of(file.getvalue().encode())

    assert [row.cells for row in found] == written
    assert not any(row.fault for row in found)


@REPEATABLE
@given(texts, st.sampled_from([None, 1, 2]))
def test_reading_goes_on_behind_any_row(text: str, width: int | None) -> None:
    content = text.encode()

    found = rows_of(content, width)

    for number, row in enumerate(found):
        assert content[: row.end.offset].rstrip(b"\n").removesuffix(b"\r").endswith(row.text.removesuffix(b"\r"))
        stream = io.BytesIO(content)
        stream.seek(row.end.offset)
        assert list(Rows(Lines(stream, row.end), ",", width)) == found[number + 1 :]
