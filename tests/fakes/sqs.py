"""An in-memory SQS behind the face of a boto3 client, and the Lambda events made of its messages.

Rules: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/ and
.../SQSDeveloperGuide/sqs-message-metadata.html; numbers as in botocore's model of 2026.
"""

import base64
import hashlib
import json
import re
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from tests.fakes.clock import Clock
from tests.fakes.faults import Canceled, Fault, RejectIf, Throttle, Unprocessed, UnprocessedIf
from tests.fakes.service import ACCOUNT, REGION, FakeService, Operations, Parameters, RefusedError, Response, copied

MAX_ENTRIES = 10  # API_SendMessageBatch, API_ReceiveMessage
MAX_BYTES = 1_048_576  # API_SendMessage and API_SendMessageBatch: a message, and all of a batch together
MAX_ATTRIBUTES = 10  # sqs-message-metadata
MAX_ATTRIBUTE_NAME = 256  # sqs-message-metadata, characters; the data type has the same limit
MAX_RECEIVES = 10  # API_CreateQueue, RedrivePolicy: maxReceiveCount where none is given
MAX_VISIBILITY = 43_200  # API_ChangeMessageVisibility, seconds; counted from the receive, too
MAX_DELAY = 900  # API_SendMessage, seconds
MAX_WAIT = 20  # API_ReceiveMessage, seconds
DEDUPLICATION_SECONDS = 300  # FIFO-queues-exactly-once-processing

_ENTRY_ID = re.compile(r"[A-Za-z0-9_-]{1,80}")  # API_SendMessageBatchRequestEntry
_INVALID_CHARACTER = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # API_SendMessage
_ATTRIBUTE_NAME = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")  # sqs-message-metadata
_ATTRIBUTE_TYPE = re.compile(r"(String|Number|Binary)(\..*)?", re.DOTALL)
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
_GROUP_ID = re.compile(r"[!-~]{1,128}")  # API_SendMessage: alphanumeric and punctuation

Attributes = dict[str, dict[str, Any]]
EntryPredicate = Callable[[Parameters], bool]


@dataclass(slots=True, eq=False)
class _Message:
    id: str
    body: str
    attributes: Attributes
    system: dict[str, str]
    visible_at: float
    receive_count: int = 0
    received_at: float = 0.0
    receipt_handle: str = ""

    @property
    def group(self) -> str | None:
        return self.system.get("MessageGroupId")


@dataclass(slots=True)
class _Queue:
    name: str
    url: str
    arn: str
    fifo: bool
    content_based_deduplication: bool
    visibility_timeout: int
    dead_letter: "_Queue | None"
    max_receive_count: int
    messages: list[_Message] = field(default_factory=list)
    seen: dict[str, tuple[float, str]] = field(default_factory=dict)
    """Deduplication id → when it was first sent, and the message's id."""


