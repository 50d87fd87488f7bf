"""What a history of deliveries may leave in the tables: the contract, item by item and message group by group.

Knows what was delivered when, and the rules; takes from the function only which messages it calls done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from botocore.exceptions import ClientError

from functions.batch_writer.settings import KeyAttribute, Table
from tests.fakes import FakeDynamoDB, Fault
from tests.fakes.attribute_values import Item
from tests.fakes.service import Parameters, Response
from tests.strategies import MISTAKES, as_json, parsed
from tests.world import ORDERS

LATEST = Table("latest", "latest-table", KeyAttribute("pk", "S"), version="v")
TABLES = (ORDERS, LATEST)

Kind = Literal["put", "delete", "put if absent", "update", "put version", "delete version", "poison", "mistake"]
Place = tuple[str, str]
"""A table's name and the partition key of one of its items."""
State = frozenset[tuple[str, str]] | None
"""An item's attributes by name, without their types; None where there is no item."""

BAD = [
    *((code, element) for code, element in MISTAKES if code in ("MissingKey", "EmptyKey", "InvalidNumber")),
    ("UnknownTable", {"put": {"pk": "a"}, "table": "nowhere"}),
    ("MissingVersion", {"delete": {"pk": "a"}, "table": "latest"}),
]


def state_of(item: Item | None) -> State:
    return None if item is None else frozenset((name, str(*value.values())) for name, value in item.items())


@dataclass(frozen=True, slots=True)
class Write:
    """One operation of a message, as its producer means it."""

    kind: Kind
    pk: str
    marker: str
    """Stands in what is written, and nowhere else."""
    version: int = 0
    is_native: bool = False

    @property
    def is_versioned(self) -> bool:
        return self.kind in ("put version", "delete version")

    @property
    def place(self) -> Place:
        return (LATEST if self.is_versioned else ORDERS).name, self.pk

    @property
    def replaces_everything(self) -> bool:
        """It supersedes what came before it on its item."""
        return self.kind in ("put", "delete")

    @property
    def code(self) -> str | None:
        """The code of its rejection; None for a good operation."""
        if self.kind == "mistake":
            return BAD[self.version % len(BAD)][0]
        return "RejectedByDynamoDB" if self.kind == "poison" else None

    @property
    def json(self) -> Any:
        """The operation as it stands in the body."""
        item = {"pk": self.pk, "m": self.marker}
        absent = "attribute_not_exists(pk)"
        match self.kind:
            case "put" if self.is_native:
                return {"PutRequest": {"Item": {name: {"S": text} for name, text in item.items()}}}
            case "put if absent" if self.is_native:
                return {
                    "Put": {"Item": {name: {"S": text} for name, text in item.items()}, "ConditionExpression": absent}
                }
            case "put" | "poison":
                return {"put": item | ({"poison": True} if self.kind == "poison" else {})}
            case "put if absent":
                return {"put": item, "condition": absent}
            case "delete":
                return (
                    {"DeleteRequest": {"Key": {"pk": {"S": self.pk}}}}
                    if self.is_native
                    else {"delete": {"pk": self.pk}}
                )
            case "update":
                values = {":m": self.marker}
                return {"update": {"pk": self.pk}, "expression": "SET u = :m", "values": values}
            case "put version":
                return {"put": item | {"v": self.version}, "table": LATEST.alias}
            case "delete version":
                return {"delete": {"pk": self.pk}, "version": self.version, "table": LATEST.alias}
            case "mistake":
                return BAD[self.version % len(BAD)][1]

    @property
    def signature(self) -> str:
        """What `signatures` finds in the call that carries this operation."""
        match self.kind:
            case "delete":
                return f"delete {self.pk}"
            case "delete version":
                return f"delete {self.pk} older than {self.version}"
        return self.marker

    def applied_to(self, state: State) -> State:
        """What DynamoDB makes of the item, by the operation's own meaning."""
        item = frozenset({("pk", self.pk), ("m", self.marker)})
        match self.kind:
            case "put":
                return item
            case "delete":
                return None
            case "put if absent":
                return item if state is None else state
            case "update":
                kept = {(name, text) for name, text in state or {("pk", self.pk)} if name != "u"}
                return frozenset({*kept, ("u", self.marker)})
        if state is not None and int(dict(state)["v"]) >= self.version:
            return state
        return item | {("v", str(self.version))} if self.kind == "put version" else None


