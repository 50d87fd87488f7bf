"""`sluice cost --fixed`: from what a template has to dollars a month."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sluice.cost.fixed import POLLS, Counts, Stored, TemplateError, lines, stacks
from sluice.cost.prices import DEFAULT, FixedPrices, PricesError

# Round numbers, none like another, so that a mix-up shows.
PRICES = FixedPrices(
    metric_month=0.5,
    alarm_metric_month=0.25,
    composite_alarm_month=2,
    dashboard_month=4,
    kms_key_month=8,
    recovery_gb_month=16,
    table_gb_month=32,
    log_gb_month=64,
    sqs_request=1e-6,
    sqs_fifo_request=3e-6,
)
MAPPING = {"Type": "AWS::Lambda::EventSourceMapping", "Properties": {"ScalingConfig": {"MaximumConcurrency": 10}}}


def template(*resources: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    found = {f"R{n}": {"Type": kind, "Properties": properties} for n, (kind, properties) in enumerate(resources)}
    return {"Resources": {"Mapping": MAPPING, **found}}


def dollars(counts: Counts, stored: Stored = Stored(0, 0)) -> dict[str, float]:  # noqa: B008  # Frozen.
    return {line.what: line.dollars for line in lines(counts, PRICES, stored)}


def test_an_alarm_on_metric_math_is_billed_for_each_of_its_metrics() -> None:
    queries = [{"Expression": "a + b", "Id": "c"}, {"Id": "a", "MetricStat": {}}, {"Id": "b", "MetricStat": {}}]
    counts = Counts.of(
        template(("AWS::CloudWatch::Alarm", {"MetricName": "m"}), ("AWS::CloudWatch::Alarm", {"Metrics": queries}))
    )

    assert counts.alarm_metrics == 3
    assert dollars(counts)["metrics that alarms watch"] == 0.75


def test_each_kind_of_thing_has_its_price() -> None:
    counts = Counts.of(
        template(
            ("AWS::CloudWatch::CompositeAlarm", {}),
            ("AWS::CloudWatch::Dashboard", {}),
            ("AWS::KMS::Key", {}),
            ("AWS::DynamoDB::Table", {"PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True}}),
        )
    )

    assert dollars(counts, Stored(table_gb=2, log_gb=3)) == {
        "composite alarms": 2,
        "dashboards": 4,
        "Lambda's polls of the empty queue": pytest.approx(5 * 730 * 180 * 1e-6),
        "KMS keys": 8,
        "GB in tables": 64,
        "GB of point-in-time recovery": 32,
        "GB of log kept": 192,
        "the function's metrics, if it runs in every hour": 8.5,
    }


def test_only_the_functions_metrics_are_not_paid_while_it_is_idle() -> None:
    found = lines(Counts.of(template()), PRICES, Stored())

    assert [line.what for line in found if not line.is_idle] == ["the function's metrics, if it runs in every hour"]


@pytest.mark.parametrize(
    ("mapping", "polls"),
    [({}, 5 * POLLS), ({"Enabled": False}, 0), ({"ProvisionedPollerConfig": {"MinimumPollers": 3}}, 0)],
)
def test_a_queue_is_polled_unless_it_is_not_read(mapping: dict[str, Any], polls: int) -> None:
    counts = Counts.of({"Resources": {"M": {"Type": "AWS::Lambda::EventSourceMapping", "Properties": mapping}}})

    assert counts.pollers * POLLS == polls
    assert counts.provisioned_pollers == mapping.get("ProvisionedPollerConfig", {}).get("MinimumPollers", 0)


def test_polls_of_a_fifo_queue_have_their_own_price() -> None:
    standard = Counts.of(template(("AWS::SQS::Queue", {})))
    fifo = Counts.of(template(("AWS::SQS::Queue", {"FifoQueue": True})))

    assert fifo == replace(standard, is_fifo=True)
    assert dollars(fifo)["Lambda's polls of the empty queue"] == pytest.approx(
        3 * dollars(standard)["Lambda's polls of the empty queue"]
    )


@pytest.mark.parametrize("content", [{}, [], {"Resources": []}, {"Resources": {}}, {"Resources": {"R": {}}}])
def test_what_is_no_template_of_it_is_refused(content: Any) -> None:
    with pytest.raises(TemplateError):
        Counts.of(content)


def test_every_price_has_its_source() -> None:
    entries = json.loads(DEFAULT.read_text())["prices"]

    assert FixedPrices.load().dashboard_month == 3
    assert all(entry["source"].startswith("https://aws.amazon.com/") for entry in entries.values())


def test_a_table_without_a_monthly_price_is_refused_by_its_name(tmp_path: Path) -> None:
    table = json.loads(DEFAULT.read_text())
    del table["prices"]["dashboard_month"]
    (tmp_path / "mine.json").write_text(json.dumps(table))

    with pytest.raises(PricesError, match="'dashboard_month'"):
        FixedPrices.load(tmp_path / "mine.json")


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sluice.cost", *arguments], capture_output=True, text=True, check=False
    )


def test_the_command_has_the_stacks_that_come_with_it() -> None:
    done = command("--fixed", "--json", "--table-gb", "0", "--log-gb", "0")

    assert done.returncode == 0, done.stderr
    months = json.loads(done.stdout)["per_month"]
    assert [month["stack"] for month in months] == list(stacks())
    idle = [sum(line["dollars"] for line in month["lines"] if line["idle"]) for month in months]
    assert idle[0] > 4 * idle[1] > 0


def test_the_command_counts_a_template_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "mine.json").write_text(json.dumps(template(("AWS::KMS::Key", {}))))

    done = command("--fixed", str(tmp_path / "mine.json"))

    assert done.returncode == 0, done.stderr
    assert "| KMS keys | 1 | $1.00 |" in done.stdout


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"Resources": {}}', '{"Resources": 7}'])
def test_the_command_names_a_file_that_is_no_template(tmp_path: Path, text: str) -> None:
    (tmp_path / "mine.json").write_text(text)

    done = command("--fixed", str(tmp_path / "mine.json"))

    assert done.returncode == 2
    assert "mine.json" in done.stderr
    assert "Traceback" not in done.stderr
