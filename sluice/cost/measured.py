"""What the work of a record was measured to be; `make bench` writes it anew."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

DEFAULT = Path(__file__).with_name("measured.json")


@dataclass(frozen=True, slots=True)
class Work:
    """What one record costs in one way of writing it."""

    cpu_seconds: float
    records_per_message: int
    records_per_invocation: int
    records_per_call: float
    log_bytes: int
    """What the handler itself writes in one invocation."""


@dataclass(frozen=True, slots=True)
class Size:
    """The ways of writing a record of one size."""

    record_bytes: int
    item_bytes: int
    packed: Work
    single: Work
    put_item: Work


@dataclass(frozen=True, slots=True)
class Measured:
    """The measurements of one machine."""

    machine: str
    """Date, processor and Python."""
    sizes: Sequence[Size]

    @classmethod
    def load(cls, path: Path = DEFAULT) -> Measured:
        content = json.loads(path.read_text(encoding="utf-8"))
        sizes = [
            Size(
                size["record_bytes"],
                size["item_bytes"],
                **{way: Work(**size[way]) for way in ("packed", "single", "put_item")},
            )
            for size in content["sizes"]
        ]
        return cls(content["machine"], sizes)

    def save(self, path: Path = DEFAULT) -> None:
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")
