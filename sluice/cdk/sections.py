"""The dashboard's sections: the widgets that answer each of an operator's questions."""

from __future__ import annotations

import math

from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_dynamodb as dynamodb

from sluice.writing.plan import MAX_REQUESTS

from .alarms import Alarms
from .metrics import FIVE_MINUTES, MINUTE, REPORT_FAILURES, Watched
from .throttling import ON_DEMAND_MAXIMUM, PROVISIONED
from .widgets import graph, line

ERROR_CODES = (
    *("InvalidJson", "UnknownOperation", "UnknownTable", "MissingKey", "UnexpectedKeyAttribute", "KeyTypeMismatch"),
    *("EmptyKey", "KeyTooLong", "ItemTooLarge", "NestingTooDeep", "InvalidNumber", "EmptySet", "DuplicateSetElement"),
    *("InvalidAttribute", "InvalidExpression", "MissingVersion", "ConditionFailed", "RejectedByDynamoDB"),
)
"""Why operations are dead-lettered: all values that the message attribute ErrorCode can have."""


def progress(watched: Watched, alarms: Alarms) -> list[cloudwatch.IWidget]:
    """Is it keeping up?"""
    queue, own = watched.queue, watched.own
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
            watched.stuck(),
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
            watched.returned_while_growing(),
            alarms=[alarms.returned],
            period=FIVE_MINUTES,
        ),
    ]


def table_limits(watched: Watched, alarms: Alarms, *, max_write_units_per_second: float) -> list[cloudwatch.IWidget]:
    """Is the table the limit? Without a limit of its own, `max_write_units_per_second` is infinite."""
    own = watched.own
    return [
        graph(
            "Write units a second",
            *_units_a_second(watched),
            *_read_units_a_second(watched),
            lines=[line(max_write_units_per_second, "maxWriteUnitsPerSecond")]
            if max_write_units_per_second < math.inf
            else [],
        ),
        graph(
            "Writes refused, by cause",
            *(
                table.metric(cause.metric, statistic="Sum", label=_named(watched, alias, cause.label))
                for alias, table, cause in watched.throttles()
            ),
            *(metric.with_(label=_named(watched, alias, "reads")) for alias, metric in watched.read_throttles()),
            alarms=alarms.throttles[:1],  # All have the same threshold.
        ),
        graph(
            "Throttling that the function met",
            own("UnprocessedItems", label="requests unprocessed"),
            own("ThrottledCalls", label="calls throttled"),
        ),
        graph("Time spent backing off (ms)", own("BackoffTime", label="backoff")),
    ]


def rejections(watched: Watched, alarms: Alarms) -> list[cloudwatch.IWidget]:
    """Is the data bad?"""
    own = watched.own
    sums = ", ".join(f"sum(error_codes.{code}) as {code}" for code in ERROR_CODES)
    group = watched.function.log_group
    return [
        graph(
            "Dead letters waiting",
            watched.dead_letters.metric_approximate_number_of_messages_visible(statistic="Maximum", label="waiting"),
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
            own("OperationsUnchanged", label="unchanged"),
        ),
        graph(
            "Dead-lettered; reports SQS refused",
            own(REPORT_FAILURES, label="reports refused"),
            own("MessagesDeadLettered", label="messages dead-lettered"),
            alarms=[alarms.report_failures],
            period=FIVE_MINUTES,
        ),
    ]


def efficiency(watched: Watched, cost: list[cloudwatch.IMetric]) -> list[cloudwatch.IWidget]:
    """Is it efficient? `cost` are the parts of what a million operations cost."""
    own = watched.own
    time = cloudwatch.MathExpression(
        expression="1000 * duration / written",
        using_metrics={
            "duration": watched.function.metric_duration(statistic="Sum"),
            "written": own("OperationsWritten"),
        },
        label="time",
        period=MINUTE,
    )
    return [
        graph(
            f"Requests in a batch call (of {MAX_REQUESTS})",
            own("BatchFill", "Average", label="average"),
            lines=[line(MAX_REQUESTS, "full")],
        ),
        graph("Cost of a million operations ($)", *cost, stacked=True),
        graph("Time for 1,000 operations (ms)", time),
        graph(
            "A write call's time (ms)",
            own("WriteLatency", "p50", label="p50"),
            own("WriteLatency", "p99", label="p99"),
            right=[own("BatchWrites", label="batch calls")],
        ),
    ]


def health(watched: Watched, alarms: Alarms, *, max_invocations: int) -> list[cloudwatch.IWidget]:
    """Is it healthy? `max_invocations` is how many the queue can start at once."""
    function = watched.function
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
            lines=[line(max_invocations, "most that the queue invokes")],
        ),
    ]


def _units_a_second(watched: Watched) -> list[cloudwatch.IMetric]:
    units: list[cloudwatch.IMetric] = []
    for number, (alias, table) in enumerate(watched.tables.items()):
        consumed = f"consumed{number}"
        units.append(
            cloudwatch.MathExpression(
                expression=f"{consumed} / PERIOD({consumed})",
                using_metrics={consumed: table.metric_consumed_write_capacity_units(statistic="Sum")},
                label=_named(watched, alias, "consumed"),
                period=MINUTE,
            )
        )
        causes = [cause for _, of, cause in watched.throttles() if of is table]
        if PROVISIONED in causes:
            units.append(_table_maximum(table, "ProvisionedWriteCapacityUnits", _named(watched, alias, "provisioned")))
        if ON_DEMAND_MAXIMUM in causes:
            units.append(_table_maximum(table, "OnDemandMaxWriteRequestUnits", _named(watched, alias, "maximum")))
    return units


def _read_units_a_second(watched: Watched) -> list[cloudwatch.IMetric]:
    """Of the tables that are read before they are written."""
    return [
        cloudwatch.MathExpression(
            expression=f"read{number} / PERIOD(read{number})",
            using_metrics={f"read{number}": watched.tables[alias].metric_consumed_read_capacity_units(statistic="Sum")},
            label=_named(watched, alias, "read units consumed"),
            period=MINUTE,
        )
        for number, alias in enumerate(watched.read)
    ]


def _named(watched: Watched, alias: str, label: str) -> str:
    return label if len(watched.tables) == 1 else f"{alias}: {label}"


def _table_maximum(table: dynamodb.ITable, name: str, label: str) -> cloudwatch.Metric:
    return table.metric(name, statistic="Maximum", label=label)
