"""`sluice cost`: dollars per million records."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from . import measured, prices
from .measured import Measured
from .model import FULL_VCPU_MB
from .prices import Prices, PricesError
from .report import ASSUMPTIONS, markdown, table


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--prices", type=Path, default=prices.DEFAULT, metavar="FILE", help="a price table of your own")
    parser.add_argument(
        "--measured", type=Path, default=measured.DEFAULT, metavar="FILE", help="measurements of your own `make bench`"
    )
    parser.add_argument("--memory", type=int, default=FULL_VCPU_MB, metavar="MB", help="memory of sluice's function")
    parser.add_argument("--latency", type=float, default=5.0, metavar="MS", help="how long DynamoDB takes to answer")
    parser.add_argument("--json", action="store_true", help="machine-readable")


def run(arguments: argparse.Namespace) -> int:
    """0; 2 where a file cannot be used."""
    try:
        listed = Prices.load(arguments.prices)
        work = Measured.load(arguments.measured)
    except (PricesError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    rows = table(listed, work, memory_mb=arguments.memory, latency=arguments.latency / 1000)
    if arguments.json:
        content = [
            {"design": r.design, "record_bytes": r.record_bytes, **asdict(r.cost), "total": r.cost.total} for r in rows
        ]
        sys.stdout.write(json.dumps(content, indent=1) + "\n")
        return 0
    assumed = f"; not confirmed by AWS's own text: {', '.join(listed.assumed)}" if listed.assumed else ""
    lines = [
        "US dollars per million records.",
        "",
        markdown(rows),
        "",
        f"Prices: {listed.region}, {listed.as_of}{assumed}.",
        f"Work measured: {work.machine}.",
        *ASSUMPTIONS,
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0
