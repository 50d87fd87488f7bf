"""Hypothesis profiles: `pytest tests/property --hypothesis-profile=thorough`, or HYPOTHESIS_PROFILE=thorough.

Every profile but `thorough` draws the same examples in every run, so that a red build is red again on a laptop.
"""

import functools
import os
import shutil
from collections.abc import Callable, Generator
from pathlib import Path

import botocore.session
import pytest
from hypothesis import HealthCheck, Phase, settings

from sluice.writing import unchanged
from tests.world import way

# Some examples are 16 MB long, and the machine that runs them may be busy.
_SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]

_PHASES = (Phase.explicit, Phase.reuse, Phase.generate, Phase.target, Phase.shrink)  # All but the slow explaining.
_COMMON = settings(deadline=None, phases=_PHASES, suppress_health_check=_SLOW, print_blob=True)

settings.register_profile("repeatable", _COMMON, derandomize=True, database=None, max_examples=150)
settings.register_profile("thorough", _COMMON, max_examples=5_000)
# For mutants: that a property fails is all that counts, not the smallest example.
settings.register_profile("mutants", settings.get_profile("repeatable"), phases=(Phase.explicit, Phase.generate))
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))

# boto3's description of the services is read once, and not for each of hundreds of sessions.
botocore.session.create_loader = functools.cache(botocore.session.create_loader)

# The 200 MB of CDK's library are unpacked once, and not for each test that deploys, and Node compiles its command line
# once; `make clean` removes both.
_CACHE = Path(__file__).parents[1] / ".pytest_cache"
os.environ.setdefault("JSII_RUNTIME_PACKAGE_CACHE_ROOT", str(_CACHE / "jsii"))
os.environ.setdefault("NODE_COMPILE_CACHE", str(_CACHE / "node"))
# CDK's check of templates takes each process that synthesises seconds to load; the tests that want it say so.
os.environ.setdefault("CDK_VALIDATION", "false")


# A file is the work of one process (--dist loadfile), and files are given out in this order: the longest first, so that
# none of them is left when all else is done.
_LONGEST = (
    "integration/test_operate.py",
    "integration/test_deploy.py",
    "e2e/test_pipeline.py",
    "property/test_stateful_fifo.py",
    "integration/test_benchmarks.py",
    "integration/test_dashboard_run.py",
    "property/test_stateful.py",
    "e2e/test_demo.py",
    "integration/test_smoke.py",
    "infra/test_security.py",
    "infra/test_bundle.py",
)
_RANKS = {Path(__file__).parent / name: rank for rank, name in enumerate(_LONGEST)}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: _RANKS.get(item.path, len(_RANKS)))


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Of the processes of a run the first collects alone: in a fresh checkout the others find what it has compiled."""
    run = getattr(session.config, "workerinput", {}).get("testrunuid")
    if run is None:
        return (yield)
    import fcntl  # Windows has none; only `make` gives a run to several processes.

    _CACHE.mkdir(exist_ok=True)
    with (_CACHE / "collected").open("a+") as collected:
        fcntl.flock(collected, fcntl.LOCK_EX)
        collected.seek(0)
        if collected.read() == run:
            fcntl.flock(collected, fcntl.LOCK_UN)
            return (yield)
        found = yield
        collected.truncate(0)
        collected.write(run)
        return found


@pytest.fixture(scope="session")
def assembly(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cloud assembly of the stack without settings, with the package that pip has made: once for all tests."""
    import fcntl

    from tests.infra.command import run_app  # Where the tools alone are tested, the stack's packages are not there.

    own = tmp_path_factory.getbasetemp()
    made = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "assembly"
    with made.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            directory = tmp_path_factory.mktemp("assembly")
            done = run_app(directory, {})
            assert done.returncode == 0, done.stderr
            directory.rename(made)
    return made


@pytest.fixture(scope="session")
def with_package(assembly: Path) -> Callable[[Path], Path]:
    """Puts the function's package where a deployment that keeps its files in a directory looks for one already made."""

    def place(directory: Path) -> Path:
        for package in assembly.glob("asset.*"):
            shutil.copytree(package, directory / "cdk.out" / package.name, copy_function=os.link)
        return directory

    return place


@pytest.fixture(params=[False, True], ids=["http", "boto3"])
def both_ways(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs a test twice: with all calls of a `World` over HTTP, and with all of them through boto3."""
    monkeypatch.setattr(way, "is_by_boto3", request.param)


@pytest.fixture
def patient_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """No item is written only because its read takes long on a slow machine."""
    monkeypatch.setattr(unchanged, "MAX_SECONDS", 30.0)
    monkeypatch.setattr(unchanged, "MAX_HELD", 30.0)
