"""`Writer`: give it writes from any thread; a thread of its own puts them into the table."""

from __future__ import annotations

import itertools
import logging
import math
import os
import threading
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

from msgspec.structs import replace

from sluice.aws.clients import Aws
from sluice.aws.reads import Reads
from sluice.aws.tables import Tables
from sluice.message.operation import Operation, Rejection, Source
from sluice.producer import at_exit
from sluice.producer.element import Extras
from sluice.writing.calls import SINGLES_PER_CONNECTION
from sluice.writing.unchanged import Unchanged

from .convert import Converter
from .engine import Engine
from .errors import NotWrittenError, WriterStoppedError
from .inbox import Inbox
from .outcome import Action, Outcome, Result
from .tables import Key, resolved

logger = logging.getLogger(__name__)


# Long by its public methods, whose arguments take a line each.
class Writer:
    """Writes to DynamoDB in batches, in parallel, as fast as the table takes it; any thread may call it.

        with Writer("orders") as writer:
            for row in rows:
                writer.put(row)
        print(writer.result)

    Nothing is lost without a word: whatever `put`, `delete` and `update` have taken is counted in `result`, and what is
    not in the table stands there with its reason (`rejected`, `not_written`, `conditions_failed`). A bad item raises
    nothing and stops no other. The end of the block logs a warning if anything failed; `result.failed` has it, and
    `check` raises `NotWrittenError`.

    Writes of one item are applied in the order in which they were given; a put or delete without a condition replaces
    those before it that have not been sent. Everything else goes in parallel.
    """

    def __init__(
        self,
        table: Any,
        *,
        key: Key | None = None,
        version: str | None = None,
        skip_unchanged: bool = False,
        session: Any = None,
        connections: int = 8,
        write_units_per_second: float = math.inf,
        timeout: float = 60.0,
        buffer: int = 10_000,
        buffer_bytes: int = 16 << 20,
        on_outcome: Callable[[Outcome], object] | None = None,
        on_progress: Callable[[Result], object] | None = None,
    ) -> None:
        """`table` is a name, a boto3 Table, or a list of those, the first of which is the default.

        `key` as `{"pk": "S", "sk": "N"}`: it is asked for by DescribeTable if it is not given. `version` names the
        attribute by which the newest of an item wins. With `skip_unchanged` items are read first where that pays, and
        those that stand in the table already are not written again (docs/unchanged.md). `session` is a boto3 Session;
        without one the environment counts.
        At most `connections` batches are on their way at once, and 8 times as many single writes (updates, conditions,
        versions). `timeout`: seconds in which the table takes nothing at all, after which the writer stops.
        `buffer` and `buffer_bytes` are how much waits, in writes and in bytes of JSON: then `put` waits.
        `on_outcome` is called for each write that has ended, and `on_progress` at most ten times a second, both in the
        writer's thread (for what is refused at once, in `put`'s). They may give more, but neither `flush` nor `close`;
        what they raise is logged.

        Raises `SettingsError` for a table or key that cannot be, and what boto3 raises where DescribeTable fails.
        """
        if connections < 1 or timeout <= 0 or buffer < 1 or buffer_bytes < 1 or write_units_per_second <= 0:
            raise ValueError("connections, timeout, buffer, buffer_bytes and write_units_per_second must be positive")
        given = list(table) if isinstance(table, list | tuple) else [table]
        aws = Aws(connections, SINGLES_PER_CONNECTION * connections, session=session, client=_client_of(given[0]))
        tables = [resolved(each, key, version, lambda name: aws.boto().describe_table(name)) for each in given]
        if skip_unchanged:
            tables = [replace(table, skip_unchanged=True) for table in tables]
        dynamodb = aws.dynamodb()
        self._changed = threading.Condition()
        self._inbox = Inbox(buffer, buffer_bytes)
        self._engine = Engine(
            Tables(tables, dynamodb),
            Unchanged(Reads(tables, dynamodb), tables),
            self._inbox,
            self._changed,
            connections=connections,
            write_units_per_second=write_units_per_second,
            timeout=timeout,
            on_outcome=on_outcome,
            on_progress=on_progress,
        )
        self._convert = Converter(tables)
        self._thread: threading.Thread | None = None
        self._process = os.getpid()
        self._numbers = itertools.count()
        self._told = False
        at_exit.call(self._close_at_exit)

    def put(
        self,
        item: Any,
        *,
        table: str = "",
        condition: str | None = None,
        names: Mapping[str, str] | None = None,
        values: Mapping[str, Any] | None = None,
        tag: Any = None,
    ) -> Outcome:
        """Write a whole item: a mapping, or an object with fields; docs/producers.md says how values are stored.

        Waits while the buffer is full. Raises `WriterStoppedError`, and RuntimeError after `close`: nothing was taken.
        """
        extras = None
        if condition is not None or names is not None or values is not None:
            extras = Extras(None, condition, None, names, values)
        return self._add("put", item, table, extras, tag, self._convert.put)

    def delete(
        self,
        key: Any,
        *,
        table: str = "",
        condition: str | None = None,
        names: Mapping[str, str] | None = None,
        values: Mapping[str, Any] | None = None,
        version: Any = None,
        tag: Any = None,
    ) -> Outcome:
        """Delete by key; with a `version`, only what is older. As `put` otherwise."""
        extras = None
        if condition is not None or names is not None or values is not None or version is not None:
            extras = Extras(None, condition, None, names, values, version)
        return self._add("delete", key, table, extras, tag, self._convert.delete)

    def update(
        self,
        key: Any,
        expression: str,
        *,
        table: str = "",
        condition: str | None = None,
        names: Mapping[str, str] | None = None,
        values: Mapping[str, Any] | None = None,
        tag: Any = None,
    ) -> Outcome:
        """UpdateItem by an update expression. As `put` otherwise."""
        extras = Extras(None, condition, expression, names, values)
        return self._add("update", key, table, extras, tag, self._convert.update)

    @property
    def result(self) -> Result:
        """What has become of all that was given so far; a copy."""
        with self._changed:
            return self._engine.result.copied()

    @property
    def has_room(self) -> bool:
        """Whether `put` would not wait now: it raises at once where the writer has stopped or is closed."""
        return self._inbox.has_room or self._inbox.is_closed

    def wait_for_room(self) -> None:
        """Wait until half of a full buffer is free, or the writer has stopped or is closed.

        Not in a function of the caller's that the writer calls: its thread makes the room, and must not wait for it.
        """
        if self._engine.is_calling_here:
            return
        self._engine.hurry()
        with self._changed:
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._inbox.may_go_on)

    def flush(self, timeout: float | None = None) -> None:
        """Return when all that was taken so far has ended, in whichever way, and `on_outcome` has returned for it.

        Raises TimeoutError after so many seconds, `WriterStoppedError`, and RuntimeError in a function of the caller's
        that the writer calls: it would wait for itself.
        """
        self._check_caller()
        ends = None if timeout is None else time.monotonic() + timeout
        self._engine.hurry()
        with self._changed:
            unfinished = self._engine.unfinished()
            self._changed.notify_all()

            def is_done() -> bool:
                while unfinished and unfinished[-1].status is not None:
                    unfinished.pop()
                return not unfinished

            if not self._changed.wait_for(is_done, timeout):
                raise TimeoutError(f"writes that have not ended yet: {len(unfinished):,}")
            to_be_told = self._engine.to_be_told
            if not self._changed.wait_for(lambda: self._engine.told >= to_be_told, _left(ends)):
                raise TimeoutError("all writes have ended, but on_outcome has not returned for all of them")
            self._raise_if_stopped()

    def close(self, timeout: float | None = None) -> None:
        """Flush, and take no more: nothing of the caller's is called any more after it.

        Raises as `flush` does; after a TimeoutError it can be called again.
        """
        self._check_caller()
        ends = None if timeout is None else time.monotonic() + timeout
        with self._changed:
            self._inbox.is_closed = True
            self._changed.notify_all()
        try:
            self.flush(timeout)
        finally:
            with self._changed:
                has_ended = self._engine.ended == self._inbox.taken
            if has_ended:
                at_exit.forget(self._close_at_exit)
                if self._thread is not None:
                    self._thread.join(_left(ends))
                self._tell()
        if self._thread is not None and self._thread.is_alive():
            raise TimeoutError("all writes have ended, but on_progress has not returned")

    def check(self) -> None:
        """Raises `NotWrittenError`, with the result, where something was rejected or not written so far."""
        result = self.result
        if result.failed:
            raise NotWrittenError(result)

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _at: TracebackType | None
    ) -> None:
        """What was taken before an exception is written all the same."""
        if error is None:
            self.close()
            return
        try:
            self.close()
        except WriterStoppedError as stopped:  # The error that came first goes on, and says so.
            if stopped is not error:
                error.add_note(str(stopped))

    def _add(
        self,
        action: Action,
        item: Any,
        table: str,
        extras: Any,
        tag: Any,
        convert: Callable[[Any, str, Any, Source], Operation | Rejection],
    ) -> Outcome:
        outcome = Outcome(action, table, item, tag, _changed=self._changed)
        found = convert(item, table, extras, Source(f"{next(self._numbers)}", False, 0))
        if os.getpid() != self._process:
            self._check_process()
        with self._changed:
            if not self._inbox.has_room:
                self.wait_for_room()
            self._raise_if_stopped()
            if self._inbox.is_closed:
                raise RuntimeError("the writer is closed")
            if isinstance(found, Rejection):
                self._engine.reject(outcome, found)
            else:
                if self._inbox.add(found, outcome):
                    self._changed.notify_all()
                if self._thread is None:
                    self._start()
        if isinstance(found, Rejection):
            self._engine.tell(outcome)
        return outcome

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._engine.run, name="sluice-writer", daemon=True)
        self._thread.start()

    def _raise_if_stopped(self) -> None:
        if self._engine.error is not None:
            raise self._engine.error

    def _check_caller(self) -> None:
        self._check_process()
        if self._engine.is_calling_here:
            raise RuntimeError("on_outcome and on_progress can neither flush nor close the writer that calls them")

    def _check_process(self) -> None:
        # Threads do not come along into a fork: whoever waits for them there would wait without end.
        if os.getpid() != self._process:
            raise RuntimeError("a Writer does not survive a fork: make one in each process")

    def _tell(self) -> None:
        summary = self.result.summary()
        if summary and not self._told:
            self._told = True
            logger.warning("%s", summary)

    def _close_at_exit(self) -> None:
        if os.getpid() != self._process:  # What is left is its parent's to write.
            return
        try:
            self.close()
        except WriterStoppedError as error:
            logger.error("%s; the program ended without closing the writer", error)


def _left(ends: float | None) -> float | None:
    """Seconds until then."""
    return None if ends is None else max(0.0, ends - time.monotonic())


def _client_of(table: Any) -> Any:
    """Of a boto3 Table its client: it leads where the writes shall go. None for a table that is given otherwise."""
    return getattr(getattr(table, "meta", None), "client", None)
