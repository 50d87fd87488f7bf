"""The records that every writer gets: orders of a shop, of a chosen size, as SQS hands them to Lambda."""

from __future__ import annotations

import json
import random
import time
from dataclasses import dataclass
from typing import Any

SMALL, MEDIUM, LARGE = 300, 1024, 4096  # Bytes of one record's JSON.
TABLE = "bench"
CITIES = ("Lisboa", "Zürich", "Kraków", "Reykjavík", "Springfield", "Valparaíso", "Nantes", "Ōsaka")
WORDS = ("leave", "at", "the", "door", "please", "gift", "wrapped", "call", "before", "fragile", "nach", "Rücksprache")


@dataclass(frozen=True, slots=True)
class Load:
    """What one invocation is given."""

    records: int
    record_bytes: int
    per_message: int = 1
    form: str = ""
    """What the bodies are, of the forms in lanes/bodies.py; else plain puts of orders."""

    @property
    def messages(self) -> int:
        return -(-self.records // self.per_message)


def text(source: random.Random, length: int) -> str:
    """Words that take so many bytes of UTF-8."""
    words = " ".join(source.choice(WORDS) for _ in range(length // 3 + 1))
    whole = words.encode()[:length].decode(errors="ignore")
    return whole + "." * (length - len(whole.encode()))


def encoded(value: Any) -> str:
    """Compact JSON, as a careful producer sends it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def order(source: random.Random, number: int, size: int) -> dict[str, Any]:
    """One record, whose compact JSON takes `size` bytes (at least 300)."""
    record: dict[str, Any] = {
        "pk": f"customer#{source.randrange(10**6):06d}",
        "sk": f"order#{number:08d}",
        "quantity": source.randrange(1, 5000),
        "total": source.randrange(100, 10**6) / 100,
        "paid": source.random() < 0.5,
        "address": {"city": source.choice(CITIES), "zip": source.randrange(10_000, 99_999)},
        "position": {"lat": round(source.uniform(-90, 90), 5), "lon": round(source.uniform(-180, 180), 5)},
        "tags": [text(source, 6), text(source, 8)],
    }
    if size >= MEDIUM:
        record |= {
            "email": f"{source.getrandbits(48):012x}@example.com",
            "trace": f"{source.getrandbits(128):032x}",
            "weight": round(source.uniform(0, 1e6), 3),
            "balance": -source.randrange(10**6),
            "coupon": None,
            "express": True,
            "warehouse": text(source, 40),
            "lines": [],
        }
        while len(encoded(record).encode()) < size - 200:
            record["lines"].append(
                {
                    "sku": f"SKU-{source.randrange(10**6):06d}",
                    "quantity": source.randrange(1, 9),
                    "price": source.randrange(100, 10**4) / 100,
                    "name": text(source, 30),
                }
            )
    record["note"] = ""
    record["note"] = text(source, size - len(encoded(record).encode()))
    return record


def orders(count: int, size: int) -> tuple[dict[str, Any], ...]:
    """So many different records; the same ones in every process."""
    source = random.Random(count * size)
    return tuple(order(source, number, size) for number in range(count))


def bodies(load: Load) -> list[str]:
    """The message bodies: an operation, or an array of them."""
    puts = ['{"put":' + encoded(record) + "}" for record in orders(load.records, load.record_bytes)]
    if load.per_message == 1:
        return puts
    step = load.per_message
    return ["[" + ",".join(puts[start : start + step]) + "]" for start in range(0, len(puts), step)]


def event(load: Load) -> dict[str, Any]:
    """The event with which Lambda invokes a function that an SQS queue triggers."""
    return {"Records": [message(position, body) for position, body in enumerate(bodies(load))]}


def message(position: int, body: str) -> dict[str, Any]:
    # https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html#example-standard-queue-message-event
    return {
        "messageId": f"2e1424d4-f796-459a-8184-{position:012x}",
        "receiptHandle": f"AQEB{position:08d}" + "wJnKyrHigUMZj6rYigCgxlaS3SLy" * 10,
        "body": body,
        "attributes": {
            "ApproximateReceiveCount": "1",
            "SentTimestamp": str(time.time_ns() // 1_000_000),
            "SenderId": "AIDAIENQZJOLO23YVJ4VO",
            "ApproximateFirstReceiveTimestamp": "1545082650649",
        },
        "messageAttributes": {},
        "md5OfBody": "e4e68fb7bd0e697a0ae8f1bb342846b3",
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:orders",
        "awsRegion": "us-east-1",
    }
