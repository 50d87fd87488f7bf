"""`python -m infra.effective CONTEXT OTHER`: check settings as `cdk deploy` would, and tell what they differ in.

Both are JSON objects, on top of cdk.json's context. Prints one JSON object of what is a number, a word or nothing:
name → [value, value with OTHER]. Exit status 1 and a sentence on standard error where a setting is refused.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from infra import stages
from infra.stack_config import StackConfig
from sluice.cdk.config import Config
from sluice.cdk.context import ConfigError, settings_of


def main(arguments: Sequence[str]) -> int:
    """Returns the exit status."""
    try:
        config, other = (_read(json.loads(argument)) for argument in arguments)
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    pairs = {name: [getattr(config, field), getattr(other, field)] for name, (field, _) in settings_of(Config).items()}
    sys.stdout.write(json.dumps({name: pair for name, pair in pairs.items() if pair[0] != pair[1] and _is_plain(pair)}))
    return 0


def _is_plain(pair: Sequence[object]) -> bool:
    return all(isinstance(value, str | int | float | None) for value in pair)


def _read(context: Mapping[str, Any]) -> StackConfig:
    in_file = json.loads((stages.ROOT / "cdk.json").read_text())["context"]
    return stages.read({**in_file, **context})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
