"""Whether a table is throttled as a whole, or only a range of its keys. Pure.

A partition takes 1,000 write units a second, however many its table has:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html
What comes back unprocessed carries no reason, and which keys share a partition is not told. But what belongs to a hot
range is lost again and again, while what was never sent before is mostly taken, by the same calls.
"""

from __future__ import annotations

import math

from .plan import MAX_REQUESTS
from .send_rate import LARGE_LOSS

DEVIATIONS = 2.5
"""Hot: of what had been lost before more is lost again than of the rest, by so many standard deviations of chance."""
MIN_VARIANCE, MAX_VARIANCE = 1.0, 8.0
"""A call of 25 that loses a few has a variance of about 0.8: two calls are needed, ten count, older ones fade."""
MIN_SAVED, MAX_SAVED = 3.0, MAX_REQUESTS / 2
"""Write units: how far the losses of a hot range may go beyond a quarter for a while, as that is chance (the larger
one); and how much of it must be left to take them for the range's own."""


class HotKeys:
    """Compares, for one table, operations that had been lost before with fresh ones of the same call."""

    def __init__(self) -> None:
        self.is_uneven = False
        """A range of keys is hot, as far as is known."""
        self._excess, self._variance = 0.0, 0.0
        self._saved = 0.0
        """What a hot range may lose beyond a quarter of what is sent now."""

    def learn(self, repeated: int, repeated_lost: int, fresh: int, fresh_lost: int) -> None:
        """Of a call. Only one that has both kinds, and is taken in part, tells the one from the other.

        The hypergeometric distribution says what to expect, as in the test of Cochran, Mantel and Haenszel.
        """
        sent, lost = repeated + fresh, repeated_lost + fresh_lost
        if not repeated or not fresh or not 0 < lost < sent:
            return
        kept = min(1.0, MAX_VARIANCE / (self._variance + 1e-9))
        self._excess = self._excess * kept + repeated_lost - repeated * lost / sent
        self._variance = self._variance * kept + repeated * fresh * lost * (sent - lost) / (sent * sent * (sent - 1))
        deviations = self._excess / math.sqrt(self._variance)
        if self.is_uneven:
            self.is_uneven = deviations > 1  # Not below what it was found by, else it would come and go.
        else:
            self.is_uneven = deviations > DEVIATIONS and self._variance >= MIN_VARIANCE

    @property
    def has_room(self) -> bool:
        """Whether the table has lately lost nothing, as far as that can be told: what is lost is the hot range's."""
        return self._saved >= MIN_SAVED

    def beyond(self, sent: float, lost: float) -> float:
        """What is lost beyond a quarter of what is sent: that much a hot range may lose, and the table has the rest."""
        self._saved = min(MAX_SAVED, self._saved) + LARGE_LOSS * sent
        beyond = max(0.0, lost - self._saved)
        self._saved -= lost - beyond
        return beyond
