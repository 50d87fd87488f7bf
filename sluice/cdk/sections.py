"""The dashboard's sections: the widgets that answer each of an operator's questions."""

from __future__ import annotations

import math
from collections.abc import Iterable

from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_dynamodb as dynamodb

from sluice.writing.plan import MAX_REQUESTS

from . import freshness as objective
from .alarms import Alarms
from .metrics import FIVE_MINUTES, MINUTE, REPORT_FAILURES, Watched
from .throttling import ON_DEMAND_MAXIMUM, PROVISIONED
from .widgets import QUARTER, WIDTH, graph, line

ERROR_CODES = (
    *("InvalidJson", "UnknownOperation", "UnknownTable", "MissingKey", "UnexpectedKeyAttribute", "KeyTypeMismatch"),
    *("EmptyKey", "KeyTooLong", "ItemTooLarge", "NestingTooDeep", "InvalidNumber", "EmptySet", "DuplicateSetElement"),
    *("InvalidAttribute", "InvalidExpression", "MissingVersion", "ConditionFailed", "RejectedByDynamoDB"),
)
"""Why operations are dead-lettered: all values that the message attribute ErrorCode can have."""
LIMITS = ("ProvisionedThroughput", "MaxOnDemandThroughput", "KeyRangeThroughput", "AccountLimit")
THROTTLING_REASONS = tuple(f"{part}Write{limit}Exceeded" for part in ("Table", "Index") for limit in LIMITS)
"""https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_ThrottlingReason.html"""


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


def freshness(watched: Watched, alarms: Alarms, *, target: int | None, is_fair: bool) -> list[cloudwatch.IWidget]:
    """How old data is when it arrives; `target` in seconds, `is_fair` where producers send groups."""
    own, queue = watched.own, watched.queue
    more = []
    if target is not None:
        more.append(
            graph(
                f"Later than {target} s (%)",
                *(objective.late(watched, target, window.period) for pair in objective.PAIRS for window in pair),
                alarms=alarms.late[:: len(objective.FAST)],  # The two windows of a pair have one threshold.
                period=None,
            )
        )
    if is_fair:
        # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
        waiting, age = "ApproximateNumberOfMessagesVisible", "ApproximateAgeOfOldestMessage"
        more.append(
            graph(
                "Groups: the noisy and the quiet",
                queue.metric(f"{waiting}InQuietGroups", statistic="Maximum", label="waiting, quiet groups"),
                queue.metric(f"{age}InQuietGroups", statistic="Maximum", label="age, quiet groups (s)"),
                right=[queue.metric("ApproximateNumberOfNoisyGroups", statistic="Maximum", label="noisy groups")],
            )
        )
    return [
        graph(
            "From sent to written (ms)",
            *(own("SentToWritten", each, label=each) for each in ("p50", "p90", "p99")),
            lines=[line(1000 * target, "freshnessTarget")] if target is not None else [],
            width=WIDTH - QUARTER * len(more),
        ),
        *more,
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
            *(
                metric.with_(label=_named(watched, alias, f"{index}: {cause.label}"))
                for alias, index, metric, cause in watched.index_throttles()
            ),
            *(metric.with_(label=_named(watched, alias, "reads")) for alias, metric in watched.read_throttles()),
            alarms=alarms.throttles[:1],  # All have the same threshold.
        ),
        graph(
            "Throttling that the function met",
            own("UnprocessedItems", label="requests unprocessed"),
            own("ThrottledCalls", label="calls throttled"),
            right=[own("BackoffTime", label="time spent backing off (ms)")],
        ),
        graph(
            "DynamoDB's own errors",
            *map(watched.system_errors, watched.tables),
            alarms=alarms.system_errors[:1],
        ),
        _sums_of_log(watched, "Calls throttled, by reason", "batch handled", "throttling", THROTTLING_REASONS),
    ]


def rejections(watched: Watched, alarms: Alarms) -> list[cloudwatch.IWidget]:
    """Is the data bad?"""
    own = watched.own
    return [
        graph(
            "Dead letters waiting",
            watched.dead_letters_present(),
            right=[watched.more_dead_letters()],
            alarms=[alarms.dead_letters],
        ),
        _sums_of_log(watched, "Operations rejected, by ErrorCode", "operations rejected", "error_codes", ERROR_CODES),
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
        graph(
            "Age of the oldest dead letter (s)",
            watched.dead_letters.metric_approximate_age_of_oldest_message(statistic="Maximum", label="oldest letter"),
            alarms=[alarms.expiring_dead_letters],
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


def _sums_of_log(watched: Watched, title: str, message: str, counts: str, names: Iterable[str]) -> cloudwatch.IWidget:
    """What the function's log counts by name, in the field `counts` of lines with that message."""
    sums = ", ".join(f"sum({counts}.{name}) as {name}" for name in names)
    return cloudwatch.LogQueryWidget(
        title=title,
        log_group_names=[watched.function.log_group.log_group_name],
        query_lines=[f'filter message = "{message}"', f"stats {sums} by bin(1m)"],
        view=cloudwatch.LogQueryVisualizationType.STACKEDAREA,
        width=6,
        height=6,
    )
