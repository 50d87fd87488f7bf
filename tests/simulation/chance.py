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
FLOODS = (0.0, 0.0, 0.0, 0.3, 1.0)
"""Of one kind of fault, drawn anew with the weather, so large a share of all cases."""


HARMLESS_WEATHER = 0.15
"""Share of the weather in which only harmless faults happen."""
HARMLESS = frozenset({
    "partial send", "blocked send", "partial read", "ready for nothing", "shuffled readiness", "answer in pieces",
    "chunked answer", "provisional answer first", "answer closes the connection", "answer without length",
})  # fmt: skip
"""Kinds that only need care: nothing is delayed by seconds or sent again because of them."""


class Chance:
    """One stream of random numbers for everything, and a count of what it made happen."""

    def __init__(self, seed: int, kinds: Sequence[str], outages: Sequence[str]) -> None:
        self.random = Random(f"simulation {seed}")
        self.seen: Counter[str] = Counter(dict.fromkeys(kinds, 0))
        """How often each kind of fault has happened."""
        self.harmful = 0
        """How many faults have happened of all other kinds."""
        self._kinds, self._outages = kinds, outages
        self._is_harmless = False
        self.level = CALM
        self._favourites: frozenset[str] = frozenset()
        self._flood, self._flood_share = "", 0.0

    def change(self) -> None:
        """Another weather."""
        self.level = self.random.choices((CALM, USUAL, ROUGH, STORM), (2, 2, 3, 2))[0]
        kinds = self._kinds if self.random.random() < 0.5 else self._outages
        self._flood, self._flood_share = self.random.choice(kinds), self.random.choice(FLOODS)
        self._favourites = frozenset(self.random.sample(self._kinds, FAVOURITES))
        self._is_harmless = self.random.random() < HARMLESS_WEATHER

    @property
    def is_outage(self) -> bool:
        """Hardly anything can be written."""
        return not self.is_calm and self._flood in self._outages and self._flood_share == FLOODS[-1]

    @property
    def is_calm(self) -> bool:
        return self._is_harmless or self.level == CALM

    def clear_up(self) -> None:
        """No faults any more."""
        self.level = CALM

    def hits(self, kind: str, share: float) -> bool:
        """Whether a fault of this kind happens now, which it does in `share` of all cases in rough weather."""
        if not self.level or (self._is_harmless and kind not in HARMLESS):
            return False
        share *= self.level
        if kind in self._favourites:
            share *= FAVOURED
        if kind == self._flood:
            share = max(share, self._flood_share)
        if self.random.random() >= min(share, MAX_CHANCE):
            return False
        self.count(kind)
        return True

    def count(self, kind: str) -> None:
        """A fault has happened."""
        self.seen[kind] += 1
        self.harmful += kind not in HARMLESS

    def one_of(self, shares: Sequence[tuple[str, float]]) -> str:
        """The fault that happens, of several of which at most one does; empty: none."""
        if not self.level:
            return ""
        level, favourites = self.level, self._favourites
        if self._is_harmless:
            shares = [(kind, share) for kind, share in shares if kind in HARMLESS]
        drawn = self.random.random()
        if drawn < self._flood_share and any(kind == self._flood for kind, _ in shares):
            self.count(self._flood)
            return self._flood
        for kind, share in shares:
            drawn -= share * level * FAVOURED if kind in favourites else share * level
            if drawn < 0:
                self.count(kind)
                return kind
        return ""
