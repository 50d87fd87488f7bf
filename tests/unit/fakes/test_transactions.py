"""The fake of TransactWriteItems keeps the service's rules: all or nothing, once for each token, at twice the units."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ParamValidationError

from tests.fakes import (
    Canceled,
    Capacity,
    Clock,
    ConnectionLost,
    FakeDynamoDB,
    Raised,
    Refusal,
    Throttle,
    UnprocessedIf,
    Unreadable,
)
from tests.fakes.server import serve

Element = dict[str, Any]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def db(clock: Clock) -> FakeDynamoDB:
    fake = FakeDynamoDB(clock)
    fake.create_table("orders", partition_key=("pk", "S"), indexes=[("by_day", ("day", "S"), None)])
    fake.create_table("binary", partition_key=("pk", "B"))
    return fake


@pytest.fixture
def remote(db: FakeDynamoDB) -> Iterator[Any]:
    with serve(db=db) as url:
        yield boto3.client(
            "dynamodb",
            endpoint_url=url,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(read_timeout=600, retries={"total_max_attempts": 1}),
        )


def put(pk: str = "a", **more: Any) -> Element:
    attributes = more.pop("attributes", {})
    return {"Put": {"TableName": "orders", "Item": {"pk": {"S": pk}, **attributes}, **more}}


def delete(pk: str = "a", **more: Any) -> Element:
    return {"Delete": {"TableName": "orders", "Key": {"pk": {"S": pk}}, **more}}


def check(pk: str, condition: str) -> Element:
    return {"ConditionCheck": {"TableName": "orders", "Key": {"pk": {"S": pk}}, "ConditionExpression": condition}}


def add_one(pk: str = "a", **more: Any) -> Element:
    expression = {"UpdateExpression": "ADD n :one", "ExpressionAttributeValues": {":one": {"N": "1"}}}
    return {"Update": {"TableName": "orders", "Key": {"pk": {"S": pk}}, **expression, **more}}


def refused(db: Any, *elements: Element, **kwargs: Any) -> ClientError:
    with pytest.raises(ClientError) as raised:
        db.transact_write_items(TransactItems=list(elements), **kwargs)
    return raised.value


def code(error: ClientError) -> str:
    return str(error.response["Error"]["Code"])


def reasons(error: ClientError) -> list[dict[str, Any]]:
    assert code(error) == "TransactionCanceledException"
    return list(error.response["CancellationReasons"])


def test_every_kind_of_element_is_applied(db: FakeDynamoDB) -> None:
    for pk in ("checked", "deleted"):
        db.put_item(TableName="orders", Item={"pk": {"S": pk}})

    db.transact_write_items(
        TransactItems=[put("new"), delete("deleted"), add_one("counted"), check("checked", "attribute_exists(pk)")]
    )

    assert db.items("orders") == [
        {"pk": {"S": "checked"}},
        {"pk": {"S": "new"}},
        {"pk": {"S": "counted"}, "n": {"N": "1"}},
    ]


def test_one_element_that_fails_cancels_them_all_and_each_says_why(db: FakeDynamoDB) -> None:
    db.put_item(TableName="orders", Item={"pk": {"S": "old"}, "n": {"N": "7"}})
    db.put_item(TableName="orders", Item={"pk": {"S": "other"}})
    only_new = {"ConditionExpression": "attribute_not_exists(pk)"}

    error = refused(
        db,
        put("a"),
        put("old", ReturnValuesOnConditionCheckFailure="ALL_OLD", **only_new),
        check("missing", "attribute_exists(pk)"),
        put("b", attributes={"day": {"N": "1"}}),
        put("other", **only_new),
    )

    assert [reason["Code"] for reason in reasons(error)] == [
        "None",
        "ConditionalCheckFailed",
        "ConditionalCheckFailed",
        "ValidationError",
        "ConditionalCheckFailed",
    ]
    assert reasons(error)[0] == {"Code": "None"}
    assert reasons(error)[1] == {
        "Code": "ConditionalCheckFailed",
        "Message": "The conditional request failed",
        "Item": {"pk": {"S": "old"}, "n": {"N": "7"}},
    }
    assert "Item" not in reasons(error)[2]
    assert "Item" not in reasons(error)[4]  # It is there, but nobody asked for it.
    assert "Type mismatch for Index Key day" in reasons(error)[3]["Message"]
    assert "[None, ConditionalCheckFailed, ConditionalCheckFailed, ValidationError, ConditionalCheckFailed]" in str(
        error
    )
    assert len(db.items("orders")) == 2


@pytest.mark.parametrize(
    "elements",
    [
        pytest.param([put(str(n)) for n in range(101)], id="101"),
        pytest.param([put("a"), delete("a")], id="one item twice"),
        pytest.param([put("a"), check("a", "attribute_exists(pk)")], id="checked and written"),
        pytest.param([{**put("a"), **delete("b")}], id="two kinds in one element"),
        pytest.param([add_one(ConditionExpression="n = = n")], id="syntax"),
        pytest.param([put(str(n), attributes={"f": {"S": "x" * 400_000}}) for n in range(11)], id="more than 4 MB"),
    ],
)
def test_an_illegal_transaction_is_refused_as_a_whole(db: FakeDynamoDB, elements: list[Element]) -> None:
    assert code(refused(db, *elements)) == "ValidationException"
    assert db.items("orders") == []


def test_100_elements_and_a_token_of_36_characters_pass(db: FakeDynamoDB) -> None:
    db.transact_write_items(TransactItems=[put(str(n)) for n in range(100)], ClientRequestToken="t" * 36)

    assert len(db.items("orders")) == 100
    assert code(refused(db, put("late"), ClientRequestToken="t" * 37)) == "ValidationException"
    with pytest.raises(ParamValidationError):
        db.transact_write_items(TransactItems=[])
    with pytest.raises(ParamValidationError):
        db.transact_write_items(TransactItems=[put()], ClientRequestToken="")


def test_a_token_applies_once_in_10_minutes(db: FakeDynamoDB, clock: Clock) -> None:
    def send() -> None:
        db.transact_write_items(TransactItems=[add_one()], ClientRequestToken="token")

    db.script(ConnectionLost(applied=True))
    with pytest.raises(Exception, match="Connection was closed"):
        send()
    send()
    clock.sleep(600)
    send()
    assert db.items("orders") == [{"pk": {"S": "a"}, "n": {"N": "1"}}]

    clock.sleep(0.001)
    send()

    assert db.items("orders") == [{"pk": {"S": "a"}, "n": {"N": "2"}}]


def test_a_token_is_kept_by_transactions_that_were_completed_only(db: FakeDynamoDB) -> None:
    kwargs: dict[str, Any] = {"TransactItems": [add_one()], "ClientRequestToken": "token"}
    db.script(Canceled())

    assert [reason["Code"] for reason in reasons(refused(db, add_one(), ClientRequestToken="token"))] == [
        "TransactionConflict"
    ]
    db.transact_write_items(**kwargs)

    assert db.items("orders") == [{"pk": {"S": "a"}, "n": {"N": "1"}}]


def test_a_token_with_another_request_is_refused(db: FakeDynamoDB) -> None:
    db.transact_write_items(TransactItems=[add_one("a")], ClientRequestToken="token")

    error = refused(db, add_one("b"), ClientRequestToken="token")

    assert code(error) == "IdempotentParameterMismatchException"
    assert isinstance(error, db.exceptions.IdempotentParameterMismatchException)
    assert len(db.items("orders")) == 1


def test_a_transaction_takes_twice_the_write_units_and_a_repetition_reads(db: FakeDynamoDB) -> None:
    item = {"f": {"S": "x" * 1500}}
    kwargs: dict[str, Any] = {
        "TransactItems": [put("a", attributes=item), delete("b")],
        "ClientRequestToken": "token",
        "ReturnConsumedCapacity": "TOTAL",
    }

    first, second = (db.transact_write_items(**kwargs)["ConsumedCapacity"] for _ in range(2))

    assert first == [{"TableName": "orders", "CapacityUnits": 6.0, "WriteCapacityUnits": 6.0}]
    assert second == [{"TableName": "orders", "CapacityUnits": 4.0, "ReadCapacityUnits": 4.0}]
    assert db.consumed["orders"] == 6
    assert "ConsumedCapacity" not in db.transact_write_items(TransactItems=[put("c")])


def test_a_transaction_without_capacity_is_canceled(db: FakeDynamoDB, clock: Clock) -> None:
    db.limit("orders", Capacity(write_units_per_second=2, burst_seconds=1, clock=clock))
    db.transact_write_items(TransactItems=[put("a")])

    assert [reason["Code"] for reason in reasons(refused(db, put("b")))] == ["ProvisionedThroughputExceeded"]
    clock.sleep(1)
    db.transact_write_items(TransactItems=[put("b")])

    assert len(db.items("orders")) == 2


def test_faults_of_a_transaction(db: FakeDynamoDB) -> None:
    db.script(
        Canceled("ThrottlingError"),
        UnprocessedIf(lambda _, request: request == {"Update": {"Key": {"pk": {"S": "a"}}}}),
        Throttle("ThrottlingException"),
        Refusal("TransactionInProgressException", "already in progress"),
    )

    assert [reason["Code"] for reason in reasons(refused(db, add_one("a"), put("b")))] == ["ThrottlingError", "None"]
    assert [reason["Code"] for reason in reasons(refused(db, put("b"), add_one("a")))] == ["None", "ThrottlingError"]
    assert code(refused(db, put())) == "ThrottlingException"
    assert isinstance(refused(db, put()), db.exceptions.TransactionInProgressException)
    assert db.items("orders") == []


def test_a_canceled_transaction_is_no_fault_of_another_operation(db: FakeDynamoDB) -> None:
    db.script(Canceled())

    with pytest.raises(TypeError, match="TransactWriteItems"):
        db.put_item(TableName="orders", Item={"pk": {"S": "a"}})


@pytest.mark.parametrize("applied", [True, False])
def test_an_answer_may_be_unreadable_or_botocore_may_give_up(db: FakeDynamoDB, applied: bool) -> None:
    db.script(Unreadable(applied), Raised(RuntimeError("given up"), applied))

    answer = db.transact_write_items(TransactItems=[put("a")], ReturnConsumedCapacity="TOTAL")
    with pytest.raises(RuntimeError, match="given up"):
        db.transact_write_items(TransactItems=[put("b")])

    assert list(answer) == ["ResponseMetadata"]
    assert len(db.items("orders")) == 2 * applied


def test_a_real_client_sees_the_same(db: FakeDynamoDB, remote: Any) -> None:
    binary = {"TableName": "binary", "Item": {"pk": {"B": b"\x00\xff"}}}
    conditional: Element = {
        "Put": {
            **binary,
            "ConditionExpression": "attribute_not_exists(pk)",
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
    }

    remote.transact_write_items(TransactItems=[{"Put": binary}])
    remote_error, error = refused(remote, conditional, put("a")), refused(db, conditional, put("a"))

    assert db.items("binary") == [binary["Item"]]
    assert reasons(error)[0]["Item"] == binary["Item"]
    for member in ("Error", "Message", "CancellationReasons"):
        assert remote_error.response[member] == error.response[member]
    assert type(remote_error).__name__ == type(error).__name__
