"""What is paid by the month, counted in templates: `python -m tests.infra.counts` writes sluice/cost/stacks.json."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from sluice.cost.fixed import STACKS, Counts
from tests.infra.configurations import CONFIGURATIONS
from tests.infra.template import Template, synthesise

SHOWN = {
    "The stack with its defaults": "default",
    "With alarms=essential, dashboard=false and pointInTimeRecovery=0": "lean",
}
"""How `sluice cost --fixed` calls each configuration."""


def counted(templates: Mapping[str, Template]) -> dict[str, Counts]:
    return {words: Counts.of(templates[name].content) for words, name in SHOWN.items()}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        made = {name: synthesise(Path(directory) / name, CONFIGURATIONS[name]) for name in SHOWN.values()}
    STACKS.write_text(json.dumps({name: asdict(counts) for name, counts in counted(made).items()}, indent=2) + "\n")
