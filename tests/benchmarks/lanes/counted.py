"""A writer whose word is checked: what it says that it has written, and what has arrived."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks.processes import Round, ServerProcess
from tests.benchmarks.records import Load
from tests.benchmarks.rounds import Measured


class CountError(Exception):
    """A writer that has not written what it was given, or that says so and has not."""


class Counted:
    """Raises CountError where a round did not write every record once and say so.

    `said` tells how many records the writer says that it has written since it was last asked.
    """

    def __init__(self, writer: Measured, server: ServerProcess, said: Callable[[], float]) -> None:
        self._writer = writer
        self._server = server
        self._said = said
        self.name = writer.name

    def invoke(self, load: Load, times: int = 1) -> Round:
        self._server.control("/reset")
        return self._invoke(load, times)

    def prove(self, load: Load) -> None:
        """One invocation of which the server opens every request: as many distinct items as there are records."""
        self._server.control("/check")
        self._invoke(load, 1)
        found = self._server.control("/counts")
        if not found["items"] == found["distinct"] == load.records:
            raise CountError(f"{self.name} wrote {found['distinct']} distinct items of {load}")

    def _invoke(self, load: Load, times: int) -> Round:
        taken = self._writer.invoke(load, times)
        given, said, arrived = load.records * times, self._said(), self._server.control("/counts")["written"]
        if not given == said == arrived:
            raise CountError(f"{self.name}: {given} given, {said:g} written as it says, {arrived} arrived ({load})")
        return taken


class Output:
    """What a writer says on its standard output: OperationsWritten, in the function's metrics or in a line of a peer.

    It is called for what has been added since the last call.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = 0

    def __call__(self) -> float:
        with self._path.open("rb") as output:
            output.seek(self._read)
            added = output.read()
        self._read += len(added)
        total = 0.0
        for line in added.splitlines():
            values = json.loads(line).get("OperationsWritten", [])
            total += sum(values) if isinstance(values, list) else values
        return total
