"""A record of an SQS event, read so that none raises, whatever is missing or of a wrong type in it. Pure.

What SQS delivers is whole; emulators, tests and hand-made events leave things out.
https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache, lru_cache
from typing import Any

from .errors import EventError

Attribute = dict[str, Any]
"""A message attribute as SendMessage takes it: DataType, and StringValue or BinaryValue."""

Usual = tuple[str, str, int, str | None]
"""Message id, body, receive count and group."""

_GROUP = re.compile("[!-~]{1,128}")  # MessageGroupId: letters, digits and punctuation.


def from_sqs(record: Any) -> Mapping[str, Any]:
    """The record; an empty one in the place of what is no object. Raises `EventError` for another service's."""
    if type(record) is dict and record.get("eventSource") == "aws:sqs":  # The usual: asked first.
        return record
    if not isinstance(record, Mapping):
        return {}
    source = record.get("eventSource", "aws:sqs")
    if isinstance(source, str) and source != "aws:sqs":
        raise EventError(f"a record of eventSource {source!r} is not from SQS")
    return record


def unsent(body: str) -> Mapping[str, Any]:
    """A record such as the function would receive for a body that is still to be sent."""
    return {"messageId": "unsent", "body": body}


def usual(record: Mapping[str, Any]) -> Usual | None:
    """Of a record that can be read, in half the time of asking for each."""
    id, body = record.get("messageId"), record.get("body")
    if type(id) is not str or type(body) is not str or not id or not body:
        return None
    attributes, arn = record.get("attributes"), record.get("eventSourceARN")
    is_first = type(attributes) is dict and attributes.get("ApproximateReceiveCount") == "1"
    is_fifo = type(arn) is str and _is_fifo(arn)
    count = 1 if is_first else receive_count(record)
    return id, body, count, _system_attribute(record, "MessageGroupId") if is_fifo else None


def unreadable(record: Mapping[str, Any]) -> str:
    """Why nothing can be done with a record but return it; empty where it has an id and a body."""
    if not message_id(record):
        # The empty id that is reported for it makes Lambda return the whole batch (services-sqs-errorhandling).
        return "a record without a messageId"
    body = record.get("body")
    return "" if isinstance(body, str) and body else "a record without a body"


def message_id(record: Mapping[str, Any]) -> str:
    """Empty where there is none."""
    id = record.get("messageId")
    return id if isinstance(id, str) else ""


def receive_count(record: Mapping[str, Any]) -> int:
    """1 where it is not told."""
    try:
        return max(1, int(record["attributes"]["ApproximateReceiveCount"]))
    except (LookupError, TypeError, ValueError, OverflowError):
        return 1


def sent_at(records: Iterable[Mapping[str, Any]]) -> list[int]:
    """SentTimestamp of the records that have one: milliseconds since 1970, by SQS's clock."""
    found = []
    for record in records:
        try:
            found.append(int(record["attributes"]["SentTimestamp"]))
        except (LookupError, TypeError, ValueError, OverflowError):
            continue
    return found


def queue_arn(record: Mapping[str, Any]) -> str:
    """Empty where there is none that names a queue: arn:PARTITION:sqs:REGION:ACCOUNT:NAME."""
    arn = record.get("eventSourceARN")
    return arn if isinstance(arn, str) and _is_queue(arn) else ""


def receipt(record: Mapping[str, Any]) -> str:
    """The receipt handle; empty where there is none."""
    handle = record.get("receiptHandle")
    return handle if isinstance(handle, str) and handle.isascii() else ""


def group(record: Mapping[str, Any]) -> str | None:
    """The message group of a FIFO queue, where order matters; None on a standard queue (fair queues too)."""
    return _system_attribute(record, "MessageGroupId") if _is_fifo(queue_arn(record)) else None


def group_id(record: Mapping[str, Any]) -> str:
    """MessageGroupId, of a FIFO queue or a fair one; empty where there is none that SQS would take."""
    text = _system_attribute(record, "MessageGroupId")
    return text if _GROUP.fullmatch(text) else ""


def trace_header(record: Mapping[str, Any]) -> str:
    """AWSTraceHeader; empty where there is none."""
    return as_sqs_takes_it(_system_attribute(record, "AWSTraceHeader"))


def message_attributes(record: Mapping[str, Any]) -> Iterator[tuple[str, Attribute]]:
    """The message's own attributes, as they are sent; without those that SQS cannot have delivered."""
    attributes = record.get("messageAttributes")
    for name, value in attributes.items() if isinstance(attributes, Mapping) else ():
        attribute = _attribute(value) if isinstance(value, Mapping) else None
        if name and attribute is not None and not _not_allowed().search(name):
            yield name, attribute


def as_sqs_takes_it(text: str) -> str:
    """The text with U+FFFD in the place of each character that SQS refuses."""
    return _not_allowed().sub("\ufffd", text)


@cache
def _not_allowed() -> re.Pattern[str]:
    """A character that SQS refuses. Compiled when it is needed, as that takes longer than most modules to load.

    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
    """
    return re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _is_queue(arn: str) -> bool:
    return arn.count(":") == 5 and arn.isascii()


@lru_cache(16)  # It is asked for each message.
def _is_fifo(arn: str) -> bool:
    return arn.endswith(".fifo") and _is_queue(arn)


def _system_attribute(record: Mapping[str, Any], name: str) -> str:
    attributes = record.get("attributes")
    value = attributes.get(name) if isinstance(attributes, Mapping) else None
    return value if isinstance(value, str) else ""


def _attribute(value: Mapping[str, Any]) -> Attribute | None:
    kind, text, binary = value.get("dataType"), value.get("stringValue"), value.get("binaryValue")
    if not isinstance(kind, str) or _not_allowed().search(kind):
        return None
    if kind.startswith(("String", "Number")) and isinstance(text, str) and text:
        return {"DataType": kind, "StringValue": as_sqs_takes_it(text)}
    if kind.startswith("Binary") and isinstance(binary, str) and binary:
        return {"DataType": kind, "BinaryValue": _decoded(binary)}
    return None


def _decoded(binary: str) -> bytes:
    """The bytes of base64; of anything else the text itself: some emulators do not encode."""
    try:
        return base64.b64decode(binary, validate=True)
    except (binascii.Error, ValueError):
        return binary.encode(errors="replace")
