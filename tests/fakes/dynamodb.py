"""An in-memory DynamoDB behind the face of a boto3 client, as strict as the service.

The rules are those of AWS's pages, cited beside each; nothing is imported from the code under test.
"""

import base64
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from tests.fakes.attribute_values import (
    InvalidValueError,
    Item,
    canonical_item,
    canonical_number,
    item_bytes,
)
from tests.fakes.clock import Clock
from tests.fakes.expressions import Test, UpdateAction, condition, placeholders, update
from tests.fakes.faults import Canceled, Fault, Predicate, RejectIf, Request, Throttle, Unprocessed, UnprocessedIf
from tests.fakes.service import FakeService, Operations, Parameters, RefusedError, Response, copied
from tests.fakes.tables import (
    PARAMETER,
    READ_UNIT_BYTES,
    Bucket,
    Capacity,
    KeyAttribute,
    Read,
    Single,
    Table,
    Tables,
    Write,
    arn,
    check_key,
)

MAX_REQUEST_BYTES = 16 * 1024 * 1024  # API_BatchWriteItem: "up to 16 MB of data over the network"
MAX_ANSWER_BYTES = 16 * 1024 * 1024  # API_BatchGetItem: "up to 16 MB of data", the rest comes back unprocessed
MAX_TRANSACTION_ITEMS = 100  # API_TransactWriteItems: "up to 100 action requests"
MAX_TRANSACTION_BYTES = 4 * 1024 * 1024  # likewise: "the aggregate size of the items"
TRANSACTION_FACTOR = 2  # transaction-apis, "Capacity management": one write to prepare, one to commit
MAX_TOKEN = 36  # API_TransactWriteItems: ClientRequestToken, characters
TOKEN_SECONDS = 600  # likewise: "valid for 10 minutes after the first request that uses it is completed"

_LEGACY = {"AttributeUpdates", "ConditionalOperator", "Expected", "AttributesToGet"}

INVALID = PARAMETER.rstrip(": ")

IndexAttributes = KeyAttribute | list[KeyAttribute] | None

# API_TransactWriteItems, "TransactionCanceledException": what its CancellationReasons say.
CANCELLATIONS = {
    "ConditionalCheckFailed": "The conditional request failed",
    "ItemCollectionSizeLimitExceeded": "Collection size exceeded.",
    "ProvisionedThroughputExceeded": "The level of configured provisioned throughput for the table was exceeded. "
    "Consider increasing your provisioning level with the UpdateTable API.",
    "ThrottlingError": "Throughput exceeds the current capacity of your table or index. DynamoDB is automatically "
    "scaling your table or index so please try again shortly.",
    "TransactionConflict": "Transaction is ongoing for the item",
}


def _attributes(key: IndexAttributes) -> tuple[KeyAttribute, ...]:
    if key is None:
        return ()
    return tuple(key) if isinstance(key, list) else (key,)


def wire_bytes(parameters: dict[str, Any]) -> int:
    """Bytes of a request's body: compact JSON in UTF-8, binary as base64."""
    text = json.dumps(
        parameters,
        ensure_ascii=False,
        separators=(",", ":"),
        default=lambda binary: base64.b64encode(binary).decode(),
    )
    return len(text.encode())


