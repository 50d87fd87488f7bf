"""The commands in the runbook are commands: the service, the operation and its options exist."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import botocore.session
import pytest
from botocore import xform_name

from tests.infra.runbook import RUNBOOK, headings
from tests.infra.template import ROOT

OF_THE_CLI = {"query", "output"}
"""Options of every command (AWS CLI user guide, cli-configure-options)."""


def commands() -> Iterator[list[str]]:
    """The words of each call of the AWS CLI in the runbook's examples."""
    for block in re.findall(r"^```sh\n(.*?)^```", RUNBOOK.read_text(), re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            for call in re.findall(r"(?:^|\(|\{ )(aws .+?)(?:\)(?= |$)|; \}|$)", line):
                yield shlex.split(call)


@pytest.mark.parametrize("words", list(commands()), ids=lambda words: " ".join(words[1:3]))
def test_every_command_is_one_of_the_aws_cli(words: list[str]) -> None:
    _, service, name, *options = words

    model = botocore.session.get_session().get_service_model(service)
    [operation] = [each for each in model.operation_names if xform_name(each, "-") == name]

    members = model.operation_model(operation).input_shape.members
    known = {xform_name(member, "-") for member in members} | OF_THE_CLI
    given = {word.removeprefix("--") for word in options if word.startswith("--")}
    assert {option.removeprefix("no-") for option in given} <= known


def test_there_are_commands() -> None:
    assert len(list(commands())) > 15


def test_links_lead_to_headings() -> None:
    linked = set(re.findall(r"\]\(#([a-z-]+)\)", RUNBOOK.read_text()))

    assert linked <= headings()


def test_it_names_graphs_that_the_dashboard_has() -> None:
    picture = (ROOT / "docs" / "dashboard.svg").read_text()

    for title in ("Messages in and out", "Backlog", "Writes refused, by cause", "Write units a second", "Duration"):
        assert f"*{title}*" in RUNBOOK.read_text()
        assert title in picture
