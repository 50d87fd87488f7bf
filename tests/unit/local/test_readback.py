"""Reading a table back finds what is missing and what is different, and gives up on nothing."""

from __future__ import annotations

from typing import Any

import pytest

from sluice.local.demo.readback import read_back
from sluice.local.demo.weather import Item


def item(number: int, temperature: str = "39.02") -> Item:
    return {"origin": {"S": "EWR"}, "time_hour": {"S": f"{number:05}"}, "temp": {"N": temperature}}


class Table:
    """BatchGetItem on some items; leaves `unprocessed` keys of the first calls for later."""

    def __init__(self, items: list[Item], unprocessed: int = 0) -> None:
        self._items = {entry["time_hour"]["S"]: entry for entry in items}
        self._unprocessed = unprocessed
        self.requests: list[dict[str, Any]] = []

    def batch_get_item(self, **parameters: Any) -> Any:
        (request,) = parameters["RequestItems"].values()
        self.requests.append(request)
        keys = request["Keys"]
        later = keys[: self._unprocessed]
        self._unprocessed //= 2
        found = [self._items.get(key["time_hour"]["S"]) for key in keys[len(later) :]]
        return {
            "Responses": {"T": [entry for entry in reversed(found) if entry]},
            "UnprocessedKeys": {"T": {**request, "Keys": later}} if later else {},
        }


def test_a_table_that_holds_everything_is_complete() -> None:
    sent = [item(n) for n in range(250)]
    table = Table(sent)

    result = read_back(table, "T", sent, ["origin", "time_hour"])

    assert (result.identical, result.missing, result.different) == (250, (), ())
    assert result.is_complete
    assert sorted(len(request["Keys"]) for request in table.requests) == [50, 100, 100]
    assert all(request["ConsistentRead"] for request in table.requests)
    assert table.requests[0]["Keys"][0] == {"origin": {"S": "EWR"}, "time_hour": {"S": "00000"}}


def test_what_is_missing_or_different_is_named_by_its_key() -> None:
    sent = [item(n) for n in range(5)]
    stored = [item(0), item(2, "39.03"), {**item(3), "visib": {"N": "10"}}, item(4)]

    result = read_back(Table(stored), "T", sent, ["origin", "time_hour"])

    assert result.missing == (("EWR", "00001"),)
    assert result.different == (("EWR", "00002"), ("EWR", "00003"))
    assert result.identical == 2
    assert not result.is_complete


@pytest.mark.parametrize("spelling", ["1000", "1E+3", "1000.00"])
def test_numbers_compare_by_value(spelling: str) -> None:
    result = read_back(Table([item(1, spelling)]), "T", [item(1, "1e3")], ["origin", "time_hour"])

    assert result.is_complete


@pytest.mark.parametrize(
    "stored",
    [
        item(1, "10.35702"),
        item(1, "10.3570199999999990001"),  # The same binary float.
        {**item(1), "temp": {"S": "10.357019999999999"}},
        {name: value for name, value in item(1).items() if name != "temp"},
    ],
)
def test_a_number_must_have_all_its_digits_and_be_a_number(stored: Item) -> None:
    result = read_back(Table([stored]), "T", [item(1, "10.357019999999999")], ["origin", "time_hour"])

    assert result.different == (("EWR", "00001"),)


def test_keys_that_were_not_processed_are_asked_for_again_after_a_growing_pause() -> None:
    sent = [item(n) for n in range(40)]
    table = Table(sent, unprocessed=32)
    pauses: list[float] = []

    result = read_back(table, "T", sent, ["origin", "time_hour"], sleep=pauses.append, jitter=lambda limit: limit)

    assert result.identical == 40
    assert [len(request["Keys"]) for request in table.requests] == [40, 32, 16, 8, 4, 2, 1]
    assert pauses == pytest.approx([0.05, 0.1, 0.2, 0.4, 0.8, 1.6])


def test_progress_counts_what_has_been_compared() -> None:
    sent = [item(n) for n in range(250)]
    seen: list[int] = []

    read_back(Table(sent), "T", sent, ["origin", "time_hour"], on_progress=seen.append)

    assert seen == [100, 200, 250]


def test_it_stops_when_it_is_told_to() -> None:
    def check() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        read_back(Table([]), "T", [item(1)], ["origin", "time_hour"], check=check)
