"""The tables of the fake DynamoDB, and what its rules say of a request before anything is written.

The rules are those of AWS's pages, cited beside each; nothing is imported from the code under test.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.attribute_values import InvalidValueError, Item, Typed, canonical_item, item_bytes, typed
from tests.fakes.expressions import UpdateAction, apply_update
from tests.fakes.faults import Request
from tests.fakes.service import ACCOUNT, REGION, Parameters, RefusedError

MAX_REQUESTS = 25  # API_BatchWriteItem: "as many as 25 item put or delete operations"
MAX_ITEM_BYTES = 400 * 1024  # Constraints, "Item size"
MAX_PARTITION_KEY_BYTES, MAX_SORT_KEY_BYTES = 2048, 1024  # Constraints, "Partition keys and sort keys"
MAX_KEYS = 100  # API_BatchGetItem
READ_UNIT_BYTES = 4096  # CapacityUnitCalculations: one read unit
WRITE_UNIT_BYTES = 1024  # CapacityUnitCalculations: one write unit is 1 KB, rounded up for each item
_TABLE_NAME = re.compile(r"[a-zA-Z0-9_.-]{3,255}|arn:.*")  # HowItWorks.NamingRulesDataTypes
KEY_MISMATCH = "The provided key element does not match the schema"
PARAMETER = "One or more parameter values were invalid: "

Key = tuple[Typed, ...]
KeyAttribute = tuple[str, str]
"""Name and type, S, N or B."""
IndexKey = tuple[tuple[KeyAttribute, ...], tuple[KeyAttribute, ...]]
"""The attributes of an index's partition key (none of a local index) and of its sort key, up to four each."""


@dataclass(frozen=True, slots=True)
class Capacity:
    """A token bucket of write units that fills with time and holds `burst_seconds` of it."""

    write_units_per_second: float
    burst_seconds: float
    clock: Callable[[], float]


class Bucket:
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
class Table:
    name: str
    key: tuple[KeyAttribute, ...]
    indexes: dict[str, "IndexKey"]
    items: dict[Key, Item] = field(default_factory=dict)
    bucket: Bucket | None = None
    read_bucket: Bucket | None = None
    before: dict[Key, Item | None] = field(default_factory=dict)
    """What each item was before its last write: an eventually consistent read may still say so."""

    def key_of(self, attributes: Item) -> Key:
        return tuple(typed(attributes[name]) for name, _ in self.key)


@dataclass(frozen=True, slots=True, eq=False)
class Write:
    """One checked put (with an item) or delete (without), and the request it came from."""

    table: Table
    requested_table: str
    request: Request
    key: Key
    item: Item | None

    def units(self) -> int:
        """The larger of the old and the new image, in whole KB and at least 1 (API_BatchWriteItem)."""
        return max(write_units(self.table.items.get(self.key)), write_units(self.item))

    def apply(self) -> None:
        self.table.before[self.key] = self.table.items.get(self.key)
        if self.item is None:
            self.table.items.pop(self.key, None)
        else:
            self.table.items[self.key] = self.item


@dataclass(frozen=True, slots=True, eq=False)
class Read:
    """One checked key of a BatchGetItem."""

    table: Table
    requested_table: str
    asked: Item
    """The key as it was asked for."""
    key: Key
    is_consistent: bool

    def item(self) -> Item | None:
        """An eventually consistent read gives what was there before the last write, as the service may."""
        return (self.table.items if self.is_consistent else self.table.before).get(self.key)

    def units(self) -> float:
        """Whole units of 4 KB, half of that where not consistent; what is missing costs one (read-write-operations)."""
        item = self.item()
        units = max(1, math.ceil(item_bytes(item) / READ_UNIT_BYTES)) if item else 1
        return units if self.is_consistent else units / 2


@dataclass(frozen=True, slots=True, eq=False)
class Single:
    """One checked write of one item: its new item (None deletes it) from an update's actions."""

    table: Table
    key: Key
    request: Request
    new_item: Callable[[list[UpdateAction]], Item | None]


def write_units(item: Item | None) -> int:
    """Write units that one item costs; a missing one costs 1."""
    return max(1, math.ceil(item_bytes(item) / WRITE_UNIT_BYTES)) if item else 1


