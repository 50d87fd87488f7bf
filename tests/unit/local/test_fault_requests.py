"""What the injector knows of requests: sizes, write units, typed keys. And of moto: what it must correct."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config

from sluice.local.faults.injector import Injector
from sluice.local.faults.profiles import PROFILES, Profile
from sluice.local.faults.requests import Table, item_bytes, key_value, write_units, writes
from sluice.local.faults.server import serve
from sluice.local.faults.upstream import Upstream

SIGNED = {"Authorization": "AWS4-HMAC-SHA256 Credential=test/20261122/us-east-1/dynamodb/aws4_request"}
pytestmark = pytest.mark.xdist_group("moto")


@pytest.mark.parametrize(
    ("item", "size"),
    [
        ({"pk": {"S": "äb"}}, 2 + 3),
        ({"n": {"N": "0"}}, 1 + 1),
        ({"n": {"N": "-12300"}}, 1 + 3),
        ({"n": {"N": "0.0012345"}}, 1 + 4),
        ({"b": {"B": "AAECAw=="}}, 1 + 4),
        ({"t": {"BOOL": False}, "u": {"NULL": True}}, 4),
        ({"l": {"L": []}, "m": {"M": {}}}, 8),
        ({"l": {"L": [{"S": "ab"}, {"S": "c"}]}}, 1 + 3 + 2 + 3),
        ({"m": {"M": {"k": {"S": "ab"}}}}, 1 + 3 + 1 + 3),
        ({"s": {"SS": ["ab", "c"]}, "n": {"NS": ["12", "3"]}}, 1 + 3 + 1 + 4),
    ],
)
def test_an_item_has_the_size_of_the_documented_rule(item: Any, size: int) -> None:
    assert item_bytes(item) == size


def test_the_larger_image_costs_one_unit_for_each_kilobyte_begun() -> None:
    small, large = {"k": {"S": "x" * 1023}}, {"k": {"S": "x" * 1024}}

    assert write_units(None, None) == 1
    assert write_units(None, small) == 1
    assert write_units(small, large) == 2
    assert write_units(large, None) == 2


def test_number_keys_are_the_same_however_they_are_spelled() -> None:
    assert key_value({"N": "1"}) == key_value({"N": "1.0"}) == key_value({"N": "1e0"})
    assert key_value({"S": "1"}) != key_value({"S": "1.0"})


def test_binary_keys_are_bytes() -> None:
    assert key_value({"B": "AAE="}) == b"\x00\x01"


def test_a_transaction_writes_what_its_elements_name() -> None:
    table = Table("t", ("pk",))
    request = {
        "TransactItems": [
            {"Put": {"TableName": "t", "Item": {"pk": {"S": "a"}, "v": {"N": "1"}}}},
            {"Update": {"TableName": "t", "Key": {"pk": {"S": "b"}}, "UpdateExpression": "REMOVE v"}},
        ]
    }

    found = writes("TransactWriteItems", request, 100, lambda _: table)

    assert [write.key for write in found] == [("a",), ("b",)]
    assert [write.item is None for write in found] == [False, True]


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    from moto.server import ThreadedMotoServer  # Here, for every process of pytest imports every test file.

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


def client_of(url: str) -> Any:
    return boto3.client(
        "dynamodb",
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        endpoint_url=url,
        config=Config(proxies={}, retries={"total_max_attempts": 1}),
    )


@pytest.fixture
def client(moto: str) -> Iterator[Any]:
    """A client that speaks to moto through a calm injector, with a fresh table `t`."""
    with serve(Injector(moto, PROFILES["calm"], 1)) as url:
        client = client_of(url)
        client.create_table(
            TableName="t",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        yield client
        client.delete_table(TableName="t")


def item(pk: str, kilobytes: int) -> dict[str, Any]:
    return {"pk": {"S": pk}, "v": {"S": "x" * (1024 * kilobytes - 10)}}


def units(answer: Any) -> Any:
    consumed = answer["ConsumedCapacity"]
    return consumed[0]["CapacityUnits"] if isinstance(consumed, list) else consumed["CapacityUnits"]


def batch(client: Any, *requests: dict[str, Any]) -> Any:
    return client.batch_write_item(RequestItems={"t": list(requests)}, ReturnConsumedCapacity="TOTAL")


def test_a_batch_consumes_what_its_items_cost(client: Any) -> None:
    first = batch(client, {"PutRequest": {"Item": item("a", 3)}}, {"PutRequest": {"Item": item("b", 1)}})
    second = batch(client, {"PutRequest": {"Item": item("a", 1)}}, {"DeleteRequest": {"Key": {"pk": {"S": "none"}}}})

    assert units(first) == 3 + 1
    assert units(second) == 3 + 1  # The old image was the larger one; a delete of nothing costs 1.


def test_single_writes_consume_what_they_cost(client: Any) -> None:
    total = {"TableName": "t", "ReturnConsumedCapacity": "TOTAL"}
    update = {"UpdateExpression": "SET v = :v", "ExpressionAttributeValues": {":v": {"S": "x" * 4000}}}

    assert units(client.put_item(Item=item("a", 2), **total)) == 2
    assert units(client.update_item(Key={"pk": {"S": "a"}}, **update, **total)) == 4
    assert units(client.delete_item(Key={"pk": {"S": "a"}}, **total)) == 4


def test_a_transaction_consumes_twice_as_much(client: Any) -> None:
    puts = [{"Put": {"TableName": "t", "Item": item(pk, 2)}} for pk in ("a", "b")]

    answer = client.transact_write_items(TransactItems=puts, ReturnConsumedCapacity="TOTAL")

    assert units(answer) == 8


def test_nothing_is_said_of_units_where_nobody_asks(client: Any) -> None:
    answer = client.batch_write_item(RequestItems={"t": [{"PutRequest": {"Item": item("a", 1)}}]})

    assert "ConsumedCapacity" not in answer


def test_the_key_of_a_table_is_learned_from_the_endpoint(client: Any) -> None:
    twice = [{"PutRequest": {"Item": item("a", size)}} for size in (1, 2)]

    with pytest.raises(client.exceptions.ClientError, match="duplicates"):
        batch(client, *twice)


def test_a_table_that_is_not_there_is_the_endpoints_to_refuse(client: Any) -> None:
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.put_item(TableName="elsewhere", Item=item("a", 1))


def test_a_condition_that_does_not_hold_passes_through(client: Any) -> None:
    client.put_item(TableName="t", Item=item("a", 1))

    with pytest.raises(client.exceptions.ConditionalCheckFailedException):
        client.put_item(TableName="t", Item=item("a", 1), ConditionExpression="attribute_not_exists(pk)")


def test_a_transaction_without_write_units_is_throttled_as_a_whole(client: Any, moto: str) -> None:
    puts = [{"Put": {"TableName": "t", "Item": item(pk, 1)}} for pk in ("a", "b")]

    with serve(Injector(moto, Profile(write_units=1), 1)) as url:
        limited = client_of(url)
        with pytest.raises(limited.exceptions.ProvisionedThroughputExceededException):
            limited.transact_write_items(TransactItems=puts)

    assert client.scan(TableName="t")["Items"] == []


def test_the_partition_key_comes_first_whatever_its_name(client: Any, moto: str) -> None:
    names = [{"AttributeName": "z", "KeyType": "HASH"}, {"AttributeName": "a", "KeyType": "RANGE"}]
    types = [{"AttributeName": name, "AttributeType": "S"} for name in ("a", "z")]
    client.create_table(TableName="zebra", KeySchema=names, AttributeDefinitions=types, BillingMode="PAY_PER_REQUEST")

    assert Upstream(moto).describe(SIGNED, "zebra").key == ("z", "a")