# One class, as boto3's client is one: the operations share tables, rules, faults and what was consumed.
class FakeDynamoDB(FakeService):
    """Looks like a boto3 DynamoDB client; thread-safe. `clock` is what a ClientRequestToken grows old by.

    Write units are the base table's alone: indexes cost nothing here.
    """

    def __init__(self, clock: Callable[[], float] | None = None) -> None:
        super().__init__("dynamodb")
        self._clock = clock or Clock()
        self._completed: dict[str, tuple[float, Parameters]] = {}
        """ClientRequestToken → when its transaction was completed, and the request."""
        self.consumed: dict[str, float] = {}
        """Write units by table,"""
        self.consumed_by_reads: dict[str, float] = {}
        """and read units."""
        self.respell = False
        self._tables = Tables()
        self._rules: list[RejectIf] = []

    # Setting up and looking inside

    def create_table(
        self,
        name: str,
        *,
        partition_key: KeyAttribute,
        sort_key: KeyAttribute | None = None,
        indexes: Sequence[tuple[str, IndexAttributes, IndexAttributes]] = (),
    ) -> None:
        """A table with keys of (name, type); each index is (name, partition key, sort key).

        An index's key is None, one attribute or a list of them; without a partition key the index is a local one.
        """
        self.consumed[name] = self.consumed_by_reads[name] = 0
        self._tables[name] = Table(
            name,
            (partition_key, sort_key) if sort_key else (partition_key,),
            {index: (_attributes(partition), _attributes(sort)) for index, partition, sort in indexes},
        )

    def items(self, table: str) -> list[Item]:
        """Copies of the stored items, as DynamoDB JSON in canonical spelling."""
        with self._lock:
            return [copied(item) for item in self._tables[table].items.values()]

    def item(self, table: str, key: Item) -> Item | None:
        """A copy of the item with this key, or None; number keys go by value."""
        with self._lock:
            stored = self._tables[table].items.get(self._tables[table].key_of(key))
            return copied(stored) if stored is not None else None

    def reject_if(self, predicate: Predicate, message: str | Callable[[Request], str] = INVALID) -> None:
        """A rule of the service's own, kept from now on beside any fault: see RejectIf."""
        with self._lock:
            self._rules.append(RejectIf(predicate, message))

    def deny_if(self, predicate: Predicate, message: str) -> None:
        """A policy that denies some requests, as one on leading keys does: the whole call that has one of them."""
        with self._lock:
            self._rules.append(RejectIf(predicate, message, "AccessDeniedException"))

    def limit(self, table: str, capacity: Capacity | None) -> None:
        """Write capacity of a table: what finds no tokens comes back unprocessed; None lifts the limit."""
        with self._lock:
            self._tables[table].bucket = Bucket(capacity) if capacity else None

    def limit_reads(self, table: str, capacity: Capacity | None) -> None:
        """The same for BatchGetItem, in read units."""
        with self._lock:
            self._tables[table].read_bucket = Bucket(capacity) if capacity else None

    # The face of the client

    def batch_write_item(self, **kwargs: Any) -> dict[str, Any]:
        """BatchWriteItem with boto3's parameters, answer and errors."""
        return self._called_by_client("BatchWriteItem", kwargs)

    def put_item(self, **kwargs: Any) -> dict[str, Any]:
        """PutItem; the legacy parameters are not known here and below."""
        return self._called_by_client("PutItem", kwargs)

    def delete_item(self, **kwargs: Any) -> dict[str, Any]:
        """DeleteItem."""
        return self._called_by_client("DeleteItem", kwargs)

    def update_item(self, **kwargs: Any) -> dict[str, Any]:
        """UpdateItem."""
        return self._called_by_client("UpdateItem", kwargs)

    def transact_write_items(self, **kwargs: Any) -> dict[str, Any]:
        """TransactWriteItems."""
        return self._called_by_client("TransactWriteItems", kwargs)

    def get_item(self, **kwargs: Any) -> dict[str, Any]:
        """GetItem of the whole item."""
        return self._called_by_client("GetItem", kwargs)

    def batch_get_item(self, **kwargs: Any) -> dict[str, Any]:
        """BatchGetItem of whole items."""
        return self._called_by_client("BatchGetItem", kwargs)

    # The service

    @cached_property
    def _operations(self) -> Operations:
        return {
            "BatchWriteItem": self._batch_write_item,
            "PutItem": self._put_item,
            "DeleteItem": self._delete_item,
            "UpdateItem": self._update_item,
            "TransactWriteItems": self._transact_write_items,
            "GetItem": self._get_item,
            "BatchGetItem": self._batch_get_item,
        }

    def _batch_write_item(self, kwargs: dict[str, Any], fault: Fault | None) -> dict[str, Any]:
        writes = self._tables.checked_batch(kwargs["RequestItems"])
        if wire_bytes(kwargs) > MAX_REQUEST_BYTES:
            raise InvalidValueError("The request exceeds the maximum size of 16 MB for BatchWriteItem")
        self._check_rules([(write.table.name, write.request) for write in writes], fault)
        if isinstance(fault, Throttle):
            raise _throttled(writes[0].table, fault)

        returned = _held_back(writes, fault)
        allowed = [write for write in writes if write not in returned]
        applied, units = self._apply(allowed)
        if allowed and not applied:
            raise _throttled(writes[0].table, Throttle())

        left = [write for write in writes if write not in applied]
        return {
            "UnprocessedItems": self._unprocessed(left),
            **_collection_metrics(kwargs, {}),
            **_capacity(kwargs, units),
        }

    def _apply(self, writes: list[Write]) -> tuple[list[Write], dict[str, float]]:
        """The writes that found capacity, and the units they took by table as the request names it."""
        applied: list[Write] = []
        units: dict[str, float] = {}
        for write in writes:
            cost = float(write.units())
            units.setdefault(write.requested_table, 0.0)
            if write.table.bucket and not write.table.bucket.take(cost):
                continue
            write.apply()
            applied.append(write)
            units[write.requested_table] += cost
            self.consumed[write.table.name] += cost
        return applied, units

    def _unprocessed(self, writes: list[Write]) -> dict[str, list[Request]]:
        if self.respell:
            writes = writes[::-1]
        unprocessed: dict[str, list[Request]] = {}
        for position, write in enumerate(writes):
            request = copied(write.request)
            if self.respell:
                _respell_keys(request, write.table.key, position)
            unprocessed.setdefault(write.requested_table, []).append(request)
        return unprocessed

    def _answer(self, operation: str, parameters: Parameters, fault: Fault | None) -> Response:
        if isinstance(fault, Canceled) and operation != "TransactWriteItems":
            raise TypeError(f"Canceled is a fault of TransactWriteItems, not of {operation}")
        return super()._answer(operation, parameters, fault)

    def _put_item(self, kwargs: Parameters, fault: Fault | None) -> Response:
        _check_return_values(kwargs)
        return self._write_one(self._tables.checked_put(kwargs), kwargs, fault)

    def _delete_item(self, kwargs: Parameters, fault: Fault | None) -> Response:
        _check_return_values(kwargs)
        return self._write_one(self._tables.checked_delete(kwargs), kwargs, fault)

    def _update_item(self, kwargs: Parameters, fault: Fault | None) -> Response:
        return self._write_one(self._tables.checked_update(kwargs), kwargs, fault)

    def _write_one(self, single: Single, kwargs: Parameters, fault: Fault | None) -> Response:
        """One conditional or plain write of one item; whatever comes back unprocessed is a throttle here."""
        table = single.table
        test, actions = _parsed_expressions(kwargs, table)
        self._check_rules([(table.name, single.request)], fault)
        if isinstance(fault, Throttle):
            raise _throttled(table, fault)
        old = table.items.get(single.key)
        holds = test(old or {})
        new = single.new_item(actions) if holds else old
        write = Write(table, kwargs["TableName"], single.request, single.key, new)
        applied, units = self._apply([] if _held_back([write], fault) else [write])
        if not applied:
            raise _throttled(table, Throttle())
        # A failed condition costs as much as the write (WorkingWithItems, "Conditional writes").
        if not holds:
            raise _condition_failed(kwargs, old)
        return {
            **_returned_values(kwargs, old, write.item, actions),
            **_collection_metrics(kwargs, {}),
            **{name: costs[0] for name, costs in _capacity(kwargs, units).items()},
        }

    def _transact_write_items(self, kwargs: Parameters, fault: Fault | None) -> Response:
        """All or nothing. https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html"""
        elements = _checked_transaction(kwargs)
        parsed = [
            _parsed_expressions(arguments, self._tables.named(arguments["TableName"])) for _, arguments in elements
        ]
        if isinstance(fault, Throttle):
            raise _throttled(self._tables.named(elements[0][1]["TableName"]), fault)
        token = kwargs.get("ClientRequestToken")
        if self._is_completed(token, kwargs):
            return _capacity_of_transaction(kwargs, self._units_to_read(elements), "ReadCapacityUnits")
        singles = [self._tables.checked(kind, arguments) for kind, arguments in elements]
        items = [(single.table.name, single.key) for single in singles if isinstance(single, Single)]
        if len(set(items)) < len(items):
            raise InvalidValueError("Transaction request cannot include multiple operations on one item")
        writes: list[Write] = []
        reasons: list[Response] = []
        for position, (_, arguments) in enumerate(elements):
            try:
                this_fault = fault if position == 0 or not isinstance(fault, Canceled) else None
                writes.append(self._transacted(singles[position], arguments, parsed[position], this_fault))
                reasons.append({"Code": "None"})
            except InvalidValueError as invalid:
                reasons.append({"Code": "ValidationError", "Message": invalid.message})
            except _CanceledError as canceled:
                reasons.append(canceled.reason)
        if len(writes) < len(elements):
            raise _canceled(reasons)
        if sum(item_bytes(write.item or {}) for write in writes) > MAX_TRANSACTION_BYTES:
            raise InvalidValueError("The aggregate size of the items in the transaction exceeds 4 MB")
        units: dict[str, float] = {}
        for write in writes:
            cost = float(write.units() * TRANSACTION_FACTOR)
            units[write.requested_table] = units.get(write.requested_table, 0.0) + cost
            self.consumed[write.table.name] += cost
            write.apply()
        if token is not None:
            self._completed[token] = (self._clock(), kwargs)
        return {**_collection_metrics(kwargs, {}), **_capacity_of_transaction(kwargs, units, "WriteCapacityUnits")}

    def _transacted(
        self,
        single: Single | InvalidValueError,
        arguments: Parameters,
        expressions: tuple[Test, list[UpdateAction]],
        fault: Fault | None,
    ) -> Write:
        """One element that may go; raises what its cancellation reason is made of."""
        if isinstance(single, InvalidValueError):
            raise single
        test, actions = expressions
        self._check_rules([(single.table.name, single.request)], fault)
        old = single.table.items.get(single.key)
        write = Write(single.table, arguments["TableName"], single.request, single.key, old)
        if isinstance(fault, Canceled):
            raise _CanceledError(fault.reason)
        if _held_back([write], fault):
            raise _CanceledError("ThrottlingError")
        if not test(old or {}):
            asked = arguments.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD"
            raise _CanceledError("ConditionalCheckFailed", old if asked else None)
        write = replace(write, item=single.new_item(actions))
        if write.table.bucket and not write.table.bucket.take(write.units() * TRANSACTION_FACTOR):
            raise _CanceledError("ProvisionedThroughputExceeded")
        return write

    def _is_completed(self, token: str | None, kwargs: Parameters) -> bool:
        """Whether the same request was completed under this token; raises where it was another one."""
        at, request = self._completed.get(token or "", (float("-inf"), {}))
        if self._clock() - at > TOKEN_SECONDS:
            return False
        if request != kwargs:
            message = "The provided token was used with other parameters"
            raise RefusedError("IdempotentParameterMismatchException", message, members={"Message": message})
        return True

    def _units_to_read(self, elements: list[tuple[str, Parameters]]) -> dict[str, float]:
        """A repeated transaction reads its items, transactionally: twice the read units."""
        units: dict[str, float] = {}
        for _, arguments in elements:
            table = self._tables.named(arguments["TableName"])
            key = {name: (arguments.get("Key") or arguments["Item"])[name] for name, _ in table.key}
            read = max(1, math.ceil(item_bytes(table.items.get(table.key_of(key), {})) / READ_UNIT_BYTES))
            units[arguments["TableName"]] = units.get(arguments["TableName"], 0.0) + read * TRANSACTION_FACTOR
        return units

    def _get_item(self, kwargs: Parameters, fault: Fault | None) -> Response:
        _check_parameters_known(kwargs, {"ProjectionExpression", "ExpressionAttributeNames"})
        table, key = self._tables.named(kwargs["TableName"]), canonical_item(kwargs["Key"])
        check_key(table, key)
        if isinstance(fault, Throttle):
            raise _throttled(table, fault)
        item = table.items.get(table.key_of(key))
        return {} if item is None else {"Item": copied(item)}

    def _batch_get_item(self, kwargs: Parameters, fault: Fault | None) -> Response:
        """https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html"""
        reads = self._tables.checked_keys(kwargs["RequestItems"])
        self._check_denied([(read.table.name, {"Get": {"Key": read.asked}}) for read in reads], fault)
        if isinstance(fault, Throttle):
            raise _throttled(reads[0].table, fault)
        left = _keys_held_back(reads, fault)
        responses: dict[str, list[Item]] = {read.requested_table: [] for read in reads}
        units: dict[str, float] = {}
        size = 0
        for read in [read for read in reads if read not in left]:
            item, cost = read.item(), read.units()
            size += item_bytes(item) if item else 0
            if size > MAX_ANSWER_BYTES or (read.table.read_bucket and not read.table.read_bucket.take(cost)):
                left.append(read)
                continue
            units[read.requested_table] = units.get(read.requested_table, 0.0) + cost
            self.consumed_by_reads[read.table.name] += cost
            if item is not None:
                responses[read.requested_table].append(copied(item))
        if len(left) == len(reads) and not _keys_held_back(reads, fault):
            raise _throttled(reads[0].table, Throttle(reason="TableReadProvisionedThroughputExceeded"))
        for items in responses.values():
            items.reverse()  # "DynamoDB does not return items in any particular order."
        return {"Responses": responses, "UnprocessedKeys": _unprocessed_keys(kwargs, left), **_capacity(kwargs, units)}

    # Checks

    def _check_denied(self, requests: list[tuple[str, Request]], fault: Fault | None) -> None:
        """Of the rules those that deny: what the service finds wrong with an item is nothing to a read."""
        for rule in [*self._rules, fault] if isinstance(fault, RejectIf) else self._rules:
            if rule.code != "ValidationException" and any(rule.predicate(*request) for request in requests):
                raise RefusedError(rule.code, str(rule.message))

    def _check_rules(self, requests: list[tuple[str, Request]], fault: Fault | None) -> None:
        rules = [*self._rules, fault] if isinstance(fault, RejectIf) else self._rules
        for rule in rules:
            request = next((request for table, request in requests if rule.predicate(table, request)), None)
            if request is not None:
                message = rule.message if isinstance(rule.message, str) else rule.message(request)
                if rule.code != "ValidationException":
                    raise RefusedError(rule.code, message)
                raise InvalidValueError(message)


