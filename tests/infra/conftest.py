"""The stack in each configuration, synthesised once for all tests that only read its template."""

from __future__ import annotations

import json

import pytest

from tests.infra.configurations import CONFIGURATIONS
from tests.infra.template import Template, synthesise


@pytest.fixture(scope="session")
def templates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Template]:
    """All configurations by name; cdk-nag has found nothing in them."""
    return {
        name: synthesise(tmp_path_factory.mktemp(name), json.loads(json.dumps(context)))
        for name, context in CONFIGURATIONS.items()
    }


@pytest.fixture(scope="session")
def template(templates: dict[str, Template]) -> Template:
    """The stack without any settings."""
    return templates["default"]
