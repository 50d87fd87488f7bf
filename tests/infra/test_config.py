from __future__ import annotations

import json
import math
from dataclasses import fields
from typing import Any

import pytest

from functions.batch_writer.settings import KeyAttribute, Settings
from infra.config import DEAD_LETTER_RETENTION, Config, ConfigError, settings_table
from tests.infra.template import ROOT

BAD_VALUES = [
    ("stackName", "2nd"),
    ("stackName", "under_score"),
    ("stackName", "x" * 129),
    ("partitionKey", "pk"),
    ("recordFormat", "items"),
    ("versionAttribute", "x" * 65_536),
    ("onConditionFailed", "raise"),
    ("updateOnce", "yes"),
    ("recordExpression", "Records["),
    ("recordExpression", "no_such_function(@)"),
    ("partitionKey", ":S"),
    ("partitionKey", "pk:X"),
    ("partitionKey", f"{'ä' * 128}:S"),
    ("partitionKey", ""),
    ("sortKey", "sk:"),
    ("tableRemoval", "keep"),
    ("tableRemoval", True),
    ("memory", 127),
    ("memory", 10_241),
    ("memory", "512.5"),
    ("memory", "lots"),
    ("memory", True),
    ("timeout", 0),
    ("timeout", 901),
    ("deadlineMargin", 0),
    ("deadlineMargin", "nan"),
    ("maxConnections", 0),
    ("maxWriteUnitsPerSecond", "inf"),
    ("maxWriteUnitsPerSecond", True),
    ("maxWriteUnitsPerSecond", 10**400),
    ("maxWriteUnitsPerSecond", -1),
    ("batchSize", 0),
    ("batchSize", 10_001),
    ("batchingWindow", -1),
    ("batchingWindow", 301),
    ("maxConcurrency", 1),
    ("maxConcurrency", 1001),
    ("queueRetention", DEAD_LETTER_RETENTION),
    ("maxReceiveCount", 4),
    ("maxReceiveCount", 1001),
    ("logRetention", 31),
    ("alarmEmail", "ops"),
]


def test_nothing_has_to_be_set() -> None:
    assert Config.from_context({}) == Config()


@pytest.mark.parametrize(
    ("context", "name", "value"),
    [
        ({"stackName": "Orders-2"}, "stack_name", "Orders-2"),
        ({"partitionKey": "id:N"}, "partition_key", KeyAttribute("id", "N")),
        ({"partitionKey": "a:b:B"}, "partition_key", KeyAttribute("a:b", "B")),
        ({"sortKey": "time_hour:S"}, "sort_key", KeyAttribute("time_hour", "S")),
        ({"sortKey": ""}, "sort_key", None),
        ({"sortKey": None}, "sort_key", None),
        ({"tableRemoval": "destroy"}, "table_removal", "destroy"),
        ({"memory": "512"}, "memory", 512),
        ({"memory": 512}, "memory", 512),
        ({"deadlineMargin": "2.5"}, "deadline_margin", 2.5),
        ({"deadlineMargin": 2}, "deadline_margin", 2.0),
        ({"maxWriteUnitsPerSecond": 4000}, "max_write_units_per_second", 4000.0),
        ({"logRetention": "14"}, "log_retention", 14),
        ({"logRetention": 14}, "log_retention", 14),
        ({"alarmEmail": "ops@example.com"}, "alarm_email", "ops@example.com"),
        ({"alarmEmail": ""}, "alarm_email", None),
    ],
)
def test_settings_are_read_from_text_and_from_json(context: dict[str, Any], name: str, value: object) -> None:
    read = getattr(Config.from_context(context), name)

    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(("key", "value"), BAD_VALUES)
def test_a_value_out_of_range_is_refused_by_name_and_value(key: str, value: object) -> None:
    with pytest.raises(ConfigError) as error:
        Config.from_context({key: value})

    assert str(error.value).startswith(f"{key} must be ")
    assert repr(value) in str(error.value)


def test_every_setting_has_a_value_that_is_refused() -> None:
    assert len({key for key, _ in BAD_VALUES}) == len(fields(Config))


