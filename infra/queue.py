"""Where messages wait: the queue that producers send to, and the one for what can never be written."""

from __future__ import annotations

from typing import Any

from aws_cdk import Duration, Names, RemovalPolicy, Stack
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.config import Config
from infra.limits import DEAD_LETTER_RETENTION
from infra.nag import acknowledge
from infra.principals import statement

SCOPES = {
    "messageGroup": (sqs.DeduplicationScope.MESSAGE_GROUP, sqs.FifoThroughputLimit.PER_MESSAGE_GROUP_ID),
    "queue": (sqs.DeduplicationScope.QUEUE, sqs.FifoThroughputLimit.PER_QUEUE),
}
"""Only deduplication by group allows a throughput by group, which is SQS's high-throughput mode.

https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/high-throughput-fifo.html
"""
DEAD_LETTERS = "DeadLetters"
MAX_NAME = 80  # Characters, `.fifo` among them (CreateQueue API reference).


class WriteQueue(Construct):
    """A queue and its dead-letter queue, both standard or both FIFO, encrypted, and closed to plain HTTP."""

    def __init__(self, scope: Construct, construct_id: str, *, config: Config) -> None:
        super().__init__(scope, construct_id)
        suffix = ".fifo" if config.is_fifo else ""
        longest = MAX_NAME - len(DEAD_LETTERS + suffix) if config.is_fifo else MAX_NAME
        # Each queue names the other: the one it sends to, the one it takes from. CloudFormation cannot resolve
        # such a circle, so the queue's name is generated here, by CDK, instead of by CloudFormation.
        name = Names.unique_resource_name(self, max_length=longest) + suffix
        arn = Stack.of(self).format_arn(service="sqs", resource=name)
        self.key = self._key(config)
        alike = self._alike(config)
        self.dead_letters = sqs.Queue(
            self,
            DEAD_LETTERS,
            # A FIFO queue's name has to end in .fifo, which not every local AWS sees to by itself.
            queue_name=name.removesuffix(suffix) + DEAD_LETTERS + suffix if config.is_fifo else None,
            retention_period=Duration.days(DEAD_LETTER_RETENTION),
            redrive_allow_policy=sqs.RedriveAllowPolicy(
                redrive_permission=sqs.RedrivePermission.BY_QUEUE,
                source_queues=[sqs.Queue.from_queue_arn(self, "Source", arn)],
            ),
            **alike,
        )
        acknowledge(
            self.dead_letters,
            "Serverless-SQSRedrivePolicy",
            "This is the dead-letter queue; an alarm tells of anything in it.",
        )
        self.queue = sqs.Queue(
            self,
            "Queue",
            queue_name=name,
            visibility_timeout=Duration.seconds(config.visibility_timeout),
            retention_period=Duration.days(config.queue_retention),
            receive_message_wait_time=Duration.seconds(20),
            dead_letter_queue=sqs.DeadLetterQueue(queue=self.dead_letters, max_receive_count=config.max_receive_count),
            content_based_deduplication=config.content_based_deduplication or None,
            **alike,
        )
        for producer in config.producers:
            self.queue.add_to_resource_policy(statement(producer, "sqs:SendMessage", resource=self.queue.queue_arn))

    def _alike(self, config: Config) -> dict[str, Any]:
        """What both queues have in common: SQS requires it of the type, and the same data is in both."""
        alike: dict[str, Any] = {"enforce_ssl": True, "removal_policy": RemovalPolicy.DESTROY}
        if config.is_fifo:
            scope, limit = SCOPES[config.deduplication_scope]
            alike |= {"fifo": True, "deduplication_scope": scope, "fifo_throughput_limit": limit}
        if self.key is None:
            return alike | {"encryption": sqs.QueueEncryption.SQS_MANAGED}
        return alike | {
            "encryption": sqs.QueueEncryption.KMS,
            "encryption_master_key": self.key,
            "data_key_reuse": Duration.seconds(config.data_key_reuse),
        }

    def _key(self, config: Config) -> kms.IKey | None:
        """The key of the queues; its policy lets in whoever may send, as far as the key is ours to say so."""
        if config.queue_encryption == "sqs":
            return None
        if config.queue_key_arn is not None:
            return kms.Key.from_key_arn(self, "Key", config.queue_key_arn)
        key = kms.Key(
            self,
            "Key",
            description=f"Messages of {config.stack_name}",
            enable_key_rotation=True,
            # A key about to be deleted opens nothing more, and dead letters may be needed longer than the stack.
            removal_policy=RemovalPolicy.RETAIN,
        )
        for producer in config.producers:
            # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-key-management.html
            key.add_to_resource_policy(statement(producer, "kms:GenerateDataKey", "kms:Decrypt", resource="*"))
        return key
