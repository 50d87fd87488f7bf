"""What is still to be sent, and which of it may go now: the queues, and the send rates that hold them back. Pure."""

from __future__ import annotations

import heapq
import itertools
import math
from collections import deque
from collections.abc import Collection, Iterable, Mapping, MutableMapping

from msgspec import Struct, field
from msgspec.structs import replace

from sluice.aws.answer import ThrottlingReason
from sluice.message.operation import BatchWrite, Operation, go_in_batches

from . import plan
from .hot_keys import HotKeys
from .plan import MAX_REQUESTS, Batch
from .send_rate import Bucket, SendRate, State, backoff

LAST_SECONDS = 2.0
"""While the limit is not known, the last call may hold as much as the send rate allows in 2 s."""
SMALL_CALL = 4
"""Operations of a call in which those that came back are too large a part to judge the table by."""
PART_SECONDS = 8.0
"""So long what came back keeps to a rate of its own after the service has named a range of keys or an index."""
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
    repeated_rate: SendRate = field(default_factory=SendRate)
    """Limits what came back while a range of keys is hot, so that the rest of the table keeps its own send rate."""
    hot_keys: HotKeys = field(default_factory=HotKeys)

    def extend(self, operations: Collection[Operation]) -> None:
        """Add operations that are all of one kind."""
        if go_in_batches(operations):
            self.fresh.extend(operations)
        else:
            self.single.extend(operations)

    is_turn_of_fresh: bool = False
    """The last call was so small that what came back has filled it."""
    is_part_refused: bool = False
    """The last call was refused for the sake of a range of keys or an index, while others were taken."""
    part_until: float = -math.inf
    """When such a refusal has been so long ago that it says nothing any more."""
    refused_in_a_row: int = 0
    """Operations, until a call takes one."""

    def hear(self, is_of_a_part: bool, sent: int, lost: int, now: float) -> None:
        """Whether the service has said that only a part of the table was too fast for a call that is now learnt of."""
        self.refused_in_a_row = self.refused_in_a_row + sent if lost == sent else 0
        self.is_part_refused = is_of_a_part and self.refused_in_a_row <= MAX_REFUSED_IN_A_ROW
        if is_of_a_part:
            self.part_until = now + PART_SECONDS

    def is_uneven(self, now: float) -> bool:
        """A range of keys, or an index, is hot: by what the service says, or by which operations are lost again."""
        return self.hot_keys.is_uneven or now < self.part_until


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
        self.attempts: dict[Operation, int] = {}
        """How often an operation has been tried without success."""

    def __bool__(self) -> bool:
        if self._later or self._alone:
            return True
        for queues in self._tables.values():  # noqa: SIM110  # Asked before each call: `any` takes twice as long.
            if queues.fresh or queues.single or queues.repeated:
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
            queues = self._tables[table]
            if queues.repeated_rate.is_limited:
                queues.repeated_rate = queues.repeated_rate.spend(self._repeated_units(table, batch), now)
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
            if queues.single or (queues.fresh and not singles_only):
                waits.append(self._send_rate_of(table).wait(now))
            elif queues.repeated and not singles_only:
                waits.append(max(queues.repeated_rate.wait(now), self._send_rate_of(table).wait(now)))
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
        repeated, fresh = _Units(), _Units()
        for operation in operations:
            units = repeated if operation in self.attempts else fresh
            units.add(operation, operation in lost)
        queues, taken = self._queues(table), repeated.taken + fresh.taken
        queues.hot_keys.learn(repeated.count, repeated.count_lost, fresh.count, fresh.count_lost)
        refused, is_uneven = repeated.lost + fresh.lost, queues.is_uneven(now)
        send_rate = self._send_rate_of(table).correct(taken, consumed.get(table, taken), sent_at, now)
        if is_uneven and (taken or not fresh.count or queues.is_part_refused):
            # What is lost of a hot range says nothing of the table.
            refused = 0
        elif queues.fresh and len(operations) <= SMALL_CALL:
            # Nor does what comes back again, where it is half of a small call, or takes turns with what is fresh.
            taken, refused = fresh.taken, fresh.lost
        if taken or refused:
            send_rate = send_rate.learn(taken + refused, refused, sent_at, now)
        if is_uneven != queues.repeated_rate.is_limited:
            queues.repeated_rate = SendRate().restarted(now) if is_uneven else SendRate()
        elif is_uneven and repeated.count:
            queues.repeated_rate = queues.repeated_rate.learn(repeated.units, repeated.lost, sent_at, now)
        self._send_rates[table] = send_rate

    def _repeated_units(self, table: str, batch: Batch) -> int:
        return sum([o.write_units for o in batch if o in self.attempts and o.key[0] == table])

    def _next_batch(self, now: float) -> tuple[Batch, bool]:
        if self._alone and all(self._send_rate_of(operation.table).wait(now) <= 0 for operation in self._alone[0]):
            return self._alone.popleft(), True
        ready = [(table, queues) for table, queues in self._tables.items() if self._send_rate_of(table).wait(now) <= 0]
        heads: list[_Head] = []
        for table, queues in ready:
            most, repeated = self._most_units(table, queues), 0.0
            is_turn_of_fresh, queues.is_turn_of_fresh = queues.is_turn_of_fresh and bool(queues.fresh), False
            if queues.repeated and queues.repeated_rate.wait(now) <= 0 and not is_turn_of_fresh:
                own = min(most, queues.repeated_rate.most_units())
                heads.append(_Head(queues.repeated, min(own, MAX_REQUESTS // 2, most / 2) if queues.fresh else own))
                repeated = heads[-1].units
                queues.is_turn_of_fresh = repeated >= most
            if queues.fresh and repeated < most:
                heads.append(_Head(queues.fresh, most - repeated))
        batch = plan.take([head.queue for head in heads])
        for head in heads:
            head.put_back()
        if batch:
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
            left = len(queues.fresh) + len(queues.repeated)
            return math.inf if left <= min(MAX_REQUESTS, send_rate.rate * LAST_SECONDS) else send_rate.most_units()
        return send_rate.most_units()

    def _return(self, batch: Batch, alone: bool) -> None:
        if alone:
            self._alone.append(batch)
            return
        for operation in batch:
            queues = self._queues(operation.key[0])
            if isinstance(operation, BatchWrite):
                queues.repeated.append(operation)
            else:
                queues.single.appendleft(operation)

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


class _Units(Struct, gc=False):
    """Operations of a call, and how many write units of them were taken and lost."""

    count: int = 0
    count_lost: int = 0
    taken: int = 0
    lost: int = 0

    @property
    def units(self) -> int:
        return self.taken + self.lost

    def add(self, operation: Operation, is_lost: bool) -> None:
        self.count += 1
        self.count_lost += is_lost
        if is_lost:
            self.lost += operation.write_units
        else:
            self.taken += operation.write_units


class _Head:
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
