"""Backoff and send rate as pure functions of what happened; time and chance are arguments."""

from __future__ import annotations

import math
from enum import Enum

from msgspec import Struct
from msgspec.structs import replace

BASE_BACKOFF, MAX_BACKOFF = 0.05, 5.0  # Seconds.
BURST_SECONDS = 0.1
"""How many seconds' worth of unspent write units may pile up."""
CALL_SECONDS = 0.08
"""A limited rate goes out in calls of so many seconds' worth: larger ones overflow a small bucket and are lost in more
units, smaller ones are more calls."""
MIN_RATE, NO_LIMIT = 1.0, 1e6
"""Write units per second: the least of all, so that a table is still tried; and what no invocation sends."""
STALE_SECONDS = 60.0
"""A rate that was not used for a minute is forgotten: autoscaling and other invocations have changed the table."""

WINDOW, MAX_WINDOW, CALL_UNITS = 1.0, 8.0, 25.0
"""A loss is looked at over a second, as some tables count by the second; longer, up to 8 s, where less than a full
call of 25 write units was sent in it."""
SMALL_LOSS, LARGE_LOSS, NEARLY_ALL = 0.08, 0.25, 0.9
"""Shares of what is sent. Up to 0.08 is no reason to limit an open rate, or to fall on, and twice that none to end a
push: real calls beside a writer that does not give way lose up to 0.11. More than 0.25 is no chance and no hot range of
keys, but a rate that is far too high; from 0.9 on a table is closed, and no loss goes by chance."""
CUT = 0.5
"""By how much a rate falls at once at most, and on trial at least."""
REACTION_SECONDS = 0.25
"""How long a table, its savings and the calls in flight take to show what a change of the rate does."""
TRIAL_UNITS, TRUST_SECONDS = 400.0, 8.0
"""So many units tell a loss of 0.1 from one of 0.05 with 3 standard deviations. What a trial found is tried again after
8 s, then 16, and so on up to a minute."""
PUSH = 16.0
"""How many times as fast a low rate is pushed: of 16 writers that share a table one that does so loses half, but beside
a writer that offers the table much more than that, as little as before. It is tried again after a minute."""
SEEK_RATE, SEEK_GROWTH = 10.0, 3.0
"""Write units per second at which seeking begins, the same for all writers that share the table and are stopped
together; and its growth per second, as a power of e: ten times as much each 0.77 s."""
TARGET_LOSS, FAIRNESS, PRIOR = 0.057, 0.4, 10.0
"""The loss aimed at is 0.057 / rate ** 0.4 (1.1 % at 60 units/s), so that of two writers the slower one catches up; so
many write units more are counted with that loss, as a slow writer's rate is judged by few."""
QUIET_UNITS, RISE_GROWTH = 60.0, 1.2
"""After a second and 60 write units without a loss the rate rises: by 1.2 / rate ** 0.4 per second, as a power of e
(0.23 at 60 units/s), twice as fast each 0.25 s, up to the growth of a search."""
PAUSE = 0.1
"""Seconds of silence after a call of which nothing was taken. Shorter ones waste more on a table that is closed to the
end of a second, longer ones miss more of the next."""
CLOSED = 2.5
"""Where a table closes to the end of a second, quiet and rising take 2.5 times as long: a loss shows once a second."""


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

    def is_full(self, now: float) -> bool:
        """Whether more could have been sent."""
        return self._filled(now) >= self.rate * BURST_SECONDS

    def spend(self, units: float, now: float) -> Bucket:
        """Take units out; a negative number gives back what was estimated too high."""
        return self if self.rate == math.inf else Bucket(self.rate, self._filled(now) - units, now)

    def at_rate(self, rate: float, now: float) -> Bucket:
        """The same wait, or the same seconds' worth, at another rate."""
        balance = 0.0 if self.rate == math.inf else self._filled(now) * rate / self.rate
        return Bucket(rate, balance, now)

    def _filled(self, now: float) -> float:
        return min(self.rate * BURST_SECONDS, self.balance + (now - self.at) * self.rate)


class State(Enum):
    OPEN = "nothing limits it"
    TRIAL = "an open rate that lost has fallen, to see whether that helps"
    SEEK = "growing fast from a low rate, until something is lost"
    FALL = "falling until little is lost"
    HOLD = "following the losses"
    RISE = "growing faster and faster, as nothing is lost"
    PUSH = "a low rate is raised many times over for a second, to see whether more is lost"


