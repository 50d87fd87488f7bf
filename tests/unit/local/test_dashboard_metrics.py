"""Recordings, statistics, metric math and queries: what is drawn is what CloudWatch would have made of it."""

from __future__ import annotations

import json
import operator
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.local.dashboard.expression import ExpressionError, evaluate
from sluice.local.dashboard.insights import sums
from sluice.local.dashboard.recording import Metric, Recording
from sluice.local.dashboard.series import Series, series

OWN = Metric.of("Sluice", "BatchFill", {"service": "s"})


def emf(at: float, **values: Any) -> str:
    """A line as Powertools prints it."""
    metrics = [{"Name": name, "Unit": "Count"} for name in values]
    directive = {"Namespace": "Sluice", "Dimensions": [["service"]], "Metrics": metrics}
    return json.dumps(
        {"_aws": {"Timestamp": int(at * 1000), "CloudWatchMetrics": [directive]}, "service": "s", **values}
    )


def test_embedded_metrics_become_points_at_their_time() -> None:
    recording = Recording(100.0, 200.0)

    recording.read_log([emf(101.5, BatchFill=[25, 3], BatchWrites=2), emf(103, BatchFill=[7.0])])

    assert recording.points == {
        OWN: [(101.5, 25), (101.5, 3), (103.0, 7.0)],
        Metric.of("Sluice", "BatchWrites", {"service": "s"}): [(101.5, 2)],
    }
    assert recording.log == []


def test_every_set_of_dimensions_is_a_metric_of_its_own() -> None:
    document = json.loads(emf(1, Rejected=2))
    document["_aws"]["CloudWatchMetrics"][0]["Dimensions"] = [["service"], ["service", "code"]]
    recording = Recording(0.0, 2.0)

    recording.read_log([json.dumps({**document, "code": "EmptyKey"})])

    assert set(recording.points) == {
        Metric.of("Sluice", "Rejected", {"service": "s"}),
        Metric.of("Sluice", "Rejected", {"service": "s", "code": "EmptyKey"}),
    }


def test_structured_lines_are_kept_with_their_time_and_others_are_passed_over() -> None:
    line = {"message": "batch handled", "timestamp": "1970-01-01 01:00:02,500+0100"}
    recording = Recording(0.0, 10.0)

    recording.read_log(
        [json.dumps(line), "Traceback (most recent call last):", "{", "[]", '{"timestamp": "yesterday"}']
    )

    assert recording.log == [(2.5, line)]


def test_a_recording_survives_its_file() -> None:
    recording = Recording(100.0, 160.0)
    recording.add(101.25, "AWS/SQS", "NumberOfMessagesSent", {"QueueName": "q"}, 3, 4.5)
    recording.log.append((102.0, {"message": "x"}))

    assert Recording.from_json(recording.to_json()) == recording


@pytest.mark.parametrize(
    ("statistic", "first", "second"),
    [
        ("Sum", 10, 8),
        ("Average", 2.5, 8),
        ("Minimum", 1, 8),
        ("Maximum", 4, 8),
        ("SampleCount", 4, 1),
        ("p50", 2, 8),
        ("p99", 4, 8),
        ("p0", 1, 8),
        ("PR(:2)", 50, 0),
        ("PR(:2.5)", 50, 0),
        ("PR(:8)", 100, 100),
    ],
)
def test_a_period_has_the_statistic_of_its_points(statistic: str, first: float, second: float) -> None:
    points = [(100.0, 4.0), (100.5, 1.0), (109.9, 3.0), (105.0, 2.0), (120.0, 8.0), (99.9, 1000.0)]

    made = series(points, 100.0, 10.0, statistic)

    assert made == Series({0: first, 2: second}, 10.0)


def test_a_statistic_that_is_not_known_is_refused() -> None:
    with pytest.raises(ValueError, match="'tm90'"):
        series([(0.0, 1.0)], 0.0, 60.0, "tm90")


NUMBERS = st.integers(0, 20).map(float)
OPERATIONS: dict[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}


@given(st.recursive(st.sampled_from(["a", "b", "2", "0.5"]), lambda e: st.tuples(e, st.sampled_from([*"+-*", ">"]), e)))
def test_expressions_are_computed_as_python_does(tree: Any) -> None:
    def text(node: Any) -> str:
        return node if isinstance(node, str) else f"({' '.join(text(each) for each in node)})"

    numbers = {"a": 3.0, "b": 7.0}
    expression = f"a * 0 + {text(tree)}"

    made = evaluate(expression, {name: Series({4: number}, 60) for name, number in numbers.items()})

    assert made.values[4] == pytest.approx(float(eval(expression, {}, numbers)))


@given(NUMBERS, NUMBERS, st.sampled_from(sorted(OPERATIONS)))
def test_every_sign_means_what_it_says(left: float, right: float, sign: str) -> None:
    made = evaluate(f"left {sign} right", {"left": Series({0: left}, 60), "right": Series({0: right}, 60)})

    assert made.values == {0: float(OPERATIONS[sign](left, right))}


