"""Who may do what: all policies of the function, the queues and the key, and none with a wildcard."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from infra import stages
from tests.infra import cdk
from tests.infra.configurations import ACCOUNT, CONFIGURATIONS, KEY, ROLE, RULE, TOPIC
from tests.infra.logical_ids import DEAD_LETTERS, EVENTS, FIXED, LOGS, ORDERS, QUEUE, QUEUE_KEY, TABLE
from tests.infra.template import ROOT, Template, resolved, synthesise

pytestmark = pytest.mark.xdist_group("synth")

TABLE_ARNS = tuple(f"{table}.Arn" for table in (ORDERS, EVENTS, FIXED))
LEGACY = "arn:AWS::Partition:dynamodb:AWS::Region:AWS::AccountId:table/Legacy"
WRITES = ("BatchWriteItem", "PutItem", "DeleteItem", "UpdateItem")


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def permissions(template: Template) -> set[tuple[str, str, str]]:
    """Every action, resource and condition that the function's role has."""
    return {
        (action, resource, json.dumps(statement.get("Condition", {})))
        for statement in template.allowed("AWS::IAM::Policy")
        for action in as_list(statement["Action"])
        for resource in as_list(statement["Resource"])
    }


def always(queue: str = QUEUE) -> set[tuple[str, str, str]]:
    """What the function may do in every configuration."""
    return {
        ("sqs:SendMessage", f"{DEAD_LETTERS}.Arn", "{}"),
        ("sqs:ReceiveMessage", f"{queue}.Arn", "{}"),
        ("sqs:DeleteMessage", f"{queue}.Arn", "{}"),
        ("sqs:ChangeMessageVisibility", f"{queue}.Arn", "{}"),
        ("sqs:GetQueueAttributes", f"{queue}.Arn", "{}"),
        ("sqs:GetQueueUrl", f"{queue}.Arn", "{}"),
        ("logs:CreateLogStream", f"{LOGS}.Arn", "{}"),
        ("logs:PutLogEvents", f"{LOGS}.Arn", "{}"),
    }


def via(service: str) -> str:
    return json.dumps({"StringEquals": {"kms:ViaService": f"{service}.AWS::Region.AWS::URLSuffix"}})


def key_use(key: str) -> set[tuple[str, str, str]]:
    """What reading the queue and sending dead letters takes; the first is CDK's, for the poller."""
    return {
        ("kms:Decrypt", key, "{}"),
        ("kms:Decrypt", key, via("sqs")),
        ("kms:GenerateDataKey", key, via("sqs")),
    }


def test_the_function_may_do_exactly_this(template: Template) -> None:
    assert permissions(template) == always() | {(f"dynamodb:{write}", f"{TABLE}.Arn", "{}") for write in WRITES}


def test_with_a_key_and_traces_the_function_may_use_them_as_well(templates: dict[str, Template]) -> None:
    tables = {(f"dynamodb:{write}", f"{TABLE}.Arn", "{}") for write in WRITES}
    # X-Ray knows no resources: Service Authorization Reference, AWS X-Ray.
    traces = {("xray:PutTraceSegments", "*", "{}"), ("xray:PutTelemetryRecords", "*", "{}")}

    assert permissions(templates["guarded"]) == always() | tables | key_use(f"{QUEUE_KEY}.Arn") | traces


def test_with_several_tables_the_function_may_write_to_these_alone(templates: dict[str, Template]) -> None:
    tables = {(f"dynamodb:{write}", arn, "{}") for write in WRITES for arn in (*TABLE_ARNS, LEGACY)}
    actions = ("Decrypt", "DescribeKey", "Encrypt", "GenerateDataKey", "ReEncryptFrom", "ReEncryptTo")
    key = {(f"kms:{action}", KEY, via("dynamodb")) for action in actions}
    [events] = [arn for arn in TABLE_ARNS if "events" in arn]  # The only one with skipUnchanged.
    read = {("dynamodb:BatchGetItem", events, "{}")}

    assert permissions(templates["tables"]) == always() | tables | read | key | key_use(KEY)


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_there_is_one_role_with_one_policy_and_nothing_managed(templates: dict[str, Template], name: str) -> None:
    template = templates[name]
    (role,) = template.ids("AWS::IAM::Role")

    assert template.all("AWS::IAM::Role")[role].keys() == {"AssumeRolePolicyDocument"}
    assert template.only("AWS::IAM::Policy")["Roles"] == [{"Ref": role}]
    assert resolved(template.only("AWS::Lambda::Function")["Role"]) == f"{role}.Arn"


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_nothing_is_allowed_with_a_wildcard(templates: dict[str, Template], name: str) -> None:
    template = templates[name]
    statements = [
        *template.allowed("AWS::IAM::Policy"),
        *template.allowed("AWS::SQS::QueuePolicy"),
        *template.allowed("AWS::SNS::TopicPolicy"),
    ]

    starred = {
        value
        for statement in statements
        for value in [*as_list(statement["Action"]), *as_list(statement["Resource"])]
        if "*" in value and not str(statement["Action"]).startswith("['xray:")
    }
    assert starred == set()
    assert not [s for s in statements if "*" in json.dumps(s.get("Principal", ""))]


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_queues_and_topics_refuse_requests_without_tls(templates: dict[str, Template], name: str) -> None:
    template = templates[name]
    refused = set()
    for kind, owned in (("AWS::SQS::QueuePolicy", "Queues"), ("AWS::SNS::TopicPolicy", "Topics")):
        for policy in template.all(kind).values():
            for statement in policy["PolicyDocument"]["Statement"]:
                if statement["Effect"] == "Deny":
                    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
                    refused |= set(resolved(policy[owned]))

    assert refused == template.ids("AWS::SQS::Queue") | template.ids("AWS::SNS::Topic")


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_every_queue_is_encrypted(templates: dict[str, Template], name: str) -> None:
    for queue in templates[name].all("AWS::SQS::Queue").values():
        assert queue.get("SqsManagedSseEnabled") is True or queue.get("KmsMasterKeyId")


