"""`sluice.Writer`, `write` and `batch_writer` against a strict fake over HTTP."""

from __future__ import annotations

import logging
import os
import queue
import random
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

import sluice
from sluice import NotWrittenError, Outcome, Result, Writer, WriterStoppedError, batch_writer, write
from sluice.direct import engine
from sluice.message.errors import SettingsError
from tests.fakes import ConnectionLost, Delay, FakeDynamoDB, Fault, ServerError, Throttle, Unprocessed, UnprocessedIf

pytestmark = pytest.mark.usefixtures("db")
KEY = {"pk": "S"}
EVENTS_KEY = {"pk": "S", "sk": "N"}


def orders(**options: Any) -> Writer:
    return Writer("orders", key=KEY, **options)


def stored(db: FakeDynamoDB, key: str) -> Any:
    return db.item("orders", {"pk": {"S": key}})


def test_every_kind_of_write_ends_in_the_table(db: FakeDynamoDB) -> None:
    with orders() as writer:
        for number in range(60):
            writer.put({"pk": f"k{number}", "n": number})
        updated = writer.update({"pk": "k1"}, "SET n = n + :one", values={":one": Decimal("0.5")})
        deleted = writer.delete({"pk": "k2"})
        failed = writer.put({"pk": "k3", "n": "new"}, condition="attribute_not_exists(pk)", tag="third")

    assert [outcome.wait(0) for outcome in (updated, deleted, failed)] == ["written", "written", "condition-failed"]
    assert stored(db, "k1")["n"] == {"N": "1.5"}
    assert stored(db, "k2") is None
    assert stored(db, "k3")["n"] == {"N": "3"}
    result = writer.result
    assert (result.given, result.conditions_failed, result.failed) == (63, [failed], [])
    assert result.written + result.superseded == 62
    assert failed.tag == "third"
    assert result.calls == len(db.calls)
    assert result.write_units >= 60


def test_writes_of_one_item_are_applied_in_their_order(db: FakeDynamoDB) -> None:
    chance = random.Random(7)
    faults: list[Fault] = [Unprocessed(3), Throttle(), ServerError(), ConnectionLost()]
    model: dict[str, int] = {}
    db.always(None)
    with orders() as writer:
        for _ in range(2_000):
            if chance.random() < 0.02:
                db.script(chance.choice(faults))
            key = f"k{chance.randrange(40)}"
            match chance.randrange(4):
                case 0:
                    writer.delete({"pk": key})
                    model.pop(key, None)
                case 1:
                    writer.update({"pk": key}, "SET n = if_not_exists(n, :zero) + :one", values={":zero": 0, ":one": 1})
                    model[key] = model.get(key, 0) + 1
                case _:
                    number = chance.randrange(1000)
                    writer.put({"pk": key, "n": number})
                    model[key] = number

    result = writer.result
    assert result.failed == result.conditions_failed == []
    assert result.given == 2_000
    assert result.superseded > 0
    assert {item["pk"]["S"]: int(item["n"]["N"]) for item in db.items("orders")} == model


def test_a_bad_item_stops_no_other_and_is_told(db: FakeDynamoDB, caplog: pytest.LogCaptureFixture) -> None:
    db.reject_if(lambda _, request: request.get("PutRequest", {}).get("Item", {}).get("bad") is not None, "no good")
    with orders() as writer:
        for number in range(100):
            writer.put({"pk": f"k{number}"})
        missing = writer.put({"sk": 1})
        refused = writer.put({"pk": "secret-key", "bad": True})

    result = writer.result
    assert result.written == 100
    assert [(outcome, outcome.code) for outcome in result.rejected] == [
        (missing, "MissingKey"),
        (refused, "RejectedByDynamoDB"),
    ]
    assert "2 of 102 writes failed" in caplog.text
    assert "secret-key" not in caplog.text + repr(refused) + repr(result.rejected)
    with pytest.raises(NotWrittenError, match="2 of 102") as raised:
        writer.check()
    assert raised.value.result.rejected == [missing, refused]


