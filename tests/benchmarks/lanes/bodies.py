"""The messages of each lane. Every record has a number between -1 and 0, as prices' changes and coordinates do."""

from __future__ import annotations

import base64
import random
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tests.benchmarks.records import CITIES, MEDIUM, Load, encoded, message, text

DIMENSIONS = 1024
FIFO_QUEUE = "arn:aws:sqs:us-east-1:123456789012:orders.fifo"
GROUPS = 4
VERSION = "revision"
LEVELS = 12
"""Of the deep maps; DynamoDB takes 32."""
Item = dict[str, Any]


def event(load: Load) -> dict[str, Any]:
    """The event of a lane: the same one in every process, and the same records in whatever form they come."""
    form = FORMS[load.form]
    source = random.Random(load.records * load.record_bytes)
    operations = [form(source, number, load.record_bytes) for number in range(load.records)]
    messages = [message(position, body) for position, body in enumerate(_packed(operations, load.per_message))]
    if load.form == "fifo":
        for position, each in enumerate(messages):
            each["eventSourceARN"] = FIFO_QUEUE
            each["attributes"] |= {
                "SequenceNumber": f"{18849496460467696128 + position * 256}",
                "MessageGroupId": f"customer-{position % GROUPS}",
                "MessageDeduplicationId": f"{position:064x}",
            }
    return {"Records": messages}


def _packed(operations: list[Item], per_message: int) -> Iterator[str]:
    if per_message == 1:
        yield from map(encoded, operations)
        return
    for start in range(0, len(operations), per_message):
        yield encoded(operations[start : start + per_message])


def key(source: random.Random, number: int) -> Item:
    return {"pk": f"customer#{source.randrange(10**6):06d}", "sk": f"order#{number:08d}"}


def record(source: random.Random, number: int, size: int) -> Item:
    """Seven attributes, whose compact JSON takes `size` bytes (at least 200)."""
    item: Item = {
        **key(source, number),
        VERSION: source.randrange(1, 5000),
        "change": -source.randrange(1, 10_000) / 10_000,
        "paid": source.random() < 0.5,
        "total": source.randrange(100, 10**6) / 100,
        "note": "",
    }
    if size >= MEDIUM:
        del item["total"]
        item["lines"] = []
        while len(encoded(item).encode()) < size - 250:
            item["lines"].append(
                {
                    "sku": f"SKU-{source.randrange(10**6):06d}",
                    "quantity": source.randrange(1, 9),
                    "price": source.randrange(100, 10**4) / 100,
                    "discount": -source.randrange(1, 50) / 100,
                    "name": text(source, 30),
                }
            )
    item["note"] = text(source, size - len(encoded(item).encode()))
    return item


def put(source: random.Random, number: int, size: int) -> Item:
    return {"put": record(source, number, size)}


def odd_put(source: random.Random, number: int, size: int) -> Item:
    """Its attributes stand in an order of their own, so that hardly any two puts are written alike."""
    attributes = list(record(source, number, size).items())
    source.shuffle(attributes)
    return {"put": dict(attributes)}


def delete(source: random.Random, number: int, _size: int) -> Item:
    return {"delete": key(source, number)}


def native_put(source: random.Random, number: int, size: int) -> Item:
    return {"PutRequest": {"Item": native(record(source, number, size))["M"]}}


def native_delete(source: random.Random, number: int, _size: int) -> Item:
    return {"DeleteRequest": {"Key": native(key(source, number))["M"]}}


def conditional_put(source: random.Random, number: int, size: int) -> Item:
    return {"put": record(source, number, size), "condition": "attribute_not_exists(pk)"}


def conditional_delete(source: random.Random, number: int, _size: int) -> Item:
    return {
        "delete": key(source, number),
        "condition": "#r < :r",
        "names": {"#r": VERSION},
        "values": {":r": source.randrange(1, 5000)},
    }


def update(source: random.Random, number: int, size: int) -> Item:
    """Sets a note of 100 B less than `size`, and two numbers."""
    return {
        "update": key(source, number),
        "expression": "SET #n = :n, #r = :r, #c = :c",
        "names": {"#n": "note", "#r": VERSION, "#c": "change"},
        "values": {
            ":n": text(source, size - 100),
            ":r": source.randrange(1, 5000),
            ":c": -source.randrange(1, 10_000) / 10_000,
        },
    }


