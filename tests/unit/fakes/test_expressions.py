"""The fake's PutItem, DeleteItem and UpdateItem evaluate conditions and updates as DynamoDB does."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.fakes import FakeDynamoDB, Throttle, Unprocessed, UnprocessedIf
from tests.fakes.attribute_values import item_bytes

Item = dict[str, Any]

KEY = {"pk": {"S": "a"}}
STORED: Item = {
    **KEY,
    "n": {"N": "10"},
    "s": {"S": "abc"},
    "b": {"B": b"abc"},
    "t": {"BOOL": True},
    "z": {"NULL": True},
    "ss": {"SS": ["x", "y"]},
    "ns": {"NS": ["1", "2"]},
    "l": {"L": [{"N": "1"}, {"M": {"deep": {"S": "d"}}}]},
    "m": {"M": {"in": {"N": "5"}, "key with space": {"S": "k"}}},
}


@pytest.fixture
def db() -> FakeDynamoDB:
    fake = FakeDynamoDB()
    fake.create_table("t12", partition_key=("pk", "S"), indexes=[("by_s", ("s", "S"), None)])
    fake.put_item(TableName="t12", Item=STORED)
    return fake


def parameters(names: dict[str, str] | None = None, values: Item | None = None) -> dict[str, Any]:
    return {
        **({"ExpressionAttributeNames": names} if names else {}),
        **({"ExpressionAttributeValues": values} if values else {}),
    }


def holds(db: FakeDynamoDB, condition: str, names: dict[str, str] | None = None, **values: Item) -> bool:
    placeholders = parameters(names, {f":{name}": value for name, value in values.items()})
    try:
        db.delete_item(TableName="t12", Key=KEY, ConditionExpression=condition, **placeholders)
    except db.exceptions.ConditionalCheckFailedException:
        return False
    return True


def updated(db: FakeDynamoDB, expression: str, names: dict[str, str] | None = None, **values: Item) -> Item:
    placeholders = parameters(names, {f":{name}": value for name, value in values.items()})
    response = db.update_item(
        TableName="t12", Key=KEY, UpdateExpression=expression, ReturnValues="ALL_NEW", **placeholders
    )
    attributes: Item = response["Attributes"]
    assert db.item("t12", KEY) == attributes
    return attributes


def message(raised: pytest.ExceptionInfo[ClientError]) -> str:
    assert raised.value.response["Error"]["Code"] == "ValidationException"
    return str(raised.value.response["Error"]["Message"])


N, S = {"N": "10.0"}, {"S": "abc"}


@pytest.mark.parametrize(
    ("condition", "values"),
    [
        ("attribute_exists(pk)", {}),
        ("attribute_not_exists(gone)", {}),
        ("attribute_exists(m.#in)", {}),
        ("attribute_exists(l[1].deep)", {}),
        ("attribute_not_exists(l[2])", {}),
        ("attribute_not_exists(s.deep)", {}),
        ("n = :v", {"v": N}),
        ("n <> :v", {"v": {"N": "9"}}),
        ("n <> :v", {"v": {"S": "10"}}),
        ("n < :v", {"v": {"N": "9E1"}}),
        ("b < :v", {"v": {"B": b"abd"}}),
        ("gone <> :v", {"v": N}),
        ("n BETWEEN n AND :w", {"w": {"N": "11"}}),
        ("n <= :v", {"v": N}),
        ("n > :v", {"v": {"N": "9"}}),
        (":v >= n", {"v": N}),
        ("s < :v", {"v": {"S": "abd"}}),
        ("b = :v", {"v": {"B": b"abc"}}),
        ("t = :v", {"v": {"BOOL": True}}),
        ("ss = :v", {"v": {"SS": ["y", "x"]}}),
        ("ns = :v", {"v": {"NS": ["2.0", "1e0"]}}),
        ("l[1] = :v", {"v": {"M": {"deep": {"S": "d"}}}}),
        ("n BETWEEN :v AND :w", {"v": {"N": "10"}, "w": {"N": "11"}}),
        ("s IN (:v, :w)", {"v": {"S": "x"}, "w": S}),
        ("begins_with(s, :v)", {"v": {"S": "ab"}}),
        ("begins_with(b, :v)", {"v": {"B": b"ab"}}),
        ("contains(s, :v)", {"v": {"S": "bc"}}),
        ("contains(ss, :v)", {"v": {"S": "y"}}),
        ("contains(ns, :v)", {"v": {"N": "2.0"}}),
        ("contains(l, :v)", {"v": {"N": "1.0"}}),
        ("attribute_type(n, :v)", {"v": {"S": "N"}}),
        ("size(s) = :v", {"v": {"N": "3"}}),
        ("size(l) < n", {}),
        ("NOT attribute_exists(gone)", {}),
        ("n = :v AND s = :w", {"v": N, "w": S}),
        ("n = :w OR s = :w", {"w": S}),
        ("attribute_exists(pk) OR attribute_exists(gone) AND attribute_exists(gone2)", {}),
        ("NOT (attribute_exists(pk) AND attribute_exists(gone))", {}),
        ("attribute_exists( pk )and not attribute_exists(gone)", {}),
    ],
)
def test_a_condition_that_is_true_lets_the_write_through(
    db: FakeDynamoDB, condition: str, values: dict[str, Item]
) -> None:
    assert holds(db, condition, {"#in": "in"} if "#in" in condition else None, **values)
    assert db.item("t12", KEY) is None


@pytest.mark.parametrize(
    ("condition", "values"),
    [
        ("attribute_exists(gone)", {}),
        ("attribute_not_exists(pk)", {}),
        ("n = :v", {"v": {"S": "10"}}),
        ("n <> :v", {"v": N}),
        ("n < :v", {"v": {"N": "9"}}),
        ("n < :v", {"v": N}),
        ("n > :v", {"v": N}),
        ("n < :v", {"v": {"S": "99"}}),
        ("gone <> gone2", {}),
        ("contains(s, :v)", {"v": {"B": b"b"}}),
        ("contains(l, :v)", {"v": {"N": "7"}}),
        ("gone < :v", {"v": N}),
        ("contains(gone, :v)", {"v": N}),
        ("contains(s, gone)", {}),
        ("gone = :v", {"v": N}),
        ("t < :v", {"v": {"BOOL": True}}),
        ("ss = :v", {"v": {"SS": ["x"]}}),
        ("n BETWEEN :v AND :w", {"v": {"N": "11"}, "w": {"N": "12"}}),
        ("s IN (:v)", {"v": {"S": "x"}}),
        ("begins_with(s, :v)", {"v": {"S": "bc"}}),
        ("begins_with(gone, :v)", {"v": {"S": "a"}}),
        ("contains(ns, :v)", {"v": {"S": "2"}}),
        ("attribute_type(n, :v)", {"v": {"S": "S"}}),
        ("size(n) = :v", {"v": {"N": "1"}}),
        ("NOT n = :v", {"v": N}),
        ("n = :v AND attribute_exists(gone)", {"v": N}),
        ("(attribute_exists(pk) OR attribute_exists(gone)) AND attribute_exists(gone2)", {}),
    ],
)
def test_a_condition_that_is_false_stops_the_write(db: FakeDynamoDB, condition: str, values: dict[str, Item]) -> None:
    assert not holds(db, condition, **values)
    assert db.item("t12", KEY) == STORED


def test_a_failed_condition_tells_the_stored_item_only_when_asked(db: FakeDynamoDB) -> None:
    again = {"TableName": "t12", "Item": KEY, "ConditionExpression": "attribute_not_exists(pk)"}

    with pytest.raises(db.exceptions.ConditionalCheckFailedException, match="conditional request failed") as bare:
        db.put_item(**again)
    with pytest.raises(db.exceptions.ConditionalCheckFailedException) as told:
        db.put_item(**again, ReturnValuesOnConditionCheckFailure="ALL_OLD")
    with pytest.raises(db.exceptions.ConditionalCheckFailedException) as missing:
        db.delete_item(
            TableName="t12",
            Key={"pk": {"S": "b"}},
            ConditionExpression="attribute_exists(pk)",
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )

    assert "Item" not in bare.value.response
    assert told.value.response["Item"] == STORED
    assert "Item" not in missing.value.response


def test_a_failed_condition_costs_write_units(db: FakeDynamoDB) -> None:
    before = db.consumed["t12"]

    holds(db, "attribute_exists(gone)")

    assert db.consumed["t12"] == before + 1


@pytest.mark.parametrize(
    ("expression", "values", "changed"),
    [
        ("SET s = :v", {"v": {"S": "new"}}, {"s": {"S": "new"}}),
        ("SET n = n + :v", {"v": {"N": "0.5"}}, {"n": {"N": "10.5"}}),
        ("SET n = :v - n", {"v": {"N": "1"}}, {"n": {"N": "-9"}}),
        ("SET n = (n + :v)", {"v": {"N": "1"}}, {"n": {"N": "11"}}),
        ("SET n = if_not_exists(n, :v) + :v", {"v": {"N": "1"}}, {"n": {"N": "11"}}),
        ("SET c = if_not_exists(c, :v) + :v", {"v": {"N": "1"}}, {"c": {"N": "2"}}),
        ("SET l[0] = :v", {"v": S}, {"l": {"L": [S, STORED["l"]["L"][1]]}}),
        ("SET l[2] = :v", {"v": S}, {"l": {"L": [*STORED["l"]["L"], S]}}),
        ("REMOVE l[2]", {}, {}),
        ("SET l[9] = :v", {"v": S}, {"l": {"L": [*STORED["l"]["L"], S]}}),
        ("SET l = list_append(l, :v)", {"v": {"L": [S]}}, {"l": {"L": [*STORED["l"]["L"], S]}}),
        ("SET l = list_append(:v, l)", {"v": {"L": [S]}}, {"l": {"L": [S, *STORED["l"]["L"]]}}),
        ("SET s = b, b = s", {}, {"s": STORED["b"], "b": STORED["s"]}),
        ("SET m.y = m.x", {}, {"m": {"M": {**STORED["m"]["M"], "y": {"N": "5"}}}}),
        ("ADD n :v", {"v": {"N": "5"}}, {"n": {"N": "15"}}),
        ("ADD c :v", {"v": {"N": "5"}}, {"c": {"N": "5"}}),
        ("ADD ss :v", {"v": {"SS": ["y", "z"]}}, {"ss": {"SS": ["x", "y", "z"]}}),
        ("DELETE ss :v", {"v": {"SS": ["y", "z"]}}, {"ss": {"SS": ["x"]}}),
    ],
)
def test_an_update_changes_what_it_says(
    db: FakeDynamoDB, expression: str, values: dict[str, Item], changed: Item
) -> None:
    # s is an index key of type S; where the case puts another type there the table without index is used.
    db.create_table("t12", partition_key=("pk", "S"))
    db.put_item(TableName="t12", Item=STORED)
    names = {"#in": "in"} if "m.x" in expression else None

    assert updated(db, expression.replace("m.x", "m.#in"), names, **values) == {**STORED, **changed}


def test_remove_takes_away_attributes_elements_and_members(db: FakeDynamoDB) -> None:
    item = updated(db, "REMOVE n, l[0], m.#k, gone", {"#k": "key with space"})

    assert "n" not in item
    assert item["l"] == {"L": [STORED["l"]["L"][1]]}
    assert item["m"] == {"M": {"in": {"N": "5"}}}


def test_remove_means_the_list_as_it_was(db: FakeDynamoDB) -> None:
    updated(db, "SET l = :v", v={"L": [{"N": str(n)} for n in range(12)]})

    item = updated(db, "REMOVE l[2], l[10], l[0]")

    assert [element["N"] for element in item["l"]["L"]] == [str(n) for n in range(12) if n not in (0, 2, 10)]


def test_a_set_that_loses_its_last_element_goes(db: FakeDynamoDB) -> None:
    assert "ss" not in updated(db, "DELETE ss :v", v={"SS": ["x", "y"]})


def test_clauses_combine_and_an_update_creates_a_missing_item(db: FakeDynamoDB) -> None:
    db.delete_item(TableName="t12", Key=KEY)

    assert updated(db, "SET q = :v ADD c :n", v=S, n={"N": "1"}) == {**KEY, "q": S, "c": {"N": "1"}}


def test_an_update_without_expression_creates_the_bare_key(db: FakeDynamoDB) -> None:
    db.update_item(TableName="t12", Key={"pk": {"S": "b"}})

    assert db.item("t12", {"pk": {"S": "b"}}) == {"pk": {"S": "b"}}


@pytest.mark.parametrize(
    ("wanted", "attributes"),
    [
        ("NONE", None),
        ("ALL_OLD", STORED),
        ("UPDATED_OLD", {"n": {"N": "10"}}),
        ("UPDATED_NEW", {"n": {"N": "1"}}),
        ("ALL_NEW", {**STORED, "n": {"N": "1"}}),
    ],
)
def test_an_update_returns_the_values_asked_for(db: FakeDynamoDB, wanted: str, attributes: Item | None) -> None:
    response = db.update_item(
        TableName="t12",
        Key=KEY,
        UpdateExpression="SET n = :v",
        ExpressionAttributeValues={":v": {"N": "1"}},
        ReturnValues=wanted,
    )

    assert response.get("Attributes") == attributes


@pytest.mark.parametrize(
    ("expression", "names", "values", "told"),
    [
        ("SET pk = :v", None, {":v": S}, "Cannot update attribute pk. This attribute is part of the key"),
        ("REMOVE #k", {"#k": "pk"}, None, "Cannot update attribute pk."),
        ("SET s = :v", None, {":v": S, ":w": S}, "ExpressionAttributeValues unused in expressions: keys: {:w}"),
        ("REMOVE s", {"#a": "b"}, None, "ExpressionAttributeNames unused in expressions: keys: {#a}"),
        ("SET s = :gone", None, None, "attribute value: :gone"),
        ("SET #gone = s", None, None, "attribute name: #gone"),
        ("SET s = :v, s = :v", None, {":v": S}, "Two document paths overlap"),
        ("SET m = :v REMOVE m.x", None, {":v": S}, "Two document paths overlap"),
        ("SET s = :v SET b = :v", None, {":v": S}, "can only be used once"),
        ("SET status = :v", None, {":v": S}, "reserved keyword: status"),
        ("SET s", None, None, "Syntax error"),
        ("s = :v", None, {":v": S}, "Syntax error"),
        ("SET s = :v;", None, {":v": S}, "Syntax error"),
        (" ", None, None, "The expression can not be empty"),
        ("SET s = nonsense(:v)", None, {":v": S}, "Invalid function name; function: nonsense"),
        ("SET c = c + :v", None, {":v": {"N": "1"}}, "does not exist in the item"),
        ("SET c = gone", None, None, "does not exist in the item"),
        ("SET c = list_append(gone, :v)", None, {":v": {"L": []}}, "does not exist in the item"),
        ("SET c = list_append(l, :v)", None, {":v": S}, "incorrect data type"),
        ("SET c = list_append(:v, l)", None, {":v": S}, "incorrect data type"),
        ("SET c = s + :v", None, {":v": {"N": "1"}}, "incorrect data type"),
        ("SET gone.x = :v", None, {":v": S}, "document path provided in the update expression is invalid"),
        ("ADD s :v", None, {":v": {"N": "1"}}, "incorrect data type"),
        ("ADD c :v", None, {":v": S}, "operator: ADD, operand type: S"),
        ("DELETE ss :v", None, {":v": {"N": "1"}}, "operator: DELETE"),
        ("SET c = :v", None, {":v": {"SS": []}}, "empty set"),
        ("SET c = :v", None, {":v": {"N": "1" * 39}}, "38 significant digits"),
        ("SET s = :v", None, {":v": {"N": "1"}}, "Type mismatch for Index Key s"),
        ("SET c = :v", None, {":v": {"S": "x" * 409_600}}, "Item size to update has exceeded"),
        ("SET c = :v", None, {"v": S}, "contains invalid key"),
        (f"SET c = :{'v' * 255}", None, {f":{'v' * 255}": S}, "contains invalid key"),
        ("SET = :v", None, {":v": S}, "Syntax error"),
        ("SET " + ", ".join(f"a{n} = :v" for n in range(400)), None, {":v": S}, "Expression size"),
        ("SET c = " + "+".join([":v"] * 2), None, {":v": {"N": "9" * 38 + "E88"}}, "Number overflow"),
    ],
)
def test_an_update_that_the_service_refuses_changes_nothing(
    db: FakeDynamoDB, expression: str, names: dict[str, str] | None, values: Item | None, told: str
) -> None:
    with pytest.raises(ClientError) as raised:
        db.update_item(TableName="t12", Key=KEY, UpdateExpression=expression, **parameters(names, values))

    assert told in message(raised)
    assert db.item("t12", KEY) == STORED


@pytest.mark.parametrize(
    ("condition", "values", "told"),
    [
        ("attribute_exists(:v)", {":v": S}, "requires a document path"),
        ("attribute_exists(pk, s)", None, "number of operands: 2"),
        ("attribute_type(n, :v)", {":v": S}, "Invalid attribute type name"),
        ("nonsense(pk)", None, "Invalid function name"),
        ("pk", None, "Syntax error"),
        ("attribute_exists(pk) attribute_exists(pk)", None, "Syntax error"),
        ("(attribute_exists(pk)", None, "Syntax error"),
        ("n BETWEEN :v AND :w", {":v": {"N": "2"}, ":w": {"N": "1"}}, "upper bound"),
        ("n BETWEEN :v AND :w", {":v": {"N": "2"}, ":w": {"S": "3"}}, "same data type"),
        ("begins_with(s, :v)", {":v": {"N": "1"}}, "Incorrect operand type"),
        ("n = :v", {":v": {"N": "0E126"}}, "Number overflow"),
        (" OR ".join(["n = :v"] * 151), {":v": N}, "too many operators"),
        ("n IN (" + ",".join([":v"] * 101) + ")", {":v": N}, "maximum allowed: 100"),
    ],
)
def test_a_condition_that_the_service_refuses_writes_nothing(
    db: FakeDynamoDB, condition: str, values: Item | None, told: str
) -> None:
    with pytest.raises(ClientError) as raised:
        db.put_item(TableName="t12", Item=KEY, ConditionExpression=condition, **parameters(None, values))

    assert told in message(raised)
    assert db.item("t12", KEY) == STORED


def test_300_operators_and_100_choices_are_allowed(db: FakeDynamoDB) -> None:
    db.put_item(
        TableName="t12",
        Item=STORED,
        ConditionExpression="NOT " + " OR ".join(["n = :v"] * 150),
        **parameters(None, {":v": N}),
    )

    assert holds(db, "n IN (" + ",".join([":v"] * 100) + ")", v=N)


def test_an_expression_has_at_most_4096_bytes(db: FakeDynamoDB) -> None:
    longest = "attribute_exists(pk)" + " " * (4096 - len("attribute_exists(pk)"))

    assert not holds(db, longest.replace("exists(pk)", "exists(qq)"))
    with pytest.raises(ClientError) as raised:
        holds(db, longest + " ")

    assert "Expression size has exceeded" in message(raised)


def test_a_placeholder_has_at_most_255_characters(db: FakeDynamoDB) -> None:
    assert updated(db, f"SET c = :{'v' * 254}", **{"v" * 254: S})["c"] == S


def test_placeholders_need_an_expression(db: FakeDynamoDB) -> None:
    with pytest.raises(ClientError) as raised:
        db.put_item(TableName="t12", Item=KEY, ExpressionAttributeNames={"#a": "b"})

    assert "can only be specified when using expressions" in message(raised)


@pytest.mark.parametrize(
    "fault", [Throttle(), Unprocessed(1), UnprocessedIf(lambda _, request: "PutRequest" in request)]
)
def test_what_a_batch_would_give_back_is_a_throttle_of_a_single_write(
    db: FakeDynamoDB, fault: Throttle | Unprocessed | UnprocessedIf
) -> None:
    db.script(fault)

    with pytest.raises(db.exceptions.ProvisionedThroughputExceededException):
        db.put_item(TableName="t12", Item=KEY)

    assert db.item("t12", KEY) == STORED


def test_a_single_write_tells_its_capacity_as_one_table(db: FakeDynamoDB) -> None:
    response = db.put_item(TableName="t12", Item=KEY, ReturnConsumedCapacity="TOTAL")

    assert response["ConsumedCapacity"] == {"TableName": "t12", "CapacityUnits": 1.0}


def test_an_updated_item_may_have_400_kb(db: FakeDynamoDB) -> None:
    db.delete_item(TableName="t12", Key=KEY)

    item = updated(db, "SET c = :v", v={"S": "x" * (409_600 - len("pka") - len("c"))})

    assert item_bytes(item) == 409_600
    with pytest.raises(ClientError, match="Item size to update has exceeded"):
        updated(db, "SET c = :v", v={"S": "x" * (409_600 - len("pka") - len("c") + 1)})


@pytest.mark.parametrize("write", ["put_item", "delete_item"])
def test_only_an_update_returns_new_values(db: FakeDynamoDB, write: str) -> None:
    old = {"put_item": {"Item": KEY}, "delete_item": {"Key": KEY}}[write]

    with pytest.raises(ClientError, match="can only be ALL_OLD or NONE"):
        getattr(db, write)(TableName="t12", **old, ReturnValues="ALL_NEW")
    response = getattr(db, write)(TableName="t12", **old, ReturnValues="ALL_OLD")

    assert response["Attributes"] == STORED


def test_get_item_finds_the_item_or_says_nothing_of_it(db: FakeDynamoDB) -> None:
    assert db.get_item(TableName="t12", Key=KEY)["Item"] == STORED
    assert "Item" not in db.get_item(TableName="t12", Key={"pk": {"S": "b"}})
    db.script(Throttle())
    with pytest.raises(db.exceptions.ProvisionedThroughputExceededException):
        db.get_item(TableName="t12", Key=KEY)


def test_parameters_that_the_fake_does_not_know_are_not_ignored(db: FakeDynamoDB) -> None:
    with pytest.raises(NotImplementedError, match="Expected"):
        db.put_item(TableName="t12", Item=KEY, Expected={"pk": {"Exists": False}})
