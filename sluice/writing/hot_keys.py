"""Whether a table is throttled as a whole, or only a range of its keys. Pure.

A partition takes 1,000 write units a second, however many its table has:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html
What comes back unprocessed carries no reason, and which keys share a partition is not told. But what belongs to a hot
range is lost again and again, while what was never sent before is mostly taken, by the same calls.
"""

from __future__ import annotations

from msgspec import Struct

MEMORY = 40.0
"""How many operations of each kind count; older ones fade."""
MIN_REPEATED, MIN_FRESH = 6.0, 15.0
HOT_SHARE, FRESH_SHARE = 0.3, 0.6
"""Hot: of what had been lost before at least 0.3 is lost again, and of the rest at most 0.6 times as much."""


class Tally(Struct, gc=False):
    """Operations sent and lost, the latest ones."""

    sent: float = 0.0
    lost: float = 0.0

    @property
    def share(self) -> float:
        return self.lost / self.sent if self.sent else 0.0

    def add(self, sent: int, lost: int) -> None:
        kept = min(1.0, MEMORY / (self.sent + 1e-9))
        self.sent, self.lost = self.sent * kept + sent, self.lost * kept + lost


class HotKeys:
    """Compares, for one table, operations that had been lost before with fresh ones."""

    def __init__(self) -> None:
        self.is_uneven = False
        """A range of keys is hot, as far as is known."""
        self._repeated, self._fresh = Tally(), Tally()

    def learn(self, repeated: int, repeated_lost: int, fresh: int, fresh_lost: int) -> None:
        """Of a call. Only one that has both kinds, and is taken in part, tells the one from the other."""
        lost = repeated_lost + fresh_lost
        if not repeated or not fresh or not 0 < lost < repeated + fresh:
            return
        self._repeated.add(repeated, repeated_lost)
        self._fresh.add(fresh, fresh_lost)
        if self._repeated.sent >= MIN_REPEATED and self._fresh.sent >= MIN_FRESH:
            again = self._repeated.share
            self.is_uneven = again > HOT_SHARE and self._fresh.share < FRESH_SHARE * again
