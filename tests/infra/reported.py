"""The metrics there are: those that the function's own code emits, and those that AWS's pages list."""

from __future__ import annotations

import contextlib
import functools
import io
import logging
import re
from collections.abc import Iterable, Mapping
from typing import Any

from aws_lambda_powertools import Logger, Metrics

from functions.batch_writer import metrics
from sluice.local.dashboard.recording import Metric, Recording
from tests.fakes import Refusal, Throttle, Unprocessed
from tests.world import World

SERVICE = "Sluice"
NAMESPACE = "Sluice"

# Namespace and metric → its dimensions, from the pages
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
# https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/metrics-dimensions.html
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/TroubleshootingThrottling-cloudwatch.html
AWS_METRICS = {
    **{
        ("AWS/SQS", name): {"QueueName"}
        for name in (
            "ApproximateAgeOfOldestMessage",
            "ApproximateNumberOfMessagesDelayed",
            "ApproximateNumberOfMessagesNotVisible",
            "ApproximateNumberOfMessagesVisible",
            "NumberOfEmptyReceives",
            "NumberOfMessagesDeleted",
            "NumberOfMessagesReceived",
            "NumberOfMessagesSent",
            "ApproximateNumberOfMessagesVisibleInQuietGroups",
            "ApproximateAgeOfOldestMessageInQuietGroups",
            "ApproximateNumberOfNoisyGroups",
            "SentMessageSize",
        )
    },
    **{
        ("AWS/Lambda", name): {"FunctionName"}
        for name in ("Invocations", "Errors", "Throttles", "Duration", "ConcurrentExecutions")
    },
    **{
        ("AWS/DynamoDB", name): {"TableName"}
        for name in (
            "ConsumedWriteCapacityUnits",
            "ProvisionedWriteCapacityUnits",
            "OnDemandMaxWriteRequestUnits",
            "WriteThrottleEvents",
            "ConsumedReadCapacityUnits",
            "ReadThrottleEvents",
            "WriteProvisionedThroughputThrottleEvents",
            "WriteKeyRangeThroughputThrottleEvents",
            "WriteMaxOnDemandThroughputThrottleEvents",
            "WriteAccountLimitThrottleEvents",
        )
    },
    ("AWS/DynamoDB", "SystemErrors"): {"TableName", "Operation"},
}

BAD: Mapping[str, Any] = {"put": {}}


def report(world: World, *bodies: Any) -> list[str]:
    """The lines that the function prints for one invocation: logs and metrics, as its handler does."""
    emf, output = Metrics(namespace=NAMESPACE, service=SERVICE), io.StringIO()
    emf.clear_metrics()
    logger = Logger(service=SERVICE)  # Powertools has one logger a name.
    assert isinstance(logger.registered_handler, logging.StreamHandler)
    before = logger.registered_handler.setStream(output)
    with contextlib.redirect_stdout(output):
        outcome = world.run(*bodies)
        metrics.count(emf, outcome, world.clock())
        metrics.log(logger, outcome)
        emf.flush_metrics()
    logger.registered_handler.setStream(before)
    return output.getvalue().splitlines()


def recording(lines: Iterable[str]) -> Recording:
    """The lines as a recording that began at the epoch."""
    made = Recording(0.0, 1e11)
    made.read_log(lines)
    return made


def troubled() -> World:
    """A world with throttling and unprocessed items."""
    world = World()
    world.db.script(Throttle(), Unprocessed(1))
    return world


def without_queue() -> World:
    """A world in which SQS refuses every dead letter."""
    world = World()
    world.sqs.always(Refusal("AccessDenied", "no"), "SendMessageBatch")
    return world


@functools.cache
def emitted() -> frozenset[Metric]:
    """The metrics that an invocation really emits."""
    return frozenset(recording(report(troubled(), {"put": {"pk": "a"}}, {"put": {"pk": "b"}}, BAD)).points)


def matches(pattern: str, document: Mapping[str, Any]) -> bool:
    """Whether a log line matches a filter pattern of the form `{ $.a = "b" && $.c = "d" }`.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html
    """
    terms = [re.fullmatch(r'\$\.(\w+) = "([^"]*)"', term.strip()) for term in pattern.strip("{ }").split("&&")]
    assert all(terms), pattern
    return all(term is not None and document.get(term[1]) == term[2] for term in terms)
