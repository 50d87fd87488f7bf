"""JSON values one after the other out of a file of any size: documents of any layout, and the elements of arrays.

An array may stand by itself or be the `Items` of what `aws dynamodb scan` and `query` print. What is read depends on
the place where reading begins: behind an element come a comma or a bracket, behind a document neither.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec

from sluice.message.operation import Rejection
from sluice.sending.record import Position

from .source import MAX_LINE_BYTES

_BLOCK = 1 << 16
_MARK = "\xef\xbb\xbf"
_GAP = re.compile(rf"(?:[ \t\r\n]|{_MARK})*+")
_STRUCTURE = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*+"|[{}\[\],]')
_MEMBER = re.compile(r'[ \t\r\n]*+"(?:[^"\\]|\\.)*+"[ \t\r\n]*+:[ \t\r\n]*+')
_NEWLINES = re.compile(rb"[\r\n]+ *+")
# What the AWS CLI and the SDKs print besides the items of a scan or query.
OUTPUT = re.compile(
    r"\{\s*+(?:\"(?:Count|ScannedCount|ConsumedCapacity|LastEvaluatedKey|NextToken|ResponseMetadata)\"\s*+:\s*+"
    r"(?:null|[0-9]+|\"[^\"]*\"|\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\})\s*+,\s*+)*+\"Items\"\s*+:\s*+\["
)
_HEAD = 1 << 14
"""Characters within which the items of an output begin."""
_LONGEST_TOKEN = 12
"""No token of JSON but a string has more characters that mean nothing without the last one."""
_TOO_LONG = Rejection("ItemTooLarge", f"over {MAX_LINE_BYTES >> 20} MiB")
_NOT_JSON = Rejection("InvalidJson", "not JSON")
_COMMA = re.compile(r"[ \t\r\n]*+,[ \t\r\n]*+(?=\{)")
_MAX_TRIES = 8
"""So many places are tried as the end of a block's last element: what looks like it may stand inside of one."""
_BYTES = "latin-1"
_many = msgspec.json.Decoder(list[msgspec.Raw]).decode
_scan = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=str).raw_decode


