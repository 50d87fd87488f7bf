"""The decoder and the service agree: what the one accepts the other takes, what the one rejects the other refuses.

The service is the strict fake, which keeps DynamoDB's rules by itself. What is tested lies near the limits.
"""

import base64
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from botocore.exceptions import ClientError, ParamValidationError
from hypothesis import given
from hypothesis import strategies as st

from sluice.message.decoder import Decoder, Message
from sluice.message.settings import Settings, Table
from tests.fakes import FakeDynamoDB
from tests.fakes.attribute_values import item_bytes
from tests.strategies import (
    COUNTS,
    PAIRS,
    TABLES,
    Digits,
    as_json,
    examples,
    native,
    numbers_that_do_not_fit,
    numbers_that_fit,
    until_seen,
)
from tests.world import BLOBS, EVENTS, ORDERS

ITEM_BYTES = 400 * 1024  # Constraints, "Item size"
# What DynamoDB itself would say of the item or key; other codes are about the message around it.
ITEM_CODES = {
    "MissingKey", "UnexpectedKeyAttribute", "KeyTypeMismatch", "EmptyKey", "KeyTooLong", "ItemTooLarge",
    "NestingTooDeep", "InvalidNumber", "EmptySet", "DuplicateSetElement", "InvalidAttribute",
}  # fmt: skip


def decode(text: str) -> Message:
    return Decoder(Settings(TABLES)).decode({"messageId": "m", "body": text})


def is_taken(table: Table, request: dict[str, Any]) -> bool:
    db = FakeDynamoDB()
    sort_key = (table.sort_key.name, table.sort_key.type) if table.sort_key else None
    db.create_table(table.name, partition_key=(table.partition_key.name, table.partition_key.type), sort_key=sort_key)
    try:
        db.batch_write_item(RequestItems={table.name: [request]})
    except ParamValidationError:  # botocore does not even send it.
        return False
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationException":
            raise
        return False
    return True


def agree(table: Table, body: Any, request: dict[str, Any]) -> str:
    """Check that decoder and service agree on an operation; returns the code, or "taken"."""
    message = decode(as_json(body))
    if message.operations:
        [operation] = message.operations
        assert is_taken(table, operation.request), "accepted, but refused by the service"
        return "taken"
    [(_, rejection)] = message.rejected
    assert rejection.code in ITEM_CODES
    assert not is_taken(table, request), f"{rejection}, but the service takes it"
    return rejection.code


# Values near the limits

key_texts = st.one_of(
    st.sampled_from(
        ["", "a", "x" * 1024, "x" * 1025, "x" * 2048, "x" * 2049, "é" * 512, "é" * 1024, "é" * 1025, "€" * 341]
    ),
    st.text("aé€", max_size=3),
)
numbers = st.one_of(numbers_that_fit(), numbers_that_fit(), numbers_that_do_not_fit())
native_numbers = st.one_of(
    numbers.map(str),
    st.sampled_from(["", "+1", ".5", "5.", "1_0", " 1", "NaN", "Infinity", "0x1", "\u0661", "1e", "-", "--1"]),
)
binaries = st.sampled_from([b"", b"a", b"\x00" * 1024, b"\xff" * 1025, b"b" * 2048, b"b" * 2049])


def nested(levels: int, wrap: Callable[[Any], Any], innermost: Any) -> Any:
    value = innermost
    for _ in range(levels):
        value = wrap(value)
    return value


