"""The alarms: what each watches, when it begins, and what to do first."""

from __future__ import annotations

import math

from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sns as sns
from constructs import Construct

from sluice.message.redelivery import MAX_VISIBILITY

from .metrics import FIVE_MINUTES, METRICS_NAMESPACE, MINUTE, REPORT_FAILURES, Watched
from .topic import AlarmTopic

MAX_RETURNED_PERCENT = 50
"""Of the messages received; up to it the function still finishes more than it puts off."""


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
        topic: sns.ITopic | None,
        email: str | None,
        topic_key: kms.IKey | None,
        runbook_url: str | None,
    ) -> None:
        """All times are seconds.

        Without a `topic` one is made, encrypted by `topic_key` where given, and `email` is subscribed to it.
        Descriptions lead to `runbook_url`, or else to the file in the repository.
        """
        super().__init__(scope, construct_id)
        self.topic = topic or AlarmTopic(self, "Topic", email=email, key=topic_key)
        self.all: list[cloudwatch.Alarm] = []
        self._runbook = runbook_url or "docs/runbook.md"
        self._count_report_failures(watched.function.log_group)
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
        )
        self._watch_tables(watched)
        self._sum_up()

    # Thresholds and periods after https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Best_Practice_Recommended_Alarms_AWS_Services.html
    # where it has the metric.

    def _watch_queue(self, watched: Watched, *, max_message_age: int, max_absence: int) -> None:
        self.dead_letters = self._alarm(
            "DeadLetters",
            watched.dead_letters.metric_approximate_number_of_messages_visible(statistic="Maximum", period=MINUTE),
            above=0,
            periods=1,
            first="Read ErrorCode and ErrorMessage of the messages in the dead-letter queue.",
            heading="dead-letters",
        )
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

    def _watch_function(self, function: lambda_.IFunction, *, max_milliseconds: float) -> None:
        self.function_errors = self._alarm(
            "FunctionErrors",
            function.metric_errors(statistic="Sum", period=MINUTE),
            above=0,
            periods=3,
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
                table.metric(cause.metric, statistic="Sum", period=MINUTE),
                above=0,
                periods=5,
                first=cause.first,
                heading=cause.heading,
            )
            self.throttles.append(alarm)
        self.read_throttles = [
            self._alarm(
                "ReadThrottles" if alias == first_alias else f"ReadThrottles-{alias}",
                metric,
                above=0,
                periods=15,
                first="Raise the table's read capacity: what cannot be read is written, and paid for as a write.",
                heading="read-throttles",
            )
            for alias, metric in watched.read_throttles()
        ]

    def _sum_up(self) -> None:
        """One state for pagers, status pages and rollback triggers; its parts notify the topic themselves."""
        late = (self.message_age, self.no_progress, self.returned, self.function_errors)
        self.unhealthy = cloudwatch.CompositeAlarm(
            self,
            "Unhealthy",
            alarm_rule=cloudwatch.AlarmRule.any_of(
                *(cloudwatch.AlarmRule.from_alarm(alarm, cloudwatch.AlarmState.ALARM) for alarm in late)
            ),
            alarm_description=self._description("Open the dashboard: records do not arrive in time.", "unhealthy"),
        )

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
    ) -> cloudwatch.Alarm:
        """An alarm that begins when the metric has been above the threshold for so many of its periods in a row."""
        alarm = cloudwatch.Alarm(
            self,
            construct_id,
            metric=metric,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
            threshold=above,
            evaluation_periods=periods,
            # An idle queue, function or table reports nothing, which is no failure.
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
            alarm_description=self._description(first, heading),
        )
        alarm.add_alarm_action(actions.SnsAction(self.topic))
        self.all.append(alarm)
        return alarm

    def _description(self, first: str, heading: str) -> str:
        return f"{first} Then see {self._runbook}#{heading}"
