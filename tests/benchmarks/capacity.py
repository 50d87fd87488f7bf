"""Capacity use in real time: processes with the real handler, or boto3's batch_writer, on a table of limited capacity.

`python -m tests.benchmarks.capacity [--rate 1000] [--seconds 20] [--writers 1,4,16]` prints a row for each. The table
is a process of its own: a bucket of write units, UnprocessedItems when it is empty, an error when nothing was taken.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any
from urllib.request import urlopen

from tests.benchmarks.simulation import Capacity

TABLE = "bench"
PEER = "boto3 batch_writer"
LATENCY = 0.005  # Seconds.
SETTLED = 5.0
"""Seconds after the beginning from which a rate counts as steady."""
CHUNK = 250
"""Records of an invocation of batch_writer; where it raises, SQS delivers them again."""
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "fake",
    "AWS_SECRET_ACCESS_KEY": "fake",
    "AWS_SESSION_TOKEN": "fake",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
    "TABLES": json.dumps([{"name": TABLE, "partition_key": {"name": "pk", "type": "S"}}]),
}


@dataclass(frozen=True, slots=True)
class Row:
    """Shares of 1. Steady: from 5 s after the beginning until the first writer has ended."""

    writer: str
    rate: float
    writers: int
    seconds: float
    """Until the last writer ended."""
    use: float
    waste: float
    whole_use: float
    whole_waste: float
    slowest: float
    """The slowest writer's time by the mean."""
    calls: float
    """By the least number of calls."""
    failures: int
    """Records given back, or for batch_writer invocations that raised."""
    timeline: list[tuple[float, float, float]]
    """Each half second: its beginning, use and waste."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a table takes."""

    rate: float
    burst: float = 1.0
    per_second: bool = False
    loss: float = 0.0
    """The share that it refuses whatever is sent."""
    neighbour: float = 0.0
    """Write units a second that somebody else offers in calls of 25, and never backs off;"""
    neighbour_seconds: float = 0.0
    """for so long from the first call of ours on."""


class Bucket(asyncio.Protocol):
    """One connection to the table."""

    def __init__(self, capacity: Capacity, loss: float, arrivals: list[tuple[float, int, int]]) -> None:
        self._capacity, self._loss, self._arrivals = capacity, loss, arrivals
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head, rest = self._received[:end].lower(), self._received[end + 4 :]
            length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
            if len(rest) < length:
                return
            body, self._received = rest[:length], rest[length:]
            if head.startswith(b"get"):
                self._answer(200, self._arrivals)
            else:
                asyncio.get_running_loop().call_later(LATENCY, self._answer, *self._written(json.loads(body)))

    def _written(self, request: dict[str, Any]) -> tuple[int, Any]:
        now = time.monotonic()
        requests = request["RequestItems"][TABLE]
        unprocessed = [each for each in requests if not self._takes(now)]
        taken = len(requests) - len(unprocessed)
        self._arrivals.append((now, len(requests), taken))
        if not taken:
            name = "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException"
            return 400, {"__type": name, "message": "The level of configured provisioned throughput was exceeded."}
        capacity = [{"TableName": TABLE, "CapacityUnits": float(taken)}]
        return 200, {"UnprocessedItems": {TABLE: unprocessed} if unprocessed else {}, "ConsumedCapacity": capacity}

    def _takes(self, now: float) -> bool:
        return not (self._loss and random.random() < self._loss) and self._capacity.take(now)

    def _answer(self, status: int, content: Any) -> None:
        body = json.dumps(content).encode()
        head = (
            f"HTTP/1.1 {status} X\r\nContent-Type: application/x-amz-json-1.0\r\nContent-Length: {len(body)}\r\n"
            f"x-amzn-RequestId: FAKE\r\nx-amz-crc32: {zlib.crc32(body)}\r\n\r\n"
        )
        self._transport.write(head.encode() + body)


async def serve(limits: Limits) -> None:
    """Print the port, then answer until it is ended."""
    capacity = Capacity(limits.rate, limits.burst, limits.per_second, at=time.monotonic())
    arrivals: list[tuple[float, int, int]] = []
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Bucket(capacity, limits.loss, arrivals), "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    if limits.neighbour:
        await _offer(limits, capacity, arrivals)
    await server.serve_forever()


