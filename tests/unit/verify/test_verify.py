"""Verifying a file: what is missing, different or not deleted is found, and nothing else is."""

from __future__ import annotations

import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from sluice import cli
from sluice.cli import CommandError, main
from sluice.message import items
from sluice.message.settings import KeyAttribute, Table
from sluice.send.options import Input
from sluice.send.reading import Reader
from sluice.verify.comparison import Outcome
from sluice.verify.expected import Expectations
from sluice.verify.table import PATIENCE, Budget, TableReader
from sluice.verify.tally import Tally, rank
from sluice.verify.verifying import Result, Verification
from tests.fakes import Clock
from tests.world import Inline

ORDERS = Table("orders", "orders-table", KeyAttribute("pk", "S"))
NUMBERED = Table("numbered", "numbered-table", KeyAttribute("pk", "N"))
VERSIONED = replace(ORDERS, version="v")
MAX_KEYS = 100  # API_BatchGetItem


class FakeTable:
    """BatchGetItem with the service's rules; `answers` keys of each call, or an error, until it runs out."""

    def __init__(self, items: Iterable[dict[str, Any]], answers: Iterable[int | str] = (), units: float = 1.0) -> None:
        self._items = {repr(_typed(item["pk"])): item for item in items}
        self._answers = list(answers)
        self._units = units
        self.stale: dict[str, dict[str, Any]] = {}
        """What eventually consistent reads give instead, by partition key."""
        self.requests: list[dict[str, Any]] = []

    def batch_get_item(self, **request: Any) -> Any:
        ((name, wanted),) = request["RequestItems"].items()
        keys = wanted["Keys"]
        assert 0 < len(keys) <= MAX_KEYS
        assert len({repr(_typed(key["pk"])) for key in keys}) == len(keys), "duplicate keys are refused"
        assert all(list(key) == ["pk"] for key in keys)
        self.requests.append(wanted)
        how_many = self._answers.pop(0) if self._answers else len(keys)
        if isinstance(how_many, str):
            raise ClientError({"Error": {"Code": how_many}}, "BatchGetItem")
        answered = keys[:how_many]
        found = []
        for key in answered:
            item = self._items.get(repr(_typed(key["pk"])))
            if not wanted["ConsistentRead"]:
                item = self.stale.get(key["pk"].get("S", ""), item)
            if item:
                found.append(_projected(item, wanted))
        later = keys[how_many:]
        return {
            "Responses": {name: found[::-1]},
            "UnprocessedKeys": {name: {**wanted, "Keys": later}} if later else {},
            "ConsumedCapacity": [{"TableName": name, "CapacityUnits": self._units * len(answered)}],
        }


def _typed(value: dict[str, Any]) -> Any:
    return float(Decimal(value["N"])) if "N" in value else value


def _projected(item: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    if "ProjectionExpression" not in wanted:
        return item
    names = [wanted["ExpressionAttributeNames"][name] for name in wanted["ProjectionExpression"].split(",")]
    return {name: item[name] for name in names if name in item}


def verify(
    path: Path,
    lines: Iterable[Any],
    client: FakeTable,
    *,
    table: Table = ORDERS,
    consistent: bool = False,
    keys_only: bool = False,
    examples: int = 5,
    wait: Any = lambda _seconds: False,
) -> Result:
    """Verify a file of these lines (text as it is, anything else as JSON)."""
    file = path / "file.jsonl"
    file.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines))
    reader = TableReader(client, Budget(float("inf"), Clock(), lambda _: None), wait, lambda: 1.0, keys_only)
    verification = Verification(Expectations([table]), reader, Inline(1), 1, consistent)
    return verification.run(Reader(Input(str(file), "operations")).records(), examples)


def put(pk: str, **item: Any) -> dict[str, Any]:
    return {"put": {"pk": pk, **item}}


def stored(pk: str, **attributes: Any) -> dict[str, Any]:
    return {"pk": {"S": pk}, **attributes}


def lines_of(result: Result, outcome: Outcome) -> list[int]:
    return [mismatch.line for mismatch in result.examples if mismatch.outcome is outcome]


