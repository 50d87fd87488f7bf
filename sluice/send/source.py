"""The bytes of a file or of standard input, unpacked, line by line; a file can be read from any position on."""

from __future__ import annotations

import codecs
import gzip
import hashlib
import io
import os
import re
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

from sluice.cli import CommandError
from sluice.sending.record import START, Position

from .recoded import Recoded
from .streams import Again, Zstandard, skip

HEAD_BYTES = 1 << 20
"""As much of the beginning is looked at to tell what the file is."""
MAX_LINE_BYTES = 16 << 20
"""A longer line is cut, and cannot be a record: an item has 400 KB at most."""
_BLOCK = 1 << 20
UTF_8 = "utf-8"
_LETTER_OF_UTF_8 = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
_PACKED = {b"\x1f\x8b": ".gz", b"\x28\xb5\x2f\xfd": ".zst"}
"""How packed files begin, whatever their names."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What tells one state of a file from another."""

    size: int
    modified: int
    """Nanoseconds since 1970."""
    head: str
    """SHA-256 of the first MiB."""


class Lines:
    """An iterator of lines, which knows how far it is. A line over MAX_LINE_BYTES comes cut to that length."""

    def __init__(self, stream: IO[bytes], start: Position) -> None:
        self._readline = stream.readline
        self.offset, self.line = start.offset, start.line

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        line = self._readline(MAX_LINE_BYTES)
        if not line:
            raise StopIteration
        self.offset += len(line)
        self.line += 1
        if len(line) == MAX_LINE_BYTES and not line.endswith(b"\n"):
            while (rest := self._readline(_BLOCK)) and not rest.endswith(b"\n"):
                self.offset += len(rest)
            self.offset += len(rest)
        return line


class Store(Protocol):
    """Where files are."""

    def identity(self, name: str) -> Identity: ...

    def size(self, name: str) -> int: ...

    def open(self, name: str) -> io.RawIOBase: ...


class _Disk:
    """The files of this machine."""

    def identity(self, name: str) -> Identity:
        with Path(name).open("rb") as file:
            status = os.fstat(file.fileno())
            return Identity(status.st_size, status.st_mtime_ns, hashlib.sha256(file.read(_BLOCK)).hexdigest())

    def size(self, name: str) -> int:
        return Path(name).stat().st_size

    def open(self, name: str) -> io.RawIOBase:
        return Path(name).open("rb", buffering=0)


