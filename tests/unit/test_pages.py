"""The pages as text: one sentence a line, and printed blocks that are what the commands print."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import printed

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / ".github").rglob("*.md")])
_FENCE = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
_CODE = re.compile(r"``.*?``|`[^`]*`")
_LEAD = re.compile(r"\s*(?:(?:[-*]|\d+\.)\s+)?(?:(\*\*?)(?!\s)[^*]+[.?!]\1\s+)?")
"""What may stand before the sentence of a line: the mark of a list, and a few words in bold or italics as a heading."""
_NEXT = re.compile(r"""[.!?]["')*_\]]*\s+\S""")


def second_sentences(page: str) -> Iterator[str]:
    """Lines of a page in which a second sentence begins; headings, tables, comments and code may have several."""
    for line in _FENCE.sub("", page).splitlines():
        if not line.startswith(("|", "#", "<!--")):
            text = re.sub(r"\]\([^)]*\)", "]", _CODE.sub("x", line))
            if _NEXT.search(_LEAD.sub("", text, count=1)):
                yield line


def test_a_second_sentence_is_seen() -> None:
    page = (
        "One. botocore has two.\n- **Lead.** One.\n- **Lead.** One. Two `x`.\n1. One.\n*Lead.* One! 2 are two.\n"
        "| One. Two. |\n```\nOne. Two.\n```\nSee `a. b`, [a. B](c.md), e.g.: one\n"
    )

    assert list(second_sentences(page)) == [
        "One. botocore has two.",
        "- **Lead.** One. Two `x`.",
        "*Lead.* One! 2 are two.",
        "See `a. b`, [a. B](c.md), e.g.: one",
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_one_sentence_a_line(page: Path) -> None:
    assert list(second_sentences(page.read_text())) == []


def test_the_page_on_cost_has_what_the_command_prints() -> None:
    page = printed.COST.read_text()

    assert len(list(printed.examples(page))) == page.count("```sh") == 4
    assert printed.renew(page) == page, "python -m tests.printed writes it anew"


def test_what_is_printed_no_more_or_left_out_unsaid_is_told() -> None:
    now = ["US dollars", "", "a $1.20", "b $2", "end"]

    assert printed.renewed(["US dollars", "…", "b $7", "end"], now) == ["US dollars", "…", "b $2", "end"]
    with pytest.raises(ValueError, match=r"not printed any more: c \$2"):
        printed.renewed(["US dollars", "…", "c $2", "end"], now)
    with pytest.raises(ValueError, match=r"not shown: a \$1\.20"):
        printed.renewed(["US dollars", "", "b $2", "end"], now)
    with pytest.raises(ValueError, match="not shown: end"):
        printed.renewed(["US dollars", "…", "b $2"], now)
