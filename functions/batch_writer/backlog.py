"""What is still to be sent, and which of it may go now: the queues, and the paces that hold them back. Pure."""

from __future__ import annotations

import heapq
import itertools
import math
from collections import deque
from collections.abc import Collection, Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field

from . import plan
from .heat import MOST_PARTITIONS, Heat, Partition
from .operation import Operation
from .pace import Bucket, Pace, backoff
from .plan import MAX_REQUESTS, Batch

LAST_SECONDS = 5.0
"""The last call of an invocation may hold more than its share, if it is not more than the pace allows in 5 s."""


@dataclass(slots=True)
class Queues:
    """Operations that are ready and share a pace: those of a table, or those of one of its hot partitions."""

    batched: deque[Operation] = field(default_factory=deque)
    single: deque[Operation] = field(default_factory=deque)
    """Each goes by itself: conditional writes and updates."""

    def of(self, operation: Operation) -> deque[Operation]:
        return self.batched if operation.goes_in_batches else self.single

    def __bool__(self) -> bool:
        return bool(self.batched or self.single)


@dataclass(slots=True)
class Hot:
    """A partition that throttles by itself: its operations wait apart, so that they hold back no others."""

    pace: Pace
    queues: Queues = field(default_factory=Queues)


@dataclass(frozen=True, slots=True)
class Sending:
    """What may go into one call."""

    batch: Batch
    alone: bool
    """It must not be mixed with other operations when it is sent again."""
    units: Mapping[str, float]
    """The estimate by table."""
    at: float


