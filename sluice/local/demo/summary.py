"""The demo's last words: what was sent, what became of it, how fast, and whether the table proves it."""

from __future__ import annotations

from collections.abc import Iterator

from .ingest import Ingested
from .readback import ReadBack

SHOWN_KEYS = 5
MAX_WIDTH = 118
"""Columns of a line, at most; what is longer is cut."""
REASON = 38
"""Columns before the reason of a dead letter."""
MAX_BATCH = 25  # Requests of one BatchWriteItem call (its API reference).


def is_accounted_for(result: Ingested, table: ReadBack) -> bool:
    """Whether every record sent is in the table as it was sent, or on the dead-letter queue with its reason."""
    return table.is_complete and result.records == table.identical + _dead_lettered(result)


def lines(result: Ingested, table: ReadBack, units: int, width: int = MAX_WIDTH) -> Iterator[str]:
    """The summary; `units` are the write units that DynamoDB's own rule gives for the items sent.

    Reasons are cut so that their lines fit into `width` columns.
    """
    dead = _dead_lettered(result)
    yield _line("sent", result.records, f"records, in {result.messages:,} SQS messages")
    yield _line("written", table.identical, "records, read back from the table and identical to what was sent")
    yield _line("dead-lettered", dead, "records, each with its reason:" if dead else "records")
    yield from (
        f"{'':17}{letter.code:<20} {_shortened(letter.reason, min(width, MAX_WIDTH) - REASON)}"
        for letter in sorted(result.dead_letters, key=lambda letter: letter.code)
    )
    yield from _losses(table)
    yield ""
    yield from _calls(result)
    yield _line("write units", units, "by DynamoDB's rule of one for each KB begun of an item;")
    yield f"{'':17}the local AWS says {result.total('ConsumedWriteUnits'):,.0f}, for it counts one for a call"
    yield from _speed(result)
    yield ""
    if is_accounted_for(result, table):
        equation = f"{result.records:,} sent = {table.identical:,} written + {dead:,} dead-lettered"
        yield f"Every record is accounted for: {equation}."
    else:
        yield (
            f"NOT every record is accounted for: {result.records:,} sent, {table.identical:,} written, {dead:,}"
            f" dead-lettered, {len(table.missing):,} missing, {len(table.different):,} different."
        )


def _dead_lettered(result: Ingested) -> int:
    return sum(letter.records for letter in result.dead_letters)


def _losses(table: ReadBack) -> Iterator[str]:
    for name, keys in (("missing", table.missing), ("different", table.different)):
        yield _line(name, len(keys), "records")
        yield from (f"{'':17}{' '.join(key)}" for key in keys[:SHOWN_KEYS])


def _calls(result: Ingested) -> Iterator[str]:
    fills = result.metrics.get("BatchFill", [])
    mean = (
        f"{sum(fills) / len(fills):.1f} of {MAX_BATCH} items in each on average" if fills else "so nothing to average"
    )
    yield _line("batch calls", result.total("BatchWrites"), mean)
    handed = sum(len(invocation.deleted) + len(invocation.returned) for invocation in result.invocations)
    again = handed - result.messages
    yield _line("invocations", len(result.invocations), f"of the function; {again:,} messages came more than once")


def _speed(result: Ingested) -> Iterator[str]:
    what = f"records/s from the first one sent to the last one done ({result.seconds:.1f} s)"
    yield _line("throughput", result.records / result.seconds, what)
    if result.function_seconds:
        what = f"records/s in a process of the function while it works ({result.function_seconds:.1f} s in all)"
        yield _line("", result.total("OperationsWritten") / result.function_seconds, what)


def _line(name: str, number: float, text: str) -> str:
    return f"  {name:<13} {number:>7,.0f}  {text}"


def _shortened(text: str, room: int) -> str:
    return text if len(text) <= room else f"{text[: max(0, room - 1)]}…"
