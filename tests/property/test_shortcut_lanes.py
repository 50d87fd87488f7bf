"""Every kind of write goes the short way in each usual form, with the outcome of the exact way."""

import json
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sluice.message import items
from sluice.message.decoder import Decoder
from sluice.message.expressions import Expressions
from sluice.message.fast_path import FastPath
from sluice.message.fast_tables import MAX_KNOWN_EXPRESSIONS, MAX_NAMES
from sluice.message.fast_values import MIN_LONG_LIST
from sluice.message.operation import SingleWrite
from sluice.message.settings import Settings
from tests.property.two_ways import agree, record, short_way
from tests.strategies import (
    TABLES,
    Digits,
    as_json,
    names,
    native,
    native_values,
    ordinary_numbers,
    plain_values,
    texts,
)
from tests.world import EVENTS, VERSIONED

PLAIN, VERSIONS = Settings(TABLES), Settings((VERSIONED, EVENTS))
PLAIN_DECODER, VERSIONS_DECODER = Decoder(PLAIN), Decoder(VERSIONS)

ITEM = {"pk": "customer#1", "v": 5, "note": "x" * 180, "total": 12.5, "change": -0.0512, "share": 2.1e-05, "paid": True}
NATIVE = {
    "pk": {"S": "customer#1"},
    "v": {"N": "5"},
    "change": {"N": "-0.0512"},
    "tags": {"SS": ["red", "green"]},
    "numbers": {"NS": ["1", "-0.5", "3e3"]},
    "blob": {"B": "AAECAw=="},
    "blobs": {"BS": ["AAECAw==", ""]},
    "deep": {"M": {"a": {"L": [{"M": {"b": {"L": [{"N": "1"}, {"NULL": True}, {"BOOL": False}]}}}]}}},
}
KEY, NATIVE_KEY = {"pk": "customer#1"}, {"pk": {"S": "customer#1"}}
CONDITION = {"condition": "#v < :v AND attribute_exists(pk)", "names": {"#v": "v"}, "values": {":v": -0.5}}
NATIVE_CONDITION = {
    "ConditionExpression": "#v < :v",
    "ExpressionAttributeNames": {"#v": "v"},
    "ExpressionAttributeValues": {":v": {"N": "-0.5"}},
}
EMBEDDING = [(number - 512) / 729 for number in range(1024)]
SNS = {"Type": "Notification", "MessageId": "x", "TopicArn": "arn", "Timestamp": "t"}
EVENT = {"version": "0", "id": "x", "detail-type": "a", "source": "b", "resources": ["arn"], "detail": ITEM}

