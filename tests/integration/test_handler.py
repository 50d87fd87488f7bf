"""The real handler in a fresh process, with real threads and connections, against the fakes over HTTP."""

from __future__ import annotations

import functools
import inspect
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import (
    Clock,
    ConnectionLost,
    Delay,
    FakeDynamoDB,
    FakeSQS,
    Fault,
    Refusal,
    ServerError,
    Throttle,
    Timeout,
    Unprocessed,
    UnprocessedIf,
)
from tests.fakes.scripted import ScriptedServer
from tests.fakes.server import serve

ROOT = Path(__file__).parents[2]
TABLES = [
    {"alias": "orders", "name": "orders-table", "partition_key": {"name": "pk", "type": "S"}},
    {
        "alias": "events",
        "name": "events-table",
        "partition_key": {"name": "pk", "type": "S"},
        "sort_key": {"name": "sk", "type": "N"},
    },
]
TROUBLE: dict[str, Fault] = {
    "ProvisionedThroughputExceededException": Throttle(),
    "ThrottlingException": Throttle("ThrottlingException"),
    "500": ServerError(),
    "500 after applying": ServerError(applied=True),
    "connection lost": ConnectionLost(),
    "connection lost after applying": ConnectionLost(applied=True),
}


@dataclass
class Invocation:
    """What the handler answered, and what it wrote to standard output."""

    answer: dict[str, Any]
    output: list[dict[str, Any]]

    @property
    def returned(self) -> list[str]:
        return [failure["itemIdentifier"] for failure in self.answer["returned"]["batchItemFailures"]]

    @property
    def raised(self) -> str:
        """The name of the exception and its text."""
        return ": ".join(self.answer["raised"])

    @property
    def seconds(self) -> float:
        return float(self.answer["answered"] - self.answer["started"])

    @property
    def log_lines(self) -> list[dict[str, Any]]:
        return [line for line in self.output if "_aws" not in line]

    @property
    def metrics(self) -> dict[str, list[float]]:
        """The values of each metric in the EMF documents."""
        numbers: dict[str, list[float]] = {}
        for document in self.output:
            for directive in document.get("_aws", {}).get("CloudWatchMetrics", []):
                for name in (metric["Name"] for metric in directive["Metrics"]):
                    value = document[name]
                    numbers.setdefault(name, []).extend(value if isinstance(value, list) else [value])
        return numbers

    def messages(self) -> tuple[float, float, float, float]:
        """Received, written, returned, dead-lettered."""
        received, written, returned, dead = (
            sum(self.metrics.get(f"Messages{fate}", [])) for fate in ("Received", "Written", "Returned", "DeadLettered")
        )
        assert received == written + returned + dead
        return received, written, returned, dead


@dataclass
class Deployed:
    """The function, its queue, its dead-letter queue and its tables."""

    url: str
    directory: Path
    db: FakeDynamoDB
    sqs: FakeSQS
    queue_url: str
    dlq_url: str
    environ: dict[str, str] = field(default_factory=dict)
    times: int = 1
    """How many times as long everything may take as on a quick machine."""

    def send(self, *bodies: Any) -> list[str]:
        return [
            self.sqs.send_message(
                QueueUrl=self.queue_url, MessageBody=body if isinstance(body, str) else json.dumps(body)
            )["MessageId"]
            for body in bodies
        ]

    def invoke(self, *, timeout: float = 600, linger: float = 0, event: Any = None) -> Invocation:
        """One cold start with what is on the queue; `timeout` is the function's, in seconds of a quick machine."""
        timeout *= self.times
        event = self.sqs.event(self.queue_url, 10_000) if event is None else event
        invocation = {"event": event, "request_id": "request-1", "timeout": timeout, "linger": linger}
        process = self.start([invocation])
        assert process.returncode == 0, process.stderr
        [answer] = json.loads((self.directory / "answers").read_text())
        return Invocation(answer, [json.loads(line) for line in process.stdout.splitlines()])

    def start(self, invocations: list[dict[str, Any]]) -> subprocess.CompletedProcess[str]:
        arguments = ["-m", "tests.integration.invoke", str(self.directory / "answers")]
        return self.run(arguments, json.dumps(invocations))

    def run(self, arguments: list[str], text: str) -> subprocess.CompletedProcess[str]:
        """Python with these arguments and this standard input, in the function's environment."""
        environ = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "TABLES": json.dumps(TABLES),
            "DEAD_LETTER_QUEUE_URL": self.dlq_url,
            "DEADLINE_MARGIN": str(2 * self.times),
            **self.environ,
        }
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT,
            env={name: value for name, value in environ.items() if value},
            input=text,
            capture_output=True,
            text=True,
            timeout=1800,
            check=False,
        )

    def keys(self) -> set[str]:
        return {item["pk"]["S"] for item in self.db.items("orders-table")}


