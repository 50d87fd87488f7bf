"""The only SQS calls: dead letters, and the visibility of what is returned.

Limits: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

import msgspec

from .answer import Answer, NoAnswer, NotConfigured, Refusal
from .dead_letters import MAX_MESSAGE_BYTES, DeadLetter
from .in_flight import Executor, Running, Submit
from .route import Call
from .threads import Threads

PREFIX = "AmazonSQS."  # Of X-Amz-Target.
MAX_ENTRIES = 10

T = TypeVar("T")
Entries = list[dict[str, Any]]
"""Of one call."""


class SqsCalls(Protocol):
    def begin(self, call: Call, seconds: float, submit: Submit) -> Running[Answer]: ...
    def has_room(self, in_flight: int) -> bool: ...
    @property
    def renew(self) -> Callable[[], object]: ...


class Sent(msgspec.Struct):
    """Which entries, by position, SQS took; and why it did not take others."""

    taken: set[int] = msgspec.field(default_factory=set)
    failures: list[str] = msgspec.field(default_factory=list)

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
    """Sends dead letters, and delays what is returned. `url` is where queues are known by account and name."""

    def __init__(
        self,
        sqs: SqsCalls,
        url: Callable[[], str],
        *,
        connections: int = 8,
        clock: Callable[[], float] = time.monotonic,
        executor: Callable[[int], Executor] | None = None,
    ) -> None:
        self._sqs = sqs
        self._url = url
        self._clock = clock
        self._connections = connections
        self._executor = executor or Threads()

    def send(self, url: str, letters: Iterable[DeadLetter], *, until: float) -> Sent:
        """Send dead letters; what is not known to be sent by the time `until` counts as not sent.

        No letter is asked for before its batch can be sent, and none once the time is over.
        """
        is_fifo = url.endswith(".fifo")
        entries = ((letter.entry(position, is_fifo), letter.size) for position, letter in enumerate(letters))
        return self._in_parallel(_SEND, url, _packed(entries), until)

    def delay(self, queue_arn: str, receipts: Iterable[tuple[str, int]], *, until: float) -> Sent:
        """Let returned messages (receipt handle, seconds) be received again only after their seconds."""
        entries = (
            ({"Id": str(position), "ReceiptHandle": receipt, "VisibilityTimeout": seconds}, 0)
            for position, (receipt, seconds) in enumerate(receipts)
        )
        account, name = queue_arn.split(":")[4:6]
        return self._in_parallel(_DELAY, f"{self._url()}/{account}/{name}", _packed(entries), until)

    def _in_parallel(self, action: _Action, url: str, batches: Iterator[Entries], until: float) -> Sent:
        """Each batch is tried twice where that may help."""
        sent, has_renewed = Sent(), False
        executor = self._executor(self._connections)
        left: Iterator[tuple[Entries, bool]] = ((entries, False) for entries in batches)
        # As many at a time as there are connections, or as may be made, so that nothing is still waiting to be sent at
        # the end; one at least, whoever else is connecting.
        while True:
            calls: dict[Running[Answer], tuple[Entries, bool]] = {}
            while not calls or (len(calls) < self._connections and self._sqs.has_room(len(calls))):
                is_over = self._clock() >= until
                if (following := next(left, None)) is None:
                    break
                if is_over:
                    sent.failures.append("no time was left for more")
                    break
                call = _call(action, {"QueueUrl": url, "Entries": following[0]})
                calls[self._sqs.begin(call, until - self._clock(), executor.submit)] = following
            finished = executor.wait(calls, max(0.0, until - self._clock()), for_all=True) if calls else ()
            if len(finished) < len(calls):
                sent.failures.append("SQS did not answer in time")
            again: list[tuple[Entries, bool]] = []
            for each in finished:
                answer, (entries, is_again) = each.result(), calls[each]
                if _may_pass(answer) and not is_again:
                    again.append((entries, True))
                else:
                    sent.learn(answer, entries)
                if isinstance(answer, Refusal) and answer.is_out_of_date and not has_renewed:
                    has_renewed = True
                    self._sqs.renew()
            if not calls or len(finished) < len(calls):
                return sent
            left = itertools.chain(again, left)


class _Action(NamedTuple):
    """What it is called by the API, and by boto3."""

    name: str
    method: str


_SEND = _Action("SendMessageBatch", "send_message_batch")
_TOO_FAST = frozenset({"RequestThrottled", "ThrottlingException", "Throttling", "KmsThrottled", "OverLimit"})
_DELAY = _Action("ChangeMessageVisibilityBatch", "change_message_visibility_batch")


def _call(action: _Action, request: Mapping[str, Any]) -> Call:
    return Call(
        action.name,
        msgspec.json.encode(request),
        lambda boto, seconds: boto.call_sqs(action.method, request, seconds),
    )


def _may_pass(answer: Answer) -> bool:
    """Whether the call is worth another try: it was not answered, too fast, signed too late, or SQS was in trouble."""
    if isinstance(answer, Refusal):
        return answer.is_out_of_date or answer.status >= 500 or answer.code in _TOO_FAST
    return isinstance(answer, NoAnswer)


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
