"""What is still to be sent, and which of it may go now: the queues, and the send rates that hold them back. Pure."""

from __future__ import annotations

import heapq
import itertools
import math
from collections import deque
from collections.abc import Collection, Iterable, Mapping, MutableMapping

from msgspec import Struct
from msgspec.structs import replace

from sluice.aws.answer import ThrottlingReason
from sluice.message.operation import Operation

from . import plan
from .plan import MAX_REQUESTS, Batch
from .queues import Head, Queues
from .send_rate import Bucket, SendRate, State, backoff

GOLDEN_RATIO = 0.618034
"""Multiples of it, without their whole part, cover all from 0 to 1 evenly, however few or many they are."""
LAST_SECONDS = 2.0
"""While the limit is not known, the last call may hold as much as the send rate allows in 2 s."""


class Sending(Struct, frozen=True, eq=False):
    """What may go into one call."""

    batch: Batch
    alone: bool
    """It must not be mixed with other operations when it is sent again."""
    units: Mapping[str, float]
    """The estimate by table."""
    at: float


# Long: the queues of all tables and the rates that hold them back decide together what goes next.
class Pending:
    """Everything that waits in one invocation. `send_rates`, by table, are the only thing that outlives it."""

    def __init__(self, send_rates: MutableMapping[str, SendRate], *, write_units_per_second: float, now: float) -> None:
        for table, send_rate in send_rates.items():
            send_rates[table] = send_rate.resumed(now)
        self._send_rates = send_rates
        self._share = Bucket(write_units_per_second, at=now)
        self._tables: dict[str, Queues] = {}
        self._alone: deque[Batch] = deque()
        """Parts of a batch that DynamoDB rejected as a whole, on the way to finding the offenders."""
        self._later: list[tuple[float, int, Batch, bool]] = []
        """A heap of what waits for its backoff: when, a tie-breaker, the operations, whether alone."""
        self._order = itertools.count()
        self._phase = 0.0
        self.attempts: dict[Operation, int] = {}
        """How often an operation has been tried without success."""

    def __bool__(self) -> bool:
        if self._later or self._alone:
            return True
        for queues in self._tables.values():  # noqa: SIM110  # Asked before each call: `any` takes twice as long.
            if queues:
                return True
        return False

    def extend(self, operations: Collection[Operation]) -> None:
        if not operations:
            return
        kinds = {(operation.key[0], operation.goes_in_batches) for operation in operations}
        if len(kinds) == 1:  # The usual, and much faster than one by one.
            ((table, _),) = kinds
            self._queues(table).extend(operations)
            return
        for operation in operations:
            self._queues(operation.key[0]).extend([operation])

    def calls_at_once(self) -> float:
        """How many may begin at once, for all that an invocation before this one has found of these tables."""
        return min((self._send_rate_of(table).calls_at_once for table in self._tables), default=1.0)

    def remember(self, at_once: float) -> None:
        """The next invocation may begin with half as many, if nothing of this one came back; others write, too."""
        for table in self._tables:
            send_rate = self._send_rate_of(table)
            most = 1.0 if self.attempts or send_rate.is_limited else max(1.0, at_once / 2)
            if most != send_rate.calls_at_once:
                self._send_rates[table] = replace(send_rate, calls_at_once=most)

    def extend_alone(self, batches: Iterable[Batch]) -> None:
        self._alone.extend(batches)

    def try_later(self, batch: Batch, alone: bool, now: float, chance: float) -> None:
        attempts = self.attempts
        attempt = max([attempts.get(operation, 0) for operation in batch])
        for operation in batch:
            attempts[operation] = attempt + 1
        heapq.heappush(self._later, (now + backoff(attempt, chance), next(self._order), batch, alone))

    def next(self, now: float, *, singles_only: bool = False) -> Sending | None:
        """What may go now, taken off the queues and paid for by its estimate."""
        while self._later and self._later[0][0] <= now:
            self._return(*heapq.heappop(self._later)[2:])
        if self._share.wait(now) > 0:
            return None
        batch, alone = (self._next_single(now), False) if singles_only else self._next_batch(now)
        if not batch:
            return None
        units = self._estimate(batch)
        for table, estimate in units.items():
            self._send_rates[table] = self._send_rate_of(table).spend(estimate, now)
            self._share = self._share.spend(estimate, now)
            self._tables[table].spend(batch, now)
        return Sending(batch, alone, units, now)

    def _estimate(self, batch: Batch) -> Mapping[str, float]:
        table = batch[0].key[0]
        if len(self._tables) == 1 and not self._send_rate_of(table).is_limited and not self._share.is_limited:
            return {table: float(len(batch))}  # Nobody counts.
        units: dict[str, float] = {}
        for operation in batch:
            table = operation.key[0]
            units[table] = units.get(table, 0.0) + operation.write_units
        return units

    def wait(self, now: float, *, singles_only: bool = False) -> float | None:
        """Seconds until something may go that may not go now; None where nothing waits."""
        waits = [self._later[0][0] - now] if self._later else []
        for table, queues in self._tables.items():
            if queues.single or ((queues.fresh or queues.repeated) and not singles_only):
                waits.append(self._send_rate_of(table).wait(now))
            elif queues.hot and not singles_only:
                waits.append(max(queues.hot_rate.wait(now), self._send_rate_of(table).wait(now)))
        if self._alone and not singles_only:
            waits.append(max(self._send_rate_of(operation.table).wait(now) for operation in self._alone[0]))
        if not waits:
            return None
        return max(0.0, min(waits), self._share.wait(now))

    def answered(
        self,
        sending: Sending,
        consumed: Mapping[str, float],
        lost: Collection[Operation] | None,
        now: float,
        reasons: Collection[ThrottlingReason] = (),
    ) -> None:
        """A call came back. `lost`: those of its operations that went too fast; None where nobody knows.

        `reasons`, where the service gives any, say which tables the call was too fast for, and whether for all of it.
        """
        for table, estimate in sending.units.items():
            self._share = self._share.spend(consumed.get(table, 0.0) - estimate, now)
        if lost is None:
            return
        if not lost and not self.attempts:
            for table, units in sending.units.items():
                send_rate = self._send_rate_of(table).correct(units, consumed.get(table, units), sending.at, now)
                self._send_rates[table] = send_rate.learn(units, 0.0, sending.at, now)
            return
        refused = set(lost)
        named = {reason.table for reason in reasons} if all(reason.table for reason in reasons) else set()
        for table in sending.units:
            if named and table not in named:
                continue  # It was refused with the others, and is not why.
            own = [reason.is_of_a_part for reason in reasons if reason.table in (table, "")]
            self._queues(table).hear(bool(own) and all(own), len(sending.batch), len(lost), now)
            operations = [operation for operation in sending.batch if operation.key[0] == table]
            self._learn(table, operations, refused, consumed, sending.at, now)

    def _learn(
        self,
        table: str,
        operations: Collection[Operation],
        lost: set[Operation],
        consumed: Mapping[str, float],
        sent_at: float,
        now: float,
    ) -> None:
        queues = self._queues(table)
        taken = sum([operation.write_units for operation in operations if operation not in lost])
        send_rate = self._send_rate_of(table).correct(taken, consumed.get(table, taken), sent_at, now)
        sent, refused = queues.learn(operations, lost, self.attempts, sent_at, now)
        if sent:
            send_rate = send_rate.learn(sent, refused, sent_at, now)
        self._send_rates[table] = send_rate

    def _next_batch(self, now: float) -> tuple[Batch, bool]:
        if self._alone and all(self._send_rate_of(operation.table).wait(now) <= 0 for operation in self._alone[0]):
            return self._alone.popleft(), True
        heads: list[Head] = []
        for table, queues in self._tables.items():
            if self._send_rate_of(table).wait(now) <= 0:
                heads += queues.heads(self._most_units(table, queues), now)
        batch = plan.take([head.queue for head in heads])
        for head in heads:
            head.put_back()
        if batch:
            if self.attempts:
                self._phase = (self._phase + GOLDEN_RATIO) % 1.0
                batch = plan.spread(batch, self.attempts, self._phase)
            return batch, False
        return self._next_single(now), False

    def _next_single(self, now: float) -> Batch:
        for table, queues in self._tables.items():
            if queues.single and self._send_rate_of(table).wait(now) <= 0:
                return [queues.single.popleft()]
        return []

    def _most_units(self, table: str, queues: Queues) -> float:
        """How much of a table's queues may go into one call."""
        send_rate = self._send_rate_of(table)
        if send_rate.state is State.SEEK and not self._later:
            left = len(queues.fresh) + len(queues.repeated) + len(queues.hot)
            return math.inf if left <= min(MAX_REQUESTS, send_rate.rate * LAST_SECONDS) else send_rate.most_units()
        return send_rate.most_units()

    def _return(self, batch: Batch, alone: bool) -> None:
        if alone:
            self._alone.append(batch)
            return
        for operation in batch:
            self._queues(operation.key[0]).come_back(operation)

    def _queues(self, table: str) -> Queues:
        queues = self._tables.get(table)
        if queues is None:
            queues = self._tables[table] = Queues()
        return queues

    def _send_rate_of(self, table: str) -> SendRate:
        send_rate = self._send_rates.get(table)
        if send_rate is None:
            send_rate = self._send_rates[table] = SendRate()
        return send_rate
