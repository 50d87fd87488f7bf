"""The whole system as one CloudFormation stack; it only connects the parts."""

from __future__ import annotations

from aws_cdk import CfnOutput, DefaultStackSynthesizer, Stack
from constructs import Construct

from infra.alarms import Alarms
from infra.config import Config
from infra.dashboard import Dashboard
from infra.function import BatchWriter
from infra.nag import acknowledge
from infra.queue import WriteQueue
from infra.table import RecordTable, construct_id


class SluiceStack(Stack):
    """Queue → function → table, with dead letters, alarms and a dashboard."""

    def __init__(self, scope: Construct, config: Config) -> None:
        super().__init__(
            scope,
            config.stack_name,
            description="Sluice: writes messages from SQS to DynamoDB in batches",
            # The rule has CloudFormation read the bootstrap version from SSM, which local AWSs fail at when a
            # stack is updated. Nothing is lost: the CDK CLI checks the version itself before it deploys.
            tags=dict(config.tags) or None,
            synthesizer=DefaultStackSynthesizer(generate_bootstrap_version_rule=False),
        )
        queues = WriteQueue(self, "Messages", config=config)
        record_tables = {table.alias: RecordTable(self, construct_id(table), config=table) for table in config.tables}
        writer = BatchWriter(
            self,
            "BatchWriter",
            config=config,
            tables=record_tables,
            dead_letters=queues.dead_letters,
            queue_key=queues.key,
        )
        writer.read_from(queues.queue)
        tables = {alias: record_table.table for alias, record_table in record_tables.items()}
        table = tables[config.tables[0].alias]
        alarms = Alarms(
            self,
            "Alarms",
            config=config,
            queue=queues.queue,
            dead_letters=queues.dead_letters,
            function=writer.function,
            tables=tables,
            topic_key=queues.key if config.queue_encryption == "kms" else None,  # Another's key is not ours to open.
        )
        acknowledge(
            alarms,
            "Serverless-SNSRedrivePolicy",
            "A queue of alarm mails that were not delivered would be one more thing to watch; the alarms' states stay.",
        )
        dashboard = Dashboard(self, "Overview", config=config, alarms=alarms).dashboard

        CfnOutput(self, "QueueUrl", value=queues.queue.queue_url, description="Send messages here")
        CfnOutput(self, "QueueArn", value=queues.queue.queue_arn)
        CfnOutput(self, "DeadLetterQueueUrl", value=queues.dead_letters.queue_url)
        CfnOutput(self, "TableName", value=table.table_name)
        if len(tables) > 1:
            names = {alias: each.table_name for alias, each in tables.items()}
            CfnOutput(self, "TableNames", value=self.to_json_string(names), description="By alias")
        CfnOutput(self, "FunctionName", value=writer.function.function_name)
        CfnOutput(self, "DashboardName", value=dashboard.dashboard_name)
        CfnOutput(self, "AlarmTopicArn", value=alarms.topic.topic_arn)
