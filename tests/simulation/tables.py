"""What keeps the items: a small fast DynamoDB for the forms that the workload makes, and the strict fake.

Both only carry out; faults, limits and the rules of a batch are the service's.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from tests.fakes.dynamodb import FakeDynamoDB
from tests.fakes.protocol import answered

from .model import TOKEN_SECONDS
from .workload import TABLES, Place, State

Json = dict[str, Any]
WRITE_UNIT_BYTES = 1024
VERSION_CONDITION = "attribute_not_exists(#sluice_version) OR #sluice_version < :sluice_version"


class Tables(Protocol):
    def batch(self, requests: Mapping[str, Sequence[Json]]) -> dict[str, float]:
        """Carry out puts and deletes that are known to be good; write units by table."""

    def single(self, action: str, arguments: Json) -> tuple[int, Json]:
        """Status and answer of a PutItem, DeleteItem, UpdateItem or TransactWriteItems."""

    def stored(self, place: Place) -> Json | None:
        """The item in DynamoDB JSON."""

    def states(self) -> Mapping[Place, State]: ...


def _units(text_bytes: int) -> float:
    return float(1 + text_bytes // WRITE_UNIT_BYTES)


def state_of(item: Mapping[str, Any]) -> State:
    return {name: int(float(value["N"])) for name, value in item.items() if name not in ("pk", "p")}


class FastTables:
    """Knows four conditions and two updates, and stops the simulation at any other."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._items: dict[Place, dict[str, Any]] = {}
        """In DynamoDB JSON."""
        self._completed: dict[str, tuple[float, Json]] = {}

    def stored(self, place: Place) -> Json | None:
        return self._items.get(place)

    def states(self) -> Mapping[Place, State]:
        return {place: state_of(item) for place, item in self._items.items()}

    def batch(self, requests: Mapping[str, Sequence[Json]]) -> dict[str, float]:
        units: dict[str, float] = {}
        for table, of_table in requests.items():
            total = 0.0
            for request in of_table:
                if "PutRequest" in request:
                    item = request["PutRequest"]["Item"]
                    self._items[table, item["pk"]["S"]] = item
                    total += _units(len(item["p"]["S"])) if "p" in item else 1.0
                else:
                    self._items.pop((table, request["DeleteRequest"]["Key"]["pk"]["S"]), None)
                    total += 1.0
            units[table] = total
        return units

    def single(self, action: str, arguments: Json) -> tuple[int, Json]:
        if action == "TransactWriteItems":
            return self._transaction(arguments)
        failed = self._failed(arguments)
        if failed is not None:
            return 400, {"__type": "com.amazonaws#ConditionalCheckFailedException",
                         "message": "The conditional request failed", **failed}  # fmt: skip
        self._write(action, arguments)
        return 200, {"ConsumedCapacity": {"TableName": arguments["TableName"], "CapacityUnits": 1.0}}

    def _transaction(self, arguments: Json) -> tuple[int, Json]:
        update, token = arguments["TransactItems"][0]["Update"], arguments["ClientRequestToken"]
        at, before = self._completed.get(token, (-TOKEN_SECONDS, None))
        capacity = {"TableName": update["TableName"], "CapacityUnits": 2.0}
        if before is not None and self._clock() - at <= TOKEN_SECONDS:
            assert before == arguments, "a token is used again for another request"
            return 200, {"ConsumedCapacity": [{**capacity, "ReadCapacityUnits": 2.0}]}
        failed = self._failed(update)
        if failed is not None:
            reason = {"Code": "ConditionalCheckFailed", "Message": "The conditional request failed", **failed}
            return 400, canceled(reason)
        self._write("UpdateItem", update)
        self._completed[token] = (self._clock(), arguments)
        return 200, {"ConsumedCapacity": [{**capacity, "WriteCapacityUnits": 2.0}]}

    def _failed(self, arguments: Json) -> Json | None:
        """What an answer says of a condition that does not hold; None where it holds."""
        condition = arguments.get("ConditionExpression")
        if condition is None:
            return None
        attributes = arguments.get("Key") or arguments["Item"]
        stored = self._items.get((arguments["TableName"], attributes["pk"]["S"]))
        if _holds(condition, arguments, stored or {}):
            return None
        return {} if stored is None else {"Item": stored}

    def _write(self, action: str, arguments: Json) -> None:
        attributes = arguments.get("Key") or arguments["Item"]
        place = (arguments["TableName"], attributes["pk"]["S"])
        if action == "PutItem":
            self._items[place] = arguments["Item"]
        elif action == "DeleteItem":
            self._items.pop(place, None)
        else:
            values: Json = arguments["ExpressionAttributeValues"]
            old: Json = self._items.get(place) or arguments["Key"]
            if arguments["UpdateExpression"] == "SET u = :m":
                self._items[place] = {**old, "u": values[":m"]}
            else:
                assert arguments["UpdateExpression"] == "ADD c :one SET m = :m"
                count = int(old["c"]["N"]) if "c" in old else 0
                self._items[place] = {**old, "c": {"N": str(count + 1)}, "m": values[":m"]}


def _holds(condition: str, arguments: Json, stored: Json) -> bool:
    if condition == VERSION_CONDITION:
        given = arguments["ExpressionAttributeValues"][":sluice_version"]
        name = arguments["ExpressionAttributeNames"]["#sluice_version"]
        return name not in stored or int(stored[name]["N"]) < int(given["N"])
    if condition == "m < :m":
        return "m" in stored and int(stored["m"]["N"]) < int(arguments["ExpressionAttributeValues"][":m"]["N"])
    assert condition in ("attribute_not_exists(pk)", "attribute_exists(pk)"), condition
    return bool(stored) == (condition == "attribute_exists(pk)")


def canceled(reason: Json) -> Json:
    return {
        "__type": "com.amazonaws#TransactionCanceledException",
        "Message": f"Transaction cancelled, please refer cancellation reasons for specific reasons [{reason['Code']}]",
        "CancellationReasons": [reason],
    }


class StrictTables:
    """The strict fake, asked in JSON as DynamoDB is."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._db = FakeDynamoDB(clock)
        for table in TABLES:
            self._db.create_table(table.name, partition_key=("pk", "S"))

    def states(self) -> Mapping[Place, State]:
        return {
            (table.name, item["pk"]["S"]): state_of(item) for table in TABLES for item in self._db.items(table.name)
        }

    def batch(self, requests: Mapping[str, Sequence[Json]]) -> dict[str, float]:
        status, body = self._ask("BatchWriteItem", {"RequestItems": requests, "ReturnConsumedCapacity": "TOTAL"})
        assert status == 200, f"the strict fake refuses a batch: {body}"
        assert not body["UnprocessedItems"]
        return {capacity["TableName"]: capacity["CapacityUnits"] for capacity in body["ConsumedCapacity"]}

    def single(self, action: str, arguments: Json) -> tuple[int, Json]:
        return self._ask(action, arguments)

    def stored(self, place: Place) -> Json | None:
        wanted = {place[0]: {"Keys": [{"pk": {"S": place[1]}}], "ConsistentRead": True}}
        _, body = self._ask("BatchGetItem", {"RequestItems": wanted})
        [found] = body["Responses"].values()
        return found[0] if found else None

    def _ask(self, action: str, arguments: Mapping[str, Any]) -> tuple[int, Json]:
        self._db.calls.clear()  # It remembers every call.
        response = answered(self._db, action, msgspec.json.encode(arguments), self._db.perform)
        return response.status, json.loads(response.content)
