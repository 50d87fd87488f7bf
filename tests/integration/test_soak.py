"""The real function in real processes under every fault there is; and proof that the soak would notice a loss."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, cast

import pytest

from sluice.local.faults.profiles import PROFILES, Profile
from sluice.local.soak.command import main
from sluice.local.soak.report import Report
from sluice.local.soak.run import Plan, Soak
from sluice.local.sources import FUNCTION, ROOT

FORGETFUL = """
import botocore.client

_call = botocore.client.BaseClient._make_api_call

def _forgetful_call(self, operation, parameters):
    answer = _call(self, operation, parameters)
    if operation == "BatchWriteItem":
        answer["UnprocessedItems"] = {}
    return answer

botocore.client.BaseClient._make_api_call = _forgetful_call
"""
SILENT = """
import botocore.client

_call = botocore.client.BaseClient._make_api_call

def _silent_call(self, operation, parameters):
    if operation == "SendMessageBatch":
        return {"Successful": [{"Id": entry["Id"]} for entry in parameters["Entries"]]}
    return _call(self, operation, parameters)

botocore.client.BaseClient._make_api_call = _silent_call
"""
UNCONDITIONAL = """
import botocore.client

_call = botocore.client.BaseClient._make_api_call

def _unconditional_call(self, operation, parameters):
    if operation in ("PutItem", "DeleteItem"):
        parameters = {name: value for name, value in parameters.items() if "Expression" not in name}
    return _call(self, operation, parameters)

botocore.client.BaseClient._make_api_call = _unconditional_call
"""
BACKWARDS = """
from . import pipeline

_run = pipeline.Pipeline.run

def _run_backwards(self, records, *more):
    return _run(self, list(records)[::-1], *more)

pipeline.Pipeline.run = _run_backwards
"""


def soak(directory: Path, **plan: Any) -> Report:
    """A run until enough has happened, however long that takes; the ends are there for what never happens."""
    # Where nothing hangs no invocation needs a short end.
    timeout = 5 if plan["profile"] == "hostile" else 60
    plan.setdefault("workers", 1 if "task_root" in plan else 3)  # What a defect does one process shows as well.
    report = Soak(Plan(**plan, seconds=900, drain_seconds=900, timeout=timeout), directory).run()
    assert report.missing == {}, "\n".join(report.lines())
    return report


def sabotaged(directory: Path, sabotage: str) -> Path:
    """A copy of the function with one defect."""
    package = directory / "sabotaged" / "batch_writer"
    shutil.copytree(FUNCTION, package)
    (package.parent / "sluice").symlink_to(ROOT / "sluice")
    with (package / "__init__.py").open("a") as file:
        file.write(sabotage)
    return package.parent


def counts(report: Report) -> dict[str, int]:
    return {name: violations.count for name, violations in report.verdict.rows().items() if violations.count}


def test_nothing_is_lost_under_all_faults_at_once(tmp_path: Path) -> None:
    hard = {
        "messages": 100,
        "redeliveries": 1,
        "kills": 1,
        "Runtime.ExitError": 1,
        "kinds-of-fault": 10,
        "unprocessed-items": 1,
        "dead-letters": 1,
        "read-faults": 2,
        "unchanged": 10,
    }

    report = soak(tmp_path, profile="hostile", seed=1, until=hard)

    assert report.verdict.is_clean, "\n".join(report.lines())


def test_the_order_of_each_group_is_kept_under_all_faults_at_once(tmp_path: Path) -> None:
    hard = {"messages": 50, "redeliveries": 1, "kills": 1, "kinds-of-fault": 10}

    report = soak(tmp_path, profile="hostile", seed=2, fifo=True, on_condition_failed="dead-letter", until=hard)

    assert report.verdict.is_clean, "\n".join(report.lines())


def test_a_function_that_drops_conditions_is_found_out(tmp_path: Path) -> None:
    function = sabotaged(tmp_path, UNCONDITIONAL)

    report = soak(tmp_path, profile="calm", task_root=function, until={"acknowledged-unwritten": 2})

    assert {"lost", "acknowledged unwritten", "final table unlike the model"} == counts(report).keys()


def test_a_function_that_turns_the_order_around_is_found_out(tmp_path: Path) -> None:
    function = sabotaged(tmp_path, BACKWARDS)

    report = soak(tmp_path, profile="calm", fifo=True, task_root=function, until={"acknowledged-unwritten": 5})

    assert "final table unlike the model" in counts(report)


def test_a_function_that_forgets_unprocessed_items_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    function = sabotaged(tmp_path, FORGETFUL)
    # By chance alone: to wait for capacity, or for a send rate that whole calls have lowered, would only take time.
    monkeypatch.setitem(cast(dict[str, Profile], PROFILES), "throttled", Profile({"unprocessed": 0.25}))

    enough = {"unprocessed-items": 10, "acknowledged-unwritten": 1}
    # Also while the queue is drained: some items get their last state only then.
    report = soak(tmp_path, profile="throttled", task_root=function, until=enough, faults_to_the_end=True)

    assert {"lost", "acknowledged unwritten", "final table unlike the model"} <= counts(report).keys()


def test_a_function_that_loses_its_dead_letters_is_found_out(tmp_path: Path) -> None:
    function = sabotaged(tmp_path, SILENT)

    report = soak(tmp_path, profile="calm", task_root=function, until={"bad-messages": 5})

    assert counts(report) == {"bad messages without dead letter": report.ledger.bad_messages()}


def test_too_little_that_has_happened_is_a_failure_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["--profile", "calm", "--seconds", "0.1", "--until", "messages=1", "--until", "hang-after=3"])

    assert status == 1
    said = capsys.readouterr().out
    assert "until 1 messages, 3 hang-after, at most 0.1 s" in said
    assert "0 of 3 hang-after" in said
    assert "Nothing lost, but too little has happened" in said


@pytest.mark.parametrize(
    "arguments",
    [("--profile", "gentle"), ("--until", "kilns=3"), ("--until", "kills=0"), ("--until", "kills")],
)
def test_a_mistyped_option_is_a_usage_error(arguments: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)

    assert stopped.value.code == 2
    assert f"'{arguments[1].removesuffix('=3')}'" in capsys.readouterr().err
