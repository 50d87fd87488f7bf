"""Which operations go out, in which order, in which batches. Pure.

Limits: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html
"""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Iterable

from msgspec import Struct

from sluice.message.operation import BatchWrite, Key, KeyValue, Operation

MAX_REQUESTS = 25
MAX_BATCH_BYTES = 16 * 1024 * 1024
FEW = MAX_REQUESTS // 2
"""Partitions that have much more than all others come with one operation among so many of the others': that is two in a
call, 8 percent of what is sent, and below a partition's 1,000 write units a second up to 12,500."""
_WRAPPING_BYTES = 64 * 1024
"""Kept free for what stands around the requests: at most 25 table names (ARNs: 1,024 bytes) and punctuation."""

Batch = list[Operation]


# A Struct, for the reason that operation.py gives.
class Step(Struct, frozen=True, eq=False, gc=False):
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

    Those of one partition keep their order.
    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-data-upload.html
    """
    arrived = list(operations)
    # The usual: each has a partition of its own; which takes half the time to tell by the partition keys alone.
    if len({operation.key[1] for operation in arrived}) == len(arrived):
        return arrived
    seen: set[tuple[str, KeyValue]] = set()
    first: list[Operation] = []
    again: list[Operation] = []  # Mostly few: what follows takes four times as long for each.
    for operation in arrived:
        partition = operation.key[:2]
        (again if partition in seen else first).append(operation)
        seen.add(partition)
    if len(seen) == 1:
        return arrived
    turns: dict[tuple[str, KeyValue], int] = {}
    rows = [first]  # The first of each partition, then the second of each, ...
    for operation in again:
        partition = operation.key[:2]
        turn = turns[partition] = turns.get(partition, 0) + 1
        if turn == len(rows):
            rows.append([])
        rows[turn].append(operation)
    # The rows of few partitions would all come last, and what these could have taken until then be lost.
    wide = sum([len(row) > FEW for row in rows])
    if not 0 < wide < len(rows):
        return [operation for row in rows for operation in row]
    large = {operation.key[:2] for operation in rows[wide]}
    others: list[Operation] = []
    often: deque[Operation] = deque()
    for row in rows:
        for operation in row:
            (often if operation.key[:2] in large else others).append(operation)
    mixed: list[Operation] = []
    for begin in range(0, len(others), FEW):
        mixed += others[begin : begin + FEW]
        if often:
            mixed.append(often.popleft())
    return [*mixed, *often]


def take(queues: Iterable[deque[BatchWrite]]) -> Batch:
    """Remove the next batch from the heads of the queues: at most 25 requests and 16 MB of JSON."""
    batch: Batch = []
    bytes_left = MAX_BATCH_BYTES - _WRAPPING_BYTES
    for queue in queues:
        while queue and len(batch) < MAX_REQUESTS:
            bytes_left -= len(queue[0].body) + 1  # and a comma
            if bytes_left < 0 and batch:
                return batch
            batch.append(queue.popleft())
    return batch


def spread(batch: Batch, again: Container[Operation], phase: float) -> Batch:
    """The same, with those that are sent again spread evenly; from 0 to 1: where that begins.

    A table may take a batch in any order, or in this one. So neither kind must come first or last more often.
    """
    fresh: Batch = []
    repeated: Batch = []
    for operation in batch:
        (repeated if operation in again else fresh).append(operation)
    if not fresh or not repeated:
        return batch
    places = {int((number + phase) * len(batch) / len(repeated)) for number in range(len(repeated))}
    first, second = iter(fresh), iter(repeated)
    return [next(second if place in places else first) for place in range(len(batch))]
