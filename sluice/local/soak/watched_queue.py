"""The queue as a poller sees it: everything is entered into the ledger, and SQS does all that it is allowed to do."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from .model import Ledger
from .stage import Stage, number_of

DUPLICATE_SHARE, FORGOTTEN_SHARE = 0.02, 0.02
"""Of the messages: delivered to a second receiver at the same time; an acknowledgement lost."""
NOTHING_THERE = 0.05
"""Seconds between polls of an empty queue."""


class WatchedQueue:
    """For one poller and one thread.

    Both disturbances are what at-least-once delivery allows for (SQSDeveloperGuide, standard-queues). `verify` is
    called with the numbers of the messages that are about to be acknowledged, those of all that are in hand with them,
    and the time since when they are.
    """

    def __init__(
        self,
        stage: Stage,
        ledger: Ledger,
        *,
        verify: Callable[[Sequence[int], Sequence[int], float], None],
        note: Callable[[str], None],
        happens: Callable[[float], bool],
        wait: Callable[[float], object],
    ) -> None:
        self._stage = stage
        self._ledger = ledger
        self._verify = verify
        self._note = note
        self._happens = happens
        self._wait = wait
        self.receiving_since: float | None = None
        """When the ReceiveMessage began that is under way."""
        self._in_hand: list[tuple[str, str, int]] = []
        """Message id, receipt handle and number of every delivery that is not over."""
        self._in_hand_since = 0.0

    def receive_message(self, **request: Any) -> Any:
        self.receiving_since = time.monotonic()
        if not self._in_hand:
            self._in_hand_since = self.receiving_since
        try:
            response = self._stage.receive(request)
            for message in response.get("Messages", []):
                number = number_of(message)
                self._ledger.received(number)
                self._in_hand.append((message["MessageId"], message["ReceiptHandle"], number))
        finally:
            self.receiving_since = None
        twice = {number_of(message): 0 for message in response.get("Messages", []) if self._happens(DUPLICATE_SHARE)}
        self._stage.delay(twice)
        for _ in twice:
            self._note("duplicates")
        if not response.get("Messages"):
            self._wait(NOTHING_THERE)
        return response

    def delete_message_batch(self, **request: Any) -> Any:
        kept: list[Any] = []
        failed: list[Any] = []
        for entry in request["Entries"]:
            (failed if self._happens(FORGOTTEN_SHARE) else kept).append(entry)
        for _ in failed:
            self._note("forgotten")
        number_by_handle = {handle: number for _, handle, number in self._in_hand}
        numbers = {entry["Id"]: number_by_handle[entry["ReceiptHandle"]] for entry in kept}
        self._verify(list(numbers.values()), list(number_by_handle.values()), self._in_hand_since)
        response = self._stage.delete(kept)
        for entry in response.get("Successful", []):
            self._ledger.acknowledged(numbers[entry["Id"]])
        return {"Successful": response.get("Successful", []), "Failed": [*failed, *response.get("Failed", [])]}

    def let_go(self, ids: Iterable[str]) -> list[int]:
        """The deliveries of these messages are over; returns the messages' numbers."""
        numbers = []
        for id in ids:
            position = next(position for position, (held, _, _) in enumerate(self._in_hand) if held == id)
            _, _, number = self._in_hand.pop(position)
            self._ledger.let_go(number, time.monotonic())
            numbers.append(number)
        return numbers
