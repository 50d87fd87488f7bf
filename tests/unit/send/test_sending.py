"""A send against a queue that fails, throttles and is interrupted: nothing is lost, and little comes twice."""

from __future__ import annotations

import errno
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.cli import CommandError
from sluice.message.operation import Rejection
from sluice.send.journal import Example, Heading, Journal, State
from sluice.send.options import Input
from sluice.send.pace import Pace
from sluice.send.packing import Packing, Rejected, StoppedAtError
from sluice.send.reading import Reader
from sluice.send.sending import Rejects, Sending
from sluice.send.source import Identity
from sluice.sending.check import Checker
from sluice.sending.outbox import Outgoing
from sluice.sending.record import START, Position
from sluice.sending.sender import Sender
from tests.fakes import Clock, FakeSQS
from tests.world import ORDERS, Inline

HEADING = Heading((Identity(1, 2, "3"),), "url", {"input": "items"}, "run")
REPEATABLE = settings(deadline=None, derandomize=True, database=None, max_examples=60)


class Crash(BaseException):
    """The process is gone: nothing after it is done."""


class Trouble:
    """An SQS client in front of the fake: what happens to each call, `None` lets it through."""

    def __init__(self, sqs: FakeSQS, plan: Iterator[Any]) -> None:
        self._sqs, self._plan = sqs, plan

    def send_message_batch(self, **request: Any) -> Any:
        match next(self._plan, None):
            case None:
                return self._sqs.send_message_batch(**request)
            case "throttle":
                raise ClientError(
                    {"Error": {"Code": "RequestThrottled"}, "ResponseMetadata": {"HTTPStatusCode": 403}},
                    "SendMessageBatch",
                )
            case "unanswered":
                self._sqs.send_message_batch(**request)
                raise EndpointConnectionError(endpoint_url="http://sqs")
            case "denied":
                raise ClientError(
                    {"Error": {"Code": "AccessDenied"}, "ResponseMetadata": {"HTTPStatusCode": 403}}, "SendMessageBatch"
                )
            case "crash":
                raise Crash
            case "accepted, then crash":
                self._sqs.send_message_batch(**request)
                raise Crash
            case int() as entry:
                entries = request["Entries"]
                failed = entries[entry % len(entries)]
                others = [one for one in entries if one is not failed]
                answer = self._sqs.send_message_batch(**{**request, "Entries": others}) if others else {}
                code = {"Id": failed["Id"], "Code": "InternalError", "SenderFault": False}
                return {"Successful": answer.get("Successful", []), "Failed": [code]}


class Queue:
    """A fake queue and what was sent to it."""

    def __init__(self, *, fifo: bool = False) -> None:
        self.clock = Clock()
        self.sqs = FakeSQS(self.clock)
        self.url = self.sqs.create_queue("work.fifo" if fifo else "work", fifo=fifo)

    def sender(self, *plan: Any) -> Sender:
        def wait(seconds: float) -> bool:
            self.clock.sleep(seconds)
            return False

        client = Trouble(self.sqs, iter(plan))
        return Sender(client, self.url, clock=self.clock, wait=wait, chance=lambda: 0.5, patience=60)

    def sent(self) -> list[str]:
        messages = self.sqs.messages(self.url)
        return [element["put"]["pk"] for message in messages for element in json.loads(message["Body"])]


def items(directory: Path, count: int, length: int = 200) -> Path:
    path = directory / "items.jsonl"
    path.write_text("".join(f'{{"pk": "k{n}", "g": "g{n % 3}", "x": "{"x" * length}"}}\n' for n in range(count)))
    return path


