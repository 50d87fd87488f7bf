"""When a returned message becomes visible again."""

from __future__ import annotations

MAX_VISIBILITY = 900  # Seconds.


def visibility(receive_count: int, chance: float) -> int:
    """Whole seconds, 1 to min(900, 5 * 2^(receive count - 1)), until a returned message may be received again."""
    ceiling = min(MAX_VISIBILITY, 5 * 2 ** min(max(receive_count, 1) - 1, 10))
    return 1 + int(chance * ceiling)
