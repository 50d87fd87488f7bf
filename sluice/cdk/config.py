"""Everything about queue, function and tables that can be chosen, and what follows from it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from sluice.message.redelivery import MAX_VISIBILITY

from . import outage
from .context import DERIVED, check_values, setting
from .limits import DEAD_LETTER_RETENTION, INVOCATIONS_PER_POLLER, LOG_RETENTIONS, MIN_RESERVED_CONCURRENCY
from .parsers import (
    KMS_KEY_ARN,
    choice,
    expression,
    flag,
    matching,
    number,
    one_of_or,
    optional,
    whole,
)
from .producers import AllowedProducer, producers
from .table_config import TableConfig
from .table_reading import tables


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The settings of one queue, function and set of tables, each checked by itself.

    What contradicts itself is refused where the construct is made. A setting whose default follows from others gets
    it here. Longer than other classes, as each setting is one field with its default, range and reason beside it.
    """

    tables: tuple[TableConfig, ...] = setting(
        (TableConfig(),),
        tables,
        "Without it there is one table, described by the settings of a table. Of several, the first is the default.",
    )

    record_format: Literal["operation", "item"] = setting(
        "operation",
        choice(("operation", "item")),
        "`item` is for producers that send plain items instead of operations.",
    )
    record_expression: str | None = setting(
        None, optional(expression), "Needed only where SNS, EventBridge or another service wraps the records."
    )
    on_condition_failed: Literal["skip", "dead-letter"] = setting(
        "skip",
        choice(("skip", "dead-letter")),
        "A condition that does not hold has usually done its job. `dead-letter` keeps the operation.",
    )
    update_once: bool = setting(
        False, flag, "Only updates that add or append need it. They become transactions, at twice the write units."
    )

    memory: int = setting(
        1769,
        whole(128, 10_240, "MB"),
        "One vCPU (Lambda developer guide, Configure memory): all that one Python process can use.",
    )
    timeout: int = setting(
        60,
        whole(1, 900, "seconds"),
        "Outlasts a burst of throttling in one invocation. Messages stay hidden for six times this, plus the window.",
    )
    deadline_margin: float = setting(
        DERIVED,
        number(0.25, 60, "seconds"),
        "Kept back from the timeout to report what was written.",
        "5; with a timeout under 20, a quarter of it",
    )
    max_connections: int = setting(
        8,
        whole(1, 50, "connections"),
        "BatchWriteItem calls in flight at once: at 10 ms a call, as many as one vCPU can keep busy."
        " Of single writes there are up to eight times as many.",
    )
    max_write_units_per_second: float = setting(
        math.inf,
        number(1, math.inf, "write units per second"),
        "By default only the table's own limits apply. A limit is divided equally among all invocations.",
    )
    reserve_concurrency: bool = setting(
        False,
        flag,
        "Reserved concurrency is taken from the account's other functions, and a new account has none to spare."
        " With it, no other function can use up this one's share.",
    )
    account_concurrency: int = setting(
        1000,
        whole(100, 1_000_000, "invocations"),
        "Lambda's quota of concurrent executions in the account and region, of which 100 cannot be reserved. Used with"
        " reserveConcurrency only: nothing is looked up in the account.",
    )
    architecture: Literal["arm64", "x86_64"] = setting(
        "arm64", choice(("arm64", "x86_64")), "Arm costs a fifth less for the same time."
    )
    log_level: Literal["DEBUG", "INFO", "WARN", "ERROR"] = setting(
        "INFO",
        choice(("DEBUG", "INFO", "WARN", "ERROR")),
        "One line for each invocation, and what is wrong. The runbook's searches of the log expect INFO.",
    )
    system_log_level: Literal["DEBUG", "INFO", "WARN"] | None = setting(
        None,
        optional(choice(("DEBUG", "INFO", "WARN"))),
        "Of the lines that Lambda itself writes; without one, Lambda's default, INFO.",
    )
    tracing: bool = setting(
        False,
        flag,
        "X-Ray traces need a permission that cannot be limited to one resource, and each trace is billed.",
    )
    log_retention: int = setting(
        30, choice(LOG_RETENTIONS, " days (all that CloudWatch Logs offers)"), "A month to investigate a dead letter."
    )

    queue_type: Literal["standard", "fifo"] = setting(
        "standard",
        choice(("standard", "fifo")),
        "Standard queues have nearly unlimited throughput and fill batches. FIFO keeps the order within each group."
        " A change of the type is refused: it would need a new queue.",
    )
    deduplication_scope: Literal["messageGroup", "queue"] = setting(
        "messageGroup",
        choice(("messageGroup", "queue")),
        "FIFO only. By group, the queue is in SQS's high-throughput mode; by queue, it takes 300 calls a second.",
    )
    content_based_deduplication: bool = setting(
        False, flag, "FIFO only. With it, SQS silently drops the second of two equal bodies within five minutes."
    )
    queue_encryption: str = setting(
        "sqs",
        one_of_or(("sqs", "kms"), KMS_KEY_ARN),
        "SQS's own keys cost nothing and need no policy. `kms` creates a key, whose use is logged and can be denied.",
    )
    data_key_reuse: int = setting(
        300,
        whole(60, 86_400, "seconds"),
        "SQS's default, used with KMS. Longer costs less, but a revoked key keeps working for longer.",
    )
    producers: tuple[AllowedProducer, ...] = setting(
        (),
        producers,
        "Principals of the stack's account need only an IAM policy. Other accounts, and AWS services, are named here.",
    )
    queue_retention: int = setting(
        4,
        # A dead letter's age counts from when the message was first sent, so its queue must keep it for longer.
        # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html
        whole(1, DEAD_LETTER_RETENTION - 1, f"days (dead letters are kept for {DEAD_LETTER_RETENTION})"),
        "SQS's default: longer than a weekend.",
    )
    survived_outage: int = setting(
        60,
        whole(0, 5760, "minutes"),
        "How long the table may refuse every write before good messages become dead letters."
        " Most outages are shorter than an hour.",
    )
    max_receive_count: int = setting(
        DERIVED,
        whole(outage.MIN_RECEIVES, outage.MAX_RECEIVES, "receives"),
        "The smallest count with which all but one in a million messages survive that outage, given the backoff.",
        "derived from survivedOutage: 27 for 60 minutes",
    )

    batch_size: int = setting(
        DERIVED,
        whole(1, 10_000, "messages"),
        "At one record a message: 40 full calls, what one partition takes in a second, little to repeat after a crash.",
        "1000; for FIFO 10, its maximum",
    )
    batching_window: int = setting(
        DERIVED,
        whole(0, 300, "seconds"),
        "Five records a second are then enough to fill a call of 25. A full batch does not wait.",
        "5; for FIFO 0, as Lambda has no window there",
    )
    max_concurrency: int | None = setting(
        DERIVED,
        optional(whole(2, 1000, "invocations")),
        "Leaves the account's concurrency to others, yet can use all the capacity of a new on-demand table.",
        "10; none with provisioned pollers",
    )
    min_pollers: int | None = setting(
        None,
        optional(whole(2, 200, "pollers")),
        "Instead of maxConcurrency: provisioned pollers are ready before the load comes, and are paid by the hour.",
    )
    max_pollers: int | None = setting(
        None,
        optional(whole(2, 10_000, "pollers")),
        "Each polls up to 1 MB a second and runs up to ten invocations at once.",
    )

    enabled: bool = setting(
        True,
        flag,
        "`false` stops the polling, and messages wait: a pause that the next deployment keeps.",
    )

    freshness_target: int | None = setting(
        None,
        optional(whole(1, 86_400, "seconds")),
        "How long a message may take from being sent to being written. With it, an alarm tells when more than one"
        " percent of a month's messages are going to be later (docs/operations.md).",
    )
    fair_queue: bool = setting(
        False,
        flag,
        "True where producers send a MessageGroupId to the standard queue: the dashboard then shows quiet groups.",
    )

    alarms: Literal["all", "essential"] = setting(
        "all",
        choice(("all", "essential")),
        "`essential` leaves five: dead letters and their end, old messages, no progress, function errors. The others"
        " say sooner, and why (docs/cost.md has the difference).",
    )
    dashboard: bool = setting(True, flag, "Three dollars a month, where the account's three free ones are taken.")
    alarm_email: str | None = setting(
        None,
        optional(matching(r"[^@\s]+@[^@\s]+\.[^@\s]+", "an e-mail address")),
        "Without one, alarms go to the topic only.",
    )
    alarm_topic_arn: str | None = setting(
        None,
        optional(matching(r"arn:[a-z-]+:sns:[a-z0-9-]+:\d{12}:[\w-]+", "the ARN of an SNS topic")),
        "Without one, the stack creates a topic. The policy of yours must let CloudWatch publish to it.",
    )
    runbook_url: str | None = setting(
        None,
        optional(matching(r"https?://[^\s#]+", "an http(s) URL without #")),
        "Where docs/runbook.md can be read: each alarm then carries a link that opens at its heading.",
    )

    def __post_init__(self) -> None:
        check_values(self)
        for name, derive in _DERIVATIONS.items():
            if getattr(self, name) is DERIVED:
                object.__setattr__(self, name, derive(self))

    @property
    def is_fifo(self) -> bool:
        return self.queue_type == "fifo"

    @property
    def visibility_timeout(self) -> int:
        """Seconds: six timeouts and the window, so that messages stay hidden while Lambda retries.

        https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
        """
        return 6 * self.timeout + self.batching_window

    @property
    def max_invocations(self) -> int:
        """Invocations that the queue can start at once."""
        return self.max_concurrency or INVOCATIONS_PER_POLLER * (self.max_pollers or 1)

    @property
    def reserved_concurrency(self) -> int | None:
        return max(MIN_RESERVED_CONCURRENCY, self.max_invocations) if self.reserve_concurrency else None

    @property
    def write_units_per_invocation(self) -> float:
        """One invocation's share of `max_write_units_per_second`: as if all of them were running."""
        return self.max_write_units_per_second / self.max_invocations

    @property
    def max_message_age(self) -> int:
        """Seconds; a message older than two visibility timeouts has failed more than once."""
        return max(MAX_VISIBILITY, 2 * self.visibility_timeout)

    @property
    def queue_key_arn(self) -> str | None:
        """The customer's own KMS key for the queues."""
        return self.queue_encryption if self.queue_encryption.startswith("arn:") else None


_DERIVATIONS: dict[str, Callable[[Config], Any]] = {
    "batch_size": lambda config: 10 if config.is_fifo else 1000,
    "batching_window": lambda config: 0 if config.is_fifo else 5,
    "max_concurrency": lambda config: None if config.min_pollers or config.max_pollers else 10,
    "deadline_margin": lambda config: min(5.0, config.timeout / 4),
    "max_receive_count": lambda config: outage.receives_needed(60 * config.survived_outage, config.visibility_timeout),
}
"""In an order in which none needs a later one."""
