"""Secondary indexes, streams and tables that exist: what is made of the settings, and what is refused."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from infra import reading
from sluice.cdk import ConfigError, IndexConfig, TableConfig
from sluice.cdk.context import settings_of
from sluice.message.settings import Index, KeyAttribute
from tests.infra import cdk
from tests.infra.template import ROOT, Template, functions_settings, resolved, synthesise

pytestmark = pytest.mark.xdist_group("synth")

BY_STATUS = {"name": "by-status", "partitionKey": "status:S", "sortKey": "time:N", "projection": "keys"}
BY_PLACE = {"name": "by-place", "partitionKey": ["region:S", "tier:S"], "sortKey": ["day:S", "time:N"]}
BY_AMOUNT = {"name": "by-amount", "sortKey": "amount:N", "projection": ["name", "status"]}
KEYED = {"partitionKey": "customer:S", "sortKey": "time:N"}
STATUS, TIME, AMOUNT = KeyAttribute("status", "S"), KeyAttribute("time", "N"), KeyAttribute("amount", "N")
ARN = "arn:aws:dynamodb:eu-west-1:123456789012:table/Legacy"


def schema(*names: str) -> list[dict[str, str]]:
    """`HASH customer` and the like as CloudFormation has it."""
    return [{"AttributeName": name.split()[1], "KeyType": name.split()[0]} for name in names]


def test_indexes_are_made_with_the_table(tmp_path: Path) -> None:
    table = synthesise(tmp_path, {**KEYED, "indexes": [BY_STATUS, BY_PLACE, BY_AMOUNT]}).only("AWS::DynamoDB::Table")

    assert table["GlobalSecondaryIndexes"] == [
        {
            "IndexName": "by-status",
            "KeySchema": schema("HASH status", "RANGE time"),
            "Projection": {"ProjectionType": "KEYS_ONLY"},
        },
        {
            "IndexName": "by-place",
            "KeySchema": schema("HASH region", "HASH tier", "RANGE day", "RANGE time"),
            "Projection": {"ProjectionType": "ALL"},
        },
    ]
    assert table["LocalSecondaryIndexes"] == [
        {
            "IndexName": "by-amount",
            "KeySchema": schema("HASH customer", "RANGE amount"),
            "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["name", "status"]},
        }
    ]
    types = {each["AttributeName"]: each["AttributeType"] for each in table["AttributeDefinitions"]}
    assert types == {
        **dict.fromkeys(("customer", "status", "region", "tier", "day"), "S"),
        **dict.fromkeys(("time", "amount"), "N"),
    }


def test_the_function_knows_the_keys_of_all_indexes(tmp_path: Path) -> None:
    template = synthesise(tmp_path, {**KEYED, "indexes": [BY_STATUS, BY_PLACE, BY_AMOUNT]})

    (table,) = functions_settings(template).tables
    places = KeyAttribute("region", "S"), KeyAttribute("tier", "S")
    assert table.indexes == (
        Index("by-status", (STATUS,), (TIME,)),
        Index("by-place", places, (KeyAttribute("day", "S"), TIME)),
        Index("by-amount", (), (AMOUNT,)),
    )


def test_the_function_may_write_the_table_and_reads_no_index(tmp_path: Path) -> None:
    template = synthesise(tmp_path, {**KEYED, "indexes": [BY_STATUS]})

    (name,) = template.ids("AWS::DynamoDB::Table")
    writes = [s for s in template.allowed("AWS::IAM::Policy") if "dynamodb:PutItem" in s["Action"]]
    assert [statement["Resource"] for statement in writes] == [f"{name}.Arn"]


@pytest.mark.parametrize(
    ("of_index", "expected"),
    [({}, {"MaxWriteRequestUnits": 500}), ({"maxWriteUnits": 50}, {"MaxWriteRequestUnits": 50})],
    ids=["the table's", "its own"],
)
def test_an_index_takes_what_its_table_takes_unless_told_otherwise(
    tmp_path: Path, of_index: dict[str, int], expected: dict[str, int]
) -> None:
    table = synthesise(tmp_path, {"maxWriteUnits": 500, "indexes": [{**BY_STATUS, **of_index}]}).only(
        "AWS::DynamoDB::Table"
    )

    assert table["GlobalSecondaryIndexes"][0]["OnDemandThroughput"] == expected
    assert table["OnDemandThroughput"] == {"MaxWriteRequestUnits": 500}


def test_a_provisioned_index_scales_like_its_table(tmp_path: Path) -> None:
    provisioned = {"billing": "provisioned", "minWriteUnits": 10, "maxWriteUnits": 100}
    template = synthesise(
        tmp_path, {**provisioned, "indexes": [BY_STATUS, {**BY_STATUS, "name": "small", "maxWriteUnits": 20}]}
    )

    (name,) = template.ids("AWS::DynamoDB::Table")
    scaled = {
        target["ResourceId"]: (target["MinCapacity"], target["MaxCapacity"])
        for target in resolved(template.all("AWS::ApplicationAutoScaling::ScalableTarget")).values()
    }
    assert scaled == {
        f"table/{name}": (10, 100),
        f"table/{name}/index/by-status": (10, 100),
        f"table/{name}/index/small": (10, 20),
    }
    table = template.only("AWS::DynamoDB::Table")
    assert [index["ProvisionedThroughput"]["WriteCapacityUnits"] for index in table["GlobalSecondaryIndexes"]] == [
        10,
        10,
    ]


def test_a_stream_is_what_is_asked_for(tmp_path: Path) -> None:
    table = synthesise(tmp_path, {"stream": "NEW_AND_OLD_IMAGES"}).only("AWS::DynamoDB::Table")

    assert table["StreamSpecification"] == {"StreamViewType": "NEW_AND_OLD_IMAGES"}


@pytest.mark.parametrize("changed", [[], [{**BY_AMOUNT, "sortKey": "amount:S"}], [{**BY_AMOUNT, "name": "other"}]])
def test_a_local_index_that_is_changed_is_refused_like_a_key(tmp_path: Path, changed: list[Any]) -> None:
    """DynamoDB makes local indexes with the table only: CloudFormation would put a new table in its place."""
    before = synthesise(tmp_path / "before", {**KEYED, "indexes": [BY_AMOUNT]}).content["Parameters"]
    after = synthesise(tmp_path / "after", {**KEYED, "indexes": [BY_STATUS, *changed]}).content["Parameters"]

    assert before["DefaultTable"]["Default"] not in after["DefaultTable"]["AllowedValues"]


def test_global_indexes_come_and_go_in_place() -> None:
    without, with_one = (
        reading.from_context({**KEYED, "indexes": [BY_AMOUNT, *more]}).tables[0] for more in ([], [BY_STATUS])
    )

    assert without.identity == with_one.identity == "records customer:S,time:N with by-amount by amount:N"


@pytest.mark.parametrize(
    ("context", "named"),
    [
        ({"indexes": [{"partitionKey": "a:S"}]}, ["name"]),
        ({"indexes": [{"name": "ab", "partitionKey": "a:S"}]}, ["indexes[0]: name", "'ab'"]),
        ({"indexes": [{"name": "by-a", "partitionKey": "a"}]}, ["indexes[0]: partitionKey", "'a'"]),
        ({"indexes": [{"name": "by-a", "partitionKey": ["a:S"] * 5}]}, ["indexes[0]: partitionKey", "up to 4"]),
        ({"indexes": [{"name": "by-a", "partitionKey": "a:S", "projection": "some"}]}, ["projection", "'some'"]),
        ({"indexes": [{"name": "by-a", "partition_key": "a:S"}]}, ["indexes[0]", "'partition_key'", "partitionKey"]),
        ({"indexes": [BY_STATUS, BY_STATUS]}, ["'by-status'", "2"]),
        ({"indexes": [BY_AMOUNT]}, ["'by-amount'", "local", "sortKey"]),
        ({**KEYED, "indexes": [{"name": "local"}]}, ["'local'", "sortKey of one attribute", "0"]),
        ({**KEYED, "indexes": [{"name": "local", "sortKey": ["a:S", "b:S"]}]}, ["'local'", "one attribute", "2"]),
        ({**KEYED, "indexes": [{**BY_AMOUNT, "maxWriteUnits": 5}]}, ["'by-amount'", "maxWriteUnits"]),
        ({**KEYED, "indexes": [{**BY_AMOUNT, "name": f"local-{n}"} for n in range(6)]}, ["6 local", "5"]),
        ({"indexes": [{"name": "by-a", "partitionKey": "a:S", "sortKey": "a:S"}]}, ["'by-a'", "different", "a, a"]),
        ({"indexes": [{"name": "by-pk", "partitionKey": "pk:N"}]}, ["'by-pk'", "'pk'", "type N", "type S"]),
        ({"indexes": [BY_STATUS, {"name": "by-s", "partitionKey": "status:N"}]}, ["'by-s'", "'status'", "type N"]),
        ({"indexes": [{**BY_STATUS, "minWriteUnits": 5}]}, ["'by-status'", "minWriteUnits 5", "billing provisioned"]),
        (
            {
                "billing": "provisioned",
                "maxWriteUnits": 100,
                "indexes": [{**BY_STATUS, "minWriteUnits": 9, "maxWriteUnits": 8}],
            },
            ["'by-status'", "minWriteUnits 9", "maxWriteUnits 8"],
        ),
        (
            {"existingTable": "old", "partitionKey": "id:S", "indexes": [BY_STATUS]},
            ["existingTable 'old'", "projection", "'by-status'"],
        ),
        ({"existingTable": "old", "partitionKey": "id:S", "stream": "KEYS_ONLY"}, ["existingTable 'old'", "stream"]),
        (
            {"indexes": [{"name": f"by-{n}", "partitionKey": f"{'x' * 200}{n}:S"} for n in range(20)]},
            ["tables (1)", "4096", "indexes"],
        ),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(context: dict[str, Any], named: list[str]) -> None:
    with pytest.raises(ConfigError) as error:
        reading.from_context(context)

    assert [part for part in named if part not in str(error.value)] == []


def test_twenty_indexes_fit_into_the_functions_environment() -> None:
    """DynamoDB's quota of global indexes; names of the usual length."""
    indexes = [{"name": f"by-status-{n}", "partitionKey": f"status{n}:S", "sortKey": "createdAt:N"} for n in range(20)]

    assert len(reading.from_context({"indexes": indexes}).tables[0].indexes) == 20


