"""Every table of the promise in virtual time: the real writer and its real send rate, by the simulation."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple
from typing import TypeVar

from tests.benchmarks import ablation, scenarios
from tests.benchmarks.report import Section, Table, Target, at_least, at_most
from tests.benchmarks.rounds import Scale
from tests.benchmarks.simulation import Figures, HotFigures, Scenario, grid, simulate, simulate_hot
from tests.benchmarks.utilisation import SLOWEST, USED, WASTED

F = TypeVar("F", Figures, HotFigures)
SECONDS = 30.0
SEEDS = (201, 202, 203, 204)
"""All figures are means over these."""
HOT_SECONDS = 10.0
TABLE_RATE, HOT_RATE = 1000.0, 100.0
HOT = {
    "one key": (1, 1),
    "ten keys": (10, 1),
    "a key for each item": (0, 1),
    "a key for each item, four at once": (0, 4),
}
"""Partition keys of the range (0: each item its own) and invocations."""
OTHERS_SLOWER = 1.05
HEADER = ("table and invocations at once", "used", "wasted", "slowest of mean", "calls of fewest")
HOT_HEADER = ("the hot range", "other keys took", "used of the range", "wasted")


def measure(scale: Scale) -> Section:
    """The grid of rates, buckets and numbers of invocations; then a range of keys that is at its limit."""
    is_full = scale.rounds > 1
    seeds = SEEDS if is_full else SEEDS[:1]
    figures = {
        scenario: _mean([simulate(scenario, seed) for seed in seeds])
        for scenario in (grid(SECONDS) if is_full else grid(5.0)[:3])
    }
    seconds = HOT_SECONDS if is_full else 2.0
    goals = scenarios.GOALS if is_full else scenarios.GOALS[-1:]
    rates = {name: scenarios.run(name, seeds) for name in dict.fromkeys(goal[0] for goal in goals)}
    hot = {
        name: _mean(
            [simulate_hot(TABLE_RATE, HOT_RATE, keys, seconds=seconds, seed=seed, writers=writers) for seed in seeds]
        )
        for name, (keys, writers) in HOT.items()
    }
    return Section(
        title="Use of a table's capacity, in virtual time",
        targets=[*_targets(figures), *_hot_targets(hot), *_rate_targets(goals, rates)],
        tables=[
            Table(
                "The real writer and send rate, simulated for 30 s, mean of four runs",
                HEADER,
                [_cells(*found) for found in figures.items()],
            ),
            Table(
                f"A range of keys with {HOT_RATE:g} units/s, offered twice as many, on a table of {TABLE_RATE:g}, "
                "mean of four runs",
                HOT_HEADER,
                [
                    [name, f"{found.others_slower:.2f}x", f"{found.hot_use:.1%}", f"{found.hot_waste:.1%}"]
                    for name, found in hot.items()
                ],
            ),
            ablation.table(),
        ],
        data={
            "grid": [{"table": scenario.name, **asdict(found)} for scenario, found in figures.items()],
            "hot": {name: asdict(found) for name, found in hot.items()},
            "rate": {name: dict(found) for name, found in rates.items()},
        },
    )


def _mean(found: Sequence[F]) -> F:
    return type(found[0])(*(statistics.mean(values) for values in zip(*map(astuple, found), strict=True)))


def _targets(figures: Mapping[Scenario, Figures]) -> Sequence[Target]:
    """The worst of all tables, for each number of invocations."""
    targets = []
    for writers, wasted in WASTED.items():
        by_name = {scenario.name: found for scenario, found in figures.items() if scenario.writers == writers}
        least = min(by_name, key=lambda name: by_name[name].use)
        most = max(by_name, key=lambda name: by_name[name].waste)
        last = max(by_name, key=lambda name: by_name[name].slowest)
        what = f"worst of {len(by_name)} tables, {writers} at once, simulated"
        targets += [
            at_least(f"capacity used, {what}", by_name[least].use * 100, USED, least, " %"),
            at_most(f"item-writes wasted, {what}", by_name[most].waste * 100, wasted, most, " %"),
            at_most(f"slowest invocation of the mean, {what}", by_name[last].slowest, SLOWEST, last),
        ]
    return targets


def _hot_targets(hot: Mapping[str, HotFigures]) -> Sequence[Target]:
    return [
        at_most(
            f"time of the other keys beside a hot range ({name}): of what they take if it has no limit",
            found.others_slower,
            OTHERS_SLOWER,
            f"the range used {found.hot_use:.0%} of what it has",
        )
        for name, found in hot.items()
    ]


def _rate_targets(
    goals: Sequence[tuple[str, str, bool, float]], rates: Mapping[str, Mapping[str, float]]
) -> Sequence[Target]:
    return [
        (at_least if is_least else at_most)(
            f"send rate, {name}: {figure}", rates[name][figure], goal, "tests/benchmarks/scenarios.py", ""
        )
        for name, figure, is_least, goal in goals
    ]


def _cells(scenario: Scenario, figures: Figures) -> list[str]:
    return [
        scenario.name,
        f"{figures.use:.1%}",
        f"{figures.waste:.1%}",
        f"{figures.slowest:.2f}x",
        f"{figures.calls:.2f}x",
    ]
