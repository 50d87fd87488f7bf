"""What SQS is told at the end of an invocation: dead letters, and when returned messages become visible again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from sluice.aws.dead_letters import DeadLetter, dead_letter, rejected_body
from sluice.aws.queue import Queue
from sluice.message import records
from sluice.message.decoder import Message
from sluice.message.redelivery import visibility
from sluice.message.settings import Settings

from .fates import Bad


class Notices:
    """Sends both kinds until a given time; `failures` says of each that was not sent why."""

    def __init__(self, settings: Settings, queue: Queue, random: Callable[[], float]) -> None:
        self._url = settings.dead_letter_queue_url
        self._carries_whole_body = settings.record_expression is not None
        self._queue = queue
        self._random = random

    def dead_letters(self, rejected: Mapping[Message, Bad], failures: list[str], until: float) -> set[Message]:
        """Returns the messages whose dead letter SQS has confirmed."""
        if self._url is None or not rejected:
            return set()
        of_letters: list[Message] = []

        def letters() -> Iterator[DeadLetter]:
            """One by one as they can be sent: to make them all may take more time than there is."""
            for message, bad in rejected.items():
                letter = self._dead_letter(message, bad)
                if letter is None:
                    failures.append(f"message {message.id} is too large for a dead letter with its reason")
                else:
                    of_letters.append(message)
                    yield letter

        sent = self._queue.send(self._url, letters(), until=until)
        failures += [f"dead letter not sent: {failure}" for failure in sent.failures]
        return {message for position, message in enumerate(of_letters) if position in sent.taken}

    def _dead_letter(self, message: Message, bad: Bad) -> DeadLetter | None:
        body = rejected_body(message, [source for source, _ in bad], self._carries_whole_body)
        return dead_letter(message.record, body, [rejection for _, rejection in bad])

    def visibilities(self, returned: Sequence[Message], failures: list[str], until: float) -> None:
        """Hides each returned message for a random time that grows with its receives."""
        of_queue: dict[str, list[Message]] = {}
        of_group: dict[str, int] = {}
        for message in returned:
            queue_arn = records.queue_arn(message.record)
            if queue_arn and records.receipt(message.record):
                of_queue.setdefault(queue_arn, []).append(message)
            else:
                failures.append("visibility not set: a record without a receiptHandle or an eventSourceARN")

        def receipts(messages: Sequence[Message]) -> Iterator[tuple[str, int]]:
            """One by one, as the dead letters."""
            for message in messages:
                seconds = visibility(message.receive_count, self._random())
                if message.group is not None:  # Its messages come back together, or the order would be lost.
                    seconds = of_group.setdefault(message.group, seconds)
                yield records.receipt(message.record), seconds

        for queue_arn, messages in of_queue.items():
            changed = self._queue.delay(queue_arn, receipts(messages), until=until)
            failures += [f"visibility not set: {failure}" for failure in changed.failures]
