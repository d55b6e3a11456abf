# Two commands do all on a fresh machine: `make up` and `make test`. Python 3.11 or newer and make are enough.
PYTHON ?= python3
STACK ?= local
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
TESTED := $(VENV)/.installed-dev

.PHONY: up test plan down clean verify rehearse lint bench help

help: ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Espalier needs Python 3.11 or newer; $(PYTHON) is older. Name another: make PYTHON=python3.12 ..." >&2; exit 3; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing Espalier and what it needs into $(VENV) (a minute or two the first time) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[sim]'
	@touch $@

# All clouds' SDKs and the tools of the tests: 500 MB more, which bringing a platform up does not need.
$(TESTED): $(STAMP)
	@echo "Installing what the tests need, the SDKs of all clouds among it (some minutes the first time) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

up: $(STAMP) ## bring the platform of STACK (default: local) up on the simulated cluster
	@$(BIN)/espalier up $(STACK) --yes

plan: $(STAMP) ## show what STACK would be, without touching anything
	@$(BIN)/espalier plan $(STACK)

verify: $(STAMP) ## prove on the live API that STACK does what the plan says
	@$(BIN)/espalier verify $(STACK)

rehearse: $(STAMP) ## bring STACK up on a throw-away cluster, verify it, take it down
	@$(BIN)/espalier rehearse $(STACK)

down: $(STAMP) ## remove what STACK applied, then its simulated cluster
	@$(BIN)/espalier destroy $(STACK) --yes
	@$(BIN)/espalier sim down --name $(STACK)

test: $(TESTED) ## all checks and tests, the simulated cluster's too
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/pyright
	@$(BIN)/lint-imports
	@$(BIN)/pytest -n 2 --dist loadfile

bench: $(TESTED) ## all benchmarks; they print tables for bench/RESULTS.md
	@for script in bench/*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

clean: ## stop all simulated clusters, remove the virtual environment and what tests left
	@if test -x $(BIN)/espalier; then $(BIN)/espalier sim down --all; fi
	@rm -rf $(VENV) build dist .pytest_cache .hypothesis .ruff_cache .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
