"""The steps on one screen: decode → check → plan → write → report."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from random import random as any_chance
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field

from sluice.aws.in_flight import Executor
from sluice.aws.queue import Queue
from sluice.aws.threads import Threads
from sluice.message.decoder import Decoder, Message
from sluice.message.errors import NothingWrittenError, SettingsError, SluiceError
from sluice.message.operation import Operation, Rejection
from sluice.message.settings import Settings
from sluice.writing import refusals
from sluice.writing.calls import TablePort
from sluice.writing.outcome import WriteOutcome
from sluice.writing.send_rate import SendRate
from sluice.writing.writer import Writer

from . import fates
from .fifo import Groups
from .notices import Notices

if TYPE_CHECKING:
    from sluice.writing.unchanged import ReadPort, Unchanged

TIME_TO_ANSWER = 1.0
"""Seconds before the function's timeout at which SQS is no longer waited for; what follows may take half of it."""
MAX_SHARE_TO_ANSWER = 0.6  # Of a small DEADLINE_MARGIN.


class Outcome(Struct):
    """What became of an invocation. Every message is in exactly one of `written`, `dead_lettered`, `returned`."""

    received: Sequence[Message]
    written: list[Message]
    dead_lettered: list[Message]
    returned: list[Message]
    operations: WriteOutcome
    rejections: list[tuple[Message, Sequence[Rejection]]]
    """Every message with bad operations, and what is wrong with them."""
    failures: list[str] = field(default_factory=list)
    """Dead letters that were not sent, visibilities that were not set: why."""
    error: SluiceError | None = None
    """Raised by the handler once the metrics are out; everything is back on the queue then."""

    @property
    def item_failures(self) -> list[dict[str, str]]:
        """The partial batch response: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html"""
        return [{"itemIdentifier": id} for id in dict.fromkeys(message.id for message in self.returned)]


class Pipeline:
    """Made once at cold start; of an invocation it keeps for the next how fast each table may be written."""

    def __init__(
        self,
        settings: Settings,
        table: TablePort,
        queue: Queue,
        *,
        reads: ReadPort | None = None,
        region: str | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        random: Callable[[], float] = any_chance,
        executor: Callable[[int], Executor] | None = None,
    ) -> None:
        self._settings = settings
        self._decoder = Decoder(settings, region)
        self._table = table
        self._notices = Notices(settings, queue, random)
        self._clock = clock
        self._sleep = sleep
        self._random = random
        self._executor = executor or Threads()
        self._send_rates: dict[str, SendRate] = {}
        """By table. The table is the same for the next invocation, and its limit too; an old send rate is forgotten."""
        self._unchanged: Unchanged | None = None
        """Which items are worth a read before they are written."""
        if reads is not None:
            from sluice.writing.unchanged import Unchanged  # Most functions never read.

            self._unchanged = Unchanged(reads, settings.tables)

    def run(self, event: Iterable[Any], time_left: float, account: str | None = None) -> Outcome:
        """Handle the records of one SQS event in the `time_left` seconds until the function's timeout.

        `account` is the function's own: a table ARN of another one is not one of its tables.
        Raises `EventError` or `SettingsError` before anything is written; what goes wrong later is in the outcome.
        """
        ends = self._clock() + time_left
        margin = self._settings.deadline_margin
        to_answer = min(TIME_TO_ANSWER, margin * MAX_SHARE_TO_ANSWER)
        if time_left <= margin:
            text = (
                f"DEADLINE_MARGIN must be less than the function's timeout, got {margin:g} with {time_left:.1f} s left"
            )
            raise SettingsError(text)
        if account is not None:
            self._decoder.is_in(account)
        received = self._decoder.decode_all(event)
        are_dead_lettered = self._settings.dead_letter_queue_url is not None
        groups = Groups(received, are_dead_lettered=are_dead_lettered)

        def after(ended: Sequence[Operation], so_far: WriteOutcome) -> Sequence[Operation]:
            if not are_dead_lettered:  # The message of what is refused will be returned, and holds its group.
                ended = [operation for operation in ended if not self._is_refused(operation, so_far)]
            return groups.after(ended)

        by_id: dict[str, Message] = {}

        def is_last_try(operation: Operation) -> bool:
            if not by_id:  # Most invocations never ask.
                by_id.update((message.id, message) for message in received)
            return by_id[operation.source.message_id].receive_count >= refusals.MAX_EARLY_RECEIVES

        writer = Writer(
            self._table,
            deadline=ends - margin,
            patience=(margin - to_answer) / 2,
            connections=self._settings.max_connections,
            write_units_per_second=self._settings.max_write_units_per_second,
            clock=self._clock,
            sleep=self._sleep,
            random=self._random,
            executor=self._executor,
            send_rates=self._send_rates,
            within_message=groups.are_ordered,
            after=after if groups.are_ordered else None,
            is_last_try=is_last_try,
            unchanged=self._unchanged,
        )
        return self._report(received, writer.write(groups.first()), ends - to_answer)

    def _report(self, received: Sequence[Message], written: WriteOutcome, until: float) -> Outcome:
        refused = {} if written.error is not None else self._refused(written)
        rejections = fates.rejections(received, refused)
        outcome = Outcome(received, [], [], [], written, [(m, [r for _, r in bad]) for m, bad in rejections.items()])
        if written.error is not None:  # Dead letters are sent last, so that an invocation that raises has sent none.
            outcome.returned = list(received)
            outcome.error = written.error
            return outcome
        ended = written.ended
        if not rejections and fates.are_all_settled(received, ended):
            outcome.written = list(received)
            return outcome
        outcome.failures += [message.unreadable for message in received if message.unreadable]
        settled = fates.settled(received, ended)
        bad = {message: why for message, why in rejections.items() if message in settled}
        sent = self._notices.dead_letters(bad, outcome.failures, until)
        outcome.written, outcome.dead_lettered, outcome.returned = fates.decided(received, settled, rejections, sent)
        self._notices.visibilities(outcome.returned, outcome.failures, until)
        is_nothing_done = not outcome.written and not outcome.dead_lettered
        if written.trouble and is_nothing_done and not settled.issuperset(received):
            outcome.error = NothingWrittenError(f"nothing of {len(received)} messages was written: {written.trouble}")
        return outcome

    def _refused(self, written: WriteOutcome) -> dict[Operation, Rejection]:
        """What is to be dead-lettered: failed conditions only if so wished, a stale version never."""
        failed = Rejection("ConditionFailed", "the condition does not hold")
        return written.rejected | {o: failed for o in written.conditions_failed if self._is_refused(o, written)}

    def _is_refused(self, operation: Operation, written: WriteOutcome) -> bool:
        wished = self._settings.on_condition_failed == "dead-letter"
        return operation in written.rejected or (wished and written.conditions_failed.get(operation) is False)
