"""The queue that producers send to, and the one for messages that can never be written."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from aws_cdk import CfnDeletionPolicy, Duration, Names, RemovalPolicy, Stack, Token
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from .limits import DEAD_LETTER_RETENTION
from .nag import acknowledge
from .principals import statement
from .producers import AllowedProducer

SCOPES = {
    "messageGroup": (sqs.DeduplicationScope.MESSAGE_GROUP, sqs.FifoThroughputLimit.PER_MESSAGE_GROUP_ID),
    "queue": (sqs.DeduplicationScope.QUEUE, sqs.FifoThroughputLimit.PER_QUEUE),
}
"""Only deduplication by group allows a throughput by group, which is SQS's high-throughput mode.

https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/high-throughput-fifo.html
"""
DEAD_LETTERS = "DeadLetters"
MAX_ALIAS_LENGTH = 200  # KMS takes 256 with `alias/` (CreateAlias API reference).
DEFAULT_RETENTION = 345_600  # Seconds (CreateQueue API reference).
MIN_LIFE = 3 * 86_400
MAX_NAME_LENGTH = 80  # Characters, `.fifo` among them (CreateQueue API reference).


class WriteQueue(Construct):
    """A queue and its dead-letter queue, both standard or both FIFO, encrypted, and closed to plain HTTP."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        is_fifo: bool,
        deduplication_scope: str,
        content_based_deduplication: bool,
        visibility_timeout: Duration,
        retention: Duration,
        max_receive_count: int,
        encryption: str,
        key: kms.IKey | None,
        data_key_reuse: Duration,
        producers: Collection[AllowedProducer],
    ) -> None:
        """`encryption` is `sqs`, `kms` for a key made here, or anything else for the customer's own `key`."""
        super().__init__(scope, construct_id)
        self.own_key = self._own_key(producers) if encryption == "kms" else None
        self.key = self.own_key or key
        # Common to both queues: SQS requires the same type, and both hold the same data. Deleted with the stack, but
        # never for a successor: what a replacement leaves behind may hold messages.
        shared: dict[str, Any] = {
            "enforce_ssl": True,
            "removal_policy": RemovalPolicy.DESTROY,
            **(_fifo(deduplication_scope) if is_fifo else {}),
            **_encryption(self.key, data_key_reuse),
        }
        suffix = ".fifo" if is_fifo else ""
        max_length = MAX_NAME_LENGTH - len(DEAD_LETTERS + suffix) if is_fifo else MAX_NAME_LENGTH
        # Each queue names the other: the one it sends to, the one it takes from. CloudFormation cannot resolve
        # such a circle, so the queue's name is generated here, by CDK, instead of by CloudFormation.
        name = Names.unique_resource_name(self, max_length=max_length) + suffix
        self.dead_letters = sqs.Queue(
            self,
            DEAD_LETTERS,
            # A FIFO queue's name has to end in .fifo, which not every local AWS sees to by itself.
            queue_name=name.removesuffix(suffix) + DEAD_LETTERS + suffix if is_fifo else None,
            retention_period=Duration.days(DEAD_LETTER_RETENTION),
            redrive_allow_policy=sqs.RedriveAllowPolicy(
                redrive_permission=sqs.RedrivePermission.BY_QUEUE,
                source_queues=[
                    sqs.Queue.from_queue_arn(self, "Source", Stack.of(self).format_arn(service="sqs", resource=name))
                ],
            ),
            **shared,
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
            visibility_timeout=visibility_timeout,
            retention_period=retention,
            receive_message_wait_time=Duration.seconds(20),
            dead_letter_queue=sqs.DeadLetterQueue(queue=self.dead_letters, max_receive_count=max_receive_count),
            content_based_deduplication=content_based_deduplication or None,
            **shared,
        )
        for queue in (self.queue, self.dead_letters):
            _keep_when_replaced(queue)
        for producer in producers:
            self.queue.add_to_resource_policy(statement(producer, "sqs:SendMessage", resource=self.queue.queue_arn))

    def _own_key(self, producers: Collection[AllowedProducer]) -> kms.Key:
        """A key whose policy lets in whoever may send."""
        key = kms.Key(
            self,
            "Key",
            description=f"Messages of {Stack.of(self).stack_name}",
            enable_key_rotation=True,
            alias=Names.unique_resource_name(self, max_length=MAX_ALIAS_LENGTH, separator="-"),
            # A key about to be deleted decrypts nothing more, and dead letters may be needed longer than the stack.
            removal_policy=RemovalPolicy.RETAIN,
        )
        for producer in producers:
            # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-key-management.html
            key.add_to_resource_policy(statement(producer, "kms:GenerateDataKey", "kms:Decrypt", resource="*"))
        return key


@dataclass(frozen=True, slots=True)
class Queues:
    """The two queues, be they made here or given."""

    queue: sqs.IQueue
    dead_letters: sqs.IQueue
    key: kms.IKey | None
    """Of the dead-letter queue."""
    own_key: kms.Key | None = None
    """The key, if it was made here."""


def given_queues(scope: Construct, queue: sqs.IQueue, dead_letters: sqs.IQueue | None) -> Queues:
    """A queue of the app, and the dead-letter queue given, or else the queue's own, or else one that is made."""
    if dead_letters is None and isinstance(queue, sqs.Queue) and queue.dead_letter_queue is not None:
        dead_letters = queue.dead_letter_queue.queue
    if dead_letters is None:
        dead_letters = sqs.Queue(
            scope,
            DEAD_LETTERS,
            fifo=queue.fifo or None,
            retention_period=Duration.days(DEAD_LETTER_RETENTION),
            enforce_ssl=True,
            removal_policy=RemovalPolicy.DESTROY,
            **_encryption(queue.encryption_master_key, Duration.minutes(5)),
        )
        _keep_when_replaced(dead_letters)
        acknowledge(dead_letters, "Serverless-SQSRedrivePolicy", "This is a dead-letter queue; an alarm tells of it.")
    return Queues(queue, dead_letters, dead_letters.encryption_master_key)


def dead_letter_life(queue: sqs.IQueue, *, before: int) -> int:
    """Seconds that a letter stays, at the least, on its queue after it has come there.

    `before` is how long it may have been on the first queue: on a standard queue a letter that SQS has moved keeps the
    time when it was first sent. Of an imported queue nothing is known: it is taken to keep letters for SQS's maximum.
    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html
    """
    resource = queue.node.default_child
    kept = DEAD_LETTER_RETENTION * 86_400
    if isinstance(resource, sqs.CfnQueue):
        given = resource.message_retention_period
        kept = DEFAULT_RETENTION if given is None or Token.is_unresolved(given) else int(given)
    # A letter that comes with less has no time for an alarm of its own.
    return max(kept - before, MIN_LIFE)


def _keep_when_replaced(queue: sqs.Queue) -> None:
    resource = queue.node.default_child
    assert isinstance(resource, sqs.CfnQueue)
    resource.cfn_options.update_replace_policy = CfnDeletionPolicy.RETAIN


def _fifo(deduplication_scope: str) -> dict[str, Any]:
    scope, limit = SCOPES[deduplication_scope]
    return {"fifo": True, "deduplication_scope": scope, "fifo_throughput_limit": limit}


def _encryption(key: kms.IKey | None, data_key_reuse: Duration) -> dict[str, Any]:
    if key is None:
        return {"encryption": sqs.QueueEncryption.SQS_MANAGED}
    return {
        "encryption": sqs.QueueEncryption.KMS,
        "encryption_master_key": key,
        "data_key_reuse": data_key_reuse,
    }