def test_what_is_denied_is_not_written_and_the_rest_is(db: FakeDynamoDB) -> None:
    db.deny_if(lambda _, request: request["PutRequest"]["Item"]["pk"]["S"] == "k7", "no access to k7's partition")
    with orders() as writer:
        for number in range(30):
            writer.put({"pk": f"k{number}"})

    (denied,) = writer.result.not_written
    assert denied.item == {"pk": "k7"}
    assert "AccessDenied" in denied.message
    assert writer.result.written == 29


def test_a_missing_table_stops_the_writer_and_everything_is_accounted_for() -> None:
    writer = Writer("nowhere", key=KEY, buffer=100)
    taken = 0

    def give() -> None:
        nonlocal taken
        while True:
            writer.put({"pk": f"k{taken}"})
            taken += 1

    with pytest.raises(WriterStoppedError, match="ResourceNotFound"):
        give()
    with pytest.raises(WriterStoppedError):
        writer.close()
    result = writer.result
    assert result.given == len(result.not_written) == taken
    assert all("ResourceNotFound" in outcome.message for outcome in result.not_written)


def test_a_table_that_takes_nothing_is_given_up(db: FakeDynamoDB) -> None:
    db.always(Throttle())
    writer = orders(timeout=0.3)
    outcomes = [writer.put({"pk": f"k{number}"}) for number in range(50)]
    with pytest.raises(WriterStoppedError, match=r"took nothing for 0\.3 s: .*Throughput"):
        writer.close()
    assert {outcome.status for outcome in outcomes} == {"not-written"}
    assert writer.result.given == 50
    assert writer.result.throttled_calls > 0


def test_one_item_that_never_gets_through_keeps_no_other_waiting(db: FakeDynamoDB) -> None:
    db.always(UnprocessedIf(lambda _, request: request["PutRequest"]["Item"]["pk"]["S"] == "hot"))
    with pytest.raises(WriterStoppedError), orders(timeout=1.0) as writer:  # noqa: PT012  # The block is what is tested.
        hot = writer.put({"pk": "hot"})
        others = [writer.put({"pk": f"k{number}"}) for number in range(500)]
        writer.put({"pk": "hot", "n": 2})

    assert hot.status == "not-written"
    assert {outcome.status for outcome in others} == {"written"}
    assert (writer.result.written, len(writer.result.not_written)) == (500, 2)


def test_put_waits_while_the_buffer_is_full(db: FakeDynamoDB) -> None:
    gate = threading.Event()

    class Gate:
        def sleep(self, _: float) -> None:
            gate.wait(60)

    db.always(Delay(1.0, Gate()))
    writer = orders(buffer=50)
    given: list[Outcome] = []

    def give() -> None:
        given.extend(writer.put({"pk": f"k{number}"}) for number in range(engine.WINDOW + 500))

    thread = threading.Thread(target=give)
    thread.start()
    thread.join(0.5)
    most = len(given)
    gate.set()
    thread.join()
    writer.close()
    assert most <= engine.WINDOW + 50
    assert writer.result.written == len(given) == engine.WINDOW + 500


