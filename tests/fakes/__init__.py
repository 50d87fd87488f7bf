"""Fakes of DynamoDB and SQS that keep the services' rules, for tests without a network.

    db = FakeDynamoDB()
    db.create_table("orders", partition_key=("pk", "S"))
    db.script(Unprocessed(2), Throttle(), None)     # the next three calls
    db.batch_write_item(RequestItems={"orders": [...]})
    assert db.items("orders") == [...]

`tests.fakes.server.serve` puts the same fakes behind a URL for a real boto3 client.
"""

from tests.fakes.clock import Clock
from tests.fakes.dynamodb import FakeDynamoDB
from tests.fakes.faults import (
    Canceled,
    ConnectionLost,
    Delay,
    Fault,
    Raised,
    Refusal,
    RejectIf,
    ServerError,
    Throttle,
    Timeout,
    Unprocessed,
    UnprocessedIf,
    Unreadable,
)
from tests.fakes.service import Call
from tests.fakes.sqs import FakeSQS
from tests.fakes.tables import Capacity

__all__ = [
    "Call",
    "Canceled",
    "Capacity",
    "Clock",
    "ConnectionLost",
    "Delay",
    "FakeDynamoDB",
    "FakeSQS",
    "Fault",
    "Raised",
    "Refusal",
    "RejectIf",
    "ServerError",
    "Throttle",
    "Timeout",
    "Unprocessed",
    "UnprocessedIf",
    "Unreadable",
]
