"""Backoff and send rate as pure functions of what happened; time and chance are arguments."""

from __future__ import annotations

import math

from msgspec import Struct
from msgspec.structs import replace

BASE_BACKOFF, MAX_BACKOFF = 0.05, 5.0  # Seconds.
BURST_SECONDS = 0.1
"""How many seconds' worth of unspent write units may pile up."""

# The rate aims at a small loss, whatever the number of writers that share the table: with none, nobody would know that
# there is no more to be had. All of the numbers below were tuned by tests/benchmarks/simulation.py.
WINDOW, MIN_IN_WINDOW, MAX_WINDOW = 1.0, 25.0, 4.0
"""Seconds over which the loss is looked at; longer, up to 4 s, where less than 25 write units were sent in it."""
TARGET_LOSS, TARGET_RATE, FAIRNESS = 0.011, 60.0, 0.4
"""The loss aimed at is 0.011 * (60 / rate) ** 0.4, so that of two writers the slower one catches up."""
PRIOR, PRIOR_LOSS = 10.0, 0.25
"""So many write units more are counted, with the loss aimed at, or with a quarter lost while the rate falls: chance
then moves a slow writer's rate less, which is judged by few."""
LARGE_LOSS = 0.2
"""Where something is lost and the table has taken less than the rest of the rate, it falls to that at once."""
LOSSLESS_SECONDS, LOSSLESS_UNITS, MAX_LOSSLESS_SECONDS = 2.0, 100.0, 16.0
ACCELERATION, MAX_GROWTH = 1.5, 0.25
"""After 2 s and 100 write units without a loss, or after 16 s, each half second grows 1.5 times as much as the one
before, and the rate 1.3 times (e ** 0.25) at most at each look."""
PROBE_GROWTH = 2.3
"""Per second, as a power of e: ten times as much after each second."""
FALL_SECONDS, FALL_SENT, FALL_UNTIL, FALL_MOST = 0.2, 50.0, 0.08, 0.5
PROBE_LOSS, PROBE_CUT = 0.25, 0.6
"""Until a call loses more than a quarter: less may be a range of keys that is hot. What is left of the rate then."""
NO_LIMIT = 1e6
"""Write units per second; no invocation sends so many, so a probe that gets there has found no limit."""
USED = 0.3
"""A rate of which less than this share was used has not been tried, and does not grow."""
PROBE_RATE, MIN_RATE = 10.0, 1.0
"""Write units per second at which probing begins: the same for all writers that share the table, and are stopped
together; and the least of all."""
MIN_PAUSE, MAX_PAUSE = 0.01, 0.2
"""Seconds of silence after a call of which all was lost; twice as many after the next one."""
CALL_SECONDS = 0.05
"""A limited rate goes out in calls of so many seconds' worth: large ones would overflow a small bucket."""
STALE_SECONDS, IDLE_SECONDS = 60.0, 5.0
"""A pace that was not used for a minute is forgotten; after 5 s it is the point from which to probe anew."""


def backoff(attempt: int, chance: float) -> float:
    """Seconds to wait before attempt number `attempt` + 1: full jitter, `chance` in [0, 1).

    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """
    return chance * min(MAX_BACKOFF, BASE_BACKOFF * 2.0 ** min(attempt, 16))


class Bucket(Struct, frozen=True, gc=False):
    """Write units that may be spent. Paid afterwards, so the balance may be below zero; then one has to wait."""

    rate: float = math.inf
    """Units per second that flow in."""
    balance: float = 0.0
    at: float = 0.0

    @property
    def is_limited(self) -> bool:
        return self.rate != math.inf

    def wait(self, now: float) -> float:
        """Seconds until something may be sent."""
        return 0.0 if self.rate == math.inf else max(0.0, -self._filled(now) / self.rate)

    def spend(self, units: float, now: float) -> Bucket:
        """Take units out; a negative number gives back what was estimated too high."""
        return self if self.rate == math.inf else Bucket(self.rate, self._filled(now) - units, now)

    def at_rate(self, rate: float, now: float) -> Bucket:
        """The same wait, or the same seconds' worth, at another rate."""
        balance = 0.0 if self.rate == math.inf else self._filled(now) * rate / self.rate
        return Bucket(rate, balance, now)

    def _filled(self, now: float) -> float:
        return min(self.rate * BURST_SECONDS, self.balance + (now - self.at) * self.rate)