@dataclass(frozen=True, slots=True)
class Sent:
    """A message on the queue, and its operations in the order of its body."""

    id: str
    group: str
    writes: Sequence[Write]


def body(writes: Sequence[Write]) -> str:
    return as_json(writes[0].json if len(writes) == 1 else [write.json for write in writes])


@dataclass(frozen=True, slots=True)
class Answer:
    """What DynamoDB said to a call: the operations that are over, and those that are not."""

    over: Sequence[str]
    pending: Sequence[str]
    error: str | None = None


REFUSALS = ("AccessDeniedException", "ResourceNotFoundException")


class WatchedDynamoDB(FakeDynamoDB):
    """Notes its answers, in the order in which they took effect, for whoever has set `note`."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__(clock)
        self.note: Callable[[Answer], None] = lambda _: None
        for table in TABLES:
            self.create_table(table.name, partition_key=(table.partition_key.name, table.partition_key.type))
        self.reject_if(lambda _, request: "poison" in request.get("PutRequest", {}).get("Item", {}))

    def calm(self) -> None:
        """No trouble from now on."""
        self._scripted.clear()
        self._always.clear()

    def state(self, place: Place) -> State:
        table, pk = place
        return state_of(self.item(table, {"pk": {"S": pk}}))

    def places(self) -> set[Place]:
        return {(table.name, item["pk"]["S"]) for table in TABLES for item in self.items(table.name)}

    def _answer(self, operation: str, parameters: Parameters, fault: Fault | None) -> Response:
        asked = signatures(operation, parameters)
        try:
            response = super()._answer(operation, parameters, fault)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            is_over = code == "ConditionalCheckFailedException" or (code == "ValidationException" and len(asked) == 1)
            self.note(Answer(asked, (), code) if is_over else Answer((), asked, code))
            raise
        except Exception:
            self.note(Answer((), asked))
            raise
        pending = signatures("BatchWriteItem", {"RequestItems": response.get("UnprocessedItems", {})})
        self.note(Answer([signature for signature in asked if signature not in pending], pending))
        return response


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
        case "UpdateItem":
            return [parameters["ExpressionAttributeValues"][":m"]["S"]]
        case "DeleteItem":
            versions = [value["N"] for value in parameters.get("ExpressionAttributeValues", {}).values()]
            return [" older than ".join([_deleted(parameters), *versions])]
    raise AssertionError(f"{operation} was not asked for")


def _marker(item: Item) -> str:
    return str(item["m"]["S"])


def _deleted(parameters: Parameters) -> str:
    return f"delete {parameters['Key']['pk']['S']}"


@dataclass(slots=True)
class History:
    """Every state that one item may be in, by what was delivered and what was called done.

    An invocation applies the good operations on an item in order of arrival, some or all of them; at least up to the
    last that is called done. Another may run in the middle of it; then the one in the middle of which it ran may
    repeat the operation whose outcome it did not learn.
    """

    running: list[Sequence[Write]] = field(default_factory=list)
    """What each invocation under way has to do here, the innermost last."""
    may_be: set[tuple[State, tuple[int, ...]]] = field(default_factory=lambda: {(None, ())})
    """A state, and how many of its operations each invocation under way has done."""

    def begin(self, writes: Sequence[Write]) -> None:
        if self.running:
            self.may_be = {after for each in self.may_be for after in self._advanced(*each)}
        self.may_be = {(state, (*done, 0)) for state, done in self.may_be}
        self.running.append(writes)

    def end(self, at_least: int) -> None:
        """The innermost invocation has ended, and at least so many of its operations are done."""
        ends = {after for each in self.may_be for after in self._advanced(*each) if after[1][-1] >= at_least}
        self.running.pop()
        self.may_be = {(state, before) for state, (*done, _) in ends for before in _repeated(tuple(done))}

    def is_seen_to_be(self, state: State) -> bool:
        """Whether the item may be in this state; from now on it is known to be."""
        self.may_be = {(possible, done) for possible, done in self.may_be if possible == state}
        return bool(self.may_be)

    def _advanced(self, state: State, done: tuple[int, ...]) -> Iterator[tuple[State, tuple[int, ...]]]:
        yield state, done
        for number, write in enumerate(self.running[-1][done[-1] :], done[-1] + 1):
            state = write.applied_to(state)
            yield state, (*done[:-1], number)


def _repeated(done: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    yield done
    if done and done[-1] > 0:
        yield (*done[:-1], done[-1] - 1)


@dataclass(frozen=True, slots=True)
class Delivery:
    """Messages handed to one invocation, in order; and what DynamoDB answered it."""

    messages: Sequence[Sent]
    is_ordered: bool
    """From a FIFO queue."""
    answers: list[Answer] = field(default_factory=list)

    def chains(self) -> dict[Place, list[tuple[str, Write]]]:
        """The good operations on each item in order of arrival, each with the id of its message."""
        chains: dict[Place, list[tuple[str, Write]]] = {}
        for message in self.messages:
            for write in message.writes:
                if write.code is None:
                    chains.setdefault(write.place, []).append((message.id, write))
        return chains

    def bad(self, message: Sent) -> list[Write]:
        """What is bad in a message; what a later good operation makes superfluous is nobody's concern."""
        everything = [write for each in ([message] if self.is_ordered else self.messages) for write in each.writes]
        return [
            write
            for write in message.writes
            if write.kind == "mistake"
            or (write.kind == "poison" and not _is_superseded(write, everything[everything.index(write) + 1 :]))
        ]

    def check_order(self) -> None:
        """Within a group, no operation goes to the table before all those of earlier messages are over."""
        over: set[Write] = set()
        for answer in self.answers:
            for signature in [*answer.over, *answer.pending]:
                assert any(self._may_go(message, over) for message in self._senders(signature, over)), (
                    f"{signature} goes before its turn"
                )
            for signature in answer.over:
                sender = self._senders(signature, over)[0]
                over.add(next(w for w in _to_be_sent(sender) if w.signature == signature and w not in over))

    def _senders(self, signature: str, over: set[Write]) -> list[Sent]:
        """The messages that may have asked for this; two deletes of one item are as good as each other."""
        senders = [m for m in self.messages if any(w.signature == signature and w not in over for w in _to_be_sent(m))]
        assert senders, f"{signature} is written again, or was never asked for"
        return senders

    def _may_go(self, message: Sent, over: set[Write]) -> bool:
        earlier = [each for each in self.messages[: self.messages.index(message)] if each.group == message.group]
        return all(write in over for each in earlier for write in _to_be_sent(each))


def _is_superseded(write: Write, later: Sequence[Write]) -> bool:
    return any(other.replaces_everything and other.place == write.place for other in later)


def _to_be_sent(message: Sent) -> list[Write]:
    """The operations of a message that no later one of the same message makes superfluous."""
    return [
        write
        for position, write in enumerate(message.writes, 1)
        if write.kind != "mistake" and not _is_superseded(write, message.writes[position:])
    ]


def is_dead_letter_of(letter: dict[str, Any], bad: Sequence[Write]) -> bool:
    """Whether a dead letter holds just the bad operations of a message, and the code of the first."""
    wanted = [parsed(as_json(write.json)) for write in bad]
    found = parsed(letter["Body"])
    code = letter["MessageAttributes"]["ErrorCode"]["StringValue"]
    return bool(bad) and (found if isinstance(found, list) else [found]) == wanted and code == bad[0].code
