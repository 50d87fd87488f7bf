"""A seeded producer: messages in every form that the contract knows, good and bad, and what is to come of them.

A new form of write is one more text in `_texts`, a new kind of bad operation one more line of `_BAD`.
"""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from .model import Chain, Key, Message, canonical
from .requests import Item

BAD_SHARE = 0.08
"""Share of the messages that hold something bad."""
SUPERSEDED_SHARE = 0.1
"""Share of the operations that stand behind another one on the same item in the same message."""
ROUND = 10
"""Messages that are made together; the entries of one SendMessageBatch (its API reference)."""
CHAINS = 70
"""Items, at most, that one round of messages writes."""
DEVICES = 40
"""Partition keys of the table with a sort key."""
STEPS: Mapping[tuple[int, ...], int] = {(1,): 70, (1, 1): 12, (1, 1, 1, 1): 6, (3, 1): 6, (1, 2, 1): 6}
"""How many messages each step of an item has, and the weight of that: most are written once, a few raced for."""


@dataclass(frozen=True, slots=True)
class TableOf:
    """One of the tables that are written to."""

    name: str
    alias: str
    key: tuple[tuple[str, str], ...]
    """Name and type of each key attribute, the partition key first."""

    def key_of(self, item: Mapping[str, Any]) -> Key:
        values = [canonical({name: item[name]})[name] for name, _ in self.key]
        return self.name, values[0], values[1] if len(values) > 1 else None


ORDERS = TableOf("soak-orders", "orders", (("order", "S"),))
READINGS = TableOf("soak-readings", "readings", (("device", "S"), ("at", "N")))
TABLES = (ORDERS, READINGS)
"""The first is the default table."""


@dataclass(frozen=True, slots=True)
class _Write:
    """An operation before it is put into words: a put, or a delete where there is no item."""

    table: TableOf
    key: Item
    item: Item | None


class Workload:
    """Makes messages: the same ones for the same seed and the same course of events."""

    def __init__(self, seed: int) -> None:
        self._chance = Random(f"workload {seed}")
        self._numbers = itertools.count(1)
        self._serials = itertools.count(1)
        self._plans: dict[Key, list[list[_Write]]] = {}

    def messages(self, ready: Sequence[Chain], *, with_new: bool) -> list[Message]:
        """Messages for the next step of the chains that are ready and, if wanted, for the first step of new ones."""
        new = range(max(0, CHAINS - len(ready)) if with_new else 0)
        slots: list[list[tuple[Chain, _Write]]] = [[] for _ in range(ROUND - 1)]
        for chain in [*ready, *(self._new_chain() for _ in new)]:
            writes = self._plans[chain.key][chain.step]
            for slot, write in zip(self._chance.sample(slots, len(writes)), writes, strict=True):
                slot.append((chain, write))
        messages = [self._message(slot) for slot in slots if slot]
        if messages and self._chance.random() < BAD_SHARE * ROUND / 4:
            number, body = next(self._numbers), self._chance.choice(_UNREADABLE)
            messages.append(Message(number, body, 1, error_code="InvalidJson", dead_letter=body))
        return messages

    def key_attributes(self, key: Key) -> Item:
        """The key as it was written, in DynamoDB JSON."""
        return self._plans[key][0][0].key

    def _new_chain(self) -> Chain:
        table = self._chance.choice(TABLES)
        serial = next(self._serials)
        if table is ORDERS:
            key: Item = {"order": {"S": f"order-{serial}"}}
        else:
            key = {"device": {"S": f"device-{self._chance.randrange(DEVICES)}"}, "at": {"N": str(serial)}}
        [sizes] = self._chance.choices(list(STEPS), list(STEPS.values()))
        plan = [[_Write(table, key, self._item(key)) for _ in range(size)] for size in sizes]
        if self._chance.random() < 0.15:
            plan[-1] = [_Write(table, key, None)]  # Deleted in the end; perhaps it has never been there.
        steps = [[None if write.item is None else canonical(write.item) for write in step] for step in plan]
        self._plans[table.key_of(key)] = plan
        return Chain(table.key_of(key), steps)

    def _item(self, key: Item) -> Item:
        chance = self._chance
        item: Item = {**key, "state": {"S": f"state-{next(self._serials)}"}}
        more: list[tuple[str, dict[str, Any]]] = [
            ("price", {"N": f"{chance.randrange(10**6)}.{chance.randrange(100):02}"}),
            ("exact", {"N": f"{chance.randrange(10**37, 10**38)}"}),
            ("tiny", {"N": f"{chance.randrange(1, 10)}.5E-{chance.randrange(20, 120)}"}),
            ("note", {"S": 'ä "quoted" \\ 𝄞 ' + "." * chance.randrange(40)}),
            ("paid", {"BOOL": chance.random() < 0.5}),
            ("nothing", {"NULL": True}),
            ("lines", {"L": [{"M": {"sku": {"S": "a"}, "n": {"N": "3"}}}, {"L": []}]}),
            ("tags", {"SS": ["red", "green"]}),
            ("sizes", {"NS": ["1", "2.5"]}),
            ("raw", {"B": base64.b64encode(chance.randbytes(12)).decode()}),
        ]
        item |= dict(chance.sample(more, chance.randrange(4)))
        if chance.random() < 0.05:
            item["padding"] = {"S": "x" * chance.choice([1_000, 4_000, 30_000])}
        return item

    def _message(self, slot: Sequence[tuple[Chain, _Write]]) -> Message:
        chance = self._chance
        number = next(self._numbers)
        good: list[list[str]] = [[*self._superseded(write), chance.choice(list(_texts(write)))] for _, write in slot]
        bad = [(code, [text]) for code, text in self._bad_texts(number)]
        groups: list[tuple[str | None, list[str]]] = [*((None, texts) for texts in good), *bad]
        chance.shuffle(groups)  # An operation and the one that it supersedes stay in their order.
        elements = [(code, text) for code, texts in groups for text in texts]
        texts = [text for _, text in elements]
        body = texts[0] if len(texts) == 1 and chance.random() < 0.8 else f"[{','.join(texts)}]"
        codes = [code for code, _ in elements if code is not None]
        wrong = [text for code, text in elements if code is not None]
        return Message(
            number,
            body,
            len(elements),
            tuple((chain, None if write.item is None else canonical(write.item)) for chain, write in slot),
            codes[0] if codes else None,
            body if len(wrong) == len(elements) else f"[{','.join(wrong)}]",
        )

    def _superseded(self, write: _Write) -> list[str]:
        """Perhaps an operation on the same item, its number key spelled otherwise, that must not survive."""
        if self._chance.random() >= SUPERSEDED_SHARE:
            return []
        key = {name: {"N": f"{value['N']}.0"} if "N" in value else value for name, value in write.key.items()}
        return [self._chance.choice(list(_texts(_Write(write.table, key, self._item(key)))))]

    def _bad_texts(self, number: int) -> list[tuple[str, str]]:
        chance = self._chance
        if chance.random() >= BAD_SHARE:
            return []
        kinds = chance.sample(_BAD, chance.choice([1, 1, 2]))
        return [(code, text(f"bad-{number}")) for code, text in kinds]


