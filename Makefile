# Every target that needs the environment sets it up by scripts/bootstrap.
.DEFAULT_GOAL := help
VENV := .venv/bin
# Flink's and Spark's launchers read JAVA_HOME; a newer Java on the PATH would not run them.
WITH_JAVA = JAVA_HOME=$$($(VENV)/python -m stack.java)

.PHONY: help bootstrap demo test test-airflow test-faults test-unit test-properties check format lock airflow up down clean

help: ## Print the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  %-16s %s\n", $$1, $$2}'

bootstrap: ## Set up .venv, Java and the Java artifacts
	@scripts/bootstrap

demo: bootstrap ## Run the whole path on a dataset (ARGS="--once --dataset retweet_cascade")
	@$(VENV)/tideline demo $(ARGS)

test: bootstrap ## Run every test but the long ones of test-faults (ARGS goes to pytest)
	@$(WITH_JAVA) $(VENV)/pytest -m "not faults or quick" $(ARGS)

test-airflow: ## Run the tests of the DAGs in Airflow's own environment
	@scripts/bootstrap-airflow
	@.venv-airflow/bin/pytest tests/airflow --confcutdir=tests/airflow $(ARGS)

test-faults: bootstrap ## Kill, freeze, empty and fill the servers of a running stack; about 15 minutes
	@$(WITH_JAVA) $(VENV)/pytest tests/faults -m faults $(ARGS)

test-unit: bootstrap ## Run the tests that start no server and no JVM
	@$(VENV)/pytest tests/unit -m "not (valkey or postgres or flink or spark or stack or browser or faults)" $(ARGS)

test-properties: bootstrap ## Run the property tests on thousands of new random examples
	@$(VENV)/pytest tests/unit --hypothesis-profile exploring $(ARGS) \
		-m "hypothesis and not (valkey or postgres or flink or spark or stack or browser or faults)"

check: bootstrap ## Lint, formatting, types, layers
	@$(VENV)/ruff check .
	@$(VENV)/ruff format --check .
	@$(VENV)/mypy
	@$(VENV)/lint-imports

format: bootstrap ## Sort imports and format
	@$(VENV)/ruff check --fix .
	@$(VENV)/ruff format .

lock: bootstrap ## Resolve the locks anew: Python packages and Java artifacts
	@scripts/lock

airflow: ## Run Airflow with the DAGs on 127.0.0.1:8090, until Ctrl-C
	@scripts/airflow

up: bootstrap ## Start the local stack
	@$(VENV)/tideline up $(ARGS)

down: ## Stop the local stack
	@$(VENV)/tideline down

clean: ## Stop the local stack, delete its data and the tools' caches
	@! [ -x $(VENV)/tideline ] || $(VENV)/tideline down
	@rm -rf .tideline .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
