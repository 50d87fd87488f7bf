"""The function between queue and table, its package, its permissions and its log."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jsii
from aws_cdk import AssetHashType, Aws, BundlingOptions, DockerImage, Duration, ILocalBundling, RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_event_sources as event_sources
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.bundle import FUNCTION, Bundle, BundleError
from infra.config import Config
from infra.environment import function_settings
from infra.limits import LOG_RETENTIONS
from infra.nag import acknowledge
from infra.table import RecordTable

RUNTIME = lambda_.Runtime.PYTHON_3_14
ARCHITECTURE = lambda_.Architecture.ARM_64
BUNDLE = Bundle(python=RUNTIME.name.removeprefix("python"), machine="aarch64")
METRICS_NAMESPACE = "Sluice"
LOG_LEVEL = "INFO"
MOST_POLLERS_OF_CDK = 2000
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
        config: Config,
        tables: Mapping[str, RecordTable],
        dead_letters: sqs.Queue,
        queue_key: kms.IKey | None,
    ) -> None:
        super().__init__(scope, construct_id)
        self._config = config
        retention = logs.RetentionDays[LOG_RETENTIONS[config.log_retention]]
        log_group = logs.LogGroup(self, "Logs", retention=retention, removal_policy=RemovalPolicy.DESTROY)
        # A role of our own: the one that CDK makes has a managed policy, which allows writing to every log group.
        role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        log_group.grant_write(role)
        for record_table in tables.values():
            _allow_writing(role, record_table)
        iam.Grant.add_to_principal(grantee=role, actions=["sqs:SendMessage"], resource_arns=[dead_letters.queue_arn])
        if queue_key is not None:
            _allow_key(role, queue_key, ["kms:Decrypt", "kms:GenerateDataKey"], service="sqs")
        settings = function_settings(
            config,
            {alias: record_table.table.table_name for alias, record_table in tables.items()},
            dead_letters.queue_url,
        )
        self.function = lambda_.Function(
            self,
            "Function",
            description="Writes the messages of a queue to a DynamoDB table, 25 items a call",
            runtime=RUNTIME,
            architecture=ARCHITECTURE,
            handler=f"{FUNCTION.name}.handler.lambda_handler",
            code=_code(),
            role=role,
            memory_size=config.memory,
            timeout=Duration.seconds(config.timeout),
            reserved_concurrent_executions=config.reserved_concurrency,
            # Lambda's own traces; the X-Ray SDK, which could add to them, gets security fixes alone since 2026-02-25.
            # https://docs.aws.amazon.com/xray/latest/devguide/xray-sdk-daemon-timeline.html
            tracing=lambda_.Tracing.ACTIVE if config.tracing else lambda_.Tracing.DISABLED,
            environment={
                **settings.to_environ(),
                "POWERTOOLS_SERVICE_NAME": config.stack_name,
                "POWERTOOLS_METRICS_NAMESPACE": METRICS_NAMESPACE,
                "POWERTOOLS_LOG_LEVEL": LOG_LEVEL,
            },
            log_group=log_group,
            logging_format=lambda_.LoggingFormat.JSON,
            application_log_level_v2=lambda_.ApplicationLogLevel[LOG_LEVEL],
        )
        self._acknowledge(role)

    def read_from(self, queue: sqs.Queue) -> None:
        """Have Lambda poll `queue`, and delete of each batch only what the function does not return."""
        config = self._config
        window = Duration.seconds(config.batching_window)
        source = event_sources.SqsEventSource(
            queue,
            batch_size=config.batch_size,
            max_batching_window=None if config.is_fifo else window,
            max_concurrency=config.max_concurrency,
            provisioned_poller_config=self._pollers(),
            report_batch_item_failures=True,
        )
        self.function.add_event_source(source)
        for mapping in self.function.node.find_all():
            if isinstance(mapping, lambda_.CfnEventSourceMapping):
                if (config.max_pollers or 0) > MOST_POLLERS_OF_CDK:
                    mapping.add_property_override("ProvisionedPollerConfig.MaximumPollers", config.max_pollers)
                acknowledge(
                    mapping,
                    "Serverless-LambdaEventSourceMappingDestination",
                    "Lambda has no failure destination for SQS; the queue's redrive policy takes its place.",
                )

    def _pollers(self) -> lambda_.ProvisionedPollerConfig | None:
        low, high = self._config.min_pollers, self._config.max_pollers
        if low is None or high is None:
            return None
        return lambda_.ProvisionedPollerConfig(minimum_pollers=low, maximum_pollers=min(high, MOST_POLLERS_OF_CDK))

    def _acknowledge(self, role: iam.Role) -> None:
        acknowledge(
            self.function,
            "Serverless-LambdaDLQ",
            "It is for asynchronous invocations; messages of SQS go back to their queue, which has one.",
        )
        if self._config.tracing:
            acknowledge(
                role,
                "AwsSolutions-IAM5[Resource::*]",
                "X-Ray's PutTraceSegments and PutTelemetryRecords know no resources (Service Authorization Reference).",
            )
        else:
            acknowledge(
                self.function,
                "Serverless-LambdaTracing",
                "It needs a permission on every resource, and the metrics tell what it would; `tracing` turns it on.",
            )


def _allow_writing(role: iam.Role, record_table: RecordTable) -> None:
    # TransactWriteItems, which UPDATE_ONCE uses, asks for the permission of each of its elements: UpdateItem.
    record_table.table.grant(
        role, "dynamodb:BatchWriteItem", "dynamodb:PutItem", "dynamodb:DeleteItem", "dynamodb:UpdateItem"
    )
    if record_table.key is not None:
        _allow_key(role, record_table.key, TABLE_KEY_ACTIONS, service="dynamodb")


def _allow_key(role: iam.Role, key: kms.IKey, actions: Sequence[str], *, service: str) -> None:
    """Allow the use of a KMS key through one AWS service alone."""
    iam.Grant.add_to_principal(
        grantee=role,
        actions=[*actions],
        resource_arns=[key.key_arn],
        conditions={"StringEquals": {"kms:ViaService": f"{service}.{Aws.REGION}.{Aws.URL_SUFFIX}"}},
    )


@jsii.implements(ILocalBundling)
class _PipBundling:
    def try_bundle(self, output_dir: str, *_options: Any, **_more_options: Any) -> bool:
        try:
            BUNDLE.write(Path(output_dir))
        except BundleError as error:
            # Any other exception would go through Node and come back with two stack traces around pip's words.
            sys.exit(f"sluice: {error}")
        return True


def _code() -> lambda_.Code:
    return lambda_.Code.from_asset(
        str(FUNCTION),
        asset_hash=BUNDLE.digest(),
        asset_hash_type=AssetHashType.CUSTOM,
        bundling=BundlingOptions(
            # CDK asks for an image but never pulls it, as the local bundling either succeeds or raises.
            image=DockerImage.from_registry("not-used"),
            local=_PipBundling(),
        ),
    )