def _texts(write: _Write) -> Iterator[str]:
    """Every form in which a write may stand in a message."""
    attributes = write.key if write.item is None else write.item
    inner, native, transact, plain = (
        ("Key", "DeleteRequest", "Delete", "delete") if write.item is None else ("Item", "PutRequest", "Put", "put")
    )
    yield json.dumps({"RequestItems": {write.table.name: [{native: {inner: attributes}}]}})
    yield json.dumps({transact: {"TableName": write.table.alias, inner: attributes}}, ensure_ascii=False)
    if write.table is TABLES[0]:
        yield json.dumps({native: {inner: attributes}})
    if _is_plain(attributes.values()):
        members = ",".join(f"{json.dumps(name)}:{_plain(value)}" for name, value in attributes.items())
        yield f'{{"{plain}":{{{members}}},"table":"{write.table.alias}"}}'


def _is_plain(values: Any) -> bool:
    return all(value.keys() <= {"S", "N", "BOOL", "NULL", "L", "M"} for value in values)


def _plain(value: Mapping[str, Any]) -> str:
    """A value as ordinary JSON; a number with the very digits that it has."""
    ((kind, content),) = value.items()
    match kind:
        case "N":
            return str(content)
        case "NULL":
            return "null"
        case "L":
            return f"[{','.join(map(_plain, content))}]"
        case "M":
            return f"{{{','.join(f'{json.dumps(name)}:{_plain(inner)}' for name, inner in content.items())}}}"
    return json.dumps(content, ensure_ascii=False)


def _put(**item: Any) -> str:
    return json.dumps({"put": item})


def _native_put(**item: Any) -> str:
    return json.dumps({"PutRequest": {"Item": item}})


def _nested(order: str) -> str:
    return f'{{"put":{{"order":"{order}","deep":{"[" * 33}1{"]" * 33}}}}}'


_BAD: Sequence[tuple[str, Callable[[str], str]]] = (
    ("UnknownOperation", lambda order: json.dumps({"upsert": {"order": order}})),
    ("UnknownTable", lambda order: json.dumps({"put": {"order": order}, "table": "elsewhere"})),
    ("MissingKey", lambda order: _put(name=order)),
    ("UnexpectedKeyAttribute", lambda order: json.dumps({"delete": {"order": order, "more": 1}})),
    ("KeyTypeMismatch", lambda _: _put(order=17)),
    ("EmptyKey", lambda order: _put(order="", name=order)),
    ("KeyTooLong", lambda order: _put(order=order + "x" * 2048)),
    ("ItemTooLarge", lambda order: _put(order=order, padding="x" * 409_600)),
    ("NestingTooDeep", _nested),
    ("InvalidNumber", lambda order: f'{{"put":{{"order":"{order}","n":1{"0" * 37}.01}}}}'),
    ("InvalidNumber", lambda order: _native_put(order={"S": order}, n={"N": "1E126"})),
    ("EmptySet", lambda order: _native_put(order={"S": order}, tags={"SS": []})),
    ("DuplicateSetElement", lambda order: _native_put(order={"S": order}, sizes={"NS": ["1", "1.0"]})),
    ("InvalidAttribute", lambda order: _native_put(order={"S": order}, raw={"B": "not base64!"})),
)
_UNREADABLE = (
    '{"put": {"order": "cut sho',
    '{"put": {"order": "bad", "n": NaN}}',
    "order,price",
    r'{"put": {"order": "\ud800"}}',
)