@pytest.fixture
def deployed(tmp_path: Path) -> Iterator[Deployed]:
    with deployment(tmp_path) as deployed:
        yield deployed


@contextmanager
def deployment(directory: Path) -> Iterator[Deployed]:
    db, sqs = FakeDynamoDB(), FakeSQS(Clock(time.time()))
    db.create_table("orders-table", partition_key=("pk", "S"))
    db.create_table("events-table", partition_key=("pk", "S"), sort_key=("sk", "N"))
    with serve(db=db, sqs=sqs) as url:
        dlq_url = sqs.create_queue("dead-letters")
        yield Deployed(url, directory, db, sqs, sqs.create_queue("work"), dlq_url)


def with_time_enough(test: Callable[..., None]) -> Callable[..., None]:
    """For tests that wait for the deadline: what fails with the seconds that a quick machine needs is tried again, from
    the beginning, with five and with 25 times as many. A handler that does not keep to its deadline fails with each."""

    @functools.wraps(test)
    def patient(tmp_path: Path, **more: Any) -> None:
        for times in (1, 5, 25):
            with deployment(tmp_path) as deployed:
                deployed.times = times
                try:
                    test(deployed=deployed, **more)
                except AssertionError:
                    if times == 25:
                        raise
                else:
                    return

    signature = inspect.signature(test)
    parameters = [each for each in signature.parameters.values() if each.name != "deployed"]
    path = inspect.Parameter("tmp_path", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    patient.__signature__ = signature.replace(parameters=[path, *parameters])  # type: ignore[attr-defined]
    return patient


def puts(count: int, prefix: str = "a") -> list[dict[str, Any]]:
    return [{"put": {"pk": f"{prefix}{n}"}} for n in range(count)]


def busy(_table: str, request: Any) -> bool:
    return "busy" in str(request)


def test_a_thousand_messages_are_written_by_several_threads(deployed: Deployed) -> None:
    deployed.send(*({"put": {"pk": f"a{n}", "price": 1.1, "n": n}} for n in range(1000)))

    invocation = deployed.invoke()

    assert invocation.answer["returned"] == {"batchItemFailures": []}
    assert deployed.keys() == {f"a{n}" for n in range(1000)}
    assert {item["price"]["N"] for item in deployed.db.items("orders-table")} == {"1.1"}
    assert {call.error for call in deployed.db.calls} == {None}
    assert invocation.messages() == (1000, 1000, 0, 0)
    assert invocation.metrics["BatchFill"] == [25] * 40
    assert sum(invocation.metrics["ConsumedWriteUnits"]) == 1000


@with_time_enough
def test_calls_are_in_flight_together_up_to_max_connections(deployed: Deployed) -> None:
    in_flight = InFlight()
    deployed.environ = {"MAX_CONNECTIONS": "3"}
    deployed.db.always(Delay(0.2 * deployed.times, in_flight))
    deployed.send(*puts(25 * 9))

    deployed.invoke()

    assert len(deployed.keys()) == 225
    assert in_flight.most == 3


@with_time_enough
def test_every_fate_in_one_invocation(deployed: Deployed) -> None:
    deployed.db.always(UnprocessedIf(busy))
    deployed.db.reject_if(lambda _table, request: "poison" in str(request))
    numbers = '{"put": {"pk": "e", "sk": 1.0, "v": 12345678901234567890123456789012345678}, "table": "events"}'
    deployed.send(*puts(30), numbers, *puts(1, "poison"), "{", [*puts(1, "b"), {"put": {}}])
    busy_ids = deployed.send(*puts(2, "busy"))

    invocation = deployed.invoke(timeout=5)

    assert invocation.returned == busy_ids
    assert deployed.keys() == {f"a{n}" for n in range(30)} | {"b0"}
    [event] = deployed.db.items("events-table")
    assert event["v"] == {"N": "12345678901234567890123456789012345678"}
    letters = deployed.sqs.messages(deployed.dlq_url)
    codes = [letter["MessageAttributes"]["ErrorCode"]["StringValue"] for letter in letters]
    assert sorted(codes) == ["InvalidJson", "MissingKey", "RejectedByDynamoDB"]
    assert len(deployed.sqs.visibility_changes) == 2
    assert {1 <= seconds <= 5 for _, seconds in deployed.sqs.visibility_changes} == {True}
    assert invocation.messages() == (36, 31, 2, 3)


@pytest.mark.parametrize("fault", TROUBLE.values(), ids=TROUBLE)
def test_trouble_that_passes_is_retried_by_the_writer_and_never_by_the_sdk(fault: Fault, deployed: Deployed) -> None:
    deployed.db.script(fault, fault, Unprocessed(10))
    deployed.send(*puts(25))

    invocation = deployed.invoke()

    assert deployed.keys() == {f"a{n}" for n in range(25)}
    assert invocation.returned == []
    # What the writer counted is what came over the wire: nobody else sent a call again.
    assert sum(invocation.metrics["BatchWrites"]) == len(deployed.db.calls)
    assert sum(invocation.metrics["ThrottledCalls"]) == (2 if isinstance(fault, Throttle) else 0)


@with_time_enough
def test_a_throttled_table_ends_in_an_error_before_the_timeout(deployed: Deployed) -> None:
    deployed.db.always(Throttle())
    deployed.send(*puts(60))

    invocation = deployed.invoke(timeout=4)

    assert invocation.raised.startswith("NothingWrittenError: ")
    assert invocation.seconds < 4 * deployed.times
    assert len(deployed.sqs.visibility_changes) == 60
    assert invocation.messages() == (60, 0, 60, 0)
    assert sum(invocation.metrics["BatchWrites"]) == len(deployed.db.calls)


@with_time_enough
def test_a_hanging_table_does_not_keep_the_handler_from_answering(deployed: Deployed) -> None:
    deployed.db.always(Timeout())
    deployed.send(*puts(60))

    invocation = deployed.invoke(timeout=4)

    assert invocation.raised.startswith("NothingWrittenError: ")
    assert invocation.seconds < 4 * deployed.times
    assert invocation.messages() == (60, 0, 60, 0)


@with_time_enough
def test_a_hanging_call_is_given_up_in_time_for_another(deployed: Deployed) -> None:
    deployed.db.script(Timeout())
    deployed.send(*puts(100))

    invocation = deployed.invoke(timeout=5)

    assert len(deployed.keys()) == 100
    assert invocation.returned == []
    assert invocation.seconds < 5 * deployed.times


@with_time_enough
def test_a_call_that_hangs_till_the_end_costs_only_its_own_messages(deployed: Deployed) -> None:
    deployed.db.script(Timeout(), None, None, None, Timeout(), Timeout())
    ids = deployed.send(*puts(100))

    invocation = deployed.invoke(timeout=4)

    assert len(deployed.keys()) == 75
    assert {f"a{ids.index(id)}" for id in invocation.returned} == {f"a{n}" for n in range(100)} - deployed.keys()
    assert invocation.seconds < 4 * deployed.times


@with_time_enough
def test_a_hanging_queue_does_not_keep_the_handler_from_answering(deployed: Deployed) -> None:
    deployed.sqs.always(Timeout(), "SendMessageBatch")
    [bad] = deployed.send({"put": {}})
    deployed.send(*puts(5))

    invocation = deployed.invoke(timeout=4)

    assert invocation.returned == [bad]
    assert len(deployed.keys()) == 5
    assert invocation.seconds < 4 * deployed.times


@with_time_enough
def test_a_call_that_was_abandoned_counts_as_not_written_and_nothing_is_sent_after_the_answer(
    deployed: Deployed,
) -> None:
    in_flight = InFlight()
    deployed.db.always(Delay(4 * deployed.times, in_flight))
    deployed.send(*puts(25 * 20))

    invocation = deployed.invoke(timeout=4, linger=2 * deployed.times)

    assert 8 <= len(deployed.db.calls) <= 16  # MAX_CONNECTIONS at a time, given up once before the deadline
    assert max(in_flight.arrivals) < invocation.answer["answered"]
    assert invocation.raised.startswith("NothingWrittenError: ")
    assert invocation.seconds < 4 * deployed.times


def test_metrics_and_log_lines_are_json_with_the_names_of_the_contract(deployed: Deployed) -> None:
    deployed.send(*puts(3), {"put": {"secret": "TopSecret"}})

    invocation = deployed.invoke()

    emf = [document for document in invocation.output if "_aws" in document]
    assert {directive["Namespace"] for each in emf for directive in each["_aws"]["CloudWatchMetrics"]} == {"Sluice"}
    assert invocation.metrics.keys() == {
        *("MessagesReceived", "MessagesWritten", "MessagesReturned", "MessagesDeadLettered", "OperationsWritten"),
        *("OperationsSuperseded", "OperationsRejected", "ConditionsFailed", "BatchWrites", "BatchFill"),
        *("UnprocessedItems", "ThrottledCalls", "ConsumedWriteUnits", "WriteLatency", "BackoffTime"),
        *("SentToWritten", "OperationsUnchanged"),
    }
    assert invocation.log_lines
    assert {line["function_request_id"] for line in invocation.log_lines} == {"request-1"}
    assert "TopSecret" not in json.dumps(invocation.output)


def test_powertools_own_variables_work(deployed: Deployed) -> None:
    deployed.environ = {
        "POWERTOOLS_METRICS_NAMESPACE": "Shop",
        "POWERTOOLS_SERVICE_NAME": "orders",
        "POWERTOOLS_LOG_LEVEL": "ERROR",
    }
    deployed.send(*puts(3))

    invocation = deployed.invoke()

    [document] = invocation.output  # No line at INFO.
    assert document["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "Shop"
    assert document["service"] == "orders"


def test_the_endpoints_of_each_service_can_be_set_apart(deployed: Deployed) -> None:
    nowhere = "http://127.0.0.1:9"
    deployed.environ = {
        "AWS_ENDPOINT_URL": nowhere,
        "AWS_ENDPOINT_URL_DYNAMODB": deployed.url,
        "AWS_ENDPOINT_URL_SQS": deployed.url,
    }
    deployed.send(*puts(3), "{")

    invocation = deployed.invoke()

    assert invocation.messages() == (4, 3, 0, 1)


LOADED = """
import json, sys
from types import SimpleNamespace
from functions.batch_writer.handler import lambda_handler
answers = []
seconds, *events = json.loads(sys.stdin.read())
context = SimpleNamespace(get_remaining_time_in_millis=lambda: seconds * 1000)
for event in events:
    try:
        answers.append(lambda_handler(event, context))
    except Exception as error:
        answers.append(type(error).__name__)
loaded = [name for name in sys.modules if name.partition(".")[0] in ("boto3", "botocore", "s3transfer", "urllib3")]
loaded = [name for name in loaded if name != "botocore"]  # Powertools looks whether there is one: an empty package.
print(json.dumps([answers, loaded]), file=sys.stderr)
"""
CONDITION = {"put": {"pk": "a"}, "condition": "attribute_not_exists(pk)"}
UPDATE = {"update": {"pk": "a"}, "expression": "SET v = :v", "values": {":v": 1}}
EXPIRED = Refusal("InvalidSignatureException", "Signature expired: 20260101T000000Z is now earlier than ...")
BY_HTTP: dict[str, tuple[list[Any], dict[str, str], list[Fault]]] = {
    "plain puts": (puts(60), {}, []),
    "condition": ([CONDITION], {}, []),
    "condition that fails": ([CONDITION, CONDITION], {"ON_CONDITION_FAILED": "dead-letter"}, []),
    "delete": ([{"delete": {"pk": "a"}, "condition": "attribute_not_exists(v)"}], {}, []),
    "update": ([UPDATE], {}, []),
    "update once": ([UPDATE], {"UPDATE_ONCE": "true"}, []),
    "version": ([{"put": {"pk": "a", "v": 1}}], {"TABLES": json.dumps([TABLES[0] | {"version": "v"}])}, []),
    "dead letter": (["{"], {}, []),
    "throttled": ([*puts(60), CONDITION], {}, [Throttle(), Throttle("ThrottlingException")]),
    "unprocessed": (puts(60), {}, [Unprocessed(5)]),
    "500": ([*puts(3), CONDITION], {}, [ServerError(), ServerError(applied=True)]),
    "connection lost": ([*puts(3), CONDITION], {}, [ConnectionLost(), ConnectionLost(applied=True)]),
    "out of date": ([*puts(3), CONDITION], {}, [EXPIRED]),
}


@pytest.mark.parametrize("case", BY_HTTP)
def test_in_a_usual_environment_no_module_of_boto3_is_ever_loaded(case: str, deployed: Deployed) -> None:
    bodies, deployed.environ, faults = BY_HTTP[case]
    deployed.db.script(*faults)
    deployed.send(*bodies)

    process = deployed.run(["-c", LOADED], json.dumps([600, deployed.sqs.event(deployed.queue_url, 100)]))

    assert process.returncode == 0, process.stderr
    answers, modules = json.loads(process.stderr)
    assert answers == [{"batchItemFailures": []}]
    assert modules == []
    assert deployed.db.calls or case == "dead letter"
    assert len(deployed.sqs.messages(deployed.dlq_url)) == (case in ("dead letter", "condition that fails"))


@pytest.mark.parametrize("fault", [Throttle(), ServerError(), ConnectionLost()], ids=lambda fault: type(fault).__name__)
def test_what_is_returned_needs_no_module_of_boto3_either(fault: Fault, deployed: Deployed) -> None:
    deployed.db.always(fault)
    deployed.send(*puts(3), CONDITION)
    event = deployed.sqs.event(deployed.queue_url, 100)

    process = deployed.run(["-c", LOADED], json.dumps([4, event]))

    assert process.returncode == 0, process.stderr
    answers, modules = json.loads(process.stderr)
    assert answers == ["NothingWrittenError"]
    assert modules == []
    assert len(deployed.sqs.visibility_changes) == len(event["Records"])


UNUSUAL = {
    "profile": {"AWS_PROFILE": "default"},
    "another partition": {"AWS_DEFAULT_REGION": "us-gov-west-1"},
    "dual stack": {"AWS_USE_DUALSTACK_ENDPOINT": "true"},
}


@pytest.mark.parametrize("case", UNUSUAL)
def test_boto3_is_loaded_where_the_environment_is_unusual(case: str, deployed: Deployed) -> None:
    (deployed.directory / "config").write_text("[default]\nregion = us-east-1\n")
    deployed.environ = UNUSUAL[case] | {"AWS_CONFIG_FILE": str(deployed.directory / "config")}
    deployed.send(*puts(60), CONDITION, "{")

    process = deployed.run(["-c", LOADED], json.dumps([600, deployed.sqs.event(deployed.queue_url, 100)]))

    assert process.returncode == 0, process.stderr
    answers, modules = json.loads(process.stderr)
    assert answers == [{"batchItemFailures": []}]
    assert {"boto3", "botocore.client"} <= set(modules)
    assert {call.error for call in deployed.db.calls} == {None}
    assert len(deployed.sqs.messages(deployed.dlq_url)) == 1


def test_a_cold_start_in_a_usual_environment_loads_no_module_of_boto3(deployed: Deployed) -> None:
    process = deployed.run(["-c", "import sys, functions.batch_writer.handler; print('boto3' in sys.modules)"], "")

    assert process.stdout == "False\n", process.stderr


TRACED = """
import os
import botocore.client

original = botocore.client.BaseClient._make_api_call

def traced(self, operation_name, api_params):
    with open(os.environ["TRACE"], "a") as trace:
        print(operation_name, *api_params.get("RequestItems", ()), file=trace)
    return original(self, operation_name, api_params)

botocore.client.BaseClient._make_api_call = traced
"""


def test_a_tracer_that_wraps_boto3_before_the_function_starts_sees_every_call(deployed: Deployed) -> None:
    (deployed.directory / "sitecustomize.py").write_text(TRACED)
    trace = deployed.directory / "trace"
    deployed.environ = {"PYTHONPATH": str(deployed.directory), "TRACE": str(trace)}
    deployed.send(*puts(30), "{", {"put": {"pk": "c"}, "condition": "attribute_not_exists(pk)"})

    invocation = deployed.invoke()

    assert invocation.messages() == (32, 31, 0, 1)
    assert sorted(trace.read_text().splitlines()) == sorted(
        ["BatchWriteItem orders-table"] * 2 + ["PutItem", "SendMessageBatch"]
    )


def test_the_connection_of_the_invocation_before_is_used_again(deployed: Deployed) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 23\r\n\r\n" + b'{"UnprocessedItems":{}}'
    events = []
    for prefix in ("a", "b", "c"):
        deployed.send(*puts(30, prefix))
        events.append(deployed.sqs.event(deployed.queue_url, 100))
    with ScriptedServer([answer] * 9, [answer] * 9) as server:
        deployed.environ = {"AWS_ENDPOINT_URL_DYNAMODB": f"http://127.0.0.1:{server.port}", "MAX_CONNECTIONS": "1"}

        process = deployed.run(["-c", LOADED], json.dumps([600, *events]))

    assert process.returncode == 0, process.stderr
    assert len(server.requests) == 6
    assert server.connections == 1


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("DEADLINE_MARGIN", "-1"),
        ("MAX_CONNECTIONS", "many"),
        ("RECORD_FORMAT", "items"),
        ("TABLES", "[]"),
        ("RECORD_EXPRESSION", "no_such_function(@)"),
        ("RECORD_EXPRESSION", "records[?"),
    ],
)
def test_a_bad_setting_fails_the_cold_start_by_name_and_value(variable: str, value: str, deployed: Deployed) -> None:
    deployed.environ = {variable: value}

    process = deployed.start([{"event": {"Records": []}, "request_id": "request-1", "timeout": 600, "linger": 0}])

    assert process.returncode != 0
    last_line = process.stderr.strip().splitlines()[-1]
    assert "SettingsError" in last_line
    assert variable in last_line
    assert value in last_line
    assert deployed.db.calls == []


