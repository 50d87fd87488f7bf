"""What other services put around a record: told apart, so that a rejected body names the setting that opens it."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

_HEAD_CHARACTERS = 400
"""Of a text: its beginning shows whether it is base64, gzip or JSON."""
_MAX_MEMBERS = 50  # Of an object; a wrapper has few.
_MAX_NAME = 100  # Characters of a name that is worth showing
_OPERATIONS = {"put", "delete", "update", "Put", "Delete", "Update", "PutRequest", "DeleteRequest", "RequestItems"}
_GZIP = b"\x1f\x8b\x08"  # RFC 1952; deflate is the only method.
# The first element of a pointer, by the library's version: https://github.com/awslabs/amazon-sqs-java-extended-client-lib
_POINTERS = ("software.amazon.payloadoffloading.PayloadS3Pointer", "com.amazon.sqs.javamessaging.MessageS3Pointer")
_POINTER = (
    "an S3 pointer of the SQS Extended Client Library, and this function does not read S3: no item needs more than the"
    " 1 MiB of an SQS message, so let the producer send it without payload support, or raise its payload size threshold"
)


def hint(body: Any) -> str:
    """What the text of a body is, and which setting opens it; empty where it is nothing that is known here."""
    try:
        value = json.loads(body)
    except (TypeError, ValueError, RecursionError):
        value = body if isinstance(body, str) and not body.lstrip().startswith(("{", "[")) else None
    if isinstance(value, list) and len(value) == 2 and value[0] in _POINTERS:
        return f"it is {_POINTER}"
    if isinstance(value, list) and value:
        return next((f"its elements are each {what}" for what in _seen(value[0], "[].")), "")
    return next((f"it is {what}" for what in _seen(value, "")), "")


def _seen(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, str):
        yield from _in_text(value, "@", path)
    if not isinstance(value, dict) or value.keys() & _OPERATIONS:
        return
    yield from _service(value, path)
    for name, text in _texts(value):
        for what in _in_text(text, name, path):
            yield f"an object with {what}"


def _service(value: Mapping[str, Any], path: str) -> Iterator[str]:
    match value:
        case {"Type": "Notification", "TopicArn": _, "Message": _}:
            expression = f"{path}powertools_json(Message)"
            yield f"an SNS notification: turn on the subscription's raw message delivery, or {_set(expression)}"
        case {"Type": "SubscriptionConfirmation" | "UnsubscribeConfirmation", "TopicArn": _}:
            yield "an SNS confirmation, which holds no record: visit its SubscribeURL"
        case {"detail-type": _, "source": _, "detail": _}:
            yield f"an EventBridge event: set the target's input path to $.detail, or {_set(f'{path}detail')}"
        case {"Records": [{"eventSource": "aws:s3"}, *_]} | {"Service": "Amazon S3", "Event": "s3:TestEvent"}:
            yield "an S3 event notification, which names objects and holds no record: this function does not read S3"
        case {"requestContext": _, "requestPayload": _, "responsePayload": _}:
            yield f"what a Lambda destination gets: {_set(f'{path}responsePayload')}"


def _texts(value: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The texts in an object and in the objects in it, such as CloudWatch Logs' `awslogs.data`, with their paths."""
    for name, member in islice(value.items(), _MAX_MEMBERS):
        inside = islice(member.items(), _MAX_MEMBERS) if isinstance(member, dict) else ()
        for path, text in [((name,), member), *(((name, inner), text) for inner, text in inside)]:
            if isinstance(text, str) and max(map(len, path)) <= _MAX_NAME:
                yield ".".join(map(_field, path)), text


def _in_text(text: str, name: str, path: str) -> Iterator[str]:
    """Of a text that holds gzip, or a JSON object or array, which may be encoded."""
    what, data = "JSON in a string", text[:_HEAD_CHARACTERS].encode(errors="replace")
    call = name
    if decoded := _decoded(data):
        what, data, call = "base64", decoded, f"powertools_base64({name})"
    if data.startswith(_GZIP):
        what, call = "gzip in base64", f"powertools_base64_gzip({name})"
    if data.startswith(_GZIP) or data.lstrip()[:1] in (b"{", b"["):
        yield f"{what}: {_set(f'{path}powertools_json({call})')}"


def _decoded(head: bytes) -> bytes:
    head = head.translate(None, b"\r\n")
    try:
        return base64.b64decode(head[: len(head) // 4 * 4], validate=True)
    except ValueError:
        return b""


def _field(name: str) -> str:
    return name if name.isidentifier() and name.isascii() else json.dumps(name)


def _set(expression: str) -> str:
    return f"set RECORD_EXPRESSION to {expression}"
