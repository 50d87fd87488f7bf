"""Letters sent again one by one: received, sent, and deleted only once the queue has taken them, so none is lost."""

from __future__ import annotations

import math
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from sluice.cli import CommandError, Progress
from sluice.sending.outbox import MAX_BYTES, MAX_ENTRIES, Outgoing
from sluice.sending.sender import Sender

from .holding import Holding
from .letters import BadLineError, Letter, parsed

PATIENCE = 60.0
"""Seconds for which a letter is tried again while the queue is busy; the letters are held for longer."""


class Change(Protocol):
    """What becomes of letters before they are sent: by id; those that are left out stay where they are."""

    def __call__(self, letters: Sequence[Letter]) -> Mapping[str, Letter]: ...


def unchanged(letters: Sequence[Letter]) -> Mapping[str, Letter]:
    return {letter.id: letter for letter in letters}


@dataclass(frozen=True, slots=True)
class Through:
    """A command of the shell that reads lines of an export and writes those to be sent; it is run for ten at a time."""

    command: str

    def __call__(self, letters: Sequence[Letter]) -> Mapping[str, Letter]:
        """Raises `CommandError` where the command fails or writes anything but changed lines of its input."""
        text = "".join(f"{letter.to_line()}\n" for letter in letters)
        done = subprocess.run(self.command, shell=True, input=text.encode(), stdout=subprocess.PIPE, check=False)
        if done.returncode != 0:
            raise CommandError(
                f"the command ended with status {done.returncode}; the letters it was given are not sent"
            )
        by_id = {letter.id: letter for letter in letters}
        changed = {}
        for number, line in enumerate(done.stdout.splitlines(), start=1):
            if not line.strip():
                continue
            try:
                content = parsed(line)
                changed[content["MessageId"]] = by_id[content["MessageId"]].changed(content)
            except BadLineError as bad:
                raise CommandError(
                    f"the command wrote a line that is not of an export: {bad} (line {number})"
                ) from None
            except KeyError:
                raise CommandError(f"the command wrote a MessageId that it was not given (line {number})") from None
        return changed


