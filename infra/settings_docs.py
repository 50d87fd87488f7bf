"""The tables in docs/settings.md, from the settings themselves: default, range and reason of each.

`python -m infra.settings_docs` prints them; it needs neither Node nor AWS.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable
from dataclasses import MISSING, Field, fields
from typing import Any

from infra.stack_config import StackConfig
from sluice.cdk.config import Config
from sluice.cdk.context import Setting, camel_case
from sluice.cdk.index_config import IndexConfig
from sluice.cdk.table_config import TableConfig
from sluice.message.settings import KeyAttribute


def settings_tables() -> str:
    """Markdown: the stack's settings, those of a table, and those of an index."""
    of_construct = {field.name for field in fields(Config)}
    stack = [field for field in fields(StackConfig) if field.name not in of_construct] + list(fields(Config))
    parts = {"The stack": stack, "A table": fields(TableConfig), "An index of a table": fields(IndexConfig)}
    return "\n".join(f"## {heading}\n\n{_markdown(settings)}\n" for heading, settings in parts.items())


def _markdown(settings: Iterable[Field[Any]]) -> str:
    rows = ["| setting | default | must be | why |", "|---|---|---|---|"]
    for each in settings:
        setting = each.metadata["setting"]
        default = setting.derivation or _shown(each)
        rows.append(f"| `{camel_case(each.name)}` | {default} | {requirement(setting)} | {setting.reason} |")
    return "\n".join(rows)


def requirement(setting: Setting) -> str:
    """What the setting must be, in the words of the error for anything else."""
    try:
        setting.parse(object())  # No setting accepts it; the error says what it must be.
    except ValueError as error:
        return str(error)
    raise AssertionError(f"{setting} accepts anything")


def _shown(each: Field[Any]) -> str:
    default = each.default
    if isinstance(default, bool):
        return str(default).lower()
    if default is None or default is MISSING or default in ((), "") or default == math.inf:
        return "none"
    if isinstance(default, KeyAttribute):
        return f"`{default.name}:{default.type}`"
    if isinstance(default, tuple):
        return "one"
    return f"{default:g}" if isinstance(default, float) else str(default)


if __name__ == "__main__":
    sys.stdout.write(settings_tables())
