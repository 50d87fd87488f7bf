"""The fake of DynamoDB keeps the service's rules; each limit is tried at its edge and just past it."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import botocore.session
import pytest
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    ParamValidationError,
    ReadTimeoutError,
)
from botocore.serialize import create_serializer

from tests.fakes import (
    Capacity,
    Clock,
    ConnectionLost,
    Delay,
    FakeDynamoDB,
    Refusal,
    RejectIf,
    ServerError,
    Throttle,
    Timeout,
    Unprocessed,
    UnprocessedIf,
)
from tests.fakes.attribute_values import canonical_number, item_bytes
from tests.fakes.dynamodb import MAX_REQUEST_BYTES, wire_bytes

Item = dict[str, Any]
Request = dict[str, Any]


@pytest.fixture
def db() -> FakeDynamoDB:
    fake = FakeDynamoDB()
    fake.create_table(
        "orders",
        partition_key=("pk", "S"),
        sort_key=("sk", "N"),
        indexes=[("by_day", ("day", "S"), ("hour", "B"))],
    )
    fake.create_table("plain", partition_key=("pk", "S"), sort_key=("sk", "S"))
    fake.create_table("binary", partition_key=("pk", "B"))
    return fake


def put(pk: str = "a", sk: str = "1", **attributes: Item) -> Request:
    return {"PutRequest": {"Item": {"pk": {"S": pk}, "sk": {"N": sk}, **attributes}}}


def named(name: str) -> Request:
    return {"PutRequest": {"Item": {"pk": {"S": "a"}, "sk": {"N": "1"}, name: {"NULL": True}}}}


def delete(pk: str = "a", sk: str = "1", **attributes: Item) -> Request:
    return {"DeleteRequest": {"Key": {"pk": {"S": pk}, "sk": {"N": sk}, **attributes}}}


def write(db: FakeDynamoDB, *requests: Request, table: str = "orders", **kwargs: Any) -> dict[str, Any]:
    return db.batch_write_item(RequestItems={table: list(requests)}, **kwargs)


def puts(count: int) -> list[Request]:
    return [put(sk=str(number)) for number in range(count)]


def refusal(call: Callable[..., Any], *args: Any, **kwargs: Any) -> str:
    """The message of the ValidationException that the call raises."""
    with pytest.raises(ClientError) as raised:
        call(*args, **kwargs)
    assert raised.value.response["Error"]["Code"] == "ValidationException"
    return str(raised.value.response["Error"]["Message"])


def item_of(size: int) -> Item:
    """An item of table orders with exactly this many bytes: 2 + 1, 2 + 2 and 1 + the rest."""
    return {"pk": {"S": "a"}, "sk": {"N": "1"}, "f": {"S": "x" * (size - 8)}}


def nested(maps: int) -> Item:
    value: Item = {"S": "leaf"}
    for _ in range(maps):
        value = {"M": {"n": value}}
    return value


# BatchWriteItem: the whole request


def test_a_batch_is_written_and_nothing_is_left_over(db: FakeDynamoDB) -> None:
    write(db, put("a"), put("b"))

    response = write(db, delete("a"), put("c", day={"S": "monday"}))

    assert response["UnprocessedItems"] == {}
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert db.items("orders") == [
        {"pk": {"S": "b"}, "sk": {"N": "1"}},
        {"pk": {"S": "c"}, "sk": {"N": "1"}, "day": {"S": "monday"}},
    ]


def test_25_requests_are_written_and_26_refused(db: FakeDynamoDB) -> None:
    write(db, *puts(25))

    assert len(db.items("orders")) == 25
    assert "less than or equal to 25" in refusal(write, db, *puts(26))


def test_26_requests_over_two_tables_are_refused(db: FakeDynamoDB) -> None:
    texts = [{"PutRequest": {"Item": {"pk": {"S": "a"}, "sk": {"S": str(n)}}}} for n in range(14)]

    db.batch_write_item(RequestItems={"orders": puts(12), "plain": texts[:13]})

    assert "Too many items" in refusal(db.batch_write_item, RequestItems={"orders": puts(12), "plain": texts})


def test_a_request_without_tables_is_refused(db: FakeDynamoDB) -> None:
    assert "greater than or equal to 1" in refusal(db.batch_write_item, RequestItems={})


def test_an_empty_list_is_stopped_by_botocore_and_else_by_the_service(db: FakeDynamoDB) -> None:
    with pytest.raises(ParamValidationError):
        write(db)

    assert "greater than or equal to 1" in refusal(db.perform, "BatchWriteItem", {"RequestItems": {"orders": []}})


def test_what_botocore_refuses_is_refused_alike_and_never_reaches_the_service(db: FakeDynamoDB) -> None:
    with pytest.raises(ParamValidationError):
        write(db, put(f={"N": 1}))

    assert db.calls == []


def test_text_for_binary_is_refused_because_botocore_would_encode_it_twice(db: FakeDynamoDB) -> None:
    with pytest.raises(ParamValidationError, match="binary"):
        write(db, put(f={"B": "AAEC"}))
    with pytest.raises(ParamValidationError, match="binary"):
        write(db, put(f={"BS": ["AAEC"]}))
    write(db, put(f={"M": {"B": {"S": "an attribute called B"}}}))


@pytest.mark.parametrize("again", [put("a", "1.0"), put("a", "1e0"), delete("a", "01")])
def test_two_operations_on_one_item_are_refused(db: FakeDynamoDB, again: Request) -> None:
    message = refusal(write, db, put("a", "1"), put("b"), again)

    assert message == "Provided list of item keys contains duplicates"
    assert db.items("orders") == []


def test_keys_that_only_look_alike_are_different_items(db: FakeDynamoDB) -> None:
    write(db, put("a1", "1"), put("a", "11"), put("a", "1"), put("a", "-1"))

    assert len(db.items("orders")) == 4


def test_the_same_key_in_two_tables_is_fine(db: FakeDynamoDB) -> None:
    db.create_table("other", partition_key=("pk", "S"), sort_key=("sk", "N"))

    db.batch_write_item(RequestItems={"orders": [put()], "other": [put()]})

    assert len(db.items("orders")) == len(db.items("other")) == 1


def test_a_table_goes_by_name_or_arn_and_both_are_the_same_table(db: FakeDynamoDB) -> None:
    arn = "arn:aws:dynamodb:us-east-1:123456789012:table/orders"

    response = write(db, put("a"), table=arn, ReturnConsumedCapacity="TOTAL")

    assert db.items("orders")
    assert response["ConsumedCapacity"] == [{"TableName": arn, "CapacityUnits": 1.0}]
    assert "duplicates" in refusal(db.batch_write_item, RequestItems={"orders": [put("b")], arn: [put("b")]})


@pytest.mark.parametrize("name", ["absent", "arn:aws:dynamodb:us-east-1:999999999999:table/orders"])
def test_an_unknown_table_refuses_the_whole_request(db: FakeDynamoDB, name: str) -> None:
    with pytest.raises(db.exceptions.ResourceNotFoundException, match="Requested resource not found"):
        db.batch_write_item(RequestItems={"orders": [put()], name: [put()]})

    assert db.items("orders") == []


def test_a_malformed_table_name_is_refused(db: FakeDynamoDB) -> None:
    assert "tableName" in refusal(write, db, put(), table="bad!name")


@pytest.mark.parametrize("both", [{}, {**put(), **delete()}])
def test_a_request_is_either_a_put_or_a_delete(db: FakeDynamoDB, both: Request) -> None:
    assert "exactly one of" in refusal(write, db, both)


def test_a_refused_request_writes_none_of_its_items(db: FakeDynamoDB) -> None:
    refusal(write, db, put("good"), put("bad", f={"SS": []}))

    assert db.items("orders") == []
    assert db.consumed["orders"] == 0


def test_a_request_of_16_mb_is_written_and_one_byte_more_refused(db: FakeDynamoDB) -> None:
    # A control character takes 1 byte in the item and 6 on the wire.
    requests = [put(sk=str(n), f={"S": "\x01" * 111_000}) for n in range(25)]
    requests[0]["PutRequest"]["Item"]["g"] = {"S": ""}
    missing = MAX_REQUEST_BYTES - wire_bytes({"RequestItems": {"orders": requests}})

    requests[0]["PutRequest"]["Item"]["g"] = {"S": "x" * missing}
    write(db, *requests)
    requests[0]["PutRequest"]["Item"]["g"] = {"S": "x" * (missing + 1)}

    assert MAX_REQUEST_BYTES == 16_777_216
    assert missing >= 0
    assert "16 MB" in refusal(write, db, *requests)


def test_the_wire_size_is_that_of_the_body_that_botocore_writes_but_compact_and_in_utf8() -> None:
    requests = {"orders": [put("é\x01", f={"B": b"\x00\xff"}, g={"L": [{"BS": [b"12"]}]}), delete()]}
    parameters = {"RequestItems": requests, "ReturnConsumedCapacity": "TOTAL"}
    model = botocore.session.Session().get_service_model("dynamodb")

    body = create_serializer("json").serialize_to_request(parameters, model.operation_model("BatchWriteItem"))["body"]

    compact = json.dumps(json.loads(body), ensure_ascii=False, separators=(",", ":"))
    assert wire_bytes(parameters) == len(compact.encode())


# Keys


@pytest.mark.parametrize(
    "item",
    [
        {"pk": {"S": "a"}},
        {"pk": {"N": "1"}, "sk": {"N": "1"}},
        {"pk": {"S": "a"}, "sk": {"NULL": True}},
    ],
)
def test_a_batch_has_one_message_for_keys_that_do_not_match(db: FakeDynamoDB, item: Item) -> None:
    message = refusal(write, db, {"PutRequest": {"Item": item}})

    assert message == "The provided key element does not match the schema"


def test_put_item_says_what_is_wrong_with_the_key(db: FakeDynamoDB) -> None:
    assert refusal(db.put_item, TableName="orders", Item={"pk": {"S": "a"}}).endswith("Missing the key sk in the item")
    assert refusal(db.put_item, TableName="orders", Item={"pk": {"N": "1"}, "sk": {"N": "1"}}).endswith(
        "Type mismatch for key pk expected: S actual: N"
    )


@pytest.mark.parametrize(
    "key",
    [
        {"pk": {"S": "a"}},
        {"pk": {"S": "a"}, "sk": {"S": "1"}},
        {"pk": {"S": "a"}, "sk": {"N": "1"}, "more": {"S": "x"}},
    ],
)
def test_a_delete_names_all_key_attributes_and_nothing_else(db: FakeDynamoDB, key: Item) -> None:
    message = refusal(write, db, {"DeleteRequest": {"Key": key}})

    assert message == "The provided key element does not match the schema"


def test_an_empty_key_is_refused(db: FakeDynamoDB) -> None:
    assert refusal(write, db, put("")).endswith("cannot contain an empty string value. Key: pk")
    assert refusal(write, db, delete("")).endswith("cannot contain an empty string value. Key: pk")
    empty = {"PutRequest": {"Item": {"pk": {"B": b""}}}}
    assert refusal(write, db, empty, table="binary").endswith("an empty binary value. Key: pk")


@pytest.mark.parametrize("letter", ["x", "é"])
def test_a_partition_key_has_at_most_2048_bytes(db: FakeDynamoDB, letter: str) -> None:
    longest = letter * (2048 // len(letter.encode()))

    write(db, put(longest), delete(longest, "2"))

    assert "2048 bytes" in refusal(write, db, put(longest + "x"))
    assert "2048 bytes" in refusal(write, db, delete(longest + "x"))


def test_a_binary_key_is_measured_in_its_own_bytes(db: FakeDynamoDB) -> None:
    write(db, {"PutRequest": {"Item": {"pk": {"B": b"\xff" * 2048}}}}, table="binary")

    long = {"PutRequest": {"Item": {"pk": {"B": b"\xff" * 2049}}}}
    assert "2048 bytes" in refusal(write, db, long, table="binary")


def test_a_sort_key_has_at_most_1024_bytes(db: FakeDynamoDB) -> None:
    def sorted_put(sk: str) -> Request:
        return {"PutRequest": {"Item": {"pk": {"S": "a"}, "sk": {"S": sk}}}}

    write(db, sorted_put("é" * 512), table="plain")

    assert "1024 bytes" in refusal(write, db, sorted_put("é" * 512 + "x"), table="plain")


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"day": {"N": "1"}}, "Type mismatch for Index Key day Expected: S Actual: N IndexName: by_day"),
        ({"day": {"NULL": True}}, "Type mismatch for Index Key day"),
        ({"hour": {"S": "x"}}, "Type mismatch for Index Key hour"),
        ({"day": {"S": ""}}, "IndexName: by_day, IndexKey: day"),
        ({"hour": {"B": b""}}, "empty binary value. IndexName: by_day, IndexKey: hour"),
        ({"day": {"S": "x" * 2049}}, "2048 bytes"),
        ({"hour": {"B": b"x" * 1025}}, "1024 bytes"),
    ],
)
def test_an_index_key_has_the_indexs_type_and_is_not_empty(db: FakeDynamoDB, attributes: Item, message: str) -> None:
    assert message in refusal(write, db, put(**attributes))


def test_an_item_without_an_index_key_is_just_not_in_the_index(db: FakeDynamoDB) -> None:
    write(db, put("a"), put("b", day={"S": "x" * 2048}), put("c", hour={"B": b"x" * 1024}))

    assert len(db.items("orders")) == 3


# Items and values


def test_an_item_of_400_kb_is_written_and_one_byte_more_refused(db: FakeDynamoDB) -> None:
    write(db, {"PutRequest": {"Item": item_of(409_600)}})

    message = refusal(write, db, {"PutRequest": {"Item": item_of(409_601)}})

    assert item_bytes(item_of(409_600)) == 409_600
    assert message == "Item size has exceeded the maximum allowed size"


@pytest.mark.parametrize(
    ("value", "size"),
    [
        ({"S": "aé"}, 3),
        ({"S": ""}, 0),
        ({"N": "0"}, 1),
        ({"N": "7"}, 2),
        ({"N": "12345"}, 4),
        ({"N": "1" * 38}, 20),
        ({"N": "-100"}, 2),
        ({"N": "0.0012"}, 2),
        ({"B": b"\x00\xff"}, 2),
        ({"BOOL": False}, 1),
        ({"NULL": True}, 1),
        ({"SS": ["a", "bc"]}, 3),
        ({"NS": ["1", "234"]}, 5),
        ({"BS": [b"1", b"23"]}, 3),
        ({"L": []}, 3),
        ({"M": {}}, 3),
        ({"L": [{"S": "a"}, {"NULL": True}]}, 3 + 2 + 2),
        ({"M": {"ab": {"S": "c"}, "d": {"L": []}}}, 3 + (1 + 2 + 1) + (1 + 1 + 3)),
    ],
)
def test_sizes_are_the_documented_ones(value: Item, size: int) -> None:
    assert item_bytes({"name": value}) == len("name") + size


@pytest.mark.parametrize("nesting", ["M", "L"])
def test_an_item_nests_32_levels_of_which_it_is_the_first_itself(db: FakeDynamoDB, nesting: str) -> None:
    deepest = nested(30)
    around: dict[str, Callable[[Item], Item]] = {
        "M": lambda value: {"M": {"n": value}},
        "L": lambda value: {"L": [value]},
    }

    write(db, put(f=around[nesting](deepest)))

    assert refusal(write, db, put(f=around[nesting](nested(31)))).startswith("Nesting Levels have exceeded")


def test_a_value_has_exactly_one_type(db: FakeDynamoDB) -> None:
    assert "is empty" in refusal(write, db, put(f={}))
    assert "more than one datatypes" in refusal(write, db, put(f={"S": "1", "N": "1"}))
    assert "more than one datatypes" in refusal(write, db, put(f={"L": [{"S": "1", "N": "1"}]}))
    unknown = {"RequestItems": {"orders": [put(f={"X": "1"})]}}  # which botocore would not send
    assert "supported datatypes" in refusal(db.perform, "BatchWriteItem", unknown)


def test_null_is_true_or_refused(db: FakeDynamoDB) -> None:
    write(db, put(f={"NULL": True}))

    assert "must have the value of true" in refusal(write, db, put(f={"NULL": False}))


def test_empty_strings_binaries_lists_and_maps_are_fine_where_they_are_no_keys(db: FakeDynamoDB) -> None:
    write(db, put(f={"S": ""}, g={"B": b""}, h={"L": []}, i={"M": {}}, j={"SS": [""]}))

    assert db.items("orders")[0]["j"] == {"SS": [""]}


@pytest.mark.parametrize("empty", [{"SS": []}, {"NS": []}, {"BS": []}, {"L": [{"SS": []}]}])
def test_an_empty_set_is_refused(db: FakeDynamoDB, empty: Item) -> None:
    assert "empty set" in refusal(write, db, put(f=empty))


@pytest.mark.parametrize(
    "twice", [{"SS": ["a", "b", "a"]}, {"NS": ["1", "1.0"]}, {"BS": [b"1", b"1"]}, {"NS": ["0", "-0"]}]
)
def test_a_set_with_duplicates_is_refused(db: FakeDynamoDB, twice: Item) -> None:
    assert "contains duplicates" in refusal(write, db, put(f=twice))


def test_an_attribute_has_a_name_of_at_most_65535_bytes(db: FakeDynamoDB) -> None:
    write(db, named("é" * 32_767 + "x"))

    assert "too large" in refusal(write, db, named("é" * 32_768))
    assert "Empty attribute name" in refusal(write, db, named(""))
    assert "Empty attribute name" in refusal(write, db, put(f={"M": {"": {"NULL": True}}}))


def test_half_a_surrogate_pair_is_refused(db: FakeDynamoDB) -> None:
    assert "Unicode" in refusal(write, db, put(f={"S": "\ud800"}))
    assert "Unicode" in refusal(write, db, named("\udfff"))


# Numbers


@pytest.mark.parametrize(
    ("spelt", "stored"),
    [
        ("1.50", "1.5"),
        ("007", "7"),
        ("1e2", "100"),
        ("+1", "1"),
        (".5", "0.5"),
        ("5.", "5"),
        ("-0", "0"),
        ("0.000", "0"),
        ("0E125", "0"),
        ("-12.30E-1", "-1.23"),
        ("1" * 38, "1" * 38),
        ("0.0" + "1" * 38 + "000", "0.0" + "1" * 38),
        ("1" * 38 + "0" * 88, "1" * 38 + "0" * 88),
        ("1E-130", "0." + "0" * 129 + "1"),
        ("-9.9999999999999999999999999999999999999E125", "-" + "9" * 38 + "0" * 88),
    ],
)
def test_a_number_is_stored_under_one_spelling(db: FakeDynamoDB, spelt: str, stored: str) -> None:
    write(db, put(f={"N": spelt}, g={"L": [{"NS": [spelt]}]}))

    assert db.items("orders")[0]["f"] == {"N": stored}
    assert db.items("orders")[0]["g"] == {"L": [{"NS": [stored]}]}


@pytest.mark.parametrize(
    ("spelt", "message"),
    [
        ("1" * 39, "more than 38 significant digits"),
        ("1." + "0" * 37 + "1", "more than 38 significant digits"),
        ("1E126", "Number overflow"),
        ("1" + "0" * 126, "Number overflow"),
        ("1E99999999999999999999999999", "Number overflow"),
        ("0E126", "Number overflow"),
        ("9.9E-131", "Number underflow"),
        ("1E-99999999999999999999999999", "Number underflow"),
        ("1E-" + "0" * 5000 + "131", "Number underflow"),
        *((text, "cannot be converted") for text in ["", " 1", "1 ", "abc", "NaN", "-Infinity", "1e", "."]),
        *((text, "cannot be converted") for text in ["1_000", "0x10", "\u0661", "--1", "1,5", "1e5.0"]),
    ],
)
def test_a_number_outside_grammar_or_range_is_refused(db: FakeDynamoDB, spelt: str, message: str) -> None:
    assert message in refusal(write, db, put(f={"N": spelt}))


def test_a_number_of_any_length_is_judged_without_python_limits() -> None:
    assert canonical_number("0" * 10_000 + "1" + "0" * 125) == "1" + "0" * 125
    assert canonical_number("1E" + "0" * 10_000 + "5") == "100000"


# Capacity


def test_consumed_units_are_the_larger_image_in_whole_kilobytes(db: FakeDynamoDB) -> None:
    def units(request: Request) -> float:
        response = write(db, request, ReturnConsumedCapacity="TOTAL")
        return float(response["ConsumedCapacity"][0]["CapacityUnits"])

    assert units({"PutRequest": {"Item": item_of(1024)}}) == 1
    assert units({"PutRequest": {"Item": item_of(1025)}}) == 2
    assert units(put("a", "1")) == 2  # over the old image of 1025 bytes
    assert units({"PutRequest": {"Item": item_of(3000)}}) == 3
    assert units(delete("a", "1")) == 3
    assert units(delete("a", "1")) == 1
    assert db.consumed["orders"] == 12


def test_capacity_is_told_only_when_it_is_asked_for(db: FakeDynamoDB) -> None:
    assert "ConsumedCapacity" not in write(db, put())
    assert "ConsumedCapacity" not in write(db, put(), ReturnConsumedCapacity="NONE")
    assert write(db, put(), ReturnConsumedCapacity="INDEXES")["ConsumedCapacity"] == [
        {"TableName": "orders", "CapacityUnits": 1.0, "Table": {"CapacityUnits": 1.0}}
    ]


def test_what_finds_no_capacity_comes_back_until_time_has_passed(db: FakeDynamoDB) -> None:
    clock = Clock()
    db.limit("orders", Capacity(write_units_per_second=2, burst_seconds=1.5, clock=clock))

    assert write(db, *puts(5))["UnprocessedItems"] == {"orders": puts(5)[3:]}
    with pytest.raises(db.exceptions.ProvisionedThroughputExceededException):
        write(db, *puts(5)[3:])
    clock.sleep(1)
    assert write(db, *puts(5)[3:])["UnprocessedItems"] == {}

    assert len(db.items("orders")) == 5
    assert db.consumed["orders"] == 5


def test_an_item_dearer_than_a_full_bucket_still_passes_once(db: FakeDynamoDB) -> None:
    clock = Clock()
    db.limit("orders", Capacity(write_units_per_second=1, burst_seconds=1, clock=clock))

    write(db, {"PutRequest": {"Item": item_of(4000)}})
    clock.sleep(3)

    with pytest.raises(db.exceptions.ProvisionedThroughputExceededException):
        write(db, put("b"))


def test_item_collection_metrics_are_there_only_when_asked_for(db: FakeDynamoDB) -> None:
    assert "ItemCollectionMetrics" not in write(db, put())
    assert write(db, put(), ReturnItemCollectionMetrics="SIZE")["ItemCollectionMetrics"] == {}


# Faults


def test_the_last_requests_come_back_unprocessed(db: FakeDynamoDB) -> None:
    db.script(Unprocessed(2))

    response = write(db, *puts(5), ReturnConsumedCapacity="TOTAL")

    assert response["UnprocessedItems"] == {"orders": puts(5)[3:]}
    assert response["ConsumedCapacity"][0]["CapacityUnits"] == 3
    assert len(db.items("orders")) == 3


def test_all_of_them_may_come_back_without_an_error(db: FakeDynamoDB) -> None:
    db.script(Unprocessed(99))

    assert write(db, *puts(2))["UnprocessedItems"] == {"orders": puts(2)}
    assert db.items("orders") == []


def test_requests_come_back_by_a_predicate(db: FakeDynamoDB) -> None:
    db.always(UnprocessedIf(lambda table, request: table == "orders" and "DeleteRequest" in request))

    assert write(db, put("a"), delete("b"))["UnprocessedItems"] == {"orders": [delete("b")]}
    assert len(db.items("orders")) == 1


def test_unprocessed_items_may_be_reordered_and_their_number_keys_respelt(db: FakeDynamoDB) -> None:
    db.respell = True
    db.script(Unprocessed(99))

    returned = write(db, put("a", "1"), put("b", "2.5", f={"N": "7"}), delete("c", "-30"))

    assert returned["UnprocessedItems"] == {
        "orders": [delete("c", "-30.0"), put("b", "2.5E0", f={"N": "7"}), put("a", "1.0")]
    }


@pytest.mark.parametrize(
    ("code", "member"),
    [
        ("ProvisionedThroughputExceededException", "ThrottlingReasons"),
        ("ThrottlingException", "throttlingReasons"),
        ("RequestLimitExceeded", "ThrottlingReasons"),
    ],
)
def test_a_throttle_carries_its_reasons_as_botocore_spells_them(db: FakeDynamoDB, code: str, member: str) -> None:
    db.script(Throttle(code, reason="TableWriteKeyRangeThroughputExceeded"))

    with pytest.raises(getattr(db.exceptions, code)) as raised:
        write(db, put())

    assert raised.value.response["Error"]["Code"] == code
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert raised.value.operation_name == "BatchWriteItem"
    assert raised.value.response[member] == [
        {
            "reason": "TableWriteKeyRangeThroughputExceeded",
            "resource": "arn:aws:dynamodb:us-east-1:123456789012:table/orders",
        }
    ]
    assert db.items("orders") == []


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (ServerError, ClientError),
        (ConnectionLost, ConnectionClosedError),
        (Timeout, ReadTimeoutError),
    ],
)
@pytest.mark.parametrize("applied", [True, False])
def test_a_failure_comes_before_or_after_the_write(
    db: FakeDynamoDB, fault: type[ServerError], error: type[Exception], applied: bool
) -> None:
    db.script(fault(applied=applied))

    with pytest.raises(error):
        write(db, put())

    assert len(db.items("orders")) == applied


def test_a_server_error_has_its_status(db: FakeDynamoDB) -> None:
    db.script(ServerError("InternalServerError"), ServerError("ServiceUnavailable", status=503))

    with pytest.raises(db.exceptions.InternalServerError) as first:
        write(db, put())
    with pytest.raises(ClientError) as second:
        write(db, put())

    assert first.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
    assert second.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503


def test_any_other_error_can_be_had(db: FakeDynamoDB) -> None:
    db.script(Refusal("AccessDeniedException", "is not authorized to perform: dynamodb:BatchWriteItem"))

    with pytest.raises(ClientError, match=r"AccessDeniedException.*not authorized"):
        write(db, put())


def test_a_rule_that_only_the_service_knows_refuses_the_whole_call(db: FakeDynamoDB) -> None:
    poison = RejectIf(lambda _, request: "PutRequest" in request, "No puts on a Sunday")
    db.script(poison)

    assert refusal(write, db, put("a"), delete("b")) == "No puts on a Sunday"
    write(db, put("a"))


def test_a_lasting_rule_holds_beside_every_fault(db: FakeDynamoDB) -> None:
    db.reject_if(lambda _, request: request == put("poison"), "No")
    db.always(Unprocessed(1))

    assert refusal(write, db, put("a"), put("poison")) == "No"
    assert write(db, put("a"), put("b"))["UnprocessedItems"] == {"orders": [put("b")]}


def test_a_delay_passes_on_its_clock_before_what_follows(db: FakeDynamoDB) -> None:
    clock = Clock(start=5)
    db.script(Delay(2.5, clock), Delay(1, clock, then=Throttle()))

    write(db, put())
    with pytest.raises(ClientError):
        write(db, put())

    assert clock() == 8.5
    assert clock.slept == [2.5, 1]


def test_scripted_faults_come_first_and_one_a_call(db: FakeDynamoDB) -> None:
    db.always(Throttle())
    db.script(None, ServerError())

    write(db, put())
    for code in ("InternalServerError", "ProvisionedThroughputExceededException"):
        with pytest.raises(ClientError, match=code):
            write(db, put())
    db.always(None)
    write(db, put())

    assert [call.error for call in db.calls] == [
        None,
        "InternalServerError",
        "ProvisionedThroughputExceededException",
        None,
    ]


def test_a_fault_may_be_for_one_operation_only(db: FakeDynamoDB) -> None:
    db.script(Throttle(), operation="PutItem")
    db.always(ServerError(), operation="GetItem")

    write(db, put())
    with pytest.raises(db.exceptions.ProvisionedThroughputExceededException):
        db.put_item(TableName="orders", Item=item_of(100))
    with pytest.raises(db.exceptions.InternalServerError):
        db.get_item(TableName="orders", Key=delete()["DeleteRequest"]["Key"])


def test_calls_from_many_threads_neither_lose_writes_nor_share_faults(db: FakeDynamoDB) -> None:
    db.script(*[Throttle()] * 20)

    def attempt(number: int) -> bool:
        try:
            write(db, put(sk=str(number)))
        except db.exceptions.ProvisionedThroughputExceededException:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        written = list(threads.map(attempt, range(100)))

    assert written.count(False) == 20
    assert {item["sk"]["N"] for item in db.items("orders")} == {str(n) for n in range(100) if written[n]}
    assert db.consumed["orders"] == 80


def test_every_call_is_recorded_as_it_was_sent(db: FakeDynamoDB) -> None:
    request = put("a")
    write(db, request)
    request["PutRequest"]["Item"]["pk"]["S"] = "changed later"
    refusal(write, db, put(""))
    db.put_item(TableName="orders", Item=item_of(100))

    assert [(call.operation, call.error) for call in db.calls] == [
        ("BatchWriteItem", None),
        ("BatchWriteItem", "ValidationException"),
        ("PutItem", None),
    ]
    assert db.calls_of("BatchWriteItem")[0].kwargs == {"RequestItems": {"orders": [put("a")]}}


def test_stored_items_are_copies(db: FakeDynamoDB) -> None:
    request = put("a", f={"L": [{"S": "x"}]})
    write(db, request)
    request["PutRequest"]["Item"]["f"]["L"].clear()
    db.items("orders")[0]["f"]["L"].clear()

    assert (
        db.item("orders", {"pk": {"S": "a"}, "sk": {"N": "1e0"}})
        == put("a", f={"L": [{"S": "x"}]})["PutRequest"]["Item"]
    )
    assert db.item("orders", {"pk": {"S": "b"}, "sk": {"N": "1"}}) is None


# BatchGetItem


def read(db: FakeDynamoDB, *keys: Item, table: str = "plain", **more: Any) -> dict[str, Any]:
    wanted = {table: {"Keys": list(keys), "ConsistentRead": True, **more}}
    answer: dict[str, Any] = db.batch_get_item(RequestItems=wanted, ReturnConsumedCapacity="TOTAL")
    return answer


def plain(number: int) -> Item:
    return {"pk": {"S": "a"}, "sk": {"S": f"{number:03}"}}


def test_a_read_takes_a_hundred_keys_and_no_more(db: FakeDynamoDB) -> None:
    assert read(db, *map(plain, range(100)))["Responses"] == {"plain": []}
    with pytest.raises(ClientError, match="100"):
        read(db, *map(plain, range(101)))


def test_a_key_that_is_read_twice_is_refused(db: FakeDynamoDB) -> None:
    with pytest.raises(ClientError, match="duplicates"):
        read(db, plain(1), plain(1))
    with pytest.raises(ClientError, match="duplicates"):
        read(db, *[{"pk": {"S": "a"}, "sk": {"N": text}} for text in ("1", "1.0")], table="orders")


def test_a_read_of_something_that_is_no_key_is_refused(db: FakeDynamoDB) -> None:
    with pytest.raises(ClientError, match="key element does not match"):
        read(db, {"pk": {"S": "a"}})


def test_a_read_costs_a_unit_for_each_four_kilobytes_and_one_for_what_is_missing(db: FakeDynamoDB) -> None:
    db.put_item(TableName="plain", Item={**plain(1), "text": {"S": "x" * 5_000}})
    db.put_item(TableName="plain", Item=plain(2))

    answer = read(db, *map(plain, range(1, 4)))

    assert answer["ConsumedCapacity"] == [{"TableName": "plain", "CapacityUnits": 2 + 1 + 1}]
    assert db.consumed_by_reads["plain"] == 4
    assert sorted(item["sk"]["S"] for item in answer["Responses"]["plain"]) == ["001", "002"]


def test_what_does_not_fit_into_sixteen_megabytes_comes_back_unprocessed(db: FakeDynamoDB) -> None:
    for number in range(45):
        db.put_item(TableName="plain", Item={**plain(number), "text": {"S": "x" * 400_000}})

    answer = read(db, *map(plain, range(45)))

    left = answer["UnprocessedKeys"]["plain"]
    assert len(answer["Responses"]["plain"]) == 16 * 1024 * 1024 // 400_000
    assert len(left["Keys"]) == 45 - len(answer["Responses"]["plain"])
    assert left["ConsistentRead"] is True


def test_a_read_that_is_not_consistent_may_be_of_before_the_last_write(db: FakeDynamoDB) -> None:
    for mark in ("old", "new"):
        db.put_item(TableName="plain", Item={**plain(1), "mark": {"S": mark}})

    answer = read(db, plain(1), ConsistentRead=False)

    assert [item["mark"]["S"] for item in answer["Responses"]["plain"]] == ["old"]
    assert answer["ConsumedCapacity"][0]["CapacityUnits"] == 0.5


def test_reads_without_capacity_come_back_or_are_throttled_whole(db: FakeDynamoDB) -> None:
    clock = Clock()
    db.limit_reads("plain", Capacity(2, 1.0, clock))

    assert len(read(db, *map(plain, range(5)))["UnprocessedKeys"]["plain"]["Keys"]) == 3
    with pytest.raises(ClientError, match="ProvisionedThroughputExceeded"):
        read(db, plain(1))
