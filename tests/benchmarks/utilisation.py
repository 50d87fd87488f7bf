"""How much of a table's capacity concurrent invocations use, and how much of what they send is wasted, in real time."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from tests.benchmarks import capacity
from tests.benchmarks.capacity import PEER, Row
from tests.benchmarks.report import Chart, Section, Table, Target, at_least, at_most
from tests.benchmarks.rounds import Scale
from tests.benchmarks.svg import Line, lines

ROUNDS = 3
SECONDS = 20.0
QUICK_SECONDS = 3.0
USED = 97.0  # Per cent, in steady state.
WASTED = {1: 3.0, 4: 3.0, 16: 5.0}
WHOLE_WASTED = {1: (3.0, 2.0), 4: (6.0, 4.0), 16: (10.0, 6.0)}
"""From the first call to the last: goal and aim. Half of it is the start, when no invocation knows of the others."""
SLOWEST = 1.3
DRAWN = 4
"""Invocations at once in the chart."""


@dataclass(frozen=True, slots=True)
class Case:
    """One table, and who writes to it."""

    writer: str
    writers: int
    rate: float = 1000.0
    burst: float = 1.0
    per_second: bool = False

    @property
    def bucket(self) -> str:
        return "each second" if self.per_second else f"{self.burst:g} s"


PROMISED = [Case("sluice", writers) for writers in WASTED]
OTHERS = [
    Case("sluice", 4, burst=0.1),
    Case("sluice", 4, per_second=True),
    Case("sluice", 4, rate=100.0),
    Case("sluice", 4, rate=4000.0),
    *(Case(PEER, writers) for writers in WASTED),
]
HEADER = (
    "writer",
    "units/s",
    "bucket",
    "at once",
    "used",
    "wasted",
    "slowest of mean",
    "calls of fewest",
    "whole run: used",
    "wasted",
    "raised or returned",
)


def measure(scale: Scale) -> Section:
    """Steady state: from 5 s after the beginning until the first invocation has ended."""
    is_full = scale.rounds > 1
    seconds = SECONDS if is_full else QUICK_SECONDS
    cases = [*PROMISED, *OTHERS] if is_full else [Case("sluice", 1), Case(PEER, 1)]
    rounds = ROUNDS if is_full else 1
    rows = [(case, _measured(case, seconds, rounds if case in PROMISED else 1)) for case in cases]
    return Section(
        title="Use of a table's capacity",
        targets=[target for case, row in rows if case in PROMISED for target in _targets(case, row)],
        tables=[
            Table(
                f"Each has its share of what the table takes in {seconds:g} s", HEADER, [_cells(*row) for row in rows]
            )
        ],
        charts=_charts(rows),
        notes=[
            "Real handlers in processes of their own that know nothing of each other, in real time. Used: write units "
            "taken of those that the table had. Wasted: item-writes sent that came back. batch_writer sends these "
            f"again at once. The first {len(PROMISED)} rows are medians of {rounds} rounds.",
        ],
        data={"rows": [{**asdict(case), **asdict(row)} for case, row in rows]},
    )


def _measured(case: Case, seconds: float, rounds: int) -> Row:
    """The round of median waste, with the medians of what else is promised."""
    made = [
        capacity.measure(
            case.writer, case.writers, rate=case.rate, burst=case.burst, per_second=case.per_second, seconds=seconds
        )
        for _ in range(rounds)
    ]
    middle = sorted(made, key=lambda row: row.waste)[rounds // 2]
    use, slowest = (statistics.median(getattr(row, name) for row in made) for name in ("use", "slowest"))
    return replace(middle, use=use, slowest=slowest)


def _targets(case: Case, row: Row) -> Sequence[Target]:
    what = f"{case.writers} at once on {case.rate:,.0f} units/s"
    took = f"{row.seconds:.1f} s in all"
    most, aim = WHOLE_WASTED[case.writers]
    return [
        at_least(f"capacity used, {what}", row.use * 100, USED, took, " %"),
        at_most(f"item-writes wasted, {what}", row.waste * 100, WASTED[case.writers], took, " %"),
        at_most(f"slowest invocation of the mean, {what}", row.slowest, SLOWEST, took),
        at_least(f"capacity used from first call to last, {what}", row.whole_use * 100, USED, took, " %"),
        at_most(
            f"item-writes wasted from first call to last, {what}", row.whole_waste * 100, most, took, " %", aim=aim
        ),
    ]


def _cells(case: Case, row: Row) -> list[str]:
    return [
        case.writer,
        f"{case.rate:,.0f}",
        case.bucket,
        str(case.writers),
        f"{row.use:.1%}",
        f"{row.waste:.1%}",
        f"{row.slowest:.2f}x",
        f"{row.calls:.2f}x",
        f"{row.whole_use:.1%}",
        f"{row.whole_waste:.1%}",
        str(row.failures),
    ]


def _charts(rows: Sequence[tuple[Case, Row]]) -> list[Chart]:
    drawn = {case.writer: row for case, row in rows if case in (Case("sluice", DRAWN), Case(PEER, DRAWN))}
    if len(drawn) < 2:
        return []
    title = f"{DRAWN} invocations at once on a table of 1,000 write units/s"
    series = [Line("sluice: used", [(at, use * 100) for at, use, _ in drawn["sluice"].timeline])]
    for writer, row in drawn.items():
        series.append(Line(f"{writer}: wasted", [(at, waste * 100) for at, _, waste in row.timeline], dashed=True))
    return [Chart("capacity.svg", title, lines(title, "seconds", "per cent", series, y_maximum=120))]
