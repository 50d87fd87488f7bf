"""The metrics of the stack's parts, as alarms and dashboard use them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs

from .throttling import Cause, causes_of

METRICS_NAMESPACE = "Sluice"

MINUTE = Duration.minutes(1)
FIVE_MINUTES = Duration.minutes(5)

REPORT_FAILURES = "ReportFailures"
"""Invocations in which SQS refused a dead letter or a visibility; counted from the function's log."""


@dataclass(frozen=True, slots=True)
class Watched:
    """The parts of one stack that report metrics."""

    service: str
    """The stack's name, by which its metrics are told from those of other stacks."""
    queue: sqs.IQueue
    dead_letters: sqs.IQueue
    function: lambda_.Function
    tables: Mapping[str, dynamodb.ITable]
    """By alias."""
    read: Sequence[str] = ()
    """Aliases of those that are read before they are written."""

    def own(
        self, name: str, statistic: str = "Sum", *, label: str | None = None, period: Duration | None = None
    ) -> cloudwatch.Metric:
        """A metric that the function emits."""
        return cloudwatch.Metric(
            namespace=METRICS_NAMESPACE,
            metric_name=name,
            dimensions_map={"service": self.service},
            statistic=statistic,
            label=label,
            period=period,
        )

    def throttles(self) -> Iterator[tuple[str, dynamodb.ITable, Cause]]:
        """Alias, table and cause, of everything that may throttle."""
        for alias, table in self.tables.items():
            for cause in causes_of(table):
                yield alias, table, cause

    def read_throttles(self) -> Iterator[tuple[str, cloudwatch.Metric]]:
        """Alias and reads refused, of each table that is read."""
        for alias in self.read:
            yield alias, self.tables[alias].metric("ReadThrottleEvents", statistic="Sum", period=MINUTE)

    def returned_while_growing(self) -> cloudwatch.MathExpression:
        """Percent of messages returned, in periods in which more messages came than left; 0 in others."""
        return cloudwatch.MathExpression(
            expression="IF(sent > deleted, 100 * returned / received, 0)",
            using_metrics={
                "sent": self.queue.metric_number_of_messages_sent(statistic="Sum"),
                "deleted": self.queue.metric_number_of_messages_deleted(statistic="Sum"),
                "returned": self.own("MessagesReturned"),
                "received": self.own("MessagesReceived"),
            },
            label="returned while the queue grows (%)",
            period=FIVE_MINUTES,
        )

    def stuck(self) -> cloudwatch.MathExpression:
        """Messages on the queue, waiting or in flight, in periods in which none was deleted; 0 in others."""
        return cloudwatch.MathExpression(
            expression="IF(deleted == 0, waiting + flying, 0)",
            using_metrics={
                "deleted": self.queue.metric_number_of_messages_deleted(statistic="Sum"),
                "waiting": self.queue.metric_approximate_number_of_messages_visible(statistic="Minimum"),
                "flying": self.queue.metric_approximate_number_of_messages_not_visible(statistic="Minimum"),
            },
            label="stuck: none deleted",
            period=FIVE_MINUTES,
        )