class Source:
    """A file, unpacked by its extension (.gz, .zst), or `-`. Raises `CommandError` where it cannot be read."""

    def __init__(self, name: str, encoding: str | None = None, store: Store | None = None) -> None:
        self.name = name
        self._store = store or _Disk()
        self.is_local = store is None
        self._encoding = encoding
        self._is_said = encoding is not None
        self.is_file = not self.is_local or (name != "-" and (self.path.is_file() or not self.path.exists()))
        """Not standard input nor a pipe: it can be read twice."""
        self._has_text = True
        self._packed_by: str | None = None
        self._head: bytes | None = None
        self._raw: Any = None
        self._stream: Any = None
        self._open: io.BufferedReader | None = None  # Held, for it closes the file when it goes.

    @property
    def path(self) -> Path:
        return Path(self.name)

    @property
    def _packing(self) -> str | None:
        if self._packed_by is None:
            by_name = next((one for one in _PACKED.values() if self.name.lower().endswith(one)), "")
            self._packed_by = by_name
            if not by_name and self.is_file:
                with _reading(self.name), self._store.open(self.name) as file:
                    mark = file.read(4) or b""
                self._packed_by = next((one for begin, one in _PACKED.items() if mark.startswith(begin)), "")
        return self._packed_by or None

    @property
    def stem(self) -> str:
        """The name without the extension of its packing."""
        return (
            self.name[: -len(self._packing)]
            if self._packing and self.name.lower().endswith(self._packing)
            else self.name
        )

    def identity(self) -> Identity:
        """What the file is now."""
        with _reading(self.name):
            return self._store.identity(self.name)

    def size(self) -> int | None:
        """Bytes of the file as it is, packed or not; None for standard input."""
        with _reading(self.name):
            return self._store.size(self.name) if self.is_file else None

    def done(self, position: Position) -> int:
        """Bytes of the file up to a position; of a packed file those that have been read, which is a little more."""
        if (self._packing is None and self.encoding is None) or not self.is_file:
            return position.offset
        return self._raw.tell() if self._raw is not None else 0

    def head(self, *, lines: int | None = None) -> bytes:
        """The first MiB; less where the end comes before, or where so many lines of standard input are enough."""
        lines = None if self.is_file else lines
        if self._head is None or not self.is_file:
            with _reading(self.name):
                stream = self._unpacked() if self.is_file else self._once()
                head = self._head or b""
                while len(head) < HEAD_BYTES and (lines is None or head.count(b"\n") < lines):
                    if not (block := stream.read1(HEAD_BYTES - len(head))):
                        break
                    head += block
                self._head = head
        return self._head

    def forget(self) -> None:
        """Let go of the first MiB and of the open file, where they can be had again."""
        if self.is_file:
            self._has_text = self.is_text()
            self._head = self._open = self._raw = None

    def is_text(self) -> bool:
        """Whether the first MiB, as far as it was looked at, can be read."""
        return self._has_text if self._head is None else _is(self._head, UTF_8)

    def other_encoding(self) -> str | None:
        """What the file looks to be written in where none was said and it is not UTF-8."""
        head = self._head or b""
        if self._encoding not in (None, UTF_8) or self._is_said:
            return None
        if len(head) > 3 and (head[1] == head[3] == 0 or head[0] == head[2] == 0):
            return "utf-16-le" if head[1] == 0 else "utf-16-be"
        # One that has letters of UTF-8 is a file of UTF-8 with something bad in it.
        is_cp1252 = not self.is_text() and not _LETTER_OF_UTF_8.search(head) and _is(head, "cp1252")
        return "cp1252" if is_cp1252 else None

    def lines(self, start: Position = START) -> Lines:
        """The lines from a position on; those of standard input can be had once."""
        return Lines(self.stream(start), start)

    def stream(self, start: Position = START) -> io.BufferedReader:
        """The bytes from a position on; those of standard input can be had once."""
        with _reading(self.name):
            if not self.is_file:
                return Again(self._head or b"", self._once()).buffered()
            self._open = stream = self._unpacked()
            if stream.raw is self._raw:
                stream.seek(start.offset)
            else:
                skip(stream, start.offset)
            return stream

    def seekable(self) -> Any:
        """The bytes as they are, as a file to be read in any order."""
        return io.BufferedReader(self._store.open(self.name), _BLOCK)

    def _unpacked(self) -> io.BufferedReader:
        if self.encoding is None:
            return self._packed()
        return io.BufferedReader(Recoded(self._packed(), self.encoding), _BLOCK)

    @property
    def encoding(self) -> str | None:
        """What the file is written in, by the option or the mark at its beginning; None for UTF-8."""
        if self._encoding is None and self.is_file:
            with _reading(self.name), self._packed() as stream:
                mark = stream.read(2)
            self._encoding = "utf-16" if mark in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else UTF_8
        return None if self._encoding in (None, UTF_8) else self._encoding

    def _packed(self) -> io.BufferedReader:
        self._raw = raw = self._store.open(self.name)
        if self._packing == ".gz":
            # Fed by gzip in big blocks; GzipFile's own readline goes through Python for each line.
            return io.BufferedReader(gzip.GzipFile(fileobj=raw), _BLOCK)
        if self._packing == ".zst":
            return io.BufferedReader(Zstandard(raw), _BLOCK)
        return io.BufferedReader(raw, _BLOCK)

    def _once(self) -> Any:
        """Standard input or a pipe, opened once."""
        if self._raw is None:
            self._raw = sys.stdin.buffer if self.name == "-" else self.path.open("rb")
            self._stream = self._raw
            if self.encoding is not None:
                self._stream = io.BufferedReader(Recoded(self._raw, self.encoding), _BLOCK)
        return self._stream

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Around whatever takes lines: says by a `CommandError` what is wrong with the file."""
        with _reading(self.name):
            yield


def _is(text: bytes, encoding: str) -> bool:
    try:
        codecs.getincrementaldecoder(encoding)().decode(text)
    except UnicodeDecodeError:
        return False
    return True


class ReadError(CommandError):
    """The file cannot be read, or ends before its end: nor could it be read by another send."""


@contextmanager
def _reading(name: str) -> Iterator[None]:
    try:
        yield
    except (OSError, EOFError, zlib.error) as error:  # A cut or corrupt .gz raises EOFError, BadGzipFile or zlib.error.
        text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ReadError(f"cannot read {name}: {text}") from error
