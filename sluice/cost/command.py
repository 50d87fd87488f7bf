"""What a million records cost in US dollars, service by service, beside a Lambda function of one PutItem a message and
DynamoDB's own price. With --records also what a file of so many costs once, and whether it needs a queue at all."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import asdict
from itertools import repeat
from pathlib import Path
from typing import Any

from sluice.arguments import real, whole
from sluice.cli import DONE, UsageError, add_json_option, counted, put_out, put_out_json

from . import fixed, load, measured, prices
from .load import Load, loads
from .measured import Measured, Size
from .model import FULL_VCPU_MB
from .prices import FixedPrices, Prices, PricesError
from .report import Name, Row, assumptions, dollars, exact_name, markdown, size_name, table
from .sizes import SizeError, sized
from .unchanged import Skipping, sentences, skipping

EXAMPLES = """
examples:
  sluice cost                                        records of 0.3, 1 and 4 KB
  sluice cost --record-size 700,2500                 records of your own sizes: bytes of JSON
  sluice cost --record-size 2500 --item-size 1990    and items: a write unit more or less counts
  sluice cost --records-per-message 10               messages that are not full
  sluice cost --record-size 700 --records 50000000   a file of 50 million, loaded once: does it need a queue?
  sluice cost --fixed                                a month of the stack that nobody sends anything to
  sluice cost --fixed cdk.out/Sluice.template.json   the same, of your own settings
  sluice cost --unchanged 0.9                        nine of ten records stand in the table already: is a read cheaper?
  sluice cost --prices eu.json --json                prices of your own; see sluice/cost/prices.json
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EXAMPLES
    own = parser.add_argument_group("your workload")
    own.add_argument("--record-size", type=_sizes, metavar="BYTES[,...]", help="JSON of one record: 0.3, 1 and 4 KB")
    own.add_argument(
        "--item-size", type=_sizes, metavar="BYTES[,...]", help="each record as an item, by DynamoDB's size rule"
    )
    own.add_argument(
        "--records-per-message", type=whole(1), metavar="N", help="of packed messages; default: what fits into 64 KB"
    )
    own.add_argument("--records", type=whole(1), metavar="N", help="a file of so many that is loaded once")
    own.add_argument(
        "--unchanged",
        type=real("a share from 0 to 1", lambda value: 0 <= value <= 1),
        metavar="SHARE",
        help="of records that stand in the table already: what skipUnchanged saves",
    )
    own.add_argument("--memory", type=whole(1), default=FULL_VCPU_MB, metavar="MB", help="memory of sluice's function")
    own.add_argument(
        "--latency",
        type=real("a number of milliseconds", lambda value: 0 <= value < math.inf),
        default=5.0,
        metavar="MS",
        help="how long DynamoDB takes to answer",
    )
    parser.add_argument(
        "--fixed",
        nargs="?",
        const=fixed.STACKS,
        type=Path,
        metavar="TEMPLATE",
        help="what is paid by the month; of a template that `cdk synth` wrote, or else of the defaults",
    )
    parser.add_argument("--table-gb", type=whole(0), default=1, metavar="N", help="with --fixed: GB in the tables")
    parser.add_argument(
        "--log-gb", type=whole(0), default=1, metavar="N", help="with --fixed: GB of the function's log"
    )
    parser.add_argument("--prices", type=Path, default=prices.DEFAULT, metavar="FILE", help="a price table of your own")
    parser.add_argument(
        "--measured", type=Path, default=measured.DEFAULT, metavar="FILE", help="measurements of your own `make bench`"
    )
    add_json_option(parser)


def run(options: argparse.Namespace) -> int:
    """0. Raises `UsageError` where a file cannot be used, or no record can be of such a size."""
    if options.fixed is not None:
        return _fixed(options)
    try:
        listed = Prices.load(options.prices)
        work = _measured(options.measured)
        sizes = _chosen(work, options)
    except (PricesError, SizeError, OSError) as error:
        raise UsageError(str(error)) from None
    memory, latency = options.memory, options.latency / 1000
    rows = table(listed, Measured(work.machine, sizes), memory_mb=memory, latency=latency)
    once: list[Load] = []
    if options.records:
        once = [way for s in sizes for way in loads(listed, s, options.records, memory_mb=memory, latency=latency)]
    share = options.unchanged
    skips = [] if share is None else [skipping(s.record_bytes, s.item_bytes, share, listed) for s in sizes]
    if options.json:
        put_out_json(_json(listed, work, sizes, rows, once) | {"skip_unchanged": [asdict(each) for each in skips]})
    else:
        name = exact_name if options.record_size else size_name
        put_out(
            *("US dollars per million records.", "", markdown(rows, name), "", _sources(listed, bool(once))),
            f"Work measured: {work.machine}.",
            *assumptions(memory_mb=memory, latency=latency),
            *_own(sizes, options),
            *_skips(skips, share, name),
            *_once(once, name),
        )
    return DONE


