"""The loop of a send: read, check, pack, send in parallel, note what was accepted."""

from __future__ import annotations

import json
import os
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Protocol

from sluice.cli import CommandError
from sluice.message.operation import Rejection
from sluice.sending.outbox import MAX_BYTES, MAX_ENTRIES, Outbox, Outgoing
from sluice.sending.record import Position
from sluice.sending.sender import Failure

from .journal import Example, Journal, State, sync_directory
from .pace import Pace
from .packing import Rejected, Window

LOOK = 0.2
"""Seconds between two looks at whether the user wants to stop."""
_MAX_SHOWN = 1 << 20
"""Bytes of a record in the file of rejected ones."""


class Rejects:
    """The file of rejected records, one JSON object a line; there is none until there is a record for it.

    All raise `CommandError` where it cannot be written.
    """

    def __init__(self, path: Path, length: int, about: Callable[[Position], Mapping[str, str]] = lambda _: {}) -> None:
        """`length`: bytes that are kept of what an earlier part of this send has left; `about`: what else is noted."""
        self.path = path
        self._about = about
        self._file: IO[bytes] | None = None
        self._is_new = length == 0
        with self._writing():
            if length == 0:
                path.unlink(missing_ok=True)
            elif path.exists() and path.stat().st_size > length:
                os.truncate(path, length)
            self.length = path.stat().st_size if path.exists() else 0

    def write(self, rejected: Rejected) -> None:
        line = {
            **self._about(rejected.end),
            "line": rejected.line,
            "ErrorCode": rejected.reason.code,
            "ErrorMessage": rejected.reason.message,
            "record": rejected.text[:_MAX_SHOWN].decode("utf-8", "replace"),
        }
        with self._writing():
            self._file = self._file or self.path.open("ab")
            self.length += self._file.write(json.dumps(line).encode() + b"\n")

    def sync(self) -> None:
        """Returns when all is on disk."""
        if self._file is not None:
            with self._writing():
                self._file.flush()
                os.fsync(self._file.fileno())
                if self._is_new:
                    sync_directory(self.path.parent)
                    self._is_new = False

    def close(self) -> None:
        if self._file is not None:
            with self._writing():
                self._file.close()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise CommandError(f"cannot write {self.path}: {error.strerror}") from None


def beyond(state: State, window: Window, rejected_bytes: int) -> State:
    """The state once a window is done, and all before it."""
    return replace(
        state,
        position=window.end,
        records=state.records + sum(message.records for message in window.messages),
        messages=state.messages + len(window.messages),
        size=state.size + sum(message.size for message in window.messages),
        rejected=dict(Counter(state.rejected) + Counter(one.reason.code for one in window.rejected)),
        examples={
            one.reason.code: Example(one.end.offset, one.line, one.reason.message) for one in reversed(window.rejected)
        }
        | state.examples,
        rejected_bytes=rejected_bytes,
    )


def _example(rejected: Rejected) -> Example:
    return Example(rejected.end.offset, rejected.line, rejected.reason.message)


@dataclass(slots=True)
class _Pending:
    """A window of which not every message is accepted yet. Mutable: it is the loop's own."""

    window: Window
    left: set[int]
    """Numbers of the messages that are not accepted."""
    rejected_bytes: int


class Takes(Protocol):
    """Where messages go: a queue, or a table."""

    @property
    def refusal(self) -> str: ...
    def send(self, messages: Sequence[Outgoing]) -> dict[int, Failure]: ...
    def rejections(self, message: Outgoing) -> Sequence[tuple[Rejection, bytes]]: ...