def test_a_table_that_holds_everything_is_good(tmp_path: Path) -> None:
    client = FakeTable(stored(f"k{n}", n={"N": str(n)}) for n in range(250))

    result = verify(tmp_path, (put(f"k{n}", n=n) for n in range(250)), client)

    assert result.is_good
    assert result.count(Outcome.EQUAL) == 250
    assert sorted(len(request["Keys"]) for request in client.requests) == [50, 100, 100]
    assert not any(request["ConsistentRead"] for request in client.requests)


def test_what_is_missing_different_or_not_deleted_is_named_by_line_and_attribute(tmp_path: Path) -> None:
    client = FakeTable(
        [stored("same", a={"S": "x"}), stored("other", a={"S": "y"}, c={"S": "z"}), stored("left", a={"S": "x"})]
    )
    lines = [
        put("same", a="x"),
        put("gone", a="x"),
        put("other", a="x", b=1),
        {"delete": {"pk": "left"}},
        {"delete": {"pk": "away"}},
    ]

    result = verify(tmp_path, lines, client)

    assert not result.is_good
    assert result.count(Outcome.EQUAL, Outcome.ABSENT) == 2
    assert lines_of(result, Outcome.MISSING) == [2]
    assert lines_of(result, Outcome.DIFFERENT) == [3]
    assert lines_of(result, Outcome.UNDELETED) == [4]
    (different,) = [one.difference for one in result.examples if one.outcome is Outcome.DIFFERENT]
    assert different is not None
    assert (different.changed, different.missing, different.added) == (("a",), ("b",), ("c",))


@pytest.mark.parametrize(
    ("sent", "held", "is_equal"),
    [
        ({"N": "1e3"}, {"N": "1000"}, True),
        ({"N": "10.357019999999999"}, {"N": "10.35702"}, False),
        ({"N": "1"}, {"S": "1"}, False),
        ({"NS": ["1", "2"]}, {"NS": ["2.0", "1"]}, True),
        ({"SS": ["a", "b"]}, {"SS": ["b", "a"]}, True),
        ({"L": [{"S": "a"}, {"S": "b"}]}, {"L": [{"S": "b"}, {"S": "a"}]}, False),
        ({"B": "AAE="}, {"B": b"\x00\x01"}, True),
        ({"B": "AAE="}, {"B": b"\x00\x02"}, False),
        ({"M": {"a": {"NULL": True}}}, {"M": {"a": {"NULL": True}}}, True),
        ({"M": {"a": {"N": "1"}}}, {"M": {"a": {"N": "1.0"}, "b": {"N": "2"}}}, False),
    ],
)
def test_values_compare_as_dynamodb_compares_them(
    tmp_path: Path, sent: dict[str, Any], held: dict[str, Any], is_equal: bool
) -> None:
    line = {"PutRequest": {"Item": {"pk": {"S": "a"}, "x": sent}}}

    result = verify(tmp_path, [line], FakeTable([stored("a", x=held)]))

    assert result.is_good is is_equal


def test_of_records_with_one_key_the_last_counts(tmp_path: Path) -> None:
    client = FakeTable([stored("a", n={"N": "2"}), stored("b", n={"N": "1"})])
    lines = [put("a", n=1), put("b", n=1), put("a", n=2), put("b", n=2), put("c"), {"delete": {"pk": "c"}}]

    result = verify(tmp_path, lines, client)

    assert result.count(Outcome.EQUAL) == 1
    assert lines_of(result, Outcome.DIFFERENT) == [4]
    assert result.count(Outcome.ABSENT) == 1
    assert result.count(Outcome.MISSING) == 0
    assert result.totals.superseded == 3
    assert len(client.requests[0]["Keys"]) == 3


def test_keys_of_equal_value_are_one_key(tmp_path: Path) -> None:
    client = FakeTable([{"pk": {"N": "100"}, "n": {"N": "2"}}])
    lines = ['{"put": {"pk": 1e2, "n": 1}}', '{"put": {"pk": 100.0, "n": 2}}']

    result = verify(tmp_path, lines, client, table=NUMBERED)

    assert result.is_good
    assert result.totals.superseded == 1


def test_what_seems_wrong_is_read_again_with_strong_consistency(tmp_path: Path) -> None:
    client = FakeTable([stored("a", n={"N": "2"}), stored("b"), stored("c")])
    client.stale = {"a": stored("a", n={"N": "1"}), "b": {}}

    result = verify(tmp_path, [put("a", n=2), put("b"), put("c")], client)

    assert result.is_good
    assert [(len(r["Keys"]), r["ConsistentRead"]) for r in client.requests] == [(3, False), (2, True)]


