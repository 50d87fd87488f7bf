"""The commands in the runbook are commands: the service, the operation and its options exist."""

from __future__ import annotations

import re

import botocore.session
import pytest
from botocore import xform_name

from tests.infra.runbook import RUNBOOK, commands, headings, sections
from tests.infra.template import ROOT

OF_THE_CLI = {"query", "output"}
"""Options of every command (AWS CLI user guide, cli-configure-options)."""


@pytest.mark.parametrize("words", list(commands()), ids=lambda words: " ".join(words[1:3]))
def test_every_command_is_one_of_the_aws_cli(words: list[str]) -> None:
    _, service, name, *options = words

    session = botocore.session.get_session()
    model = session.get_service_model(service)
    if name == "wait":
        waiter = session.get_waiter_model(service).get_waiter("".join(map(str.capitalize, options[0].split("-"))))
        name = xform_name(waiter.operation, "-")
    [operation] = [each for each in model.operation_names if xform_name(each, "-") == name]

    members = model.operation_model(operation).input_shape.members
    known = {xform_name(member, "-") for member in members} | OF_THE_CLI
    given = {word.removeprefix("--") for word in options if word.startswith("--")}
    assert {option.removeprefix("no-") for option in given} <= known


def test_there_are_commands() -> None:
    assert len(list(commands())) > 25


OF_NO_ALARM = {"Before you begin", "Other ways to run it"}


@pytest.mark.parametrize("heading", sorted(sections().keys() - OF_NO_ALARM))
def test_every_heading_says_what_it_means_what_is_first_and_when_it_is_over(heading: str) -> None:
    said = sections()[heading]
    parts = ("Means: ", "First: ", "It is over when ") if heading != "Upgrade and rollback" else ("It is over when ",)

    assert [part for part in parts if re.search(rf"^{part}", said, re.MULTILINE) is None] == []


@pytest.mark.parametrize("heading", sorted(sections().keys() - OF_NO_ALARM - {"Is anything missing?"}))
def test_every_heading_says_whether_anything_is_missing(heading: str) -> None:
    assert re.search(
        r"#is-anything-missing|[Nn]othing is missing|`sluice verify`|missing in the table", sections()[heading]
    )


def test_links_lead_to_headings() -> None:
    linked = set(re.findall(r"\]\(#([a-z-]+)\)", RUNBOOK.read_text()))

    assert linked <= headings()


def test_it_names_graphs_that_the_dashboard_has() -> None:
    picture = (ROOT / "docs" / "dashboard.svg").read_text()

    for title in ("Messages in and out", "Backlog", "Writes refused, by cause", "Write units a second", "Duration"):
        assert f"*{title}*" in RUNBOOK.read_text()
        assert title in picture