def send(
    path: Path,
    sender: Sender,
    *,
    group_by: str | None = None,
    check: Callable[[], None] = lambda: None,
    ahead: int = 3,
    stops: bool = False,
    made: Callable[[Sending], None] = lambda _: None,
) -> State:
    """One run of a send, as the command makes it; what it has noted is all that the next one knows."""
    journal = Journal(path.with_suffix(".journal"))
    found = journal.read()
    state = found[1] if found else State()
    run = "run" if group_by is not None else None
    how = Packing(Checker([ORDERS]), message_bytes=1024, group_by=group_by, run=run, stops=stops)
    rejects = Rejects(path.with_suffix(".rejected"), state.rejected_bytes)
    journal.start(HEADING, state)
    sending = Sending(
        how.windows(Reader(Input(str(path), "items")).records(state.position), state.position),
        state,
        sender=sender,
        executor=Inline(),
        connections=ahead,
        in_order=group_by is not None,
        journal=journal,
        rejects=rejects,
        check=check,
    )
    made(sending)
    try:
        sending.run()
    finally:
        rejects.close()
        journal.close()
    return sending.state


def expected(count: int) -> Counter[str]:
    return Counter(f"k{n}" for n in range(count))


def test_all_records_arrive_once(tmp_path: Path) -> None:
    queue = Queue()

    state = send(items(tmp_path, 500), queue.sender())

    assert Counter(queue.sent()) == expected(500)
    assert state.records == 500
    assert state.messages == len(queue.sqs.messages(queue.url))


@pytest.mark.parametrize("trouble", ["throttle", 0, 3])
def test_what_the_queue_does_not_take_at_first_is_sent_again(tmp_path: Path, trouble: Any) -> None:
    queue = Queue()

    send(items(tmp_path, 200), queue.sender(trouble, trouble, None, trouble))

    assert Counter(queue.sent()) == expected(200)
    assert queue.clock() > 0


def test_a_call_without_an_answer_is_made_again(tmp_path: Path) -> None:
    queue = Queue()

    send(items(tmp_path, 20), queue.sender("unanswered"))

    assert set(queue.sent()) == set(expected(20))


def test_a_refusal_ends_the_send_and_what_was_accepted_is_noted(tmp_path: Path) -> None:
    queue = Queue()
    path = items(tmp_path, 500)

    with pytest.raises(CommandError, match="AccessDenied"):
        send(path, queue.sender(None, None, "denied"))
    before = Counter(queue.sent())
    send(path, queue.sender())

    assert 0 < before.total() < 500
    assert Counter(queue.sent()) == expected(500)


def test_a_queue_that_never_takes_anything_is_given_up(tmp_path: Path) -> None:
    queue = Queue()

    with pytest.raises(CommandError, match="RequestThrottled"):
        send(items(tmp_path, 5), queue.sender(*["throttle"] * 1000))
    assert queue.clock() <= 60


TROUBLES = st.one_of(
    st.none(), st.none(), st.sampled_from(["throttle", "unanswered", "crash", "accepted, then crash", 0, 7])
)


@REPEATABLE
@given(st.lists(TROUBLES, max_size=40), st.sampled_from([None, "g"]), st.integers(0, 3))
def test_whatever_interrupts_it_a_resumed_send_loses_nothing(
    tmp_path_factory: pytest.TempPathFactory, plan: list[Any], group_by: str | None, ahead: int
) -> None:
    queue = Queue(fifo=group_by is not None)
    path = items(tmp_path_factory.mktemp("send"), 120)
    rest, interruptions = iter(plan), 0

    while True:
        sender = replace(queue.sender(), client=Trouble(queue.sqs, rest))
        try:
            state = send(path, sender, group_by=group_by, ahead=ahead + 1)
            break
        except Crash:
            interruptions += 1

    found = Counter(queue.sent())
    assert set(found) == set(expected(120))
    assert state.records == 120
    repeated = found.total() - 120
    if group_by is not None:
        assert repeated == 0  # By the deduplication ids, which stay what they were.
        for group in range(3):
            keys = [key for key in queue.sent() if int(key[1:]) % 3 == group]
            assert keys == sorted(keys, key=lambda key: int(key[1:]))
    unknown = sum(trouble in ("accepted, then crash", "unanswered") for trouble in plan)
    # A crash takes the answers of calls that were not noted yet, at most `connections` of them.
    assert repeated <= 40 * (unknown + interruptions * (ahead + 1))


