"""The queue of messages as Lambda polls it, standard or FIFO: deliveries, redeliveries, duplicates, visibility."""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence

from .chance import Chance
from .workload import Message

VISIBILITY_TIMEOUT = 180.0
"""Seconds: six times the function's timeout, as the stack has it."""
MAX_FIFO_BATCH = 10  # Lambda takes no more from a FIFO queue.
MAX_DUPLICATE_SECONDS = 20.0
KINDS = ("delivered twice",)


class StandardQueue:
    def __init__(self, chance: Chance) -> None:
        self._chance = chance
        self._heap: list[tuple[float, int, int, Message]] = []
        """When visible, an order, the message's entry at the time (an older one no longer counts)."""
        self._order = 0

    def send(self, message: Message, now: float) -> None:
        self._show(message, now)

    def receive(self, count: int, now: float) -> list[Message]:
        received: list[Message] = []
        again: list[Message] = []
        while self._heap and self._heap[0][0] <= now and len(received) < count:
            _, _, entry, message = heapq.heappop(self._heap)
            if entry != message.queue_entry or message.is_acknowledged:
                continue
            _deliver(message)
            received.append(message)
            if self._chance.level and self._chance.hits("delivered twice", 0.002):
                again.append(message)
            else:
                self._show(message, now + VISIBILITY_TIMEOUT)
        for message in again:
            self._show(message, now + self._chance.random.uniform(0, MAX_DUPLICATE_SECONDS))
        return received

    def change_visibility(self, message: Message, receipt: str, seconds: float, now: float) -> None:
        """Only the last delivery's receipt hides a message."""
        if message.receipt == receipt and not message.is_acknowledged:
            self._show(message, now + seconds)

    def next_visible(self) -> float:
        while self._heap and (self._heap[0][2] != self._heap[0][3].queue_entry or self._heap[0][3].is_acknowledged):
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else math.inf

    def _show(self, message: Message, at: float) -> None:
        message.queue_entry += 1
        self._order += 1
        heapq.heappush(self._heap, (at, self._order, message.queue_entry, message))


class FifoQueue:
    """A group is locked while one of its messages is in flight."""

    def __init__(self, chance: Chance) -> None:
        self._chance = chance
        self._groups: dict[str, list[Message]] = {}
        self._flying: dict[str, list[Message]] = {}

    def send(self, message: Message, now: float) -> None:  # noqa: ARG002
        self._groups.setdefault(message.group, []).append(message)

    def receive(self, count: int, now: float) -> list[Message]:
        received: list[Message] = []
        names = [name for name in self._groups if self._visible_at(name) <= now]
        self._chance.random.shuffle(names)
        for name in names:
            waiting = self._groups[name] = [m for m in self._groups[name] if not m.is_acknowledged]
            room = min(count, MAX_FIFO_BATCH) - len(received)
            taken = waiting[: min(room, self._chance.random.choice((1, 3, 10)))]
            for message in taken:
                _deliver(message)
                message.visible_at = now + VISIBILITY_TIMEOUT
            if taken:
                self._flying[name] = taken
            else:
                self._flying.pop(name, None)
            if not waiting:
                del self._groups[name]
            received += taken
            if room <= len(taken):
                break
        return received

    def change_visibility(self, message: Message, receipt: str, seconds: float, now: float) -> None:
        if message.receipt == receipt and not message.is_acknowledged:
            message.visible_at = now + seconds

    def next_visible(self) -> float:
        return min(map(self._visible_at, self._groups), default=math.inf)

    def _visible_at(self, group: str) -> float:
        return max((m.visible_at for m in self._flying.get(group, ()) if not m.is_acknowledged), default=0.0)


Queue = StandardQueue | FifoQueue


def _deliver(message: Message) -> None:
    message.receives += 1
    message.receipt = f"{message.id}#{message.receives}"


def record(message: Message, queue_arn: str) -> dict[str, object]:
    """As Lambda hands it over."""
    attributes = {"ApproximateReceiveCount": str(message.receives), "SentTimestamp": "1700000000000"}
    if message.group:
        attributes["MessageGroupId"] = message.group
    return {
        "messageId": message.id,
        "receiptHandle": message.receipt,
        "body": message.body,
        "attributes": attributes,
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": queue_arn,
        "awsRegion": "us-east-1",
    }


def events(messages: Sequence[Message], queue_arn: str) -> list[dict[str, object]]:
    return [record(message, queue_arn) for message in messages]
