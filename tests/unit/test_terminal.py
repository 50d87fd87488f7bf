"""Commands speak on every terminal: one of another encoding, a dumb one, none at all."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from sluice import terminal
from sluice.cli import COMMANDS, main, progress, put_out, say
from sluice.local.dashboard import __main__ as dashboard
from sluice.local.demo import __main__
from sluice.local.faults import __main__ as faults
from sluice.local.playground import display
from sluice.local.soak import command as soak


class Terminal(io.TextIOWrapper):
    """A terminal of some encoding, strict as Python makes it."""

    def __init__(self, encoding: str) -> None:
        super().__init__(io.BytesIO(), encoding=encoding, errors="strict")

    def isatty(self) -> bool:
        return True

    def shown(self) -> str:
        self.flush()
        content = self.buffer
        assert isinstance(content, io.BytesIO)
        return content.getvalue().decode(self.encoding)


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Terminal]:
    """Standard output and error become one terminal of an encoding."""

    def become(encoding: str) -> Terminal:
        made = Terminal(encoding)
        monkeypatch.setattr(sys, "stdout", made)
        monkeypatch.setattr(sys, "stderr", made)
        return made

    monkeypatch.setenv("TERM", "xterm")
    return become


HELPS = [
    [],
    *([name] for name in COMMANDS),
    *(["dlq", action] for action in ("show", "export", "redrive", "purge")),
    *(["local", action] for action in ("up", "down", "status", "watch", "wait", "env", "logs")),
]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
@pytest.mark.parametrize("command", HELPS, ids=" ".join)
def test_each_help_is_shown_in_every_encoding(on: Callable[[str], Terminal], command: list[str], encoding: str) -> None:
    shown = on(encoding)

    with pytest.raises(SystemExit) as ended:
        main([*command, "--help"])

    assert ended.value.code == 0
    assert shown.shown().startswith("usage: sluice")


@pytest.mark.parametrize("module", [__main__, faults, soak, dashboard], ids=lambda module: module.__name__)
def test_each_program_of_make_shows_its_help_in_every_encoding(
    on: Callable[[str], Terminal], module: ModuleType
) -> None:
    shown = on("ascii")

    with pytest.raises(SystemExit):
        module.main(["--help"])
    sys.stdout.write("a → b …")

    assert shown.shown().endswith("a -> b ...")


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [
        ("ascii", "a -> b... <= M\\xfcller \\u4e16 \\U0001d11e \\udcff\n"),
        ("latin-1", "a -> b... <= Müller \\u4e16 \\U0001d11e \\udcff\n"),
        ("utf-8", "a → b… ≤ Müller 世 𝄞 \\udcff\n"),
    ],
)
def test_what_an_encoding_does_not_have_is_spelled_plainly(
    on: Callable[[str], Terminal], encoding: str, shown: str
) -> None:
    made = on(encoding)
    terminal.prepare()

    put_out("a → b… ≤ Müller 世 𝄞 \udcff")
    say("a → b… ≤ Müller 世 𝄞 \udcff")

    assert made.shown() == shown * 2


def test_a_bar_is_drawn_in_ascii(on: Callable[[str], Terminal]) -> None:
    made = on("ascii")
    terminal.prepare()

    with progress("größer", 10, "B") as show:
        show(5, "läuft")

    assert re.search(r"gr\\xf6\\xdfer: +50%\|#+", made.shown())


@pytest.mark.parametrize("where", ["dumb", "no terminal"])
def test_a_bar_becomes_lines_where_no_line_can_be_written_over(
    on: Callable[[str], Terminal], monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    made = on("ascii")
    monkeypatch.setenv("TERM", "dumb" if where == "dumb" else "xterm")
    monkeypatch.setattr(Terminal, "isatty", lambda _: where == "dumb")

    with progress("sent", 10, "records", every=0.0) as show:
        show(5)
    with __main__._progress("sent", 10) as told:
        told(5)

    assert "\r" not in made.shown()
    assert "sent: 5 of 10 records, " in made.shown()


def test_a_watched_playground_is_drawn_in_ascii(on: Callable[[str], Terminal]) -> None:
    made = on("ascii")
    terminal.prepare()

    sys.stdout.write(display.sparkline([0, 1, 2, 3, 4, 5, 6, 7, 8], 9))

    assert made.shown() == "__.-=+*%#"


def test_no_file_is_read_or_written_in_the_terminals_encoding() -> None:
    """`open` takes the locale's; what is not JSON of `json.dumps`, which is ASCII, has to say which it is."""
    opens = re.compile(r"(?:read_text|write_text)\(\)|open\(\"[rwa]\+?\"\)")
    root = Path(terminal.__file__).parent

    found = {
        f"{path.relative_to(root)}: {line.strip()}"
        for path in root.rglob("*.py")
        for line in path.read_text("utf-8").splitlines()
        if opens.search(line) and not re.search(r"json\.loads|lock", line)
    }

    assert found == set()
