"""Drives the plan: sends batches in parallel, tries again what did not get through, stops in time.

One thread decides; the others only wait for DynamoDB. Time, chance and the threads are arguments.
"""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Protocol

from . import plan
from .errors import TableError
from .items import is_newer, is_same
from .operation import AttributeValue, Key, Operation, Rejection
from .pace import Bucket, Pace, backoff
from .plan import Batch, Step
from .table import Meaning, Reply

MAX_IDLE = 1.0  # Seconds between two looks at the clock, whatever else happens.
LEAST_PAUSE = 0.001  # Seconds; less could round to nothing and spin.


class TablePort(Protocol):
    def write(self, batch: Batch, seconds: float) -> Reply: ...
    def write_one(self, operation: Operation, seconds: float) -> Reply: ...


@dataclass(slots=True)
class Written:
    """What became of the operations. Whatever is in none of the first four is not known to be done."""

    written: set[Operation] = field(default_factory=set)
    superseded: set[Operation] = field(default_factory=set)
    conditions_failed: dict[Operation, bool] = field(default_factory=dict)
    """Their condition did not hold; True where that is no reason to dead-letter: only the version was not newer, or an
    update of which nobody can tell whether an earlier attempt had applied it."""
    rejected: dict[Operation, Rejection] = field(default_factory=dict)
    batch_fills: list[int] = field(default_factory=list)
    """Requests of each call."""
    latencies: list[float] = field(default_factory=list)
    """Milliseconds of each call that came back."""
    unprocessed: int = 0
    throttled_calls: int = 0
    consumed: float = 0.0
    """Write units."""
    backoff: float = 0.0
    """Milliseconds with nothing to do but wait."""
    trouble: str = ""
    """The last reason for which the table did not take something; empty where it took all that was sent."""
    error: TableError | None = None
    """What stopped the writing: the table, the permission or the settings are wrong."""

    @property
    def ended(self) -> set[Operation]:
        return self.written | self.superseded | self.conditions_failed.keys() | self.rejected.keys()


@dataclass(frozen=True, slots=True)
class _Sent:
    """A call in flight; `alone` says that it must not be mixed with other operations when it is sent again."""

    batch: Batch
    alone: bool


