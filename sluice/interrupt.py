"""Ctrl-C and SIGTERM as one exception, raised where the program can stop safely."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType

SIGNALS = tuple(one for one in signal.Signals if one.name in ("SIGINT", "SIGTERM", "SIGHUP"))
"""Windows has no SIGHUP."""


class Interrupted(Exception):
    """The user, or the system, asked this program to stop."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.exit_status = 128 + number


class Interrupt:
    """Notes SIGINT, SIGTERM and SIGHUP while entered; `check` raises `Interrupted` once one has come.

    A handler that raises could strike between the start of a child and the note of its id, or in the
    middle of ending one. A handler that only takes note cannot, so no child is ever forgotten.
    """

    def __init__(self) -> None:
        self.number: int | None = None

    def check(self) -> None:
        if self.number is not None:
            raise Interrupted(self.number)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self.number = number

    def __enter__(self) -> Interrupt:
        self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(self, _kind: type | None, _error: BaseException | None, _at: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
