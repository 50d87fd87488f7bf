"""The thread of a writer: it feeds the function's own engine, and says what became of each write."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from sluice.aws.threads import Threads
from sluice.message.operation import Operation, Rejection
from sluice.writing.calls import TablePort
from sluice.writing.outcome import WriteOutcome
from sluice.writing.plan import MAX_REQUESTS
from sluice.writing.send_rate import SendRate
from sluice.writing.unchanged import Unchanged
from sluice.writing.writer import Writer as Run

from .errors import WriterStoppedError
from .inbox import Inbox
from .outcome import Outcome, Result, Status

T = TypeVar("T")
logger = logging.getLogger(__name__)

WINDOW = 4096
"""Writes that the engine chooses from: enough to fill all calls while some partition is hot."""
LINGER = 0.02
"""Seconds that a call which is not full waits for more."""
PATIENCE = 2.0
"""Seconds that calls in flight are waited for once the table is given up."""
PROGRESS = 0.1
"""Seconds between two reports of progress."""


class Engine:
    """Runs of the engine, one after the other: each lasts until there is nothing to do. Only the send rates outlive it.

    `result`, `ended` and `error` change under the lock of `changed` alone.
    """

    def __init__(
        self,
        table: TablePort,
        unchanged: Unchanged,
        inbox: Inbox,
        changed: threading.Condition,
        *,
        connections: int,
        write_units_per_second: float,
        timeout: float,
        on_outcome: Callable[[Outcome], object] | None,
        on_progress: Callable[[Result], object] | None,
    ) -> None:
        self._table = table
        self._unchanged = unchanged
        self._inbox = inbox
        self._changed = changed
        self._connections = connections
        self._write_units_per_second = write_units_per_second
        self._timeout = timeout
        self._on_outcome = on_outcome
        self._on_progress = on_progress
        self._send_rates: dict[str, SendRate] = {}
        self._threads = Threads()
        self._open: dict[Operation, Outcome] = {}
        """What the present run was given and has not ended."""
        self._run: Run
        self._deadline = 0.0
        self._told_at = 0.0
        self._to_tell: deque[Outcome] = deque()
        self.to_be_told = self.told = 0
        """Outcomes of which the engine's own thread tells, and those for which the caller's function has returned."""
        self._callers: set[int] = set()
        """Threads that are within one of the caller's own functions."""
        self._is_hurried = False
        self.result = Result()
        self.ended = 0
        self.error: WriterStoppedError | None = None

    def run(self) -> None:
        """The thread. It ends when the writer is closed and all is done, or when the table is given up."""
        try:
            while first := self._first():
                self._write(first)
        except BaseException as error:  # A defect; nobody shall wait for a thread that is gone.
            self._stop(f"a defect of the writer: {type(error).__name__}")
            raise

    def hurry(self) -> None:
        """Somebody waits: calls that are not full go at once. Until the inbox is empty."""
        self._is_hurried = True

    def unfinished(self) -> list[Outcome]:
        """All that was given and has not ended. Under the lock."""
        return [*self._open.values(), *self._inbox.outcomes()]

    def reject(self, outcome: Outcome, rejection: Rejection) -> None:
        """A write that was refused before it was sent; whoever gave it tells of it. Under the lock."""
        self._inbox.taken += 1
        self._settle(outcome, "rejected", rejection)

    def _first(self) -> Sequence[Operation]:
        """Wait for something to do; nothing once the writer is closed."""
        inbox = self._inbox
        with self._changed:
            while not inbox and not inbox.is_closed:
                self._is_hurried = False
                self._changed.wait()
            if len(inbox) < MAX_REQUESTS and not self._is_hurried:
                self._changed.wait_for(lambda: len(inbox) >= MAX_REQUESTS or self._is_hurried, LINGER)
        return self._taken(WINDOW)

    def _write(self, first: Sequence[Operation]) -> None:
        self._deadline = time.monotonic() + self._timeout
        self._run = Run(
            self._table,
            deadline=self._deadline,
            patience=PATIENCE,
            connections=self._connections,
            write_units_per_second=self._write_units_per_second,
            clock=time.monotonic,
            sleep=time.sleep,
            random=random.random,
            executor=self._threads,
            send_rates=self._send_rates,
            feed=self._feed,
            unchanged=self._unchanged,
        )
        outcome = self._run.write(first)
        self._collect()
        self._finish(outcome)

    def _feed(self) -> Sequence[Operation]:
        """Called by the run each time that a call has come back."""
        self._collect()
        room = WINDOW - len(self._open)
        with self._changed:
            waiting = len(self._inbox)
            # A call that is not full costs as much as one that is; where nothing else is on its way `_first` waits.
            if not waiting or not room or (waiting < MAX_REQUESTS and self._open and not self._is_hurried):
                return ()
        return self._taken(room)

    def _taken(self, most: int) -> Sequence[Operation]:
        with self._changed:
            taken = self._inbox.take(most)
            self._open.update(taken)
            if taken and self._inbox.may_go_on:
                self._changed.notify_all()
        return [operation for operation, _ in taken]

    def _collect(self) -> None:
        outcome = self._run.outcome
        if not (outcome.written or outcome.superseded or outcome.conditions_failed):
            return
        self._deadline = time.monotonic() + self._timeout
        done = self._run.collect(self._deadline)
        with self._changed:
            unchanged = done.written & done.by_reading
            self._end_all(unchanged, "unchanged")
            self._end_all(done.written - unchanged if unchanged else done.written, "written")
            self._end_all(done.superseded, "superseded")
            self._end_all(done.conditions_failed, "condition-failed")
            self._count(outcome)
            self._changed.notify_all()
        self._progress()

    def _finish(self, outcome: WriteOutcome) -> None:
        """The run is over: what it has not written is rejected, or was not taken in time."""
        error = None if outcome.error is None else str(outcome.error)
        with self._changed:
            if error is None:
                for operation, rejection in outcome.rejected.items():
                    self._end(self._open.pop(operation), "rejected", rejection)
            for operation, words in outcome.denied.items():
                if (denied := self._open.pop(operation, None)) is not None:
                    self._end(denied, "not-written", Rejection("", words))
            self._count(outcome)
            is_given_up = bool(self._open) and time.monotonic() >= self._deadline
            why = error or outcome.trouble or "an earlier write of the same item was not written"
            for left in self._open.values():
                self._end(left, "not-written", Rejection("", why))
            self._open.clear()
            self._changed.notify_all()
        if error is not None or is_given_up:
            self._stop(error or f"the table took nothing for {self._timeout:g} s: {why}")
        self._progress(is_last=True)

    def _stop(self, why: str) -> None:
        """Nothing is tried any more; whoever waits is told."""
        with self._changed:
            self.error = WriterStoppedError(f"the writer has stopped: {why}")
            self._inbox.is_stopped = self._inbox.is_closed = True
            left = [*self._open.values(), *(outcome for _, outcome in self._inbox.take(len(self._inbox)))]
            self._open.clear()
            for outcome in left:
                self._end(outcome, "not-written", Rejection("", why))
            self._changed.notify_all()
        self._tell_all()

    def _count(self, outcome: WriteOutcome) -> None:
        """Figures since the last time; the lists behind them are emptied, as a stream has no end."""
        result = self.result
        result.calls += len(outcome.latencies)
        result.write_units += outcome.consumed
        result.throttled_calls += outcome.throttled_calls
        result.unprocessed += outcome.unprocessed
        outcome.latencies.clear()
        outcome.batch_fills.clear()
        outcome.consumed = outcome.throttled_calls = outcome.unprocessed = 0

    def _end_all(self, operations: Iterable[Operation], status: Status) -> None:
        opened = self._open
        for operation in operations:
            self._end(opened.pop(operation), status)

    def _end(self, outcome: Outcome, status: Status, why: Rejection | None = None) -> None:
        self._settle(outcome, status, why)
        if self._on_outcome is not None:
            self._to_tell.append(outcome)
            self.to_be_told += 1

    def _settle(self, outcome: Outcome, status: Status, why: Rejection | None) -> None:
        if why is not None:
            outcome.code, outcome.message = why.code, why.message
        outcome.status = status
        self.ended += 1
        self.result.count(outcome)

    # The caller's own functions, never under the lock: they may give more.

    @property
    def is_calling_here(self) -> bool:
        """Whether this thread is within one of them."""
        return threading.get_ident() in self._callers

    def tell(self, outcome: Outcome) -> None:
        """What has become of one."""
        if self._on_outcome is not None:
            self._call(self._on_outcome, outcome)

    def _tell_all(self) -> None:
        if not self._to_tell:
            return
        while self._to_tell:
            try:
                self.tell(self._to_tell.popleft())
            finally:
                self.told += 1
        with self._changed:
            self._changed.notify_all()

    def _progress(self, *, is_last: bool = False) -> None:
        self._tell_all()
        if self._on_progress is None:
            return
        now = time.monotonic()
        if is_last or now - self._told_at >= PROGRESS:
            self._told_at = now
            with self._changed:
                result = self.result.copied()
            self._call(self._on_progress, result)

    def _call(self, callback: Callable[[T], object], argument: T) -> None:
        thread = threading.get_ident()
        is_within = thread in self._callers
        self._callers.add(thread)
        try:
            callback(argument)
        except Exception:  # It must not stop the writing.
            logger.exception("a callback of the writer's raised")
        finally:
            if not is_within:
                self._callers.discard(thread)
