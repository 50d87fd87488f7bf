"""CPU time per record from the event's bytes on, beside AWS's SDKs for other languages where these are asked for."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from tests.benchmarks.lanes.bodies import event
from tests.benchmarks.lanes.counted import Counted, Output
from tests.benchmarks.peers.programs import PROGRAMS, NotMeasuredError, Program, ProgramProcess
from tests.benchmarks.processes import ServerProcess, WriterProcess
from tests.benchmarks.records import MEDIUM, SMALL, Load
from tests.benchmarks.report import Section, Table, Target, at_most, microseconds
from tests.benchmarks.rounds import Job, Scale, interleaved, round_seconds

GOAL = 1.0
LEVEL = "AWS's SDK for Rust"
"""The one to be level with."""
OURS = "sluice"
HERE = {OURS: "sluice, event decoded", "boto3 batch_writer": "json.loads + batch_writer, event decoded"}
SIZES = {SMALL: "300 B", MEDIUM: "1 KB"}
NOT_ASKED = "`make bench PEERS=1` builds it, and fetches its SDK"


def measure(scale: Scale) -> Section:
    """Puts, one a message; a peer that cannot be built stands there as not measured, with the reason."""
    commands, missing = _built(PROGRAMS) if scale.peers else ({}, {program.name: NOT_ASKED for program in PROGRAMS})
    seconds: dict[int, dict[str, float]] = {}
    for size in SIZES:
        load = Load(scale.records, size, form="put")
        with ExitStack() as stack:
            server = stack.enter_context(ServerProcess())
            writers = _writers(stack, server, commands, load)
            missing |= _proven(writers, load)
            jobs = {name: Job(writer, load) for name, writer in writers.items()}
            medians = interleaved(jobs, scale.rounds, round_seconds(scale))
        seconds[size] = {name: taken.cpu / load.records for name, taken in medians.items()}
    return Section(
        title="Beside AWS's SDKs for other languages",
        targets=[_target(size, by_writer) for size, by_writer in seconds.items() if LEVEL in by_writer],
        tables=[Table("µs of CPU per record (of sluice's)", ["writer", *SIZES.values()], _rows(seconds, missing))],
        notes=[
            "From the event's bytes on, one record a message, every digit kept by all. Left out by all but sluice: "
            "checks of the records, items that come twice, logs, metrics, and which messages go back. "
            "Left out by all: TLS, and how Lambda's runtime fetches the event.",
            *(f"{name} is not measured: {reason}." for name, reason in missing.items()),
        ],
        data={SIZES[size]: by_writer for size, by_writer in seconds.items()},
    )


def _built(programs: Sequence[Program]) -> tuple[dict[str, Sequence[str]], dict[str, str]]:
    """The commands of the peers that could be built, and of the others the reason."""
    commands, missing = {}, {}
    for program in programs:
        try:
            commands[program.name] = program.build()
        except NotMeasuredError as error:
            missing[program.name] = str(error)
    return commands, missing


def _writers(
    stack: ExitStack, server: ServerProcess, commands: Mapping[str, Sequence[str]], load: Load
) -> dict[str, Counted]:
    directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    given = directory / "event.json"
    given.write_text(json.dumps(event(load)))
    writers = {}
    for name, writer in HERE.items():
        output = directory / name
        process = stack.enter_context(WriterProcess(writer, server.port, OUTPUT=str(output)))
        writers[name] = Counted(process, server, Output(output))
    for name, command in commands.items():
        program: ProgramProcess = stack.enter_context(ProgramProcess(name, command, given, server.port))
        writers[name] = Counted(program, server, program.said)
    return writers


def _proven(writers: dict[str, Counted], load: Load) -> dict[str, str]:
    """Takes out the programs that do not run here, and tells why."""
    missing = {}
    for name in list(writers):
        try:
            writers[name].prove(load)
        except RuntimeError as error:
            if name in HERE:
                raise
            missing[name] = str(error)
            del writers[name]
    return missing


def _target(size: int, by_writer: Mapping[str, float]) -> Target:
    ours, peer = by_writer[OURS], by_writer[LEVEL]
    return at_most(
        f"CPU per record from the event's bytes on, {SIZES[size]}: of {LEVEL}",
        ours / peer,
        GOAL,
        f"{microseconds(ours)} and {microseconds(peer)} µs",
    )


def _rows(seconds: Mapping[int, Mapping[str, float]], missing: Mapping[str, str]) -> list[list[str]]:
    measured = next(iter(seconds.values()))
    rows = [
        [name, *(f"{microseconds(by[name])} ({by[name] / by[OURS]:.2f})" for by in seconds.values())]
        for name in measured
    ]
    return rows + [[name, *("not measured" for _ in seconds)] for name in missing]
