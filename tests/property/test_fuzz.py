"""A bounded run of the fuzzer; `python -m tests.property.fuzz` makes a long one."""

import pytest

from sluice.message.operation import Rejection
from sluice.message.settings import Settings
from tests.property import fuzz
from tests.strategies import TABLES


@pytest.fixture(scope="module")
def report() -> fuzz.Report:
    return fuzz.run(cases=4000, seed=1)


def test_decoder_and_service_agree_on_whatever_comes(report: fuzz.Report) -> None:
    assert {problem: case.body for problem, case in report.examples.items()} == {}


def test_the_cases_reach_every_code(report: fuzz.Report) -> None:
    outcomes = report.outcomes.keys() - {"raised"}

    assert outcomes == fuzz.ITEM_CODES | fuzz.OWN_CODES | {"accepted", "accepted, its expression refused"}
    assert report.outcomes["accepted"] > 1000


def test_a_case_comes_from_its_seed_and_number_alone() -> None:
    assert [fuzz.case_of(2, number).body for number in range(50)] == [
        fuzz.case_of(2, number).body for number in reversed(range(50))
    ][::-1]


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ('{"put": {"pk": "a", "v": "x"}}', "other items are stored"),
        ('{"put": {"pk": ""}}', "refused by the service"),
        ('{"delete": {"pk": "a"}, "odd": 1}', "is no code of the contract"),
    ],
)
def test_a_decoder_that_is_wrong_is_noticed(body: str, problem: str, monkeypatch: pytest.MonkeyPatch) -> None:
    good, setup = '{"put": {"pk": "a", "v": "y"}}', fuzz.Setup(Settings(TABLES))
    decode = setup.decoder.decode
    if "refused" in problem:
        monkeypatch.setattr("sluice.message.items.key_of", lambda table, _: (table.name, "", None))
    elif "code" in problem:
        monkeypatch.setattr("sluice.message.items.Rejected.rejection", lambda _: Rejection("Odd", ""))
    else:
        monkeypatch.setattr(setup.decoder, "decode", lambda record: decode(record | {"body": good}))

    problems = fuzz.judge(fuzz.Case(setup, body, body)).problems

    assert any(problem in found for found in problems)
