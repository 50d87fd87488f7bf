"""The command `python -m sluice.local.soak`."""

from __future__ import annotations

import argparse
import datetime
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from sluice import terminal
from sluice.arguments import real
from sluice.interrupt import Interrupt, Interrupted
from sluice.local.aws import LocalError
from sluice.local.faults.profiles import PROFILES

from .enough import wish
from .run import Plan, Soak

SECONDS, MAX_SECONDS = 60, 600
"""How long messages are sent by default, without and with `--until`."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a soak; returns the exit status: 0 if the promise was kept, 1 if not, 130 after Ctrl-C."""
    terminal.prepare()
    options = _parser().parse_args(arguments)
    wishes = dict(options.until)
    seconds = options.seconds or (MAX_SECONDS if wishes else SECONDS)
    plan = Plan(**{**vars(options), "until": wishes, "seconds": seconds})
    directory = Path(tempfile.mkdtemp(prefix="sluice-soak-"))
    with Interrupt() as interrupt:
        _say(
            f"Soak: {'FIFO queue, ' if plan.fifo else ''}profile {plan.profile}, {_length(plan)}, seed {plan.seed}"
            f" ({datetime.date.today()}, {os.cpu_count()} CPUs, {plan.workers} processes of the function)"
        )
        try:
            report = Soak(plan, directory, interrupt.check).run()
        except Interrupted as stop:
            _say(f"Stopped ({stop}); every process that the soak had started has ended.")
            shutil.rmtree(directory)
            return stop.exit_status
        except LocalError as error:
            sys.stderr.write(f"{error}\n")
            return 1
    _say(*report.lines())
    if report.verdict.is_clean and report.missing:
        _say("Nothing lost, but too little has happened; more time is given by --seconds.")
        shutil.rmtree(directory)
        return 1
    if report.verdict.is_clean:
        _say("Nothing lost, nothing acknowledged unwritten: the promise was kept.")
        shutil.rmtree(directory)
        return 0
    _say(f"The promise was NOT kept. Logs of the function and of moto: {directory}")
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sluice.local.soak",
        description="Run the real function under injected faults, SIGKILL and redelivery on a local AWS, and compare"
        " what is in the tables and on the dead-letter queue with what was sent. Needs no AWS account.",
        epilog="Exit status: 0 nothing lost, 1 something lost, or too little has happened, or the soak could not run,"
        " 2 usage, 130 Ctrl-C.",
    )
    parser.add_argument("--profile", choices=PROFILES, default="hostile", help="which faults (default: hostile)")
    parser.add_argument(
        "--seconds",
        type=_seconds,
        metavar="S",
        help=f"how long to send (default: {SECONDS}; with --until {MAX_SECONDS})",
    )
    parser.add_argument(
        "--until",
        type=wish,
        action="append",
        default=[],
        metavar="NAME=N",
        help="end before that when this has happened so often, such as kills=3 or messages=500, and fail if it has not;"
        " several are all waited for",
    )
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of messages, faults and kills (default: 1)")
    parser.add_argument(
        "--drain-seconds", type=_seconds, default=90.0, metavar="S", help="time to empty the queue (default: 90)"
    )
    parser.add_argument("--faults-to-the-end", action="store_true", help="let faults happen during that time, too")
    parser.add_argument("--fifo", action="store_true", help="a FIFO queue: the order of each message group counts")
    parser.add_argument(
        "--on-condition-failed",
        choices=("skip", "dead-letter"),
        default="skip",
        help="what the function is to do with a condition that does not hold (default: skip)",
    )
    parser.add_argument(
        "--task-root",
        type=_task_root,
        default=None,
        metavar="DIRECTORY",
        help="what holds the function's package batch_writer, such as an unpacked bundle (default: the sources)",
    )
    return parser


def _length(plan: Plan) -> str:
    wishes = [f"{times:,} {name}" for name, times in plan.until.items()]
    return f"until {', '.join(wishes)}, at most {plan.seconds:g} s" if wishes else f"{plan.seconds:g} s"


_seconds = real("a positive number of seconds, less than a day", lambda value: 0 < value < 86_400)


def _task_root(text: str) -> Path:
    root = Path(text).absolute()
    if not (root / "batch_writer").is_dir():
        raise argparse.ArgumentTypeError(f"must be a directory that holds batch_writer, got {text!r}")
    return root


def _say(*lines: str) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()
