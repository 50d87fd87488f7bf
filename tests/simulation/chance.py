"""Seeded chance, and the weather: which faults are how frequent at the moment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from random import Random

CALM, USUAL, ROUGH, STORM = 0.0, 0.5, 1.5, 5.0
"""How much more, or less, frequent all faults are."""
FAVOURITES = 3
"""So many kinds of faults, drawn anew with the weather, are this many times as frequent as usual:"""
FAVOURED = 8.0
MAX_CHANCE = 0.7
FLOODS = (0.0, 0.0, 0.0, 0.3, 0.95)
"""Of one kind of fault, drawn anew with the weather, so large a share of all cases."""


class Chance:
    """One stream of random numbers for everything, and a count of what it made happen."""

    def __init__(self, seed: int, kinds: Sequence[str], outages: Sequence[str]) -> None:
        self.random = Random(f"simulation {seed}")
        self.seen: Counter[str] = Counter(dict.fromkeys(kinds, 0))
        """How often each kind of fault has happened."""
        self._kinds, self._outages = kinds, outages
        self.level = CALM
        self._favourites: frozenset[str] = frozenset()
        self._flood, self._flood_share = "", 0.0

    def change(self) -> None:
        """Another weather."""
        self.level = self.random.choices((CALM, USUAL, ROUGH, STORM), (2, 2, 3, 2))[0]
        kinds = self._kinds if self.random.random() < 0.5 else self._outages
        self._flood, self._flood_share = self.random.choice(kinds), self.random.choice(FLOODS)
        self._favourites = frozenset(self.random.sample(self._kinds, FAVOURITES))

    def clear_up(self) -> None:
        """No faults any more."""
        self.level = CALM

    def hits(self, kind: str, share: float) -> bool:
        """Whether a fault of this kind happens now, which it does in `share` of all cases in rough weather."""
        if not self.level:
            return False
        share *= self.level
        if kind in self._favourites:
            share *= FAVOURED
        if kind == self._flood:
            share = max(share, self._flood_share)
        if self.random.random() >= min(share, MAX_CHANCE):
            return False
        self.seen[kind] += 1
        return True

    def one_of(self, shares: Sequence[tuple[str, float]]) -> str:
        """The fault that happens, of several of which at most one does; empty: none."""
        if not self.level:
            return ""
        level, favourites = self.level, self._favourites
        drawn = self.random.random()
        if drawn < self._flood_share and any(kind == self._flood for kind, _ in shares):
            self.seen[self._flood] += 1
            return self._flood
        for kind, share in shares:
            drawn -= share * level * FAVOURED if kind in favourites else share * level
            if drawn < 0:
                self.seen[kind] += 1
                return kind
        return ""
