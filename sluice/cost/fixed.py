"""What a stack costs a month that nobody sends anything to, from counts taken from its template."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from .prices import FixedPrices

STACKS = Path(__file__).with_name("stacks.json")
"""The counts of the stack with its defaults, and of the leanest one; a test keeps them equal to the templates."""

FUNCTION_METRICS = 17
"""That the function emits, each with one set of dimensions; a test counts them."""
HOURS = 730
"""Of a month, by which AWS's pricing calculator counts."""
POLLERS = 5
"""Long polls at once on an idle queue: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html says that
Lambda may go down to two, but not where a maximum concurrency is set, as it is here."""
POLL_SECONDS = 20  # A long poll (ReceiveMessage API reference, WaitTimeSeconds).
POLLS = HOURS * 3600 // POLL_SECONDS
"""Of one poller a month."""


class TemplateError(ValueError):
    """A file that is no CloudFormation template with Sluice in it."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What a template has of that which is paid by the month."""

    function_metrics: int
    alarm_metrics: int
    """Metrics that alarms watch: an alarm on metric math is billed for each of its metrics."""
    composite_alarms: int
    dashboards: int
    pollers: int
    """Of Lambda, on a queue that it reads at all; 0 where they are provisioned or the polling is stopped."""
    provisioned_pollers: int
    keys: int
    recovered_tables: int
    is_fifo: bool

    @classmethod
    def of(cls, template: Mapping[str, Any]) -> Counts:
        """Raises `TemplateError` for what is no template, or has no function that reads a queue."""
        resources = template.get("Resources") if isinstance(template, Mapping) else None
        if not isinstance(resources, Mapping):
            raise TemplateError("it has no Resources")

        def all_of(kind: str) -> list[Mapping[str, Any]]:
            return [r.get("Properties", {}) for r in resources.values() if r.get("Type") == kind]

        mappings = all_of("AWS::Lambda::EventSourceMapping")
        if not mappings:
            raise TemplateError("it has no event source mapping: nothing in it reads a queue")
        provisioned = [
            m["ProvisionedPollerConfig"]["MinimumPollers"] for m in mappings if "ProvisionedPollerConfig" in m
        ]
        polling = [m for m in mappings if m.get("Enabled", True) and "ProvisionedPollerConfig" not in m]
        tables = all_of("AWS::DynamoDB::Table")
        return cls(
            function_metrics=FUNCTION_METRICS * len(mappings),
            alarm_metrics=sum(_metrics_of(alarm) for alarm in all_of("AWS::CloudWatch::Alarm")),
            composite_alarms=len(all_of("AWS::CloudWatch::CompositeAlarm")),
            dashboards=len(all_of("AWS::CloudWatch::Dashboard")),
            pollers=POLLERS * len(polling),
            provisioned_pollers=sum(provisioned),
            keys=len(all_of("AWS::KMS::Key")),
            recovered_tables=sum(
                t.get("PointInTimeRecoverySpecification", {}).get("PointInTimeRecoveryEnabled") is True for t in tables
            ),
            is_fifo=any(queue.get("FifoQueue") is True for queue in all_of("AWS::SQS::Queue")),
        )

    @classmethod
    def read(cls, path: Path) -> Counts:
        """Of a template in JSON, such as cdk.out/Sluice.template.json. Raises `TemplateError`, or OSError."""
        try:
            return cls.of(json.loads(path.read_text(encoding="utf-8")))
        except TemplateError as error:
            raise TemplateError(f"{path} is no template of Sluice: {error}") from None
        except (ValueError, LookupError, TypeError, AttributeError):
            raise TemplateError(f"{path} is no CloudFormation template in JSON") from None


