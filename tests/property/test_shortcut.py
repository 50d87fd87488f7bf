"""The short way and the exact way agree: where the short way answers, both have built the same; and it does answer."""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.message.decoder import Decoder, Message
from sluice.message.operation import SingleWrite
from sluice.message.settings import Settings
from tests.fakes.attribute_values import item_bytes
from tests.property import fuzz
from tests.property.two_ways import agree, attributes, record, short_way
from tests.strategies import (
    COUNTS,
    TABLES,
    Body,
    Digits,
    as_json,
    names,
    native,
    native_values,
    numbers_that_do_not_fit,
    numbers_that_fit,
    ordinary_numbers,
    plain_values,
    texts,
    workloads,
)
from tests.world import EVENTS, ORDERS, VERSIONED

SETTINGS = Settings(TABLES)
DECODER = Decoder(SETTINGS)
VERSIONS = Settings((VERSIONED, EVENTS))
VERSIONS_DECODER = Decoder(VERSIONS)
ITEM_SETTINGS = Settings(TABLES, record_format="item")
ITEM_DECODER = Decoder(ITEM_SETTINGS)


def kinds(case: fuzz.Case, exact: Message) -> set[str]:
    """What of a body makes it worth comparing."""
    settings = case.setup.settings
    found: set[str] = {operation.call for operation in exact.operations if isinstance(operation, SingleWrite)}
    found |= {"version" for operation in exact.operations if isinstance(operation, SingleWrite) and operation.version}
    found |= {"condition" for each in exact.operations if isinstance(each, SingleWrite) and each.is_conditional}
    return found | {settings.record_expression or "no envelope", settings.record_format}


def test_the_two_ways_agree_on_whatever_comes() -> None:
    seen: Counter[str] = Counter()
    answered: Counter[str] = Counter()
    for number in range(4_000):
        case = fuzz.case_of(7, number)
        answers, exact = agree(case.body, case.setup.decoder, case.setup.settings)
        seen["short" if answers else "rejected" if exact.rejected else "exact"] += 1
        answered.update(kinds(case, exact) if answers else ())

    assert min(seen["short"], seen["rejected"], seen["exact"]) > 150
    wanted = {"put_item", "delete_item", "update_item", "version", "condition", "item", "operation", "no envelope"}
    wanted |= {"detail", 'a."b-c"', "powertools_json(Message)", "powertools_json(Message).detail"}
    assert {name for name in wanted if answered[name] >= 3} == wanted


@given(workloads())
def test_the_two_ways_agree_on_messages(bodies: Sequence[Body]) -> None:
    for body in bodies:
        agree(body.text, DECODER, SETTINGS)


# Ordinary data, which must go the short way.

keys = st.one_of(st.just(ORDERS), st.just(COUNTS), st.just(EVENTS)).flatmap(
    lambda table: st.tuples(
        st.just(table),
        st.fixed_dictionaries(
            {key.name: texts.filter(bool) if key.type == "S" else ordinary_numbers for key in table.key}
        ),
    )
)


@given(keys, st.dictionaries(names, plain_values, max_size=6), st.booleans())
def test_an_ordinary_item_goes_the_short_way(key: Any, values: dict[str, Any], in_array: bool) -> None:
    table, key_values = key
    element = {"put": values | key_values} | ({} if table is ORDERS else {"table": table.alias})

    answers, exact = agree(as_json([element] * 2 if in_array else element), DECODER, SETTINGS)

    assert not exact.rejected
    assert answers


@given(keys, st.dictionaries(names, native_values, max_size=6), st.sampled_from(["PutRequest", "Put", "RequestItems"]))
def test_an_ordinary_item_in_dynamodb_json_goes_the_short_way(key: Any, values: dict[str, Any], form: str) -> None:
    table, key_values = key
    item = values | {name: native(value) for name, value in key_values.items()}
    request = {"Item": item}
    element: Any = {"Put": request | {"TableName": table.name}}
    if form == "PutRequest" and table is ORDERS:
        element = {"PutRequest": request}
    if form == "RequestItems":
        element = {"RequestItems": {table.alias: [{"PutRequest": request}]}}

    answers, exact = agree(as_json(element), DECODER, SETTINGS)

    assert not exact.rejected
    assert answers


