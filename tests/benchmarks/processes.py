"""The processes of a measurement: the server, and a child for each writer, with the environment that Lambda gives."""

from __future__ import annotations

import contextlib
import http.client
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from tests.benchmarks.records import TABLE, Load

ROOT = Path(__file__).parents[2]
KEY = {"partition_key": {"name": "pk", "type": "S"}, "sort_key": {"name": "sk", "type": "S"}}


def environment(port: int, **more: str) -> dict[str, str]:
    """What Lambda sets, and nothing of this machine's AWS configuration.

    https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime
    """
    return {
        "PATH": "/usr/bin:/bin",
        "LANG": "en_US.UTF-8",
        "HOME": "/nonexistent",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "ASIAIOSFODNN7EXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "AWS_SESSION_TOKEN": "IQoJb3JpZ2luX2VjE"
        + "AQoDYXdz" * 110,  # As long as those of Lambda; it is signed and sent.
        "AWS_EXECUTION_ENV": "AWS_Lambda_python3.14",
        "AWS_LAMBDA_FUNCTION_NAME": "bench",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769",
        "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/bench",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_ENDPOINT_URL_DYNAMODB": f"http://127.0.0.1:{port}",
        "TABLES": json.dumps([{"alias": "orders", "name": TABLE, **KEY}]),
        **more,
    }


class Process:
    """A child that is ended with its `with` block."""

    def __init__(self, command: Sequence[str], environ: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> Any:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, traceback: TracebackType | None) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            with contextlib.suppress(BrokenPipeError):  # Something was still to be written to it.
                pipe.close()

    def line(self) -> str:
        """The next line that it writes. Raises RuntimeError where it has ended instead."""
        output: IO[str] | None = self.process.stdout
        assert output is not None
        line = output.readline()
        if not line:
            raise RuntimeError(f"{self.process.args!r} ended with status {self.process.wait()}")
        return line


class ServerProcess(Process):
    """The fake DynamoDB in a process of its own; `latency` in milliseconds."""

    def __init__(self, latency: float = 0.0) -> None:
        super().__init__([sys.executable, "-m", "tests.benchmarks.server", "--latency", str(latency)], {})
        self.port = int(self.line())

    def control(self, path: str) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request("GET", path)
        content = json.loads(connection.getresponse().read())
        connection.close()
        return content


@dataclass(frozen=True, slots=True)
class Round:
    """What one invocation took, in seconds."""

    cpu: float
    wall: float


class WriterProcess(Process):
    """One writer in a process of its own, ready to be given events. Raises RuntimeError where it cannot be made."""

    def __init__(self, name: str, port: int, prefix: Sequence[str] = (), **environ: str) -> None:
        command = [*prefix, sys.executable, "-m", "tests.benchmarks.child", name]
        super().__init__(command, environment(port, **environ))
        self.name = name
        self.line()

    def invoke(self, load: Load, times: int = 1) -> Round:
        """One invocation's share of `times` of them."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({**asdict(load), "times": times}) + "\n")
        self.process.stdin.flush()
        told = json.loads(self.line())
        return Round(told["cpu"] / times, told["wall"] / times)
