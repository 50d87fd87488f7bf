"""What producers send: seeded messages on few items, and what each operation means to the model."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Literal

import msgspec

from sluice.message.settings import KeyAttribute, Table

PLAIN = Table("plain", "plain-table", KeyAttribute("pk", "S"))
LATEST = Table("latest", "latest-table", KeyAttribute("pk", "S"), version="v")
COUNTS = Table("counts", "counts-table", KeyAttribute("pk", "S"))
"""Only counted up: so the number at the end tells how often."""
FEED = Table("feed", "feed-table", KeyAttribute("pk", "S"), skip_unchanged=True)
"""Few contents again and again."""
TABLES = (PLAIN, LATEST, COUNTS, FEED)
CONTENTS = 4
"""Two numbers, each alone and with another attribute."""

Kind = Literal[
    "put", "delete", "put if absent", "delete if older", "update", "update if there", "add", "put version",
    "delete version", "mistake", "poison", "feed put", "feed delete",
]  # fmt: skip
Signature = int | tuple[str, ...]
"""What a request shows of the operation that it carries: its number, or where it has none (a delete), its item."""
Place = tuple[str, str]
"""A table's name and a partition key."""

KINDS: Sequence[tuple[Kind, float]] = (
    ("put", 48), ("delete", 8), ("put if absent", 5), ("delete if older", 3), ("update", 6), ("update if there", 3),
    ("add", 7), ("put version", 13), ("delete version", 3), ("mistake", 2), ("poison", 1.5),
    ("feed put", 16), ("feed delete", 3),
)  # fmt: skip
MISTAKES: Sequence[tuple[str, str]] = (
    ("MissingKey", '{"put":{"m":1}}'),
    ("EmptyKey", '{"delete":{"pk":""}}'),
    ("UnknownTable", '{"put":{"pk":"a"},"table":"nowhere"}'),
    ("UnknownOperation", '{"replace":{"pk":"a"}}'),
    ("KeyTypeMismatch", '{"put":{"pk":1}}'),
    ("UnexpectedKeyAttribute", '{"delete":{"pk":"a","m":1}}'),
    ("MissingVersion", '{"delete":{"pk":"a"},"table":"latest"}'),
    ("InvalidNumber", '{"put":{"pk":"a","n":1' + "1" * 39 + "}}"),
)
UNREADABLE = ("InvalidJson", '{"put":{"pk":"a"')
MAX_VERSION_LAG = 300
"""A version is that of its turn, give or take so much: newer ones come first now and then."""
PACKED = (2, 3, 5, 12)


class Operation:
    __slots__ = ("code", "key", "kind", "message", "number", "place", "proof", "signature", "table", "text", "version")

    def __init__(self, number: int, kind: Kind, table: Table, key: str, version: int, text: str, code: str) -> None:
        self.number, self.kind, self.key, self.version, self.text = number, kind, key, version, text
        self.table = table
        self.code = code
        """Of its dead letter; empty for a good operation."""
        self.place: Place = (table.name, key)
        self.signature: Signature = number
        if kind == "delete":
            self.signature = ("delete", *self.place)
        elif kind == "delete version":
            self.signature = ("delete", *self.place, str(version))
        elif kind == "feed put":
            self.signature = ("feed", *self.place, str(version))
        elif kind == "feed delete":
            self.signature = ("delete", *self.place)
        self.proof: Signature = number if table is FEED else self.signature
        """By what it is known to be done: on the feed other operations look just like it."""
        self.message: Message

    @property
    def replaces_everything(self) -> bool:
        return self.kind in ("put", "delete", "poison", "feed put", "feed delete")

    def __repr__(self) -> str:
        version = f" v{self.version}" if self.version else ""
        return f"{self.number} {self.kind} {self.table.alias} {self.key}{version}"


class Message:
    __slots__ = (
        "bad", "body", "group", "id", "is_acknowledged", "is_readable", "number_in_group", "operations", "queue_entry",
        "receipt", "receives", "visible_at",
    )  # fmt: skip

    def __init__(self, id: str, group: str, operations: Sequence[Operation], body: str) -> None:
        self.id, self.group, self.operations, self.body = id, group, operations, body
        unreadable = [operation for operation in operations if operation.text is UNREADABLE[1]]
        self.is_readable = not unreadable
        if unreadable:  # Then it counts as one operation.
            self.operations = unreadable[:1]
        self.bad = [operation for operation in self.operations if operation.code]
        self.receives, self.receipt, self.visible_at, self.queue_entry = 0, "", 0.0, 0
        self.number_in_group = 0
        self.is_acknowledged = False
        for operation in operations:
            operation.message = self


@dataclass(frozen=True, slots=True)
class Load:
    """How a seed's messages are drawn."""

    keys: int
    """Of each table, or on a FIFO queue of each table and group."""
    groups: int
    """0: a standard queue."""
    packed: float
    """Share of messages with several operations."""
    kinds: Mapping[Kind, float]

    @classmethod
    def drawn(cls, random: Random) -> Load:
        is_fifo = random.random() < 0.3
        emphasis = {kind: weight * random.choice((0.3, 1, 1, 3)) for kind, weight in KINDS}
        emphasis["put"] = max(emphasis["put"], 40)
        return cls(
            keys=random.choice((3, 8)) if is_fifo else random.choice((10, 100, 2000)),
            groups=random.choice((4, 25, 60)) if is_fifo else 0,
            packed=random.choice((0.0, 0.05, 0.2)),
            kinds=emphasis,
        )


