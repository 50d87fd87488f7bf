"""The producer: what it takes is accepted by the queue or handed back, whatever the threads and the queue do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, ClassVar

import pytest
from botocore.exceptions import ClientError

from sluice import BufferFullError, InvalidRecordError, NotSentError, Producer
from sluice.producer import at_exit
from tests.fakes import FakeSQS
from tests.world import ORDERS

SECONDS = 600  # More than any wait here ever takes; a test that waits so long has failed.


class Gate:
    """An SQS client that lets calls through to the fake while it is open, and refuses what it is told to."""

    made: ClassVar[list[Gate]] = []

    def __init__(self, *, fifo: bool = False) -> None:
        self.made.append(self)
        self.sqs = FakeSQS()
        self.url = self.sqs.create_queue("work.fifo" if fifo else "work", fifo=fifo)
        self.open = threading.Event()
        self.open.set()
        self.came = threading.Event()
        self.refuses: Callable[[dict[str, Any]], bool] = lambda _: False
        self.denies = False
        self._lock = threading.Lock()
        self.together = 0
        self.most_together = 0

    def send_message_batch(self, **request: Any) -> Any:
        self.came.set()
        groups = {entry.get("MessageGroupId") for entry in request["Entries"]}
        with self._lock:
            self.together += len(groups)
            self.most_together = max(self.most_together, self.together)
        assert self.open.wait(SECONDS)
        try:
            if self.denies:
                raise ClientError(
                    {"Error": {"Code": "AccessDenied", "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": 403}},
                    "SendMessageBatch",
                )
            bad = [entry for entry in request["Entries"] if self.refuses(entry)]
            good = [entry for entry in request["Entries"] if not self.refuses(entry)]
            answer = self.sqs.send_message_batch(QueueUrl=request["QueueUrl"], Entries=good) if good else {}
            failed = [{"Id": entry["Id"], "Code": "InvalidMessageContents", "SenderFault": True} for entry in bad]
            return {"Successful": answer.get("Successful", []), "Failed": failed}
        finally:
            with self._lock:
                self.together -= len(groups)

    def producer(self, **options: Any) -> Producer:
        return Producer(self.url, client=self, **options)

    def messages(self) -> list[list[Any]]:
        return [json.loads(message["Body"]) for message in self.sqs.messages(self.url)]

    def keys(self) -> list[str]:
        return [operation["put"]["pk"] for message in self.messages() for operation in message]


@pytest.fixture(autouse=True)
def gates_open_at_the_end() -> Iterator[None]:
    """So that a test that fails leaves no thread waiting."""
    yield
    for gate in Gate.made:
        gate.open.set()
    Gate.made.clear()


def put_many(producer: Producer, error: type[Exception]) -> int:
    """Put until it raises; how many were taken. It has to raise before the last of very many."""
    for number in range(10_000):
        try:
            producer.put({"pk": f"k{number}", "x": "x" * 90})
        except error:
            return number
    raise AssertionError(f"{error.__name__} was not raised")


def test_what_is_put_arrives_when_the_block_ends() -> None:
    gate = Gate()

    with gate.producer(linger=3600.0) as producer:
        for number in range(1000):
            producer.put({"pk": f"k{number}"})

    assert gate.keys() == [f"k{number}" for number in range(1000)]
    assert len(gate.messages()) == 1


def test_messages_are_filled_and_not_overfilled() -> None:
    gate = Gate()

    with gate.producer(linger=3600.0, message_bytes=1000, connections=1) as producer:
        for number in range(100):
            producer.put({"pk": f"k{number}", "x": "x" * 80})

    sizes = [len(message["Body"].encode()) for message in gate.sqs.messages(gate.url)]
    assert max(sizes) <= 1000
    assert min(sizes[:-1]) > 880


def test_flush_returns_when_all_is_accepted() -> None:
    gate = Gate()
    producer = gate.producer(linger=3600.0)

    producer.put({"pk": "a"})
    producer.delete({"pk": "b"})
    producer.update({"pk": "c"}, "SET n = :n", values={":n": 1})
    producer.flush()

    assert gate.messages() == [
        [
            {"put": {"pk": "a"}},
            {"delete": {"pk": "b"}},
            {"update": {"pk": "c"}, "expression": "SET n = :n", "values": {":n": 1}},
        ]
    ]
    producer.close()


def test_without_a_flush_it_is_sent_in_the_background() -> None:
    gate = Gate()
    producer = gate.producer(linger=0.0)

    producer.put({"pk": "a"})

    assert gate.came.wait(SECONDS)
    producer.close()


def test_many_threads_lose_nothing() -> None:
    gate = Gate()
    with gate.producer(linger=0.0, message_bytes=500, buffer_bytes=2000) as producer:

        def work(thread: int) -> None:
            for number in range(200):
                producer.put({"pk": f"{thread}-{number}"})

        threads = [threading.Thread(target=work, args=[thread]) for thread in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert Counter(gate.keys()) == Counter(f"{thread}-{number}" for thread in range(8) for number in range(200))


def test_a_full_buffer_raises_where_it_is_not_to_block() -> None:
    gate = Gate()
    gate.open.clear()
    producer = gate.producer(linger=0.0, message_bytes=1000, buffer_bytes=2000, when_full="raise")

    taken = put_many(producer, BufferFullError)
    gate.open.set()
    producer.close()

    assert sorted(gate.keys()) == sorted(f"k{number}" for number in range(taken))
    assert 10 < taken < 20


def test_a_full_buffer_blocks_until_there_is_room() -> None:
    gate = Gate()
    gate.open.clear()
    producer = gate.producer(linger=0.0, message_bytes=1000, buffer_bytes=2000)
    put = 0

    def work() -> None:
        nonlocal put
        for number in range(100):
            producer.put({"pk": f"k{number}", "x": "x" * 90})
            put += 1

    thread = threading.Thread(target=work)
    thread.start()
    assert gate.came.wait(SECONDS)
    assert put < 100  # The queue has accepted nothing, and the buffer holds less than twenty.
    gate.open.set()
    thread.join(SECONDS)
    producer.close()

    assert Counter(gate.keys()) == Counter(f"k{number}" for number in range(100))


@pytest.mark.parametrize("linger", [float("inf"), 1e6])
def test_a_buffer_full_of_messages_that_wait_for_more_is_sent_whatever_the_linger(linger: float) -> None:
    gate = Gate(fifo=True)
    producer = gate.producer(message_bytes=4000, buffer_bytes=5000, linger=linger)
    text = "x" * 1500

    def put() -> None:
        for number in range(6):
            producer.put({"pk": f"k{number}", "x": text}, group=f"g{number}")
        producer.flush(SECONDS)

    thread = threading.Thread(target=put, daemon=True)
    thread.start()
    thread.join(SECONDS)

    assert sorted(gate.keys()) == [f"k{number}" for number in range(6)]
    producer.close(SECONDS)


def test_a_record_larger_than_the_buffer_goes_alone() -> None:
    gate = Gate()

    with gate.producer(message_bytes=100, buffer_bytes=100) as producer:
        producer.put({"pk": "a", "x": "x" * 5000})
        producer.put({"pk": "b"})

    assert gate.keys() == ["a", "b"]


def test_what_is_not_accepted_is_handed_back_by_flush() -> None:
    gate = Gate()
    gate.refuses = lambda entry: "bad" in entry["MessageBody"]
    producer = gate.producer(linger=3600.0, message_bytes=30)

    for key in ("good", "bad", "fine"):
        producer.put({"pk": key})
    with pytest.raises(NotSentError) as caught:
        producer.flush()

    assert [(one.operation, one.code) for one in caught.value.not_sent] == [
        (b'{"put":{"pk":"bad"}}', "InvalidMessageContents")
    ]
    assert sorted(gate.keys()) == ["fine", "good"]
    producer.flush()  # It is handed back once.
    producer.close()


def test_what_is_not_accepted_is_handed_back_by_a_later_put_where_nobody_flushes() -> None:
    gate = Gate()
    gate.refuses = lambda _: True
    producer = gate.producer(linger=0.0, message_bytes=1000, buffer_bytes=2000)

    taken = put_many(producer, NotSentError)

    assert taken < 1000
    with suppress(NotSentError):  # Of what was put last nobody has heard yet, perhaps.
        producer.close()


def test_an_error_inside_the_block_is_not_hidden_and_says_what_was_not_sent() -> None:
    gate = Gate()
    gate.denies = True

    producer = gate.producer(linger=3600.0)

    def work() -> None:
        with producer:
            producer.put({"pk": "a"})
            raise KeyError("mine")

    with pytest.raises(KeyError) as caught:
        work()

    assert any("AccessDenied" in note for note in caught.value.__notes__)
    assert [one.operation for one in producer.not_sent()] == [b'{"put":{"pk":"a"}}']
    assert producer.not_sent() == ()


def test_whatever_the_client_raises_hands_the_operations_back() -> None:
    class Broken:
        def send_message_batch(self, **_: Any) -> Any:
            raise ZeroDivisionError("surprise")

    producer = Producer("https://sqs.eu-west-1.amazonaws.com/123456789012/q", client=Broken(), linger=0.0)
    producer.put({"pk": "a"})

    with pytest.raises(NotSentError, match="ZeroDivisionError"):
        producer.close()


def test_a_record_that_raises_is_not_taken() -> None:
    gate = Gate()

    with gate.producer(tables=[ORDERS]) as producer:
        for wrong in ({"pk": 1}, {}, {"pk": "a", "n": float("nan")}, {"pk": "a", "x": "x" * 410_000}):
            with pytest.raises(InvalidRecordError):
                producer.put(wrong)
        with pytest.raises(InvalidRecordError, match="InvalidExpression"):
            producer.put({"pk": "a"}, condition="#n = :v")
        producer.put({"pk": "good"})

    assert gate.keys() == ["good"]


def test_without_tables_what_no_table_takes_is_not_taken() -> None:
    gate = Gate()

    with gate.producer() as producer:
        with pytest.raises(InvalidRecordError, match="ItemTooLarge"):
            producer.put({"pk": "a", "x": "x" * 410_000}, table="any")
        with pytest.raises(InvalidRecordError, match="InvalidExpression"):
            producer.put({"pk": "a"}, condition="#n = :v")
        with pytest.raises(InvalidRecordError, match="InvalidExpression"):
            producer.update({"pk": "a"}, "SET pk = :v", values={":v": 1})
        producer.put({"pk": "good"}, table="any")
        producer.delete({"pk": "old"}, version=7)

    assert gate.messages() == [[{"put": {"pk": "good"}, "table": "any"}, {"delete": {"pk": "old"}, "version": 7}]]


def test_nothing_is_taken_after_close() -> None:
    producer = Gate().producer()
    producer.close()

    with pytest.raises(RuntimeError, match="closed"):
        producer.put({"pk": "a"})
    producer.close()


def test_a_flush_may_take_only_so_long() -> None:
    gate = Gate()
    gate.open.clear()
    producer = gate.producer()
    producer.put({"pk": "a"})

    with pytest.raises(TimeoutError):
        producer.flush(timeout=0.0)
    gate.open.set()
    producer.close()

    assert gate.keys() == ["a"]


def test_a_fifo_queue_gets_each_group_in_order() -> None:
    gate = Gate(fifo=True)

    with gate.producer(linger=0.0, message_bytes=100, connections=4) as producer:
        for number in range(300):
            producer.put({"pk": f"k{number}"}, group=f"g{number % 3}")

    for group in range(3):
        found = [key for key in gate.keys() if int(key[1:]) % 3 == group]  # noqa: SIM118
        assert found == [f"k{number}" for number in range(group, 300, 3)]
    assert gate.most_together <= 3  # Never two messages of a group on their way.
    for message in gate.sqs.messages(gate.url):
        keys = [operation["put"]["pk"] for operation in json.loads(message["Body"])]
        assert {f"g{int(key[1:]) % 3}" for key in keys} == {message["Attributes"]["MessageGroupId"]}


def test_a_fifo_queue_needs_a_group() -> None:
    with Gate(fifo=True).producer() as producer, pytest.raises(ValueError, match="group"):
        producer.put({"pk": "a"})


def test_bare_items_for_a_function_that_expects_items() -> None:
    gate = Gate()

    with gate.producer(record_format="item") as producer:
        producer.put({"pk": "a"})
        with pytest.raises(ValueError, match="RECORD_FORMAT"):
            producer.delete({"pk": "a"})
        with pytest.raises(ValueError, match="RECORD_FORMAT"):
            producer.put({"pk": "a"}, table="orders")

    assert gate.messages() == [[{"pk": "a"}]]


def test_any_session_will_do() -> None:
    made: list[tuple[str, Any]] = []

    class Session:
        region_name = None

        def client(self, service: str, **options: Any) -> Any:
            made.append((service, options["region_name"]))
            return object()

    Producer("https://sqs.eu-west-1.amazonaws.com/123456789012/q", session=Session())

    assert made == [("sqs", "eu-west-1")]


def test_a_sessions_own_region_counts_where_the_url_names_none(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str | None] = []

    class Session:
        region_name: str | None = "eu-west-1"

        def client(self, _service: str, **options: Any) -> Any:
            made.append(options["region_name"])
            return object()

    monkeypatch.setenv("AWS_REGION", "us-east-1")
    url = "https://vpce-0a1b.sqs.eu-west-1.vpce.amazonaws.com/123456789012/q"
    Producer(url, session=Session())
    Session.region_name = None
    Producer(url, session=Session())

    assert made == ["eu-west-1", "us-east-1"]


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows has no fork")

FORKED = """
import os
import signal
import sys
import threading

