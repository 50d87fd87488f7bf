"""`sluice dlq show` and `export`: letters are received, looked at, and let go."""

from __future__ import annotations

import argparse
import os
import sys
import time
from contextlib import nullcontext
from typing import Any

from sluice.cli import DONE, FAILED, CommandError, UsageError, counted, plural, progress, put_out, put_out_json, say
from sluice.interrupt import Interrupt

from .holding import Holding
from .leftover import leftover
from .queues import dead_letter_queue, sqs_client
from .selection import Selection
from .summary import Summary

SHORT, LONG = 60, 900
"""Seconds for which letters are hidden from others: to look at them; to export, redrive or purge them."""


def show(options: argparse.Namespace) -> int:
    """Print what is there; returns the exit status."""
    sqs = sqs_client(options)
    queue = dead_letter_queue(options, sqs)
    summary = Summary(options.examples)
    with (
        Interrupt() as interrupt,
        Holding(sqs, queue.url, visibility=SHORT, limit=options.limit, check=interrupt.check) as holding,
        progress("looked at", min(options.limit, queue.letters) or None, "letters") as told,
    ):
        for batch in holding.batches():
            for letter in batch:
                summary.add(letter)
            told(holding.seen)
    now = time.time()
    is_sample = not holding.is_at_end or queue.hidden > 0 or summary.count < queue.letters
    if options.json:
        reasons = summary.as_json(now, shows_values=options.show_values)
        result = {"dead_letter_queue": queue.url, "about": queue.letters, "hidden": queue.hidden}
        put_out_json({**result, "looked_at": summary.count, "is_sample": is_sample, "codes": reasons})
        return DONE
    put_out(f"{queue.letters:>8,}  {plural(queue.letters, 'dead letter')}, as counted by SQS (approximately)")
    if queue.hidden:
        put_out(f"{queue.hidden:>8,}  more, hidden at the moment: somebody has received them")
    if is_sample and summary.count:
        put_out(
            f"{summary.count:>8,}  of them looked at; what follows is a sample{_why(queue, options, summary.count)}"
        )
    put_out(*summary.lines(now, shows_values=options.show_values))
    return DONE


def _why(queue: Any, options: argparse.Namespace, count: int) -> str:
    if queue.is_fifo:
        return ": a FIFO queue shows the first ten of each group at most"
    return " (--limit looks at more)" if count >= options.limit else ""


def export(options: argparse.Namespace) -> int:
    """Write letters to a file; returns the exit status."""
    sqs = sqs_client(options)
    queue = dead_letter_queue(options, sqs)
    selects = Selection(options.code)
    count = 0
    with (
        Interrupt() as interrupt,
        _opened(options.file) as file,
        Holding(sqs, queue.url, visibility=LONG, limit=options.limit, check=interrupt.check) as holding,
        progress("exported", queue.letters or None, "letters") as told,
    ):
        for batch in holding.batches():
            lines = [f"{letter.to_line()}\n".encode() for letter in batch if selects(letter)]
            file.write(b"".join(lines))
            count += len(lines)
            told(count)
        file.flush()
        if options.file != "-":
            os.fsync(file.fileno())
    if queue.is_fifo:
        say("A FIFO queue gives the first ten letters of each group at most; the rest comes once these are gone.")
    hidden = 0 if options.limit else leftover(sqs, queue, seen=holding.seen, kept=holding.seen).hidden
    if hidden:
        say(f"Not exported: about {counted(hidden, 'letter')}, hidden because somebody else has received them.")
    unknown = list(selects.unknown()) if selects.has_seen else []
    say(*unknown)
    if options.file != "-":
        result = {"file": options.file, "exported": count, "looked_at": holding.seen, "all_seen": holding.is_at_end}
        if options.json:
            put_out_json({**result, "hidden": hidden})
        else:
            seen = counted(holding.seen, "letter")
            put_out(f"{count:,} of {seen} written to {options.file}; all are still in the queue.")
    return FAILED if hidden or unknown else DONE


def _opened(name: str) -> Any:
    if name == "-":
        return nullcontext(sys.stdout.buffer)
    try:
        # Bodies are data: readable for nobody else. A file that is there may have been edited.
        return os.fdopen(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
    except FileExistsError:
        raise UsageError(f"{name} is there already; remove it, or choose another name") from None
    except OSError as error:
        raise CommandError(f"cannot write {name}: {error.strerror}") from None
