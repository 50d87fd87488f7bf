"""`make demo`: deploys Sluice to a local AWS, sends real records through it and proves that all have arrived."""

from __future__ import annotations

import argparse
import fcntl
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from sluice import terminal
from sluice.arguments import tcp_port, whole
from sluice.interrupt import Interrupt, Interrupted
from sluice.local.sources import ROOT

STATE = ROOT / ".demo"
"""Everything that the demo leaves behind is in here."""
COLUMN = 66
"""Of the seconds that a step took."""
SETTINGS = {
    "partitionKey": "origin:S",
    "sortKey": "time_hour:S",
    "tableRemoval": "destroy",
    # The demo packs 100 records into a message: 2,000 for an invocation, soon gathered.
    "batchSize": "20",
    "batchingWindow": "1",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; returns the exit status: 0 if every record arrived, 1 if not, 130 after Ctrl-C."""
    terminal.prepare()
    options = _parser().parse_args(arguments)
    with Interrupt() as interrupt:
        # Imported here, for boto3 takes a while, and Ctrl-C has to end the program quietly during that, too.
        from botocore.exceptions import BotoCoreError, ClientError

        from sluice.local.aws import LocalError

        try:
            with _only_one(STATE):
                return _demo(options.records, options.port, interrupt.check)
        except Interrupted as stop:
            _say(f"\nStopped ({stop}); every process that the demo had started has ended.")
            return stop.exit_status
        except LocalError as error:
            return _fail(str(error))
        except (BotoCoreError, ClientError) as error:
            return _fail(f"The local AWS does not answer as it should: {error} (its log: {STATE}/run/moto.log)")


def _demo(records: int | None, port: int | None, check: Callable[[], None]) -> int:
    from sluice.local.aws import local_aws
    from sluice.local.deploy import Cdk, cdk_command, disable, found

    from . import summary, weather
    from .ingest import ENVIRONMENTS, Ingest, write_units
    from .readback import read_back

    cdk_command()  # Raises at once where it is not installed.
    directory = STATE / "run"
    items = weather.read()[:records]
    messages = list(weather.messages(items, weather.bad_records()))
    total = sum(message.records for message in messages)
    _say(f"{total:,} records: {len(items):,} of New York's weather in 2013 and {total - len(items)} that are broken")
    with ExitStack() as parts:
        with _step("Starting a local AWS (moto) on 127.0.0.1"):
            aws = parts.enter_context(local_aws(directory, port, check))
        cdk = Cdk(aws, directory, STATE, check, _say_meanwhile)
        with _step("Preparing it (cdk bootstrap)"):
            cdk.bootstrap(SETTINGS)
        with _step("Deploying queue, function and table (cdk deploy)"):
            outputs = cdk.deploy(SETTINGS)
        with _step("Looking at what is deployed"):
            deployment = found(aws, outputs, weather.KEYS, directory / "function")
            disable(aws, deployment)
            check()
        ingest = parts.enter_context(Ingest(aws, deployment, directory, check))
        bundle = f"{deployment.bundle_bytes / 1e6:.1f} MB for {deployment.runtime}"
        bundle += f"; {', '.join(deployment.native)} from this Python" if deployment.native else ""
        with _step(f"Starting {ENVIRONMENTS} processes of the deployed function"):
            _say_meanwhile(bundle)
            ingest.start_function()
        with _progress("Records in the table", len(items)) as on_progress:
            result = ingest.run(messages, on_progress)
        with _progress("Records read back", len(items)) as on_progress:
            table = read_back(
                aws.client("dynamodb"),
                outputs.table_name,
                items,
                list(weather.KEYS),
                check=check,
                on_progress=on_progress,
            )
    width = shutil.get_terminal_size((summary.MAX_WIDTH, 24)).columns
    _say("", *summary.lines(result, table, write_units(items), width))
    return 0 if summary.is_accounted_for(result, table) else 1


@contextmanager
def _only_one(state: Path) -> Iterator[None]:
    """Have `state` to oneself, with an empty `run` in it; raises `LocalError` while another demo has it."""
    from sluice.local.aws import LocalError

    state.mkdir(exist_ok=True)
    with (state / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LocalError("Another demo is running in this directory; wait for its end.") from None
        shutil.rmtree(state / "run", ignore_errors=True)
        (state / "run").mkdir()
        yield


@contextmanager
def _step(what: str) -> Iterator[None]:
    """Say what is being done, and how many seconds it took."""
    sys.stdout.write(f"  {what:<{COLUMN}}")
    sys.stdout.flush()
    start = time.monotonic()
    try:
        yield
    except BaseException:
        _say("")
        raise
    _say(f"{time.monotonic() - start:5.1f} s")


def _say_meanwhile(what: str) -> None:
    """Say on a line of its own, within a step, what takes long in it; the seconds stand behind the last line."""
    sys.stdout.write(f"\n    {what:<{COLUMN - 2}}")
    sys.stdout.flush()


@contextmanager
def _progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar that is told how many there are by now; every fifth as a line where nobody watches a terminal."""
    if not terminal.can_redraw(sys.stdout):
        yield _lines_of_progress(what, total)
        return
    from tqdm import tqdm

    layout = "  {desc} |{bar:24}| {n_fmt}/{total_fmt}  {rate_fmt}"
    with tqdm(total=total, desc=f"{what:<20}", bar_format=layout, unit=" records", file=sys.stdout) as bar:

        def show(count: int) -> None:
            bar.update(count - bar.n)

        yield show


def _lines_of_progress(what: str, total: int) -> Callable[[int], None]:
    said = 0

    def show(count: int) -> None:
        nonlocal said
        if count * 5 // total > said:
            said = count * 5 // total
            _say(f"  {what:<20} {count:>6,} of {total:,}")

    return show


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sluice.local.demo",
        description="Deploy Sluice to a local AWS on this machine, send real records through the deployed function"
        " and read every one back from the table. Needs no AWS account and no Docker.",
        epilog="Exit status: 0 every record is accounted for, 1 not so or the demo could not run, 2 usage,"
        " 130 stopped by Ctrl-C. Logs are left in .demo/run.",
    )
    parser.add_argument("--records", type=whole(1), metavar="N", help="send only the first N records (default: all)")
    parser.add_argument("--port", type=tcp_port, help="port of the local AWS (default: any free one)")
    return parser


def _say(*lines: str) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


def _fail(sentence: str) -> int:
    sys.stderr.write(f"{sentence}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
