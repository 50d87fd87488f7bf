from __future__ import annotations

import json
import math
import re
from typing import Any

import pytest

from infra import reading
from infra.settings_docs import settings_tables
from infra.stack_config import StackConfig
from sluice.cdk.context import ConfigError, settings_of
from sluice.cdk.environment import function_settings
from sluice.cdk.limits import DEAD_LETTER_RETENTION
from sluice.cdk.producers import AllowedProducer
from sluice.cdk.table_config import TableConfig
from sluice.message.settings import KeyAttribute, Settings
from tests.infra.configurations import ACCOUNT, KEY, ROLE, RULE, TOPIC
from tests.infra.template import ROOT

BAD_VALUES = [
    ("stackName", "2nd"),
    ("stackName", "under_score"),
    ("stackName", "x" * 129),
    ("stage", "a b"),
    ("terminationProtection", "on"),
    ("permissionsBoundary", "boundary"),
    ("logKey", "alias/logs"),
    ("variablesKey", "kms"),
    ("alarmTopicKey", "kms"),
    ("functionVpc", "vpc"),
    ("functionSubnets", ["subnet-1", 2]),
    ("functionSubnets", {"a": "subnet-1"}),
    ("functionSecurityGroups", "subnet-1"),
    ("tags", "aws:team=data"),
    ("tags", {"team": 1}),
    ("tags", {"team": "x" * 257}),
    ("tags", {str(n): "" for n in range(51)}),
    ("tags", ["team"]),
    ("tables", []),
    ("tables", "records"),
    ("tables", ["records"]),
    ("recordFormat", "items"),
    ("onConditionFailed", "raise"),
    ("updateOnce", "yes"),
    ("recordExpression", "Records["),
    ("recordExpression", "no_such_function(@)"),
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
    ("reserveConcurrency", 5),
    ("tracing", "active"),
    ("accountConcurrency", 99),
    ("architecture", "arm"),
    ("logLevel", "info"),
    ("systemLogLevel", "ERROR"),
    ("enabled", "paused"),
    ("queueType", "FIFO"),
    ("deduplicationScope", "group"),
    ("contentBasedDeduplication", "content"),
    ("queueEncryption", "aws"),
    ("queueEncryption", "arn:aws:kms:us-east-1:123456789012:alias/mine"),
    ("dataKeyReuse", 59),
    ("producers", "1234"),
    ("producers", {"account": "123456789012"}),
    ("producers", "*"),
    ("producers", [True]),
    ("producers", "arn:aws:iam::123456789012:*"),
    ("producers", "arn:aws:iam::123456789012:policy/p"),
    ("producers", "arn:aws:sns:us-east-1:123456789012:*"),
    ("producers", "arn:aws:events:us-east-1:123456789012:event-bus/default"),
    ("producers", "arn:aws:s3:::bucket"),
    ("queueRetention", DEAD_LETTER_RETENTION),
    ("survivedOutage", -1),
    ("maxReceiveCount", 4),
    ("maxReceiveCount", 1001),
    ("batchSize", 0),
    ("batchSize", 10_001),
    ("batchingWindow", -1),
    ("batchingWindow", 301),
    ("maxConcurrency", 1),
    ("maxConcurrency", 1001),
    ("minPollers", 1),
    ("minPollers", 201),
    ("maxPollers", 10_001),
    ("logRetention", 31),
    ("freshnessTarget", 0),
    ("fairQueue", "maybe"),
    ("alarms", "none"),
    ("dashboard", "small"),
    ("alarmEmail", "ops"),
    ("alarmTopicArn", "ops"),
    ("runbookUrl", "docs/runbook.md"),
]
BAD_TABLE_VALUES = [
    ("alias", "my table"),
    ("alias", ""),
    ("existingTable", "no"),
    ("existingTable", "arn:aws:s3:::bucket"),
    ("existingTable", "arn:aws:dynamodb:eu-west-1:123456789012:table/Legacy/index/i"),
    ("tableName", "no"),
    ("partitionKey", "pk"),
    ("partitionKey", ":S"),
    ("partitionKey", "pk:X"),
    ("partitionKey", f"{'ä' * 128}:S"),
    ("partitionKey", ""),
    ("sortKey", "sk:"),
    ("indexes", {"name": "by-day"}),
    ("indexes", ["by-day"]),
    ("stream", "NEW"),
    ("versionAttribute", "x" * 65_536),
    ("skipUnchanged", "maybe"),
    ("ttlAttribute", "x" * 256),
    ("tableRemoval", "keep"),
    ("tableRemoval", True),
    ("deletionProtection", 1),
    ("pointInTimeRecovery", 36),
    ("tableEncryption", "kms"),
    ("billing", "free"),
    ("maxWriteUnits", 0),
    ("minWriteUnits", "some"),
    ("maxReadUnits", 0),
    ("minReadUnits", 1.5),
    ("targetUtilization", 91),
    ("warmWriteUnits", 3999),
    ("warmReadUnits", 11_999),
]


