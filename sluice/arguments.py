"""Numbers on a command line: each is a `type` for argparse, which says what it must be where another is given."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable


def whole(least: int, most: float = math.inf) -> Callable[[str], int]:
    """Whole numbers from `least` to `most`."""
    what = f"a whole number of {least} or more" if most == math.inf else f"a whole number from {least} to {most}"

    def parse(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"must be {what}, got {text!r}")
        return int(text)

    return parse


def real(what: str, is_right: Callable[[float], bool]) -> Callable[[str], float]:
    """Real numbers that are right; `what` says which those are."""

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not is_right(value):
            raise argparse.ArgumentTypeError(f"must be {what}, got {text!r}")
        return value

    return parse


def positive(unit: str) -> Callable[[str], float]:
    """Real numbers above zero, but for infinity."""
    return real(f"a positive number of {unit}", lambda value: 0 < value < math.inf)


tcp_port = whole(1024, 65_535)
"""A TCP port that nobody has to be root for."""
