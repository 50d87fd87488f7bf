"""Numbers keep their value, whichever way they come; what DynamoDB cannot hold is InvalidNumber."""

import json
from decimal import Decimal, DecimalException
from typing import Any

import pytest
from boto3.dynamodb.types import TypeSerializer
from hypothesis import example, given, reject
from hypothesis import strategies as st

from sluice.message.decoder import Decoder
from sluice.message.settings import Settings
from tests.fakes.attribute_values import canonical_value
from tests.strategies import COUNTS, Digits, as_json, numbers_that_do_not_fit, numbers_that_fit, parsed
from tests.world import ORDERS, World

PLAIN = '{{"put": {{"pk": "a", "n": {0}}}}}'
BODIES = {
    "plain": PLAIN,
    "plain, deep": '{{"put": {{"pk": "a", "n": {0}, "deep": [{{"n": [{0}, 1]}}]}}}}',
    "native": '{{"PutRequest": {{"Item": {{"pk": {{"S": "a"}}, "n": {{"N": "{0}"}}}}}}}}',
    "native set": '{{"Put": {{"Item": {{"pk": {{"S": "a"}}, "n": {{"N": "{0}"}}, "set": {{"NS": ["{0}"]}}}}}}}}',
}


def wrapped(body: str) -> str:
    """As SNS or EventBridge would: JSON inside a string inside JSON."""
    return json.dumps({"Message": body})


def run(body: str, **settings: Any) -> tuple[list[Any], list[str]]:
    world = World([ORDERS], settings)
    world.run(body)
    return world.db.items("orders-table"), world.reasons()


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@given(number=numbers_that_fit())
def test_a_number_that_fits_is_stored_with_its_value(body: str, number: Digits) -> None:
    [item], reasons = run(body.format(number))

    assert reasons == []
    assert Decimal(item["n"]["N"]) == Decimal(number)


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@given(number=numbers_that_do_not_fit())
def test_a_number_that_does_not_fit_is_dead_lettered_as_invalid(body: str, number: Digits) -> None:
    items, reasons = run(body.format(number))

    assert items == []
    assert reasons == ["InvalidNumber"]


# The second is more than a path, so that the short way does not take it.
@pytest.mark.parametrize("expression", ["powertools_json(Message)", "powertools_json(@.Message)"])
@given(number=st.one_of(numbers_that_fit(), numbers_that_do_not_fit()))
def test_an_envelope_changes_no_number(expression: str, number: Digits) -> None:
    straight = run(PLAIN.format(number))

    through_envelope = run(wrapped(PLAIN.format(number)), record_expression=expression)

    assert through_envelope == straight


@given(numbers_that_fit(), numbers_that_fit())
@example(Digits("1"), Digits("1.0"))
@example(Digits("100"), Digits("1e2"))
@example(Digits("0"), Digits("-0.0"))
def test_two_numbers_are_one_key_exactly_when_they_are_equal(first: Digits, second: Digits) -> None:
    world = World([COUNTS])

    world.run({"put": {"n": 7}}, f'{{"put": {{"n": {first}}}}}', f'{{"put": {{"n": {second}}}}}')

    distinct = {Decimal(7), Decimal(first), Decimal(second)}
    assert {Decimal(item["n"]["N"]) for item in world.db.items("counts-table")} == distinct
    assert sum(len(call.kwargs["RequestItems"]["counts-table"]) for call in world.db.calls) == len(distinct)


@pytest.mark.parametrize("zero", ["0e99999999999999999999", "-0.0E-99999999999999999999"])
def test_zero_is_zero_whatever_its_exponent(zero: str) -> None:
    [item], _ = run(PLAIN.format(zero))

    assert item["n"] == {"N": "0"}


plain_json = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers_that_fit(), st.text(st.characters(exclude_categories=["Cs"]))),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text("abcé", min_size=1), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(plain_json)
def test_plain_json_becomes_what_boto3_makes_of_it(value: Any) -> None:
    """boto3's own serializer is the measure, of the same JSON read with exact numbers."""
    text = as_json({"put": {"pk": "a", "value": value}})

    [operation] = Decoder(Settings((ORDERS,))).decode({"messageId": "m", "body": text}).operations

    try:
        expected = TypeSerializer().serialize(parsed(text)["put"]["value"])
    except DecimalException:  # It takes fewer numbers than DynamoDB: none that its decimal context would have to round.
        reject()
    written = operation.request["PutRequest"]["Item"]["value"]
    assert canonical_value(written) == canonical_value(expected)
