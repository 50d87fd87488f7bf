"""Whether a send begins anew or goes on, and that it has its file to itself."""

from __future__ import annotations

import argparse
import hashlib
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec

from sluice.cli import CommandError, UsageError
from sluice.message.settings import Table

from .inputs import Inputs
from .journal import Heading, Journal, State
from .s3 import is_s3
from .target import Target


def journal_of(options: argparse.Namespace, inputs: Inputs) -> Journal | None:
    """The journal beside the file; None where there is to be none."""
    if options.resume and not inputs.is_repeatable:
        raise UsageError("--resume needs a file: what comes from standard input is not there a second time")
    if options.no_journal or options.dry_run or not inputs.is_repeatable:
        return None
    return Journal(Path(f"{inputs.path}.sluice-journal"))


def begin(
    options: argparse.Namespace, inputs: Inputs, target: Target, journal: Journal | None
) -> tuple[Heading, State]:
    """The heading of this send, and how far an earlier part of it has come.

    Raises `UsageError` where the options leave open what is meant, `CommandError` where the files are not the same.
    """
    identity = inputs.identity() if inputs.is_repeatable else ()
    queue_url = options.queue_url or ""
    heading = Heading(identity, queue_url, _what_matters(options, inputs, target), secrets.token_hex(8))
    earlier = journal.read() if journal is not None else None
    if earlier is None:
        return heading, State()
    before, state = earlier
    what, has = (inputs.path, "has") if len(inputs) == 1 else (inputs.name, "have")
    if not options.resume:
        if state.complete or options.restart or state == State():
            return heading, State()
        changed = f"{'the file has' if len(inputs) == 1 else 'they have'} changed since, and "
        way = "--resume goes on from there, " if before.files == identity else changed
        raise UsageError(
            f"an earlier send of {what} got to {inputs.place(state.position, state.position.line)}:"
            f" {way}--restart sends all again"
        )
    if before.files != identity:
        done, how = (
            ("complete", "without --resume all is sent") if state.complete else ("unfinished", "--restart sends all")
        )
        raise CommandError(f"{what} {has} changed since the send that is to be resumed, which is {done}; {how} again")
    now, then = ({"queue_url": one.queue_url} | one.options for one in (heading, before))
    if different := sorted(name for name in now.keys() | then.keys() if now.get(name) != then.get(name)):
        done = "; that send is complete: without --resume all is sent again" if state.complete else ""
        names = ", ".join(different)
        raise UsageError(f"--resume needs the options of the send that it continues; not so: {names}{done}")
    return before, state


@contextmanager
def alone(inputs: Inputs) -> Iterator[None]:
    """Have the files to oneself; two sends at a time would write one journal. Raises `CommandError`."""
    if not inputs.is_repeatable:
        yield
        return
    file = _locked(inputs)
    try:
        try:
            with suppress(OSError):  # A file system without locks.
                _lock(file)
        except _TakenError:
            raise CommandError(f"another send of {inputs.name} is running") from None
        yield
    finally:
        os.close(file)


def _locked(inputs: Inputs) -> int:
    """A handle on the first file; for one in S3, on a file that stands for the place of its journal."""
    if not is_s3(inputs.first):
        return os.open(inputs.first, os.O_RDONLY)
    digest = hashlib.sha256(str(Path(inputs.path).absolute()).encode()).hexdigest()[:32]
    return os.open(Path(tempfile.gettempdir()) / f"sluice-{digest}.lock", os.O_RDONLY | os.O_CREAT, 0o600)


class _TakenError(Exception):
    """Somebody else has the lock."""


def _lock(file: int) -> None:
    try:
        import fcntl
    except ModuleNotFoundError:  # Windows: two sends of one file at a time are not noticed there.
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise _TakenError from None


def _what_matters(options: argparse.Namespace, inputs: Inputs, target: Target) -> dict[str, Any]:
    """The options that decide which record stands in which message."""
    return {
        **inputs.what_matters(),
        "format": options.format,
        "table": options.table,
        "empty": options.empty,
        "null": sorted(options.null),
        "message_size": min(options.message_size, target.most_bytes),
        "the queue's longest message": target.most_bytes,
        "group": options.group,
        "group_by": options.group_by,
        "tables": [_what_matters_of(table) for table in target.tables],
        **({"changed_only": True} if options.changed_only else {}),
    }


def _what_matters_of(table: Table) -> dict[str, Any]:
    """As the journal gives it back; what is left out where there is none was unknown to earlier versions."""
    found: dict[str, Any] = msgspec.to_builtins(table)
    del found["skip_unchanged"]
    if not found["indexes"]:
        del found["indexes"]
    return found
