"""What the fakes take for obviously right, botocore takes, too."""

from collections.abc import Iterator
from typing import Any

import botocore.session
import pytest
from botocore.validate import ParamValidator

from tests.fakes.validity import Checks

ITEM = {
    "pk": {"S": "a"},
    "l": {"L": [{"N": "1"}, {"BOOL": True}]},
    "m": {"M": {"b": {"B": b"\x00"}}},
    "s": {"SS": ["x"]},
}
RIGHT: dict[tuple[str, str], dict[str, Any]] = {
    ("dynamodb", "BatchWriteItem"): {
        "RequestItems": {"orders": [{"PutRequest": {"Item": ITEM}}, {"DeleteRequest": {"Key": {"pk": {"S": "b"}}}}]},
        "ReturnConsumedCapacity": "TOTAL",
    },
    ("dynamodb", "UpdateItem"): {
        "TableName": "orders",
        "Key": {"pk": {"S": "a"}},
        "UpdateExpression": "SET #v = :v",
        "ExpressionAttributeNames": {"#v": "v"},
        "ExpressionAttributeValues": {":v": {"NULL": True}},
    },
    ("dynamodb", "TransactWriteItems"): {
        "TransactItems": [{"Put": {"TableName": "orders", "Item": ITEM}}],
        "ClientRequestToken": "token",
    },
    ("sqs", "SendMessageBatch"): {
        "QueueUrl": "https://queue",
        "Entries": [
            {
                "Id": "1",
                "MessageBody": "{}",
                "DelaySeconds": 5,
                "MessageAttributes": {"a": {"DataType": "Binary", "BinaryValue": b"\x00"}},
            }
        ],
    },
}
WRONG: tuple[Any, ...] = (
    None,
    1,
    1.5,
    -1,
    True,
    "",
    "text",
    b"",
    [],
    [1],
    {},
    {"S": 1},
    {"S": "a", "N": "1"},
    {"X": 1},
)


def changed(value: Any) -> Iterator[Any]:
    """The value with something else in each of its places, with one thing more, and with one less."""
    yield from WRONG
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from ({**value, name: other} for other in changed(inner))
            yield {other: value[other] for other in value if other != name}
        yield from ({**value, "Unknown": other} for other in WRONG)
    if isinstance(value, list):
        for position, inner in enumerate(value):
            yield from ([*value[:position], other, *value[position + 1 :]] for other in changed(inner))
        yield from ([*value, other] for other in WRONG)


@pytest.mark.parametrize(("service", "operation"), RIGHT)
def test_what_is_called_obviously_right_is_right_by_botocores_validator(service: str, operation: str) -> None:
    shape = botocore.session.Session().get_service_model(service).operation_model(operation).input_shape
    is_right = Checks().of(shape)
    judged = [
        (is_right(each), ParamValidator().validate(each, shape).has_errors())
        for each in changed(RIGHT[service, operation])
    ]

    assert is_right(RIGHT[service, operation])
    assert (True, True) not in judged
    assert (True, False) in judged
    assert (False, True) in judged
