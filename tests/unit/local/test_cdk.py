"""Where the CDK command line keeps what it unpacks."""

from __future__ import annotations

from pathlib import Path

import pytest

from sluice.local.aws import LocalAws
from sluice.local.deploy import Cdk

VARIABLE = "JSII_RUNTIME_PACKAGE_CACHE_ROOT"


def test_cdks_library_is_unpacked_beside_the_deployment_unless_somebody_has_chosen_a_place_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cdk = Cdk(LocalAws(port=9), tmp_path, cache=tmp_path / "cache")

    monkeypatch.delenv(VARIABLE, raising=False)
    assert cdk._environ()[VARIABLE] == str(tmp_path / "cache" / "jsii")

    monkeypatch.setenv(VARIABLE, "/chosen")
    assert cdk._environ()[VARIABLE] == "/chosen"
