"""What a reader finds beside the code is true: documents, links, commands, workflows, versions, cdk watch."""

from __future__ import annotations

import importlib
import itertools
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import yaml  # type: ignore[import-untyped]  # It ships no type information.

from sluice.cdk import bundle
from sluice.cli import COMMANDS
from tests.infra.template import ROOT

DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / ".github").rglob("*.md")])
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
TREES = ("docs", "functions", "infra", "sluice", "tests")
OF_OLD_VERSIONS = {"CHANGELOG.md", "upgrading.md"}
_FENCE = re.compile(r"^```(?P<info>[^\n]*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_PINNED = re.compile(r"[\w.-]+/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def prose(path: Path) -> str:
    """A document without its blocks of code."""
    return _FENCE.sub("", path.read_text())


def anchors(path: Path) -> set[str]:
    """The anchors that GitHub gives to headings; the second of two that read alike gets a number."""
    found: set[str] = set()
    for heading in re.findall(r"^#+ (.+)$", prose(path), re.MULTILINE):
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        ways = itertools.chain([slug], (f"{slug}-{n}" for n in itertools.count(1)))
        found.add(next(way for way in ways if way not in found))
    return found


def commands_of(path: Path) -> list[str]:
    """The commands in a document's shell blocks, without comments."""
    lines = [
        line
        for block in _FENCE.finditer(path.read_text())
        if block["info"] == "sh"
        for line in block["text"].splitlines()
    ]
    return [command for line in lines if (command := line.partition(" #")[0].strip())]


def runs(workflow: dict[Any, Any]) -> Iterator[str]:
    for job in workflow["jobs"].values():
        yield from (step["run"] for step in job["steps"] if "run" in step)


def version() -> str:
    """The package's version: in pyproject.toml, or where pyproject.toml says that it is."""
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    if "version" in pyproject["project"]:
        return str(pyproject["project"]["version"])
    module, _, attribute = pyproject["tool"]["setuptools"]["dynamic"]["version"]["attr"].rpartition(".")
    return str(getattr(importlib.import_module(module), attribute))


def test_the_readme_has_800_words_at_most() -> None:
    assert len((ROOT / "README.md").read_text().split()) <= 800


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_every_link_leads_somewhere(document: Path) -> None:
    dead = []
    for link in _LINK.findall(prose(document)):
        if re.match(r"[a-z]+:", link):
            continue
        target, _, anchor = unquote(link).partition("#")
        path = (document.parent / target).resolve() if target else document
        if not path.exists() or (anchor and path.suffix == ".md" and anchor not in anchors(path)):
            dead.append(link)

    assert not dead


def test_every_page_can_be_reached_from_the_readme() -> None:
    seen, ahead = set[Path](), [ROOT / "README.md"]
    while ahead:
        document = ahead.pop()
        if document not in seen and document.suffix == ".md":
            seen.add(document)
            links = [link.partition("#")[0] for link in _LINK.findall(prose(document)) if ":" not in link]
            ahead += [(document.parent / link).resolve() for link in links if link]

    assert set((ROOT / "docs").glob("*.md")) <= seen


@pytest.mark.parametrize("document", [path for path in DOCUMENTS if path.name not in OF_OLD_VERSIONS], ids=name)
def test_every_file_that_a_document_names_exists(document: Path) -> None:
    named = re.findall(rf"`((?:{'|'.join(TREES)})/[\w./-]*)`", prose(document))
    modules = {path.name for tree in TREES for path in (ROOT / tree).rglob("*.py")}

    assert [path for path in named if not (ROOT / path).exists()] == []
    assert set(re.findall(r"`(\w+\.py)`", prose(document))) <= modules


def test_every_command_of_the_readme_is_run_by_a_workflow_or_a_test() -> None:
    by_workflows = "\n".join(run for path in WORKFLOWS for run in runs(yaml.safe_load(path.read_text())))
    by_the_demo = (ROOT / "tests" / "e2e" / "test_demo.py").read_text()  # Once for an account: no workflow does it.

    for command in commands_of(ROOT / "README.md"):
        assert command in by_workflows or command.rpartition("/")[2] in by_the_demo, command


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_every_make_target_and_command_that_a_document_names_exists(document: Path) -> None:
    text = "\n".join([*re.findall(r"`([^`\n]+)`", prose(document)), *commands_of(document)])
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))

    assert set(re.findall(r"^make ([a-z-]+)", text, re.MULTILINE)) <= targets
    assert set(re.findall(r"^sluice ([a-z]+)", text, re.MULTILINE)) <= COMMANDS.keys()


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=name)
def test_every_action_is_pinned_by_its_hash_with_the_version_beside_it(workflow: Path) -> None:
    used = re.findall(r"uses: (.+)$", workflow.read_text(), re.MULTILINE)

    assert used
    assert [action for action in used if not _PINNED.fullmatch(action)] == []


def test_the_tests_run_on_the_oldest_python_and_on_the_one_that_is_deployed() -> None:
    from sluice.cdk.bundle import BUNDLE  # Here, for it loads CDK.

    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())["jobs"]
    requires = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]

    assert {requires.removeprefix(">="), BUNDLE.python} <= set(jobs["test"]["strategy"]["matrix"]["python"])


def test_a_release_is_attested_and_published_for_a_tag_alone_and_only_those_jobs_get_a_token() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yml").read_text())
    jobs, triggers = workflow["jobs"], workflow[True]  # YAML 1.1 takes `on` for a truth value.

    assert triggers == {"push": {"tags": ["v*"]}, "workflow_dispatch": None}
    assert workflow["permissions"] == {"contents": "read"}
    assert {name for name, job in jobs.items() if "permissions" in job} == {"attest", "publish"}
    assert all("github.ref_type == 'tag'" in jobs[name]["if"] for name in ("attest", "publish"))
    assert (jobs["attest"]["needs"], jobs["publish"]["needs"]) == ("build", "attest")


def test_the_newest_version_in_the_changelog_is_the_packages() -> None:
    headings = re.findall(r"^## \[(.+?)\](.*)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    released = [(number, rest) for number, rest in headings if number != "Unreleased"]

    assert released[0][0] == version()
    assert all(re.fullmatch(r" - \d{4}-\d\d-\d\d", rest) for _, rest in released)
    numbers = [tuple(map(int, number.split("."))) for number, _ in released]
    assert numbers == sorted(numbers, reverse=True)


def test_cdk_watch_sees_what_is_deployed_and_nothing_that_it_changes_itself() -> None:
    watch = json.loads((ROOT / "cdk.json").read_text())["watch"]
    seen: set[Path] = set()
    for pattern in watch["include"]:
        directory = ROOT / pattern.removesuffix("/**")
        found = {path for path in directory.rglob("*") if path.is_file()} if pattern.endswith("/**") else {directory}
        assert found, pattern
        assert all(path.exists() for path in found), pattern
        seen |= found

    infra = {path for top in ("infra", "sluice/cdk") for path in (ROOT / top).rglob("*.py")}
    wings = {wing for path in infra for wing in re.findall(r"^from sluice\.(\w+)", path.read_text(), re.MULTILINE)}
    library = {
        path for wing in wings for path in (ROOT / "sluice" / wing).rglob("*") if path.suffix in (".py", ".json")
    }
    assert {*bundle.sources().values(), bundle.REQUIREMENTS, *infra, *library} <= seen
    assert "**/__pycache__/**" in watch["exclude"]
