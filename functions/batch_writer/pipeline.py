"""The steps on one screen: decode → check → plan → write → report."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from random import random as any_chance
from typing import Any

from . import messages
from .errors import EventError, NothingWrittenError, SettingsError, SluiceError
from .messages import Decoder, Message
from .operation import Operation, Rejection, Source
from .pace import visibility
from .queue import DeadLetter, Queue, dead_letter
from .settings import Settings
from .writer import TablePort, Writer, Written

Bad = Sequence[tuple[Source | None, Rejection]]
"""What is wrong with a message: the place of each bad operation (None: the whole body), and the reason."""

LEAST_TIME_TO_REPORT = 0.25  # Seconds before the function's timeout at which SQS is no longer waited for.


@dataclass(slots=True)
class Outcome:
    """What became of an invocation. Every message is in exactly one of `written`, `dead_lettered`, `returned`."""

    received: Sequence[Message]
    written: list[Message]
    dead_lettered: list[Message]
    returned: list[Message]
    operations: Written
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
    """Made once at cold start; keeps nothing of one invocation for the next."""

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
        executor: Callable[[int], Executor] = ThreadPoolExecutor,
    ) -> None:
        self._settings = settings
        self._decoder = Decoder(settings, region)
        self._table = table
        self._queue = queue
        self._clock = clock
        self._sleep = sleep
        self._random = random
        self._executor = executor

    def run(self, records: Iterable[Mapping[str, Any]], time_left: float) -> Outcome:
        """Handle the records of one SQS event in the `time_left` seconds until the function's timeout.

        Raises `EventError` or `SettingsError` before anything is written; what goes wrong later is in the outcome.
        """
        ends = self._clock() + time_left
        margin = self._settings.deadline_margin
        if time_left <= margin:
            text = (
                f"DEADLINE_MARGIN must be less than the function's timeout, got {margin:g} with {time_left:.1f} s left"
            )
            raise SettingsError(text)
        received = [self._decoder.decode(_standard(record)) for record in records]
        written = self._writer().write(
            (operation for message in received for operation in message.operations),
            deadline=ends - margin,
            patience=margin / 2,
        )
        return self._report(received, written, ends - min(LEAST_TIME_TO_REPORT, margin / 10))

    def _writer(self) -> Writer:
        return Writer(
            self._table,
            connections=self._settings.max_connections,
            write_units_per_second=self._settings.max_write_units_per_second,
            clock=self._clock,
            sleep=self._sleep,
            random=self._random,
            executor=self._executor,
        )

    def _report(self, received: Sequence[Message], written: Written, until: float) -> Outcome:
        ended = written.ended
        rejected = [(message, bad) for message in received if (bad := _rejections(message, written.rejected))]
        outcome = Outcome(received, [], [], [], written, [(m, [r for _, r in bad]) for m, bad in rejected])
        if written.error is not None:  # Dead letters are sent last, so that an invocation that raises has sent none.
            outcome.returned = list(received)
            outcome.error = written.error
            return outcome
        settled = {message for message in received if ended.issuperset(message.operations)}
        bad_messages = {message for message, _ in rejected}
        outcome.written = [message for message in received if message in settled and message not in bad_messages]
        self._send_dead_letters([(m, bad) for m, bad in rejected if m in settled], outcome, until)
        # Failed by subtraction: whatever is not proven done goes back.
        proven = {*outcome.written, *outcome.dead_lettered}
        outcome.returned = [message for message in received if message not in proven]
        self._delay(outcome, until)
        if written.trouble and not proven and not settled.issuperset(received):
            outcome.error = NothingWrittenError(f"nothing of {len(received)} messages was written: {written.trouble}")
        return outcome

    def _send_dead_letters(
        self,
        rejected: Sequence[tuple[Message, Bad]],
        outcome: Outcome,
        until: float,
    ) -> None:
        url = self._settings.dead_letter_queue_url
        if url is None or not rejected:
            return
        letters: list[tuple[Message, DeadLetter]] = []
        for message, bad in rejected:
            letter = self._dead_letter(message, bad)
            if letter is None:
                outcome.failures.append(f"message {message.id} is too large for a dead letter with its reason")
            else:
                letters.append((message, letter))
        sent = self._queue.send(url, [letter for _, letter in letters], until=until)
        outcome.dead_lettered = [message for position, (message, _) in enumerate(letters) if position in sent.taken]
        outcome.failures += [f"dead letter not sent: {failure}" for failure in sent.failures]

    def _dead_letter(self, message: Message, bad: Bad) -> DeadLetter | None:
        whole = self._settings.record_expression is not None
        body = messages.rejected_body(message, [source for source, _ in bad], whole)
        return dead_letter(message.record, body, [rejection for _, rejection in bad])

    def _delay(self, outcome: Outcome, until: float) -> None:
        receipts: dict[str, list[tuple[str, int]]] = {}
        for message in outcome.returned:
            seconds = visibility(message.receive_count, self._random())
            receipts.setdefault(message.record["eventSourceARN"], []).append((message.record["receiptHandle"], seconds))
        for queue_arn, of_queue in receipts.items():
            changed = self._queue.delay(queue_arn, of_queue, until=until)
            outcome.failures += [f"visibility not set: {failure}" for failure in changed.failures]


def _rejections(message: Message, by_service: Mapping[Operation, Rejection]) -> Bad:
    """(source, rejection) of every bad operation of the message, in the order of its body."""
    bad = [*message.rejected, *((o.source, by_service[o]) for o in message.operations if o in by_service)]
    if len(bad) > 1:
        place = {source: number for number, source in enumerate(message.sources)}
        bad.sort(key=lambda each: place[each[0]] if each[0] is not None else -1)
    return bad


def _standard(record: Mapping[str, Any]) -> Mapping[str, Any]:
    if record.get("eventSource") != "aws:sqs":
        raise EventError(f"a record of eventSource {record.get('eventSource')!r} is not from SQS")
    if str(record.get("eventSourceARN", "")).endswith(".fifo"):
        raise EventError("FIFO queues are not supported by this version: the order of a group would not be kept")
    return record
