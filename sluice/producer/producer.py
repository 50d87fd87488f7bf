"""A buffer of operations that threads of its own empty into the queue."""

from __future__ import annotations

import logging
import os
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Literal

from sluice.message.settings import Table
from sluice.sending.check import Checker
from sluice.sending.outbox import BILLED_BYTES, MAX_BYTES, Outgoing
from sluice.sending.region import region_of
from sluice.sending.sender import Failure, Sender

from . import at_exit
from .buffer import Buffer
from .element import NOTHING, Extras, element, item
from .errors import BufferFullError, InvalidRecordError, NotSent, NotSentError

logger = logging.getLogger(__name__)


# Long by its public methods, whose arguments take a line each; what it holds back is the Buffer's.
class Producer:
    """Packs operations into messages and sends them in the background; any thread may call it.

        with Producer(queue_url) as producer:
            producer.put({"pk": "order#1", "total": Decimal("12.50")})

    What `put`, `delete` and `update` have taken is either accepted by the queue or handed back by a `NotSentError`,
    which the next call of any method raises, `flush` and `close` at the latest. A call that raises has taken nothing.
    At the program's exit, or where no thread can be started, `put` and its like send by themselves before they return,
    and raise what was not accepted.
    """

    def __init__(
        self,
        queue_url: str,
        *,
        client: Any = None,
        session: Any = None,
        tables: Sequence[Table] = (),
        record_format: Literal["operation", "item"] = "operation",
        message_bytes: int = BILLED_BYTES,
        buffer_bytes: int = 16 << 20,
        when_full: Literal["block", "raise"] = "block",
        linger: float = 0.2,
        connections: int = 4,
        patience: float = 60.0,
    ) -> None:
        """`client` is a boto3 SQS client, or `session` makes one; `tables` are the function's, to check keys as well.

        `message_bytes` fill a message (64 KiB: SQS bills by that); `linger` is seconds that an operation waits for
        others to fill its message, `patience` seconds for which a busy queue is tried. `buffer_bytes` bound the memory.
        """
        if not 1 <= message_bytes <= MAX_BYTES or buffer_bytes < message_bytes or connections < 1:
            raise ValueError(f"1 <= message_bytes <= {MAX_BYTES} and <= buffer_bytes, and connections of 1 or more")
        self._is_fifo = queue_url.endswith(".fifo")
        self._bare = record_format == "item"
        self._check = Checker(tables, record_format)
        self._blocks, self._connections = when_full == "block", connections
        self._stopping = threading.Event()
        self._sender = Sender(
            client or _client(session, queue_url, connections),
            queue_url,
            clock=time.monotonic,
            wait=self._stopping.wait,
            chance=random.random,
            patience=patience,
        )
        self._changed = threading.Condition()
        # All below only under the lock of `_changed`.
        self._buffer = Buffer(is_fifo=self._is_fifo, message_bytes=message_bytes, max_bytes=buffer_bytes, linger=linger)
        self._not_sent: list[NotSent] = []
        self._threads: list[threading.Thread] = []
        self._closed = False
        self._process = os.getpid()
        at_exit.call(self._flush_at_exit)

    def put(
        self,
        record: Any,
        *,
        table: str | None = None,
        condition: str | None = None,
        names: Mapping[str, str] | None = None,
        values: Mapping[str, Any] | None = None,
        group: str | None = None,
    ) -> None:
        """Write a whole item: a mapping, or an object with fields (docs/producers.md). `group` is the message group.

        Raises `InvalidRecordError`, `BufferFullError`, `NotSentError`, and RuntimeError after `close`.
        """
        plainly = table is None and condition is None and names is None and values is None
        if self._bare:
            if not plainly:
                raise ValueError("a function with RECORD_FORMAT=item takes items, without table or condition")
            self._add(item(record), group)
            return
        extras = NOTHING if plainly else Extras(table, condition, None, names, values)
        self._add(element("put", record, extras), group)

    def delete(
        self,
        key: Any,
        *,
        table: str | None = None,
        condition: str | None = None,
        names: Mapping[str, str] | None = None,
        values: Mapping[str, Any] | None = None,
        version: Any = None,
        group: str | None = None,
    ) -> None:
        """Delete by key; with a `version`, only what is older. Raises as `put` does."""
        self._need_operations("delete")
        self._add(element("delete", key, Extras(table, condition, None, names, values, version)), group)

    def update(
        self,
        key: Any,
        expression: str,
        *,
        table: str | None = None,
        condition: str | None = None,
        names: Mapping[str, str] | None = None,
        values: Mapping[str, Any] | None = None,
        group: str | None = None,
    ) -> None:
        """UpdateItem by an update expression. Raises as `put` does."""
        self._need_operations("update")
        self._add(element("update", key, Extras(table, condition, expression, names, values)), group)

    def flush(self, timeout: float | None = None) -> None:
        """Return when all that was taken so far is accepted. Raises `NotSentError`, and TimeoutError after so long."""
        self._check_process()
        end = None if timeout is None else time.monotonic() + timeout
        with self._changed:
            self._buffer.seal()
            waited_for = set(self._buffer.unfinished)
            self._changed.notify_all()
            is_alone = self._is_alone()

        def is_done() -> bool:
            return self._buffer.unfinished.isdisjoint(waited_for)

        while is_alone and (messages := self._next_unless(is_done, end)):
            self._send(messages)
        with self._changed:
            if not self._changed.wait_for(is_done, _left(end)):
                raise TimeoutError(f"messages that are not accepted yet: {len(waited_for & self._buffer.unfinished)}")
            self._raise_not_sent()

    def close(self, timeout: float | None = None) -> None:
        """Flush, and take no more. Raises as `flush` does; after a TimeoutError it can be called again."""
        self._check_process()
        with self._changed:
            self._closed = True
        try:
            self.flush(timeout)
        finally:
            with self._changed:
                ended = not self._buffer.unfinished
                self._changed.notify_all()
            if ended:
                at_exit.forget(self._flush_at_exit)

    def __enter__(self) -> Producer:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _at: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
            return
        try:
            self.close()
        except NotSentError as not_sent:  # The error that came first goes on, and says so.
            error.add_note(str(not_sent))
            self._not_sent.extend(not_sent.not_sent)

    def not_sent(self) -> tuple[NotSent, ...]:
        """What was not accepted and not handed back yet; it counts as handed back then."""
        self._check_process()
        with self._changed:
            return tuple(self._take_not_sent())

    def _need_operations(self, action: str) -> None:
        if self._bare:
            raise ValueError(f"a function with RECORD_FORMAT=item takes items, and no {action}")

    def _add(self, body: bytes, group: str | None) -> None:
        if self._is_fifo and group is None:
            raise ValueError("a FIFO queue needs a group for each operation")
        rejection = self._check(body)
        if rejection is not None:
            raise InvalidRecordError(rejection.code, rejection.message)
        size = len(body) + 1
        if size + 1 > MAX_BYTES:
            raise InvalidRecordError("ItemTooLarge", f"{size + 1:,} bytes of JSON; SQS takes {MAX_BYTES:,}")
        self._check_process()
        with self._changed:
            self._wait_for_room(size)
            self._start()
            if self._buffer.add(body, group, time.monotonic()):
                self._changed.notify_all()
            is_alone = self._is_alone()
        if is_alone:
            self.flush()

    def _check_process(self) -> None:
        # Threads do not come along into a fork: whoever waits for them there would wait without end.
        if os.getpid() != self._process:
            raise RuntimeError("a Producer does not survive a fork: make one in each process")

    def _wait_for_room(self, size: int) -> None:
        def may_go_on() -> bool:
            sealed = len(self._buffer.unfinished)
            has_room = self._buffer.has_room(size)
            if len(self._buffer.unfinished) > sealed:
                self._changed.notify_all()
            return has_room or self._closed or bool(self._not_sent)

        if not self._blocks and not may_go_on():
            raise BufferFullError(f"{self._buffer.size:,} bytes wait for the queue")
        self._changed.wait_for(may_go_on)
        self._raise_not_sent()
        if self._closed:
            raise RuntimeError("the producer is closed")

    def _start(self) -> None:
        """Start the threads; at the interpreter's exit, or at the system's limit, there may be none to start."""
        if self._threads:
            return
        for number in range(self._connections):
            thread = threading.Thread(target=self._work, name=f"sluice-producer-{number}", daemon=True)
            try:
                thread.start()
            except RuntimeError:
                return
            self._threads.append(thread)

    def _is_alone(self) -> bool:
        """Whether no thread sends later on what is taken now: then whoever puts it has to."""
        return not self._threads or at_exit.is_over()

    def _work(self) -> None:
        try:
            while messages := self._next():
                self._send(messages)
        finally:
            with self._changed:
                self._threads.remove(threading.current_thread())

    def _send(self, messages: Sequence[Outgoing]) -> None:
        refused = dict.fromkeys(range(len(messages)), Failure("Interrupted", "the program was interrupted"))
        try:
            refused = self._sender.send(messages)
        except Exception as error:  # noqa: BLE001  # Whatever the client raises: these were not accepted.
            refused = dict.fromkeys(range(len(messages)), Failure(type(error).__name__, str(error)))
        finally:
            with self._changed:
                self._buffer.done(messages)
                for position, failure in refused.items():
                    message = messages[position]
                    parts = [NotSent(part, failure.code, failure.message, message.group) for part in message.origin]
                    self._not_sent += parts
                self._changed.notify_all()

    def _next_unless(self, is_done: Callable[[], bool], end: float | None) -> Sequence[Outgoing]:
        """The next messages to send; none when it is done, or when the time is over."""
        with self._changed:
            self._changed.wait_for(lambda: is_done() or self._buffer.has_messages, _left(end))
            return () if is_done() else self._buffer.take(time.monotonic())[0]

    def _next(self) -> Sequence[Outgoing]:
        """Waits for the next messages to send; none when all is sent and there will be no more."""
        with self._changed:
            while True:
                messages, left = self._buffer.take(time.monotonic())
                if messages or (self._closed and self._buffer.is_empty):
                    if self._buffer.has_messages:  # For another thread.
                        self._changed.notify()
                    return messages
                self._changed.wait(left and min(left, threading.TIMEOUT_MAX))

    def _raise_not_sent(self) -> None:
        if self._not_sent:
            raise NotSentError(self._take_not_sent())

    def _take_not_sent(self) -> list[NotSent]:
        taken, self._not_sent = self._not_sent, []
        return taken

    def _flush_at_exit(self) -> None:
        if os.getpid() != self._process:  # What is left is its parent's to send.
            return
        try:
            self.flush()
        except NotSentError as error:
            logger.error("%s; the program ended without closing the producer", error)


def _left(end: float | None) -> float | None:
    """Seconds until a time; None has no end."""
    return None if end is None else max(0.0, end - time.monotonic())


def _client(session: Any, queue_url: str, connections: int) -> Any:
    import boto3
    from botocore.config import Config

    own_region = session and session.region_name
    session = session or boto3.Session()
    config = Config(
        connect_timeout=5,
        read_timeout=30,
        max_pool_connections=connections,
        retries={"mode": "standard", "total_max_attempts": 1},  # The sender tries again.
    )
    region = region_of(queue_url) or own_region or os.environ.get("AWS_REGION")
    return session.client("sqs", region_name=region, config=config)
