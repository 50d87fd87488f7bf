"""The function between queue and table, its permissions, its log and what polls the queue for it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from aws_cdk import Aws, Duration, RemovalPolicy
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_event_sources as event_sources
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from sluice.message.settings import Settings

from .asset import function_code
from .bundle import HANDLER, Bundle
from .context import ConfigError
from .metrics import METRICS_NAMESPACE
from .nag import acknowledge, acknowledge_regulated, skip

RUNTIME = lambda_.Runtime.PYTHON_3_14
ARCHITECTURES = {"arm64": lambda_.Architecture.ARM_64, "x86_64": lambda_.Architecture.X86_64}
MAX_POLLERS_OF_CDK = 2000
"""Lambda takes 10,000 (ProvisionedPollerConfig API reference); aws-cdk-lib 2.275 refuses more than this."""
NETWORK_INTERFACE_ACTIONS = (
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:UnassignPrivateIpAddresses",
)
WRITE_ACTIONS = ("dynamodb:BatchWriteItem", "dynamodb:PutItem", "dynamodb:DeleteItem", "dynamodb:UpdateItem")
# What reading and writing an item of a table under a customer's key takes; each name written out.
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/encryption.usagenotes.html
TABLE_KEY_ACTIONS = (
    "kms:Decrypt",
    "kms:DescribeKey",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionOptions:
    """What an app may give the function besides its settings."""

    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables besides those that the settings make, such as AWS_CA_BUNDLE."""
    layers: Sequence[lambda_.ILayerVersion] = ()
    vpc: ec2.IVpc | None = None
    """It needs ways to DynamoDB and SQS: docs/operations.md, In a VPC."""
    vpc_subnets: ec2.SubnetSelection | None = None
    security_groups: Sequence[ec2.ISecurityGroup] = ()
    environment_key: kms.IKey | None = None
    """Encrypts the variables."""
    log_key: kms.IKey | None = None
    """Encrypts the log. Its policy must let in CloudWatch Logs; that of a key of the same app is extended."""


