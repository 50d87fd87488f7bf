"""Whether a send begins anew or goes on, and that it has its file to itself."""

from __future__ import annotations

import argparse
import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sluice.cli import CommandError, UsageError

from .journal import Heading, Journal, State
from .reading import Reader
from .target import Target


def journal_of(options: argparse.Namespace, reader: Reader) -> Journal | None:
    """The journal beside the file; None where there is to be none."""
    if options.resume and not reader.source.is_file:
        raise UsageError("--resume needs a file: what comes from standard input is not there a second time")
    if options.no_journal or options.dry_run or not reader.source.is_file:
        return None
    return Journal(Path(f"{options.file}.sluice-journal"))


def begin(
    options: argparse.Namespace, reader: Reader, target: Target, journal: Journal | None
) -> tuple[Heading, State]:
    """The heading of this send, and how far an earlier part of it has come.

    Raises `UsageError` where the options leave open what is meant, `CommandError` where the file is not the same.
    """
    identity = reader.source.identity() if reader.source.is_file else None
    queue_url = options.queue_url or ""
    heading = Heading(identity, queue_url, _what_matters(options, reader, target), secrets.token_hex(8))
    earlier = journal.read() if journal is not None else None
    if earlier is None:
        return heading, State()
    before, state = earlier
    if not options.resume:
        if state.complete or options.restart or state == State():
            return heading, State()
        what = "--resume goes on from there, " if before.file == identity else "the file has changed since, and "
        raise UsageError(
            f"an earlier send of {options.file} got to line {state.position.line:,}: {what}--restart sends all again"
        )
    if before.file != identity:
        done, how = (
            ("complete", "without --resume all is sent") if state.complete else ("unfinished", "--restart sends all")
        )
        raise CommandError(
            f"{options.file} has changed since the send that is to be resumed, which is {done}; {how} again"
        )
    now, then = ({"queue_url": one.queue_url} | one.options for one in (heading, before))
    if different := sorted(name for name in now.keys() | then.keys() if now.get(name) != then.get(name)):
        done = "; that send is complete: without --resume all is sent again" if state.complete else ""
        names = ", ".join(different)
        raise UsageError(f"--resume needs the options of the send that it continues; not so: {names}{done}")
    return before, state


@contextmanager
def alone(reader: Reader) -> Iterator[None]:
    """Have the file to oneself; two sends at a time would write one journal. Raises `CommandError`."""
    if not reader.source.is_file:
        yield
        return
    with reader.source.reading():
        file = os.open(reader.source.path, os.O_RDONLY)
    try:
        try:
            with suppress(OSError):  # A file system without locks.
                _lock(file)
        except _TakenError:
            raise CommandError(f"another send of {reader.source.name} is running") from None
        yield
    finally:
        os.close(file)


class _TakenError(Exception):
    """Somebody else has the lock."""


def _lock(file: int) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise _TakenError from None


def _what_matters(options: argparse.Namespace, reader: Reader, target: Target) -> dict[str, Any]:
    """The options that decide which record stands in which message."""
    columns = reader.columns
    return {
        "input": reader.kind,
        "encoding": reader.source.encoding,
        "format": options.format,
        "table": options.table,
        "empty": options.empty,
        "columns": None if columns is None else [columns.delimiter, list(columns.names), list(columns.types)],
        "message_size": min(options.message_size, target.most_bytes),
        "the queue's longest message": target.most_bytes,
        "group": options.group,
        "group_by": options.group_by,
        "tables": [asdict(table) for table in target.tables],
    }
