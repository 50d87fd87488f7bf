"""Which partition keys are throttled by themselves, while the rest of their table is not. Pure.

A partition takes 1,000 write units a second, however many its table has:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html
What comes back unprocessed carries no reason, so that only comparing tells the one from the other.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from .operation import KeyValue, Operation

Partition = tuple[str, KeyValue]
"""Table name and partition key."""

SECONDS_OF_MEMORY = 2.0
LEAST_LOST, LEAST_SHARE = 5, 0.3
"""So many operations of a partition lost, and so much of what was sent, before it is called hot."""
LEAST_OTHERS, CLEARLY_LESS = 25, 0.6
"""And of so many others at least, a share of the loss that is 0.6 of the partition's at most."""
LEAST_REPEATED = 10
MOST_PARTITIONS = 256
"""Hot ones that are told apart. With more of them it is the table."""


@dataclass(slots=True)
class Tally:
    sent: int = 0
    lost: int = 0

    @property
    def share(self) -> float:
        return self.lost / self.sent if self.sent else 0.0

    def add(self, is_lost: bool) -> None:
        self.sent += 1
        self.lost += is_lost


class Heat:
    """Compares the losses of the partition keys of one table."""

    def __init__(self) -> None:
        self._since = 0.0
        self._all = Tally()
        self._suspects: dict[Partition, Tally] = {}
        self._repeated = Tally()
        """What had been lost before."""

    def learn(
        self, operations: Collection[Operation], lost: set[Operation], repeated: Collection[Operation], now: float
    ) -> Iterator[Partition]:
        """The partitions that turn out to be hot. `repeated`: those of the operations that had been lost before."""
        if now - self._since > SECONDS_OF_MEMORY:
            self._since, self._all, self._suspects, self._repeated = now, Tally(), {}, Tally()
        self._all.sent += len(operations)
        self._all.lost += len(lost)
        self._repeated.sent += len(repeated)
        self._repeated.lost += len(lost.intersection(repeated))
        for operation in lost:
            self._suspects.setdefault(operation.key[:2], Tally())
        return self._hot(set(operations).difference(repeated), lost) if self._suspects else iter(())

    def is_uneven(self) -> bool:
        """Whether what is lost is lost again and again while other operations go through: a range of keys is hot."""
        fresh = Tally(self._all.sent - self._repeated.sent, self._all.lost - self._repeated.lost)
        return (
            self._repeated.sent >= LEAST_REPEATED
            and fresh.sent >= LEAST_OTHERS
            and self._repeated.share > LEAST_SHARE
            and fresh.share < CLEARLY_LESS * self._repeated.share
        )

    def _hot(self, operations: Iterable[Operation], lost: set[Operation]) -> Iterator[Partition]:
        for operation in operations:
            tally = self._suspects.get(operation.key[:2])
            if tally is not None:
                tally.add(operation in lost)
        for partition in {operation.key[:2] for operation in lost}:
            tally = self._suspects[partition]
            others = Tally(self._all.sent - tally.sent, self._all.lost - tally.lost)
            if (
                tally.lost >= LEAST_LOST
                and tally.share >= LEAST_SHARE
                and others.sent >= LEAST_OTHERS
                and others.share < CLEARLY_LESS * tally.share
            ):
                yield partition
