"""`AsyncWriter`: a `Writer` whose coroutines never hold up the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import wraps
from types import TracebackType
from typing import Any, Concatenate, ParamSpec

from .outcome import Outcome, Result, Status
from .writer import Writer

P = ParamSpec("P")


def _given(
    method: Callable[Concatenate[Writer, P], Outcome],
) -> Callable[Concatenate[AsyncWriter, P], Coroutine[Any, Any, Outcome]]:
    """The writer's own method, once there is room for another write."""

    @wraps(method)
    async def give(self: AsyncWriter, /, *arguments: P.args, **options: P.kwargs) -> Outcome:
        writer = self._writer()
        while not writer.has_room:  # Only this thread adds to it, so the room that is found stays.
            await asyncio.to_thread(writer.wait_for_room)
        return method(writer, *arguments, **options)

    return give


class AsyncWriter:
    """`Writer` for the coroutines of one event loop.

        async with AsyncWriter("orders") as writer:
            async for row in rows:
                await writer.put(row)
        print(writer.result)

    `put`, `delete` and `update` take what the `Writer`'s take and return its `Outcome` as soon as the write is taken:
    they wait only while the buffer is full. Its thread writes; the loop's does no more than to encode what is given.
    """

    def __init__(self, table: Any, *, on_outcome: Callable[[Outcome], object] = lambda _: None, **options: Any) -> None:
        """As `Writer`, which is made, with whatever that raises, when the block is entered."""
        self._table, self._options, self._on_outcome = table, options, on_outcome
        self._made: Writer | None = None
        self._awaited: dict[int, list[asyncio.Future[None]]] = {}
        """By the identity of an outcome that coroutines wait for."""

    put = _given(Writer.put)
    delete = _given(Writer.delete)
    update = _given(Writer.update)

    async def ended(self, outcome: Outcome) -> Status:
        """What has become of one write, once that is known."""
        if outcome.status is None:
            future = asyncio.get_running_loop().create_future()
            self._awaited.setdefault(id(outcome), []).append(future)
            if outcome.status is not None:  # It ended meanwhile, and perhaps nobody saw that it is awaited.
                _end(self._awaited.pop(id(outcome), []))
            await future
        assert outcome.status is not None
        return outcome.status

    @property
    def result(self) -> Result:
        """What has become of all that was given so far; a copy."""
        return self._writer().result

    async def flush(self) -> None:
        """Return when all that was taken so far has ended, in whichever way. Raises `WriterStoppedError`."""
        await asyncio.to_thread(self._writer().flush)

    def check(self) -> None:
        """Raises `NotWrittenError`, with the result, where something was rejected or not written so far."""
        self._writer().check()

    async def __aenter__(self) -> AsyncWriter:
        self._loop = asyncio.get_running_loop()
        self._made = await asyncio.to_thread(Writer, self._table, on_outcome=self._tell, **self._options)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        """What was taken before an exception is written all the same."""
        await asyncio.to_thread(self._writer().__exit__, kind, error, at)

    def _writer(self) -> Writer:
        if self._made is None:
            raise RuntimeError("an AsyncWriter is used within its block: async with AsyncWriter(…) as writer")
        return self._made

    def _tell(self, outcome: Outcome) -> None:
        """In the writer's thread."""
        if futures := self._awaited.pop(id(outcome), None):
            self._loop.call_soon_threadsafe(_end, futures)
        self._on_outcome(outcome)


def _end(futures: list[asyncio.Future[None]]) -> None:
    for future in futures:
        if not future.done():  # As one is whose coroutine was cancelled.
            future.set_result(None)
