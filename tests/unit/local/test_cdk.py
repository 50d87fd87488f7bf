"""Where the CDK command line keeps what it unpacks, and what is passed on of what it says."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from sluice.local import deploy
from sluice.local.aws import LocalAws, LocalError
from sluice.local.deploy import Cdk, Outputs

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


def test_the_stack_is_synthesised_while_the_account_is_prepared_and_deployed_as_it_is_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["".join(part.capitalize() for part in name.split("_")) for name in Outputs.__slots__]
    outputs = json.dumps({"Sluice": dict.fromkeys(names, "x")})
    script = f"""case $1 in
        bootstrap) until [ -e {tmp_path}/synth ]; do sleep 0.05; done;;
        synth) touch {tmp_path}/synth;;
        deploy) echo '{outputs}' > {tmp_path}/outputs.json; echo "$@" > {tmp_path}/deploy;;
    esac"""
    monkeypatch.setattr(deploy, "cdk_command", lambda: ["sh", "-c", script, "cdk"])
    cdk = Cdk(LocalAws(port=9), tmp_path, cache=tmp_path)

    cdk.bootstrap({"batchSize": "20"})

    cdk.deploy({"batchSize": "20"})
    assert f"--app {tmp_path}/cdk.out" in (tmp_path / "deploy").read_text()
    cdk.deploy({"batchSize": "30"})
    assert f"--output {tmp_path}/cdk.out --context batchSize=30" in (tmp_path / "deploy").read_text()


def test_each_command_that_fails_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deploy, "cdk_command", lambda: ["sh", "-c", '[ "$1" = bootstrap ]', "cdk"])

    with pytest.raises(LocalError, match="`cdk synth` failed"):
        Cdk(LocalAws(port=9), tmp_path, cache=tmp_path).bootstrap({})