def test_with_consistent_nothing_is_read_twice(tmp_path: Path) -> None:
    client = FakeTable([])

    result = verify(tmp_path, [put("a")], client, consistent=True)

    assert lines_of(result, Outcome.MISSING) == [1]
    assert [request["ConsistentRead"] for request in client.requests] == [True]


def test_keys_only_asks_for_no_more_than_keys(tmp_path: Path) -> None:
    client = FakeTable([stored("a", n={"N": "1"})])

    result = verify(tmp_path, [put("a", n=2), put("b")], client, keys_only=True)

    assert result.count(Outcome.EQUAL) == 1
    assert lines_of(result, Outcome.MISSING) == [2]
    assert all("ProjectionExpression" in request for request in client.requests)


def test_keys_only_still_sees_that_the_table_holds_a_newer_version_than_was_deleted(tmp_path: Path) -> None:
    client = FakeTable([stored(pk, v={"N": "5"}, n={"N": "1"}) for pk in "abc"])
    lines = [
        *({"delete": {"pk": "a"}, "version": 4}, {"delete": {"pk": "b"}, "version": 5}),
        *({"delete": {"pk": "c"}, "version": 4}, put("c", v=5)),
    ]

    result = verify(tmp_path, lines, client, table=VERSIONED, keys_only=True)

    assert result.totals.keys == {Outcome.NEWER: 1, Outcome.UNDELETED: 1, Outcome.EQUAL: 1}
    assert lines_of(result, Outcome.UNDELETED) == [2]
    assert client.requests[0]["ProjectionExpression"].count(",") == 1


@pytest.mark.parametrize("option", ["--table-name", "--function"])
def test_an_empty_name_as_of_a_variable_that_is_not_set_is_a_usage_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    file = tmp_path / "file.csv"
    file.write_text("pk\na\n")

    assert main(["verify", str(file), option, ""]) == cli.USAGE
    assert "sluice verify: --table-name and --function must not be empty" in capsys.readouterr().err


def test_unprocessed_keys_are_asked_for_again_after_a_growing_pause(tmp_path: Path) -> None:
    client = FakeTable([stored(f"k{n}") for n in range(100)], answers=[0, "ThrottlingException", 0, 60, 0])
    pauses: list[float] = []

    def wait(seconds: float) -> bool:
        pauses.append(seconds)
        return False

    result = verify(tmp_path, [put(f"k{n}") for n in range(100)], client, wait=wait)

    assert result.is_good
    assert [len(request["Keys"]) for request in client.requests] == [100, 100, 100, 100, 40, 40]
    assert pauses == pytest.approx([0.1, 0.2, 0.4, 0.05, 0.1])


def test_a_table_that_never_answers_is_given_up(tmp_path: Path) -> None:
    client = FakeTable([], answers=[0] * 1000)

    with pytest.raises(CommandError, match="refuses to be read"):
        verify(tmp_path, [put("a")], client)

    assert len(client.requests) == PATIENCE + 1


def test_updates_and_conditional_writes_are_not_compared(tmp_path: Path) -> None:
    update = {"update": {"pk": "a"}, "expression": "SET n = :n", "values": {":n": 1}}
    conditional = {"put": {"pk": "b"}, "condition": "attribute_not_exists(pk)"}
    client = FakeTable([stored("c")])

    result = verify(tmp_path, [put("a", n=7), update, conditional, put("c")], client)

    assert result.is_good
    assert result.count(Outcome.UNCOMPARED) == 2
    assert result.count(Outcome.EQUAL) == 1


def test_where_nothing_can_be_compared_nothing_is_good(tmp_path: Path) -> None:
    update = {"update": {"pk": "a"}, "expression": "SET n = :n", "values": {":n": 1}}

    assert not verify(tmp_path, [update], FakeTable([])).is_good


def test_a_record_that_the_function_rejects_is_not_in_the_table(tmp_path: Path) -> None:
    result = verify(tmp_path, [put("a"), {"put": {}}, "{", put("b", n=float("1e300"))], FakeTable([stored("a")]))

    assert dict(result.rejected) == {"MissingKey": 1, "InvalidJson": 1, "InvalidNumber": 1}
    assert not result.is_good


