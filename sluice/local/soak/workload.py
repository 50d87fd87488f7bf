"""A seeded producer: messages in every form that the contract knows, good and bad, and what is to come of them.

A new way to write is one more line of `_step`, a new form one more text in `operations.texts`, a new kind of bad
operation one more line of `bad.BAD`.

Conditions keep to what moto gets right. It takes an attribute that is not there for one that is NULL, so that
`absent = :null` holds and `absent <> :x` too; it fails with an error of its own, or answers by Python's rules, where
two types are compared; and it knows no ClientRequestToken, so that updates that are not idempotent cannot be judged.
"""

from __future__ import annotations

import base64
import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from sluice.local.faults.requests import Item

from .bad import BAD, UNREADABLE
from .model import Chain, Key, Message, State, canonical
from .operations import Condition, TableOf, Write, texts

BAD_SHARE = 0.08
"""Share of the messages that hold something bad."""
SUPERSEDED_SHARE = 0.1
"""Share of the operations that stand behind another one on the same item in the same message."""
ROUND = 10
"""Messages that are made together; the entries of one SendMessageBatch (its API reference)."""
CHAINS = 60
"""Items, at most, that one round of messages writes."""
DEVICES = 40
"""Partition keys of the table with a sort key."""
REPEATS = (2, 3, 4)
"""Steps of an item of a table that is read first."""
STEPS: Mapping[tuple[int, ...], int] = {(1,): 70, (1, 1): 12, (1, 1, 1, 1): 6, (3, 1): 6, (1, 2, 1): 6}
"""How many messages each step of an item has, and the weight of that: most are written once, a few raced for."""

ORDERS = TableOf("soak-orders", "orders", (("order", "S"),))
READINGS = TableOf("soak-readings", "readings", (("device", "S"), ("at", "N")))
STOCK = TableOf("soak-stock", "stock", (("article", "S"),), version="version")
FEED = TableOf("soak-feed", "feed", (("sku", "S"),), skips=True)
PRICES = TableOf("soak-prices", "prices", (("offer", "S"),), version="version", skips=True)
TABLES = (ORDERS, READINGS, STOCK, FEED, PRICES)
"""The first is the default table."""
WEIGHTS = (4, 4, 1, 2, 1)
"""How often each of them is written to."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A write, what may be seen of its item when it is acknowledged, and the kind that it is counted as."""

    write: Write
    states: Sequence[State]
    kind: str
    error_code: str | None = None
    """Of the dead letter, where it calls for one."""


