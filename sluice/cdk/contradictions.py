"""Settings that are valid each by itself, but not together; each contradiction is one sentence with their values."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from sluice.message.redelivery import MAX_VISIBILITY

from . import environment, outage
from .config import Config
from .context import camel_case
from .limits import UNRESERVED
from .table_config import TableConfig


def contradictions(config: Config, tables: Sequence[TableConfig], given: set[str], name: str) -> Iterator[str]:
    """One sentence for each contradiction.

    `given` are the fields that were set, not left at their defaults; `name` is the stack's, which generated names hold.
    """
    yield from _of_fifo(config, given)
    yield from _of_batches(config)
    yield from _of_time(config)
    yield from _of_concurrency(config)
    yield from _of_reserve(config, given)
    yield from _of_write_units(config, tables)
    yield from _of_outage(config)
    yield from _of_freshness(config)
    yield from _of_others(config, tables, given)
    yield from _of_environment(config, tables, name)


def _of_batches(config: Config) -> Iterator[str]:
    if config.batch_size > 10 and config.batching_window < 1:
        yield (
            f"batchSize {config.batch_size} needs a batchingWindow of 1 second or more,"
            f" got {config.batching_window} (Lambda waits only for batches of more than 10)"
        )


def _of_fifo(config: Config, given: set[str]) -> Iterator[str]:
    # https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
    if not config.is_fifo:
        for setting in sorted({"deduplication_scope", "content_based_deduplication"} & given):
            yield f"{camel_case(setting)} is for queueType fifo, got queueType {config.queue_type}: leave it out"
        return
    if config.fair_queue:
        yield "fairQueue true is for queueType standard, got queueType fifo: leave it out"
    if config.batch_size > 10:
        yield f"batchSize {config.batch_size} must be at most 10 with queueType fifo"
    if config.batching_window:
        yield f"batchingWindow {config.batching_window} must be 0 with queueType fifo, for which Lambda has no window"
    for producer in config.producers:
        # https://docs.aws.amazon.com/sns/latest/dg/fifo-message-delivery.html
        if producer.kind == "sns" and not producer.name.endswith(".fifo"):
            yield (
                f"producers has the standard topic {producer.name}, which cannot deliver to a queue of queueType fifo:"
                " name a FIFO topic"
            )


def _of_time(config: Config) -> Iterator[str]:
    if config.deadline_margin > config.timeout / 2:
        yield (
            f"deadlineMargin {config.deadline_margin:g} must be at most half of timeout {config.timeout},"
            " or no time is left to write"
        )


def _of_concurrency(config: Config) -> Iterator[str]:
    low, high = config.min_pollers, config.max_pollers
    if (low is None) != (high is None):
        yield f"minPollers {_shown(low)} and maxPollers {_shown(high)} must be given together"
    if low is not None and high is not None and low > high:
        yield f"minPollers {low} must not be more than maxPollers {high}"
    if high is not None and config.max_concurrency is not None:
        yield (
            f"maxConcurrency {config.max_concurrency} and maxPollers {high} cannot be combined:"
            " with provisioned pollers, these are the limit"
        )
    if high is None and config.max_concurrency is None:
        yield "maxConcurrency none needs minPollers and maxPollers: the number of invocations at once must be limited"


def _of_reserve(config: Config, given: set[str]) -> Iterator[str]:
    reserve = config.reserved_concurrency
    if reserve is None:
        if "account_concurrency" in given:
            yield f"accountConcurrency {config.account_concurrency} is used with reserveConcurrency only: leave it out"
        return
    # https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html
    if reserve > config.account_concurrency - UNRESERVED:
        yield (
            f"reserveConcurrency true would reserve {reserve} invocations, and of accountConcurrency"
            f" {config.account_concurrency} Lambda keeps {UNRESERVED} unreserved: lower maxConcurrency or the pollers,"
            " or have the quota raised and set accountConcurrency to it"
        )


def _of_write_units(config: Config, tables: Sequence[TableConfig]) -> Iterator[str]:
    units = config.max_write_units_per_second
    if units < config.max_invocations:
        limit = f"maxConcurrency {config.max_concurrency}"
        if config.max_concurrency is None:
            limit = f"the {config.max_invocations} invocations of maxPollers {config.max_pollers}"
        yield f"maxWriteUnitsPerSecond {units:g} must be at least {limit}: one unit a second for each invocation"
    maxima = [table.max_write_units for table in tables]
    taken = sum(each for each in maxima if each is not None)
    if units < math.inf and None not in maxima and units > taken:
        yield (
            f"maxWriteUnitsPerSecond {units:g} must not be more than the {taken} that maxWriteUnits lets the"
            f" {'table' if len(maxima) == 1 else 'tables'} take"
        )


def _of_outage(config: Config) -> Iterator[str]:
    count = config.max_receive_count
    if count > outage.MAX_RECEIVES:
        yield (
            f"survivedOutage {config.survived_outage} with timeout {config.timeout} would need a maxReceiveCount of"
            f" more than {outage.MAX_RECEIVES}, SQS's maximum: lower survivedOutage"
        )
        return
    minutes = math.floor(outage.outage_survived(count, config.visibility_timeout) / 60)
    if minutes < config.survived_outage:
        yield (
            f"maxReceiveCount {count} survives an outage of {_minutes(minutes)}, not survivedOutage"
            f" {config.survived_outage}; set survivedOutage alone, and the count is derived from it"
        )
    # Otherwise SQS deletes a message for its age before it becomes a dead letter.
    days = count * max(config.visibility_timeout, MAX_VISIBILITY) / 86_400
    if days >= config.queue_retention:
        yield (
            f"queueRetention {config.queue_retention} must be more than the {days:.1f} days that"
            f" maxReceiveCount {count} attempts may take with timeout {config.timeout}"
        )


def _of_freshness(config: Config) -> Iterator[str]:
    target = config.freshness_target
    if target is not None and target <= config.batching_window:
        yield (
            f"freshnessTarget {target} must be more than batchingWindow {config.batching_window}, for which alone"
            " messages may wait"
        )


def _of_others(config: Config, tables: Sequence[TableConfig], given: set[str]) -> Iterator[str]:
    if config.alarm_email is not None and config.alarm_topic_arn is not None:
        yield (
            f"alarmEmail {config.alarm_email} and alarmTopicArn {config.alarm_topic_arn} cannot be combined:"
            " subscribe the address to that topic"
        )
    if config.record_format == "item" and len(tables) > 1:
        yield (
            f"recordFormat item needs exactly one table, as an item names none, got {len(tables)} tables:"
            " deploy a stack for each"
        )
    if config.queue_encryption == "sqs" and "data_key_reuse" in given:
        yield (
            f"dataKeyReuse {config.data_key_reuse} is for KMS, got queueEncryption {config.queue_encryption}:"
            " leave it out"
        )


def _of_environment(config: Config, tables: Sequence[TableConfig], name: str) -> Iterator[str]:
    size = environment.estimated_bytes(config, tables, name)
    if size > environment.MAX_BYTES:
        yield (
            f"tables ({len(tables)}) and recordExpression may take {size} bytes of the function's environment;"
            f" Lambda allows {environment.MAX_BYTES}: have fewer tables or indexes, or shorter names"
        )


def _minutes(count: int) -> str:
    return f"{count} minute" if count == 1 else f"{count} minutes"


def _shown(value: int | None) -> str:
    return "none" if value is None else str(value)