@pytest.mark.parametrize("code", ["AccessDeniedException", "ResourceNotFoundException"])
def test_denied_access_raises_and_dead_letters_nothing(code: str, deployed: Deployed) -> None:
    deployed.db.always(Refusal(code, "no access to orders-table"))
    deployed.send(*puts(60), {"put": {}})

    invocation = deployed.invoke()

    assert invocation.raised.startswith("TableError: ")
    assert deployed.sqs.messages(deployed.dlq_url) == []
    assert invocation.messages() == (61, 0, 61, 0)


@pytest.mark.parametrize("event", [{}, {"records": []}, [], {"Records": None}], ids=json.dumps)
def test_an_event_that_is_not_from_sqs_raises(event: Any, deployed: Deployed) -> None:
    assert deployed.invoke(event=event).raised.startswith("EventError: ")


def test_an_invocation_that_raises_at_once_still_accounts_for_every_message(deployed: Deployed) -> None:
    deployed.send(*puts(7))
    event = deployed.sqs.event(deployed.queue_url, 10)
    event["Records"][-1]["eventSource"] = "aws:kinesis"

    invocation = deployed.invoke(event=event)

    assert invocation.raised.startswith("EventError: ")
    assert invocation.messages() == (7, 0, 7, 0)
    assert deployed.db.calls == []


