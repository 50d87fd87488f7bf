"""The only SQS calls: dead letters, and the visibility of what is returned.

Limits: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from .answer import Answer, NoAnswer, NotConfigured, Refusal
from .dead_letters import MAX_MESSAGE_BYTES, DeadLetter
from .in_flight import Executor, Running
from .threads import Threads

MAX_ENTRIES = 10

T = TypeVar("T")
Entries = list[dict[str, Any]]
"""Of one call."""


class SQSClient(Protocol):
    @property
    def meta(self) -> Any: ...
    def send_message_batch(self, **request: Any) -> Any: ...
    def change_message_visibility_batch(self, **request: Any) -> Any: ...


@dataclass(slots=True)
class Sent:
    """Which entries, by position, SQS took; and why it did not take others."""

    taken: set[int] = field(default_factory=set)
    failures: list[str] = field(default_factory=list)

    def learn(self, answer: Answer, entries: Entries) -> None:
        """What a call came to. An entry is taken if the answer names it, once, and among those that succeeded."""
        if isinstance(answer, Refusal | NoAnswer | NotConfigured):
            self.failures.append(answer.name if isinstance(answer, Refusal) else answer.reason)
            return
        successful, failed = _named(answer, "Successful"), _named(answer, "Failed")
        named = [str(entry.get("Id")) for entry in (*successful, *failed)]
        unnamed = {entry["Id"] for entry in entries}.difference(named)
        if len(named) + len(unnamed) != len(entries):
            self.failures.append("an answer about other entries than were sent")
            return
        self.taken.update(int(entry["Id"]) for entry in successful)
        self.failures += [Refusal(str(entry.get("Code", "Failed")), "").name for entry in failed]
        self.failures += ["an answer that says nothing of it"] * len(unnamed)


class Queue:
    """SQS through boto3. The client is made when it is first needed: most invocations have nothing to report."""

    def __init__(
        self,
        client: Callable[[], SQSClient],
        *,
        connections: int = 8,
        clock: Callable[[], float] = time.monotonic,
        executor: Callable[[int], Executor] | None = None,
        renew: Callable[[], object] = lambda: None,
    ) -> None:
        self._client = client
        self._renew = renew
        self._clock = clock
        self._connections = connections
        self._executor = executor or Threads()

    def send(self, url: str, letters: Iterable[DeadLetter], *, until: float) -> Sent:
        """Send dead letters; what is not known to be sent by the time `until` counts as not sent.

        No letter is asked for before its batch can be sent, and none once the time is over.
        """
        is_fifo = url.endswith(".fifo")
        entries = ((letter.entry(position, is_fifo), letter.size) for position, letter in enumerate(letters))
        return self._in_parallel("send_message_batch", _packed(entries), lambda _: url, until)

    def delay(self, queue_arn: str, receipts: Iterable[tuple[str, int]], *, until: float) -> Sent:
        """Let returned messages (receipt handle, seconds) be received again only after their seconds."""
        entries = (
            ({"Id": str(position), "ReceiptHandle": receipt, "VisibilityTimeout": seconds}, 0)
            for position, (receipt, seconds) in enumerate(receipts)
        )
        account, name = queue_arn.split(":")[4:6]

        def url(client: SQSClient) -> str:
            return f"{str(client.meta.endpoint_url).rstrip('/')}/{account}/{name}"

        return self._in_parallel("change_message_visibility_batch", _packed(entries), url, until)

    def _in_parallel(
        self, action: str, batches: Iterator[Entries], url: Callable[[SQSClient], str], until: float
    ) -> Sent:
        sent, has_renewed = Sent(), False
        executor = self._executor(self._connections)

        def call(entries: Entries) -> Answer:
            from botocore.exceptions import BotoCoreError  # Loaded with the client, which is made when it is needed.

            from . import boto

            try:
                client = self._client()
            except BotoCoreError as error:  # SQS has settings of its own; what is written stays written.
                return NotConfigured(str(error))
            request = {"QueueUrl": url(client), "Entries": entries}
            return boto.answer(client, action, request, seconds=until - self._clock())

        # As many at a time as there are connections, so that nothing is still waiting to be sent at the end.
        is_over = False
        while not is_over:
            calls: dict[Running[Answer], Entries] = {}
            while len(calls) < self._connections and not is_over:
                if self._clock() >= until:
                    sent.failures.append("no time was left for more")
                    is_over = True
                elif (entries := next(batches, None)) is None:
                    is_over = True
                else:
                    calls[executor.submit(call, entries)] = entries
            refused: list[Entries] = []
            finished = executor.wait(calls, max(0.0, until - self._clock()), for_all=True)
            for each in finished:
                answer, entries = each.result(), calls[each]
                if isinstance(answer, Refusal) and answer.is_out_of_date and not has_renewed:
                    refused.append(entries)
                else:
                    sent.learn(answer, entries)
            if len(finished) < len(calls):
                sent.failures.append("SQS did not answer in time")
                break
            if refused:
                has_renewed = True
                self._renew()
                batches = itertools.chain(refused, batches)
                is_over = False
        return sent


def _named(answer: Mapping[str, Any], name: str) -> Sequence[Mapping[str, Any]]:
    entries = answer.get(name) or ()
    return [entry if isinstance(entry, dict) else {} for entry in entries] if isinstance(entries, list) else ()


def _packed(entries: Iterable[tuple[T, int]]) -> Iterator[list[T]]:
    """Batches of at most 10 entries and 1 MiB; each entry comes with its size in bytes."""
    batch: list[T] = []
    total = 0
    for entry, size in entries:
        if batch and (len(batch) == MAX_ENTRIES or total + size > MAX_MESSAGE_BYTES):
            yield batch
            batch, total = [], 0
        batch.append(entry)
        total += size
    if batch:
        yield batch
