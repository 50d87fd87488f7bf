"""What is sent to a FIFO queue: in each message group, writes whose order decides what is left in the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from sluice.local.faults.requests import Item

from .model import Chain, Message, State
from .operations import Condition, Write
from .workload import FEED, ORDERS, READINGS, ROUND, Planned, Workload, state_of

GROUPS = 12
ITEMS = 8
"""Items of a group; few, so that each is written again and again."""
RENEWED_SHARE = 0.02
"""Share of the writes whose item is then given up for a new one."""


@dataclass(slots=True)
class _Item:
    """An item of one group, and all states that it goes through."""

    chain: Chain
    write: Write
    """Its key, and no more."""
    states: list[State]
    final: list[State]
    now: Item | None = None
    allowed: list[list[State]] = field(default_factory=list)
    """For each message so far, the states that its item may have when it is acknowledged; later ones are added."""


class OrderedWorkload(Workload):
    """Messages of several groups, each group with items of its own.

    A message that was applied and not acknowledged is applied again, and with it all that came after it in its group.
    That may change nothing, so a condition here never depends on what later messages do: it holds always, or never, or
    only for the first write of an item. And an update sets every attribute that there is, for it may meet what later
    messages have left.
    """

    def __init__(self, seed: int, *, reports_conditions: bool = False) -> None:
        super().__init__(seed, reports_conditions=reports_conditions)
        self._groups = {f"group-{n}": [self._new_item() for _ in range(ITEMS)] for n in range(GROUPS)}

    def messages(self, ready: Sequence[Chain], *, with_new: bool) -> list[Message]:
        """The next messages of some groups, if `with_new`; the last state of an item is whatever was sent last."""
        assert not ready  # Every item has one step, which never ends.
        if not with_new:
            return []
        messages: list[Message] = []
        for group in self._chance.choices(list(self._groups), k=ROUND - 1):
            chosen = self._chance.sample(range(ITEMS), self._chance.choice([1, 1, 2, 3]))
            slot = [effect for number in chosen for effect in self._effects(self._groups[group], number)]
            messages.append(self._message(slot, group))
        return [*messages, *self._unreadable(self._chance.choice(list(self._groups)))]

    def _effects(self, items: list[_Item], number: int) -> list[tuple[Chain, Planned]]:
        """One write to an item, or a put and then an update of it."""
        item = items[number]
        writes = [self._next(item)]
        if writes[0].write.is_unconditional and writes[0].write.item is not None and self._chance.random() < 0.2:
            writes.append(self._change(item, self._update(self._put(item, is_whole=True), item.now), "updates"))
        if self._chance.random() < RENEWED_SHARE:
            items[number] = self._new_item()
        return [(item.chain, planned) for planned in writes]

    def _next(self, item: _Item) -> Planned:
        put, names = self._put(item), {"#key": item.write.table.key[0][0]}
        # Not where it would be reported: applied, overwritten by a later message and then delivered again, it fails in
        # earnest, for what it wrote is no longer there to be recognised.
        if len(item.states) == 1 and not self._reports_conditions:
            first = Condition("attribute_not_exists(#key)", names)
            return self._change(item, (replace(put, condition=first), put.item), "puts of what is not there yet")
        chance = self._chance.random()
        if item.write.table.skips and chance < 0.5:
            stands = self._as_it_stands(replace(item.write, item=item.now))
            return self._change(item, (stands, item.now), "writes of what stands there")
        chance = self._chance.random()
        if chance < 0.15:
            return self._change(item, (item.write, None), "deletes")
        if chance < 0.4:
            return self._change(item, self._update(self._put(item, is_whole=True), item.now), "updates")
        if chance < 0.5:
            never = Condition("#state = :state", {"#state": "state"}, {":state": {"S": "no such state"}})
            code = "ConditionFailed" if self._reports_conditions else None
            refused = (replace(put, condition=never), item.now)
            return self._change(item, refused, "puts whose condition does not hold", code)
        if chance < 0.6:
            always = Condition("attribute_not_exists(#closed)", {"#closed": "closed"})
            return self._change(item, (replace(put, condition=always), put.item), "puts whose condition holds")
        return self._change(item, (put, put.item), "puts")

    def _put(self, item: _Item, *, is_whole: bool = False) -> Write:
        return replace(item.write, item=self._item(item.write.key, is_whole=is_whole))

    def _change(self, item: _Item, change: tuple[Write, Item | None], kind: str, code: str | None = None) -> Planned:
        """Enter what the item will be, also as what may be seen of it when earlier messages are acknowledged."""
        write, item.now = change
        state = state_of(item.now)
        item.states.append(state)
        item.final[:] = [state]
        item.allowed.append([])
        for states in item.allowed:
            states.append(state)
        return Planned(write, item.allowed[-1], kind, code)

    def _new_item(self) -> _Item:
        table = self._chance.choice([ORDERS, READINGS, FEED])
        key = self._new_key(table)
        states: list[State] = [None]
        final: list[State] = [None]
        return _Item(Chain(table.key_of(key), [states], final), Write(table, key, None), states, final)