# One class, as boto3's client is one; the checks of a request stand outside of it.
class FakeSQS(FakeService):
    """Looks like a boto3 SQS client; time is `clock`'s. A long poll of an empty queue answers at once."""

    # Codes that boto3 reports in place of the modelled ones: SQS answers with x-amzn-query-error.
    query_codes = {
        "BatchEntryIdsNotDistinct": "AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
        "BatchRequestTooLong": "AWS.SimpleQueueService.BatchRequestTooLong",
        "EmptyBatchRequest": "AWS.SimpleQueueService.EmptyBatchRequest",
        "InvalidBatchEntryId": "AWS.SimpleQueueService.InvalidBatchEntryId",
        "MessageNotInflight": "AWS.SimpleQueueService.MessageNotInflight",
        "QueueDoesNotExist": "AWS.SimpleQueueService.NonExistentQueue",
        "TooManyEntriesInBatchRequest": "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
    }

    def __init__(self, clock: Clock | None = None) -> None:
        super().__init__("sqs")
        self.clock = clock or Clock()
        self.visibility_changes: list[tuple[str, int]] = []
        self._queues: dict[str, _Queue] = {}
        self._failing: dict[str, EntryPredicate] = {}
        self._sent = 0

    # Setting up and looking inside

    def create_queue(
        self,
        name: str,
        *,
        fifo: bool = False,
        visibility_timeout: int = 30,
        dead_letter: str | None = None,
        max_receive_count: int | None = None,
        content_based_deduplication: bool = False,
    ) -> str:
        """The URL of a new queue; `dead_letter` is the URL of another, needed with `max_receive_count`."""
        if fifo != name.endswith(".fifo"):
            raise ValueError("The name of a FIFO queue, and of no other, ends in .fifo")
        url = f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{name}"
        self._queues[url] = _Queue(
            name,
            url,
            f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}",
            fifo,
            content_based_deduplication,
            visibility_timeout,
            self._queues[dead_letter] if dead_letter else None,
            max_receive_count or MAX_RECEIVES,
        )
        return url

    def messages(self, url: str) -> list[dict[str, Any]]:
        """What is in the queue, in flight or not, in the form that receive_message gives."""
        with self._lock:
            return [self._described(message) for message in self._queues[url].messages]

    def message_ids(self, url: str) -> set[str]:
        """The ids of what is in the queue, in flight or not."""
        with self._lock:
            return {message.id for message in self._queues[url].messages}

    def fail_entries(self, operation: str, failing: EntryPredicate | Iterable[str]) -> None:
        """Entries of a batch operation that come back in Failed from now on, by predicate(entry) or by id."""
        ids = failing if callable(failing) else frozenset(failing)
        self._failing[operation] = ids if callable(ids) else lambda entry: entry["Id"] in ids

    def event(self, url: str, n: int = MAX_ENTRIES) -> dict[str, Any]:
        """Receives up to `n` messages, and gives the event with which Lambda would invoke a function."""
        with self._lock:
            queue = self._queue(url)
            return {"Records": [_record(queue, m) for m in self._received(queue, n, queue.visibility_timeout)]}

    # The face of the client

    def send_message(self, **kwargs: Any) -> Response:
        """SendMessage with boto3's parameters, answer and errors; likewise below."""
        return self._called_by_client("SendMessage", kwargs)

    def send_message_batch(self, **kwargs: Any) -> Response:
        """SendMessageBatch."""
        return self._called_by_client("SendMessageBatch", kwargs)

    def receive_message(self, **kwargs: Any) -> Response:
        """ReceiveMessage."""
        return self._called_by_client("ReceiveMessage", kwargs)

    def delete_message(self, **kwargs: Any) -> Response:
        """DeleteMessage."""
        return self._called_by_client("DeleteMessage", kwargs)

    def delete_message_batch(self, **kwargs: Any) -> Response:
        """DeleteMessageBatch."""
        return self._called_by_client("DeleteMessageBatch", kwargs)

    def change_message_visibility(self, **kwargs: Any) -> Response:
        """ChangeMessageVisibility."""
        return self._called_by_client("ChangeMessageVisibility", kwargs)

    def change_message_visibility_batch(self, **kwargs: Any) -> Response:
        """ChangeMessageVisibilityBatch."""
        return self._called_by_client("ChangeMessageVisibilityBatch", kwargs)

    def get_queue_url(self, **kwargs: Any) -> Response:
        """GetQueueUrl."""
        return self._called_by_client("GetQueueUrl", kwargs)

    def get_queue_attributes(self, **kwargs: Any) -> Response:
        """GetQueueAttributes."""
        return self._called_by_client("GetQueueAttributes", kwargs)

    # The service

    @cached_property
    def _operations(self) -> Operations:
        single: dict[str, Callable[[_Queue, Parameters], Response]] = {
            "SendMessage": self._send,
            "ReceiveMessage": self._receive,
            "DeleteMessage": self._delete,
            "ChangeMessageVisibility": self._change_visibility,
            "GetQueueAttributes": self._attributes,
        }
        return {
            **{name: self._on_queue(operation) for name, operation in single.items()},
            "SendMessageBatch": self._batch("SendMessageBatch", self._send),
            "DeleteMessageBatch": self._batch("DeleteMessageBatch", self._delete),
            "ChangeMessageVisibilityBatch": self._batch("ChangeMessageVisibilityBatch", self._change_visibility),
            "GetQueueUrl": self._get_queue_url,
        }

    def _on_queue(
        self, operation: Callable[[_Queue, Parameters], Response]
    ) -> Callable[[Parameters, Fault | None], Response]:
        def answer(parameters: Parameters, fault: Fault | None) -> Response:
            _raise_throttle(fault)
            return operation(self._queue(parameters["QueueUrl"]), parameters)

        return answer

    def _batch(
        self, name: str, operation: Callable[[_Queue, Parameters], Response]
    ) -> Callable[[Parameters, Fault | None], Response]:
        """A batch operation: the batch's own rules refuse all of it, an entry's rules only that entry."""

        def answer(parameters: Parameters, fault: Fault | None) -> Response:
            _raise_throttle(fault)
            queue, entries = self._queue(parameters["QueueUrl"]), parameters["Entries"]
            _check_batch(entries)
            response: Response = {"Successful": [], "Failed": []}
            for entry in entries:
                try:
                    if name in self._failing and self._failing[name](entry):
                        raise RefusedError("InternalError", "We encountered an internal error", 500)
                    response["Successful"].append({"Id": entry["Id"], **operation(queue, entry)})
                except RefusedError as refused:
                    response["Failed"].append(_failed(entry["Id"], refused))
            # An empty list is no part of SQS's answer, so that code which counts on one fails here, too.
            return {part: results for part, results in response.items() if results}

        return answer

    def _get_queue_url(self, parameters: Parameters, fault: Fault | None) -> Response:
        _raise_throttle(fault)
        for queue in self._queues.values():
            if queue.name == parameters["QueueName"]:
                return {"QueueUrl": queue.url}
        raise RefusedError("QueueDoesNotExist", "The specified queue does not exist.")

    def _send(self, queue: _Queue, parameters: Parameters) -> Response:
        _check_message(parameters)
        system: dict[str, str] = {
            name: parameters[name] for name in ("MessageGroupId", "MessageDeduplicationId") if name in parameters
        }
        for name, value in parameters.get("MessageSystemAttributes", {}).items():
            system[name] = value["StringValue"]
        delay = parameters.get("DelaySeconds", 0)
        _check_range("DelaySeconds", delay, 0, MAX_DELAY)
        # API_SendMessage: a FIFO queue delays as a whole; deduplication is for FIFO queues only.
        if (queue.fifo and delay) or ("MessageDeduplicationId" in system and not queue.fifo):
            raise RefusedError(
                "InvalidParameterValue",
                "The request include parameter that is not valid for this queue type.",
            )
        body = parameters["MessageBody"]
        message_id = self._duplicate_of(queue, system, body) if queue.fifo else None
        if message_id is None:
            message_id = self._enqueue(queue, body, parameters.get("MessageAttributes", {}), system, delay)
        return {"MessageId": message_id, "MD5OfMessageBody": _md5(body)}

    def _enqueue(self, queue: _Queue, body: str, attributes: Attributes, system: dict[str, str], delay: int) -> str:
        self._sent += 1
        message_id = str(uuid.UUID(int=self._sent))
        system = {"SenderId": "AIDAFAKE", "SentTimestamp": _milliseconds(self.clock()), **system}
        if queue.fifo:
            system["SequenceNumber"] = f"{self._sent:020}"
            queue.seen[system["MessageDeduplicationId"]] = (self.clock(), message_id)
        queue.messages.append(_Message(message_id, body, copied(attributes), system, self.clock() + delay))
        return message_id

    def _duplicate_of(self, queue: _Queue, system: dict[str, str], body: str) -> str | None:
        """The id of the message that this one repeats; settles its deduplication id."""
        if "MessageGroupId" not in system:
            raise RefusedError("MissingParameter", "The request must contain the parameter MessageGroupId.")
        if "MessageDeduplicationId" not in system and not queue.content_based_deduplication:
            raise RefusedError(
                "InvalidParameterValue",
                "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId "
                "provided explicitly",
            )
        system.setdefault("MessageDeduplicationId", hashlib.sha256(body.encode()).hexdigest())
        sent_at, message_id = queue.seen.get(system["MessageDeduplicationId"], (float("-inf"), ""))
        return message_id if self.clock() - sent_at < DEDUPLICATION_SECONDS else None

    def _receive(self, queue: _Queue, parameters: Parameters) -> Response:
        count = parameters.get("MaxNumberOfMessages", 1)
        _check_range("MaxNumberOfMessages", count, 1, MAX_ENTRIES)
        _check_range("WaitTimeSeconds", parameters.get("WaitTimeSeconds", 0), 0, MAX_WAIT)
        timeout = parameters.get("VisibilityTimeout", queue.visibility_timeout)
        _check_range("VisibilityTimeout", timeout, 0, MAX_VISIBILITY)
        messages = [
            {
                **self._described(message, parameters),
                "ReceiptHandle": message.receipt_handle,
            }
            for message in self._received(queue, count, timeout)
        ]
        return {"Messages": messages} if messages else {}

    def _received(self, queue: _Queue, count: int, timeout: int) -> list[_Message]:
        """Up to `count` visible messages, put in flight; those received too often go to the dead letters."""
        now = self.clock()
        locked = {message.group for message in queue.messages if message.visible_at > now and queue.fifo}
        received: list[_Message] = []
        for message in list(queue.messages):
            if message.visible_at > now or message.group in locked or len(received) == count:
                continue
            if self._moved_to_dead_letters(queue, message):
                continue
            message.receive_count += 1
            message.received_at, message.visible_at = now, now + timeout
            message.receipt_handle = f"{message.id}:{message.receive_count}"
            message.system["ApproximateReceiveCount"] = str(message.receive_count)
            message.system.setdefault("ApproximateFirstReceiveTimestamp", _milliseconds(now))
            received.append(message)
        return received

    def _moved_to_dead_letters(self, queue: _Queue, message: _Message) -> bool:
        if not queue.dead_letter or message.receive_count < queue.max_receive_count:
            return False
        queue.messages.remove(message)
        message.system["DeadLetterQueueSourceArn"] = queue.arn
        queue.dead_letter.messages.append(message)
        return True

    def _delete(self, queue: _Queue, parameters: Parameters) -> Response:
        message = _find(queue, parameters["ReceiptHandle"])
        # API_DeleteMessage: an old receipt handle succeeds, and the message may stay.
        if message and message.receipt_handle == parameters["ReceiptHandle"]:
            queue.messages.remove(message)
        return {}

    def _change_visibility(self, queue: _Queue, parameters: Parameters) -> Response:
        handle, seconds = parameters["ReceiptHandle"], parameters["VisibilityTimeout"]
        _check_range("VisibilityTimeout", seconds, 0, MAX_VISIBILITY)
        message, now = _find(queue, handle), self.clock()
        if message is None or message.visible_at <= now or message.receipt_handle != handle:
            raise RefusedError("MessageNotInflight", "The specified message isn't in flight.")
        if now + seconds > message.received_at + MAX_VISIBILITY:
            raise RefusedError(
                "InvalidParameterValue",
                f"Value {seconds} for parameter VisibilityTimeout is invalid. Reason: Total VisibilityTimeout "
                f"for the message is beyond the limit [{MAX_VISIBILITY} seconds]",
            )
        message.visible_at = now + seconds
        self.visibility_changes.append((handle, seconds))
        return {}

    def _attributes(self, queue: _Queue, parameters: Parameters) -> Response:
        now = self.clock()
        in_flight = [m for m in queue.messages if m.visible_at > now and m.receive_count]
        attributes = {
            "QueueArn": queue.arn,
            "VisibilityTimeout": str(queue.visibility_timeout),
            "MaximumMessageSize": str(MAX_BYTES),
            "ApproximateNumberOfMessages": str(sum(m.visible_at <= now for m in queue.messages)),
            "ApproximateNumberOfMessagesNotVisible": str(len(in_flight)),
            "ApproximateNumberOfMessagesDelayed": str(
                sum(m.visible_at > now and not m.receive_count for m in queue.messages)
            ),
        }
        if queue.fifo:
            attributes["FifoQueue"] = "true"
        if queue.dead_letter:
            target = {"deadLetterTargetArn": queue.dead_letter.arn}
            attributes["RedrivePolicy"] = json.dumps({**target, "maxReceiveCount": queue.max_receive_count})
        asked = parameters.get("AttributeNames", [])
        return {"Attributes": {name: text for name, text in attributes.items() if "All" in asked or name in asked}}

    def _queue(self, url: str) -> _Queue:
        # Only the path counts: a client that is pointed at another endpoint has another host in the URL.
        for queue in self._queues.values():
            if url.endswith(f"/{ACCOUNT}/{queue.name}"):
                return queue
        raise RefusedError("QueueDoesNotExist", "The specified queue does not exist.")

    def _described(self, message: _Message, asked: Parameters | None = None) -> dict[str, Any]:
        everything = {"MessageSystemAttributeNames": ["All"], "MessageAttributeNames": ["All"]}
        asked = everything if asked is None else asked
        system_names = asked.get("MessageSystemAttributeNames", []) + asked.get("AttributeNames", [])
        names = asked.get("MessageAttributeNames", [])
        described: dict[str, Any] = {
            "MessageId": message.id,
            "MD5OfBody": _md5(message.body),
            "Body": message.body,
            "Attributes": {n: t for n, t in message.system.items() if "All" in system_names or n in system_names},
            "MessageAttributes": {n: copied(v) for n, v in message.attributes.items() if "All" in names or n in names},
        }
        return {name: part for name, part in described.items() if part}