def test_products_bind_more_than_sums_and_sums_more_than_comparisons() -> None:
    made = evaluate("m + 2 * 3 > m * 2 - 1", {"m": Series({0: 6.0, 1: 7.0}, 60)})

    assert made.values == {0: 1.0, 1: 0.0}


def test_a_missing_value_is_zero_beside_another_and_a_division_by_zero_has_none() -> None:
    made = evaluate("a / b", {"a": Series({0: 1.0, 1: 2.0, 2: 3.0}, 60), "b": Series({1: 0.0, 2: 2.0, 3: 1.0}, 60)})

    assert made.values == {2: 1.5, 3: 0.0}


def test_logic_takes_what_is_missing_for_false() -> None:
    # The example of the page that the module cites.
    metrics = {"a": Series({0: 30.0, 1: 20.0, 2: 0.0, 3: 0.0}, 60), "b": Series({0: 20.0, 2: 20.0}, 60)}

    assert evaluate("a < b", metrics).values == {0: 0.0, 1: 0.0, 2: 1.0, 3: 0.0}
    assert evaluate("a > 15 AND b > 15", metrics).values == {0: 1.0, 1: 0.0, 2: 0.0, 3: 0.0}
    assert evaluate("a > 25 OR b > 15", metrics).values == {0: 1.0, 1: 0.0, 2: 1.0, 3: 0.0}


def test_if_drops_only_what_is_missing_otherwise() -> None:
    # Likewise.
    metrics = {
        "a": Series({0: 1.0, 1: 1.0, 2: 0.0, 3: 0.0}, 60),
        "b": Series({0: 30.0, 2: 0.0, 3: 0.0, 4: 30.0}, 60),
        "c": Series({0: 0.0, 1: 0.0, 2: 20.0, 4: 20.0}, 60),
    }

    assert evaluate("IF(a, b, c)", metrics).values == {0: 30.0, 1: 0.0, 2: 20.0}
    assert evaluate("IF(a, b, 5)", metrics).values == {0: 30.0, 1: 0.0, 2: 5.0, 3: 5.0}


def test_differences_are_to_the_value_before() -> None:
    assert evaluate("DIFF(m)", {"m": Series({1: 2.0, 2: 5.0, 4: 4.0}, 60)}).values == {2: 3.0, 4: -1.0}


def test_gaps_are_filled_within_the_range() -> None:
    metrics = {"m": Series({1: 2.0, 3: 5.0}, 60)}

    assert evaluate("FILL(m, 0)", metrics).values == {1: 2.0, 2: 0.0, 3: 5.0}
    assert evaluate("FILL(m, 7)", metrics, range(5)).values == {0: 7.0, 1: 2.0, 2: 7.0, 3: 5.0, 4: 7.0}
    assert evaluate("FILL(m, 0)", {"m": Series({}, 60)}).values == {}


def test_if_chooses_for_each_period() -> None:
    made = evaluate("IF(a > b, 100 * a, 0)", {"a": Series({0: 1.0, 1: 3.0}, 60), "b": Series({0: 2.0, 1: 2.0}, 60)})

    assert made.values == {0: 0.0, 1: 300.0}


def test_period_is_that_of_its_metric_in_seconds() -> None:
    assert evaluate("m / PERIOD(m)", {"m": Series({0: 600.0}, 300)}) == Series({0: 2.0}, 300)


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "a +",
        "(a",
        "a b",
        "c",
        "FILL(a, REPEAT)",
        "IF(a, 1)",
        "DIFF(1)",
        "SUM(a)",
        "a $ 2",
        "1 + 2",
        "PERIOD(2) * a",
    ],
)
def test_what_is_not_understood_is_refused_by_name(expression: str) -> None:
    with pytest.raises(ExpressionError) as refusal:
        evaluate(expression, {"a": Series({0: 1.0}, 60)})

    assert repr(expression) in str(refusal.value)


QUERY = """SOURCE '/group' | filter message = "operations rejected"
| stats sum(codes.EmptyKey) as EmptyKey, sum(codes.Other) as Other by bin(1m)"""


def test_a_query_sums_fields_by_time() -> None:
    log: list[tuple[float, dict[str, Any]]] = [
        (100.0, {"message": "operations rejected", "codes": {"EmptyKey": 2}}),
        (159.0, {"message": "operations rejected", "codes": {"EmptyKey": 1, "Other": 5}}),
        (160.0, {"message": "operations rejected", "codes": {"Other": 1}}),
        (161.0, {"message": "something else", "codes": {"Other": 100}}),
        (99.0, {"message": "operations rejected", "codes": {"Other": 100}}),
        (170.0, {"message": "operations rejected", "codes": "none"}),
    ]

    made = sums(QUERY, log, 100.0, 60.0)

    assert made == {"EmptyKey": Series({0: 3.0}, 60.0), "Other": Series({0: 5.0, 1: 1.0}, 60.0)}


@pytest.mark.parametrize(
    "query", ["fields @message", QUERY.replace("sum(codes.Other)", "count(*)"), QUERY.replace("bin(1m)", "service")]
)
def test_a_query_of_another_form_is_refused(query: str) -> None:
    with pytest.raises(ValueError, match="cannot be drawn"):
        sums(query, [], 0.0, 60.0)
