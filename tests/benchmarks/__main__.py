"""`python -m tests.benchmarks`: measures every target, prints it, and writes docs/benchmarks.md with its charts."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from sluice import terminal
from sluice.cost import measured
from tests.benchmarks import (
    calls,
    coldstart,
    cost,
    cpu,
    curve,
    library,
    memory,
    page,
    real_rate,
    throughput,
    unchanged,
    utilisation,
    virtual,
)
from tests.benchmarks.lanes import section as lanes
from tests.benchmarks.machine import Machine, this_machine
from tests.benchmarks.peers import section as peers
from tests.benchmarks.processes import ROOT
from tests.benchmarks.report import Section
from tests.benchmarks.rounds import FULL, QUICK, Scale

SECTIONS: Mapping[str, Callable[[Scale], Section]] = {
    "cpu": cpu.measure,
    "lanes": lanes.measure,
    "library": library.measure,
    "throughput": throughput.measure,
    "curve": curve.measure,
    "capacity": utilisation.measure,
    "rate": real_rate.measure,
    "simulation": virtual.measure,
    "coldstart": coldstart.measure,
    "memory": memory.measure,
    "calls": calls.measure,
    "peers": peers.measure,
    "unchanged": unchanged.measure,
    "cost": cost.measure,
}


def main(arguments: Sequence[str]) -> int:
    """0 where every target is met, 1 where one is missed."""
    terminal.prepare()
    options = _parser().parse_args(arguments)
    machine = this_machine()
    sections = {}
    for name in options.only:
        began = time.monotonic()
        sections[name] = SECTIONS[name](replace(QUICK if options.quick else FULL, peers=options.peers))
        sys.stderr.write(f"{name}: {time.monotonic() - began:.0f} s\n")
    found = list(sections.values())
    sys.stdout.write(page.terminal(found, machine))
    if options.json is not None:
        options.json.write_text(_json(sections, machine), encoding="utf-8")
    if options.docs is not None or (list(sections) == list(SECTIONS) and not options.quick):
        page.write(found, machine, options.docs or ROOT / "docs")
        if options.docs is None:
            found[-1].data["measured"].save(measured.DEFAULT)
    return 0 if all(target.is_met for target in page.targets(found)) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument(
        "--only", type=_names, default=list(SECTIONS), metavar="NAME,…", help=f"some of {', '.join(SECTIONS)}"
    )
    parser.add_argument("--quick", action="store_true", help="one small round of each, to see that it runs")
    parser.add_argument(
        "--peers", action="store_true", help="build the peers in Go, Rust, Node and newer Pythons, fetching their SDKs"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers as JSON")
    parser.add_argument(
        "--docs", type=Path, metavar="DIRECTORY", help="write the page there, even of a partial or quick run"
    )
    return parser


def _names(text: str) -> list[str]:
    names = text.split(",")
    if unknown := [name for name in names if name not in SECTIONS]:
        raise argparse.ArgumentTypeError(f"no section named {', '.join(unknown)}; there are {', '.join(SECTIONS)}")
    return names


def _json(sections: Mapping[str, Section], machine: Machine) -> str:
    content = {
        "machine": asdict(machine),
        "targets": [
            {**asdict(target), "is_met": target.is_met, "section": name}
            for name, section in sections.items()
            for target in section.targets
        ],
        "sections": {name: section.data for name, section in sections.items()},
    }
    return json.dumps(content, indent=1, default=lambda value: asdict(value)) + "\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