def test_a_crash_repeats_the_messages_in_flight_and_no_more(tmp_path: Path) -> None:
    queue = Queue()
    path = items(tmp_path, 1000)

    with pytest.raises(Crash):
        send(path, queue.sender(*[None] * 6, "accepted, then crash"), ahead=1)
    send(path, queue.sender())

    repeated = [key for key, count in Counter(queue.sent()).items() if count > 1]
    assert 0 < len(repeated) <= 40  # Ten messages of 1 KB of four records at most.
    assert set(queue.sent()) == set(expected(1000))


def test_an_interruption_ends_it_between_two_calls(tmp_path: Path) -> None:
    queue = Queue()
    path = items(tmp_path, 1000)
    looks = iter([None] * 4)

    def check() -> None:
        if next(looks, "stop") == "stop":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        send(path, queue.sender(), check=check)
    assert 0 < len(queue.sent()) < 1000
    send(path, queue.sender())

    assert Counter(queue.sent()) == expected(1000)


@pytest.mark.parametrize("fifo", [False, True])
@pytest.mark.parametrize("seed", range(30))
def test_sends_that_stop_at_a_bad_record_and_sends_that_do_not_go_on_from_each_other(
    tmp_path: Path, seed: int, fifo: bool
) -> None:
    queue, chance, path = Queue(fifo=fifo), Random(seed), tmp_path / "items.jsonl"
    count = chance.randrange(50, 200)
    bad = set(chance.sample(range(count), chance.randrange(1, 4)))
    lines = [
        json.dumps(
            {"pk": n if n in bad else f"k{n}", "g": f"g{chance.randrange(4)}", "x": "x" * chance.choice([5, 900])}
        )
        for n in range(count)
    ]
    path.write_text("".join(f"{line}\n" for line in lines))
    group_by = "g" if fifo else None

    for _ in range(8):
        trouble = chance.choices([None, None, "throttle", 0, 3, "unanswered", "denied"], k=chance.randrange(6))
        with suppress(CommandError, StoppedAtError):
            send(path, queue.sender(*trouble), group_by=group_by, stops=chance.random() < 0.6)
    send(path, queue.sender(), group_by=group_by)

    assert set(queue.sent()) == {f"k{n}" for n in range(count)} - {f"k{n}" for n in bad}
    rejected = [json.loads(line)["line"] for line in path.with_suffix(".rejected").read_text().splitlines()]
    assert rejected == [n + 1 for n in sorted(bad)]


def test_rejected_records_stand_in_their_file_once_whatever_happens(tmp_path: Path) -> None:
    queue = Queue()
    path = tmp_path / "items.jsonl"
    lines = [json.dumps({"pk": f"k{n}", "x": "x" * 300} if n % 5 else {"n": n}) for n in range(200)]
    path.write_text("\n".join(lines))

    for _ in range(3):
        with pytest.raises(Crash):
            send(path, queue.sender(None, "crash"), ahead=1)
    state = send(path, queue.sender())

    rejected = [json.loads(line) for line in path.with_suffix(".rejected").read_text().splitlines()]
    assert [one["line"] for one in rejected] == [n + 1 for n in range(0, 200, 5)]
    assert {one["ErrorCode"] for one in rejected} == {"MissingKey"}
    assert json.loads(rejected[1]["record"]) == {"put": {"n": 5}}
    assert state.rejected == {"MissingKey": 40}
    assert state.records == 160


def test_messages_that_were_sent_out_of_order_are_not_sent_again(tmp_path: Path) -> None:
    queue = Queue()
    path = items(tmp_path, 40)
    with pytest.raises(CommandError):  # The first window of ten: one of its messages is refused, the others are in.
        send(path, queue.sender(*[2] * 1000))
    before = Counter(queue.sent())

    send(path, queue.sender())

    assert 0 < before.total() < 40
    assert Counter(queue.sent()) == expected(40)