LANES: dict[str, tuple[Settings, Any]] = {
    "put": (PLAIN, {"put": ITEM}),
    "delete": (PLAIN, {"delete": KEY}),
    "put in DynamoDB JSON": (PLAIN, {"PutRequest": {"Item": NATIVE}}),
    "delete in DynamoDB JSON": (PLAIN, {"DeleteRequest": {"Key": NATIVE_KEY}}),
    "Put": (PLAIN, {"Put": {"Item": NATIVE, "TableName": "orders-table"}}),
    "RequestItems": (PLAIN, {"RequestItems": {"orders": [{"PutRequest": {"Item": NATIVE}}]}}),
    "a hundred": (PLAIN, [{"put": ITEM | {"pk": f"{number}"}} for number in range(100)]),
    "embedding": (PLAIN, {"put": ITEM | {"embedding": EMBEDDING}}),
    "embedding in DynamoDB JSON": (
        PLAIN,
        {"PutRequest": {"Item": NATIVE | {"embedding": {"L": [{"N": str(number)} for number in EMBEDDING]}}}},
    ),
    "a binary key": (PLAIN, {"Put": {"Item": {"id": {"B": "AAECAw=="}}, "TableName": "blobs"}}),
    "put with a version": (VERSIONS, {"put": ITEM}),
    "put with a version below zero": (VERSIONS, {"put": ITEM | {"v": -0.5}}),
    "put with a version in DynamoDB JSON": (VERSIONS, {"PutRequest": {"Item": NATIVE}}),
    "put with a version in RequestItems": (VERSIONS, {"RequestItems": {"orders": [{"PutRequest": {"Item": NATIVE}}]}}),
    "put with a version and a condition": (VERSIONS, {"put": ITEM, **CONDITION}),
    "delete with a version": (VERSIONS, {"delete": KEY, "version": "2026-01-01"}),
    "delete with a version and a condition": (VERSIONS, {"delete": KEY, "version": 5, **CONDITION}),
    "put of another table than the versioned": (VERSIONS, {"put": {"pk": "a", "sk": -0.5}, "table": "events"}),
    "put with a condition": (PLAIN, {"put": ITEM, **CONDITION}),
    "Put with a condition": (PLAIN, {"Put": {"Item": NATIVE, **NATIVE_CONDITION}}),
    "Put with a condition and a version": (VERSIONS, {"Put": {"Item": NATIVE, **NATIVE_CONDITION}}),
    "delete with a condition": (PLAIN, {"delete": KEY, "condition": "attribute_exists(pk)"}),
    "Delete with a condition": (PLAIN, {"Delete": {"Key": NATIVE_KEY, **NATIVE_CONDITION}}),
    "update": (PLAIN, {"update": KEY, "expression": "SET #n = :n", "names": {"#n": "n"}, "values": {":n": "x"}}),
    "update with a condition": (PLAIN, {"update": KEY, "expression": "REMOVE x", **CONDITION}),
    "update of a table with a version": (VERSIONS, {"update": KEY, "expression": "REMOVE x"}),
    "Update": (PLAIN, {"Update": {"Key": NATIVE_KEY, "UpdateExpression": "REMOVE x", **NATIVE_CONDITION}}),
    "SNS": (
        Settings(TABLES, record_expression="powertools_json(Message)"),
        {**SNS, "Message": json.dumps([{"put": ITEM}, {"update": KEY, "expression": "REMOVE x"}])},
    ),
    "EventBridge": (Settings(TABLES, record_format="item", record_expression="detail"), EVENT),
    "EventBridge in SNS": (
        Settings(TABLES, record_format="item", record_expression="powertools_json(Message).detail"),
        {**SNS, "Message": json.dumps(EVENT)},
    ),
    "SNS of a table with a version": (
        Settings((VERSIONED,), record_format="item", record_expression="powertools_json(Message)"),
        {**SNS, "Message": json.dumps(ITEM)},
    ),
    "a path of quoted names": (
        Settings(TABLES, record_expression='dynamodb."new image".x'),
        {"dynamodb": {"new image": {"x": [{"put": ITEM}]}}},
    ),
}


@pytest.fixture
def no_slow_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> Any:
        raise AssertionError

    for check in ("number", "native_value", "plain_value"):
        monkeypatch.setattr(items, check, refuse)


@pytest.mark.parametrize(("settings", "body"), LANES.values(), ids=LANES)
@pytest.mark.parametrize("separators", [(", ", ": "), (",", ":")], ids=["spaced", "compact"])
def test_a_usual_body_goes_the_short_way(settings: Settings, body: Any, separators: tuple[str, str]) -> None:
    answers, exact = agree(json.dumps(body, separators=separators), Decoder(settings), settings)

    assert exact.operations
    assert answers


@pytest.mark.usefixtures("no_slow_checks")
@pytest.mark.parametrize(("settings", "body"), LANES.values(), ids=LANES)
def test_no_value_of_a_usual_body_needs_a_slow_check(settings: Settings, body: Any) -> None:
    assert short_way(Decoder(settings), settings, json.dumps(body)) is not None


# Random operations of each kind

CONDITIONS = ("attribute_not_exists(pk)", "attribute_exists(#a) AND #a < :a", "#a = :a OR :b IN (x, y)")
UPDATES = ("SET #a = :a", "ADD n :b", "REMOVE x, y", "SET x = if_not_exists(x, :a) + :b REMOVE #a")


def expressions(values: Callable[[], st.SearchStrategy[Any]], *, updates: bool) -> st.SearchStrategy[dict[str, Any]]:
    """Of a plain operation, with all that they need."""

    def of(condition: str | None, update: str | None, given: Sequence[Any]) -> dict[str, Any]:
        text = f"{condition} {update}"
        found: dict[str, Any] = {"condition": condition, "expression": update, "names": {}, "values": {}}
        found["names"] = {"#a": "an attribute"} if "#a" in text else {}
        found["values"] = {name: given[place] for place, name in enumerate((":a", ":b")) if name in text}
        return {name: member for name, member in found.items() if member}

    conditions = st.one_of(st.none(), st.sampled_from(CONDITIONS)) if updates else st.sampled_from(CONDITIONS)
    return st.builds(of, conditions, st.sampled_from(UPDATES) if updates else st.none(), st.tuples(values(), values()))


