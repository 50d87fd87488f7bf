"""`sluice.AsyncWriter` against a strict fake over HTTP: what a `Writer` does, and the event loop never waits."""

from __future__ import annotations

import asyncio
import queue
import threading
from typing import Any

import pytest

from sluice import AsyncWriter, Outcome, Writer, WriterStoppedError
from tests.fakes import Delay, FakeDynamoDB, Throttle

pytestmark = pytest.mark.usefixtures("db")


def orders(**options: Any) -> AsyncWriter:
    return AsyncWriter("orders", key={"pk": "S"}, **options)


class Gate:
    """A clock by which a call sleeps until the gate is opened."""

    def __init__(self) -> None:
        self.opened = threading.Event()

    def sleep(self, _: float) -> None:
        assert self.opened.wait(600)


def test_every_kind_of_write_ends_in_the_table(db: FakeDynamoDB) -> None:
    async def program() -> None:
        async with orders() as writer:
            for number in range(60):
                await writer.put({"pk": f"k{number}", "n": number})
            updated = await writer.update({"pk": "k1"}, "SET n = n + :one", values={":one": 1})
            deleted = await writer.delete({"pk": "k2"}, tag="second")
            refused = await writer.put({"pk": ""})
            assert await writer.ended(updated) == await writer.ended(deleted) == "written"
            assert await writer.ended(refused) == "rejected"
            assert deleted.tag == "second"
        assert (writer.result.given, writer.result.failed) == (63, [refused])

    asyncio.run(program())

    assert len(db.items("orders")) == 59
    assert db.item("orders", {"pk": {"S": "k1"}}) == {"pk": {"S": "k1"}, "n": {"N": "2"}}


def test_the_loop_goes_on_while_the_buffer_is_full(db: FakeDynamoDB, monkeypatch: pytest.MonkeyPatch) -> None:
    waited_in: set[int] = set()
    wait, gate = Writer.wait_for_room, Gate()

    def watched(writer: Writer) -> None:
        waited_in.add(threading.get_ident())
        gate.opened.set()
        wait(writer)

    monkeypatch.setattr(Writer, "wait_for_room", watched)
    db.always(Delay(1.0, gate))

    async def give(writer: AsyncWriter, name: str) -> None:
        for number in range(300):
            await writer.put({"pk": f"{name}{number}"})

    async def program() -> None:
        async with orders(buffer=30, connections=1) as writer:
            await asyncio.gather(*[give(writer, name) for name in "abc"])

    asyncio.run(program())

    assert len(db.items("orders")) == 900
    assert waited_in  # The buffer was full,
    assert threading.get_ident() not in waited_in  # and somebody else waited.


def test_any_number_of_coroutines_wait_for_one_write(db: FakeDynamoDB) -> None:
    gate = Gate()
    db.script(Delay(1.0, gate))
    told: queue.SimpleQueue[Outcome] = queue.SimpleQueue()

    async def program() -> None:
        async with orders(on_outcome=told.put) as writer:
            outcome = await writer.put({"pk": "a"})
            impatient = asyncio.create_task(writer.ended(outcome))
            waiting = [asyncio.create_task(writer.ended(outcome)) for _ in range(3)]
            await asyncio.sleep(0)
            impatient.cancel()
            gate.opened.set()
            assert await asyncio.gather(*waiting) == ["written"] * 3
            assert impatient.cancelled()
            await writer.flush()
            writer.check()
        assert told.get(timeout=600) is outcome

    asyncio.run(program())


def test_a_write_that_ends_while_it_is_about_to_be_awaited_is_not_waited_for() -> None:
    class Ending(Outcome):
        """Ends when it has been looked at once."""

        def __getattribute__(self, name: str) -> Any:
            value = super().__getattribute__(name)
            if name == "status" and value is None:
                self.status = "written"
            return value

    async def program() -> None:
        async with orders() as writer:
            assert await writer.ended(Ending("put", "", {})) == "written"
            assert writer._awaited == {}

    asyncio.run(program())


def test_what_was_taken_before_an_exception_is_written(db: FakeDynamoDB) -> None:
    async def program() -> None:
        async with orders() as writer:
            await writer.put({"pk": "a"})
            raise LookupError

    with pytest.raises(LookupError):
        asyncio.run(program())

    assert len(db.items("orders")) == 1


def test_a_table_that_takes_nothing_stops_it(db: FakeDynamoDB) -> None:
    db.always(Throttle())

    async def program() -> None:
        async with orders(timeout=0.3) as writer:
            outcome = await writer.put({"pk": "a"})
            assert await writer.ended(outcome) == "not-written"
            await writer.put({"pk": "b"})

    with pytest.raises(WriterStoppedError, match=r"took nothing for 0\.3 s"):
        asyncio.run(program())


def test_it_is_used_within_its_block() -> None:
    with pytest.raises(RuntimeError, match="async with AsyncWriter"):
        asyncio.run(orders().put({"pk": "a"}))
