# Everything a person does here is a target; `make help` lists them from the comments behind the names.
.DEFAULT_GOAL := help
.PHONY: help setup demo test check format generate constraints

VENV := .venv
INSTALLED := $(VENV)/.installed

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

$(INSTALLED): pyproject.toml predlog/pyproject.toml constraints.txt scripts/setup
	@scripts/setup $(VENV)
	@touch $@

setup: $(INSTALLED) ## make the virtual environment (every other target does it when needed)

demo: $(INSTALLED) ## a year of flights, a model that decays, alerts that fire (DEMO_SECONDS=60 stops it by itself)
	@scripts/install-prometheus || true
	@$(VENV)/bin/prediction-exporter demo

test: $(INSTALLED) ## every test, with real Prometheus and Alertmanager processes
	@scripts/test

check: $(INSTALLED) ## format, lint, types, quick tests, generated files, the checkers of Prometheus and Grafana
	@scripts/check

format: $(INSTALLED) ## format the code and mend what the linter can mend
	@$(VENV)/bin/ruff format
	@$(VENV)/bin/ruff check --fix

generate: $(INSTALLED) ## write the rules, routes, runbook, dashboards, schema, metric catalogue and configuration reference anew
	@scripts/generate

constraints: $(INSTALLED) ## write constraints.txt from the virtual environment
	@scripts/constraints
	@touch $(INSTALLED)
