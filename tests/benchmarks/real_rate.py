"""What the send rate promises, in real time: real handlers in processes of their own against a real HTTP server.

`python -m tests.benchmarks --only rate`: five minutes. `tests/benchmarks/scenarios.py` has the same, and more, in
virtual time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

from tests.benchmarks import capacity
from tests.benchmarks.capacity import Limits, Work
from tests.benchmarks.report import Section, Table, Target, at_least, at_most
from tests.benchmarks.rounds import Scale

MARGIN = 1.0
"""DEADLINE_MARGIN, seconds: an invocation that is given a second more writes for as long as it should."""
LOSSES = (0.1, 0.3, 0.5, 0.7)
WINDOW, STEP = 0.5, 0.1  # Seconds.
Arrivals = Sequence[tuple[float, int, int]]

_written = partial(capacity.written, variables={"DEADLINE_MARGIN": f"{MARGIN:g}"})


def measure(scale: Scale) -> Section:
    is_full = scale.rounds > 1
    rows = [row for loss in (LOSSES if is_full else LOSSES[:1]) for row in constant(loss, 5000 if is_full else 200)]
    if is_full:
        rows += [*leave(), *neighbour()]
    return Section(
        title="The send rate, in real time",
        targets=rows,
        tables=[
            Table("One run of each", ("", "measured", "goal"), [[r.name, r.value_text, r.goal_text] for r in rows])
        ],
        data={row.name: row.value for row in rows},
    )


def constant(loss: float, count: int, invocations: int = 3) -> Sequence[Target]:
    """A table without a limit that refuses a share whatever is sent, in warm invocations of 10 s."""
    written, calls = [], []
    for writer in ("sluice", "sluice without a rate"):
        work = Work(writer, "c", [count] * invocations, [10.0 + MARGIN] * invocations)
        [done], arrivals = _written(Limits(math.inf, loss=loss), [work])
        written.append(count * invocations - done.failures)
        calls.append(len(arrivals) / max(1, written[-1]))
    what = f"{loss:.0%} refused whatever is sent, real time"
    sides = f"{written[0]:,} and {written[1]:,} records written"
    return [
        at_least(
            f"{what}: written of what a sender without a rate writes", written[0] / written[1], 0.8, sides, aim=0.95
        ),
        at_most(f"{what}: calls a record, of such a sender's", calls[0] / calls[1], 1.1, sides),
    ]


def leave(rate: float = 1000.0, seconds: float = 8.0, after: float = 10.0) -> Sequence[Target]:
    """Three of four end: how soon has the fourth 90 % of the table?"""
    ends = [seconds + after, seconds, seconds, seconds]
    works = [Work("sluice", f"w{number}", [int(rate * end)], [end + MARGIN]) for number, end in enumerate(ends)]
    done, arrivals = _written(Limits(rate), works)
    end = sorted(each.ended for each in done)[-2]
    found = _seconds_until(arrivals, end, end + after, 0.9 * rate)
    return [
        at_most(
            "three of four end, real time: 90 % of the table after", found, 2.5, f"{rate:,.0f} units/s", " s", aim=1.5
        )
    ]


def neighbour(rate: float = 500.0, invocations: int = 10, seconds: float = 6.0, tail: float = 8.0) -> Sequence[Target]:
    """Somebody offers twice what the table takes, never backs off, and ends in the last of ten invocations."""
    lasts = [seconds] * (invocations - 1) + [seconds + tail]
    work = Work("sluice", "n", [int(rate * last) for last in lasts], [last + MARGIN for last in lasts])
    until = invocations * seconds
    [done], arrivals = _written(Limits(rate, neighbour=2 * rate, neighbour_seconds=until), [work])
    begin = arrivals[0][0]
    share = _taken(arrivals, begin, begin + until) / (rate * until)
    last = _taken(arrivals, begin + until - seconds, begin + until) / (rate * seconds)
    back = _seconds_until(arrivals, begin + until, done.ended, 0.95 * rate)
    sides = f"{invocations} invocations of {seconds:g} s, {last:.0%} in the last"
    return [
        at_least(
            "beside a neighbour that never backs off, real time: share of the table",
            share * 100,
            20,
            sides,
            " %",
            aim=25,
        ),
        at_most(
            "the end of that neighbour, real time: 95 % of the table after",
            back,
            4,
            f"{rate:,.0f} units/s",
            " s",
            aim=3,
        ),
    ]


def _taken(arrivals: Arrivals, begin: float, end: float) -> int:
    return sum(taken for at, _, taken in arrivals if begin <= at < end)


def _seconds_until(arrivals: Arrivals, begin: float, end: float, units: float) -> float:
    """To the end of the first window in which so many units a second are taken; infinite where there is none."""
    for number in range(int((end - begin - WINDOW) / STEP) + 1):
        at = begin + number * STEP
        if _taken(arrivals, at, at + WINDOW) >= units * WINDOW:
            return at + WINDOW - begin
    return math.inf