class Sending:
    """One send from `state` on. `run` returns when all is accepted and noted.

    Calls `check` again and again, which may raise to stop it; and `stop` on the way out of any error, to end waits.
    """

    def __init__(
        self,
        windows: Iterator[Window],
        state: State,
        *,
        sender: Takes,
        executor: Executor,
        connections: int,
        in_order: bool,
        journal: Journal | None,
        rejects: Rejects,
        pace: Pace | None = None,
        sleep: Callable[[float], object] = time.sleep,
        check: Callable[[], None] = lambda: None,
        stop: Callable[[], None] = lambda: None,
        show: Callable[[State], None] = lambda _: None,
    ) -> None:
        self._windows = windows
        self.state = self.noted = state
        """What is accepted, up to date whenever `run` has returned or raised; and what of it is on disk."""
        self._before = state.sent
        self._sender = sender
        self._executor = executor
        self._connections = connections
        self._outbox = Outbox(in_order=in_order)
        self._journal = journal
        self._rejects = rejects
        self._pace, self._sleep = pace, sleep
        self._check = check
        self._show = show
        self._pending: deque[_Pending] = deque()
        self._by_start: dict[int, _Pending] = {}
        self._calls: dict[Future[dict[int, Failure]], list[Outgoing]] = {}
        self._packed_to = state.position.offset
        self._stop = stop

    def run(self) -> None:
        """Raises `CommandError` where the queue refuses, and what `check` and the windows raise.

        Before it raises it waits for the calls under way, and notes what they have brought.
        """
        try:
            self._send_all()
        except BaseException:
            self._stop()
            raise
        finally:
            while self._calls:
                self._collect(None)
            self._note()

    def _send_all(self) -> None:
        more = True
        while more or self._outbox or self._calls:
            self._check()
            if more and not self._is_ahead():
                more = self._pack()
            while self._outbox and len(self._calls) < self._connections and self._may_call():
                messages = self._outbox.take(self._pace.entries() if self._pace is not None else MAX_ENTRIES)
                if self._pace is not None:
                    self._pace.take(messages)
                self._calls[self._executor.submit(self._sender.send, messages)] = messages
            failures = self._collect(0.0 if more and not self._is_ahead() else LOOK)
            self._note()
            self._show(self.state)
            for failure in failures:
                raise CommandError(f"{self._sender.refusal}: {failure.code}: {failure.message}")

    def _may_call(self) -> bool:
        """Whether the rate allows a call now; waits for a moment where there is nothing else to wait for."""
        seconds = 0.0 if self._pace is None else self._pace.seconds()
        if seconds and not self._calls:
            self._sleep(min(seconds, LOOK))
        return not seconds

    def _is_ahead(self) -> bool:
        """Enough waits to keep every connection busy."""
        outbox, calls = self._outbox, 2 * self._connections
        return outbox.size >= calls * MAX_BYTES // 2 or outbox.count >= calls * MAX_ENTRIES

    def _pack(self) -> bool:
        window = next(self._windows, None)
        if window is None:
            return False
        for rejected in window.rejected:
            self._rejects.write(rejected)
        start = window.start.offset
        left = {number for number, message in enumerate(window.messages) if message.origin not in self._before}
        pending = _Pending(window, left, self._rejects.length)
        self._pending.append(pending)
        self._by_start[start] = pending
        self._packed_to = window.end.offset
        for number in sorted(left):
            self._outbox.add(window.messages[number])
        return True

    def _collect(self, timeout: float | None) -> list[Failure]:
        """What the calls have brought that end within `timeout` seconds, None for whenever the next one ends."""
        failures: list[Failure] = []
        if not self._calls:
            return failures
        for call in wait(self._calls, timeout, FIRST_COMPLETED).done:
            messages = self._calls.pop(call)
            refused = call.result()
            self._outbox.done(messages)
            failures += refused.values()
            for position, message in enumerate(messages):
                if position not in refused:
                    start, _, number = message.origin
                    pending = self._by_start[start]
                    pending.left.discard(number)
                    for reason, text in self._sender.rejections(message):
                        self._reject(pending, reason, text)
        return failures

    def _reject(self, pending: _Pending, reason: Rejection, text: bytes) -> None:
        """A record that was refused where it was to be written. Its line is not known, only the window's."""
        window = pending.window
        lines = f"one of lines {window.start.line + 1:,} to {window.end.line:,}"
        rejected = Rejected(window.end.line, window.end, Rejection(reason.code, f"{reason.message} ({lines})"), text)
        self._rejects.write(rejected)
        pending.window = replace(window, rejected=(*window.rejected, rejected))
        for each in self._pending:  # What is noted with any of them is never cut off by a resume; it may come twice.
            each.rejected_bytes = self._rejects.length

    def _note(self) -> None:
        """Bring `state` up to date, and the journal with it."""
        state = self.state
        while self._pending and not self._pending[0].left:
            pending = self._pending.popleft()
            del self._by_start[pending.window.start.offset]
            state = beyond(state, pending.window, pending.rejected_bytes)
        self.state = state = replace(state, sent=frozenset(self._sent_beyond()))
        if state == self.noted:
            return
        if state.rejected_bytes > self.noted.rejected_bytes:
            self._rejects.sync()  # First, so that the journal never promises what a power failure takes.
        if self._journal is not None:
            self._journal.note(state)
        self.noted = state

    def _sent_beyond(self) -> Iterator[tuple[int, int, int]]:
        for pending in self._pending:
            for number, message in enumerate(pending.window.messages):
                if number not in pending.left:
                    yield message.origin
        # What an earlier part has sent further on than this one has come yet.
        yield from (message for message in self._before if message[0] >= self._packed_to)
