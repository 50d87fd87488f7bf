"""Named profiles: how often which fault happens. Which request meets which one is decided by a seed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random

from .kinds import KINDS, Kind


@dataclass(frozen=True, slots=True)
class Profile:
    """The faults of a run. Raises ValueError for a kind that does not exist or shares that exceed 1."""

    shares: Mapping[str, float] = field(default_factory=dict)
    """Kind of fault → share of the calls that it happens to, of those that can meet it."""
    outage: float = 3.0
    """Seconds for which a table is out of order once an outage has begun."""
    delay: float = 3.0
    """Seconds, at most, that a late request lies on the wire; each waits a random part of them."""
    drip: float = 2.0
    """Seconds over which an answer is dripped."""
    hang: float = 30.0
    """Seconds after which the connection of a client is closed that does not give up by itself."""
    write_units: float = math.inf
    """Write units per second of each table; one second's worth may be saved up."""
    partition_write_units: float = math.inf
    """Write units per second of each partition key, likewise."""

    def __post_init__(self) -> None:
        for kind in self.shares:
            if kind not in KINDS:
                raise ValueError(f"no kind of fault is called {kind!r}")
        if sum(self.shares.values()) > 1:
            raise ValueError(f"the shares must not exceed 1 in all, got {sum(self.shares.values()):g}")


_THROTTLING = {"unprocessed": 0.35, "throughput-exceeded": 0.06, "throttling": 0.06, "request-limit": 0.03}
_FLAKY = {
    "internal-error-before": 0.05,
    "internal-error-after": 0.05,
    "unavailable": 0.04,
    "reset-before": 0.05,
    "reset-after": 0.05,
    "truncated": 0.05,
    "corrupted": 0.04,
    "replicated-write-conflict": 0.03,
    "transaction-conflict": 0.04,
    "transaction-canceled": 0.04,
    "transaction-throttled": 0.02,
    "expired-token": 0.01,
    "denied": 0.02,
}
_OUTAGE = {"outage": 0.005}
_SLOW = {"drip": 0.08, "late": 0.1, "hang-before": 0.02, "hang-after": 0.02}


def _every(*parts: Mapping[str, float], part: float) -> dict[str, float]:
    return {kind: share * part for shares in parts for kind, share in shares.items()}


PROFILES: Mapping[str, Profile] = {
    "calm": Profile(),
    "busy": Profile({"unprocessed": 0.05}),  # However slowly it is written to.
    "throttled": Profile(_THROTTLING, write_units=300, partition_write_units=50),
    "flaky": Profile(_FLAKY),
    "outage": Profile(_OUTAGE, outage=5),
    "slow": Profile(_SLOW),
    "hostile": Profile(
        _every(_THROTTLING, _FLAKY, _OUTAGE, _SLOW, part=0.6), outage=2, write_units=200, partition_write_units=20
    ),
}


@dataclass(frozen=True, slots=True)
class Decision:
    """The fault of one call, None where it is to succeed, and the chance that settles its details."""

    name: str | None
    chance: Random

    @property
    def kind(self) -> Kind | None:
        return None if self.name is None else KINDS[self.name]


def decide(profile: Profile, seed: int, number: int, operation: str) -> Decision:
    """What happens to call number `number` of a run: the same for the same arguments, whatever the time."""
    chance = Random(f"{seed} {number}")
    rest = chance.random()
    for name, share in profile.shares.items():
        if operation in KINDS[name].operations:
            rest -= share
            if rest < 0:
                return Decision(name, chance)
    return Decision(None, chance)