@given(keys, st.sampled_from(["delete", "DeleteRequest", "Delete"]))
def test_an_ordinary_delete_goes_the_short_way(key: Any, form: str) -> None:
    table, plain = key
    attributes = {name: native(value) for name, value in plain.items()}
    element = {
        "delete": {"delete": plain, "table": table.alias},
        "DeleteRequest": {"RequestItems": {table.name: [{"DeleteRequest": {"Key": attributes}}]}},
        "Delete": {"Delete": {"Key": attributes, "TableName": table.alias}},
    }[form]

    answers, exact = agree(as_json(element), DECODER, SETTINGS)

    assert not exact.rejected
    assert answers


@given(st.dictionaries(names, plain_values, max_size=6))
def test_an_ordinary_item_by_itself_goes_the_short_way(values: dict[str, Any]) -> None:
    answers, exact = agree(as_json(values | {"pk": "a"}), ITEM_DECODER, ITEM_SETTINGS)

    assert not exact.rejected
    assert answers


# Odd bodies: what the short way must leave to the exact way.


def put(**more: Any) -> str:
    return json.dumps({"put": {"pk": "a"} | more})


def native_put(value: Any, table: str = "orders", name: str = "v") -> str:
    item = ({"pk": {"S": "a"}} if table == "orders" else {}) | {name: value}
    return json.dumps({"Put": {"Item": item, "TableName": table}})