class Writer:
    """Writes one invocation's operations. Made anew for each, so that no state leaks into the next."""

    def __init__(
        self,
        table: TablePort,
        *,
        connections: int,
        write_units_per_second: float,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
        random: Callable[[], float],
        executor: Callable[[int], Executor] = ThreadPoolExecutor,
    ) -> None:
        self._table = table
        self._connections = connections
        self._clock = clock
        self._sleep = sleep
        self._random = random
        self._executor = executor
        self._share = Bucket(write_units_per_second, at=clock())
        self._paces: dict[str, Pace] = {}
        self._lanes: dict[Key, deque[Step]] = {}
        """What is still to be done to each item; only the first step of a lane is ever on its way."""
        self._ready: dict[str, deque[Operation]] = {}
        self._single: dict[str, deque[Operation]] = {}
        """Ready as well, but each goes by itself: conditional writes and updates."""
        self._alone: deque[Batch] = deque()
        """Parts of a batch that DynamoDB rejected as a whole, on the way to finding the offenders."""
        self._later: list[tuple[float, int, Batch, bool]] = []
        """A heap of what waits for its backoff: when, a tie-breaker, the operations, whether alone."""
        self._order = itertools.count()
        self._attempts: dict[Operation, int] = {}
        self._unsure: set[Operation] = set()
        """Sent before, with an unknown outcome."""
        self._in_flight: dict[Future[tuple[Reply, float]], _Sent] = {}
        self.outcome = Written()
        self._gives_up = 0.0
        self._within_message = False
        self._after: Callable[[Operation], Iterable[Operation]] = lambda _: ()

    def write(
        self,
        operations: Iterable[Operation],
        *,
        deadline: float,
        patience: float,
        within_message: bool = False,
        after: Callable[[Operation], Iterable[Operation]] = lambda _: (),
    ) -> Written:
        """Write until all is done or the clock says `deadline`; then wait `patience` seconds for calls in flight.

        `after` says which further operations may go once one has ended; `within_message` as for `plan.lanes`.
        """
        self._gives_up = deadline + patience
        self._within_message = within_message
        self._after = after
        self._add(plan.interleave(operations))
        if not self._has_work():
            return self.outcome
        executor = self._executor(self._connections)
        try:
            while self._has_work() and self._clock() < deadline and self.outcome.error is None:
                self._send_what_may_go(executor)
                self._wait(deadline)
            self._wait_for_stragglers(min(self._gives_up, self._clock() + patience))
            self._judge()
        finally:
            # Not waited for: a call that hangs is abandoned, and what it carried counts as not written.
            executor.shutdown(wait=False, cancel_futures=True)
        return self.outcome

    def _add(self, operations: Iterable[Operation]) -> None:
        for key, steps in plan.lanes(operations, within_message=self._within_message).items():
            lane = self._lanes.setdefault(key, deque())
            if not lane:
                self._enqueue(steps[0].operation)
            lane.extend(steps)

    def _enqueue(self, operation: Operation) -> None:
        queues = self._ready if operation.goes_in_batches else self._single
        queues.setdefault(operation.table, deque()).append(operation)

    def _judge(self) -> None:
        """Keep `trouble` only where the table is why something is not done; trouble that is over is no reason."""
        if self._in_flight:
            self.outcome.trouble = "DynamoDB did not answer before the deadline"
        elif not self._attempts.keys() - self.outcome.ended:
            self.outcome.trouble = ""

    def _has_work(self) -> bool:
        waiting = any(self._ready.values()) or any(self._single.values())
        return bool(waiting or self._in_flight or self._later or self._alone)

    def _send_what_may_go(self, executor: Executor) -> None:
        now = self._clock()
        while self._later and self._later[0][0] <= now:
            self._make_ready(*heapq.heappop(self._later)[2:])
        while len(self._in_flight) < self._connections and self.outcome.error is None:
            batch, alone = self._next_batch(self._clock())
            if not batch:
                return
            self._send(executor, batch, alone)

    def _make_ready(self, batch: Batch, alone: bool) -> None:
        if alone:
            self._alone.append(batch)
            return
        for operation in reversed(batch):  # To the head of the queue: the oldest go first.
            queues = self._ready if operation.goes_in_batches else self._single
            queues.setdefault(operation.table, deque()).appendleft(operation)

    def _next_batch(self, now: float) -> tuple[Batch, bool]:
        if self._share.wait(now) > 0:
            return [], False
        if self._alone and all(self._pace_of(operation.table).bucket.wait(now) <= 0 for operation in self._alone[0]):
            return self._alone.popleft(), True
        may_go = [queue for table, queue in self._ready.items() if self._pace_of(table).bucket.wait(now) <= 0]
        if batch := plan.take(may_go):
            return batch, False
        for table, queue in self._single.items():
            if queue and self._pace_of(table).bucket.wait(now) <= 0:
                return [queue.popleft()], False
        return [], False

    def _send(self, executor: Executor, batch: Batch, alone: bool) -> None:
        now = self._clock()
        for table, units in _estimate(batch).items():
            self._paces[table] = self._pace_of(table).sent(units, now)
            self._share = self._share.spend(units, now)
        if batch[0].goes_in_batches:
            self.outcome.batch_fills.append(len(batch))
        seconds = max(LEAST_PAUSE, self._gives_up - now)
        self._in_flight[executor.submit(self._call, batch, seconds)] = _Sent(batch, alone)

    def _call(self, batch: Batch, seconds: float) -> tuple[Reply, float]:
        """Runs in a thread of its own; touches nothing that the deciding thread owns."""
        started = self._clock()
        alone = batch[0]
        reply = self._table.write(batch, seconds) if alone.goes_in_batches else self._table.write_one(alone, seconds)
        return reply, (self._clock() - started) * 1000

    def _wait(self, deadline: float) -> None:
        """Until a call comes back or something may be sent."""
        now = self._clock()
        pause = max(0.0, min(self._next_event(now), deadline) - now)
        if self._in_flight:
            full = len(self._in_flight) >= self._connections
            timeout = min(MAX_IDLE, deadline - now) if full else min(pause, MAX_IDLE)
            finished, _ = wait(self._in_flight, timeout=max(LEAST_PAUSE, timeout), return_when=FIRST_COMPLETED)
            for future in finished:
                self._settle(future)
        else:
            pause = max(pause, LEAST_PAUSE)
            self.outcome.backoff += pause * 1000
            self._sleep(pause)

    def _next_event(self, now: float) -> float:
        """When something may be sent that may not be sent now."""
        times = [self._later[0][0]] if self._later else []
        waiting = {table for queues in (self._ready, self._single) for table, queue in queues.items() if queue}
        waiting.update(operation.table for batch in self._alone for operation in batch)
        if waiting:
            pause = min(self._pace_of(table).bucket.wait(now) for table in waiting)
            times.append(now + max(pause, self._share.wait(now)))
        return min(times, default=now + MAX_IDLE)

    def _wait_for_stragglers(self, until: float) -> None:
        while self._in_flight and (left := until - self._clock()) > 0:
            finished, _ = wait(self._in_flight, timeout=left, return_when=FIRST_COMPLETED)
            for future in finished:
                self._settle(future)

    def _settle(self, future: Future[tuple[Reply, float]]) -> None:
        sent = self._in_flight.pop(future)
        reply, milliseconds = future.result()
        now = self._clock()
        self.outcome.latencies.append(milliseconds)
        self._pay(sent.batch, reply, now)
        if reply.meaning in (Meaning.THROTTLED, Meaning.UNSURE):
            self.outcome.trouble = reply.error
        match reply.meaning:
            case Meaning.ACCEPTED:
                self._accept(sent, reply, now)
            case Meaning.THROTTLED:
                self.outcome.throttled_calls += 1
                self._slow_down(sent.batch, now)
                self._try_later(sent.batch, sent.alone, now)
            case Meaning.UNSURE:
                self._unsure.update(sent.batch)
                self._try_later(sent.batch, sent.alone, now)
            case Meaning.CONDITION_FAILED:
                self._end_condition(sent.batch[0], reply)
            case Meaning.REJECTED:
                self._isolate(sent.batch, reply)
            case Meaning.STOP:
                self.outcome.error = TableError(reply.error)

    def _pay(self, batch: Batch, reply: Reply, now: float) -> None:
        """Correct the estimate by what was consumed: nothing by a call that failed."""
        for table, estimated in _estimate(batch).items():
            consumed = reply.consumed.get(table, 0.0)
            self._paces[table] = self._pace_of(table).answered(estimated, consumed, now)
            self._share = self._share.spend(consumed - estimated, now)
        self.outcome.consumed += sum(reply.consumed.values())

    def _accept(self, sent: _Sent, reply: Reply, now: float) -> None:
        unwritten = set(reply.unwritten)
        for operation in sent.batch:
            if operation not in unwritten:
                self._finish(operation)
        if not unwritten:
            for table in {operation.table for operation in sent.batch}:
                self._paces[table] = self._pace_of(table).succeeded(now)
            return
        self.outcome.unprocessed += len(unwritten)
        self.outcome.trouble = "UnprocessedItems came back"
        self._slow_down(reply.unwritten, now)
        self._try_later([operation for operation in sent.batch if operation in unwritten], sent.alone, now)

    def _finish(self, operation: Operation) -> None:
        # A superseded operation is done only now that the write that replaced it is in the table.
        step = self._lanes[operation.key].popleft()
        self.outcome.written.add(operation)
        self.outcome.superseded.update(step.superseded)
        self._go_on(operation.key, (operation, *step.superseded))

    def _end_condition(self, operation: Operation, reply: Reply) -> None:
        may_have_been_applied = operation in self._unsure or operation.source.redelivered
        if may_have_been_applied and is_as_wanted(operation, reply.stored):
            self._finish(operation)
            return
        self._lanes[operation.key].popleft()
        cannot_tell = may_have_been_applied and operation.call == "update_item"
        self.outcome.conditions_failed[operation] = cannot_tell or is_stale(operation, reply.stored)
        self._go_on(operation.key, [operation])

    def _go_on(self, key: Key, ended: Iterable[Operation]) -> None:
        """The first step of an item is over: its next one may go, and what waited for these operations."""
        if lane := self._lanes[key]:
            self._enqueue(lane[0].operation)
        for operation in ended:
            self._add(self._after(operation))

    def _slow_down(self, operations: Iterable[Operation], now: float) -> None:
        for table in {operation.table for operation in operations}:
            self._paces[table] = self._pace_of(table).throttled(now)

    def _try_later(self, batch: Batch, alone: bool, now: float) -> None:
        attempt = max(self._attempts.get(operation, 0) for operation in batch)
        for operation in batch:
            self._attempts[operation] = attempt + 1
        due = now + backoff(attempt, self._random())
        heapq.heappush(self._later, (due, next(self._order), batch, alone))

    def _isolate(self, batch: Batch, reply: Reply) -> None:
        """Halve a batch that was rejected as a whole until the offenders stand alone."""
        if len(batch) > 1:
            half = len(batch) // 2
            self._alone.extend([batch[:half], batch[half:]])
            return
        offender = batch[0]
        self.outcome.rejected[offender] = Rejection("RejectedByDynamoDB", reply.error)
        lane = self._lanes[offender.key]
        # What it would have superseded is to be applied after all.
        lane.extendleft(reversed(lane.popleft().without()))
        self._go_on(offender.key, [offender])

    def _pace_of(self, table: str) -> Pace:
        return self._paces.get(table) or Pace()


def _estimate(batch: Batch) -> Mapping[str, int]:
    units: dict[str, int] = {}
    for operation in batch:
        units[operation.table] = units.get(operation.table, 0) + operation.write_units
    return units


def is_as_wanted(operation: Operation, stored: Mapping[str, AttributeValue] | None) -> bool:
    """Whether the item stands as the operation would have left it; of an update nobody can tell."""
    if operation.call == "put_item":
        return stored is not None and is_same(operation.request["Item"], stored)
    return operation.call == "delete_item" and stored is None


def is_stale(operation: Operation, stored: Mapping[str, AttributeValue] | None) -> bool:
    """Whether the condition failed by the version, not by the message's own words."""
    if operation.version is None:
        return False
    attribute, version = operation.version
    return not operation.is_conditional or not is_newer(version, (stored or {}).get(attribute))
