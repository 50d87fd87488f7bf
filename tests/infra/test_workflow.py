"""The workflow's commands exist, only the job that deploys gets a role, and what is deployed is destroyed."""

from __future__ import annotations

import re
from typing import Any

import yaml  # type: ignore[import-untyped]  # It ships no type information.

from infra import reading
from tests import smoke
from tests.infra.template import ROOT


def workflow() -> dict[Any, Any]:
    content: dict[Any, Any] = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    return content


def commands(job: str) -> list[str]:
    return [step["run"] for step in workflow()["jobs"][job]["steps"] if "run" in step]


def test_every_push_runs_the_tests_of_the_readme() -> None:
    triggers = workflow()[True]  # YAML 1.1 takes `on` for a truth value.

    assert "push" in triggers
    assert commands("test") == ["make test"]
    assert re.search(r"^test:", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_every_push_asks_for_the_second_opinion() -> None:
    assert commands("second-opinion") == ["make second-opinion"]
    assert re.search(r"^second-opinion:", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_only_the_job_that_deploys_gets_a_token_and_no_pull_request_runs_it() -> None:
    jobs = workflow()["jobs"]

    assert workflow()["permissions"] == {"contents": "read"}
    assert {name for name, job in jobs.items() if job.get("permissions", {}).get("id-token") == "write"} == {"deploy"}
    condition = jobs["deploy"]["if"]
    assert "github.event_name != 'pull_request'" in condition
    assert "vars.AWS_DEPLOY_ROLE_ARN != ''" in condition


def test_what_is_deployed_is_tried_out_and_always_destroyed_with_the_same_settings() -> None:
    steps = [step for step in workflow()["jobs"]["deploy"]["steps"] if "name" in step]

    assert [step["name"] for step in steps] == ["Deploy", "Smoke test", "Destroy"]
    assert steps[2]["if"] == "always()"
    assert f"-m {smoke.__name__} --stack-outputs outputs.json" in steps[1]["run"]
    assert "--outputs-file outputs.json $CONTEXT" in steps[0]["run"]
    assert steps[2]["run"].endswith("cdk destroy --force $CONTEXT")


def test_the_settings_of_the_deployment_are_accepted_and_leave_nothing_behind() -> None:
    words = workflow()["jobs"]["deploy"]["env"]["CONTEXT"]
    words = words.replace("${{ github.run_id }}", "19823476012").replace("${{ github.run_attempt }}", "1").split()

    config = reading.from_context(dict(setting.split("=", 1) for setting in words[1::2]))

    assert set(words[::2]) == {"--context"}
    assert config.full_name == "Sluice-ci-19823476012-1"
    assert config.tables[0].table_removal == "destroy"
    assert config.tables[0].deletion_protection is False
