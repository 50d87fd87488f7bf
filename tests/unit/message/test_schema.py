"""The JSON Schema of a message's body against the decoder, both ways."""

import base64
import json
from collections.abc import Iterator
from copy import deepcopy
from decimal import Decimal
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from sluice.message.decoder import Decoder
from sluice.message.settings import Settings
from sluice.schema import message_schema
from tests.strategies import ALL_KINDS, MISTAKES, TABLES, Body, as_json, request_items, single_operations, workloads

SCHEMA = message_schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
ITEMS = jsonschema.Draft202012Validator({**SCHEMA, "oneOf": [{"$ref": "#/$defs/items"}]})
DECODER = Decoder(Settings(TABLES))
ITEM_DECODER = Decoder(Settings(TABLES, record_format="item"))

# docs/messages.md says for each of them what no schema can state.
BEYOND_THE_SCHEMA = {
    "UnknownTable",
    "MissingKey",
    "UnexpectedKeyAttribute",
    "KeyTypeMismatch",
    "EmptyKey",
    "KeyTooLong",
    "ItemTooLarge",
    "NestingTooDeep",
    "InvalidNumber",
    "DuplicateSetElement",
    "InvalidAttribute",
    "InvalidExpression",
    "MissingVersion",
    "UnknownOperation: version: the table has no version attribute",
}


def codes(decoder: Decoder, text: str) -> set[str]:
    message = decoder.decode({"messageId": "m", "body": text})
    return {
        f"{rejection.code}: {rejection.message}" if rejection.message.startswith("version:") else rejection.code
        for _, rejection in message.rejected
    }


def parsed(text: str) -> Any:
    return json.loads(text, parse_float=Decimal)


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"