class SendRate(Struct, frozen=True, gc=False):
    """The send rate of one table: unlimited until it throttles, then led by how much of what is sent is lost."""

    bucket: Bucket = Bucket()
    is_falling: bool = False
    is_probing: bool = False
    """Growing fast, after a stop, until something is lost."""
    since: float = 0.0
    """When the window began over which these are counted (write units):"""
    sent: float = 0.0
    lost: float = 0.0
    judged_at: float = -math.inf
    """When the rate was set; calls sent before tell nothing of it."""
    lost_at: float = 0.0
    grown_at: float = 0.0
    used_at: float = 0.0
    pause: float = 0.0
    """Seconds; the last one."""
    paused_at: float = -math.inf

    @property
    def rate(self) -> float:
        return self.bucket.rate

    @property
    def is_limited(self) -> bool:
        return self.bucket.is_limited

    def wait(self, now: float) -> float:
        """Seconds until something may be sent."""
        return self.bucket.wait(now)

    def most_units(self) -> float:
        """How much may go into one call; infinite where nothing limits the rate."""
        return max(1.0, self.bucket.rate * CALL_SECONDS)

    def spend(self, units: float, now: float) -> SendRate:
        """A call goes out, paid for by its estimate."""
        return replace(self, bucket=self.bucket.spend(units, now)) if self.is_limited else self

    def correct(self, estimated: float, consumed: float, sent_at: float, now: float) -> SendRate:
        """What was written has consumed more or less than was estimated. (What was lost was sent, and is paid for.)"""
        if not self.is_limited or consumed == estimated or sent_at < self.judged_at:
            return self
        return replace(self, bucket=self.bucket.spend(consumed - estimated, now))

    def learn(self, sent: float, lost: float, sent_at: float, now: float) -> SendRate:
        """Of so many write units sent at that time, so many were refused for going too fast."""
        pace = self._counted(sent, lost, now)
        if sent_at < self.judged_at:  # What was in flight together is lost together: one piece of news, not several.
            return replace(pace, sent=self.sent, lost=self.lost)
        if not self.is_limited:
            return pace._learn_unlimited(lost == sent, now)
        if self.is_falling and lost < sent:
            return pace._fallen(now)
        if sent_at >= self.paused_at:
            pace = pace._paused(lost / sent, now)
        if self.is_falling:  # A table that is closed for a moment does not tell how fast it is when open.
            return pace._counting_from(now) if pace.lost == pace.sent else pace._fallen(now)
        if self.is_probing and lost <= PROBE_LOSS * sent:
            grown = pace._grown(PROBE_GROWTH * min(now - self.grown_at, 0.2), now)
            return grown if grown.rate < NO_LIMIT else SendRate()
        if self.is_probing and pace.lost == pace.sent:  # Nothing was taken since: too early, or too fast.
            return pace._counting_from(now)
        if self.is_probing:
            return replace(pace._at(self.rate * PROBE_CUT, now), is_probing=False, is_falling=True)
        age = now - pace.since
        if (age >= WINDOW and pace.sent >= MIN_IN_WINDOW) or age >= MAX_WINDOW:
            return pace._judged(min(age, MAX_WINDOW), now)
        return pace

    def resumed(self, now: float) -> SendRate:
        """For the next invocation: forgotten, probed from anew, or as it is, by how long ago it was used."""
        idle = now - self.used_at
        if idle > STALE_SECONDS or not self.is_limited:
            return SendRate()
        pace = self._counting_from(now)
        return replace(pace, is_probing=True, grown_at=now) if idle > IDLE_SECONDS else pace

    def restarted(self, now: float) -> SendRate:
        """Begin anew at a low rate, and look for the limit."""
        bucket = Bucket(PROBE_RATE, -PROBE_RATE * MIN_PAUSE, now)
        return replace(self._at(PROBE_RATE, now), is_probing=True, bucket=bucket)

    def _counted(self, sent: float, lost: float, now: float) -> SendRate:
        return replace(
            self,
            since=self.since if self.sent else now,
            sent=self.sent + sent,
            lost=self.lost + lost,
            lost_at=now if lost else self.lost_at,
            used_at=now,
        )

    def _learn_unlimited(self, is_refused: bool, now: float) -> SendRate:
        if is_refused:
            return self.restarted(now)
        if now - self.since < WINDOW:
            return self
        share = self.lost / self.sent
        if share <= TARGET_LOSS:
            return self._counting_from(now)
        return self._at((self.sent - self.lost) / (now - self.since), now)

    def _paused(self, share: float, now: float) -> SendRate:
        if not share:
            return replace(self, pause=self.pause / 2) if self.pause else self
        pause = min(MAX_PAUSE, max(MIN_PAUSE, self.pause * (2.0 if share > 0.5 else 1.0)))
        bucket = self.bucket.spend(self.rate * pause * share, now)
        return replace(self, bucket=bucket, pause=pause, paused_at=now)

    def _fallen(self, now: float) -> SendRate:
        age = now - self.since
        if age < FALL_SECONDS or (self.sent < FALL_SENT and age < WINDOW):
            return self
        if self.lost > FALL_UNTIL * self.sent:
            share = (self.lost + PRIOR_LOSS * PRIOR) / (self.sent + PRIOR)
            return self._at(self.rate * max(FALL_MOST, 1 - share), now)
        return replace(self._counting_from(now), is_falling=False)

    def _grown(self, growth: float, now: float) -> SendRate:
        return replace(self, bucket=self.bucket.at_rate(self.rate * math.exp(growth), now), grown_at=now)

    def _judged(self, seconds: float, now: float) -> SendRate:
        taken = (self.sent - self.lost) / seconds
        if self.lost and taken < (1 - LARGE_LOSS) * self.rate:
            # By half at most: the window may have missed what a table that counts by the second gives at its beginning.
            pace = self._at(min(self.rate, max(taken, self.rate * FALL_MOST)), now)
            # What is lost in the next second may still be due to the rate before.
            return replace(pace, judged_at=now + WINDOW)
        if not self.lost and self.sent < USED * self.rate * seconds:
            return self._counting_from(now)
        target = TARGET_LOSS * (TARGET_RATE / self.rate) ** FAIRNESS
        growth = (target * self.sent - self.lost) / (self.sent + PRIOR)
        patience = min(MAX_LOSSLESS_SECONDS, max(LOSSLESS_SECONDS, LOSSLESS_UNITS / self.rate))
        lossless = now - self.lost_at - patience
        if lossless > 0:
            growth = target * ACCELERATION ** min(40.0, 2 * lossless)
        return self._at(self.rate * math.exp(min(MAX_GROWTH, growth * seconds)), now)

    def _at(self, rate: float, now: float) -> SendRate:
        bucket = self.bucket.at_rate(max(MIN_RATE, rate), now)
        return replace(self._counting_from(now), bucket=bucket, grown_at=now, judged_at=now)

    def _counting_from(self, now: float) -> SendRate:
        return replace(self, since=now, sent=0.0, lost=0.0)