class Backlog:
    """Everything that waits in one invocation. `paces`, by table, are the only thing that outlives it."""

    def __init__(self, paces: MutableMapping[str, Pace], *, write_units_per_second: float, now: float) -> None:
        for table, pace in paces.items():
            paces[table] = pace.resumed(now)
        self._paces = paces
        self._share = Bucket(write_units_per_second, at=now)
        self._tables: dict[str, Queues] = {}
        self._hot: dict[Partition, Hot] = {}
        self._heat: dict[str, Heat] = {}
        self._alone: deque[Batch] = deque()
        """Parts of a batch that DynamoDB rejected as a whole, on the way to finding the offenders."""
        self._later: list[tuple[float, int, Batch, bool]] = []
        """A heap of what waits for its backoff: when, a tie-breaker, the operations, whether alone."""
        self._order = itertools.count()
        self.attempts: dict[Operation, int] = {}
        """How often an operation has been tried in vain."""

    def __bool__(self) -> bool:
        return bool(
            self._later or self._alone or any(self._tables.values()) or any(h.queues for h in self._hot.values())
        )

    def extend(self, operations: Collection[Operation]) -> None:
        kinds = {(operation.key[0], operation.call) for operation in operations}
        if len(kinds) == 1 and not self._hot:  # The usual, and much faster than one by one.
            first = next(iter(operations))
            self._queues_of(first).of(first).extend(operations)
            return
        for operation in operations:
            self._queues_of(operation).of(operation).append(operation)

    def extend_alone(self, batches: Iterable[Batch]) -> None:
        self._alone.extend(batches)

    def try_later(self, batch: Batch, alone: bool, now: float, chance: float) -> None:
        attempts = self.attempts
        attempt = max([attempts.get(operation, 0) for operation in batch])
        for operation in batch:
            attempts[operation] = attempt + 1
        heapq.heappush(self._later, (now + backoff(attempt, chance), next(self._order), batch, alone))

    def next(self, now: float) -> Sending | None:
        """What may go now, taken off the queues and paid for by its estimate."""
        while self._later and self._later[0][0] <= now:
            self._return(*heapq.heappop(self._later)[2:])
        if self._share.wait(now) > 0:
            return None
        batch, alone = self._next_batch(now)
        if not batch:
            return None
        units = self._estimate(batch)
        for table, estimate in units.items():
            self._paces[table] = self._pace_of(table).spend(estimate, now)
            self._share = self._share.spend(estimate, now)
        for operation in batch if self._hot else ():
            if (hot := self._hot.get(operation.key[:2])) is not None:
                hot.pace = hot.pace.spend(operation.write_units, now)
        return Sending(batch, alone, units, now)

    def _estimate(self, batch: Batch) -> Mapping[str, float]:
        table = batch[0].key[0]
        if len(self._tables) == 1 and not self._pace_of(table).is_limited and not self._share.is_limited:
            return {table: float(len(batch))}  # Nobody counts.
        units: dict[str, float] = {}
        for operation in batch:
            table = operation.key[0]
            units[table] = units.get(table, 0.0) + operation.write_units
        return units

    def wait(self, now: float) -> float | None:
        """Seconds until something may go that may not go now; None where nothing waits."""
        waits = [self._later[0][0] - now] if self._later else []
        waits += [self._pace_of(table).wait(now) for table, queues in self._tables.items() if queues]
        waits += [
            max(hot.pace.wait(now), self._pace_of(table).wait(now))
            for (table, _), hot in self._hot.items()
            if hot.queues
        ]
        if self._alone:
            waits.append(max(self._pace_of(operation.table).wait(now) for operation in self._alone[0]))
        if not waits:
            return None
        return max(0.0, min(waits), self._share.wait(now))

    def answered(
        self, sending: Sending, consumed: Mapping[str, float], lost: Collection[Operation] | None, now: float
    ) -> None:
        """A call came back. `lost`: those of its operations that went too fast; None where nobody knows."""
        for table, estimate in sending.units.items():
            self._share = self._share.spend(consumed.get(table, 0.0) - estimate, now)
        if lost is None:
            return
        if not lost and not self._hot and not self.attempts:
            for table, units in sending.units.items():
                pace = self._pace_of(table).correct(units, consumed.get(table, units), sending.at, now)
                self._paces[table] = pace.learn(units, 0.0, sending.at, now)
            return
        refused = set(lost)
        for table in sending.units:
            operations = [operation for operation in sending.batch if operation.key[0] == table]
            written = sum([operation.write_units for operation in operations if operation not in refused])
            pace = self._pace_of(table).correct(written, consumed.get(table, written), sending.at, now)
            self._paces[table] = pace
            self._learn(table, operations, refused.intersection(operations), sending.at, now)

    def _learn(
        self, table: str, operations: Collection[Operation], lost: set[Operation], sent_at: float, now: float
    ) -> None:
        common = [operation for operation in operations if operation.key[:2] not in self._hot]
        if len(common) < len(operations):
            self._learn_hot(set(operations).difference(common), lost, sent_at, now)
        uneven = False
        if (
            0 < len(lost.intersection(common)) < len(common)
        ):  # A call that is refused as a whole tells none from others.
            heat = self._heat.setdefault(table, Heat())
            repeated = [operation for operation in common if operation in self.attempts]
            for partition in heat.learn(common, lost.intersection(common), repeated, now):
                if len(self._hot) < MOST_PARTITIONS:
                    self._hot[partition] = Hot(Pace().restarted(now))
            common = [operation for operation in common if operation.key[:2] not in self._hot]
            uneven = heat.is_uneven()
        # What was lost of a hot partition tells nothing of the table; what was taken does.
        refused = 0 if uneven else sum(operation.write_units for operation in common if operation in lost)
        sent = refused + sum(operation.write_units for operation in operations if operation not in lost)
        if sent:
            self._paces[table] = self._pace_of(table).learn(sent, refused, sent_at, now)

    def _learn_hot(self, operations: Iterable[Operation], lost: set[Operation], sent_at: float, now: float) -> None:
        sent: dict[Partition, tuple[int, int]] = {}
        for operation in operations:
            units = operation.write_units
            before, refused = sent.get(operation.key[:2], (0, 0))
            sent[operation.key[:2]] = before + units, refused + (units if operation in lost else 0)
        for partition, (units, refused) in sent.items():
            hot = self._hot[partition]
            hot.pace = hot.pace.learn(units, refused, sent_at, now)

    def _next_batch(self, now: float) -> tuple[Batch, bool]:
        if self._alone and all(self._pace_of(operation.table).wait(now) <= 0 for operation in self._alone[0]):
            return self._alone.popleft(), True
        tables = [table for table, queues in self._tables.items() if self._pace_of(table).wait(now) <= 0]
        hot = [hot for partition, hot in self._hot.items() if partition[0] in tables and hot.pace.wait(now) <= 0]
        if self._hot:
            self._sort_out(tables)
        heads = [_Head(each.queues.batched, each.pace.most_units()) for each in hot if each.queues.batched]
        heads += [
            _Head(queues.batched, self._most_units(table, len(queues.batched)))
            for table in tables
            if (queues := self._tables[table]).batched
        ]
        batch = plan.take([head.queue for head in heads])
        for head in heads:
            head.put_back()
        if batch:
            return batch, False
        for queues in [*(each.queues for each in hot), *(self._tables[table] for table in tables)]:
            if queues.single:
                return [queues.single.popleft()], False
        return [], False

    def _most_units(self, table: str, left: int) -> float:
        """How much of a table's queue may go into one call: all of it where that is the last."""
        pace = self._pace_of(table)
        is_last = not self._later and left <= min(MAX_REQUESTS, pace.rate * LAST_SECONDS)
        return math.inf if is_last else pace.most_units()

    def _sort_out(self, tables: Iterable[str]) -> None:
        """Move what is next in line to its hot partition's own queue."""
        for table in tables:
            queues = self._tables[table]
            for queue in (queues.batched, queues.single):
                cool: list[Operation] = []
                while queue and len(cool) < MAX_REQUESTS:
                    operation = queue.popleft()
                    hot = self._hot.get(operation.key[:2])
                    if hot is None:
                        cool.append(operation)
                    else:
                        hot.queues.of(operation).append(operation)
                queue.extendleft(reversed(cool))

    def _return(self, batch: Batch, alone: bool) -> None:
        if alone:
            self._alone.append(batch)
            return
        for operation in reversed(batch):  # To the head of the queue: the oldest go first.
            self._queues_of(operation).of(operation).appendleft(operation)

    def _queues_of(self, operation: Operation) -> Queues:
        if self._hot and (hot := self._hot.get(operation.key[:2])) is not None:
            return hot.queues
        queues = self._tables.get(operation.key[0])
        if queues is None:
            queues = self._tables[operation.key[0]] = Queues()
        return queues

    def _pace_of(self, table: str) -> Pace:
        pace = self._paces.get(table)
        if pace is None:
            pace = self._paces[table] = Pace()
        return pace


class _Head:
    """As many operations from the head of a queue as may go into one call by their write units."""

    def __init__(self, queue: deque[Operation], most_units: float) -> None:
        self._rest: deque[Operation] | None = None
        self.queue = queue
        if most_units < MAX_REQUESTS:
            self._rest, self.queue = queue, deque()
            units = 0.0
            while queue and units < most_units:
                units += queue[0].write_units
                self.queue.append(queue.popleft())

    def put_back(self) -> None:
        if self._rest is not None:
            self._rest.extendleft(reversed(self.queue))
