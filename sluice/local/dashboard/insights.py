"""The one form of CloudWatch Logs Insights query that the dashboard has: sums of fields by time.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from .series import Series

_QUERY = re.compile(
    r"""(?:SOURCE \s '[^']*' \s* \| \s*)?
    filter \s (?P<field>[\w.]+) \s = \s "(?P<value>[^"]*)" \s*
    \| \s* stats \s (?P<sums>.+) \s by \s bin\((?P<minutes>\d+)m\)""",
    re.VERBOSE,
)
_SUM = re.compile(r"sum\((?P<field>[\w.]+)\) as (?P<name>\w+)")


def sums(
    query: str, log: Iterable[tuple[float, Mapping[str, Any]]], start: float, seconds_a_minute: float
) -> dict[str, Series]:
    """Name → sum of each period. Raises ValueError for a query of another form.

    A minute of the query's `bin` is drawn as `seconds_a_minute`, since local runs are short.
    """
    match = _QUERY.fullmatch(query)
    parts = [_SUM.fullmatch(part.strip()) for part in match["sums"].split(",")] if match else []
    if match is None or not all(parts):
        raise ValueError(f"a query that cannot be drawn: {query!r}")
    period = int(match["minutes"]) * seconds_a_minute
    values: dict[str, dict[int, float]] = {part["name"]: {} for part in parts if part}
    for at, document in log:
        if at < start or _field(document, match["field"]) != match["value"]:
            continue
        number = int((at - start) // period)
        for part in parts:
            if part and isinstance(value := _field(document, part["field"]), int | float):
                values[part["name"]][number] = values[part["name"]].get(number, 0.0) + value
    return {name: Series(of_name, period) for name, of_name in values.items()}


def _field(document: Mapping[str, Any], path: str) -> Any:
    value: Any = document
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value
