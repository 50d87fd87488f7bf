"""Queue → function → tables, with dead letters, alarms and dashboard, as one construct that connects the parts."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import CfnResource, Duration, Names, RemovalPolicy
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from .alarms import Alarms
from .config import Config
from .context import ConfigError, given
from .contradictions import contradictions
from .dashboard import Dashboard
from .environment import function_settings
from .existing import ExistingTable, existing_table
from .function import BatchWriter, FunctionOptions
from .kept import keep
from .limits import LOG_RETENTIONS
from .metrics import Watched
from .queue import Queues, WriteQueue, dead_letter_life, given_queues
from .table import RecordTable
from .table_config import DEFAULT_ALIAS, TableConfig
from .table_reading import refuse_contradictions

MAX_NAME_LENGTH = 200
"""Of metrics' `service` and the dashboard, which takes 255 with the region (PutDashboard API reference)."""


class Sluice(Construct):
    """Whatever of queue, tables, key and topic is not given is made; what was made can be had from it.

    Longer than other classes, for it only lists: what each part is made with, and the parts as properties.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        config: Config | None = None,
        tables: Sequence[ExistingTable | TableConfig] = (),
        queue: sqs.IQueue | None = None,
        dead_letter_queue: sqs.IQueue | None = None,
        queue_key: kms.IKey | None = None,
        alarm_topic: sns.ITopic | None = None,
        alarm_topic_key: kms.IKey | None = None,
        function_options: FunctionOptions | None = None,
    ) -> None:
        """Raises `ConfigError` for settings that contradict each other.

        `tables` stand in place of those of `config`; the first is the default. A `queue` of the app keeps its own
        settings; without a `dead_letter_queue` its own is taken, or one is made. `queue_key` and
        `alarm_topic_key` encrypt queues and a topic that are made here.
        """
        super().__init__(scope, construct_id)
        config = config or Config()
        self.service = Names.unique_resource_name(
            self, max_length=MAX_NAME_LENGTH, separator="-", allowed_special_characters="-"
        )
        """The dimension by which metrics and logs of this construct are told from those of others."""
        existing = {table.alias: table.table for table in tables if isinstance(table, ExistingTable)}
        for table in tables:
            if isinstance(table, ExistingTable):
                table.check_later(self)
        configs = [table.config() if isinstance(table, ExistingTable) else table for table in tables]
        configs = configs or list(config.tables)
        self._refuse_contradictions(config, configs, existing, queue)
        self._queues = self._given_or_own(config, queue, dead_letter_queue, queue_key)
        self.tables = {
            table.alias: existing[table.alias] if table.alias in existing else self._table(table) for table in configs
        }
        """By alias, the default first."""
        self._writer = self._make_writer(config, configs, function_options or FunctionOptions())
        self._watched = Watched(
            self.service,
            self.queue,
            self.dead_letter_queue,
            self.function,
            self.tables,
            indexes={table.alias: table.made_indexes for table in configs},
            versioned={table.alias for table in configs if table.version_attribute is not None},
            update_once=config.update_once,
            read=[table.alias for table in configs if table.skip_unchanged],
        )
        self._alarms = self._make_alarms(config, alarm_topic, alarm_topic_key)
        self._dashboard = self._make_dashboard(config) if config.dashboard else None
        self._keep(config, [table for table in configs if table.alias not in existing], made_queue=queue is None)

    @property
    def queue(self) -> sqs.IQueue:
        """Where messages are sent to."""
        return self._queues.queue

    @property
    def dead_letter_queue(self) -> sqs.IQueue:
        return self._queues.dead_letters

    @property
    def key(self) -> kms.Key | None:
        """The key of the queues, if one was made."""
        return self._queues.own_key

    @property
    def table(self) -> dynamodb.ITable:
        """The default table."""
        return next(iter(self.tables.values()))

    @property
    def function(self) -> lambda_.Function:
        return self._writer.function

    @property
    def role(self) -> iam.Role:
        """The function's."""
        return self._writer.role

    @property
    def log_group(self) -> logs.LogGroup:
        """The function's."""
        return self._writer.log_group

    @property
    def event_source_mapping(self) -> lambda_.CfnEventSourceMapping:
        """What polls the queue."""
        return self._writer.mapping

    @property
    def alarms(self) -> Sequence[cloudwatch.Alarm]:
        return tuple(self._alarms.all)

    @property
    def unhealthy(self) -> cloudwatch.CompositeAlarm | None:
        """One state for the gravest alarms, for pagers and rollback triggers; None with `alarms` essential."""
        return self._alarms.unhealthy

    @property
    def not_fresh(self) -> cloudwatch.CompositeAlarm | None:
        """On while messages are written too late for `freshness_target`; None without one."""
        return self._alarms.not_fresh

    @property
    def alarm_topic(self) -> sns.ITopic:
        return self._alarms.topic

    @property
    def dashboard(self) -> cloudwatch.Dashboard | None:
        return self._dashboard.dashboard if self._dashboard is not None else None

    def grant_send(self, producer: iam.IGrantable) -> iam.Grant:
        """Allow a producer to send to the queue, and to use its key for that."""
        if (key := self.queue.encryption_master_key) is not None:
            key.grant(producer, "kms:Decrypt", "kms:GenerateDataKey")
        return iam.Grant.add_to_principal_or_resource(
            grantee=producer,
            actions=["sqs:SendMessage"],
            resource_arns=[self.queue.queue_arn],
            resource=self.queue,
        )

    def _refuse_contradictions(
        self,
        config: Config,
        tables: Sequence[TableConfig],
        existing: dict[str, dynamodb.ITable],
        queue: sqs.IQueue | None,
    ) -> None:
        refuse_contradictions(tables, existing)
        if queue is not None and queue.fifo != config.is_fifo:
            raise ConfigError(
                f"the queue given is {'fifo' if queue.fifo else 'standard'}, but config has queue_type"
                f" {config.queue_type}: set it to the queue's"
            )
        for contradiction in contradictions(config, tables, given(config), self.service):
            raise ConfigError(contradiction)

    def _given_or_own(
        self, config: Config, queue: sqs.IQueue | None, dead_letters: sqs.IQueue | None, key: kms.IKey | None
    ) -> Queues:
        if queue is not None:
            return given_queues(self, queue, dead_letters)
        if dead_letters is not None:
            raise ConfigError("dead_letter_queue is for a queue that is given as well: a queue made here has its own")
        if key is None and config.queue_key_arn is not None:
            key = kms.Key.from_key_arn(self, "QueueKey", config.queue_key_arn)
        made = WriteQueue(
            self,
            "Messages",
            is_fifo=config.is_fifo,
            deduplication_scope=config.deduplication_scope,
            content_based_deduplication=config.content_based_deduplication,
            visibility_timeout=Duration.seconds(config.visibility_timeout),
            retention=Duration.days(config.queue_retention),
            max_receive_count=config.max_receive_count,
            encryption=config.queue_encryption,
            key=key,
            data_key_reuse=Duration.seconds(config.data_key_reuse),
            producers=config.producers,
        )
        return Queues(made.queue, made.dead_letters, made.key, made.own_key)

    def _table(self, config: TableConfig) -> dynamodb.ITable:
        # By alias, not by position: tables may be put in another order, and keep their logical ids and data.
        name = "Records" if config.alias == DEFAULT_ALIAS else f"Records-{config.alias}"
        key_arn = config.key_arn
        key = kms.Key.from_key_arn(self, f"{name}-Key", key_arn) if key_arn is not None else None
        if config.existing_table is not None:
            return existing_table(self, name, config.existing_table, key)
        return RecordTable(
            self,
            name,
            table_name=config.table_name,
            partition_key=config.partition_key,
            sort_key=config.sort_key,
            capacity=config.capacity,
            warm_write_units=config.warm_write_units,
            warm_read_units=config.warm_read_units,
            ttl_attribute=config.ttl_attribute,
            indexes=config.made_indexes,
            stream=config.stream,
            encryption=config.table_encryption,
            key=key,
            recovery_days=config.point_in_time_recovery,
            deletion_protection=config.deletion_protection,
            removal_policy=RemovalPolicy.RETAIN if config.table_removal == "retain" else RemovalPolicy.DESTROY,
        ).table

    def _make_writer(self, config: Config, tables: Sequence[TableConfig], options: FunctionOptions) -> BatchWriter:
        names = {alias: table.table_name for alias, table in self.tables.items()}
        writer = BatchWriter(
            self,
            "BatchWriter",
            service=self.service,
            settings=function_settings(config, tables, names, self.dead_letter_queue.queue_url),
            tables=self.tables.values(),
            read_tables=[self.tables[table.alias] for table in tables if table.skip_unchanged],
            dead_letters=self.dead_letter_queue,
            queue_key=self._queues.key,
            memory=config.memory,
            timeout=Duration.seconds(config.timeout),
            reserved_concurrency=config.reserved_concurrency,
            tracing=config.tracing,
            log_retention=logs.RetentionDays[LOG_RETENTIONS[config.log_retention]],
            architecture=config.architecture,
            log_level=config.log_level,
            system_log_level=config.system_log_level,
            options=options,
        )
        writer.read_from(
            self.queue,
            batch_size=config.batch_size,
            batching_window=Duration.seconds(config.batching_window),
            max_concurrency=config.max_concurrency,
            min_pollers=config.min_pollers,
            max_pollers=config.max_pollers,
            enabled=config.enabled,
        )
        return writer

    def _make_alarms(self, config: Config, topic: sns.ITopic | None, topic_key: kms.IKey | None) -> Alarms:
        if topic is None and config.alarm_topic_arn is not None:
            topic = sns.Topic.from_topic_arn(self, "AlarmTopic", config.alarm_topic_arn)
        return Alarms(
            self,
            "Alarms",
            watched=self._watched,
            timeout=config.timeout,
            deadline_margin=config.deadline_margin,
            batching_window=config.batching_window,
            max_message_age=config.max_message_age,
            freshness_target=config.freshness_target,
            is_complete=config.alarms == "all",
            visibility_timeout=config.visibility_timeout,
            dead_letter_life=dead_letter_life(
                self.dead_letter_queue, before=0 if config.is_fifo else config.queue_retention * 86_400
            ),
            topic=topic,
            email=config.alarm_email,
            topic_key=topic_key or self.key,
            runbook_url=config.runbook_url,
        )

    def _make_dashboard(self, config: Config) -> Dashboard:
        return Dashboard(
            self,
            "Overview",
            name=self.service,
            watched=self._watched,
            alarms=self._alarms,
            memory=config.memory,
            max_invocations=config.max_invocations,
            max_write_units_per_second=config.max_write_units_per_second,
            freshness_target=config.freshness_target,
            is_fair=config.fair_queue,
        )

    def _keep(self, config: Config, tables: Sequence[TableConfig], *, made_queue: bool) -> None:
        resource = self.function.node.default_child
        assert isinstance(resource, CfnResource)
        if made_queue:
            keep(self, "QueueType", config.queue_type, of=resource, what="The queue's type")
        default = next(iter(self.tables))
        for table in tables:
            name = "DefaultTable" if table.alias == default else f"Table-{table.alias}"
            keep(self, name, table.identity, of=resource, what=f"Alias and key of the table {table.alias}")