def _raise_throttle(fault: Fault | None) -> None:
    if isinstance(fault, Throttle):
        raise RefusedError(fault.code, "The request was denied due to request throttling.")
    if isinstance(fault, Unprocessed | UnprocessedIf | RejectIf | Canceled):
        raise TypeError(f"{type(fault).__name__} is a fault of DynamoDB; SQS has fail_entries")


def _check_batch(entries: list[Parameters]) -> None:
    """What refuses a whole batch: API_SendMessageBatch, API_DeleteMessageBatch."""
    if not entries:
        raise RefusedError("EmptyBatchRequest", "There should be at least one entry in the request.")
    if len(entries) > MAX_ENTRIES:
        raise RefusedError(
            "TooManyEntriesInBatchRequest",
            f"Maximum number of entries per request are {MAX_ENTRIES}. You have sent {len(entries)}.",
        )
    ids = [entry["Id"] for entry in entries]
    for entry_id in ids:
        if not _ENTRY_ID.fullmatch(entry_id):
            raise RefusedError(
                "InvalidBatchEntryId",
                "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be "
                "at most 80 letters long.",
            )
    repeated = [entry_id for entry_id in ids if ids.count(entry_id) > 1]
    if repeated:
        raise RefusedError("BatchEntryIdsNotDistinct", f"Id {repeated[0]} repeated.")
    size = sum(_message_bytes(entry) for entry in entries if "MessageBody" in entry)
    if size > MAX_BYTES:
        raise RefusedError(
            "BatchRequestTooLong",
            f"Batch requests cannot be longer than {MAX_BYTES} bytes. You have sent {size} bytes.",
        )