async def _offer(limits: Limits, capacity: Capacity, arrivals: Sequence[tuple[float, int, int]]) -> None:
    """The neighbour, whose calls need no connection."""
    now = time.monotonic()
    due = now
    while not arrivals or now < arrivals[0][0] + limits.neighbour_seconds:
        due = max(due + 25 / limits.neighbour, now)  # Where this machine is late, nothing is made up for.
        await asyncio.sleep(due - now)
        now = time.monotonic()
        for _ in range(25):
            capacity.take(now)


class Context:
    """Lambda's."""

    aws_request_id = "00000000-0000-0000-0000-000000000000"

    def __init__(self, seconds: float) -> None:
        self._ends = time.monotonic() + seconds

    def get_remaining_time_in_millis(self) -> float:
        return (self._ends - time.monotonic()) * 1000


def handle(records: Sequence[dict[str, Any]], seconds: float) -> int:
    """One invocation of the real handler; how many records came back."""
    from functions.batch_writer.handler import lambda_handler
    from sluice.message.errors import NothingWrittenError

    event = {"Records": [_from_sqs(number, {"put": record}) for number, record in enumerate(records)]}
    try:
        return len(lambda_handler(event, Context(seconds))["batchItemFailures"])
    except NothingWrittenError:
        return len(records)


def handle_without_a_rate(records: Sequence[dict[str, Any]], seconds: float) -> int:
    """The same, with a backoff for what came back and nothing else."""
    from sluice.writing import pending
    from tests.benchmarks.scenarios import Unpaced

    vars(pending)["SendRate"] = Unpaced
    return handle(records, seconds)


def write_by_boto3(records: Sequence[dict[str, Any]], seconds: float) -> int:
    """boto3's batch_writer; how often it raised."""
    import boto3
    from botocore.exceptions import ClientError

    table = boto3.resource("dynamodb").Table(TABLE)
    failures, ends = 0, time.monotonic() + seconds
    for begin in range(0, len(records), CHUNK):
        while time.monotonic() < ends:
            try:
                with table.batch_writer() as batch:
                    for record in records[begin : begin + CHUNK]:
                        batch.put_item(Item=record)
                break
            except ClientError:
                failures += 1
                time.sleep(1)
    return failures


WRITERS = {"sluice": handle, "sluice without a rate": handle_without_a_rate, PEER: write_by_boto3}


def _from_sqs(number: int, body: Any) -> dict[str, Any]:
    return {
        "messageId": f"00000000-0000-0000-0000-{number:012d}",
        "receiptHandle": "r",
        "body": json.dumps(body),
        "attributes": {"ApproximateReceiveCount": "1"},
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:work",
    }


@dataclass(frozen=True, slots=True)
class Work:
    """What one process writes: so many records in each invocation, one after the other, each of so many seconds."""

    writer: str
    name: str
    records: Sequence[int]
    seconds: Sequence[float]


@dataclass(frozen=True, slots=True)
class Done:
    begun: float
    ended: float
    failures: int
    """Of all invocations, as of `Row`."""


def write(work: Work) -> None:
    """In a process of its own: says "ready", begins at a line on its input, and tells when it began and ended."""
    told = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # The handler's metrics and logs.
    if work.writer != PEER:
        import functions.batch_writer.handler  # noqa: F401  # The cold start is measured elsewhere.
    told.write("ready\n")
    sys.stdin.readline()
    begun, failures = time.monotonic(), 0
    for invocation, (count, seconds) in enumerate(zip(work.records, work.seconds, strict=True)):
        records = [{"pk": f"{work.name}-{invocation}-{number}", "text": "x" * 200} for number in range(count)]
        failures += WRITERS[work.writer](records, seconds)
    told.write(json.dumps([begun, time.monotonic(), failures]) + "\n")


