"""How many of SQS's calls are made at once."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from concurrent.futures import Future
from typing import Any

import msgspec
import pytest

from sluice.aws.answer import Answer
from sluice.aws.in_flight import Running, Submit
from sluice.aws.queue import MAX_ENTRIES, Queue
from sluice.aws.route import Call

ARN = "arn:aws:sqs:us-east-1:123456789012:work"


class Sqs:
    """Takes everything, and has room for so many calls at once."""

    def __init__(self, room: int) -> None:
        self._room = room
        self._in_flight: set[Future[Answer]] = set()
        self.at_once: list[int] = []
        """Calls in flight, whenever they are waited for."""

    def has_room(self, in_flight: int) -> bool:
        assert in_flight == len(self._in_flight)
        return in_flight < self._room

    def begin(self, call: Call, seconds: float, submit: Submit) -> Running[Answer]:  # noqa: ARG002
        entries = msgspec.json.decode(call.body)["Entries"]
        taken: Future[Answer] = Future()
        taken.set_result({"Successful": [{"Id": entry["Id"]} for entry in entries]})
        self._in_flight.add(taken)
        return taken

    def renew(self) -> None:
        raise AssertionError("nothing was refused")

    def __call__(self, workers: int) -> Sqs:  # noqa: ARG002
        return self

    def submit(self, fn: Any, /, *args: Any) -> Any:  # noqa: ARG002
        raise AssertionError("nothing blocks")

    def wait(self, calls: Collection[Any], seconds: float, *, for_all: bool = False) -> Sequence[Any]:  # noqa: ARG002
        self.at_once.append(len(calls))
        self._in_flight.clear()
        return list(calls)


@pytest.mark.parametrize(
    ("connections", "room", "at_once"),
    [(8, 64, 8), (64, 8, 8), (5, 3, 3), (5, 0, 1)],
    ids=["connections", "room", "less room", "none, as others connect"],
)
def test_no_more_calls_are_begun_than_there_are_connections_and_room_for(
    connections: int, room: int, at_once: int
) -> None:
    sqs, count = Sqs(room), 100 * MAX_ENTRIES
    queue = Queue(sqs, lambda: "https://sqs", connections=connections, clock=lambda: 0.0, executor=sqs)

    sent = queue.delay(ARN, ((f"receipt-{n}", 5) for n in range(count)), until=1.0)

    assert sent.taken == set(range(count))
    assert sent.failures == []
    assert max(sqs.at_once) == at_once