class _CanceledError(Exception):
    """Why one element cancels the transaction."""

    def __init__(self, code: str, item: Item | None = None) -> None:
        super().__init__(code)
        self.reason: Response = {"Code": code, "Message": CANCELLATIONS[code]}
        if item is not None:
            self.reason["Item"] = copied(item)


def _checked_transaction(kwargs: Parameters) -> list[tuple[str, Parameters]]:
    """Each element's kind and arguments; raises for what refuses the whole transaction before it is tried."""
    if len(kwargs["TransactItems"]) > MAX_TRANSACTION_ITEMS:
        raise InvalidValueError(
            "1 validation error detected: Value at 'transactItems' failed to satisfy constraint: Member must have "
            f"length less than or equal to {MAX_TRANSACTION_ITEMS}"
        )
    if len(kwargs.get("ClientRequestToken", "")) > MAX_TOKEN:
        raise InvalidValueError(
            "1 validation error detected: Value at 'clientRequestToken' failed to satisfy constraint: Member must "
            f"have length less than or equal to {MAX_TOKEN}"
        )
    for element in kwargs["TransactItems"]:
        if len(element) != 1:
            raise InvalidValueError("TransactItems can only contain one of Check, Put, Update or Delete")
    return [part for element in kwargs["TransactItems"] for part in element.items()]


