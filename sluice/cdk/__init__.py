"""The stack as a construct for CDK apps: `from sluice.cdk import Sluice`, after `pip install 'sluice[cdk]'`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .config import Config
    from .construct import Sluice
    from .context import ConfigError
    from .existing import ExistingTable
    from .function import FunctionOptions
    from .index_config import IndexConfig
    from .table_config import TableConfig

_MODULES = {
    "Config": "config",
    "ConfigError": "context",
    "ExistingTable": "existing",
    "FunctionOptions": "function",
    "IndexConfig": "index_config",
    "Sluice": "construct",
    "TableConfig": "table_config",
}

__all__ = ["Config", "ConfigError", "ExistingTable", "FunctionOptions", "IndexConfig", "Sluice", "TableConfig"]


def __getattr__(name: str) -> Any:
    """Imports a part when it is first asked for: settings and bundle need no CDK, which starts Node."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    try:
        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    except ModuleNotFoundError as error:
        if error.name in ("aws_cdk", "constructs", "jsii"):
            raise ImportError("sluice.cdk needs AWS's CDK: pip install 'sluice[cdk]'") from error
        raise
