"""Where the CDK command line keeps what it unpacks, and what is passed on of what it says."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from sluice.local import deploy
from sluice.local.aws import LocalAws
from sluice.local.deploy import Cdk

VARIABLE = "JSII_RUNTIME_PACKAGE_CACHE_ROOT"


@pytest.mark.parametrize("is_ours", [True, False])
def test_cdks_library_is_unpacked_once_for_all_unless_somebody_has_chosen_a_place_for_it(
    is_ours: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cdk = Cdk(LocalAws(port=9), tmp_path, cache=tmp_path / "cache")
    own = tmp_path / "project" / ".venv"
    own.mkdir(parents=True)
    monkeypatch.setattr(deploy, "ROOT", own.parent)
    monkeypatch.setattr(sys, "prefix", str(own) if is_ours else "/usr")

    monkeypatch.delenv(VARIABLE, raising=False)
    assert cdk._environ()[VARIABLE] == str((own if is_ours else tmp_path / "cache") / "jsii")

    monkeypatch.setenv(VARIABLE, "/chosen")
    assert cdk._environ()[VARIABLE] == "/chosen"


def test_what_the_app_says_of_its_progress_is_passed_on_while_it_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "cdk.log"
    log.write_text("sluice: said by the run before\n")
    go_on = tmp_path / "go-on"
    script = (
        "echo Bundling...; echo sluice: pip installs; printf 'sluice: half ';"
        f" until [ -e {go_on} ]; do sleep 0.05; done; echo a line"
    )
    monkeypatch.setattr(deploy, "cdk_command", lambda: ["sh", "-c", script])
    said: list[str] = []

    def on_say(what: str) -> None:
        said.append(what)
        go_on.touch()  # So that it ends only if it was passed on before.

    Cdk(LocalAws(port=9), tmp_path, tmp_path, on_say=on_say)._run("deploy")

    assert said == ["pip installs", "half a line"]
