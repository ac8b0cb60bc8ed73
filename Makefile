# Everything from a fresh checkout: Python 3.11 or newer and make are all that must be there.
.DEFAULT_GOAL := help
.PHONY: help setup dev demo up test check bench chaos test-long test-browser lock clean

PY := .venv/bin/python
PYTEST := $(PY) -m pytest
CODE := services shared deploy tests
# What runs against real servers, in the order in which a failure is easiest to understand.
REAL := tests/contracts tests/integration tests/e2e tests/chaos
SETUP = PYTHON="$(PYTHON)" sh deploy/local/setup.sh

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-13s %s\n", $$1, $$2}' Makefile

setup: ## set up what is missing: .venv with the kizashi command, Kafka, PostgreSQL
	@$(SETUP) run

dev:
	@$(SETUP) dev

demo: setup ## the main job from end to end, on real servers
	@.venv/bin/kizashi demo

up: setup ## the stack in the foreground until Ctrl-C; data in .kizashi/
	@.venv/bin/kizashi up

test: dev ## all tests, integration and end-to-end on real servers included
	$(PYTEST) tests/unit -m "not long"
	$(PYTEST) $(REAL) -m "not long"

check: dev ## format, lint, types, layers
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy $(CODE)
	.venv/bin/lint-imports

bench: setup ## the performance table
	@.venv/bin/kizashi bench

chaos: dev ## the fault campaign
	@.venv/bin/kizashi chaos

test-long: dev ## the long property, fuzz and fault runs
	PROPERTY_EXAMPLES=1000 $(PYTEST) tests/unit -m "property and not long" --timeout=3600
	$(PYTEST) tests -m long --timeout=3600

test-browser: dev ## tests in a real browser (needs Chromium)
	$(PYTEST) tests/browser

lock: dev ## renew the lock files from pyproject.toml
	sh deploy/local/lock.sh

clean: ## remove what setup made; the data in .kizashi/ stays
	rm -rf .venv .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