ODD_BODIES = {
    "bytes": b'{"put": {"pk": "a"}}',
    "nothing": None,
    "a native form with a table beside it": '{"Put": {"Item": {"pk": {"S": "a"}}}, "table": "orders"}',
    "a string that is a number": native_put({"S": 5}),
    "a string that is a decimal": native_put({"S": 1.5}),
    "a map that is a list": native_put({"M": []}),
    "a map that is text": native_put({"M": ""}),
    "a list that is a map": native_put({"L": {}}),
    "a list that is text": native_put({"L": ""}),
    "a number that is a number": native_put({"N": 1.5}),
    "a number in other digits": native_put({"N": "\u0661"}),
    "a value of two types": native_put({"S": "a", "N": "1"}),
    "an empty binary key": native_put({"B": ""}, "blobs", "id"),
    "binary that is not base64": native_put({"B": "a"}),
    "an empty sort key": '{"put": {"pk": "a", "sk": ""}, "table": "pairs"}',
    "a key that is a decimal": '{"put": {"pk": 1.5}}',
    "no tables": '{"RequestItems": {}}',
    "no requests": '{"RequestItems": {"orders": []}}',
    "RequestItems beside another member": '{"RequestItems": {"orders": [{}]}, "put": {"pk": "a"}}',
    "a condition with brackets that do not match": '{"put": {"pk": "a"}, "condition": "v = v)"}',
    "a condition that is empty": '{"put": {"pk": "a"}, "condition": ""}',
    "a condition with an unknown name": '{"put": {"pk": "a"}, "condition": "attribute_exists(#v)"}',
    "a name that is not used": '{"put": {"pk": "a"}, "condition": "v = v", "names": {"#v": "v"}}',
    "a name that is a number": '{"put": {"pk": "a"}, "condition": "#v = v", "names": {"#v": 1}}',
    "a name that is a list": '{"put": {"pk": "a"}, "condition": "#v = v", "names": {"#v": ["v"]}}',
    "names that are a list": '{"put": {"pk": "a"}, "condition": "v = v", "names": []}',
    "names without an expression": '{"put": {"pk": "a"}, "names": {"#v": "v"}}',
    "null for values": '{"put": {"pk": "a"}, "condition": "v = v", "values": null}',
    "an expression of a put": '{"put": {"pk": "a"}, "expression": "SET v = v"}',
    "an UpdateExpression of a Put": '{"Put": {"Item": {"pk": {"S": "a"}}, "UpdateExpression": "SET v = v"}}',
    "a version of a put": '{"put": {"pk": "a"}, "version": 1}',
    "a version of a table without one": '{"delete": {"pk": "a"}, "version": 1}',
    "an update without an expression": '{"update": {"pk": "a"}}',
    "an Update without an expression": '{"Update": {"Key": {"pk": {"S": "a"}}}}',
    "an update of the key": '{"update": {"pk": "a"}, "expression": "REMOVE pk"}',
    "an update of more than the key": '{"update": {"pk": "a", "v": 1}, "expression": "REMOVE v"}',
    "an update with a null for a condition": '{"update": {"pk": "a"}, "expression": "REMOVE v", "condition": null}',
    "an unknown member": '{"put": {"pk": "a"}, "condition": "v = v", "odd": 1}',
    "an unknown member of an Update": (
        '{"Update": {"Key": {"pk": {"S": "a"}}, "UpdateExpression": "REMOVE v", "ReturnValues": "NONE"}}'
    ),
    "two operations in one": '{"put": {"pk": "a"}, "delete": {"pk": "a"}}',
    "a null for a condition": '{"put": {"pk": "a"}, "condition": null}',
    "binary with line ends": native_put({"B": "YQ==\\n"}),
    "binary with bits behind it": native_put({"B": "YR=="}),
    "an empty set": native_put({"SS": []}),
    "a set that is text": native_put({"SS": "ab"}),
    "a string twice in a set": native_put({"SS": ["a", "a"]}),
    "a number twice in a set": native_put({"NS": ["1", "1.0"]}),
    "binary twice in a set": native_put({"BS": ["YQ==", "YQ=="]}),
    "a set of what is not base64": native_put({"BS": ["YQ"]}),
    "a ConditionCheck": json.dumps({"ConditionCheck": {"Key": {"pk": {"S": "a"}}, "ConditionExpression": "v = v"}}),
    "an unknown operation of a key": json.dumps({"Remove": {"Key": {"pk": {"S": "a"}}}}),
    "two numbers in one text of a set": native_put({"NS": ["1,1"]}),
    "39 digits in a set": native_put({"NS": ["1", "1" * 39]}),
    "out of range in a set": native_put({"NS": ["1", "1e130"]}),
    "a set of other things": native_put({"SS": ["a", 1]}),
    "a number in a set of numbers": native_put({"NS": [1]}),
    "an unknown type": native_put({"X": "a"}),
    "a flag that is text": native_put({"BOOL": "true"}),
    "a null that is false": native_put({"NULL": False}),
    "two numbers in one text": native_put({"L": [{"N": "1"}] * 20 + [{"N": "1,2"}]}),
    "a number with a sign": native_put({"L": [{"N": "1"}] * 20 + [{"N": "+"}]}),
    "a number with a space": native_put({"L": [{"N": "1"}] * 20 + [{"N": " 1"}]}),
    "out of range in a native list": native_put({"L": [{"N": "1"}] * 20 + [{"N": "1e130"}]}),
    "out of range in a list": put(v=[0.5] * 20).replace("0.5]", "1E130]"),
    "out of range in a list, in small letters": put(v=[0.5] * 20).replace("0.5]", "1e130]"),
    "out of range in so many digits": native_put({"N": "1" * 34 + "e99"}),
    "39 digits in a plain list": put(v=[0.5] * 20).replace("0.5]", f"0.{'1' * 39}]"),
    "39 digits in a list": native_put({"L": [{"N": "1"}] * 20 + [{"N": "1" * 39}]}),
    "a list of which one is of two types": native_put({"L": [{"N": "1"}] * 20 + [{"N": "1", "S": "a"}]}),
    "an empty array": "[]",
    "an array of text": '["put"]',
    "text": '"put"',
    "a table of another region": '{"put": {"pk": "a"}, "table": "arn:aws:dynamodb:x:123456789012:table/orders-table"}',
    # What JSON parsers are known to differ in.
    "a lone surrogate": '{"put": {"pk": "\\ud800"}}',
    "a lone surrogate as it is": '{"put": {"pk": "\ud800"}}',
    "half a pair": '{"put": {"pk": "\\ud83d\\u0041"}}',
    "NaN": '{"put": {"pk": "a", "n": NaN}}',
    "Infinity": '{"put": {"pk": "a", "n": -Infinity}}',
    "out of range": '{"put": {"pk": "a", "n": 1E400}}',
    "39 digits": f'{{"put": {{"pk": "a", "n": {"1" * 39}}}}}',
    "a megabyte of digits": f'{{"put": {{"pk": "a", "n": {"1" * 2**20}}}}}',
    "deep": f'{{"put": {{"pk": {"[" * 100_000}',
    "deep and closed": f'{{"put": {{"pk": "a", "v": {"[" * 900}{"]" * 900}}}}}',
    "something behind it": '{"put": {"pk": "a"}} x',
    "something behind the array": '[{"put": {"pk": "a"}}] x',
    "a byte order mark": '\ufeff{"put": {"pk": "a"}}',
    "a control character": '{"put": {"pk": "a\x01"}}',
    "a line end in a string": '{"put": {"pk": "a\n"}}',
    "a comma too many": '{"put": {"pk": "a",}}',
    "a zero in front": '{"put": {"pk": "a", "n": 01}}',
    "a comment": '{"put": {"pk": "a"}} // no',
    "single quotes": "{'put': {'pk': 'a'}}",
    "empty": "",
}
USUAL_BODIES = {
    "one name twice": '{"put": {"pk": "b", "pk": "a", "v": 1, "v": "last"}}',
    "one operation twice": '{"put": {"pk": "b"}, "put": {"pk": "a"}}',
    "a pair of surrogates": put(v="\U0001f600"),
    "all the characters": put(v='\x00\x1f\x7f\u2028/\\"é€'),
    "65 bits": put(v=2**64),
    "38 digits": put(v=10**38 - 1),
    "space around it": ' \t\r\n{"put" : { "pk" : "a" } } ',
    "two numbers that are one float": native_put({"NS": ["0.1", "0.10000000000000000001"]}),
    "two tables": (
        '{"RequestItems": {"orders": [{"PutRequest": {"Item": {"pk": {"S": "a"}}}}, {"DeleteRequest": {"Key": {"pk": '
        '{"S": "b"}}}}], "counts": [{"PutRequest": {"Item": {"n": {"N": "1"}}}}]}}'
    ),
}


