"""The construct in an app of one's own: it takes what is given, makes the rest, and gives back what it made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from infra.stack_config import StackConfig
from sluice.cdk import Config, ConfigError, TableConfig
from sluice.message.settings import KeyAttribute
from tests.infra import cdk
from tests.infra.template import ROOT, Template, functions_settings, resolved

pytestmark = pytest.mark.xdist_group("synth")

LEGACY = "arn:aws:dynamodb:eu-west-1:123456789012:table/Legacy"


@pytest.fixture
def stack() -> cdk.Stack:
    """A stack of an app without feature flags, whose function's package is not made."""
    return cdk.Stack(cdk.App(context={"aws:cdk:bundling-stacks": []}), "Shop")


def template_of(stack: cdk.Stack) -> Template:
    stage = cdk.Stage.of(stack)
    assert stage is not None
    content: dict[str, Any] = stage.synth(force=True).get_stack_artifact(stack.artifact_id).template
    return Template(content, {})


def table_of(scope: cdk.Stack, name: str) -> cdk.dynamodb.TableV2:
    return cdk.dynamodb.TableV2(
        scope,
        name,
        partition_key=cdk.dynamodb.Attribute(name="customer", type=cdk.dynamodb.AttributeType.STRING),
        sort_key=cdk.dynamodb.Attribute(name="time", type=cdk.dynamodb.AttributeType.NUMBER),
    )


def test_what_is_not_given_is_made_and_given_back(stack: cdk.Stack) -> None:
    writer = cdk.Sluice(stack, "Writer")
    template = template_of(stack)

    kinds: dict[str, list[Any]] = {
        "AWS::SQS::Queue": [writer.queue, writer.dead_letter_queue],
        "AWS::DynamoDB::Table": [writer.table],
        "AWS::Lambda::Function": [writer.function],
        "AWS::IAM::Role": [writer.role],
        "AWS::Logs::LogGroup": [writer.log_group],
        "AWS::Lambda::EventSourceMapping": [writer.event_source_mapping],
        "AWS::CloudWatch::Alarm": [*writer.alarms],
        "AWS::CloudWatch::CompositeAlarm": [writer.unhealthy],
        "AWS::SNS::Topic": [writer.alarm_topic],
        "AWS::CloudWatch::Dashboard": [writer.dashboard],
    }
    for kind, made in kinds.items():
        ids = {stack.get_logical_id(each.node.default_child or each) for each in made}
        assert ids == template.ids(kind), kind
    assert writer.tables == {"records": writer.table}
    assert writer.key is None


def test_only_a_table_whose_unchanged_items_are_skipped_may_be_read_and_has_an_alarm_for_that(stack: cdk.Stack) -> None:
    tables = [
        cdk.ExistingTable(table=table_of(stack, "Orders"), alias="orders"),
        cdk.ExistingTable(table=table_of(stack, "Feed"), alias="feed", skip_unchanged=True),
    ]
    cdk.Sluice(stack, "Writer", tables=tables)
    template = template_of(stack)

    allowed = [
        statement["Resource"]
        for statement in template.allowed("AWS::IAM::Policy")
        if statement["Action"] == "dynamodb:BatchGetItem"
    ]
    throttles = [
        metric["Dimensions"][0]["Value"]
        for alarm in template.all("AWS::CloudWatch::Alarm").values()
        for query in alarm.get("Metrics", ())
        if (metric := query.get("MetricStat", {}).get("Metric", {})).get("MetricName") == "ReadThrottleEvents"
    ]
    [feed] = [id for id in template.ids("AWS::DynamoDB::GlobalTable") if id.startswith("Feed")]
    assert [table.skip_unchanged for table in functions_settings(template).tables] == [False, True]
    assert len(allowed) == 1
    assert feed in str(allowed)
    assert throttles == [{"Ref": feed}]


def test_a_table_of_the_app_is_written_to_with_the_key_that_it_has(stack: cdk.Stack) -> None:
    orders = table_of(stack, "Orders")
    writer = cdk.Sluice(
        stack, "Writer", tables=[cdk.ExistingTable(table=orders, alias="orders", version_attribute="v")]
    )
    template = template_of(stack)

    assert writer.table is orders
    assert template.ids("AWS::DynamoDB::Table") == set()
    (table,) = functions_settings(template).tables
    assert (table.alias, table.version) == ("orders", "v")
    assert (table.partition_key, table.sort_key) == (KeyAttribute("customer", "S"), KeyAttribute("time", "N"))
    (name,) = template.ids("AWS::DynamoDB::GlobalTable")
    writes = [s for s in template.allowed("AWS::IAM::Policy") if "dynamodb:PutItem" in s["Action"]]
    assert [statement["Resource"] for statement in writes] == [f"{name}.Arn"]


