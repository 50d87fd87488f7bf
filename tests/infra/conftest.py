"""The stack, synthesised once for all tests that only read its template."""

from __future__ import annotations

import pytest

from infra.config import Config
from tests.infra.template import Template, synthesise


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    return synthesise(tmp_path_factory.mktemp("cdk.out"), Config())