@pytest.mark.parametrize("body", ODD_BODIES.values(), ids=ODD_BODIES)
def test_an_odd_body_is_left_to_the_exact_way(body: Any) -> None:
    assert short_way(DECODER, SETTINGS, body) is None


@pytest.mark.parametrize("body", USUAL_BODIES.values(), ids=USUAL_BODIES)
def test_the_two_ways_agree_on_a_usual_body(body: str) -> None:
    answers, exact = agree(body, DECODER, SETTINGS)

    assert exact.operations
    assert answers


# Requests that are sent as they came

EVERY_TYPE = (
    '{"PutRequest":{"Item":{"pk":{"S":"a"},"s":{"S":"a: {b}, é"},"n":{"N":"-1.50"},"y":{"BOOL":true},"z":{"NULL":true},'
    '"b":{"B":"YQ=="},"e":{"L":[]},"l":{"L":[{"S":"a"},{"N":"1"},{"L":[{"BOOL":false}]},{"M":{}}]},'
    '"m":{"M":{"x":{"S":""},"y":{"M":{"k":{"S":"a"}}}}},"ss":{"SS":["a","b"]},"ns":{"NS":["1","2"]},'
    '"bs":{"BS":["YQ=="]},"many":{"L":[' + ",".join(['{"N":"0.5"}'] * 30) + "]}}}}"
)
COPIED = {"a put": EVERY_TYPE, "a delete": '{"DeleteRequest":{"Key":{"pk":{"S":"a"}}}}'}
NOT_COPIED = {
    "a name twice": '{"PutRequest":{"Item":{"pk":{"S":"a"},"v":{"S":"1"},"v":{"S":"2"}}}}',
    "a name twice, spelled otherwise": '{"PutRequest":{"Item":{"pk":{"S":"a"},"v":{"S":"1"},"\\u0076":{"S":"2"}}}}',
    "a flag twice": '{"PutRequest":{"Item":{"pk":{"S":"a"},"v":{"BOOL":true},"v":{"BOOL":true}}}}',
    "a type twice": '{"PutRequest":{"Item":{"pk":{"S":"b","S":"a"}}}}',
    "a key twice": '{"DeleteRequest":{"Key":{"pk":{"S":"b"},"pk":{"S":"a"}}}}',
    "a name twice in a map": '{"PutRequest":{"Item":{"pk":{"S":"a"},"m":{"M":{"x":{"NULL":true},"x":{"L":[]}}}}}}',
    "a type twice in a list": '{"PutRequest":{"Item":{"pk":{"S":"a"},"l":{"L":[{"S":"a","S":"b"}]}}}}',
    "an Item twice": '{"PutRequest":{"Item":{"pk":{"S":"b"}},"Item":{"pk":{"S":"a"}}}}',
    "a PutRequest twice": '{"PutRequest":{"Item":{"pk":{"S":"b"}}},"PutRequest":{"Item":{"pk":{"S":"a"}}}}',
    "a number to be spelled otherwise": '{"PutRequest":{"Item":{"pk":{"S":"a"},"v":{"N":"-0"}}}}',
    "one of them in a set": '{"PutRequest":{"Item":{"pk":{"S":"a"},"v":{"NS":["-0"]}}}}',
    "white space": '{"PutRequest": {"Item": {"pk": {"S": "a"}}}}',
}


