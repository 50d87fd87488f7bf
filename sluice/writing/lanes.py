"""The order of operations on each item. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence

from sluice.message.operation import Key, Operation

from . import plan
from .plan import Step


class Lanes:
    """What is still to be done to each item that has more than one operation: only the first step of a lane is ever on
    its way. Empty, and without work, where every item has one, unless somebody wants to know what has ended.
    """

    def __init__(self, *, within_message: bool, are_watched: bool) -> None:
        """`within_message` as for `plan.lanes`. `are_watched`: operations have lanes even where they are distinct."""
        self._within_message = within_message
        self._are_watched = are_watched
        self._steps: dict[Key, deque[Step]] = {}

    def __bool__(self) -> bool:
        return bool(self._steps)

    def add(self, operations: Sequence[Operation]) -> Sequence[Operation]:
        """Those that may go at once."""
        if not self._are_watched and not self._steps and _are_distinct(operations):
            return operations
        keys = {operation.key for operation in operations}
        if len(keys) == len(operations) and self._steps.keys().isdisjoint(keys):  # A new lane for each.
            self._steps.update({operation.key: deque((Step(operation, []),)) for operation in operations})
            return operations
        first: list[Operation] = []
        for key, steps in plan.lanes(operations, within_message=self._within_message).items():
            lane = self._steps.setdefault(key, deque())
            if not lane:
                first.append(steps[0].operation)
            lane.extend(steps)
        return first

    def end(self, operation: Operation) -> Sequence[Operation]:
        """The operation is over, whichever way; those that it superseded, which are done with it."""
        return self._steps[operation.key].popleft().superseded

    def undo(self, offender: Operation) -> None:
        """The operation turned out to be impossible: what it would have superseded is to be applied after all."""
        lane = self._steps[offender.key]
        lane.extendleft(reversed(lane.popleft().without()))

    def leave(self, operation: Operation) -> None:
        """The operation stays undone, and so does what its message does to the item after it.

        The others go on: one of them may be what it waits for.
        """
        lane = self._steps[operation.key]
        lane.popleft()
        others = [step for step in lane if step.operation.source.message_id != operation.source.message_id]
        lane.clear()
        lane.extend(others)

    def next(self, key: Key) -> Sequence[Operation]:
        """What may go now that the first step of the item is over."""
        lane = self._steps[key]
        if lane:
            return [lane[0].operation]
        del self._steps[key]  # A stream of items has no end.
        return ()


def _are_distinct(operations: Collection[Operation]) -> bool:
    return len({operation.key for operation in operations}) == len(operations)
