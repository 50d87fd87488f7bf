"""What a writer makes of an event before it is measured."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TypeVar

from tests.benchmarks.writers import Event, Make, Writer

T = TypeVar("T")


def once(make: Callable[[Event], T]) -> Callable[[Event], T]:
    """What is made of an event in its first invocation, which is not measured."""
    kept: tuple[Event, T] | None = None

    def made(event: Event) -> T:
        nonlocal kept
        if kept is None or kept[0] is not event:
            kept = (event, make(event))
        return kept[1]

    return made


def decoding(make: Make) -> Make:
    """A writer that begins where Lambda's runtime does: with the event's bytes."""

    def made() -> Writer:
        write, encoded = make(), once(json.dumps)
        return lambda event: write(json.loads(encoded(event)))

    return made
