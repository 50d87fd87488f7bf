"""What this project's start of moto leaves out changes no answer."""

from __future__ import annotations

import json
from typing import Any

import pytest
from moto.core.serialize import ResponseSerializer, XFormedAttributePicker, get_serializer_class
from moto.core.utils import get_service_model

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


@pytest.mark.parametrize("operation", ANSWERS)
def test_the_answer_is_motos_own(operation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        ResponseSerializer, "_serialize_structure_member", ResponseSerializer._serialize_structure_member
    )
    own, looks = answered(operation)

    moto_server.prepare()
    body, fewer = answered(operation)

    assert body == own
    assert ("pk" in own) == (fewer < looks / 2)
    if operation == "GetItem":
        assert json.loads(own)["Item"].keys() == ITEM.keys()
