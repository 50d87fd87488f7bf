"""The SNS topic that alarms report to."""

from __future__ import annotations

from aws_cdk import Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from .nag import acknowledge

SID = "AllowAlarmsOfThisAccount"


class AlarmTopic(sns.Topic):
    """A topic open only to the account's alarms, only by TLS, encrypted where there is a key."""

    def __init__(self, scope: Construct, construct_id: str, *, email: str | None, key: kms.IKey | None) -> None:
        """`email` is subscribed; `key` must be one whose policy this stack may extend."""
        super().__init__(scope, construct_id, enforce_ssl=True, master_key=key)
        alarms = iam.ServicePrincipal("cloudwatch.amazonaws.com")
        here = {"StringEquals": {"aws:SourceAccount": Stack.of(self).account}}
        # A policy of any kind, such as the one for TLS, replaces the topic's default, which lets the alarms in.
        # https://docs.aws.amazon.com/sns/latest/dg/sns-access-policy-use-cases.html
        self.add_to_resource_policy(
            iam.PolicyStatement(
                sid=SID, principals=[alarms], actions=["sns:Publish"], resources=[self.topic_arn], conditions=here
            )
        )
        if key is not None:  # https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
            key.add_to_resource_policy(
                iam.PolicyStatement(
                    sid=SID,
                    principals=[alarms],
                    actions=["kms:Decrypt", "kms:GenerateDataKey"],
                    resources=["*"],
                    conditions=here,
                )
            )
        if email is not None:
            self.add_subscription(subscriptions.EmailSubscription(email))
        acknowledge(
            self,
            "Serverless-SNSRedrivePolicy",
            "A queue of undelivered alarm mails would itself have to be watched; the alarms keep their states.",
        )
