"""Parquet: rows to puts by the types of their columns, batch by batch. Needs the extra `sluice[parquet]`.

A position counts rows. https://arrow.apache.org/docs/python/generated/pyarrow.parquet.ParquetFile.html
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from sluice.cli import UsageError
from sluice.message.operation import Rejection
from sluice.sending.record import Position, Record, allowed, around, native_around

from .options import Input
from .source import Source

_ROWS = 1000
"""That are in memory at a time."""
_BUFFER_BYTES = 1 << 20
_NO_NUMBER = Rejection("InvalidNumber", "not a finite number in column ")
Stored = Callable[[Any], Any]
"""A value of pyarrow's `to_pylist` → as it stands in the record."""


class _NotFiniteError(Exception):
    """A NaN or an infinity."""


class Parquet:
    """One file. Raises `UsageError` where DynamoDB has nothing for a column, or the key is no column."""

    def __init__(self, source: Source, given: Input, key_types: Mapping[str, str]) -> None:
        import pyarrow
        import pyarrow.parquet

        if not source.is_file:
            raise UsageError("Parquet cannot be read from standard input, as its end says what is in it: name the file")
        with source.reading():
            try:
                # Without `pre_buffer` and threads a row group is read page by page, however large it is.
                self._file = pyarrow.parquet.ParquetFile(source.seekable(), pre_buffer=False, buffer_size=_BUFFER_BYTES)
            except pyarrow.ArrowInvalid as error:
                raise OSError(f"not whole, or not Parquet: {error}") from None
        self._source, self._given = source, given
        schema = self._file.schema_arrow
        for key in key_types:
            if key not in schema.names:
                columns = ", ".join(schema.names[:20])[:300]
                raise UsageError(f"the table's key {key!r} is no column of {source.name}; it has {columns}")
        self._is_native = not given.bare and any(_has_binary(field.type) for field in schema)
        self._stored = {field.name: self._of(field.name, field.type) for field in schema}
        self.rows: int = self._file.metadata.num_rows

    def records(self, start: Position) -> Iterator[Record]:
        """The rows after a position."""
        before, after = (b"", b"") if self._given.bare else around(self._given.table)
        if self._is_native:
            before, after = native_around("Put", self._given.table)
        for number, row in enumerate(self._rows(start.offset), start.offset + 1):
            item, fault = self._item(row)
            yield Record(number, Position(number, number), allowed(before + msgspec.json.encode(item) + after), fault)

    def _rows(self, count: int) -> Iterator[dict[str, Any]]:
        """The rows after so many."""
        import pyarrow

        metadata = self._file.metadata
        groups: list[int] = []
        for group in range(metadata.num_row_groups):
            rows = metadata.row_group(group).num_rows
            if count >= rows and not groups:
                count -= rows
            else:
                groups.append(group)
        try:
            for batch in self._file.iter_batches(_ROWS, row_groups=groups, use_threads=False):
                if count >= batch.num_rows:
                    count -= batch.num_rows
                    continue
                columns = [_readable(column) for column in batch.columns]
                rest = pyarrow.RecordBatch.from_arrays(columns, names=batch.schema.names).slice(count)
                count = 0
                yield from rest.to_pylist(maps_as_pydicts="strict")
        except ValueError as error:  # Arrow's own, too.
            raise OSError(f"not whole, or not Parquet: {error}") from None

    def _item(self, row: dict[str, Any]) -> tuple[dict[str, Any], Rejection | None]:
        item: dict[str, Any] = {}
        fault = None
        for name, value in row.items():
            if value is None:
                if self._given.empty == "null":
                    item[name] = {"NULL": True} if self._is_native else None
                continue
            try:
                item[name] = self._stored[name](value)
            except _NotFiniteError:
                item[name], fault = None, Rejection(_NO_NUMBER.code, f"{_NO_NUMBER.message}{name[:100]!r}")
        return item, fault

    def _of(self, name: str, kind: Any) -> Stored:
        stored = _stored(kind, is_native=self._is_native)
        if stored is None:
            what = "; plain JSON has no binary" if self._given.bare and _has_binary(kind) else ""
            column = f"column {name!r} of {self._source.name} has the type {kind}"
            raise UsageError(f"{column}, and DynamoDB none for it{what}: cast it to a string or a number first")
        return stored


def _has_binary(kind: Any) -> bool:
    from pyarrow import types

    children = [kind.field(number).type for number in range(kind.num_fields)]
    return (
        types.is_binary(kind)
        or types.is_large_binary(kind)
        or types.is_fixed_size_binary(kind)
        or any(map(_has_binary, children))
    )


def _readable(column: Any) -> Any:
    """Times finer than Python's as text."""
    from pyarrow import types

    is_fine = types.is_timestamp(column.type) or types.is_time64(column.type)
    return column.cast("string") if is_fine and column.type.unit == "ns" else column


def _stored(kind: Any, *, is_native: bool) -> Stored | None:
    """How values of a type are stored; None where DynamoDB has none for it."""
    from pyarrow import types

    if types.is_dictionary(kind):
        return _stored(kind.value_type, is_native=is_native)
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return _list(_stored(kind.value_type, is_native=is_native), is_native)
    if types.is_map(kind):
        inner = _stored(kind.item_type, is_native=is_native)
        return _map(lambda _: inner, is_native) if types.is_string(kind.key_type) and inner is not None else None
    if types.is_struct(kind):
        fields = {kind.field(n).name: _stored(kind.field(n).type, is_native=is_native) for n in range(kind.num_fields)}
        return _map(fields.__getitem__, is_native) if all(fields.values()) else None
    name, plain = next(((name, stored) for is_kind, name, stored in _scalars() if is_kind(kind)), ("", None))
    if plain is None or (name == "B" and not is_native):
        return None
    return plain if not is_native else lambda value: {name: _text(plain(value)) if name == "N" else plain(value)}


def _scalars() -> list[tuple[Callable[[Any], bool], str, Stored]]:
    """Whether a type is one of these, DynamoDB's type, and how a value is written."""
    from pyarrow import types

    return [
        (types.is_null, "S", str),
        (types.is_boolean, "BOOL", bool),
        (types.is_integer, "N", int),
        (types.is_floating, "N", _finite),
        (types.is_decimal, "N", lambda value: msgspec.Raw(str(value).encode())),
        (lambda kind: types.is_string(kind) or types.is_large_string(kind), "S", str),
        (lambda kind: types.is_date(kind) or types.is_timestamp(kind) or types.is_time(kind), "S", _iso),
        (
            lambda kind: types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind),
            "B",
            lambda value: base64.b64encode(value).decode(),
        ),
    ]


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise _NotFiniteError
    return value


def _iso(value: Any) -> str:
    return value.replace(" ", "T") if isinstance(value, str) else str(value.isoformat())


def _text(value: Any) -> str:
    return bytes(value).decode() if isinstance(value, msgspec.Raw) else repr(value)


def _list(inner: Stored | None, is_native: bool) -> Stored | None:
    if inner is None:
        return None
    null = {"NULL": True} if is_native else None
    plain: Stored = lambda values: [null if value is None else inner(value) for value in values]  # noqa: E731
    return (lambda values: {"L": plain(values)}) if is_native else plain


def _map(inner: Callable[[str], Stored | None], is_native: bool) -> Stored:
    null = {"NULL": True} if is_native else None

    def plain(values: dict[str, Any]) -> dict[str, Any]:
        return {name: null if value is None else inner(name)(value) for name, value in values.items()}  # type: ignore[misc]

    return (lambda values: {"M": plain(values)}) if is_native else plain
