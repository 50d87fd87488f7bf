"""A fresh process that imports the function as a cold start does, and invokes it as standard input says.

`python -m tests.integration.invoke ANSWERS < INVOCATIONS`: both JSON arrays; standard output is the function's own.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any


class Context:
    """What Lambda tells a function of its invocation."""

    def __init__(self, request_id: str, timeout: float) -> None:
        self.aws_request_id = request_id
        self._ends = time.monotonic() + timeout

    def get_remaining_time_in_millis(self) -> int:
        return int((self._ends - time.monotonic()) * 1000)


def answer(invocation: dict[str, Any]) -> dict[str, Any]:
    """What the handler returned or raised, and when by the clock on the wall."""
    from functions.batch_writer.handler import lambda_handler

    outcome: dict[str, Any] = {"started": time.time()}
    try:
        outcome["returned"] = lambda_handler(
            invocation["event"], Context(invocation["request_id"], invocation["timeout"])
        )
    except Exception as error:  # noqa: BLE001  # Lambda, too, catches whatever comes.
        outcome["raised"] = [type(error).__name__, str(error)]
    outcome["answered"] = time.time()
    time.sleep(invocation["linger"])
    return outcome


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps([answer(invocation) for invocation in json.load(sys.stdin)]))
    sys.stdout.flush()
    os._exit(0)  # Lambda freezes a process that has answered; it does not wait for its threads.
