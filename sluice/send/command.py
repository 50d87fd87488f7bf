"""Send a file of records to the queue, many to a message.

Every record is checked by the function's own rules first; bad ones go to FILE.rejected.jsonl with line and ErrorCode.
A send that was interrupted goes on with --resume where the last message that the queue accepted ended."""

from __future__ import annotations

import argparse
import select

from sluice.arguments import positive, whole
from sluice.cli import CommandError, UsageError, add_aws_options, add_json_option, client, say
from sluice.sending.outbox import BILLED_BYTES, MAX_BYTES
from sluice.sending.region import region_of

from .inputs import inputs_of
from .options import add_input_options
from .packing import StoppedAtError
from .resume import alone
from .run import Send
from .source import ReadError
from .target import Target, add_table_options, queue, tables

_NO_TABLES = (
    "Keys and item sizes are not checked, as the table is not known: --function, --table-name or --key would tell it."
)

_EXAMPLES = """examples:
  sluice send orders.jsonl --queue-url "$QUEUE_URL" --table-name orders
  sluice send orders.csv --queue-url "$QUEUE_URL" --key pk:S --types total=N,paid=BOOL
  sluice send orders.csv --queue-url "$QUEUE_URL" --key pk:S --infer --dry-run
  sluice send orders.csv --queue-url "$QUEUE_URL" --key pk:S --resume
  sluice send orders-1.csv orders-2.csv 'more/*.csv.gz' --queue-url "$QUEUE_URL" --key pk:S
  sluice send s3://bucket/AWSDynamoDB/01693-1/manifest-summary.json --queue-url "$QUEUE_URL" --function MyFunction
  aws dynamodb scan --table-name orders | sluice send - --queue-url "$QUEUE_URL" --key pk:S --max-write-units 500
  sluice send events.jsonl --queue-url "$FIFO_QUEUE_URL" --group-by customer
  sluice send snapshot.jsonl --changed-only --table-name orders
  produce | sluice send - --input operations --queue-url "$QUEUE_URL"

Exit status: 0 everything was accepted by the queue, 1 not everything, 2 usage, 130 stopped by Ctrl-C."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.epilog = _EXAMPLES
    add_input_options(parser)
    parser.add_argument("--queue-url", metavar="URL", help="the queue; needed unless --dry-run or --changed-only")
    parser.add_argument(
        "--changed-only",
        action="store_true",
        help="write into the table itself, without a queue, and leave what stands there already (docs/unchanged.md)",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="read, check and pack; send nothing and leave no journal"
    )
    parser.add_argument("--limit", type=whole(1), metavar="N", help="stop after so many records; --resume goes on")
    add_table_options(parser)
    parser.add_argument("--stop-on-rejected", action="store_true", help="end at the first record that is rejected")
    group = parser.add_argument_group("messages")
    group.add_argument(
        "--message-size",
        type=whole(1024, MAX_BYTES),
        default=BILLED_BYTES,
        metavar="BYTES",
        help="fill messages up to so many bytes (default: 65536, which SQS bills as one request)",
    )
    group.add_argument("--group-by", metavar="ATTRIBUTE", help="the attribute whose value is the message group")
    group.add_argument("--group", metavar="NAME", help="one message group for the whole file")
    group.add_argument("--connections", type=whole(1, 100), default=8, metavar="N", help="calls at once (default: 8)")
    rates = parser.add_argument_group("rate")
    one = rates.add_mutually_exclusive_group()
    one.add_argument("--rate", type=positive("records per second"), metavar="N", help="records per second")
    one.add_argument(
        "--max-write-units",
        type=positive("write units per second"),
        metavar="N",
        help="write units per second that the records take: one for each started KB of a record's JSON",
    )
    again = parser.add_argument_group("after an interruption")
    again.add_argument("--resume", action="store_true", help="go on where the last accepted message ended")
    again.add_argument("--restart", action="store_true", help="send all again although an earlier send is unfinished")
    again.add_argument("--no-journal", action="store_true", help="note nothing beside FILE; no --resume later")
    add_aws_options(parser)
    add_json_option(parser)


def run(options: argparse.Namespace) -> int:
    """Send; returns the exit status."""
    from sluice.interrupt import Interrupt, Interrupted

    if options.changed_only:
        _check_changed_only(options)
    elif not options.queue_url and not options.dry_run:
        raise UsageError("--queue-url is required, unless with --dry-run or --changed-only")
    if options.resume and (options.restart or options.no_journal):
        raise UsageError("--resume goes with neither --restart nor --no-journal")
    options.region = options.region or region_of(options.queue_url or "")
    service = "dynamodb" if options.changed_only else "sqs"
    to = None if options.dry_run else client(options, service, connections=options.connections, attempts=1)
    is_fifo, most_bytes = (False, MAX_BYTES) if to is None or options.changed_only else queue(options, to)
    target = Target(tables(options), is_fifo, most_bytes)
    _check_groups(options, target)
    inputs = inputs_of(options, target.key_types(options.table))
    say(*inputs.description())
    if not target.tables:
        say(_NO_TABLES)
    with Interrupt() as interrupt, alone(inputs):
        send = Send(options, inputs, target, to, interrupt.check)
        try:
            return send.run()
        except Interrupted as stop:
            say(f"Stopped ({stop}). {send.advice()}")
            return stop.exit_status
        except StoppedAtError as error:
            file = "" if len(inputs) == 1 else f"{inputs.name_at(error.rejected.end)} "
            raise CommandError(
                f"{file}{error}. {send.advice()} Without --stop-on-rejected it leaves this one out."
            ) from None
        except CommandError as error:
            is_damaged = isinstance(error, ReadError)
            raise CommandError(f"{str(error).rstrip('.')}. {send.advice(is_damaged=is_damaged)}") from None


def _check_changed_only(options: argparse.Namespace) -> None:
    if options.queue_url or options.group or options.group_by:
        raise UsageError("--changed-only writes into the table itself, without --queue-url, --group and --group-by")
    if not (options.table_name or options.function):
        raise UsageError("--changed-only needs to know the table: --table-name NAME, or --function NAME")
    if not hasattr(select, "poll"):
        raise UsageError("--changed-only needs POSIX: send to a queue whose table has skipUnchanged instead")


def _check_groups(options: argparse.Namespace, target: Target) -> None:
    if options.group and options.group_by:
        raise UsageError("--group and --group-by exclude each other")
    if target.is_fifo and not (options.group or options.group_by):
        raise UsageError("a FIFO queue needs --group-by ATTRIBUTE, or --group NAME for the whole file")