def _message_bytes(message: Parameters) -> int:
    """sqs-message-metadata: name, type and value of every attribute count."""
    size = len(message["MessageBody"].encode(errors="surrogatepass"))
    for name, value in message.get("MessageAttributes", {}).items():
        content = value.get("StringValue", value.get("BinaryValue", b""))
        size += len(name.encode()) + len(value["DataType"].encode())
        size += len(content.encode(errors="surrogatepass") if isinstance(content, str) else content)
    return size


def _check_message(message: Parameters) -> None:
    body = message["MessageBody"]
    if not body:
        raise RefusedError("MissingParameter", "The request must contain the parameter MessageBody.")
    _check_characters(body)
    if _message_bytes(message) > MAX_BYTES:
        raise RefusedError(
            "InvalidParameterValue",
            f"One or more parameters are invalid. Reason: Message must be shorter than {MAX_BYTES} bytes.",
        )
    attributes = message.get("MessageAttributes", {})
    if len(attributes) > MAX_ATTRIBUTES:
        raise RefusedError(
            "InvalidParameterValue",
            f"Number of message attributes [{len(attributes)}] exceeds the allowed maximum [{MAX_ATTRIBUTES}].",
        )
    for name, value in attributes.items():
        _check_attribute(name, value)
    for name in message.get("MessageSystemAttributes", {}):
        if name != "AWSTraceHeader":
            raise RefusedError("InvalidParameterValue", f"Message system attribute name '{name}' is invalid.")
    group = message.get("MessageGroupId")
    if group is not None and not _GROUP_ID.fullmatch(group):
        raise RefusedError(
            "InvalidParameterValue",
            f"Value {group} for parameter MessageGroupId is invalid. Reason: MessageGroupId can only include "
            "alphanumeric and punctuation characters. 1 to 128 in length.",
        )


