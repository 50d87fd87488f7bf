"""What an answer of DynamoDB means to the writer: error codes as a table, and the write units it names. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import Any

from msgspec import Struct

from sluice.message import items
from sluice.message.operation import AttributeValue, Operation

from .answer import NoAnswer, NotConfigured, Refusal, ThrottlingReason

MAX_UNITS = 25 * 400 * 2 * (1 + 2 * 25)
"""Write units that a call can consume: 25 items of 400 KB in a transaction, with 20 global and 5 local indexes, each of
which may take two writes for one. https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.html"""

_REQUEST_AS_SIGNED = "The Canonical String"  # What follows in a refused signature's words repeats the session token.
# It can succeed as soon as another operation has put the item, or the attribute, there.
_NOT_THERE_YET = (
    "The document path provided in the update expression is invalid for update",
    "The provided expression refers to an attribute that does not exist in the item",
)


class Meaning(Enum):
    """What an answer of DynamoDB means for the operations of the call."""

    ACCEPTED = "written, but for those that are named unprocessed"
    THROTTLED = "not written: too fast"
    UNSURE = "may or may not be written: try again"
    CONDITION_FAILED = "not written: its condition does not hold"
    OUT_OF_DATE = "not written: the signature or the credentials are those of a while ago"
    REJECTED = "one of them, at least, can never be written"
    EARLY = "not written: what the update changes is not in the table yet"
    DENIED = "not written: access is denied, to one of them at least"
    STOP = "the table, the permission or the settings are wrong: nobody's bad message"


# https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html#API_BatchWriteItem_Errors
# https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/CommonErrors.html
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html
# What is not named here is UNSURE: tried again, and returned at the deadline.
MEANINGS: Mapping[str, Meaning] = {
    # Too fast, for the table, one of its partitions or indexes, or the account.
    "ProvisionedThroughputExceededException": Meaning.THROTTLED,
    "ThrottlingException": Meaning.THROTTLED,
    "RequestLimitExceeded": Meaning.THROTTLED,
    "LimitExceededException": Meaning.THROTTLED,
    "Throttling": Meaning.THROTTLED,
    "ProvisionedThroughputExceeded": Meaning.THROTTLED,  # This one and the next: a transaction's CancellationReasons.
    "ThrottlingError": Meaning.THROTTLED,
    # The outcome is unknown, or another writer was in the way.
    "InternalServerError": Meaning.UNSURE,
    "InternalFailure": Meaning.UNSURE,
    "ServiceUnavailable": Meaning.UNSURE,
    "ServiceUnavailableException": Meaning.UNSURE,
    "RequestTimeout": Meaning.UNSURE,
    "RequestTimeoutException": Meaning.UNSURE,
    "ReplicatedWriteConflictException": Meaning.UNSURE,
    "TransactionConflictException": Meaning.UNSURE,
    "TransactionConflict": Meaning.UNSURE,
    "TransactionInProgressException": Meaning.UNSURE,
    "ConditionalCheckFailedException": Meaning.CONDITION_FAILED,
    "ConditionalCheckFailed": Meaning.CONDITION_FAILED,
    # Something in the request can never succeed.
    "ValidationException": Meaning.REJECTED,
    "ValidationError": Meaning.REJECTED,
    "SerializationException": Meaning.REJECTED,
    "ItemCollectionSizeLimitExceededException": Meaning.REJECTED,
    "ItemCollectionSizeLimitExceeded": Meaning.REJECTED,
    # Nothing to do with what is written, but a policy may deny some items alone.
    "AccessDeniedException": Meaning.DENIED,
    "AccessDenied": Meaning.DENIED,
    "NotAuthorized": Meaning.DENIED,
    # No request can succeed until somebody changes something.
    "ResourceNotFoundException": Meaning.STOP,
    "UnrecognizedClientException": Meaning.STOP,
    "InvalidClientTokenId": Meaning.STOP,
    "InvalidSignatureException": Meaning.STOP,
    "SignatureDoesNotMatch": Meaning.STOP,
    "IncompleteSignatureException": Meaning.STOP,
    "MissingAuthenticationTokenException": Meaning.STOP,
    "MissingAuthenticationToken": Meaning.STOP,
    "OptInRequired": Meaning.STOP,
}
# Every key was checked against TABLES, so when DynamoDB refuses one, TABLES does not describe the table. (An index key
# of a wrong type reads "Type mismatch for Index Key" and is the item's own fault.)
# Only how the words begin counts: further on they may quote what a message holds.
_TABLES_IS_WRONG = (
    "The provided key element does not match the schema",
    "One of the required keys was not given a value",
    "One or more parameter values were invalid: Missing the key ",
    "One or more parameter values were invalid: Type mismatch for key ",
)


class Reply(Struct, frozen=True):
    """What became of one call."""

    meaning: Meaning
    unwritten: Sequence[Operation] = ()
    """Of an ACCEPTED call: those that came back unprocessed."""
    consumed: Mapping[str, float] = {}
    """Write units by table."""
    stored: Mapping[str, AttributeValue] | None = None
    """The item that stands in the table where a condition failed."""
    error: str = ""
    """The service's words, or the name of the exception; never an item's values."""
    reasons: Sequence[ThrottlingReason] = ()
    """Of a THROTTLED call: which limits it met, as far as the service says."""


def failure(answer: Refusal | NoAnswer | NotConfigured, tables: Iterable[str]) -> Reply:
    if isinstance(answer, NoAnswer):
        return Reply(Meaning.UNSURE, error=answer.reason)
    if isinstance(answer, NotConfigured):
        return Reply(Meaning.STOP, error=answer.reason)
    code, words = answer.code, answer.words
    meaning = Meaning.OUT_OF_DATE if answer.is_out_of_date else MEANINGS.get(code, Meaning.UNSURE)
    if meaning is Meaning.CONDITION_FAILED and not all(map(items.is_value, (answer.stored or {}).values())):
        return Reply(Meaning.UNSURE, error="a stored item that cannot be read")
    if meaning is Meaning.REJECTED and words.startswith(_TABLES_IS_WRONG):
        meaning, words = Meaning.STOP, f"TABLES does not describe the table as it is: {words}"
    if meaning is Meaning.REJECTED and any(part in words for part in _NOT_THERE_YET):
        meaning = Meaning.EARLY
    if meaning in (Meaning.STOP, Meaning.OUT_OF_DATE):
        words = words.partition(_REQUEST_AS_SIGNED)[0].rstrip()
        words = f"{words} (writing to {', '.join(sorted(tables))})"
    if meaning is Meaning.THROTTLED:
        named = ", ".join(dict.fromkeys(map(str, answer.reasons)))
        return Reply(meaning, error=f"{answer.name}: {named}" if named else answer.name, reasons=answer.reasons)
    if meaning is Meaning.UNSURE:
        # It is logged, and words that nobody has seen yet may quote a value.
        return Reply(meaning, error=answer.name)
    return Reply(meaning, error=f"{code}: {words}", stored=answer.stored)


def consumed_units(answer: Mapping[str, Any]) -> dict[str, float] | None:
    """Write units by table; empty where the answer has none, None where it has something else."""
    capacities = answer.get("ConsumedCapacity")
    if capacities is None:
        return {}
    units: dict[str, float] = {}
    for capacity in capacities if isinstance(capacities, list) else [capacities]:
        if not isinstance(capacity, dict) or not isinstance(name := capacity.get("TableName", ""), str):
            return None
        # A transaction that is repeated reads, and says so; it writes nothing.
        reads: Any = capacity.get("ReadCapacityUnits", 0.0)
        written: Any = capacity.get("WriteCapacityUnits", 0.0 if reads else capacity.get("CapacityUnits"))
        for number in (reads, written):
            if type(number) not in (int, float) or not 0 <= number <= MAX_UNITS:
                return None
        units[name] = units.get(name, 0.0) + written
    return units