def test_an_imported_table_is_written_to_with_the_key_that_is_given(stack: cdk.Stack) -> None:
    legacy = cdk.dynamodb.Table.from_table_arn(stack, "Legacy", LEGACY)
    cdk.Sluice(
        stack,
        "Writer",
        tables=[TableConfig(), cdk.ExistingTable(table=legacy, alias="old", partition_key="id:B", sort_key="at:N")],
    )

    own, old = functions_settings(template_of(stack)).tables

    assert (own.alias, old.alias, old.name) == ("records", "old", "Legacy")
    assert (old.partition_key, old.sort_key) == (KeyAttribute("id", "B"), KeyAttribute("at", "N"))


def test_an_imported_table_without_its_key_is_refused(stack: cdk.Stack) -> None:
    legacy = cdk.dynamodb.Table.from_table_arn(stack, "Legacy", LEGACY)

    with pytest.raises(ConfigError, match="table 'records' is imported, so nothing here knows its key: give partition"):
        cdk.Sluice(stack, "Writer", tables=[cdk.ExistingTable(table=legacy)])


def test_a_queue_of_the_app_is_read_with_its_own_dead_letters(stack: cdk.Stack) -> None:
    key = cdk.kms.Key(stack, "Key")
    dead = cdk.sqs.Queue(stack, "Dead", encryption_master_key=key)
    queue = cdk.sqs.Queue(
        stack,
        "Inbox",
        visibility_timeout=cdk.Duration.seconds(Config().visibility_timeout),
        dead_letter_queue=cdk.sqs.DeadLetterQueue(queue=dead, max_receive_count=9),
    )
    writer = cdk.Sluice(stack, "Writer", queue=queue)
    template = template_of(stack)

    assert (writer.queue, writer.dead_letter_queue) == (queue, dead)
    assert len(template.ids("AWS::SQS::Queue")) == 2
    mapping = resolved(template.only("AWS::Lambda::EventSourceMapping"))
    environ = resolved(template.only("AWS::Lambda::Function")["Environment"]["Variables"])
    assert mapping["EventSourceArn"] == f"{stack.get_logical_id(queue.node.default_child)}.Arn"  # type: ignore[arg-type]
    assert environ["DEAD_LETTER_QUEUE_URL"] == stack.get_logical_id(dead.node.default_child)  # type: ignore[arg-type]
    uses = [s for s in template.allowed("AWS::IAM::Policy") if "kms:GenerateDataKey" in s["Action"]]
    assert uses


@pytest.mark.parametrize(("retention", "days"), [(None, 1), (7, 1), (10, 4), (14, 8)])
def test_letters_on_a_queue_of_the_app_are_told_before_their_end(
    stack: cdk.Stack, retention: int | None, days: int
) -> None:
    """Less what the first queue may have kept them for, 4 days, and 2 days to act; SQS's default is 4 days."""
    kept = cdk.Duration.days(retention) if retention is not None else None
    dead = cdk.sqs.Queue(stack, "Dead", retention_period=kept)
    queue = cdk.sqs.Queue.from_queue_arn(stack, "Inbox", "arn:aws:sqs:eu-west-1:123456789012:inbox")
    cdk.Sluice(stack, "Writer", queue=queue, dead_letter_queue=dead)

    ages = [alarm for name, alarm in template_of(stack).all("AWS::CloudWatch::Alarm").items() if "Expiring" in name]

    assert [alarm["Threshold"] for alarm in ages] == [days * 86_400]


def test_an_imported_queue_gets_dead_letters_of_its_type(stack: cdk.Stack) -> None:
    queue = cdk.sqs.Queue.from_queue_arn(stack, "Inbox", "arn:aws:sqs:eu-west-1:123456789012:inbox.fifo")
    cdk.Sluice(stack, "Writer", queue=queue, config=Config(queue_type="fifo"))
    template = template_of(stack)

    (dead,) = template.ids("AWS::SQS::Queue")
    assert template.resource(dead)["UpdateReplacePolicy"] == "Retain"
    assert template.only("AWS::SQS::Queue")["FifoQueue"] is True
    assert template.only("AWS::Lambda::EventSourceMapping")["BatchSize"] == 10