def sns(source: random.Random, number: int, size: int) -> Item:
    """https://docs.aws.amazon.com/sns/latest/dg/sns-sqs-as-subscriber.html"""
    return {
        "Type": "Notification",
        "MessageId": f"22b80b92-fdea-4c2c-8f9d-{number:012x}",
        "TopicArn": "arn:aws:sns:us-east-1:123456789012:orders",
        "Subject": "order",
        "Message": encoded(put(source, number, size)),
        "Timestamp": "2026-05-02T00:54:06.655Z",
        "SignatureVersion": "1",
        "Signature": "EXAMPLEw6JRN" * 28,
        "SigningCertURL": "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-f3ecfb7224c7233f.pem",
        "UnsubscribeURL": "https://sns.us-east-1.amazonaws.com/?Action=Unsubscribe&SubscriptionArn=arn:aws:sns:us-"
        "east-1:123456789012:orders:c9135db0-26c4-47ec-8998-413945fb5a96",
    }


def eventbridge(source: random.Random, number: int, size: int) -> Item:
    """https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-events-structure.html"""
    return {
        "version": "0",
        "id": f"6a7e8feb-b491-4cf7-a9f1-{number:012x}",
        "detail-type": "Order Placed",
        "source": "shop.orders",
        "account": "123456789012",
        "time": "2026-05-02T00:54:06Z",
        "region": "us-east-1",
        "resources": [],
        "detail": record(source, number, size),
    }


def embedding(source: random.Random, number: int, _size: int) -> Item:
    """A text and its vector, about 11 KB."""
    vector = [round(source.gauss(0, 0.05), 8) for _ in range(DIMENSIONS)]
    return {"put": {**key(source, number), "text": text(source, 200), "embedding": vector}}


def sets(source: random.Random, number: int, _size: int) -> Item:
    """A set of ten strings and one of ten numbers."""
    return _native(
        source,
        number,
        cities={"SS": [*sorted(CITIES), "Pula", "Łódź"]},
        changes={"NS": [str(-n / 1000) for n in sorted(source.sample(range(1, 1000), 10))]},
    )


def binary(source: random.Random, number: int, _size: int) -> Item:
    """A binary of 150 bytes and a set of three of 16."""
    return _native(
        source,
        number,
        photo={"B": _base64(source, 150)},
        hashes={"BS": [_base64(source, 16) for _ in range(3)]},
    )


def deep_maps(source: random.Random, number: int, _size: int) -> Item:
    """A map in a map, and so on, each with a text and a number."""
    inner: Item = {"leaf": True}
    for level in range(LEVELS):
        inner = {"name": text(source, 8), "value": -source.randrange(1, 100) / 100, f"level {level}": inner}
    return _native(source, number, tree=native(inner))


def _native(source: random.Random, number: int, **attributes: Item) -> Item:
    change = {"N": str(-source.randrange(1, 10_000) / 10_000)}
    return {"PutRequest": {"Item": {**native(key(source, number))["M"], "change": change, **attributes}}}


def _base64(source: random.Random, length: int) -> str:
    return base64.b64encode(source.randbytes(length)).decode()


def native(value: Any) -> Item:
    """DynamoDB JSON."""
    match value:
        case bool():
            return {"BOOL": value}
        case str():
            return {"S": value}
        case int() | float():
            return {"N": encoded(value)}
        case list():
            return {"L": [native(each) for each in value]}
        case dict():
            return {"M": {name: native(each) for name, each in value.items()}}
    raise TypeError(f"no record has a {type(value).__name__}")


FORMS: Mapping[str, Callable[[random.Random, int, int], Item]] = {
    "put": put,
    "odd put": odd_put,
    "delete": delete,
    "native put": native_put,
    "native delete": native_delete,
    "conditional put": conditional_put,
    "conditional delete": conditional_delete,
    "update": update,
    "sns": sns,
    "eventbridge": eventbridge,
    "item": record,
    "embedding": embedding,
    "sets": sets,
    "binary": binary,
    "deep maps": deep_maps,
    "fifo": put,
}