def test_what_was_sent_further_on_is_remembered_by_a_run_that_does_not_get_there(tmp_path: Path) -> None:
    queue = Queue()
    path = items(tmp_path, 400)
    windows = list(
        Packing(Checker([ORDERS]), message_bytes=1024).windows(Reader(Input(str(path), "items")).records(), START)
    )
    journal = Journal(path.with_suffix(".journal"))
    third = windows[2]
    journal.start(
        HEADING, State(sent=frozenset((third.start.offset, third.end.offset, number) for number in range(10)))
    )
    journal.close()

    for _ in range(2):
        with pytest.raises(CommandError):
            send(path, queue.sender("denied"), ahead=1)
    send(path, queue.sender())

    there = {element["put"]["pk"] for message in third.messages for element in json.loads(message.body)}
    assert len(there) == 40
    assert Counter(queue.sent()) == Counter({f"k{n}" for n in range(400)} - there)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device that is always full")
def test_a_full_disk_is_told_in_a_sentence_and_what_was_rejected_is_not_taken_for_noted(tmp_path: Path) -> None:
    path = tmp_path / "rejected"
    path.symlink_to("/dev/full")
    rejects = Rejects(path, 1)
    rejects.write(Rejected(1, START, Rejection("MissingKey", "no key"), b"{}"))

    with pytest.raises(CommandError, match=r"cannot write .*rejected: No space left"):
        rejects.sync()
    with pytest.raises(CommandError, match=r"cannot write .*rejected: No space left"):
        rejects.close()


@pytest.mark.parametrize("amount", ["records", "units"])
def test_a_rate_is_kept_from_the_first_call_to_the_last(tmp_path: Path, amount: str) -> None:
    queue = Queue()
    path = items(tmp_path, 300, length=1200 if amount == "units" else 200)
    reader, calls = Reader(Input(str(path), "items")), list[tuple[float, int]]()

    class Watched:
        def send_message_batch(self, **request: Any) -> Any:
            calls.append((queue.clock(), sum(len(json.loads(one["MessageBody"])) for one in request["Entries"])))
            return queue.sqs.send_message_batch(**request)

    Sending(
        Packing(Checker([ORDERS]), message_bytes=2048).windows(reader.records(), START),
        State(),
        sender=replace(queue.sender(), client=Watched()),
        executor=Inline(),
        connections=8,
        in_order=False,
        journal=None,
        rejects=Rejects(tmp_path / "rejected", 0),
        pace=Pace(20, lambda message: getattr(message, amount), queue.clock),
        sleep=queue.clock.sleep,
    ).run()

    assert Counter(queue.sent()) == expected(300)
    worth = 2 if amount == "units" else 1
    seconds = calls[-1][0] - calls[0][0]
    assert seconds == pytest.approx((300 - calls[-1][1]) * worth / 20, abs=0.5)
    assert max(count for _, count in calls) * worth <= 20  # Never more than a second's at once.


# The sender


def test_a_failure_that_is_the_senders_own_is_final_and_the_others_are_sent() -> None:
    queue = Queue()
    messages = [Outgoing(body, 1, 1) for body in ("a", "bad", "c")]
    queue.sqs.fail_entries("SendMessageBatch", lambda entry: entry["MessageBody"] == "bad")

    class SendersFault:
        def send_message_batch(self, **request: Any) -> Any:
            answer = queue.sqs.send_message_batch(**request)
            failed = [{**entry, "Code": "InvalidMessageContents", "SenderFault": True} for entry in answer["Failed"]]
            return {**answer, "Failed": failed}

    sender = queue.sender()
    refused = replace(sender, client=SendersFault()).send(messages)

    assert {position: failure.code for position, failure in refused.items()} == {1: "InvalidMessageContents"}
    assert [message["Body"] for message in queue.sqs.messages(queue.url)] == ["a", "c"]
    assert queue.clock() == 0


