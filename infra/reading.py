"""From CDK context to the stack's configuration: every setting read, derived or refused."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from infra import outage, table_reading
from infra.config import Config
from infra.context import ConfigError, read, settings_of
from infra.contradictions import contradictions
from infra.table_config import TableConfig


def from_context(context: Mapping[str, Any]) -> Config:
    """Read CDK context. Raises `ConfigError`, which names the settings and their values."""
    for key in context:
        if key not in _known() and not _belongs_to_cdk(key):
            raise ConfigError(f"unknown setting {key!r}; {_suggestion(key, _known())}")
    one_table = [key for key in settings_of(TableConfig) if key in context]
    if one_table and "tables" in context:
        raise ConfigError(f"{', '.join(one_table)} cannot stand beside tables: set them within each of the tables")
    given = read(Config, context)
    if one_table:
        given["tables"] = (table_reading.from_context(context),)
    config = Config(**_with_derived(given))
    for contradiction in contradictions(config, set(given)):
        raise ConfigError(contradiction)
    return config


def _with_derived(given: dict[str, Any]) -> dict[str, Any]:
    """The settings given, and those whose defaults are derived from them."""
    settings = dict(given)
    if settings.get("stage") is not None:
        settings["stack_name"] = f"{settings.get('stack_name', 'Sluice')}-{settings['stage']}"
    if settings.get("queue_type") == "fifo":
        settings = {"batch_size": 10, "batching_window": 0, **settings}
    if settings.get("min_pollers") or settings.get("max_pollers"):
        settings = {"max_concurrency": None, **settings}
    if "timeout" in settings:
        settings = {"deadline_margin": min(5.0, settings["timeout"] / 4), **settings}
    if "max_receive_count" not in settings:
        config = Config(**settings)
        needed = outage.receives_needed(60 * config.survived_outage, config.visibility_timeout)
        settings["max_receive_count"] = needed
    return settings


def _known() -> list[str]:
    return [*settings_of(Config), *settings_of(TableConfig)]


def _belongs_to_cdk(key: str) -> bool:
    # Feature flags and look-ups hold one of these characters; the rest are what the CLI itself stores.
    return any(mark in key for mark in ":/@") or key in ("cli-telemetry", "acknowledged-issue-numbers")


def _suggestion(key: str, known: list[str]) -> str:
    lower = {name.lower(): name for name in known}
    close = difflib.get_close_matches(key.lower(), lower, n=1)
    return f"did you mean {lower[close[0]]}?" if close else f"there are {', '.join(known)}"
