"""Dead letters: the bad operations of a message, to the letter as they came in, and why they are bad. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from sluice.message import records
from sluice.message.decoder import Message
from sluice.message.operation import Rejection, Source
from sluice.message.records import Attribute

_BETWEEN_MEMBERS = re.compile(r"[\s,:]*")


def excerpt(body: str, bad: Sequence[Source]) -> str:
    """The operations that stand at these places of a body, in a body of the same form."""
    try:
        if not body.lstrip().startswith("["):
            return _narrowed(body, bad)
        elements = [text for _, text in _members(body).values()]
        by_element: dict[int, list[Source]] = {}
        for source in bad:
            by_element.setdefault(source.element, []).append(source)
        return f"[{','.join(_narrowed(elements[element], here) for element, here in sorted(by_element.items()))}]"
    except RecursionError:  # A bad operation nested so deeply that it was only just parsed.
        return body


def _narrowed(element: str, bad: Sequence[Source]) -> str:
    """The text of an element; of a RequestItems object only its bad requests."""
    if any(source.table is None for source in bad):
        return element
    tables = _members(_members(element)["RequestItems"][1])
    positions: dict[str, list[int]] = {}
    for source in bad:
        assert source.table is not None
        positions.setdefault(source.table, []).append(source.position)
    texts = []
    for table, of_table in positions.items():
        name, requests = tables[table]
        members = [text for _, text in _members(requests).values()]
        texts.append(f"{name}:[{','.join(members[position] for position in of_table)}]")
    return f'{{"RequestItems":{{{",".join(texts)}}}}}'


def _members(text: str) -> dict[str, tuple[str, str]]:
    """The members of a JSON object (or array, by position), each with the text of its name and of its value."""
    decoder = json.JSONDecoder(parse_float=str, parse_int=str)
    members: dict[str, tuple[str, str]] = {}
    start = _skip(text, 0)
    is_object = text[start] == "{"
    position = start + 1
    while text[position := _skip(text, position)] not in "]}":
        name, name_text = str(len(members)), ""
        if is_object:
            name, end = decoder.raw_decode(text, position)
            name_text, position = text[position:end], _skip(text, end)
        _, end = decoder.raw_decode(text, position)
        members[name] = (name_text, text[position:end])
        position = end
    return members


def _skip(text: str, start: int) -> int:
    between = _BETWEEN_MEMBERS.match(text, start)
    return between.end() if between else start


def rejected_body(message: Message, sources: Sequence[Source | None], whole: bool) -> str:
    """The body of a dead letter: just the bad operations, to the letter as they came in.

    The whole body where it could not be parsed, where every operation is bad, or where `whole` asks for it.
    """
    body = str(message.record["body"])
    bad = [source for source in sources if source is not None]
    if whole or len(bad) < len(sources) or len(bad) == len(message.sources):
        return body
    return excerpt(body, bad)


MAX_MESSAGE_BYTES = 1024 * 1024  # Body and attributes; also the most that one SendMessageBatch takes.
MAX_ATTRIBUTES = 10
MAX_ERROR_MESSAGE = 1000  # Characters; attribute names can be 64 KB long.


class DeadLetter(Struct, frozen=True):
    """A message for the dead-letter queue."""

    body: str
    attributes: Mapping[str, Attribute]
    size: int
    """Bytes of body and attributes."""
    message_id: str = ""
    group: str = ""
    """The source's message group; empty where it has none."""
    trace: str = ""
    """The source's AWSTraceHeader."""

    def entry(self, position: int, is_fifo: bool) -> dict[str, Any]:
        entry = {"Id": str(position), "MessageBody": self.body, "MessageAttributes": self.attributes}
        if self.trace:  # It counts for no size: SQSDeveloperGuide, sqs-message-metadata.
            entry["MessageSystemAttributes"] = {"AWSTraceHeader": _string(self.trace)}
        if self.group:  # On a standard queue it names the tenant: SQSDeveloperGuide, sqs-fair-queues.
            entry["MessageGroupId"] = self.group
        if is_fifo:
            # The same id for a letter that is sent again, because nobody knows whether the first one arrived.
            entry |= {"MessageGroupId": self.group or self.message_id, "MessageDeduplicationId": self.message_id}
        return entry


def dead_letter(record: Mapping[str, Any], body: str, rejections: Sequence[Rejection]) -> DeadLetter | None:
    """The dead letter of a record; None where not even its `ErrorCode` fits beside the body."""
    first = rejections[0]
    text = (
        first.message if len(rejections) == 1 else f"{first.message} (the first of {len(rejections):,} bad operations)"
    )
    attributes: dict[str, Attribute] = {}
    body = body.encode(errors="replace").decode()  # SQS takes, and delivers, no lone surrogates.
    size = len(body.encode())

    def add(name: str, attribute: Attribute) -> bool:
        nonlocal size
        more = _attribute_bytes(name, attribute)
        if size + more > MAX_MESSAGE_BYTES or len(attributes) >= MAX_ATTRIBUTES:
            return False
        attributes[name] = attribute
        size += more
        return True

    if not add("ErrorCode", _string(first.code)):
        return None
    id = records.as_sqs_takes_it(records.message_id(record))
    add("SourceMessageId", _string(id))
    add("SourceQueueArn", _string(records.queue_arn(record) or "unknown"))
    add("ReceiveCount", {"DataType": "Number", "StringValue": str(records.receive_count(record))})
    room = MAX_MESSAGE_BYTES - size - _attribute_bytes("ErrorMessage", _string(""))
    if message := _shortened(text or "no reason given", min(MAX_ERROR_MESSAGE, room)):
        add("ErrorMessage", _string(message))
    for name, attribute in records.message_attributes(record):
        if name not in attributes:  # A redriven message that fails again carries the new reason.
            add(name, attribute)
    return DeadLetter(body, attributes, size, id, records.group_id(record), records.trace_header(record))


def _string(value: str) -> Attribute:
    return {"DataType": "String", "StringValue": records.as_sqs_takes_it(value)}


def _attribute_bytes(name: str, attribute: Attribute) -> int:
    value = attribute.get("BinaryValue") or attribute.get("StringValue", "").encode()
    return len(name.encode()) + len(attribute["DataType"].encode()) + len(value)


def _shortened(text: str, room: int) -> str:
    """At most `room` bytes of what SQS lets through."""
    return records.as_sqs_takes_it(text).encode()[: max(0, room)].decode(errors="ignore")
