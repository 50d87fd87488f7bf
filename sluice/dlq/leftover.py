"""What a look through a dead-letter queue has not reached, because somebody else held it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .queues import DeadLetterQueue, counts_of


@dataclass(frozen=True, slots=True)
class Leftover:
    """Letters that were there and have not been seen."""

    hidden: int = 0
    """Received by somebody else, who has neither deleted them nor let them go."""
    held: int = 0
    """Not given by the queue: behind another letter of their group, or not this time."""

    def __bool__(self) -> bool:
        return self.hidden > 0 or self.held > 0

    def notes(self) -> Iterator[str]:
        """Lines for a person."""
        if self.hidden:
            yield f"{self.hidden:>8,}  or so left: hidden, for somebody else has received them; try again later"
        if self.held:
            yield f"{self.held:>8,}  or so left: not given by the queue; a group waits behind its first letter"


def leftover(sqs: Any, queue: DeadLetterQueue, *, seen: int, kept: int) -> Leftover:
    """Of the letters that `queue` counted at the beginning, those that are still there unseen; approximately.

    `seen` is how many of them have been seen, `kept` how many of these are in the queue now, and held by nobody.
    """
    missed = queue.letters + queue.hidden - seen
    if missed <= 0:
        return Leftover()
    # SQS's counts may be a minute old (GetQueueAttributes API reference): no more is told than both looks agree on.
    letters, hidden = counts_of(sqs, queue.url)
    still_hidden = min(missed, hidden)
    return Leftover(still_hidden, max(0, min(missed - still_hidden, letters - kept)))