def test_every_setting_of_an_index_gives_its_reason() -> None:
    assert [name for name, (_, setting) in settings_of(IndexConfig).items() if len(setting.reason) < 15] == []


# Tables that exist


def function_of(scope: cdk.Stack, **arguments: Any) -> tuple[cdk.Sluice, Template]:
    writer = cdk.Sluice(scope, "Writer", **arguments)
    app = scope.node.root
    assert isinstance(app, cdk.App)
    return writer, Template(app.synth(force=True).get_stack_by_name(scope.stack_name).template, {})


@pytest.fixture
def stack() -> cdk.Stack:
    return cdk.Stack(cdk.App(context={"aws:cdk:bundling-stacks": []}), "Shop")


@pytest.mark.parametrize("existing", ["Legacy", ARN], ids=["name", "ARN"])
def test_a_table_that_exists_is_written_to_and_nothing_is_made(tmp_path: Path, existing: str) -> None:
    by_status = {name: value for name, value in BY_STATUS.items() if name != "projection"}
    template = synthesise(tmp_path, {"existingTable": existing, "partitionKey": "id:B", "indexes": [by_status]})

    assert template.ids("AWS::DynamoDB::Table") == set()
    (table,) = functions_settings(template).tables
    assert (table.name, table.partition_key) == ("Legacy", KeyAttribute("id", "B"))
    assert table.indexes == (Index("by-status", (STATUS,), (TIME,)),)
    writes = [s for s in template.allowed("AWS::IAM::Policy") if "dynamodb:PutItem" in s["Action"]]
    own = "arn:AWS::Partition:dynamodb:AWS::Region:AWS::AccountId:table/Legacy"
    assert [statement["Resource"] for statement in writes] == [ARN if existing == ARN else own]


