# Two commands on a fresh machine: `make demo` (Python with venv) and `make test` (also Node.js).
.DELETE_ON_ERROR:
.SHELLFLAGS := -euo pipefail -c
SHELL := bash

PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3.14 python3; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(not (3,11) <= sys.version_info < (3,15))' 2>/dev/null && { echo $$p; break; }; done)
BIN := .venv/bin
SEEDS ?= 5
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help demo airflow stream-demo test check lint truth bench setup dev clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

demo: .venv/.run-ready ## set up and run the main job on the bundled sample, then open its report
	@$(BIN)/l2liq demo

airflow: .venv/.dev-ready tests/evm/node_modules/.ready ## a local Airflow with the DAGs on the sample's chain, until Ctrl-C
	@$(BIN)/python -m tests.dags.local

stream-demo: .venv/.dev-ready tests/evm/node_modules/.ready ## logs flow from a local chain through Kafka into the lake (Java 17, Maven)
	@$(BIN)/python -m tests.stream.demo

test: .venv/.dev-ready tests/evm/node_modules/.ready ## set up and run every test
	@$(BIN)/pytest -n 2 --dist loadgroup $(PYTEST_ARGS)

check: .venv/.dev-ready ## the quick subset: lint, types, unit and property tests
	@$(MAKE) --no-print-directory lint
	@$(BIN)/pytest -q -n 2 -m 'not slow' tests/unit tests/property

lint: .venv/.dev-ready ## formatting, lint, types, import contract
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

truth: .venv/.dev-ready tests/evm/node_modules/.ready ## the market against the real contracts; SEEDS=n seeds per version
	@SEEDS=$(SEEDS) $(BIN)/pytest -n 2 --dist loadgroup tests/evm

bench: .venv/.dev-ready ## benchmarks: ratios measured in one process
	@$(BIN)/pytest tests/benchmarks --benchmark-only --benchmark-columns=min,median,rounds $(PYTEST_ARGS)

setup: .venv/.run-ready ## only set up what running needs

dev: .venv/.dev-ready ## only set up what developing needs

clean: ## remove everything that make and the tests made; lake/ and sample/, which may hold your own work, stay
	rm -rf .airflow artefacts .venv tests/evm/node_modules tests/evm/.cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .benchmarks

.venv/bin/uv:
	@test -n "$(PYTHON)" || { echo "l2liq needs Python 3.11 to 3.14. Install one (Debian: apt-get install python3 python3-venv)." >&2; exit 2; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "$(PYTHON) lacks the venv module. Install it (Debian: apt-get install python3-venv)." >&2; exit 2; }
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv

.venv/.run-ready: pyproject.toml .venv/bin/uv
	@echo "Installing into .venv (once)"
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode -e .
	@touch $@

.venv/.dev-ready: pyproject.toml .venv/bin/uv
	@echo "Installing into .venv with the tools for tests (once)"
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode -e '.[stream,quality,nightly,s3]' --group dev
	@touch $@ .venv/.run-ready

tests/evm/node_modules/.ready: tests/evm/package-lock.json
	@command -v npm >/dev/null || { echo "The tests run real contracts and need Node.js 20 or later with npm (Debian: apt-get install nodejs npm)." >&2; exit 2; }
	@cd tests/evm && npm ci --ignore-scripts --no-audit --no-fund --silent
	@touch $@
