"""The metrics of the stack's parts, as alarms and dashboard use them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs

from .table_index import TableIndex
from .throttling import Cause, causes_of, causes_of_index

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
    indexes: Mapping[str, Sequence[TableIndex]]
    """By alias."""
    versioned: Collection[str]
    """Aliases of tables in which the newest version wins; nothing is written there in batches."""
    update_once: bool
    """Updates go by transactions."""
    read: Sequence[str]
    """Aliases of tables that are read before they are written."""

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

    def index_throttles(self) -> Iterator[tuple[str, str, cloudwatch.Metric, Cause]]:
        """Alias, index, metric and cause, of all global indexes; a local one counts as its table.

        https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/metrics-dimensions.html
        """
        for alias, table in self.tables.items():
            for index in self.indexes[alias]:
                if index.is_local:
                    continue
                dimensions = {"TableName": table.table_name, "GlobalSecondaryIndexName": index.key.name}
                for cause in causes_of_index(table, index):
                    metric = table.metric(cause.metric, statistic="Sum", period=MINUTE, dimensions_map=dimensions)
                    yield alias, index.key.name, metric, cause

    def system_errors(self, alias: str) -> cloudwatch.MathExpression:
        """Requests of the function that DynamoDB answered with a fault of its own (HTTP 500)."""
        table = self.tables[alias]
        calls = ["PutItem", "DeleteItem", "TransactWriteItems" if self.update_once else "UpdateItem"]
        if alias not in self.versioned:
            calls.append("BatchWriteItem")
        number = [*self.tables].index(alias)  # A graph shows several, and no id may stand for two metrics.
        metrics: dict[str, cloudwatch.IMetric] = {
            f"{call[0].lower()}{call[1:]}{number}": table.metric(
                "SystemErrors",
                statistic="Sum",
                period=MINUTE,
                dimensions_map={"TableName": table.table_name, "Operation": call},
            )
            for call in calls
        }
        return cloudwatch.MathExpression(
            expression=" + ".join(f"FILL({name}, 0)" for name in metrics),  # For the reason that `refusals` gives.
            using_metrics=metrics,
            label=alias,
            period=MINUTE,
        )

    def more_dead_letters(self) -> cloudwatch.MathExpression:
        """Messages that the function dead-lettered, and those by which the dead-letter queue has grown.

        SQS counts no message that it moves itself as sent, so that its own moves show in the growth alone. A letter
        that somebody looks at is in flight and counts as before. Letters deleted in the same minute hide as many moves.
        https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
        """
        waiting, flying = self._in_dead_letter_queue()
        return cloudwatch.MathExpression(
            expression="(dead > 0) OR (DIFF(waiting + flying) > 0)",
            using_metrics={
                "dead": self.own("MessagesDeadLettered"),
                "waiting": waiting,
                "flying": flying,
            },
            label="new dead letters",
            period=MINUTE,
        )

    def dead_letters_present(self) -> cloudwatch.MathExpression:
        """All letters on the dead-letter queue, also those that somebody is looking at."""
        waiting, flying = self._in_dead_letter_queue()
        return cloudwatch.MathExpression(
            expression="waiting + flying",
            using_metrics={"waiting": waiting, "flying": flying},
            label="on the queue",
            period=MINUTE,
        )

    def _in_dead_letter_queue(self) -> tuple[cloudwatch.IMetric, cloudwatch.IMetric]:
        """Waiting and in flight. SQS reports each once a minute."""
        queue = self.dead_letters
        return (
            queue.metric_approximate_number_of_messages_visible(statistic="Maximum"),
            queue.metric_approximate_number_of_messages_not_visible(statistic="Maximum"),
        )

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


def refusals(metric: cloudwatch.IMetric) -> cloudwatch.MathExpression:
    """A metric of DynamoDB that is reported only when something was refused, and 0 in between.

    An alarm on the metric itself might never end: CloudWatch's PutMetricAlarm says that alarms on AWS/DynamoDB always
    keep their state where data is missing, its user guide that they do so unless told otherwise.
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
    """
    return cloudwatch.MathExpression(expression="FILL(refused, 0)", using_metrics={"refused": metric}, period=MINUTE)
