"""What a producer raises.

ValueError
└── InvalidRecordError  the function would reject it, or a value has no place in DynamoDB: nothing was taken
Exception
├── BufferFullError     the queue is slower than the program, and it is not to wait: nothing was taken
└── NotSentError        operations that had been taken were not accepted by the queue
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class InvalidRecordError(ValueError):
    """A record that the function would reject; `code` is one of its error codes. The text has no item values."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


class BufferFullError(Exception):
    """There is no room for the record, and the producer was told not to wait."""


@dataclass(frozen=True, slots=True)
class NotSent:
    """One operation that the queue did not accept."""

    operation: bytes
    """As JSON, just as it would have stood in a message."""
    code: str
    """SQS's error code, or the name of the SDK's error."""
    message: str
    group: str | None


class NotSentError(Exception):
    """Operations that were not accepted, in spite of all retries; they are handed back here and nowhere else."""

    def __init__(self, not_sent: Sequence[NotSent]) -> None:
        self.not_sent = tuple(not_sent)
        first = self.not_sent[0]
        super().__init__(f"{len(self.not_sent):,} operations were not accepted: {first.code}: {first.message}")
