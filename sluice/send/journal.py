"""How far a send has come, on disk beside the file: what is noted there has been accepted by the queue."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from sluice.cli import CommandError
from sluice.sending.record import START, Position

from .source import Identity

VERSION = 3
_MAX_LINE_BYTES = 1 << 20
"""Bytes after which the journal is written anew; it holds a line for each time that something was noted."""


@dataclass(frozen=True, slots=True)
class Heading:
    """What was sent, how, and where to: all that must be the same for a send to be continued."""

    files: tuple[Identity, ...]
    """Without any for what can be read but once."""
    queue_url: str
    options: dict[str, Any]
    run: str
    """Tells this send of the file from any other."""


class Example(NamedTuple):
    """A rejected record."""

    offset: int
    """Of its end."""
    line: int
    message: str


@dataclass(frozen=True, slots=True)
class State:
    """Everything before `position` is done; beyond it, single messages may be."""

    position: Position = START
    sent: frozenset[tuple[int, int, int]] = frozenset()
    """Messages beyond `position`: beginning and end of the window, number within it."""
    records: int = 0
    messages: int = 0
    size: int = 0
    """Bytes of the messages."""
    rejected: dict[str, int] = field(default_factory=dict)
    """Rejected records by error code."""
    examples: dict[str, Example] = field(default_factory=dict)
    """The first rejected record of each error code."""
    rejected_bytes: int = 0
    """Length of the file of rejected records."""
    complete: bool = False


class Journal:
    """A file of JSON lines: the heading, then the state after each change. The last whole line counts."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = -1
        self._length = 0

    def read(self) -> tuple[Heading, State] | None:
        """What an earlier send has left; None where there is nothing. Raises `CommandError` for another file."""
        try:
            lines = self.path.read_bytes().split(b"\n")[:-1]  # What comes after the last newline was cut by a crash.
        except FileNotFoundError:
            return None
        except OSError as error:
            raise CommandError(f"cannot read {self.path}: {error.strerror}") from None
        if not lines:
            return None
        try:
            heading = json.loads(lines[0])
            if heading["version"] != VERSION:
                raise CommandError(f"{self.path} was written by another version of sluice; --restart sends all again")
            return _heading(heading), next(filter(None, map(_state, reversed(lines[1:]))), State())
        except (ValueError, KeyError, TypeError):
            raise CommandError(f"{self.path} is not the journal of a send") from None

    def start(self, heading: Heading, state: State) -> None:
        """Begin, or go on; raises `CommandError` where the directory cannot be written."""
        self._head = json.dumps({"version": VERSION, **asdict(heading)}) + "\n"
        try:
            self._write_anew(state)
        except OSError as error:
            raise CommandError(
                f"cannot write {self.path}: {error.strerror}; what a send notes and rejects stands beside the file, so"
                " send a link to it (ln -s) from a directory that can be written"
            ) from None

    def note(self, state: State) -> None:
        """Returns when the state is on disk. Raises `CommandError` where it cannot be written."""
        line = _line(state)
        try:
            if self._length + len(line) > _MAX_LINE_BYTES:
                self._write_anew(state)
                return
            _write(self._file, line)
            os.fsync(self._file)
        except OSError as error:
            with suppress(OSError):  # So that the next line does not stand behind half of this one.
                os.ftruncate(self._file, self._length)
            raise CommandError(f"cannot write {self.path}: {error.strerror}") from None
        self._length += len(line)

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _write_anew(self, state: State) -> None:
        """Replaced in one step, so that a crash leaves the old one or the new one."""
        beside = self.path.with_name(self.path.name + ".new")
        content = self._head.encode() + _line(state)
        try:
            file = _opened(beside, os.O_CREAT | os.O_TRUNC)
            try:
                _write(file, content)
                os.fsync(file)
            finally:
                os.close(file)  # Windows renames nothing that is open, and puts nothing in its place.
            self.close()
            beside.replace(self.path)
            sync_directory(self.path.parent)
        except OSError:
            beside.unlink(missing_ok=True)
            raise
        self._file, self._length = _opened(self.path), len(content)


def _opened(path: Path, more: int = 0) -> int:
    binary: int = getattr(os, "O_BINARY", 0)  # Windows would write other line ends.
    return os.open(path, os.O_WRONLY | os.O_APPEND | more | binary, 0o600)


def _write(file: int, content: bytes) -> None:
    """All of it; the system may take a part at a time, and says only then that the disk is full."""
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(file, rest) :]


def sync_directory(directory: Path) -> None:
    """Makes new names in a directory outlive a power failure; Windows has nothing for it."""
    if os.name == "nt":
        return
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _line(state: State) -> bytes:
    return (
        json.dumps(
            asdict(state) | {"position": msgspec.structs.astuple(state.position), "sent": _runs(sorted(state.sent))}
        ).encode()
        + b"\n"
    )


def _runs(sent: list[tuple[int, int, int]]) -> list[list[int]]:
    """Both ends of the window, first and last number of messages that follow each other."""
    runs: list[list[int]] = []
    for *window, number in sent:
        if runs and runs[-1][:2] == window and runs[-1][3] == number - 1:
            runs[-1][3] = number
        else:
            runs.append([*window, number, number])
    return runs


def _state(line: bytes) -> State | None:
    try:
        value = json.loads(line)
    except ValueError:
        return None
    runs = value.pop("sent")
    sent = frozenset((start, end, number) for start, end, first, last in runs for number in range(first, last + 1))
    examples = {code: Example(*one) for code, one in value.pop("examples").items()}
    return State(position=Position(*value.pop("position")), sent=sent, examples=examples, **value)


def _heading(value: dict[str, Any]) -> Heading:
    return Heading(tuple(Identity(**one) for one in value["files"]), value["queue_url"], value["options"], value["run"])
