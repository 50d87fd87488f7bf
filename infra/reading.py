"""From CDK context to the stack's configuration: every setting read, derived or refused."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from typing import Any

from infra.stack_config import StackConfig
from sluice.cdk import table_reading
from sluice.cdk.context import ConfigError, read, settings_of
from sluice.cdk.contradictions import contradictions
from sluice.cdk.table_config import TableConfig

ALIKE = 0.8
"""How alike a key must be to one of ours to be taken for it misspelt (difflib's ratio)."""


def from_context(context: Mapping[str, Any]) -> StackConfig:
    """Read CDK context. Raises `ConfigError`, which names the settings and their values."""
    for key in context:
        if key not in known() and (meant := _near_miss(key)) is not None:
            raise ConfigError(f"unknown setting {key!r}; did you mean {meant}?")
    one_table = [key for key in settings_of(TableConfig) if key in context]
    if one_table and "tables" in context:
        raise ConfigError(f"{', '.join(one_table)} cannot stand beside tables: set them within each of the tables")
    given = read(StackConfig, context)
    if one_table:
        given["tables"] = (table_reading.from_context(context),)
    config = StackConfig(**given)
    for contradiction in (
        *_of_names(config),
        *_of_vpc(config),
        *contradictions(config, config.tables, set(given), config.full_name),
    ):
        raise ConfigError(contradiction)
    return config


def _of_vpc(config: StackConfig) -> Iterator[str]:
    if config.function_vpc is None and (config.function_subnets or config.function_security_groups):
        yield "functionSubnets and functionSecurityGroups need the functionVpc that they are in: set it as well"
    if config.function_vpc is not None and not config.function_subnets:
        yield f"functionVpc {config.function_vpc} needs functionSubnets: nothing is looked up in the account"
    if config.alarm_topic_key is not None and config.alarm_topic_arn is not None:
        yield f"alarmTopicKey is for a topic that the stack makes, got alarmTopicArn {config.alarm_topic_arn}"


def _of_names(config: StackConfig) -> Iterator[str]:
    if len(config.full_name) > 128:
        yield (
            f"stackName and stage together have {len(config.full_name)} characters ({config.full_name});"
            " CloudFormation takes 128: shorten one of them"
        )


def known() -> list[str]:
    """The names of all settings."""
    return [*settings_of(StackConfig), *settings_of(TableConfig)]


def _near_miss(key: str) -> str | None:
    """The setting that was probably meant; None for what belongs to CDK or to others, who use the context as well."""
    if any(mark in key for mark in ":/@"):  # Feature flags and look-ups.
        return None
    plain = {name.lower(): name for name in known()}
    close = difflib.get_close_matches(re.sub(r"[^a-z]", "", key.lower()), plain, n=1, cutoff=ALIKE)
    return plain[close[0]] if close else None