def _check_characters(text: str) -> None:
    if _INVALID_CHARACTER.search(text):
        raise RefusedError(
            "InvalidMessageContents", "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | …"
        )


def _check_attribute(name: str, value: dict[str, Any]) -> None:
    reserved = name.lower().startswith(("aws.", "amazon."))
    if reserved or len(name) > MAX_ATTRIBUTE_NAME or not _ATTRIBUTE_NAME.fullmatch(name):
        raise RefusedError("InvalidParameterValue", f"Message attribute name '{name}' is invalid.")
    kind = _ATTRIBUTE_TYPE.fullmatch(value["DataType"])
    if not kind or len(value["DataType"]) > MAX_ATTRIBUTE_NAME:
        raise RefusedError(
            "InvalidParameterValue",
            f"The message attribute '{name}' has an invalid message attribute type, the set of supported type "
            "prefixes is Binary, Number, and String.",
        )
    member = "BinaryValue" if kind[1] == "Binary" else "StringValue"
    content = value.get(member)
    if not content or set(value) != {"DataType", member}:
        raise RefusedError(
            "InvalidParameterValue",
            f"The message attribute '{name}' must contain a non-empty message attribute value of type {kind[1]}.",
        )
    if isinstance(content, str):
        _check_characters(content)
    if kind[1] == "Number" and not _is_number(content):
        raise RefusedError("InvalidParameterValue", f"Can't cast the value of message attribute '{name}' to a number.")


