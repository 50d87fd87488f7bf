"""What is asked of AWS before a file is sent, and what the command makes of its options."""

from __future__ import annotations

import argparse
import errno
import gzip
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sluice import cli
from sluice.cli import CommandError, UsageError, main
from sluice.message.settings import KeyAttribute, Settings, Table
from sluice.send import target
from sluice.sending import region as region_module
from tests.fakes import FakeSQS, Refusal
from tests.world import EVENTS, ORDERS


def options(**given: Any) -> argparse.Namespace:
    nothing = {"function": None, "table_name": None, "key": None, "table": None, "format": "operation"}
    return argparse.Namespace(**{**nothing, **given})


@pytest.fixture
def function(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The environment of the deployed function."""
    environ: dict[str, str] = {}

    class Lambda:
        def get_function_configuration(self, FunctionName: str) -> Any:  # noqa: N803
            assert FunctionName == "writer"
            return {"Environment": {"Variables": environ}}

    monkeypatch.setattr(target, "client", lambda *_: Lambda())
    return environ


def test_the_functions_own_tables_are_taken(function: dict[str, str]) -> None:
    function.update(Settings((ORDERS, EVENTS)).to_environ())

    assert target.tables(options(function="writer")) == (ORDERS, EVENTS)


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        (Settings((ORDERS,), record_expression="detail"), UsageError),
        (Settings((ORDERS,), record_format="item"), UsageError),
        (None, CommandError),
    ],
    ids=["envelope", "items", "no settings"],
)
def test_a_function_that_expects_something_else_is_told_apart(
    function: dict[str, str], settings: Settings | None, error: type[Exception]
) -> None:
    function.update(settings.to_environ() if settings else {})

    with pytest.raises(error, match="writer"):
        target.tables(options(function="writer"))


def test_a_table_is_described(monkeypatch: pytest.MonkeyPatch) -> None:
    class DynamoDB:
        def describe_table(self, TableName: str) -> Any:  # noqa: N803
            assert TableName == "events-table"
            schema = [{"AttributeName": "sk", "KeyType": "RANGE"}, {"AttributeName": "pk", "KeyType": "HASH"}]
            types = [("pk", "S"), ("other", "B"), ("sk", "N")]
            definitions = [{"AttributeName": name, "AttributeType": kind} for name, kind in types]
            return {"Table": {"KeySchema": schema, "AttributeDefinitions": definitions}}

    monkeypatch.setattr(target, "client", lambda *_: DynamoDB())

    (found,) = target.tables(options(table_name="events-table", table="events"))

    assert found == EVENTS


def test_a_key_is_given_by_hand() -> None:
    (found,) = target.tables(options(key="a:b:S,sk:N"))

    assert found == Table("table", "table", KeyAttribute("a:b", "S"), KeyAttribute("sk", "N"))


@pytest.mark.parametrize("key", ["pk", "pk:X", ":S", "a:S,b:S,c:S"])
def test_a_key_that_is_none_is_refused(key: str) -> None:
    with pytest.raises(UsageError):
        target.tables(options(key=key))


def test_columns_take_the_types_of_the_table_that_is_named() -> None:
    known = target.Target((ORDERS, EVENTS), False, 1)

    assert known.key_types(None) == {"pk": "S"}
    assert known.key_types("events") == {"pk": "S", "sk": "N"}
    assert known.key_types("nowhere") == {}


def test_nothing_known_is_no_tables() -> None:
    assert target.tables(options()) == ()


@pytest.mark.parametrize(
    ("url", "region"),
    [
        ("https://sqs.eu-west-1.amazonaws.com/123456789012/q", "eu-west-1"),
        ("https://sqs.cn-north-1.amazonaws.com.cn/123456789012/q", "cn-north-1"),
        ("https://us-east-2.queue.amazonaws.com/123456789012/q", "us-east-2"),
        ("http://localhost:4566/123456789012/q", None),
        ("", None),
    ],
)
def test_a_queues_url_names_its_region(url: str, region: str | None) -> None:
    assert region_module.region_of(url) == region


class Attributes:
    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def get_queue_attributes(self, **_: Any) -> Any:
        if isinstance(self._answer, Exception):
            raise self._answer
        return {"Attributes": self._answer}


def denied(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": ""}}, "GetQueueAttributes")


@pytest.mark.parametrize(
    ("answer", "most"),
    [({"MaximumMessageSize": "262144"}, 262_144), ({}, 1_048_576), (denied("AccessDenied"), 1_048_576)],
    ids=["smaller", "not told", "not allowed"],
)
def test_the_queue_says_how_much_a_message_may_have(answer: Any, most: int) -> None:
    assert target.queue(options(queue_url="https://queue/q.fifo"), Attributes(answer)) == (True, most)


def test_a_queue_that_does_not_exist_is_no_matter_of_rights() -> None:
    with pytest.raises(ClientError):
        target.queue(options(queue_url="https://queue/q"), Attributes(denied("QueueDoesNotExist")))


# The whole command, in this process


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> tuple[FakeSQS, str]:
    sqs = FakeSQS()
    url = sqs.create_queue("work")

    class Client:
        """The fake, with the one call besides that the command makes."""

        send_message_batch = staticmethod(sqs.send_message_batch)
        get_queue_attributes = staticmethod(Attributes({"MaximumMessageSize": "2048"}).get_queue_attributes)

    monkeypatch.setattr("sluice.send.command.client", lambda *_, **__: Client())
    return sqs, url


def test_no_message_is_larger_than_the_queue_takes(queue: tuple[FakeSQS, str], tmp_path: Path) -> None:
    sqs, url = queue
    path = tmp_path / "items.jsonl"
    lines = [{"pk": str(n), "x": "x" * (3000 if n == 5 else 300)} for n in range(30)]
    path.write_text("\n".join(map(json.dumps, lines)))

    status = main(["send", str(path), "--queue-url", url, "--key", "pk:S"])

    assert status == cli.FAILED
    bodies = [message["Body"] for message in sqs.messages(url)]
    assert max(map(len, bodies)) <= 2048
    sent = {operation["put"]["pk"] for body in bodies for operation in json.loads(body)}
    assert sent == {str(n) for n in range(30)} - {"5"}
    (rejected,) = Path(f"{path}.rejected.jsonl").read_text().splitlines()
    assert json.loads(rejected)["ErrorCode"] == "MessageTooLarge"


@pytest.mark.usefixtures("queue")
def test_an_empty_url_as_of_a_variable_that_is_not_set_is_a_usage_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "items.jsonl"
    path.write_text('{"pk": "a"}\n')

    assert main(["send", str(path), "--queue-url", ""]) == cli.USAGE
    assert "--queue-url is required" in capsys.readouterr().err


def test_the_first_bad_record_ends_it_on_request(
    queue: tuple[FakeSQS, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sqs, url = queue
    path = tmp_path / "items.jsonl"
    path.write_text('{"pk": "a"}\n{"pk": 1}\n{"pk": "c"}\n')

    status = main(["send", str(path), "--queue-url", url, "--key", "pk:S", "--stop-on-rejected"])

    assert status == cli.FAILED
    assert [json.loads(message["Body"]) for message in sqs.messages(url)] == [[{"put": {"pk": "a"}}]]
    assert "line 2: KeyTypeMismatch" in capsys.readouterr().err


def refused_halfway(queue: tuple[FakeSQS, str], directory: Path, *more: str) -> tuple[Path, list[str]]:
    """A file of 30 records, a message each, and the command whose second call for it the queue will refuse."""
    sqs, url = queue
    path = directory / "items.jsonl"
    path.write_text("".join(f'{{"pk": "{n}", "x": "{"x" * 1500}"}}\n' for n in range(30)))
    sqs.script(None, Refusal("AccessDenied", "not allowed"), operation="SendMessageBatch")
    return path, ["send", str(path), "--queue-url", url, "--key", "pk:S", "--connections", "1", *more]


def keys_in(queue: tuple[FakeSQS, str]) -> set[str]:
    """The partition keys of all that is in the queue."""
    sqs, url = queue
    return {operation["put"]["pk"] for message in sqs.messages(url) for operation in json.loads(message["Body"])}


def test_an_unfinished_send_is_resumed_only_as_it_was(
    queue: tuple[FakeSQS, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sqs, url = queue
    _, arguments = refused_halfway(queue, tmp_path)

    assert main(arguments) == cli.FAILED
    assert "Accepted: 10 records," in capsys.readouterr().err
    assert main(arguments) == cli.USAGE
    assert main([*arguments, "--resume", "--message-size", "1024"]) == cli.USAGE
    assert "message_size" in capsys.readouterr().err
    assert main([*arguments, "--resume", "--restart"]) == cli.USAGE
    assert len(sqs.messages(url)) == 10
    assert main([*arguments, "--resume"]) == cli.DONE
    assert len(sqs.messages(url)) == 30


def test_what_a_stop_at_a_bad_record_has_left_half_sent_is_not_taken_for_what_a_resume_would_send(
    queue: tuple[FakeSQS, str], tmp_path: Path
) -> None:
    sqs, url = queue
    path = tmp_path / "items.jsonl"
    lines = [{"pk": 0 if number == 11 else str(number), "x": "x" * 600} for number in range(15)]
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    arguments = ["send", str(path), "--queue-url", url, "--key", "pk:S", "--message-size", "2048"]
    refuses = True
    sqs.fail_entries("SendMessageBatch", lambda entry: refuses and '"pk": "0"' in entry["MessageBody"])

    assert main([*arguments, "--stop-on-rejected"]) == cli.FAILED
    before = keys_in(queue)
    refuses = False
    assert main([*arguments, "--resume"]) == cli.FAILED  # For the bad record, which is left out.

    sent = keys_in(queue)
    assert before == {str(number) for number in range(3, 11)}
    assert sent == {str(number) for number in range(15)} - {"11"}


def test_a_send_is_not_resumed_where_the_queue_takes_longer_messages_than_before(
    queue: tuple[FakeSQS, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _, arguments = refused_halfway(queue, tmp_path, "--message-size", "1024")
    assert main(arguments) == cli.FAILED
    monkeypatch.setattr("sluice.send.command.queue", lambda *_: (False, 4096))

    assert main([*arguments, "--resume"]) == cli.USAGE
    assert "queue's longest message" in capsys.readouterr().err


def test_an_unfinished_send_of_a_file_that_has_changed_is_not_resumed(
    queue: tuple[FakeSQS, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sqs, url = queue
    path, arguments = refused_halfway(queue, tmp_path)
    assert main(arguments) == cli.FAILED
    path.write_text(path.read_text().replace("x", "y"))

    assert main([*arguments, "--resume"]) == cli.FAILED
    assert "has changed" in capsys.readouterr().err
    assert main([*arguments, "--restart"]) == cli.DONE
    assert len(sqs.messages(url)) == 40


def test_the_advice_for_a_file_that_grew_while_it_was_sent_is_what_can_be_done(
    queue: tuple[FakeSQS, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sqs, url = queue
    path = tmp_path / "items.jsonl"
    path.write_text('{"pk": "a"}\n')
    arguments = ["send", str(path), "--queue-url", url, "--key", "pk:S"]

    def grow(_: Any) -> bool:
        if not sqs.messages(url):
            path.write_text('{"pk": "a"}\n{"pk": "b"}\n')
        return False

    sqs.fail_entries("SendMessageBatch", grow)
    said = [(main([*arguments, *more]), capsys.readouterr().err) for more in ([], [], ["--resume"], ["--restart"])]

    assert [status for status, _ in said] == [cli.FAILED, cli.USAGE, cli.FAILED, cli.DONE]
    assert "Accepted: 1 record," in said[0][1]
    for _, text in said[:3]:
        assert "--restart sends all again" in text
        assert "goes on from there" not in text
    assert keys_in(queue) == {"a", "b"}


@pytest.mark.parametrize("cut", [False, True])
def test_a_packed_file_that_ends_early_is_not_said_to_be_resumed(
    queue: tuple[FakeSQS, str], tmp_path: Path, capsys: pytest.CaptureFixture[str], cut: bool
) -> None:
    _, url = queue
    path = tmp_path / "items.jsonl.gz"
    packed = gzip.compress(b"".join(b'{"pk": "%d", "x": "%a"}\n' % (n, "x" * 500) for n in range(4_000)))
    path.write_bytes(packed[:-9] if cut else packed[:-8] + b"12345678")

    assert main(["send", str(path), "--queue-url", url, "--key", "pk:S"]) == cli.FAILED

    said = capsys.readouterr().err
    assert "cannot read" in said
    assert "once the file is whole, --restart sends all of it" in said


def test_a_directory_that_cannot_be_written_is_told_with_what_works(
    queue: tuple[FakeSQS, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sqs, url = queue
    (tmp_path / "closed").mkdir()
    path = tmp_path / "closed" / "items.jsonl"
    path.write_text('{"pk": "a"}\n{"pk": 1}\n')
    real = os.open

    def closed(name: Any, flags: int, *more: Any, **given: Any) -> int:
        if Path(name).parent == path.parent and flags & os.O_CREAT:
            raise OSError(errno.EACCES, "Permission denied")
        return real(name, flags, *more, **given)

    monkeypatch.setattr(os, "open", closed)
    link = tmp_path / "items.jsonl"
    link.symlink_to(path)

    assert main(["send", str(path), "--queue-url", url, "--key", "pk:S"]) == cli.FAILED
    said = capsys.readouterr().err
    assert main(["send", str(link), "--queue-url", url, "--key", "pk:S"]) == cli.FAILED  # For the rejected record.

    assert "send a link to it (ln -s)" in said
    assert "--resume" not in said
    assert len(sqs.messages(url)) == 1
    assert Path(f"{link}.rejected.jsonl").exists()


def test_a_finished_file_with_resume_is_told_as_sent_before(
    queue: tuple[FakeSQS, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sqs, url = queue
    path = tmp_path / "items.jsonl"
    path.write_text('{"pk": "a"}\n')
    arguments = ["send", str(path), "--queue-url", url, "--key", "pk:S"]
    assert main(arguments) == cli.DONE
    assert capsys.readouterr().out.startswith("sent ")

    assert main([*arguments, "--resume"]) == cli.DONE
    assert capsys.readouterr().out.startswith("were sent ")
    path.write_text('{"pk": "a"}\n{"pk": "b"}\n')
    assert main([*arguments, "--resume"]) == cli.FAILED

    assert "which is complete; without --resume all is sent again" in capsys.readouterr().err
    assert len(sqs.messages(url)) == 1


REPAIR = re.findall(r"^jq -rs '(.*)' ", (Path(__file__).parents[3] / "docs/messages.md").read_text(), re.MULTILINE)[0]
REPAIRED = {
    "rows": (
        "a.csv",
        'pk,"a ""b"""\n1,"x, ""y""\nz"\n2,"5 inch, ""q""\n,"s, ""t""\nu"\n4\n',
        [],
        [],
        [('5 inch, ""q""', '5 inch, ""q"""'), ('\n,"s', '\n3,"s'), ("\n4", "\n4,v")],
        {"1": 'x, "y"\nz', "2": '5 inch, "q"', "3": 's, "t"\nu', "4": "v"},
    ),
    "rows of another delimiter": (
        "a.csv", "sep=;\npk;a\n1;x\n2;y;z\n", [], [], [("2;y;z", '2;"y;z"')], {"1": "x", "2": "y;z"}
    ),
    "items": (
        "a.jsonl", '{"pk": "1", "a": "x"}\n{"pk": 2, "a": "y"}\n{"pk": "3", "a":\n',
        [], ["--input", "operations"], [("2,", '"2",'), ('"a":}', '"a": "z"}}')], {"1": "x", "2": "y", "3": "z"},
    ),
    "bare items": (
        "a.jsonl", '{"pk": "1", "a": "x"}\n{"pk": 2, "a": "y"}\n',
        ["--format", "item"], ["--format", "item", "--input", "items"], [("2,", '"2",')], {"1": "x", "2": "y"},
    ),
    "operations": (
        "a.jsonl", '{"put": {"pk": "1", "a": "x"}}\n{"put": {"pk": 2, "a": "y"}}\n',
        [], ["--input", "operations"], [("2,", '"2",')], {"1": "x", "2": "y"},
    ),
    "exports": (
        "a.json", '{"Item":{"pk":{"S":"1"},"a":{"S":"x"}}}\n{"Item":{"pk":{"N":"2"},"a":{"S":"y"}}}\n'
        '{"Item":{"pk":{"S":"3"}\n',
        [], ["--input", "export"],
        [('{"N":"2"}', '{"S":"2"}'), ('"3"}', '"3"},"a":{"S":"z"}}}')], {"1": "x", "2": "y", "3": "z"},
    ),
    "an array": (
        "a.json", '[\n  {"pk": "1",\n   "a": "x"},\n  {"pk": 2,\n   "a": "y"},\n  {"pk": "3",\n   "a":}\n]',
        [], ["--input", "operations"], [("2,", '"2",'), ('{"pk": "3", "a":}', '{"put": {"pk": "3", "a": "z"}}')],
        {"1": "x", "2": "y", "3": "z"},
    ),
    "a scan": (
        "a.json", '{"Items": [\n{"pk":{"S":"1"},"a":{"S":"x"}},\n{"pk":{"N":"2"},"a":{"S":"y"}}\n], "Count": 2}',
        [], ["--input", "dynamodb"], [('{"N":"2"}', '{"S":"2"}')], {"1": "x", "2": "y"},
    ),
    "rows without a header": (
        "a.csv", "1,x\n2,y,z\n", ["--columns", "pk,a"], ["--columns", "pk,a"], [("2,y,z", "2,yz")],
        {"1": "x", "2": "yz"},
    ),
    "rows with other names": (
        "a.csv", "Id,a\n1,x\n,y\n", ["--rename", "Id=pk"], ["--rename", "Id=pk"], [(",y", "2,y")], {"1": "x", "2": "y"},
    ),
}  # fmt: skip


