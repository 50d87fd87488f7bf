"""Where settings stand: in cdk.json's context, or in one file a stage, so that no deployment forgets them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infra import reading
from infra.stack_config import StackConfig
from sluice.cdk.context import ConfigError

ROOT = Path(__file__).absolute().parents[1]


def read(context: Mapping[str, Any], root: Path = ROOT) -> StackConfig:
    """The settings in `context` and in the file of its stage. Raises `ConfigError` for a lasting stage without one."""
    if context.get("stage") in (None, ""):
        return reading.from_context(context)
    stage = reading.from_context({"stage": context["stage"]}).stage
    file = root / "stages" / f"{stage}.json"
    if file.exists():
        return reading.from_context({**context, **_settings_in(file, context)})
    config = reading.from_context(context)
    if not config.is_temporary:
        raise ConfigError(
            f"stage {stage} has no settings: write them to stages/{stage}.json ({{}} if the defaults will do) and"
            " keep the file under version control. A stack to be thrown away takes tableRemoval=destroy in its place"
        )
    return config


def in_no_file(context: Mapping[str, Any], root: Path = ROOT) -> list[str]:
    """The settings in `context` that cdk.json has not: the next deployment may be without them."""
    in_file = json.loads((root / "cdk.json").read_text())["context"]
    return [name for name in reading.known() if name in context and name not in (*in_file, "stage")]


def _settings_in(file: Path, context: Mapping[str, Any]) -> dict[str, Any]:
    name = f"stages/{file.name}"
    try:
        settings = json.loads(file.read_text())
    except ValueError as error:
        raise ConfigError(f"{name} is not JSON: {error}") from None
    if not isinstance(settings, dict):
        raise ConfigError(f'{name} must be a JSON object of settings, such as {{"partitionKey": "customer:S"}}')
    for key, value in settings.items():
        if key not in reading.known():
            raise ConfigError(f"{name} has no setting {key!r}; there are {', '.join(reading.known())}")
        if key in context and context[key] != value:
            raise ConfigError(
                f"{key} stands twice: {value!r} in {name}, {context[key]!r} in cdk.json or on the command line;"
                " leave one of them out"
            )
    return settings
