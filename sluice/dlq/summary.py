"""What a look through the dead letters has found: how many for which reason, how old, and an example of each. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from .letters import NO_CODE, Letter

MAX_TEXT = 160  # Characters of an ErrorMessage.


@dataclass(slots=True)
class Reason:
    """The letters with one `ErrorCode`."""

    count: int = 0
    oldest: float = float("inf")
    """Seconds since 1970."""
    newest: float = 0.0
    examples: list[Letter] = field(default_factory=list)


@dataclass(slots=True)
class Summary:
    """Letters that have been looked at, by their code."""

    most_examples: int = 1
    reasons: dict[str, Reason] = field(default_factory=dict)

    def add(self, letter: Letter) -> None:
        reason = self.reasons.setdefault(letter.code, Reason())
        reason.count += 1
        reason.oldest, reason.newest = min(reason.oldest, letter.sent_at), max(reason.newest, letter.sent_at)
        if len(reason.examples) < self.most_examples:
            reason.examples.append(letter)

    @property
    def count(self) -> int:
        return sum(reason.count for reason in self.reasons.values())

    def lines(self, now: float, *, shows_values: bool) -> Iterator[str]:
        """For a person; `now` in seconds since 1970."""
        for code, reason in sorted(self.reasons.items(), key=lambda entry: -entry[1].count):
            age = _age(now - reason.oldest)
            if reason.count > 1:
                age = f"{_age(now - reason.newest)} to {age}"
            yield f"{reason.count:>8,}  {code:<24} {age} old"
            for letter in reason.examples:
                yield f"{'':>10}{_text(letter)}  ({letter.id})"
                if shows_values:
                    yield f"{'':>10}{_shortened(letter.body)}"

    def as_json(self, now: float, *, shows_values: bool) -> dict[str, Any]:
        return {
            code: {
                "count": reason.count,
                "newest_age_seconds": round(now - reason.newest, 1),
                "oldest_age_seconds": round(now - reason.oldest, 1),
                "examples": [
                    {"MessageId": letter.id, "ErrorMessage": letter.reason("ErrorMessage") or None}
                    | ({"Body": letter.body} if shows_values else {})
                    for letter in reason.examples
                ],
            }
            for code, reason in self.reasons.items()
        }


def _text(letter: Letter) -> str:
    if letter.code == NO_CODE:
        return f"moved by SQS itself, after {letter.receive_count:,} receives in all"
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
