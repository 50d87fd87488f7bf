"""Which queues are meant: the dead-letter queue, and the one that its letters came from."""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from typing import Any

from sluice.cli import CommandError, UsageError, client
from sluice.sending.region import region_of


@dataclass(frozen=True, slots=True)
class DeadLetterQueue:
    """A dead-letter queue as its attributes describe it."""

    url: str
    arn: str
    letters: int
    """About so many are visible."""
    hidden: int
    """About so many are in flight, or delayed."""

    @property
    def is_fifo(self) -> bool:
        return self.arn.endswith(".fifo")


def add_queue_options(parser: argparse.ArgumentParser) -> None:
    """Which queue; one of the two is enough."""
    group = parser.add_argument_group("queues", "One of the two is enough; the other is looked up.")
    group.add_argument("--dlq-url", metavar="URL", help="the dead-letter queue")
    group.add_argument("--queue-url", metavar="URL", help="the queue that it belongs to")


def sqs_client(options: argparse.Namespace, attempts: int = 3) -> Any:
    """Raises `UsageError` where no queue is named."""
    url = options.dlq_url or options.queue_url
    if not url:
        raise UsageError("name the dead-letter queue by --dlq-url, or the queue that it belongs to by --queue-url")
    options.region = options.region or region_of(url)
    return client(options, "sqs", attempts=attempts)


def dead_letter_queue(options: argparse.Namespace, sqs: Any) -> DeadLetterQueue:
    """Raises `CommandError` where the queue has none."""
    url = options.dlq_url
    if not url:
        policy = _attributes(sqs, options.queue_url, "RedrivePolicy").get("RedrivePolicy")
        if not policy:
            raise CommandError(f"{options.queue_url} has no dead-letter queue")
        _, _, _, _, account, name = json.loads(policy)["deadLetterTargetArn"].split(":")
        url = sqs.get_queue_url(QueueName=name, QueueOwnerAWSAccountId=account)["QueueUrl"]
    letters, hidden = counts_of(sqs, url)
    return DeadLetterQueue(url, arn_of(sqs, url), letters, hidden)


def counts_of(sqs: Any, url: str) -> tuple[int, int]:
    """About how many messages are visible, and in flight or delayed."""
    names = [f"ApproximateNumberOfMessages{state}" for state in ("", "NotVisible", "Delayed")]
    found = _attributes(sqs, url, *names)
    visible, in_flight, delayed = (int(found.get(name, 0)) for name in names)
    return visible, in_flight + delayed


def source_url(options: argparse.Namespace, sqs: Any, queue: DeadLetterQueue) -> str:
    """Where the letters go when they are sent again. Raises `UsageError` where that is not clear."""
    if options.queue_url:
        url: str = options.queue_url
    else:
        urls = sqs.list_dead_letter_source_queues(QueueUrl=queue.url).get("queueUrls", [])
        if len(urls) != 1:
            what = "of no queue" if not urls else "of several queues"
            raise UsageError(f"{queue.url} is the dead-letter queue {what}; say by --queue-url where letters are to go")
        url = urls[0]
    if url.endswith(".fifo") != queue.is_fifo:
        raise UsageError("a standard queue and a FIFO queue do not go together")
    if url.rstrip("/") == queue.url.rstrip("/"):
        raise UsageError("--queue-url must be another queue than the dead-letter queue")
    return url


def arn_of(sqs: Any, url: str) -> str:
    return str(_attributes(sqs, url, "QueueArn")["QueueArn"])


def _attributes(sqs: Any, url: str, *names: str) -> dict[str, str]:
    answer = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=list(names))
    return dict(answer.get("Attributes", {}))