def test_nobody_else_may_send_unless_named(template: Template) -> None:
    assert list(template.allowed("AWS::SQS::QueuePolicy")) == []


def by_principal(statements: list[dict[str, Any]], actions: list[str], resource: str) -> dict[str, Any]:
    """Principal → its condition, of the statements that allow just these actions."""
    found = {}
    for statement in statements:
        if sorted(as_list(statement["Action"])) == actions:
            assert statement["Resource"] == resource
            for principals in statement["Principal"].values():
                for principal in as_list(principals):
                    found[principal] = statement.get("Condition")
    return found


PRODUCERS = {
    f"arn:AWS::Partition:iam::{ACCOUNT}:root": None,
    ROLE: None,
    # https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html
    "events.amazonaws.com": {
        "ArnEquals": {"aws:SourceArn": RULE},
        "StringEquals": {"aws:SourceAccount": "123456789012"},
    },
    # https://docs.aws.amazon.com/sns/latest/dg/subscribe-sqs-queue-to-sns-topic.html
    "sns.amazonaws.com": {
        "ArnEquals": {"aws:SourceArn": TOPIC},
        "StringEquals": {"aws:SourceAccount": "123456789012"},
    },
}


def test_producers_may_send_and_services_only_for_the_rule_or_topic_named(templates: dict[str, Template]) -> None:
    statements = list(templates["guarded"].allowed("AWS::SQS::QueuePolicy"))

    assert by_principal(statements, ["sqs:SendMessage"], f"{QUEUE}.Arn") == PRODUCERS
    assert {action for statement in statements for action in as_list(statement["Action"])} == {"sqs:SendMessage"}


def test_producers_may_use_the_key_on_the_same_conditions(templates: dict[str, Template]) -> None:
    statements = list(templates["guarded"].allowed("AWS::KMS::Key", document="KeyPolicy"))

    found = by_principal(statements, ["kms:Decrypt", "kms:GenerateDataKey"], "*")  # In a key's policy: the key.
    assert {name: condition for name, condition in found.items() if name in PRODUCERS} == PRODUCERS
    assert found.keys() - PRODUCERS.keys() <= {"cloudwatch.amazonaws.com"}


def test_only_its_own_account_administers_the_key(templates: dict[str, Template]) -> None:
    statements = templates["guarded"].allowed("AWS::KMS::Key", document="KeyPolicy")

    administrators = [s["Principal"] for s in statements if "kms:*" in as_list(s["Action"])]
    assert administrators == [{"AWS": "arn:AWS::Partition:iam::AWS::AccountId:root"}]


# Synthesis fails on any other finding of cdk-nag.
ALWAYS_ACKNOWLEDGED = {
    "Serverless-SQSRedrivePolicy",  # Of the dead-letter queue.
    "Serverless-LambdaDLQ",
    "Serverless-LambdaEventSourceMappingDestination",
}
REGULATED = ("NIST.800.53.R5", "HIPAA.Security", "PCI.DSS.321")  # As cdk-nag calls its packs.
OF_REGULATED = {f"{pack}-{rule}" for pack in REGULATED for rule in ("LambdaDLQ", "IAMNoInlinePolicy")}
OWN_TABLE = {f"{pack}-DynamoDBInBackupPlan" for pack in REGULATED}
OWN_TOPIC = "Serverless-SNSRedrivePolicy"


