"""`--changed-only`: records go straight into the table, without a queue, and what stands there already is left."""

from __future__ import annotations

import argparse
import math
import random
import threading
import time
from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from sluice.aws.clients import Aws
from sluice.aws.reads import Reads
from sluice.aws.tables import Tables
from sluice.aws.threads import Threads
from sluice.message.decoder import Decoder
from sluice.message.operation import Operation, Rejection
from sluice.message.settings import Settings, Table
from sluice.sending.outbox import Outgoing
from sluice.sending.sender import Failure
from sluice.writing.calls import SINGLES_PER_CONNECTION
from sluice.writing.outcome import WriteOutcome
from sluice.writing.send_rate import SendRate
from sluice.writing.unchanged import Unchanged
from sluice.writing.writer import Writer

PATIENCE = 2.0
"""Seconds that calls in flight are waited for when the table is given up."""


class DirectSender:
    """Writes what messages hold, as `sluice.sending.sender.Sender` sends them. For one thread at a time."""

    refusal = "the table does not take a record"

    def __init__(
        self,
        tables: Sequence[Table],
        aws: Aws,
        *,
        record_format: Any,
        connections: int,
        give_up: float,
        write_units_per_second: float = math.inf,
        stopping: threading.Event,
    ) -> None:
        """`give_up`: seconds after which a table that takes nothing of a call is given up."""
        tables = [replace(table, skip_unchanged=True) for table in tables]
        dynamodb = aws.dynamodb()
        self._decode = Decoder(Settings(tuple(tables), record_format=record_format)).decode
        self._tables = Tables(tables, dynamodb)
        self._unchanged = Unchanged(Reads(tables, dynamodb), tables)
        self._send_rates: dict[str, SendRate] = {}
        self._threads = Threads()
        self._connections = connections
        self._give_up = give_up
        self._write_units_per_second = write_units_per_second
        self._stopping = stopping
        self._rejected: dict[Any, list[tuple[Rejection, bytes]]] = {}
        self.unchanged = 0
        """Records that stood in the table already."""

    def send(self, messages: Sequence[Outgoing]) -> dict[int, Failure]:
        """Write up to ten messages; the positions of those of which something was not written, and why."""
        operations = [self._operations(position, message) for position, message in enumerate(messages)]
        deadline = time.monotonic() + self._give_up
        outcome = Writer(
            self._tables,
            deadline=deadline,
            patience=PATIENCE,
            connections=self._connections,
            write_units_per_second=self._write_units_per_second,
            clock=lambda: math.inf if self._stopping.is_set() else time.monotonic(),
            sleep=self._sleep,
            random=random.random,
            executor=self._threads,
            send_rates=self._send_rates,
            unchanged=self._unchanged,
        ).write([operation for of_message in operations for operation in of_message])
        self.unchanged += len(outcome.by_reading & outcome.written)
        return self._failures(messages, operations, outcome)

    def rejections(self, message: Outgoing) -> Sequence[tuple[Rejection, bytes]]:
        """What of an accepted message can never be written, and why; the operation as JSON."""
        return self._rejected.pop(message.origin, ())

    def _sleep(self, seconds: float) -> None:
        self._stopping.wait(seconds)

    def _operations(self, position: int, message: Outgoing) -> Sequence[Operation]:
        decoded = self._decode({"messageId": f"{position}", "body": message.body})
        self._note(message, [(reason, message.body.encode()) for _, reason in decoded.rejected])
        return decoded.operations

    def _failures(
        self, messages: Sequence[Outgoing], operations: Sequence[Sequence[Operation]], outcome: WriteOutcome
    ) -> dict[int, Failure]:
        if outcome.error is not None:
            return dict.fromkeys(range(len(messages)), Failure("TableError", str(outcome.error)))
        failures: dict[int, Failure] = {}
        for position, (message, of_message) in enumerate(zip(messages, operations, strict=True)):
            left = [operation for operation in of_message if operation not in outcome.ended]
            if left:
                denied = next((outcome.denied[each] for each in left if each in outcome.denied), "")
                failures[position] = Failure("NotWritten", denied or outcome.trouble or "it was stopped")
                continue
            refused = [each for each in of_message if each in outcome.rejected]
            self._note(message, [(outcome.rejected[each], each.body) for each in refused])
        return failures

    def _note(self, message: Outgoing, rejected: list[tuple[Rejection, bytes]]) -> None:
        if rejected:
            self._rejected.setdefault(message.origin, []).extend(rejected)


def sender(options: argparse.Namespace, tables: Sequence[Table], client: Any, **others: Any) -> DirectSender:
    """`client` is boto3's of DynamoDB: it leads where the writes shall go."""
    connections = options.connections
    aws = Aws(connections, SINGLES_PER_CONNECTION * connections, client=client)
    return DirectSender(
        tables,
        aws,
        record_format=options.format,
        connections=connections,
        write_units_per_second=options.max_write_units or math.inf,
        **others,
    )
