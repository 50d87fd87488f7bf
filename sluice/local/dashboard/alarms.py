"""The stack's alarms, read from its own template, and their states in a run.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation.html
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from .definition import Entry
from .evaluation import visible
from .recording import Metric, Recording
from .series import Series

_COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "GreaterThanThreshold": operator.gt,
    "GreaterThanOrEqualToThreshold": operator.ge,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}
_TYPES = ("AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm", "AWS::Logs::MetricFilter")
_RULE_TOKEN = re.compile(r'ALARM\("[^"]+"\)|AND|OR|NOT|[()]')
_FIELD = re.compile(r'\$\.(\w+) = "([^"]*)"')
_PATTERN = re.compile(r'\{ \$\.\w+ = "[^"]*"(?: && \$\.\w+ = "[^"]*")* \}')

Spans = Sequence[tuple[float, float | None]]
Resource = Mapping[str, Any]
"""`{"name": …, "type": …, "properties": {…}}` of the stack's template, its references replaced by physical names."""


@dataclass(frozen=True, slots=True)
class State:
    """When an alarm was on."""

    name: str
    first: str
    """What to do first: its description."""
    spans: Sequence[tuple[float, float | None]]
    """Seconds of the run: from, until; None while it is on."""

    @property
    def since(self) -> float | None:
        """Seconds of the run since which it is on; None where it is not."""
        return self.spans[-1][0] if self.spans and self.spans[-1][1] is None else None


def resources(template: Mapping[str, Any], physical: Mapping[str, str]) -> list[Resource]:
    """Alarms and metric filters of a CloudFormation template; `physical` are its resources' ids by logical ones.

    Raises ValueError for a reference that is not known here.
    """
    found = template["Resources"].items()
    return [
        {
            "id": logical_id,
            "name": each.get("Metadata", {}).get("aws:cdk:path", f"{logical_id}/").split("/")[-2],
            "type": each["Type"],
            "properties": _resolved(
                {
                    name: value
                    for name, value in each["Properties"].items()
                    if name not in ("AlarmActions", "LogGroupName")
                },
                physical,
            ),
        }
        for logical_id, each in found
        if each["Type"] in _TYPES
    ]


def states(found: Sequence[Resource], recording: Recording, seconds_a_minute: float) -> list[State]:
    """The state of each alarm, composite ones first. Only whole periods count, as in `series`."""
    recording = Recording(recording.start, recording.end, {**recording.points}, recording.log)
    _count_filtered([each["properties"] for each in found if each["type"] == "AWS::Logs::MetricFilter"], recording)
    by_id = {each["id"]: each for each in found if each["type"] != "AWS::Logs::MetricFilter"}
    done: dict[str, State] = {}

    def state_of(name: str) -> State:
        if name not in done:
            properties = by_id[name]["properties"]
            spans = (
                _of_rule(properties["AlarmRule"], lambda other: state_of(other).spans)
                if "AlarmRule" in properties
                else _spans(properties, recording, seconds_a_minute)
            )
            done[name] = State(by_id[name]["name"], properties.get("AlarmDescription", ""), spans)
        return done[name]

    return [state_of(name) for name in sorted(by_id, key=lambda name: "AlarmRule" not in by_id[name]["properties"])]


def _resolved(value: Any, physical: Mapping[str, str]) -> Any:
    if isinstance(value, list):
        return [_resolved(each, physical) for each in value]
    if not isinstance(value, dict):
        return value
    match value:
        case {"Ref": name} if name in physical:
            return physical[name]
        case {"Fn::GetAtt": [name, "QueueName"]} if name in physical:
            return physical[name].rsplit("/", 1)[-1]
        case {"Fn::GetAtt": [name, "Arn"]}:
            return name  # Of an alarm, in a composite one.
        case {"Fn::Join": [between, parts]}:
            return between.join(map(str, _resolved(parts, physical)))
        case {"Ref": _} | {"Fn::GetAtt": _}:
            raise ValueError(f"a reference in an alarm that is not known: {value}")
    return {name: _resolved(each, physical) for name, each in value.items()}


