"""Send a file of records to the queue, many to a message.

Every record is checked by the function's own rules first; bad ones go to FILE.rejected.jsonl with line and ErrorCode.
A send that was interrupted goes on with --resume where the last message that the queue accepted ended."""

from __future__ import annotations

import argparse
import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from sluice.arguments import whole
from sluice.cli import (
    DONE,
    FAILED,
    CommandError,
    Progress,
    UsageError,
    add_aws_options,
    add_json_option,
    client,
    counted,
    plural,
    progress,
    put_out,
    put_out_json,
    say,
)
from sluice.sending.check import Checker
from sluice.sending.outbox import BILLED_BYTES, MAX_BYTES
from sluice.sending.region import region_of
from sluice.sending.sender import Sender

from .options import add_input_options, input_of
from .packing import Packing, StoppedAtError
from .reading import Reader
from .resume import alone, begin, journal_of
from .sending import Rejects, Sending, beyond
from .source import ReadError
from .target import Target, add_table_options, queue, tables

GIVE_UP = 300.0
"""Seconds for which a message is tried again while the queue is busy or does not answer."""

_EXAMPLES = """examples:
  sluice send orders.jsonl --queue-url "$QUEUE_URL" --table-name orders
  sluice send orders.csv --queue-url "$QUEUE_URL" --key pk:S --types total=N,paid=BOOL
  sluice send orders.csv --queue-url "$QUEUE_URL" --key pk:S --infer --dry-run
  sluice send orders.csv --queue-url "$QUEUE_URL" --key pk:S --resume
  sluice send export.json.gz --queue-url "$QUEUE_URL" --function MyFunction
  sluice send events.jsonl --queue-url "$FIFO_QUEUE_URL" --group-by customer
  produce | sluice send - --input operations --queue-url "$QUEUE_URL"

Exit status: 0 everything was accepted by the queue, 1 not everything, 2 usage, 130 stopped by Ctrl-C."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.epilog = _EXAMPLES
    add_input_options(parser)
    parser.add_argument("--queue-url", metavar="URL", help="the queue; needed unless --dry-run")
    parser.add_argument(
        "--dry-run", action="store_true", help="read, check and pack; send nothing and leave no journal"
    )
    add_table_options(parser)
    parser.add_argument("--stop-on-rejected", action="store_true", help="end at the first record that is rejected")
    group = parser.add_argument_group("messages")
    group.add_argument(
        "--message-size",
        type=whole(1024, MAX_BYTES),
        default=BILLED_BYTES,
        metavar="BYTES",
        help="fill messages up to so many bytes (default: 65536, which SQS bills as one request)",
    )
    group.add_argument("--group-by", metavar="ATTRIBUTE", help="the attribute whose value is the message group")
    group.add_argument("--group", metavar="NAME", help="one message group for the whole file")
    group.add_argument("--connections", type=whole(1, 100), default=8, metavar="N", help="calls at once (default: 8)")
    again = parser.add_argument_group("after an interruption")
    again.add_argument("--resume", action="store_true", help="go on where the last accepted message ended")
    again.add_argument("--restart", action="store_true", help="send all again although an earlier send is unfinished")
    again.add_argument("--no-journal", action="store_true", help="note nothing beside FILE; no --resume later")
    add_aws_options(parser)
    add_json_option(parser)


def run(options: argparse.Namespace) -> int:
    """Send; returns the exit status."""
    from sluice.interrupt import Interrupt, Interrupted

    if not options.queue_url and not options.dry_run:
        raise UsageError("--queue-url is required, unless with --dry-run")
    if options.resume and (options.restart or options.no_journal):
        raise UsageError("--resume goes with neither --restart nor --no-journal")
    given = input_of(options)
    options.region = options.region or region_of(options.queue_url or "")
    sqs = None if options.dry_run else client(options, "sqs", connections=options.connections, attempts=1)
    is_fifo, most_bytes = (False, MAX_BYTES) if sqs is None else queue(options, sqs)
    target = Target(tables(options), is_fifo, most_bytes)
    _check_groups(options, target)
    reader = Reader(given, target.key_types(given.table))
    reader.check_text()
    for line in _description(reader, target):
        say(line)
    with Interrupt() as interrupt, alone(reader):
        send = _Send(options, reader, target, sqs, interrupt.check)
        try:
            return send.run()
        except Interrupted as stop:
            say(f"Stopped ({stop}). {send.advice()}")
            return stop.exit_status
        except StoppedAtError as error:
            raise CommandError(f"{error}. {send.advice()} Without --stop-on-rejected it leaves this one out.") from None
        except CommandError as error:
            is_damaged = isinstance(error, ReadError)
            raise CommandError(f"{str(error).rstrip('.')}. {send.advice(is_damaged=is_damaged)}") from None


class _Send:
    """One run of the command, put together from its parts."""

    def __init__(
        self, options: argparse.Namespace, reader: Reader, target: Target, sqs: Any, check_interrupt: Any
    ) -> None:
        self._options, self._reader, self._sqs = options, reader, sqs
        self._check_interrupt = check_interrupt
        self._is_dry = options.dry_run
        self._journal = journal_of(options, reader)
        self._heading, self._state = begin(options, reader, target, self._journal)
        self._noted = self._state
        self._packing = Packing(
            check=Checker(
                target.tables, options.format, options.region, are_named=not options.key or bool(options.table)
            ),
            message_bytes=min(options.message_size, target.most_bytes),
            most_bytes=target.most_bytes,
            group=options.group,
            group_by=options.group_by,
            bare=options.format == "item",
            run=self._heading.run if target.is_fifo else None,
            stops=options.stop_on_rejected,
        )
        self._in_order = target.is_fifo
        self._start = time.monotonic()
        self._resumed = self._state.position.line
        self._is_old = False
        """Nothing was sent now, and all of it before."""

    def run(self) -> int:
        if self._state.complete:
            say("Nothing to do: an earlier send of this file is complete. Without --resume it is sent again.")
            self._is_old = True
            return self._report()
        windows = self._packing.windows(self._reader.records(self._state.position), self._state.position)
        size = self._reader.source.size()
        with progress("sent", size, "B") as show:
            if self._is_dry:
                self._dry_run(windows, show)
            else:
                self._send(windows, show)
        return self._report()

    def advice(self, *, is_damaged: bool = False) -> str:
        """What to do after this send has not come to its end; `is_damaged`: the file cannot be read on."""
        state, noted = self._state, self._noted
        if self._is_dry:
            return "Nothing was sent."
        taken = f"Accepted: {counted(state.records, 'record')}, those up to line {state.position.line:,} without a gap."
        if self._journal is None or not self._journal.path.exists():
            return taken
        if self._reader.source.identity() != self._heading.file:
            return f"{taken} --resume will not go on with a file that has changed; --restart sends all again."
        if is_damaged:
            return f"{taken} --resume would end at the same place; once the file is whole, --restart sends all of it."
        if noted != state:
            again = f" from line {noted.position.line + 1:,} on; what was accepted behind that comes twice"
            return f"{taken} Not all of this could be noted: --resume goes on{again}."
        return f"{taken} --resume goes on from there."

    def _send(self, windows: Iterator[Any], show: Progress) -> None:
        stopping = threading.Event()
        sender = Sender(
            self._sqs,
            self._options.queue_url,
            clock=time.monotonic,
            wait=stopping.wait,
            chance=random.random,
            patience=GIVE_UP,
        )
        rejects = Rejects(self._rejects_path(), self._state.rejected_bytes, self._reader.header)
        identity = self._heading.file
        if self._journal is not None:
            self._journal.start(self._heading, self._state)
        with ThreadPoolExecutor(self._options.connections) as executor:
            sending = Sending(
                windows,
                self._state,
                sender=sender,
                executor=executor,
                connections=self._options.connections,
                in_order=self._in_order,
                journal=self._journal,
                rejects=rejects,
                check=self._check_interrupt,
                stop=stopping.set,
                show=lambda state: show(
                    self._reader.source.done(state.position), f"{counted(state.records, 'record')} accepted"
                ),
            )
            try:
                sending.run()
            finally:
                self._state, self._noted = sending.state, sending.noted
                rejects.close()
        if self._reader.source.is_file and self._reader.source.identity() != identity:
            raise CommandError(f"{self._options.file} changed while it was sent")
        self._state = replace(self._state, complete=True)
        if self._journal is not None:
            self._journal.note(self._state)
            self._journal.close()

    def _dry_run(self, windows: Iterator[Any], show: Progress) -> None:
        rejects = Rejects(self._rejects_path(), 0, self._reader.header)
        for window in windows:
            self._check_interrupt()
            for one in window.rejected:
                rejects.write(one)
            self._state = beyond(self._state, window, rejects.length)
            show(self._reader.source.done(window.end), f"{counted(self._state.records, 'record')} checked")
        rejects.close()

    def _report(self) -> int:
        state, seconds = self._state, time.monotonic() - self._start
        rejected = sum(state.rejected.values())
        path = str(self._rejects_path())
        if self._options.json:
            result = {
                "file": self._options.file,
                "dry_run": self._is_dry,
                "records": state.records,
                "messages": state.messages,
                "bytes": state.size,
                "rejected": state.rejected,
                "rejected_file": path if rejected else None,
                "resumed_after_line": self._resumed,
                "seconds": round(seconds, 3),
            }
            put_out_json(result)
            return FAILED if rejected else DONE
        # Of an earlier send that was complete it is told as such.
        what = "would send" if self._is_dry else "were sent" if self._is_old else "sent"
        records, messages = plural(state.records, "record"), counted(state.messages, "message")
        put_out(f"{what:<10} {state.records:>12,}  {records} in {messages}, {state.size:,} bytes in all")
        if rejected:
            put_out(f"{'rejected':<10} {rejected:>12,}  {plural(rejected, 'record')}, see {path}")
            for code, count in sorted(state.rejected.items()):
                put_out(f"{'':<10} {count:>12,}  {code}")
        return FAILED if rejected else DONE

    def _rejects_path(self) -> Path:
        name = self._options.file if self._reader.source.is_file else "stdin"
        # A dry run must not touch what a send that is to be resumed has left.
        return Path(f"{name}.dry-run.rejected.jsonl" if self._is_dry else f"{name}.rejected.jsonl")


def _check_groups(options: argparse.Namespace, target: Target) -> None:
    if options.group and options.group_by:
        raise UsageError("--group and --group-by exclude each other")
    if target.is_fifo and not (options.group or options.group_by):
        raise UsageError("a FIFO queue needs --group-by ATTRIBUTE, or --group NAME for the whole file")


def _description(reader: Reader, target: Target) -> Iterator[str]:
    columns = reader.columns
    yield f"Reading {reader.source.name} as {reader.form}."
    if not reader.source.is_text():
        yield "Some of its first lines are not UTF-8, and cost themselves."
    if columns is not None:
        if columns.why is not None:
            yield f"Delimiter: {columns.delimiter!r} ({columns.why})"
        types = ", ".join(f"{name}={kind}" for name, kind in zip(columns.names, columns.types, strict=True))
        yield f"Columns: {types}" + (f" (inferred from {counted(columns.sampled, 'row')})" if columns.sampled else "")
    if not target.tables:
        yield (
            "Keys and item sizes are not checked, as the table is not known:"
            " --function, --table-name or --key would tell it."
        )
