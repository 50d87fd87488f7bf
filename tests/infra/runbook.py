"""docs/runbook.md, as tests read it."""

from __future__ import annotations

import re
import shlex
import textwrap
from collections.abc import Iterator

from tests.infra.template import ROOT

RUNBOOK = ROOT / "docs" / "runbook.md"
_BLOCK = re.compile(r"^( *)```sh\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


def headings() -> set[str]:
    """The anchors of its headings, as GitHub makes them."""
    return {anchor(heading) for heading in sections()}


def anchor(heading: str) -> str:
    return re.sub(r"[^a-z -]", "", heading.lower()).replace(" ", "-")


def sections() -> dict[str, str]:
    """Heading → what stands below it."""
    _, *parts = re.split(r"^## (.+)\n", RUNBOOK.read_text(), flags=re.MULTILINE)
    return dict(zip(parts[::2], parts[1::2], strict=True))


def blocks() -> list[str]:
    """The shell examples, from top to bottom."""
    return [textwrap.dedent(block) for _, block in _BLOCK.findall(RUNBOOK.read_text())]


def commands() -> Iterator[list[str]]:
    """The words of each call of the AWS CLI in the examples."""
    for block in blocks():
        for line in block.splitlines():
            for call in re.findall(r"(?:^|\(|\{ )(aws .+?)(?:\)(?= |$)|; \}|$)", line):
                yield shlex.split(call)
