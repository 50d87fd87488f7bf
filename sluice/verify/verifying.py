"""A whole file against the table: chunk by chunk, several at a time, with memory bounded whatever its size."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field

from sluice.message.operation import AttributeValue, Key, Rejection
from sluice.sending.record import Position, Record

from .comparison import FAILURES, Difference, Item, Outcome, difference, outcome
from .expected import Expectations, Expected
from .table import MAX_KEYS, TableReader
from .tally import Tally, Totals

CHUNK_BYTES = 4 << 20
"""Of the records whose items are asked for in one call; those stored may be larger, up to the 16 MB of an answer."""
KEPT = 1000
"""Mismatches of each kind that are remembered as examples; later records of the file may make them pointless."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A record whose item is not as it should be."""

    number: int
    line: int
    end: Position
    """Of its record."""
    outcome: Outcome
    difference: Difference | None
    key: dict[str, AttributeValue]
    expected: Item | None
    stored: Item | None


@dataclass(slots=True)
class Result:
    """What a verification has found; counts are of distinct keys."""

    records: int = 0
    left_out: int = 0
    """Operations whose keys are not in the sample."""
    retyped: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Of attributes that have different types: that of the file and that of the table, of the first such item."""
    rejected: Counter[str] = field(default_factory=Counter)
    """Records, or operations in them, that the function rejects, by error code; with those that cannot be read."""
    unreadable: Counter[str] = field(default_factory=Counter)
    """Those of them of which nothing can be read: no row, not UTF-8, not JSON, no value of its column's type."""
    totals: Totals = field(default_factory=Totals)
    examples: list[Mismatch] = field(default_factory=list)

    def count(self, *outcomes: Outcome) -> int:
        return sum(self.totals.keys[one] for one in outcomes)

    @property
    def is_good(self) -> bool:
        compared = self.count(*Outcome) - self.count(Outcome.UNCOMPARED)
        failed = self.count(*FAILURES) or self.rejected
        return not failed and (compared > 0 or not self.records)


@dataclass(slots=True)
class _Chunk:
    """Records with at most 100 distinct keys."""

    entries: list[tuple[int, Expected]] = field(default_factory=list)
    keys: set[Key] = field(default_factory=set)
    size: int = 0
    """Bytes of the records."""
    end: Record | None = None


@dataclass(frozen=True, slots=True)
class Verification:
    """How a file is verified."""

    expectations: Expectations
    reader: TableReader
    executor: Executor
    connections: int
    consistent: bool = False
    """Read everything strongly consistently; else only what seems wrong is read again so."""
    sample: float = 1.0
    """This part of all keys is compared, with every record of each."""
    show: Callable[[Record, int], None] = lambda _record, _count: None
    """Told the last record of what has been compared, and how many records those are by now."""

    def run(self, records: Iterable[Record], examples: int) -> Result:
        """Verify all; remembers up to so many examples of each kind of mismatch."""
        result = Result()
        kept: dict[Outcome, list[Mismatch]] = {one: [] for one in FAILURES}
        pending: deque[tuple[_Chunk, Future[list[Mismatch | Outcome]]]] = deque()
        with Tally() as tally:

            def settle() -> None:
                chunk, future = pending.popleft()
                for (number, expected), found in zip(chunk.entries, future.result(), strict=True):
                    one = found if isinstance(found, Outcome) else found.outcome
                    tally.add(
                        expected.digest,
                        number,
                        one,
                        is_versioned=expected.table.version is not None,
                        version=expected.version and expected.version[1],
                    )
                    if isinstance(found, Mismatch) and len(kept[one]) < KEPT + examples:
                        kept[one].append(found)
                        tally.ask(number)
                if chunk.end is not None:
                    self.show(chunk.end, chunk.entries[-1][0] + 1 if chunk.entries else 0)

            for chunk in self._chunks(records, result):
                pending.append((chunk, self.executor.submit(self._compared, chunk)))
                while len(pending) > 2 * self.connections or (pending and pending[0][1].done()):
                    settle()
            while pending:
                settle()
            result.totals = tally.totals()
        for mismatches in kept.values():
            counting = [mismatch for mismatch in mismatches if mismatch.number in result.totals.counting]
            result.examples += counting[:examples]
            for mismatch in counting:
                if mismatch.difference is not None:
                    result.retyped = {**mismatch.difference.retyped, **result.retyped}
        return result

    def _chunks(self, records: Iterable[Record], result: Result) -> Iterator[_Chunk]:
        chunk, number = _Chunk(), 0
        for record in records:
            result.records += 1
            for expected in self.expectations.of(record):
                if isinstance(expected, Rejection):
                    result.rejected[expected.code] += 1
                    if record.error is not None or expected.code == "InvalidJson":
                        result.unreadable[expected.code] += 1
                    continue
                if self.sample < 1 and not _is_in(expected, self.sample):
                    result.left_out += 1
                    continue
                is_full = len(chunk.keys) == MAX_KEYS and expected.key not in chunk.keys
                if is_full or chunk.size > CHUNK_BYTES:
                    yield chunk
                    chunk = _Chunk()
                chunk.entries.append((number, expected))
                chunk.keys.add(expected.key)
                number += 1
            chunk.size += len(record.body)
            chunk.end = record
        if chunk.entries:
            yield chunk

    def _compared(self, chunk: _Chunk) -> list[Mismatch | Outcome]:
        found = self._against_table(chunk.entries, consistent=self.consistent)
        doubtful = [position for position, one in enumerate(found) if isinstance(one, Mismatch)]
        if doubtful and not self.consistent:
            again = self._against_table([chunk.entries[position] for position in doubtful], consistent=True)
            for position, one in zip(doubtful, again, strict=True):
                found[position] = one
        return found

    def _against_table(self, entries: list[tuple[int, Expected]], *, consistent: bool) -> list[Mismatch | Outcome]:
        wanted = {one.key: (one.table, one.key_attributes) for _, one in entries if one.is_known}
        stored = self.reader.read(wanted.values(), consistent=consistent) if wanted else {}
        return [self._judged(number, one, stored.get(one.key)) for number, one in entries]

    def _judged(self, number: int, expected: Expected, stored: Item | None) -> Mismatch | Outcome:
        one = outcome(expected, stored, keys_only=self.reader.keys_only)
        if one not in FAILURES:
            return one
        between = None if expected.item is None or stored is None else difference(expected.item, stored)
        return Mismatch(
            number, expected.line, expected.end, one, between, expected.key_attributes, expected.item, stored
        )


def _is_in(expected: Expected, sample: float) -> bool:
    """By the key alone, so that all records of one key are in it or none."""
    return int.from_bytes(expected.digest[:8], "big") < sample * (1 << 64)
