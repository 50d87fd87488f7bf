"""Everything about the stack that can be chosen, and what follows from it."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from functions.batch_writer.settings import Settings, Table
from infra import outage
from infra.context import (
    KMS_KEY_ARN,
    ConfigError,
    Setting,
    choice,
    expression,
    flag,
    matching,
    number,
    one_of_or,
    optional,
    read,
    setting,
    settings_of,
    tags,
    whole,
)
from infra.contradictions import contradictions
from infra.producers import Producer, producers
from infra.table_config import TableConfig, tables

DEAD_LETTER_RETENTION = 14
"""Days, SQS's maximum (CreateQueue API reference): time to find out, mend and send again."""

LONGEST_BACKOFF = 900
"""Seconds that the function may leave a message to a busy table before its next attempt."""

INVOCATIONS_PER_POLLER = 10
"""https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html"""

LEAST_RESERVED = 5
"""Fewer have Lambda's pollers, of which there are five from the start, throttle each other (the same page)."""

LOG_RETENTIONS = {
    1: "ONE_DAY",
    3: "THREE_DAYS",
    5: "FIVE_DAYS",
    7: "ONE_WEEK",
    14: "TWO_WEEKS",
    30: "ONE_MONTH",
    60: "TWO_MONTHS",
    90: "THREE_MONTHS",
    120: "FOUR_MONTHS",
    150: "FIVE_MONTHS",
    180: "SIX_MONTHS",
    365: "ONE_YEAR",
    400: "THIRTEEN_MONTHS",
    545: "EIGHTEEN_MONTHS",
    731: "TWO_YEARS",
    1096: "THREE_YEARS",
    1827: "FIVE_YEARS",
    3653: "TEN_YEARS",
}
"""Days → the name that CDK's `RetentionDays` has for them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The stack's settings; `from_context` checks each by itself and all of them together."""

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
        whole(outage.LEAST_RECEIVES, outage.MOST_RECEIVES, "receives"),
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

    @classmethod
    def from_context(cls, context: Mapping[str, Any]) -> Config:
        """Read CDK context. Raises `ConfigError`, which names the settings and their values."""
        for key in context:
            if key not in _known() and not _belongs_to_cdk(key):
                raise ConfigError(f"unknown setting {key!r}; {_suggestion(key, _known())}")
        one_table = [key for key in settings_of(TableConfig) if key in context]
        if one_table and "tables" in context:
            raise ConfigError(f"{', '.join(one_table)} must be given within tables, or tables not at all")
        given = read(cls, context)
        if one_table:
            given["tables"] = (TableConfig.from_context(context),)
        config = cls(**_following(given))
        for contradiction in contradictions(config, set(given)):
            raise ConfigError(contradiction)
        return config

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
    def most_invocations(self) -> int:
        """How many invocations there can be at once."""
        return self.max_concurrency or INVOCATIONS_PER_POLLER * (self.max_pollers or 1)

    @property
    def reserved_concurrency(self) -> int | None:
        return max(LEAST_RESERVED, self.most_invocations) if self.reserve_concurrency else None

    @property
    def write_units_per_invocation(self) -> float:
        """One invocation's share of `max_write_units_per_second`, were all of them to run."""
        return self.max_write_units_per_second / self.most_invocations

    @property
    def alarming_message_age(self) -> int:
        """Seconds; a message older than two whole visibility timeouts was not merely unlucky once."""
        return max(LONGEST_BACKOFF, 2 * self.visibility_timeout)

    @property
    def queue_key_arn(self) -> str | None:
        """The customer's own KMS key for the queues."""
        return self.queue_encryption if self.queue_encryption.startswith("arn:") else None

    def function_settings(self, table_names: Mapping[str, str], dead_letter_queue_url: str) -> Settings:
        """What the function is told; `table_names` by alias."""
        return Settings(
            tables=tuple(
                Table(
                    alias=table.alias,
                    name=table_names[table.alias],
                    partition_key=table.partition_key,
                    sort_key=table.sort_key,
                    version=table.version_attribute,
                )
                for table in self.tables
            ),
            dead_letter_queue_url=dead_letter_queue_url,
            record_format=self.record_format,
            record_expression=self.record_expression,
            on_condition_failed=self.on_condition_failed,
            update_once=self.update_once,
            max_connections=self.max_connections,
            max_write_units_per_second=self.write_units_per_invocation,
            deadline_margin=self.deadline_margin,
        )


def _following(given: dict[str, Any]) -> dict[str, Any]:
    """The settings given, and those whose defaults follow from them."""
    settings = dict(given)
    if settings.get("stage") is not None:
        settings["stack_name"] = f"{settings.get('stack_name', 'Sluice')}-{settings['stage']}"
    if settings.get("queue_type") == "fifo":
        settings = {"batch_size": 10, "batching_window": 0, **settings}
    if settings.get("min_pollers") or settings.get("max_pollers"):
        settings = {"max_concurrency": None, **settings}
    if "timeout" in settings:
        settings = {"deadline_margin": min(5.0, settings["timeout"] / 4), **settings}
    if "max_receive_count" not in settings:
        config = Config(**settings)
        needed = outage.receives_needed(60 * config.survived_outage, config.visibility_timeout)
        settings["max_receive_count"] = needed
    return settings


def _known() -> list[str]:
    return [*settings_of(Config), *settings_of(TableConfig)]


def _belongs_to_cdk(key: str) -> bool:
    # Feature flags and look-ups hold one of these characters; the rest are what the CLI itself stores.
    return any(mark in key for mark in ":/@") or key in ("cli-telemetry", "acknowledged-issue-numbers")


def _suggestion(key: str, known: list[str]) -> str:
    lower = {name.lower(): name for name in known}
    close = difflib.get_close_matches(key.lower(), lower, n=1)
    return f"did you mean {lower[close[0]]}?" if close else f"there are {', '.join(known)}"


if __name__ == "__main__":
    import sys

    from infra.settings_table import settings_tables

    sys.stdout.write(settings_tables())