@pytest.mark.parametrize(("account", "region"), [("123456789012", "us-east-1"), ("999999999999", "eu-west-1")])
def test_a_table_of_another_region_or_account_is_refused_where_the_stacks_is_known(account: str, region: str) -> None:
    config = reading.from_context({"existingTable": ARN, "partitionKey": "id:B"})
    app = cdk.App(context={"aws:cdk:bundling-stacks": []})

    with pytest.raises(ConfigError, match="existingTable 'arn:aws:dynamodb:eu-west-1:123456789012:table/Legacy' is of"):
        cdk.SluiceStack(app, config, env=cdk.Environment(account=account, region=region))


@pytest.mark.parametrize("kind", ["Table", "TableV2"])
def test_the_indexes_of_a_table_of_the_app_are_read_from_it(stack: cdk.Stack, kind: str) -> None:
    status = cdk.dynamodb.Attribute(name="status", type=cdk.dynamodb.AttributeType.STRING)
    time = cdk.dynamodb.Attribute(name="time", type=cdk.dynamodb.AttributeType.NUMBER)
    pk = cdk.dynamodb.Attribute(name="pk", type=cdk.dynamodb.AttributeType.BINARY)
    table: Any = getattr(cdk.dynamodb, kind)(stack, "Orders", partition_key=pk, sort_key=status)
    table.add_global_secondary_index(index_name="by-status", partition_keys=[status, time])
    table.add_local_secondary_index(index_name="local", sort_key=time)

    _, template = function_of(stack, tables=[cdk.ExistingTable(table=table)])

    (known,) = functions_settings(template).tables
    assert known.indexes == (Index("by-status", (STATUS, TIME)), Index("local", (), (TIME,)))


