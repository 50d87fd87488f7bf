"""Compare the table with a file that was sent: every item whole, numbers by value, sets without order.

Of several records with one key the last one counts. What seems missing or different is read once more with strong
consistency before it is called so. Values are not printed unless asked for."""

from __future__ import annotations

import argparse
import json
import math
import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from sluice.arguments import positive, whole
from sluice.cli import (
    DONE,
    FAILED,
    UsageError,
    add_aws_options,
    add_json_option,
    client,
    counted,
    plural,
    progress,
    put_out,
    put_out_json,
    say,
)

_EXAMPLES = """examples:
  sluice verify orders.csv --table-name orders --types total=N
  sluice verify orders.csv --table-name orders --infer --keys-only
  sluice verify operations.jsonl.gz --function MyFunction --max-read-units 500 --json
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
    reading = parser.add_argument_group("reading")
    reading.add_argument("--keys-only", action="store_true", help="look only whether each item is there")
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
    from .table import Budget, TableReader
    from .verifying import Verification

    found = tables(options)
    if not found:
        raise UsageError("--table-name and --function must not be empty")
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
            show=lambda record, count: show(inputs.done(record.end), counted(count, "record")),
        )
        try:
            result = verification.run(inputs.records(), options.examples)
        finally:
            stopping.set()
            executor.shutdown(wait=True, cancel_futures=True)
    if options.json:
        put_out_json(_as_json(result, options))
    else:
        put_out(*_lines(result, options))
    return DONE if result.is_good else FAILED


def _names(tables: Any) -> set[str]:
    return {name for table in tables for name in (table.alias, table.name)}


def _default(tables: Any, options: argparse.Namespace) -> Any:
    """The table that the records go to, whose key types a CSV file's columns have."""
    return next((one for one in tables if options.table in (one.alias, one.name)), tables[0])


def _lines(result: Any, options: argparse.Namespace) -> Iterator[str]:
    from .comparison import Outcome

    rejected, equal = result.rejected - result.unreadable, result.count(Outcome.EQUAL, Outcome.ABSENT)
    unreadable, superseded = result.unreadable.total(), result.totals.superseded
    codes = {"unreadable": result.unreadable, "rejected": rejected}
    rows = {
        "equal": (equal, "there" if options.keys_only else plural(equal, "item")),
        "newer": (result.count(Outcome.NEWER), "the table holds a newer version, as it should"),
        "missing": (result.count(Outcome.MISSING), ""),
        "different": (result.count(Outcome.DIFFERENT), ""),
        "not deleted": (result.count(Outcome.UNDELETED), ""),
        "unreadable": (
            unreadable,
            f"{plural(unreadable, 'row')} of the file that could not be read, and so not compared",
        ),
        "rejected": (rejected.total(), "not in the table: the function rejects them"),
        "not compared": (result.count(Outcome.UNCOMPARED), "updates and conditional writes, whose result is not known"),
        "superseded": (superseded, f"{plural(superseded, 'record')}, by a later one of the same key"),
    }
    always = {"equal", "missing", "different"}
    for name, (count, text) in rows.items():
        if count or name in always:
            yield f"{name:<12} {count:>12,}  {text}".rstrip()
        for mismatch in result.examples:
            if _NAMES[mismatch.outcome] == name:
                yield from _example(mismatch, options.show_values)
        yield from (f"{'':<12} {number:>12,}  {code}" for code, number in sorted(codes.get(name, {}).items()))


_NAMES = {1: "missing", 2: "different", 3: "not deleted"}


def _example(mismatch: Any, shows_values: bool) -> Iterator[str]:
    yield f"{'':<27}line {mismatch.line:,}{_differing(mismatch)}"
    if shows_values:
        for name, value in (("key", mismatch.key), ("file", mismatch.expected), ("table", mismatch.stored)):
            if value is not None:
                yield f"{'':<29}{name:<6}{_shown(value)}"


def _differing(mismatch: Any) -> str:
    if mismatch.difference is None:
        return ""
    parts = {
        "": mismatch.difference.changed,
        "not in the table: ": mismatch.difference.missing,
        "only in the table: ": mismatch.difference.added,
    }
    return ": " + "; ".join(f"{what}{', '.join(map(_name, names))}" for what, names in parts.items() if names)


def _name(name: str) -> str:
    return repr(name)[1:-1][:60]


def _shown(item: Any) -> str:
    text = json.dumps(item, default=_plain, ensure_ascii=False)
    return text if len(text) <= 300 else f"{text[:300]}…"


def _plain(value: Any) -> str:
    import base64

    return base64.b64encode(bytes(value)).decode()


def _as_json(result: Any, options: argparse.Namespace) -> dict[str, Any]:
    from .comparison import Outcome

    return {
        "file": options.files[0],
        "keys_only": options.keys_only,
        "records": result.records,
        "equal": result.count(Outcome.EQUAL, Outcome.ABSENT),
        "newer": result.count(Outcome.NEWER),
        "missing": result.count(Outcome.MISSING),
        "different": result.count(Outcome.DIFFERENT),
        "not_deleted": result.count(Outcome.UNDELETED),
        "not_compared": result.count(Outcome.UNCOMPARED),
        "rejected": dict(result.rejected),
        "unreadable": dict(result.unreadable),
        "superseded": result.totals.superseded,
        "all_equal": result.is_good,
        "examples": [_example_as_json(mismatch, options.show_values) for mismatch in result.examples],
    }


def _example_as_json(mismatch: Any, shows_values: bool) -> dict[str, Any]:
    difference = mismatch.difference
    example: dict[str, Any] = {"line": mismatch.line, "outcome": _NAMES[mismatch.outcome]}
    if difference is not None:
        example |= {
            "changed": difference.changed,
            "not_in_table": difference.missing,
            "only_in_table": difference.added,
        }
    if shows_values:
        values = {"key": mismatch.key, "file": mismatch.expected, "table": mismatch.stored}
        example |= json.loads(json.dumps(values, default=_plain))
    return example