def _fixed(options: argparse.Namespace) -> int:
    try:
        listed, paid = Prices.load(options.prices), FixedPrices.load(options.prices)
        if options.fixed == fixed.STACKS:
            counted = fixed.stacks()
        else:
            counted = {str(options.fixed): fixed.Counts.read(options.fixed)}
    except (PricesError, fixed.TemplateError, OSError) as error:
        raise UsageError(str(error)) from None
    stored = fixed.Stored(options.table_gb, options.log_gb)
    if options.json:
        per_month = fixed.as_json(counted, paid, stored)
        common = {"region": listed.region, "as_of": listed.as_of, "not_confirmed": paid.assumed}
        put_out_json({**common, "per_month": per_month})
        return DONE
    put_out(
        *("US dollars per month, whether anything is sent or not.", ""),
        *fixed.markdown(counted, paid, stored),
        "",
        f"Prices: {listed.region}, {listed.as_of}{_doubtful(paid.assumed)}.",
        *fixed.notes(),
    )
    return DONE


def _doubtful(assumed: Sequence[str]) -> str:
    return f"; not confirmed by AWS's own text: {', '.join(assumed)}" if assumed else ""


def _sizes(text: str) -> list[int]:
    return [whole(1)(part) for part in text.split(",")]


def _measured(path: Path) -> Measured:
    try:
        return Measured.load(path)
    except (ValueError, LookupError, TypeError):
        raise UsageError(f"{path} does not hold the measurements that `make bench` writes") from None


def _chosen(work: Measured, options: argparse.Namespace) -> Sequence[Size]:
    """The sizes that were measured, or those of the user's own."""
    wanted, items, packing = options.record_size, options.item_size, options.records_per_message
    if items is not None and len(items) != len(wanted or ()):
        raise UsageError("--item-size needs --record-size, and as many sizes")
    if wanted is None and packing is None:
        return work.sizes
    wanted = wanted or [size.record_bytes for size in work.sizes]
    return [sized(work, *pair) for pair in zip(wanted, repeat(packing), items or repeat(None), strict=False)]


def _sources(listed: Prices, has_load: bool) -> str:
    """Where the prices come from; of those that AWS's own text did not confirm only what was used."""
    unused = {"sqs_fifo_request"} | (set() if has_load else {"import_gb"})
    doubtful = [name for name in listed.assumed if name not in unused]
    return f"Prices: {listed.region}, {listed.as_of}{_doubtful(doubtful)}."


def _own(sizes: Sequence[Size], options: argparse.Namespace) -> list[str]:
    """What was calculated for the user's own sizes or packing."""
    if options.record_size is None and options.records_per_message is None:
        return []
    return [
        "What was not measured or given is in proportion to what was measured. A write unit is 1 KB begun of an item:",
        *(
            f"- {size.record_bytes:,} bytes of JSON: an item of about {size.item_bytes:,} bytes,"
            f" {counted(size.packed.records_per_message, 'record')} to a packed message"
            for size in sizes
        ),
    ]


def _skips(skips: Sequence[Skipping], share: float | None, name: Name) -> list[str]:
    if not skips:
        return []
    return [
        "",
        f"US dollars per million records for DynamoDB alone, {share:.0%} of which stand in the table already.",
        "",
        "| record | all written | with skipUnchanged | of that | pays from |",
        "|---|---:|---:|---:|---:|",
        *(
            f"| {name(each.record_bytes)} | {dollars(each.always)} | {dollars(each.skipping)} |"
            f" {each.skipping / each.always:.2f}x | {each.pays_from:.0%} unchanged |"
            for each in skips
        ),
        "",
        *sentences(skips),
    ]


def _once(once: Sequence[Load], name: Name) -> list[str]:
    if not once:
        return []
    rows = [f"| {name(way.record_bytes)} | {way.way} | {_price(way.dollars)} | {way.into} |" for way in once]
    return [
        "",
        f"US dollars for a file of {counted(once[0].records, 'record')}, loaded once.",
        "",
        "| record | loaded by | dollars | into |",
        "|---|---|---:|---|",
        *rows,
        "",
        *load.advice(once),
    ]


def _price(amount: float | None) -> str:
    return "not confirmed" if amount is None else dollars(amount, 2)


def _json(
    listed: Prices, work: Measured, sizes: Sequence[Size], rows: Sequence[Row], once: Sequence[Load]
) -> dict[str, Any]:
    return {
        "region": listed.region,
        "as_of": listed.as_of,
        "not_confirmed": listed.assumed,
        "measured": work.machine,
        "sizes": [asdict(size) for size in sizes],
        "per_million_records": [
            {"design": row.design, "record_bytes": row.record_bytes, **asdict(row.cost), "total": row.cost.total}
            for row in rows
        ],
        "loaded_once": [asdict(way) for way in once],
    }
