"""What waits of one table, in the order in which it goes; and which of its losses are the table's own. Pure."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Collection, Mapping

from msgspec import Struct, field

from sluice.message.operation import BatchWrite, Operation, go_in_batches

from .hot_keys import HotKeys
from .plan import MAX_REQUESTS, Batch
from .send_rate import SEEK_RATE, SendRate

SMALL_CALL = 4
"""Operations of a call in which those that came back are too large a part to judge the table by."""
PART_SECONDS = 8.0
"""So long a range of keys or an index is taken for hot after the service has named it."""
MAX_REFUSED_IN_A_ROW = 4 * MAX_REQUESTS
"""An index or a range for whose sake more than four full calls were refused one after the other is in all that is sent:
then the table itself has to go slower."""


class Queues(Struct):
    """The operations of a table that are ready."""

    fresh: deque[BatchWrite] = field(default_factory=deque)
    single: deque[Operation] = field(default_factory=deque)
    """Each goes by itself: conditional writes and updates."""
    repeated: deque[BatchWrite] = field(default_factory=deque)
    """What came back, and goes in batches. At most half of a call where there are fresh ones: so a range of keys that
    is hot neither fills whole calls nor goes unnoticed."""
    hot: deque[BatchWrite] = field(default_factory=deque)
    """While a range of keys is hot, what belongs to it, as far as is known."""
    hot_rate: SendRate = field(default_factory=SendRate)
    """Limits that, so that the rest of the table keeps its own send rate."""
    hot_keys: HotKeys = field(default_factory=HotKeys)
    suspected: set[Operation] = field(default_factory=set)
    """What was lost again while the table had room, and so belongs to the range that is hot."""
    is_only_hot: bool = False
    """Nothing else was left when the last call was made."""
    is_turn_of_fresh: bool = False
    """The last call was so small that what came back has filled it."""
    is_part_refused: bool = False
    """The last call was refused for the sake of a range of keys or an index, while others were taken."""
    part_until: float = -math.inf
    """When such a refusal has been so long ago that it says nothing any more."""
    refused_in_a_row: int = 0
    """Operations, until a call takes one."""

    def __bool__(self) -> bool:
        return bool(self.fresh or self.single or self.repeated or self.hot)

    def extend(self, operations: Collection[Operation]) -> None:
        """Add operations that are all of one kind."""
        if go_in_batches(operations):
            self.fresh.extend(operations)
        else:
            self.single.extend(operations)

    def come_back(self, operation: Operation) -> None:
        """Add one that was lost, after its backoff."""
        if not isinstance(operation, BatchWrite):
            self.single.appendleft(operation)
        elif operation in self.suspected:
            self.hot.append(operation)
        else:
            self.repeated.append(operation)

    def heads(self, most: float, now: float) -> list[Head]:
        """What may go into one call of so many write units at most, in parts."""
        is_turn_of_fresh, self.is_turn_of_fresh = self.is_turn_of_fresh and bool(self.fresh), False
        heads: list[Head] = []
        left, half = most, min(MAX_REQUESTS // 2, most / 2)
        if self.hot and not is_turn_of_fresh:
            was_only_hot, self.is_only_hot = self.is_only_hot, not self.fresh and not self.repeated
            # Until now what was fresh had the range's capacity.
            if self.is_only_hot and not was_only_hot and self.hot_rate.rate < SEEK_RATE:
                self.hot_rate = self.hot_rate.restarted(now)
            if self.hot_rate.wait(now) <= 0:
                own = min(most, self.hot_rate.most_units())
                heads.append(Head(self.hot, own if self.is_only_hot else min(own, half)))
                left -= heads[-1].units
        if self.repeated and not is_turn_of_fresh and left > 0:
            heads.append(Head(self.repeated, min(left, half) if self.fresh else left))
            left -= heads[-1].units
        if self.fresh and left > 0:
            heads.append(Head(self.fresh, left))
        else:
            self.is_turn_of_fresh = bool(self.fresh)
        return heads

    def spend(self, batch: Batch, now: float) -> None:
        """A call goes out; its hot part is paid for by itself."""
        if self.suspected:
            units = sum([operation.write_units for operation in batch if operation in self.suspected])
            self.hot_rate = self.hot_rate.spend(units, now)

    def hear(self, is_of_a_part: bool, sent: int, lost: int, now: float) -> None:
        """Whether the service has said that only a part of the table was too fast for a call that is now learnt of."""
        self.refused_in_a_row = self.refused_in_a_row + sent if lost == sent else 0
        self.is_part_refused = is_of_a_part and self.refused_in_a_row <= MAX_REFUSED_IN_A_ROW
        if is_of_a_part:
            self.part_until = now + PART_SECONDS

    def learn(
        self,
        operations: Collection[Operation],
        lost: set[Operation],
        attempts: Mapping[Operation, int],
        sent_at: float,
        now: float,
    ) -> tuple[float, float]:
        """Of a call. How many write units of it say something of the table, and how many of these were lost."""
        fresh, repeated, hot = _Units(), _Units(), _Units()
        for operation in operations:
            units = hot if operation in self.suspected else repeated if operation in attempts else fresh
            units.add(operation, operation in lost)
        count, count_lost = repeated.count + hot.count, repeated.count_lost + hot.count_lost
        self.hot_keys.learn(count, count_lost, fresh.count, fresh.count_lost)
        self._learn_of_hot(hot, sent_at, now)
        sent, refused = fresh.sent + repeated.sent, fresh.lost + repeated.lost
        if not self.hot_rate.is_limited:
            # Of a small call what came back is half, or takes turns with what is fresh.
            is_small = self.fresh and len(operations) <= SMALL_CALL
            return (fresh.sent, fresh.lost) if is_small else (sent, refused)
        own = refused if refused == sent else self.hot_keys.beyond(sent, refused)
        if self.is_part_refused or not fresh.lost:
            own = 0.0
        elif not self.hot_keys.has_room:
            return sent, own
        again = lost if self.is_part_refused else lost & attempts.keys()
        self.suspected.update([each for each in operations if each in again and each.goes_in_batches])
        return sent, own

    def _learn_of_hot(self, hot: _Units, sent_at: float, now: float) -> None:
        is_uneven = self.hot_keys.is_uneven or now < self.part_until
        if is_uneven == self.hot_rate.is_limited:
            if hot.count:
                self.hot_rate = self.hot_rate.learn(hot.sent, hot.lost, sent_at, now)
            return
        self.hot_rate, self.is_only_hot = SendRate().restarted(now) if is_uneven else SendRate(), False
        self.repeated.extend(self.hot)
        self.hot.clear()
        self.suspected.clear()


class _Units(Struct, gc=False):
    """Operations of a call, and how many write units of them were sent and lost."""

    count: int = 0
    count_lost: int = 0
    sent: int = 0
    lost: int = 0

    def add(self, operation: Operation, is_lost: bool) -> None:
        self.count += 1
        self.count_lost += is_lost
        self.sent += operation.write_units
        if is_lost:
            self.lost += operation.write_units


class Head:
    """As many operations from the head of a queue as may go into one call by their write units."""

    def __init__(self, queue: deque[BatchWrite], most_units: float) -> None:
        self._rest: deque[BatchWrite] | None = None
        self.queue = queue
        self.units = 0.0
        if most_units < MAX_REQUESTS:
            self._rest, self.queue = queue, deque()
            while queue and self.units < most_units:
                self.units += queue[0].write_units
                self.queue.append(queue.popleft())

    def put_back(self) -> None:
        if self._rest is not None:
            self._rest.extendleft(reversed(self.queue))