def test_an_answer_that_names_no_message_proves_nothing() -> None:
    queue = Queue()
    answers: Iterator[dict[str, Any] | None] = iter([{}, None])

    class Silent:
        def send_message_batch(self, **request: Any) -> Any:
            return answer if (answer := next(answers)) is not None else queue.sqs.send_message_batch(**request)

    assert replace(queue.sender(), client=Silent()).send([Outgoing("a", 1, 1)]) == {}
    assert len(queue.sqs.messages(queue.url)) == 1


def test_waits_grow_up_to_a_bound_and_end_when_told() -> None:
    waits: list[float] = []

    def wait(seconds: float) -> bool:
        waits.append(seconds)
        return len(waits) == 12

    sender = replace(Queue().sender(*["throttle"] * 99), wait=wait, chance=lambda: 1.0, patience=1e9)
    refused = sender.send([Outgoing("a", 1, 1)])

    assert refused[0].code == "RequestThrottled"
    assert waits == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 20, 20, 20, 20]


# The journal


def test_a_journal_tells_the_last_state_that_was_noted(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    state = State(
        Position(10, 2),
        frozenset({(20, 30, 1), (20, 30, 2), (20, 30, 4), (20, 40, 5), (90, 95, 6)}),
        5,
        2,
        1000,
        {"MissingKey": 1},
        {"MissingKey": Example(10, 1, "no key")},
        77,
    )

    journal.start(HEADING, State())
    journal.note(state)
    journal.close()

    assert Journal(tmp_path / "journal").read() == (HEADING, state)


@pytest.mark.parametrize("lost", [1, 5, 60])
def test_a_line_that_a_crash_cut_does_not_count(tmp_path: Path, lost: int) -> None:
    path = tmp_path / "journal"
    journal = Journal(path)
    journal.start(HEADING, State())
    journal.note(State(records=1))
    journal.note(State(records=2))
    journal.close()
    path.write_bytes(path.read_bytes()[:-lost])

    found = Journal(path).read()

    assert found is not None
    assert found[1] == State(records=1)


def test_a_long_journal_is_written_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sluice.send.journal._MAX_LINE_BYTES", 2_000)
    path = tmp_path / "journal"
    journal = Journal(path)
    journal.start(HEADING, State())

    for records in range(100):
        journal.note(State(records=records))
        assert Journal(path).read() == (HEADING, State(records=records))
    assert path.stat().st_size < 3_000
    assert [other.name for other in tmp_path.iterdir()] == ["journal"]


@pytest.mark.parametrize("room", [0, 1, 50])
def test_a_full_disk_loses_nothing_that_was_noted_and_all_that_was_accepted_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    queue, path, left = Queue(), items(tmp_path, 500), None
    write = os.write

    def into_little_room(file: int, content: Any) -> int:
        nonlocal left
        if left is None or left < 0:
            return write(file, content)
        if left == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        count = write(file, content[:left])
        left -= count
        return count

    monkeypatch.setattr(os, "write", into_little_room)
    looks = iter([None] * 4)

    def check() -> None:
        nonlocal left
        left = room if next(looks, "full") == "full" and left is None else left

    sendings: list[Sending] = []
    with pytest.raises(CommandError, match=r"cannot write .*journal: No space left"):
        send(path, queue.sender(), check=check, ahead=1, made=sendings.append)
    accepted, noted = sendings[0].state, sendings[0].noted
    found = Journal(path.with_suffix(".journal")).read()

    assert accepted.records == len(queue.sent()) > noted.records > 0
    assert found is not None
    assert found[1] == noted
    left = -1
    send(path, queue.sender())
    assert set(queue.sent()) == set(expected(500))


def test_what_the_system_writes_piece_by_piece_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write, state = os.write, State(records=7)
    monkeypatch.setattr(os, "write", lambda file, content: write(file, content[:10]))
    journal = Journal(tmp_path / "journal")

    journal.start(HEADING, State())
    journal.note(state)

    assert Journal(tmp_path / "journal").read() == (HEADING, state)


def test_what_is_no_journal_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    path.write_text("something else\n")

    with pytest.raises(CommandError, match="not the journal"):
        Journal(path).read()