from sluice import Producer


class Never:
    def send_message_batch(self, **_):
        threading.Event().wait()


producer = Producer("https://queue", client=Never(), linger=0)
producer.put({"pk": "a"})
child = os.fork()
if child == 0:
    signal.alarm(600)  # Whatever happens, it does not stay.
    for call in (producer.flush, producer.close, lambda timeout: producer.not_sent()):
        try:
            call(timeout=1)
        except RuntimeError as error:
            print(error, flush=True)
    sys.exit(7)  # By way of atexit.
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
os._exit(0)
"""


@needs_fork
def test_a_forked_process_neither_waits_nor_answers_for_what_its_parent_has_to_send() -> None:
    done = subprocess.run([sys.executable, "-c", FORKED], capture_output=True, text=True, timeout=SECONDS, check=True)

    error = "a Producer does not survive a fork: make one in each process"
    assert done.stdout.splitlines() == [error, error, error, "7"]
    assert done.stderr == ""


EXITING = """
import atexit
import json
import multiprocessing
import os
import sys


@atexit.register
def after_the_producers_own_handler():  # Registered before the import: exit handlers run last in, first out.
    producer.put({"pk": "after all"})
    fresh = Producer("https://queue", client=Printing(), linger=3600)
    fresh.put({"pk": "new after all"})
    fresh.flush()
    try:
        Producer("https://queue", client=Refusing(), linger=3600).put({"pk": "refused"})
    except NotSentError as error:
        os.write(1, error.not_sent[0].operation + b"\\n")


