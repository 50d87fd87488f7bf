"""A DynamoDB that notes what it answers, and how often it has applied each update."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from tests.fakes import FakeDynamoDB, Fault
from tests.fakes.attribute_values import Item
from tests.fakes.service import Parameters, Response
from tests.property.writes import TABLES, Place, State, state_of

MISSING, DENIED = "ResourceNotFoundException", "AccessDeniedException"
NOT_WRITTEN = (
    "ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded",
    "ThrottlingError", "ProvisionedThroughputExceeded",
)  # fmt: skip
"""Errors after which it is certain that nothing was written; the last two are reasons of a transaction."""
CONDITION_FAILED = ("ConditionalCheckFailedException", "ConditionalCheckFailed")
REJECTED = ("ValidationException", "ValidationError")


@dataclass(frozen=True, slots=True)
class Answer:
    """What DynamoDB said to a call: the operations that are over, and those that are not."""

    over: Sequence[str]
    pending: Sequence[str]
    error: str | None = None
    """The code, or for a canceled transaction the reason; the name of any other exception."""
    stored: State = None
    """What stood in the table where a condition failed."""
    places: Sequence[Place] = ()
    """The items of what is over or, where nothing is, of what is pending."""
    seen: Mapping[Place, State] = field(default_factory=dict)
    """What a read has found."""


class WatchedDynamoDB(FakeDynamoDB):
    """Notes its answers, in the order in which they took effect, for whoever has set `note`."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__(clock)
        self._now = clock
        self.note: Callable[[Answer], None] = lambda _: None
        self.updated: set[str] = set()
        """Signatures of the updates that have been applied at some time."""
        self.added: dict[str, list[float]] = {}
        """When each `add` was applied, by its signature: once for every time that it was."""
        self.repeated_transactions = 0
        """Transactions that were completed before under the same token, and so have changed nothing."""
        for table in TABLES:
            self.create_table(table.name, partition_key=(table.partition_key.name, table.partition_key.type))
        self.reject_if(
            lambda _, request: "poison" in request.get("PutRequest", {}).get("Item", {}),
            lambda request: f"poison {_marker(request['PutRequest']['Item'])}",
        )

    def calm(self) -> None:
        """No trouble from now on."""
        self._scripted.clear()
        self._always.clear()

    def state(self, place: Place) -> State:
        name, pk = place
        table = self._tables[name]
        return state_of(table.items.get(table.key_of({"pk": {"S": pk}})))

    def places(self) -> set[Place]:
        return {(table.name, item["pk"]["S"]) for table in TABLES for item in self._tables[table.name].items.values()}

    def _answer(self, operation: str, parameters: Parameters, fault: Fault | None) -> Response:
        if operation == "BatchGetItem":
            return self._read(parameters, fault)
        asked, single = signatures(operation, parameters), _single(parameters)
        before = self._item_of(single)
        try:
            response = super()._answer(operation, parameters, fault)
        except ClientError as error:
            code = _code(error)
            is_over = code in CONDITION_FAILED or (code in REJECTED and len(asked) == 1)
            stored = state_of(before) if code in CONDITION_FAILED else None
            places = _places(parameters)
            self.note(Answer(asked, (), code, stored, places) if is_over else Answer((), asked, code, None, places))
            raise
        except Exception as error:
            self.note(Answer((), asked, type(error).__name__))
            raise
        finally:
            self._note_update(single, before)
        left = {"RequestItems": response.get("UnprocessedItems", {})}
        pending, taken = signatures("BatchWriteItem", left), set(_places(parameters)) - set(_places(left))
        self.note(Answer([signature for signature in asked if signature not in pending], pending, places=[*taken]))
        if operation == "TransactWriteItems" and "ReadCapacityUnits" in response["ConsumedCapacity"][0]:
            self.repeated_transactions += 1
        return response

    def _read(self, parameters: Parameters, fault: Fault | None) -> Response:
        response = super()._answer("BatchGetItem", parameters, fault)
        if "Responses" in response:
            places = _read_places(parameters) - _read_places({"RequestItems": response["UnprocessedKeys"]})
            self.note(Answer((), (), seen={place: self.state(place) for place in places}))
        return response

    def _note_update(self, single: Parameters, before: Item | None) -> None:
        if "UpdateExpression" not in single:
            return
        signature, after = _updated(single), self._item_of(single) or {}
        counter = single.get("ExpressionAttributeNames", {}).get("#n")
        if counter is None and after.get("u") == {"S": signature}:
            self.updated.add(signature)
        if counter is not None and after.get(counter) != (before or {}).get(counter):
            self.updated.add(signature)
            self.added.setdefault(signature, []).append(self._now())

    def _item_of(self, single: Parameters) -> Item | None:
        attributes = single.get("Key") or single.get("Item")
        return self.item(single["TableName"], {"pk": attributes["pk"]}) if attributes else None


