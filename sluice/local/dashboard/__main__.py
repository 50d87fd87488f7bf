"""`python -m sluice.local.dashboard`: a picture of the stack's dashboard before anything is deployed to AWS."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sluice import terminal
from sluice.arguments import real
from sluice.interrupt import Interrupt, Interrupted

from .alarms import states
from .definition import widgets
from .page import html, svg
from .recording import Recording

if TYPE_CHECKING:
    from .run import Run

TITLE = "Sluice"


def main(arguments: Sequence[str] | None = None) -> int:
    """Record a run, or draw one; returns the exit status: 0, 1 where that failed, 130 after Ctrl-C."""
    terminal.prepare()
    options = _parser().parse_args(arguments)
    with Interrupt() as interrupt:
        from sluice.local.aws import LocalError

        try:
            made = _recorded(interrupt, options.save) if options.recording is None else _read(options.recording)
        except Interrupted as stop:
            _say(f"Stopped ({stop}); every process that the run had started has ended.")
            return stop.exit_status
        except LocalError as error:
            sys.stderr.write(f"{error}\n")
            return 1
    definition = widgets(made.body)
    on = states(made.alarms, made.recording, options.minute)
    for path, draw in ((options.svg, svg), (options.html, html)):
        if path is not None:
            path.write_text(draw(definition, made.recording, TITLE, options.minute, on), encoding="utf-8")
            _say(f"Drawn: {path}")
    return 0


def _recorded(interrupt: Interrupt, save: Path | None) -> Run:
    from .run import PHASES, run

    directory = Path(tempfile.mkdtemp(prefix="sluice-dashboard-"))
    _say(f"Deploying the stack to a local AWS and loading it for {sum(phase.seconds for phase in PHASES):.0f} s ...")
    made = run(directory, interrupt.check)
    shutil.rmtree(directory)  # Where the run fails, its logs stay.
    if save is not None:
        content = {"body": made.body, "alarms": made.alarms, "recording": json.loads(made.recording.to_json())}
        save.write_text(json.dumps(content))
        _say(f"Recorded: {save}")
    return made


def _read(path: Path) -> Run:
    from sluice.local.aws import LocalError

    from .run import Run

    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        recording = Recording.from_json(json.dumps(content["recording"]))
        return Run(content["body"], content.get("alarms", []), recording)
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise LocalError(f"{path} does not hold a recording: {error!r}") from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sluice.local.dashboard",
        description="Deploy the stack to a local AWS, load it with real records while its table is limited in one way"
        " after the other, and draw the deployed dashboard with the metrics of that run. Needs no AWS account.",
        epilog="The picture in docs/: python -m sluice.local.dashboard --svg docs/dashboard.svg (about three"
        " minutes). Exit status: 0 drawn, 1 the run failed, 2 usage, 130 stopped by Ctrl-C.",
    )
    parser.add_argument("recording", nargs="?", type=Path, help="a recording to draw (default: make a run)")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="write an SVG picture")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write an HTML page")
    parser.add_argument("--save", type=Path, metavar="FILE", help="keep the recording of the run, to draw it again")
    parser.add_argument(
        "--minute",
        type=real("a number of seconds from 0.1 to 3600", lambda value: 0.1 <= value <= 3600),
        default=3.0,
        metavar="S",
        help="seconds of the run for each minute of a graph's period (default: 3; in CloudWatch 60)",
    )
    return parser


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
