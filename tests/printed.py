"""What pages say that a command prints, beside what it prints; `python -m tests.printed` writes it anew.

The rule: a block of `text` behind one of `sh` is what that command prints, and … a part that is left out.
What `sluice cost` prints follows from files of this repository, so every character counts.
A run of the demo has its own timings and counts, so of its lines all but the digits and the blanks count.
"""

from __future__ import annotations

import contextlib
import io
import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from sluice.cli import main

ROOT = Path(__file__).parents[1]
COST = ROOT / "docs" / "cost.md"
LEFT_OUT = "…"
_EXAMPLE = re.compile(
    r"^```sh\nsluice (?P<arguments>.*?)\n```\n\n```text\n(?P<shown>.*?)^```$", re.DOTALL | re.MULTILINE
)
_DEMO = re.compile(r"^```text\n(?P<shown>[\d,]+ records: .*?)^```$", re.DOTALL | re.MULTILINE)


def examples(page: str) -> Iterator[re.Match[str]]:
    """The commands of a page with what it says that each prints: groups `arguments` and `shown`."""
    return _EXAMPLE.finditer(page)


def demo_lines(page: str) -> list[str]:
    """What a page says that the demo prints."""
    return [line for block in _DEMO.finditer(page) for line in block["shown"].splitlines() if line.strip()]


def output(arguments: str) -> list[str]:
    """The lines that `sluice` prints for its arguments."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        status = main(shlex.split(arguments))
    assert status == 0, arguments
    return printed.getvalue().splitlines()


def alike(line: str) -> str:
    """The line without digits and runs of blanks."""
    return re.sub(r"\s+", " ", re.sub(r"\d+([.,]\d+)*", "0", line)).strip()


def renewed(shown: Sequence[str], printed: Sequence[str]) -> list[str]:
    """The lines as they are printed now, each found in its order by all but its digits.

    Raises `ValueError` with a line that is printed no more, or with one that is missing between two that are shown.
    """
    found, place, may_skip = [], 0, False
    for line in shown:
        if line == LEFT_OUT:
            found.append(line)
            may_skip = True
            continue
        ahead = [n for n in range(place, len(printed)) if alike(printed[n]) == alike(line)]
        if not ahead:
            raise ValueError(f"not printed any more: {line}")
        if ahead[0] != place and not may_skip:
            raise ValueError(f"not shown: {printed[place]}")
        found.append(printed[ahead[0]])
        place, may_skip = ahead[0] + 1, False
    if place < len(printed) and not may_skip:
        raise ValueError(f"not shown: {printed[place]}")
    return found


def renew(page: str) -> str:
    """The page with each example as it is printed now."""

    def example(match: re.Match[str]) -> str:
        shown = match["shown"]
        return match[0].replace(shown, "\n".join(renewed(shown.splitlines(), output(match["arguments"]))) + "\n")

    return _EXAMPLE.sub(example, page)


if __name__ == "__main__":
    COST.write_text(renew(COST.read_text()))