class Elements:
    """The values from a position on. Raises `OSError` or `EOFError` where what stands around them is no JSON."""

    def __init__(self, stream: io.BufferedReader, start: Position, *, in_array: bool) -> None:
        """`in_array`: at its beginning the file has an array, which has to be closed."""
        self._read = stream.read1
        self._text, self._at = "", 0
        """A character for each byte, whatever the file is written in: a place in it is one in the file."""
        self._is_over = self._is_tried = False
        self._offset, self._line = start.offset, start.line
        self._indent: str | None = ""
        """What stands on the line before the place that is read; None where that is not blank."""
        self._inside = in_array and start.offset > 0
        self._may_be_inside = start.offset > 0
        """An array has begun, as far as is known here."""
        self.is_unsure = False
        """The file ends where reading began, and only from its beginning could be told whether its array is closed."""

    def __iter__(self) -> Iterator[tuple[int, Position, bytes, Rejection | None]]:
        """Line, end, text on one line, and what is wrong with it."""
        if self._inside and (first := self._next()) not in (",", "]"):
            self._inside = False  # What comes next is a document.
            self.is_unsure = first == ""
        while (next_one := self._next()) != "":
            if next_one == ",":
                if not (self._inside or self._may_be_inside):
                    raise OSError(f"a comma on line {self._line + 1} and no [ before it: make it an array by [ and ]")
                self._inside = True
                self._advance(self._at + 1)
            elif next_one == "]":
                self._advance(self._at + 1)
                self._inside = False
                self._skip_rest_of_output()
            elif begin := self._array():
                self._advance(begin)
                self._inside = self._may_be_inside = True
                if self._next() == "]":
                    continue
            else:
                yield self._element()
                if self._inside:
                    yield from self._alike()
                if self._inside and self._next() not in (",", "]", ""):
                    self._inside = False
        if self._inside:
            raise EOFError("its JSON array is not closed: the file is not whole")

    def _next(self) -> str:
        """The next character that is not blank; none at the end."""
        while True:
            gap = _GAP.match(self._text, self._at)
            assert gap is not None
            self._advance(gap.end())
            some = self._text[self._at : self._at + len(_MARK)]
            if not _MARK.startswith(some) or not self._fill():  # A mark may be cut by the end of a block.
                return some[:1]

    def _advance(self, to: int) -> None:
        passed = self._text[self._at : to]
        self._offset += len(passed)
        if lines := passed.count("\n"):
            self._line += lines
            self._indent, passed = "", passed[passed.rindex("\n") + 1 :]
        if passed and self._indent is not None:
            self._indent = self._indent + passed if passed.isspace() else None
        self._at = to

    def _fill(self) -> bool:
        """Look at more; False at the end."""
        block = b"" if self._is_over else self._read(_BLOCK)
        self._is_over = not block
        if block:
            self._text, self._at = self._text[self._at :] + block.decode(_BYTES), 0
            self._is_tried = False
        return bool(block)

    def _array(self) -> int | None:
        """Where the first element stands of an array that begins here; None where none does."""
        if self._inside:
            return None
        if self._text[self._at] == "[":
            return self._at + 1
        while len(self._text) - self._at < _HEAD and self._fill():
            pass
        output = OUTPUT.match(self._text, self._at)
        return None if output is None else output.end()

    def _value(self) -> int | None:
        """Where the value that begins here ends; None where it is no JSON, or too long."""
        while True:
            try:
                _, end = _scan(self._text, self._at)
                if end < len(self._text) or not self._fill():
                    return end
                continue  # A number may go on.
            except json.JSONDecodeError as error:
                is_cut = error.pos + _LONGEST_TOKEN >= len(self._text) or error.msg.startswith("Unterminated")
            except (ValueError, RecursionError):
                return None
            if not is_cut or len(self._text) - self._at > MAX_LINE_BYTES or not self._fill():
                return None

    def _element(self) -> tuple[int, Position, bytes, Rejection | None]:
        end, fault = self._value(), None
        if end is None:
            end, fault = self._end_of_no_json(), _NOT_JSON
        line, text = self._line + 1, self._text[self._at : end].encode(_BYTES)
        if len(text) >= MAX_LINE_BYTES:
            fault = _TOO_LONG
        elif fault is None and b"\n" in text:
            text = _on_one_line(text)
        elif fault is not None:
            text = _NEWLINES.sub(b" ", text.rstrip())
        self._advance(end)
        return line, Position(self._offset, self._line), text, fault

    def _alike(self) -> Iterator[tuple[int, Position, bytes, Rejection | None]]:
        """Behind an element all others of the block at once, where they are objects with the same gap between them; and
        so on with the next block.

        Nothing comes of it where one is unusual: then they are read one by one.
        """
        while not self._is_tried and (comma := _COMMA.match(self._text, self._at)) is not None:
            self._is_tried = True
            begin, gap = comma.end(), comma[0].encode()
            end = len(self._text)
            for _ in range(_MAX_TRIES):
                end = self._text.rfind("}" + comma[0] + "{", begin, end) + 1
                if end == 0:
                    return
                if (found := _objects(self._text[begin:end].encode(_BYTES), gap)) is not None:
                    break
            else:
                return
            offset, line, lines = self._offset + len(gap), self._line + gap.count(b"\n"), gap.count(b"\n")
            for element in found:
                first, more = line + 1, element.count(b"\n")
                offset += len(element)
                line += more
                yield first, Position(offset, line), _on_one_line(element) if more else element, None
                offset += len(gap)
                line += lines
            self._offset, self._line, self._indent, self._at = offset - len(gap), line - lines, None, end
            self._fill()

    def _end_of_no_json(self) -> int:
        """Where what is no JSON ends: by its brackets, or before a line on which another value begins as it does."""
        end = self._end_by_brackets()
        if self._indent is not None:
            alike = re.compile(rf",?[ \t\r]*+\n{self._indent}(?=[{{\]])").search(self._text, self._at + 1, end)
            end = end if alike is None else alike.start()
        return end

    def _end_by_brackets(self) -> int:
        depth, place = 0, self._at
        while True:
            for token in _STRUCTURE.finditer(self._text, place):
                depth += (token[0] in "{[") - (token[0] in "}]")
                if depth < 0 or (depth == 0 and token[0] == ","):
                    return max(token.start(), self._at + 1)
                if depth == 0 and token[0] in "}]":
                    return token.end()
                place = token.end()
            place -= self._at
            if len(self._text) - self._at > MAX_LINE_BYTES:
                raise OSError(f"what begins on line {self._line + 1} is no JSON, and has no end")
            if not self._fill():
                return len(self._text)
            place += self._at

    def _skip_rest_of_output(self) -> None:
        """Behind the items of an output: the members that follow, and its closing bracket."""
        if self._next() not in (",", "}"):
            return
        while self._next() == ",":
            self._advance(self._at + 1)
            self._next()
            while len(self._text) - self._at < _HEAD and self._fill():
                pass
            member = _MEMBER.match(self._text, self._at)
            if member is None:
                break
            self._advance(member.end())
            end = self._value()
            if end is None:
                break
            self._advance(end)
        if self._next() != "}":
            raise OSError(f"not JSON behind its items, on line {self._line + 1}")
        self._advance(self._at + 1)


def document(head: bytes) -> dict[str, Any] | None:
    """The JSON object with which some text begins."""
    return _object(head.decode("utf-8", "replace"), 0)


def first_value(head: bytes) -> dict[str, Any] | None:
    """The first JSON object in the array with which some text begins."""
    text = head.decode("utf-8", "replace")
    output = OUTPUT.match(text)
    at = 0 if output is None else output.end()
    while (at := text.find("{", at)) >= 0:
        if (value := _object(text, at)) is not None:
            return value
        at += 1
    return None


def _object(text: str, at: int) -> dict[str, Any] | None:
    try:
        value, _ = _scan(text, at)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _objects(block: bytes, gap: bytes) -> list[bytes] | None:
    """The objects that a block holds; None where they are no JSON, or what joins them is not `gap`."""
    try:
        found = list(map(bytes, _many(b"[" + block + b"]")))
    except (ValueError, RecursionError):
        return None
    return found if gap.join(found) == block else None


def _on_one_line(text: bytes) -> bytes:
    try:
        return bytes(msgspec.json.format(text, indent=-1))
    except (ValueError, RecursionError):  # Not UTF-8, say: for the check to tell.
        return _NEWLINES.sub(b" ", text)
