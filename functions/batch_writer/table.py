"""The only DynamoDB calls, and which AWS errors mean what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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

from . import items, settings
from .items import Rejected
from .operation import Operation


class Meaning(Enum):
    """What an answer of DynamoDB means for the operations of the call."""

    ACCEPTED = "written, but for those that are named unprocessed"
    THROTTLED = "not written: too fast"
    UNSURE = "may or may not be written: try again"
    REJECTED = "one of them, at least, can never be written"
    STOP = "the table, the permission or the settings are wrong: nobody's bad message"


# https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html#API_BatchWriteItem_Errors
# https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/CommonErrors.html
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html
# What is not named here is UNSURE: tried again, and returned at the deadline.
MEANINGS: Mapping[str, Meaning] = {
    "ProvisionedThroughputExceededException": Meaning.THROTTLED,
    "ThrottlingException": Meaning.THROTTLED,
    "RequestLimitExceeded": Meaning.THROTTLED,
    "ValidationException": Meaning.REJECTED,
    "ItemCollectionSizeLimitExceededException": Meaning.REJECTED,
    "SerializationException": Meaning.REJECTED,
    "ResourceNotFoundException": Meaning.STOP,
    "AccessDeniedException": Meaning.STOP,
    "UnrecognizedClientException": Meaning.STOP,
    "InvalidSignatureException": Meaning.STOP,
    "IncompleteSignatureException": Meaning.STOP,
    "MissingAuthenticationTokenException": Meaning.STOP,
    "ExpiredTokenException": Meaning.STOP,
    "NotAuthorized": Meaning.STOP,
    "OptInRequired": Meaning.STOP,
}
# Every key was checked against TABLES, so when DynamoDB refuses one, TABLES does not describe the table. (An index key
# of a wrong type reads "Type mismatch for Index Key" and is the item's own fault.)
_TABLES_IS_WRONG = (
    "The provided key element does not match the schema",
    "One of the required keys was not given a value",
    "Missing the key ",
    "Type mismatch for key ",
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
    error: str = ""
    """The service's words, or the name of the exception; never an item's values."""


class DynamoDBClient(Protocol):
    def batch_write_item(self, **request: Any) -> Any: ...


class Tables:
    """The tables of the settings, written through a boto3 client that does not retry by itself."""

    def __init__(self, tables: Sequence[settings.Table], client: DynamoDBClient) -> None:
        self._tables = {table.name: table for table in tables}
        self._client = client

    def write(self, batch: Sequence[Operation]) -> Reply:
        """One BatchWriteItem. Returns what every expected failure means; raises only what is a defect."""
        request: dict[str, list[dict[str, Any]]] = {}
        for operation in batch:
            request.setdefault(operation.table, []).append(operation.request)
        try:
            response = self._client.batch_write_item(RequestItems=request, ReturnConsumedCapacity="TOTAL")
        except ClientError as error:
            return _refused(error, request)
        except _NOT_CONFIGURED as error:
            return Reply(Meaning.STOP, error=str(error))
        except ParamValidationError:
            raise
        except (HTTPClientError, BotoCoreError) as error:  # Connection, timeout, an answer that cannot be read.
            return Reply(Meaning.UNSURE, error=type(error).__name__)
        unprocessed = response.get("UnprocessedItems")
        if unprocessed is None:  # DynamoDB always says; an answer that does not has lost it on the way.
            return Reply(Meaning.UNSURE, error="an answer without UnprocessedItems")
        return Reply(Meaning.ACCEPTED, self._unwritten(batch, unprocessed), _units(response))

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


def _refused(error: ClientError, request: Mapping[str, Any]) -> Reply:
    code = str(error.response.get("Error", {}).get("Code", ""))
    words = str(error.response.get("Error", {}).get("Message", ""))
    meaning = MEANINGS.get(code, Meaning.UNSURE)
    if meaning is Meaning.REJECTED and any(text in words for text in _TABLES_IS_WRONG):
        meaning, words = Meaning.STOP, f"TABLES does not describe the table as it is: {words}"
    if meaning is Meaning.STOP:
        words = f"{words} (writing to {', '.join(request)})"
    return Reply(meaning, error=f"{code}: {words}")


def _units(response: Mapping[str, Any]) -> dict[str, float]:
    units: dict[str, float] = {}
    for capacity in response.get("ConsumedCapacity") or ():
        name = str(capacity.get("TableName"))
        units[name] = units.get(name, 0.0) + float(capacity.get("CapacityUnits", 0.0))
    return units
