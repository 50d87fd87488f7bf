"""docs/benchmarks.md and its charts, and the same on a terminal."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks.machine import Machine
from tests.benchmarks.report import Section, Target

HEADER = ["| target | goal | aim | measured | | both sides |", "|---|---:|---:|---:|---|---|"]


def terminal(sections: Sequence[Section], machine: Machine) -> str:
    """All but the charts."""
    parts = [str(machine)]
    for section in sections:
        parts += [f"\n## {section.title}", *(table.markdown() for table in section.tables), *section.notes]
    parts += ["\n## Targets", *map(plain, targets(sections))]
    return "\n".join(parts) + "\n"


def plain(target: Target) -> str:
    verdict = "met" if target.is_met else "MISSED"
    bounds = f"{target.goal_text:<10}{f'aim {target.aim_text}' if target.aim_text else '':<14}"
    return f"{verdict:<7}{target.value_text:>12}  {bounds}{target.name} ({target.measured})"


def targets(sections: Sequence[Section]) -> list[Target]:
    return [target for section in sections for target in section.targets]


def markdown(sections: Sequence[Section], machine: Machine) -> str:
    """The page: what was promised, then each section."""
    lines = [
        "# Benchmarks",
        "",
        f"Written by `make bench` on {machine}.",
        "Everything is measured side by side in one run: what counts are the ratios.",
        "Each writer is a process of its own, and writes to a fake DynamoDB in another process that answers at once"
        " unless a section says otherwise.",
        "",
        *HEADER,
        *(
            f"| {target.name} | {target.goal_text} | {target.aim_text} | **{target.value_text}** "
            f"| {'met' if target.is_met else 'missed'} | {target.measured} |"
            for target in targets(sections)
        ),
    ]
    for section in sections:
        lines += ["", f"## {section.title}"]
        for chart in section.charts:
            lines += ["", f"![{chart.caption}](charts/{chart.file})"]
        for table in section.tables:
            lines += ["", table.markdown().strip()]
        for note in section.notes:
            lines += ["", _by_lines(note)]
    return "\n".join(lines) + "\n"


def _by_lines(note: str) -> str:
    """One sentence a line; a table as it is."""
    return note if note.startswith("|") else re.sub(r"(?<=[.!?]) (?=\S)", "\n", note)


def write(sections: Sequence[Section], machine: Machine, docs: Path) -> None:
    charts = docs / "charts"
    charts.mkdir(parents=True, exist_ok=True)
    for section in sections:
        for chart in section.charts:
            (charts / chart.file).write_text(chart.svg, encoding="utf-8")
    (docs / "benchmarks.md").write_text(markdown(sections, machine), encoding="utf-8")
