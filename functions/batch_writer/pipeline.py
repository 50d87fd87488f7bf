"""The steps on one screen: decode → check → plan → write → report."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import random as any_chance
from typing import Any

from sluice.aws import dead_letters
from sluice.aws.dead_letters import DeadLetter, dead_letter
from sluice.aws.in_flight import Executor
from sluice.aws.queue import Queue
from sluice.aws.threads import Threads
from sluice.message import records
from sluice.message.decoder import Decoder, Message
from sluice.message.errors import NothingWrittenError, SettingsError, SluiceError
from sluice.message.operation import Operation, Rejection, Source
from sluice.message.redelivery import visibility
from sluice.message.settings import Settings
from sluice.writing import refusals
from sluice.writing.send_rate import SendRate
from sluice.writing.writer import TablePort, WriteOutcome, Writer

from .fifo import Groups

Bad = Sequence[tuple[Source | None, Rejection]]
"""What is wrong with a message: the place of each bad operation (None: the whole body), and the reason."""

TIME_TO_ANSWER = 1.0
"""Seconds before the function's timeout at which SQS is no longer waited for; what follows may take half of it."""
MAX_SHARE_TO_ANSWER = 0.6  # Of a small DEADLINE_MARGIN.


@dataclass(slots=True)
class Outcome:
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
        region: str | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        random: Callable[[], float] = any_chance,
        executor: Callable[[int], Executor] | None = None,
    ) -> None:
        self._settings = settings
        self._decoder = Decoder(settings, region)
        self._table = table
        self._queue = queue
        self._clock = clock
        self._sleep = sleep
        self._random = random
        self._executor = executor or Threads()
        self._paces: dict[str, SendRate] = {}
        """By table. The table is the same for the next invocation, and its limit too; an old pace is forgotten."""

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
        received = [self._decoder.decode(records.from_sqs(record)) for record in event]
        are_dead_lettered = self._settings.dead_letter_queue_url is not None
        groups = Groups(received, are_dead_lettered=are_dead_lettered)
        writer = self._writer()

        def after(operation: Operation) -> Iterable[Operation]:
            if not are_dead_lettered and self._is_refused(operation, writer.outcome):
                return ()  # Its message will be returned, and holds its group.
            return groups.after(operation)

        by_id: dict[str, Message] = {}

        def is_last_try(operation: Operation) -> bool:
            if not by_id:  # Most invocations never ask.
                by_id.update((message.id, message) for message in received)
            return by_id[operation.source.message_id].receive_count >= refusals.MAX_EARLY_RECEIVES

        written = writer.write(
            groups.first(),
            deadline=ends - margin,
            patience=(margin - to_answer) / 2,
            within_message=groups.are_ordered,
            after=after if groups.are_ordered else None,
            is_last_try=is_last_try,
        )
        return self._report(received, written, ends - to_answer)

    def _writer(self) -> Writer:
        return Writer(
            self._table,
            connections=self._settings.max_connections,
            write_units_per_second=self._settings.max_write_units_per_second,
            clock=self._clock,
            sleep=self._sleep,
            random=self._random,
            executor=self._executor,
            paces=self._paces,
        )

    def _report(self, received: Sequence[Message], written: WriteOutcome, until: float) -> Outcome:
        refused = {} if written.error is not None else self._refused(written)
        rejections = {
            message: bad
            for message in received
            if (refused or message.rejected) and (bad := _rejections(message, refused))
        }
        outcome = Outcome(received, [], [], [], written, [(m, [r for _, r in bad]) for m, bad in rejections.items()])
        if written.error is not None:  # Dead letters are sent last, so that an invocation that raises has sent none.
            outcome.returned = list(received)
            outcome.error = written.error
            return outcome
        ended = written.ended
        outcome.failures += [message.unreadable for message in received if message.unreadable]
        is_all_done = ended.issuperset([operation for message in received for operation in message.operations])
        if is_all_done and not rejections and not outcome.failures:
            outcome.written = list(received)  # The usual: all is proven done.
            return outcome
        settled = _in_order(received, lambda message: not message.unreadable and ended.issuperset(message.operations))
        sent = self._send_dead_letters([(m, bad) for m, bad in rejections.items() if m in settled], outcome, until)
        # Failed by subtraction: whatever is not proven done goes back.
        proven = _in_order(
            received, lambda message: message in settled and (message not in rejections or message in sent)
        )
        outcome.written = [message for message in received if message in proven and message not in rejections]
        outcome.dead_lettered = [message for message in received if message in proven and message in rejections]
        outcome.returned = [message for message in received if message not in proven]
        self._delay(outcome, until)
        if written.trouble and not proven and not settled.issuperset(received):
            outcome.error = NothingWrittenError(f"nothing of {len(received)} messages was written: {written.trouble}")
        return outcome

    def _refused(self, written: WriteOutcome) -> dict[Operation, Rejection]:
        """What is to be dead-lettered: failed conditions only if so wished, a stale version never."""
        failed = Rejection("ConditionFailed", "the condition does not hold")
        return written.rejected | {o: failed for o in written.conditions_failed if self._is_refused(o, written)}

    def _is_refused(self, operation: Operation, written: WriteOutcome) -> bool:
        wished = self._settings.on_condition_failed == "dead-letter"
        return operation in written.rejected or (wished and written.conditions_failed.get(operation) is False)

    def _send_dead_letters(
        self, rejected: Sequence[tuple[Message, Bad]], outcome: Outcome, until: float
    ) -> set[Message]:
        """Returns the messages whose dead letter SQS has confirmed."""
        url = self._settings.dead_letter_queue_url
        if url is None or not rejected:
            return set()
        of_letters: list[Message] = []

        def letters() -> Iterator[DeadLetter]:
            """One by one as they can be sent: to make them all may take more time than there is."""
            for message, bad in rejected:
                letter = self._dead_letter(message, bad)
                if letter is None:
                    outcome.failures.append(f"message {message.id} is too large for a dead letter with its reason")
                else:
                    of_letters.append(message)
                    yield letter

        sent = self._queue.send(url, letters(), until=until)
        outcome.failures += [f"dead letter not sent: {failure}" for failure in sent.failures]
        return {message for position, message in enumerate(of_letters) if position in sent.taken}

    def _dead_letter(self, message: Message, bad: Bad) -> DeadLetter | None:
        whole = self._settings.record_expression is not None
        body = dead_letters.rejected_body(message, [source for source, _ in bad], whole)
        return dead_letter(message.record, body, [rejection for _, rejection in bad])

    def _delay(self, outcome: Outcome, until: float) -> None:
        of_queue: dict[str, list[Message]] = {}
        of_group: dict[str, int] = {}
        for message in outcome.returned:
            queue_arn = records.queue_arn(message.record)
            if queue_arn and records.receipt(message.record):
                of_queue.setdefault(queue_arn, []).append(message)
            else:
                outcome.failures.append("visibility not set: a record without a receiptHandle or an eventSourceARN")

        def receipts(returned: Sequence[Message]) -> Iterator[tuple[str, int]]:
            """One by one, as the dead letters."""
            for message in returned:
                seconds = visibility(message.receive_count, self._random())
                if message.group is not None:  # Its messages come back together, or the order would be lost.
                    seconds = of_group.setdefault(message.group, seconds)
                yield records.receipt(message.record), seconds

        for queue_arn, returned in of_queue.items():
            changed = self._queue.delay(queue_arn, receipts(returned), until=until)
            outcome.failures += [f"visibility not set: {failure}" for failure in changed.failures]


def _in_order(received: Sequence[Message], is_done: Callable[[Message], bool]) -> set[Message]:
    """The messages that are done; in a FIFO group none after the first that is not."""
    done: set[Message] = set()
    held: set[str] = set()
    for message in received:
        if message.group not in held and is_done(message):
            done.add(message)
        elif message.group is not None:
            held.add(message.group)
    return done


def _rejections(message: Message, refused: Mapping[Operation, Rejection]) -> Bad:
    """(source, rejection) of every bad operation of the message, in the order of its body."""
    bad = [*message.rejected, *((o.source, refused[o]) for o in message.operations if o in refused)]
    if len(bad) > 1:
        place = {source: number for number, source in enumerate(message.sources)}
        bad.sort(key=lambda each: place[each[0]] if each[0] is not None else -1)
    return bad