def test_a_global_table_with_replicas_is_written_to() -> None:
    app = cdk.App(context={"aws:cdk:bundling-stacks": []})
    stack = cdk.Stack(app, "Shop", env=cdk.Environment(account="123456789012", region="eu-west-1"))
    table = cdk.dynamodb.TableV2(
        stack,
        "Orders",
        partition_key=cdk.dynamodb.Attribute(name="pk", type=cdk.dynamodb.AttributeType.STRING),
        replicas=[cdk.dynamodb.ReplicaTableProps(region="us-east-1")],
        dynamo_stream=cdk.dynamodb.StreamViewType.NEW_IMAGE,
        time_to_live_attribute="ends",
    )

    writer, template = function_of(stack, tables=[cdk.ExistingTable(table=table)])

    assert writer.table is table
    regions = {replica["Region"] for replica in template.only("AWS::DynamoDB::GlobalTable")["Replicas"]}
    assert regions == {"eu-west-1", "us-east-1"}
    (name,) = template.ids("AWS::DynamoDB::GlobalTable")
    writes = [s for s in template.allowed("AWS::IAM::Policy") if "dynamodb:PutItem" in s["Action"]]
    assert [statement["Resource"] for statement in writes] == [f"{name}.Arn"]


def test_an_index_that_comes_too_late_fails_the_synthesis(stack: cdk.Stack) -> None:
    pk = cdk.dynamodb.Attribute(name="pk", type=cdk.dynamodb.AttributeType.STRING)
    table = cdk.dynamodb.Table(stack, "Orders", partition_key=pk)
    cdk.Sluice(stack, "Writer", tables=[cdk.ExistingTable(table=table)])
    table.add_global_secondary_index(index_name="by-status", partition_key=pk)

    with pytest.raises(RuntimeError, match="'by-status' after Sluice was made"):
        cdk.App.of(stack).synth()  # type: ignore[union-attr]


def test_indexes_are_given_in_python_as_text(stack: cdk.Stack) -> None:
    legacy = cdk.dynamodb.Table.from_table_arn(stack, "Legacy", ARN)
    by_place = IndexConfig(name="by-place", partition_key=["region:S", "tier:S"], sort_key="time:N")

    _, template = function_of(
        stack,
        tables=[
            TableConfig(indexes=(IndexConfig(name="by-status", partition_key="status:S"),)),
            cdk.ExistingTable(table=legacy, alias="old", partition_key="id:B", indexes=[by_place]),
        ],
    )

    own, old = functions_settings(template).tables
    assert own.indexes == (Index("by-status", (STATUS,)),)
    assert old.indexes == (Index("by-place", (KeyAttribute("region", "S"), KeyAttribute("tier", "S")), (TIME,)),)


def test_a_bad_key_of_an_index_is_refused_in_python() -> None:
    with pytest.raises(ConfigError, match="partition_key"):
        IndexConfig(name="by-a", partition_key="a:X")


def test_indexes_of_a_table_of_the_app_are_not_given_twice(stack: cdk.Stack) -> None:
    pk = cdk.dynamodb.Attribute(name="pk", type=cdk.dynamodb.AttributeType.STRING)
    table = cdk.dynamodb.Table(stack, "Orders", partition_key=pk)

    indexes = [IndexConfig(name="by-a", sort_key="a:S")]
    with pytest.raises(ConfigError, match="read from it"):
        cdk.Sluice(stack, "Writer", tables=[cdk.ExistingTable(table=table, indexes=indexes)])


def test_the_example_with_more_to_its_tables_is_an_app(tmp_path: Path) -> None:
    """The second in the page; the first is run from a wheel by tests/integration."""
    blocks = re.findall(
        r"^```python\n(.*?)^```", (ROOT / "docs" / "construct.md").read_text(), re.MULTILINE | re.DOTALL
    )
    example = blocks[1]
    context = {"CDK_OUTDIR": str(tmp_path), "CDK_CONTEXT_JSON": json.dumps({"aws:cdk:bundling-stacks": []})}

    subprocess.run([sys.executable, "-c", example], cwd=ROOT, env={**os.environ, **context}, check=True)

    template = Template(json.loads((tmp_path / "Shop.template.json").read_text()), {})
    aliases = [table.alias for table in functions_settings(template).tables]
    assert aliases == ["orders", "customers", "legacy"]
    assert len(template.content["Outputs"]) == 1
