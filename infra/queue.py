"""Where messages wait: the queue that producers send to, and the one for what can never be written."""

from __future__ import annotations

from aws_cdk import Duration, Names, RemovalPolicy, Stack
from aws_cdk import aws_sqs as sqs
from constructs import Construct


class WriteQueue(Construct):
    """A standard queue and its dead-letter queue; both are encrypted by SQS and refuse plain HTTP."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        visibility_timeout: Duration,
        retention: Duration,
        max_receive_count: int,
        dead_letter_retention: Duration,
    ) -> None:
        super().__init__(scope, construct_id)
        # Each queue names the other: the one it sends to, the one it takes from. CloudFormation cannot resolve
        # such a circle, so the queue's name is generated here, by CDK, instead of by CloudFormation.
        name = Names.unique_resource_name(self, max_length=80)
        arn = Stack.of(self).format_arn(service="sqs", resource=name)
        self.dead_letters = sqs.Queue(
            self,
            "DeadLetters",
            retention_period=dead_letter_retention,
            redrive_allow_policy=sqs.RedriveAllowPolicy(
                redrive_permission=sqs.RedrivePermission.BY_QUEUE,
                source_queues=[sqs.Queue.from_queue_arn(self, "Source", arn)],
            ),
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            removal_policy=RemovalPolicy.DESTROY,
        )
        self.queue = sqs.Queue(
            self,
            "Queue",
            queue_name=name,
            visibility_timeout=visibility_timeout,
            retention_period=retention,
            receive_message_wait_time=Duration.seconds(20),
            dead_letter_queue=sqs.DeadLetterQueue(queue=self.dead_letters, max_receive_count=max_receive_count),
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            removal_policy=RemovalPolicy.DESTROY,
        )