class Edited:
    """An export that somebody has edited; letters that are not in it stay. Raises `CommandError` where it is none."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offsets: dict[str, int] = {}
        offset = 0
        try:
            with path.open("rb") as file:
                for number, line in enumerate(file, start=1):
                    if line.strip():
                        self._offsets[self._checked(line, number)] = offset
                    offset += len(line)
        except OSError as error:
            raise CommandError(f"cannot read {path}: {error.strerror}") from None

    def __len__(self) -> int:
        return len(self._offsets)

    def __call__(self, letters: Sequence[Letter]) -> Mapping[str, Letter]:
        with self._path.open("rb") as file:
            return {
                letter.id: letter.changed(self._line(file, self._offsets[letter.id]))
                for letter in letters
                if letter.id in self._offsets
            }

    def _line(self, file: Any, offset: int) -> dict[str, Any]:
        file.seek(offset)
        return parsed(file.readline())

    def _checked(self, line: bytes, number: int) -> str:
        try:
            content = parsed(line)
            Letter("", "", "", {}, 0, 0).changed(content)
        except BadLineError as bad:
            raise CommandError(f"{self._path}, line {number}: {bad}") from None
        return str(content["MessageId"])


@dataclass(slots=True)
class Sent:
    """What became of the letters."""

    sent: int = 0
    left: int = 0
    """Not selected, or left out by the command or the export."""
    behind: int = 0
    """FIFO: selected, and left because an earlier letter of the group was."""
    again: int = 0
    """Sent by this very run, and dead-lettered once more."""
    undeleted: int = 0
    """Sent, but still among the dead letters."""
    failures: dict[str, int] = field(default_factory=dict)
    """Not taken by the queue, by error code; they stay."""

    @property
    def is_good(self) -> bool:
        """All that was selected is sent, but for what the command or the export left out."""
        return not self.failures and not self.undeleted and not self.behind


@dataclass(slots=True)
class Redrive:
    """Sends letters to a queue. For one thread."""

    sqs: Any
    url: str
    """Of the queue that takes them."""
    clock: Callable[[], float]
    wait: Callable[[float], bool]
    chance: Callable[[], float]
    selects: Callable[[Letter], bool] = lambda _: True
    change: Change = unchanged
    rate: float = math.inf
    """Letters a second."""
    result: Sent = field(default_factory=Sent)
    _next: float = -math.inf
    _sent_ids: set[str] = field(default_factory=set)
    _closed: set[str] = field(default_factory=set)
    """Groups of a FIFO queue of which a letter has been left."""
    _refused: set[str | None] = field(default_factory=set)
    """Those of which the queue has not taken a letter."""

    def run(self, holding: Holding, show: Progress = lambda _count, _note="": None) -> Sent:
        """Send all that are selected, each once, and delete them from the dead letters."""
        for batch in holding.batches():
            chosen = list(self._up_to_the_first(self._is_not_chosen, batch, self._closed))
            changed = self.change(chosen) if chosen else {}
            ready = list(self._up_to_the_first(partial(self._is_left_out, changed), chosen))
            for group in self._together([changed[letter.id] for letter in ready]):
                taken = self._send(group)
                undeleted = holding.delete(taken)
                self.result.sent += len(taken)
                self.result.undeleted += len(undeleted)
                show(self.result.sent)
        return self.result

    @property
    def _is_fifo(self) -> bool:
        return self.url.endswith(".fifo")

    def _up_to_the_first(
        self, stays: Callable[[Letter], bool], letters: Iterable[Letter], closed: Iterable[str] = ()
    ) -> Iterator[Letter]:
        """The letters that do not stay; on a FIFO queue of each group only those before the first that does."""
        stopped = set(closed)
        for letter in letters:
            if letter.group in stopped:
                self._is_behind(letter)
            elif not stays(letter):
                yield letter
            elif self._is_fifo and letter.group is not None:
                stopped.add(letter.group)
                self._closed.add(letter.group)

    def _is_behind(self, letter: Letter) -> None:
        if self.selects(letter):
            self.result.behind += 1
        else:
            self.result.left += 1

    def _is_not_chosen(self, letter: Letter) -> bool:
        if letter.id in self._sent_ids or letter.reason("SourceMessageId") in self._sent_ids:
            self.result.again += 1
            return True
        is_chosen = self.selects(letter)
        self.result.left += not is_chosen
        return not is_chosen

    def _is_left_out(self, changed: Mapping[str, Letter], letter: Letter) -> bool:
        self.result.left += letter.id not in changed
        return letter.id not in changed

    def _together(self, ready: Sequence[Letter]) -> Iterator[list[Letter]]:
        """Letters for one call each: ten, 1 MiB, and one of a FIFO group, for each entry can fail by itself."""
        waiting = ready
        refused = self._refused
        while waiting:
            group: list[Letter] = []
            later: list[Letter] = []
            size = 0
            for letter in waiting:
                if letter.group in refused:
                    self.result.behind += 1
                elif (self._is_fifo and letter.group in {one.group for one in [*group, *later]}) or (
                    group and (size + letter.size > MAX_BYTES or len(group) == MAX_ENTRIES)
                ):
                    later.append(letter)
                else:
                    group.append(letter)
                    size += letter.size
            if group:
                yield group
            waiting = later

    def _send(self, letters: Sequence[Letter]) -> list[str]:
        """Send up to ten; the ids of those that the queue has taken."""
        self._pace(len(letters))
        client = _WithAttributes(self.sqs, letters)
        sender = Sender(client, self.url, self.clock, self.wait, self.chance, PATIENCE)
        refused = sender.send([self._outgoing(letter) for letter in letters])
        self._sent_ids |= client.message_ids
        for position, failure in refused.items():
            self.result.failures[failure.code] = self.result.failures.get(failure.code, 0) + 1
            if self._is_fifo:
                self._refused.add(letters[position].group)
                self._closed.add(str(letters[position].group))
        return [letter.id for position, letter in enumerate(letters) if position not in refused]

    def _outgoing(self, letter: Letter) -> Outgoing:
        # Fresh, or SQS would take it for the original and drop it; the same whenever this letter is tried again.
        deduplication_id = f"redrive-{letter.id}" if self._is_fifo else None
        return Outgoing(letter.body, letter.size, 1, letter.group, deduplication_id)

    def _pace(self, count: int) -> None:
        now = self.clock()
        start = max(now, self._next)
        self._next = start + count / self.rate
        if start > now:
            self.wait(start - now)


class _WithAttributes:
    """An SQS client that adds to each entry what its letter has, and notes the ids that the messages get."""

    def __init__(self, sqs: Any, letters: Sequence[Letter]) -> None:
        self._sqs = sqs
        self._entries = [letter.entry() for letter in letters]
        self.message_ids: set[str] = set()

    def send_message_batch(self, **request: Any) -> Any:
        entries = [{**entry, **self._entries[int(entry["Id"])]} for entry in request["Entries"]]
        answer = self._sqs.send_message_batch(**{**request, "Entries": entries})
        self.message_ids |= {entry["MessageId"] for entry in answer.get("Successful", ())}
        return answer
