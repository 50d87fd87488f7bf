"""`sluice local up`, `down`, `status`, `wait`, `env`, `watch` and `logs`, seen from the user's shell."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from sluice.cli import DONE, FAILED, CommandError, put_out, put_out_json, say
from sluice.interrupt import Interrupt, Interrupted
from sluice.local.deploy import cdk_command
from sluice.local.processes import tail
from sluice.local.sources import ROOT

from . import display, leftover
from .keeper import fresh, spawned
from .place import Place, State

STOP_SECONDS = 30.0
"""For which a keeper that is told to stop may take."""
TICK = 0.05


def up(options: argparse.Namespace, place: Place) -> int:
    """Start a playground, unless it is running."""
    from sluice.local.aws import LocalError

    if place.keeper() is not None:
        say(f"A playground is running in {place.directory} already; `sluice local down` would stop it.")
        return _told(options, place.read()) if place.read().status == "ready" else FAILED
    try:
        cdk_command()
    except LocalError as error:
        raise CommandError(str(error)) from None
    leftover.end(place.read().local_aws)
    fresh(place)
    with Interrupt() as interrupt:
        try:
            keeper = _started(options, place)
            _wait_until_ready(place, keeper, interrupt.check)
            if options.foreground:
                _foreground(place, interrupt.check)
        except Interrupted as stop:
            _stop(place)
            say(f"Stopped ({stop}); everything that was started has ended.")
            return stop.exit_status
    return _told(options, place.read())


def down(_: argparse.Namespace, place: Place) -> int:
    """Stop it."""
    was_running = place.keeper() is not None
    state = place.read()
    _stop(place)
    leftover.end(state.local_aws)
    say("Stopped." if was_running else "It was not running.")
    return DONE


def status(options: argparse.Namespace, place: Place) -> int:
    """Say what is there; exit status 1 where it is not running."""
    state = _running(place)
    history = _look(state)
    if options.json:
        put_out_json({**asdict(state), "now": history[-1] if history else None})
        return DONE
    put_out(*display.lines(history or [], _title(state)))
    put_out("", *_addresses(state))
    return DONE


def wait(options: argparse.Namespace, place: Place) -> int:
    """Wait until the queue is empty in two looks newer than this call; exit status 1 if that takes too long."""
    state = _running(place)
    start, end = time.time(), time.monotonic() + options.timeout
    with Interrupt() as interrupt:
        try:
            while time.monotonic() < end:
                interrupt.check()
                history = _look(state)
                if history is None:
                    raise CommandError("the playground has stopped")
                if _is_drained([one for one in history if one["at"] > start]):
                    return DONE
                time.sleep(0.2)
        except Interrupted as stop:
            return stop.exit_status
    say(f"After {options.timeout:g} seconds there still is something in the queue.")
    return FAILED


def _is_drained(looks: list[dict[str, Any]]) -> bool:
    return len(looks) >= 2 and not any(one["waiting"] or one["in_flight"] for one in looks[-2:])


def env(_: argparse.Namespace, place: Place) -> int:
    """Print the variables."""
    put_out(*variables(_running(place)))
    return DONE


def watch(_: argparse.Namespace, place: Place) -> int:
    """Draw until Ctrl-C."""
    state = _running(place)
    with Interrupt() as interrupt:
        try:
            display.watch(lambda: _look(state), _title(state), interrupt.check)
        except Interrupted:
            return DONE
    say("The playground has stopped.")
    return FAILED


def logs(options: argparse.Namespace, place: Place) -> int:
    """Print the ends of logs, and what is added to them."""
    names = ("function-1", "function-2") if options.name == "function" else (options.name,)
    found = [place.log(name) for name in names if place.log(name).exists()]
    if not found:
        raise CommandError(f"there is no log of {options.name} in {place.run}")
    places = {}
    for log in found:
        put_out(f"==> {log}")
        content = log.read_bytes()
        places[log] = len(content)
        lines = content.decode(errors="replace").splitlines()
        put_out(*lines[max(0, len(lines) - options.lines) :])
    while options.follow and place.keeper() is not None:
        for log, offset in places.items():
            with log.open("rb") as file:
                file.seek(offset)
                added = file.read()
            sys.stdout.write(added.decode(errors="replace"))
            places[log] = offset + len(added)
        sys.stdout.flush()
        time.sleep(0.5)
    return DONE


def variables(state: State) -> Iterator[str]:
    """Lines for a shell."""
    values = {
        "AWS_ENDPOINT_URL": state.url,
        "AWS_REGION": state.region,
        "AWS_DEFAULT_REGION": state.region,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "QUEUE_URL": state.queue_url,
        "DEAD_LETTER_QUEUE_URL": state.dead_letter_queue_url,
        "TABLE_NAME": state.table_name,
        "FUNCTION_NAME": state.function_name,
    }
    yield from (f"export {name}={shlex.quote(value)}" for name, value in values.items())
    yield "unset AWS_PROFILE AWS_SESSION_TOKEN"
    if any(name.lower() in ("http_proxy", "all_proxy") for name in os.environ):
        yield 'export NO_PROXY="127.0.0.1,localhost${NO_PROXY:+,$NO_PROXY}"'


def _told(options: argparse.Namespace, state: State) -> int:
    if options.json:
        put_out_json(asdict(state))
        return DONE
    say("", *_addresses(state), "", "Variables that lead there (`sluice local env` prints them again):", "")
    put_out(*variables(state))
    return DONE


def _addresses(state: State) -> Iterator[str]:
    yield f"  AWS endpoint  {state.url}"
    yield f"  dashboard     {state.url}/-/dashboard"


def _title(state: State) -> str:
    limit = f", {state.write_units:g} write units/s" if state.write_units is not None else ""
    return f"Sluice playground at {state.url}, faults: {state.faults}{limit}"


def _started(options: argparse.Namespace, place: Place) -> subprocess.Popen[bytes]:
    given = {
        "directory": str(place.directory),
        "keys": options.key,
        "settings": dict(options.set),
        "port": options.port,
        "faults": options.faults,
        "write_units": options.write_units,
        "seed": options.seed,
    }
    with place.log("keeper").open("ab") as log:
        return subprocess.Popen(
            spawned(given),
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # So that it outlives this shell.
        )


def _wait_until_ready(place: Place, keeper: subprocess.Popen[bytes], check: Callable[[], None]) -> None:
    """Raises `CommandError` where it does not start."""
    said = ""
    while (state := place.read()).status != "ready":
        check()
        if state.step != said:
            said = state.step
            say(f"  {said}")
        if keeper.poll() is not None:
            state = place.read()
            reason = state.error or f"its log ends:\n{tail(place.log('keeper'))}"
            raise CommandError(f"the playground did not start: {reason}")
        time.sleep(TICK)


def _foreground(place: Place, check: Callable[[], None]) -> None:
    state = place.read()
    say(*variables(state), "")
    display.watch(lambda: _look(state) if place.keeper() is not None else None, _title(state), check)
    raise CommandError(f"the playground has ended: {place.read().error or 'see `sluice local logs keeper`'}")


def _stop(place: Place) -> None:
    """Tell the keeper to stop, and wait until it, and with it all that it has started, has ended."""
    end = time.monotonic() + STOP_SECONDS
    told = False
    while (keeper := place.keeper()) is not None:
        is_late = time.monotonic() > end
        if not told or is_late:
            with suppress(ProcessLookupError):
                os.kill(keeper, signal.SIGKILL if is_late else signal.SIGTERM)
            told = True
        time.sleep(TICK)


def _running(place: Place) -> State:
    if place.keeper() is None:
        state = place.read()
        why = f": {state.error}" if state.status == "failed" else ""
        raise CommandError(f"no playground is running in {place.directory}{why}; `sluice local up` starts one")
    state = place.read()
    if state.status != "ready":
        raise CommandError(f"the playground is still starting: {state.step}")
    return state


def _look(state: State) -> list[dict[str, Any]] | None:
    """What the keeper has seen; None where it does not answer."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{state.url}/-/numbers", timeout=10) as answer:
            return list(json.load(answer))
    except OSError:
        return None
