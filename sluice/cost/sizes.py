"""Records of a size that was not measured: computing in proportion to the sizes that were, packing by the limits."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from .measured import Measured, Size, Work
from .model import MAX_SQS_BYTES, PUT_BYTES, SQS_CHUNK_BYTES

MAX_ITEM_BYTES = 400 * 1024  # https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
MAX_REQUESTS = 25  # https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html: an invocation's payload.
MAX_EVENT_BYTES = 6 * 1024 * 1024
INVOCATION = 1000
"""Records that an invocation gets, unless they are too large: the stack's default batch size, one to a message."""


class SizeError(ValueError):
    """A record or a message that AWS would not take."""


def usual_packing(record_bytes: int) -> int:
    """Records in a message that stays within one billed request of SQS."""
    return max(1, (SQS_CHUNK_BYTES - 1) // (record_bytes + PUT_BYTES + 1))


def sized(
    measured: Measured, record_bytes: int, records_per_message: int | None = None, item_bytes: int | None = None
) -> Size:
    """The work for records of so many bytes of JSON; measured sizes, packed as they were, come out as measured.

    Raises `SizeError` for an item over 400 KB or a message over 1 MiB.
    """

    def between(of: Callable[[Size], float]) -> float:
        return _between(measured, record_bytes, of)

    if item_bytes is None:
        item_bytes = max(1, round(between(lambda size: size.item_bytes)))
    if item_bytes > MAX_ITEM_BYTES:
        raise SizeError(f"a record of {record_bytes:,} bytes makes an item over 400 KB, which DynamoDB does not take")
    packing = records_per_message or usual_packing(record_bytes)
    if _message_bytes(record_bytes, packing) > MAX_SQS_BYTES:
        records = "a record" if packing == 1 else f"{packing:,} records"
        raise SizeError(f"{records} of {record_bytes:,} bytes make a message over 1 MiB, which SQS does not take")

    def work(of: Callable[[Size], Work], per_message: int) -> Work:
        records = _invocation(record_bytes, per_message)
        return Work(
            cpu_seconds=between(lambda size: of(size).cpu_seconds),
            records_per_message=per_message,
            records_per_invocation=records,
            records_per_call=records / -(-records // MAX_REQUESTS),
            log_bytes=round(between(lambda size: of(size).log_bytes)),
        )

    return Size(
        record_bytes=record_bytes,
        item_bytes=item_bytes,
        packed=work(lambda size: size.packed, packing),
        single=work(lambda size: size.single, 1),
        put_item=Work(
            cpu_seconds=between(lambda size: size.put_item.cpu_seconds),
            records_per_message=1,
            records_per_invocation=min(10, _invocation(record_bytes, 1)),  # Lambda's default batch size.
            records_per_call=1.0,
            log_bytes=0,
        ),
    )


def _message_bytes(record_bytes: int, records: int) -> int:
    return records * (record_bytes + PUT_BYTES + 1) + 1


def _invocation(record_bytes: int, per_message: int) -> int:
    """About 1,000 records in whole messages, and no more than Lambda hands over at once."""
    messages = min(INVOCATION // per_message, MAX_EVENT_BYTES // _message_bytes(record_bytes, per_message))
    return max(1, messages) * per_message


def _between(measured: Measured, record_bytes: int, of: Callable[[Size], float]) -> float:
    """On the line through the two measured sizes around this one, or the nearest two; never below zero."""
    sizes = sorted(measured.sizes, key=lambda size: size.record_bytes)
    if len(sizes) == 1:
        return of(sizes[0]) * record_bytes / sizes[0].record_bytes
    pairs = list(pairwise(sizes))
    lower, upper = next((pair for pair in pairs if record_bytes <= pair[1].record_bytes), pairs[-1])
    share = (record_bytes - lower.record_bytes) / (upper.record_bytes - lower.record_bytes)
    return max(0.0, of(lower) * (1 - share) + of(upper) * share)
