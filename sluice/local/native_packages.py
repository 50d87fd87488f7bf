"""Machine code in the deployed bundle, and what runs here in its place.

The bundle's native packages (msgspec, which reads and writes JSON) were compiled for Lambda's Python and processor, and
mostly cannot be loaded on this machine. Here the function takes them from this Python's own site-packages, in the very
version that the bundle holds, and everything else from the bundle as it was deployed.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import shutil
from pathlib import Path

from .aws import LocalError

SUFFIXES = (".so", ".pyd", ".dylib")


def link(bundle: Path, requirements: Path) -> list[str]:
    """Replace each native package in an unpacked bundle by a link to this Python's; returns their names and versions.

    `requirements` pins what the bundle was made of. Raises `LocalError` where this Python has not that version.
    """
    files = [path.relative_to(bundle) for path in bundle.rglob("*") if path.suffix in SUFFIXES]
    linked = []
    for top in sorted({file.parts[0] for file in files}):
        module = top.partition(".")[0]  # A package, or a module by itself: `name.cpython-314-aarch64-linux-gnu.so`.
        name = next(iter(importlib.metadata.packages_distributions().get(module, ())), module)
        pinned = _pinned(requirements.read_text("utf-8"), name)
        found = importlib.util.find_spec(module)
        version = importlib.metadata.version(name) if found else "none"
        if version != pinned or found is None or found.origin is None:
            text = f"The bundle holds {name} {pinned}, which is native; this Python has {version}."
            raise LocalError(f"{text} `make venv` installs what {requirements.name} pins.")
        _remove(bundle / top)
        origin = Path(found.origin)
        source = origin.parent if found.submodule_search_locations else origin
        (bundle / source.name).symlink_to(source)
        linked.append(f"{name} {version}")
    return linked


def _pinned(requirements: str, name: str) -> str:
    match = re.search(rf"^{re.escape(name)}==([^\s;]+)", requirements, re.MULTILINE | re.IGNORECASE)
    return match[1] if match else "of an unknown version"


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
