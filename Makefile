# Two commands: `make backtest` and `make test`. Nothing has to be prepared but Python 3.11 or later.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DEMO := runs/demo

# neither the demo nor the tests see the settings of one's own runs, such as a database
unexport $(filter PTN_BACKTEST_%,$(.VARIABLES))

.PHONY: backtest test check docs bench clean

## replay the bundled synthetic positions out of an embedded SQLite database
backtest: $(VENV)/.installed
	@mkdir -p $(DEMO)
	@$(BIN)/ptn-backtest positions import test sqlite:///$(DEMO)/positions.db
	@$(BIN)/ptn-backtest candles synthetic $(DEMO)/candles
	@$(BIN)/ptn-backtest run --config examples/demo.toml

## the whole test suite; PostgreSQL is started by the tests, PTN_TEST_MYSQL_URL names a MariaDB
test: $(VENV)/.installed-dev
	$(BIN)/pytest -n auto --dist loadgroup

## format, lint, types, layers
check: $(VENV)/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

## the documentation as a site in site/; a dead link is an error
docs: $(VENV)/.installed-dev
	$(BIN)/mkdocs build --quiet

## ratios, each side by side in one run
bench: $(VENV)/.installed-dev
	$(BIN)/python -m benchmarks.ledger_kernel
	$(BIN)/python -m benchmarks.loading --no-rows
	$(BIN)/python -m benchmarks.network $(BENCH)

clean:
	rm -rf $(VENV) runs

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or later is needed: make PYTHON=python3.11" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@ $(VENV)/.installed
