"""What a look through the dead letters has found: how many for which reason, how old, and examples. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sluice.cli import counted

from .letters import NO_CODE, Letter

MAX_TEXT = 160  # Characters of an ErrorMessage.
MAX_MESSAGES = 5  # Of one code, in lines for a person.


@dataclass(slots=True)
class Group:
    """Letters with one reason."""

    count: int = 0
    oldest: float = float("inf")
    """Seconds since 1970."""
    newest: float = 0.0
    examples: list[Letter] = field(default_factory=list)

    def add(self, letter: Letter, most_examples: int) -> None:
        self.count += 1
        self.oldest, self.newest = min(self.oldest, letter.sent_at), max(self.newest, letter.sent_at)
        if len(self.examples) < most_examples:
            self.examples.append(letter)

    def as_json(self, now: float, *, shows_values: bool) -> dict[str, Any]:
        return {
            "count": self.count,
            "newest_age_seconds": round(now - self.newest, 1),
            "oldest_age_seconds": round(now - self.oldest, 1),
            "examples": [
                {"MessageId": letter.id, "ErrorMessage": letter.reason("ErrorMessage") or None}
                | ({"Body": letter.body} if shows_values else {})
                for letter in self.examples
            ],
        }


@dataclass(slots=True)
class Summary:
    """Letters that have been looked at, by their code and by their message."""

    most_examples: int = 1
    """Of each message."""
    codes: dict[str, Group] = field(default_factory=dict)
    messages: dict[str, dict[str, Group]] = field(default_factory=dict)
    """By code."""

    def add(self, letter: Letter) -> None:
        messages = self.messages.setdefault(letter.code, {})
        messages.setdefault(letter.reason("ErrorMessage"), Group()).add(letter, self.most_examples)
        self.codes.setdefault(letter.code, Group()).add(letter, self.most_examples)

    @property
    def count(self) -> int:
        return sum(group.count for group in self.codes.values())

    def lines(self, now: float, *, shows_values: bool) -> Iterator[str]:
        """For a person; `now` in seconds since 1970."""
        for code, group in _most_first(self.codes):
            age = _age(now - group.oldest)
            if group.count > 1:
                age = f"{_age(now - group.newest)} to {age}"
            yield f"{group.count:>8,}  {code:<24} {age} old"
            messages = _most_first(self.messages[code])
            for _, message in messages[:MAX_MESSAGES]:
                yield f"{'':>10}{_message_of(message.examples[0])}  ({_which(message)})"
                if shows_values:
                    yield from (f"{'':>10}{_shortened(letter.body)}" for letter in message.examples)
            if others := messages[MAX_MESSAGES:]:
                letters = counted(sum(message.count for _, message in others), "letter")
                yield f"{'':>10}and {counted(len(others), 'other message')}, of {letters} (--json has them all)"

    def as_json(self, now: float, *, shows_values: bool) -> dict[str, Any]:
        return {
            code: group.as_json(now, shows_values=shows_values)
            | {
                "messages": [
                    {"message": text or None} | message.as_json(now, shows_values=shows_values)
                    for text, message in _most_first(self.messages[code])
                ]
            }
            for code, group in self.codes.items()
        }


def _most_first(groups: Mapping[str, Group]) -> list[tuple[str, Group]]:
    return sorted(groups.items(), key=lambda entry: -entry[1].count)


def _which(group: Group) -> str:
    ids = ", ".join(letter.id for letter in group.examples)
    return ids if group.count == len(group.examples) else f"{counted(group.count, 'letter')}, such as {ids}"


def _message_of(letter: Letter) -> str:
    if letter.code == NO_CODE:
        return "moved by SQS itself, after too many receives"
    return _shortened(letter.reason("ErrorMessage") or "no reason given")


def _shortened(text: str) -> str:
    """One printable line."""
    shown = "".join(character if character.isprintable() else " " for character in text[: MAX_TEXT + 1])
    return shown if len(text) <= MAX_TEXT else f"{shown[:MAX_TEXT]}…"


def _age(seconds: float) -> str:
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"