@pytest.mark.skipif(shutil.which("jq") is None and "CI" not in os.environ, reason="needs jq")
@pytest.mark.parametrize(
    ("name", "content", "options", "again", "repairs", "expected"), REPAIRED.values(), ids=REPAIRED
)
def test_rejected_records_are_sent_by_the_documented_recipe_once_they_are_repaired(
    queue: tuple[FakeSQS, str],
    tmp_path: Path,
    name: str,
    content: str,
    options: list[str],
    again: list[str],
    repairs: list[tuple[str, str]],
    expected: dict[str, str],
) -> None:
    sqs, url = queue
    path, repaired = tmp_path / name, tmp_path / f"repaired-{name}"
    path.write_text(content)
    arguments = ["--queue-url", url, "--key", "pk:S"]

    assert main(["send", str(path), *arguments, *options]) == cli.FAILED
    text = subprocess.run(
        ["jq", "-rs", REPAIR, f"{path}.rejected.jsonl"], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    for wrong, right in repairs:
        assert text.count(wrong) == 1, text
        text = text.replace(wrong, right)
    repaired.write_text(text)

    assert main(["send", str(repaired), *arguments, *again]) == cli.DONE
    sent = [element for message in sqs.messages(url) for element in json.loads(message["Body"])]
    items = [one.get("put", one.get("PutRequest", {}).get("Item", one)) for one in sent]
    plain = [{n: v["S"] if isinstance(v, dict) else v for n, v in item.items()} for item in items]
    assert {item.pop("pk"): "".join(item.values()) for item in plain} == expected
    assert len(sent) == len(expected)


def test_a_dry_run_leaves_what_an_unfinished_send_has_left(queue: tuple[FakeSQS, str], tmp_path: Path) -> None:
    _, url = queue
    path = tmp_path / "items.jsonl"
    path.write_text('{"pk": 1}\n{"pk": "a"}\n')
    main(["send", str(path), "--queue-url", url, "--key", "pk:S"])
    left = {name: name.read_bytes() for name in tmp_path.iterdir()}

    main(["send", str(path), "--dry-run", "--key", "pk:S"])

    assert {name: name.read_bytes() for name in left} == left
    assert Path(f"{path}.dry-run.rejected.jsonl").exists()


def test_a_second_send_of_the_same_file_is_a_send_of_its_own(queue: tuple[FakeSQS, str], tmp_path: Path) -> None:
    sqs, url = queue
    path = tmp_path / "items.jsonl"
    path.write_text('{"pk": "a"}\n')
    arguments = ["send", str(path), "--queue-url", url, "--key", "pk:S"]

    statuses = [main(arguments), main([*arguments, "--resume"]), main(arguments)]

    assert statuses == [0, 0, 0]
    assert len(sqs.messages(url)) == 2  # With --resume there was nothing left to send.


def test_an_empty_file_is_sent_in_no_time(queue: tuple[FakeSQS, str], tmp_path: Path) -> None:
    sqs, url = queue
    path = tmp_path / "items.jsonl"
    path.write_text("\n\n")

    assert main(["send", str(path), "--input", "items", "--queue-url", url, "--key", "pk:S"]) == 0
    assert sqs.messages(url) == []
