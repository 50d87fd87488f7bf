"""The function between queue and table, its permissions, its log and what polls the queue for it."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from aws_cdk import Aws, Duration, RemovalPolicy
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_event_sources as event_sources
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.asset import function_code
from infra.bundle import FUNCTION, Bundle
from infra.metrics import METRICS_NAMESPACE
from infra.nag import acknowledge
from sluice.message.settings import Settings

RUNTIME = lambda_.Runtime.PYTHON_3_14
ARCHITECTURE = lambda_.Architecture.ARM_64
BUNDLE = Bundle(python=RUNTIME.name.removeprefix("python"), machine="aarch64")
LOG_LEVEL = "INFO"
MAX_POLLERS_OF_CDK = 2000
"""Lambda takes 10,000 (ProvisionedPollerConfig API reference); aws-cdk-lib 2.275 refuses more than this."""
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
        dead_letters: sqs.IQueue,
        queue_key: kms.IKey | None,
        memory: int,
        timeout: Duration,
        reserved_concurrency: int | None,
        tracing: bool,
        log_retention: logs.RetentionDays,
    ) -> None:
        """`service` tells its metrics and logs from those of other stacks; `memory` is in MB."""
        super().__init__(scope, construct_id)
        self.log_group = logs.LogGroup(self, "Logs", retention=log_retention, removal_policy=RemovalPolicy.DESTROY)
        # A role of our own: the one that CDK makes has a managed policy, which allows writing to every log group.
        self.role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        self.log_group.grant_write(self.role)
        for table in tables:
            _allow_writing(self.role, table)
        iam.Grant.add_to_principal(
            grantee=self.role, actions=["sqs:SendMessage"], resource_arns=[dead_letters.queue_arn]
        )
        if queue_key is not None:
            _allow_key(self.role, queue_key, ["kms:Decrypt", "kms:GenerateDataKey"], service="sqs")
        self.function = lambda_.Function(
            self,
            "Function",
            description="Writes the messages of a queue to a DynamoDB table, 25 items a call",
            runtime=RUNTIME,
            architecture=ARCHITECTURE,
            handler=f"{FUNCTION.name}.handler.lambda_handler",
            code=function_code(BUNDLE),
            role=self.role,
            memory_size=memory,
            timeout=timeout,
            reserved_concurrent_executions=reserved_concurrency,
            # Lambda's own traces; the X-Ray SDK, which could add to them, gets only security fixes since 2026-02-25.
            # https://docs.aws.amazon.com/xray/latest/devguide/xray-sdk-daemon-timeline.html
            tracing=lambda_.Tracing.ACTIVE if tracing else lambda_.Tracing.DISABLED,
            environment={
                **settings.to_environ(),
                "POWERTOOLS_SERVICE_NAME": service,
                "POWERTOOLS_METRICS_NAMESPACE": METRICS_NAMESPACE,
                "POWERTOOLS_LOG_LEVEL": LOG_LEVEL,
            },
            log_group=self.log_group,
            logging_format=lambda_.LoggingFormat.JSON,
            application_log_level_v2=lambda_.ApplicationLogLevel[LOG_LEVEL],
        )
        self._acknowledge(tracing=tracing)

    def read_from(
        self,
        queue: sqs.IQueue,
        *,
        batch_size: int,
        batching_window: Duration,
        max_concurrency: int | None,
        min_pollers: int | None,
        max_pollers: int | None,
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

    def _acknowledge(self, *, tracing: bool) -> None:
        acknowledge(
            self.function,
            "Serverless-LambdaDLQ",
            "It is for asynchronous invocations; messages of SQS go back to their queue, which has one.",
        )
        if tracing:
            acknowledge(
                self.role,
                "AwsSolutions-IAM5[Resource::*]",
                "X-Ray's PutTraceSegments and PutTelemetryRecords know no resources (Service Authorization Reference).",
            )
        else:
            acknowledge(
                self.function,
                "Serverless-LambdaTracing",
                "It needs a permission on every resource, and the metrics tell what it would; `tracing` turns it on.",
            )


def _allow_writing(role: iam.Role, table: dynamodb.ITable) -> None:
    # TransactWriteItems, which UPDATE_ONCE uses, asks for the permission of each of its elements: UpdateItem.
    table.grant(role, "dynamodb:BatchWriteItem", "dynamodb:PutItem", "dynamodb:DeleteItem", "dynamodb:UpdateItem")
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
