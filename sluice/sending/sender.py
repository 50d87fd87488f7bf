"""SendMessageBatch until every entry is accepted, or can never be."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from sluice.message.operation import Rejection

from .outbox import Outgoing

FIRST_WAIT, MAX_WAIT = 0.1, 20.0  # Seconds; full jitter.
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/CommonErrors.html and API_SendMessageBatch.
THROTTLES = {
    "RequestThrottled",
    "ThrottlingException",
    "Throttling",
    "KmsThrottled",
    "KMS.ThrottlingException",
    "RequestLimitExceeded",
    "OverLimit",
}


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a message was not accepted."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Sender:
    """Sends to one queue. Thread-safe where the boto3 client, `wait` and `chance` are."""

    client: Any
    queue_url: str
    clock: Callable[[], float]
    """Seconds."""
    wait: Callable[[float], bool]
    """Waits so many seconds; True means: stop trying."""
    chance: Callable[[], float]
    """From 0 to 1."""
    patience: float = math.inf
    """Seconds after which an unwilling queue is given up."""

    refusal: ClassVar[str] = "the queue does not take a message"
    """What is said of a failure."""

    def rejections(self, message: Outgoing) -> Sequence[tuple[Rejection, bytes]]:  # noqa: ARG002
        """What of an accepted message can never be written: a queue does not tell."""
        return ()

    def send(self, messages: Sequence[Outgoing]) -> dict[int, Failure]:
        """Send up to ten messages; the positions of those that were not accepted, and why."""
        end = self.clock() + self.patience
        refused: dict[int, Failure] = {}
        left = list(range(len(messages)))
        longest = FIRST_WAIT
        while True:
            again, never = self._call({position: messages[position] for position in left})
            refused |= never
            left = sorted(again)
            seconds = self.chance() * longest
            if not left:
                return refused
            if self.clock() + seconds > end or self.wait(seconds):
                return refused | again
            longest = min(2 * longest, MAX_WAIT)

    def _call(self, messages: dict[int, Outgoing]) -> tuple[dict[int, Failure], dict[int, Failure]]:
        """One call: the positions that may be tried again, and those that never will be accepted."""
        from botocore.exceptions import BotoCoreError, ClientError, ConnectionError, HTTPClientError
        from botocore.parsers import ResponseParserError

        entries = [_entry(position, message) for position, message in messages.items()]
        try:
            answer = self.client.send_message_batch(QueueUrl=self.queue_url, Entries=entries)
        except ClientError as error:
            code, text = error.response["Error"].get("Code", "Unknown"), error.response["Error"].get("Message", "")
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
            every = dict.fromkeys(messages, Failure(code, text))
            may_work = status >= 500 or status == 429 or code.rpartition(".")[2] in THROTTLES or code in THROTTLES
            return (every, {}) if may_work else ({}, every)
        except (ConnectionError, HTTPClientError, ResponseParserError) as error:  # No answer, or none that can be read.
            return dict.fromkeys(messages, Failure(type(error).__name__, str(error))), {}
        except BotoCoreError as error:
            return {}, dict.fromkeys(messages, Failure(type(error).__name__, str(error)))
        accepted = {int(entry["Id"]) for entry in answer.get("Successful", [])}
        again = {p: Failure("NoAnswer", "the answer does not name it") for p in messages if p not in accepted}
        never = {}
        for entry in answer.get("Failed", []):
            failure = Failure(entry["Code"], entry.get("Message", ""))
            again[int(entry["Id"])] = failure
            if entry.get("SenderFault") and failure.code not in THROTTLES:
                never[int(entry["Id"])] = again.pop(int(entry["Id"]))
        return again, never


def _entry(position: int, message: Outgoing) -> dict[str, str]:
    entry = {"Id": str(position), "MessageBody": message.body}
    if message.group is not None:
        entry["MessageGroupId"] = message.group
    if message.deduplication_id is not None:
        entry["MessageDeduplicationId"] = message.deduplication_id
    return entry
