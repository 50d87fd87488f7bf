"""What can go wrong with a call, as data: what the client is told, and whether a write was applied all the same.

Codes and status: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html and
https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/CommonErrors.html; members: botocore's model of DynamoDB.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

BATCH = ("BatchWriteItem",)
SINGLE = ("PutItem", "DeleteItem", "UpdateItem")
TRANSACTION = ("TransactWriteItems",)
WRITES = (*BATCH, *SINGLE, *TRANSACTION)
READS = ("BatchGetItem",)
CALLS = (*WRITES, *READS)
"""The operations that faults happen to; all others pass."""


class Manner(Enum):
    """How an answer reaches the client, if it does."""

    WHOLE = "at once and complete"
    CUT = "the connection closes in the middle of the body"
    CORRUPTED = "one byte is another one, or the checksum is wrong"
    DRIPPED = "byte by byte"
    RESET = "no answer: the connection is reset"
    HUNG = "no answer: the client has to give up"


@dataclass(frozen=True, slots=True)
class Error:
    """An error as DynamoDB words it."""

    code: str
    message: str
    status: int = 400
    reasons: str = ""
    """The member that holds the throttling reasons; its spelling differs from error to error."""
    canceled: str = ""
    """The code of the first CancellationReason of a TransactionCanceledException."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of fault."""

    applied: bool
    """Whether the call is carried out before the fault happens to its answer."""
    error: Error | None = None
    """What is answered instead of the truth."""
    manner: Manner = Manner.WHOLE
    operations: tuple[str, ...] = CALLS
    holds_back: bool = False
    """Some requests of a batch are not carried out and come back in UnprocessedItems or UnprocessedKeys."""
    is_late: bool = False
    """The request lies on the wire for a while before it is carried out."""
    starts_outage: bool = False
    is_once: bool = False
    """Happens at most once in a run."""


THROUGHPUT_EXCEEDED = Error(
    "ProvisionedThroughputExceededException",
    "The level of configured provisioned throughput for the table was exceeded.",
    reasons="ThrottlingReasons",
)
INTERNAL_ERROR = Error("InternalServerError", "Internal server error", 500)
UNAVAILABLE = Error("ServiceUnavailable", "The service is unavailable", 503)

KINDS: Mapping[str, Kind] = {
    "unprocessed": Kind(True, operations=(*BATCH, *READS), holds_back=True),
    "throughput-exceeded": Kind(False, THROUGHPUT_EXCEEDED),
    # Since 2025 for on-demand tables as well, with the reasons in lower case (botocore: throttlingReasons).
    "throttling": Kind(
        False, Error("ThrottlingException", "Throughput exceeds the current capacity", reasons="throttlingReasons")
    ),
    "request-limit": Kind(
        False,
        Error("RequestLimitExceeded", "Throughput exceeds the account's limit", reasons="ThrottlingReasons"),
    ),
    "internal-error-before": Kind(False, INTERNAL_ERROR),
    # "The operation might have succeeded" (Programming.Errors).
    "internal-error-after": Kind(True, INTERNAL_ERROR),
    "unavailable": Kind(False, UNAVAILABLE),
    "reset-before": Kind(False, manner=Manner.RESET),
    "reset-after": Kind(True, manner=Manner.RESET),
    # A body cut short, or with a letter changed in the name UnprocessedItems, reads as if all had been written, and
    # without UnprocessedKeys as if nothing else were in the table:
    # botocore checks neither Content-Length nor JSON, and x-amz-crc32 only to decide on a retry.
    "truncated": Kind(True, manner=Manner.CUT, holds_back=True),
    "corrupted": Kind(True, manner=Manner.CORRUPTED, holds_back=True),
    "drip": Kind(True, manner=Manner.DRIPPED),
    "hang-before": Kind(False, manner=Manner.HUNG),
    "hang-after": Kind(True, manner=Manner.HUNG),
    "late": Kind(True, is_late=True),
    "outage": Kind(False, INTERNAL_ERROR, operations=WRITES, starts_outage=True),
    "replicated-write-conflict": Kind(
        False,
        Error("ReplicatedWriteConflictException", "The request was rejected because an item is being modified", 409),
        operations=(*BATCH, *SINGLE),
    ),
    # Transactions: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html
    "transaction-conflict": Kind(
        False,
        Error("TransactionConflictException", "Transaction is ongoing for the item"),
        operations=SINGLE,
    ),
    "transaction-canceled": Kind(
        False,
        Error("TransactionCanceledException", "Transaction cancelled", canceled="TransactionConflict"),
        operations=TRANSACTION,
    ),
    "transaction-throttled": Kind(
        False,
        Error("TransactionCanceledException", "Transaction cancelled", canceled="ProvisionedThroughputExceeded"),
        operations=TRANSACTION,
    ),
    "expired-token": Kind(
        False,
        Error("ExpiredTokenException", "The security token included in the request is expired"),
        operations=WRITES,
        is_once=True,
    ),
    # A policy that was made before the function read anything.
    "denied": Kind(
        False, Error("AccessDeniedException", "not authorized to perform: dynamodb:BatchGetItem"), operations=READS
    ),
}

REASONS = (
    "TableWriteProvisionedThroughputExceeded",
    "TableWriteKeyRangeThroughputExceeded",
    "TableWriteMaxOnDemandThroughputExceeded",
    "TableWriteAccountLimitExceeded",
    "IndexWriteProvisionedThroughputExceeded",
    "IndexWriteKeyRangeThroughputExceeded",
)
