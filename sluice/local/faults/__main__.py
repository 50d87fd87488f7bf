"""`python -m sluice.local.faults`: the injector by itself, in front of a DynamoDB endpoint."""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
from collections.abc import Sequence

from sluice import terminal
from sluice.arguments import positive, whole
from sluice.interrupt import Interrupt, Interrupted

from .injector import Injector
from .profiles import PROFILES
from .server import serve
from .upstream import Upstream


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until Ctrl-C; returns the exit status: 0, or 1 if the port is taken."""
    terminal.prepare()
    options = _parser().parse_args(arguments)
    profile = PROFILES[options.profile]
    if options.write_units is not None:
        profile = dataclasses.replace(profile, write_units=options.write_units)
    if options.partition_write_units is not None:
        profile = dataclasses.replace(profile, partition_write_units=options.partition_write_units)
    injector = Injector(options.upstream, profile, options.seed)
    with Interrupt() as interrupt:
        try:
            with serve(injector, options.port) as url:
                _say(
                    f"{url} → {options.upstream}, profile {options.profile}, seed {options.seed}; {url}/faults counts."
                )
                while True:
                    interrupt.check()
                    time.sleep(0.1)
        except Interrupted:
            _say(*(f"{count:8,}  {name}" for name, count in injector.counts().items()))
            return 0
        except OSError as error:
            sys.stderr.write(f"Cannot serve on port {options.port}: {error.strerror}\n")
            return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sluice.local.faults",
        description="Stand between a DynamoDB client and an endpoint (moto, DynamoDB Local), forward everything, and"
        " let writes and BatchGetItem meet the faults of a profile. Point the client here with"
        " AWS_ENDPOINT_URL_DYNAMODB.",
    )
    parser.add_argument("--upstream", type=_url, required=True, metavar="URL", help="the endpoint, http://host:port")
    parser.add_argument("--profile", choices=PROFILES, default="hostile", help="which faults (default: hostile)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="same seed, same faults (default: 1)")
    parser.add_argument("--port", type=whole(0, 65_535), default=0, help="port on 127.0.0.1 (default: any free one)")
    parser.add_argument(
        "--write-units", type=positive("write units"), metavar="N", help="write units per second of each table"
    )
    parser.add_argument(
        "--partition-write-units",
        type=positive("write units"),
        metavar="N",
        help="write units per second of each partition key",
    )
    return parser


def _url(text: str) -> str:
    try:
        Upstream(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def _say(*lines: str) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