def _is_number(text: str) -> bool:
    """sqs-message-metadata: up to 38 digits of precision, between 10^-128 and 10^+126."""
    match = _NUMBER.fullmatch(text)
    if not match:
        return False
    mantissa, _, exponent = text.lower().lstrip("+-").partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    leading = int(exponent or 0) - len(fraction) + len(digits) - 1
    return not digits or (len(digits.rstrip("0")) <= 38 and -128 <= leading <= 126)


def _check_range(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise RefusedError(
            "InvalidParameterValue",
            f"Value {value} for parameter {name} is invalid. Reason: Must be between {low} and {high}, if provided.",
        )


def _find(queue: _Queue, receipt_handle: str) -> _Message | None:
    """The message of a handle, or None when it is deleted; refuses a handle that the queue never gave."""
    message_id, separator, count = receipt_handle.rpartition(":")
    if not separator or not count.isdigit():
        raise RefusedError("ReceiptHandleIsInvalid", f'The input receipt handle "{receipt_handle}" is not valid.')
    return next((message for message in queue.messages if message.id == message_id), None)


def _failed(entry_id: str, refused: RefusedError) -> dict[str, Any]:
    return {
        "Id": entry_id,
        "SenderFault": refused.status < 500,
        "Code": refused.code,
        "Message": refused.message,
    }


def _record(queue: _Queue, message: _Message) -> dict[str, Any]:
    """One record of the event of https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html."""
    return {
        "messageId": message.id,
        "receiptHandle": message.receipt_handle,
        "body": message.body,
        "attributes": dict(message.system),
        "messageAttributes": {name: _event_attribute(value) for name, value in message.attributes.items()},
        "md5OfBody": _md5(message.body),
        "eventSource": "aws:sqs",
        "eventSourceARN": queue.arn,
        "awsRegion": REGION,
    }


def _event_attribute(value: dict[str, Any]) -> dict[str, Any]:
    content = (
        {"binaryValue": base64.b64encode(value["BinaryValue"]).decode()}
        if "BinaryValue" in value
        else {"stringValue": value["StringValue"]}
    )
    return {**content, "stringListValues": [], "binaryListValues": [], "dataType": value["DataType"]}


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _milliseconds(seconds: float) -> str:
    return str(int(seconds * 1000))
