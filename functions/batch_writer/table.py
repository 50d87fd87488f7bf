"""The only DynamoDB calls, and which AWS errors mean what."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol

import msgspec

from . import items, settings
from .answer import Answer, NoAnswer, NotConfigured, Refusal
from .calls import Running, Submit
from .items import Rejected
from .operation import AttributeValue, Operation

MAX_UNITS = 25 * 400 * 2 * (1 + 2 * 25)
"""Write units that a call can consume: 25 items of 400 KB in a transaction, with 20 global and 5 local indexes, each of
which may take two writes for one. https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.html"""


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

_REQUEST_AS_SIGNED = "The Canonical String"  # What follows in a refused signature's words repeats the session token.
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
    @property
    def renew(self) -> Callable[[], object]: ...


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
        units = _units(answer)
        if units is None:
            return Reply(Meaning.UNSURE, error="an answer with a ConsumedCapacity that cannot be")
        if not batch[0].goes_in_batches:
            if not units:  # It was asked for; an answer without it is none of DynamoDB's.
                return Reply(Meaning.UNSURE, error="an answer without ConsumedCapacity")
            return Reply(Meaning.ACCEPTED, (), units)
        unprocessed = answer.get("UnprocessedItems")
        # DynamoDB always says; an answer that does not has lost it.
        if not isinstance(unprocessed, dict) or not all(isinstance(each, list) for each in unprocessed.values()):
            return Reply(Meaning.UNSURE, error="an answer without UnprocessedItems")
        return Reply(Meaning.ACCEPTED, self._unwritten(batch, unprocessed) if unprocessed else (), units)

    def renew(self) -> None:
        """Have the credentials of later calls looked up anew."""
        self._dynamodb.renew()

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

    def _key(self, table: str, request: Any) -> Any:
        try:
            attributes = request["PutRequest"]["Item"] if "PutRequest" in request else request["DeleteRequest"]["Key"]
            settings_of = self._tables[table]
            return items.key_of(settings_of, {key.name: _checked(attributes[key.name]) for key in settings_of.key})
        except (Rejected, KeyError, TypeError):
            return None


def _batch_body(bodies: Mapping[str, Sequence[bytes]]) -> bytes:
    tables = (b"%b:[%b]" % (msgspec.json.encode(table), b",".join(requests)) for table, requests in bodies.items())
    return b'{"RequestItems":{%b},"ReturnConsumedCapacity":"TOTAL"}' % b",".join(tables)


def _checked(value: Any) -> AttributeValue:
    """A key's value, in which binary is base64 on the wire but not through boto3. Raises `Rejected`."""
    if isinstance(value, dict) and value.keys() == {"B"} and isinstance(value["B"], bytes):
        return value
    return items.native_value(value, 1)[0]


def _failed(answer: Refusal | NoAnswer | NotConfigured, tables: Iterable[str]) -> Reply:
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
    if meaning in (Meaning.THROTTLED, Meaning.UNSURE):
        # It is logged, and words that nobody has seen yet may quote a value.
        return Reply(meaning, error=answer.name)
    return Reply(meaning, error=f"{code}: {words}", stored=answer.stored)


def _token(operation: Operation) -> str:
    """What DynamoDB applies once in 10 minutes: the same for every delivery, unless each is to be applied."""
    source = operation.source
    name = f"{source.message_id}/{source.element}/{source.table}/{source.position}/{operation.delivery}"
    return hashlib.sha256(name.encode()).hexdigest()[:36]  # The API takes 36 characters.


def _units(answer: Mapping[str, Any]) -> dict[str, float] | None:
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