from sluice import NotSentError, Producer


class Printing:
    def send_message_batch(self, **request):
        keys = [one["put"]["pk"] for entry in request["Entries"] for one in json.loads(entry["MessageBody"])]
        os.write(1, f"{keys}\\n".encode())
        return {"Successful": [{"Id": entry["Id"]} for entry in request["Entries"]]}


class Refusing:
    def send_message_batch(self, **request):
        return {"Failed": [{"Id": "0", "Code": "No", "SenderFault": True}]}


def child():
    Producer("https://queue", client=Printing(), linger=3600).put({"pk": "child"})


process = multiprocessing.get_context("fork").Process(target=child)
process.start()
process.join()
producer = Producer("https://queue", client=Printing(), linger=3600)


@atexit.register
def first_put():
    producer.put({"pk": "first"})


@atexit.register
def first_of_all():
    inside = Producer("https://queue", client=Printing(), linger=3600)
    inside.put({"pk": "inside"})
    inside.flush()
"""


@needs_fork
def test_what_is_put_by_exit_handlers_and_by_children_of_multiprocessing_is_sent() -> None:
    done = subprocess.run([sys.executable, "-c", EXITING], capture_output=True, text=True, timeout=SECONDS, check=True)

    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "['child']",
        "['inside']",
        "['first']",
        "['after all']",
        "['new after all']",
        '{"put":{"pk":"refused"}}',
    ]


@pytest.fixture
def no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", start)


@pytest.mark.usefixtures("no_threads")
@pytest.mark.parametrize("fifo", [False, True])
def test_where_no_thread_can_be_started_a_put_is_sent_before_it_returns_or_raises(fifo: bool) -> None:
    gate = Gate(fifo=fifo)
    group = "g" if fifo else None
    producer = gate.producer(linger=3600.0, message_bytes=100)

    producer.put({"pk": "a"}, group=group)
    producer.put({"pk": "b", "x": "x" * 200}, group=group)
    taken = gate.keys()
    gate.refuses = lambda _: True
    with pytest.raises(NotSentError) as caught:
        producer.put({"pk": "c"}, group=group)
    gate.refuses = lambda _: False
    producer.put({"pk": "d"}, group=group)
    producer.close()

    assert taken == ["a", "b"]
    assert [one.operation for one in caught.value.not_sent] == [b'{"put":{"pk":"c"}}']
    assert gate.keys() == ["a", "b", "d"]


def test_after_the_exit_handler_a_put_is_sent_before_it_returns(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate(fifo=True)
    producer = gate.producer(linger=3600.0)
    producer.put({"pk": "a"}, group="g")
    monkeypatch.setattr(at_exit, "_is_over", True)

    producer.put({"pk": "b"}, group="g")
    taken = gate.keys()
    producer.close()

    assert taken == ["a", "b"]


@pytest.mark.usefixtures("no_threads")
def test_a_put_that_is_interrupted_while_it_sends_is_handed_back() -> None:
    class Interrupting:
        def send_message_batch(self, **_: Any) -> Any:
            raise KeyboardInterrupt

    producer = Producer("https://queue", client=Interrupting(), linger=3600.0)
    with pytest.raises(KeyboardInterrupt):
        producer.put({"pk": "a"})

    with pytest.raises(NotSentError, match="Interrupted"):
        producer.flush(SECONDS)


def test_a_closed_or_forgotten_producer_is_not_flushed_at_exit() -> None:
    before = dict(at_exit._flushes)
    producer = Gate().producer()
    Gate().producer()

    producer.put({"pk": "a"})
    producer.close()

    assert at_exit._flushes == before
