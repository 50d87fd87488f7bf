"""What a verification has found, in lines and as JSON."""

from __future__ import annotations

import argparse
import base64
import json
from collections.abc import Iterator
from typing import Any

from sluice.cli import plural
from sluice.send.inputs import Inputs

from .comparison import Outcome
from .verifying import Mismatch, Result

_MAX_TYPES = 10
"""Attributes whose types differ that are told one by one."""
_COLUMN_TYPES = {"S": "S", "N": "N", "BOOL": "BOOL", "B": "B", "M": "JSON", "L": "JSON"}
"""Type in the table → that of a CSV column that becomes it."""


def lines(result: Result, inputs: Inputs, options: argparse.Namespace) -> Iterator[str]:
    """Each kind of outcome with its count and examples."""
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
        "not sampled": (result.left_out, f"{plural(result.left_out, 'operation')}, by --sample"),
        "superseded": (superseded, f"{plural(superseded, 'record')}, by a later one of the same key"),
    }
    always = {"equal", "missing", "different"}
    for name, (count, text) in rows.items():
        if count or name in always:
            yield f"{name:<12} {count:>12,}  {text}".rstrip()
        for mismatch in result.examples:
            if _NAMES[mismatch.outcome] == name:
                yield from _example(mismatch, inputs.place(mismatch.end, mismatch.line), options.show_values)
        if name == "different":
            yield from _types(result, inputs)
        yield from (f"{'':<12} {number:>12,}  {code}" for code, number in sorted(codes.get(name, {}).items()))


_NAMES = {1: "missing", 2: "different", 3: "not deleted"}


def _types(result: Result, inputs: Inputs) -> Iterator[str]:
    """Attributes that have one type in the file and another in the table, and the option that reads them so."""
    retyped = {_name(name): types for name, types in list(result.retyped.items())[:_MAX_TYPES]}
    yield from (f"{'':<27}{name}: {own} in the file, {stored} in the table" for name, (own, stored) in retyped.items())
    kinds = {name: _COLUMN_TYPES[stored] for name, (_, stored) in retyped.items() if stored in _COLUMN_TYPES}
    if kinds and inputs.is_csv:
        yield f"{'':<27}--types {','.join(f'{name}={kind}' for name, kind in kinds.items())}?"


def _example(mismatch: Mismatch, place: str, shows_values: bool) -> Iterator[str]:
    yield f"{'':<27}{place}{_differing(mismatch)}"
    if shows_values:
        for name, value in (("key", mismatch.key), ("file", mismatch.expected), ("table", mismatch.stored)):
            if value is not None:
                yield f"{'':<29}{name:<6}{_shown(value)}"


def _differing(mismatch: Mismatch) -> str:
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
    return base64.b64encode(bytes(value)).decode()


def as_json(result: Result, inputs: Inputs, options: argparse.Namespace) -> dict[str, Any]:
    """The same as one object."""
    return {
        "file": options.files[0],
        "files": len(inputs),
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
        "not_sampled": result.left_out,
        "types": {name: {"file": own, "table": stored} for name, (own, stored) in result.retyped.items()},
        "all_equal": result.is_good,
        "examples": [_example_as_json(mismatch, inputs, options.show_values) for mismatch in result.examples],
    }


def _example_as_json(mismatch: Mismatch, inputs: Inputs, shows_values: bool) -> dict[str, Any]:
    difference = mismatch.difference
    example: dict[str, Any] = {"line": mismatch.line, "outcome": _NAMES[mismatch.outcome]}
    if len(inputs) > 1:
        example["file"] = inputs.name_at(mismatch.end)
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