def test_a_margin_as_long_as_the_timeout_raises_by_name_and_value(deployed: Deployed) -> None:
    deployed.environ = {"DEADLINE_MARGIN": "5"}
    deployed.send(*puts(1))

    invocation = deployed.invoke(timeout=3)

    assert invocation.raised.startswith("SettingsError: DEADLINE_MARGIN")
    assert "5" in invocation.raised
    assert deployed.db.calls == []


def test_a_warm_start_remembers_nothing_of_the_invocation_before(deployed: Deployed) -> None:
    deployed.send(*puts(3), {"put": {}})
    first = deployed.sqs.event(deployed.queue_url, 10)
    deployed.send(*puts(2, "b"))
    second = deployed.sqs.event(deployed.queue_url, 10)

    requests = [("request-1", first), ("request-2", second)]
    process = deployed.start([{"event": e, "request_id": r, "timeout": 600, "linger": 0} for r, e in requests])

    assert process.returncode == 0, process.stderr
    documents = [json.loads(line) for line in process.stdout.splitlines()]
    assert [each["MessagesReceived"] for each in documents if "_aws" in each] == [[4.0], [2.0]]
    assert [each["MessagesDeadLettered"] for each in documents if "_aws" in each] == [[1.0], [0.0]]
    assert [each["function_request_id"] for each in documents if each.get("message") == "batch handled"] == [
        "request-1",
        "request-2",
    ]
    assert deployed.keys() == {"a0", "a1", "a2", "b0", "b1"}


class InFlight:
    """A clock for `Delay` that really waits, and sees when calls arrive and how many wait together."""

    def __init__(self) -> None:
        self.arrivals: list[float] = []
        self.waiting = self.most = 0

    def sleep(self, seconds: float) -> None:
        self.arrivals.append(time.time())
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        time.sleep(seconds)
        self.waiting -= 1