class Workload:
    """Makes messages one after the other; keeps every operation, for the model."""

    def __init__(self, random: Random, load: Load) -> None:
        self._random, self._load = random, load
        self._kinds, weights = list(load.kinds), list(load.kinds.values())
        self._weights = [sum(weights[: n + 1]) for n in range(len(weights))]
        self.messages: list[Message] = []
        self.operations: list[Operation] = []
        self.by_id: dict[str, Message] = {}
        self._in_group: dict[str, int] = {}

    def next(self) -> Message:
        random, load = self._random, self._load
        group = f"g{int(random.random() * load.groups)}" if load.groups else ""
        count = random.choice(PACKED) if random.random() < load.packed else 1
        operations = [self._operation(group) for _ in range(count)]
        texts = [operation.text for operation in operations]
        body = texts[0] if count == 1 else f"[{','.join(texts)}]"
        message = Message(f"m{len(self.messages)}", group, operations, body)
        message.number_in_group = self._in_group[group] = self._in_group.get(group, -1) + 1
        self.messages.append(message)
        self.by_id[message.id] = message
        return message

    def _operation(self, group: str) -> Operation:
        random, number = self._random, len(self.operations)
        [kind] = random.choices(self._kinds, cum_weights=self._weights)
        # The lower a key, the more often it is drawn.
        key = f"{group}k{int(self._load.keys * random.random() ** 2)}"
        version, code = 0, ""
        table = _TABLE_OF.get(kind, PLAIN)
        if kind in ("put version", "delete version"):
            version = max(1, number + int(random.random() * 2 * MAX_VERSION_LAG) - MAX_VERSION_LAG)
        elif kind == "feed put":
            version = int(CONTENTS * random.random() ** 2)
        if kind == "mistake":
            code, text = random.choice((*MISTAKES, UNREADABLE))
        else:
            text = _TEXT[kind](key, number, version)
            if kind == "put" and random.random() < 0.05:
                text = _native(key, number)
            elif kind == "put" and random.random() < 0.03:
                text = f'{{"put":{{"pk":"{key}","m":{number},"p":"{"x" * int(random.random() * 4000)}"}}}}'
        if kind == "poison":
            code = "RejectedByDynamoDB"
        operation = Operation(number, kind, table, key, version, text, code)
        self.operations.append(operation)
        return operation


def _native(key: str, number: int) -> str:
    return f'{{"PutRequest":{{"Item":{{"pk":{{"S":"{key}"}},"m":{{"N":"{number}"}}}}}}}}'


_MORE = ',"t":1'
_TABLE_OF: Mapping[Kind, Table] = {"add": COUNTS, "put version": LATEST, "delete version": LATEST,
                                     "feed put": FEED, "feed delete": FEED}  # fmt: skip
_TEXT: Mapping[Kind, Callable[[str, int, int], str]] = {
    "put": lambda k, n, _: f'{{"put":{{"pk":"{k}","m":{n}}}}}',
    "poison": lambda k, n, _: f'{{"put":{{"pk":"{k}","m":{n},"poison":true}}}}',
    "delete": lambda k, *_: f'{{"delete":{{"pk":"{k}"}}}}',
    "put if absent": lambda k, n, _: f'{{"put":{{"pk":"{k}","m":{n}}},"condition":"attribute_not_exists(pk)"}}',
    "delete if older": lambda k, n, _: f'{{"delete":{{"pk":"{k}"}},"condition":"m < :m","values":{{":m":{n}}}}}',
    "update": lambda k, n, _: f'{{"update":{{"pk":"{k}"}},"expression":"SET u = :m","values":{{":m":{n}}}}}',
    "update if there": lambda k, n, _: (
        f'{{"update":{{"pk":"{k}"}},"expression":"SET u = :m","condition":"attribute_exists(pk)",'
        f'"values":{{":m":{n}}}}}'
    ),
    "add": lambda k, n, _: (
        f'{{"update":{{"pk":"{k}"}},"expression":"ADD c :one SET m = :m","values":{{":m":{n},":one":1}},'
        f'"table":"counts"}}'
    ),
    "put version": lambda k, n, v: f'{{"put":{{"pk":"{k}","m":{n},"v":{v}}},"table":"latest"}}',
    "delete version": lambda k, _, v: f'{{"delete":{{"pk":"{k}"}},"version":{v},"table":"latest"}}',
    # Of one content in two spellings.
    "feed put": lambda k, n, v: (
        f'{{"put":{{"pk":"{k}","s":{v // 2}{".0" if n % 2 else ""}{_MORE if v % 2 else ""}}},"table":"feed"}}'
    ),
    "feed delete": lambda k, *_: f'{{"delete":{{"pk":"{k}"}},"table":"feed"}}',
}

State = dict[str, int] | None
"""What an item holds besides its key and what only makes it large."""


def applied(operation: Operation, state: State) -> State:
    """What the operation makes of its item, by its own meaning."""
    number = operation.number
    match operation.kind:
        case "put":
            return {"m": number}
        case "delete" | "feed delete":
            return None
        case "feed put":
            return {"s": operation.version // 2, **({"t": 1} if operation.version % 2 else {})}
        case "put if absent":
            return {"m": number} if state is None else state
        case "delete if older":
            return None if state is not None and state.get("m", math.inf) < number else state
        case "update":
            return {**(state or {}), "u": number}
        case "update if there":
            return None if state is None else {**state, "u": number}
        case "add":
            return {"m": number, "c": (state or {}).get("c", 0) + 1}
        case "put version" | "delete version":
            if state is not None and state["v"] >= operation.version:
                return state
            return {"m": number, "v": operation.version} if operation.kind == "put version" else None
    return state


def texts_of(body: str) -> list[Any]:
    """The operations of a dead letter's body, parsed."""
    found = msgspec.json.decode(body)
    return found if isinstance(found, list) else [found]
