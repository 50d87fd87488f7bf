"""The objective for fresh data: how late is late, and how fast a month's share of late messages may be used up.

Alarms on burn rates in two windows each: a long one for what matters, a short one so that the alarm ends soon after the
trouble has. https://sre.google/workbook/alerting-on-slos/ (Multiwindow, Multi-Burn-Rate Alerts)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch

from .metrics import Watched

MAX_LATE_PERCENT = 1.0
"""Of a month's messages; what may be late is the budget that burns."""


@dataclass(frozen=True, slots=True)
class Window:
    """A share of late messages over some time, and what it must be above."""

    alarm: str
    """Construct id."""
    period: Duration
    burn_rate: float
    """How many times as fast as the budget of a month allows."""

    @property
    def max_late_percent(self) -> float:
        return round(self.burn_rate * MAX_LATE_PERCENT, 3)


# Two percent of a month's budget in an hour, and five percent in six hours: the workbook's recommendation for pages.
FAST = (Window("LateInAnHour", Duration.hours(1), 14.4), Window("LateInFiveMinutes", Duration.minutes(5), 14.4))
SLOW = (Window("LateInSixHours", Duration.hours(6), 6), Window("LateInHalfAnHour", Duration.minutes(30), 6))
PAIRS = (FAST, SLOW)


def late(watched: Watched, target: int, period: Duration) -> cloudwatch.MathExpression:
    """Percent of the written messages that took longer than `target` seconds.

    PR(:x) is the percentage of values up to x, and may stand in an alarm:
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Statistics-definitions.html
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricStat.html
    """
    in_time = f"in_time_{period.to_minutes():g}"  # Ids are a graph's, and it has several periods.
    return cloudwatch.MathExpression(
        expression=f"100 - {in_time}",
        using_metrics={
            in_time: watched.own("SentToWritten", cloudwatch.Stats.percentile_rank(1000 * target), period=period)
        },
        label=f"later than {target} s (%), {_words(period)}",
        period=period,
    )


def burns(pairs: Sequence[Sequence[cloudwatch.IAlarm]]) -> cloudwatch.IAlarmRule:
    """Both windows of a pair at once, of any pair."""
    return cloudwatch.AlarmRule.any_of(
        *(
            cloudwatch.AlarmRule.all_of(
                *(cloudwatch.AlarmRule.from_alarm(alarm, cloudwatch.AlarmState.ALARM) for alarm in pair)
            )
            for pair in pairs
        )
    )


def _words(period: Duration) -> str:
    minutes = int(period.to_minutes())
    return f"{minutes // 60} h" if minutes % 60 == 0 else f"{minutes} min"
