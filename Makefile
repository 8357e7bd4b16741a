# Everything here works on a fresh Debian, Ubuntu or macOS machine with Python 3.11 or newer.
SHELL := /bin/bash
.DEFAULT_GOAL := help

BIN := .venv/bin
# Four that fail in four different ways, in about five minutes.
DEMO_PROFILES ?= missing_index,pool_exhaustion,streaming_txn,fulltext_search

.PHONY: help setup demo test acceptance lint verify schema metrics dashboards bench soak clean

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

bench: setup ## Measure the harness itself
	.venv/bin/python -m tests.bench

soak: setup ## One hour of campaigns back to back: nothing of the harness may grow
	.venv/bin/python -m tests.bench.soak --minutes 60

clean: ## Remove what can be made again; campaigns in runs/ are kept
	rm -rf .venv .cache build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis \
		.import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
