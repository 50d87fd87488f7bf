"""Everything about the stack that can be chosen, and what follows from it; no Node, no AWS."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from functions.batch_writer.pace import MAX_VISIBILITY
from infra import outage
from infra.context import (
    KMS_KEY_ARN,
    Setting,
    choice,
    expression,
    flag,
    matching,
    number,
    one_of_or,
    optional,
    setting,
    tags,
    whole,
)
from infra.limits import DEAD_LETTER_RETENTION, INVOCATIONS_PER_POLLER, LOG_RETENTIONS, MIN_RESERVED_CONCURRENCY
from infra.producers import Producer, producers
from infra.table_config import TableConfig
from infra.table_reading import tables


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The stack's settings; `infra.reading` checks each by itself and all of them together."""

    stack_name: str = setting(
        "Sluice",
        matching(r"[A-Za-z][A-Za-z0-9-]{0,127}", "1 to 128 letters, digits and hyphens, beginning with a letter"),
        "CloudFormation's rule for names. It also names the dashboard and tells the metrics of stacks apart.",
    )
    """With the stage, where there is one."""
    stage: str | None = setting(
        None,
        optional(matching(r"[A-Za-z0-9-]{1,32}", "1 to 32 letters, digits and hyphens")),
        "Appended to stackName, so that test and production can live in one account and region.",
    )
    tags: Mapping[str, str] = field(
        default_factory=dict,
        metadata={
            "setting": Setting(tags, "For the bill and for your rules; CloudFormation puts them on every resource.")
        },
    )

    tables: tuple[TableConfig, ...] = setting(
        (TableConfig(),),
        tables,
        "One table, made of the settings of a table given by themselves. The first of several is the default.",
    )

    record_format: Literal["operation", "item"] = setting(
        "operation", choice(("operation", "item")), "`item` is for producers that send items and know of no operations."
    )
    record_expression: str | None = setting(
        None, optional(expression), "Needed only where SNS, EventBridge or others wrap the records."
    )
    on_condition_failed: Literal["skip", "dead-letter"] = setting(
        "skip", choice(("skip", "dead-letter")), "A condition that does not hold is mostly what it was written for."
    )
    update_once: bool = setting(
        False, flag, "Only updates that add or append need it; it costs twice the write units, by transactions."
    )

    memory: int = setting(
        1769,
        whole(128, 10_240, "MB"),
        "One vCPU (Lambda developer guide, Configure memory): all that one Python process can use.",
    )
    timeout: int = setting(
        60,
        whole(1, 900, "seconds"),
        "Rides out a burst of throttling inside one invocation; the queue hides a batch six times as long.",
    )
    deadline_margin: float = setting(
        5.0,
        number(0.25, 60, "seconds"),
        "Kept back from the timeout to report what was written.",
        "5, but a quarter of a timeout of less than 20",
    )
    max_connections: int = setting(
        8,
        whole(1, 50, "connections"),
        "BatchWriteItem calls in flight at once: at 10 ms a call, as many as one vCPU can keep busy.",
    )
    max_write_units_per_second: float = setting(
        math.inf,
        number(1, math.inf, "write units per second"),
        "A table throttles where it must. It is for all invocations together; each gets an equal share.",
    )
    reserve_concurrency: bool = setting(
        False,
        flag,
        "A reserve is taken from the account's other functions, and a new account has none to give."
        " With it, no other function can take this one's place.",
    )
    tracing: bool = setting(
        False,
        flag,
        "Lambda's own X-Ray traces need a permission that cannot be narrowed to a resource, and cost by the trace.",
    )
    log_retention: int = setting(
        30, choice(LOG_RETENTIONS, " days (CloudWatch Logs has no others)"), "A month to look into a dead letter."
    )

    queue_type: Literal["standard", "fifo"] = setting(
        "standard",
        choice(("standard", "fifo")),
        "No limit to its throughput, and full batches. FIFO keeps the order of each group; changing it later"
        " makes a new queue, so empty the old one first.",
    )
    deduplication_scope: Literal["messageGroup", "queue"] = setting(
        "messageGroup",
        choice(("messageGroup", "queue")),
        "FIFO alone. By group, throughput is SQS's high-throughput mode; by queue it is 300 calls a second.",
    )
    content_based_deduplication: bool = setting(
        False, flag, "FIFO alone. By content, the second of two equal bodies within five minutes is dropped in silence."
    )
    queue_encryption: str = setting(
        "sqs",
        one_of_or(("sqs", "kms"), KMS_KEY_ARN),
        "SQS's own keys cost nothing and need no policy. `kms` makes a key: its use is logged and can be refused.",
    )
    data_key_reuse: int = setting(
        300, whole(60, 86_400, "seconds"), "SQS's default. With KMS, longer costs less, and a revoked key works longer."
    )
    producers: tuple[Producer, ...] = setting(
        (), producers, "Principals of the stack's account need only IAM. Others, and services, must be named here."
    )
    queue_retention: int = setting(
        4,
        # Dead letters keep the time at which they were first sent, so theirs must be longer.
        # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html
        whole(1, DEAD_LETTER_RETENTION - 1, f"days, less than the {DEAD_LETTER_RETENTION} of dead letters,"),
        "SQS's default: longer than a weekend.",
    )
    survived_outage: int = setting(
        60,
        whole(0, 5760, "minutes"),
        "How long the table may take nothing before good messages become dead letters. An hour is longer than"
        " an outage mostly is.",
    )
    max_receive_count: int = setting(
        27,
        whole(outage.MIN_RECEIVES, outage.MAX_RECEIVES, "receives"),
        "The least with which all but one in a million messages outlive that outage, by the function's backoff.",
        "from survivedOutage: 27 for 60 minutes",
    )

    batch_size: int = setting(
        1000,
        whole(1, 10_000, "messages"),
        "One-record messages: 40 full calls, one second of a partition, and little to repeat after a crash.",
        "1000; FIFO 10, its maximum",
    )
    batching_window: int = setting(
        5,
        whole(0, 300, "seconds"),
        "Five records a second are enough to fill a call of 25; a full batch does not wait.",
        "5; FIFO 0, as it has none",
    )
    max_concurrency: int | None = setting(
        10,
        optional(whole(2, 1000, "invocations")),
        "Leaves the account's concurrency to others, yet can ask for all that a new on-demand table takes.",
        "10; none with provisioned pollers",
    )
    min_pollers: int | None = setting(
        None,
        optional(whole(2, 200, "pollers")),
        "Instead of maxConcurrency: they are there before the load is, and are paid by the hour.",
    )
    max_pollers: int | None = setting(
        None,
        optional(whole(2, 10_000, "pollers")),
        "Each polls up to 1 MB a second and runs up to ten invocations at once.",
    )

    alarm_email: str | None = setting(
        None,
        optional(matching(r"[^@\s]+@[^@\s]+\.[^@\s]+", "an e-mail address")),
        "Without one, alarms go to the topic alone.",
    )
    alarm_topic_arn: str | None = setting(
        None,
        optional(matching(r"arn:[a-z-]+:sns:[a-z0-9-]+:\d{12}:[\w-]+", "the ARN of an SNS topic")),
        "Without one, the stack makes its own. CloudWatch must be allowed to publish to it.",
    )

    @property
    def is_fifo(self) -> bool:
        return self.queue_type == "fifo"

    @property
    def visibility_timeout(self) -> int:
        """Seconds, six timeouts and the window, so that throttled invocations can be repeated unseen.

        https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
        """
        return 6 * self.timeout + self.batching_window

    @property
    def max_invocations(self) -> int:
        """How many invocations there can be at once."""
        return self.max_concurrency or INVOCATIONS_PER_POLLER * (self.max_pollers or 1)

    @property
    def reserved_concurrency(self) -> int | None:
        return max(MIN_RESERVED_CONCURRENCY, self.max_invocations) if self.reserve_concurrency else None

    @property
    def write_units_per_invocation(self) -> float:
        """One invocation's share of `max_write_units_per_second`, were all of them to run."""
        return self.max_write_units_per_second / self.max_invocations

    @property
    def max_message_age(self) -> int:
        """Seconds; a message older than two whole visibility timeouts was not merely unlucky once."""
        return max(MAX_VISIBILITY, 2 * self.visibility_timeout)

    @property
    def queue_key_arn(self) -> str | None:
        """The customer's own KMS key for the queues."""
        return self.queue_encryption if self.queue_encryption.startswith("arn:") else None
