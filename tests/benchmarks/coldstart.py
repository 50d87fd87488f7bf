"""From the start of a process to a handler that is ready, and to its first answer, against a bare boto3 client."""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from boto3.dynamodb.types import TypeSerializer

from sluice.cdk.bundle import Bundle, BundleError
from tests.benchmarks.processes import ROOT, ServerProcess, environment
from tests.benchmarks.records import TABLE, Load, event
from tests.benchmarks.report import Section, Table, Target, at_most, milliseconds
from tests.benchmarks.rounds import Scale
from tests.benchmarks.writers import items

GOAL, AIM = 0.5, 0.35
NOTICEABLE = 300  # Microseconds.
ASSET_GOAL = 5.0  # MB.
DEPLOYED = Bundle(python="3.14", machine="aarch64")  # As infra/function.py deploys it.
FIRST = Load(25, 300)
READY = "\nimport os, time; os.write(1, b'.'); time.sleep(60)\n"  # It is ended before.
CLIENT = "import boto3; client = boto3.client('dynamodb')"
HANDLER = "from functions.batch_writer.handler import lambda_handler"
BUNDLED_HANDLER = "from batch_writer.handler import lambda_handler"
# The first call of each side gets what a real one has: for the client the request, for the handler the event.
CLIENT_ANSWER = "\nimport json, sys; client.batch_write_item(**json.load(open(sys.argv[1])))"
HANDLER_ANSWER = "\nimport json, sys; lambda_handler(json.load(open(sys.argv[1])), None)"
IMPORT = re.compile(r"import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)")


def measure(scale: Scale) -> Section:
    """Wall time until the process says that it is ready; with cached bytecode, and as deployed, without."""
    is_full = scale.rounds > 1  # The bundles are pip's work, for minutes where the wheels are not cached.
    with ServerProcess() as server, tempfile.TemporaryDirectory() as directory:
        environ = environment(server.port)
        given = Path(directory) / "event.json"
        given.write_text(json.dumps(event(FIRST)))
        request = Path(directory) / "request.json"
        request.write_text(json.dumps(_batch()))
        cases: dict[str, Sequence[str]] = {
            "ready: boto3 client": _python(CLIENT),
            "ready: sluice": _python(HANDLER),
            "first answer: boto3 client": _python(CLIENT + CLIENT_ANSWER, request),
            "first answer: sluice": _python(HANDLER + HANDLER_ANSWER, given),
        }
        environs = {name: {**environ, "PYTHONPATH": str(ROOT)} for name in cases}
        bundle, notes = _local_bundle(Path(directory) / "bundle") if is_full else (None, [])
        if bundle is not None:
            deployed = {
                "deployed, ready: boto3 client": _python(CLIENT, flags=("-S", "-B")),
                "deployed, ready: sluice": _python(BUNDLED_HANDLER, flags=("-S", "-B")),
                "deployed, first answer: boto3 client": _python(CLIENT + CLIENT_ANSWER, request, flags=("-S", "-B")),
                "deployed, first answer: sluice": _python(BUNDLED_HANDLER + HANDLER_ANSWER, given, flags=("-S", "-B")),
            }
            cases |= deployed
            environs |= {name: {**environ, "PYTHONPATH": str(bundle)} for name in deployed}
        for name, command in cases.items():
            if "answer" in name:
                _prove(server, name, command, environs[name])
        seconds = _interleaved(cases, environs, scale.rounds + 2 if is_full else 1)
        imports = _imports(environs["ready: sluice"])
        asset = _asset(Path(directory)) if is_full else None
    rows = [
        [name.replace(": sluice", ""), *(milliseconds(seconds[_of(name, side)]) for side in ("sluice", "boto3 client"))]
        for name in cases
        if name.endswith(": sluice")
    ]
    return Section(
        title="Cold start",
        targets=[_target(seconds, "ready"), _target(seconds, "first answer"), *_asset_target(asset)],
        tables=[
            Table("Milliseconds from the start of the process", ["until", "sluice", "bare boto3 client"], rows),
            Table(
                "What importing the handler costs, by `-X importtime`",
                ["package", "ms", "modules"],
                [[name, f"{micros / 1000:.1f}", str(count)] for name, micros, count in imports],
            ),
        ],
        notes=[
            "Interpreter included. Deployed: from the bundle's own directory, without the bytecode that this machine "
            "has cached, as in Lambda, where both compile what they import.",
            *notes,
            *([] if asset is None else [f"The zipped asset has {asset / 1e6:.2f} MB."]),
        ],
        data={"seconds": seconds, "imports": imports, "asset bytes": asset},
    )