SPARE: tuple[Any, ...] = (
    None,
    True,
    0,
    1.5,
    "",
    "a",
    ":v",
    "attribute_exists(pk)",
    [],
    [1],
    {},
    {"S": "a"},
    {"N": "1"},
    {"N": 1},
    {"SS": []},
    {"NS": ["1", "1"]},
    {"B": "QQ=="},
    {"B": "?"},
    {"put": {"pk": "a"}},
    {"#n": "a"},
    {"n": "a"},
    {"": "a"},
    {"PutRequest": {"Item": {"pk": {"S": "a"}}}},
)
NAMES = (
    *("put", "delete", "update", "table", "condition", "expression", "names", "values", "version", "pk", "", "x"),
    *("Item", "Key", "PutRequest", "Put", "Update", "UpdateExpression", "TableName", "RequestItems", "S", "N", "NULL"),
)


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every container in a JSON value with each of its keys or indexes."""
    if isinstance(value, dict | list):
        for place in list(value) if isinstance(value, dict) else range(len(value)):
            yield value, place
            yield from places(value[place])


@st.composite
def corrupt(draw: st.DrawFn, body: Any) -> Any:
    """The body with up to three changes anywhere in it."""
    for _ in range(draw(st.integers(1, 3))):
        found = list(places([body]))[1:]
        if not found:
            return body
        container, place = draw(st.sampled_from(found))
        match draw(st.sampled_from(["replace", "remove", "add"])):
            case "replace":
                container[place] = deepcopy(draw(st.sampled_from(SPARE)))
            case "remove":
                del container[place]
            case _ if isinstance(container, dict):
                container[draw(st.sampled_from(NAMES))] = deepcopy(draw(st.sampled_from(SPARE)))
            case _:
                container.append(deepcopy(draw(st.sampled_from(SPARE))))
    return body


def shortened(value: Any) -> Any:
    """Without the long texts, which make a failing example hard to read and a run slow."""
    if isinstance(value, dict):
        return {name: shortened(member) for name, member in value.items()}
    if isinstance(value, list):
        return [shortened(element) for element in value]
    return value[:5] if isinstance(value, str) and len(value) > 1000 else value


def json_text(value: Any) -> str:
    return json.dumps(value, default=lambda number: float(number), ensure_ascii=False)


def agree(decoder: Decoder, validator: Any, text: str) -> bool:
    """Assert what can be; True where the schema accepts."""
    refused = codes(decoder, text)
    accepts = validator.is_valid(parsed(text))
    assert accepts or refused, "the schema refuses what the decoder takes"
    assert not accepts or refused <= BEYOND_THE_SCHEMA, "the schema accepts what it could have refused"
    return bool(accepts)


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(st.one_of(workloads(), single_operations(*ALL_KINDS), request_items(*ALL_KINDS)))
def test_what_the_decoder_takes_the_schema_accepts(bodies: list[Body]) -> None:
    for body in bodies[:4]:
        if body.parses:
            agree(DECODER, VALIDATOR, body.text)


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(st.data(), single_operations("put", "delete"))
def test_what_the_schema_refuses_the_decoder_rejects(data: st.DataObject, bodies: list[Body]) -> None:
    body = data.draw(corrupt(shortened(json.loads(bodies[0].text))))

    accepts = agree(DECODER, VALIDATOR, json_text(body))

    event("accepted" if accepts else "refused")


UPDATE = {
    "update": {"pk": "a"},
    "expression": "SET #n = :v",
    "names": {"#n": "n"},
    "values": {":v": 1},
    "condition": "attribute_exists(#n)",
    "table": "orders",
}
NATIVE_UPDATE = {
    "Update": {
        "Key": {"pk": {"S": "a"}},
        "UpdateExpression": "SET #n = :v",
        "ConditionExpression": "attribute_exists(#n)",
        "ExpressionAttributeNames": {"#n": "n"},
        "ExpressionAttributeValues": {":v": {"N": "1"}},
        "TableName": "orders",
    }
}
CONDITIONAL = {"put": {"pk": "a", "l": [1, {"m": None}]}, "condition": "attribute_not_exists(pk)"}


@pytest.mark.parametrize("body", [UPDATE, NATIVE_UPDATE, CONDITIONAL], ids=["update", "Update", "conditional put"])
def test_operations_with_expressions_are_accepted_by_both(body: Any) -> None:
    assert codes(DECODER, json.dumps(body)) == set()
    assert VALIDATOR.is_valid(body)


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(st.data(), st.sampled_from([UPDATE, NATIVE_UPDATE, CONDITIONAL]))
def test_corrupt_expressions_are_judged_alike(data: st.DataObject, body: Any) -> None:
    agree(DECODER, VALIDATOR, json_text(data.draw(corrupt(json.loads(json.dumps(body))))))


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(st.data(), st.sampled_from([{"pk": "a", "n": [1.5, {"x": None}]}, [{"pk": "a"}, {"pk": "b", "n": 1}]]))
def test_items_are_judged_alike_where_the_function_expects_items(data: st.DataObject, body: Any) -> None:
    assert agree(ITEM_DECODER, ITEMS, json.dumps(body))
    agree(ITEM_DECODER, ITEMS, json_text(data.draw(corrupt(json.loads(json.dumps(body))))))


@pytest.mark.parametrize("length", range(8))
def test_binary_of_any_length_is_accepted_by_both(length: int) -> None:
    body = {"PutRequest": {"Item": {"pk": {"S": "a"}, "b": {"B": base64.b64encode(b"\xff" * length).decode()}}}}

    assert agree(DECODER, VALIDATOR, json.dumps(body))


REFUSED = [
    *((code, as_json(body)) for code, body in MISTAKES if code not in BEYOND_THE_SCHEMA),
    ("UnknownOperation", "[]"),
    ("UnknownOperation", "{}"),
    ("UnknownOperation", '"text"'),
    ("UnknownOperation", '{"update": {"pk": "a"}}'),
    ("UnknownOperation", '{"put": {"pk": "a"}, "delete": {"pk": "a"}}'),
    ("UnknownOperation", '{"put": {"pk": "a"}, "expression": "SET a = :b"}'),
    ("UnknownOperation", '{"put": [1]}'),
    ("UnknownOperation", '{"RequestItems": {}}'),
    ("UnknownOperation", '{"RequestItems": {"orders": []}}'),
    ("InvalidAttribute", '{"PutRequest": {"Item": {"pk": {"S": "a", "N": "1"}}}}'),
    ("InvalidAttribute", '{"PutRequest": {"Item": {"pk": {"S": "a"}, "n": {"N": 1}}}}'),
    ("InvalidAttribute", '{"PutRequest": {"Item": {"pk": {"S": "a"}, "n": {"NULL": false}}}}'),
    ("EmptySet", '{"PutRequest": {"Item": {"pk": {"S": "a"}, "n": {"SS": []}}}}'),
    ("InvalidExpression", '{"put": {"pk": "a"}, "condition": null}'),
    ("InvalidExpression", '{"put": {"pk": "a"}, "condition": " "}'),
    ("InvalidExpression", '{"put": {"pk": "a"}, "condition": "pk = :v", "values": {"v": 1}}'),
    ("InvalidExpression", '{"put": {"pk": "a"}, "condition": "pk = :v", "names": {":v": "pk"}}'),
    ("InvalidExpression", '{"put": {"pk": "a"}, "condition": "#v = pk", "values": {"#v": 1}}'),
    (
        "InvalidExpression",
        '{"Delete": {"Key": {"pk": {"S": "a"}}, "ConditionExpression": "#v = pk",'
        ' "ExpressionAttributeValues": {"#v": {"N": "1"}}}}',
    ),
    *(
        ("InvalidAttribute", f'{{"PutRequest": {{"Item": {{"pk": {{"S": "a"}}, "b": {{"B": "{text}"}}}}}}}}')
        for text in ("QQ", "QQ=", "QQ===", "QUJD=", "QUJD====", "=", "Q", "QQ==QQ==", "Q Q=")
    ),
    ("EmptyKey", '{"delete": {"pk": ""}}'),
]


@pytest.mark.parametrize(("code", "text"), REFUSED)
def test_the_schema_refuses_by_itself(code: str, text: str) -> None:
    assert code in codes(DECODER, text)
    assert not VALIDATOR.is_valid(json.loads(text))
