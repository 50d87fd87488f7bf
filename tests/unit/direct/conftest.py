"""A strict DynamoDB over HTTP, in an environment like Lambda's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fakes import FakeDynamoDB
from tests.fakes.server import serve


@pytest.fixture
def db(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDynamoDB]:
    db = FakeDynamoDB()
    db.create_table("orders", partition_key=("pk", "S"))
    db.create_table("events", partition_key=("pk", "S"), sort_key=("sk", "N"))
    with serve(db=db) as url:
        for name, value in {
            "AWS_ENDPOINT_URL_DYNAMODB": url,
            "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
        }.items():
            monkeypatch.setenv(name, value)
        yield db