def in_native_form(action: str, content: Any, members: dict[str, Any]) -> dict[str, Any]:
    called = {
        "condition": "ConditionExpression",
        "expression": "UpdateExpression",
        "names": "ExpressionAttributeNames",
        "values": "ExpressionAttributeValues",
    }
    return {
        action: {"Item" if action == "Put" else "Key": content} | {called[name]: each for name, each in members.items()}
    }


items_of_values = st.dictionaries(names, plain_values, max_size=4)
native_items = st.dictionaries(names, native_values, max_size=4)
versions = st.one_of(ordinary_numbers, texts)
versioned = st.booleans()


def both_answer(body: Any, is_versioned: bool) -> None:
    settings, decoder = (VERSIONS, VERSIONS_DECODER) if is_versioned else (PLAIN, PLAIN_DECODER)

    answers, exact = agree(as_json(body), decoder, settings)

    assert not exact.rejected
    assert answers


@given(items_of_values, versions, expressions(lambda: plain_values, updates=False), versioned)
def test_a_conditional_put_goes_the_short_way(item: Any, version: Any, members: Any, is_versioned: bool) -> None:
    both_answer({"put": item | {"pk": "a", "v": version}, **members}, is_versioned)


@given(native_items, versions, expressions(lambda: native_values, updates=False), versioned)
def test_a_conditional_put_in_dynamodb_json_goes_the_short_way(
    item: Any, version: Any, members: Any, is_versioned: bool
) -> None:
    both_answer(in_native_form("Put", item | {"pk": {"S": "a"}, "v": native(version)}, members), is_versioned)


@given(items_of_values, versions)
def test_a_put_with_a_version_goes_the_short_way(item: Any, version: Any) -> None:
    both_answer([{"put": item | {"pk": "a", "v": version}}] * 2, is_versioned=True)


@given(versions, st.one_of(st.just({}), expressions(lambda: plain_values, updates=False)))
def test_a_delete_with_a_version_goes_the_short_way(version: Any, members: Any) -> None:
    both_answer({"delete": KEY, "version": version, **members}, is_versioned=True)


@given(expressions(lambda: native_values, updates=False))
def test_a_conditional_delete_in_dynamodb_json_goes_the_short_way(members: Any) -> None:
    both_answer(in_native_form("Delete", NATIVE_KEY, members), is_versioned=False)


@given(expressions(lambda: plain_values, updates=True), expressions(lambda: native_values, updates=True), versioned)
def test_an_update_goes_the_short_way(members: Any, native_members: Any, is_versioned: bool) -> None:
    body = [{"update": KEY, **members}, in_native_form("Update", NATIVE_KEY, native_members)]

    both_answer(body, is_versioned)


def test_an_update_behind_a_put_of_its_item_is_for_each_delivery() -> None:
    body = json.dumps(
        [{"put": KEY}, {"update": KEY, "expression": "REMOVE x"}, {"update": {"pk": "b"}, "expression": "REMOVE x"}]
    )

    settings = Settings(TABLES, update_once=True)
    decoder = Decoder(settings)

    answers, _ = agree(body, decoder, settings)

    assert answers
    _, behind, other = decoder.decode(record(body)).operations
    assert isinstance(behind, SingleWrite)
    assert isinstance(other, SingleWrite)
    assert (behind.is_once, behind.delivery) == (True, 3)
    assert (other.is_once, other.delivery) == (True, 0)


# Lists of numbers

spellings = st.one_of(
    st.floats(-1, 1).map(repr),
    st.floats(-1, 1).map(repr),
    st.integers(-(10**6), 10**6).map(str),
    st.sampled_from(["-0", "-0.0", "0.0", "-0.00", "1e5", "-2.1E-05", "0e5", "-0.0e-3", "1" * 38, "1" * 39, "9e130"]),
).map(Digits)
rows = st.lists(spellings, max_size=3).flatmap(
    lambda odd: st.tuples(st.integers(0, 2 * MIN_LONG_LIST), st.just(odd), st.randoms(use_true_random=False))
)