def short_bodies(body: str) -> list[bytes]:
    """What the short way sends of a request by itself, and in an array."""
    found = [short_way(DECODER, SETTINGS, text) for text in (body, f"[{body}]", f"[ {body} ,{body}]")]
    assert None not in found
    return [operation.body for operations in found for operation in operations or ()]


@pytest.mark.parametrize("body", COPIED.values(), ids=COPIED)
def test_a_request_that_is_right_is_sent_as_it_came(body: str) -> None:
    assert short_bodies(body) == [body.encode()] * 4


@pytest.mark.parametrize("body", NOT_COPIED.values(), ids=NOT_COPIED)
def test_a_request_that_is_to_be_spelled_otherwise_is_sent_with_each_name_once(body: str) -> None:
    def pairs(members: list[tuple[str, Any]]) -> dict[str, Any]:
        assert len(dict(members)) == len(members)
        return dict(members)

    agree(body, DECODER, SETTINGS)

    sent = short_bodies(body)
    assert body.encode() not in sent
    assert len({json.dumps(json.loads(each, object_pairs_hook=pairs)) for each in sent}) == 1


ODD_VERSIONS = {
    "no version": '{"put": {"pk": "a"}}',
    "a version that is a list": '{"put": {"pk": "a", "v": []}}',
    "a delete without a version": '{"delete": {"pk": "a"}}',
    "a DeleteRequest": '{"DeleteRequest": {"Key": {"pk": {"S": "a"}}}}',
    "a null for a condition": '{"put": {"pk": "a", "v": 1}, "condition": null}',
    "a version beside a put": '{"put": {"pk": "a", "v": 1}, "version": 1}',
    "a placeholder of the version's": '{"delete": {"pk": "a"}, "version": 1, "condition": "#sluice_version = v"}',
    "no room for the version's condition": json.dumps({"put": {"pk": "a", "v": 1}, "condition": "v" * 4090}),
}


@pytest.mark.parametrize("body", ODD_VERSIONS.values(), ids=ODD_VERSIONS)
def test_an_odd_version_is_left_to_the_exact_way(body: str) -> None:
    assert short_way(VERSIONS_DECODER, VERSIONS, body) is None