def _code(error: ClientError) -> str:
    reasons: Any = error.response.get("CancellationReasons")
    return str(reasons[0]["Code"] if reasons else error.response["Error"]["Code"])


def _single(parameters: Parameters) -> Parameters:
    """The arguments of a call for one item, in a transaction or by itself; of a batch nothing."""
    if "TransactItems" in parameters:
        [element] = parameters["TransactItems"]
        update: Parameters = element["Update"]
        return update
    return {} if "RequestItems" in parameters else parameters


def signatures(operation: str, parameters: Parameters) -> list[str]:
    """The operations that a call carries."""
    match operation:
        case "BatchWriteItem":
            requests = [request for some in parameters["RequestItems"].values() for request in some]
            return [
                _marker(r["PutRequest"]["Item"]) if "PutRequest" in r else _deleted(r["DeleteRequest"])
                for r in requests
            ]
        case "PutItem":
            return [_marker(parameters["Item"])]
        case "UpdateItem" | "TransactWriteItems":
            return [_updated(_single(parameters))]
        case "DeleteItem":
            versions = [value["N"] for value in parameters.get("ExpressionAttributeValues", {}).values()]
            return [" older than ".join([_deleted(parameters), *versions])]
    raise AssertionError(f"{operation} was not asked for")


def _read_places(parameters: Parameters) -> set[Place]:
    return {(name, key["pk"]["S"]) for name, wanted in parameters["RequestItems"].items() for key in wanted["Keys"]}


def _places(parameters: Parameters) -> list[Place]:
    """The items that a call is about."""
    calls = [(name, r) for name, of_table in parameters.get("RequestItems", {}).items() for r in of_table]
    found = [(name, next(iter(request.values()))) for name, request in calls]
    if "RequestItems" not in parameters:
        single = _single(parameters)
        found = [(single["TableName"], single)]
    return [(name, (arguments.get("Key") or arguments["Item"])["pk"]["S"]) for name, arguments in found]


def tables_denied(answers: Sequence[Answer]) -> set[str]:
    """Tables that have let nothing through, and denied access to two items, or to any where no other table did."""
    taken = {place[0] for a in answers if a.over and a.error in (None, *CONDITION_FAILED) for place in a.places}
    denied = {a.places[0] for a in answers if a.error == DENIED and len(a.places) == 1}
    tables = [table for table, _ in denied if table not in taken]
    return {table for table in tables if tables.count(table) > 1 or not taken}


def _marker(item: Item) -> str:
    return str(item["m"]["S"])


def _deleted(parameters: Parameters) -> str:
    return f"delete {parameters['Key']['pk']['S']}"


def _updated(parameters: Parameters) -> str:
    if ":m" in parameters["ExpressionAttributeValues"]:
        return str(parameters["ExpressionAttributeValues"][":m"]["S"])
    return str(parameters["ExpressionAttributeNames"]["#n"]).removeprefix("+")
