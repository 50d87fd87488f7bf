"""All files of one send as one row of records: a place in it says the file, and where in that file."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sluice.cli import client
from sluice.sending.record import START, Position, Record

from .columns import Columns
from .files import Found, beside, found
from .options import Input, input_of
from .reading import Reader
from .s3 import S3, is_s3
from .source import Identity, Source

_FILE = 1 << 48
"""What the number of a file counts for in an offset: no file has so many bytes (256 TiB)."""
_SHOWN = 10
"""Files of another form than the first that are described."""


class Inputs:
    """The files in their order. Raises as `Reader` does, for all files before the first record is read.

    An offset is that within the file, and 2**48 for each file before it.
    """

    def __init__(
        self,
        given: Input,
        files: Sequence[Found],
        key_types: Mapping[str, str] | None = None,
        s3: S3 | None = None,
        path: str = "",
    ) -> None:
        self._given, self._files, self._key_types, self._s3 = given, files, key_types or {}, s3
        self.path = path
        """Where journal and rejected records stand, without their extensions."""
        # What a manifest names is as the manifest says; anything else is looked at before anything is sent.
        self._readers = {number: self._made(number) for number, file in enumerate(files) if file.kind is None}
        if given.infer and len(self._readers) > 1:
            self._infer_together()
        self._sizes: list[int] | None = None
        self._reading: tuple[int, Reader] | None = None

    def __len__(self) -> int:
        return len(self._files)

    @property
    def is_repeatable(self) -> bool:
        """Files, and neither standard input nor a pipe."""
        return all(reader.source.is_file for reader in self._readers.values())

    @property
    def is_csv(self) -> bool:
        """One of the files at least."""
        return any(reader.kind == "csv" for reader in self._readers.values())

    @property
    def first(self) -> str:
        return self._files[0].name

    @property
    def name(self) -> str:
        """All files, in words."""
        more = len(self._files) - 1
        return self.first if not more else f"{self.first} and {more:,} more"

    def records(self, start: Position = START) -> Iterator[Record]:
        """The records from a position on that is the `end` of a record, or START."""
        first, offset = divmod(start.offset, _FILE)
        for number in range(first, len(self._files)):
            reader = self._readers.get(number) or self._made(number)
            self._reading = number, reader
            place = Position(offset, start.line) if number == first else START
            if number == 0:
                yield from reader.records(place)
            else:
                base = number * _FILE
                for record in reader.records(place):
                    end = Position(base + record.end.offset, record.end.line)
                    yield Record(record.line, end, record.body, record.error, record.text)

    def name_at(self, position: Position) -> str:
        """The file that a position is in."""
        return self._files[position.offset // _FILE].name

    def place(self, position: Position, line: int) -> str:
        """`line 5`; where there are several files, with the file's name."""
        return f"line {line:,}" if len(self._files) == 1 else f"{self.name_at(position)} line {line:,}"

    def about(self, position: Position) -> dict[str, str]:
        """What is noted of a rejected record besides the record: its file and the header of that."""
        number = position.offset // _FILE
        about = {"file": self._files[number].name} if len(self._files) > 1 else {}
        reader = self._readers.get(number)
        if reader is not None and reader.header is not None:
            about["header"] = reader.header.decode("utf-8", "replace")
        return about

    def identity(self) -> tuple[Identity, ...]:
        """What the files are now."""
        return tuple(self._source(number).identity() for number in range(len(self._files)))

    def size(self) -> int | None:
        """Bytes of all files as they are, packed or not; None for standard input."""
        if not self.is_repeatable:
            return None
        self._sizes = [self._source(number).size() or 0 for number in range(len(self._files))]
        return sum(self._sizes)

    def done(self, position: Position) -> int:
        """Bytes up to a position; of a packed file those that have been read, which is a little more."""
        number, offset = divmod(position.offset, _FILE)
        before = sum((self._sizes or [])[:number])
        if self._reading is not None and self._reading[0] == number:
            return before + self._reading[1].done(Position(offset, position.line))
        return before + (offset if not self._sizes else min(offset, self._sizes[number]))

    def what_matters(self) -> dict[str, Any]:
        """What has to be the same for a send to be continued, by name."""
        readers = list(self._readers.values())
        forms = [
            {"input": one.kind, "encoding": one.source.encoding, "columns": _names(one.columns)} for one in readers
        ]
        several = {name: [form[name] for form in forms] for name in ("input", "encoding", "columns")}
        return forms[0] if len(self._files) == len(forms) == 1 else several

    def description(self) -> Iterator[str]:
        """What is read and how, in lines."""
        readers = list(self._readers.values())
        if not readers:
            yield f"Reading {self.name} as parts of an export."
            return
        forms: dict[Any, list[Reader]] = {}
        for reader in readers:
            forms.setdefault((reader.form, str(_names(reader.columns))), []).append(reader)
        for alike in list(forms.values())[:_SHOWN]:
            more = len(alike) - 1
            yield f"Reading {alike[0].source.name}{f' and {more:,} more' if more else ''} as {alike[0].form}."
            if any(one.kind != "parquet" and not one.source.is_text() for one in alike):
                yield "Some of its first lines are not UTF-8, and cost themselves."
            yield from alike[0].columns.description() if alike[0].columns is not None else ()
        if len(forms) > _SHOWN:
            yield f"And {len(forms) - _SHOWN:,} other forms."

    def _made(self, number: int) -> Reader:
        file = self._files[number]
        given = replace(self._given, file=file.name, kind=self._given.kind or file.kind)
        reader = Reader(given, self._key_types, self._s3 if is_s3(file.name) else None)
        reader.check_text()
        if len(self._files) > 1:
            reader.source.forget()
        return reader

    def _source(self, number: int) -> Source:
        reader = self._readers.get(number)
        name = self._files[number].name
        return reader.source if reader is not None else Source(name, store=self._s3 if is_s3(name) else None)

    def _infer_together(self) -> None:
        """One type for each column that the files have in common."""
        types: dict[str, str] = {}
        every = [reader.columns for reader in self._readers.values() if reader.columns is not None]
        for columns in every:
            for name, kind in columns.guessed.items():
                types[name] = kind if types.get(name, kind) == kind else "S"
        given = dict(self._given.types)
        for number, reader in self._readers.items():
            if reader.columns is not None:
                own = {n: t for n, t in types.items() if n in reader.columns.names and n not in self._key_types}
                self._readers[number] = reader.with_types(own | given)


def inputs_of(options: argparse.Namespace, key_types: Mapping[str, str]) -> Inputs:
    """The files that the options name."""
    given = input_of(options)
    s3 = S3(lambda: client(options, "s3", connections=2))
    files = found(options.files, s3)
    return Inputs(given, files, key_types, s3, beside(options.files, files))


def _names(columns: Columns | None) -> list[Any] | None:
    return None if columns is None else [columns.delimiter, list(columns.names), list(columns.types)]
