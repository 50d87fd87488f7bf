"""Terminals of every kind: what one cannot show stands in plain letters and is no error; a dumb one gets lines."""

from __future__ import annotations

import codecs
import io
import os
import sys
from typing import TextIO

_PLAIN = str.maketrans(
    {"…": "...", "→": "->", "←": "<-", "\u00d7": "x", "\u2013": "-", "\u2212": "-", "≥": ">=", "≤": "<=", "µ": "u"}
    | dict(zip("▁▂▃▄▅▆▇█", "_.-=+*%#", strict=True))
)
_ERRORS = "sluice.plain"


def prepare() -> None:
    """Let whatever is written to standard output and error be shown there, whatever its encoding."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_ERRORS)


def can_redraw(stream: TextIO) -> bool:
    """Whether it is a terminal on which a line can be written over."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def _plain(error: UnicodeError) -> tuple[str, int]:
    """The nearest plain spelling, and else the number, of characters that an encoding does not have."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end].translate(_PLAIN)
    return text.encode("ascii", "backslashreplace").decode(), error.end


codecs.register_error(_ERRORS, _plain)
