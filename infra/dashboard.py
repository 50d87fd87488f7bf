"""One screen that follows a message: queue, function, table; with the thresholds of the alarms drawn in."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Aws, Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.alarms import Alarms
from infra.function import METRICS_NAMESPACE

MINUTE = Duration.minutes(1)


class Dashboard(Construct):
    """The stack's dashboard."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        service: str,
        queue: sqs.Queue,
        dead_letters: sqs.Queue,
        function: lambda_.Function,
        table: dynamodb.Table,
        alarms: Alarms,
    ) -> None:
        super().__init__(scope, construct_id)
        self._service = service
        # Dashboards are global to an account: without the region, stacks in two regions would share one.
        self.dashboard = cloudwatch.Dashboard(
            self,
            "Dashboard",
            dashboard_name=f"{service}-{Aws.REGION}",
            default_interval=Duration.hours(3),
            widgets=[
                self._queue_row(queue, dead_letters, alarms),
                self._outcome_row(),
                self._call_row(),
                self._function_row(function, alarms),
                self._table_row(table, alarms),
            ],
        )

    def _queue_row(self, queue: sqs.Queue, dead_letters: sqs.Queue, alarms: Alarms) -> list[cloudwatch.IWidget]:
        return [
            _graph(
                "Queue: in and out",
                [
                    queue.metric_number_of_messages_sent(statistic="Sum", label="sent"),
                    queue.metric_number_of_messages_received(statistic="Sum", label="received"),
                    queue.metric_number_of_messages_deleted(statistic="Sum", label="deleted"),
                ],
            ),
            _graph(
                "Queue: backlog",
                [
                    queue.metric_approximate_number_of_messages_visible(statistic="Maximum", label="waiting"),
                    queue.metric_approximate_number_of_messages_not_visible(statistic="Maximum", label="in flight"),
                ],
            ),
            _graph(
                "Queue: age of the oldest message (s)",
                [queue.metric_approximate_age_of_oldest_message(statistic="Maximum")],
                alarms.message_age,
            ),
            _graph(
                "Dead letters",
                [dead_letters.metric_approximate_number_of_messages_visible(statistic="Maximum")],
                alarms.dead_letters,
            ),
        ]

    def _outcome_row(self) -> list[cloudwatch.IWidget]:
        return [
            _graph(
                "Messages",
                self._sums("MessagesReceived", "MessagesWritten", "MessagesReturned", "MessagesDeadLettered"),
            ),
            _graph(
                "Operations",
                self._sums("OperationsWritten", "OperationsSuperseded", "OperationsRejected", "ConditionsFailed"),
            ),
            _graph("Throttling met", self._sums("UnprocessedItems", "ThrottledCalls")),
            _graph("Consumed write units", self._sums("ConsumedWriteUnits")),
        ]

    def _call_row(self) -> list[cloudwatch.IWidget]:
        return [
            _graph("BatchWriteItem calls", self._sums("BatchWrites")),
            _graph("Items in a call (of 25)", [self._metric("BatchFill", "Average")]),
            _graph("A call's time (ms)", [self._metric("WriteLatency", s) for s in ("p50", "p99")]),
            _graph("Time spent backing off (ms)", [self._metric("BackoffTime", "Sum")]),
        ]

    def _function_row(self, function: lambda_.Function, alarms: Alarms) -> list[cloudwatch.IWidget]:
        return [
            _graph("Function: invocations", [function.metric_invocations(statistic="Sum")]),
            _graph("Function: errors", [function.metric_errors(statistic="Sum")], alarms.function_errors),
            _graph("Function: throttles", [function.metric_throttles(statistic="Sum")], alarms.function_throttles),
            _graph("Function: duration (ms)", [function.metric_duration(statistic=s) for s in ("p50", "p99")]),
        ]

    def _table_row(self, table: dynamodb.Table, alarms: Alarms) -> list[cloudwatch.IWidget]:
        return [
            _graph("Table: consumed write units", [table.metric_consumed_write_capacity_units(statistic="Sum")]),
            _graph(
                "Table: throttled writes",
                [table.metric("WriteThrottleEvents", statistic="Sum")],
                alarms.write_throttles,
            ),
            _graph(
                "Table: latency of BatchWriteItem (ms)",
                [
                    table.metric(
                        "SuccessfulRequestLatency",
                        statistic=statistic,
                        dimensions_map={"TableName": table.table_name, "Operation": "BatchWriteItem"},
                    )
                    for statistic in ("Average", "p99")
                ],
            ),
        ]

    def _sums(self, *names: str) -> list[cloudwatch.IMetric]:
        return [self._metric(name, "Sum") for name in names]

    def _metric(self, name: str, statistic: str) -> cloudwatch.Metric:
        return cloudwatch.Metric(
            namespace=METRICS_NAMESPACE,
            metric_name=name,
            dimensions_map={"service": self._service},
            statistic=statistic,
        )


def _graph(
    title: str, metrics: Sequence[cloudwatch.IMetric], alarm: cloudwatch.Alarm | None = None
) -> cloudwatch.GraphWidget:
    return cloudwatch.GraphWidget(
        title=title,
        left=metrics,
        left_annotations=[alarm.to_annotation()] if alarm else [],
        left_y_axis=cloudwatch.YAxisProps(min=0, show_units=False),
        period=MINUTE,
        width=6,
    )