def _canceled(reasons: list[Response]) -> RefusedError:
    codes = ", ".join(reason["Code"] for reason in reasons)
    message = f"Transaction cancelled, please refer cancellation reasons for specific reasons [{codes}]"
    members = {"Message": message, "CancellationReasons": reasons}
    return RefusedError("TransactionCanceledException", message, members=members)


def _capacity_of_transaction(kwargs: Parameters, units: dict[str, float], kind: str) -> Response:
    """ConsumedCapacity that says which units they are, as transactions do."""
    capacity = _capacity(kwargs, units)
    for consumed in capacity.get("ConsumedCapacity", []):
        consumed[kind] = consumed["CapacityUnits"]
    return capacity


def _check_parameters_known(kwargs: Parameters, unknown: set[str]) -> None:
    if unknown & set(kwargs):
        raise NotImplementedError(f"This fake does not know {', '.join(sorted(unknown & set(kwargs)))}")


def _parsed_expressions(kwargs: Parameters, table: Table) -> tuple[Test, list[UpdateAction]]:
    """The request's condition (always true where there is none) and update; raises InvalidValueError."""
    _check_parameters_known(kwargs, _LEGACY)
    condition_text, update_text = kwargs.get("ConditionExpression"), kwargs.get("UpdateExpression")
    given = placeholders(
        kwargs.get("ExpressionAttributeNames", {}),
        kwargs.get("ExpressionAttributeValues", {}),
        has_expression=condition_text is not None or update_text is not None,
    )
    actions = [] if update_text is None else update(update_text, given)
    test: Test = (lambda _: True) if condition_text is None else condition(condition_text, given)
    given.check_all_used()
    for action in actions:
        if action.path[0] in dict(table.key):
            raise InvalidValueError(
                f"{PARAMETER}Cannot update attribute {action.path[0]}. This attribute is part of the key"
            )
    return test, actions


