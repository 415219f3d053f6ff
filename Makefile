MAKEFLAGS += --warn-undefined-variables --no-builtin-rules
SHELL := /bin/bash
.DEFAULT_GOAL := help
# A distribution's interpreter is built with profile-guided optimization, and needs a seventh less time than one that a
# version manager has compiled without.
PYTHON ?= $(shell for python in /usr/bin/python3.13 /usr/bin/python3.12 /usr/bin/python3.11; do \
	$$python -c 'import ensurepip' 2> /dev/null && echo $$python && exit; done; echo python3)
UV_VERSION := 0.13.9
VENV := .venv
BIN := $(VENV)/bin
export UV_PYTHON_DOWNLOADS := never
MEMBERS = $(sort $(patsubst %/pyproject.toml,%,$(wildcard libs/*/pyproject.toml services/*/pyproject.toml infra/local/pyproject.toml drills/pyproject.toml)))

.PHONY: help
help: ## Show the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.installed: requirements.lock $(MEMBERS:%=%/pyproject.toml)
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip sync --quiet --require-hashes requirements.lock
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --no-deps $(MEMBERS:%=-e ./%)
	@touch $@

.PHONY: install
install: $(VENV)/.installed ## Install everything into .venv, from requirements.lock

.PHONY: lock
lock: ## Resolve the dependencies again and write requirements.lock
	$(BIN)/uv lock --upgrade
	$(BIN)/uv export --all-packages --all-groups --no-emit-workspace --no-header --format requirements-txt -o requirements.lock > /dev/null

.PHONY: schemas
schemas: install ## Write the JSON Schemas, golden examples and AsyncAPI document from the models
	$(BIN)/python schemas/generate.py

.PHONY: prices
prices: install ## Write config/prices.yaml: what the catalogue's models cost, from the locked genai-prices
	$(BIN)/allweather prices lock

.PHONY: check
check: install ## Format, lint, types, import rules, schema drift
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/python schemas/generate.py --check
	$(BIN)/allweather prices lock --check

.PHONY: format
format: install ## Format the code and mend what the linter can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: test
test: install ## Everything, with the real broker, Postgres and Redis
	$(BIN)/pytest -n 2 --dist loadgroup

.PHONY: matrix
matrix: install ## Ask with every official client at every vendor; write docs/reference/support-matrix.*
	$(BIN)/pytest tests/e2e/sdks --deselect tests/e2e/sdks/test_matrix.py --matrix docs/reference

.PHONY: up
up: install ## Start the stack and every service in the background; wait until all are ready
	@$(BIN)/allweather up

.PHONY: down
down: install ## Stop what `make up` started
	@$(BIN)/allweather down

.PHONY: status
status: install ## Print one JSON object: addresses, a development key, every process (make -s status)
	@$(BIN)/allweather status --json

.PHONY: check-isolation
check-isolation: install ## Each service with only the packages that it declares
	$(BIN)/python tests/architecture/isolation.py

.PHONY: demo
demo: install ## An afternoon of outages on real parts; exits 0 when every promise was kept
	$(BIN)/allweather demo

SECONDS ?= 20
ONLY ?=
PROFILE ?=

.PHONY: bench
bench: install ## Measure requests per second, cost and latency; SECONDS=20 ONLY="idle saturation" PROFILE=1
	@$(BIN)/python -m bench --seconds $(SECONDS) $(ONLY:%=--only %) $(if $(PROFILE),--profile)

SCHEDULES ?= 10000
.PHONY: protocol
protocol: install ## Explore the protocol under SCHEDULES seeded schedules of faults (10000)
	$(BIN)/python tests/protocol/run.py --seed 10000 --schedules $(SCHEDULES) --workers 2

SHORT ?=
SEED ?=
.PHONY: test-faults
test-faults: install ## Kill, stop, cut and starve everything under load; takes hours; ONLY="broker-kill kill-*" SHORT=1 SEED=7
	@$(BIN)/python tests/faults/run.py $(ONLY:%=--only '%') $(if $(SHORT),--short) $(SEED:%=--seed %)
