# A newcomer needs two commands: `make study` and `make test`. Both install what they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Extra arguments for pip, such as an index: make install PIP_ARGS="--index-url ..."
PIP_ARGS ?=
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help install study test test-fast check format wheel clean

help:  ## Show the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "metaopt needs Python 3.11 or newer; set one with: make PYTHON=python3.11 ..."; exit 1; }
	@test -x $(BIN)/python || { echo "Making $(VENV) ..."; $(PYTHON) -m venv $(VENV); }
	@echo "Installing metaopt and its pinned dependencies into $(VENV) (a minute or two) ..."
	@$(BIN)/python -m pip install --disable-pip-version-check --quiet $(PIP_ARGS) -c constraints.txt -e '.[dev]'
	@touch $@
	@echo "Installed."

install: $(STAMP)  ## Make .venv and install into it; nothing to do when nothing changed

study: install  ## The main job: tune a network on digits with five strategies and compare them
	@$(BIN)/python studies/digits.py

test: install  ## Run all tests
	@$(BIN)/python -m pytest -n 2 --dist worksteal

test-fast: install  ## Run the tests that take less than a few seconds each
	@$(BIN)/python -m pytest -n 2 --dist worksteal -m 'not slow'

check: install  ## Lint and type-check
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: install  ## Format the code and sort the imports
	@$(BIN)/ruff check --fix --quiet . || true
	@$(BIN)/ruff format .

wheel: install  ## Build sdist and wheel, and prove the wheel in a fresh environment
	@bash .ci/prove-wheel $(BIN)/python

clean:  ## Remove .venv and caches
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
