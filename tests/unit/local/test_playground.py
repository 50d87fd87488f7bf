"""The parts of a playground that need no playground: its front door, its place, its numbers and their picture."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from sluice.cli import main
from sluice.local.aws import LocalError
from sluice.local.dashboard.recording import Recording
from sluice.local.dashboard.sampling import Notes
from sluice.local.playground import leftover
from sluice.local.playground.actions import variables
from sluice.local.playground.display import lines, plain, sparkline
from sluice.local.playground.front import Front
from sluice.local.playground.keeper import Options, _limit_of
from sluice.local.playground.mapping import Mapping as SourceMapping
from sluice.local.playground.numbers import Numbers, Tail, with_rates
from sluice.local.playground.page import NO_DASHBOARD, SECONDS_A_MINUTE, alarms_on, page
from sluice.local.playground.place import Place, State
from sluice.local.poller import EventSourceMapping
from sluice.local.processes import child

SQS = {"Authorization": "AWS4-HMAC-SHA256 Credential=local/20261122/us-east-1/sqs/aws4_request, SignedHeaders=host"}


class Moto:
    """A server that answers as it is told and notes what it hears; two requests at the same time are noted, too."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str, dict[str, str], bytes]] = []
        self.answers: list[bytes] = []
        self.most_at_once = 0
        self._at_once = 0
        self._lock = threading.Lock()
        self.gate: threading.Barrier | None = None
        self.patience = 0.3
        """Seconds that a request waits at the gate for another one."""

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> bytes:
        with self._lock:
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
            self.heard.append((method, path, headers, body))
            content = self.answers.pop(0) if self.answers else b"{}"
        if self.gate is not None:
            with suppress(threading.BrokenBarrierError):
                self.gate.wait(timeout=self.patience)
        with self._lock:
            self._at_once -= 1
        return content


@contextmanager
def served() -> Iterator[tuple[Moto, Front, int]]:
    """A front door before such a server, and its port."""
    moto = Moto()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            content = moto.answer(self.command, self.path, dict(self.headers.items()), body)
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("x-own", "kept")
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_PUT = do_POST  # noqa: N815

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    front = Front(server.server_port, threading.Event())
    try:
        with front.serve() as port:
            yield moto, front, port
    finally:
        server.shutdown()
        server.server_close()


