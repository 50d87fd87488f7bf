"""A bounded run of the fuzzer of answers; `python -m tests.property.answers` makes a long one."""

from __future__ import annotations

from typing import Any

import pytest

from tests.property import answers


@pytest.fixture(scope="module")
def report() -> answers.Report:
    return answers.run(cases=2100, seed=1)


def test_whatever_a_service_answers_nothing_raises_and_nothing_counts_that_is_not_done(report: answers.Report) -> None:
    assert report.problems == {}
    assert report.ends == {"answered": report.cases}


def test_every_call_is_answered_in_many_garbled_ways(report: answers.Report) -> None:
    assert min(report.given[way] for way in answers.WAYS) > 100


def everything_fits(*_: Any) -> bool:
    return True


def any_units(_: Any) -> dict[str, float]:
    return {"orders-table": 1.0}


def take_all(sent: Any, _: Any, entries: Any) -> None:
    sent.taken.update(int(entry["Id"]) for entry in entries)


@pytest.mark.parametrize(
    ("broken", "by", "problem"),
    [
        ("sluice.aws.shapes.fits", everything_fits, "raises"),
        ("sluice.aws.boto._check_answer", everything_fits, "raises"),
        ("sluice.aws.tables.consumed_units", any_units, "counted as done"),
        ("sluice.aws.queue.Sent.learn", take_all, "counted as done"),
    ],
)
def test_a_reader_that_believes_too_much_is_found_out(
    broken: str, by: Any, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broken, by)

    found = answers.run(cases=700, seed=1).problems

    assert any(problem in each for each in found)
