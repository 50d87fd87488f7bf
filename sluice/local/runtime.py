"""The deployed function's code, run by AWS's own runtime client against a local Lambda Runtime API.

The API is that of the Lambda developer guide's page runtimes-api: the function's process asks for its next
invocation and posts what came of it.
"""

from __future__ import annotations

import importlib.metadata
import json
import queue
import re
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from .aws import LocalAws, LocalError
from .poller import FunctionResult
from .processes import child, tail
from .serving import QuietHandler, serving

RUNTIME_CLIENT = "awslambdaric"
INIT_SECONDS = 120
"""Seconds to start in; AWS allows 10 (lambda-runtime-environment), a busy laptop may need far more."""
TICK = 0.05
"""Seconds between looks at a process that is being waited for."""


@dataclass(frozen=True, slots=True)
class FunctionCode:
    """A function as deployed: its unpacked bundle and what Lambda would tell its process."""

    task_root: Path
    handler: str
    name: str
    arn: str
    timeout: int
    """Seconds."""
    memory: int
    """MB; told to the function, not enforced."""
    environ: Mapping[str, str]


class RuntimeApi:
    """The Lambda Runtime API for one process.

    A new process needs a new one, or its predecessor's last request for work, still open, takes the next event.
    """

    def __init__(self) -> None:
        self.is_ready = threading.Event()
        """Set when the process has initialised and asks for work."""
        self.init_error: bytes | None = None
        self._invocations: queue.SimpleQueue[tuple[str, bytes, str, float] | None] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[tuple[str, str, bytes]] = queue.SimpleQueue()

    def offer(self, request_id: str, event: bytes, arn: str, deadline: float) -> None:
        """Hand an event to the process; `deadline` in seconds since the epoch."""
        self._invocations.put((request_id, event, arn, deadline))

    def answer(self, wait: float) -> tuple[str, str, bytes] | None:
        """The request id, outcome (`response` or `error`) and payload of an invocation, if one comes in time."""
        try:
            return self._answers.get(timeout=wait)
        except queue.Empty:
            return None

    @contextmanager
    def serve(self) -> Iterator[str]:
        """Serve on a free port of 127.0.0.1; yields host:port."""
        api = self

        class Handler(QuietHandler):
            def do_GET(self) -> None:  # noqa: N802  # The names that http.server calls.
                if not self.path.endswith("/runtime/invocation/next"):
                    self.reply(404)
                    return
                api.is_ready.set()
                if (invocation := api._invocations.get()) is None:
                    self.close_connection = True  # The process has been ended while it waited.
                    return
                request_id, event, arn, deadline = invocation
                headers = {
                    "Lambda-Runtime-Aws-Request-Id": request_id,
                    "Lambda-Runtime-Deadline-Ms": str(int(deadline * 1000)),
                    "Lambda-Runtime-Invoked-Function-Arn": arn,
                    "Content-Type": "application/json",
                }
                self.reply(200, event, headers)

            def do_POST(self) -> None:  # noqa: N802
                payload = self.payload()
                *_, resource, outcome = self.path.split("/")
                if resource == "init":
                    api.init_error = payload
                else:
                    api._answers.put((resource, outcome, payload))
                self.reply(202)

        with serving(Handler) as port:
            try:
                yield f"127.0.0.1:{port}"
            finally:
                self._invocations.put(None)


