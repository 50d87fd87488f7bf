"""docs/runbook.md, as tests read it."""

from __future__ import annotations

import re

from tests.infra.template import ROOT

RUNBOOK = ROOT / "docs" / "runbook.md"


def headings() -> set[str]:
    """The anchors of its headings, as GitHub makes them."""
    return {
        heading.lower().replace(" ", "-") for heading in re.findall(r"^## (.+)$", RUNBOOK.read_text(), re.MULTILINE)
    }
