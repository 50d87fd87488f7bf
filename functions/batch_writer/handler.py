"""lambda_handler: builds the parts once, runs the pipeline, emits metrics, answers SQS."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger, Metrics

from . import endpoint
from . import metrics as report
from .dynamodb import DynamoDB
from .errors import EventError
from .pipeline import Outcome, Pipeline
from .queue import Queue, SQSClient
from .settings import Settings
from .table import Tables
from .wire import Wire

if TYPE_CHECKING:
    from .sdk import Sdk

TIME_LEFT_WITHOUT_CONTEXT = 30.0  # Seconds, for a caller that is not Lambda.

_service = os.environ.get("POWERTOOLS_SERVICE_NAME", "sluice")
logger = Logger(service=_service)
metrics = Metrics(namespace=os.environ.get("POWERTOOLS_METRICS_NAMESPACE", "Sluice"), service=_service)


class Aws:
    """What talks to AWS. boto3 is loaded where the environment needs it, or else when something needs it."""

    def __init__(self, connections: int) -> None:
        self._connections = connections
        self._lock = threading.Lock()
        self._sdk: Sdk | None = None
        self._loading: threading.Thread | None = None

    def dynamodb(self) -> DynamoDB:
        endpoint.check(os.environ)
        found = endpoint.plain(os.environ) or self.sdk().endpoint()
        if found is None:
            return DynamoDB(self.sdk, None, lambda: None, on_trouble=self.load_beside, renew=self.renew)
        return DynamoDB(
            self.sdk,
            Wire(found, self._connections),
            found.credentials,
            are_static=found.are_static,
            on_trouble=self.load_beside,
            renew=self.renew,
            host=found.authority,
        )

    def renew(self) -> None:
        """Have credentials looked up anew where they come from; those of the environment cannot be others."""
        if self._sdk is not None:
            self._sdk.renew()

    def sdk(self) -> Sdk:
        from .sdk import Sdk  # boto3: it takes longer to load than all the rest.

        with self._lock:
            if self._sdk is None:
                self._sdk = Sdk(self._connections)
            return self._sdk

    def sqs(self) -> SQSClient:
        sqs: SQSClient = self.sdk().sqs()
        return sqs

    def load_beside(self) -> None:
        """Make the client for SQS in a thread of its own, once: at the end there may be no time for it."""
        if self._loading is None:
            self._loading = threading.Thread(target=self.sqs, daemon=True)
            self._loading.start()


def _pipeline(settings: Settings) -> Pipeline:
    connections = settings.max_connections
    aws = Aws(connections)
    if any(table.version is not None for table in settings.tables):
        aws.sdk()  # Each write will need it.
    return Pipeline(
        settings,
        Tables(settings.tables, aws.dynamodb(), update_once=settings.update_once),
        Queue(aws.sqs, connections=connections, renew=aws.renew),
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


def _account(context: Any) -> str | None:
    """The function's account, from its ARN: arn:PARTITION:lambda:REGION:ACCOUNT:function:NAME."""
    match = re.match(r"arn:[a-z-]+:lambda:[a-z0-9-]+:([0-9]{12}):", str(getattr(context, "invoked_function_arn", "")))
    return match[1] if match else None


def _time_left(context: Any) -> float:
    """Seconds until the function's timeout."""
    remaining = getattr(context, "get_remaining_time_in_millis", None)
    return TIME_LEFT_WITHOUT_CONTEXT if remaining is None else float(remaining()) / 1000
