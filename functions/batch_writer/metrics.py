"""Outcome → CloudWatch metrics and one log line, by Powertools."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import msgspec
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.metrics.functions import is_metrics_disabled
from aws_lambda_powertools.metrics.provider.cloudwatch_emf.cloudwatch import AmazonCloudWatchEMFProvider

from sluice.message import records
from sluice.message.decoder import Message

from .pipeline import Outcome

COUNT, MILLISECONDS = MetricUnit.Count.value, MetricUnit.Milliseconds.value
MAX_VALUES = 100
"""Of a metric in one line of the embedded metric format:
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html"""
MAX_AGE = 15 * 86_400_000
"""Milliseconds. SQS keeps a message for 14 days (CreateQueue API reference): what is older has no time of SQS's."""
MAX_EXAMPLES = 20
"""Messages that a log line names; the rest is counted."""


class EmfProvider(AmazonCloudWatchEMFProvider):
    """Powertools' own, but for the encoder: the standard library's takes a tenth of a FIFO batch's time."""

    def flush_metrics(self, raise_on_empty_metrics: bool = False) -> None:
        if is_metrics_disabled() or not self.metric_set:
            super().flush_metrics(raise_on_empty_metrics)
            return
        sys.stdout.write(f"{encoded(self.serialize_metric_set())}\n")
        self.clear_metrics()


def encoded(said: Mapping[str, object]) -> str:
    """A line of metrics or of the log; what JSON does not know is there as `str` has it."""
    try:
        return msgspec.json.encode(said, enc_hook=str).decode()
    except UnicodeEncodeError:  # Half a character, as boto3 may pass on in a service's words; it is escaped here.
        return json.dumps(said, default=str)


Emitter = Metrics | EmfProvider


def count_received(metrics: Emitter, messages: int) -> None:
    """For an invocation that raises before anything is known of it: all of it goes back."""
    _add(metrics, {"MessagesReceived": messages, "MessagesReturned": messages})


def count(metrics: Emitter, outcome: Outcome, now: float) -> None:
    """MessagesReceived = MessagesWritten + MessagesReturned + MessagesDeadLettered, always.

    `now` is when the written messages are acknowledged, in seconds since 1970.
    """
    operations = outcome.operations
    fills = operations.batch_fills
    for start in range(0, len(fills) - MAX_VALUES, MAX_VALUES):
        _set(metrics, "BatchFill", COUNT, fills[start : start + MAX_VALUES])
        metrics.flush_metrics()
    if fills:
        _set(metrics, "BatchFill", COUNT, fills[(len(fills) - 1) // MAX_VALUES * MAX_VALUES :])
    if operations.latencies:
        latencies = [round(milliseconds, 3) for milliseconds in by_rank(operations.latencies)]
        _set(metrics, "WriteLatency", MILLISECONDS, latencies)
    if taken := by_rank(sent_to_written(outcome.written, now)):
        _set(metrics, "SentToWritten", MILLISECONDS, taken)
    _set(metrics, "BackoffTime", MILLISECONDS, [round(operations.backoff, 3)])
    _add(
        metrics,
        {
            "MessagesReceived": len(outcome.received),
            "MessagesWritten": len(outcome.written),
            "MessagesReturned": len(outcome.returned),
            "MessagesDeadLettered": len(outcome.dead_lettered),
            "OperationsWritten": len(operations.written),
            "OperationsUnchanged": len(operations.unchanged),
            "OperationsSuperseded": len(operations.superseded),
            "OperationsRejected": sum(len(rejections) for _, rejections in outcome.rejections),
            "ConditionsFailed": len(operations.conditions_failed),
            "BatchWrites": len(operations.batch_fills),
            "UnprocessedItems": operations.unprocessed,
            "ThrottledCalls": operations.throttled_calls,
            "ConsumedWriteUnits": operations.consumed,
        },
    )


def sent_to_written(written: Iterable[Message], now: float) -> Sequence[int]:
    """Milliseconds that each message has taken; 0 where a clock is ahead, none for one without a time of SQS's."""
    at = round(1000 * now)
    taken = [at - sent for sent in records.sent_at(message.record for message in written)]
    if taken and (min(taken) < 0 or max(taken) > MAX_AGE):
        return [max(0, each) for each in taken if each <= MAX_AGE]
    return taken


def by_rank(values: Sequence[float]) -> Sequence[float]:
    """At most MAX_VALUES of them, evenly spaced by rank so that percentiles hold, with the lowest and the highest."""
    if len(values) <= MAX_VALUES:
        return values
    ranked = sorted(values)
    step = (len(ranked) - 1) / (MAX_VALUES - 1)
    return [ranked[round(position * step)] for position in range(MAX_VALUES)]


def log(logger: Logger, outcome: Outcome) -> None:
    """One line for the invocation, one more for what an operator should see. Codes and ids, never item values."""
    logger.info("batch handled", extra=_summary(outcome))
    if outcome.rejections:
        codes = Counter(rejection.code for _, rejections in outcome.rejections for rejection in rejections)
        examples = [
            {"message_id": message.id, "error_code": rejections[0].code, "error_message": rejections[0].message}
            for message, rejections in outcome.rejections[:MAX_EXAMPLES]
            if rejections[0].code != "RejectedByDynamoDB"  # The service's words may quote a value.
        ]
        logger.warning("operations rejected", extra={"error_codes": dict(codes), "examples": examples})
    if outcome.operations.denied and outcome.error is None:  # Else the error says it.
        reasons = Counter(f"{words} (writing to {o.table})" for o, words in outcome.operations.denied.items())
        logger.error("items denied", extra={"reasons": dict(reasons.most_common(MAX_EXAMPLES))})
    if early := outcome.operations.early - outcome.operations.rejected.keys():
        ids = sorted({operation.source.message_id for operation in early})[:MAX_EXAMPLES]
        logger.warning("updates of what is not there yet", extra={"count": len(early), "message_ids": ids})
    if reads := outcome.operations.reads_failed:
        why = dict(Counter(reads).most_common(MAX_EXAMPLES))
        logger.warning("items written without a read", extra={"reasons": why})
    if outcome.failures:
        logger.error("messages returned", extra={"reasons": dict(Counter(outcome.failures).most_common(MAX_EXAMPLES))})


def _summary(outcome: Outcome) -> Mapping[str, object]:
    return {
        "received": len(outcome.received),
        "written": len(outcome.written),
        "returned": len(outcome.returned),
        "dead_lettered": len(outcome.dead_lettered),
        "batch_writes": len(outcome.operations.batch_fills),
        "trouble": outcome.operations.trouble or None,
        "throttling": dict(outcome.operations.throttling),
    }


def _add(metrics: Emitter, counts: Mapping[str, float]) -> None:
    for name, value in counts.items():
        _set(metrics, name, COUNT, [value])


def _set(metrics: Emitter, name: str, unit: str, values: Sequence[float]) -> None:
    """All values of a metric, as `add_metric` leaves them. One by one they take 4 to 12 us each, a third of the time of
    a small invocation; and at 100 it writes whatever has been added by then, and the rest in a second line."""
    metrics.metric_set[name] = {"Unit": unit, "StorageResolution": 60, "Value": values}
