"""The function between queue and table, its package, its permissions and its log."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import jsii
from aws_cdk import AssetHashType, BundlingOptions, DockerImage, Duration, ILocalBundling, RemovalPolicy
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_event_sources as event_sources
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from functions.batch_writer.settings import Settings
from infra.bundle import FUNCTION, Bundle, BundleError

RUNTIME = lambda_.Runtime.PYTHON_3_14
ARCHITECTURE = lambda_.Architecture.ARM_64
BUNDLE = Bundle(python=RUNTIME.name.removeprefix("python"), machine="aarch64")
METRICS_NAMESPACE = "Sluice"
LOG_LEVEL = "INFO"


class BatchWriter(Construct):
    """The function, allowed to do what it does and nothing else."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: Settings,
        service: str,
        table: dynamodb.Table,
        dead_letters: sqs.Queue,
        memory: int,
        timeout: Duration,
        log_retention: logs.RetentionDays,
    ) -> None:
        super().__init__(scope, construct_id)
        log_group = logs.LogGroup(self, "Logs", retention=log_retention, removal_policy=RemovalPolicy.DESTROY)
        # A role of our own: the one that CDK makes has a managed policy, which allows writing to every log group.
        role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        log_group.grant_write(role)
        # TransactWriteItems, which UPDATE_ONCE uses, asks for the permission of each of its elements: UpdateItem.
        table.grant(role, "dynamodb:BatchWriteItem", "dynamodb:PutItem", "dynamodb:DeleteItem", "dynamodb:UpdateItem")
        iam.Grant.add_to_principal(grantee=role, actions=["sqs:SendMessage"], resource_arns=[dead_letters.queue_arn])
        self.function = lambda_.Function(
            self,
            "Function",
            description="Writes the messages of a queue to a DynamoDB table, 25 items a call",
            runtime=RUNTIME,
            architecture=ARCHITECTURE,
            handler=f"{FUNCTION.name}.handler.lambda_handler",
            code=_code(),
            role=role,
            memory_size=memory,
            timeout=timeout,
            environment={
                **settings.to_environ(),
                "POWERTOOLS_SERVICE_NAME": service,
                "POWERTOOLS_METRICS_NAMESPACE": METRICS_NAMESPACE,
                "POWERTOOLS_LOG_LEVEL": LOG_LEVEL,
            },
            log_group=log_group,
            logging_format=lambda_.LoggingFormat.JSON,
            application_log_level_v2=lambda_.ApplicationLogLevel[LOG_LEVEL],
        )

    def read_from(self, queue: sqs.Queue, *, batch_size: int, batching_window: Duration, max_concurrency: int) -> None:
        """Have Lambda poll `queue`, and delete of each batch only what the function does not return."""
        self.function.add_event_source(
            event_sources.SqsEventSource(
                queue,
                batch_size=batch_size,
                max_batching_window=batching_window,
                max_concurrency=max_concurrency,
                report_batch_item_failures=True,
            )
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
