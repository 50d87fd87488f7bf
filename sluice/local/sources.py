"""Where the function's sources are in this checkout, and how to run them without a bundle."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).absolute().parents[2]
FUNCTION = ROOT / "functions" / "batch_writer"
REQUIREMENTS = FUNCTION / "requirements.txt"
"""What the bundle installs, locked."""


def link_sources(directory: Path) -> Path:
    """Makes `directory` a task root like the unpacked bundle's, of links to the sources; returns it."""
    directory.mkdir(parents=True, exist_ok=True)
    for source in (FUNCTION, ROOT / "sluice"):
        if not (directory / source.name).exists():
            (directory / source.name).symlink_to(source)
    return directory
