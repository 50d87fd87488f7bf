"""Why a service gave no answer, in plain words: which host, and what went wrong on the way to it."""

from __future__ import annotations

import errno
import socket
from collections.abc import Mapping

MAX_CAUSES = 10
"""Errors that led to one another; what comes after them is not looked at."""

_LOOK_UP: Mapping[int, str] = {
    socket.EAI_NONAME: "name not known",
    socket.EAI_NODATA: "name not known",
    socket.EAI_AGAIN: "the name server does not answer",
}
_CONNECT = frozenset({errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ETIMEDOUT})
"""No connection came about; with any other number one was lost."""


def reason(error: BaseException, host: str) -> str:
    """The socket's error, or one that a library raised because of it, as a clause for a log line."""
    found = _os_error(error)
    if found is None:
        return f"no answer from {host}: {type(error).__name__}"
    if isinstance(found, socket.gaierror):
        return f"could not look up {host}: {_LOOK_UP.get(found.errno or 0, _words(found))}"
    if verify_message := getattr(found, "verify_message", ""):
        return f"could not trust {host}: {verify_message[:1].lower()}{verify_message[1:].rstrip('.')}"
    if "SSLError" in [each.__name__ for each in type(found).__mro__]:  # The module ssl itself may not be loaded.
        return f"no TLS connection to {host}: {getattr(found, 'reason', None) or _words(found)}"
    if found.errno in _CONNECT:
        return f"could not connect to {host}: {_words(found)}"
    if found.errno is not None:
        return f"lost the connection to {host}: {_words(found)}"
    return f"no answer from {host}: {_words(found)}"


def _words(error: OSError) -> str:
    text = error.strerror or str(error)
    return text[:1].lower() + text[1:] or type(error).__name__


def _os_error(error: BaseException | None) -> OSError | None:
    """The first error of the operating system among the causes of an error."""
    for _ in range(MAX_CAUSES):
        if error is None or (isinstance(error, OSError) and not hasattr(error, "kwargs")):
            return error
        within = getattr(error, "kwargs", {}).get("error")  # Where botocore's errors keep what they stand for.
        error = within if isinstance(within, BaseException) else error.__cause__ or error.__context__
    return None
