"""The headers that are signed, and that a change to any of them would be noticed."""

from __future__ import annotations

from datetime import UTC, datetime
from unittest.mock import patch

import pytest

from sluice.aws.signature import Credentials, Signer

URL = "https://dynamodb.eu-west-1.amazonaws.com/"


def signed(body: bytes = b"{}", *, secret: str = "secret", token: str | None = None, day: int = 1) -> dict[str, str]:
    with patch("botocore.auth.get_current_datetime", return_value=datetime(2026, 1, day, tzinfo=UTC)):
        text = Signer(URL, "eu-west-1").headers(body, Credentials("access", secret, token))
    *lines, end = text.split("\r\n")
    assert end == ""
    return dict(line.split(": ", 1) for line in lines)


def test_all_that_the_service_needs_is_there() -> None:
    headers = signed()

    assert headers.pop("Authorization").startswith(
        "AWS4-HMAC-SHA256 Credential=access/20260101/eu-west-1/dynamodb/aws4_request, "
        "SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature="
    )
    assert headers == {
        "Content-Type": "application/x-amz-json-1.0",
        "X-Amz-Target": "DynamoDB_20120810.BatchWriteItem",
        "X-Amz-Date": "20260101T000000Z",
    }


def test_a_token_is_sent_and_signed() -> None:
    headers = signed(token="token/+=")

    assert headers["X-Amz-Security-Token"] == "token/+="
    assert "x-amz-security-token;" in headers["Authorization"]


@pytest.mark.parametrize("other", [{"body": b"[]"}, {"secret": "other"}, {"token": "t"}, {"day": 2}], ids=str)
def test_the_signature_depends_on(other: dict[str, object]) -> None:
    assert signed(**other)["Authorization"] != signed()["Authorization"]  # type: ignore[arg-type]
