"""Which operations go out, in which order, in which batches. Pure.

Limits: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html
"""

from __future__ import annotations

import base64
import json
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from .operation import Key, Operation

MAX_REQUESTS = 25
MAX_BATCH_BYTES = 16 * 1024 * 1024
_WRAPPING_BYTES = 64 * 1024
"""Kept free for what stands around the requests: at most 25 table names (ARNs: 1,024 bytes) and punctuation."""
_MOST_JSON_PER_BYTE, _MOST_JSON_BESIDES = 26, 4096
"""No item's JSON is longer than 26 times its size and 4 KB: a number padded with zeros has up to 49 bytes in a set and
counts as 2; `{"SS": [""]}, ` in a list has 14 and counts as 1."""

Batch = list[Operation]


@dataclass(frozen=True, slots=True)
class Step:
    """One operation, and those that it makes superfluous: they are done when it is."""

    operation: Operation
    superseded: list[Operation]

    def without(self) -> list[Step]:
        """What is to be done instead, should the operation turn out to be impossible."""
        if self.superseded and self.superseded[-1].goes_in_batches:  # It had superseded all before it.
            return [Step(self.superseded.pop(), self.superseded)]
        return [step for lane in lanes(self.superseded).values() for step in lane]


def lanes(operations: Iterable[Operation], *, within_message: bool = False) -> dict[Key, deque[Step]]:
    """What is to be done to each item, one step after the other, from operations in arrival order.

    An unconditional put or delete supersedes every operation before it; `within_message` (FIFO queues, where order
    across messages is kept by waiting) only those of its own message.
    """
    by_item: dict[Key, deque[Step]] = {}
    for operation in operations:
        lane = by_item.setdefault(operation.key, deque())
        before: list[Step] = []
        while lane and operation.goes_in_batches:
            if within_message and lane[-1].operation.source.message_id != operation.source.message_id:
                break
            before.append(lane.pop())
        lane.append(Step(operation, _flattened(before)))
    return by_item


def _flattened(steps: list[Step]) -> list[Operation]:
    """The operations of steps, given last first. The oldest list is used again: a long lane must not be copied."""
    if not steps:
        return []
    operations = steps[-1].superseded
    operations.append(steps[-1].operation)
    for step in steps[-2::-1]:
        operations += [*step.superseded, step.operation]
    return operations


def interleave(operations: Iterable[Operation]) -> list[Operation]:
    """Order operations so that neighbours have different partition keys wherever there are enough of them.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-data-upload.html
    """
    partitions: dict[Any, list[Operation]] = {}
    for operation in operations:
        partitions.setdefault(operation.key[:2], []).append(operation)
    if len(partitions) == 1:
        return next(iter(partitions.values()))
    rows = [(position, operation) for partition in partitions.values() for position, operation in enumerate(partition)]
    rows.sort(key=lambda row: row[0])  # Stable: the first of each partition, then the second of each, ...
    return [operation for _, operation in rows]


def take(queues: Iterable[deque[Operation]]) -> Batch:
    """Remove the next batch from the heads of the queues: at most 25 requests and 16 MB of JSON."""
    batch: Batch = []
    bytes_left = MAX_BATCH_BYTES - _WRAPPING_BYTES
    for queue in queues:
        while queue and len(batch) < MAX_REQUESTS:
            bytes_left -= json_bytes(queue[0])
            if bytes_left < 0 and batch:
                return batch
            batch.append(queue.popleft())
    return batch


def json_bytes(operation: Operation) -> int:
    """How long the request is on the wire: a bound where that is enough, exact where the item is large."""
    most = _MOST_JSON_PER_BYTE * operation.size + _MOST_JSON_BESIDES
    if most * MAX_REQUESTS <= MAX_BATCH_BYTES - _WRAPPING_BYTES:
        return most
    return len(json.dumps(operation.request, default=_base64))


def _base64(binary: bytes) -> str:
    return base64.b64encode(binary).decode()