# One class, for all of it draws from one source of chance, in one order: that is what makes it the same for a seed.
class Workload:
    """Makes messages: the same ones for the same seed and the same course of events.

    With `reports_conditions` a condition that does not hold is to be dead-lettered (ON_CONDITION_FAILED).
    """

    def __init__(self, seed: int, *, reports_conditions: bool = False) -> None:
        self.kinds: Counter[str] = Counter()
        """How many of the operations are what."""
        self._reports_conditions = reports_conditions
        self._chance = Random(f"workload {seed}")
        self._numbers = itertools.count(1)
        self._serials = itertools.count(1)
        self._plans: dict[Key, list[list[Planned]]] = {}
        self._keys: dict[Key, Item] = {}

    def messages(self, ready: Sequence[Chain], *, with_new: bool) -> list[Message]:
        """Messages for the next step of the chains that are ready and, if wanted, for the first step of new ones."""
        new = range(max(0, CHAINS - len(ready)) if with_new else 0)
        slots: list[list[tuple[Chain, Planned]]] = [[] for _ in range(ROUND - 1)]
        for chain in [*ready, *(self._new_chain() for _ in new)]:
            plan = self._plans[chain.key][chain.step]
            for slot, planned in zip(self._chance.sample(slots, len(plan)), plan, strict=True):
                slot.append((chain, planned))
        messages = [self._message(slot) for slot in slots if slot]
        return [*messages, *(self._unreadable() if messages else [])]

    def key_attributes(self, key: Key) -> Item:
        """The key as it was written, in DynamoDB JSON."""
        return self._keys[key]

    def _new_chain(self) -> Chain:
        [table] = self._chance.choices(TABLES, WEIGHTS)
        key = self._new_key(table)
        if table.version is not None:
            return self._versions(table, key)
        if table.skips:
            return self._repeats(table, key)
        [sizes] = self._chance.choices(list(STEPS), list(STEPS.values()))
        plan: list[list[Planned]] = []
        steps: list[list[State]] = []
        before: list[Item | None] = [None]
        for position, size in enumerate(sizes):
            # Deleted in the end; perhaps it has never been there.
            is_deleted = position == len(sizes) - 1 and self._chance.random() < 0.15
            step, before = self._step(table, key, size, before, is_deleted=is_deleted)
            plan.append(step)
            steps.append([state_of(item) for item in before])
        self._plans[table.key_of(key)] = plan
        return Chain(table.key_of(key), steps)

    def _new_key(self, table: TableOf) -> Item:
        serial = next(self._serials)
        if table is READINGS:
            key: Item = {"device": {"S": f"device-{self._chance.randrange(DEVICES)}"}, "at": {"N": str(serial)}}
        else:
            ((name, _),) = table.key
            key = {name: {"S": f"{name}-{serial}"}}
        self._keys[table.key_of(key)] = key
        return key

    def _step(
        self, table: TableOf, key: Item, size: int, before: list[Item | None], *, is_deleted: bool
    ) -> tuple[list[Planned], list[Item | None]]:
        """What the messages of a step write, and the items that they may leave behind."""
        chance = self._chance
        if size > 1:
            items = [self._item(key) for _ in range(size)]
            condition = None
            if before == [None] and not self._reports_conditions and chance.random() < 0.5:
                condition = Condition("attribute_not_exists(#key)", {"#key": table.key[0][0]})  # The first one wins.
            states = [state_of(item) for item in items]
            kind = "puts" if condition is None else "puts of which only the first finds its condition to hold"
            return [Planned(Write(table, key, item, None, condition), states, kind) for item in items], [*items]
        item = None if is_deleted else self._item(key)
        write, kind = Write(table, key, item), "deletes" if is_deleted else "puts"
        if len(before) > 1 or chance.random() < 0.7:
            return [Planned(write, [state_of(item)], kind)], [item]
        if chance.random() < 0.4:
            if chance.random() < 0.3 and not is_deleted:
                kind = "conditional updates"
                write, item = self._update(write, before[0])
            condition = self._condition(table, before[0], holds=True, mark=(item or {}).get("mark"))
            conditional = replace(write, condition=condition)
            return [Planned(conditional, [state_of(item)], f"{kind} whose condition holds")], [item]
        if chance.random() < 0.5 and not is_deleted:
            write, item = self._update(write, before[0])
            return [Planned(write, [state_of(item)], "updates")], [item]
        return [self._refused(write, before[0])], before

    def _update(self, write: Write, before: Item | None) -> tuple[Write, Item]:
        """An update in place of a put, and what it leaves behind: sent again, it changes nothing."""
        assert write.item is not None
        sets = {name: value for name, value in write.item.items() if name not in write.key}
        return replace(write, item=None, sets=sets), {**(before or write.key), **sets}

    def _refused(self, write: Write, before: Item | None) -> Planned:
        """A write that must change nothing."""
        if write.item is None and before is None:  # That looks the same if it is not there because it was deleted.
            write = replace(write, item=self._item(write.key))
        kind = "deletes" if write.item is None else "puts"
        # An update that fails and was delivered before is not reported: it may have been what made its condition fail.
        if write.item is not None and not self._reports_conditions and self._chance.random() < 0.3:
            (write, _), kind = self._update(write, before), "updates"
        write = replace(write, condition=self._condition(write.table, before, holds=False))
        code = "ConditionFailed" if self._reports_conditions else None
        return Planned(write, [state_of(before)], f"{kind} whose condition does not hold", code)

    def _condition(
        self, table: TableOf, stored: Item | None, *, holds: bool, mark: dict[str, Any] | None = None
    ) -> Condition:
        """A condition on the item that is stored. One that holds may fail once its write, with `mark`, is done."""
        names, state, number = {"#key": table.key[0][0]}, {"#state": "state"}, {"#mark": "mark"}
        exists, is_new = Condition("attribute_exists(#key)", names), Condition("attribute_not_exists(#key)", names)
        strange: Item = {":state": {"S": "no such state"}}
        if stored is None:
            missing = Condition("#mark < :mark", number, {":mark": {"N": "1E20"}})
            return (
                is_new
                if holds
                else self._chance.choice([exists, missing, Condition("#state = :state", state, strange)])
            )
        if holds:
            known: Item = {":state": stored["state"]}
            conditions = [
                exists,
                Condition("#state = :state", state, known),
                Condition("NOT #state = :state", state, strange),
                Condition("#state IN (:other, :state)", state, {**known, ":other": {"S": "other"}}),
                Condition(
                    "begins_with(#state, :start) AND size(#state) > :size",
                    state,
                    {":start": {"S": "state-"}, ":size": {"N": "6"}},
                ),
                Condition("#mark BETWEEN :from AND :to", number, {":from": {"N": "0.5"}, ":to": stored["mark"]}),
            ]
            if mark is not None:  # As numbers, not as text: 9 < 10.
                conditions.append(Condition("#mark < :mark", number, {":mark": {"N": f"{mark['N']}.0"}}))
            return self._chance.choice(conditions)
        return self._chance.choice(
            [
                is_new,
                Condition("#state = :state", state, strange),
                Condition("#state <> :state", state, {":state": stored["state"]}),
                Condition("#mark < :mark", number, {":mark": stored["mark"]}),
                Condition("#mark > :mark AND attribute_exists(#key)", {**number, **names}, {":mark": {"N": "1E20"}}),
            ]
        )

    def _repeats(self, table: TableOf, key: Item) -> Chain:
        """An item that is sent again and again, mostly as it stands; now and then two messages race for it."""
        chance = self._chance
        plan: list[list[Planned]] = []
        steps: list[list[State]] = []
        before: list[Item | None] = [None]
        for left in range(chance.choice(REPEATS), 0, -1):
            roll, stands = chance.random(), self._as_it_stands(Write(table, key, before[-1]))
            after: list[Item | None] = [before[-1]]
            if roll < 0.6:
                writes, kind = [stands], "writes of what stands there"
            elif roll < 0.75 and left > 1:
                after = [before[-1], self._item(key)]
                writes, kind = [stands, Write(table, key, after[-1])], "writes of what stands there, and others beside"
            else:
                after = [None if roll > 0.9 else self._item(key)]
                writes, kind = [Write(table, key, after[-1])], "writes of something else to what is read first"
            steps.append([state_of(item) for item in after])
            plan.append([Planned(write, steps[-1], kind) for write in writes])
            before = after
        self._plans[table.key_of(key)] = plan
        return Chain(table.key_of(key), steps)

    def _as_it_stands(self, write: Write) -> Write:
        """A put of the same item, written otherwise: numbers with another zero, sets in another order."""
        if write.item is None or self._chance.random() < 0.5:
            return write
        respelled = {"mark": {"N": f"{write.item['mark']['N']}.0"}}
        respelled |= {
            name: {kind: each[kind][::-1]} for name, each in write.item.items() for kind in each if kind in ("SS", "NS")
        }
        return replace(write, item={**write.item, **respelled})

    def _versions(self, table: TableOf, key: Item) -> Chain:
        """Versions of one item in any order, some of them twice: only the newest may be left in the end."""
        chance = self._chance
        assert table.version is not None
        base = chance.choice([0, 5, 10**20])  # 9 < 10 as numbers only; 20 digits are more than a float tells apart.
        puts: list[tuple[int, Item]] = []
        for _ in range(chance.choice([1, 2, 3, 4])):
            number = base + chance.randrange(1, 9)
            puts.append(
                (number, {**self._item(key), table.version: {"N": chance.choice([f"{number}", f"{number}.0"])}})
            )
        if chance.random() < 0.3:
            puts.append(chance.choice(puts))
        newest = max(number for number, _ in puts)
        deletes = [base + chance.randrange(0, newest - base)] if chance.random() < 0.25 else []
        every: list[State] = [*(state_of(item) for _, item in puts), *([None] if deletes else [])]
        step: list[Planned] = []
        for number, item in puts:
            # A put that comes late restores what a delete took away before: only the newest is safe from that.
            can_vanish = any(delete > number for delete in deletes)
            states = every if can_vanish else [state_of(other) for version, other in puts if version >= number]
            own = Condition("attribute_not_exists(#closed)", {"#closed": "closed"}) if chance.random() < 0.2 else None
            step.append(Planned(Write(table, key, item, None, own), states, "puts of some version"))
        step += [Planned(Write(table, key, None, version=str(n)), every, "deletes of older versions") for n in deletes]
        chance.shuffle(step)
        plan, steps = [step], [every]
        final = [state_of(item) for number, item in puts if number == newest]
        if chance.random() < 0.15:
            last = Write(table, key, None, version=str(newest + 1))
            plan.append([Planned(last, [None], "deletes of older versions")])
            steps.append([None])
            final = [None]
        self._plans[table.key_of(key)] = plan
        return Chain(table.key_of(key), steps, final)

    def _item(self, key: Item, *, is_whole: bool = False) -> Item:
        """An item with some of the attributes that there are, or `is_whole` with every one."""
        chance = self._chance
        serial = next(self._serials)
        item: Item = {**key, "state": {"S": f"state-{serial}"}, "mark": {"N": str(serial)}}
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
        item |= dict(chance.sample(more, len(more) if is_whole else chance.randrange(4)))
        if is_whole:
            item["padding"] = {"S": ""}
        elif chance.random() < 0.05:
            item["padding"] = {"S": "x" * chance.choice([1_000, 4_000, 30_000])}
        return item

    def _message(self, slot: Sequence[tuple[Chain, Planned]], group: str | None = None) -> Message:
        chance = self._chance
        number = next(self._numbers)
        by_item: dict[Key, list[tuple[str | None, str]]] = {}
        for chain, planned in slot:
            self.kinds[planned.kind] += 1
            said = [*self._superseded(planned.write), self._said(planned.write)]
            elements = [*((None, text) for text in said[:-1]), (planned.error_code, said[-1])]
            by_item.setdefault(chain.key, []).extend(elements)
        # The operations on one item stay in their order.
        runs = list(by_item.values())
        runs += [[(code, text)] for code, text in self._bad_texts(number)]
        chance.shuffle(runs)
        elements = [element for run in runs for element in run]
        said = [text for _, text in elements]
        body = said[0] if len(said) == 1 and chance.random() < 0.8 else f"[{','.join(said)}]"
        codes = [code for code, _ in elements if code is not None]
        wrong = [text for code, text in elements if code is not None]
        return Message(
            number,
            body,
            len(elements),
            tuple((chain, planned.states) for chain, planned in slot),
            codes[0] if codes else None,
            body if len(wrong) == len(elements) else f"[{','.join(wrong)}]",
            group,
            tuple(
                (chain, state_of(planned.write.item))
                for chain, planned in slot
                if planned.write.table.skips and planned.write.is_unconditional
            ),
        )

    def _unreadable(self, group: str | None = None) -> list[Message]:
        """Now and then a message that is no JSON."""
        if self._chance.random() >= BAD_SHARE * ROUND / 4:
            return []
        body = self._chance.choice(UNREADABLE)
        return [Message(next(self._numbers), body, 1, error_code="InvalidJson", dead_letter=body, group=group)]

    def _said(self, write: Write) -> str:
        return self._chance.choice(list(texts(write, is_default=write.table is TABLES[0])))

    def _superseded(self, write: Write) -> list[str]:
        """Perhaps an operation on the same item, its number key spelled otherwise, that must not survive."""
        if not write.is_unconditional or self._chance.random() >= SUPERSEDED_SHARE:
            return []
        key = {name: {"N": f"{value['N']}.0"} if "N" in value else value for name, value in write.key.items()}
        earlier = Write(write.table, key, self._item(key))
        kind = self._chance.choice(["put", "put", "conditional put", "update"])
        if kind == "update":
            earlier, _ = self._update(earlier, None)
        if kind == "conditional put":
            earlier = replace(earlier, condition=self._condition(write.table, None, holds=self._chance.random() < 0.5))
        return [self._said(earlier)]

    def _bad_texts(self, number: int) -> list[tuple[str, str]]:
        chance = self._chance
        if chance.random() >= BAD_SHARE:
            return []
        kinds = chance.sample(BAD, chance.choice([1, 1, 2]))
        return [(code, text(f"bad-{number}")) for code, text in kinds]


def state_of(item: Item | None) -> State:
    return None if item is None else canonical(item)
