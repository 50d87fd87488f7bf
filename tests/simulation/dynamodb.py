"""DynamoDB as the function meets it: batches and single writes, limits, refusals, and what comes back unprocessed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from .chance import Chance
from .model import DENIED, Model, ViolationError
from .service import Service
from .tables import Json, Tables, canceled, state_of
from .virtual_time import Time
from .wire import Call, first_id
from .workload import FEED, LATEST, Message, Place, Signature, Workload

MAX_REQUESTS = 25  # API_BatchWriteItem
MAX_KEYS = 100  # API_BatchGetItem
THROTTLES = ("ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded")


class DynamoDB(Service):
    def __init__(self, time: Time, chance: Chance, model: Model, workload: Workload, tables: Tables) -> None:
        super().__init__(time, chance, model, workload, "dynamodb")
        self._tables = tables
        self.capacity: float | None = None
        """Write units per second of each table; None: as much as is sent."""
        self.hot: Callable[[Place], bool] | None = None
        """What belongs to a range of keys that is hot."""
        self.hot_capacity = 0.0
        """Write units per second of such a range."""
        self._tokens: dict[str, tuple[float, float]] = {}
        self.denied: Callable[[Place], bool] | None = None
        self.skipping: Collection[str] = ()
        """Names of the tables that may be read."""

    def read(self, call: Call) -> None:
        body = call.body
        if call.action == "BatchWriteItem":
            call.items = [
                (_of_request(table, request), (table, _key_of(request)), request)
                for table, requests in body["RequestItems"].items()
                for request in requests
            ]
            self._check_batch(call)
        elif call.action == "BatchGetItem":
            call.items = [
                ((), (table, key["pk"]["S"]), key)
                for table, wanted in body["RequestItems"].items()
                for key in wanted["Keys"]
            ]
            self._check_read(call)
        else:
            arguments = body["TransactItems"][0]["Update"] if call.action == "TransactWriteItems" else body
            attributes = arguments.get("Key") or arguments["Item"]
            place = (arguments["TableName"], attributes["pk"]["S"])
            call.items = [(_of_single(call.action, arguments, place), place, arguments)]
            if place[0] == LATEST.name and "ConditionExpression" not in arguments:
                raise ViolationError(f"{place} has versions, and is written without a condition")
        call.about = self._messages(call)
        invocation = call.invocation
        if invocation.is_over or call.is_given_up:
            return
        for _, place, _ in call.items:
            if len(invocation.on_item.get(place, ())) > 1:
                other = invocation.busy.get(place)
                if other is not None and not other.is_answered and not other.is_given_up:
                    raise ViolationError(f"two calls at once write {place}", call.about[0].id if call.about else "")
                invocation.busy[place] = call

    def _check_batch(self, call: Call) -> None:
        places = {place for _, place, _ in call.items}
        if len(call.items) > MAX_REQUESTS or len(places) < len(call.items) or not call.items:
            raise ViolationError(f"a batch of {len(call.items)} requests for {len(places)} items",
                                 first_id(call.invocation))  # fmt: skip
        if any(place[0] == LATEST.name for place in places):
            raise ViolationError("a table with versions is written in a batch", first_id(call.invocation))

    def _check_read(self, call: Call) -> None:
        if not 1 <= len({place for _, place, _ in call.items}) == len(call.items) <= MAX_KEYS:
            raise ViolationError(f"a read of {len(call.items)} keys", first_id(call.invocation))
        for name, wanted in call.body["RequestItems"].items():
            if wanted.get("ConsistentRead") is not True:
                raise ViolationError("a read that may be of a while ago", first_id(call.invocation))
            if name not in self.skipping:
                raise ViolationError(f"{name} is read", first_id(call.invocation))

    def _messages(self, call: Call) -> Sequence[Message]:
        """The messages of which the call carries something."""
        found = []
        for signature, place, _ in call.items:
            operations = call.invocation.on_item.get(place)
            if not operations:
                raise ViolationError(f"{place} is nobody's item", first_id(call.invocation))
            found += [operation.message for _, operation in operations if signature in ((), operation.signature)]
        return found

    def carry_out(self, call: Call) -> tuple[int, Json]:
        if call.action == "BatchWriteItem":
            return self._batch(call)
        if call.action == "BatchGetItem":
            return self._read(call)
        return self._single(call)

    # Reads

    def _read(self, call: Call) -> tuple[int, Json]:
        if self.denied is not None and any(self.denied(place) for _, place, _ in call.items):
            self.chance.count("read denied")
            return 400, {"__type": "com.amazon.coral.service#AccessDeniedException", "Message": "not authorized"}
        items, left = call.items, []
        if self.holds_back or (self.chance.level and self.chance.hits("keys unprocessed", 0.1)):
            left = self.random.sample(items, self.random.randint(1, len(items)))
            items = [item for item in items if item not in left]
        [(table, wanted)] = call.body["RequestItems"].items()
        is_late = call.is_given_up or call.invocation.is_over
        found = []
        for _, place, _ in items:
            stored = self._tables.stored(place)
            if stored is not None:
                found.append(stored)
            self.model.seen(call.invocation, place, None if stored is None else state_of(stored), is_late=is_late)
        self.random.shuffle(found)
        unprocessed = {table: {**wanted, "Keys": [key for _, _, key in left]}} if left else {}
        capacity = [{"TableName": table, "CapacityUnits": float(len(items))}]
        self.model.trace.note(self.time.now, f"{len(found)} of {len(items)} are there", call.invocation.who, call.about)
        responses = {table: found}
        if self.chance.hits("table left out", 0.02):
            responses = {}  # Which must not be read as a table without these items.
        return 200, {"Responses": responses, "UnprocessedKeys": unprocessed, "ConsumedCapacity": capacity}

    # Batches

    def _batch(self, call: Call) -> tuple[int, Json]:
        if refusal := self._refused(call):
            return 400, refusal
        taken, left = self._divided(call.items)
        if not taken:
            return 400, self._throttle_writes(call)
        requests: dict[str, list[Json]] = {}
        for _, (table, _), request in taken:
            requests.setdefault(table, []).append(request)
        units = self._tables.batch(requests)
        call.invocation.consumed += sum(units.values())
        is_late = call.is_given_up or call.invocation.is_over
        now, apply = self.time.now, self.model.apply
        for signature, place, _ in taken:
            apply(call.invocation, signature, place, now, is_late=is_late)
        unprocessed: dict[str, list[Json]] = {}
        for _, (table, _), request in left:
            unprocessed.setdefault(table, []).append(request)
        if left:
            call.invocation.is_slowed = True
            self.model.trace.note(now, f"{len(left)} unprocessed", call.invocation.who, call.about)
        capacity = [{"TableName": table, "CapacityUnits": count} for table, count in units.items()]
        return 200, {"UnprocessedItems": unprocessed, "ConsumedCapacity": capacity}

    def _divided(self, items: list[Any]) -> tuple[list[Any], list[Any]]:
        left: list[Any] = []
        if self.holds_back or (self.chance.level and self.chance.hits("unprocessed", 0.04)):
            count = self.random.randint(1, len(items))
            left = self.random.sample(items, count)
            items = [item for item in items if item not in left]
        if self.capacity is not None or self.hot is not None:
            allowed = [self._takes(item[1]) for item in items]
            left = [*left, *(item for item, is_allowed in zip(items, allowed, strict=True) if not is_allowed)]
            items = [item for item, is_allowed in zip(items, allowed, strict=True) if is_allowed]
        return items, left

    def _takes(self, place: Place) -> bool:
        table = place[0]
        if self.hot is not None and self.hot(place) and not self._has_room(f"{table}, hot", self.hot_capacity):
            self.chance.count("hot range")
            return False
        if self.capacity is not None and not self._has_room(table, self.capacity):
            self.chance.count("no capacity")
            return False
        return True

    def _has_room(self, what: str, capacity: float) -> bool:
        tokens, at = self._tokens.get(what, (capacity, 0.0))
        tokens = min(capacity, tokens + (self.time.now - at) * capacity)
        is_allowed = tokens >= 1
        self._tokens[what] = (tokens - is_allowed, self.time.now)
        return is_allowed

    # Single writes

    def _single(self, call: Call) -> tuple[int, Json]:
        [(signature, place, _)] = call.items
        if refusal := self._refused(call):
            return 400, refusal
        if not self._takes(place):
            return 400, self._throttle_writes(call)
        if call.action == "TransactWriteItems" and self.chance.hits("transaction conflict", 0.03):
            return 400, canceled({"Code": "TransactionConflict", "Message": "Transaction is ongoing for the item"})
        status, body = self._tables.single(call.action, call.body)
        if status != 200:
            call.invocation.consumed += 1
            self.model.condition_failed(call.invocation, signature, place)
        elif call.action == "TransactWriteItems" and "ReadCapacityUnits" in body["ConsumedCapacity"][0]:
            self.model.is_repeated(call.invocation, signature)  # That consumes read units.
        else:
            call.invocation.consumed += 2 if call.action == "TransactWriteItems" else 1
            is_late = call.is_given_up or call.invocation.is_over
            self.model.apply(call.invocation, signature, place, self.time.now, is_late=is_late)
        self.model.trace.note(self.time.now, f"{call.action} {place}: {status}", call.invocation.who, call.about)
        return status, body

    # Refusals

    def _refused(self, call: Call) -> Json | None:
        if self.denied is not None and any(self.denied(place) for _, place, _ in call.items):
            self.chance.count("item denied")
            call.invocation.codes[DENIED] += 1
            return {
                "__type": "com.amazon.coral.service#AccessDeniedException",
                "Message": f"User: sluice is not authorized to perform: dynamodb:{call.action}",
            }
        poisoned = [item for item in call.items if "poison" in _attributes(item[2])]
        if not poisoned:
            return None
        self.chance.count("poison refused")
        signature, _, _ = poisoned[0]
        if len(call.items) == 1:
            call.invocation.refused.add(signature)
        return {
            "__type": "com.amazon.coral.validate#ValidationException",
            "message": f"One or more parameter values were invalid: poison {signature}",
        }

    def throttle(self, call: Call) -> Json:
        if call.action != "BatchGetItem" and not call.is_given_up and not call.invocation.is_over:
            self.model.throttled(call.invocation, [place for _, place, _ in call.items], self.time.now)
        code = self.random.choice(THROTTLES)
        return {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "too fast"}

    def _throttle_writes(self, call: Call) -> Json:
        """The same, and often why: a range of keys, where all belong to one that is hot."""
        answer = self.throttle(call)
        places = [place for _, place, _ in call.items]
        if self.hot is not None and all(map(self.hot, places)) and self.random.random() < 0.5:
            name = "throttlingReasons" if "ThrottlingException" in answer["__type"] else "ThrottlingReasons"
            answer[name] = [
                {
                    "reason": "TableWriteKeyRangeThroughputExceeded",
                    "resource": f"arn:aws:dynamodb:us-east-1:000000000000:table/{table}",
                }
                for table in dict.fromkeys(table for table, _ in places)
            ]
        return answer

    def wrong_types(self, body: Json) -> Any:
        if "Responses" in body:
            ((table, found),) = body["Responses"].items() or [(FEED.name, [])]
            wrong_items: Any = ([found], [{"pk": {"N": "1"}}], {"pk": found}, None, "")
            return self.random.choice((
                [body], {**body, "Responses": []}, {**body, "UnprocessedKeys": None},
                {**body, "UnprocessedKeys": {table: {}}}, {**body, "ConsumedCapacity": "much"},
                {**body, "Responses": {table: self.random.choice(wrong_items)}},
                {**body, "Responses": {table: [[*item] for item in found] or None}},
            ))  # fmt: skip
        if "UnprocessedItems" not in body:
            return {**body, "ConsumedCapacity": self.random.choice(("much", [5], {"CapacityUnits": "1"}))}
        wrong: Sequence[Any] = (
            [body], {**body, "UnprocessedItems": []}, {**body, "UnprocessedItems": None},
            {**body, "UnprocessedItems": {"plain-table": {}}}, {**body, "ConsumedCapacity": "much"},
        )  # fmt: skip
        return self.random.choice(wrong)

    def without_member(self, body: Json) -> Json:
        if "Responses" in body:
            lost = self.random.choice(("Responses", "UnprocessedKeys"))
            return {name: value for name, value in body.items() if name != lost}
        return {
            name: value
            for name, value in body.items()
            if name != ("UnprocessedItems" if len(body) > 1 else "ConsumedCapacity")
        }

    def about_something_else(self, body: Json) -> Json:
        if "Responses" in body:
            ((table, found),) = body["Responses"].items() or [(FEED.name, [])]
            strangers = [{**item, "pk": {"S": "a stranger"}} for item in found] or [{"pk": {"S": "a stranger"}}]
            return {**body, "Responses": {table: strangers}}
        if "UnprocessedItems" not in body:
            return {"Attributes": {}}
        stranger = {"PutRequest": {"Item": {"pk": {"S": "a stranger"}}}}
        return {**body, "UnprocessedItems": {"plain-table": [stranger]}}


def _of_request(table: str, request: Json) -> Signature:
    if "PutRequest" in request:
        item = request["PutRequest"]["Item"]
        if table == FEED.name:
            return ("feed", table, item["pk"]["S"], str(2 * int(float(item["s"]["N"])) + ("t" in item)))
        return int(item["m"]["N"])
    return ("delete", table, request["DeleteRequest"]["Key"]["pk"]["S"])


def _key_of(request: Json) -> str:
    inner = request["PutRequest"]["Item"] if "PutRequest" in request else request["DeleteRequest"]["Key"]
    return str(inner["pk"]["S"])


def _attributes(request: Json) -> Json:
    found: Json = request["PutRequest"]["Item"] if "PutRequest" in request else request.get("Item", {})
    return found


def _of_single(action: str, arguments: Json, place: Place) -> Signature:
    values = arguments.get("ExpressionAttributeValues", {})
    if action == "PutItem":
        return int(arguments["Item"]["m"]["N"])
    if ":m" in values:
        return int(values[":m"]["N"])
    return ("delete", *place, values[":sluice_version"]["N"])