depths = st.one_of(st.integers(0, 4), st.integers(29, 34))
plain_values = st.one_of(
    st.none(), st.booleans(), numbers, key_texts,
    st.builds(nested, depths, st.just(lambda value: [value]), st.sampled_from(["x", [], {}])),
    st.builds(nested, depths, st.just(lambda value: {"x": value, "y": ""}), st.sampled_from([None, [], {}])),
)  # fmt: skip
native_values = st.one_of(
    native_numbers.map(lambda number: {"N": number}),
    key_texts.map(lambda text: {"S": text}),
    binaries.map(lambda binary: {"B": binary}),
    st.lists(st.text("aé", max_size=1), max_size=3).map(lambda texts: {"SS": texts}),
    st.lists(st.sampled_from(["1", "1.0", "10e-1", "2"]), max_size=2).map(lambda texts: {"NS": texts}),
    st.lists(st.sampled_from([b"", b"a", b"b"]), max_size=2).map(lambda binary: {"BS": binary}),
    st.builds(nested, depths, st.just(lambda value: {"L": [value]}), st.sampled_from([{"S": ""}, {"L": []}])),
    st.builds(nested, depths, st.just(lambda value: {"M": {"x": value}}), st.sampled_from([{"NULL": True}, {"M": {}}])),
)  # fmt: skip
sound_values = st.recursive(
    st.one_of(
        numbers_that_fit().filter(lambda number: Decimal(number) != 0).map(lambda number: {"N": str(number)}),
        st.text("aé", max_size=5).map(lambda text: {"S": text}),
        st.just({"SS": ["", "é"]}),
        st.just({"NS": ["0", "-1.50", "1E-130"]}),
        st.sampled_from([{"BOOL": True}, {"NULL": True}, {"B": b"\x00\xff"}, {"BS": [b"", b"a"]}, {"N": "0"}]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map(lambda elements: {"L": elements}),
        st.dictionaries(st.text("aé", min_size=1), inner, max_size=4).map(lambda members: {"M": members}),
    ),
    max_leaves=10,
)
names = st.sampled_from(["pk", "sk", "id", "n", "v", "x", "é", "n" * 300, ""])


def key_for(draw: st.DrawFn, table: Table, native_form: bool) -> dict[str, Any]:
    """A key that is mostly near a limit, sometimes of another type, sometimes incomplete."""
    key = {}
    for attribute in table.key:
        good = {"S": "a", "N": Digits("1"), "B": b"a"}
        right: dict[str, st.SearchStrategy[Any]] = {"S": key_texts, "N": numbers, "B": binaries}
        kind = draw(st.sampled_from([attribute.type] * 8 + ["S", "N", "none"]))
        if kind != "none":
            value = draw(st.one_of(st.just(good[kind]), right[kind]))
            key[attribute.name] = {kind: str(value) if kind == "N" else value} if native_form else value
    return key


def test_decoder_and_service_agree_on_native_operations() -> None:
    seen: Counter[str] = Counter()

    @st.composite
    def operations(draw: st.DrawFn) -> tuple[Table, str, dict[str, Any]]:
        table = draw(st.sampled_from([ORDERS, EVENTS, BLOBS, PAIRS, COUNTS]))
        action = draw(st.sampled_from(["Put", "Put", "Delete"]))
        attributes = key_for(draw, table, native_form=True)
        if action == "Put" or draw(st.integers(0, 2)) == 0:
            attributes |= draw(st.dictionaries(names, native_values, max_size=2))
        return table, action, attributes

    @examples(2)
    @given(operations())
    def holds(operation: tuple[Table, str, dict[str, Any]]) -> None:
        table, action, attributes = operation
        inner = "Item" if action == "Put" else "Key"
        body = {action: {inner: attributes, "TableName": table.alias}}
        seen[agree(table, body, {f"{action}Request": {inner: attributes}})] += 1

    until_seen(holds, seen, ITEM_CODES - {"ItemTooLarge"} | {"taken"})


@pytest.mark.parametrize(
    "value",
    [
        {}, {"S": "a", "N": "1"}, {"X": "a"}, {"s": "a"}, {"S": 5}, {"S": None}, {"N": 5}, {"NS": [1]}, {"SS": "a"},
        {"SS": [None]}, {"NS": ["x"]},
        {"NS": ["1", "1.0"]}, {"BOOL": "true"}, {"BOOL": 1}, {"BOOL": True}, {"NULL": False}, {"NULL": True},
        {"NULL": "true"}, {"L": {}}, {"L": [{}]}, {"L": ["a"]}, {"M": []}, {"M": {"": {"S": "a"}}}, {"M": {"a": "a"}},
        {"B": "no base64!"}, {"BS": ["no base64!"]}, {"BS": [b"a", b"a"]}, {"BS": []}, "a", None, [], {"S": ["a"]},
    ],
)  # fmt: skip
def test_decoder_and_service_agree_on_an_odd_value(value: Any) -> None:
    item = {"pk": {"S": "a"}, "v": value}

    agree(ORDERS, {"PutRequest": {"Item": item}}, {"PutRequest": {"Item": item}})


def test_decoder_and_service_agree_on_plain_operations() -> None:
    seen: Counter[str] = Counter()

    @st.composite
    def operations(draw: st.DrawFn) -> tuple[Table, str, dict[str, Any]]:
        table = draw(st.sampled_from([ORDERS, EVENTS, PAIRS, COUNTS]))
        action = draw(st.sampled_from(["put", "put", "delete"]))
        attributes = key_for(draw, table, native_form=False)
        attributes = {name: value for name, value in attributes.items() if not isinstance(value, bytes)}
        if action == "put" or draw(st.integers(0, 2)) == 0:
            attributes |= draw(st.dictionaries(names, plain_values, max_size=2))
        return table, action, attributes

    @examples(2)
    @given(operations())
    def holds(operation: tuple[Table, str, dict[str, Any]]) -> None:
        table, action, attributes = operation
        request = {f"{action.title()}Request": {"Item" if action == "put" else "Key": native(attributes)["M"]}}
        seen[agree(table, {action: attributes, "table": table.name}, request)] += 1

    until_seen(holds, seen, ITEM_CODES - {"ItemTooLarge", "EmptySet", "DuplicateSetElement"} | {"taken"})


def test_decoder_and_service_agree_on_the_size_of_an_item() -> None:
    seen: Counter[str] = Counter()

    @given(
        st.dictionaries(names.filter(bool), sound_values, min_size=1, max_size=4),
        st.integers(-2, 2),
        st.sampled_from("xé"),
    )
    def holds(attributes: dict[str, Any], beyond: int, letter: str) -> None:
        item: dict[str, Any] = {**attributes, "pk": {"S": "a"}}
        padding = ITEM_BYTES + beyond - item_bytes({**item, "pad": {"S": ""}})
        text = letter * (padding // len(letter.encode()))
        item["pad"] = {"S": text + "x" * (padding - len(text.encode()))}
        assert item_bytes(item) == ITEM_BYTES + beyond

        code = agree(ORDERS, {"PutRequest": {"Item": item}}, {"PutRequest": {"Item": item}})

        assert code == ("ItemTooLarge" if beyond > 0 else "taken")
        seen[code] += 1
        seen.update({kind for value in attributes.values() for kind in value})

    until_seen(holds, seen, {"ItemTooLarge", "taken", "S", "N", "SS", "NS", "L", "M"}, times=6)


@given(st.binary(max_size=12))
def test_binary_is_stored_as_the_bytes_that_were_meant(binary: bytes) -> None:
    body = {"PutRequest": {"Item": {"pk": {"S": "a"}, "b": {"B": base64.b64encode(binary).decode()}}}}

    [operation] = decode(as_json(body)).operations

    assert operation.request["PutRequest"]["Item"]["b"] == {"B": binary}
