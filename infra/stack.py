"""The whole system as one CloudFormation stack; it only connects the parts."""

from __future__ import annotations

from aws_cdk import CfnOutput, DefaultStackSynthesizer, Duration, Stack
from aws_cdk import aws_logs as logs
from constructs import Construct

from functions.batch_writer.settings import Settings, Table
from infra.alarms import Alarms
from infra.config import DEAD_LETTER_RETENTION, LOG_RETENTIONS, Config
from infra.dashboard import Dashboard
from infra.function import BatchWriter
from infra.queue import WriteQueue
from infra.table import RecordTable


class SluiceStack(Stack):
    """Queue → function → table, with dead letters, alarms and a dashboard."""

    def __init__(self, scope: Construct, config: Config) -> None:
        super().__init__(
            scope,
            config.stack_name,
            description="Sluice: writes messages from SQS to DynamoDB in batches",
            # The rule has CloudFormation read the bootstrap version from SSM, which local AWSs fail at when a
            # stack is updated. Nothing is lost: the CDK CLI checks the version itself before it deploys.
            synthesizer=DefaultStackSynthesizer(generate_bootstrap_version_rule=False),
        )
        queues = WriteQueue(
            self,
            "Messages",
            visibility_timeout=Duration.seconds(config.visibility_timeout),
            retention=Duration.days(config.queue_retention),
            max_receive_count=config.max_receive_count,
            dead_letter_retention=Duration.days(DEAD_LETTER_RETENTION),
        )
        table = RecordTable(
            self,
            "Records",
            partition_key=config.partition_key,
            sort_key=config.sort_key,
            retain=config.table_removal == "retain",
        ).table
        writer = BatchWriter(
            self,
            "BatchWriter",
            settings=Settings(
                tables=(
                    Table(
                        alias="records",
                        name=table.table_name,
                        partition_key=config.partition_key,
                        sort_key=config.sort_key,
                        version=config.version_attribute,
                    ),
                ),
                dead_letter_queue_url=queues.dead_letters.queue_url,
                record_format=config.record_format,
                record_expression=config.record_expression,
                on_condition_failed=config.on_condition_failed,
                update_once=config.update_once,
                max_connections=config.max_connections,
                max_write_units_per_second=config.write_units_per_invocation,
                deadline_margin=config.deadline_margin,
            ),
            service=config.stack_name,
            table=table,
            dead_letters=queues.dead_letters,
            memory=config.memory,
            timeout=Duration.seconds(config.timeout),
            log_retention=logs.RetentionDays[LOG_RETENTIONS[config.log_retention]],
        )
        writer.read_from(
            queues.queue,
            batch_size=config.batch_size,
            batching_window=Duration.seconds(config.batching_window),
            max_concurrency=config.max_concurrency,
        )
        alarms = Alarms(
            self,
            "Alarms",
            queue=queues.queue,
            dead_letters=queues.dead_letters,
            function=writer.function,
            table=table,
            alarming_message_age=Duration.seconds(config.alarming_message_age),
            email=config.alarm_email,
        )
        dashboard = Dashboard(
            self,
            "Overview",
            service=config.stack_name,
            queue=queues.queue,
            dead_letters=queues.dead_letters,
            function=writer.function,
            table=table,
            alarms=alarms,
        ).dashboard

        CfnOutput(self, "QueueUrl", value=queues.queue.queue_url, description="Send messages here")
        CfnOutput(self, "QueueArn", value=queues.queue.queue_arn)
        CfnOutput(self, "DeadLetterQueueUrl", value=queues.dead_letters.queue_url)
        CfnOutput(self, "TableName", value=table.table_name)
        CfnOutput(self, "FunctionName", value=writer.function.function_name)
        CfnOutput(self, "DashboardName", value=dashboard.dashboard_name)
        CfnOutput(self, "AlarmTopicArn", value=alarms.topic.topic_arn)
