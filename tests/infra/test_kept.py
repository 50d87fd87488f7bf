"""A deployment that has forgotten or changed what cannot be changed in place is refused, and deletes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.infra.logical_ids import DEAD_LETTERS, QUEUE, TABLE
from tests.infra.template import Template, synthesise

pytestmark = pytest.mark.xdist_group("synth")

NAMED = {
    "partitionKey": "customer:S",
    "sortKey": "time:N",
    "tableName": "Orders",
    "queueType": "fifo",
}


def parameters(template: Template) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = template.content.get("Parameters", {})
    return found


def refused(before: Template, after: Template) -> set[str]:
    """The parameters by which CloudFormation refuses an update.

    The CDK command line has it use the value that the stack has, where there is one, and else the default.
    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/parameters-section-structure.html (AllowedValues)
    """
    values = {name: parameter["Default"] for name, parameter in parameters(before).items()}
    return {
        name
        for name, parameter in parameters(after).items()
        if values.get(name, parameter["Default"]) not in parameter["AllowedValues"]
    }


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Template:
    return synthesise(tmp_path_factory.mktemp("named"), NAMED)


@pytest.mark.parametrize(
    ("forgotten", "parameter"),
    [
        ("partitionKey", "DefaultTable"),
        ("sortKey", "DefaultTable"),
        ("tableName", "DefaultTable"),
        ("queueType", "QueueType"),
    ],
)
def test_a_deployment_that_forgets_a_setting_is_refused(
    named: Template, tmp_path: Path, forgotten: str, parameter: str
) -> None:
    after = synthesise(tmp_path, {name: value for name, value in NAMED.items() if name != forgotten})

    assert refused(named, after) == {parameter}


def test_a_deployment_that_forgets_all_settings_is_refused(named: Template, template: Template) -> None:
    assert refused(named, template) == {"DefaultTable", "QueueType"}


@pytest.mark.parametrize(
    "context", [{"alias": "orders"}, {"existingTable": "Legacy", "partitionKey": "pk:S"}, {"partitionKey": "pk:N"}]
)
def test_another_default_table_is_refused(template: Template, tmp_path: Path, context: dict[str, Any]) -> None:
    assert refused(template, synthesise(tmp_path, context)) == {"DefaultTable"}


def test_tables_that_are_forgotten_are_refused(templates: dict[str, Template], template: Template) -> None:
    assert "DefaultTable" in refused(templates["tables"], template)


def test_a_table_may_be_added_and_all_else_be_changed(template: Template, tmp_path: Path) -> None:
    context = {"tables": [{}, {"alias": "archive"}], "memory": 512, "timeout": 30, "queueRetention": 13}

    assert refused(template, synthesise(tmp_path, context)) == set()


def test_a_second_table_keeps_its_key_too(tmp_path: Path) -> None:
    first = synthesise(tmp_path / "1", {"tables": [{}, {"alias": "archive", "partitionKey": "id:S"}]})
    second = synthesise(tmp_path / "2", {"tables": [{}, {"alias": "archive", "partitionKey": "id:N"}]})

    assert refused(first, second) == {"Tablearchive"}


def test_a_refusal_says_where_to_look(template: Template) -> None:
    for parameter in parameters(template).values():
        assert parameter["Default"] in parameter["ConstraintDescription"]
        assert "docs/settings.md" in parameter["ConstraintDescription"]


@pytest.mark.parametrize("name", [QUEUE, DEAD_LETTERS, TABLE])
def test_what_is_replaced_all_the_same_stays_with_what_is_in_it(template: Template, name: str) -> None:
    assert template.resource(name)["UpdateReplacePolicy"] == "Retain"


def test_queues_go_with_their_stack(template: Template) -> None:
    assert {template.resource(name)["DeletionPolicy"] for name in (QUEUE, DEAD_LETTERS)} == {"Delete"}


def test_a_table_has_the_name_that_was_chosen(named: Template, template: Template) -> None:
    assert named.only("AWS::DynamoDB::Table")["TableName"] == "Orders"
    assert "TableName" not in template.only("AWS::DynamoDB::Table")