@contextmanager
def _table(limits: Limits) -> Iterator[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", __spec__.name, "--serve", json.dumps(asdict(limits))], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.kill()
        process.wait()


def measure(
    writer: str,
    writers: int,
    *,
    rate: float = 1000.0,
    burst: float = 1.0,
    per_second: bool = False,
    seconds: float = 20.0,
) -> Row:
    """So many processes write, each its share of what the table takes in so many seconds."""
    count, limit = max(1, int(rate * seconds / writers)), 6 * seconds + 10
    work = [Work(writer, f"w{number}", [count], [limit]) for number in range(writers)]
    done, arrivals = written(Limits(rate, burst, per_second), work)
    return _row(writer, rate, writers, done, arrivals)


def written(
    limits: Limits, works: Sequence[Work], variables: Mapping[str, str] = MappingProxyType({})
) -> tuple[Sequence[Done], Sequence[tuple[float, int, int]]]:
    """Each in a process of its own, all at once; and the calls as the table saw them: when, sent, taken."""
    with _table(limits) as url:
        environment = {**os.environ, **ENVIRONMENT, "AWS_ENDPOINT_URL_DYNAMODB": url, **variables}
        processes = [
            subprocess.Popen(
                [sys.executable, "-m", __spec__.name, "--write", json.dumps(asdict(work))],
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for work in works
        ]
        try:
            for process in processes:
                if process.stdout is None or process.stdout.readline() != "ready\n":
                    raise RuntimeError("a writer did not start")
            done = [_finish(process) for process in _begun(processes)]
            with urlopen(f"{url}/arrivals") as response:
                arrivals = [(at, sent, taken) for at, sent, taken in json.load(response)]
        finally:
            for process in processes:
                process.kill()
                process.wait()
    return done, arrivals


def _begun(processes: Sequence[subprocess.Popen[str]]) -> Sequence[subprocess.Popen[str]]:
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    return processes


def _finish(process: subprocess.Popen[str]) -> Done:
    assert process.stdout is not None
    return Done(*json.loads(process.stdout.readline()))


def _row(
    writer: str,
    rate: float,
    writers: int,
    answers: Sequence[Done],
    arrivals: Sequence[tuple[float, int, int]],
) -> Row:
    begun, ended = min(answer.begun for answer in answers), max(answer.ended for answer in answers)
    first_end = min(answer.ended for answer in answers)
    lasted = [answer.ended - answer.begun for answer in answers]
    settled = min(begun + SETTLED, (begun + first_end) / 2)
    use, waste = _shares(arrivals, settled, first_end, rate)
    whole_use, whole_waste = _shares(arrivals, begun, ended, rate)
    timeline = []
    for step in range(int((ended - begun) * 2)):
        begin = begun + step / 2
        timeline.append((step / 2, *_shares(arrivals, begin, begin + 0.5, rate)))
    return Row(
        writer=writer,
        rate=rate,
        writers=writers,
        seconds=ended - begun,
        use=use,
        waste=waste,
        whole_use=whole_use,
        whole_waste=whole_waste,
        slowest=max(lasted) / (sum(lasted) / len(lasted)),
        calls=len(arrivals) / (sum(taken for _, _, taken in arrivals) / 25),
        failures=sum(answer.failures for answer in answers),
        timeline=timeline,
    )


def _shares(arrivals: Sequence[tuple[float, int, int]], begin: float, end: float, rate: float) -> tuple[float, float]:
    inside = [(sent, taken) for at, sent, taken in arrivals if begin <= at < end]
    sent, taken = sum(sent for sent, _ in inside), sum(taken for _, taken in inside)
    return taken / ((end - begin) * rate), 1 - taken / sent if sent else 0.0


def table(rows: Sequence[Row]) -> str:
    """A table in Markdown."""
    lines = [
        "| writer | WCU/s | writers | s | steady use | steady waste | whole use | whole waste | slowest / mean |"
        " calls / least | failures |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.writer} | {row.rate:.0f} | {row.writers} | {row.seconds:.1f} | {row.use:.1%} | {row.waste:.1%} |"
        f" {row.whole_use:.1%} | {row.whole_waste:.1%} | {row.slowest:.2f} | {row.calls:.2f} | {row.failures} |"
        for row in rows
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description="Capacity use in real time")
    parser.add_argument("--rate", type=float, default=1000.0, help="write units a second")
    parser.add_argument("--burst", type=float, default=1.0, help="seconds of write units that the table saves up")
    parser.add_argument("--per-second", action="store_true", help="as many in each second of the clock, no more")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--writers", default="1,4,16")
    parser.add_argument("--only", default="", help="part of a writer's name")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--write", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve(Limits(**json.loads(options.serve))))
    elif options.write:
        write(Work(**json.loads(options.write)))
    else:
        rows = [
            measure(
                writer,
                int(number),
                rate=options.rate,
                burst=options.burst,
                per_second=options.per_second,
                seconds=options.seconds,
            )
            for writer in ("sluice", PEER)
            if options.only in writer
            for number in options.writers.split(",")
        ]
        sys.stdout.write(json.dumps([asdict(row) for row in rows]) if options.json else table(rows))


if __name__ == "__main__":
    main()