@given(rows, st.sampled_from([", ", ",", " ,\n\t"]))
@example((MIN_LONG_LIST, [Digits("-0.0")], Random(1)), ",")
def test_the_two_ways_agree_on_a_list_of_numbers(row: Any, comma: str) -> None:
    count, odd, random = row
    numbers = [Digits(f"{random.uniform(-1, 1):.9f}") for _ in range(count)] + odd
    random.shuffle(numbers)
    plain = f'{{"put": {{"pk": "a", "e": [{comma.join(numbers)}]}}}}'
    in_native = as_json({"PutRequest": {"Item": {"pk": {"S": "a"}, "e": native(numbers)}}}).replace(", ", comma)

    for body in (plain, in_native):
        answers, exact = agree(body, PLAIN_DECODER, PLAIN)
        assert answers or exact.rejected


@given(st.integers(28, 34), st.booleans())
def test_the_two_ways_agree_on_how_deep_a_list_of_numbers_lies(levels: int, as_native: bool) -> None:
    value: Any = [Digits("-0.5")] * MIN_LONG_LIST
    for _ in range(levels - 1):
        value = [value]
    item = {"pk": "a", "v": value}

    answers, exact = agree(
        as_json({"PutRequest": {"Item": native(item)["M"]}} if as_native else {"put": item}), PLAIN_DECODER, PLAIN
    )

    assert answers == (not exact.rejected) == (levels <= 31)


@pytest.mark.parametrize("zero", ["-0", "-0.0"])
@pytest.mark.parametrize("place", [0, 7, MIN_LONG_LIST])
def test_a_zero_in_a_list_of_numbers_is_sent_without_a_sign(zero: str, place: int) -> None:
    numbers = [Digits("0.5")] * MIN_LONG_LIST
    numbers.insert(place, Digits(zero))
    for body in (
        {"put": {"pk": "a", "e": numbers}},
        {"PutRequest": {"Item": {"pk": {"S": "a"}, "e": native(numbers)}}},
    ):
        operations = short_way(PLAIN_DECODER, PLAIN, as_json(body))

        assert operations is not None
        assert operations[0].request["PutRequest"]["Item"]["e"]["L"][place] == {"N": "0"}


# Expressions seen before


def counted(monkeypatch: pytest.MonkeyPatch) -> list[Expressions]:
    checked: list[Expressions] = []
    check = Expressions.check

    def counting(self: Expressions, key_names: set[str]) -> None:
        checked.append(self)
        check(self, key_names)

    monkeypatch.setattr(Expressions, "check", counting)
    return checked


def conditional(condition: str, **more: Any) -> str:
    return json.dumps({"put": {"pk": "a"}, "condition": condition, **more})


def test_an_expression_that_was_good_before_is_not_checked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    checked, path = counted(monkeypatch), FastPath(PLAIN)

    for value in (1, 2, "three"):
        assert path.operations(conditional("x = :x", values={":x": value}), "m", False) is not None

    assert len(checked) == 1


@pytest.mark.parametrize(
    "other",
    [
        conditional("x <> :x", values={":x": 1}),
        conditional("x = :x", values={":x": 1, ":y": 1}),
        conditional("x = :x", values={":x": 1}, names={"#y": "y"}),
        json.dumps({"update": {"pk": "a"}, "expression": "x = :x", "values": {":x": 1}}),
    ],
)
def test_other_expressions_or_placeholders_are_checked(other: str, monkeypatch: pytest.MonkeyPatch) -> None:
    checked, path = counted(monkeypatch), FastPath(PLAIN)
    path.operations(conditional("x = :x", values={":x": 1}), "m", False)

    path.operations(other, "m", False)

    assert len(checked) == 2


def test_a_refused_expression_is_checked_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    checked, path = counted(monkeypatch), FastPath(PLAIN)

    for _ in range(3):
        assert path.operations(conditional("x = y)"), "m", False) is None

    assert len(checked) == 3


def test_only_so_many_expressions_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    checked, path = counted(monkeypatch), FastPath(PLAIN)
    for number in range(MAX_KNOWN_EXPRESSIONS + 1):
        path.operations(conditional(f"x{number} = y"), "m", False)

    path.operations(conditional("x0 = y"), "m", False)

    assert len(checked) == MAX_KNOWN_EXPRESSIONS + 2


def test_long_names_are_not_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    checked, path = counted(monkeypatch), FastPath(PLAIN)

    assert path.operations(conditional("#x = y", names={"#x": "x" * (MAX_NAMES + 1)}), "m", False) is None

    assert not checked