class ExecutionEnvironment:
    """One process of the function; after a timeout or an exit the next invocation starts another, as in Lambda.

    `start` and `invoke` are for one thread at a time, `kill` is for any. Once `stopping` is set they wait for nothing.
    """

    def __init__(
        self, code: FunctionCode, aws: LocalAws, runtime_client: Path, log: Path, stopping: threading.Event
    ) -> None:
        self.log = log
        self._code = code
        self._aws = aws
        self._runtime_client = runtime_client
        self._stopping = stopping
        self._parts = ExitStack()
        self._process: subprocess.Popen[bytes] | None = None
        self._api = RuntimeApi()

    def __enter__(self) -> ExecutionEnvironment:
        return self

    def __exit__(self, *_: object) -> None:
        self._parts.close()

    def start(self, check: Callable[[], None] = lambda: None) -> None:
        """Start a process and let it initialise; raises `LocalError` if it cannot, or what `check` raises."""
        self._parts.close()
        self._api = RuntimeApi()
        address = self._parts.enter_context(self._api.serve())
        # -S: only the standard library, the bundle and the runtime client, so that a package that is missing
        # from the bundle is missing here as well.
        self._process = self._parts.enter_context(
            child(
                [sys.executable, "-S", "-m", RUNTIME_CLIENT, self._code.handler],
                environ=self._environ(address),
                directory=self._code.task_root,
                log=self.log,
            )
        )
        end = time.monotonic() + INIT_SECONDS
        while not self._api.is_ready.wait(TICK):
            check()
            if self._stopping.is_set() or self._process.poll() is not None or time.monotonic() > end:
                raise LocalError(f"The function did not start{self._init_error()}; {self._log_tail()}")

    def invoke(self, event: bytes) -> FunctionResult:
        """Run the function on one event; every failure becomes the answer's error."""
        if self._process is None or self._process.poll() is not None:
            try:
                self.start()
            except LocalError as error:
                return FunctionResult(error=str(error))
        request_id = str(uuid.uuid4())
        self._api.offer(request_id, event, self._code.arn, time.time() + self._code.timeout)
        end = time.monotonic() + self._code.timeout
        while not self._stopping.is_set():
            if answer := self._api.answer(TICK):
                return _answer(*answer[1:])
            if self._process is not None and self._process.poll() is not None:
                return FunctionResult(error=f"Runtime.ExitError: exit status {self._process.returncode}")
            if time.monotonic() > end:
                self._parts.close()
                return FunctionResult(error=f"Sandbox.Timedout: task timed out after {self._code.timeout} seconds")
        return FunctionResult(error="stopped while the function ran")

    def kill(self) -> bool:
        """SIGKILL, whatever the process is doing; False if it has ended already. The next invocation starts another."""
        process = self._process
        if process is None or process.poll() is not None:
            return False
        process.kill()
        return True

    def _environ(self, address: str) -> dict[str, str]:
        code = self._code
        return {
            # What Lambda sets (Lambda developer guide, configuration-envvars-runtime).
            "AWS_LAMBDA_RUNTIME_API": address,
            "AWS_LAMBDA_FUNCTION_NAME": code.name,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(code.memory),
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_LOG_FORMAT": "JSON",
            "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{code.name}",
            "AWS_LAMBDA_LOG_STREAM_NAME": self.log.stem,
            "LAMBDA_TASK_ROOT": str(code.task_root),
            "_HANDLER": code.handler,
            "LANG": "en_US.UTF-8",
            "TZ": ":UTC",
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "PYTHONPATH": f"{code.task_root}:{self._runtime_client}",
            # The task directory is read-only in Lambda, so Python leaves no byte code there either.
            "PYTHONDONTWRITEBYTECODE": "1",
            "NO_PROXY": "localhost,127.0.0.1",
            **self._aws.settings(),
            **code.environ,
        }

    def _init_error(self) -> str:
        return f" ({_error_text(self._api.init_error)})" if self._api.init_error else ""

    def _log_tail(self) -> str:
        return f"{self.log} ends:\n{tail(self.log)}"


def start_all(environments: Sequence[ExecutionEnvironment], check: Callable[[], None] = lambda: None) -> None:
    """Start them side by side; raises as `ExecutionEnvironment.start` does."""
    with ThreadPoolExecutor(len(environments)) as executor:
        for started in [executor.submit(environment.start, check) for environment in environments]:
            started.result()


def _answer(outcome: str, payload: bytes) -> FunctionResult:
    return FunctionResult(payload) if outcome == "response" else FunctionResult(error=_error_text(payload))


def _error_text(payload: bytes) -> str:
    """`ErrorType: message` from the JSON that the runtime client posts about an error."""
    try:
        error = json.loads(payload)
        return f"{error['errorType']}: {error['errorMessage']}"
    except (ValueError, KeyError, TypeError):
        return payload.decode(errors="replace")[:500]


def link_runtime_client(directory: Path) -> None:
    """Fill `directory` with links to the runtime client and what it requires, and nothing else of site-packages."""
    directory.mkdir(parents=True)
    names = [RUNTIME_CLIENT]
    for name in names:  # Grows while it is walked.
        names += [required for required in _requirements(name) if required not in names]
        distribution = importlib.metadata.distribution(name)
        tops = {file.parts[0] for file in distribution.files or [] if not file.is_absolute()}
        for top in tops - {"..", "__pycache__"}:
            if not (directory / top).exists():
                (directory / top).symlink_to(str(distribution.locate_file(top)))


def _requirements(name: str) -> list[str]:
    lines = importlib.metadata.requires(name) or []
    return [match[0] for line in lines if ";" not in line and (match := re.match(r"[\w.-]+", line))]
