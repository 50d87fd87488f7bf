"""One screen, top to bottom in the order in which an operator asks; the alarms' thresholds are drawn in."""

from __future__ import annotations

import math

from aws_cdk import ArnFormat, Aws, Duration, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_dynamodb as dynamodb
from constructs import Construct

from infra.alarms import Alarms
from infra.config import Config
from infra.metrics import FIVE_MINUTES, MINUTE, ON_DEMAND_MAXIMUM, PROVISIONED, REPORT_FAILURES
from infra.widgets import WIDTH, graph, line, section
from sluice.cost.prices import Prices

MILLION = 1_000_000
MAX_BATCH = 25  # Requests of one BatchWriteItem call (its API reference).

ERROR_CODES = (
    *("InvalidJson", "UnknownOperation", "UnknownTable", "MissingKey", "UnexpectedKeyAttribute", "KeyTypeMismatch"),
    *("EmptyKey", "KeyTooLong", "ItemTooLarge", "NestingTooDeep", "InvalidNumber", "EmptySet", "DuplicateSetElement"),
    *("InvalidAttribute", "InvalidExpression", "MissingVersion", "ConditionFailed", "RejectedByDynamoDB"),
)
"""Why operations are dead-lettered: all that the function puts into the message attribute ErrorCode."""


class Dashboard(Construct):
    """The stack's dashboard."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        config: Config,
        alarms: Alarms,
        prices: Prices | None = None,
    ) -> None:
        """`prices` are those of `sluice cost` unless given."""
        super().__init__(scope, construct_id)
        self._config, self._prices = config, prices or Prices.load()
        self._watched = alarms.watched
        # Dashboards are global to an account: without the region, stacks in two regions would share one.
        self.dashboard = cloudwatch.Dashboard(
            self,
            "Dashboard",
            dashboard_name=f"{config.stack_name}-{Aws.REGION}",
            default_interval=Duration.hours(3),
            widgets=[
                [self._states(alarms)],
                *section("Is it keeping up?", self._progress(alarms)),
                *section("Is the table the limit?", self._capacity(alarms)),
                *section("Is the data bad?", self._rejections(alarms)),
                *section("Is it efficient?", self._efficiency()),
                *section("Is it healthy?", self._health(alarms)),
            ],
        )

    def _states(self, alarms: Alarms) -> cloudwatch.IWidget:
        # By their names: local AWSs know no alarms in a template, so they cannot tell an ARN either.
        arns = [
            Stack.of(self).format_arn(
                service="cloudwatch",
                resource="alarm",
                resource_name=alarm.alarm_name,
                arn_format=ArnFormat.COLON_RESOURCE_NAME,
            )
            for alarm in (alarms.unhealthy, *alarms.all)
        ]
        return cloudwatch.AlarmStatusWidget(
            title="Is anything wrong?",
            alarms=[cloudwatch.Alarm.from_alarm_arn(self, f"State{n}", arn) for n, arn in enumerate(arns)],
            width=WIDTH,
            height=3,
        )

    def _progress(self, alarms: Alarms) -> list[cloudwatch.IWidget]:
        queue, own = self._watched.queue, self._watched.own
        returned = cloudwatch.MathExpression(
            expression="100 * returned / received",
            using_metrics={"returned": own("MessagesReturned"), "received": own("MessagesReceived")},
            label="returned (%)",
            period=FIVE_MINUTES,
        )
        return [
            graph(
                "Messages in and out",
                queue.metric_number_of_messages_sent(statistic="Sum", label="sent"),
                queue.metric_number_of_messages_deleted(statistic="Sum", label="deleted"),
                own("MessagesWritten", label="written"),
            ),
            graph(
                "Backlog",
                queue.metric_approximate_number_of_messages_visible(statistic="Maximum", label="waiting"),
                queue.metric_approximate_number_of_messages_not_visible(statistic="Maximum", label="in flight"),
                self._watched.stuck(),
                alarms=[alarms.no_progress],
                period=FIVE_MINUTES,
            ),
            graph(
                "Age of the oldest message (s)",
                queue.metric_approximate_age_of_oldest_message(statistic="Maximum", label="age"),
                alarms=[alarms.message_age],
            ),
            graph(
                "Messages returned (%)",
                returned,
                self._watched.returned_while_growing(),
                alarms=[alarms.returned],
                period=FIVE_MINUTES,
            ),
        ]

    def _capacity(self, alarms: Alarms) -> list[cloudwatch.IWidget]:
        own = self._watched.own
        limit = self._config.max_write_units_per_second
        return [
            graph(
                "Write units a second",
                *self._units_a_second(),
                lines=[line(limit, "maxWriteUnitsPerSecond")] if limit < math.inf else [],
            ),
            graph(
                "Writes refused, by cause",
                *(
                    table.metric(cause.metric, statistic="Sum", label=self._named(alias, cause.label))
                    for alias, table, cause in self._watched.throttles()
                ),
                alarms=alarms.throttles[:1],  # All have the same threshold.
            ),
            graph(
                "Throttling that the function met",
                own("UnprocessedItems", label="requests unprocessed"),
                own("ThrottledCalls", label="calls throttled"),
            ),
            graph("Time spent backing off (ms)", own("BackoffTime", label="backoff")),
        ]

    def _units_a_second(self) -> list[cloudwatch.IMetric]:
        units: list[cloudwatch.IMetric] = []
        for number, (alias, table) in enumerate(self._watched.tables.items()):
            consumed = f"consumed{number}"
            units.append(
                cloudwatch.MathExpression(
                    expression=f"{consumed} / PERIOD({consumed})",
                    using_metrics={consumed: table.metric_consumed_write_capacity_units(statistic="Sum")},
                    label=self._named(alias, "consumed"),
                    period=MINUTE,
                )
            )
            causes = [cause for _, of, cause in self._watched.throttles() if of is table]
            if PROVISIONED in causes:
                units.append(_table_maximum(table, "ProvisionedWriteCapacityUnits", self._named(alias, "provisioned")))
            if ON_DEMAND_MAXIMUM in causes:
                units.append(_table_maximum(table, "OnDemandMaxWriteRequestUnits", self._named(alias, "maximum")))
        return units

    def _rejections(self, alarms: Alarms) -> list[cloudwatch.IWidget]:
        own = self._watched.own
        sums = ", ".join(f"sum(error_codes.{code}) as {code}" for code in ERROR_CODES)
        group = self._watched.function.log_group
        return [
            graph(
                "Dead letters waiting",
                self._watched.dead_letters.metric_approximate_number_of_messages_visible(
                    statistic="Maximum", label="waiting"
                ),
                alarms=[alarms.dead_letters],
            ),
            cloudwatch.LogQueryWidget(
                title="Operations rejected, by ErrorCode",
                log_group_names=[group.log_group_name],
                query_lines=['filter message = "operations rejected"', f"stats {sums} by bin(1m)"],
                view=cloudwatch.LogQueryVisualizationType.STACKEDAREA,
                width=6,
                height=6,
            ),
            graph(
                "Operations not written",
                own("OperationsRejected", label="rejected"),
                own("ConditionsFailed", label="condition failed"),
                own("OperationsSuperseded", label="superseded"),
            ),
            graph(
                "Dead-lettered; reports SQS refused",
                own(REPORT_FAILURES, label="reports refused"),
                own("MessagesDeadLettered", label="messages dead-lettered"),
                alarms=[alarms.report_failures],
                period=FIVE_MINUTES,
            ),
        ]

    def _efficiency(self) -> list[cloudwatch.IWidget]:
        own = self._watched.own
        time = cloudwatch.MathExpression(
            expression="1000 * duration / written",
            using_metrics={
                "duration": self._watched.function.metric_duration(statistic="Sum"),
                "written": own("OperationsWritten"),
            },
            label="time",
            period=MINUTE,
        )
        return [
            graph(
                f"Requests in a batch call (of {MAX_BATCH})",
                own("BatchFill", "Average", label="average"),
                lines=[line(MAX_BATCH, "full")],
            ),
            graph("Cost of a million operations ($)", *self._cost(), stacked=True),
            graph("Time for 1,000 operations (ms)", time),
            graph(
                "A write call's time (ms)",
                own("WriteLatency", "p50", label="p50"),
                own("WriteLatency", "p99", label="p99"),
                right=[own("BatchWrites", label="batch calls")],
            ),
        ]

    def _cost(self) -> list[cloudwatch.IMetric]:
        """Dollars for a million operations, to the order of magnitude; what is kept, logged or watched is not in it."""
        own, queue, function = self._watched.own, self._watched.queue, self._watched.function
        memory = self._config.memory / 1024
        prices = self._prices
        request = prices.sqs_fifo_request if self._config.is_fifo else prices.sqs_request

        def of_a_million(price: float) -> str:
            return f"{MILLION * price:.6g}"

        written = {"written": own("OperationsWritten")}

        def cost(label: str, expression: str, **metrics: cloudwatch.IMetric) -> cloudwatch.MathExpression:
            return cloudwatch.MathExpression(
                expression=f"({expression}) / written", using_metrics={**metrics, **written}, label=label, period=MINUTE
            )

        return [
            cost(
                "write units, on demand",
                f"{of_a_million(prices.write_request_unit)} * units",
                units=own("ConsumedWriteUnits"),
            ),
            cost(
                "function",
                f"{of_a_million(memory * prices.lambda_gb_second / 1000)} * duration"
                f" + {of_a_million(prices.lambda_request)} * invocations",
                duration=function.metric_duration(statistic="Sum"),
                invocations=function.metric_invocations(statistic="Sum"),
            ),
            cost(
                "queue, ten messages a request",
                f"{of_a_million(request)} * (empty + (sent + received + deleted) / 10)",
                empty=queue.metric_number_of_empty_receives(statistic="Sum"),
                sent=queue.metric_number_of_messages_sent(statistic="Sum"),
                received=queue.metric_number_of_messages_received(statistic="Sum"),
                deleted=queue.metric_number_of_messages_deleted(statistic="Sum"),
            ),
        ]

    def _health(self, alarms: Alarms) -> list[cloudwatch.IWidget]:
        function = self._watched.function
        return [
            graph(
                "Errors",
                function.metric_errors(statistic="Sum", label="errors"),
                right=[function.metric_invocations(statistic="Sum", label="invocations")],
                alarms=[alarms.function_errors],
            ),
            graph(
                "Throttled invocations",
                function.metric_throttles(statistic="Sum", label="throttles"),
                alarms=[alarms.function_throttles],
            ),
            graph(
                "Duration (ms)",
                *(function.metric_duration(statistic=each, label=each) for each in ("p50", "p99", "Maximum")),
                alarms=[alarms.function_duration],
            ),
            graph(
                "Invocations at once",
                function.metric("ConcurrentExecutions", statistic="Maximum", label="running"),
                lines=[line(self._config.max_invocations, "most that the queue invokes")],
            ),
        ]

    def _named(self, alias: str, label: str) -> str:
        return label if len(self._watched.tables) == 1 else f"{alias}: {label}"


def _table_maximum(table: dynamodb.ITable, name: str, label: str) -> cloudwatch.Metric:
    return table.metric(name, statistic="Maximum", label=label)
