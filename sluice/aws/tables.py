"""The only calls that write to DynamoDB: operations into requests, answers into replies."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from sluice.message import items, settings
from sluice.message.items import Rejected
from sluice.message.operation import AttributeValue, Operation, SingleWrite, go_in_batches

from .answer import Answer, NoAnswer, NotConfigured, Refusal
from .in_flight import Running, Submit
from .meanings import Meaning, Reply, consumed_units, failure


class DynamoDBCalls(Protocol):
    def begin(self, tables: Sequence[str], body: bytes, seconds: float, submit: Submit) -> Running[Answer]: ...
    def call(self, operation: str, arguments: Mapping[str, Any], seconds: float) -> Answer: ...
    @property
    def renew(self) -> Callable[[], object]: ...


class Tables:
    """The tables of the settings, written by calls that are not repeated by themselves.

    Each call gets the seconds that it may take, so that one that hangs is given up while there is time for another.
    `update_once` sends updates as transactions with a ClientRequestToken, at twice the write units.
    """

    def __init__(self, tables: Sequence[settings.Table], dynamodb: DynamoDBCalls, *, update_once: bool = False) -> None:
        self._tables = {table.name: table for table in tables}
        self._dynamodb = dynamodb
        self._update_once = update_once

    def begin(self, batch: Sequence[Operation], seconds: float, submit: Submit) -> Running[Answer]:
        """One BatchWriteItem, or one conditional write or update by itself. What may block is given to `submit`."""
        if isinstance(alone := batch[0], SingleWrite):
            return submit(self._dynamodb.call, *self._request(alone), seconds)
        bodies: dict[str, list[bytes]] = {}
        assert go_in_batches(batch)
        for operation in batch:
            bodies.setdefault(operation.key[0], []).append(operation.body)
        return self._dynamodb.begin(list(bodies), _batch_body(bodies), seconds, submit)

    def reply(self, batch: Sequence[Operation], answer: Answer) -> Reply:
        """What the answer means to the operations of the call."""
        if isinstance(answer, Refusal | NoAnswer | NotConfigured):
            return failure(answer, {operation.table for operation in batch})
        units = consumed_units(answer)
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

    def _request(self, operation: SingleWrite) -> tuple[str, dict[str, Any]]:
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


def _token(operation: SingleWrite) -> str:
    """What DynamoDB applies once in 10 minutes: the same for every delivery, unless each is to be applied."""
    source = operation.source
    name = f"{source.message_id}/{source.element}/{source.table}/{source.position}/{operation.delivery}"
    return hashlib.sha256(name.encode()).hexdigest()[:36]  # The API takes 36 characters.
