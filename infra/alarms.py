"""What somebody is told about, and what that person should do first."""

from __future__ import annotations

from aws_cdk import Duration, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from aws_cdk import aws_sqs as sqs
from constructs import Construct

MINUTE = Duration.minutes(1)


class Alarms(Construct):
    """One alarm for each way to fail, and the topic that all of them report to."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        queue: sqs.Queue,
        dead_letters: sqs.Queue,
        function: lambda_.Function,
        table: dynamodb.Table,
        alarming_message_age: Duration,
        email: str | None,
    ) -> None:
        super().__init__(scope, construct_id)
        self.topic = self._topic(email)
        # Thresholds and periods after https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Best_Practice_Recommended_Alarms_AWS_Services.html
        # where it has the metric. The dead-letter queue is not on that page.
        self.dead_letters = self._alarm(
            "DeadLetters",
            dead_letters.metric_approximate_number_of_messages_visible(statistic="Maximum", period=MINUTE),
            above=0,
            minutes=1,
            first="Read ErrorCode and ErrorMessage of the messages in the dead-letter queue.",
            heading="dead-letters",
        )
        self.message_age = self._alarm(
            "MessageAge",
            queue.metric_approximate_age_of_oldest_message(statistic="Maximum", period=MINUTE),
            above=alarming_message_age.to_seconds(),
            minutes=5,
            first="Compare what the function writes with what the queue receives.",
            heading="old-messages",
        )
        self.function_errors = self._alarm(
            "FunctionErrors",
            function.metric_errors(statistic="Sum", period=MINUTE),
            above=0,
            minutes=3,
            first="Read the newest error in the function's log.",
            heading="function-errors",
        )
        self.function_throttles = self._alarm(
            "FunctionThrottles",
            function.metric_throttles(statistic="Sum", period=MINUTE),
            above=0,
            minutes=5,
            first="Look for what uses up the account's Lambda concurrency.",
            heading="function-throttles",
        )
        # WriteThrottleEvents counts each refused item; ThrottledRequests only calls, and misses what was partly taken.
        self.write_throttles = self._alarm(
            "WriteThrottles",
            table.metric("WriteThrottleEvents", statistic="Sum", period=MINUTE),
            above=0,
            minutes=5,
            first="Find out whether one key or the whole table is too busy.",
            heading="write-throttles",
        )

    def _topic(self, email: str | None) -> sns.Topic:
        topic = sns.Topic(self, "Topic", enforce_ssl=True)
        # A policy of any kind, such as the one for TLS, replaces the topic's own, which let the account's alarms in.
        # https://docs.aws.amazon.com/sns/latest/dg/sns-access-policy-use-cases.html
        stack = Stack.of(self)
        topic.add_to_resource_policy(
            iam.PolicyStatement(
                sid="AllowAlarmsOfThisAccount",
                principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
                actions=["sns:Publish"],
                resources=[topic.topic_arn],
                conditions={"StringEquals": {"aws:SourceAccount": stack.account}},
            )
        )
        if email is not None:
            topic.add_subscription(subscriptions.EmailSubscription(email))
        return topic

    def _alarm(
        self,
        construct_id: str,
        metric: cloudwatch.Metric,
        *,
        above: float,
        minutes: int,
        first: str,
        heading: str,
    ) -> cloudwatch.Alarm:
        alarm = cloudwatch.Alarm(
            self,
            construct_id,
            metric=metric,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
            threshold=above,
            evaluation_periods=minutes,
            # A queue, function or table that does nothing reports nothing, and that is no failure.
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
            alarm_description=f"{first} Then see docs/runbook.md#{heading}",
        )
        alarm.add_alarm_action(actions.SnsAction(self.topic))
        return alarm
