# Everything needed to run, test and check Cardwatch. `make help` lists it.
# Nothing here needs root or an activated environment: all tools live in .venv. Only test-system
# installs Debian packages, where it may.

PYTHON ?= python3
VENV ?= .venv
# One more than cores: tests wait for programs and servers a part of their time.
WORKERS ?= 3

BIN := $(VENV)/bin
AIRFLOW_STAMP := .venv-airflow/.installed
AIRFLOW_2_STAMP := .venv-airflow-2/.installed
CONFIGURED := $(patsubst %.example.yaml,%.yaml,$(wildcard config/*config.example.yaml))
RUN_STAMP := $(VENV)/.installed
DEV_STAMP := $(VENV)/.installed-dev
SPARK_STAMP := .venv-spark/.installed
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input --quiet

# Tests start hundreds of programs: what was compiled once is kept, whatever the shell says.
unexport PYTHONDONTWRITEBYTECODE

LOCK := env -u PIP_FIND_LINKS -u UV_FIND_LINKS $(BIN)/uv --no-config pip compile pyproject.toml \
	--universal --python-version 3.11 --fork-strategy fewest --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" --quiet $(UPGRADE)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup run run-postgres test test-airflow test-spark test-system check docs lock bench-speed bench-detection clean

help: ## List every target
	@echo "make TARGET, where TARGET is one of:"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: $(RUN_STAMP) $(CONFIGURED) ## Prepare .venv with the pinned requirements, and the configuration files

run: setup ## Score the latest week of datasamples/, made first when there is none
	@find datasamples -type f ! -name '[._]*' 2>/dev/null | grep -q . || $(BIN)/cardwatch sample
	@$(BIN)/cardwatch run

run-postgres: $(DEV_STAMP) ## The whole story on a throw-away PostgreSQL: load, score, publish, read in SQL
	@$(BIN)/python -m demo.run_postgres

test: $(DEV_STAMP) $(CONFIGURED) ## Run the tests, except those that need a system package
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -m "not system and not airflow and not spark"

test-airflow: $(DEV_STAMP) $(AIRFLOW_STAMP) $(AIRFLOW_2_STAMP) ## Run the tests on real Airflows, in environments of their own
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m airflow

test-spark: $(DEV_STAMP) $(SPARK_STAMP) ## Run the tests on a real Spark cluster, from an environment of its own (needs Java 17)
	$(BIN)/python -m pytest -m spark

test-system: $(DEV_STAMP) environments $(CONFIGURED) ## Run the tests that need Debian packages (installed first where that may be), Airflow or Spark
	@bash tests/system/install.sh
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m "system or airflow or spark"

# What test-system runs in; .ci/run makes them beside the check.
.PHONY: environments
environments: $(AIRFLOW_STAMP) $(AIRFLOW_2_STAMP) $(SPARK_STAMP)

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
	$(LOCK) --extra airflow --constraint requirements.txt --constraint requirements-dev.txt \
		--output-file requirements-airflow.txt
	$(LOCK) --extra spark --constraint requirements.txt --output-file requirements-spark.txt
	$(subst pyproject.toml,tests/dag/airflow-2.in,$(LOCK)) \
		--output-file tests/dag/requirements-airflow-2.txt

bench-speed: $(DEV_STAMP) ## Measure time and memory against pandas and scikit-learn, and psql
	$(BIN)/python -m benchmarks.speed --per-customer --large
	$(BIN)/python -m benchmarks.postgres

bench-detection: $(DEV_STAMP) ## Measure what is found, beside rival detectors, and what verdicts add
	$(BIN)/python -m benchmarks.detection
	$(BIN)/python -m benchmarks.learning

clean: ## Remove .venv and caches; configuration, data and outputs stay
	rm -rf $(VENV) .venv-airflow .venv-airflow-2 .venv-spark dist *.egg-info .mypy_cache .ruff_cache .import_linter_cache .hypothesis
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

# As the deployment guide installs them: one file after another, into one environment.
$(AIRFLOW_STAMP): requirements.txt requirements-dev.txt requirements-airflow.txt $(DEV_STAMP)
	@echo "Installing Airflow into .venv-airflow"
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv-airflow
	@for each in requirements.txt requirements-dev.txt requirements-airflow.txt; do \
		$(BIN)/uv pip install --quiet --python .venv-airflow/bin/python --require-hashes -r $$each || exit 1; \
	done
	@$(BIN)/uv pip check --quiet --python .venv-airflow/bin/python
	@touch $@

$(AIRFLOW_2_STAMP): tests/dag/requirements-airflow-2.txt $(DEV_STAMP)
	@echo "Installing the Airflow before into .venv-airflow-2"
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv-airflow-2
	@$(BIN)/uv pip install --quiet --python .venv-airflow-2/bin/python --require-hashes \
		-r tests/dag/requirements-airflow-2.txt
	@touch $@

$(SPARK_STAMP): requirements-spark.txt $(DEV_STAMP)
	@echo "Installing Spark into .venv-spark"
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv-spark
	@for each in requirements.txt requirements-spark.txt; do \
		$(BIN)/uv pip install --quiet --python .venv-spark/bin/python --require-hashes -r $$each || exit 1; \
	done
	@$(BIN)/uv pip install --quiet --python .venv-spark/bin/python --no-deps --no-build-isolation --editable .
	@touch $@

config/%.yaml: | config/%.example.yaml
	@cp config/$*.example.yaml $@
