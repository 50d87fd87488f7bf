"""docs/library.md: its programs run, and its words are the code's."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

from sluice.direct.outcome import Status
from sluice.direct.tables import named
from tests.fakes import FakeDynamoDB

PAGE = (Path(__file__).parents[3] / "docs" / "library.md").read_text()
PROGRAMS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_program_of_the_page_runs(program: str, db: FakeDynamoDB, monkeypatch: pytest.MonkeyPatch) -> None:
    orders = named("orders", {"pk": "S"}, None)
    # The fake knows no DescribeTable.
    monkeypatch.setattr("sluice.direct.writer.resolved", lambda *_: orders)
    exec(compile(program, "library.md", "exec"), {})  # That is the test.
    assert db.items("orders")


def test_the_page_names_every_status() -> None:
    assert set(re.findall(r"^\| `([a-z-]+)` \|", PAGE, re.MULTILINE)) == set(get_args(Status))
