"""A dead letter: as it comes from the queue, as a line of an export, and as it is sent again. Pure."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

REASONS = ("ErrorCode", "ErrorMessage", "SourceMessageId", "SourceQueueArn", "ReceiveCount")
"""The attributes that the function adds to a message that it dead-letters."""
NO_CODE = "none"
"""Stands for the code of letters that SQS's own redrive moved: nobody gave a reason."""

Attribute = dict[str, Any]


class BadLineError(Exception):
    """A line is not one of an export; the text says why, without values."""


@dataclass(frozen=True, slots=True)
class Letter:
    """One message of a dead-letter queue."""

    id: str
    receipt_handle: str
    body: str
    attributes: Mapping[str, Attribute]
    """All of the message's, the reasons among them."""
    sent_at: float
    """Seconds since 1970. A standard queue keeps the time at which the original message was sent, if SQS moved it."""
    receive_count: int
    group: str | None = None
    trace: str | None = None

    @property
    def code(self) -> str:
        return self.reason("ErrorCode") or NO_CODE

    def reason(self, name: str) -> str:
        return str(self.attributes.get(name, {}).get("StringValue", ""))

    @property
    def own_attributes(self) -> dict[str, Attribute]:
        """Without the reasons, which would mislead if the message were dead-lettered again for another one."""
        return {name: value for name, value in self.attributes.items() if name not in REASONS}

    @property
    def size(self) -> int:
        """Bytes that SQS counts when it is sent again."""
        return len(self.body.encode("utf-8", "surrogatepass")) + sum(
            len(name.encode()) + len(value["DataType"]) + len(_content(value))
            for name, value in self.own_attributes.items()
        )

    def entry(self) -> dict[str, Any]:
        """What an entry of SendMessageBatch has besides Id, MessageBody and what a FIFO queue needs."""
        entry: dict[str, Any] = {}
        if self.own_attributes:
            entry["MessageAttributes"] = self.own_attributes
        if self.trace is not None:
            entry["MessageSystemAttributes"] = {"AWSTraceHeader": {"DataType": "String", "StringValue": self.trace}}
        return entry

    def to_line(self) -> str:
        """A line of an export: the reasons, the other attributes, the body as text."""
        line = {
            "MessageId": self.id,
            **{name: self.reason(name) for name in REASONS if name in self.attributes},
            "SentTimestamp": datetime.fromtimestamp(self.sent_at, UTC).isoformat(timespec="milliseconds"),
            **({"MessageGroupId": self.group} if self.group is not None else {}),
            "Attributes": {name: _as_text(value) for name, value in self.own_attributes.items()},
            "Body": self.body,
        }
        return json.dumps(line, ensure_ascii=False)

    def changed(self, line: Mapping[str, Any]) -> Letter:
        """This letter with the body, and the attributes where there are any, of a line. Raises `BadLineError`."""
        body = line.get("Body")
        if not isinstance(body, str) or not body:
            raise BadLineError('"Body" must be a text that is not empty')
        attributes = line.get("Attributes")
        if attributes is None:
            return replace(self, body=body)
        if not isinstance(attributes, dict):
            raise BadLineError('"Attributes" must be an object')
        return replace(self, body=body, attributes={name: _from_text(value) for name, value in attributes.items()})


def letter(message: Mapping[str, Any]) -> Letter:
    """A message as ReceiveMessage gives it."""
    system = message.get("Attributes", {})
    return Letter(
        id=message["MessageId"],
        receipt_handle=message["ReceiptHandle"],
        body=message["Body"],
        attributes={
            name: {key: value[key] for key in ("DataType", "StringValue", "BinaryValue") if key in value}
            for name, value in message.get("MessageAttributes", {}).items()
        },
        sent_at=int(system.get("SentTimestamp", 0)) / 1000,
        receive_count=int(system.get("ApproximateReceiveCount", 1)),
        group=system.get("MessageGroupId"),
        trace=system.get("AWSTraceHeader"),
    )


def parsed(text: str | bytes) -> dict[str, Any]:
    """A line with its MessageId. Raises `BadLineError`."""
    try:
        line = json.loads(text)
    except (ValueError, RecursionError):
        raise BadLineError("not JSON") from None
    if not isinstance(line, dict) or not isinstance(line.get("MessageId"), str):
        raise BadLineError('not an object with a "MessageId"')
    return line


def _as_text(value: Attribute) -> Attribute:
    if "BinaryValue" not in value:
        return value
    return {**value, "BinaryValue": base64.b64encode(value["BinaryValue"]).decode()}


def _from_text(value: Any) -> Attribute:
    if not isinstance(value, dict) or not isinstance(value.get("DataType"), str):
        raise BadLineError('an attribute must be an object with a "DataType"')
    if "BinaryValue" not in value:
        return value
    try:
        return {**value, "BinaryValue": base64.b64decode(value["BinaryValue"], validate=True)}
    except (binascii.Error, ValueError, TypeError):
        raise BadLineError('"BinaryValue" must be base64') from None


def _content(value: Attribute) -> bytes:
    return bytes(value.get("BinaryValue") or str(value.get("StringValue", "")).encode())