@pytest.mark.parametrize(
    ("context", "named"),
    [
        ({"batchSize": 11, "batchingWindow": 0}, ["batchSize 11", "batchingWindow", "got 0"]),
        ({"timeout": 8, "deadlineMargin": 4.5}, ["timeout 8", "deadlineMargin 4.5"]),
        ({"maxWriteUnitsPerSecond": 9, "maxConcurrency": 10}, ["maxWriteUnitsPerSecond 9", "maxConcurrency 10"]),
        ({"partitionKey": "id:S", "sortKey": "id:N"}, ["partitionKey", "sortKey", "'id'"]),
        ({"partitionKey": "id:S", "versionAttribute": "id"}, ["versionAttribute 'id'", "partitionKey"]),
        ({"queueRetention": 1, "maxReceiveCount": 96}, ["queueRetention 1", "maxReceiveCount 96", "timeout 60"]),
        (
            {"queueRetention": 6, "maxReceiveCount": 100, "timeout": 900},
            ["queueRetention 6", "maxReceiveCount 100", "timeout 900"],
        ),
    ],
)
def test_a_contradiction_is_refused_with_all_its_settings(context: dict[str, Any], named: list[str]) -> None:
    with pytest.raises(ConfigError) as error:
        Config.from_context(context)

    assert [part for part in named if part not in str(error.value)] == []


@pytest.mark.parametrize(
    "context",
    [
        {"batchSize": 10, "batchingWindow": 0},
        {"timeout": 8, "deadlineMargin": 4},
        {"maxWriteUnitsPerSecond": 10, "maxConcurrency": 10},
        {"queueRetention": 1, "maxReceiveCount": 95},
    ],
)
def test_what_is_just_possible_is_not_refused(context: dict[str, Any]) -> None:
    Config.from_context(context)


@pytest.mark.parametrize(
    ("key", "suggestion"),
    [
        ("batchsize", "did you mean batchSize?"),
        ("tiemout", "did you mean timeout?"),
        ("partition_key", "did you mean partitionKey?"),
        ("colour", "there are stackName, partitionKey"),
    ],
)
def test_an_unknown_setting_is_refused(key: str, suggestion: str) -> None:
    with pytest.raises(ConfigError) as error:
        Config.from_context({key: "1"})

    assert repr(key) in str(error.value)
    assert suggestion in str(error.value)


def test_what_cdk_keeps_in_context_is_left_alone() -> None:
    flags = json.loads((ROOT / "cdk.json").read_text())["context"]
    looked_up = {"availability-zones:account=1:region=x": ["x-1"], "acknowledged-issue-numbers": [1]}

    assert Config.from_context({**flags, **looked_up, "aws:cdk:enable-path-metadata": True}) == Config()


# https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
@pytest.mark.parametrize(("timeout", "window"), [(20, 1), (60, 5), (900, 300)])
def test_messages_stay_hidden_for_six_timeouts_and_the_window(timeout: int, window: int) -> None:
    config = Config.from_context({"timeout": timeout, "batchingWindow": window, "queueRetention": 13})

    assert config.visibility_timeout >= 6 * timeout + window
    assert config.visibility_timeout <= 43_200


def test_the_write_limit_is_divided_among_all_invocations() -> None:
    config = Config.from_context({"maxWriteUnitsPerSecond": 1000, "maxConcurrency": 8})

    assert config.write_units_per_invocation == 125
    assert Config().write_units_per_invocation == math.inf


def test_the_stack_has_the_functions_own_defaults() -> None:
    function = Settings(tables=())

    assert Config().max_connections == function.max_connections
    assert Config().deadline_margin == function.deadline_margin
    assert Config().max_write_units_per_second == function.max_write_units_per_second


def test_every_setting_gives_its_reason() -> None:
    assert [f.name for f in fields(Config) if len(f.metadata["setting"].reason) < 20] == []


def test_the_table_of_settings_in_the_docs_is_the_codes_own() -> None:
    document = (ROOT / "docs" / "settings.md").read_text()

    assert settings_table() in document, "write it again: python -m infra.config"
