"""lambda_handler: builds the parts once, runs the pipeline, emits metrics, answers SQS."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from sluice.aws.clients import Aws
from sluice.aws.queue import Queue
from sluice.aws.tables import Tables
from sluice.message.errors import EventError
from sluice.message.settings import Settings
from sluice.writing.calls import SINGLES_PER_CONNECTION

from . import metrics as report
from .pipeline import Outcome, Pipeline

if TYPE_CHECKING:
    from sluice.writing.unchanged import ReadPort

TIME_LEFT_WITHOUT_CONTEXT = 30.0  # Seconds, for a caller that is not Lambda.

_service = os.environ.get("POWERTOOLS_SERVICE_NAME", "sluice")
# Messages are words, which need not be read as JSON. With POWERTOOLS_DEV Powertools' own encoder indents its lines.
_encoded = None if "POWERTOOLS_DEV" in os.environ else report.encoded
logger = Logger(service=_service, json_serializer=_encoded, json_deserializer=str)
metrics = report.EmfProvider(namespace=os.environ.get("POWERTOOLS_METRICS_NAMESPACE", "Sluice"), service=_service)


def _pipeline(settings: Settings) -> Pipeline:
    connections = settings.max_connections
    aws = Aws(connections, SINGLES_PER_CONNECTION * connections)
    dynamodb = aws.dynamodb()
    reads: ReadPort | None = None
    if any(table.skip_unchanged for table in settings.tables):
        from sluice.aws.reads import Reads  # Most functions never read.

        reads = Reads(settings.tables, dynamodb)
    return Pipeline(
        settings,
        Tables(settings.tables, dynamodb),
        Queue(aws.sqs(), aws.sqs_url, connections=connections),
        reads=reads,
        region=os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION"),
    )


_PIPELINE = _pipeline(Settings.from_environ(os.environ))  # Once, at cold start; a bad setting fails it.


def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, list[dict[str, str]]]:
    """Write the operations of an SQS event's messages; the ids in the answer go back to the queue.

    Raises `SluiceError` (see errors.py) where Lambda should put the whole event back, and count an error.
    """
    records = _records(event)
    logger.append_keys(function_request_id=getattr(context, "aws_request_id", None))
    outcome = _handled(records, _time_left(context), _account(context))
    if outcome.error is not None:
        raise outcome.error
    return {"batchItemFailures": outcome.item_failures}


def _handled(records: Sequence[dict[str, Any]], time_left: float, account: str | None) -> Outcome:
    try:
        try:
            outcome = _PIPELINE.run(records, time_left, account)
        except BaseException:  # Whatever it is, the whole event goes back.
            report.count_received(metrics, len(records))
            raise
        report.count(metrics, outcome, time.time())
        report.log(logger, outcome)
        return outcome
    finally:
        metrics.flush_metrics()


def _records(event: dict[str, Any]) -> Sequence[dict[str, Any]]:
    records = event.get("Records") if isinstance(event, dict) else None
    if not isinstance(records, list):
        raise EventError("the event has no Records: it is not from SQS")
    return records


def _account(context: Any) -> str | None:
    """The function's account, from its ARN: arn:PARTITION:lambda:REGION:ACCOUNT:function:NAME."""
    match = re.match(r"arn:[a-z-]+:lambda:[a-z0-9-]+:([0-9]{12}):", str(getattr(context, "invoked_function_arn", "")))
    return match[1] if match else None


def _time_left(context: Any) -> float:
    """Seconds until the function's timeout."""
    remaining = getattr(context, "get_remaining_time_in_millis", None)
    return TIME_LEFT_WITHOUT_CONTEXT if remaining is None else float(remaining()) / 1000