def _condition_failed(kwargs: Parameters, old: Item | None) -> RefusedError:
    """API_PutItem: with ALL_OLD the answer has the stored item, if there is one."""
    members: Response = {"message": "The conditional request failed"}
    if kwargs.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD" and old is not None:
        members["Item"] = copied(old)
    return RefusedError("ConditionalCheckFailedException", members["message"], members=members)


def _check_return_values(kwargs: Parameters) -> None:
    """API_PutItem, API_DeleteItem: only an update returns new values."""
    if kwargs.get("ReturnValues", "NONE") not in ("NONE", "ALL_OLD"):
        raise InvalidValueError("ReturnValues can only be ALL_OLD or NONE")


def _returned_values(kwargs: Parameters, old: Item | None, new: Item | None, actions: list[UpdateAction]) -> Response:
    wanted = kwargs.get("ReturnValues", "NONE")
    image = (old if wanted.endswith("OLD") else new) or {}
    if wanted.startswith("UPDATED"):
        image = {name: value for name, value in image.items() if name in {a.path[0] for a in actions}}
    return {"Attributes": copied(image)} if wanted != "NONE" and image else {}


def _throttled(table: Table, fault: Throttle) -> RefusedError:
    # botocore's model spells ThrottlingException's member in lower case and drops any other spelling.
    member = "throttlingReasons" if fault.code == "ThrottlingException" else "ThrottlingReasons"
    resource = f"{arn(table.name)}/index/{fault.index}" if fault.index else arn(table.name)
    reasons = [{"reason": fault.reason, "resource": resource}]
    message = "The level of configured provisioned throughput for the table was exceeded"
    return RefusedError(fault.code, message, members={"message": message, member: reasons})


