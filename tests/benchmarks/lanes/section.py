"""The matrix of lanes: CPU time per record of each, and records a second of the ones that go one by one."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from tests.benchmarks.lanes import waiting
from tests.benchmarks.lanes.counted import Counted, Output
from tests.benchmarks.lanes.matrix import LANES, Lane
from tests.benchmarks.processes import ServerProcess, WriterProcess
from tests.benchmarks.report import Section, Table, Target, at_least, microseconds
from tests.benchmarks.rounds import Job, Scale, interleaved, round_seconds

WORDS = ("the peer", "what the peer leaves out")
HEADER = ("lane", "sluice, µs", "peer, µs", "ratio", "goal", "aim", *WORDS)

QUICK = Scale(rounds=1, records=40)  # The lanes are many.


class Writers:
    """A counted process for each writer and environment, started when it is first needed."""

    def __init__(self, stack: ExitStack, server: ServerProcess) -> None:
        self._stack = stack
        self._server = server
        self._outputs = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        self._started: dict[tuple[str, tuple[tuple[str, str], ...]], Counted] = {}

    def get(self, name: str, environ: Mapping[str, str]) -> Counted:
        key = (name, tuple(sorted(environ.items())))
        if key not in self._started:
            output = self._outputs / str(len(self._started))
            process = WriterProcess(name, self._server.port, OUTPUT=str(output), **environ)
            self._started[key] = Counted(self._stack.enter_context(process), self._server, Output(output))
        return self._started[key]


def measure(scale: Scale) -> Section:
    """Each lane beside its peer, in interleaved rounds; a round whose records have not all arrived ends the run."""
    scale = scale if scale.rounds > 1 else QUICK
    seconds: dict[str, tuple[float, float]] = {}
    with ExitStack() as stack:
        server = stack.enter_context(ServerProcess())
        writers = Writers(stack, server)
        for lane in LANES:
            seconds[lane.name] = _lane(lane, writers, scale)
    waited = waiting.measure(scale)
    lanes = sorted(LANES, key=lambda lane: _target(lane, *seconds[lane.name]).value)
    return Section(
        title="Lanes: every kind of record beside boto3's own call",
        targets=[*(_target(lane, *seconds[lane.name]) for lane in lanes), waited.target],
        tables=[
            Table(
                "µs of CPU per record, the weakest lane first",
                HEADER,
                [_row(lane, *seconds[lane.name]) for lane in lanes],
                WORDS,
            ),
            waited.table,
        ],
        notes=[
            f"User and system time of the client's process, median of {scale.rounds} interleaved rounds; every round "
            "is counted by the server and by the writer's own word. Seven attributes a record, one of them a number "
            "between -1 and 0; the records of a lane have the same names in the same order, as most producers write "
            "them, but for the lane that says otherwise.",
            "Both sides leave out what Lambda's runtime does (it decodes the event), TLS, and the time that DynamoDB "
            "takes. The function's side has in it: checks of every record, numbers with all their digits, order on "
            "each item, the answers' checksums, logs, metrics, and which messages go back.",
            *waited.notes,
        ],
        data={"lanes": seconds, "records a second": waited.data},
    )


def _lane(lane: Lane, writers: Writers, scale: Scale) -> tuple[float, float]:
    """Seconds of CPU per record: the function's, and the peer's."""
    ours, theirs = writers.get("sluice", lane.environ), writers.get(lane.peer, {})
    load, peers_load = lane.load(scale), lane.peers_load(scale)
    ours.prove(load)
    theirs.prove(peers_load)
    medians = interleaved(
        {"sluice": Job(ours, load), "peer": Job(theirs, peers_load)}, scale.rounds, round_seconds(scale)
    )
    return medians["sluice"].cpu / load.records, medians["peer"].cpu / peers_load.records


def _target(lane: Lane, ours: float, peers: float) -> Target:
    return at_least(
        f"CPU per record, {lane.name}: less than {lane.peer}",
        peers / ours,
        lane.goal,
        f"{microseconds(ours)} and {microseconds(peers)} µs",
        aim=lane.aim,
    )


def _row(lane: Lane, ours: float, peers: float) -> list[str]:
    target = _target(lane, ours, peers)
    figures = [microseconds(ours), microseconds(peers), target.value_text, target.goal_text, target.aim_text]
    return [lane.name, *figures, lane.peer, lane.leaves_out]
