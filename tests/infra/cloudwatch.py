"""CloudWatch's evaluation of an alarm, from its definition as synthesised and the values that its metrics report.

The rules, and their examples as tests, are those of
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation.html
An alarm is evaluated at the end of each of its periods, on data that is there by then.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sluice.local.dashboard.expression import evaluate
from sluice.local.dashboard.series import Series, series

State = Literal["OK", "ALARM", "INSUFFICIENT_DATA"]
Missing = Literal["missing", "ignore", "breaching", "notBreaching"]
Point = tuple[float, float]
"""Minute and value."""

EXTRA_POINTS = 2
"""The page does not say how many more than the evaluation periods are retrieved; in its examples it is two."""
COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "GreaterThanThreshold": operator.gt,
    "GreaterThanOrEqualToThreshold": operator.ge,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}


def next_state(
    points: Sequence[bool | None], *, periods: int, datapoints: int, missing: Missing, before: State
) -> State:
    """The state after an evaluation range, oldest first: breaching, not breaching, or None where data is missing."""
    real = [point for point in points if point is not None][-periods:]
    breaching = sum(real)
    fillers = periods - len(real)
    if fillers and missing == "breaching":
        breaching += fillers
    if breaching >= datapoints:
        return "ALARM"
    if not fillers or missing in ("breaching", "notBreaching") or False in real:
        return "OK"
    if missing == "ignore":
        return before
    # Nothing but breaching points: the alarm waits until the oldest is as old as the datapoints that it takes.
    age = len(points) - points.index(True) if True in points else 0
    return "ALARM" if age >= datapoints else "INSUFFICIENT_DATA"


@dataclass(frozen=True, slots=True)
class Alarm:
    """An alarm's definition, `Properties` of an AWS::CloudWatch::Alarm."""

    definition: Mapping[str, Any]

    @property
    def period(self) -> int:
        """Minutes."""
        periods = {query["MetricStat"]["Period"] for query in self._queries if "MetricStat" in query}
        [seconds] = periods
        return int(seconds) // 60

    @property
    def names(self) -> set[str]:
        """What `states` takes values of: an expression's ids, and `metric` for the metric of an alarm without one."""
        return {query["Id"] for query in self._queries if "MetricStat" in query}

    def states(
        self, values: Mapping[str, Iterable[Point]], *, minutes: int, late: int = 0, keeps_state: bool = False
    ) -> list[State]:
        """The state at the end of each period, from OK on.

        `late` is how many minutes after its time a value can be read. With `keeps_state`, missing data leaves the
        state as it is, as CloudWatch may do for AWS/DynamoDB whatever the alarm says.
        """
        assert values.keys() == self.names
        states: list[State] = []
        for now in range(self.period, minutes + 1, self.period):
            here = {id: [(at, value) for at, value in points if at < now - late] for id, points in values.items()}
            points = self._points(here, now // self.period)
            missing: Missing = "ignore" if keeps_state else self.definition["TreatMissingData"]
            states.append(
                next_state(
                    points,
                    periods=self._periods,
                    datapoints=self.definition.get("DatapointsToAlarm", self._periods),
                    missing=missing,
                    before=states[-1] if states else "OK",
                )
            )
        return states

    @property
    def _periods(self) -> int:
        return int(self.definition["EvaluationPeriods"])

    @property
    def _queries(self) -> list[dict[str, Any]]:
        if "Metrics" in self.definition:
            queries: list[dict[str, Any]] = self.definition["Metrics"]
            return queries
        stat = {"Stat": self.definition["Statistic"], "Period": self.definition["Period"]}
        return [{"Id": "metric", "MetricStat": stat}]

    def _points(self, values: Mapping[str, Iterable[Point]], end: int) -> list[bool | None]:
        """Of the evaluation range before the period `end`, whether each breaches."""
        retrieved = range(end - self._periods - EXTRA_POINTS, end)
        metrics = {}
        for query in self._queries:
            if "MetricStat" in query:
                found = series(values[query["Id"]], 0, self.period, query["MetricStat"]["Stat"])
                in_range = {number: value for number, value in found.values.items() if number in retrieved}
                metrics[query["Id"]] = Series(in_range, self.period)
        expressions = [query["Expression"] for query in self._queries if "Expression" in query]
        if expressions:
            [expression] = expressions
            watched = evaluate(expression, metrics, retrieved)
        else:
            [watched] = metrics.values()
        breaches = COMPARISONS[self.definition["ComparisonOperator"]]
        threshold = self.definition["Threshold"]
        return [
            breaches(watched.values[number], threshold) if number in watched.values else None for number in retrieved
        ]


def changes(states: Iterable[State], before: State = "OK") -> list[State]:
    """What an alarm tells: each state that it comes to."""
    told: list[State] = []
    for state in states:
        if state != before:
            told.append(state)
        before = state
    return told
