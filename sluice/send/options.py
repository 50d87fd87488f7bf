"""How the input of `send` and `verify` is to be read, as the command line says it."""

from __future__ import annotations

import argparse
import codecs
from dataclasses import dataclass
from typing import Literal

from sluice.cli import UsageError

Kind = Literal["csv", "items", "operations", "dynamodb", "export", "requests", "parquet"]
KINDS: tuple[Kind, ...] = ("csv", "items", "operations", "dynamodb", "export", "requests", "parquet")
NATIVE: tuple[Kind, ...] = ("operations", "dynamodb", "export", "requests")
"""What a function that takes bare items cannot be sent."""
TYPES = {
    "S": "string",
    "N": "number",
    "BOOL": "true or false",
    "B": "binary, base64",
    "JSON": "any JSON value",
}


@dataclass(frozen=True, slots=True)
class Input:
    """How a file is to be read, and what the function expects."""

    file: str
    kind: Kind | None = None
    delimiter: str | None = None
    columns: tuple[str, ...] = ()
    """Of a file without a header."""
    rename: tuple[tuple[str, str], ...] = ()
    """Column or `#number` → attribute; "" leaves it out."""
    types: tuple[tuple[str, str], ...] = ()
    infer: bool = False
    empty: Literal["omit", "string", "null"] = "omit"
    nulls: frozenset[str] = frozenset()
    """Cells that stand for no value."""
    table: str | None = None
    """The table that each record names."""
    bare: bool = False
    """The function takes items, not operations: RECORD_FORMAT=item."""
    encoding: str | None = None
    """None for UTF-8, and for UTF-16 where a file begins with its mark."""

    @property
    def for_csv(self) -> list[str]:
        """The options that were given and are for CSV alone."""
        given = {
            "--delimiter": self.delimiter,
            "--columns": self.columns,
            "--rename": self.rename,
            "--types": self.types,
            "--infer": self.infer,
            "--null": self.nulls,
        }
        return [option for option, value in given.items() if value]


def add_input_options(parser: argparse.ArgumentParser) -> None:
    """FILE…, and how to read them."""
    parser.add_argument(
        "files",
        metavar="FILE",
        nargs="+",
        help="a file, a directory, a pattern such as 'orders-*.csv', the manifest of a DynamoDB export, any of these in"
        " S3 (s3://BUCKET/KEY), or `-` for standard input; what is packed by gzip or zstd is unpacked",
    )
    group = parser.add_argument_group("input")
    group.add_argument(
        "--input",
        choices=("auto", *KINDS),
        default="auto",
        help="csv; or JSON, a record a line, in an array, or in the output of `aws dynamodb scan` or `query`: plain"
        " items, operations, items in DynamoDB JSON, lines of DynamoDB's own export to S3, full or incremental, or"
        " requests as for `aws dynamodb batch-write-item`; or parquet (default: by the extension and the first record)",
    )
    group.add_argument(
        "--encoding", metavar="NAME", help="such as cp1252 (default: UTF-8, and UTF-16 where the file says so)"
    )
    group.add_argument("--table", metavar="ALIAS", help="the table that records go to (default: the function's first)")
    group.add_argument(
        "--format",
        choices=("operation", "item"),
        default="operation",
        help="what the function expects, its RECORD_FORMAT (default: operation)",
    )
    csv = parser.add_argument_group("CSV")
    csv.add_argument(
        "--delimiter", metavar="CHAR", help="between cells (default: comma, tab for .tsv, else by the first line)"
    )
    csv.add_argument("--columns", metavar="NAME,…", help="the columns of a file without a header")
    csv.add_argument(
        "--rename",
        metavar="COLUMN=NAME",
        action="append",
        default=[],
        help="store a column as this attribute; without NAME leave it out; `#1` is the first column; may be repeated",
    )
    csv.add_argument("--types", metavar="NAME=TYPE,…", help=f"types of columns: {', '.join(TYPES)} (default: S)")
    csv.add_argument("--infer", action="store_true", help="infer the types of the other columns, and show them")
    csv.add_argument(
        "--null",
        metavar="TEXT",
        action="append",
        default=[],
        help="a cell that is this text, such as '\\N', has no value: no attribute, or null with --empty null;"
        " may be repeated",
    )
    csv.add_argument(
        "--empty",
        choices=("omit", "string", "null"),
        default="omit",
        help="what an empty cell becomes: no attribute (default), an empty string in columns of type S, or null",
    )


def input_of(options: argparse.Namespace) -> Input:
    """Raises `UsageError` for options that do not fit together."""
    given = Input(
        file=options.files[0],
        kind=None if options.input == "auto" else options.input,
        delimiter={"\\t": "\t", "tab": "\t", "comma": ","}.get(options.delimiter, options.delimiter),
        columns=tuple(options.columns.split(",")) if options.columns else (),
        rename=tuple(map(_renamed, options.rename)),
        types=_types(options.types or ""),
        infer=options.infer,
        empty=options.empty,
        nulls=frozenset(options.null),
        table=options.table,
        bare=options.format == "item",
        encoding=_encoding(options.encoding),
    )
    if given.delimiter is not None and len(given.delimiter) != 1:
        raise UsageError(f"--delimiter must be one character, got {given.delimiter!r}")
    if given.bare and given.table is not None:
        raise UsageError("--table does not go with --format item: the function writes items to its first table")
    if given.bare and given.kind in NATIVE:
        raise UsageError(f"--input {given.kind} does not go with --format item")
    return given


def _renamed(text: str) -> tuple[str, str]:
    old, equals, new = text.rpartition("=")
    if not equals or not old:
        raise UsageError(f"--rename must be COLUMN=NAME, got {text!r}")
    return old, new


def _encoding(name: str | None) -> str | None:
    if name is None:
        return None
    try:
        codec = codecs.lookup(name)
        if not codec._is_text_encoding:
            raise LookupError
    except (LookupError, ValueError):
        raise UsageError(f"--encoding must be an encoding that Python knows, such as cp1252, got {name!r}") from None
    return codec.name.removesuffix("-sig")


def _types(text: str) -> tuple[tuple[str, str], ...]:
    types = []
    for part in filter(None, text.split(",")):
        name, equals, kind = part.rpartition("=")
        if not equals or kind not in TYPES:
            raise UsageError(f"--types must be NAME=TYPE,… with types of {', '.join(TYPES)}, got {part!r}")
        types.append((name, kind))
    return tuple(types)
