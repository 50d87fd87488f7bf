"""lambda_handler: builds the parts once, runs the pipeline, emits metrics, answers SQS."""

from __future__ import annotations

import functools
import math
import os
import threading
import zlib
from collections.abc import Sequence
from typing import Any

import boto3
from aws_lambda_powertools import Logger, Metrics
from botocore.config import Config
from botocore.exceptions import ChecksumError

from . import metrics as report
from .errors import EventError
from .pipeline import Outcome, Pipeline
from .queue import Queue, SQSClient
from .settings import Settings
from .table import DynamoDBClient, Tables

READ_TIMEOUTS = (1, 2, 4, 8)  # Seconds.
TIME_LEFT_WITHOUT_CONTEXT = 30.0  # Seconds, for a caller that is not Lambda.

_service = os.environ.get("POWERTOOLS_SERVICE_NAME", "sluice")
logger = Logger(service=_service)
metrics = Metrics(namespace=os.environ.get("POWERTOOLS_METRICS_NAMESPACE", "Sluice"), service=_service)


class DynamoDBClients:
    """boto3 clients by how long a call may take: a call that hangs is given up while there is time for another."""

    def __init__(self, connections: int) -> None:
        self._connections = connections
        self._lock = threading.Lock()  # boto3 makes one client at a time.
        self._by_timeout: dict[int, DynamoDBClient] = {}
        self(math.inf)  # The usual one, at cold start.

    def __call__(self, seconds: float) -> DynamoDBClient:
        """The client for a call that must be over in so many seconds: it takes half of them at most."""
        timeout = max([choice for choice in READ_TIMEOUTS if choice <= seconds / 2], default=READ_TIMEOUTS[0])
        with self._lock:
            if timeout not in self._by_timeout:
                self._by_timeout[timeout] = self._made(timeout)
            return self._by_timeout[timeout]

    def _made(self, timeout: int) -> DynamoDBClient:
        config = Config(
            # Retries are the writer's: it knows the deadline, the pace, and which of the 25 are still to be written.
            retries={"mode": "standard", "total_max_attempts": 1},
            parameter_validation=False,  # Every request has been checked more strictly than botocore would.
            max_pool_connections=self._connections,
            connect_timeout=min(timeout, 2),
            read_timeout=timeout,
            tcp_keepalive=True,
        )
        client = boto3.client("dynamodb", config=config)
        client.meta.events.register("before-parse.dynamodb", _check_checksum)
        made: DynamoDBClient = client
        return made


def _check_checksum(response_dict: dict[str, Any], **_: Any) -> None:
    """Refuse a spoilt answer, in which an UnprocessedItems that got lost would read as "all written".

    botocore compares the checksum only to decide whether to try again; with no attempt left it takes the answer.
    """
    expected = response_dict["headers"].get("x-amz-crc32")
    actual = zlib.crc32(response_dict["body"])
    if expected is not None and int(expected) != actual:
        raise ChecksumError(checksum_type="crc32", expected_checksum=expected, actual_checksum=actual)


@functools.cache
def _sqs(connections: int) -> SQSClient:
    config = Config(
        retries={"mode": "standard", "total_max_attempts": 2},
        max_pool_connections=connections,
        connect_timeout=1,
        read_timeout=2,
    )
    client: SQSClient = boto3.client("sqs", config=config)
    return client


def _pipeline(settings: Settings) -> Pipeline:
    connections = settings.max_connections
    return Pipeline(
        settings,
        Tables(settings.tables, DynamoDBClients(connections), update_once=settings.update_once),
        Queue(lambda: _sqs(connections), connections=connections),
        region=os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION"),
    )


_PIPELINE = _pipeline(Settings.from_environ(os.environ))  # Once, at cold start; a bad setting fails it.


def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, list[dict[str, str]]]:
    """Write the operations of an SQS event's messages; the ids in the answer go back to the queue.

    Raises `SluiceError` (see errors.py) where Lambda should put the whole event back, and slow its polling.
    """
    records = _records(event)
    logger.append_keys(function_request_id=getattr(context, "aws_request_id", None))
    outcome = _handled(records, _time_left(context))
    if outcome.error is not None:
        raise outcome.error
    return {"batchItemFailures": outcome.item_failures}


def _handled(records: Sequence[dict[str, Any]], time_left: float) -> Outcome:
    try:
        try:
            outcome = _PIPELINE.run(records, time_left)
        except BaseException:  # Whatever it is, the whole event goes back.
            report.count_received(metrics, len(records))
            raise
        report.count(metrics, outcome)
        report.log(logger, outcome)
        return outcome
    finally:
        metrics.flush_metrics()


def _records(event: dict[str, Any]) -> Sequence[dict[str, Any]]:
    records = event.get("Records") if isinstance(event, dict) else None
    if not isinstance(records, list):
        raise EventError("the event has no Records: it is not from SQS")
    return records


def _time_left(context: Any) -> float:
    """Seconds until the function's timeout."""
    remaining = getattr(context, "get_remaining_time_in_millis", None)
    return TIME_LEFT_WITHOUT_CONTEXT if remaining is None else float(remaining()) / 1000