class BatchWriter(Construct):
    """The function, allowed to do what it does and nothing else."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        service: str,
        settings: Settings,
        tables: Collection[dynamodb.ITable],
        read_tables: Collection[dynamodb.ITable],
        dead_letters: sqs.IQueue,
        queue_key: kms.IKey | None,
        memory: int,
        timeout: Duration,
        reserved_concurrency: int | None,
        tracing: bool,
        log_retention: logs.RetentionDays,
        architecture: str,
        log_level: str,
        system_log_level: str | None,
        options: FunctionOptions,
    ) -> None:
        """It writes `tables`, and reads `read_tables` of them.

        `service` tells its metrics and logs from those of others; `memory` is in MB.

        Raises `ConfigError` for variables in `options` that are the function's own.
        """
        super().__init__(scope, construct_id)
        self.log_group = logs.LogGroup(
            self,
            "Logs",
            retention=log_retention,
            removal_policy=RemovalPolicy.DESTROY,
            encryption_key=options.log_key,
        )
        # A role of our own: the one that CDK makes has a managed policy, which allows writing to every log group.
        self.role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        self.log_group.grant_write(self.role)
        for table in tables:
            _allow_writing(self.role, table)
        for table in read_tables:
            table.grant(self.role, "dynamodb:BatchGetItem")
        iam.Grant.add_to_principal(
            grantee=self.role, actions=["sqs:SendMessage"], resource_arns=[dead_letters.queue_arn]
        )
        if queue_key is not None:
            _allow_key(self.role, queue_key, ["kms:Decrypt", "kms:GenerateDataKey"], service="sqs")
        if options.vpc is not None:
            _allow_network_interfaces(self.role)
        self.function = lambda_.Function(
            self,
            "Function",
            description="Writes the messages of a queue to a DynamoDB table, 25 items a call",
            runtime=RUNTIME,
            architecture=ARCHITECTURES[architecture],
            handler=HANDLER,
            code=function_code(Bundle.of(architecture)),
            role=self.role,
            memory_size=memory,
            timeout=timeout,
            reserved_concurrent_executions=reserved_concurrency,
            # Lambda's own traces; the X-Ray SDK, which could add to them, gets only security fixes since 2026-02-25.
            # https://docs.aws.amazon.com/xray/latest/devguide/xray-sdk-daemon-timeline.html
            tracing=lambda_.Tracing.ACTIVE if tracing else lambda_.Tracing.DISABLED,
            environment=_variables(settings, service, log_level, options.environment),
            environment_encryption=options.environment_key,
            layers=list(options.layers) or None,
            vpc=options.vpc,
            vpc_subnets=options.vpc_subnets,
            security_groups=list(options.security_groups) or None,
            log_group=self.log_group,
            logging_format=lambda_.LoggingFormat.JSON,
            # The function keeps its level itself. Lambda would take lines without a level, as metrics are, for INFO.
            # https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html
            application_log_level_v2=lambda_.ApplicationLogLevel["DEBUG" if log_level == "DEBUG" else "INFO"],
            system_log_level_v2=lambda_.SystemLogLevel[system_log_level] if system_log_level is not None else None,
        )
        self._acknowledge(tracing=tracing, in_vpc=options.vpc is not None)

    def read_from(
        self,
        queue: sqs.IQueue,
        *,
        batch_size: int,
        batching_window: Duration,
        max_concurrency: int | None,
        min_pollers: int | None,
        max_pollers: int | None,
        enabled: bool,
    ) -> None:
        """Have Lambda poll `queue`, and delete of each batch only what the function does not return.

        Both numbers of pollers together ask for provisioned ones; with neither, Lambda adds pollers as it sees fit.
        """
        source = event_sources.SqsEventSource(
            queue,
            batch_size=batch_size,
            max_batching_window=None if queue.fifo else batching_window,  # Lambda has none for FIFO queues.
            max_concurrency=max_concurrency,
            provisioned_poller_config=None
            if min_pollers is None or max_pollers is None
            else lambda_.ProvisionedPollerConfig(
                minimum_pollers=min_pollers, maximum_pollers=min(max_pollers, MAX_POLLERS_OF_CDK)
            ),
            report_batch_item_failures=True,
            enabled=None if enabled else False,
        )
        self.function.add_event_source(source)
        for mapping in self.function.node.find_all():
            if isinstance(mapping, lambda_.CfnEventSourceMapping):
                if (max_pollers or 0) > MAX_POLLERS_OF_CDK:
                    mapping.add_property_override("ProvisionedPollerConfig.MaximumPollers", max_pollers)
                acknowledge(
                    mapping,
                    "Serverless-LambdaEventSourceMappingDestination",
                    "Lambda has no failure destination for SQS; the queue's redrive policy takes its place.",
                )
                self.mapping = mapping

    def _acknowledge(self, *, tracing: bool, in_vpc: bool) -> None:
        no_dead_letters = "It is for asynchronous invocations; messages of SQS go back to their queue, which has one."
        acknowledge(self.function, "Serverless-LambdaDLQ", no_dead_letters)
        acknowledge_regulated(self.function, "LambdaDLQ", no_dead_letters)
        skip(self.function, "CKV_AWS_116", no_dead_letters)
        acknowledge_regulated(
            self.role,
            "IAMNoInlinePolicy",
            "The policy is of this one role and names the stack's own resources: nobody else could use it.",
        )
        if tracing or in_vpc:
            every_resource = (
                "X-Ray's PutTraceSegments and PutTelemetryRecords, and what Lambda needs in a VPC, are asked for every"
                " resource (Service Authorization Reference)."
            )
            acknowledge(self.role, "AwsSolutions-IAM5[Resource::*]", every_resource)
            skip(self.role.node.find_child("DefaultPolicy"), "CKV_AWS_111", every_resource)
        if not tracing:
            acknowledge(
                self.function,
                "Serverless-LambdaTracing",
                "It needs a permission on every resource, and the metrics tell what it would; `tracing` turns it on.",
            )


def _variables(settings: Settings, service: str, log_level: str, more: Mapping[str, str]) -> dict[str, str]:
    own = {
        **settings.to_environ(),
        "POWERTOOLS_SERVICE_NAME": service,
        "POWERTOOLS_METRICS_NAMESPACE": METRICS_NAMESPACE,
        "POWERTOOLS_LOG_LEVEL": log_level,
    }
    if twice := sorted(own.keys() & more.keys()):
        raise ConfigError(f"the function's environment has {', '.join(twice)} already: use the setting in its place")
    return {**own, **more}


def _allow_network_interfaces(role: iam.Role) -> None:
    # https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html: what Lambda needs, on every resource.
    iam.Grant.add_to_principal(grantee=role, actions=[*NETWORK_INTERFACE_ACTIONS], resource_arns=["*"])


def _allow_writing(role: iam.Role, table: dynamodb.ITable) -> None:
    # TransactWriteItems, which UPDATE_ONCE uses, asks for the permission of each of its elements: UpdateItem.
    # Not `table.grant`, which takes in every index: nothing here reads one, and writes need the table alone.
    iam.Grant.add_to_principal(grantee=role, actions=[*WRITE_ACTIONS], resource_arns=[table.table_arn])
    if table.encryption_key is not None:
        _allow_key(role, table.encryption_key, TABLE_KEY_ACTIONS, service="dynamodb")


def _allow_key(role: iam.Role, key: kms.IKey, actions: Sequence[str], *, service: str) -> None:
    """Allow the use of a KMS key through one AWS service only."""
    iam.Grant.add_to_principal(
        grantee=role,
        actions=[*actions],
        resource_arns=[key.key_arn],
        conditions={"StringEquals": {"kms:ViaService": f"{service}.{Aws.REGION}.{Aws.URL_SUFFIX}"}},
    )
