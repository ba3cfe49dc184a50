# Each of the first two commands does all of its own set-up.
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
# Python compiles what is imported when it is: of the packages' modules that is a small part.
INSTALL := $(BIN)/python -m pip --disable-pip-version-check install --quiet --no-compile --editable

.DEFAULT_GOAL := help
.PHONY: help demo test check format clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.runtime: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) '.[minilm]'
	@touch $@

$(VENV)/.dev: pyproject.toml $(VENV)/.runtime
	$(INSTALL) '.[dev]'
	@touch $@

demo: $(VENV)/.runtime ## install, then train and test UAE beside its baselines on the embedded lab
	$(BIN)/uae-bench run --task lab --retriever uae --retriever random --retriever bm25 --retriever dense --retriever oracle-utility --held-out none

# A worker per core, each with one thread: threads that share a core wait for each other.
test: $(VENV)/.dev ## install, then run the whole test suite
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n logical --maxprocesses 4 --dist worksteal

check: $(VENV)/.dev ## style, types, layers, stage versions
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m uae_bench.stages

format: $(VENV)/.dev ## rewrite the code in the house's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## remove the virtual environment and every cache
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
