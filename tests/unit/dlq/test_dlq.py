"""Dead letters are looked at without a trace, and sent again without a loss."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.aws.dead_letters import dead_letter
from sluice.cli import CommandError, main
from sluice.dlq import queues
from sluice.dlq.holding import Holding
from sluice.dlq.letters import REASONS, letter
from sluice.dlq.moving import CannotMove, move
from sluice.dlq.sending import Edited, Redrive, Through
from sluice.message.operation import Rejection
from tests.fakes import Clock, FakeSQS

REPEATABLE = settings(deadline=None, derandomize=True, database=None, max_examples=80)


class Crash(BaseException):
    """The process is gone: nothing after it is done."""


class Queues:
    """A queue and its dead-letter queue, with letters as the function writes them."""

    def __init__(self, *, fifo: bool = False) -> None:
        self.clock = Clock()
        self.sqs = FakeSQS(self.clock)
        ending = ".fifo" if fifo else ""
        self.dlq = self.sqs.create_queue(f"dead{ending}", fifo=fifo)
        self.queue = self.sqs.create_queue(f"work{ending}", fifo=fifo, dead_letter=self.dlq)
        self._fifo = fifo

    def dead(self, number: int, code: str = "MissingKey", *, group: str = "g", body: str | None = None) -> str:
        """Dead-letter message `number` as the function does; the letter's id."""
        record = {
            "messageId": f"source-{number}",
            "eventSourceARN": f"arn:aws:sqs:us-east-1:123456789012:work{'.fifo' if self._fifo else ''}",
            "attributes": {"ApproximateReceiveCount": "2", **({"MessageGroupId": group} if self._fifo else {})},
            "messageAttributes": {
                "tenant": {"dataType": "String", "stringValue": f"t{number}"},
                "blob": {"dataType": "Binary", "binaryValue": "AAE="},
            },
        }
        made = dead_letter(record, body or f'{{"put": {{"n": {number}}}}}', [Rejection(code, f"wrong with {number}")])
        assert made is not None
        entry = made.entry(0, self._fifo)
        del entry["Id"]
        return str(self.sqs.send_message(QueueUrl=self.dlq, **entry)["MessageId"])

    def redrive(self, sqs: Any = None, **options: Any) -> Redrive:
        client = sqs or self.sqs
        redrive = Redrive(client, self.queue, clock=self.clock, wait=self._wait, chance=lambda: 1.0, **options)
        with Holding(client, self.dlq, visibility=900) as holding:
            redrive.run(holding)
        return redrive

    def _wait(self, seconds: float) -> bool:
        self.clock.sleep(seconds)
        return False

    def bodies(self, url: str) -> list[str]:
        return [message["Body"] for message in self.sqs.messages(url)]

    def visible(self) -> int:
        """Letters that somebody else could receive now."""
        answer = self.sqs.get_queue_attributes(QueueUrl=self.dlq, AttributeNames=["All"])
        return int(answer["Attributes"]["ApproximateNumberOfMessages"])


def body(number: int) -> str:
    return f'{{"put": {{"n": {number}}}}}'


# Looking


def test_each_letter_is_seen_once_and_is_visible_again_afterwards() -> None:
    world = Queues()
    ids = {world.dead(number) for number in range(25)}

    with Holding(world.sqs, world.dlq, visibility=60) as holding:
        seen = [one.id for batch in holding.batches() for one in batch]
        hidden = world.visible() == 0

    assert sorted(seen) == sorted(ids)
    assert hidden
    assert world.visible() == 25


def test_letters_that_come_back_while_one_looks_are_not_counted_twice() -> None:
    world = Queues()
    ids = {world.dead(number) for number in range(15)}
    seen: list[str] = []

    with Holding(world.sqs, world.dlq, visibility=1) as holding:
        for batch in holding.batches():
            seen += [one.id for one in batch]
            world.clock.sleep(2)

    assert Counter(seen) == Counter(ids)
    assert world.visible() == 15


def test_more_letters_are_found_behind_those_that_have_come_back() -> None:
    world = Queues()
    ids = {world.dead(number) for number in range(45)}
    seen: list[str] = []

    with Holding(world.sqs, world.dlq, visibility=10) as holding:
        for batch in holding.batches():
            seen += [one.id for one in batch]
            if len(seen) == 40:
                world.clock.sleep(11)

    assert Counter(seen) == Counter(ids)
    assert holding.is_at_end


