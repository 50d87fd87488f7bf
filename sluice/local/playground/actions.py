"""`sluice local up`, `down`, `status`, `wait`, `env`, `watch` and `logs`, seen from the user's shell."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import textwrap
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sluice.cli import DONE, FAILED, CommandError, put_out, put_out_json, say
from sluice.interrupt import Interrupt, Interrupted
from sluice.local.deploy import cdk_command
from sluice.local.processes import tail
from sluice.local.sources import ROOT

from . import display, leftover
from .first_cli import FUNCTION, OF_FIRST_CLI, first_aws_cli
from .keeper import Options, fresh, spawned
from .place import Place, State
from .settings import differing

STOP_SECONDS = 30.0
"""For which a keeper that is told to stop may take."""
TICK = 0.05


def up(options: argparse.Namespace, place: Place) -> int:
    """Start a playground, unless it is running."""
    from sluice.local.aws import LocalError

    given = _given(options)
    if place.keeper() is not None:
        return _running_already(options, given, place)
    try:
        cdk_command()
    except LocalError as error:
        raise CommandError(str(error)) from None
    wanted = Options(str(place.directory), **{"keys": {"pk": "S"}, "settings": {}, **given})
    differences = differing(wanted.context, wanted.own_context)
    leftover.end(place.read().local_aws)
    fresh(place)
    with Interrupt() as interrupt:
        try:
            keeper = _started(wanted, place)
            _wait_until_ready(place, keeper, interrupt.check)
            place.change(differences=differences)
            if options.foreground:
                _foreground(place, interrupt.check)
        except Interrupted as stop:
            _stop(place)
            say(f"Stopped ({stop}); everything that was started has ended.")
            return stop.exit_status
    return _told(options, place.read())


def _given(options: argparse.Namespace) -> dict[str, Any]:
    """The options that were named, as `Options` has them."""
    given = {
        "keys": options.key,
        "settings": dict(options.set) or None,
        "port": options.port,
        "faults": options.faults,
        "write_units": options.write_units,
        "seed": options.seed,
    }
    return {name: value for name, value in given.items() if value is not None}


def _running_already(options: argparse.Namespace, given: Mapping[str, Any], place: Place) -> int:
    """The variables again, unless something is asked for that a running one cannot become."""
    state = place.read()
    has = {**state.options, "port": state.port}
    if "settings" in given:  # One that is not named may be as it is.
        given = {**given, "settings": {**has.get("settings", {}), **given["settings"]}}
    others = [name for name, value in given.items() if value != has.get(name)]
    if others or options.foreground:
        named = [{"keys": "--key", "settings": "--set"}.get(name, f"--{name.replace('_', '-')}") for name in others]
        named += ["--foreground"] * options.foreground
        raise CommandError(
            f"a playground is running in {place.directory} already, and {', '.join(named)} cannot be applied to it;"
            " `sluice local down` stops it and throws its data away"
        )
    if state.status != "ready":
        raise CommandError(f"the playground is still starting: {state.step}")
    say(f"A playground is running in {place.directory} already; `sluice local down` would stop it.")
    return _told(options, state)


def down(options: argparse.Namespace, place: Place) -> int:
    """Stop it."""
    was_running = place.keeper() is not None
    state = place.read()
    _stop(place)
    leftover.end(state.local_aws)
    there = place.disk_bytes()
    if options.all:
        place.clear()
    if options.json:
        removed, kept = (there, 0) if options.all else (0, there)
        put_out_json({"was_running": was_running, "removed_bytes": removed, "kept_bytes": kept})
        return DONE
    say("Stopped." if was_running else "It was not running.")
    if options.all:
        say(f"Removed {place.directory}: {there / 1e6:,.0f} MB.")
    elif there:
        say(
            f"{place.directory} keeps {there / 1e6:,.0f} MB, so that the next one starts faster;",
            "`sluice local down --all` removes them.",
        )
    return DONE


def status(options: argparse.Namespace, place: Place) -> int:
    """Say what is there; exit status 1 where it is not running."""
    state = _running(place)
    history, alarms = _look(state) or [], _ask(state, "alarms") or []
    if options.json:
        now = history[-1] if history else None
        put_out_json({**asdict(state), "now": now, "alarms": alarms, "disk_bytes": place.disk_bytes()})
        return DONE
    width = shutil.get_terminal_size().columns
    put_out(*display.lines(history, _title(state), width, alarms))
    put_out("", *_addresses(state), f"  files         {place.directory}, {place.disk_bytes() / 1e6:,.0f} MB")
    put_out(*_differences(state))
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
                    raise CommandError(_why_gone(place))
                if _is_drained([one for one in history if one["at"] > start]):
                    return _waited(options, start, is_empty=True)
                time.sleep(0.2)
        except Interrupted as stop:
            return stop.exit_status
    return _waited(options, start, is_empty=False)


def _waited(options: argparse.Namespace, start: float, *, is_empty: bool) -> int:
    if options.json:
        put_out_json({"empty": is_empty, "seconds": round(time.time() - start, 3)})
    elif not is_empty:
        say(f"After {options.timeout:g} seconds there still is something in the queue.")
    return DONE if is_empty else FAILED


def _is_drained(looks: list[dict[str, Any]]) -> bool:
    return len(looks) >= 2 and not any(one["waiting"] or one["in_flight"] for one in looks[-2:])


def env(options: argparse.Namespace, place: Place) -> int:
    """Print the variables."""
    state = _running(place)
    if options.json:
        put_out_json(_values(state))
    else:
        put_out(*variables(state))
    return DONE


def watch(options: argparse.Namespace, place: Place) -> int:
    """Draw until Ctrl-C."""
    state = _running(place)
    with Interrupt() as interrupt:
        try:
            display.watch(
                *(lambda: _look(state), lambda: _ask(state, "alarms") or [], _title(state), interrupt.check),
                as_json=options.json,
            )
        except Interrupted:
            return DONE
    raise CommandError(_why_gone(place))


def logs(options: argparse.Namespace, place: Place) -> int:
    """Print the ends of logs, and what is added to them."""
    names = ("function-1", "function-2") if options.name == "function" else (options.name,)
    found = [place.log(name) for name in names if place.log(name).exists()]
    if not found:
        raise CommandError(f"there is no log of {options.name} in {place.run}")
    places = {}
    for log in found:
        if not options.json:
            put_out(f"==> {log}")
        content = log.read_bytes()
        places[log] = len(content) if not options.json else content.rfind(b"\n") + 1
        lines = content[: places[log]].decode(errors="replace").splitlines()
        _put_out_lines(options, log, lines[max(0, len(lines) - options.lines) :])
    while options.follow and place.keeper() is not None:
        for log, offset in places.items():
            with log.open("rb") as file:
                file.seek(offset)
                added = file.read()
            if options.json:  # A line that is not yet whole comes next time.
                added = added[: added.rfind(b"\n") + 1]
                _put_out_lines(options, log, added.decode(errors="replace").splitlines())
            else:
                sys.stdout.write(added.decode(errors="replace"))
            places[log] = offset + len(added)
        sys.stdout.flush()
        time.sleep(0.5)
    return DONE


def _put_out_lines(options: argparse.Namespace, log: Path, lines: Sequence[str]) -> None:
    put_out(*(json.dumps({"log": log.stem, "line": line}) if options.json else line for line in lines))


def _why_gone(place: Place) -> str:
    """Why there is no playground any more, once its keeper has said so."""
    end = time.monotonic() + STOP_SECONDS
    while place.keeper() is not None and time.monotonic() < end:
        time.sleep(TICK)
    if place.keeper() is not None:
        return "the playground does not answer; see `sluice local logs keeper`"
    error = place.read().error
    return f"the playground has stopped{f': {error}' if error else ''}"


def _values(state: State) -> dict[str, str]:
    return {
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


def variables(state: State) -> Iterator[str]:
    """Lines for a shell."""
    yield from (f"export {name}={shlex.quote(value)}" for name, value in _values(state).items())
    yield "unset AWS_PROFILE AWS_SESSION_TOKEN"
    if any(name.lower() in ("http_proxy", "all_proxy") for name in os.environ):
        yield 'export NO_PROXY="127.0.0.1,localhost${NO_PROXY:+,$NO_PROXY}"'
    if first_aws_cli():
        yield FUNCTION


def _told(options: argparse.Namespace, state: State) -> int:
    if options.json:
        put_out_json(asdict(state))
        return DONE
    say("", *_addresses(state), *_differences(state))
    say("", "Variables that lead there (`sluice local env` prints them again):", "")
    put_out(*variables(state))
    if first_aws_cli():
        say("", *OF_FIRST_CLI)
    return DONE


def _differences(state: State) -> list[str]:
    """Which settings are others than the stack's own."""
    if not state.differences:
        return []
    named = ", ".join(f"{name} {here} ({there})" for name, (here, there) in state.differences.items())
    text = f"Unlike a stack's: {named}. `--set NAME=VALUE` chooses others."
    return ["", *textwrap.wrap(text, 78, initial_indent="  ", subsequent_indent="  ", break_long_words=False)]


def _addresses(state: State) -> Iterator[str]:
    yield f"  AWS endpoint  {state.url}"
    yield f"  dashboard     {state.url}/-/dashboard"


def _title(state: State) -> str:
    units = state.options.get("write_units")
    limit = f", {units:g} write units/s" if units is not None else ""
    return f"Sluice playground at {state.url}, faults: {state.options.get('faults', 'calm')}{limit}"


def _started(wanted: Options, place: Place) -> subprocess.Popen[bytes]:
    with place.log("keeper").open("ab") as log:
        return subprocess.Popen(
            spawned(asdict(wanted)),
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
    display.watch(lambda: _look(state), lambda: _ask(state, "alarms") or [], _title(state), check)
    raise CommandError(_why_gone(place))


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
    return _ask(state, "numbers")


def _ask(state: State, page: str) -> list[dict[str, Any]] | None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{state.url}/-/{page}", timeout=10) as answer:
            return list(json.load(answer))
    except OSError:
        return None