def test_an_item_may_have_attributes_that_are_called_as_operations_are() -> None:
    for name in ("RequestItems", "put", "table", "Delete"):
        answers, _ = agree(json.dumps({"pk": "a", name: {"orders": []}}), ITEM_DECODER, ITEM_SETTINGS)
        assert answers


@pytest.mark.parametrize("zero", ["-0", "-0.0", "-0e5", "-0.00E-7"])
def test_zero_is_sent_without_a_sign(zero: str) -> None:
    for body in (f'{{"put": {{"pk": "a", "v": {zero}}}}}', native_put({"N": zero})):
        operations = short_way(DECODER, SETTINGS, body)
        assert operations is not None
        assert attributes(operations[0])["v"] == {"N": "0"}


# Near the limits


numbers = st.one_of(numbers_that_fit(), numbers_that_do_not_fit())


@given(numbers, st.sampled_from(["{}", "[{}]", '{{"x": [{}]}}']))
def test_the_two_ways_agree_on_a_number(number: Digits, place: str) -> None:
    value = place.format(number)
    for item in (f'{{"n": 1, "value": {value}}}', f'{{"n": {number}}}'):
        agree(f'{{"put": {item}, "table": "counts"}}', DECODER, SETTINGS)
    for item in (f'{{"n": {{"N": "{number}"}}}}', f'{{"n": {{"N": "1"}}, "s": {{"L": [{{"N": "{number}"}}]}}}}'):
        agree(f'{{"Put": {{"Item": {item}, "TableName": "counts"}}}}', DECODER, SETTINGS)


@given(st.integers(28, 34), st.sampled_from(["list", "map", "both"]), st.booleans())
def test_the_two_ways_agree_on_nesting(levels: int, kind: str, as_native: bool) -> None:
    value: Any = "deep"
    for level in range(levels):
        value = [value] if kind == "list" or (kind == "both" and level % 2) else {"x": value}
    item = {"pk": "a", "v": value}
    body = {"PutRequest": {"Item": native(item)["M"]}} if as_native else {"put": item}

    answers, exact = agree(as_json(body), DECODER, SETTINGS)

    assert answers == (not exact.rejected) == (levels <= 31)


@given(st.sampled_from(["pk", "sk"]), st.sampled_from("aé€😀"), st.integers(250, 2100))
def test_the_two_ways_agree_on_a_long_key(name: str, letter: str, length: int) -> None:
    item = {"pk": "a", "sk": "b"} | {name: letter * length}

    agree(as_json({"put": item, "table": "pairs"}), DECODER, SETTINGS)


@given(st.integers(65_400, 65_600), st.booleans())
def test_the_two_ways_agree_on_a_long_name(length: int, deep: bool) -> None:
    value: Any = {"n" * length: 1}

    agree(as_json({"put": {"pk": "a"} | ({"deep": [value]} if deep else value)}), DECODER, SETTINGS)


# Sizes


@given(native_values)
def test_no_value_is_larger_than_its_json(value: Any) -> None:
    """So that a short JSON proves that the item is not too large."""
    item = {"a": value}
    text = json.dumps(json.loads(as_json(item)), ensure_ascii=False, separators=(",", ":"))

    assert item_bytes(item) <= len(text.encode())


long_texts = st.builds(
    lambda letter, length: letter * length, st.sampled_from("aé"), st.sampled_from([9, 300, 1000, 3000])
)


@given(
    st.lists(st.one_of(long_texts, long_texts, ordinary_numbers, st.booleans()), max_size=30),
    st.dictionaries(names, st.text("aé", max_size=100), max_size=5),
)
def test_the_estimate_of_write_units_is_off_by_one_at_most(values: list[Any], nested: dict[str, str]) -> None:
    item = {f"attribute{number}": value for number, value in enumerate(values)} | {"pk": "a", "map": nested}
    body = [{"put": item}, {"put": item, "condition": "attribute_not_exists(pk)"}]
    batch_write, single_write = DECODER.decode(record(as_json(body))).operations

    exact = -(-item_bytes(attributes(batch_write)) // 1024)

    assert abs(batch_write.write_units - exact) <= 1
    assert abs(single_write.write_units - exact) <= 1
