"""The real function in real processes under every fault there is; and proof that the soak would notice a loss."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from sluice.faults.report import Report
from sluice.faults.soak import FUNCTIONS, Plan, Soak

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


def soak(plan: Plan, directory: Path) -> Report:
    return Soak(plan, directory).run()


def sabotaged(directory: Path, sabotage: str) -> Path:
    """A copy of the function with one defect."""
    package = directory / "function" / "batch_writer"
    shutil.copytree(FUNCTIONS / "batch_writer", package)
    with (package / "__init__.py").open("a") as file:
        file.write(sabotage)
    return package.parent


def counts(report: Report) -> dict[str, int]:
    return {name: violations.count for name, violations in report.verdict.rows().items() if violations.count}


def test_nothing_is_lost_under_all_faults_at_once(tmp_path: Path) -> None:
    report = soak(Plan(profile="hostile", seconds=8, seed=1), tmp_path)

    text = "\n".join(report.lines())
    assert report.verdict.is_clean, text
    # It was hard enough to mean something.
    assert report.events["kills"] >= 1, text
    assert report.errors["Runtime.ExitError"] >= 1, text
    assert sum(report.ledger.receives()) > len(report.ledger.receives()) >= 100, text
    assert len(report.faults) >= 10, text
    assert report.unprocessed >= 1, text
    assert report.ledger.error_codes, text


def test_the_order_of_each_group_is_kept_under_all_faults_at_once(tmp_path: Path) -> None:
    report = soak(Plan(profile="hostile", seconds=8, seed=2, fifo=True, on_condition_failed="dead-letter"), tmp_path)

    text = "\n".join(report.lines())
    assert report.verdict.is_clean, text
    assert report.events["kills"] >= 1, text
    assert len(report.faults) >= 10, text
    assert sum(report.ledger.receives()) > len(report.ledger.receives()) >= 50, text


def test_a_function_that_drops_conditions_is_found_out(tmp_path: Path) -> None:
    function = sabotaged(tmp_path, UNCONDITIONAL)

    report = soak(Plan(profile="calm", seconds=2, task_root=function), tmp_path)

    assert {"lost", "acknowledged unwritten", "final table unlike the model"} == counts(report).keys()


def test_a_function_that_turns_the_order_around_is_found_out(tmp_path: Path) -> None:
    function = sabotaged(tmp_path, BACKWARDS)

    report = soak(Plan(profile="calm", seconds=2, fifo=True, task_root=function), tmp_path)

    assert "final table unlike the model" in counts(report)


def test_a_function_that_forgets_unprocessed_items_is_found_out(tmp_path: Path) -> None:
    function = sabotaged(tmp_path, FORGETFUL)

    report = soak(Plan(profile="throttled", seconds=3, task_root=function), tmp_path)

    assert {"lost", "acknowledged unwritten", "final table unlike the model"} <= counts(report).keys()


def test_a_function_that_loses_its_dead_letters_is_found_out(tmp_path: Path) -> None:
    function = sabotaged(tmp_path, SILENT)

    report = soak(Plan(profile="calm", seconds=2, task_root=function), tmp_path)

    assert counts(report) == {"bad messages without dead letter": report.ledger.bad_messages()}


def test_a_mistyped_option_is_a_usage_error() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sluice.faults.soak", "--profile", "gentle"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 2
    assert "'gentle'" in done.stderr