def _spans(
    properties: Mapping[str, Any], recording: Recording, seconds_a_minute: float
) -> list[tuple[float, float | None]]:
    [(_, watched)] = visible(_entries(properties), recording, seconds_a_minute)
    is_breaching, threshold = _COMPARISONS[properties["ComparisonOperator"]], properties["Threshold"]
    periods = properties["EvaluationPeriods"]
    wanted = properties.get("DatapointsToAlarm", periods)
    if (missing := properties["TreatMissingData"]) not in ("notBreaching", "ignore"):
        raise ValueError(f"an alarm of a kind that is not known: {properties.get('AlarmDescription')}")
    whole = int((recording.end - recording.start) // watched.period)
    breaching = {number for number, value in watched.values.items() if is_breaching(value, threshold)}
    on: list[int] = []
    for number in range(whole):
        is_kept = missing == "ignore" and number not in watched.values
        is_on = number - 1 in on if is_kept else sum(number - back in breaching for back in range(periods)) >= wanted
        on += [number] * is_on
    return list(_joined(on, watched, whole))


def _joined(on: Sequence[int], watched: Series, whole: int) -> Iterator[tuple[float, float | None]]:
    """Periods at whose end it is on → spans of time."""
    begin = None
    for number in on:
        begin = number if begin is None else begin
        if number + 1 not in on:
            yield (begin + 1) * watched.period, None if number + 1 == whole else (number + 2) * watched.period
            begin = None


def _of_rule(rule: str, spans_of: Callable[[str], Spans]) -> list[tuple[float, float | None]]:
    """When a composite alarm is on: where one of its parts changes, its rule is looked at again."""
    if re.sub(_RULE_TOKEN, "", rule).strip():
        raise ValueError(f"an alarm rule that is not known: {rule}")
    parts = {name: spans_of(name) for name in re.findall(r'"([^"]+)"', rule)}
    times = sorted({at for spans in parts.values() for span in spans for at in span if at is not None})
    spans: list[tuple[float, float | None]] = []
    begin = None
    for at in times:
        on = {name for name, of_name in parts.items() if any(b <= at and (e is None or at < e) for b, e in of_name)}
        holds = _holds([token[0] for token in re.finditer(_RULE_TOKEN, rule)], on)
        if holds and begin is None:
            begin = at
        elif not holds and begin is not None:
            spans.append((begin, at))
            begin = None
    return spans if begin is None else [*spans, (begin, None)]


def _holds(tokens: list[str], on: Set[str]) -> bool:
    """Whether a rule holds while these alarms are on; AND binds closer than OR. Takes the tokens that it reads."""
    any_of, all_of = False, True
    while True:
        is_negated = tokens[0] == "NOT"
        token = tokens.pop(1 if is_negated else 0)
        if is_negated:
            tokens.pop(0)
        holds = _holds(tokens, on) if token == "(" else token.split('"')[1] in on
        all_of = all_of and holds != is_negated
        if not tokens or tokens[0] == ")":
            del tokens[:1]
            return any_of or all_of
        if tokens.pop(0) == "OR":
            any_of, all_of = any_of or all_of, True


def _entries(properties: Mapping[str, Any]) -> list[Entry]:
    """What an alarm watches, in the terms of a graph."""
    if "MetricName" in properties:
        return [_entry(None, properties, properties["Statistic"], properties["Period"], is_visible=True)]
    longest = max(each["MetricStat"]["Period"] for each in properties["Metrics"] if "MetricStat" in each)
    entries = []
    for each in properties["Metrics"]:
        is_visible = each.get("ReturnData", True)
        if "Expression" in each:
            entries.append(Entry(each["Id"], None, each["Expression"], "Sum", longest, "", is_visible, is_right=False))
        else:
            of_metric = each["MetricStat"]
            entries.append(
                _entry(each["Id"], of_metric["Metric"], of_metric["Stat"], of_metric["Period"], is_visible=is_visible)
            )
    return entries


def _entry(entry_id: str | None, named: Mapping[str, Any], statistic: str, period: int, *, is_visible: bool) -> Entry:
    dimensions = {each["Name"]: each["Value"] for each in named.get("Dimensions", ())}
    metric = Metric.of(named["Namespace"], named["MetricName"], dimensions)
    return Entry(entry_id, metric, None, statistic, period, "", is_visible, is_right=False)


def _count_filtered(filters: Sequence[Mapping[str, Any]], recording: Recording) -> None:
    """Metrics that CloudWatch Logs would make of the function's log.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntaxForMetricFilters.html
    """
    for each in filters:
        if not _PATTERN.fullmatch(each["FilterPattern"]):
            raise ValueError(f"a metric filter that is not known: {each['FilterPattern']}")
        wanted = _FIELD.findall(each["FilterPattern"])
        [made] = each["MetricTransformations"]
        for at, document in recording.log:
            if all(document.get(name) == value for name, value in wanted):
                dimensions = {
                    part["Key"]: str(document.get(part["Value"].removeprefix("$."), "")) for part in made["Dimensions"]
                }
                metric = Metric.of(made["MetricNamespace"], made["MetricName"], dimensions)
                # Not added in place: the run's own points stay as they are.
                recording.points[metric] = [*recording.points.get(metric, ()), (at, float(made["MetricValue"]))]
