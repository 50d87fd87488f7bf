"""Which letters are meant by `--code`, and which codes none of them has. Pure."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterator, Sequence

from .letters import Letter

MAX_SHOWN = 5  # Codes that a sentence names.


class Selection:
    """Chooses letters by their codes; without codes it chooses all."""

    def __init__(self, codes: Sequence[str] | None) -> None:
        self._codes = tuple(dict.fromkeys(codes or ()))
        self._seen: Counter[str] = Counter()

    def __call__(self, letter: Letter) -> bool:
        self._seen[letter.code] += 1
        return not self._codes or letter.code in self._codes

    @property
    def has_seen(self) -> bool:
        return bool(self._seen)

    def unknown(self) -> Iterator[str]:
        """A sentence for each of the codes that no letter had, with those that are nearly it."""
        for code in self._codes:
            if code not in self._seen:
                yield f"No letter has the code {code!r}{self._instead(code)}"

    def _instead(self, code: str) -> str:
        by_spelling = {seen.lower(): seen for seen in self._seen}
        near = [by_spelling[found] for found in difflib.get_close_matches(code.lower(), by_spelling)]
        if near:
            return f"; did you mean {' or '.join(near)}?"
        if not self._seen:
            return ": there are no letters to be had."
        found = ", ".join(f"{seen} ({count:,})" for seen, count in self._seen.most_common(MAX_SHOWN))
        return f"; there are {found}{' and others' if len(self._seen) > MAX_SHOWN else ''}."
