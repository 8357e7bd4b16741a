# Everything here works on a fresh Debian, Ubuntu or macOS machine with Python 3.11 or newer.
SHELL := /bin/bash
.DEFAULT_GOAL := help

BIN := .venv/bin
# Four that fail in four different ways, in about five minutes.
DEMO_PROFILES ?= missing_index,pool_exhaustion,streaming_txn,fulltext_search

UV := .cache/uv/bin/uv
LOCK = $(UV) pip compile --quiet --generate-hashes --no-header --no-annotate $(OPTIONS)
# The images have the versions that everything is tested with.
IMAGE_LOCK = $(LOCK) --python-platform linux --python-version 3.13 --constraint requirements.lock

.PHONY: help setup demo test acceptance lint verify schema metrics dashboards locks bench \
	soak clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Install what is missing; takes no time when nothing is
	@scripts/bootstrap

demo: setup ## Play four trials with the reference operator and say where the report is
	$(BIN)/ratchet run --profiles $(DEMO_PROFILES)

test: setup ## Run the unit and integration tests
	$(BIN)/pytest -n 3 --dist loadfile -m "not alone" tests/integration tests/unit
	$(BIN)/pytest -m alone tests/integration

acceptance: setup ## Play whole campaigns: faults, kill -9, replay, the report in a browser
	$(BIN)/pytest tests/acceptance

lint: setup ## Check style, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

verify: setup ## Prove every chaos profile: red, green with its fix, and no trick is taken for one
	$(BIN)/ratchet profiles verify --repeats 1

schema: setup ## Write the JSON Schemas of all that people and programs read and write
	$(BIN)/ratchet profiles schema --into docs/schema

metrics: setup ## Write docs/metrics.md from the real registries and rules
	$(BIN)/python -m campaign.metrics_page docs/metrics.md

dashboards: setup ## Write Grafana's dashboards from their code in deploy/grafana/generator
	$(BIN)/python -m deploy.grafana.generator

locks: $(UV) ## Pin what pyproject.toml asks for, and the same versions for the images
	$(LOCK) --universal --python-version 3.11 --group dev pyproject.toml -o requirements.lock
	$(IMAGE_LOCK) deploy/images/app/requirements.in -o deploy/images/app/requirements.lock
	$(IMAGE_LOCK) deploy/images/loadgen/requirements.in -o deploy/images/loadgen/requirements.lock
	$(IMAGE_LOCK) pyproject.toml -o deploy/images/campaign/requirements.lock

# Not the whole of setup: that installs from the lock which this is to mend.
$(UV): | $(BIN)/pip
	$(BIN)/pip install --quiet --disable-pip-version-check --target .cache/uv uv==0.13.9

$(BIN)/pip:
	@scripts/bootstrap

bench: setup ## Measure the harness itself
	.venv/bin/python -m tests.bench

soak: setup ## One hour of campaigns back to back: nothing of the harness may grow
	.venv/bin/python -m tests.bench.soak --minutes 60

clean: ## Remove what can be made again; campaigns in runs/ are kept
	rm -rf .venv .cache build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis \
		.import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
