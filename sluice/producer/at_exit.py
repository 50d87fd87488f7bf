"""What producers hold when the interpreter ends is still sent.

Python runs exit handlers last in, first out: those that were registered after this module was imported come before
its own, and may leave to it what they put. Those that come later are told by `is_over` that nobody flushes after them.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
import weakref
from collections.abc import Callable

_flushes: dict[int, weakref.WeakMethod[Callable[[], None]]] = {}
_is_over = not threading.main_thread().is_alive()
"""An exit handler that is registered when the main thread has ended may never be called."""
_told: set[int] = set()
"""Processes in which multiprocessing has been told; a fork takes along its parent's."""


def is_over() -> bool:
    """Whether what is taken from now on would not be flushed by anybody."""
    return _is_over


def call(flush: Callable[[], None]) -> None:
    """Call a method at exit, as long as its object is there and `forget` is not called."""
    owner, pop = id(flush.__self__), _flushes.pop  # type: ignore[attr-defined]
    _flushes[owner] = weakref.WeakMethod(flush, lambda _: pop(owner, None))
    _call_in_child()


def forget(flush: Callable[[], None]) -> None:
    """There is nothing to flush at exit any more."""
    _flushes.pop(id(flush.__self__), None)  # type: ignore[attr-defined]


def _call_in_child() -> None:
    """A forked child of multiprocessing ends without exit handlers, but calls finalizers of its own kind."""
    util = sys.modules.get("multiprocessing.util")
    if util is None or os.getpid() in _told or sys.modules["multiprocessing"].parent_process() is None:
        return
    util.Finalize(None, _end, exitpriority=0)
    _told.add(os.getpid())


def _end() -> None:
    global _is_over
    _is_over = True
    for reference in list(_flushes.values()):
        if (flush := reference()) is not None:
            flush()


atexit.register(_end)
