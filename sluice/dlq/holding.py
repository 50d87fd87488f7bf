"""Receives dead letters and holds them, so that each comes once; lets go at the end of those that are to stay."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from sluice.cli import say

from .letters import Letter, letter

MAX_ENTRIES = 10  # Of one call (ReceiveMessage, DeleteMessageBatch, ChangeMessageVisibilityBatch API references).
WAIT = 1
"""Seconds; a long poll asks all of SQS's servers, a short one only some of them (ReceiveMessage API reference)."""
EMPTY, KNOWN = 2, 100
"""Empty answers in a row after which there are no more letters; answers of known letters alone, that have come back."""
ATTEMPTS = 5
"""To delete a letter that has been sent again."""


class Holding:
    """One look through a dead-letter queue, to be used as a context. Not thread-safe.

    `visibility` is for how many seconds a letter is hidden from others; should this program be killed, they come back
    by themselves after that time.
    """

    def __init__(
        self, sqs: Any, url: str, *, visibility: int, limit: int | None = None, check: Callable[[], None] = lambda: None
    ) -> None:
        self._sqs, self._url = sqs, url
        self._visibility = visibility
        self._limit = limit
        self._check = check
        self._handles: dict[str, str] = {}
        """Those that are held: id → newest receipt handle."""
        self._seen: set[str] = set()
        self.is_at_end = False
        """The queue has nothing left to give, and nothing was left out because of `limit`."""

    @property
    def seen(self) -> int:
        return len(self._seen)

    def __enter__(self) -> Holding:
        return self

    def __exit__(self, *_: object) -> None:
        self.let_go()

    def batches(self) -> Iterator[list[Letter]]:
        """Letters that have not been seen, up to ten at a time, in the order in which the queue gives them."""
        empty, known = 0, 0
        while empty < EMPTY and known < KNOWN:
            self._check()
            room = MAX_ENTRIES if self._limit is None else min(MAX_ENTRIES, self._limit - self.seen)
            if room <= 0:
                return
            answer = self._sqs.receive_message(
                QueueUrl=self._url,
                MaxNumberOfMessages=room,
                VisibilityTimeout=self._visibility,
                WaitTimeSeconds=WAIT,
                MessageSystemAttributeNames=["All"],
                MessageAttributeNames=["All"],
            )
            found = [letter(message) for message in answer.get("Messages", ())]
            self._handles |= {one.id: one.receipt_handle for one in found}
            new = [one for one in found if one.id not in self._seen]
            self._seen |= {one.id for one in new}
            empty = 0 if found else empty + 1
            known = 0 if new else known + bool(found)
            if new:
                yield new
        self.is_at_end = empty == EMPTY

    def delete(self, ids: Sequence[str]) -> set[str]:
        """Delete letters that are held; the ids of those that could not be deleted."""
        left = list(ids)
        for _ in range(ATTEMPTS):
            if not left:
                break
            left = [id for group in _tens(left) for id in self._undeleted(group)]
        for id in set(ids) - set(left):
            self._handles.pop(id, None)
        return set(left)

    def let_go(self) -> None:
        """Make all that are held visible again."""
        for group in _tens(list(self._handles.values())):
            entries = [
                {"Id": str(number), "ReceiptHandle": handle, "VisibilityTimeout": 0}
                for number, handle in enumerate(group)
            ]
            try:
                self._sqs.change_message_visibility_batch(QueueUrl=self._url, Entries=entries)
            except (BotoCoreError, ClientError) as error:
                say(f"Some letters stay hidden for up to {self._visibility} seconds: {error}")
                break
        self._handles.clear()

    def _undeleted(self, ids: Sequence[str]) -> list[str]:
        entries = [{"Id": str(number), "ReceiptHandle": self._handles[id]} for number, id in enumerate(ids)]
        try:
            answer = self._sqs.delete_message_batch(QueueUrl=self._url, Entries=entries)
        except (BotoCoreError, ClientError):  # Whoever asked is told by what is left.
            return list(ids)
        gone = {int(entry["Id"]) for entry in answer.get("Successful", ())}
        return [id for number, id in enumerate(ids) if number not in gone]


def _tens(values: Sequence[str]) -> Iterator[Sequence[str]]:
    return (values[start : start + MAX_ENTRIES] for start in range(0, len(values), MAX_ENTRIES))
