"""The only DynamoDB calls, and which AWS errors mean what."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol

import msgspec

from . import items, settings
from .answer import Answer, NoAnswer, NotConfigured, Refusal
from .calls import Running, Submit
from .items import Rejected
from .operation import AttributeValue, Operation


class Meaning(Enum):
    """What an answer of DynamoDB means for the operations of the call."""

    ACCEPTED = "written, but for those that are named unprocessed"
    THROTTLED = "not written: too fast"
    UNSURE = "may or may not be written: try again"
    CONDITION_FAILED = "not written: its condition does not hold"
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
    # Nobody's bad message; but a policy may deny some items alone.
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
    "ExpiredTokenException": Meaning.STOP,
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

# It can succeed as soon as another operation has put the item, or the attribute, there.
_NOT_THERE_YET = (
    "The document path provided in the update expression is invalid for update",
    "The provided expression refers to an attribute that does not exist in the item",
)


@dataclass(frozen=True, slots=True)
class Reply:
    """What became of one call."""

    meaning: Meaning
    unwritten: Sequence[Operation] = ()
    """Of an ACCEPTED call: those that came back unprocessed."""
    consumed: Mapping[str, float] = field(default_factory=dict)
    """Write units by table."""
    stored: Mapping[str, AttributeValue] | None = None
    """The item that stands in the table where a condition failed."""
    error: str = ""
    """The service's words, or the name of the exception; never an item's values."""


class DynamoDB(Protocol):
    def begin(self, tables: Sequence[str], body: bytes, seconds: float, submit: Submit) -> Running[Answer]: ...
    def call(self, operation: str, arguments: Mapping[str, Any], seconds: float) -> Answer: ...


class Tables:
    """The tables of the settings, written by calls that are not repeated by themselves.

    Each call gets the seconds that it may take, so that one that hangs is given up while there is time for another.
    `update_once` sends updates as transactions with a ClientRequestToken, at twice the write units.
    """

    def __init__(self, tables: Sequence[settings.Table], dynamodb: DynamoDB, *, update_once: bool = False) -> None:
        self._tables = {table.name: table for table in tables}
        self._dynamodb = dynamodb
        self._update_once = update_once

    def begin(self, batch: Sequence[Operation], seconds: float, submit: Submit) -> Running[Answer]:
        """One BatchWriteItem, or one conditional write or update by itself. What may block is given to `submit`."""
        alone = batch[0]
        if not alone.goes_in_batches:
            return submit(self._dynamodb.call, *self._request(alone), seconds)
        bodies: dict[str, list[bytes]] = {}
        for operation in batch:
            bodies.setdefault(operation.key[0], []).append(operation.body)
        return self._dynamodb.begin(list(bodies), _batch_body(bodies), seconds, submit)

    def reply(self, batch: Sequence[Operation], answer: Answer) -> Reply:
        """What the answer means to the operations of the call."""
        if isinstance(answer, Refusal | NoAnswer | NotConfigured):
            return _failed(answer, {operation.table for operation in batch})
        if not batch[0].goes_in_batches:
            if answer.get("ConsumedCapacity") is None:  # It was asked for; an answer without it is none of DynamoDB's.
                return Reply(Meaning.UNSURE, error="an answer without ConsumedCapacity")
            return Reply(Meaning.ACCEPTED, (), _units(answer))
        unprocessed = answer.get("UnprocessedItems")
        if not isinstance(unprocessed, Mapping):  # DynamoDB always says; an answer that does not has lost it.
            return Reply(Meaning.UNSURE, error="an answer without UnprocessedItems")
        return Reply(Meaning.ACCEPTED, self._unwritten(batch, unprocessed) if unprocessed else (), _units(answer))

    def _request(self, operation: Operation) -> tuple[str, dict[str, Any]]:
        """boto3's name of the call, and its arguments."""
        call: str = operation.call
        arguments: dict[str, Any] = {
            "TableName": operation.table,
            **operation.request,
            # So that a condition that fails because an earlier attempt had succeeded can be told from one that fails.
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        if call == "update_item" and self._update_once:
            token = {"ClientRequestToken": _token(operation)}
            arguments, call = {"TransactItems": [{"Update": arguments}], **token}, "transact_write_items"
        return call, {**arguments, "ReturnConsumedCapacity": "TOTAL"}

    def _unwritten(self, batch: Sequence[Operation], unprocessed: Mapping[str, Any]) -> Sequence[Operation]:
        """Match what came back by typed key. What cannot be matched may be any of them: then none counts as written."""
        by_key = {operation.key: operation for operation in batch}
        matched = []
        for table, requests in unprocessed.items():
            for request in requests:
                operation = by_key.pop(self._key(table, request), None) if table in self._tables else None
                if operation is None:
                    return batch
                matched.append(operation)
        return matched

    def _key(self, table: str, request: Mapping[str, Any]) -> Any:
        try:
            attributes = request["PutRequest"]["Item"] if "PutRequest" in request else request["DeleteRequest"]["Key"]
            settings_of = self._tables[table]
            return items.key_of(settings_of, {key.name: _with_bytes(attributes[key.name]) for key in settings_of.key})
        except (Rejected, KeyError, ValueError, TypeError, AttributeError):
            return None


def _batch_body(bodies: Mapping[str, Sequence[bytes]]) -> bytes:
    tables = (b"%b:[%b]" % (msgspec.json.encode(table), b",".join(requests)) for table, requests in bodies.items())
    return b'{"RequestItems":{%b},"ReturnConsumedCapacity":"TOTAL"}' % b",".join(tables)


def _with_bytes(value: Any) -> Any:
    """A key's value in which binary is no longer base64, as it is on the wire but not through boto3."""
    return {"B": base64.b64decode(value["B"])} if isinstance(value.get("B"), str) else value


def _failed(answer: Refusal | NoAnswer | NotConfigured, tables: Iterable[str]) -> Reply:
    if isinstance(answer, NoAnswer):
        return Reply(Meaning.UNSURE, error=answer.reason)
    if isinstance(answer, NotConfigured):
        return Reply(Meaning.STOP, error=answer.reason)
    code, words = answer.code, answer.words
    meaning = MEANINGS.get(code, Meaning.UNSURE)
    if meaning is Meaning.REJECTED and words.startswith(_TABLES_IS_WRONG):
        meaning, words = Meaning.STOP, f"TABLES does not describe the table as it is: {words}"
    if meaning is Meaning.REJECTED and any(part in words for part in _NOT_THERE_YET):
        meaning = Meaning.EARLY
    if meaning is Meaning.STOP:
        words = f"{words} (writing to {', '.join(sorted(tables))})"
    if meaning in (Meaning.THROTTLED, Meaning.UNSURE):
        # It is logged, and words that nobody has seen yet may quote a value.
        return Reply(meaning, error=code or "an error without a code")
    return Reply(meaning, error=f"{code}: {words}", stored=answer.stored)


def _token(operation: Operation) -> str:
    """What DynamoDB applies once in 10 minutes: the same for every delivery, unless each is to be applied."""
    source = operation.source
    name = f"{source.message_id}/{source.element}/{source.table}/{source.position}/{operation.delivery}"
    return hashlib.sha256(name.encode()).hexdigest()[:36]  # The API takes 36 characters.


def _units(response: Mapping[str, Any]) -> dict[str, float]:
    capacities = response.get("ConsumedCapacity") or ()
    units: dict[str, float] = {}
    for capacity in (capacities,) if isinstance(capacities, Mapping) else capacities:
        name = str(capacity.get("TableName"))
        # A transaction that is repeated reads, and says so; it writes nothing.
        reads = capacity.get("ReadCapacityUnits")
        written = capacity.get("WriteCapacityUnits", 0.0 if reads else capacity.get("CapacityUnits", 0.0))
        units[name] = units.get(name, 0.0) + float(written)
    return units
