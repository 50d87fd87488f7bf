"""A gate in front of a queue, so that a program that sends can be met in the middle of its work on any machine."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sluice.local.serving import QuietHandler, serving

SECONDS = 600  # For whatever is waited for, on a busy machine.


class Gate:
    """Lets calls through to an endpoint on this machine; those that send are held from some moment on."""

    def __init__(self, port: int, is_shut: Callable[[], bool]) -> None:
        self.url = ""
        self._port = port
        self._is_shut = is_shut
        self._held = threading.Event()
        self._opened = threading.Event()

    def wait_until_something_is_held(self) -> None:
        assert self._held.wait(SECONDS), "the gate has never been shut"

    def open(self) -> None:
        """Let through what is held, and all that comes."""
        self._opened.set()

    def pass_on(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes, dict[str, str]]:
        sends = headers.get("X-Amz-Target", "").endswith(".SendMessageBatch")
        if sends and not self._opened.is_set() and self._is_shut():
            self._held.set()
            self._opened.wait(SECONDS)
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=SECONDS)
        try:
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        left_out = ("content-length", "transfer-encoding", "connection")
        return answer.status, content, {n: v for n, v in answer.getheaders() if n.lower() not in left_out}


@contextmanager
def gate(port: int, is_shut: Callable[[], bool]) -> Iterator[Gate]:
    """A gate on a port of its own in front of the endpoint on `port`, shut as soon as `is_shut` says so."""
    made = Gate(port, is_shut)

    class Handler(QuietHandler):
        def do_POST(self) -> None:  # noqa: N802  # The name that http.server calls.
            body = self.payload()
            left_out = ("transfer-encoding", "content-length", "connection", "expect")
            headers = {name: value for name, value in self.headers.items() if name.lower() not in left_out}
            self.reply(*made.pass_on(self.path, headers, body))

    with serving(Handler) as own_port:
        made.url = f"http://127.0.0.1:{own_port}"
        try:
            yield made
        finally:
            made.open()


def noted(file: Path) -> int:
    """How many records of a file its journal says to be accepted."""
    journal = Path(f"{file}.sluice-journal")
    lines = journal.read_text().split("\n")[1:-1] if journal.exists() else []
    return int(json.loads(lines[-1])["records"]) if lines else 0
