"""The whole system as one CloudFormation stack; it only connects the parts."""

from __future__ import annotations

from aws_cdk import CfnOutput, DefaultStackSynthesizer, Duration, RemovalPolicy, Stack
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sns as sns
from constructs import Construct

from infra.alarms import Alarms
from infra.config import Config
from infra.dashboard import Dashboard
from infra.environment import function_settings
from infra.function import BatchWriter
from infra.limits import LOG_RETENTIONS
from infra.metrics import Watched
from infra.queue import WriteQueue
from infra.table import RecordTable
from infra.table_config import DEFAULT_ALIAS, TableConfig


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
        queues = self._queues(config)
        tables = {table.alias: self._table(table) for table in config.tables}
        writer = self._writer(config, queues, tables)
        watched = Watched(config.stack_name, queues.queue, queues.dead_letters, writer.function, tables)
        alarms = self._alarms(config, watched, queues.own_key)
        dashboard = Dashboard(
            self,
            "Overview",
            name=config.stack_name,
            watched=watched,
            alarms=alarms,
            memory=config.memory,
            max_invocations=config.max_invocations,
            max_write_units_per_second=config.max_write_units_per_second,
        )
        self._put_out(watched, alarms, dashboard)

    def _queues(self, config: Config) -> WriteQueue:
        key_arn = config.queue_key_arn
        return WriteQueue(
            self,
            "Messages",
            is_fifo=config.is_fifo,
            deduplication_scope=config.deduplication_scope,
            content_based_deduplication=config.content_based_deduplication,
            visibility_timeout=Duration.seconds(config.visibility_timeout),
            retention=Duration.days(config.queue_retention),
            max_receive_count=config.max_receive_count,
            encryption=config.queue_encryption,
            key=kms.Key.from_key_arn(self, "QueueKey", key_arn) if key_arn is not None else None,
            data_key_reuse=Duration.seconds(config.data_key_reuse),
            producers=config.producers,
        )

    def _table(self, config: TableConfig) -> dynamodb.ITable:
        # By alias, not by position: tables may be put in another order, and keep their logical ids and data.
        name = "Records" if config.alias == DEFAULT_ALIAS else f"Records-{config.alias}"
        key_arn = config.key_arn
        key = kms.Key.from_key_arn(self, f"{name}-Key", key_arn) if key_arn is not None else None
        if config.existing_table is not None:
            return dynamodb.Table.from_table_attributes(
                self, name, table_name=config.existing_table, encryption_key=key
            )
        return RecordTable(
            self,
            name,
            partition_key=config.partition_key,
            sort_key=config.sort_key,
            capacity=config.capacity,
            warm_write_units=config.warm_write_units,
            warm_read_units=config.warm_read_units,
            ttl_attribute=config.ttl_attribute,
            encryption=config.table_encryption,
            key=key,
            recovery_days=config.point_in_time_recovery,
            deletion_protection=config.deletion_protection,
            removal_policy=RemovalPolicy.RETAIN if config.table_removal == "retain" else RemovalPolicy.DESTROY,
        ).table

    def _writer(self, config: Config, queues: WriteQueue, tables: dict[str, dynamodb.ITable]) -> BatchWriter:
        names = {alias: table.table_name for alias, table in tables.items()}
        writer = BatchWriter(
            self,
            "BatchWriter",
            service=config.stack_name,
            settings=function_settings(config, names, queues.dead_letters.queue_url),
            tables=tables.values(),
            dead_letters=queues.dead_letters,
            queue_key=queues.key,
            memory=config.memory,
            timeout=Duration.seconds(config.timeout),
            reserved_concurrency=config.reserved_concurrency,
            tracing=config.tracing,
            log_retention=logs.RetentionDays[LOG_RETENTIONS[config.log_retention]],
        )
        writer.read_from(
            queues.queue,
            batch_size=config.batch_size,
            batching_window=Duration.seconds(config.batching_window),
            max_concurrency=config.max_concurrency,
            min_pollers=config.min_pollers,
            max_pollers=config.max_pollers,
        )
        return writer

    def _alarms(self, config: Config, watched: Watched, key: kms.IKey | None) -> Alarms:
        topic_arn = config.alarm_topic_arn
        return Alarms(
            self,
            "Alarms",
            watched=watched,
            timeout=config.timeout,
            deadline_margin=config.deadline_margin,
            batching_window=config.batching_window,
            max_message_age=config.max_message_age,
            topic=sns.Topic.from_topic_arn(self, "AlarmTopic", topic_arn) if topic_arn is not None else None,
            email=config.alarm_email,
            topic_key=key,
        )

    def _put_out(self, watched: Watched, alarms: Alarms, dashboard: Dashboard) -> None:
        names = {alias: table.table_name for alias, table in watched.tables.items()}
        CfnOutput(self, "QueueUrl", value=watched.queue.queue_url, description="Send messages here")
        CfnOutput(self, "QueueArn", value=watched.queue.queue_arn)
        CfnOutput(self, "DeadLetterQueueUrl", value=watched.dead_letters.queue_url)
        CfnOutput(self, "TableName", value=next(iter(names.values())))
        if len(names) > 1:
            CfnOutput(self, "TableNames", value=self.to_json_string(names), description="By alias")
        CfnOutput(self, "FunctionName", value=watched.function.function_name)
        CfnOutput(self, "DashboardName", value=dashboard.dashboard.dashboard_name)
        CfnOutput(self, "AlarmTopicArn", value=alarms.topic.topic_arn)
