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
from .operation import Key, Operation, Rejection
from .pace import Bucket, Pace, backoff
from .plan import Batch
from .table import Meaning, Reply

MAX_IDLE = 1.0  # Seconds between two looks at the clock, whatever else happens.
LEAST_PAUSE = 0.001  # Seconds; less could round to nothing and spin.


class TablePort(Protocol):
    def write(self, batch: Batch) -> Reply: ...


@dataclass(slots=True)
class Written:
    """What became of the operations. Whatever is in none of the three sets is not known to be done."""

    written: set[Operation] = field(default_factory=set)
    superseded: set[Operation] = field(default_factory=set)
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
        return self.written | self.superseded | self.rejected.keys()


@dataclass(frozen=True, slots=True)
class _Sent:
    """A call in flight; `alone` says that it must not be mixed with other operations when it is sent again."""

    batch: Batch
    alone: bool
    at: float


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
        self._chains: dict[Key, list[Operation]] = {}
        self._ready: dict[str, deque[Operation]] = {}
        self._alone: deque[Batch] = deque()
        """Parts of a batch that DynamoDB rejected as a whole, on the way to finding the offenders."""
        self._later: list[tuple[float, int, Batch, bool]] = []
        """A heap of what waits for its backoff: when, a tie-breaker, the operations, whether alone."""
        self._order = itertools.count()
        self._attempts: dict[Operation, int] = {}
        self._in_flight: dict[Future[tuple[Reply, float]], _Sent] = {}
        self._outcome = Written()

    def write(self, operations: Iterable[Operation], *, deadline: float, patience: float) -> Written:
        """Write until all is done or the clock says `deadline`; then wait `patience` seconds for calls in flight."""
        self._chains = plan.chains(operations)
        for operation in plan.interleave([chain[-1] for chain in self._chains.values()]):
            self._ready.setdefault(operation.table, deque()).append(operation)
        if not self._chains:
            return self._outcome
        executor = self._executor(self._connections)
        try:
            while self._has_work() and self._clock() < deadline and self._outcome.error is None:
                self._send_what_may_go(executor)
                self._wait(deadline)
            self._wait_for_stragglers(self._clock() + patience)
            self._judge()
        finally:
            # Not waited for: a call that hangs is abandoned, and what it carried counts as not written.
            executor.shutdown(wait=False, cancel_futures=True)
        return self._outcome

    def _judge(self) -> None:
        """Keep `trouble` only where the table is why something is not done; trouble that is over is no reason."""
        if self._in_flight:
            self._outcome.trouble = "DynamoDB did not answer before the deadline"
        elif not self._attempts.keys() - self._outcome.ended:
            self._outcome.trouble = ""

    def _has_work(self) -> bool:
        return bool(self._in_flight or self._later or self._alone or any(self._ready.values()))

    def _send_what_may_go(self, executor: Executor) -> None:
        now = self._clock()
        while self._later and self._later[0][0] <= now:
            self._make_ready(*heapq.heappop(self._later)[2:])
        while len(self._in_flight) < self._connections and self._outcome.error is None:
            batch, alone = self._next_batch(self._clock())
            if not batch:
                return
            self._send(executor, batch, alone)

    def _make_ready(self, batch: Batch, alone: bool) -> None:
        if alone:
            self._alone.append(batch)
            return
        for operation in reversed(batch):  # To the head of the queue: the oldest go first.
            self._ready.setdefault(operation.table, deque()).appendleft(operation)

    def _next_batch(self, now: float) -> tuple[Batch, bool]:
        if self._share.wait(now) > 0:
            return [], False
        if self._alone and all(self._pace_of(operation.table).bucket.wait(now) <= 0 for operation in self._alone[0]):
            return self._alone.popleft(), True
        may_go = [queue for table, queue in self._ready.items() if self._pace_of(table).bucket.wait(now) <= 0]
        return plan.take(may_go), False

    def _send(self, executor: Executor, batch: Batch, alone: bool) -> None:
        now = self._clock()
        for table, units in _estimate(batch).items():
            self._paces[table] = self._pace_of(table).sent(units, now)
            self._share = self._share.spend(units, now)
        self._outcome.batch_fills.append(len(batch))
        self._in_flight[executor.submit(self._call, batch)] = _Sent(batch, alone, now)

    def _call(self, batch: Batch) -> tuple[Reply, float]:
        """Runs in a thread of its own; touches nothing that the deciding thread owns."""
        started = self._clock()
        reply = self._table.write(batch)
        return reply, (self._clock() - started) * 1000

    def _wait(self, deadline: float) -> None:
        """Until a call comes back or something may be sent."""
        now = self._clock()
        pause = max(0.0, min(self._next_event(now), deadline) - now)
        if self._in_flight:
            full = len(self._in_flight) >= self._connections
            timeout = min(MAX_IDLE, deadline - now) if full else min(pause, MAX_IDLE)
            finished, _ = wait(self._in_flight, timeout=max(0.0, timeout), return_when=FIRST_COMPLETED)
            for future in finished:
                self._settle(future)
        else:
            pause = max(pause, LEAST_PAUSE)
            self._outcome.backoff += pause * 1000
            self._sleep(pause)

    def _next_event(self, now: float) -> float:
        """When something may be sent that may not be sent now."""
        times = [self._later[0][0]] if self._later else []
        waiting = {table for table, queue in self._ready.items() if queue}
        waiting.update(operation.table for batch in self._alone for operation in batch)
        if waiting:
            pause = min(self._pace_of(table).bucket.wait(now) for table in waiting)
            times.append(now + max(pause, self._share.wait(now)))
        return min(times, default=now + MAX_IDLE)

    def _wait_for_stragglers(self, until: float) -> None:
        while self._in_flight and self._clock() < until:
            finished, _ = wait(self._in_flight, timeout=until - self._clock(), return_when=FIRST_COMPLETED)
            for future in finished:
                self._settle(future)

    def _settle(self, future: Future[tuple[Reply, float]]) -> None:
        sent = self._in_flight.pop(future)
        reply, milliseconds = future.result()
        now = self._clock()
        self._outcome.latencies.append(milliseconds)
        self._pay(sent.batch, reply, now)
        if reply.meaning in (Meaning.THROTTLED, Meaning.UNSURE):
            self._outcome.trouble = reply.error
        match reply.meaning:
            case Meaning.ACCEPTED:
                self._accept(sent, reply, now)
            case Meaning.THROTTLED:
                self._outcome.throttled_calls += 1
                self._slow_down(sent.batch, now)
                self._try_later(sent.batch, sent.alone, now)
            case Meaning.UNSURE:
                self._try_later(sent.batch, sent.alone, now)
            case Meaning.REJECTED:
                self._isolate(sent.batch, reply)
            case Meaning.STOP:
                self._outcome.error = TableError(reply.error)

    def _pay(self, batch: Batch, reply: Reply, now: float) -> None:
        """Correct the estimate by what was consumed: nothing by a call that failed."""
        for table, estimated in _estimate(batch).items():
            consumed = reply.consumed.get(table, 0.0)
            self._paces[table] = self._pace_of(table).answered(estimated, consumed, now)
            self._share = self._share.spend(consumed - estimated, now)
        self._outcome.consumed += sum(reply.consumed.values())

    def _accept(self, sent: _Sent, reply: Reply, now: float) -> None:
        unwritten = set(reply.unwritten)
        for operation in sent.batch:
            if operation not in unwritten:
                self._finish(operation)
        if not unwritten:
            for table in {operation.table for operation in sent.batch}:
                self._paces[table] = self._pace_of(table).succeeded(now)
            return
        self._outcome.unprocessed += len(unwritten)
        self._outcome.trouble = "UnprocessedItems came back"
        self._slow_down(reply.unwritten, now)
        self._try_later([operation for operation in sent.batch if operation in unwritten], sent.alone, now)

    def _finish(self, operation: Operation) -> None:
        # A superseded operation is done only now that the write that replaced it is in the table.
        self._outcome.written.add(operation)
        chain = self._chains[operation.key]
        self._outcome.superseded.update(chain[: chain.index(operation)])

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
        self._outcome.rejected[offender] = Rejection("RejectedByDynamoDB", reply.error)
        chain = self._chains[offender.key]
        chain.remove(offender)
        if chain:  # What it would have superseded is to be applied after all.
            self._make_ready([chain[-1]], False)

    def _pace_of(self, table: str) -> Pace:
        return self._paces.get(table) or Pace()


def _estimate(batch: Batch) -> Mapping[str, int]:
    units: dict[str, int] = {}
    for operation in batch:
        units[operation.table] = units.get(operation.table, 0) + operation.write_units
    return units
