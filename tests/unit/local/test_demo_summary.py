"""The demo's summary adds up, says where figures come from, and owns up to what is lost."""

from __future__ import annotations

import contextlib
import re
import threading
from pathlib import Path
from typing import Any

import pytest

from sluice.local.demo.__main__ import COLUMN, _say_meanwhile, _step
from sluice.local.demo.ingest import (
    PATIENCE,
    PATIENCE_WITH_ERRORS,
    DeadLetter,
    Ingested,
    Patience,
    read_metrics,
    write_units,
)
from sluice.local.demo.readback import ReadBack
from sluice.local.demo.summary import is_accounted_for, lines
from sluice.local.poller import FunctionResult, Invocation
from sluice.local.serial_queue import OneAtATime
from tests.fakes import Clock

WHOLE = ReadBack(identical=100, missing=(), different=())


def ingested(records: int = 102, dead: int = 2) -> Ingested:
    return Ingested(
        messages=3,
        records=records,
        seconds=2.0,
        invocations=[
            Invocation(FunctionResult(), ("a", "b"), ("c",), 0.5),
            Invocation(FunctionResult(), ("c",), (), 0.3),
        ],
        dead_letters=[DeadLetter("m1", "EmptySet", "attribute 'x': a set must not be empty", 1)] * dead,
        metrics={
            "BatchWrites": [3.0, 1.0],
            "BatchFill": [25, 25, 25, 25],
            "ConsumedWriteUnits": [4.0],
            "OperationsWritten": [75.0, 25.0],
        },
    )


def text(result: Ingested, table: ReadBack, units: int = 100) -> str:
    return "\n".join(lines(result, table, units))


def test_a_complete_run_is_accounted_for() -> None:
    said = text(ingested(), WHOLE)

    assert is_accounted_for(ingested(), WHOLE)
    assert "102 sent = 100 written + 2 dead-lettered" in said
    assert "25.0 of 25 items" in said
    assert "51  records/s from the first one sent to the last one done (2.0 s)" in said
    assert "125  records/s in a process of the function while it works (0.8 s in all)" in said
    assert "1 messages came more than once" in said
    assert "EmptySet" in said


@pytest.mark.parametrize(
    ("result", "table"),
    [
        (ingested(dead=1), WHOLE),
        (ingested(records=103), WHOLE),
        (ingested(), ReadBack(99, missing=(("EWR", "then"),), different=())),
        (ingested(), ReadBack(99, missing=(), different=(("EWR", "then"),))),
        # Figures that would add up, were it not for the one that is missing.
        (ingested(records=101), ReadBack(99, missing=(("EWR", "then"),), different=())),
    ],
)
def test_a_loss_is_owned_up_to(result: Ingested, table: ReadBack) -> None:
    assert not is_accounted_for(result, table)
    assert "NOT every record is accounted for" in text(result, table)
    assert ("EWR then" in text(result, table)) == (table is not WHOLE)


def test_metrics_are_read_from_embedded_metric_lines_and_nothing_else(tmp_path: Path) -> None:
    directives = '"_aws":{"CloudWatchMetrics":[{"Metrics":[{"Name":"BatchWrites"},{"Name":"BatchFill"}]}]}'
    one, two = tmp_path / "1.log", tmp_path / "2.log"
    one.write_text(
        f'START\n{{{directives},"BatchWrites":[3.0],"BatchFill":[25,25,7],"service":"x"}}\n{{"level":"INFO","a":1}}\n'
    )
    two.write_text(f'{{{directives},"BatchWrites":2,"BatchFill":[1]}}\n{{"_aws" cut off\n')

    assert read_metrics([one, two]) == {"BatchWrites": [3.0, 2], "BatchFill": [25, 25, 7, 1]}


def test_write_units_count_each_kilobyte_begun() -> None:
    small = {"a": {"S": "x" * 1000}}
    large = {"a": {"S": "x" * 2040}}

    assert write_units([small]) == 1
    assert write_units([small, large, {"a": {"S": "x" * 2048}}]) == 1 + 2 + 3


