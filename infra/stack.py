"""The construct as a stack of its own, with the outputs by which its parts are found."""

from __future__ import annotations

from typing import Any

from aws_cdk import Annotations, CfnOutput, DefaultStackSynthesizer, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from infra.stack_config import StackConfig
from sluice.cdk import FunctionOptions, Sluice


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
        if config.permissions_boundary is not None:
            boundary = iam.ManagedPolicy.from_managed_policy_arn(self, "Boundary", config.permissions_boundary)
            iam.PermissionsBoundary.of(self).apply(boundary)
        # CDK leaves the id `Default` out of logical ids, so that they are those of a stack without the construct.
        self.sluice = Sluice(
            self,
            "Default",
            config=config,
            alarm_topic_key=self._key("AlarmTopicKey", config.alarm_topic_key),
            function_options=FunctionOptions(
                **self._vpc(config),
                log_key=self._key("LogKey", config.log_key),
                environment_key=self._key("VariablesKey", config.variables_key),
            ),
        )
        self._put_out(self.sluice)

    def _key(self, construct_id: str, arn: str | None) -> kms.IKey | None:
        return kms.Key.from_key_arn(self, construct_id, arn) if arn is not None else None

    def _vpc(self, config: StackConfig) -> dict[str, Any]:
        if config.function_vpc is None:
            return {}
        groups = [
            ec2.SecurityGroup.from_security_group_id(self, f"SecurityGroup{n}", each)
            for n, each in enumerate(config.function_security_groups)
        ]
        vpc = ec2.Vpc.from_vpc_attributes(
            self,
            "Vpc",
            vpc_id=config.function_vpc,
            # Of no use to the function, and unknown: nothing is looked up. One for each subnet is asked for.
            availability_zones=[str(n) for n, _ in enumerate(config.function_subnets)],
            private_subnet_ids=list(config.function_subnets),
        )
        Annotations.of(vpc).acknowledge_warning("@aws-cdk/aws-ec2:noSubnetRouteTableId", "No route is made here.")
        return {"vpc": vpc, "security_groups": groups}

    def _put_out(self, sluice: Sluice) -> None:
        names = {alias: table.table_name for alias, table in sluice.tables.items()}
        CfnOutput(self, "QueueUrl", value=sluice.queue.queue_url, description="Send messages here")
        CfnOutput(self, "QueueArn", value=sluice.queue.queue_arn)
        CfnOutput(self, "DeadLetterQueueUrl", value=sluice.dead_letter_queue.queue_url)
        CfnOutput(self, "DeadLetterQueueArn", value=sluice.dead_letter_queue.queue_arn)
        CfnOutput(self, "TableName", value=sluice.table.table_name)
        CfnOutput(self, "TableArn", value=sluice.table.table_arn)
        if len(names) > 1:
            CfnOutput(self, "TableNames", value=self.to_json_string(names), description="By alias")
        CfnOutput(self, "FunctionName", value=sluice.function.function_name)
        CfnOutput(self, "FunctionArn", value=sluice.function.function_arn)
        CfnOutput(self, "LogGroupName", value=sluice.log_group.log_group_name)
        if sluice.key is not None:
            CfnOutput(self, "KeyArn", value=sluice.key.key_arn, description="Of the queues")
        if sluice.dashboard is not None:
            CfnOutput(self, "DashboardName", value=sluice.dashboard.dashboard_name)
        CfnOutput(self, "AlarmTopicArn", value=sluice.alarm_topic.topic_arn)
