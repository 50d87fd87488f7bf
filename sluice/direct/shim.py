"""boto3's `batch_writer`, by its names: the shortest way from there."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Any

from .writer import Writer


def batch_writer(table: Any, overwrite_by_pkeys: Sequence[str] | None = None, **options: Any) -> BatchWriter:
    """As boto3's `table.batch_writer(overwrite_by_pkeys=…)`: `put_item(Item=…)` and `delete_item(Key=…)`.

    `table` and `options` are `Writer`'s. Of writes of the same item the last counts, whether or not
    `overwrite_by_pkeys` is given: the key is the table's own. The end of the block raises `NotWrittenError` where an
    item is not in the table; boto3's raises at the first call that fails, and loses track of the others.
    """
    del overwrite_by_pkeys  # Nothing else is ever done.
    return BatchWriter(Writer(table, **options))


class BatchWriter:
    """What `batch_writer` gives."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    def put_item(self, Item: Any) -> None:  # noqa: N803  # As boto3 names it.
        self._writer.put(Item)

    def delete_item(self, Key: Any) -> None:  # noqa: N803
        self._writer.delete(Key)

    def __enter__(self) -> BatchWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._writer.__exit__(kind, error, at)
        if error is None:
            self._writer.check()
