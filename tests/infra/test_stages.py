"""Settings of a real stack stand in a file; one that is forgotten is told or refused before anything is deployed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from infra import stages
from infra.stack_config import StackConfig
from sluice.cdk.context import ConfigError
from sluice.message.settings import KeyAttribute
from tests.infra.template import ROOT


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A checkout with one stage, `prod`."""
    (tmp_path / "stages").mkdir()
    (tmp_path / "stages" / "prod.json").write_text('{"partitionKey": "customer:S", "queueRetention": 13}')
    (tmp_path / "cdk.json").write_text('{"context": {"memory": 512}}')
    return tmp_path


def test_a_stage_has_the_settings_of_its_file_and_those_of_cdk_json(root: Path) -> None:
    config = stages.read({"stage": "prod", "memory": 512}, root)

    assert config.full_name == "Sluice-prod"
    assert config.tables[0].partition_key == KeyAttribute("customer", "S")
    assert (config.queue_retention, config.memory) == (13, 512)


def test_without_a_stage_settings_are_those_of_the_context(root: Path) -> None:
    assert stages.read({"memory": 512}, root) == StackConfig(memory=512)


def test_a_stage_without_a_file_is_refused_with_the_way_out(root: Path) -> None:
    with pytest.raises(ConfigError, match=r"stage prd has no settings: write them to stages/prd\.json .*destroy"):
        stages.read({"stage": "prd"}, root)


@pytest.mark.parametrize(
    "context",
    [
        {"tableRemoval": "destroy"},
        {"tables": [{"tableRemoval": "destroy"}, {"alias": "b", "existingTable": "old", "partitionKey": "id:S"}]},
    ],
)
def test_a_stage_to_be_thrown_away_needs_no_file(root: Path, context: dict[str, Any]) -> None:
    assert stages.read({"stage": "mine", **context}, root).full_name == "Sluice-mine"


@pytest.mark.parametrize(
    "tables",
    [
        [{"tableRemoval": "destroy"}, {"alias": "b"}],
        [{"existingTable": "old", "partitionKey": "id:S"}],
    ],
)
def test_a_stage_that_keeps_a_table_needs_one(root: Path, tables: list[dict[str, Any]]) -> None:
    with pytest.raises(ConfigError, match="has no settings"):
        stages.read({"stage": "mine", "tables": tables}, root)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "stages/prod.json is not JSON"),
        ("[]", "stages/prod.json must be a JSON object"),
        ('{"environment": "x"}', "stages/prod.json has no setting 'environment'; there are"),
        ('{"memory": 64}', "memory must be a whole number of MB"),
        ('{"stage": "test"}', "stage stands twice: 'test' in stages/prod.json, 'prod' in cdk.json or on"),
    ],
)
def test_a_bad_file_is_refused_in_one_sentence(root: Path, content: str, words: str) -> None:
    (root / "stages" / "prod.json").write_text(content)

    with pytest.raises(ConfigError) as error:
        stages.read({"stage": "prod"}, root)

    assert words in str(error.value)


def test_a_setting_that_stands_twice_is_refused(root: Path) -> None:
    with pytest.raises(ConfigError, match=r"queueRetention stands twice: 13 in stages/prod\.json, '4' in cdk\.json or"):
        stages.read({"stage": "prod", "queueRetention": "4"}, root)


@pytest.mark.parametrize("stage", ["../prod", "/etc/passwd", "a b"])
def test_a_stage_names_no_other_file(root: Path, stage: str) -> None:
    with pytest.raises(ConfigError, match="stage must be 1 to 32 letters, digits and hyphens"):
        stages.read({"stage": stage}, root)


def test_what_only_the_command_line_has_is_known(root: Path) -> None:
    context = {"stage": "prod", "memory": 512, "sortKey": "time:S", "@aws-cdk/core:x": True, "owner": "me"}

    assert stages.in_no_file(context, root) == ["sortKey"]


@pytest.mark.parametrize("file", sorted((ROOT / "stages").glob("*.json")), ids=lambda path: path.stem)
def test_every_stage_in_the_repository_is_accepted(file: Path) -> None:
    config = stages.read({"stage": file.stem})

    assert config.full_name == f"Sluice-{file.stem}"
    assert json.loads(file.read_text())
