"""Look at dead letters, keep them, send them again, or throw them away.

A dead letter is a message that the function could never write, with the reason in its attributes (ErrorCode,
ErrorMessage), or one that SQS itself moved after too many receives; the latter has no code and is called `none`."""

from __future__ import annotations

import argparse
from typing import Any

from sluice.arguments import whole
from sluice.cli import add_aws_options, add_json_option, say

SHOWN = 1000
"""Letters that `show` looks at unless it is told another number."""
_EXAMPLES = """examples:
  sluice dlq show --queue-url "$QUEUE_URL"
  sluice dlq export letters.jsonl --queue-url "$QUEUE_URL"
  sluice dlq redrive --queue-url "$QUEUE_URL"
  sluice dlq redrive --queue-url "$QUEUE_URL" --code MissingKey --through ./repair.py --rate 50
  sluice dlq redrive --queue-url "$QUEUE_URL" --from letters.jsonl --yes
  sluice dlq purge --queue-url "$QUEUE_URL" --code UnknownOperation

`sluice dlq show --help` and so on show the options of each.
Exit status: 0 done, 1 not all could be done, 2 usage, 130 stopped by Ctrl-C."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.epilog = _EXAMPLES
    actions = parser.add_subparsers(dest="action", metavar="show|export|redrive|purge")

    show = _action(actions, "show", "count them by code and message, with ages and examples; nothing is changed")
    show.add_argument("--limit", type=whole(1), default=SHOWN, metavar="N", help=f"look at so many (default: {SHOWN})")
    show.add_argument("--examples", type=whole(1), default=1, metavar="N", help="of each message (default: 1)")
    show.add_argument("--show-values", action="store_true", help="print the bodies of examples, too")

    export = _action(actions, "export", "write them to a file, one JSON object a line; they stay in the queue")
    export.add_argument("file", metavar="FILE", help="a new file, or `-` for standard output")
    export.add_argument("--code", action="append", metavar="CODE", help="only with this ErrorCode (may be repeated)")
    export.add_argument("--limit", type=whole(1), metavar="N", help="look at so many letters at most (default: all)")

    redrive = _action(actions, "redrive", "send them to the queue again")
    redrive.add_argument("--code", action="append", metavar="CODE", help="only with this ErrorCode (may be repeated)")
    change = redrive.add_mutually_exclusive_group()
    change.add_argument(
        "--through",
        metavar="COMMAND",
        help="a shell command that reads lines of an export and writes those to be sent, with another Body perhaps;"
        " letters that it leaves out stay",
    )
    change.add_argument("--from", dest="edited", metavar="FILE", help="an export, edited; letters not in it stay")
    redrive.add_argument("--rate", type=whole(1), metavar="N", help="at most so many a second")
    redrive.add_argument("--limit", type=whole(1), metavar="N", help="look at so many letters at most (default: all)")
    redrive.add_argument(
        "--method",
        choices=("auto", "move", "copy"),
        default="auto",
        help="let SQS move them (all, and unchanged); or receive, send and delete each, without the attributes that"
        " hold the old reason (default: by SQS where that is possible)",
    )
    redrive.add_argument("--yes", action="store_true", help="do not ask")

    purge = _action(actions, "purge", "delete them for good")
    purge.add_argument("--code", action="append", metavar="CODE", help="only with this ErrorCode (may be repeated)")
    purge.add_argument("--yes", action="store_true", help="do not ask")


def _action(actions: Any, name: str, summary: str) -> argparse.ArgumentParser:
    from .queues import add_queue_options

    parser: argparse.ArgumentParser = actions.add_parser(
        name,
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_queue_options(parser)
    add_aws_options(parser)
    add_json_option(parser)
    return parser


def run(options: argparse.Namespace) -> int:
    """Do what is asked for; returns the exit status."""
    from sluice.interrupt import Interrupted

    from .looking import export, show
    from .removing import purge, redrive

    try:
        return {"show": show, "export": export, "redrive": redrive, "purge": purge}[options.action](options)
    except Interrupted as stop:
        say(f"Stopped ({stop}). Letters that were not done stay where they were.")
        return stop.exit_status