def test_keys_topic_vpc_and_options_of_the_app_are_used(stack: cdk.Stack) -> None:
    key, topic = cdk.kms.Key(stack, "Key"), cdk.sns.Topic(stack, "Topic")
    vpc = cdk.ec2.Vpc.from_vpc_attributes(
        stack, "Vpc", vpc_id="vpc-1", availability_zones=["a", "b"], private_subnet_ids=["subnet-1", "subnet-2"]
    )
    options = cdk.FunctionOptions(
        environment={"AWS_CA_BUNDLE": "/opt/ca.pem"}, vpc=vpc, environment_key=key, log_key=key
    )
    config = Config(architecture="x86_64", log_level="WARN", system_log_level="WARN", enabled=False)
    cdk.Sluice(stack, "Writer", config=config, queue_key=key, alarm_topic=topic, function_options=options)
    template = template_of(stack)

    (key_id,), (topic_id,) = template.ids("AWS::KMS::Key"), template.ids("AWS::SNS::Topic")
    function = resolved(template.only("AWS::Lambda::Function"))
    assert {queue["KmsMasterKeyId"] for queue in resolved(template.all("AWS::SQS::Queue")).values()} == {
        f"{key_id}.Arn"
    }
    assert {a["AlarmActions"][0] for a in resolved(template.all("AWS::CloudWatch::Alarm")).values()} == {topic_id}
    assert function["VpcConfig"]["SubnetIds"] == ["subnet-1", "subnet-2"]
    assert function["Environment"]["Variables"]["AWS_CA_BUNDLE"] == "/opt/ca.pem"
    assert function["Environment"]["Variables"]["POWERTOOLS_LOG_LEVEL"] == "WARN"
    assert function["KmsKeyArn"] == f"{key_id}.Arn"
    assert function["Architectures"] == ["x86_64"]
    assert function["LoggingConfig"]["ApplicationLogLevel"] == "INFO"  # Metrics are lines without a level.
    assert function["LoggingConfig"]["SystemLogLevel"] == "WARN"
    assert resolved(template.only("AWS::Logs::LogGroup"))["KmsKeyId"] == f"{key_id}.Arn"
    assert template.only("AWS::Lambda::EventSourceMapping")["Enabled"] is False
    interfaces = [s for s in template.allowed("AWS::IAM::Policy") if "ec2:CreateNetworkInterface" in s["Action"]]
    assert len(interfaces) == 1
    assert not [each for each in template.all("AWS::IAM::Role").values() if "ManagedPolicyArns" in each]


def test_a_producer_may_send_and_use_the_key_and_nothing_else(stack: cdk.Stack) -> None:
    role = cdk.iam.Role(stack, "Role", assumed_by=cdk.iam.ServicePrincipal("lambda.amazonaws.com"))
    writer = cdk.Sluice(stack, "Writer", config=Config(queue_encryption="kms"))
    writer.grant_send(role)
    template = template_of(stack)

    role_id = stack.get_logical_id(role.node.default_child)  # type: ignore[arg-type]
    (policy,) = (p for p in template.all("AWS::IAM::Policy").values() if p["Roles"] == [{"Ref": role_id}])
    statements = resolved(policy["PolicyDocument"]["Statement"])
    queue = f"{stack.get_logical_id(writer.queue.node.default_child)}.Arn"  # type: ignore[arg-type]
    assert writer.key is not None
    key = f"{stack.get_logical_id(writer.key.node.default_child)}.Arn"  # type: ignore[arg-type]
    assert {(str(s["Action"]), s["Resource"]) for s in statements} == {
        ("sqs:SendMessage", queue),
        (str(["kms:Decrypt", "kms:GenerateDataKey"]), key),
    }


def names_of(template: Template) -> Iterator[str]:
    """The dashboard's name and the `service` of every metric of ours that an alarm watches."""
    yield resolved(template.only("AWS::CloudWatch::Dashboard"))["DashboardName"]
    yield template.only("AWS::Lambda::Function")["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"]
    for alarm in template.all("AWS::CloudWatch::Alarm").values():
        metrics: list[Mapping[str, Any]] = [alarm] if "MetricName" in alarm else []
        metrics += [query["MetricStat"]["Metric"] for query in alarm.get("Metrics", []) if "MetricStat" in query]
        yield from (m["Dimensions"][0]["Value"] for m in metrics if m["Namespace"] == "Sluice")