def ask(port: int, body: bytes = b"{}", *, method: str = "POST", path: str = "/", **headers: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    try:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_what_is_not_for_the_queue_passes_as_it_is() -> None:
    with served() as (moto, _, port):
        moto.answers = [b"\x00\xff"]

        answer = ask(port, b"\x01\x02", path="/bucket/key?x=1", Host="some.where", X_Thing="a")

    assert answer == (200, b"\x00\xff")
    ((method, path, headers, body),) = moto.heard
    assert (method, path, body) == ("POST", "/bucket/key?x=1", b"\x01\x02")
    assert (headers["Host"], headers["X-Thing"]) == ("some.where", "a")


@pytest.mark.parametrize(("service", "at_once"), [("sqs", 1), ("dynamodb", 2)])
def test_calls_to_the_queue_take_turns_and_others_do_not(service: str, at_once: int) -> None:
    authorization = SQS["Authorization"].replace("/sqs/", f"/{service}/")
    with served() as (moto, _, port):
        moto.gate = threading.Barrier(2)
        moto.patience = 0.3 if at_once == 1 else 600  # For one that must not come, and for one that will.
        threads = [threading.Thread(target=ask, args=(port,), kwargs={"Authorization": authorization}) for _ in "12"]

        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert len(moto.heard) == 2
    assert moto.most_at_once == at_once


@pytest.mark.parametrize(
    ("target", "body", "asked", "message"),
    [
        (
            {"X-Amz-Target": "AmazonSQS.ReceiveMessage"},
            b'{"QueueUrl": "q", "WaitTimeSeconds": 20}',
            b'{"QueueUrl": "q", "WaitTimeSeconds": 0}',
            b'{"Messages": [{"ReceiptHandle": "r"}]}',
        ),
        (
            {},
            b"Action=ReceiveMessage&WaitTimeSeconds=20&QueueUrl=q",
            b"Action=ReceiveMessage&WaitTimeSeconds=0&QueueUrl=q",
            b"<Message><ReceiptHandle>r</ReceiptHandle></Message>",
        ),
    ],
    ids=["json", "query"],
)
def test_a_long_poll_waits_at_the_door_between_calls(
    target: dict[str, str], body: bytes, asked: bytes, message: bytes
) -> None:
    with served() as (moto, _, port):
        moto.answers = [b"{}", b"{}", message]

        status, content = ask(port, body, **SQS, **target)

    assert (status, content) == (200, message)
    assert [heard[3] for heard in moto.heard] == [asked] * 3


def test_a_short_poll_comes_back_empty() -> None:
    with served() as (moto, _, port):
        ask(port, b'{"QueueUrl": "q"}', **SQS, **{"X-Amz-Target": "AmazonSQS.ReceiveMessage"})

        assert len(moto.heard) == 1


def test_what_is_sent_is_told() -> None:
    told: list[tuple[str, list[str]]] = []
    with served() as (moto, front, port):
        front.on_sent = lambda url, ids: told.append((url, ids))
        moto.answers = [b'{"MessageId": "a"}', b'{"Successful": [{"MessageId": "b"}, {"MessageId": "c"}]}']

        ask(port, b'{"QueueUrl": "q"}', **SQS, **{"X-Amz-Target": "AmazonSQS.SendMessage"})
        ask(port, b'{"QueueUrl": "q"}', **SQS, **{"X-Amz-Target": "AmazonSQS.SendMessageBatch"})

    assert told == [("q", ["a"]), ("q", ["b", "c"])]


MAPPING = "/2015-03-31/event-source-mappings"
LAMBDA = {"Authorization": SQS["Authorization"].replace("/sqs/", "/lambda/")}


def source_mapping(*, is_enabled: bool = True) -> SourceMapping:
    return SourceMapping("id", EventSourceMapping("url", "arn", batch_size=20), is_enabled=is_enabled)


def described(**changes: Any) -> bytes:
    plain = {"UUID": "id", "EventSourceArn": "arn", "BatchSize": 20, "State": "Disabled"}
    return json.dumps({**plain, **changes}).encode()


def test_a_mapping_that_is_disabled_is_not_polled_until_it_is_enabled() -> None:
    with served() as (moto, front, port):
        front.mapping = source_mapping()
        states = []
        for enabled in (False, True):
            moto.answers = [
                described(),
                described(),
                json.dumps({"EventSourceMappings": [json.loads(described())]}).encode(),
            ]
            put = ask(port, json.dumps({"Enabled": enabled}).encode(), method="PUT", path=f"{MAPPING}/id", **LAMBDA)
            got = ask(port, b"", method="GET", path=f"{MAPPING}/id", **LAMBDA)
            listed = ask(port, b"", method="GET", path=f"{MAPPING}/?FunctionName=f", **LAMBDA)
            states.append([json.loads(put[1])["State"], json.loads(got[1])["State"]])
            states[-1].append(json.loads(listed[1])["EventSourceMappings"][0]["State"])
            assert (front.mapping.now() is not None) is enabled

    assert states == [["Disabled"] * 3, ["Enabled"] * 3]
    # Or moto would poll by itself.
    assert [json.loads(body)["Enabled"] for method, _, _, body in moto.heard if method == "PUT"] == [False, False]


def test_a_mapping_polls_as_it_is_updated() -> None:
    with served() as (moto, front, port):
        front.mapping = source_mapping()
        moto.answers = [described(BatchSize=5, MaximumBatchingWindowInSeconds=2)]
        ask(port, b'{"BatchSize": 5}', method="PUT", path=f"{MAPPING}/id", **LAMBDA)

        now = front.mapping.now()

    assert now is not None
    assert (now.queue_url, now.batch_size, now.batching_window) == ("url", 5, 2)


def test_a_mapping_that_is_gone_is_not_polled_and_a_refused_change_changes_nothing() -> None:
    mapping = source_mapping()

    mapping.answered("PUT", b'{"Enabled": false}', 400, b"{}")
    assert mapping.now() is not None
    mapping.answered("DELETE", b"", 202, described())
    assert mapping.now() is None
    assert not mapping.is_meant(f"{MAPPING}/another")
    assert not mapping.is_meant("/2015-03-31/functions/f")


def test_a_stack_without_polling_is_not_polled() -> None:
    assert source_mapping(is_enabled=False).now() is None


def test_own_pages_are_answered_at_the_door() -> None:
    with served() as (moto, front, port):
        front.pages["numbers"] = lambda: ("application/json", "[1]")

        assert ask(port, method="GET", path="/-/numbers?fresh") == (200, b"[1]")
        assert ask(port, method="GET", path="/-/other")[0] == 404
    assert moto.heard == []


def test_a_local_aws_that_is_gone_is_told() -> None:
    with served() as (_, front, port):
        front._port = 1

        assert ask(port)[0] == 503


# Place and processes


def test_a_place_knows_its_keeper_as_long_as_that_lives(tmp_path: Path) -> None:
    place = Place(tmp_path / "deep" / "place")
    assert place.keeper() is None

    with place.hold():
        assert place.keeper() == os.getpid()
        with pytest.raises(LocalError, match="running"):
            place.hold()
        assert place.keeper() == os.getpid()

    assert place.keeper() is None


def test_a_state_is_read_as_it_was_written(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.run.mkdir()
    assert place.read().status == "stopped"

    place.change(status="ready", port=1234, options={"keys": {"pk": "S"}})
    place.change(step="x")

    assert place.read() == State("ready", step="x", port=1234, options={"keys": {"pk": "S"}})


def test_a_left_over_process_is_ended_and_no_other(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import time; time.sleep(3600)", "-p 4711"]
    with child(command, environ=os.environ, directory=tmp_path, log=tmp_path / "log") as process:
        found = leftover.own_child("-p 4711")
        assert found is not None
        assert found[0] == process.pid

        leftover.end((process.pid, "another start and command"))
        assert process.poll() is None

        threading.Timer(0.2, process.wait).start()  # Its parent, this process, has to reap it.
        leftover.end(found)
        assert process.wait(timeout=600) != 0
    assert leftover.mark(process.pid) == ""


def test_a_machine_without_ps_has_a_playground_all_the_same(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    assert leftover.own_child("anything") is None
    leftover.end((os.getpid(), "a mark of before"))


def test_the_variables_lead_a_shell_to_the_playground() -> None:
    state = State("ready", port=4567, queue_url="http://127.0.0.1:4567/1/q", table_name="it's")
    script = "\n".join(variables(state)) + '\nprintf "%s %s %s" "$AWS_ENDPOINT_URL" "$QUEUE_URL" "$TABLE_NAME"'

    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout == "http://127.0.0.1:4567 http://127.0.0.1:4567/1/q it's"


def test_options_become_settings_of_the_stack() -> None:
    options = Options("d", {"customer": "S", "time": "N"}, {"batchSize": "7"})

    assert options.context["partitionKey"] == "customer:S"
    assert options.context["sortKey"] == "time:N"
    assert options.context["batchSize"] == "7"
    assert options.own_context == {"partitionKey": "customer:S", "sortKey": "time:N", "batchSize": "7"}
    assert not options.has_faults
    assert replace(options, write_units=5.0).has_faults


@pytest.mark.parametrize(
    "arguments",
    [
        ("up", "--key", "pk"),
        ("up", "--key", "a:S,b:S,c:S"),
        ("up", "--set", "partitionKey=pk:S"),
        ("up", "--faults", "none"),
        ("up", "--write-units", "0"),
        ("up", "--port", "80"),
        ("logs", "other"),
        ("logs", "-n", "-1"),
        ("wait", "--timeout", "nan"),
    ],
)
def test_usage_is_refused_with_status_2(arguments: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["local", *arguments])

    assert stopped.value.code == 2


@pytest.mark.parametrize("action", ["status", "env", "watch", "logs"])
def test_what_needs_a_playground_says_that_there_is_none(
    action: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["local", action, "--directory", str(tmp_path)]) == 1

    assert "no " in capsys.readouterr().err


def test_logs_are_followed_from_their_end_whatever_bytes_are_in_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place = Place(tmp_path)
    place.run.mkdir()
    place.log("moto").write_bytes(b"one\r\ntwo \xff\xfe\xfd\r\n")
    rounds = [b"three\n", b"four\n"]

    def grow(_: float) -> None:
        with place.log("moto").open("ab") as log:
            log.write(rounds.pop(0) if rounds else b"")

    keepers = iter([1, 1, 1, None])
    monkeypatch.setattr(Place, "keeper", lambda _: next(keepers))
    monkeypatch.setattr("time.sleep", grow)

    assert main(["local", "logs", "moto", "--follow", "-n", "1", "--directory", str(tmp_path)]) == 0

    assert capsys.readouterr().out.splitlines()[1:] == ["two \ufffd\ufffd\ufffd", "three", "four"]


def test_no_line_of_a_log_is_shown_where_none_is_wanted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = Place(tmp_path)
    place.run.mkdir()
    place.log("moto").write_text("one\ntwo\n")

    assert main(["local", "logs", "moto", "-n", "0", "--directory", str(tmp_path)]) == 0

    assert capsys.readouterr().out == f"==> {place.log('moto')}\n"


# Numbers


def emf(**metrics: Any) -> str:
    return json.dumps({"_aws": {"Timestamp": 0, "CloudWatchMetrics": []}, "service": "Sluice", **metrics}) + "\n"


def test_metrics_are_added_up_as_the_log_grows(tmp_path: Path) -> None:
    log = tmp_path / "function.log"
    tail = Tail([log, tmp_path / "missing.log"])
    tail.read()
    log.write_text(f"noise\n{emf(OperationsWritten=5, WriteLatency=[1, 2])}{emf(ThrottledCalls=[1, 1])[:20]}")
    tail.read()
    first = dict(tail.totals)

    log.write_text(f"noise\n{emf(OperationsWritten=5, WriteLatency=[1, 2])}{emf(ThrottledCalls=[1, 1])}")
    tail.read()

    assert first["OperationsWritten"] == 5
    assert "WriteLatency" not in first
    assert tail.totals["ThrottledCalls"] == 2
    assert tail.totals["OperationsWritten"] == 5


def numbers(at: float, written: float, waiting: int = 0) -> Numbers:
    return Numbers(at, waiting, 0, 0, 0, {"OperationsWritten": written, "UnprocessedItems": written / 10})


def test_rates_are_of_the_last_seconds() -> None:
    history = [numbers(at, 100.0 * at) for at in range(30)]

    now = with_rates(numbers(30, 100.0 * 29 + 50), history)

    assert now.write_rate == pytest.approx(950 / 10)
    assert now.throttle_rate == pytest.approx(95 / 10)
    assert with_rates(numbers(0, 7), []).write_rate == 0


def test_the_picture_shows_what_is_there() -> None:
    history = [
        {
            "at": 0.0,
            "waiting": waiting,
            "in_flight": 1,
            "dead_letters": 3,
            "items": 12345,
            "totals": {"OperationsWritten": 20000},
            "write_rate": 1000.0 * waiting,
            "throttle_rate": 0.0,
            "faults": {"unprocessed": 7},
        }
        for waiting in (0, 1, 2, 4)
    ]

    text = "\n".join(lines(history, "Title", 100))

    assert "written          4,000 records/s" in text
    assert "backlog              5 messages" in text
    assert "dead letters         3 messages" in text
    assert "12,345 items" in text
    assert "20,000 records written" in text
    assert "7 unprocessed" in text
    assert "4,000 records/s written, 4 messages waiting" in plain(history[-1])
    assert list(lines([], "Title")) == ["Title: nothing to be seen yet"]


def look(**changes: Any) -> dict[str, Any]:
    plain = {"at": 0.0, "waiting": 0, "in_flight": 0, "dead_letters": 0, "items": 0, "totals": {}}
    return {**plain, "write_rate": 0.0, "throttle_rate": 0.0, **changes}


@pytest.mark.parametrize("width", [40, 80, 120])
def test_every_line_fits_the_terminal(width: int) -> None:
    faults = {f"kind-of-fault-{number}": 123_456 * number for number in range(20)}
    totals = {"OperationsWritten": 1e9, "BatchWrites": 1e8, "MessagesReturned": 1e7}
    history = [look(items=10**9, totals=totals, faults=faults, write_rate=99_999.0, is_enabled=False)] * 200
    alarms = [{"name": "FunctionDuration", "first": "Look for calls that hang. " * 5}]

    shown = list(lines(history, "Sluice playground at http://127.0.0.1:40437, faults: throttled", width, alarms))

    longest = max(len(line) for line in shown)
    assert longest <= max(width, 55)  # The bars are ten columns wide even where there is no room for them.
    assert longest > width - 15
    assert "kind-of-fault-19" in "".join(shown)


def test_what_is_wrong_is_on_the_terminal() -> None:
    alarms = [{"name": "DeadLetters", "first": "Read ErrorCode."}]

    ill = list(lines([look(is_enabled=False)], "Title", 80, alarms))
    well = list(lines([look(dead_letters=1)], "Title", 80))

    assert "  ALARM         DeadLetters: Read ErrorCode." in ill
    assert any("the event source mapping is disabled" in line for line in ill)
    assert "  alarms        none is on" in well
    assert not any("mapping" in line for line in well)
    assert any("1 message " in line for line in well)
    assert plain(look(is_enabled=False), alarms).endswith("polling is off, ALARM DeadLetters")


@pytest.mark.parametrize(
    ("values", "bars"), [([], ""), ([0, 0], "▁▁"), ([0, 4, 8], "▁▄█"), ([9] * 5 + [1, 2, 3, 4], "▂▄▆█")]
)
def test_a_line_of_bars_has_its_largest_value_as_the_highest(values: list[float], bars: str) -> None:
    assert sparkline(values, 4) == bars


# The page


def test_the_page_and_the_terminal_are_told_the_same_alarms_of_what_has_happened() -> None:
    notes = Notes(Recording(0.0, 0.0))
    now = time.time()
    for second in range(30):
        notes.recording.add(now - 30 + second, "AWS/SQS", "Age", {"QueueName": "q"}, 900)
    properties = {
        "Namespace": "AWS/SQS",
        "MetricName": "Age",
        "Dimensions": [{"Name": "QueueName", "Value": "q"}],
        "Period": 60,
        "Statistic": "Maximum",
        "Threshold": 10,
        "EvaluationPeriods": 3,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "notBreaching",
        "AlarmDescription": "Compare the two.",
    }
    alarms = [{"id": "Old", "name": "Old", "type": "AWS::CloudWatch::Alarm", "properties": properties}]
    place = {"x": 0, "y": 0, "width": 24, "height": 3}
    body = json.dumps({"widgets": [{"type": "alarm", **place, "properties": {"title": "Wrong?", "alarms": []}}]})

    drawn, told = page(body, notes, alarms), json.loads(alarms_on(notes, alarms))

    assert "Yes: Old. Compare the two." in drawn
    assert 'http-equiv="refresh"' in drawn
    assert [(one["name"], one["first"]) for one in told] == [("Old", "Compare the two.")]
    assert told[0]["since"] == pytest.approx(now - 30 + 3 * SECONDS_A_MINUTE, abs=0.1)
    assert "Yes: Old. Compare the two." in page(NO_DASHBOARD, notes, alarms)


@pytest.mark.parametrize(
    ("table", "metric"),
    [
        ({"BillingModeSummary": {"BillingMode": "PAY_PER_REQUEST"}}, "WriteAccountLimitThrottleEvents"),
        (
            {
                "BillingModeSummary": {"BillingMode": "PAY_PER_REQUEST"},
                "OnDemandThroughput": {"MaxWriteRequestUnits": 5},
            },
            "WriteMaxOnDemandThroughputThrottleEvents",
        ),
        ({}, "WriteProvisionedThroughputThrottleEvents"),
    ],
)
def test_what_a_limit_refuses_counts_as_the_tables_own_limit(table: dict[str, Any], metric: str) -> None:
    assert _limit_of(table) == metric
