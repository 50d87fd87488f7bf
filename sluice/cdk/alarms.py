"""The alarms: what each watches, when it begins, and what to do first."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sns as sns
from constructs import Construct

from sluice.message.redelivery import MAX_VISIBILITY

from . import freshness
from .metrics import FIVE_MINUTES, METRICS_NAMESPACE, MINUTE, REPORT_FAILURES, Watched, refusals
from .throttling import INDEX_HEADING
from .topic import AlarmTopic

PERIODS_OF_ERRORS, ERRORS = 15, 3
"""Of a quiet queue's one message that fails at each receive, this many failures are in so many periods."""
EXPIRY_DAYS = 2
"""Left to a dead letter when its alarm begins."""
SYSTEM_ERRORS = 5
"""Minutes of as many; DynamoDB answers a few requests with an error of its own at any time, and they are repeated."""
PERIODS_OF_THROTTLES, THROTTLES = 7, 5
PERIODS_OF_READ_THROTTLES, READ_THROTTLES = 15, 10
"""Minutes. Fewer than all, for the newest are not reported yet, and filled with 0 until they are."""
MAX_RETURNED_PERCENT = 50
"""Of the messages received; up to it the function still finishes more than it puts off."""


ESSENTIAL = ("DeadLetters", "ExpiringDeadLetters", "MessageAge", "NoProgress", "FunctionErrors")
"""Whatever goes wrong for long shows in one of these; the others say sooner, and why."""


