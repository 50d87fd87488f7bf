"""A local AWS with the deployed stack, that keeps running in the background until it is told to stop.

Queue, function and table are those that `cdk deploy` makes, on moto; the deployed bundle runs under AWS's own runtime
client. Nothing leaves this machine, and no AWS account is needed."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from sluice.arguments import positive, tcp_port, whole
from sluice.cli import add_json_option

_EXAMPLES = """examples:
  eval "$(sluice local up)"                    # and AWS commands in this shell go to it
  sluice local up --key customer:S,time:N --write-units 500
  sluice local up --faults hostile
  sluice send orders.csv --queue-url "$QUEUE_URL" --table-name "$TABLE_NAME"
  sluice local wait && sluice verify orders.csv --table-name "$TABLE_NAME"
  sluice local watch
  sluice local logs --follow
  sluice local down --all

Exit status: 0 done, 1 it is not running or could not be started, 2 usage."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    from sluice.local.faults.profiles import PROFILES

    parser.epilog = _EXAMPLES
    actions = parser.add_subparsers(dest="action", metavar="up|down|status|wait|env|watch|logs")

    up = _action(actions, "up", "start it, and print the variables that lead to it")
    up.add_argument("--key", type=_keys, metavar="NAME:TYPE[,…]", help="of the table (pk:S)")
    up.add_argument(
        "--set", action="append", default=[], type=_setting, metavar="NAME=VALUE", help="a setting of the stack"
    )
    up.add_argument("--port", type=tcp_port, help="where it answers (default: any free port)")
    up.add_argument("--faults", choices=PROFILES, help="let the table fail like this (default: calm)")
    up.add_argument(
        "--write-units", type=positive("write units"), metavar="N", help="write units per second that the table takes"
    )
    up.add_argument("--seed", type=int, metavar="N", help="same seed, same faults (default: 1)")
    up.add_argument("--foreground", action="store_true", help="watch it, and stop it on Ctrl-C")

    down = _action(actions, "down", "stop it, and throw its data away")
    down.add_argument("--all", action="store_true", help="and what it keeps on disk to start faster the next time")
    _action(actions, "status", "what is in its queues and its table")
    wait = _action(actions, "wait", "wait until nothing is in its queue any more")
    wait.add_argument(
        "--timeout", type=positive("seconds"), default=300.0, metavar="SECONDS", help="give up after (default: 300)"
    )
    _action(actions, "env", "print the variables that lead to it, for a shell")
    _action(actions, "watch", "throughput, backlog, throttles and dead letters on the terminal")
    logs = _action(actions, "logs", "the end of its logs")
    logs.add_argument(
        "name", nargs="?", default="function", choices=("function", "moto", "cdk", "keeper"), help="(default: function)"
    )
    logs.add_argument("-n", "--lines", type=whole(0), default=20, metavar="N", help="of each log (default: 20)")
    logs.add_argument("--follow", action="store_true", help="go on as they grow")


def _action(actions: Any, name: str, summary: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(
        name, help=summary, description=summary[0].upper() + summary[1:] + "."
    )
    parser.add_argument(
        "--directory",
        type=Path,
        metavar="DIR",
        help="where it keeps its files (default: SLUICE_LOCAL_DIRECTORY, else .sluice-local of the project)",
    )
    add_json_option(parser, lines=name in ("watch", "logs"))
    return parser


def run(options: argparse.Namespace) -> int:
    """Do what is asked for; returns the exit status."""
    from . import actions
    from .place import DEFAULT, Place

    place = Place((options.directory or DEFAULT).absolute())
    named: dict[str, Any] = {
        "up": actions.up,
        "down": actions.down,
        "status": actions.status,
        "wait": actions.wait,
        "env": actions.env,
        "watch": actions.watch,
        "logs": actions.logs,
    }
    return int(named[options.action](options, place))


def _keys(text: str) -> dict[str, str]:
    keys = {}
    for part in text.split(","):
        name, colon, kind = part.rpartition(":")
        if not colon or not name or kind not in ("S", "N", "B"):
            raise argparse.ArgumentTypeError(f"must be NAME:TYPE with a type of S, N or B, got {part!r}")
        keys[name] = kind
    if len(keys) > 2:
        raise argparse.ArgumentTypeError(f"a partition key and perhaps a sort key, got {text!r}")
    return keys


def _setting(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise argparse.ArgumentTypeError(f"must be NAME=VALUE, got {text!r}")
    if name in ("partitionKey", "sortKey", "tables", "existingTable", "stackName", "stage"):
        raise argparse.ArgumentTypeError(f"{name} is not for a playground; the key is set by --key")
    return name, value
