# 'make demo' and 'make test' do everything from an empty machine with Python 3.11-3.13; 'make gpu' where there is a GPU.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# One thread a process: the sweep runs one process a core, and waiting threads must not burn the others' cores.
export OMP_NUM_THREADS ?= 1
export OMP_WAIT_POLICY ?= PASSIVE

.PHONY: help demo test fast lint gpu clean

help: ## this list
	@sed -n 's/^\([a-z]*\):[^#]*## \(.*\)/make \1|\2/p' Makefile | while IFS='|' read -r target text; do \
	    printf '%-11s %s\n' "$$target" "$$text"; \
	done
	@echo "What runs Python sets up $(VENV) first, with python3 or, for example, PYTHON=python3.12."

demo: $(VENV)/.installed ## train 21 small transformers on two CPU cores, fit, draw, report: about ten minutes
	$(BIN)/isoflop reproduce experiment=demo

# worksteal: each worker begins with tests that stand together, so what a file's tests share is seldom made twice.
# tests/gpu takes a GPU where there is one; the tests that train do so a second time on it.
test: $(VENV)/.installed-dev lint ## the linter, the type checker and all tests
	HF_HUB_OFFLINE=1 $(BIN)/python -m pytest -n 2 --dist worksteal
	if $(BIN)/python -c 'import sys, torch; sys.exit(not torch.cuda.is_available())'; then \
	    ISOFLOP_TEST_DEVICE=cuda HF_HUB_OFFLINE=1 $(BIN)/python -m pytest -n 2 --dist worksteal \
	        $$($(BIN)/python -c 'from scripts.evidence.stages import GPU; print(*GPU.tests)'); \
	fi

fast: $(VENV)/.installed-dev ## the tests that take no more than a few seconds each
	HF_HUB_OFFLINE=1 $(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow"

lint: $(VENV)/.installed-dev ## the linter, the formatter, the type checker, the Dockerfile's linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	if [ -x $(BIN)/hadolint ]; then $(BIN)/hadolint docker/Dockerfile; fi

# torch first: with its range satisfied, nothing else pulls another build of it.
$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "torch>=2.6,<2.14"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[dev]"
	touch $@

# What one GPU has to say, into results/one_gpu: make gpu MINUTES=30. The same command goes on; ONLY=--dry-run only says what it costs.
gpu: $(VENV)/.installed-dev ## the checks and measurements of one GPU, into results/one_gpu (MINUTES=30, ONLY=--dry-run)
	$(BIN)/python -m scripts.evidence $(if $(MINUTES),--minutes $(MINUTES)) $(ONLY) || [ $$? = 75 ]

clean: ## remove .venv and what was built
	rm -rf $(VENV) build dist *.egg-info
