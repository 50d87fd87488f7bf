"""An in-memory DynamoDB behind the face of a boto3 client, as strict as the service.

The rules are those of AWS's pages, cited beside each; nothing is imported from the code under test.
"""

import base64
import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from tests.fakes.attribute_values import (
    InvalidValueError,
    Item,
    Typed,
    canonical_item,
    canonical_number,
    item_bytes,
    typed,
)
from tests.fakes.clock import Clock
from tests.fakes.expressions import Test, UpdateAction, apply_update, condition, placeholders, update
from tests.fakes.faults import Canceled, Fault, Predicate, RejectIf, Request, Throttle, Unprocessed, UnprocessedIf
from tests.fakes.service import ACCOUNT, REGION, FakeService, Parameters, RefusedError, Response, copied

MAX_REQUESTS = 25  # API_BatchWriteItem: "as many as 25 item put or delete operations"
MAX_REQUEST_BYTES = 16 * 1024 * 1024  # API_BatchWriteItem: "up to 16 MB of data over the network"
MAX_ITEM_BYTES = 400 * 1024  # Constraints, "Item size"
MAX_PARTITION_KEY_BYTES, MAX_SORT_KEY_BYTES = 2048, 1024  # Constraints, "Partition keys and sort keys"
WRITE_UNIT_BYTES = 1024  # CapacityUnitCalculations: one write unit is 1 KB, rounded up for each item
READ_UNIT_BYTES = 4096  # likewise, one read unit
MAX_TRANSACTION_ITEMS = 100  # API_TransactWriteItems: "up to 100 action requests"
MAX_TRANSACTION_BYTES = 4 * 1024 * 1024  # likewise: "the aggregate size of the items"
TRANSACTION_FACTOR = 2  # transaction-apis, "Capacity management": one write to prepare, one to commit
MAX_TOKEN = 36  # API_TransactWriteItems: ClientRequestToken, characters
TOKEN_SECONDS = 600  # likewise: "valid for 10 minutes after the first request that uses it is completed"

_TABLE_NAME = re.compile(r"[a-zA-Z0-9_.-]{3,255}|arn:.*")  # HowItWorks.NamingRulesDataTypes
_LEGACY = {"AttributeUpdates", "ConditionalOperator", "Expected", "AttributesToGet"}

KEY_MISMATCH = "The provided key element does not match the schema"
PARAMETER = "One or more parameter values were invalid: "
INVALID = PARAMETER.rstrip(": ")

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

Key = tuple[Typed, ...]
KeyAttribute = tuple[str, str]
"""Name and type, S, N or B."""


@dataclass(frozen=True, slots=True)
class Capacity:
    """A token bucket of write units that fills with time and holds `burst_seconds` of it."""

    write_units_per_second: float
    burst_seconds: float
    clock: Callable[[], float]


class _Bucket:
    def __init__(self, capacity: Capacity) -> None:
        self._capacity = capacity
        self._size = capacity.write_units_per_second * capacity.burst_seconds
        self._tokens = self._size
        self._filled_at = capacity.clock()

    def take(self, units: float) -> bool:
        now = self._capacity.clock()
        earned = (now - self._filled_at) * self._capacity.write_units_per_second
        self._tokens, self._filled_at = min(self._size, self._tokens + earned), now
        # An item dearer than a full bucket empties it and runs up a debt, or it would never pass.
        if self._tokens < min(units, self._size):
            return False
        self._tokens -= units
        return True


@dataclass(slots=True, eq=False)
class _Table:
    name: str
    key: tuple[KeyAttribute, ...]
    indexes: dict[str, tuple[KeyAttribute, ...]]
    items: dict[Key, Item] = field(default_factory=dict)
    bucket: _Bucket | None = None

    def key_of(self, attributes: Item) -> Key:
        return tuple(typed(attributes[name]) for name, _ in self.key)


@dataclass(frozen=True, slots=True, eq=False)
class _Write:
    """One checked put (with an item) or delete (without), and the request it came from."""

    table: _Table
    requested_table: str
    request: Request
    key: Key
    item: Item | None

    def units(self) -> int:
        """The larger of the old and the new image, in whole KB and at least 1 (API_BatchWriteItem)."""
        return max(write_units(self.table.items.get(self.key)), write_units(self.item))

    def apply(self) -> None:
        if self.item is None:
            self.table.items.pop(self.key, None)
        else:
            self.table.items[self.key] = self.item


@dataclass(frozen=True, slots=True, eq=False)
class _Single:
    """One checked write of one item: its new item (None deletes it) from an update's actions."""

    table: _Table
    key: Key
    request: Request
    new_item: Callable[[list[UpdateAction]], Item | None]


def write_units(item: Item | None) -> int:
    """Write units that one item costs; a missing one costs 1."""
    return max(1, math.ceil(item_bytes(item) / WRITE_UNIT_BYTES)) if item else 1