class Alarms(Construct):
    """One alarm for each way to fail, the topic that they report to, and one that sums up the gravest."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        watched: Watched,
        timeout: int,
        deadline_margin: float,
        batching_window: int,
        max_message_age: int,
        freshness_target: int | None,
        is_complete: bool,
        visibility_timeout: int,
        dead_letter_life: int,
        topic: sns.ITopic | None,
        email: str | None,
        topic_key: kms.IKey | None,
        runbook_url: str | None,
    ) -> None:
        """All times are seconds; `dead_letter_life` is the shortest that a letter may stay on its queue.

        Without a `freshness_target` nothing watches it. Unless `is_complete` only the `ESSENTIAL` alarms are made, and
        none that sums up.
        Without a `topic` one is made, encrypted by `topic_key` where given, and `email` is subscribed to it.
        Descriptions lead to `runbook_url`, or else to the file in the repository.
        """
        super().__init__(scope, construct_id)
        self.topic = topic or AlarmTopic(self, "Topic", email=email, key=topic_key)
        self.all: list[cloudwatch.Alarm] = []
        self._runbook = runbook_url or "docs/runbook.md"
        self._count_report_failures(watched.function.log_group)
        self._watch_dead_letters(watched, dead_letter_life)
        self._watch_queue(
            watched,
            max_message_age=max_message_age,
            # A single message may be away for the longest backoff, then a window and a whole invocation.
            max_absence=MAX_VISIBILITY + batching_window + timeout,
        )
        self._watch_function(
            watched.function,
            # It stops writing when the margin begins; calls in flight may take half of it, and reporting the rest.
            max_milliseconds=(timeout - deadline_margin / 2) * 1000,
            visibility_timeout=visibility_timeout,
        )
        self._watch_tables(watched)
        self.unhealthy = self._sum_up() if is_complete else None
        if not is_complete:
            self._remove_all_but(ESSENTIAL)
        self.late: list[cloudwatch.Alarm] = []
        """What the alarm for fresh data is made of; empty without a target."""
        self.not_fresh = self._watch_freshness(watched, freshness_target) if freshness_target is not None else None

    @property
    def shown(self) -> Sequence[cloudwatch.AlarmBase]:
        """Those whose states say something by themselves."""
        return [alarm for alarm in (self.unhealthy, self.not_fresh, *self.all) if alarm is not None]

    # Thresholds and periods after https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Best_Practice_Recommended_Alarms_AWS_Services.html
    # where it has the metric.

    def _watch_dead_letters(self, watched: Watched, life: int) -> None:
        self.dead_letters = self._alarm(
            "DeadLetters",
            watched.dead_letters_present(),
            above=0,
            periods=3,  # The two metrics that are added may come one after the other.
            datapoints=1,
            missing=cloudwatch.TreatMissingData.IGNORE,  # A gap in the reports takes no letter away.
            first="Read ErrorCode and ErrorMessage of the messages in the dead-letter queue.",
            heading="dead-letters",
        )
        self.new_dead_letters = self._alarm(
            "NewDeadLetters",
            watched.more_dead_letters(),
            above=0,
            periods=5,  # What the function counts at once, the queue shows minutes later.
            datapoints=1,
            first="Look whether the newest messages in the dead-letter queue have the ErrorCode of those before.",
            heading="new-dead-letters",
        )
        self.expiring_dead_letters = self._alarm(
            "ExpiringDeadLetters",
            watched.dead_letters.metric_approximate_age_of_oldest_message(statistic="Maximum", period=FIVE_MINUTES),
            above=life - EXPIRY_DAYS * 86_400,
            periods=12,
            datapoints=1,
            first="Redrive the oldest messages of the dead-letter queue, or save them elsewhere.",
            heading="expiring-dead-letters",
        )

    def _watch_queue(self, watched: Watched, *, max_message_age: int, max_absence: int) -> None:
        # It does not see messages received three times or more; NoProgress, Returned and, in the end, DeadLetters do.
        # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
        self.message_age = self._alarm(
            "MessageAge",
            watched.queue.metric_approximate_age_of_oldest_message(statistic="Maximum", period=MINUTE),
            above=max_message_age,
            periods=5,
            first="Compare what the function writes with what the queue receives.",
            heading="old-messages",
        )
        self.no_progress = self._alarm(
            "NoProgress",
            watched.stuck(),
            above=0,
            periods=1 + math.ceil(max_absence / FIVE_MINUTES.to_seconds()),
            first="Check that the event source mapping is enabled and that the function is invoked.",
            heading="no-progress",
        )
        self.returned = self._alarm(
            "Returned",
            watched.returned_while_growing(),
            above=MAX_RETURNED_PERCENT,
            periods=3,
            first="Look whether the table throttles; if it does not, read the function's log for its trouble.",
            heading="returned-messages",
        )
        self.report_failures = self._alarm(
            "ReportFailures",
            watched.own(REPORT_FAILURES, period=FIVE_MINUTES),
            above=0,
            periods=2,
            first="Read which of SQS's errors the function's log names under `messages returned`.",
            heading="report-failures",
        )

    def _watch_function(self, function: lambda_.IFunction, *, max_milliseconds: float, visibility_timeout: int) -> None:
        self.function_errors = self._alarm(
            "FunctionErrors",
            function.metric_errors(statistic="Sum", period=_period_of_errors(visibility_timeout)),
            above=0,
            periods=PERIODS_OF_ERRORS,
            datapoints=ERRORS,
            first="Read the newest error in the function's log.",
            heading="function-errors",
        )
        self.function_throttles = self._alarm(
            "FunctionThrottles",
            function.metric_throttles(statistic="Sum", period=MINUTE),
            above=0,
            periods=5,
            first="Look for what uses up the account's Lambda concurrency.",
            heading="function-throttles",
        )
        self.function_duration = self._alarm(
            "FunctionDuration",
            function.metric_duration(statistic="Maximum", period=MINUTE),
            above=max_milliseconds,
            periods=5,
            first="Look for calls that hang: the latency of table and queue, beside the function's duration.",
            heading="function-duration",
        )

    def _watch_tables(self, watched: Watched) -> None:
        self.throttles: list[cloudwatch.Alarm] = []
        first_alias = next(iter(watched.tables))
        for alias, table, cause in watched.throttles():
            alarm = self._alarm(
                cause.alarm if alias == first_alias else f"{cause.alarm}-{alias}",
                refusals(table.metric(cause.metric, statistic="Sum", period=MINUTE)),
                above=0,
                periods=PERIODS_OF_THROTTLES,
                datapoints=THROTTLES,
                first=cause.first,
                heading=cause.heading,
            )
            self.throttles.append(alarm)
        for alias, index, metric, cause in watched.index_throttles():
            of_table = "" if alias == first_alias else f"-{alias}"
            self._alarm(
                f"Index{cause.alarm}{of_table}-{index}",
                refusals(metric),
                above=0,
                periods=PERIODS_OF_THROTTLES,
                datapoints=THROTTLES,
                first=cause.first_of_index,
                heading=INDEX_HEADING,
            )
        self.system_errors = [
            self._alarm(
                "SystemErrors" if alias == first_alias else f"SystemErrors-{alias}",
                watched.system_errors(alias),
                above=0,
                periods=PERIODS_OF_ERRORS,
                datapoints=SYSTEM_ERRORS,
                first="Look at the AWS Health Dashboard for DynamoDB in this region.",
                heading="system-errors",
            )
            for alias in watched.tables
        ]
        self.read_throttles = [
            self._alarm(
                "ReadThrottles" if alias == first_alias else f"ReadThrottles-{alias}",
                refusals(metric),
                above=0,
                periods=PERIODS_OF_READ_THROTTLES,
                datapoints=READ_THROTTLES,
                first="Raise the table's read capacity: what cannot be read is written, and paid for as a write.",
                heading="read-throttles",
            )
            for alias, metric in watched.read_throttles()
        ]

    def _remove_all_but(self, names: Collection[str]) -> None:
        """The others stay known by their thresholds, which are still drawn."""
        for alarm in self.all:
            if alarm.node.id not in names:
                self.node.try_remove_child(alarm.node.id)
        self.all = [alarm for alarm in self.all if alarm.node.id in names]

    def _sum_up(self) -> cloudwatch.CompositeAlarm:
        """One state for pagers, status pages and rollback triggers; its parts notify the topic themselves."""
        late = (self.message_age, self.no_progress, self.returned, self.function_errors)
        return cloudwatch.CompositeAlarm(
            self,
            "Unhealthy",
            alarm_rule=cloudwatch.AlarmRule.any_of(
                *(cloudwatch.AlarmRule.from_alarm(alarm, cloudwatch.AlarmState.ALARM) for alarm in late)
            ),
            alarm_description=self._description("Open the dashboard: records do not arrive in time.", "unhealthy"),
        )

    def _watch_freshness(self, watched: Watched, target: int) -> cloudwatch.CompositeAlarm:
        """One alarm that notifies; its parts have states alone, for none of them means anything by itself."""
        first = "Look where the time goes: waiting on the queue, or in the function."
        description = self._description(first, "not-fresh")
        pairs = [
            [
                cloudwatch.Alarm(
                    self,
                    window.alarm,
                    metric=freshness.late(watched, target, window.period),
                    comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
                    threshold=window.max_late_percent,
                    evaluation_periods=1,
                    treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
                    alarm_description=description,
                )
                for window in pair
            ]
            for pair in freshness.PAIRS
        ]
        self.late += [alarm for pair in pairs for alarm in pair]
        alarm = cloudwatch.CompositeAlarm(
            self, "NotFresh", alarm_rule=freshness.burns(pairs), alarm_description=description
        )
        alarm.add_alarm_action(actions.SnsAction(self.topic))
        alarm.add_ok_action(actions.SnsAction(self.topic))
        return alarm

    def _count_report_failures(self, log_group: logs.ILogGroup) -> None:
        logs.MetricFilter(
            self,
            "ReportFailuresInLog",
            log_group=log_group,
            filter_pattern=logs.FilterPattern.literal('{ $.level = "ERROR" && $.message = "messages returned" }'),
            metric_namespace=METRICS_NAMESPACE,
            metric_name=REPORT_FAILURES,
            metric_value="1",
            dimensions={"service": "$.service"},
        )

    def _alarm(
        self,
        construct_id: str,
        metric: cloudwatch.IMetric,
        *,
        above: float,
        periods: int,
        first: str,
        heading: str,
        datapoints: int | None = None,
        # An idle queue, function or table reports nothing, which is no failure.
        missing: cloudwatch.TreatMissingData = cloudwatch.TreatMissingData.NOT_BREACHING,
    ) -> cloudwatch.Alarm:
        """An alarm while the metric is above the threshold in so many `datapoints` (all, unless given) of `periods`."""
        alarm = cloudwatch.Alarm(
            self,
            construct_id,
            metric=metric,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
            threshold=above,
            evaluation_periods=periods,
            datapoints_to_alarm=datapoints,
            treat_missing_data=missing,
            alarm_description=self._description(first, heading),
        )
        alarm.add_alarm_action(actions.SnsAction(self.topic))
        alarm.add_ok_action(actions.SnsAction(self.topic))
        self.all.append(alarm)
        return alarm

    def _description(self, first: str, heading: str) -> str:
        return f"{first} Then see {self._runbook}#{heading}"


def _period_of_errors(visibility_timeout: int) -> Duration:
    """The shortest in which a message that fails at each receive does so often enough, counted from the first time."""
    for minutes in (1, 5, 15):
        if (ERRORS - 1) * visibility_timeout <= (PERIODS_OF_ERRORS - 1) * 60 * minutes:
            return Duration.minutes(minutes)
    return Duration.hours(1)
