"""Imports go one way through the modules of the construct; settings need no Node, and constructs know no settings."""

from __future__ import annotations

import ast
import subprocess
import sys
from graphlib import TopologicalSorter

import pytest

from infra.settings_docs import settings_tables
from tests.infra.template import ROOT

CDK = ROOT / "sluice" / "cdk"
MODULES = sorted(path.stem for path in CDK.glob("*.py") if path.stem != "__init__")


def imports_of(module: str) -> set[str]:
    """Modules of the construct library that this one imports, even if only for types."""
    found = set()
    for node in ast.walk(ast.parse((CDK / f"{module}.py").read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            found |= {node.module} if node.module else {alias.name for alias in node.names}
    return found


def uses_cdk(module: str) -> bool:
    return "from aws_cdk import" in (CDK / f"{module}.py").read_text()


def test_no_two_modules_import_each_other_directly_or_by_way_of_others() -> None:
    TopologicalSorter({module: imports_of(module) for module in MODULES}).prepare()  # Raises CycleError.


@pytest.mark.parametrize("module", MODULES)
def test_only_the_construct_itself_and_a_given_table_know_both_settings_and_constructs(module: str) -> None:
    reached, unseen = set[str](), [module]
    while unseen:
        reached.add(unseen.pop())
        unseen = sorted(set().union(*map(imports_of, reached)) - reached)
    settings = reached & {"config", "table_config"}

    assert not (settings and any(map(uses_cdk, reached))) or module in ("construct", "existing")


def test_no_test_file_loads_cdk_by_being_imported() -> None:
    """Each process of pytest imports them all, and CDK starts a Node in each; tests/infra/cdk.py loads it when used."""
    loaders = {"aws_cdk", "cdk_nag", "constructs", "infra.stack", "infra.nag", "infra.app", "sluice.cdk.nag"}
    found = set()
    for path in (ROOT / "tests").rglob("*.py"):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ImportFrom):
                names = {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
            elif isinstance(node, ast.Import):
                names = {alias.name for alias in node.names}
            else:
                continue
            found |= {str(path.relative_to(ROOT)) for name in names & loaders}

    assert found == set()


def test_settings_are_read_and_their_tables_printed_without_node() -> None:
    # jsii starts Node; a module that is None cannot be imported.
    code = (
        "import runpy, sys; sys.modules['jsii'] = None; import infra.reading; infra.reading.from_context({});"
        " runpy.run_module('infra.settings_docs', run_name='__main__')"
    )

    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.stdout == settings_tables(), done.stderr
