"""What is known of the queue and of the function's tables before a file is sent."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Any, cast

from sluice.cli import CommandError, UsageError, client, say
from sluice.message.errors import SettingsError
from sluice.message.settings import KEY_TYPES, KeyAttribute, KeyType, Settings, Table
from sluice.sending.outbox import MAX_BYTES


@dataclass(frozen=True, slots=True)
class Target:
    """The tables that records are checked against, and what the queue takes."""

    tables: tuple[Table, ...]
    is_fifo: bool
    most_bytes: int
    """Of one message."""

    def key_types(self, name: str | None) -> dict[str, str]:
        """Of the table of this alias or name, of the first where there is none; empty where it is not known."""
        named = [table for table in self.tables if name in (None, table.alias, table.name)]
        return {attribute.name: attribute.type for table in named[:1] for attribute in table.key}


def add_table_options(parser: argparse.ArgumentParser) -> None:
    """Where the keys come from that records are checked for."""
    group = parser.add_argument_group("check", "Records are checked by the function's own rules before they are sent.")
    source = group.add_mutually_exclusive_group()
    source.add_argument("--function", metavar="NAME", help="check against the tables of this deployed function")
    source.add_argument("--table-name", metavar="NAME", help="check against this table's key (DescribeTable)")
    source.add_argument("--key", metavar="NAME:TYPE[,NAME:TYPE]", help="check against this key, such as pk:S,sk:N")


def tables(options: argparse.Namespace) -> tuple[Table, ...]:
    """The function's tables as far as the options tell; none where they do not."""
    if options.function:
        return _of_function(options)
    alias = options.table
    if options.table_name:
        return (_described(options, options.table_name, alias),)
    if options.key:
        partition, *sort = (_key_attribute(part) for part in options.key.split(","))
        if len(sort) > 1:
            raise UsageError(f"--key has a partition key and perhaps a sort key, got {options.key!r}")
        return (Table(alias or "table", alias or "table", partition, sort[0] if sort else None),)
    return ()


def queue(options: argparse.Namespace, sqs: Any) -> tuple[bool, int]:
    """Whether the queue is FIFO, and how many bytes of a message it takes."""
    from botocore.exceptions import ClientError

    is_fifo = options.queue_url.endswith(".fifo")
    try:
        answer = sqs.get_queue_attributes(QueueUrl=options.queue_url, AttributeNames=["MaximumMessageSize"])
    except ClientError as error:
        if "AccessDenied" not in error.response["Error"].get("Code", ""):
            raise
        say(f"Not allowed to ask how long a message the queue takes; {MAX_BYTES:,} bytes are assumed.")
        return is_fifo, MAX_BYTES
    return is_fifo, min(MAX_BYTES, int(answer["Attributes"].get("MaximumMessageSize", MAX_BYTES)))


def _of_function(options: argparse.Namespace) -> tuple[Table, ...]:
    answer = client(options, "lambda").get_function_configuration(FunctionName=options.function)
    try:
        settings = Settings.from_environ(answer.get("Environment", {}).get("Variables", {}))
    except SettingsError as error:
        raise CommandError(f"function {options.function}: {error}") from None
    if settings.record_expression is not None:
        raise UsageError(f"function {options.function} takes records out of an envelope (RECORD_EXPRESSION), not bare")
    if settings.record_format != options.format:
        raise UsageError(f"function {options.function} expects --format {settings.record_format}")
    return settings.tables


def _described(options: argparse.Namespace, name: str, alias: str | None) -> Table:
    table = client(options, "dynamodb").describe_table(TableName=name)["Table"]
    types = {attribute["AttributeName"]: attribute["AttributeType"] for attribute in table["AttributeDefinitions"]}
    keys = {
        part["KeyType"]: KeyAttribute(part["AttributeName"], types[part["AttributeName"]])
        for part in table["KeySchema"]
    }
    return Table(alias or name, name, keys["HASH"], keys.get("RANGE"))


def _key_attribute(text: str) -> KeyAttribute:
    name, colon, kind = text.rpartition(":")
    if not colon or not name or kind not in KEY_TYPES:
        raise UsageError(f"--key must be NAME:TYPE with a type of S, N or B, got {text!r}")
    return KeyAttribute(name, cast("KeyType", kind))