def _held_back(writes: list[Write], fault: Fault | None) -> list[Write]:
    if isinstance(fault, Unprocessed):
        return writes[max(0, len(writes) - fault.count) :]
    if isinstance(fault, UnprocessedIf):
        return [write for write in writes if fault.predicate(write.table.name, write.request)]
    return []


def _keys_held_back(reads: list[Read], fault: Fault | None) -> list[Read]:
    if isinstance(fault, Unprocessed):
        return reads[max(0, len(reads) - fault.count) :]
    if isinstance(fault, UnprocessedIf):
        return [read for read in reads if fault.predicate(read.table.name, {"Get": {"Key": read.asked}})]
    return []


def _unprocessed_keys(kwargs: Parameters, left: list[Read]) -> Response:
    """In the form of RequestItems, so that it can be asked for again."""
    unprocessed: Response = {}
    for read in left:
        wanted = kwargs["RequestItems"][read.requested_table]
        of_table = unprocessed.setdefault(read.requested_table, {**wanted, "Keys": []})
        of_table["Keys"].append(copied(read.asked))
    return unprocessed


def _respell_keys(request: Request, key: tuple[KeyAttribute, ...], position: int) -> None:
    """Spells number keys as 1.0 and 1E0 by turns, as a service that stores values and not texts may."""
    [attributes] = [action.get("Item") or action.get("Key") for action in request.values()]
    for name, kind in key:
        if kind == "N":
            number = canonical_number(attributes[name]["N"])
            point = "0" if "." in number else ".0"
            attributes[name] = {"N": f"{number}{point}" if position % 2 == 0 else f"{number}E0"}


def _capacity(kwargs: dict[str, Any], units: dict[str, float]) -> dict[str, Any]:
    """ConsumedCapacity of a batch, by the name or ARN that was asked for; indexes cost nothing here."""
    level = kwargs.get("ReturnConsumedCapacity", "NONE")
    if level == "NONE":
        return {}
    return {"ConsumedCapacity": [_consumed(name, count, level) for name, count in units.items()]}


def _consumed(name: str, units: float, level: str) -> dict[str, Any]:
    consumed: dict[str, Any] = {"TableName": name, "CapacityUnits": units}
    if level == "INDEXES":
        consumed["Table"] = {"CapacityUnits": units}
    return consumed


def _collection_metrics(kwargs: dict[str, Any], metrics: dict[str, Any]) -> dict[str, Any]:
    asked = kwargs.get("ReturnItemCollectionMetrics", "NONE") == "SIZE"
    return {"ItemCollectionMetrics": metrics} if asked else {}
