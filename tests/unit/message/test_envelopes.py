"""RECORD_EXPRESSION: records are taken out of an envelope first."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

import pytest

from sluice.message.errors import SettingsError
from tests.world import World

PUT_A, PUT_B = '{"put": {"pk": "a"}}', '{"put": {"pk": "b"}}'
SNS = {"Type": "Notification", "MessageId": "1", "TopicArn": "arn:aws:sns:us-east-1:123456789012:topic"}
EVENT = {"version": "0", "detail-type": "order", "source": "shop", "region": "us-east-1"}
EXACT = ["1.10", "1e2", "9007199254740993", "0.30000000000000004", "12345678901234567890123456789012345678"]


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def unpacked(expression: str, record_format: str = "operation") -> World:
    return World(settings={"record_expression": expression, "record_format": record_format})


def written(world: World) -> set[str]:
    return {item["pk"]["S"] for item in world.db.items("orders-table")}


@pytest.mark.parametrize(
    ("expression", "body"),
    [
        pytest.param("powertools_json(Message)", {**SNS, "Message": f"[{PUT_A}, {PUT_B}]"}, id="SNS"),
        pytest.param("detail", {**EVENT, "detail": json.loads(f"[{PUT_A}, {PUT_B}]")}, id="EventBridge"),
        pytest.param("detail.orders", {**EVENT, "detail": {"orders": json.loads(f"[{PUT_A}, {PUT_B}]")}}, id="nested"),
        pytest.param("records[*].op", {"records": [{"op": json.loads(PUT_A)}, {"op": json.loads(PUT_B)}]}, id="array"),
        pytest.param("[].powertools_json(@)", [PUT_A, PUT_B], id="an array of texts"),
        pytest.param(
            "powertools_json(powertools_base64(data))", {"data": encoded(f"[{PUT_A}, {PUT_B}]".encode())}, id="base64"
        ),
        pytest.param(
            "powertools_json(powertools_base64_gzip(data))",
            {"data": encoded(gzip.compress(f"[{PUT_A}, {PUT_B}]".encode(), mtime=0))},
            id="gzip",
        ),
        pytest.param("[a, b]", {"a": json.loads(PUT_A), "b": json.loads(PUT_B)}, id="a list of two"),
        pytest.param("[].{put: @}", [{"pk": "a"}, {"pk": "b"}], id="operations built from items"),
    ],
)
def test_the_records_of_an_envelope_are_written(expression: str, body: Any) -> None:
    world = unpacked(expression)

    outcome = world.run(body)

    assert written(world) == {"a", "b"}
    assert outcome.item_failures == []
    assert world.letters() == []


def test_one_record_need_not_be_in_an_array() -> None:
    world = unpacked("powertools_json(Message)")

    world.run({**SNS, "Message": PUT_A})

    assert written(world) == {"a"}


def test_an_envelope_may_hold_items() -> None:
    world = unpacked("detail", "item")

    world.run({**EVENT, "detail": {"pk": "a"}}, {**EVENT, "detail": [{"pk": "b"}, {"pk": "c"}]})

    assert written(world) == {"a", "b", "c"}


@pytest.mark.parametrize(
    ("expression", "envelope"),
    [
        ("detail", lambda text: f'{{"detail": {text}}}'),
        ("powertools_json(Message)", lambda text: json.dumps({"Message": text})),
        ("powertools_json(powertools_base64(d))", lambda text: json.dumps({"d": encoded(text.encode())})),
        (
            "powertools_json(powertools_base64_gzip(d))",
            lambda text: json.dumps({"d": encoded(gzip.compress(text.encode()))}),
        ),
        ("powertools_json(powertools_json(Outer).Inner)", lambda text: _twice(text)),
        ("{put: powertools_json(Message).put}", lambda text: json.dumps({"Message": text})),
    ],
    ids=["EventBridge", "SNS", "base64", "gzip", "an envelope in an envelope", "built anew"],
)
@pytest.mark.parametrize("literal", EXACT)
def test_numbers_keep_their_digits_through_an_envelope(literal: str, expression: str, envelope: Any) -> None:
    direct, world = World(), unpacked(expression)
    operation = f'{{"put": {{"pk": "a", "n": {literal}, "l": [{literal}]}}}}'

    direct.run(operation)
    world.run(envelope(operation))

    assert world.db.items("orders-table") == direct.db.items("orders-table") != []


def _twice(text: str) -> str:
    return json.dumps({"Outer": json.dumps({"Inner": text})})


def test_records_can_be_chosen_by_number_and_by_text() -> None:
    world = unpacked("records[?n > `1.5` && kind == 'order'].op")
    records = [
        {"n": n, "kind": kind, "op": {"put": {"pk": f"{kind}-{n}"}}} for n in (1, 2, 2.5) for kind in ("order", "other")
    ]

    world.run({"records": records})

    assert written(world) == {"order-2", "order-2.5"}


@pytest.mark.parametrize("expression", ["powertools_json(", "a..b", "[?", "@ @", "powertools_json(@"])
def test_an_invalid_expression_is_refused_at_cold_start(expression: str) -> None:
    with pytest.raises(SettingsError, match="RECORD_EXPRESSION") as refused:
        unpacked(expression)

    assert expression in str(refused.value)


@pytest.mark.parametrize(
    "expression", ["no_such_function(@)", "records[*].no_such_function(op)", "[?no_such_function(a) == `1`]"]
)
def test_an_unknown_function_is_refused_at_cold_start(expression: str) -> None:
    with pytest.raises(SettingsError, match=r"RECORD_EXPRESSION.*no_such_function"):
        unpacked(expression)


@pytest.mark.parametrize(
    ("expression", "body", "codes"),
    [
        pytest.param("detail", "{", ["InvalidJson"], id="a body that is no JSON"),
        pytest.param("powertools_json(Message)", {"Message": "{"}, ["InvalidJson"], id="a record that is no JSON"),
        pytest.param("powertools_json(Message)", {"Message": '{"put": {"n": NaN}}'}, ["InvalidJson"], id="NaN"),
        pytest.param("powertools_json(Message)", {"Message": '{"put": "\\ud800"}'}, ["InvalidJson"], id="surrogate"),
        pytest.param(
            "powertools_json(Message)", {"Message": "[" * 50_000 + "]" * 50_000}, ["NestingTooDeep"], id="deep"
        ),
        pytest.param("detail", {"other": 1}, ["UnknownOperation"], id="nothing there"),
        pytest.param("detail", {"detail": []}, ["UnknownOperation"], id="an empty list"),
        pytest.param("detail", {"detail": "text"}, ["UnknownOperation"], id="text"),
        pytest.param("detail", {"detail": {"put": {}}}, ["MissingKey"], id="a bad operation"),
    ],
)
def test_what_an_envelope_should_hold_and_does_not_is_dead_lettered(
    expression: str, body: Any, codes: list[str]
) -> None:
    world = unpacked(expression)

    outcome = world.run(body, json.dumps({"detail": json.loads(PUT_A), "Message": PUT_A}))

    assert world.reasons() == codes
    assert written(world) == {"a"}
    assert outcome.item_failures == []


@pytest.mark.parametrize(
    ("expression", "body"),
    [
        ("powertools_json(Message)", {"Message": 5}),
        ("powertools_json(Message)", {"Message": None}),
        ("powertools_json(Message)", {}),
        ("powertools_base64(data)", {"data": "***"}),
        ("powertools_base64(data)", {"data": encoded(b"\xff\xfe")}),
        ("powertools_base64(data)", {"data": "é"}),
        ("powertools_base64(data)", {"data": 5}),
        ("powertools_base64_gzip(data)", {"data": encoded(b"not gzip")}),
        ("powertools_base64_gzip(data)", {"data": encoded(gzip.compress(b"cut short" * 9)[:-9])}),
        ("powertools_base64_gzip(data)", {"data": encoded(gzip.compress(b"\xff\xfe"))}),
        ("length(data)", {"data": 5}),
        ("max_by(data, &n)", {"data": [{"n": 1}, {"n": "x"}]}),
    ],
)
def test_an_envelope_that_cannot_be_opened_stops_no_other_message(expression: str, body: Any) -> None:
    world = unpacked(expression)
    good = {"Message": PUT_A, "data": encoded(PUT_A.encode())}

    outcome = world.run(body, {"put": {"pk": "x"}}, good)

    assert len(world.letters()) + len(world.db.items("orders-table")) == 3
    assert set(world.reasons()) <= {"InvalidJson", "UnknownOperation"}
    assert outcome.item_failures == []
    assert outcome.error is None


def test_a_dead_letter_from_an_envelope_carries_the_whole_body() -> None:
    world = unpacked("records")
    body = '{"records":  [ {"put": {"pk": "a"}}, {"put": {"n": 1.10}} ], "id": 7}'

    world.run(body)

    assert [letter["Body"] for letter in world.letters()] == [body]
    assert written(world) == {"a"}


def test_a_dead_letter_from_an_envelope_that_is_an_array_carries_the_whole_body() -> None:
    world = unpacked("[?keep].op")
    bad = '{"keep": true, "op": {"put": {"n": 1.10}}}'
    body = f'[ {{"keep": false}}, {{"keep": true, "op": {PUT_A}}}, {bad} ]'

    world.run(body)

    assert [letter["Body"] for letter in world.letters()] == [body]
    assert written(world) == {"a"}


def test_a_dead_letter_of_request_items_in_an_envelope_carries_the_whole_body() -> None:
    world = unpacked("detail")
    requests = [{"PutRequest": {"Item": {"pk": {"S": "a"}}}}, {"PutRequest": {"Item": {"pk": {"S": ""}}}}]
    body = json.dumps({"detail": {"RequestItems": {"orders": requests}}})

    world.run(body)

    assert [letter["Body"] for letter in world.letters()] == [body]
    assert world.reasons() == ["EmptyKey"]
    assert written(world) == {"a"}
