"""The construct as a stack of its own, with the outputs by which its parts are found."""

from __future__ import annotations

from typing import Any

from aws_cdk import CfnOutput, DefaultStackSynthesizer, Stack
from constructs import Construct

from infra.stack_config import StackConfig
from sluice.cdk import Sluice


class SluiceStack(Stack):
    """Queue → function → table, with dead letters, alarms and a dashboard."""

    def __init__(self, scope: Construct, config: StackConfig, **options: Any) -> None:
        """`options` are a stack's own, such as `env`; they go before what the settings say of it."""
        of_settings: dict[str, Any] = {
            "description": "Sluice: writes messages from SQS to DynamoDB in batches",
            "tags": dict(config.tags) or None,
            "termination_protection": config.termination_protection or None,
            # The rule has CloudFormation read the bootstrap version from SSM, which local AWSs fail at when a
            # stack is updated. Nothing is lost: the CDK CLI checks the version itself before it deploys.
            "synthesizer": DefaultStackSynthesizer(generate_bootstrap_version_rule=False),
        }
        super().__init__(scope, config.full_name, **(of_settings | options))
        # CDK leaves the id `Default` out of logical ids, so that they are those of a stack without the construct.
        self.sluice = Sluice(self, "Default", config=config)
        self._put_out(self.sluice)

    def _put_out(self, sluice: Sluice) -> None:
        names = {alias: table.table_name for alias, table in sluice.tables.items()}
        CfnOutput(self, "QueueUrl", value=sluice.queue.queue_url, description="Send messages here")
        CfnOutput(self, "QueueArn", value=sluice.queue.queue_arn)
        CfnOutput(self, "DeadLetterQueueUrl", value=sluice.dead_letter_queue.queue_url)
        CfnOutput(self, "TableName", value=sluice.table.table_name)
        if len(names) > 1:
            CfnOutput(self, "TableNames", value=self.to_json_string(names), description="By alias")
        CfnOutput(self, "FunctionName", value=sluice.function.function_name)
        CfnOutput(self, "DashboardName", value=sluice.dashboard.dashboard_name)
        CfnOutput(self, "AlarmTopicArn", value=sluice.alarm_topic.topic_arn)
