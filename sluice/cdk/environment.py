"""What the function is told by its environment variables, and whether that fits into them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sluice.message.settings import Settings, Table

from .config import Config
from .table_config import TableConfig

MAX_BYTES = 4096
"""Of all variables together: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"""

MAX_GENERATED_TABLE_NAME = 120
MAX_GENERATED_QUEUE_URL = 160
"""Characters that CloudFormation may generate, besides the stack's name; rounded up."""


def function_settings(
    config: Config, tables: Sequence[TableConfig], table_names: Mapping[str, str], dead_letter_queue_url: str
) -> Settings:
    """The function's settings; `table_names` are alias → name."""
    return Settings(
        tables=tuple(
            Table(
                alias=table.alias,
                name=table_names[table.alias],
                partition_key=table.partition_key,
                sort_key=table.sort_key,
                version=table.version_attribute,
                indexes=tuple(index.as_setting for index in table.indexes),
                skip_unchanged=table.skip_unchanged,
            )
            for table in tables
        ),
        dead_letter_queue_url=dead_letter_queue_url,
        record_format=config.record_format,
        record_expression=config.record_expression,
        on_condition_failed=config.on_condition_failed,
        update_once=config.update_once,
        max_connections=config.max_connections,
        max_write_units_per_second=config.write_units_per_invocation,
        deadline_margin=config.deadline_margin,
    )


def estimated_bytes(config: Config, tables: Sequence[TableConfig], stack_name: str) -> int:
    """Size of the variables with the longest names that CloudFormation may generate."""
    names = {table.alias: table.existing_name or table.table_name or "x" * MAX_GENERATED_TABLE_NAME for table in tables}
    environ = function_settings(config, tables, names, "https://" + "x" * MAX_GENERATED_QUEUE_URL).to_environ()
    return sum(len(name) + len(value.encode()) for name, value in environ.items()) + 3 * len(stack_name)
