"""What a section of the benchmarks finds: targets with their ratios, tables, charts, and the numbers behind them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Target:
    """One promise as one number, measured."""

    name: str
    value: float
    goal: float
    at_least: bool
    """The goal is a minimum; else a maximum."""
    measured: str
    """The two sides of the ratio, in words."""
    unit: str = "x"
    aim: float | None = None
    """What is hoped for beyond the goal."""

    @property
    def is_met(self) -> bool:
        return self.value >= self.goal if self.at_least else self.value <= self.goal

    @property
    def goal_text(self) -> str:
        return self._bound(self.goal)

    @property
    def aim_text(self) -> str:
        return "" if self.aim is None else self._bound(self.aim)

    @property
    def value_text(self) -> str:
        return f"{significant(self.value)}{self.unit}"

    def _bound(self, value: float) -> str:
        return f"{'≥' if self.at_least else '≤'} {value:g}{self.unit}"


def at_least(
    name: str, value: float, goal: float, measured: str, unit: str = "x", *, aim: float | None = None
) -> Target:
    return Target(name, value, goal, True, measured, unit, aim)


def at_most(
    name: str, value: float, goal: float, measured: str, unit: str = "x", *, aim: float | None = None
) -> Target:
    return Target(name, value, goal, False, measured, unit, aim)


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text under a heading of each column."""

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: Sequence[str] = ()
    """Columns, beside the first, that hold words instead of figures."""

    def markdown(self) -> str:
        align = ["---", *("---" if name in self.words else "---:" for name in self.header[1:])]
        lines = [self.header, align, *self.rows]
        return f"{self.caption}\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines)


@dataclass(frozen=True, slots=True)
class Chart:
    """A picture beside the tables."""

    file: str
    caption: str
    svg: str


@dataclass(frozen=True, slots=True)
class Section:
    """What one subject of the benchmarks has found."""

    title: str
    targets: Sequence[Target] = ()
    tables: Sequence[Table] = ()
    charts: Sequence[Chart] = ()
    notes: Sequence[str] = ()
    data: dict[str, Any] = field(default_factory=dict)
    """The numbers, for `--json`."""


def significant(value: float) -> str:
    """Three significant digits, without an exponent."""
    if value == 0 or math.isinf(value):
        return "∞" if value else "0"
    digits = max(0, 2 - len(str(int(abs(value)))) + 1) if abs(value) >= 1 else 3
    return f"{value:,.{digits}f}"


def microseconds(seconds: float) -> str:
    return f"{seconds * 1e6:,.1f}"


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1e3:,.0f}"
