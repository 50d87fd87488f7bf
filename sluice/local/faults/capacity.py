"""Write capacity as DynamoDB has it: so many units per second of a table and of each partition key."""

from __future__ import annotations

import math
from collections.abc import Sequence

from .requests import KeyValue, Write


class Bucket:
    """Write units that fill up with time; one second's worth may be saved. Starts full."""

    def __init__(self, rate: float, now: float) -> None:
        self._rate = rate
        self._units = rate
        self._at = now

    def has(self, units: float, now: float) -> bool:
        """Whether `units` may be taken: a full bucket gives anything, or the largest items would never pass."""
        self._units = min(self._rate, self._units + (now - self._at) * self._rate)
        self._at = now
        return self._units >= min(units, self._rate)

    def take(self, units: float) -> None:
        self._units -= units


class Capacity:
    """The buckets of all tables and partition keys; for one thread at a time."""

    def __init__(self, write_units: float, partition_write_units: float) -> None:
        self._rates = (write_units, partition_write_units)
        self._buckets: dict[tuple[str, KeyValue | None], Bucket] = {}

    @property
    def is_limited(self) -> bool:
        return min(self._rates) < math.inf

    def starved(self, writes: Sequence[Write], units: Sequence[int], now: float) -> list[Write]:
        """Those of the writes that find no capacity; what the others cost is taken."""
        return [write for write, cost in zip(writes, units, strict=True) if not self._takes(write, cost, now)]

    def _takes(self, write: Write, units: int, now: float) -> bool:
        keys = ((write.table.name, None), (write.table.name, write.key[0]))
        buckets = [
            self._buckets.setdefault(key, Bucket(rate, now))
            for key, rate in zip(keys, self._rates, strict=True)
            if rate < math.inf
        ]
        if not all(bucket.has(units, now) for bucket in buckets):
            return False
        for bucket in buckets:
            bucket.take(units)
        return True