def invocation(error: str | None = None, deleted: tuple[str, ...] = ()) -> Invocation:
    return Invocation(FunctionResult(error=error), deleted, (), 0.1)


def test_a_function_that_only_fails_is_not_waited_for_long() -> None:
    clock = Clock()
    patience = Patience(clock)

    clock.sleep(PATIENCE_WITH_ERRORS + 1)
    assert not patience.is_over()
    patience.note(invocation(error="ValueError: broken"))

    assert patience.is_over()
    assert "ValueError: broken" in patience.reason


def test_a_success_renews_patience() -> None:
    clock = Clock()
    patience = Patience(clock)

    clock.sleep(PATIENCE - 1)
    patience.note(invocation(error="ValueError: broken"))
    patience.note(invocation(deleted=("a",)))
    clock.sleep(PATIENCE - 1)

    assert not patience.is_over()


def test_a_function_that_finishes_nothing_is_not_waited_for_forever() -> None:
    clock = Clock()
    patience = Patience(clock)

    clock.sleep(PATIENCE - 1)
    patience.note(invocation())
    assert not patience.is_over()
    clock.sleep(2)

    assert patience.is_over()
    assert "finished no message for 90 seconds" in patience.reason


class Client:
    """Notes whether two of its calls are ever under way at the same time."""

    def __init__(self, answers: list[dict[str, Any]] | None = None) -> None:
        self._together = threading.Barrier(2)
        self._answers = answers or []
        self.overlaps = 0
        self.waits: list[int] = []

    def _call(self, **_request: Any) -> dict[str, Any]:
        with contextlib.suppress(threading.BrokenBarrierError):
            self._together.wait(timeout=0.05)
            self.overlaps += 1
        self._together.reset()
        return {}

    send_message_batch = delete_message_batch = _call

    def receive_message(self, **request: Any) -> dict[str, Any]:
        self.waits.append(request["WaitTimeSeconds"])
        return self._answers.pop(0) if self._answers else self._call()


def test_the_local_queue_gets_one_call_at_a_time() -> None:
    client = Client()
    queue = OneAtATime(client, threading.Event())

    calls = (queue.send_message_batch, queue.delete_message_batch, queue.receive_message)
    threads = [threading.Thread(target=call) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert client.overlaps == 0


def test_a_receive_looks_again_until_something_comes_without_waiting_in_the_call() -> None:
    client = Client([{}, {}, {"Messages": ["m"]}])
    queue = OneAtATime(client, threading.Event())

    assert queue.receive_message(WaitTimeSeconds=20) == {"Messages": ["m"]}
    assert client.waits == [0, 0, 0]


def test_a_receive_does_not_wait_when_it_should_not() -> None:
    stopped = threading.Event()
    stopped.set()
    short, stopping = Client([{}]), Client([{}])

    assert OneAtATime(short, threading.Event()).receive_message(WaitTimeSeconds=0) == {}
    assert OneAtATime(stopping, stopped).receive_message(WaitTimeSeconds=20) == {}

    assert len(short.waits) == len(stopping.waits) == 1


def test_a_step_says_what_takes_long_in_it_on_a_line_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    with _step("Deploying (cdk deploy)"):
        _say_meanwhile("pip installs the packages")

    first, second = capsys.readouterr().out.splitlines()
    assert first.rstrip() == "  Deploying (cdk deploy)"
    assert re.fullmatch(r"    pip installs the packages {2,}\d+\.\d s", second)
    assert len(second) == 2 + COLUMN + len("  0.0 s")


@pytest.mark.parametrize(("width", "longest"), [(80, 80), (100, 100), (300, 118)])
def test_a_reason_is_cut_where_the_terminal_ends(width: int, longest: int) -> None:
    result = ingested(records=101, dead=1)
    result.dead_letters = [DeadLetter("m", "RejectedByDynamoDB", "why " * 100, 1)]

    shown = [line for line in lines(result, WHOLE, 100, width) if "why" in line]

    assert [len(line) for line in shown] == [longest]
    assert shown[0].endswith("…")