class SendRate(Struct, frozen=True, gc=False):
    """The send rate of one table: unlimited until it throttles, then led by how much of what is sent is lost."""

    bucket: Bucket = Bucket()
    state: State = State.OPEN
    since: float = 0.0
    """When the look began over which these are counted (write units):"""
    sent: float = 0.0
    lost: float = 0.0
    refused: float = 0.0
    """Of calls lost nearly whole, one after the other."""
    at: float = 0.0
    """The last answer."""
    lost_at: float = 0.0
    judged_at: float = -math.inf
    """When the rate was set; calls sent before tell nothing of it."""
    paused_at: float = -math.inf
    is_used: bool = True
    """Whether it was what held back the last call."""
    closed: float = 0.0
    """The share of the latest losses that were whole calls. A table that counts by the second closes to its end."""
    before: float = 0.0
    """Of a trial and a rise: the rate at its beginning, write units per second;"""
    passed: float = 1.0
    """and the share that was taken then."""
    background: float = 0.0
    """The share that is lost whatever is sent, as a trial or a push has shown; believed, or not tried again, until"""
    trusted_until: float = 0.0
    trust: float = TRUST_SECONDS
    calls_at_once: float = 1.0
    """So many the next invocation may begin at once, as nothing limited this one."""

    @property
    def rate(self) -> float:
        return self.bucket.rate

    @property
    def is_limited(self) -> bool:
        return self.bucket.is_limited

    @property
    def closes(self) -> bool:
        """Whether the table closes to the end of a second."""
        return self.closed > 0.5

    def wait(self, now: float) -> float:
        """Seconds until something may be sent."""
        return self.bucket.wait(now)

    def most_units(self) -> float:
        """How much may go into one call; infinite where nothing limits the rate."""
        half = CALL_UNITS * CUT
        if self.state is State.PUSH and self.before >= half and half <= self.sent < CALL_UNITS:
            return half  # To see whether anybody leaves so much. A slower rate would pay for it for too long.
        if self._is_beside_another(self.at):  # What it leaves flows in slowly: a large call would lose most of itself.
            return 1.0
        return max(1.0, self.bucket.rate * (CALL_SECONDS / 2 if self.closes else CALL_SECONDS))

    def spend(self, units: float, now: float) -> SendRate:
        """A call goes out, paid for by its estimate."""
        if not self.is_limited:
            return self
        return replace(self, bucket=self.bucket.spend(units, now), is_used=not self.bucket.is_full(now))

    def correct(self, estimated: float, consumed: float, sent_at: float, now: float) -> SendRate:
        """What was written has consumed more or less than was estimated. (What was lost was sent, and is paid for.)"""
        if not self.is_limited or consumed == estimated or sent_at < self.judged_at:
            return self
        return replace(self, bucket=self.bucket.spend(consumed - estimated, now))

    def learn(self, sent: float, lost: float, sent_at: float, now: float) -> SendRate:
        """Of so many write units sent at that time, so many were refused for going too fast."""
        closed = self.closed + ((lost == sent) - self.closed) * min(1.0, lost / (2 * CALL_UNITS))
        lost_at = now if lost else self.lost_at
        if sent_at < self.judged_at:  # What was in flight together is lost together: one piece of news, not several.
            return replace(self, at=now, lost_at=lost_at, closed=closed)
        updated = replace(
            self,
            since=self.since if self.sent else now,
            sent=self.sent + sent,
            lost=self.lost + lost,
            refused=self.refused + sent if lost >= NEARLY_ALL * sent else 0.0,
            at=now,
            lost_at=lost_at,
            closed=closed,
        )
        if lost == sent and updated.is_limited and sent_at >= self.paused_at and not self._is_beside_another(now):
            updated = replace(updated, bucket=updated.bucket.spend(updated.rate * PAUSE, now), paused_at=now)
        match self.state:
            case State.OPEN:
                return updated._opened(sent, lost, now)
            case State.TRIAL:
                return updated._tried(now)
            case State.SEEK:
                return updated._sought(sent, lost, self.at, now)
            case State.FALL:
                return updated._fallen(now)
            case State.HOLD:
                return updated._held(now)
            case State.RISE:
                return updated._risen(lost, self.at, now)
            case State.PUSH:
                return updated._pushed(sent, lost, now)

    def resumed(self, now: float) -> SendRate:
        """For the next invocation: forgotten after a minute. A trial or a push that was not judged is undone."""
        if now - self.at > STALE_SECONDS:
            return SendRate()
        match self.state:
            case State.OPEN:
                return replace(self._counting_from(now), refused=0.0, judged_at=-math.inf)
            case State.TRIAL:
                return self._undone(now, 1 - self.passed)
            case State.RISE:
                return self._to(State.HOLD, self.rate, now)
            case State.PUSH:
                return self._to(State.HOLD, self.before, now)
        return replace(self._counting_from(now), at=now, lost_at=now)

    def restarted(self, now: float) -> SendRate:
        """Begin anew at a low rate, and look for the limit."""
        updated = replace(self._to(State.SEEK, SEEK_RATE, now), trust=TRUST_SECONDS)._without_background(now)
        return replace(updated, bucket=Bucket(SEEK_RATE, -SEEK_RATE * REACTION_SECONDS / 10, now))

    def _opened(self, sent: float, lost: float, now: float) -> SendRate:
        before, lost_before = self.sent - self.refused, max(0.0, self.lost - self.refused)
        # Refused nearly whole once may be a loss that comes in lumps, however slowly the table is written to.
        is_closed = lost == sent >= CALL_UNITS or self.refused >= 2 * CALL_UNITS
        if (is_closed and lost_before <= LARGE_LOSS * before) or self.refused >= 4 * CALL_UNITS:
            return self.restarted(now)
        is_flood = self.sent >= TRIAL_UNITS and self.lost > LARGE_LOSS * self.sent
        if now - self.since < (REACTION_SECONDS if is_flood else WINDOW) or self.sent < 4 * CALL_UNITS:
            return self
        share, is_trusted = self.lost / self.sent, now < self.trusted_until
        if share <= SMALL_LOSS + (self.background if is_trusted else 0.0):
            return replace(self._counting_from(now), background=min(self.background, share))
        rate = self.sent / (now - self.since)
        updated = self._to(State.TRIAL, rate * min(CUT, 1 - share), now)
        return replace(updated, before=rate, passed=1 - share, background=0.0)

    def _tried(self, now: float) -> SendRate:
        if self.sent < TRIAL_UNITS or now - self.since < REACTION_SECONDS:
            return self
        passed = 1 - self.lost / self.sent
        if_ours = min(1.0, self.passed * self.before / self.rate)
        if passed < math.sqrt(self.passed * if_ours):
            return self._undone(now, 1 - passed)
        return replace(self._to(State.HOLD, self.rate, now), background=0.0, trust=TRUST_SECONDS)

    def _undone(self, now: float, background: float) -> SendRate:
        """Falling does not help: the loss is not the rate's own."""
        until, trust = now + self.trust, min(2 * self.trust, STALE_SECONDS)
        return SendRate(
            background=background, trusted_until=until, trust=trust, judged_at=now, at=now, closed=self.closed
        )

    def _sought(self, sent: float, lost: float, before: float, now: float) -> SendRate:
        if lost <= LARGE_LOSS * sent:
            grown = self._grown(SEEK_GROWTH, before, now)
            return grown if grown.rate < NO_LIMIT else SendRate(at=now)
        if self.lost == self.sent:  # Nothing was taken since: too early, or too fast.
            return self._counting_from(now)
        # The table's savings were spent when the search began, as they are now: what it took in between is what it has,
        # or less, if it was full of savings and lost what flowed in.
        given = (self.sent - self.lost) / max(REACTION_SECONDS, now - self.since)
        return self._to(State.FALL, math.sqrt(given * self.rate * CUT), now)

    def _fallen(self, now: float) -> SendRate:
        if self.lost == self.sent:  # A table that is closed for a moment does not tell how fast it is when open.
            is_over = now - self.judged_at > 2 * WINDOW
            return self.restarted(now) if is_over else self._counting_from(now)
        age, share = now - self.since, self.lost / self.sent
        is_flood = self.sent >= 2 * CALL_UNITS and share > LARGE_LOSS + self._not_own(now)
        if not is_flood and (age < REACTION_SECONDS or (self.sent < CALL_UNITS and age < WINDOW)):
            return self
        if share > SMALL_LOSS + self._not_own(now):
            return self._to(State.FALL, self.rate * max(CUT, 1 - share), now)
        return self._to(State.HOLD, self.rate, now)

    def _held(self, now: float) -> SendRate:
        if now - self.lost_at > self._quiet():
            return replace(self._to(State.RISE, self.rate, now), before=self.rate)
        large = LARGE_LOSS + self._not_own(now)
        if self.sent >= CALL_UNITS and self.lost > large * self.sent and not self.closes:
            return self._to(State.FALL, self.rate * max(CUT, 1 - self.lost / self.sent), now)
        age = now - self.since
        if age < WINDOW or (self.sent < CALL_UNITS and age < MAX_WINDOW):
            return self
        # The faster it is, the later: among others like this one, a push costs them and itself ten write units.
        later = 0.0 if self.rate < CALL_UNITS * CUT else 2 * TRUST_SECONDS
        if self.rate < CALL_UNITS and now >= self.trusted_until + later:
            return replace(self._to(State.PUSH, PUSH * self.rate, now), before=self.rate)
        taken = (self.sent - self.lost) / age
        if self.lost and self.is_used and not self._not_own(now) and taken < (1 - large) * self.rate:
            # Halfway only: a second that is not the table's own has less of it, or more.
            return self._to(State.HOLD, max(math.sqrt(taken * self.rate), self.rate * CUT), now)
        target = TARGET_LOSS / self.rate**FAIRNESS + self._not_own(now)
        growth = (target * self.sent - self.lost) / (self.sent + PRIOR)
        if growth > 0 and (self._not_own(now) or not self.is_used):
            return self._counting_from(now)
        return replace(self._to(State.HOLD, self.rate * math.exp(growth * age), now), lost_at=self.lost_at)

    def _pushed(self, sent: float, lost: float, now: float) -> SendRate:
        if sent >= CALL_UNITS * CUT and self.sent - sent < CALL_UNITS:
            if not lost:  # Whoever offers a table more than it takes leaves less in it.
                return replace(self._to(State.RISE, self.before, now), trusted_until=now + TRUST_SECONDS)
            self = replace(self, lost=self.lost - lost)
        if self.lost > 2 + 2 * SMALL_LOSS * self.sent:  # Two may be chance.
            held = self._to(State.HOLD, self.before, now)
            return replace(held, background=0.0, trusted_until=now + STALE_SECONDS)
        if self.sent < CALL_UNITS or now - self.since < WINDOW:
            return self
        held = self._to(State.HOLD, self.rate, now)
        return replace(held, background=2 * SMALL_LOSS, trusted_until=now + STALE_SECONDS)

    def _is_beside_another(self, now: float) -> bool:
        """Whether somebody writes to the table who does not give way, or that is being found out."""
        return self.state is State.PUSH or (self.state in (State.FALL, State.HOLD) and self._not_own(now) > 0)

    def _not_own(self, now: float) -> float:
        """The share of what is sent that is lost whatever the rate."""
        return self.background if now < self.trusted_until else 0.0

    def _without_background(self, now: float) -> SendRate:
        return replace(self, background=0.0, trusted_until=max(self.trusted_until, now + 2 * TRUST_SECONDS))

    def _quiet(self) -> float:
        """Seconds without a loss after which the rate rises."""
        return max(
            WINDOW * (CLOSED if self.closes and not self.background else 1), min(MAX_WINDOW, QUIET_UNITS / self.rate)
        )

    def _risen(self, lost: float, before: float, now: float) -> SendRate:
        most = SEEK_GROWTH / CLOSED if self.closes else SEEK_GROWTH
        growth = min(most, RISE_GROWTH / self.before**FAIRNESS * 2 ** min(20.0, (now - self.since) / REACTION_SECONDS))
        if self.rate * CUT > self.before:  # Whoever did not give way has gone.
            self = self._without_background(now)
        if lost:  # Back to where it was when what is lost now was about to be too much.
            return self._to(State.FALL, max(self.before, self.rate * math.exp(-growth * REACTION_SECONDS)), now)
        return self._grown(growth, before, now) if self.is_used else self

    def _grown(self, growth: float, before: float, now: float) -> SendRate:
        seconds = min(now - before, 2 * PAUSE)
        return replace(self, bucket=self.bucket.at_rate(self.rate * math.exp(growth * seconds), now))

    def _to(self, state: State, rate: float, now: float) -> SendRate:
        bucket = self.bucket.at_rate(max(MIN_RATE, rate), now)
        return replace(self._counting_from(now), state=state, bucket=bucket, judged_at=now, lost_at=now, at=now)

    def _counting_from(self, now: float) -> SendRate:
        return replace(self, since=now, sent=0.0, lost=0.0)
