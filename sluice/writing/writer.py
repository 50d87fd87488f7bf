"""Drives the plan: sends batches in parallel, tries again what did not get through, stops in time.

One thread decides, and moves on the calls that are on open connections; others only wait for what blocks. Time,
chance and the executor of the calls are arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, MutableMapping, Sequence
from typing import TYPE_CHECKING

from sluice.aws.in_flight import Executor
from sluice.aws.meanings import Meaning, Reply
from sluice.message.errors import TableError
from sluice.message.operation import Key, Operation, Rejection, SingleWrite

from . import plan, refusals
from .calls import Calls, TablePort
from .conditions import is_as_wanted, is_stale
from .lanes import Lanes
from .outcome import WriteOutcome
from .pending import Pending, Sending
from .plan import Batch
from .send_rate import SendRate

if TYPE_CHECKING:
    from .unchanged import Reads, Unchanged

MAX_IDLE = 1.0  # Seconds between two looks at the clock, whatever else happens.
MIN_PAUSE = 0.001  # Seconds; less could round to nothing and spin.


After = Callable[[Sequence[Operation], WriteOutcome], Sequence[Operation]]
"""What may go now that operations have ended, by the outcome so far."""
Feed = Callable[[], Sequence[Operation]]
"""What has arrived since it was last asked; asked each time a call has come back."""


class Writer:
    """Writes one invocation's operations. Made anew for each; of the one before it knows only `send_rates`, by table.

    Long, as each answer touches the outcome, the item's lane, what is pending and what was unsure before.
    """

    def __init__(
        self,
        table: TablePort,
        *,
        deadline: float,
        patience: float,
        connections: int,
        write_units_per_second: float,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
        random: Callable[[], float],
        executor: Callable[[int], Executor],
        send_rates: MutableMapping[str, SendRate] | None = None,
        within_message: bool = False,
        after: After | None = None,
        feed: Feed | None = None,
        is_last_try: Callable[[Operation], bool] = lambda _: True,
        unchanged: Unchanged | None = None,
    ) -> None:
        """Until `deadline`, by the clock, it writes; then it waits `patience` seconds for calls in flight.

        With a `feed` it goes on as long as that gives more: `collect` takes away what has ended meanwhile.

        `after` says which further operations may go once one has ended; `within_message` as for `plan.lanes`. An update
        of what is not in the table yet is rejected at its last try, and else left as it is. `unchanged`: the tables of
        which items are read first.
        """
        self._table = table
        self._deadline = deadline
        self._patience = patience
        self._calls = Calls(table, connections, executor, now=clock())
        self._clock = clock
        self._sleep = sleep
        self._random = random
        self._pending = Pending(
            {} if send_rates is None else send_rates, write_units_per_second=write_units_per_second, now=clock()
        )
        are_watched = after is not None or feed is not None
        self._lanes = Lanes(within_message=within_message, are_watched=are_watched)
        self._unsure: set[Operation] = set()
        """Sent before, with an unknown outcome."""
        self._out_of_date: set[Operation] = set()
        """Refused once because the time or the credentials of the call were no longer good."""
        self._suspects = refusals.Suspects()
        self._after = after
        self._feed = feed
        self._collected: dict[str, Operation] = {}
        """By table one operation that was judged and taken away."""
        self._is_last_try = is_last_try
        self._reads = unchanged.reads(connections=connections, deadline=deadline) if unchanged else None
        self.outcome = WriteOutcome()

    def write(self, operations: Iterable[Operation]) -> WriteOutcome:
        """Write until all is done or it is time to stop."""
        self._add(operations)
        if not self._has_work():
            return self.outcome
        self._calls.may_begin(self._pending.calls_at_once())
        try:
            while (self._is_fed() or self._has_work() or self._examine()) and self._is_time_left():
                self._send_what_may_go()
                self._wait()
            self._wait_for_stragglers()
            self._judge()
            self._pending.remember(self._calls.at_once)
        finally:
            self._calls.abandon()
            if self._reads is not None:
                self._reads.abandon()
                self.outcome.reads_failed = self._reads.errors
        return self.outcome

    def collect(self, deadline: float) -> WriteOutcome:
        """What has been written, or superseded, or stopped by its condition since the last time; not in the outcome any
        more, so that an endless stream takes no endless memory. From now on there is time until `deadline`.
        """
        self._deadline = deadline
        if self._reads is not None:
            self._reads.deadline = deadline
        outcome = self.outcome
        taken = WriteOutcome(outcome.written, outcome.superseded, outcome.conditions_failed)
        taken.by_reading = outcome.by_reading
        outcome.written, outcome.superseded, outcome.conditions_failed = set(), set(), {}
        outcome.by_reading = set()
        for operation in taken.judged:
            self._collected[operation.table] = operation
        for operation in taken.ended if self._pending.attempts else ():
            self._pending.attempts.pop(operation, None)
        self._unsure -= taken.ended
        self._out_of_date -= taken.ended
        return taken

    def _add(self, operations: Iterable[Operation]) -> None:
        self._extend(self._lanes.add(plan.interleave(operations)))

    def _is_fed(self) -> bool:
        if self._feed is None or not (more := self._feed()):
            return False
        self._add(more)
        return True

    def _judged(self) -> set[Operation]:
        return self.outcome.judged.union(self._collected.values())

    def _extend(self, operations: Collection[Operation]) -> None:
        """These may go now."""
        self._pending.extend(operations if self._reads is None else self._reads.take(operations, self._clock()))

    def _judge(self) -> None:
        """Keep `trouble` only where the table is why something is not done; trouble that is over is no reason.

        And tell refusals that are the table's or the settings' fault from those that are the items' own.
        """
        outcome = self.outcome
        if self._calls:
            outcome.trouble = "DynamoDB did not answer before the deadline"
        elif (
            outcome.trouble
            and not self._pending.attempts.keys() - outcome.ended - outcome.early - outcome.denied.keys()
        ):
            outcome.trouble = ""
        if outcome.error is None and (fault := self._fault()):
            outcome.error = TableError(fault)

    def _fault(self) -> str | None:
        outcome = self.outcome
        if not outcome.rejected and not outcome.denied:
            return None
        rejected = {o: rejection for o, rejection in outcome.rejected.items() if o not in outcome.early}
        return refusals.fault(rejected, outcome.denied, self._judged())

    def _has_work(self) -> bool:
        return bool(self._calls or self._pending or self._reads)

    def _is_time_left(self) -> bool:
        return self._clock() < self._deadline and self.outcome.error is None

    def _send_what_may_go(self) -> None:
        if self._reads:
            self._begin_reads(self._reads)
        while self._pending and self.outcome.error is None:
            now = self._clock()
            if not self._calls.has_room(now):
                return
            sending = self._pending.next(now, singles_only=self._calls.takes_singles_only(now))
            if sending is None:
                return
            if sending.batch[0].goes_in_batches:
                self.outcome.batch_fills.append(len(sending.batch))
            self._calls.begin(sending, max(MIN_PAUSE, self._deadline + self._patience - now))

    def _wait(self) -> None:
        """Until a call comes back or something may be sent."""
        now = self._clock()
        pause = self._deadline - now
        waits = self._pending.wait(now, singles_only=self._calls.takes_singles_only(now))
        if waits is not None:
            pause = min(pause, self._calls.wait(waits, now))
        if self._reads:
            pause = min(pause, self._reads.wait(now))
        pause = max(MIN_PAUSE, min(pause, MAX_IDLE))
        if self._calls or (self._reads and self._reads.in_flight):
            self._settle_finished(pause)
        else:
            self.outcome.backoff += pause * 1000
            self._sleep(pause)

    def _wait_for_stragglers(self) -> None:
        until = min(self._deadline, self._clock()) + self._patience
        while self._calls and (left := until - self._clock()) > 0:
            self._settle_finished(left)

    def _settle_finished(self, seconds: float) -> None:
        beside = () if self._reads is None else self._reads.in_flight
        for sent, reply in self._calls.finished(seconds, self._clock, beside):
            self._settle(sent, reply)
        if beside and self._reads is not None:
            self._settle_reads(self._reads)

    def _begin_reads(self, reads: Reads) -> None:
        def has_room() -> bool:
            return self._calls.has_room_beside(len(reads.in_flight))

        self._pending.extend(reads.begin(self._calls.submit, has_room, self._clock()))

    def _settle_reads(self, reads: Reads) -> None:
        found = reads.finished(self._clock())
        self.outcome.by_reading.update(found.unchanged, found.stale)
        self._finish(found.unchanged)
        for operation in found.stale:
            self._end_condition_failed(operation, is_excused=True)
        self._pending.extend(found.to_write)

    def _settle(self, sent: Sending, reply: Reply) -> None:
        now = self._clock()
        self.outcome.latencies.append((now - sent.at) * 1000)
        self.outcome.consumed += sum(reply.consumed.values())
        lost = _lost(sent.batch, reply)
        self._pending.answered(sent, _spent(sent, reply), lost, now, reply.reasons)
        if lost is not None and len(lost) < len(sent.batch):
            self._calls.grow(sent)
        if reply.meaning is Meaning.ACCEPTED:  # The usual: asked first.
            self._accept(sent, reply, now)
            return
        match reply.meaning:
            case Meaning.THROTTLED:
                self.outcome.throttled_calls += 1
                self.outcome.trouble = reply.error
                self._try_later(sent.batch, sent.alone, now)
                self.outcome.throttling.update(reason.reason for reason in reply.reasons)
            case Meaning.CONDITION_FAILED if isinstance(single := sent.batch[0], SingleWrite):
                self._end_condition(single, reply)
            case Meaning.UNSURE | Meaning.CONDITION_FAILED:  # A batch has no condition: the answer cannot be its own.
                self.outcome.trouble = reply.error
                self._unsure.update(sent.batch)
                self._try_later(sent.batch, sent.alone, now)
            case Meaning.OUT_OF_DATE:
                self._renew(sent, reply, now)
            case Meaning.REJECTED | Meaning.EARLY | Meaning.DENIED if len(sent.batch) > 1:
                self._tell_apart(sent)
            case Meaning.REJECTED:
                self._reject(sent.batch[0], reply)
            case Meaning.EARLY:
                self._put_off(sent.batch[0], reply)
            case Meaning.DENIED:  # What is to be done to its item after it waits with it.
                self.outcome.denied[sent.batch[0]] = reply.error
            case Meaning.STOP:
                self.outcome.error = TableError(reply.error)

    def _accept(self, sent: Sending, reply: Reply, now: float) -> None:
        unwritten = set(reply.unwritten)
        written = [operation for operation in sent.batch if operation not in unwritten] if unwritten else sent.batch
        self._finish(written)
        if unwritten:
            self.outcome.unprocessed += len(unwritten)
            self.outcome.trouble = "UnprocessedItems came back"
            self._try_later([operation for operation in sent.batch if operation in unwritten], sent.alone, now)

    def _renew(self, sent: Sending, reply: Reply, now: float) -> None:
        """Try once more, signed anew; whoever is refused again has credentials or a clock that are wrong."""
        if not self._out_of_date.isdisjoint(sent.batch):
            self.outcome.error = TableError(reply.error)
            return
        if not self._out_of_date:  # One look at where credentials come from is enough for all that is in flight.
            self._table.renew()
        self._out_of_date.update(sent.batch)
        self.outcome.trouble = reply.error
        self._try_later(sent.batch, sent.alone, now)

    def _finish(self, operations: Batch) -> None:
        self.outcome.written.update(operations)
        if not self._lanes:
            return
        # A superseded operation is done only now that the write that replaced it is in the table.
        superseded = [each for operation in operations for each in self._lanes.end(operation)]
        self.outcome.superseded.update(superseded)
        self._go_on([operation.key for operation in operations], [*operations, *superseded])

    def _end_condition(self, operation: SingleWrite, reply: Reply) -> None:
        may_have_been_applied = operation in self._unsure or operation.source.redelivered
        if may_have_been_applied and is_as_wanted(operation, reply.stored):
            self._finish([operation])
            return
        cannot_tell = may_have_been_applied and operation.call == "update_item"
        self._end_condition_failed(operation, is_excused=cannot_tell or is_stale(operation, reply.stored))

    def _end_condition_failed(self, operation: Operation, *, is_excused: bool) -> None:
        self.outcome.conditions_failed[operation] = is_excused
        if self._lanes:
            self._lanes.end(operation)
            self._go_on([operation.key], [operation])

    def _go_on(self, keys: Iterable[Key], ended: Sequence[Operation]) -> None:
        """The first steps of these items are over: their next ones may go, and what waited for these operations."""
        ready = [operation for key in keys for operation in self._lanes.next(key)]
        if self._after is not None and ended and (more := self._after(ended, self.outcome)):
            ready += self._lanes.add(more)
        if ready:
            self._extend(ready)

    def _try_later(self, batch: Batch, alone: bool, now: float) -> None:
        self._pending.try_later(batch, alone, now, self._random())

    def _tell_apart(self, sent: Sending) -> None:
        """A batch was refused as a whole: it is halved until the offenders stand alone."""
        tables = {operation.table for operation in sent.batch}
        is_open = any(operation.table in tables for operation in self._judged())
        self._pending.extend_alone(self._suspects.parts(sent.batch, is_part=sent.alone, is_open=is_open))

    def _examine(self) -> bool:
        """Nothing else is left: go on with the batches that may all be refused. Whether there is more to send."""
        if not self._suspects:
            return False
        is_fault = self._fault() is not None
        self._pending.extend_alone(self._suspects.next(self._random(), is_fault=is_fault))
        return self._has_work()

    def _put_off(self, update: Operation, reply: Reply) -> None:
        """What the update changes is not there yet: it is left, and what its message does to the item after it."""
        self.outcome.early.add(update)
        if self._is_last_try(update):
            self._reject(update, reply)
        elif self._lanes:
            self._lanes.leave(update)
            self._go_on([update.key], ())

    def _reject(self, offender: Operation, reply: Reply) -> None:
        self.outcome.rejected[offender] = Rejection("RejectedByDynamoDB", reply.error)
        if self._lanes:
            self._lanes.undo(offender)
            self._go_on([offender.key], [offender])


def _spent(sent: Sending, reply: Reply) -> Mapping[str, float]:
    """Write units by table; the estimate where the call consumes them and does not say so, or may have."""
    return sent.units if reply.meaning in (Meaning.CONDITION_FAILED, Meaning.UNSURE) else reply.consumed


def _lost(batch: Batch, reply: Reply) -> Sequence[Operation] | None:
    """What DynamoDB did not take because it was too fast; None where it was not asked, or nobody knows."""
    match reply.meaning:
        case Meaning.ACCEPTED:
            return reply.unwritten
        case Meaning.THROTTLED:
            return batch
        case Meaning.CONDITION_FAILED:  # It consumes what a write would have.
            return ()
    return None
