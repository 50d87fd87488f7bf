"""Whose fault a refusal is: an item's own, or the table's and the settings'. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from sluice.message.operation import Operation, Rejection

from .plan import Batch

MAX_EARLY_RECEIVES = 5
"""At its fifth receive an update is dead-lettered although what it changes may still come."""
MAX_TOLD_APART = 16
"""Batches refused as a whole that are told apart to the last item, however many of them are refused."""

_ADDRESS = re.compile("@[0-9a-f]+")
"""How the service's words go on where they name an object and not its content: never twice the same."""


def fault(
    rejected: Mapping[Operation, Rejection], denied: Mapping[Operation, str], judged: Collection[Operation]
) -> str | None:
    """What is wrong with a table or the settings, by all answers of an invocation; None where items alone are at fault.

    `judged` are the operations that got as far as their item: written, or refused for what stands in the table.
    """
    open_tables = {operation.table for operation in judged}
    return _denied_tables(denied, open_tables) or _refusing_table(rejected, denied, open_tables)


def _denied_tables(denied: Mapping[Operation, str], open_tables: Collection[str]) -> str | None:
    """A policy may deny some partition keys alone (dynamodb:LeadingKeys); that of a table denies all of them.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/specifying-conditions.html
    """
    partitions: dict[str, set[object]] = {}
    for operation in denied:
        if operation.table not in open_tables:
            partitions.setdefault(operation.table, set()).add(operation.key[1])
    # One key says nothing of the others; where nothing at all was let through, it is denied access all the same.
    closed = [table for table, keys in partitions.items() if len(keys) > 1 or not open_tables]
    if not closed:
        return None
    words = next(words for operation, words in denied.items() if operation.table in closed)
    return f"{words} (writing to {', '.join(sorted(closed))})"


def _refusing_table(
    rejected: Mapping[Operation, Rejection], denied: Mapping[Operation, str], open_tables: Collection[str]
) -> str | None:
    """Two items or more, and all that the table says of any is the same: it is not the items."""
    others = {*open_tables, *(operation.table for operation in denied)}
    by_table: dict[str, list[Operation]] = {}
    for operation in rejected:
        if operation.table not in others:
            by_table.setdefault(operation.table, []).append(operation)
    for table, operations in by_table.items():
        texts = {_ADDRESS.sub("@", rejected[operation].message) for operation in operations}
        if len(texts) == 1 and len({operation.key for operation in operations}) > 1:
            words = _without_values(rejected[operations[0]].message, operations[0])
            return f"every operation was refused in the same words: {words} (writing to {table})"
    return None


def _without_values(words: str, operation: Operation) -> str:
    """The words with "…" in the place of what they quote of the item: they are logged."""
    for value in sorted(set(_texts(operation.request)), key=len, reverse=True):
        words = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", "…", words)
    return words


def _texts(value: Any) -> Iterator[str]:
    """Strings and numbers of a request in DynamoDB JSON, but no names."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            if name in ("S", "N") and isinstance(inner, str) and inner:
                yield inner
            elif name in ("SS", "NS") and isinstance(inner, list):
                yield from filter(None, (text for text in inner if isinstance(text, str)))
            else:
                yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


class Suspects:
    """Batches refused as a whole by tables that have taken nothing yet: all of what is in them may be refused.

    One batch is told apart by halving. If all of it is refused alike, the others are told apart as well, or where they
    are many, a sample of each tells whether that goes for the rest: 10,000 operations of a closed table take some 850
    calls in place of 20,000.
    """

    def __init__(self) -> None:
        self._batches: list[Batch] = []
        self._has_split = self._has_sampled = False

    def __bool__(self) -> bool:
        return bool(self._batches)

    def parts(self, batch: Batch, *, is_part: bool, is_open: bool) -> Sequence[Batch]:
        """What to send in the place of a batch that was refused as a whole; nothing where it is to wait."""
        if self._has_split and not is_part and not is_open:
            self._batches.append(batch)
            return ()
        self._has_split = True
        return halves(batch)

    def next(self, chance: float, *, is_fault: bool) -> Sequence[Batch]:
        """What to send when nothing else is left; nothing where the fault is the table's by every sample."""
        batches, self._batches = self._batches, []
        if is_fault and self._has_sampled:
            return ()
        if not is_fault or len(batches) <= MAX_TOLD_APART:
            return [half for batch in batches for half in halves(batch)]
        self._has_sampled = True
        position = [int(chance * len(batch)) for batch in batches]
        self._batches = [batch[:n] + batch[n + 1 :] for batch, n in zip(batches, position, strict=True)]
        return [[batch[n]] for batch, n in zip(batches, position, strict=True)]


def halves(batch: Batch) -> Sequence[Batch]:
    half = len(batch) // 2
    return [part for part in (batch[:half], batch[half:]) if part]
