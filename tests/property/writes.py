"""The operations of the stateful tests: how each stands in a body, and what it makes of an item."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from sluice.message.settings import KeyAttribute, Table
from tests.fakes.attribute_values import Item
from tests.strategies import MISTAKES, as_json
from tests.world import ORDERS

LATEST = Table("latest", "latest-table", KeyAttribute("pk", "S"), version="v")
TABLES = (ORDERS, LATEST)

Kind = Literal[
    "put", "put again", "delete", "put if absent", "update", "update if present", "add", "put version",
    "delete version", "poison", "mistake",
]  # fmt: skip
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
    """A counter is there or not; how far it has counted is `WatchedDynamoDB.added`'s concern."""
    if item is None:
        return None
    return frozenset((name, "1" if name.startswith("+") else str(*value.values())) for name, value in item.items())


@dataclass(frozen=True, slots=True, eq=False)
class Write:
    """One operation of a message, as its producer means it; two are never the same."""

    kind: Kind
    pk: str
    marker: str
    """Stands in what is written, and nowhere else, unless `content` does."""
    version: int = 0
    is_native: bool = False
    content: str = ""
    """Stands in whatever puts the same item again."""

    @property
    def is_versioned(self) -> bool:
        return self.kind in ("put version", "delete version")

    @property
    def is_update(self) -> bool:
        return self.kind in ("update", "update if present", "add")

    @property
    def has_condition(self) -> bool:
        """It has a condition of its own: that of a version is the table's."""
        return self.kind in ("put if absent", "update if present")

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
    def mark(self) -> str:
        """What stands in the item."""
        return self.content or self.marker

    def stands(self, state: State) -> bool:
        """Whether it may be left out where the item is in this state."""
        is_read = self.is_versioned or self.replaces_everything
        return is_read and self.applied_to(state) == state

    @property
    def counter(self) -> str:
        """The attribute in which DynamoDB counts how often an `add` was applied."""
        return f"+{self.marker}"

    @property
    def json(self) -> Any:
        """The operation as it stands in the body."""
        item = {"pk": self.pk, "m": self.mark}
        match self.kind:
            case "mistake":
                return BAD[self.version % len(BAD)][1]
            case "poison":
                return {"put": item | {"poison": True}}
            case "put version":
                return {"put": item | {"v": self.version}, "table": LATEST.alias}
            case "delete version":
                return {"delete": {"pk": self.pk}, "version": self.version, "table": LATEST.alias}
            case "update" | "update if present":
                condition = {} if self.kind == "update" else {"condition": "attribute_exists(pk)"}
                return self._updated("SET u = :m", values={":m": self.marker}, **condition)
            case "add":
                return self._updated("ADD #n :one", names={"#n": self.counter}, values={":one": 1})
        return self._native if self.is_native else self._plain

    def _updated(self, expression: str, **more: Any) -> Any:
        return {"update": {"pk": self.pk}, "expression": expression, **more}

    @property
    def _plain(self) -> Any:
        if self.kind == "delete":
            return {"delete": {"pk": self.pk}}
        condition = {"condition": "attribute_not_exists(pk)"} if self.kind == "put if absent" else {}
        return {"put": {"pk": self.pk, "m": self.mark}, **condition}

    @property
    def _native(self) -> Any:
        if self.kind == "delete":
            return {"DeleteRequest": {"Key": {"pk": {"S": self.pk}}}}
        item = {"pk": {"S": self.pk}, "m": {"S": self.mark}}
        if self.kind == "put":
            return {"PutRequest": {"Item": item}}
        return {"Put": {"Item": item, "ConditionExpression": "attribute_not_exists(pk)"}}

    @property
    def signature(self) -> str:
        """What `watched.signatures` finds in the call that carries this operation."""
        match self.kind:
            case "delete":
                return f"delete {self.pk}"
            case "delete version":
                return f"delete {self.pk} older than {self.version}"
        return self.mark

    def applied_to(self, state: State) -> State:
        """What DynamoDB makes of the item, by the operation's own meaning."""
        item = frozenset({("pk", self.pk), ("m", self.mark)})
        match self.kind:
            case "put":
                return item
            case "delete":
                return None
            case "put if absent":
                return item if state is None else state
            case "update if present" if state is None:
                return None
            case "update" | "update if present":
                kept = {(name, text) for name, text in state or {("pk", self.pk)} if name != "u"}
                return frozenset({*kept, ("u", self.marker)})
            case "add":
                return frozenset({*(state or {("pk", self.pk)}), (self.counter, "1")})
        if state is not None and int(dict(state)["v"]) >= self.version:
            return state
        return item | {("v", str(self.version))} if self.kind == "put version" else None


@dataclass(frozen=True)
class Sent:
    """A message on the queue, and its operations in the order of its body."""

    id: str
    group: str
    writes: Sequence[Write]

    @cached_property
    def to_be_sent(self) -> Sequence[Write]:
        """The operations that no later one of the same message makes superfluous."""
        return [
            write
            for position, write in enumerate(self.writes, 1)
            if write.kind != "mistake" and not is_superseded(write, self.writes[position:])
        ]


def body(writes: Sequence[Write]) -> str:
    return as_json(writes[0].json if len(writes) == 1 else [write.json for write in writes])


def is_superseded(write: Write, later: Sequence[Write]) -> bool:
    return any(other.replaces_everything and other.place == write.place for other in later)
