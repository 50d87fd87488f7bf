"""Whose fault a refusal is: an item's own, or the table's and the settings'. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from .operation import Operation, Rejection

MAX_EARLY_RECEIVES = 5
"""At its fifth receive an update is dead-lettered although what it changes may still come."""

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
            words = rejected[operations[0]].message
            return f"every operation was refused in the same words: {words} (writing to {table})"
    return None
