"""Compare the table with a file that was sent: every item whole, numbers by value, sets without order.

Of several records with one key the last one counts. What seems missing or different is read once more with strong
consistency before it is called so. Values are not printed unless asked for."""

from __future__ import annotations

import argparse
import math
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from msgspec.structs import replace

from sluice.arguments import positive, real, whole
from sluice.cli import (
    DONE,
    FAILED,
    UsageError,
    add_aws_options,
    add_json_option,
    client,
    counted,
    progress,
    put_out,
    put_out_json,
    say,
)

_EXAMPLES = """examples:
  sluice verify orders.csv --table-name orders --types total=N
  sluice verify orders.csv --table-name orders --infer --keys-only
  sluice verify operations.jsonl.gz --function MyFunction --max-read-units 500 --json
  sluice verify s3://bucket/exports/01693-1/ --table-name orders --sample 1%
  produce | sluice verify - --input items --table-name orders

Use the same input options as for `sluice send`. Deletes are expected to be gone; updates and conditional writes cannot
be compared and are counted as such. Read units: half a unit for each item and 4 KB; with --consistent a whole one.
Exit status: 0 all equal, 1 something is missing, different, not deleted, rejected or could not be read, or nothing
could be compared, 2 usage."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    from sluice.send.options import add_input_options

    parser.epilog = _EXAMPLES
    add_input_options(parser)
    group = parser.add_argument_group("table")
    source = group.add_mutually_exclusive_group(required=True)
    source.add_argument("--table-name", metavar="NAME", help="the table that the file was sent to")
    source.add_argument("--function", metavar="NAME", help="the tables of this deployed function")
    group.add_argument(
        "--version-attribute", metavar="NAME", help="where the newest version wins: the attribute (with --table-name)"
    )
    reading = parser.add_argument_group("reading")
    reading.add_argument("--keys-only", action="store_true", help="look only whether each item is there")
    reading.add_argument(
        "--sample",
        type=_part,
        default=1.0,
        metavar="PERCENT",
        help="compare about so many percent of all keys, always the same ones; every record of a key, or none",
    )
    reading.add_argument("--consistent", action="store_true", help="read everything with strong consistency")
    reading.add_argument(
        "--max-read-units",
        type=positive("read units per second"),
        default=math.inf,
        metavar="N",
        help="read units per second (default: no limit)",
    )
    reading.add_argument("--connections", type=whole(1, 100), default=8, metavar="N", help="calls at once (default: 8)")
    told = parser.add_argument_group("report")
    told.add_argument(
        "--examples", type=whole(0, 10_000), default=5, metavar="N", help="so many of each kind (default: 5)"
    )
    told.add_argument("--show-values", action="store_true", help="print keys and values of examples, too")
    add_aws_options(parser)
    add_json_option(parser)
    parser.set_defaults(key=None)


def run(options: argparse.Namespace) -> int:
    """Verify; returns the exit status."""
    from sluice.send.inputs import inputs_of
    from sluice.send.target import tables

    from .expected import Expectations
    from .report import as_json, lines
    from .table import Budget, TableReader
    from .verifying import Verification

    found = tables(options)
    if not found:
        raise UsageError("--table-name and --function must not be empty")
    if options.version_attribute and options.function:
        raise UsageError("--version-attribute goes with --table-name: a function says itself which table has one")
    if options.version_attribute:
        found = tuple(replace(one, version=options.version_attribute) for one in found)
    if options.table is not None and options.function and options.table not in _names(found):
        raise UsageError(f"function {options.function} knows no table {options.table!r}")
    inputs = inputs_of(options, {attribute.name: attribute.type for attribute in _default(found, options).key})
    say(*inputs.description(), f"Comparing with {', '.join(one.name for one in found)}.")
    stopping = threading.Event()
    dynamodb = client(options, "dynamodb", connections=options.connections)
    budget = Budget(options.max_read_units, time.monotonic, stopping.wait)
    with ThreadPoolExecutor(options.connections) as executor, progress("compared", inputs.size(), "B") as show:
        verification = Verification(
            expectations=Expectations(found, options.format, options.region),
            reader=TableReader(dynamodb, budget, stopping.wait, random.random, options.keys_only),
            executor=executor,
            connections=options.connections,
            consistent=options.consistent,
            sample=options.sample,
            show=lambda record, count: show(inputs.done(record.end), counted(count, "record")),
        )
        try:
            result = verification.run(inputs.records(), options.examples)
        finally:
            stopping.set()
            executor.shutdown(wait=True, cancel_futures=True)
    if options.json:
        put_out_json(as_json(result, inputs, options))
    else:
        put_out(*lines(result, inputs, options))
    return DONE if result.is_good else FAILED


def _part(text: str) -> float:
    """Percent, as a part of one."""
    is_right = real("a number of percent over 0, up to 100", lambda value: 0 < value <= 100)
    return is_right(text.removesuffix("%")) / 100


def _names(tables: Any) -> set[str]:
    return {name for table in tables for name in (table.alias, table.name)}


def _default(tables: Any, options: argparse.Namespace) -> Any:
    """The table that the records go to, whose key types a CSV file's columns have."""
    return next((one for one in tables if options.table in (one.alias, one.name)), tables[0])
