"""Which files are meant: names, directories, patterns, manifests of DynamoDB's exports, and the same in S3."""

from __future__ import annotations

import fnmatch
import glob
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sluice.cli import CommandError, UsageError

from .options import Kind
from .s3 import S3, is_s3
from .source import Source

_DATA = re.compile(r".*\.(?:(csv|tsv|json|jsonl|ndjson)(\.gz|\.zst)?|parquet)", re.IGNORECASE | re.DOTALL)
_NO_DATA = re.compile(r"(?:^|/)(?:[._]|manifest-)|\.rejected\.jsonl$")
_MANIFEST, _SUMMARY = "manifest-files.json", "manifest-summary.json"
_TAKEN = ".csv, .tsv, .json, .jsonl and .ndjson, packed or not, and .parquet are taken; name others one by one"


class Found(NamedTuple):
    """One file that is to be read."""

    name: str
    kind: Kind | None = None
    """Where a manifest says what it is."""


def found(names: Sequence[str], s3: S3) -> list[Found]:
    """The files in the order of the names, each once. Raises `UsageError` or `CommandError` where there are none."""
    if "-" in names and len(names) > 1:
        raise UsageError("standard input (-) goes with no other file")
    return list(dict.fromkeys(one for name in names for one in (_in_s3(name, s3) if is_s3(name) else _local(name))))


def beside(names: Sequence[str], files: Sequence[Found]) -> str:
    """The path that journal and rejected records stand at, without their extensions; those of S3 in this directory."""
    if names == ["-"]:
        return "stdin"
    first, more = (names[0], 0) if len(names) == 1 and not _is_pattern(names[0]) else (files[0].name, len(files) - 1)
    path = first.rstrip("/").rpartition("/")[2] if is_s3(first) else first.rstrip("/")
    return f"{path}.and-{more}-more" if more else path


def _is_pattern(name: str) -> bool:
    return bool(re.search(r"[*?\[]", name)) and (is_s3(name) or not Path(name).exists())


def _local(name: str) -> Iterator[Found]:
    path = Path(name)
    if path.is_dir():
        if (path / _MANIFEST).is_file():
            yield from _parts(path / _MANIFEST)
            return
        inside = sorted(one for one in path.rglob("*") if one.is_file())
        data = [one for one in inside if _is_data(one.relative_to(path).as_posix())]
        if not data:
            raise UsageError(f"no file of records in the directory {name}: {_TAKEN}")
        yield from (Found(str(one)) for one in data)
    elif path.name in (_MANIFEST, _SUMMARY):
        yield from _parts(path)
    elif _is_pattern(name):
        matching = sorted(one for one in glob.glob(name, recursive=True) if Path(one).is_file())
        if not matching:
            raise UsageError(f"no file matches {name!r}")
        yield from map(Found, matching)
    else:
        yield Found(name)


def _is_data(name: str) -> bool:
    return bool(_DATA.fullmatch(name)) and not _NO_DATA.search(name)


def _parts(path: Path) -> Iterator[Found]:
    """The parts of an export that was copied from S3, which stand where they stood there."""
    if path.name == _SUMMARY:
        _check_summary(path.name, _lines(Source(str(path))))
        path = path.with_name(_MANIFEST)
    for key in _keys(_lines(Source(str(path)))):
        base = key.rpartition("/")[2]
        # A full export's parts stand in `data` beside the manifest, an incremental one's a directory higher.
        places = [path.parent / "data" / base, path.parent.parent / "data" / base, path.parent / base]
        part = next((place for place in places if place.is_file()), None)
        if part is None:
            raise CommandError(
                f"{path} names the part {key}, which is not in {places[0].parent}: copy the whole export, such as by"
                " `aws s3 sync`, or send it from S3"
            )
        yield Found(str(part), "export")


def _in_s3(name: str, s3: S3) -> Iterator[Found]:
    base = name.rpartition("/")[2]
    if base in (_MANIFEST, _SUMMARY):
        yield from _parts_in_s3(name, s3)
    elif _is_pattern(name):
        prefix = re.split(r"[*?\[]", name)[0]
        matching = [one for one in s3.listed(prefix) if fnmatch.fnmatchcase(one, name) and not one.endswith("/")]
        if not matching:
            raise UsageError(f"no object matches {name!r}")
        yield from map(Found, matching)
    elif base == "" or name.count("/") == 2:
        prefix = f"{name.rstrip('/')}/"
        inside = s3.listed(prefix)
        if prefix + _MANIFEST in inside:
            yield from _parts_in_s3(prefix + _MANIFEST, s3)
            return
        data = [one for one in inside if _is_data(one.removeprefix(prefix))]
        if not data:
            raise UsageError(f"no object with records under {prefix}: {_TAKEN}")
        yield from map(Found, data)
    else:
        yield Found(name)


def _parts_in_s3(name: str, s3: S3) -> Iterator[Found]:
    if name.endswith(_SUMMARY):
        _check_summary(name, _lines(Source(name, store=s3)))
        name = name.removesuffix(_SUMMARY) + _MANIFEST
    bucket = name.split("/")[2]
    keys = _keys(_lines(Source(name, store=s3)))
    there: set[str] = set()
    for folder in dict.fromkeys(key.rpartition("/")[0] for key in keys):
        there.update(s3.listed(f"s3://{bucket}/{folder}/"))
    for key in keys:
        part = f"s3://{bucket}/{key}"
        if part not in there:
            raise CommandError(f"{name} names the part {part}, which is not there")
        yield Found(part, "export")


def _lines(source: Source) -> list[dict[str, Any]]:
    try:
        with source.reading():
            return [dict(json.loads(line)) for line in source.lines() if line.strip()]
    except (ValueError, TypeError):
        raise CommandError(f"{source.name} is no manifest of DynamoDB's export, which has an object a line") from None


def _check_summary(name: str, lines: list[dict[str, Any]]) -> None:
    form = lines[0].get("outputFormat", "DYNAMODB_JSON") if lines else "DYNAMODB_JSON"
    if form != "DYNAMODB_JSON":
        raise UsageError(f"{name} is of an export as {form}: export the table again as DYNAMODB_JSON")


def _keys(lines: list[dict[str, Any]]) -> list[str]:
    keys = [key for line in lines if isinstance(key := line.get("dataFileS3Key"), str)]
    if len(keys) < len(lines):
        raise CommandError("a manifest of DynamoDB's export has a dataFileS3Key on each line; this one has not")
    if any(key.endswith((".ion", ".ion.gz")) for key in keys):
        raise UsageError("the export is in Amazon Ion: export the table again as DYNAMODB_JSON")
    return keys
