"""From one way of writing records to the dollars that a million of them cost, service by service."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .prices import Prices

MILLION = 1_000_000
WRITE_UNIT_BYTES = 1024  # https://aws.amazon.com/dynamodb/pricing/on-demand/
# https://aws.amazon.com/sqs/pricing/: every 64 KB chunk of a payload is billed as a request.
SQS_CHUNK_BYTES = 65_536
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
MAX_SQS_BATCH = 10
MAX_SQS_BYTES = 1_048_576
FULL_VCPU_MB = 1769  # https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
PUT_BYTES = len('{"put":}')  # What makes an operation of a record.


@dataclass(frozen=True, slots=True)
class Workload:
    """One way to write records of one size."""

    record_bytes: int
    """One record's JSON, as it stands in the message."""
    item_bytes: int
    """The same as an item, by DynamoDB's size rule."""
    records_per_message: int
    records_per_invocation: int
    records_per_call: float
    """Of DynamoDB: 25 for full batches, 1 for PutItem."""
    calls_at_once: int
    cpu_seconds: float
    """CPU time per record, on a whole vCPU."""
    log_bytes: int
    """Logs and metrics of one invocation, Lambda's own lines included."""
    memory_mb: int = FULL_VCPU_MB
    latency: float = 0.005
    """Seconds that DynamoDB takes to answer."""

    @property
    def message_bytes(self) -> int:
        """An operation, or an array of them."""
        operations = self.records_per_message * (self.record_bytes + PUT_BYTES)
        return operations if self.records_per_message == 1 else operations + self.records_per_message + 1

    def gb_seconds(self, records: int) -> float:
        """Lambda's billed duration for so many records, times memory: computing and waiting never overlap here."""
        share = min(1.0, self.memory_mb / FULL_VCPU_MB)
        calls = math.ceil(self.records_per_invocation / self.records_per_call)
        waiting = math.ceil(calls / self.calls_at_once) * self.latency
        invocation = math.ceil(1000 * (self.records_per_invocation * self.cpu_seconds / share + waiting)) / 1000
        return records / self.records_per_invocation * invocation * self.memory_mb / 1024

    def sqs_requests(self, records: int) -> float:
        """Billed requests to send, receive and delete: batches of up to 10 messages and 1 MiB."""
        messages = records / self.records_per_message
        together = max(1, min(MAX_SQS_BATCH, MAX_SQS_BYTES // self.message_bytes))
        chunks = math.ceil(together * self.message_bytes / SQS_CHUNK_BYTES)
        return messages / together * chunks * 2 + messages / MAX_SQS_BATCH


@dataclass(frozen=True, slots=True)
class Cost:
    """US dollars per million records."""

    dynamodb: float
    """The floor: no way of writing costs less."""
    sqs: float
    lambda_duration: float
    lambda_requests: float
    logs: float

    @property
    def total(self) -> float:
        return self.dynamodb + self.sqs + self.lambda_duration + self.lambda_requests + self.logs

    @property
    def over_floor(self) -> float:
        """How many times DynamoDB's own price the whole is."""
        return self.total / self.dynamodb if self.dynamodb else math.inf


def estimate(workload: Workload, prices: Prices) -> Cost:
    """Dollars per million records; every message is written once, and nothing throttles."""
    invocations = MILLION / workload.records_per_invocation
    return Cost(
        dynamodb=MILLION * math.ceil(workload.item_bytes / WRITE_UNIT_BYTES) * prices.write_request_unit,
        sqs=workload.sqs_requests(MILLION) * prices.sqs_request,
        lambda_duration=workload.gb_seconds(MILLION) * prices.lambda_gb_second,
        lambda_requests=invocations * prices.lambda_request,
        logs=invocations * workload.log_bytes / 1e9 * prices.log_gb,
    )