class Tables(dict[str, Table]):
    """Tables by name; they take requests apart, and raise RefusedError for what the service refuses at once."""

    def named(self, name_or_arn: str) -> Table:
        if not _TABLE_NAME.fullmatch(name_or_arn.removeprefix(arn(""))):
            raise InvalidValueError(
                "1 validation error detected: Value at 'tableName' failed to satisfy constraint: Member must "
                "satisfy regular expression pattern: [a-zA-Z0-9_.-]+, with length from 3 to 255"
            )
        for table in self.values():
            if name_or_arn in (table.name, arn(table.name)):
                return table
        raise RefusedError("ResourceNotFoundException", "Requested resource not found")

    def checked_batch(self, request_items: dict[str, list[Request]]) -> list[Write]:
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

        tables = {name: self.named(name) for name in request_items}
        writes = [
            self.checked_request(tables[name], name, request)
            for name, requests in request_items.items()
            for request in requests
        ]
        # By the table and not by the spelling of its name: a name and its ARN are the same table.
        if len({(write.table.name, write.key) for write in writes}) < len(writes):
            raise InvalidValueError("Provided list of item keys contains duplicates")
        return writes

    def checked_keys(self, request_items: dict[str, Parameters]) -> list[Read]:
        """API_BatchGetItem: the whole request is refused for any of these."""
        if not request_items:
            raise InvalidValueError(
                "1 validation error detected: Value at 'requestItems' failed to satisfy constraint: Member must "
                "have length greater than or equal to 1"
            )
        for name, wanted in request_items.items():
            if not 1 <= len(wanted["Keys"]) <= MAX_KEYS:
                raise InvalidValueError(
                    f"1 validation error detected: Value at 'requestItems.{name}.member.keys' failed to satisfy "
                    f"constraint: Member must have length less than or equal to {MAX_KEYS}, and at least 1"
                )
            if unknown := wanted.keys() - {"Keys", "ConsistentRead"}:
                raise NotImplementedError(f"This fake does not know {', '.join(sorted(unknown))}")
        if sum(len(wanted["Keys"]) for wanted in request_items.values()) > MAX_KEYS:
            raise InvalidValueError("Too many items requested for the BatchGetItem call")
        reads: list[Read] = []
        for name, wanted in request_items.items():
            table = self.named(name)
            for asked in wanted["Keys"]:
                key = canonical_item(asked)
                check_key(table, key)
                reads.append(Read(table, name, asked, table.key_of(key), wanted.get("ConsistentRead", False)))
        if len({(read.table.name, read.key) for read in reads}) < len(reads):
            raise InvalidValueError("Provided list of item keys contains duplicates")
        return reads

    def checked_request(self, table: Table, requested_table: str, request: Request) -> Write:
        if len(request) != 1:
            raise InvalidValueError("Supplied WriteRequest must contain exactly one of PutRequest and DeleteRequest")
        if "PutRequest" in request:
            item = canonical_item(request["PutRequest"]["Item"])
            # In a batch the service has one message for a key that is missing or of a wrong type.
            if any(name not in item or kind not in item[name] for name, kind in table.key):
                raise InvalidValueError(KEY_MISMATCH)
            check_item(table, item)
            return Write(table, requested_table, request, table.key_of(item), item)
        key = canonical_item(request["DeleteRequest"]["Key"])
        check_key(table, key)
        return Write(table, requested_table, request, table.key_of(key), None)

    def checked(self, kind: str, arguments: Parameters) -> Single | InvalidValueError:
        checks = {"Put": self.checked_put, "Delete": self.checked_delete, "Update": self.checked_update}
        try:
            return checks.get(kind, self.condition_check)(arguments)
        except InvalidValueError as invalid:
            return invalid

    def checked_put(self, kwargs: Parameters) -> Single:
        table, item = self.named(kwargs["TableName"]), canonical_item(kwargs["Item"])
        check_item(table, item)
        return Single(table, table.key_of(item), {"PutRequest": {"Item": kwargs["Item"]}}, lambda _: item)

    def checked_delete(self, kwargs: Parameters) -> Single:
        table, key = self.named(kwargs["TableName"]), canonical_item(kwargs["Key"])
        check_key(table, key)
        return Single(table, table.key_of(key), {"DeleteRequest": {"Key": kwargs["Key"]}}, lambda _: None)

    def checked_update(self, kwargs: Parameters) -> Single:
        table, key = self.named(kwargs["TableName"]), canonical_item(kwargs["Key"])
        check_key(table, key)

        def updated(actions: list[UpdateAction]) -> Item:
            item = canonical_item(apply_update(actions, table.items.get(table.key_of(key), key)))
            check_index_keys(table, item)
            if item_bytes(item) > MAX_ITEM_BYTES:
                raise InvalidValueError("Item size to update has exceeded the maximum allowed size")
            return item

        return Single(table, table.key_of(key), {"Update": {"Key": kwargs["Key"]}}, updated)

    def condition_check(self, kwargs: Parameters) -> Single:
        table, key = self.named(kwargs["TableName"]), canonical_item(kwargs["Key"])
        check_key(table, key)
        request = {"ConditionCheck": {"Key": kwargs["Key"]}}
        return Single(table, table.key_of(key), request, lambda _: table.items.get(table.key_of(key)))


def check_item(table: Table, item: Item) -> None:
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


def check_key(table: Table, key: Item) -> None:
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


def check_index_keys(table: Table, item: Item) -> None:
    """An attribute that is an index key may be absent, but not of another type, empty or too long."""
    for index, (partition_key, sort_key) in table.indexes.items():
        for position, (name, kind) in enumerate((*partition_key, *sort_key)):
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
                _check_key_bytes(content, is_partition_key=position < len(partition_key))


def arn(table: str) -> str:
    return f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{table}"
