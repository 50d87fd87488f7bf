"""A writer whose word is checked: what it says that it has written, and what has arrived."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.processes import Round, ServerProcess
from tests.benchmarks.records import Load
from tests.benchmarks.rounds import Measured


class CountError(Exception):
    """A writer that has not written what it was given, or that says so and has not."""


class Counted:
    """Raises CountError where a round did not write every record once and say so in the file `output`."""

    def __init__(self, writer: Measured, server: ServerProcess, output: Path) -> None:
        self._writer = writer
        self._server = server
        self._output = output
        self._read = 0
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
        given, said, arrived = load.records * times, sum(self._said()), self._server.control("/counts")["written"]
        if not given == said == arrived:
            raise CountError(f"{self.name}: {given} given, {said} written as it says, {arrived} arrived ({load})")
        return taken

    def _said(self) -> Iterator[float]:
        """OperationsWritten in the metrics of the function, or in a peer's own line, since it was last read."""
        with self._output.open("rb") as output:
            output.seek(self._read)
            added = output.read()
        self._read += len(added)
        for line in added.splitlines():
            values = json.loads(line).get("OperationsWritten", [])
            yield from values if isinstance(values, list) else [values]