def _target(seconds: Mapping[str, float], until: str) -> Target:
    ours, peer = seconds[f"{until}: sluice"], seconds[f"{until}: boto3 client"]
    return at_most(
        f"process start to {until}: of a bare boto3 client",
        ours / peer,
        GOAL,
        f"{milliseconds(ours)} and {milliseconds(peer)} ms",
        aim=AIM,
    )


def _asset_target(asset: int | None) -> list[Target]:
    return [] if asset is None else [at_most("zipped asset", asset / 1e6, ASSET_GOAL, f"{asset:,} bytes", " MB")]


def _of(name: str, side: str) -> str:
    return name.replace(": sluice", f": {side}")


def _python(code: str, *arguments: Path, flags: Sequence[str] = ()) -> Sequence[str]:
    return [sys.executable, *flags, "-c", code + READY, *map(str, arguments)]


def _interleaved(
    cases: Mapping[str, Sequence[str]], environs: Mapping[str, Mapping[str, str]], rounds: int
) -> dict[str, float]:
    taken: dict[str, list[float]] = {name: [] for name in cases}
    for number in range(rounds + 1):
        for name, command in cases.items():
            seconds = _until_ready(command, environs[name])
            if number:  # The first one fills the caches of files and of bytecode.
                taken[name].append(seconds)
    return {name: statistics.median(values) for name, values in taken.items()}


def _prove(server: ServerProcess, name: str, command: Sequence[str], environ: Mapping[str, str]) -> None:
    """An answer counts only where the records have arrived."""
    server.control("/check")
    _until_ready(command, environ)
    if (written := server.control("/counts")["distinct"]) != FIRST.records:
        raise RuntimeError(f"{name}: {written} of {FIRST.records} records have arrived")
    server.control("/reset")


def _until_ready(command: Sequence[str], environ: Mapping[str, str]) -> float:
    # Standard output carries the function's metrics, too: the dot that says "ready" comes last.
    began = time.perf_counter()
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd="/") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        output = b""
        while not output.endswith(b"."):
            more = os.read(process.stdout.fileno(), 65536)
            if not more:
                raise RuntimeError(f"{command[-1]}: {process.stderr.read().decode()}")
            output += more
        taken = time.perf_counter() - began
        process.kill()
    return taken


def _imports(environ: Mapping[str, str]) -> list[tuple[str, int, int]]:
    """Package, microseconds of its modules' own, and how many they are; the dearest first."""
    command = [sys.executable, "-X", "importtime", "-c", HANDLER]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True, cwd="/")
    micros: Counter[str] = Counter()
    modules: Counter[str] = Counter()
    for own, module in IMPORT.findall(done.stderr):
        package = module.split(".", 1)[0]
        name = "the standard library" if package.lstrip("_") in _STANDARD else package
        name = "this project" if package == "functions" else name
        micros[name] += int(own)
        modules[name] += 1
    return [(name, own, modules[name]) for name, own in micros.most_common() if own >= NOTICEABLE]


_STANDARD = {name.lstrip("_") for name in sys.stdlib_module_names} | {"site", "zipimport", "encodings"}


def _local_bundle(target: Path) -> tuple[Path | None, list[str]]:
    """The bundle for this machine's Python: the same sources and pins, other wheels."""
    machine = os.uname().machine
    target.mkdir()
    try:
        Bundle(python=f"{sys.version_info.major}.{sys.version_info.minor}", machine=machine).write(target)
    except BundleError as error:
        return None, [f"The bundle could not be made for this machine: {str(error).splitlines()[0]}"]
    return target, []


def _asset(directory: Path) -> int | None:
    """Bytes of the deployed package, zipped; None where pip cannot reach the wheels."""
    target = directory / "asset"
    target.mkdir()
    try:
        DEPLOYED.write(target)
    except BundleError:
        return None
    archive = directory / "asset.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as zipped:
        for path in sorted(target.rglob("*")):
            zipped.write(path, path.relative_to(target))
    return archive.stat().st_size


def _batch() -> dict[str, object]:
    """The 25 records as the client's own request."""
    serialize = TypeSerializer().serialize
    puts = [{"PutRequest": {"Item": serialize(item)["M"]}} for item in items(event(FIRST))]
    return {"RequestItems": {TABLE: puts}}
