"""One run of `sluice send`: its parts put together, what it says at the end, and what to do where it stops before."""

from __future__ import annotations

import argparse
import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from sluice.cli import DONE, FAILED, CommandError, Progress, counted, plural, progress, put_out, put_out_json, say
from sluice.sending.check import Checker
from sluice.sending.record import Position, Record
from sluice.sending.sender import Sender

from .inputs import Inputs
from .pace import Pace
from .packing import Packing
from .resume import begin, journal_of
from .sending import Rejects, Sending, Takes, beyond
from .target import Target

GIVE_UP = 300.0
"""Seconds for which a message is tried again while the queue is busy or does not answer."""


class Send:
    """One run of the command, put together from its parts."""

    def __init__(
        self, options: argparse.Namespace, inputs: Inputs, target: Target, client: Any, check_interrupt: Any
    ) -> None:
        """`client` is boto3's, of the queue or with --changed-only of DynamoDB; None for a dry run."""
        self._options, self._inputs, self._client = options, inputs, client
        self._tables = target.tables
        self._unchanged = 0
        self._check_interrupt = check_interrupt
        self._is_dry = options.dry_run
        self._journal = journal_of(options, inputs)
        self._heading, self._state = begin(options, inputs, target, self._journal)
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
        self._limit = Limit(options.limit)
        self._start = time.monotonic()
        self._resumed = self._state.position.line
        self._is_old = False
        """Nothing was sent now, and all of it before."""

    def run(self) -> int:
        if self._state.complete:
            what, they = ("this file", "it is") if len(self._inputs) == 1 else ("these files", "they are")
            say(f"Nothing to do: an earlier send of {what} is complete. Without --resume {they} sent again.")
            self._is_old = True
            return self._report()
        records = self._limit.of(self._inputs.records(self._state.position))
        windows = self._packing.windows(records, self._state.position)
        size = self._inputs.size()
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
        place = self._inputs.place(state.position, state.position.line)
        taken = f"Accepted: {counted(state.records, 'record')}, those up to {place} without a gap."
        if self._journal is None or not self._journal.path.exists():
            return taken
        if self._inputs.identity() != self._heading.files:
            return f"{taken} --resume will not go on with a file that has changed; --restart sends all again."
        if is_damaged:
            return f"{taken} --resume would end at the same place; once the file is whole, --restart sends all of it."
        if noted != state:
            place = self._inputs.place(noted.position, noted.position.line + 1)
            again = f"--resume goes on from {place} on; what was accepted behind that comes twice"
            return f"{taken} Not all of this could be noted: {again}."
        return f"{taken} --resume goes on from there."

    def _send(self, windows: Iterator[Any], show: Progress) -> None:
        stopping = threading.Event()
        sender = self._sender(stopping)
        connections = 1 if self._options.changed_only else self._options.connections
        rejects = Rejects(self._rejects_path(), self._state.rejected_bytes, self._inputs.about)
        identity = self._heading.files
        if self._journal is not None:
            self._journal.start(self._heading, self._state)
        with ThreadPoolExecutor(connections) as executor:
            sending = Sending(
                windows,
                self._state,
                sender=sender,
                executor=executor,
                connections=connections,
                in_order=self._in_order,
                journal=self._journal,
                rejects=rejects,
                pace=self._pace(),
                check=self._check_interrupt,
                stop=stopping.set,
                show=lambda state: show(
                    self._inputs.done(state.position), f"{counted(state.records, 'record')} accepted"
                ),
            )
            try:
                sending.run()
            finally:
                self._state, self._noted = sending.state, sending.noted
                self._unchanged = getattr(sender, "unchanged", 0)
                rejects.close()
        if self._inputs.is_repeatable and self._inputs.identity() != identity:
            raise CommandError(f"{self._inputs.name} changed while it was sent")
        self._state = replace(self._state, complete=not self._limit.is_reached)
        if self._journal is not None:
            self._journal.note(self._state)
            self._journal.close()

    def _dry_run(self, windows: Iterator[Any], show: Progress) -> None:
        rejects = Rejects(self._rejects_path(), 0, self._inputs.about)
        for window in windows:
            self._check_interrupt()
            for one in window.rejected:
                rejects.write(one)
            self._state = beyond(self._state, window, rejects.length)
            show(self._inputs.done(window.end), f"{counted(self._state.records, 'record')} checked")
        rejects.close()

    def _sender(self, stopping: threading.Event) -> Takes:
        if self._options.changed_only:
            from . import direct  # It needs POSIX, which Windows has not.

            return direct.sender(self._options, self._tables, self._client, give_up=GIVE_UP, stopping=stopping)
        return Sender(
            self._client,
            self._options.queue_url,
            clock=time.monotonic,
            wait=stopping.wait,
            chance=random.random,
            patience=GIVE_UP,
        )

    def _pace(self) -> Pace | None:
        if self._options.rate:
            return Pace(self._options.rate, lambda message: message.records, time.monotonic)
        if self._options.max_write_units and not self._options.changed_only:  # Else by what the table says.
            return Pace(self._options.max_write_units, lambda message: message.units, time.monotonic)
        return None

    def _report(self) -> int:
        state, path = self._state, str(self._rejects_path())
        if self._options.json:
            put_out_json(self._as_json(path))
        else:
            put_out(*self._lines(path))
        return FAILED if state.rejected else DONE

    def _as_json(self, path: str) -> dict[str, Any]:
        state = self._state
        return {
            "file": self._options.files[0],
            "files": len(self._inputs),
            "dry_run": self._is_dry,
            "records": state.records,
            "messages": state.messages,
            **({"unchanged": self._unchanged} if self._options.changed_only else {}),
            "bytes": state.size,
            "rejected": state.rejected,
            "examples": {code: self._example(code) for code in state.rejected},
            "rejected_file": path if state.rejected else None,
            "resumed_after_line": self._resumed,
            "limit_reached": self._limit.is_reached,
            "seconds": round(time.monotonic() - self._start, 3),
        }

    def _lines(self, path: str) -> Iterator[str]:
        state, rejected = self._state, sum(self._state.rejected.values())
        # Of an earlier send that was complete it is told as such.
        what = "would send" if self._is_dry else "were sent" if self._is_old else "sent"
        packed = f"in {counted(state.messages, 'message')}, {state.size:,} bytes in all"
        if self._options.changed_only and not self._is_dry:
            packed = f"straight into the table, {self._unchanged:,} of which stood there already"
        yield f"{what:<10} {state.records:>12,}  {plural(state.records, 'record')} {packed}"
        if rejected:
            yield f"{'rejected':<10} {rejected:>12,}  {plural(rejected, 'record')}, see {path}"
        for code, count in sorted(state.rejected.items()):
            yield f"{'':<10} {count:>12,}  {code}, such as {self._example(code)}"
        if self._limit.is_reached:
            way = "" if self._journal is None else "; --resume sends the others"
            yield f"{'':<10} {'':>12}  and no more, by --limit{way}"

    def _example(self, code: str) -> str:
        example = self._state.examples[code]
        return f"{self._inputs.place(Position(example.offset, example.line), example.line)}: {example.message}"

    def _rejects_path(self) -> Path:
        # A dry run must not touch what a send that is to be resumed has left.
        return Path(f"{self._inputs.path}{'.dry-run' if self._is_dry else ''}.rejected.jsonl")


class Limit:
    """At most so many of some records."""

    def __init__(self, count: int | None) -> None:
        self._count = count
        self.is_reached = False
        """There are more records than that."""

    def of(self, records: Iterator[Record]) -> Iterator[Record]:
        if self._count is None:
            yield from records
            return
        yield from islice(records, self._count)
        self.is_reached = next(records, None) is not None
