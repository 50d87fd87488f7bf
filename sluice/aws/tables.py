"""The only calls that write to DynamoDB: operations into requests, answers into replies."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from sluice.message import items, settings
from sluice.message.items import Rejected
from sluice.message.operation import AttributeValue, Operation, SingleWrite, go_in_batches

from .answer import Answer, NoAnswer, NotConfigured, Refusal
from .in_flight import Running, Submit
from .meanings import Meaning, Reply, consumed_units, failure
from .route import BotoCalls, Call

PREFIX = "DynamoDB_20120810."  # Of X-Amz-Target.
_ACTIONS = {"put_item": "PutItem", "delete_item": "DeleteItem", "update_item": "UpdateItem"}
_RETURN_CONSUMED = b'"ReturnConsumedCapacity":"TOTAL"'
# So that a condition that fails because an earlier attempt had succeeded can be told from one that fails.
_RETURN_OLD = b'"ReturnValuesOnConditionCheckFailure":"ALL_OLD"'


class DynamoDBCalls(Protocol):
    def begin(self, call: Call, seconds: float, submit: Submit) -> Running[Answer]: ...
    def has_room(self, in_flight: int) -> bool: ...
    @property
    def renew(self) -> Callable[[], object]: ...


class Tables:
    """The tables of the settings, written by calls that are not repeated by themselves.

    Each call gets the seconds that it may take, so that one that hangs is given up while there is time for another.
    An update that is to be applied once goes as a transaction with a ClientRequestToken, at twice the write units.
    """

    def __init__(self, tables: Sequence[settings.Table], dynamodb: DynamoDBCalls) -> None:
        self._tables = {table.name: table for table in tables}
        self._dynamodb = dynamodb

    def begin(self, batch: Sequence[Operation], seconds: float, submit: Submit) -> Running[Answer]:
        """One BatchWriteItem, or one conditional write or update by itself. What may block is given to `submit`."""
        call = self._single(batch[0]) if isinstance(batch[0], SingleWrite) else _batch(batch)
        return self._dynamodb.begin(call, seconds, submit)

    def has_room(self, in_flight: int) -> bool:
        """Whether one more call may begin beside so many."""
        return self._dynamodb.has_room(in_flight)

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

    def _single(self, operation: SingleWrite) -> Call:
        update = b'"TableName":"%b",%b,%b' % (operation.table.encode(), operation.body[1:-1], _RETURN_OLD)
        if operation.is_once:
            token = _token(operation)
            body = b'{"TransactItems":[{"Update":{%b}}],"ClientRequestToken":"%b",%b}' % (
                update,
                token.encode(),
                _RETURN_CONSUMED,
            )
            return Call("TransactWriteItems", body, lambda boto, seconds: _transact(boto, operation, token, seconds))
        body = b"{%b,%b}" % (update, _RETURN_CONSUMED)
        return Call(_ACTIONS[operation.call], body, lambda boto, seconds: _write(boto, operation, seconds))

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


def _batch(batch: Sequence[Operation]) -> Call:
    assert go_in_batches(batch)
    bodies: dict[str, list[bytes]] = {}
    for operation in batch:
        bodies.setdefault(operation.key[0], []).append(operation.body)
    requests = b",".join([b'"%b":[%b]' % (table.encode(), b",".join(of_table)) for table, of_table in bodies.items()])
    body = b'{"RequestItems":{%b},%b}' % (requests, _RETURN_CONSUMED)
    return Call("BatchWriteItem", body, lambda boto, seconds: boto.batch_write(list(bodies), body, seconds))


def _write(boto: BotoCalls, operation: SingleWrite, seconds: float) -> Answer:
    return boto.call(operation.call, {**_arguments(operation), "ReturnConsumedCapacity": "TOTAL"}, seconds)


def _transact(boto: BotoCalls, update: SingleWrite, token: str, seconds: float) -> Answer:
    arguments = {
        "TransactItems": [{"Update": _arguments(update)}],
        "ClientRequestToken": token,
        "ReturnConsumedCapacity": "TOTAL",
    }
    return boto.call("transact_write_items", arguments, seconds)


def _arguments(operation: SingleWrite) -> dict[str, Any]:
    return {
        "TableName": operation.table,
        **operation.request,
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }


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
