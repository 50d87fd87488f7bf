"""The only DynamoDB calls, and which AWS errors mean what."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    NoCredentialsError,
    NoRegionError,
    ParamValidationError,
    PartialCredentialsError,
)
from botocore.parsers import ResponseParserError

from . import items, settings
from .items import Rejected
from .operation import AttributeValue, Operation


class Meaning(Enum):
    """What an answer of DynamoDB means for the operations of the call."""

    ACCEPTED = "written, but for those that are named unprocessed"
    THROTTLED = "not written: too fast"
    UNSURE = "may or may not be written: try again"
    CONDITION_FAILED = "not written: its condition does not hold"
    REJECTED = "one of them, at least, can never be written"
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
    # No request can succeed until somebody changes something.
    "ResourceNotFoundException": Meaning.STOP,
    "AccessDeniedException": Meaning.STOP,
    "AccessDenied": Meaning.STOP,
    "UnrecognizedClientException": Meaning.STOP,
    "InvalidClientTokenId": Meaning.STOP,
    "InvalidSignatureException": Meaning.STOP,
    "SignatureDoesNotMatch": Meaning.STOP,
    "IncompleteSignatureException": Meaning.STOP,
    "MissingAuthenticationTokenException": Meaning.STOP,
    "MissingAuthenticationToken": Meaning.STOP,
    "ExpiredTokenException": Meaning.STOP,
    "NotAuthorized": Meaning.STOP,
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
_NOT_CONFIGURED = (NoCredentialsError, PartialCredentialsError, NoRegionError)


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


class DynamoDBClient(Protocol):
    def batch_write_item(self, **request: Any) -> Any: ...
    def put_item(self, **request: Any) -> Any: ...
    def delete_item(self, **request: Any) -> Any: ...
    def update_item(self, **request: Any) -> Any: ...
    def transact_write_items(self, **request: Any) -> Any: ...


class Tables:
    """The tables of the settings, written through a boto3 client that does not retry by itself.

    `client` gets the seconds that a call may take, so that one that hangs is given up while there is time for another.
    `update_once` sends updates as transactions with a ClientRequestToken, at twice the write units.
    """

    def __init__(
        self,
        tables: Sequence[settings.Table],
        client: Callable[[float], DynamoDBClient],
        *,
        update_once: bool = False,
    ) -> None:
        self._tables = {table.name: table for table in tables}
        self._client = client
        self._update_once = update_once

    def write(self, batch: Sequence[Operation], seconds: float) -> Reply:
        """One BatchWriteItem. Returns what every expected failure means; raises only what is a defect."""
        requests: dict[str, list[dict[str, Any]]] = {}
        for operation in batch:
            requests.setdefault(operation.table, []).append(operation.request)
        client = self._client(seconds)
        arguments = {"RequestItems": requests, "ReturnConsumedCapacity": "TOTAL"}
        response = _answer(client.batch_write_item, arguments, batch)
        if isinstance(response, Reply):
            return response
        unprocessed = response.get("UnprocessedItems")
        if unprocessed is None:  # DynamoDB always says; an answer that does not has lost it on the way.
            return Reply(Meaning.UNSURE, error="an answer without UnprocessedItems")
        return Reply(Meaning.ACCEPTED, self._unwritten(batch, unprocessed), _units(response))

    def write_one(self, operation: Operation, seconds: float) -> Reply:
        """One conditional write or update, by itself. Returns and raises as `write` does."""
        client = self._client(seconds)
        arguments: dict[str, Any] = {
            "TableName": operation.table,
            **operation.request,
            # So that a condition that fails because an earlier attempt had succeeded can be told from one that fails.
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        call = getattr(client, operation.call)
        if operation.call == "update_item" and self._update_once:
            token = {"ClientRequestToken": _token(operation)}
            arguments, call = {"TransactItems": [{"Update": arguments}], **token}, client.transact_write_items
        response = _answer(call, {**arguments, "ReturnConsumedCapacity": "TOTAL"}, [operation])
        if isinstance(response, Reply):
            return response
        if response.get("ConsumedCapacity") is None:  # It was asked for; an answer without it is none of DynamoDB's.
            return Reply(Meaning.UNSURE, error="an answer without ConsumedCapacity")
        return Reply(Meaning.ACCEPTED, (), _units(response))

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
            return items.key_of(self._tables[table], attributes)
        except (Rejected, KeyError, ValueError):
            return None


def _answer(call: Callable[..., Any], arguments: Mapping[str, Any], batch: Sequence[Operation]) -> Reply | Any:
    """What the service answers, or what it means that it does not."""
    try:
        return call(**arguments)
    except ClientError as error:
        return _refused(error, sorted({operation.table for operation in batch}))
    except _NOT_CONFIGURED as error:
        return Reply(Meaning.STOP, error=str(error))
    except ParamValidationError:
        raise
    except (
        HTTPClientError,
        BotoCoreError,
        ResponseParserError,
    ) as error:  # Connection, timeout, an answer that cannot be read.
        return Reply(Meaning.UNSURE, error=type(error).__name__)


def _refused(error: ClientError, tables: Sequence[str]) -> Reply:
    response: Mapping[str, Any] = error.response
    details = response.get("Error", {})
    code, words = str(details.get("Code", "")), str(details.get("Message", ""))
    stored = response.get("Item")
    if code == "TransactionCanceledException" and (reasons := response.get("CancellationReasons")):
        code, words = str(reasons[0].get("Code")), str(reasons[0].get("Message"))
        stored = reasons[0].get("Item")
    meaning = MEANINGS.get(code, Meaning.UNSURE)
    if meaning is Meaning.REJECTED and words.startswith(_TABLES_IS_WRONG):
        meaning, words = Meaning.STOP, f"TABLES does not describe the table as it is: {words}"
    if meaning is Meaning.STOP:
        words = f"{words} (writing to {', '.join(tables)})"
    if meaning in (Meaning.THROTTLED, Meaning.UNSURE):
        # It is logged, and words that nobody has seen yet may quote a value.
        return Reply(meaning, error=code or "an error without a code")
    return Reply(meaning, error=f"{code}: {words}", stored=stored)


def _token(operation: Operation) -> str:
    """The same for every delivery of the message: DynamoDB applies a token once in 10 minutes."""
    source = operation.source
    name = f"{source.message_id}/{source.element}/{source.table}/{source.position}"
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
