"""How fast `sluice send` reads, checks and packs files, as the command does it: `--dry-run`, a process for each file.

`python -m tests.benchmarks.files [--records 60000] [--rounds 3]` makes the same items in each form and prints, for the
best of the rounds, records a second of user CPU from start to end of the process, and its memory at the most.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.benchmarks.machine import this_machine
from tests.benchmarks.processes import ROOT

Item = dict[str, Any]


def items(count: int) -> Iterator[Item]:
    """Orders of about 300 bytes as JSON."""
    chance = random.Random(1)
    for number in range(count):
        yield {
            "pk": f"order-{number:08d}",
            "sk": "v0",
            "total": round(chance.random() * 1000, 2),
            "count": chance.randrange(10_000),
            "paid": chance.random() < 0.5,
            "customer": {"name": f"Customer {chance.randrange(10**6)}", "city": chance.choice(["Berlin", "München"])},
            "tags": ["alpha", "beta", "gamma"][: chance.randrange(4)],
            "note": "x" * chance.randrange(60, 120),
            "created": f"2026-11-{chance.randrange(1, 29):02d}T10:00:00Z",
        }


def native(value: Any) -> dict[str, Any]:
    """A value in DynamoDB JSON."""
    match value:
        case bool():
            return {"BOOL": value}
        case str():
            return {"S": value}
        case list():
            return {"L": [native(element) for element in value]}
        case dict():
            return {"M": {name: native(member) for name, member in value.items()}}
    return {"N": str(value)}


def _compact(values: Iterable[Any]) -> Iterator[str]:
    return (json.dumps(value, separators=(",", ":")) for value in values)


def _indented(values: Iterable[Any], indent: int, level: int) -> Iterator[str]:
    return (textwrap.indent(json.dumps(value, indent=indent), " " * indent * level) for value in values)


def _csv(found: Iterator[Item]) -> Iterator[str]:
    for number, item in enumerate(found):
        cells = {**item, "customer": item["customer"]["name"], "tags": ";".join(item["tags"])}
        if number == 0:
            yield ",".join(cells)
        yield ",".join(map(str, cells.values()))


# Piece by piece: the memory of this process would be taken for that of its children.
def _between(texts: Iterator[str], before: str, comma: str, after: str) -> Iterator[str]:
    yield before + next(texts)
    for text in texts:
        yield comma + text
    yield after


def forms(count: int) -> Mapping[str, Iterator[str]]:
    """File name → its text, in pieces."""
    typed = [(native(item)["M"] for item in items(count)) for _ in range(2)]
    behind = f'\n    ],\n    "Count": {count},\n    "ScannedCount": {count},\n    "ConsumedCapacity": null\n}}\n'
    return {
        "lines.jsonl": _between(_compact(items(count)), "", "\n", "\n"),
        "array.json": _between(_compact(items(count)), "[", ",", "]\n"),
        "array-indented.json": _between(_indented(items(count), 2, 1), "[\n", ",\n", "\n]\n"),
        "scan.json": _between(_indented(typed[0], 4, 2), '{\n    "Items": [\n', ",\n", behind),
        "export.jsonl": _between(_compact({"Item": item} for item in typed[1]), "", "\n", "\n"),
        "table.csv": _between(_csv(items(count)), "", "\n", "\n"),
    }


def sent(path: Path, records: int) -> tuple[float, int]:
    """Seconds of user CPU and bytes of memory that it takes to read, check and pack a file of so many records."""
    command = [sys.executable, "-m", "sluice", "send", str(path), "--key", "pk:S,sk:S", "--dry-run", "--json"]
    child = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={**os.environ, "AWS_REGION": "x"}
    )
    assert child.stdout is not None
    told = json.loads(child.stdout.read())
    _, _, used = os.wait4(child.pid, 0)
    if (told["records"], told["rejected"]) != (records, {}):
        raise RuntimeError(f"{path.name}: {told}")
    return used.ru_utime, used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.files", description=__doc__)
    parser.add_argument("--records", type=int, default=60_000, metavar="N")
    parser.add_argument("--rounds", type=int, default=3, metavar="N")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as directory:
        paths = []
        for name, texts in forms(options.records).items():
            paths.append(Path(directory) / name)
            with paths[-1].open("w", encoding="utf-8") as file:
                file.writelines(texts)
        rounds = [[sent(path, options.records) for path in paths] for _ in range(options.rounds)]
        sys.stdout.write(f"{this_machine()}\n")
        for path, of_path in zip(paths, zip(*rounds, strict=True), strict=True):
            seconds, memory = min(of_path)
            size = path.stat().st_size / options.records
            rate = options.records / seconds
            sys.stdout.write(f"{path.name:<20} {size:>7,.0f} bytes {rate:>9,.0f} records/s {memory / 1e6:>5,.0f} MB\n")


if __name__ == "__main__":
    main(sys.argv[1:])
