"""How fast messages may go out where a rate is to be kept: records, or write units, a second."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sluice.sending.outbox import MAX_ENTRIES, Outgoing


@dataclass(slots=True)
class Pace:
    """One rate; by default there is none. Not thread-safe."""

    per_second: float
    amount: Callable[[Outgoing], float]
    """What a message counts for."""
    clock: Callable[[], float]
    """Seconds."""
    _next: float = float("-inf")
    """When the next call may begin."""
    _largest: float = 0.0
    """Of all messages so far."""

    def seconds(self) -> float:
        """Until the next call may begin; 0 is now."""
        return max(0.0, self._next - self.clock())

    def entries(self) -> int:
        """How many messages a call may have, so that there are two calls a second where the rate allows it."""
        if not self._largest:
            return 1
        return max(1, min(MAX_ENTRIES, int(self.per_second / 2 / self._largest)))

    def take(self, messages: Sequence[Outgoing]) -> None:
        """A call with these messages begins."""
        amounts = [self.amount(message) for message in messages]
        self._largest = max(self._largest, *amounts)
        self._next = max(self._next, self.clock()) + sum(amounts) / self.per_second