@pytest.mark.parametrize(
    ("name", "rules"),
    [
        ("default", {OWN_TOPIC, "Serverless-LambdaTracing"}),
        ("fifo", {OWN_TOPIC, "Serverless-LambdaTracing"}),
        ("chosen", {OWN_TOPIC, "Serverless-LambdaTracing"}),
        ("guarded", {OWN_TOPIC, "AwsSolutions-IAM5[Resource::*]"}),  # X-Ray's.
        ("tables", {"Serverless-LambdaTracing", "AwsSolutions-DDB3"}),  # A table without recovery, as was chosen.
    ],
)
def test_only_these_rules_of_cdk_nag_are_acknowledged_with_reasons(
    templates: dict[str, Template], name: str, rules: set[str]
) -> None:
    acknowledged = templates[name].acknowledged

    assert acknowledged.keys() == ALWAYS_ACKNOWLEDGED | OF_REGULATED | OWN_TABLE | rules
    assert [rule for rule, reason in acknowledged.items() if len(reason) < 40] == []


def test_the_hardened_example_passes_the_packs_for_regulated_users(tmp_path: Path) -> None:
    from cdk_nag import HIPAASecurityChecks, NIST80053R5Checks, PCIDSS321Checks

    flags = json.loads((ROOT / "cdk.json").read_text())["context"]
    app = cdk.App(outdir=str(tmp_path), context={**flags, "aws:cdk:bundling-stacks": []})
    cdk.SluiceStack(app, stages.read({"stage": "example"}))
    cdk.nag.add_checks(app)
    cdk.Validations.of(app).add_plugins(NIST80053R5Checks(), HIPAASecurityChecks(), PCIDSS321Checks())

    app.synth()  # Raises on whatever is found.


def test_the_hardened_example_has_what_it_asks_for(tmp_path: Path) -> None:
    settings = json.loads((ROOT / "stages" / "example.json").read_text())
    template = synthesise(tmp_path, settings)

    function = resolved(template.only("AWS::Lambda::Function"))
    assert function["VpcConfig"] == {
        "SubnetIds": settings["functionSubnets"],
        "SecurityGroupIds": settings["functionSecurityGroups"],
    }
    assert function["KmsKeyArn"] == settings["variablesKey"]
    assert function["ReservedConcurrentExecutions"] == 10
    assert template.only("AWS::Logs::LogGroup")["KmsKeyId"] == settings["logKey"]
    assert template.only("AWS::SNS::Topic")["KmsMasterKeyId"] == settings["alarmTopicKey"]
    assert template.only("AWS::IAM::Role")["PermissionsBoundary"] == settings["permissionsBoundary"]
    descriptions = {alarm["AlarmDescription"] for alarm in template.all("AWS::CloudWatch::Alarm").values()}
    assert all(f"Then see {settings['runbookUrl']}#" in each for each in descriptions)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["artifacts"]["Sluice"]["properties"]["terminationProtection"] is True


# `make scan` runs checkov, which is too large for the environment of the tests.
def test_checkov_has_the_exceptions_that_it_needs_with_reasons(tmp_path: Path) -> None:
    template = synthesise(tmp_path, json.loads((ROOT / "stages" / "example.json").read_text()))

    skipped = {
        (resource["Type"], each["id"]): each["comment"]
        for resource in template.content["Resources"].values()
        for each in resource.get("Metadata", {}).get("checkov", {}).get("skip", ())
    }

    assert skipped.keys() == {("AWS::Lambda::Function", "CKV_AWS_116"), ("AWS::IAM::Policy", "CKV_AWS_111")}
    assert all(len(reason) > 40 for reason in skipped.values())


def test_cdk_nag_finds_what_is_not_acknowledged(tmp_path: Path) -> None:
    app = cdk.App(outdir=str(tmp_path))
    cdk.sqs.Queue(cdk.Stack(app, "Careless"), "Queue")
    cdk.nag.add_checks(app)

    with pytest.raises(RuntimeError, match="ValidationFailed"):
        app.synth()

    report = json.loads((tmp_path / "validation-report.json").read_text())
    rules = {violation["ruleName"] for plugin in report["pluginReports"] for violation in plugin["violations"]}
    assert {"AwsSolutions-SQS3", "AwsSolutions-SQS4", "Serverless-SQSRedrivePolicy"} <= rules


def test_cloudformation_would_accept_the_templates(templates: dict[str, Template], tmp_path: Path) -> None:
    files = []
    for name, template in templates.items():
        files.append(str(tmp_path / f"{name}.template.json"))
        Path(files[-1]).write_text(json.dumps(template.content))

    # W3005: CDK spells out dependencies that a reference implies already.
    command = [str(Path(sys.executable).with_name("cfn-lint")), "--ignore-checks", "W3005", "--", *files]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