@pytest.mark.parametrize(
    ("row", "code"),
    [('b,"5 inch', "InvalidRow"), ("b", "InvalidRow"), ("b,é\udcff", "InvalidJson"), ('b,"x"y', "InvalidRow")],
)
def test_a_file_with_rows_that_cannot_be_read_is_not_equal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], row: str, code: str
) -> None:
    file = tmp_path / "file.csv"
    file.write_bytes(f"pk,v\na,x\n{row}\nc,z\n".encode("utf-8", "surrogateescape"))
    table = FakeTable([stored("a", v={"S": "x"}), stored("c", v={"S": "z"})])
    monkeypatch.setattr("sluice.verify.command.client", lambda *_, **__: table)
    monkeypatch.setattr("sluice.send.target.tables", lambda _: (ORDERS,))

    assert main(["verify", str(file), "--table-name", "orders"]) == cli.FAILED

    said = [line.split()[:2] for line in capsys.readouterr().out.splitlines()]
    assert said == [["equal", "2"], ["missing", "0"], ["different", "0"], ["unreadable", "1"], ["1", code]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs the command against a table; gives its exit status and the lines that it printed."""

    def run(table: FakeTable, files: dict[str, str], *options: str) -> tuple[int, list[str]]:
        for name, content in files.items():
            (tmp_path / name).write_text(content)
        monkeypatch.setattr("sluice.verify.command.client", lambda *_, **__: table)
        monkeypatch.setattr("sluice.send.target.tables", lambda _: (ORDERS,))
        names = [str(tmp_path / name) for name in files]
        status = main(["verify", *names, "--table-name", "orders", *options])
        return status, [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]

    return run


def test_differences_of_type_are_told_as_such_with_the_option_that_reads_them_so(run: Any) -> None:
    def item(pk: str, **more: Any) -> dict[str, Any]:
        return stored(pk, total={"N": "1.5"}, paid={"BOOL": True}, tags={"SS": ["x"]}, note={"S": "y"}, **more)

    table, content = FakeTable([item("a"), item("b")]), "pk,total,paid,tags,note\na,1.50,true,x,z\nb,1.5,true,x,y\n"

    status, lines = run(table, {"a.csv": content})
    typed, better = run(table, {"a.csv": content}, "--types", "total=N,paid=BOOL", "--json")
    _, as_json = run(table, {"a.jsonl": '{"pk": "a", "total": "1.5"}'})

    assert status == typed == cli.FAILED
    assert lines[2:] == [
        "different 2",
        "line 2: total, paid, tags, note",
        "line 3: total, paid, tags",
        "total: S in the file, N in the table",
        "paid: S in the file, BOOL in the table",
        "tags: S in the file, SS in the table",
        "--types total=N,paid=BOOL?",
    ]
    assert json.loads(better[0])["types"] == {"tags": {"file": "S", "table": "SS"}}
    assert "total: S in the file, N in the table" in as_json
    assert not any("--types" in line for line in as_json)


def test_a_difference_that_a_later_record_makes_pointless_is_none_of_type(run: Any) -> None:
    table = FakeTable([stored("a", n={"N": "1"})])

    status, lines = run(table, {"a.jsonl": '{"pk": "a", "n": "1"}\n{"pk": "a", "n": 1}'})

    assert status == cli.DONE
    assert lines == ["equal 1 item", "missing 0", "different 0", "superseded 1 record, by a later one of the same key"]


def test_a_sample_has_every_record_of_its_keys_and_of_the_others_none(run: Any) -> None:
    table = FakeTable(stored(f"k{n}", v={"N": "2"}) for n in range(1000))
    content = "".join(f'{{"pk": "k{n}", "v": {v}}}\n' for v in (1, 2) for n in range(1000))

    (status, lines), again = (run(table, {"a.jsonl": content}, "--sample", "10%") for _ in range(2))

    counts = {line.split()[0]: int(line.split()[1].replace(",", "")) for line in lines if "sampled" not in line}
    assert (status, lines) == again
    assert status == cli.DONE
    assert 50 < counts["equal"] < 150
    assert counts["superseded"] == counts["equal"]
    assert f"not sampled {2000 - 2 * counts['equal']:,} operations, by --sample" in lines
    assert sum(len(request["Keys"]) for request in table.requests) < 2 * 2 * 150


def test_a_sample_in_which_nothing_is_proves_nothing(run: Any) -> None:
    status, _ = run(FakeTable([]), {"a.jsonl": '{"pk": "a"}'}, "--sample", "0.000001")

    assert status == cli.FAILED


@pytest.mark.parametrize("percent", ["0", "101", "half", "-1%"])
def test_what_is_no_percentage_is_usage(run: Any, percent: str) -> None:
    with pytest.raises(SystemExit) as caught:
        run(FakeTable([]), {"a.jsonl": ""}, f"--sample={percent}")
    assert caught.value.code == cli.USAGE


def test_where_the_newest_version_wins_a_table_of_that_name_may_hold_a_newer_item(run: Any) -> None:
    table = FakeTable([stored("a", v={"N": "5"})])

    without, _ = run(table, {"a.jsonl": '{"pk": "a", "v": 4}'})
    status, lines = run(table, {"a.jsonl": '{"pk": "a", "v": 4}'}, "--version-attribute", "v")

    assert (without, status) == (cli.FAILED, cli.DONE)
    assert "newer 1 the table holds a newer version, as it should" in lines


def test_of_many_files_each_example_names_its_own(run: Any) -> None:
    files = {"a.jsonl": '{"pk": "a"}\n{"pk": "b"}\n', "b.csv": "pk\nc\nd\n"}
    table = FakeTable([stored("a"), stored("c")])

    _, lines = run(table, files)
    _, (as_json,) = run(table, files, "--json")

    assert [line.rpartition("/")[2] for line in lines[2:4]] == ["a.jsonl line 2", "b.csv line 3"]
    assert [one["file"].rpartition("/")[2] for one in json.loads(as_json)["examples"]] == ["a.jsonl", "b.csv"]


@pytest.mark.parametrize(
    ("held", "lines", "expected"),
    [
        (3, [put("a", v=3), put("a", v=1)], Outcome.EQUAL),
        (4, [put("a", v=3)], Outcome.NEWER),
        (1, [put("a", v=3), put("a", v=1)], Outcome.DIFFERENT),
        (None, [put("a", v=3)], Outcome.MISSING),
        (None, [put("a", v=3), {"delete": {"pk": "a"}, "version": 4}], Outcome.ABSENT),
        (3, [put("a", v=3), {"delete": {"pk": "a"}, "version": 4}], Outcome.UNDELETED),
        (5, [put("a", v=5), {"delete": {"pk": "a"}, "version": 4}], Outcome.EQUAL),
        (None, [put("a", v=3), {"update": {"pk": "a"}, "expression": "SET n = n"}], Outcome.MISSING),
        (None, [{"delete": {"pk": "a"}, "version": 4}, put("a", v=5)], Outcome.MISSING),
        (None, [put("a", v=10), {"delete": {"pk": "a"}, "version": 9}, put("a", v=8)], Outcome.MISSING),
        (None, [{"delete": {"pk": "a"}, "version": -4}, put("a", v=-3)], Outcome.MISSING),
        (None, [{"delete": {"pk": "a"}, "version": -4}, put("a", v=-5)], Outcome.ABSENT),
        (None, [{"delete": {"pk": "a"}, "version": 4}, put("a", v=3)], Outcome.ABSENT),
    ],
)
def test_where_versions_are_kept_the_table_may_hold_a_newer_one(
    tmp_path: Path, held: int | None, lines: list[Any], expected: Outcome
) -> None:
    client = FakeTable([] if held is None else [stored("a", v={"N": str(held)})])

    result = verify(tmp_path, lines, client, table=VERSIONED)

    assert result.totals.keys == {expected: 1}


@pytest.mark.parametrize(
    ("put_at", "expected"), [("2026-11-22T10:00:01Z", Outcome.MISSING), ("2026-11-22T09:59:59Z", Outcome.ABSENT)]
)
def test_versions_that_are_texts_tell_what_came_after_a_delete(tmp_path: Path, put_at: str, expected: Outcome) -> None:
    lines = [put("a", v=put_at), {"delete": {"pk": "a"}, "version": "2026-11-22T10:00:00Z"}]

    result = verify(tmp_path, lines, FakeTable([]), table=VERSIONED)

    assert result.totals.keys == {expected: 1}
    assert lines_of(result, Outcome.MISSING) == ([1] if expected is Outcome.MISSING else [])


numbers = st.decimals(allow_nan=False, allow_infinity=False, places=3) | st.integers(-(10**37), 10**37)


@given(st.lists(numbers, min_size=2, max_size=2))
def test_a_larger_rank_is_a_newer_version(pair: list[Any]) -> None:
    one, other = ({"N": str(number)} for number in pair)

    assert rank(one) <= rank(other) or items.is_newer(one, other)
    assert rank({"N": str(pair[0])}) < rank({"N": f"{Decimal(pair[0]) + abs(Decimal(pair[0])) + 1}"})


def test_as_many_examples_as_wanted_are_given_of_each_kind(tmp_path: Path) -> None:
    result = verify(tmp_path, [put(f"k{n}") for n in range(9)], FakeTable([]), examples=3)

    assert lines_of(result, Outcome.MISSING) == [1, 2, 3]
    assert result.count(Outcome.MISSING) == 9


def test_the_rate_of_read_units_is_kept_by_what_reads_really_cost() -> None:
    clock = Clock()
    table = FakeTable([stored("a")], units=8.0)  # An item of 64 KB, eventually consistent
    reader = TableReader(table, Budget(100, clock, clock.sleep), lambda _: False, lambda: 1.0)
    start = clock()

    for _ in range(51):
        reader.read([(ORDERS, {"pk": {"S": "a"}})], consistent=False)

    assert clock() - start == pytest.approx(50 * 8 / 100, rel=0.05)


def test_a_call_that_cost_more_than_was_estimated_holds_up_the_next_one_and_a_refused_one_does_not() -> None:
    clock = Clock()
    table = FakeTable([], answers=["ThrottlingException", 100, 1], units=8.0)
    reader = TableReader(table, Budget(100, clock, clock.sleep), lambda _: False, lambda: 1.0)
    start = clock()

    reader.read([(ORDERS, {"pk": {"S": f"k{n}"}}) for n in range(100)], consistent=False)
    first = clock() - start
    reader.read([(ORDERS, {"pk": {"S": "a"}})], consistent=False)

    assert first == 0
    assert clock() - start == pytest.approx(100 * 8 / 100)


@settings(deadline=None, derandomize=True, database=None, max_examples=100)
@given(
    entries=st.lists(st.tuples(st.integers(0, 8), st.sampled_from([Outcome.EQUAL, Outcome.MISSING]))),
    run=st.integers(1, 7),
)
def test_a_tally_on_disk_counts_as_one_in_memory(entries: list[tuple[int, Outcome]], run: int) -> None:
    last = {key: (number, outcome) for number, (key, outcome) in enumerate(entries)}

    with Tally(run) as tally:
        for number, (key, outcome) in enumerate(entries):
            tally.add(key.to_bytes(16, "big"), number, outcome)
            tally.ask(number)
        totals = tally.totals()

    assert totals.keys.total() == len(last)
    assert totals.keys[Outcome.MISSING] == sum(outcome is Outcome.MISSING for _, outcome in last.values())
    assert totals.counting == {number for number, _ in last.values()}
    assert totals.superseded == len(entries) - len(last)


def test_many_calls_at_once_compare_what_one_would(tmp_path: Path) -> None:
    file = tmp_path / "file.jsonl"
    file.write_text("".join(f'{{"pk": "k{n % 700}", "n": {n}}}\n' for n in range(2000)))
    client = FakeTable(stored(f"k{n}", n={"N": str(n + (700 if n + 1400 >= 2000 else 1400))}) for n in range(699))
    reader = TableReader(client, Budget(float("inf"), Clock(), lambda _: None), lambda _: False, lambda: 0.0)

    with ThreadPoolExecutor(4) as executor:
        verification = Verification(Expectations([ORDERS]), reader, executor, 4)
        result = verification.run(Reader(Input(str(file), "items")).records(), 5)

    assert result.totals.keys == {Outcome.EQUAL: 699, Outcome.MISSING: 1}
    assert lines_of(result, Outcome.MISSING) == [1400]
    assert result.records == 2000