def test_two_stages_in_one_account_share_no_dashboard_and_no_metric() -> None:
    app = cdk.App(context={"aws:cdk:bundling-stacks": []})
    env = cdk.Environment(account="123456789012", region="eu-west-1")
    test, production = (
        cdk.SluiceStack(cdk.Stage(app, name, env=env), StackConfig()) for name in ("Test", "Production")
    )

    names = [set(names_of(template_of(stack))) for stack in (test, production)]

    assert names[0] & names[1] == set()
    assert {name.partition("-")[0] for name in names[0]} == {"Test"}


def test_two_in_one_stack_share_no_name_either(stack: cdk.Stack) -> None:
    services = {cdk.Sluice(stack, name).service for name in ("Orders", "Events")}

    assert len(services) == 2
    template = template_of(stack)
    dashboards = {str(d["DashboardName"]) for d in template.all("AWS::CloudWatch::Dashboard").values()}
    assert len(dashboards) == 2


def test_a_stack_takes_what_every_stack_takes() -> None:
    app = cdk.App(context={"aws:cdk:bundling-stacks": []})
    env = cdk.Environment(account="123456789012", region="eu-west-1")

    stack = cdk.SluiceStack(app, StackConfig(), env=env, description="Ours", termination_protection=True)

    assert (stack.region, stack.termination_protection) == ("eu-west-1", True)
    assert template_of(stack).content["Description"] == "Ours"


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"memory": 64}, "memory must be a whole number of MB from 128 to 10240, got 64"),
        ({"timeout": 8, "deadline_margin": 4.5}, "deadlineMargin 4.5 must be at most half of timeout 8"),
        ({"batch_size": 11, "batching_window": 0}, "batchSize 11 needs a batchingWindow"),
        ({"deduplication_scope": "queue"}, "deduplicationScope is for queueType fifo"),
    ],
)
def test_settings_given_in_python_are_checked_alone_and_together(
    stack: cdk.Stack, config: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError) as error:
        cdk.Sluice(stack, "Writer", config=Config(**config))

    assert words in str(error.value)


def test_defaults_that_follow_from_others_follow_in_python_too() -> None:
    assert (Config(queue_type="fifo").batch_size, Config(queue_type="fifo").batching_window) == (10, 0)
    assert Config(min_pollers=2, max_pollers=3).max_concurrency is None
    assert Config(timeout=8).deadline_margin == 2
    assert Config(survived_outage=120).max_receive_count > Config().max_receive_count
    assert TableConfig(table_removal="destroy").deletion_protection is False


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            lambda: {"tables": [TableConfig(billing="provisioned")]},
            "table records: billing provisioned needs maxWriteUnits",
        ),
        (lambda: {"tables": [TableConfig(), TableConfig()]}, "alias 'records' appears 2 times"),
        (
            lambda: {"function_options": cdk.FunctionOptions(environment={"TABLES": "[]"})},
            "environment has TABLES already",
        ),
    ],
)
def test_what_cannot_be_is_refused(stack: cdk.Stack, arguments: Callable[[], dict[str, Any]], words: str) -> None:
    with pytest.raises(ConfigError) as error:
        cdk.Sluice(stack, "Writer", **arguments())

    assert words in str(error.value)


def test_a_queue_of_another_type_than_the_settings_say_is_refused(stack: cdk.Stack) -> None:
    queue = cdk.sqs.Queue(stack, "Inbox", fifo=True)

    with pytest.raises(ConfigError, match="the queue given is fifo, but config has queue_type standard"):
        cdk.Sluice(stack, "Writer", queue=queue)


def test_dead_letters_without_a_queue_are_refused(stack: cdk.Stack) -> None:
    with pytest.raises(ConfigError, match="dead_letter_queue is for a queue that is given as well"):
        cdk.Sluice(stack, "Writer", dead_letter_queue=cdk.sqs.Queue(stack, "Dead"))


def test_the_documents_canary_moves_the_queue_to_an_alias(stack: cdk.Stack) -> None:
    text = (ROOT / "docs" / "construct.md").read_text().split("## A canary\n")[1]
    code = text.split("```python\n")[1].split("```")[0]
    writer = cdk.Sluice(stack, "Writer")

    exec(code, {"stack": stack, "writer": writer})  # As a reader would paste it.

    template = template_of(stack)
    (alias,) = template.ids("AWS::Lambda::Alias")
    assert resolved(template.only("AWS::Lambda::EventSourceMapping")["FunctionName"]) == alias
    group = resolved(template.only("AWS::CodeDeploy::DeploymentGroup"))
    (unhealthy,) = template.ids("AWS::CloudWatch::CompositeAlarm")
    assert [alarm["Name"] for alarm in group["AlarmConfiguration"]["Alarms"]] == [unhealthy]
