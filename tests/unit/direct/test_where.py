"""Where a writer writes, and as whom: the environment, a session, or a boto3 Table. The wire is moto's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.server import ThreadedMotoServer

from sluice import Writer
from sluice.message.errors import SettingsError

KEYS: dict[str, Any] = {"aws_access_key_id": "AKIDEXAMPLE", "aws_secret_access_key": "s", "region_name": "eu-west-1"}
TABLE: dict[str, Any] = {
    "TableName": "orders",
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    "AttributeDefinitions": [
        {"AttributeName": "sk", "AttributeType": "N"},
        {"AttributeName": "pk", "AttributeType": "S"},
    ],
    "BillingMode": "PAY_PER_REQUEST",
}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.stop()


@pytest.fixture
def table(url: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A table that only its own client leads to: the environment leads nowhere."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:9")
    resource = boto3.resource("dynamodb", endpoint_url=url, **KEYS)
    if not list(resource.tables.all()):
        resource.create_table(**TABLE)
    return resource.Table("orders")


def count(table: Any) -> int:
    return len(table.scan()["Items"])


def test_a_boto3_table_leads_to_its_own_endpoint_and_knows_its_key(table: Any) -> None:
    before = count(table)
    with Writer(table) as writer:
        writer.put({"pk": "by table", "sk": 1})
        wrong = writer.put({"pk": "by table", "sk": "1"})
    assert count(table) == before + 1
    assert wrong.code == "KeyTypeMismatch"


def test_a_session_says_who_calls(table: Any, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", url)
    with Writer("orders", session=boto3.Session(**KEYS)) as writer:
        writer.put({"pk": "by session", "sk": 1})
    assert table.get_item(Key={"pk": "by session", "sk": 1})["Item"]


def test_the_key_is_asked_for(table: Any, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", url)
    for name, value in zip(("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "DEFAULT_REGION"), KEYS.values(), strict=True):
        monkeypatch.setenv(f"AWS_{name}", value)
    with Writer("orders") as writer:
        writer.put({"pk": "by environment", "sk": 1})
    assert table.get_item(Key={"pk": "by environment", "sk": 1})["Item"]
    with pytest.raises(ClientError, match="ResourceNotFound"):
        Writer("nowhere")


def test_what_is_no_table_is_refused() -> None:
    with pytest.raises(SettingsError, match="a name or a boto3 Table, got a int"):
        Writer(3)


def test_under_mock_aws_the_mock_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests of the caller's own: whoever mocks boto3 sees every call."""
    monkeypatch.delenv("AWS_ENDPOINT_URL_DYNAMODB", raising=False)
    with mock_aws():
        resource = boto3.resource("dynamodb", region_name="us-east-1")
        resource.create_table(**TABLE)
        with Writer(resource.Table("orders")) as writer:
            for number in range(30):
                writer.put({"pk": "mocked", "sk": number})
            writer.update({"pk": "mocked", "sk": 1}, "SET n = :n", values={":n": 1})
        assert writer.result.written == 31
        assert count(resource.Table("orders")) == 30
