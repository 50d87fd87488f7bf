"""Points → one value for each period, by CloudWatch's statistics.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Statistics-definitions.html
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from .recording import Point

STATISTICS: Mapping[str, Callable[[Sequence[float]], float]] = {
    "Sum": math.fsum,
    "Average": lambda values: math.fsum(values) / len(values),
    "Minimum": min,
    "Maximum": max,
    "SampleCount": len,
}


@dataclass(frozen=True, slots=True)
class Series:
    """Number of the period, counted from the start → value; what is not there was not reported."""

    values: Mapping[int, float]
    period: float
    """Seconds."""


def series(points: Iterable[Point], start: float, period: float, statistic: str) -> Series:
    """Raises ValueError for a statistic that is neither simple, nor a percentile, nor a percentile rank PR(:n)."""
    reduce = STATISTICS.get(statistic) or _percentile_rank(statistic) or _percentile(statistic)
    values: dict[int, list[float]] = {}
    for at, value in points:
        if at >= start:
            values.setdefault(int((at - start) // period), []).append(value)
    return Series({number: reduce(values[number]) for number in sorted(values)}, period)


def _percentile_rank(statistic: str) -> Callable[[Sequence[float]], float] | None:
    match = re.fullmatch(r"PR\(:(\d+(?:\.\d+)?)\)", statistic)
    if match is None:
        return None
    limit = float(match[1])
    return lambda values: 100 * sum(value <= limit for value in values) / len(values)


def _percentile(statistic: str) -> Callable[[Sequence[float]], float]:
    match = re.fullmatch(r"p(\d{1,2}(?:\.\d+)?|100)", statistic)
    if match is None:
        raise ValueError(f"{statistic!r} is no statistic that can be drawn")
    share = float(match[1]) / 100

    def percentile(values: Sequence[float]) -> float:
        return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]

    return percentile
