"""What this project's start of moto leaves out changes no answer."""

from __future__ import annotations

import json
from typing import Any

import pytest
from moto import backends
from moto.core import responses as moto_responses
from moto.core.serialize import ResponseSerializer, XFormedAttributePicker, get_serializer_class
from moto.core.utils import get_service_model, unix_time_millis
from moto.moto_server.werkzeug_app import MotoRequestHandler
from moto.sqs.models import Message, Queue, SQSBackend
from moto.sqs.responses import SQSResponse

from sluice.local import moto_server

ITEM = {
    "pk": {"S": "a"},
    "n": {"N": "1.50"},
    "b": {"B": "QQ=="},
    "t": {"BOOL": False},
    "z": {"NULL": True},
    "ss": {"SS": ["s", "S"]},
    "ns": {"NS": ["1", "2"]},
    "bs": {"BS": ["QQ=="]},
    "m": {"M": {"S": {"N": "1"}, "s": {"M": {}}, "N": {"L": []}}},
    "l": {"L": [{"S": ""}, {"L": [{"N": "0"}]}]},
}
ANSWERS: dict[str, dict[str, Any]] = {
    "BatchGetItem": {"Responses": {"orders": [ITEM, {}]}, "UnprocessedKeys": {}},
    "GetItem": {"Item": ITEM},
    "Scan": {"Items": [ITEM], "Count": 1, "ScannedCount": 1, "LastEvaluatedKey": {"pk": {"S": "a"}}},
    "DescribeTable": {"Table": {"TableName": "orders", "ItemCount": 1}},
}

responses: Any = moto_responses


class Looks(XFormedAttributePicker):
    """Counts what is looked for."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __call__(self, context: Any) -> Any:
        self.count += 1
        return super().__call__(context)


def answered(operation: str) -> tuple[Any, int]:
    """The body that moto answers with, and how often it has looked for a member."""
    looks = Looks()
    model = get_service_model("dynamodb").operation_model(operation)
    serializer = get_serializer_class("dynamodb", "json")(operation_model=model, value_picker=looks)
    return serializer.serialize(ANSWERS[operation])["body"], looks.count


@pytest.fixture(autouse=True)
def moto_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is changed of moto is as it was after each test."""
    changed: list[tuple[Any, str]] = [
        (ResponseSerializer, "_serialize_structure_member"),
        (backends, "list_of_moto_modules"),
        (responses, "method_names_from_class"),
        (SQSBackend, "is_message_valid_based_on_retention_period"),
        (MotoRequestHandler, "log_request"),
    ]
    for where, name in changed:
        monkeypatch.setattr(where, name, getattr(where, name))


@pytest.mark.parametrize("operation", ANSWERS)
def test_the_answer_is_motos_own(operation: str) -> None:
    own, looks = answered(operation)

    moto_server.prepare()
    body, fewer = answered(operation)

    assert body == own
    assert ("pk" in own) == (fewer < looks / 2)
    if operation == "GetItem":
        assert json.loads(own)["Item"].keys() == ITEM.keys()


def test_services_and_methods_are_motos_own() -> None:
    services, methods = {*backends.list_of_moto_modules()}, responses.method_names_from_class(SQSResponse)

    moto_server.prepare()

    for _ in range(2):
        assert {*backends.list_of_moto_modules()} == services > {"sqs", "dynamodb", "cloudformation"}
        assert responses.method_names_from_class(SQSResponse) == methods
    assert "receive_message" in methods


@pytest.mark.parametrize("seconds", [0, 59, 61, 86_400])
def test_a_message_is_kept_as_long_as_by_moto(seconds: float) -> None:
    backend = SQSBackend("us-east-1", "123456789012")
    queue: Queue = backend.create_queue("work", MessageRetentionPeriod="60")
    message: Any = Message("m", "body")
    message.sent_timestamp = int(unix_time_millis()) - seconds * 1000
    own = backend.is_message_valid_based_on_retention_period(queue.name, message)

    moto_server.prepare()

    assert backend.is_message_valid_based_on_retention_period(queue.name, message) == own == (seconds < 60)
