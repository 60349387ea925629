# Everything needed to run, test and check Cardwatch. `make help` lists it.
# Nothing here needs root or an activated environment: all tools live in .venv. Only test-system
# installs Debian packages, where it may.

PYTHON ?= python3
VENV ?= .venv
WORKERS ?= 2

BIN := $(VENV)/bin
RUN_STAMP := $(VENV)/.installed
DEV_STAMP := $(VENV)/.installed-dev
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input --quiet

LOCK := env -u PIP_FIND_LINKS -u UV_FIND_LINKS $(BIN)/uv --no-config pip compile pyproject.toml \
	--universal --python-version 3.11 --fork-strategy fewest --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" --quiet $(UPGRADE)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup run run-postgres test test-system check docs lock bench-speed bench-detection clean

help: ## List every target
	@echo "make TARGET, where TARGET is one of:"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: $(RUN_STAMP) config/config.yaml ## Prepare .venv with the pinned requirements, and config/config.yaml

run: setup ## Score the latest week of datasamples/, made first when there is none
	@find datasamples -type f ! -name '[._]*' 2>/dev/null | grep -q . || $(BIN)/cardwatch sample
	@$(BIN)/cardwatch run

run-postgres: $(DEV_STAMP) ## The whole story on a throw-away PostgreSQL: load, score, publish, read in SQL
	@$(BIN)/python -m demo.run_postgres

test: $(DEV_STAMP) config/config.yaml ## Run the tests, except those that need a system package
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -m "not system"

test-system: $(DEV_STAMP) config/config.yaml ## Run the tests that need Debian packages, installed first where that may be
	@bash tests/system/install.sh
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m system

check: $(DEV_STAMP) ## Check format, style, types and who imports whom
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(RUN_STAMP) ## Write the generated pages of docs/reference/ again
	$(BIN)/python -m docs.generate

lock: $(DEV_STAMP) ## Pin pyproject.toml's requirements again (UPGRADE=--upgrade takes newer ones)
	$(LOCK) --extra build --output-file requirements.txt
	$(LOCK) --extra dev --constraint requirements.txt --output-file requirements-dev.txt

bench-speed: $(DEV_STAMP) ## Measure time and memory against pandas and scikit-learn, and psql
	$(BIN)/python -m benchmarks.speed --per-customer
	$(BIN)/python -m benchmarks.postgres

bench-detection: $(DEV_STAMP) ## Measure what is found against an isolation forest
	$(BIN)/python -m benchmarks.detection

clean: ## Remove .venv and caches; configuration, data and outputs stay
	rm -rf $(VENV) dist *.egg-info .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Cardwatch needs Python 3.11 or newer, and '$(PYTHON)' is not: make setup PYTHON=python3.11" >&2; \
		exit 2; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 2; }

$(RUN_STAMP): requirements.txt pyproject.toml | $(BIN)/python
	@echo "Installing the pinned requirements into $(VENV) (a minute or two the first time)"
	@$(PIP) install --require-hashes -r requirements.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(DEV_STAMP): requirements-dev.txt $(RUN_STAMP)
	@echo "Installing the pinned development requirements into $(VENV)"
	@$(PIP) install --require-hashes -r requirements-dev.txt
	@touch $@

config/config.yaml: | config/config.example.yaml
	@cp config/config.example.yaml $@
