"""`sluice dlq redrive` and `purge`: letters leave the queue, after somebody has agreed to it."""

from __future__ import annotations

import argparse
import math
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sluice.cli import DONE, FAILED, CommandError, UsageError, counted, plural, progress, put_out, put_out_json, say
from sluice.interrupt import Interrupt

from .holding import Holding
from .leftover import Leftover, leftover
from .looking import LONG
from .moving import CannotMove, move
from .queues import DeadLetterQueue, arn_of, dead_letter_queue, source_url, sqs_client
from .selection import Selection
from .sending import Edited, Redrive, Sent, Through, unchanged


def redrive(options: argparse.Namespace) -> int:
    """Send letters again; returns the exit status."""
    sqs = sqs_client(options)
    queue = dead_letter_queue(options, sqs)
    target = source_url(options, sqs, queue)
    is_whole = not (options.code or options.through or options.edited or options.limit)
    if options.method == "move" and not is_whole:
        raise UsageError(
            "SQS moves all letters as they are: --method move goes without --code, --through, --from, --limit"
        )
    which = _which(options, queue)
    if not _is_confirmed(options, f"Send {which} again, to {target}?"):
        return FAILED
    with Interrupt() as interrupt:  # Only now: a question has to end by Ctrl-C at once.
        if is_whole and options.method != "copy":
            moved = _moved(options, sqs, queue, target, interrupt.check)
            if moved is not None:
                rest = leftover(sqs, queue, seen=moved, kept=0)
                result = {"method": "move", "sent": moved, **asdict(rest)}
                _tell(options, result, [f"{counted(moved, 'letter')} moved by SQS to {target}.", *rest.notes()])
                return FAILED if rest else DONE
        return _copied(options, sqs, queue, target, interrupt.check)


def _moved(
    options: argparse.Namespace, sqs: Any, queue: DeadLetterQueue, target: str, check: Callable[[], None]
) -> int | None:
    """How many letters SQS has moved; None where it does not."""
    try:
        with progress("moved by SQS", queue.letters or None, "letters") as told:
            arn = arn_of(sqs, target)
            return move(sqs, queue.arn, arn, rate=options.rate, wait=time.sleep, check=check, show=told)
    except CannotMove as reason:
        if options.method == "move":
            raise CommandError(f"SQS does not move these letters ({reason}); --method copy sends each") from None
        say(f"SQS does not move these letters itself ({reason}); each is received, sent and deleted instead.")
        return None


def _copied(
    options: argparse.Namespace, sqs: Any, queue: DeadLetterQueue, target: str, check: Callable[[], None]
) -> int:
    edited = Edited(Path(options.edited)) if options.edited else None
    through = Through(options.through) if options.through else unchanged
    selects, rest = Selection(options.code), Leftover()
    redrive = Redrive(
        sqs,
        target,
        clock=time.monotonic,
        wait=threading.Event().wait,
        chance=random.random,
        selects=selects,
        change=through if edited is None else edited,
        rate=options.rate or math.inf,
    )
    try:
        with (
            Holding(sqs, queue.url, visibility=LONG, limit=options.limit, check=check) as holding,
            progress("sent again", queue.letters or None, "letters") as told,
        ):
            redrive.run(holding, told)
        if not options.limit and edited is None:
            sent = redrive.result
            gone = sent.sent - sent.undeleted
            rest = leftover(sqs, queue, seen=holding.seen - sent.again, kept=holding.seen - gone)
    finally:
        result = redrive.result
        _tell(
            options,
            {"method": "copy", **asdict(result), **asdict(rest)},
            [f"{result.sent:>8,}  {plural(result.sent, 'letter')} sent to {target}", *_notes(result), *rest.notes()],
        )
    unsent = 0 if edited is None or options.code or options.limit else len(edited) - result.sent
    if unsent:
        say(f"Not given by the queue, and so not sent: {counted(unsent, 'letter')} of {options.edited}.")
    unknown = list(selects.unknown())
    say(*unknown)
    return DONE if result.is_good and not (unsent or rest or unknown) else FAILED


def _notes(result: Sent) -> Iterator[str]:
    notes = (
        (result.left, "left where they are: not chosen"),
        (result.behind, "or more left behind an earlier one of their group"),
        (result.again, "sent, and dead-lettered once more meanwhile"),
        (result.undeleted, "of those sent could not be deleted: a further redrive would send them twice"),
        *((count, f"not taken by the queue: {code}") for code, count in sorted(result.failures.items())),
    )
    return (f"{count:>8,}  {text}" for count, text in notes if count)


def purge(options: argparse.Namespace) -> int:
    """Delete letters; returns the exit status."""
    sqs = sqs_client(options)
    queue = dead_letter_queue(options, sqs)
    if not _is_confirmed(options, f"Delete {_which(options, queue)} of {queue.url} for good?"):
        return FAILED
    if not options.code:
        sqs.purge_queue(QueueUrl=queue.url)
        _tell(options, {"purged": queue.letters}, ["Purged; SQS takes up to a minute."])
        return DONE
    selects, deleted, undeleted = Selection(options.code), 0, 0
    with Interrupt() as interrupt, Holding(sqs, queue.url, visibility=LONG, check=interrupt.check) as holding:
        for batch in holding.batches():
            chosen = [letter.id for letter in batch if selects(letter)]
            left = holding.delete(chosen)
            deleted, undeleted = deleted + len(chosen) - len(left), undeleted + len(left)
    kept = holding.seen - deleted
    rest = leftover(sqs, queue, seen=holding.seen, kept=kept)
    lines = [f"{counted(deleted, 'letter')} deleted, {kept:,} kept.", *rest.notes()]
    _tell(options, {"purged": deleted, "kept": kept, **asdict(rest)}, lines)
    unknown = list(selects.unknown()) if selects.has_seen else []
    say(*unknown)
    return FAILED if undeleted or rest or unknown else DONE


def _which(options: argparse.Namespace, queue: DeadLetterQueue) -> str:
    about = f"about {counted(queue.letters, 'dead letter')}"
    return f"those with {' or '.join(options.code)} of {about}" if options.code else about


def _is_confirmed(options: argparse.Namespace, question: str) -> bool:
    """Raises `UsageError` where nobody can be asked."""
    if options.yes:
        return True
    if not sys.stdin.isatty():
        raise UsageError("this needs --yes where nobody can be asked")
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() in ("y", "yes"):
        return True
    say("Nothing was done.")
    return False


def _tell(options: argparse.Namespace, result: dict[str, Any], lines: list[str]) -> None:
    if options.json:
        put_out_json(result)
    else:
        put_out(*lines)
