"""A function runs under AWS's runtime client as in Lambda: alone with its bundle, restarted when it dies."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from sluice.local.aws import LocalAws, LocalError
from sluice.local.poller import FunctionResult
from sluice.local.runtime import ExecutionEnvironment, FunctionCode, link_runtime_client

HANDLER = """
import importlib.util, json, os, sys, time

if os.environ.get("BREAK"):
    raise ValueError("broken at start")

calls = 0
print("started by", os.getpid(), flush=True)

def handler(event, context):
    global calls
    calls += 1
    match event["do"]:
        case "echo":
            return {"event": event, "calls": calls}
        case "fail":
            raise KeyError("no such thing")
        case "exit":
            os._exit(3)
        case "sleep":
            print("asleep", flush=True)
            time.sleep(3600)
        case "look":
            modules = ["boto3", "moto", "pip", "awslambdaric"]
            return {
                "found": [name for name in modules if importlib.util.find_spec(name)],
                "environ": dict(os.environ),
                "left": context.get_remaining_time_in_millis(),
                "name": context.function_name,
                "arn": context.invoked_function_arn,
                "memory": context.memory_limit_in_mb,
                "pid": os.getpid(),
            }
"""


@pytest.fixture(scope="module")
def runtime_client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("client") / "runtime-client"
    link_runtime_client(directory)
    return directory


class Bench:
    """Makes execution environments of the function above."""

    def __init__(self, directory: Path, runtime_client: Path) -> None:
        self.task = directory / "task"
        self.task.mkdir()
        (self.task / "app.py").write_text(HANDLER)
        self.log = directory / "function.log"
        self.stopping = threading.Event()
        self._runtime_client = runtime_client

    def environment(self, timeout: int = 600, **variables: str) -> ExecutionEnvironment:
        code = FunctionCode(
            self.task, "app.handler", "writer", "arn:aws:lambda:x:1:function:w", timeout, 512, variables
        )
        return ExecutionEnvironment(code, LocalAws(port=9), self._runtime_client, self.log, self.stopping)


@pytest.fixture
def bench(tmp_path: Path, runtime_client: Path) -> Bench:
    return Bench(tmp_path, runtime_client)


def do(environment: ExecutionEnvironment, what: str, **more: Any) -> FunctionResult:
    return environment.invoke(json.dumps({"do": what, **more}).encode())


def seen(answer: FunctionResult) -> Any:
    assert answer.error is None, answer.error
    return json.loads(answer.payload)


def test_one_process_serves_one_invocation_after_the_other(bench: Bench) -> None:
    large = "é" * 1_000_000
    with bench.environment() as environment:
        first, second = seen(do(environment, "echo", text=large)), seen(do(environment, "echo"))

    assert first["event"]["text"] == large
    assert (first["calls"], second["calls"]) == (1, 2)


def test_the_function_sees_the_standard_library_its_bundle_and_the_runtime_client_and_nothing_else(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "mine")
    monkeypatch.setenv("SECRET_OF_MINE", "yes")
    with bench.environment(TABLES="[]") as environment:
        world = seen(do(environment, "look"))

    assert world["found"] == ["awslambdaric"]
    assert world["environ"]["TABLES"] == "[]"
    assert world["environ"]["AWS_ENDPOINT_URL"] == "http://localhost:9"
    assert world["environ"]["AWS_LAMBDA_FUNCTION_NAME"] == world["name"] == "writer"
    assert not {"AWS_PROFILE", "SECRET_OF_MINE", "HOME"} & set(world["environ"])
    assert world["arn"] == "arn:aws:lambda:x:1:function:w"
    assert world["memory"] == "512"
    assert 0 < world["left"] <= 600_000


def test_an_exception_is_a_function_error_and_the_process_lives_on(bench: Bench) -> None:
    with bench.environment() as environment:
        answer = do(environment, "fail")
        after = seen(do(environment, "echo"))

    assert answer.error is not None
    assert answer.error.startswith("KeyError: ")
    assert after["calls"] == 2


def test_a_process_that_ends_is_a_function_error_and_the_next_one_answers(bench: Bench) -> None:
    with bench.environment() as environment:
        answer = do(environment, "exit")
        after = seen(do(environment, "echo"))

    assert answer.error == "Runtime.ExitError: exit status 3"
    assert after["calls"] == 1


def test_a_timeout_is_a_function_error_and_ends_the_process(bench: Bench) -> None:
    with bench.environment(timeout=1) as environment:
        environment.start()
        pid = started(bench.log)
        answer = do(environment, "sleep")
        assert not is_running(pid)
        while (after := do(environment, "echo")) == answer:  # One second is too little for it on a very busy machine.
            pass

    assert answer.error == "Sandbox.Timedout: task timed out after 1 seconds"
    assert seen(after)["calls"] == 1


def test_a_function_that_cannot_start_says_why(bench: Bench) -> None:
    with (
        bench.environment(BREAK="yes") as environment,
        pytest.raises(LocalError, match=r"did not start \(ValueError: broken at start\); .*function\.log ends:\n"),
    ):
        environment.start()


def test_an_invocation_of_a_function_that_cannot_start_is_a_function_error(bench: Bench) -> None:
    with bench.environment(BREAK="yes") as environment:
        answer = do(environment, "echo")

    assert answer.error is not None
    assert "broken at start" in answer.error


def test_an_invocation_is_given_up_when_told_to_stop_and_no_process_is_left(bench: Bench) -> None:
    with bench.environment() as environment:
        pid = seen(do(environment, "look"))["pid"]
        threading.Thread(target=stop, args=(bench,)).start()

        answer = do(environment, "sleep")  # For an hour, if nobody stops it.

    assert answer.error == "stopped while the function ran"
    assert not is_running(pid)


def started(log: Path) -> int:
    """The id of the process that has started last."""
    *_, last = [line for line in log.read_text().splitlines() if line.startswith("started by ")]
    return int(last.removeprefix("started by "))


def stop(bench: Bench) -> None:
    while "asleep" not in bench.log.read_text():
        threading.Event().wait(0.01)
    bench.stopping.set()


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
