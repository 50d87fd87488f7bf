"""Which states items have had, and when: what is skipped because it stood there must have stood there.

A write takes effect at some time between the beginning and the end of its call, so a state is taken to have been there
from the beginning of its own call to the end of the next one.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Hashable
from typing import Any, NamedTuple

State = Any
"""None for an item that is not there."""


class _Written(NamedTuple):
    began: float
    ended: float
    state: State


class Past:
    """Of all items, as far as they were written through the injector; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._written: dict[Hashable, list[_Written]] = {}

    def wrote(self, key: Hashable, state: State, began: float, ended: float) -> None:
        """To be called in the order of the writes."""
        with self._lock:
            self._written.setdefault(key, []).append(_Written(began, ended, state))

    def was_written(self, key: Hashable, states: Collection[State], since: float) -> bool:
        """Whether one of these states was written since then."""
        with self._lock:
            return any(each.ended >= since and each.state in states for each in self._written.get(key, ()))

    def was_there(self, key: Hashable, states: Collection[State], since: float) -> bool:
        """Whether the item was in one of these states at some time since then."""
        with self._lock:
            written = self._written.get(key, [])
            ends = [*(each.ended for each in written), float("inf")]
            before = [None, *(each.state for each in written)]
            return any(end >= since and state in states for end, state in zip(ends, before, strict=True))
