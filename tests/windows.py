"""`sluice` or a program as on Windows, as far as another system can play it: `python -m tests.windows send …`.

Hidden are the modules, functions and signals that Python's documentation calls not available on Windows; text is
cp1252 with CR LF; and no file is renamed or removed while this process has it open.
`os.name` stays, for pathlib and tempfile ask it for what only a real Windows has.
"""

from __future__ import annotations

import builtins
import enum
import importlib.abc
import importlib.machinery
import io
import multiprocessing
import os
import pathlib
import runpy
import select
import signal
import socket
import sys
import tempfile
from typing import Any

HIDDEN_MODULES = {"fcntl", "termios", "tty", "pty", "pwd", "grp", "resource", "curses", "readline", "syslog"}
HIDDEN = {
    os: (
        *(
            "fork",
            "forkpty",
            "register_at_fork",
            "killpg",
            "setsid",
            "getuid",
            "geteuid",
            "getgid",
            "getegid",
            "getpgid",
        ),
        *("chown", "fchown", "lchown", "mkfifo", "mknod", "openpty", "statvfs", "sysconf", "uname", "nice", "sync"),
        *("fdatasync", "pread", "pwrite", "sched_getaffinity", "O_NOFOLLOW", "O_DIRECTORY", "O_CLOEXEC", "O_SYNC"),
    ),
    select: ("poll", "epoll", "kqueue", "POLLIN", "POLLOUT", "POLLERR", "POLLHUP"),
    signal: ("SIGHUP", "SIGKILL", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGCHLD", "SIGPIPE", "setitimer"),
    socket: ("AF_UNIX", "socketpair"),
}
SIGNALS = ("SIGABRT", "SIGFPE", "SIGILL", "SIGINT", "SIGSEGV", "SIGTERM")
"""https://docs.python.org/3/library/signal.html#signal.signal, On Windows."""


class Hiding(importlib.abc.MetaPathFinder):
    def find_spec(self, name: str, *_: Any) -> importlib.machinery.ModuleSpec | None:
        if name in HIDDEN_MODULES:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None


def become_windows() -> None:
    # These look at the system when they are imported, and would look for what only a real Windows has.
    assert {multiprocessing, pathlib, tempfile}
    for name in HIDDEN_MODULES:
        sys.modules.pop(name, None)
    sys.meta_path.insert(0, Hiding())
    signal.Signals = enum.IntEnum("Signals", {name: getattr(signal, name) for name in SIGNALS})  # type: ignore[misc]
    for module, names in HIDDEN.items():
        for name in names:
            if hasattr(module, name):
                delattr(module, name)
    builtins.open = io.open = _opened
    for name in ("replace", "rename", "remove", "unlink"):
        setattr(os, name, _refusing(getattr(os, name)))
    for stream in (sys.stdout, sys.stderr):
        assert isinstance(stream, io.TextIOWrapper)
        stream.reconfigure(encoding="cp1252", newline="\r\n")


_open = io.open


def _opened(file: Any, mode: str = "r", *given: Any, **named: Any) -> Any:
    if "b" not in mode and not given:
        named["encoding"] = named.get("encoding") or "cp1252"
        if mode[0] != "r" and named.get("newline") is None:
            named["newline"] = "\r\n"
    return _open(file, mode, *given, **named)


def _refusing(call: Any) -> Any:
    def refuse(*paths: Any, **given: Any) -> Any:
        for path in paths:
            if os.path.realpath(path) in _held():
                raise PermissionError(13, "it is being used by another process (WinError 32)", str(path))
        return call(*paths, **given)

    return refuse


def _held() -> set[str]:
    """The files that this process has open; none where the system does not tell."""
    held = set()
    if os.path.isdir("/proc/self/fd"):
        for number in os.listdir("/proc/self/fd"):
            try:
                held.add(os.readlink(f"/proc/self/fd/{number}"))
            except OSError:  # The handle of the list itself.
                continue
    return held


if __name__ == "__main__":
    if sys.platform != "win32":
        become_windows()
    if sys.argv[1].endswith(".py"):
        sys.argv = sys.argv[1:]
        runpy.run_path(sys.argv[0], run_name="__main__")
    else:
        sys.argv[0] = "sluice"
        runpy.run_module("sluice", run_name="__main__")