def test_nothing_has_to_be_set() -> None:
    assert reading.from_context({}) == StackConfig()


@pytest.mark.parametrize(
    ("context", "name", "value"),
    [
        ({"stackName": "Orders-2"}, "stack_name", "Orders-2"),
        ({"stage": "dev"}, "full_name", "Sluice-dev"),
        ({"stage": "dev", "stackName": "Orders"}, "full_name", "Orders-dev"),
        ({"tags": "team=data, cost=4=2"}, "tags", {"team": "data", "cost": "4=2"}),
        ({"tags": '{"team": "a,b"}'}, "tags", {"team": "a,b"}),
        ({"tags": {"team": "data"}}, "tags", {"team": "data"}),
        ({"queueEncryption": KEY}, "queue_key_arn", KEY),
        ({"queueEncryption": "kms"}, "queue_key_arn", None),
        ({"maxConcurrency": None, "minPollers": "2", "maxPollers": 9}, "max_pollers", 9),
        ({"producers": ACCOUNT}, "producers", (AllowedProducer("account", ACCOUNT),)),
        (
            {"producers": f"{ROLE}, {RULE}"},
            "producers",
            (AllowedProducer("iam", ROLE), AllowedProducer("events", RULE)),
        ),
        ({"producers": f'["{TOPIC}"]'}, "producers", (AllowedProducer("sns", TOPIC),)),
        ({"producers": [TOPIC, TOPIC]}, "producers", (AllowedProducer("sns", TOPIC),)),
        ({"producers": ""}, "producers", ()),
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
    read = getattr(reading.from_context(context), name)

    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("context", "table"),
    [
        ({"partitionKey": "id:N"}, TableConfig(partition_key=KeyAttribute("id", "N"))),
        ({"partitionKey": "a:b:B"}, TableConfig(partition_key=KeyAttribute("a:b", "B"))),
        ({"sortKey": "time_hour:S"}, TableConfig(sort_key=KeyAttribute("time_hour", "S"))),
        ({"sortKey": ""}, TableConfig()),
        ({"sortKey": None}, TableConfig()),
        ({"tableRemoval": "destroy"}, TableConfig(table_removal="destroy", deletion_protection=False)),
        ({"deletionProtection": "false"}, TableConfig(deletion_protection=False)),
        ({"pointInTimeRecovery": "7"}, TableConfig(point_in_time_recovery=7)),
        ({"tableEncryption": KEY}, TableConfig(table_encryption=KEY)),
        ({"maxWriteUnits": "500"}, TableConfig(max_write_units=500)),
    ],
)
def test_one_table_is_described_by_settings_of_its_own(context: dict[str, Any], table: TableConfig) -> None:
    assert reading.from_context(context) == StackConfig(tables=(table,))
    assert reading.from_context({"tables": [context]}) == StackConfig(tables=(table,))
    assert reading.from_context({"tables": json.dumps([context])}) == StackConfig(tables=(table,))


def test_the_first_of_several_tables_is_the_default() -> None:
    tables = [{"alias": "orders"}, {"alias": "old", "existingTable": "legacy", "partitionKey": "id:B"}]

    config = reading.from_context({"tables": tables})
    settings = function_settings(config, config.tables, {"orders": "Orders-1", "old": "legacy"}, "")

    assert [(table.alias, table.name) for table in settings.tables] == [("orders", "Orders-1"), ("old", "legacy")]
    assert settings.tables[1].partition_key == KeyAttribute("id", "B")


@pytest.mark.parametrize(("key", "value"), BAD_VALUES + BAD_TABLE_VALUES)
def test_a_value_out_of_range_is_refused_by_name_and_value(key: str, value: object) -> None:
    with pytest.raises(ConfigError) as error:
        reading.from_context({key: value})

    assert str(error.value).startswith(f"{key} must be ")
    assert repr(value) in str(error.value)


@pytest.mark.parametrize(("key", "value"), BAD_TABLE_VALUES)
def test_a_bad_value_of_one_of_several_tables_is_refused_by_its_place(key: str, value: object) -> None:
    with pytest.raises(ConfigError) as error:
        reading.from_context({"tables": [{}, {key: value}]})

    assert str(error.value).startswith(f"tables[1]: {key} must be ")


def test_every_setting_has_a_value_that_is_refused() -> None:
    assert {key for key, _ in BAD_VALUES} == set(settings_of(StackConfig))
    assert {key for key, _ in BAD_TABLE_VALUES} == set(settings_of(TableConfig))


OLD = "arn:aws:dynamodb:eu-west-1:123456789012:table/old"
PROVISIONED = {"billing": "provisioned", "maxWriteUnits": 100}


@pytest.mark.parametrize(
    ("context", "named"),
    [
        ({"batchSize": 11, "batchingWindow": 0}, ["batchSize 11", "batchingWindow", "got 0"]),
        ({"queueType": "fifo", "batchSize": 11}, ["batchSize 11", "10", "queueType fifo"]),
        ({"queueType": "fifo", "batchSize": 11, "batchingWindow": 1}, ["batchSize 11", "10", "queueType fifo"]),
        ({"queueType": "fifo", "batchingWindow": 1}, ["batchingWindow 1", "0", "queueType fifo"]),
        ({"queueType": "fifo", "producers": TOPIC}, [TOPIC, "queueType fifo"]),
        ({"deduplicationScope": "queue"}, ["deduplicationScope", "queueType standard"]),
        ({"contentBasedDeduplication": True}, ["contentBasedDeduplication", "queueType standard"]),
        ({"dataKeyReuse": 3600}, ["dataKeyReuse 3600", "queueEncryption sqs"]),
        ({"timeout": 8, "deadlineMargin": 4.5}, ["timeout 8", "deadlineMargin 4.5"]),
        ({"maxWriteUnitsPerSecond": 9, "maxConcurrency": 10}, ["maxWriteUnitsPerSecond 9", "maxConcurrency 10"]),
        (
            {"maxWriteUnitsPerSecond": 199, "minPollers": 2, "maxPollers": 20},
            ["maxWriteUnitsPerSecond 199", "200 invocations", "maxPollers 20"],
        ),
        ({"maxWriteUnitsPerSecond": 501, "maxWriteUnits": 500}, ["maxWriteUnitsPerSecond 501", "500", "maxWriteUnits"]),
        (
            {"maxWriteUnitsPerSecond": 301, "tables": [{"maxWriteUnits": 100}, {"alias": "b", "maxWriteUnits": 200}]},
            ["maxWriteUnitsPerSecond 301", "300"],
        ),
        ({"minPollers": 2}, ["minPollers 2", "maxPollers none"]),
        ({"maxPollers": 2}, ["minPollers none", "maxPollers 2"]),
        ({"minPollers": 9, "maxPollers": 8}, ["minPollers 9", "maxPollers 8"]),
        (
            {"minPollers": 2, "maxPollers": 8, "maxConcurrency": 10},
            ["maxConcurrency 10", "maxPollers 8"],
        ),
        (
            {"reserveConcurrency": True, "maxConcurrency": 901},
            ["reserveConcurrency true", "901", "accountConcurrency 1000", "maxConcurrency"],
        ),
        ({"accountConcurrency": 2000}, ["accountConcurrency 2000", "reserveConcurrency"]),
        ({"maxConcurrency": ""}, ["maxConcurrency none", "minPollers", "maxPollers"]),
        ({"maxReceiveCount": 26}, ["maxReceiveCount 26", "survivedOutage 60"]),
        ({"maxReceiveCount": 27, "survivedOutage": 90}, ["maxReceiveCount 27", "62 minutes", "survivedOutage 90"]),
        ({"survivedOutage": 5760, "timeout": 1}, ["survivedOutage 5760", "timeout 1", "1000"]),
        ({"queueRetention": 1, "maxReceiveCount": 96}, ["queueRetention 1", "maxReceiveCount 96", "timeout 60"]),
        (
            {"queueRetention": 6, "maxReceiveCount": 100, "timeout": 900},
            ["queueRetention 6", "maxReceiveCount 100", "timeout 900"],
        ),
        ({"survivedOutage": 5760}, ["queueRetention 4", "timeout 60"]),
        ({"functionSubnets": "subnet-1"}, ["functionSubnets", "functionVpc"]),
        ({"functionVpc": "vpc-1"}, ["functionVpc vpc-1", "functionSubnets"]),
        ({"alarmTopicKey": KEY, "alarmTopicArn": TOPIC}, ["alarmTopicKey", TOPIC]),
        ({"fairQueue": True, "queueType": "fifo"}, ["fairQueue true", "queueType fifo"]),
        ({"freshnessTarget": 9, "batchingWindow": 10}, ["freshnessTarget 9", "batchingWindow 10"]),
        ({"alarmEmail": "a@b.example", "alarmTopicArn": TOPIC}, ["a@b.example", TOPIC]),
        ({"recordFormat": "item", "tables": [{}, {"alias": "b"}]}, ["recordFormat item", "2 tables"]),
        ({"stackName": "x" * 128, "stage": "dev"}, ["stackName", "stage", "132", "128"]),
        ({"tables": [{"alias": f"t{n}"} for n in range(40)]}, ["tables (40)", "4096"]),
        ({"partitionKey": "id:S", "tables": [{}]}, ["partitionKey", "tables"]),
        ({"tables": [{}, {}]}, ["alias 'records'", "2"]),
        (
            {"tables": [{"alias": x, "existingTable": "old", "partitionKey": "p:S"} for x in "ab"]},
            ["existingTable 'old'", "2"],
        ),
        (
            {
                "tables": [
                    {"alias": x, "existingTable": y, "partitionKey": "p:S"} for x, y in (("a", "old"), ("b", OLD))
                ]
            },
            ["existingTable 'old'", "2"],
        ),
        ({"tables": [{"partition_key": "id:S"}]}, ["tables[0]", "'partition_key'", "partitionKey"]),
        ({"partitionKey": "id:S", "sortKey": "id:N"}, ["partitionKey", "sortKey", "'id'"]),
        ({"partitionKey": "id:S", "versionAttribute": "id"}, ["versionAttribute 'id'", "partitionKey"]),
        (
            {"billing": "provisioned", "maxWriteUnits": 10, "skipUnchanged": True},
            ["skipUnchanged true", "billing provisioned", "maxReadUnits"],
        ),
        ({"ttlAttribute": "pk"}, ["ttlAttribute 'pk'", "partitionKey"]),
        ({"ttlAttribute": "v", "versionAttribute": "v"}, ["ttlAttribute 'v'", "versionAttribute v"]),
        ({"tableRemoval": "destroy", "deletionProtection": True}, ["deletionProtection true", "tableRemoval destroy"]),
        ({"existingTable": "old"}, ["existingTable 'old'", "partitionKey"]),
        (
            {"existingTable": "old", "partitionKey": "id:S", "billing": "on-demand", "tableRemoval": "retain"},
            ["existingTable 'old'", "billing, tableRemoval"],
        ),
        ({"minWriteUnits": 5}, ["minWriteUnits 5", "billing provisioned", "on-demand"]),
        ({"minReadUnits": 5}, ["minReadUnits 5", "billing provisioned", "on-demand"]),
        ({"billing": "provisioned"}, ["billing provisioned", "maxWriteUnits", "none"]),
        ({**PROVISIONED, "minWriteUnits": 101}, ["minWriteUnits 101", "maxWriteUnits 100"]),
        ({**PROVISIONED, "minReadUnits": 6, "maxReadUnits": 5}, ["minReadUnits 6", "maxReadUnits 5"]),
        ({"maxWriteUnits": 9000, "warmWriteUnits": 9001}, ["warmWriteUnits 9001", "maxWriteUnits 9000"]),
        ({"maxReadUnits": 20_000, "warmReadUnits": 20_001}, ["warmReadUnits 20001", "maxReadUnits 20000"]),
    ],
)
def test_a_contradiction_is_refused_with_all_its_settings(context: dict[str, Any], named: list[str]) -> None:
    with pytest.raises(ConfigError) as error:
        reading.from_context(context)

    assert [part for part in named if part not in str(error.value)] == []


@pytest.mark.parametrize(
    "context",
    [
        {"batchSize": 10, "batchingWindow": 0},
        {"queueType": "fifo", "batchSize": 10, "batchingWindow": 0, "contentBasedDeduplication": True},
        {"queueType": "fifo", "producers": f"{TOPIC}.fifo"},
        {"queueEncryption": KEY, "dataKeyReuse": 60},
        {"timeout": 8, "deadlineMargin": 4},
        {"maxWriteUnitsPerSecond": 10, "maxConcurrency": 10},
        {"maxWriteUnitsPerSecond": 500, "maxWriteUnits": 500},
        {"maxWriteUnitsPerSecond": 501, "tables": [{"maxWriteUnits": 500}, {"alias": "b"}]},
        {"minPollers": 2, "maxPollers": 2},
        {"maxReceiveCount": 27, "survivedOutage": 62},
        {"maxReceiveCount": 5, "survivedOutage": 0},
        {"queueRetention": 1, "maxReceiveCount": 95},
        {"stackName": "x" * 124, "stage": "dev"},
        {"tables": [{"alias": f"t{n}"} for n in range(10)]},
        {**PROVISIONED, "minWriteUnits": 100, "minReadUnits": 6},
        {"maxWriteUnits": 9000, "warmWriteUnits": 9000},
        {"existingTable": "old", "partitionKey": "id:S", "tableEncryption": KEY},
    ],
)
def test_what_is_just_possible_is_not_refused(context: dict[str, Any]) -> None:
    reading.from_context(context)


@pytest.mark.parametrize(
    ("key", "suggestion"),
    [
        ("batchsize", "did you mean batchSize?"),
        ("tiemout", "did you mean timeout?"),
        ("partition_key", "did you mean partitionKey?"),
        ("partiton-key", "did you mean partitionKey?"),
        ("tag", "did you mean tags?"),
    ],
)
def test_a_misspelt_setting_is_refused(key: str, suggestion: str) -> None:
    with pytest.raises(ConfigError) as error:
        reading.from_context({key: "1"})

    assert repr(key) in str(error.value)
    assert suggestion in str(error.value)


@pytest.mark.parametrize("key", ["environment", "env", "account", "region", "vpcId", "project", "colour", "domainName"])
def test_what_others_keep_in_context_is_left_alone(key: str) -> None:
    assert reading.from_context({key: "1"}) == StackConfig()


def test_what_cdk_keeps_in_context_is_left_alone() -> None:
    flags = json.loads((ROOT / "cdk.json").read_text())["context"]
    looked_up = {"availability-zones:account=1:region=x": ["x-1"], "acknowledged-issue-numbers": [1]}

    assert reading.from_context({**flags, **looked_up, "aws:cdk:enable-path-metadata": True}) == StackConfig()


# https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
@pytest.mark.parametrize(("timeout", "window"), [(20, 1), (60, 5), (900, 300)])
def test_messages_stay_hidden_for_six_timeouts_and_the_window(timeout: int, window: int) -> None:
    config = reading.from_context({"timeout": timeout, "batchingWindow": window, "queueRetention": 13})

    assert config.visibility_timeout >= 6 * timeout + window
    assert config.visibility_timeout <= 43_200


@pytest.mark.parametrize(
    ("context", "share"),
    [
        ({"maxWriteUnitsPerSecond": 1000, "maxConcurrency": 8}, 125),
        ({"maxWriteUnitsPerSecond": 1000, "minPollers": 2, "maxPollers": 5}, 20),  # Ten invocations for each poller.
        ({}, math.inf),
    ],
)
def test_the_write_limit_is_divided_among_all_invocations(context: dict[str, Any], share: float) -> None:
    assert reading.from_context(context).write_units_per_invocation == share


# https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html: a reserve of 5 or more, not below the maximum.
@pytest.mark.parametrize(
    ("context", "reserve"),
    [
        ({}, None),
        ({"reserveConcurrency": True}, 10),
        ({"reserveConcurrency": True, "maxConcurrency": 2}, 5),
        ({"reserveConcurrency": True, "minPollers": 2, "maxPollers": 3}, 30),
        ({"reserveConcurrency": True, "maxConcurrency": 900}, 900),
    ],
)
def test_the_reserve_is_what_may_run_at_once(context: dict[str, Any], reserve: int | None) -> None:
    assert reading.from_context(context).reserved_concurrency == reserve


def test_a_fifo_queue_has_small_batches_and_no_window() -> None:
    config = reading.from_context({"queueType": "fifo"})

    assert (config.batch_size, config.batching_window) == (10, 0)


@pytest.mark.parametrize(("timeout", "margin"), [(60, 5), (900, 5), (20, 5), (8, 2), (1, 0.25)])
def test_the_deadline_margin_follows_a_short_timeout(timeout: int, margin: float) -> None:
    assert reading.from_context({"timeout": timeout}).deadline_margin == margin


def test_the_defaults_that_follow_are_those_of_an_empty_context() -> None:
    assert reading.from_context({"timeout": 60, "survivedOutage": 60}) == StackConfig()


def test_the_stack_has_the_functions_own_defaults() -> None:
    function = Settings(tables=())

    assert StackConfig().max_connections == function.max_connections
    assert StackConfig().deadline_margin == function.deadline_margin
    assert StackConfig().max_write_units_per_second == function.max_write_units_per_second


def test_every_setting_gives_its_reason() -> None:
    settings = {**settings_of(StackConfig), **settings_of(TableConfig)}

    assert [name for name, (_, setting) in settings.items() if len(setting.reason) < 15] == []


def test_no_setting_of_a_table_has_the_name_of_one_of_the_stack() -> None:
    assert set(settings_of(StackConfig)) & set(settings_of(TableConfig)) == set()


def test_the_tables_of_settings_in_the_docs_are_the_codes_own() -> None:
    document = (ROOT / "docs" / "settings.md").read_text()

    assert settings_tables() in document, "write it again: python -m infra.settings_docs"


def test_every_configuration_in_the_docs_is_accepted() -> None:
    document = "".join((ROOT / "docs" / name).read_text() for name in ("settings.md", "sizing.md"))
    blocks = re.findall(r"```json\n(.+?)```", document, re.DOTALL)

    for block in blocks:
        reading.from_context(json.loads(block))
    assert len(blocks) >= 3
