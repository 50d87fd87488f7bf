"""What happens in a playground, second by second: for `status`, for the terminal and for the dashboard page."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from sluice.local.dashboard.sampling import Notes, WatchedQueue
from sluice.local.deploy import Outputs

KEPT = 900.0
"""Seconds of the past that are kept."""
SPAN = 10.0
"""Seconds over which rates are averaged."""
COUNTED = (
    "MessagesWritten",
    "MessagesReturned",
    "MessagesDeadLettered",
    "OperationsWritten",
    "OperationsRejected",
    "BatchWrites",
    "ThrottledCalls",
    "UnprocessedItems",
)
"""Of the function's own metrics, those that are added up here."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """One look."""

    at: float
    """Seconds since 1970."""
    waiting: int
    in_flight: int
    dead_letters: int
    items: int
    """In the table."""
    totals: dict[str, float]
    """Of the function's metrics since the start."""
    write_rate: float = 0.0
    """Operations a second."""
    throttle_rate: float = 0.0
    """Unprocessed items and throttled calls a second."""
    faults: dict[str, int] | None = None
    is_enabled: bool = True
    """Whether the queue is polled."""


class PlaygroundQueue(WatchedQueue):
    """The queue as the pollers see it; what others send is told by `sent`."""

    def sent(self, ids: Sequence[str]) -> None:
        now = self._notes.clock()
        self._sent |= dict.fromkeys(ids, now)
        self._note(NumberOfMessagesSent=len(ids))


class Tail:
    """Reads what has been added to logs, adds up the function's metrics in it, and tells `on_lines`."""

    def __init__(self, logs: Sequence[Path], on_lines: Callable[[list[str]], None] = lambda _: None) -> None:
        self._offsets = dict.fromkeys(logs, 0)
        self._on_lines = on_lines
        self.totals: Counter[str] = Counter()

    def read(self) -> None:
        for log, offset in self._offsets.items():
            try:
                with log.open("rb") as file:
                    file.seek(offset)
                    added = file.read()
            except FileNotFoundError:
                continue
            end = added.rfind(b"\n") + 1  # The rest of a line comes next time.
            self._offsets[log] = offset + end
            lines = added[:end].splitlines()
            for line in lines:
                if b'"_aws"' in line:
                    self._add(line)
            self._on_lines([line.decode(errors="replace") for line in lines])

    def _add(self, line: bytes) -> None:
        """Format: CloudWatch user guide, CloudWatch_Embedded_Metric_Format_Specification."""
        try:
            blob = json.loads(line)
        except ValueError:
            return
        for name in COUNTED:
            value = blob.get(name, 0)
            self.totals[name] += sum(value) if isinstance(value, list) else value


class Watch:
    """Takes samples; `sample` is for one thread, the rest for any."""

    def __init__(
        self,
        sqs: Any,
        dynamodb: Any,
        outputs: Outputs,
        logs: Sequence[Path],
        stopping: threading.Event,
        notes: Notes,
        faults: Callable[[], dict[str, int]] | None = None,
    ) -> None:
        self._notes = notes
        self.queue = PlaygroundQueue(sqs, stopping, self._notes, outputs.queue_url, _name(outputs.queue_url))
        self._dynamodb, self._outputs, self._faults = dynamodb, outputs, faults
        self._sqs = sqs
        self._tail = Tail(logs, notes.read_log)
        self._history: deque[Numbers] = deque()
        self._forgotten = 0.0

    def sample(self, *, is_enabled: bool = True) -> None:
        """Take a look at everything."""
        self.queue.sample()
        dead_letters = self._outputs.dead_letter_queue_url
        self.queue.sample_other(dead_letters, _name(dead_letters))
        self._tail.read()
        waiting, in_flight = self._depth(self._outputs.queue_url)
        dead, hidden = self._depth(dead_letters)
        # moto counts at once; the service itself does so only about every six hours (DescribeTable API reference).
        table = self._dynamodb.describe_table(TableName=self._outputs.table_name)["Table"]
        now = Numbers(
            at=time.time(),
            waiting=waiting,
            in_flight=in_flight,
            dead_letters=dead + hidden,
            items=int(table["ItemCount"]),
            totals=dict(self._tail.totals),
            faults=self._faults() if self._faults else None,
            is_enabled=is_enabled,
        )
        self._history.append(with_rates(now, self._history))
        self._forget(now.at - KEPT)

    def history(self) -> list[Numbers]:
        """The last looks, oldest first."""
        return list(self._history)

    def as_json(self) -> str:
        return json.dumps([asdict(numbers) for numbers in self.history()[-120:]])

    def _depth(self, url: str) -> tuple[int, int]:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        return int(found[names[0]]), int(found[names[1]])

    def _forget(self, before: float) -> None:
        while self._history and self._history[0].at < before:
            self._history.popleft()
        if before - self._forgotten > KEPT / 10:
            self._notes.forget(before)
            self._forgotten = before


def with_rates(now: Numbers, history: Sequence[Numbers]) -> Numbers:
    """The same with its rates, by what it was some seconds ago."""
    past = next((one for one in reversed(history) if now.at - one.at >= SPAN), history[0] if history else None)
    if past is None or now.at <= past.at:
        return now

    def rate(*names: str) -> float:
        more = sum(now.totals.get(name, 0.0) - past.totals.get(name, 0.0) for name in names)
        return more / (now.at - past.at)

    return replace(now, write_rate=rate("OperationsWritten"), throttle_rate=rate("UnprocessedItems", "ThrottledCalls"))


def _name(queue_url: str) -> str:
    return queue_url.rsplit("/", 1)[1]
