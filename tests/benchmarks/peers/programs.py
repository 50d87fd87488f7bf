"""The programs of the peers: how they are built, into a directory that git ignores, and how they are run."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.processes import ROOT, Process, Round, environment
from tests.benchmarks.records import Load

SOURCES = Path(__file__).parent
BUILT = ROOT / ".peers-bench"
BUILD_SECONDS = 3600
PYTHONS = ("python3.14", "python3.13", "python3.12")  # What AWS's SDK for Python v4 asks for.


class NotMeasuredError(Exception):
    """Why a peer is not measured: a tool that is not here, or a build that failed."""


@dataclass(frozen=True, slots=True)
class Program:
    """A peer, and how its command is made. That may fetch packages, and raises NotMeasuredError where it cannot."""

    name: str
    build: Callable[[], Sequence[str]]


def go() -> Sequence[str]:
    built = BUILT / "go" / "writer"
    _run([_tool("go"), "build", "-buildvcs=false", "-o", str(built), "."], SOURCES / "go")
    return [str(built)]


def rust() -> Sequence[str]:
    built = BUILT / "rust"
    _run([_tool("cargo"), "build", "--release", "--locked", "--target-dir", str(built)], SOURCES / "rust")
    return [str(built / "release" / "writer")]


def node() -> Sequence[str]:
    interpreter, npm = _tool("node"), _tool("npm")
    built = BUILT / "node"
    shutil.copytree(SOURCES / "node", built, dirs_exist_ok=True)
    _run([npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"], built)
    return [interpreter, str(built / "main.mjs")]


def python_v4() -> Sequence[str]:
    built = BUILT / "python"
    interpreter = str(built / "bin" / "python")
    if not Path(interpreter).exists():
        _run([_newer_python(), "-m", "venv", str(built)], ROOT)
    requirements = str(SOURCES / "python_v4" / "requirements.txt")
    _run([interpreter, "-m", "pip", "install", "--quiet", "--require-hashes", "--requirement", requirements], ROOT)
    return [interpreter, str(SOURCES / "python_v4" / "main.py")]


PROGRAMS = (
    Program("AWS's SDK for Rust", rust),
    Program("AWS's SDK for Go", go),
    Program("AWS's SDK for JavaScript, on Node", node),
    Program("AWS's SDK for Python v4 (preview)", python_v4),
)


class ProgramProcess(Process):
    """A peer's program with one event, which it decodes in every invocation."""

    def __init__(self, name: str, command: Sequence[str], event: Path, port: int) -> None:
        super().__init__([*command, str(event)], environment(port))
        self.name = name
        self._written = 0

    def invoke(self, load: Load, times: int = 1) -> Round:
        del load  # It has its event.
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # It has ended, as the missing line will tell.
            self.process.stdin.write(f"{times}\n")
            self.process.stdin.flush()
        told = json.loads(self.line())
        self._written = told["written"]
        return Round(told["cpu"] / times, told["wall"] / times)

    def said(self) -> float:
        """How many records it says that it has written in the last round."""
        return self._written


def _tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise NotMeasuredError(f"there is no {name} here")
    return found


def _newer_python() -> str:
    """Raises NotMeasuredError where there is none; a name alone may be a shim for a version that is not installed."""
    for candidate in _pythons():
        told = subprocess.run([candidate, "--version"], capture_output=True, check=False)
        if told.returncode == 0:
            return candidate
    raise NotMeasuredError("there is no Python 3.12 or newer here")


def _pythons() -> Iterator[str]:
    if sys.version_info >= (3, 12):
        yield sys.executable
    yield from filter(None, map(shutil.which, PYTHONS))


def _run(command: Sequence[str], directory: Path) -> None:
    try:
        subprocess.run(
            command, cwd=directory, env=os.environ, capture_output=True, text=True, check=True, timeout=BUILD_SECONDS
        )
    except subprocess.CalledProcessError as error:
        last = (error.stderr or error.stdout).strip().splitlines()[-1:]
        raise NotMeasuredError(f"{Path(command[0]).name} failed: {' '.join(last)}") from error
    except subprocess.TimeoutExpired as error:
        raise NotMeasuredError(f"{Path(command[0]).name} took more than {BUILD_SECONDS:,} s") from error
