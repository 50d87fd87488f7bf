"""Backoff and send rate as pure functions of what happened; time and chance are arguments."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

BASE_BACKOFF, MAX_BACKOFF = 0.05, 5.0  # Seconds.
MAX_VISIBILITY = 900  # Seconds.
BURST_SECONDS = 0.1
"""How many seconds' worth of unspent write units may pile up."""
CUT, LEAST_RATE = 0.85, 25.0
"""Cut to 85 % of the rate, but never below one batch of small items a second."""
GROWTH, GROWTH_UNITS = 0.05, 25.0
"""Grown by 5 % and 25 write units per second, each second without throttling."""
SECONDS_BETWEEN_CUTS = 0.25
"""Calls that were in flight together are throttled together: one piece of news, not several."""
SECONDS_OF_MEMORY = 1.0


def backoff(attempt: int, chance: float) -> float:
    """Seconds to wait before attempt number `attempt` + 1: full jitter, `chance` in [0, 1).

    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """
    return chance * min(MAX_BACKOFF, BASE_BACKOFF * 2.0 ** min(attempt, 16))


def visibility(receive_count: int, chance: float) -> int:
    """Whole seconds, 1 to min(900, 5 * 2^(receive count - 1)), until a returned message may be received again."""
    ceiling = min(MAX_VISIBILITY, 5 * 2 ** min(max(receive_count, 1) - 1, 10))
    return 1 + int(chance * ceiling)


@dataclass(frozen=True, slots=True)
class Bucket:
    """Write units that may be spent. Paid afterwards, so the balance may be below zero; then one has to wait."""

    rate: float = math.inf
    """Units per second that flow in."""
    balance: float = 0.0
    at: float = 0.0

    def wait(self, now: float) -> float:
        """Seconds until something may be sent."""
        return 0.0 if self.rate == math.inf else max(0.0, -self._filled(now) / self.rate)

    def spend(self, units: float, now: float) -> Bucket:
        """Take units out; a negative number gives back what was estimated too high."""
        return self if self.rate == math.inf else Bucket(self.rate, self._filled(now) - units, now)

    def at_rate(self, rate: float, now: float) -> Bucket:
        balance = 0.0 if self.rate == math.inf else self._filled(now)
        return Bucket(rate, balance, now)

    def _filled(self, now: float) -> float:
        return min(self.rate * BURST_SECONDS, self.balance + (now - self.at) * self.rate)


@dataclass(frozen=True, slots=True)
class Pace:
    """The send rate of one table: unlimited until it throttles, then cut on throttling and grown on success."""

    bucket: Bucket = Bucket()
    cut_at: float = -math.inf
    grown_at: float = 0.0
    accepted: float = 0.0
    """Write units accepted since `accepted_since`: what the table has shown that it can take."""
    accepted_since: float | None = None

    def sent(self, units: float, now: float) -> Pace:
        since = now if self.accepted_since is None else self.accepted_since
        return replace(self, bucket=self.bucket.spend(units, now), accepted_since=since)

    def answered(self, estimated: float, consumed: float, now: float) -> Pace:
        """A call came back: settle the estimate by what was consumed."""
        bucket = self.bucket.spend(consumed - estimated, now)
        since = now if self.accepted_since is None else self.accepted_since
        if now - since > SECONDS_OF_MEMORY:  # Half of what is remembered fades, so that the rate is a recent one.
            return replace(
                self, bucket=bucket, accepted=(self.accepted + consumed) / 2, accepted_since=since + (now - since) / 2
            )
        return replace(self, bucket=bucket, accepted=self.accepted + consumed, accepted_since=since)

    def succeeded(self, now: float) -> Pace:
        rate = self.bucket.rate
        if rate == math.inf:
            return self
        grown = rate + (rate * GROWTH + GROWTH_UNITS) * min(1.0, now - self.grown_at)
        return replace(self, bucket=self.bucket.at_rate(grown, now), grown_at=now)

    def throttled(self, now: float) -> Pace:
        if now - self.cut_at < SECONDS_BETWEEN_CUTS:
            return self
        rate = self._shown(now) if self.bucket.rate == math.inf else self.bucket.rate * CUT
        bucket = self.bucket.at_rate(max(LEAST_RATE, rate), now)
        return replace(self, bucket=bucket, cut_at=now, grown_at=now)

    def _shown(self, now: float) -> float:
        """Write units per second that the table has been accepting."""
        since = now if self.accepted_since is None else self.accepted_since
        return self.accepted / max(BURST_SECONDS, now - since)
