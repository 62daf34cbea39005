# Everything a newcomer needs; `make` lists it.
SHELL := /bin/sh
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SETUP := $(VENV)/.complete
JOBS ?= 2
# The commands in an environment name its place, and so does its mark.
MOVED := $(shell test -s $(SETUP) && cd $(VENV) && test "$$(cat .complete)" != "$$(pwd -P)" && cat .complete)

export DO_NOT_TRACK := 1
export DVC_NO_ANALYTICS := 1
export MLFLOW_DISABLE_TELEMETRY := true
export PREFECT_SERVER_ANALYTICS_ENABLED := false

.DEFAULT_GOAL := help
.PHONY: help setup repro up down deploy test test-all check bench lock clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

setup: $(SETUP) ## Install everything into .venv, from the lock

ifneq ($(MOVED),)
.PHONY: $(SETUP)
$(SETUP):
	@echo "$(VENV): was made as $(MOVED), and moved or copied since. Run make clean, then make setup." >&2; exit 2
else
$(SETUP): requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --quiet --compile-bytecode --require-hashes --python $(BIN)/python -r requirements.lock
	$(BIN)/uv pip install --quiet --no-deps --python $(BIN)/python --editable .
	cd $(VENV) && pwd -P > .complete
endif

repro: $(SETUP) ## Draw or check the data, train, judge and register every experiment
	$(BIN)/atelier repro --jobs $(JOBS)

up: $(SETUP) ## Start Prefect's server, a worker and MLflow's pages on this machine
	$(BIN)/atelier up

down: $(SETUP) ## End what make up started
	$(BIN)/atelier down

deploy: $(SETUP) ## Apply params.yaml and schedules.yaml to the server
	$(BIN)/atelier deploy

test: $(SETUP) ## The fast tests and one small whole pipeline, a process for each core
	$(BIN)/python -m pytest -n logical -m "not slow and not server and not browser and not gpu"

test-all: $(SETUP) ## All tests, slow ones and those with real servers too
	$(BIN)/python -m pytest -m "not gpu"

check: $(SETUP) ## Lint, types and layers
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(SETUP) ## How near each training comes to what this machine could do
	$(BIN)/python benchmarks/bench.py

lock: $(SETUP) ## Resolve pyproject.toml anew into requirements.lock
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-annotate --no-header --group dev pyproject.toml -o requirements.lock

clean: ## Remove the environment; data, artifacts and registry stay
	rm -rf $(VENV)