def test_letters_are_let_go_even_if_looking_fails() -> None:
    world = Queues()
    world.dead(1)

    def look() -> None:
        with Holding(world.sqs, world.dlq, visibility=60) as holding:
            for _ in holding.batches():
                raise Crash

    with pytest.raises(Crash):
        look()

    assert world.visible() == 1


def test_a_limit_is_kept() -> None:
    world = Queues()
    for number in range(25):
        world.dead(number)

    with Holding(world.sqs, world.dlq, visibility=60, limit=12) as holding:
        sizes = [len(batch) for batch in holding.batches()]

    assert sizes == [10, 2]
    assert not holding.is_at_end


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Runs `sluice dlq` on a world."""

    def run(world: Queues, action: str, *arguments: str) -> int:
        monkeypatch.setattr(queues, "client", lambda *_, **__: world.sqs)
        monkeypatch.setattr("sluice.dlq.looking.time.time", world.clock)
        return main(["dlq", action, "--dlq-url", world.dlq, "--queue-url", world.queue, *arguments])

    return run


def test_a_single_letter_is_told_of_in_the_singular(
    command: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world, file = Queues(), tmp_path / "letters.jsonl"
    world.dead(0)

    for arguments in (["show"], ["export", str(file)], ["purge", "--code", "MissingKey", "--yes"]):
        assert command(world, *arguments) == 0

    lines = capsys.readouterr().out.splitlines()
    assert "       1  dead letter, as counted by SQS (approximately)" in lines
    assert f"1 of 1 letter written to {file}; all are still in the queue." in lines
    assert "1 letter deleted, 0 kept." in lines


def test_show_counts_by_code_with_age_and_example_and_without_values(
    command: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    world = Queues()
    for number in range(3):
        world.dead(number)
        world.clock.sleep(3600)
    world.sqs.send_message(QueueUrl=world.dlq, MessageBody='{"put": {"secret": 1}}')

    assert command(world, "show") == 0

    output = capsys.readouterr().out
    assert "       4  dead letters, as counted by SQS" in output
    assert "       3  MissingKey               1 h to 3 h old\n          wrong with 0" in output
    assert "       1  none                     0 s old\n          moved by SQS itself" in output
    assert "put" not in output
    assert "sample" not in output
    assert world.visible() == 4


def test_show_groups_by_code_and_message_the_most_frequent_first(
    command: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    world = Queues()
    for number in (1, 2, 2, 2, 3, 4, 5, 6, 7, 7):
        world.dead(number)
    world.dead(2, "InvalidJson")

    assert command(world, "show") == 0
    lines = capsys.readouterr().out.splitlines()
    assert command(world, "show", "--json", "--examples", "2") == 0
    codes = json.loads(capsys.readouterr().out)["codes"]

    assert [line.split("  (")[0].strip() for line in lines if "wrong with" in line] == [
        *(f"wrong with {number}" for number in (2, 7, 1, 3, 4)),
        "wrong with 2",
    ]
    assert "wrong with 2  (3 letters, such as " in lines[2]
    assert "          and 2 other messages, of 2 letters (--json has them all)" in lines
    found = codes["MissingKey"]["messages"]
    assert [(group["message"], group["count"]) for group in found[:2]] == [("wrong with 2", 3), ("wrong with 7", 2)]
    assert [len(group["examples"]) for group in found] == [2, 2, 1, 1, 1, 1, 1]
    assert codes["InvalidJson"]["messages"][0]["count"] == 1


def test_show_says_where_it_has_seen_but_a_sample(
    command: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    world = Queues()
    for number in range(25):
        world.dead(number)

    assert command(world, "show", "--limit", "20", "--json") == 0

    result = json.loads(capsys.readouterr().out)
    assert (result["about"], result["looked_at"], result["is_sample"]) == (25, 20, True)
    assert result["codes"]["MissingKey"]["count"] == 20


def test_a_group_of_a_fifo_queue_is_seen_in_part_and_that_is_said(
    command: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    world = Queues(fifo=True)
    for number in range(12):
        world.dead(number)
    assert command(world, "show") == 0
    part = capsys.readouterr().out

    world.redrive(selects=lambda one: one.reason("SourceMessageId") in {"source-0", "source-1"})
    assert command(world, "show") == 0
    whole = capsys.readouterr().out

    assert "      10  of them looked at; what follows is a sample: a FIFO queue" in part
    assert "      10  MissingKey" in whole
    assert "sample" not in whole


def test_an_export_holds_reasons_attributes_and_bodies_and_is_never_written_over(
    command: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = Queues()
    id = world.dead(1, body='{"put": {"n": 1, "text": "ü\u2028"}}')
    world.dead(2, "InvalidJson")
    file = tmp_path / "letters.jsonl"

    assert command(world, "export", str(file), "--code", "MissingKey") == 0
    again = command(world, "export", str(file))

    (line,) = [json.loads(text) for text in file.read_text().split("\n") if text]
    assert line["MessageId"] == id
    assert [line[name] for name in REASONS] == [
        "MissingKey",
        "wrong with 1",
        "source-1",
        "arn:aws:sqs:us-east-1:123456789012:work",
        "2",
    ]
    assert line["Attributes"]["tenant"] == {"DataType": "String", "StringValue": "t1"}
    assert line["Attributes"]["blob"] == {"DataType": "Binary", "BinaryValue": "AAE="}
    assert line["Body"] == '{"put": {"n": 1, "text": "ü\u2028"}}'
    assert again == 2
    assert "is there already" in capsys.readouterr().err
    assert file.stat().st_mode & 0o777 == 0o600
    assert world.visible() == 2


# Sending again


def test_letters_are_sent_without_their_old_reason_and_deleted() -> None:
    world = Queues()
    for number in range(25):
        world.dead(number)

    result = world.redrive().result

    assert result.sent == 25
    assert sorted(world.bodies(world.queue)) == sorted(map(body, range(25)))
    assert world.bodies(world.dlq) == []
    first = world.sqs.messages(world.queue)[0]["MessageAttributes"]
    assert first["tenant"]["StringValue"] == "t0"
    assert first["blob"]["BinaryValue"] == b"\x00\x01"
    assert not set(REASONS) & set(first)


def test_only_chosen_codes_are_sent_and_the_others_become_visible_again() -> None:
    world = Queues()
    for number in range(20):
        world.dead(number, "MissingKey" if number % 2 else "InvalidJson")

    result = world.redrive(selects=lambda one: one.code == "MissingKey").result

    assert (result.sent, result.left) == (10, 10)
    assert sorted(world.bodies(world.queue)) == sorted(body(number) for number in range(1, 20, 2))
    assert world.visible() == 10


def test_a_letter_that_the_queue_does_not_take_stays() -> None:
    world = Queues()
    for number in range(5):
        world.dead(number)
    world.sqs.fail_entries("SendMessageBatch", lambda entry: '"n": 3' in entry["MessageBody"])

    redrive = world.redrive()

    assert not redrive.result.is_good
    assert redrive.result.sent == 4
    assert world.bodies(world.dlq) == [body(3)]
    assert world.visible() == 1


def test_a_letter_that_cannot_be_deleted_is_told() -> None:
    world = Queues()
    world.dead(1)
    world.sqs.fail_entries("DeleteMessageBatch", lambda _: True)

    result = world.redrive().result

    assert (result.sent, result.undeleted) == (1, 1)
    assert not result.is_good


def test_what_is_dead_lettered_again_meanwhile_is_not_sent_in_a_circle() -> None:
    world = Queues()
    for number in range(12):
        world.dead(number)
    sqs = world.sqs

    class Failing:
        """The function fails with everything at once."""

        def __getattr__(self, name: str) -> Any:
            return getattr(sqs, name)

        def receive_message(self, **request: Any) -> Any:
            for message in sqs.messages(world.queue):
                record = {"messageId": message["MessageId"], "eventSourceARN": "arn:aws:sqs:us-east-1:1:work"}
                made = dead_letter(record, message["Body"], [Rejection("MissingKey", "still")])
                assert made is not None
                sqs.send_message(QueueUrl=world.dlq, **{k: v for k, v in made.entry(0, False).items() if k != "Id"})
            world.sqs._queues[world.queue].messages.clear()
            return sqs.receive_message(**request)

    result = world.redrive(Failing()).result

    assert (result.sent, result.again) == (12, 12)
    assert world.visible() == 12


def test_the_rate_is_kept() -> None:
    world = Queues()
    for number in range(50):
        world.dead(number)
    start = world.clock()

    world.redrive(rate=5)

    assert world.clock() - start == pytest.approx((50 - 10) / 5, abs=1)


@REPEATABLE
@given(st.data())
def test_whatever_fails_every_letter_is_in_one_of_the_queues(data: st.DataObject) -> None:
    fifo = data.draw(st.booleans(), label="fifo")
    world = Queues(fifo=fifo)
    count = data.draw(st.integers(1, 30), label="letters")
    for number in range(count):
        world.dead(number, group=f"g{number % 3}")
    sqs = world.sqs
    plan = st.sampled_from([None, None, None, "refused", "unanswered", "crash", "done, then crash"])

    class Trouble:
        def __getattr__(self, name: str) -> Any:
            call = getattr(sqs, name)
            if name not in ("send_message_batch", "delete_message_batch"):
                return call

            def troubled(**request: Any) -> Any:
                match data.draw(plan, label=name):
                    case "refused":
                        raise ClientError(
                            {"Error": {"Code": "RequestThrottled"}, "ResponseMetadata": {"HTTPStatusCode": 400}}, name
                        )
                    case "unanswered":
                        call(**request)
                        raise EndpointConnectionError(endpoint_url="http://sqs")
                    case "crash":
                        raise Crash
                    case "done, then crash":
                        call(**request)
                        raise Crash
                return call(**request)

            return troubled

    for _ in range(data.draw(st.integers(1, 4), label="runs")):
        try:
            world.redrive(Trouble())
        except Crash:
            world.clock.sleep(1000)  # They come back by themselves.

    sent, left = world.bodies(world.queue), world.bodies(world.dlq)
    assert {*sent, *left} == {body(number) for number in range(count)}
    world.clock.sleep(1000)
    world.redrive()
    assert world.bodies(world.dlq) == []


# What is left


def receive(world: Queues, count: int) -> None:
    """As somebody else does, who keeps the letters for a while."""
    world.sqs.receive_message(QueueUrl=world.dlq, MaxNumberOfMessages=count, VisibilityTimeout=9000)


@pytest.mark.parametrize(
    ("action", "left"),
    [
        (("redrive", "--method", "copy", "--yes"), {"sent": 3, "hidden": 2, "held": 0}),
        (("redrive", "--code", "MissingKey", "--yes"), {"sent": 3, "hidden": 2, "held": 0}),
        (("purge", "--code", "MissingKey", "--yes"), {"purged": 3, "hidden": 2, "held": 0}),
        (("export", "letters.jsonl"), {"exported": 3, "hidden": 2}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_letters_that_somebody_else_has_received_are_told_and_make_no_success(
    command: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    action: tuple[str, ...],
    left: dict[str, int],
) -> None:
    monkeypatch.chdir(tmp_path)
    outputs = []
    for options in (["--json"], []):
        world = Queues()
        for number in range(5):
            world.dead(number)
        receive(world, 2)

        assert command(world, *action, *options) == 1

        outputs.append(capsys.readouterr())
        Path("letters.jsonl").unlink(missing_ok=True)
    result = json.loads(outputs[0].out)
    assert {name: result[name] for name in left} == left
    assert "somebody else has received them" in outputs[1].out + outputs[1].err


def test_a_group_that_somebody_else_holds_is_told_and_makes_no_success(
    command: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    world = Queues(fifo=True)
    for number in range(6):
        world.dead(number, group=f"g{number % 2}")
    receive(world, 1)

    assert command(world, "redrive", "--method", "copy", "--yes", "--json") == 1

    result = json.loads(capsys.readouterr().out)
    assert (result["sent"], result["hidden"], result["held"]) == (3, 1, 2)


def test_letters_left_behind_another_of_their_group_make_no_success(command: Callable[..., int]) -> None:
    world = Queues(fifo=True)
    for number, code in enumerate(("Other", "MissingKey")):
        world.dead(number, code)

    assert command(world, "redrive", "--code", "MissingKey", "--yes") == 1
    assert command(world, "redrive", "--code", "Other", "--yes") == 0

    assert world.bodies(world.queue) == [body(0)]


def test_letters_that_sqs_does_not_move_are_told_and_make_no_success(
    command: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    class Moving(FakeSQS):
        """SQS moves what is visible."""

        def start_message_move_task(self, **_: Any) -> Any:
            while messages := self.receive_message(QueueUrl=world.dlq, MaxNumberOfMessages=10).get("Messages"):
                for message in messages:
                    self.delete_message(QueueUrl=world.dlq, ReceiptHandle=message["ReceiptHandle"])
            return {"TaskHandle": "handle"}

        def list_message_move_tasks(self, **_: Any) -> Any:
            return {"Results": [{"Status": "COMPLETED", "ApproximateNumberOfMessagesMoved": 3}]}

    world = Queues()
    world.sqs.__class__ = Moving
    for number in range(5):
        world.dead(number)
    receive(world, 2)

    assert command(world, "redrive", "--yes") == 1

    output = capsys.readouterr().out
    assert "3 letters moved by SQS" in output
    assert "       2  or so left: hidden" in output


def test_nothing_is_left_where_others_have_taken_the_letters_meanwhile(command: Callable[..., int]) -> None:
    world = Queues()
    for number in range(5):
        world.dead(number)
    sqs = world.sqs

    class Deleting:
        """Somebody else deletes a letter as soon as it has been counted."""

        deleted = False

        def __getattr__(self, name: str) -> Any:
            return getattr(sqs, name)

        def receive_message(self, **request: Any) -> Any:
            if not self.deleted:
                (message,) = sqs.receive_message(QueueUrl=world.dlq)["Messages"]
                sqs.delete_message(QueueUrl=world.dlq, ReceiptHandle=message["ReceiptHandle"])
                self.deleted = True
            return sqs.receive_message(**request)

    world.sqs = Deleting()  # type: ignore[assignment]

    assert command(world, "redrive", "--method", "copy", "--yes") == 0


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("MissingKye", "; did you mean MissingKey?"),
        ("missingkey", "; did you mean MissingKey?"),
        ("Throttled", "; there are MissingKey (2), InvalidJson (1)."),
    ],
)
@pytest.mark.parametrize("action", [("redrive", "--yes"), ("purge", "--yes"), ("export", "letters.jsonl")])
def test_a_code_that_no_letter_has_is_told_with_the_near_ones_and_makes_no_success(
    command: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    action: tuple[str, ...],
    code: str,
    text: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    world = Queues()
    for number, letter_code in enumerate(("MissingKey", "MissingKey", "InvalidJson")):
        world.dead(number, letter_code)

    assert command(world, *action, "--code", code, "--code", "InvalidJson") == 1

    assert capsys.readouterr().err.endswith(f"No letter has the code {code!r}{text}\n")
    assert world.visible() == (3 if action[0] == "export" else 2)


def test_an_empty_queue_has_no_letter_of_any_code(
    command: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    world = Queues()

    assert command(world, "redrive", "--code", "MissingKey", "--yes") == 1
    assert command(world, "purge", "--code", "MissingKey", "--yes") == 0

    assert "No letter has the code 'MissingKey': there are no letters to be had." in capsys.readouterr().err


# FIFO


def in_groups(world: Queues) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for message in world.sqs.messages(world.queue):
        groups.setdefault(message["Attributes"]["MessageGroupId"], []).append(message["Body"])
    return groups


def test_groups_and_their_order_are_kept() -> None:
    world = Queues(fifo=True)
    for number in range(40):
        world.dead(number, group=f"g{number % 3}")

    result = world.redrive().result

    assert result.sent == 40
    assert in_groups(world) == {f"g{g}": [body(n) for n in range(40) if n % 3 == g] for g in range(3)}


def test_a_letter_that_stays_holds_up_the_later_ones_of_its_group_alone() -> None:
    world = Queues(fifo=True)
    for number in range(12):
        world.dead(number, "Other" if number == 4 else "MissingKey", group=f"g{number % 3}")

    result = world.redrive(selects=lambda one: one.code == "MissingKey").result

    assert in_groups(world) == {
        "g0": [body(n) for n in (0, 3, 6, 9)],
        "g1": [body(1)],
        "g2": [body(n) for n in (2, 5, 8, 11)],
    }
    assert (result.sent, result.left, result.behind) == (9, 1, 1)  # The queue does not even give the last one.


def test_a_letter_of_a_fifo_queue_that_is_refused_is_not_overtaken() -> None:
    world = Queues(fifo=True)
    for number in range(6):
        world.dead(number, group=f"g{number % 2}")
    world.sqs.fail_entries("SendMessageBatch", lambda entry: '"n": 2' in entry["MessageBody"])

    result = world.redrive().result

    assert in_groups(world) == {"g0": [body(0)], "g1": [body(n) for n in (1, 3, 5)]}
    assert result.behind == 1


def test_a_letter_sent_again_after_a_crash_arrives_once_and_not_as_the_original() -> None:
    world = Queues(fifo=True)
    world.sqs.send_message(
        QueueUrl=world.queue, MessageBody=body(1), MessageGroupId="g", MessageDeduplicationId="source-1"
    )
    world.dead(1)
    sqs = world.sqs

    class Crashing:
        def __getattr__(self, name: str) -> Any:
            if name == "delete_message_batch":
                raise Crash
            return getattr(sqs, name)

    with pytest.raises(Crash):
        world.redrive(Crashing())
    world.redrive()

    assert world.bodies(world.queue) == [body(1), body(1)]  # The original, and the letter once.
    assert world.bodies(world.dlq) == []


# Changed on the way


def test_a_command_changes_letters_and_leaves_those_that_it_does_not_write(tmp_path: Path) -> None:
    world = Queues()
    for number in range(25):
        world.dead(number)
    script = tmp_path / "repair.py"
    script.write_text(
        "import json, sys\n"
        "for line in sys.stdin:\n"
        "    letter = json.loads(line)\n"
        "    if '\"n\": 7}' not in letter['Body']:\n"
        "        letter['Body'] = letter['Body'].replace('\"n\"', '\"pk\"')\n"
        "        print(json.dumps(letter))\n"
    )

    result = world.redrive(change=Through(f"{sys.executable} {script}")).result

    assert (result.sent, result.left) == (24, 1)
    assert world.bodies(world.dlq) == [body(7)]
    assert sorted(world.bodies(world.queue)) == sorted(f'{{"put": {{"pk": {n}}}}}' for n in range(25) if n != 7)
    assert world.sqs.messages(world.queue)[0]["MessageAttributes"]["blob"]["BinaryValue"] == b"\x00\x01"


@pytest.mark.parametrize(
    ("through", "text"),
    [
        ("exit 3", "status 3"),
        ("echo nonsense", "not JSON"),
        ("""echo '{"MessageId": "other", "Body": "x"}'""", "not given"),
        ("""sed 's/"Body": .*/"Body": 1}/'""", '"Body" must be'),
    ],
)
def test_a_command_that_fails_or_writes_nonsense_stops_all_and_loses_nothing(through: str, text: str) -> None:
    world = Queues()
    world.dead(1)

    with pytest.raises(CommandError, match=text):
        world.redrive(change=Through(through))

    assert world.bodies(world.queue) == []
    assert world.visible() == 1


def test_an_edited_export_says_what_is_sent(command: Callable[..., int], tmp_path: Path) -> None:
    world = Queues()
    for number in range(5):
        world.dead(number)
    file = tmp_path / "letters.jsonl"
    command(world, "export", str(file))
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    lines[1]["Body"] = '{"put": {"pk": "repaired"}}'
    file.write_text("".join(f"{json.dumps(line)}\n" for line in (lines[1], lines[2])))

    assert command(world, "redrive", "--from", str(file), "--yes") == 0

    assert sorted(world.bodies(world.queue)) == sorted(['{"put": {"pk": "repaired"}}', lines[2]["Body"]])
    assert world.visible() == 3


def test_it_is_no_success_where_letters_of_an_export_are_not_there_any_more(
    command: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = Queues()
    world.dead(0)
    file = tmp_path / "letters.jsonl"
    command(world, "export", str(file))
    line = json.loads(file.read_text())
    with file.open("a") as more:
        more.write(f"{json.dumps({**line, 'MessageId': 'gone', 'ErrorCode': 'MissingKey'})}\n")

    assert command(world, "redrive", "--from", str(file), "--yes") == 1

    assert len(world.bodies(world.queue)) == 1
    assert "1 letter of" in capsys.readouterr().err


def test_an_empty_export_sends_nothing(command: Callable[..., int], tmp_path: Path) -> None:
    world = Queues()
    world.dead(1)
    file = tmp_path / "letters.jsonl"
    file.write_text("")

    assert command(world, "redrive", "--from", str(file), "--yes") == 0

    assert world.bodies(world.queue) == []
    assert world.visible() == 1


def test_a_line_that_is_none_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    file = tmp_path / "letters.jsonl"
    file.write_text('{"MessageId": "a", "Body": "x"}\n{"MessageId": "b", "Body": ""}\n')

    with pytest.raises(CommandError, match="line 2"):
        Edited(file)


def test_a_letter_survives_its_line() -> None:
    world = Queues()
    world.dead(1)
    (message,) = world.sqs.receive_message(
        QueueUrl=world.dlq, MessageAttributeNames=["All"], MessageSystemAttributeNames=["All"]
    )["Messages"]
    original = letter(message)

    changed = original.changed(json.loads(original.to_line()))

    assert (changed.body, changed.own_attributes) == (original.body, original.own_attributes)


# Asking


@pytest.mark.parametrize("action", ["redrive", "purge"])
def test_without_a_yes_nothing_is_done(
    command: Callable[..., int], action: str, capsys: pytest.CaptureFixture[str]
) -> None:
    world = Queues()
    world.dead(1)

    assert command(world, action) == 2

    assert "--yes" in capsys.readouterr().err
    assert world.visible() == 1


@pytest.mark.parametrize(("answer", "left"), [("y\n", 1), ("n\n", 2), ("\n", 2), ("", 2)])
def test_purging_by_code_asks_and_deletes_only_those(
    command: Callable[..., int], monkeypatch: pytest.MonkeyPatch, answer: str, left: int
) -> None:
    world = Queues()
    world.dead(1)
    world.dead(2, "InvalidJson")

    class Terminal:
        def isatty(self) -> bool:
            return True

        def readline(self) -> str:
            return answer

    monkeypatch.setattr("sluice.dlq.removing.sys.stdin", Terminal())

    assert command(world, "purge", "--code", "MissingKey") == (0 if left == 1 else 1)

    assert len(world.bodies(world.dlq)) == left
    assert body(2) in world.bodies(world.dlq)


# Moved by SQS


class Tasks:
    """StartMessageMoveTask and the looks at it; `states` are the answers of the looks."""

    def __init__(self, *states: dict[str, Any], refusal: str | None = None) -> None:
        self._states = list(states)
        self._refusal = refusal
        self.started: dict[str, Any] = {}
        self.cancelled: list[str] = []

    def start_message_move_task(self, **request: Any) -> Any:
        if self._refusal:
            raise ClientError({"Error": {"Code": self._refusal}}, "StartMessageMoveTask")
        self.started = request
        return {"TaskHandle": "handle"}

    def list_message_move_tasks(self, **_: Any) -> Any:
        return {"Results": [self._states.pop(0)]}

    def cancel_message_move_task(self, **request: Any) -> Any:
        self.cancelled.append(request["TaskHandle"])


def moved(tasks: Tasks, *, rate: int | None = None, check: Callable[[], None] = lambda: None) -> int:
    return move(tasks, "source", "target", rate=rate, wait=lambda _: None, check=check, show=lambda *_: None)


def test_sqs_is_told_the_destination_and_the_rate_and_watched_until_it_is_done() -> None:
    tasks = Tasks(
        {"Status": "RUNNING", "ApproximateNumberOfMessagesMoved": 3},
        {"Status": "COMPLETED", "ApproximateNumberOfMessagesMoved": 7},
    )

    assert moved(tasks, rate=9000) == 7

    assert tasks.started == {"SourceArn": "source", "DestinationArn": "target", "MaxNumberOfMessagesPerSecond": 500}


def test_a_task_that_fails_says_why() -> None:
    with pytest.raises(CommandError, match="AccessDenied"):
        moved(Tasks({"Status": "FAILED", "FailureReason": "AccessDenied"}))


def test_a_task_is_cancelled_when_it_is_interrupted() -> None:
    tasks = Tasks({"Status": "RUNNING"})

    def check() -> None:
        raise Crash

    with pytest.raises(Crash):
        moved(tasks, check=check)

    assert tasks.cancelled == ["handle"]


@pytest.mark.parametrize("refusal", ["AWS.SimpleQueueService.UnsupportedOperation", "ResourceNotFoundException", "500"])
def test_what_sqs_does_not_move_is_left_to_others(refusal: str) -> None:
    with pytest.raises(CannotMove):
        moved(Tasks(refusal=refusal))


def test_another_error_is_not_taken_for_a_refusal() -> None:
    with pytest.raises(ClientError):
        moved(Tasks(refusal="InternalError"))
