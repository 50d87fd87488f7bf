"""Whether it pays to read an item before it is written. Pure."""

from __future__ import annotations

from enum import Enum

from msgspec import Struct

from sluice.message.operation import Operation

READ_PRICE = 0.2
"""Of a read unit, strongly consistent, in the price of a write unit, on demand and provisioned, in all regions:
https://aws.amazon.com/dynamodb/pricing/on-demand/"""
WRITE_UNITS_PER_READ = 4
"""A write unit is 1 KB, a read unit 4 KB:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html"""
CREDIT = 0.02
"""Share of what is written that may go into reads which find nothing: with the first ones it stays below 0.03."""
PROBE = 25
"""Reads in a row that tell whether more of them pay; so many are begun before anything is known."""
MAX_AHEAD = 400
"""Reads that what was saved before may pay for: so many are lost where a feed changes all at once."""
MIN_PAUSE, MAX_PAUSE = 1.0, 60.0
"""Seconds without reads after one that failed; doubled each time."""
DELETE, MAX_SIZE_CLASS = 0, 5
_DELETES = (b'{"DeleteRequest"', b'{"Key"')


class Judgement(Enum):
    READ = "read it"
    WRITE = "write it as it is"
    WAIT = "reads on their way will tell"


class State(Enum):
    UNKNOWN = "nothing is known yet"
    SAMPLED = "hardly anything is unchanged, for its size"
    WORTH = "reads save more than they cost"


def size_class(operation: Operation, units: int) -> int:
    """What is read at another price, or unchanged for other reasons, is judged by itself."""
    return DELETE if operation.body.startswith(_DELETES) else min(units.bit_length(), MAX_SIZE_CLASS)


def read_cost(units: int) -> float:
    """An estimate, as if the stored item were as large as one of so many write units; in write units."""
    return READ_PRICE * -(-units // WRITE_UNITS_PER_READ)


class Ledger(Struct, gc=False):
    """What reading one kind of items has saved and cost, in write units. A read is begun only if there is as much to
    lose: a small share of what is written, and what other reads have saved."""

    settled: float = 0.0
    """By the reads that have ended."""
    committed: float = 0.0
    """To those on their way,"""
    on_their_way: int = 0
    state: State = State.UNKNOWN
    is_new: bool = True
    is_probing: bool = False

    def earn(self, units: float, cost: float) -> None:
        """So many write units are to be written, or read for `cost`."""
        if self.is_new:
            self.is_new, self.settled = False, PROBE * cost
        self.settled = min(self.settled + CREDIT * units, MAX_AHEAD * cost)

    def judge(self, cost: float) -> Judgement:
        """Where it is to be read, `cost` is set aside."""
        left = self.settled - self.committed
        if self.state is State.SAMPLED:
            # In groups, as a call for each one would take more time than its price is worth.
            self.is_probing = left >= (cost if self.is_probing else PROBE * cost)
            if not self.is_probing:
                return Judgement.WRITE
        elif left < cost:
            return Judgement.WAIT if self.on_their_way else Judgement.WRITE
        self.committed += cost
        self.on_their_way += 1
        return Judgement.READ

    def release(self, committed: float, reads: int) -> None:
        """Some reads are over, or never begun, for which so much had been set aside."""
        self.on_their_way = max(0, self.on_their_way - reads)
        self.committed = self.committed - committed if self.on_their_way else 0.0

    def settle(self, cost: float, saved: float, reads: int) -> None:
        """What some reads have cost, and saved."""
        each = cost / reads
        self.settled = min(self.settled + saved - cost, MAX_AHEAD * each)
        if self.settled < each:
            self.state = State.SAMPLED
        elif self.settled > PROBE * each and saved > cost:
            self.state = State.WORTH


class Gate(Struct, gc=False):
    """Whether a table is read at all at the moment: not for a while after a read that failed."""

    opens: float = 0.0
    pause: float = MIN_PAUSE

    def is_open(self, now: float) -> bool:
        return now >= self.opens

    def failed(self, now: float) -> None:
        if self.is_open(now):  # Those in flight together fail together.
            self.opens, self.pause = now + self.pause, min(2 * self.pause, MAX_PAUSE)

    def succeeded(self) -> None:
        self.pause = MIN_PAUSE