def wire_bytes(parameters: dict[str, Any]) -> int:
    """Bytes of a request's body: compact JSON in UTF-8, binary as base64."""
    text = json.dumps(
        parameters,
        ensure_ascii=False,
        separators=(",", ":"),
        default=lambda binary: base64.b64encode(binary).decode(),
    )
    return len(text.encode())


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
        self.respell = False
        self._tables: dict[str, _Table] = {}
        self._rules: list[RejectIf] = []

    # Setting up and looking inside

    def create_table(
        self,
        name: str,
        *,
        partition_key: KeyAttribute,
        sort_key: KeyAttribute | None = None,
        indexes: list[tuple[str, KeyAttribute, KeyAttribute | None]] | None = None,
    ) -> None:
        """A table with keys of (name, type); each index is (name, partition key, sort key or None)."""
        self.consumed[name] = 0
        self._tables[name] = _Table(
            name,
            (partition_key, sort_key) if sort_key else (partition_key,),
            {index: (first, second) if second else (first,) for index, first, second in indexes or []},
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
            self._tables[table].bucket = _Bucket(capacity) if capacity else None

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

    # The service

    def _operations(self) -> dict[str, Callable[[Parameters, Fault | None], Response]]:
        return {
            "BatchWriteItem": self._batch_write_item,
            "PutItem": self._put_item,
            "DeleteItem": self._delete_item,
            "UpdateItem": self._update_item,
            "TransactWriteItems": self._transact_write_items,
            "GetItem": self._get_item,
        }

    def _batch_write_item(self, kwargs: dict[str, Any], fault: Fault | None) -> dict[str, Any]:
        writes = self._checked_batch(kwargs["RequestItems"])
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

    def _apply(self, writes: list[_Write]) -> tuple[list[_Write], dict[str, float]]:
        """The writes that found capacity, and the units they took by table as the request names it."""
        applied: list[_Write] = []
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

    def _unprocessed(self, writes: list[_Write]) -> dict[str, list[Request]]:
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
        return self._write_one(self._put(kwargs), kwargs, fault)

    def _delete_item(self, kwargs: Parameters, fault: Fault | None) -> Response:
        _check_return_values(kwargs)
        return self._write_one(self._delete(kwargs), kwargs, fault)

    def _update_item(self, kwargs: Parameters, fault: Fault | None) -> Response:
        return self._write_one(self._update(kwargs), kwargs, fault)

    def _put(self, kwargs: Parameters) -> _Single:
        table, item = self._table(kwargs["TableName"]), canonical_item(kwargs["Item"])
        check_item(table, item)
        return _Single(table, table.key_of(item), {"PutRequest": {"Item": kwargs["Item"]}}, lambda _: item)

    def _delete(self, kwargs: Parameters) -> _Single:
        table, key = self._table(kwargs["TableName"]), canonical_item(kwargs["Key"])
        check_key(table, key)
        return _Single(table, table.key_of(key), {"DeleteRequest": {"Key": kwargs["Key"]}}, lambda _: None)

    def _update(self, kwargs: Parameters) -> _Single:
        table, key = self._table(kwargs["TableName"]), canonical_item(kwargs["Key"])
        check_key(table, key)

        def updated(actions: list[UpdateAction]) -> Item:
            item = canonical_item(apply_update(actions, table.items.get(table.key_of(key), key)))
            check_index_keys(table, item)
            if item_bytes(item) > MAX_ITEM_BYTES:
                raise InvalidValueError("Item size to update has exceeded the maximum allowed size")
            return item

        return _Single(table, table.key_of(key), {"Update": {"Key": kwargs["Key"]}}, updated)

    def _condition_check(self, kwargs: Parameters) -> _Single:
        table, key = self._table(kwargs["TableName"]), canonical_item(kwargs["Key"])
        check_key(table, key)
        request = {"ConditionCheck": {"Key": kwargs["Key"]}}
        return _Single(table, table.key_of(key), request, lambda _: table.items.get(table.key_of(key)))

    def _write_one(self, single: _Single, kwargs: Parameters, fault: Fault | None) -> Response:
        """One conditional or plain write of one item; whatever comes back unprocessed is a throttle here."""
        table = single.table
        test, actions = _parsed_expressions(kwargs, table)
        self._check_rules([(table.name, single.request)], fault)
        if isinstance(fault, Throttle):
            raise _throttled(table, fault)
        old = table.items.get(single.key)
        holds = test(old or {})
        new = single.new_item(actions) if holds else old
        write = _Write(table, kwargs["TableName"], single.request, single.key, new)
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
        parsed = [_parsed_expressions(arguments, self._table(arguments["TableName"])) for _, arguments in elements]
        if isinstance(fault, Throttle):
            raise _throttled(self._table(elements[0][1]["TableName"]), fault)
        token = kwargs.get("ClientRequestToken")
        if self._is_completed(token, kwargs):
            return _capacity_of_transaction(kwargs, self._units_to_read(elements), "ReadCapacityUnits")
        singles = [self._checked(kind, arguments) for kind, arguments in elements]
        items = [(single.table.name, single.key) for single in singles if isinstance(single, _Single)]
        if len(set(items)) < len(items):
            raise InvalidValueError("Transaction request cannot include multiple operations on one item")
        writes: list[_Write] = []
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

    def _checked(self, kind: str, arguments: Parameters) -> _Single | InvalidValueError:
        checks = {"Put": self._put, "Delete": self._delete, "Update": self._update}
        try:
            return checks.get(kind, self._condition_check)(arguments)
        except InvalidValueError as invalid:
            return invalid

    def _transacted(
        self,
        single: _Single | InvalidValueError,
        arguments: Parameters,
        expressions: tuple[Test, list[UpdateAction]],
        fault: Fault | None,
    ) -> _Write:
        """One element that may go; raises what its cancellation reason is made of."""
        if isinstance(single, InvalidValueError):
            raise single
        test, actions = expressions
        self._check_rules([(single.table.name, single.request)], fault)
        old = single.table.items.get(single.key)
        write = _Write(single.table, arguments["TableName"], single.request, single.key, old)
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
            table = self._table(arguments["TableName"])
            key = {name: (arguments.get("Key") or arguments["Item"])[name] for name, _ in table.key}
            read = max(1, math.ceil(item_bytes(table.items.get(table.key_of(key), {})) / READ_UNIT_BYTES))
            units[arguments["TableName"]] = units.get(arguments["TableName"], 0.0) + read * TRANSACTION_FACTOR
        return units

    def _get_item(self, kwargs: Parameters, fault: Fault | None) -> Response:
        _check_parameters_known(kwargs, {"ProjectionExpression", "ExpressionAttributeNames"})
        table, key = self._table(kwargs["TableName"]), canonical_item(kwargs["Key"])
        check_key(table, key)
        if isinstance(fault, Throttle):
            raise _throttled(table, fault)
        item = table.items.get(table.key_of(key))
        return {} if item is None else {"Item": copied(item)}

    # Checks

    def _checked_batch(self, request_items: dict[str, list[Request]]) -> list[_Write]:
        """API_BatchWriteItem: the whole request is refused for any of these, and nothing is written."""
        if not request_items:
            raise InvalidValueError(
                "1 validation error detected: Value at 'RequestItems' failed to satisfy constraint: Member must "
                "have length greater than or equal to 1"
            )
        for name, requests in request_items.items():
            if not 1 <= len(requests) <= MAX_REQUESTS:
                raise InvalidValueError(
                    f"1 validation error detected: Value at 'RequestItems.{name}' failed to satisfy constraint: "
                    f"Map value must satisfy constraint: [Member must have length less than or equal to "
                    f"{MAX_REQUESTS}, Member must have length greater than or equal to 1]"
                )
        if sum(map(len, request_items.values())) > MAX_REQUESTS:
            raise InvalidValueError("Too many items requested for the BatchWriteItem call")

        tables = {name: self._table(name) for name in request_items}
        writes = [
            self._checked_request(tables[name], name, request)
            for name, requests in request_items.items()
            for request in requests
        ]
        # By the table and not by the spelling of its name: a name and its ARN are the same table.
        if len({(write.table.name, write.key) for write in writes}) < len(writes):
            raise InvalidValueError("Provided list of item keys contains duplicates")
        return writes

    def _checked_request(self, table: _Table, requested_table: str, request: Request) -> _Write:
        if len(request) != 1:
            raise InvalidValueError("Supplied WriteRequest must contain exactly one of PutRequest and DeleteRequest")
        if "PutRequest" in request:
            item = canonical_item(request["PutRequest"]["Item"])
            # In a batch the service has one message for a key that is missing or of a wrong type.
            if any(name not in item or kind not in item[name] for name, kind in table.key):
                raise InvalidValueError(KEY_MISMATCH)
            check_item(table, item)
            return _Write(table, requested_table, request, table.key_of(item), item)
        key = canonical_item(request["DeleteRequest"]["Key"])
        check_key(table, key)
        return _Write(table, requested_table, request, table.key_of(key), None)

    def _check_rules(self, requests: list[tuple[str, Request]], fault: Fault | None) -> None:
        rules = [*self._rules, fault] if isinstance(fault, RejectIf) else self._rules
        for rule in rules:
            request = next((request for table, request in requests if rule.predicate(table, request)), None)
            if request is not None:
                message = rule.message if isinstance(rule.message, str) else rule.message(request)
                if rule.code != "ValidationException":
                    raise RefusedError(rule.code, message)
                raise InvalidValueError(message)

    def _table(self, name_or_arn: str) -> _Table:
        if not _TABLE_NAME.fullmatch(name_or_arn.removeprefix(_arn(""))):
            raise InvalidValueError(
                "1 validation error detected: Value at 'tableName' failed to satisfy constraint: Member must "
                "satisfy regular expression pattern: [a-zA-Z0-9_.-]+, with length from 3 to 255"
            )
        for table in self._tables.values():
            if name_or_arn in (table.name, _arn(table.name)):
                return table
        raise RefusedError("ResourceNotFoundException", "Requested resource not found")


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


def _parsed_expressions(kwargs: Parameters, table: _Table) -> tuple[Test, list[UpdateAction]]:
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


def _throttled(table: _Table, fault: Throttle) -> RefusedError:
    # botocore's model spells ThrottlingException's member in lower case and drops any other spelling.
    member = "throttlingReasons" if fault.code == "ThrottlingException" else "ThrottlingReasons"
    resource = f"{_arn(table.name)}/index/{fault.index}" if fault.index else _arn(table.name)
    reasons = [{"reason": fault.reason, "resource": resource}]
    message = "The level of configured provisioned throughput for the table was exceeded"
    return RefusedError(fault.code, message, members={"message": message, member: reasons})


def check_item(table: _Table, item: Item) -> None:
    """The rules for a whole item, which is canonical already; raises InvalidValueError."""
    for position, (name, kind) in enumerate(table.key):
        if name not in item:
            raise InvalidValueError(f"{PARAMETER}Missing the key {name} in the item")
        [actual] = item[name]
        if actual != kind:
            raise InvalidValueError(f"{PARAMETER}Type mismatch for key {name} expected: {kind} actual: {actual}")
        check_key_content(name, item[name], is_partition_key=position == 0)
    check_index_keys(table, item)
    if item_bytes(item) > MAX_ITEM_BYTES:
        raise InvalidValueError("Item size has exceeded the maximum allowed size")


def check_key(table: _Table, key: Item) -> None:
    """The rules for the Key of a delete, an update or a get: all key attributes, nothing else."""
    if {name: next(iter(value)) for name, value in key.items()} != dict(table.key):
        raise InvalidValueError(KEY_MISMATCH)
    for position, (name, _) in enumerate(table.key):
        check_key_content(name, key[name], is_partition_key=position == 0)


def check_key_content(name: str, value: dict[str, Any], *, is_partition_key: bool) -> None:
    """A key is neither empty nor too long; numbers are always fine."""
    [(kind, content)] = value.items()
    if kind == "N":
        return
    if not content:
        raise InvalidValueError(
            "One or more parameter values are not valid. The AttributeValue for a key attribute cannot "
            f"contain an empty {'string' if kind == 'S' else 'binary'} value. Key: {name}"
        )
    _check_key_bytes(content, is_partition_key)


def _check_key_bytes(content: str | bytes, is_partition_key: bool) -> None:
    length = len(content.encode() if isinstance(content, str) else content)
    if is_partition_key and length > MAX_PARTITION_KEY_BYTES:
        raise InvalidValueError(
            f"{PARAMETER}Size of hashkey has exceeded the maximum size limit of {MAX_PARTITION_KEY_BYTES} bytes"
        )
    if not is_partition_key and length > MAX_SORT_KEY_BYTES:
        raise InvalidValueError(
            f"{PARAMETER}Aggregated size of all range keys has exceeded the size limit of {MAX_SORT_KEY_BYTES} bytes"
        )


def check_index_keys(table: _Table, item: Item) -> None:
    """An attribute that is an index key may be absent, but not of another type, empty or too long."""
    for index, key in table.indexes.items():
        for position, (name, kind) in enumerate(key):
            if name not in item:
                continue
            [(actual, content)] = item[name].items()
            if actual != kind:
                raise InvalidValueError(
                    f"{PARAMETER}Type mismatch for Index Key {name} Expected: {kind} Actual: {actual} "
                    f"IndexName: {index}"
                )
            if not content:
                raise InvalidValueError(
                    "One or more parameter values are not valid. A value specified for a secondary index key "
                    "is not supported. The AttributeValue for a key attribute cannot contain an empty "
                    f"{'string' if kind == 'S' else 'binary'} value. IndexName: {index}, IndexKey: {name}"
                )
            if kind != "N":
                _check_key_bytes(content, is_partition_key=position == 0)


def _held_back(writes: list[_Write], fault: Fault | None) -> list[_Write]:
    if isinstance(fault, Unprocessed):
        return writes[max(0, len(writes) - fault.count) :]
    if isinstance(fault, UnprocessedIf):
        return [write for write in writes if fault.predicate(write.table.name, write.request)]
    return []


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


def _arn(table: str) -> str:
    return f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{table}"
