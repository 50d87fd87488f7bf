"""Reads items by BatchGetItem: every key is asked for until it is answered, at a rate that is kept.

https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from sluice.cli import CommandError
from sluice.message import items
from sluice.message.operation import AttributeValue, Key
from sluice.message.settings import Table

MAX_KEYS = 100  # Of one call; what does not fit into the 16 MB of an answer comes back as unprocessed.
FIRST_DELAY, MAX_DELAY = 0.05, 5.0
"""Seconds before unprocessed keys are asked for again; doubled as long as none is answered, with full jitter."""
PATIENCE = 60
"""Answers in a row without a single key after which it is pointless to go on: about five minutes."""
THROTTLES = {
    "ProvisionedThroughputExceededException",
    "ThrottlingException",
    "RequestLimitExceeded",
    "InternalServerError",
    "ServiceUnavailable",
}


class DynamoDB(Protocol):
    """What of boto3's DynamoDB client is called here."""

    def batch_get_item(self, **request: Any) -> Any: ...


@dataclass(slots=True)
class Budget:
    """Read units per second, kept by waiting before each call; what it really cost is settled afterwards."""

    per_second: float
    clock: Callable[[], float]
    wait: Callable[[float], object]
    _next: float = -math.inf
    """When the next call may begin."""
    _units_per_key: float = 0.5  # Until the first answer: up to 4 KB, eventually consistent.
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def reserve(self, keys: int) -> float:
        """Wait for a turn; returns the estimated units."""
        with self._lock:
            units = keys * self._units_per_key
            now = self.clock()
            start = max(now, self._next)
            self._next = start + units / self.per_second
        if start > now:
            self.wait(start - now)
        return units

    def settle(self, keys: int, reserved: float, consumed: float) -> None:
        with self._lock:
            self._next += (consumed - reserved) / self.per_second
            if keys and consumed:
                self._units_per_key = consumed / keys


@dataclass(frozen=True, slots=True)
class TableReader:
    """Thread-safe where client, `wait` and `chance` are. Raises `CommandError` where the tables do not answer."""

    client: DynamoDB
    budget: Budget
    wait: Callable[[float], bool]
    """Waits so many seconds; True means: stop."""
    chance: Callable[[], float]
    """From 0 to 1."""
    keys_only: bool = False

    def read(
        self, wanted: Iterable[tuple[Table, Mapping[str, AttributeValue]]], *, consistent: bool
    ) -> dict[Key, dict[str, AttributeValue]]:
        """The stored items of at most 100 distinct keys, as far as they are there."""
        tables: dict[str, Table] = {}
        request: dict[str, Any] = {}
        for table, key in wanted:
            tables[table.name] = table
            request.setdefault(table.name, {"Keys": [], **self._options(table, consistent)})["Keys"].append(key)
        found: dict[Key, dict[str, AttributeValue]] = {}
        longest, in_vain = FIRST_DELAY, 0
        while request:
            asked = _count(request)
            answer = self._call(request, asked)
            for name, stored in answer.get("Responses", {}).items():
                found |= {items.key_of(tables[name], item): item for item in stored}
            request = answer.get("UnprocessedKeys") or {}
            if not request:
                break
            # Some keys answered: the rest may just not have fitted. None: the table is busy.
            progressed = _count(request) < asked
            longest, in_vain = (FIRST_DELAY, 0) if progressed else (min(2 * longest, MAX_DELAY), in_vain + 1)
            if in_vain > PATIENCE:
                raise CommandError("the table refuses to be read for minutes; --max-read-units would ask for less")
            if self.wait(self.chance() * longest):
                raise CommandError("stopped")
        return found

    def _call(self, request: dict[str, Any], keys: int) -> Any:
        from botocore.exceptions import ClientError

        reserved = self.budget.reserve(keys)
        try:
            answer = self.client.batch_get_item(RequestItems=request, ReturnConsumedCapacity="TOTAL")
        except ClientError as error:
            if error.response["Error"].get("Code") not in THROTTLES:
                raise
            self.budget.settle(0, reserved, 0.0)
            return {"UnprocessedKeys": request}
        consumed = sum(float(one["CapacityUnits"]) for one in answer.get("ConsumedCapacity", ()))
        self.budget.settle(keys - _count(answer.get("UnprocessedKeys") or {}), reserved, consumed)
        return answer

    def _options(self, table: Table, consistent: bool) -> dict[str, Any]:
        options: dict[str, Any] = {"ConsistentRead": consistent}
        if self.keys_only:  # It costs as many read units, but less time.
            # With the version, or a delete that was rightly passed over for a newer item would look as if it were lost.
            attributes = [*(attribute.name for attribute in table.key), *([table.version] if table.version else [])]
            names = {f"#{position}": name for position, name in enumerate(attributes)}
            options |= {"ProjectionExpression": ",".join(names), "ExpressionAttributeNames": names}
        return options


def _count(request: Mapping[str, Any]) -> int:
    return sum(len(of_table["Keys"]) for of_table in request.values())
