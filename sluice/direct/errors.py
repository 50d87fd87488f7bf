"""What a writer raises.

Exception
├── NotWrittenError     some of what was given was rejected or not written; raised by `check` alone, with the result
└── WriterStoppedError  nothing more can be written: the table, the permission or a setting is wrong, or the table took
                        nothing for the writer's `timeout`; all that was given is accounted for in `result`
"""

from __future__ import annotations

from .outcome import Result


class NotWrittenError(Exception):
    """Writes that failed; `result` has them with their reasons. The text has no item values."""

    def __init__(self, result: Result) -> None:
        super().__init__(result.summary())
        self.result = result


class WriterStoppedError(Exception):
    """The writer takes no more; its text says why."""
