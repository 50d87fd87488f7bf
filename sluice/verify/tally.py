"""Counts outcomes by key although a key may stand in the file twice: sorted runs on disk, merged at the end.

So a file of any size takes little memory, and 49 bytes of temporary disk for each of its records.
"""

from __future__ import annotations

import heapq
import itertools
import os
import struct
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO

from sluice.message.operation import AttributeValue

from .comparison import Outcome, verdict

_RANK = 24
_ENTRY = struct.Struct(f">16sQB{_RANK}s")  # Digest of the key, number of the record, outcome, rank: sorts as bytes.
_VERSIONED = 0x80
_SIGN = 1 << 63
_RUN = 400_000
"""Entries that are sorted in memory."""
_BLOCK = 1000
"""Entries of each run that are read at a time."""


def rank(version: AttributeValue) -> bytes:
    """Sorts as the version does, as far as it goes: versions that are nearly alike may have one rank."""
    ((kind, content),) = version.items()
    if kind != "N":
        return str(content).encode()[:_RANK]
    (bits,) = struct.unpack(">q", struct.pack(">d", float(content) + 0.0))  # There is but one zero.
    return struct.pack(">Q", ~bits if bits < 0 else bits | _SIGN)


@dataclass(slots=True)
class Totals:
    """Keys by outcome, and records that a later one of the same key made pointless."""

    keys: Counter[Outcome] = field(default_factory=Counter)
    superseded: int = 0
    counting: set[int] = field(default_factory=set)
    """Of the records that were asked about, those that count for their key."""


class Tally:
    """Not thread-safe; to be used as a context."""

    def __init__(self, run: int = _RUN) -> None:
        self._run = run
        self._entries: list[bytes] = []
        self._runs: list[tuple[int, int]] = []
        """Place of each run in the file, and its entries."""
        self._file: IO[bytes] | None = None
        self._asked: set[int] = set()

    def __enter__(self) -> Tally:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def add(
        self,
        digest: bytes,
        number: int,
        outcome: Outcome,
        *,
        is_versioned: bool = False,
        version: AttributeValue | None = None,
    ) -> None:
        """Note the outcome of record `number` of the file; where versions are kept, all but an update have one."""
        ranked = b"" if version is None else rank(version)
        self._entries.append(_ENTRY.pack(digest, number, outcome | (_VERSIONED if is_versioned else 0), ranked))
        if len(self._entries) >= self._run:
            self._spill()

    def ask(self, number: int) -> None:
        """Let the totals say whether this record counts for its key."""
        self._asked.add(number)

    def totals(self) -> Totals:
        totals = Totals()
        for _, group in itertools.groupby(self._merged(), key=lambda entry: entry[0]):
            numbers: dict[Outcome, int] = {}
            newest: dict[Outcome, bytes] = {}
            count, code = 0, 0
            for _, number, code, ranked in group:  # In the order of the file.
                last = Outcome(code & ~_VERSIONED)
                numbers[last] = number
                newest[last] = max(ranked, newest.get(last, ranked))
                count += 1
            counting = verdict(newest, last, is_versioned=bool(code & _VERSIONED))
            totals.keys[counting] += 1
            totals.superseded += count - 1
            if numbers[counting] in self._asked:
                totals.counting.add(numbers[counting])
        return totals

    def _spill(self) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="sluice-verify-")  # noqa: SIM115  # Closed by __exit__.
        place = self._file.seek(0, os.SEEK_END)
        self._file.write(b"".join(sorted(self._entries)))
        self._runs.append((place, len(self._entries)))
        self._entries.clear()

    def _merged(self) -> Iterator[tuple[bytes, int, int, bytes]]:
        runs = [self._read(*run) for run in self._runs]
        for entry in heapq.merge(*runs, sorted(self._entries)):
            yield _ENTRY.unpack(entry)

    def _read(self, place: int, count: int) -> Iterator[bytes]:
        assert self._file is not None
        size = _ENTRY.size
        end = place + count * size
        while place < end:
            self._file.seek(place)
            block = self._file.read(min(_BLOCK * size, end - place))
            place += len(block)
            yield from (block[start : start + size] for start in range(0, len(block), size))