def test_any_number_of_threads_may_give(db: FakeDynamoDB) -> None:
    with Writer("events", key=EVENTS_KEY) as writer:

        def give(thread: int) -> None:
            for number in range(300):
                writer.put({"pk": f"t{thread}", "sk": number})

        threads = [threading.Thread(target=give, args=(thread,)) for thread in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert writer.result.written == len(db.items("events")) == 1_800


def test_what_was_given_before_an_exception_is_written(db: FakeDynamoDB) -> None:
    with pytest.raises(ZeroDivisionError), orders() as writer:  # noqa: PT012  # The block is what is tested.
        for number in range(10):
            writer.put({"pk": f"k{number}"})
        raise ZeroDivisionError
    assert len(db.items("orders")) == writer.result.written == 10


def test_callbacks_hear_of_every_write_and_may_give_more() -> None:
    heard: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
    progress: queue.SimpleQueue[Result] = queue.SimpleQueue()

    def again(outcome: Outcome) -> None:
        heard.put(outcome)
        if outcome.tag == "first":
            writer.put({"pk": "second"})
        raise ValueError("a defect of the caller's")

    writer = orders(on_outcome=again, on_progress=progress.put)
    writer.put({"pk": "first"}, tag="first")
    writer.put({})
    writer.flush()
    writer.close()
    assert Counter(heard.get_nowait().status for _ in range(3)) == {"written": 2, "rejected": 1}
    assert [progress.get_nowait().given for _ in range(progress.qsize())][-1] == 3


def test_flush_returns_after_the_callbacks_of_what_it_waits_for() -> None:
    gate, told = threading.Event(), list[Outcome]()

    def slow(outcome: Outcome) -> None:
        gate.wait(600)
        told.append(outcome)

    writer = orders(on_outcome=slow)
    first = writer.put({"pk": "first"})
    first.wait(600)
    with pytest.raises(TimeoutError, match="on_outcome has not returned"):
        writer.flush(timeout=0)
    assert not told
    gate.set()

    outcomes = [first, *(writer.put({"pk": f"k{number}"}) for number in range(60))]
    writer.flush()

    assert {id(outcome) for outcome in told} == {id(outcome) for outcome in outcomes}
    writer.close()


def test_close_returns_after_the_last_report_of_progress() -> None:
    gate, reports = threading.Event(), list[int]()

    def slow(result: Result) -> None:
        gate.wait(600)
        reports.append(result.given)

    writer = orders(on_progress=slow)
    writer.put({"pk": "a"})
    writer.flush()
    with pytest.raises(TimeoutError, match="on_progress has not returned"):
        writer.close(timeout=0)
    gate.set()

    writer.close()

    assert reports[-1] == 1


def test_a_callback_can_neither_flush_nor_close_the_writer_that_calls_it() -> None:
    refused: list[str] = []

    def wait_for_itself(_: Outcome) -> None:
        for method in (writer.flush, writer.close):
            try:
                method()
            except RuntimeError as error:
                refused.append(str(error))

    writer = orders(on_outcome=wait_for_itself)
    writer.put({"pk": "a"})
    writer.put({})
    writer.close()

    assert len(refused) == 4
    assert "on_outcome" in refused[0]


def test_a_callback_may_give_more_than_there_is_room_for(db: FakeDynamoDB) -> None:
    def again(outcome: Outcome) -> None:
        if outcome.tag == "first":
            for number in range(5):
                writer.put({"pk": f"more{number}"})

    writer = orders(on_outcome=again, buffer=1)
    writer.put({"pk": "first"}, tag="first")
    writer.flush()
    writer.close()

    assert len(db.items("orders")) == 6


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_callback_that_ends_its_thread_holds_up_nobody() -> None:
    def leave(_: Outcome) -> None:
        raise SystemExit

    writer = orders(on_outcome=leave)
    writer.put({"pk": "a"})
    with pytest.raises(WriterStoppedError, match="SystemExit"):
        writer.close()


def test_nobody_waits_for_room_in_a_writer_that_is_closed(db: FakeDynamoDB) -> None:
    gate = threading.Event()

    class Gate:
        def sleep(self, _: float) -> None:
            gate.wait(600)

    db.always(Delay(1.0, Gate()))
    writer = orders(buffer=10, connections=1)
    while writer.has_room:
        writer.put({"pk": "a"}, condition="attribute_not_exists(b)")
    with pytest.raises(TimeoutError):
        writer.close(timeout=0)
    assert writer.has_room
    with pytest.raises(RuntimeError, match="closed"):
        writer.put({"pk": "b"})
    gate.set()
    writer.close()


def test_after_close_nothing_is_taken(db: FakeDynamoDB) -> None:
    writer = orders()
    writer.put({"pk": "a"})
    writer.close()
    writer.close()
    with pytest.raises(RuntimeError, match="closed"):
        writer.put({"pk": "b"})
    assert len(db.items("orders")) == 1


def test_a_flush_that_takes_too_long_says_how_much_is_left(db: FakeDynamoDB) -> None:
    db.script(Throttle(), Throttle())
    writer = orders()
    outcome = writer.put({"pk": "a"})
    with pytest.raises(TimeoutError, match="not ended yet: 1"):
        writer.flush(0.0)
    with pytest.raises(TimeoutError):
        outcome.wait(0.0)
    writer.flush()
    assert outcome.wait() == "written"
    writer.close()


def test_what_nobody_flushed_is_written_at_exit(db: FakeDynamoDB) -> None:
    program = (
        "from sluice import Writer\nwriter = Writer('orders', key={'pk': 'S'})\n"
        "for n in range(30): writer.put({'pk': str(n)})"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert len(db.items("orders")) == 30


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_fork_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    writer = orders()
    monkeypatch.setattr(writer, "_process", os.getpid() + 1)
    with pytest.raises(RuntimeError, match="fork"):
        writer.put({"pk": "a"})
    with pytest.raises(RuntimeError, match="fork"):
        writer.flush()


def test_the_newest_version_wins(db: FakeDynamoDB) -> None:
    with orders(version="v") as writer:
        writer.put({"pk": "a", "v": 2})
        writer.flush()
        stale = writer.put({"pk": "a", "v": 1})
        unversioned = writer.put({"pk": "b"})
        writer.flush()
        kept = writer.delete({"pk": "a"}, version=1)
        writer.put({"pk": "c", "v": 1})
        writer.flush()
        gone = writer.delete({"pk": "c"}, version=2)
    assert (stale.status, kept.status, gone.status) == ("condition-failed", "condition-failed", "written")
    assert (unversioned.status, unversioned.code) == ("rejected", "MissingVersion")
    assert [item["pk"]["S"] for item in db.items("orders")] == ["a"]


@pytest.mark.usefixtures("patient_reads")
def test_what_stands_there_already_is_not_written_again() -> None:
    def give() -> Result:
        with orders(skip_unchanged=True, timeout=600) as writer:
            for number in range(2_000):
                writer.put({"pk": f"k{number}", "text": "x" * 3_000, "n": Decimal(number)})
            writer.delete({"pk": "not there"})
        return writer.result

    first, again = give(), give()
    assert (first.written, first.unchanged + first.written) == (first.given - first.unchanged, 2_001)
    assert (again.given, again.failed) == (2_001, [])
    assert again.unchanged > 1_000
    assert again.written < 1_000
    assert again.write_units < first.write_units / 2


def test_several_tables(db: FakeDynamoDB) -> None:
    tables = [sluice.direct.tables.named("orders", KEY, None), sluice.direct.tables.named("events", EVENTS_KEY, None)]
    with Writer(tables) as writer:
        writer.put({"pk": "a"})
        writer.put({"pk": "a", "sk": 1}, table="events")
        unknown = writer.put({"pk": "a"}, table="else")
    assert (len(db.items("orders")), len(db.items("events"))) == (1, 1)
    assert unknown.code == "UnknownTable"


@pytest.mark.parametrize("key", [{}, {"pk": "X"}, {"": "S"}, {"a": "S", "b": "S", "c": "S"}])
def test_a_key_that_cannot_be_is_refused(key: dict[str, str]) -> None:
    with pytest.raises(SettingsError):
        sluice.direct.tables.named("orders", key, None)


@pytest.mark.parametrize(
    "options", [{"connections": 0}, {"timeout": 0}, {"buffer": 0}, {"buffer_bytes": 0}, {"write_units_per_second": 0}]
)
def test_options_that_cannot_be_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="positive"):
        orders(**options)


# A long stream


def test_a_long_stream_is_written_in_bounded_memory() -> None:
    writer = orders()
    for number in range(20_000):
        writer.put({"pk": f"k{number % 5_000}"})
        if number % 1_000 == 0:
            with writer._changed:
                assert len(writer._engine.unfinished()) <= 10_000 + engine.WINDOW
    writer.close()
    run = writer._engine._run
    assert writer.result.given == 20_000
    assert not run._lanes._steps
    assert not run._pending.attempts
    assert len(run._collected) == 1
    assert not run.outcome.written


# As a generator


def test_outcomes_come_as_they_are_known_and_reading_ahead_is_bounded() -> None:
    read = 0

    def operations() -> Iterator[dict[str, Any]]:
        nonlocal read
        for number in range(12_000):
            read += 1
            yield {"put": {"pk": f"k{number}"}, "tag": number}
        yield {"put": {"sk": 1}, "tag": "bad"}

    statuses: Counter[Any] = Counter()
    for seen, outcome in enumerate(write(operations(), "orders", key=KEY, buffer=200), start=1):
        assert read - seen <= engine.WINDOW + 200 + 1
        statuses[outcome.status] += 1
    assert statuses == {"written": 12_000, "rejected": 1}


def test_what_is_no_operation_is_refused(db: FakeDynamoDB) -> None:
    with pytest.raises(ValueError, match="one of put, delete and update, got 'PutRequest'"):
        list(write([{"put": {"pk": "a"}}, {"PutRequest": {}}], "orders", key=KEY))
    assert len(db.items("orders")) == 1


# As boto3's batch_writer: what its own tests check of it, in other words


def test_put_and_delete_by_boto3s_names(db: FakeDynamoDB) -> None:
    with batch_writer("orders", key=KEY) as batch:
        for number in range(30):
            batch.put_item(Item={"pk": f"k{number}"})
        batch.delete_item(Key={"pk": "k29"})
    assert len(db.items("orders")) == 29
    assert max(len(call.kwargs["RequestItems"]["orders"]) for call in db.calls_of("BatchWriteItem")) <= 25


def test_of_writes_of_the_same_item_the_last_counts(db: FakeDynamoDB) -> None:
    with batch_writer("events", overwrite_by_pkeys=["pk", "sk"], key=EVENTS_KEY) as batch:
        for number in range(5):
            batch.put_item(Item={"pk": "a", "sk": 1, "n": number})
            batch.delete_item(Key={"pk": "a", "sk": Decimal("2.0")})
            batch.put_item(Item={"pk": "a", "sk": 2, "n": number})
    assert sorted(item["n"]["N"] for item in db.items("events")) == ["4", "4"]


def test_unprocessed_items_are_sent_again(db: FakeDynamoDB) -> None:
    db.script(Unprocessed(10), Unprocessed(5), Throttle())
    with batch_writer("orders", key=KEY) as batch:
        for number in range(25):
            batch.put_item(Item={"pk": f"k{number}"})
    assert len(db.items("orders")) == 25


def test_the_end_of_the_block_raises_what_is_not_written(db: FakeDynamoDB) -> None:
    with pytest.raises(NotWrittenError, match="1 of 2"), batch_writer("orders", key=KEY) as batch:  # noqa: PT012  # The block is what is tested.
        batch.put_item(Item={"pk": "a"})
        batch.put_item(Item={"pk": ""})
    assert len(db.items("orders")) == 1


def test_what_was_put_before_an_exception_is_in_the_table(db: FakeDynamoDB) -> None:
    with pytest.raises(ZeroDivisionError), batch_writer("orders", key=KEY) as batch:  # noqa: PT012  # The block is what is tested.
        batch.put_item(Item={"pk": "a"})
        raise ZeroDivisionError
    assert len(db.items("orders")) == 1


def test_nothing_is_logged_where_nothing_failed(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="sluice"), orders() as writer:
        writer.put({"pk": "a"})
    assert caplog.text == ""