@dataclass(frozen=True, slots=True)
class Stored:
    """Whole GB (10**9 bytes) that lie there all month."""

    table_gb: int = 1
    log_gb: int = 1


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that is paid by the month."""

    what: str
    count: int
    dollars: float
    """A month, for all of them."""
    is_idle: bool = True
    """Paid while nothing is sent, too."""


def lines(counts: Counts, prices: FixedPrices, stored: Stored) -> Sequence[Line]:
    """What there is none of is left out."""
    return [line for line in _lines(counts, prices, stored) if line.count]


def _lines(counts: Counts, prices: FixedPrices, stored: Stored) -> Iterator[Line]:
    request = prices.sqs_fifo_request if counts.is_fifo else prices.sqs_request
    alarm, composite = prices.alarm_metric_month, prices.composite_alarm_month
    yield Line("metrics that alarms watch", counts.alarm_metrics, counts.alarm_metrics * alarm)
    yield Line("composite alarms", counts.composite_alarms, counts.composite_alarms * composite)
    yield Line("dashboards", counts.dashboards, counts.dashboards * prices.dashboard_month)
    yield Line("Lambda's polls of the empty queue", counts.pollers * POLLS, counts.pollers * POLLS * request)
    yield Line("KMS keys", counts.keys, counts.keys * prices.kms_key_month)
    recovered = stored.table_gb if counts.recovered_tables else 0
    yield Line("GB in tables", stored.table_gb, stored.table_gb * prices.table_gb_month)
    yield Line("GB of point-in-time recovery", recovered, recovered * prices.recovery_gb_month)
    yield Line("GB of log kept", stored.log_gb, stored.log_gb * prices.log_gb_month)
    metrics = counts.function_metrics
    yield Line(
        "the function's metrics, if it runs in every hour", metrics, metrics * prices.metric_month, is_idle=False
    )


def _metrics_of(alarm: Mapping[str, Any]) -> int:
    queries = alarm.get("Metrics")
    return 1 if queries is None else sum("MetricStat" in query for query in queries)


def stacks(path: Path = STACKS) -> Mapping[str, Counts]:
    """The counts that come with the package, by the stack's settings in words."""
    return {name: Counts(**counts) for name, counts in json.loads(path.read_text(encoding="utf-8")).items()}


def markdown(counted: Mapping[str, Counts], prices: FixedPrices, stored: Stored) -> Sequence[str]:
    """A table for each stack."""
    text: list[str] = []
    for name, counts in counted.items():
        found = lines(counts, prices, stored)
        idle = sum(line.dollars for line in found if line.is_idle)
        text += ["", f"{name}:", "", "| a month of | count | dollars |", "|---|---:|---:|"]
        text += [f"| {line.what} | {line.count:,} | ${line.dollars:,.2f} |" for line in found]
        text += [f"| **idle, without the function's metrics** | | ${idle:,.2f} |"]
        text += [f"| **in use in every hour** | | ${sum(line.dollars for line in found):,.2f} |"]
        if counts.provisioned_pollers:
            text += ["", f"Not in it: {counts.provisioned_pollers} provisioned pollers, whose price is not confirmed."]
    return text[1:]


def notes() -> Sequence[str]:
    """What the numbers hold for, a sentence or two each."""
    return (
        f"A month has {HOURS} hours. How much tables and log hold is given by --table-gb and --log-gb.",
        "A metric is billed in the hours in which it is reported.",
        "Free tiers are not counted: an account's first three dashboards, ten alarms, ten metrics, and a million"
        " requests to SQS.",
        f"{POLLERS} long polls of {POLL_SECONDS} seconds are always under way.",
        "What is sent comes on top: `sluice cost` has it per million records.",
    )


def as_json(counted: Mapping[str, Counts], prices: FixedPrices, stored: Stored) -> list[dict[str, Any]]:
    """The same for programs."""
    return [
        {
            "stack": name,
            "counts": {field.name: getattr(counts, field.name) for field in fields(counts)},
            "lines": [
                {"what": line.what, "count": line.count, "dollars": line.dollars, "idle": line.is_idle}
                for line in lines(counts, prices, stored)
            ],
        }
        for name, counts in counted.items()
    ]
