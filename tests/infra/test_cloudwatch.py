"""The evaluator of alarms does what AWS's page says, by the page's own tables."""

from __future__ import annotations

import pytest

from tests.infra.cloudwatch import Missing, State, next_state

# Points, then the state by how missing data is treated: missing, ignore, breaching, notBreaching; - keeps the state.
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
THREE_OF_THREE = {
    "0 - X - X": ("OK", "OK", "OK", "OK"),
    "0 - - - -": ("OK", "OK", "OK", "OK"),
    "- - - - -": ("INSUFFICIENT_DATA", "-", "ALARM", "OK"),
    "0 X X - X": ("ALARM", "ALARM", "ALARM", "ALARM"),
    "- - X - -": ("ALARM", "-", "ALARM", "OK"),
    "- - - - X": ("INSUFFICIENT_DATA", "-", "ALARM", "OK"),
    "- - - X -": ("INSUFFICIENT_DATA", "-", "ALARM", "OK"),
}
TWO_OF_THREE = {
    "0 - X - X": ("ALARM", "ALARM", "ALARM", "ALARM"),
    "0 0 X 0 X": ("ALARM", "ALARM", "ALARM", "ALARM"),
    "0 - X - -": ("OK", "OK", "ALARM", "OK"),
    "- - - - 0": ("OK", "OK", "ALARM", "OK"),
    "- - - X -": ("ALARM", "-", "ALARM", "OK"),
}
TREATMENTS: tuple[Missing, ...] = ("missing", "ignore", "breaching", "notBreaching")
CASES = [
    (datapoints, points, missing, state)
    for datapoints, table in ((3, THREE_OF_THREE), (2, TWO_OF_THREE))
    for points, states in table.items()
    for missing, state in zip(TREATMENTS, states, strict=True)
]


@pytest.mark.parametrize("before", ["OK", "ALARM", "INSUFFICIENT_DATA"])
@pytest.mark.parametrize(("datapoints", "points", "missing", "state"), CASES)
def test_the_examples_of_the_page(datapoints: int, points: str, missing: Missing, state: str, before: State) -> None:
    given = [{"0": False, "X": True, "-": None}[point] for point in points.split()]

    found = next_state(given, periods=3, datapoints=datapoints, missing=missing, before=before)

    assert found == (before if state == "-" else state)
