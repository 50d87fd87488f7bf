"""What each constant of the send rate is worth: the scenarios with it halved, and doubled.

`python -m tests.benchmarks.ablation` measures, one after the other, and saves what `docs/benchmarks.md` shows. Half an
hour.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from sluice.writing import send_rate
from tests.benchmarks import scenarios
from tests.benchmarks.report import Table

SEED = 101
FOUND = Path(__file__).with_suffix(".json")
"""The name of a constant and its factor → scenario → figure → number."""
CONSTANTS = (
    *("CALL_SECONDS", "PAUSE", "CUT", "REACTION_SECONDS", "RISE_GROWTH", "QUIET_UNITS", "SMALL_LOSS"),
    *("LARGE_LOSS", "TARGET_LOSS", "FAIRNESS", "PRIOR", "SEEK_RATE", "SEEK_GROWTH", "CLOSED"),
    *("WINDOW", "MAX_WINDOW", "CALL_UNITS", "TRIAL_UNITS", "TRUST_SECONDS", "PUSH", "BURST_SECONDS", "STALE_SECONDS"),
    *("MIN_RATE",),
)
"""NEARLY_ALL is a share that cannot be doubled; NO_LIMIT is infinity to a table."""
COLUMNS: Sequence[tuple[str, str, Sequence[str]]] = (
    *(
        (bucket.name, f"whole, 4 on 1,000/s, {bucket.name}", ("used", "wasted", "steady wasted"))
        for bucket in scenarios.BUCKETS
    ),
    ("calls", "whole, 4 on 1,000/s, 1 s", ("calls",)),
    ("ended", "leave, 1 s", ("90 % after s",)),
    ("fall, rise", "step, 4, 1 s", ("down after s", "up after s")),
    ("half lost", "endless, 50%", ("written of unpaced",)),
    ("neighbour", "neighbour, 1", ("share", "95 % after s")),
)
"""A column's heading, and of which scenario it shows which figures."""

Found = Mapping[str, Mapping[str, Mapping[str, float]]]


def measure(names: Sequence[str]) -> Found:
    """As it is, and each constant halved and doubled."""
    found = {"as it is": _figures()}
    for name in names:
        value = getattr(send_rate, name)
        for factor in (0.5, 2.0):
            setattr(send_rate, name, value * factor)
            found[f"{name} {value:g} → {value * factor:g}"] = _figures()
        setattr(send_rate, name, value)
    return found


def _figures() -> Mapping[str, Mapping[str, float]]:
    found = {name: scenarios.run(name, [SEED]) for name in dict.fromkeys(column[1] for column in COLUMNS)}
    figures: dict[str, dict[str, float]] = {name: {} for name in found}
    for _, name, shown in COLUMNS:
        figures[name] |= {figure: round(found[name][figure], 4) for figure in shown}
    sys.stderr.write(".")
    sys.stderr.flush()
    return figures


def table() -> Table:
    """What was found when it was last measured."""
    found: Found = json.loads(FOUND.read_text(encoding="utf-8"))
    return Table(
        "Each constant of the send rate halved and doubled, one seed: used and wasted, wasted while all run; seconds",
        ("constant", *(column[0] for column in COLUMNS)),
        [
            [name, *(_cell(figures[scenario], shown) for _, scenario, shown in COLUMNS)]
            for name, figures in found.items()
        ],
    )


def _cell(figures: Mapping[str, float], names: Sequence[str]) -> str:
    return ", ".join(_number(name, figures[name]) for name in names)


def _number(figure: str, value: float) -> str:
    """Seconds and numbers of times as they are, shares in per cent."""
    if math.isinf(value):
        return "never"
    return f"{value:.2f}" if figure == "calls" or figure.endswith(" s") else f"{value:.1%}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default=",".join(CONSTANTS), help="names of constants")
    found = measure(parser.parse_args().only.split(","))
    lines = ",\n".join(f"{json.dumps(name, ensure_ascii=False)}: {json.dumps(each)}" for name, each in found.items())
    FOUND.write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
