# The same verbs here and in CI. Needs Python 3.11 and make; everything else comes by pip into .venv.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
VIEWER := portal/viewer
APP := portal/static/app/manifest.json
# npm and what it starts find the Node.js of the environment.
NPM = PATH="$(CURDIR)/$(BIN):$$PATH" npm --prefix $(VIEWER)
ARGS ?=
TORCH := torch==2.13.0
# Where pip finds PyTorch; on Linux without a GPU, name the CPU builds: TORCH_INDEX="--index-url URL".
TORCH_INDEX ?=
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help setup demo up down status test test-fast lint format type chaos bench docs pictures api lock clean

help:  ## Show the verbs.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

setup: $(VENV)/.ready $(APP)  ## Make the environment in .venv and build the portal's scripts.

# By content of the lock file: a changed lock installs anew, an unchanged one costs nothing.
$(VENV)/.ready: requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "make: needs $(PYTHON); set PYTHON=/path/to/python3.11" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25"
	$(BIN)/python -m pip install --quiet $(TORCH_INDEX) $(TORCH)
	$(BIN)/python -m pip install --quiet --no-deps --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	$(BIN)/python -m compileall -q firstread functions model_service portal infra
	touch $@

$(VIEWER)/node_modules/.ready: $(VIEWER)/package-lock.json | $(VENV)/.ready
	$(NPM) ci --ignore-scripts --no-audit --no-fund --loglevel error
	touch $@

$(APP): $(VIEWER)/node_modules/.ready $(VIEWER)/vite.config.ts $(shell find $(VIEWER)/src -type f)
	$(NPM) run --silent build -- --logLevel error
	touch $@

demo: setup  ## Run the main job on real DICOM; ARGS=--once ends by itself.
	$(BIN)/firstread demo $(ARGS)

up: setup  ## Start the pipeline on this machine.
	$(BIN)/firstread up $(ARGS)

down: setup  ## Stop it.
	$(BIN)/firstread down $(ARGS)

status: setup  ## Say what runs, waits and is stuck.
	$(BIN)/firstread status $(ARGS)

test: setup lint type  ## Lint, types and all tests, with the coverage floor.
	$(NPM) run --silent test
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not engine and not browser" --cov --cov-report= --cov-fail-under=0 $(ARGS)
	$(BIN)/python -m pytest -m "engine or browser" --cov --cov-append --cov-report=term $(ARGS)

test-fast: setup  ## The tests that need no engine and no browser.
	$(NPM) run --silent test
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow and not engine and not browser" $(ARGS)

lint: setup  ## Ruff: rules and format.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: setup  ## Let ruff mend what it can.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

type: setup  ## mypy and TypeScript, strict.
	$(BIN)/mypy
	$(NPM) run --silent types

chaos: setup  ## Kill whatever can be killed under load, then account for everything; ARGS="--minutes 10".
	$(BIN)/python -m tests.chaos $(ARGS)

bench: setup  ## Measure, and write docs/reference/benchmarks.md.
	$(BIN)/python -m benchmarks $(ARGS)

docs: setup  ## Test the documentation: headings, links, snippets.
	$(BIN)/python -m pytest tests/unit/docs $(ARGS)

pictures: setup  ## Take the pictures of the documentation anew.
	$(BIN)/python -m pytest tests/browser/test_pictures.py --pictures $(ARGS)

api: setup  ## Write the OpenAPI document of the portal.
	$(BIN)/python -m portal.openapi docs/reference/openapi.json

# `dev` holds every extra but `tensorflow`, which is too large for all and holds other packages back (ADR 0006).
lock: setup  ## Compile requirements.lock anew from pyproject.toml.
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile pyproject.toml --extra dev --generate-hashes --no-emit-package torch \
	  $${PIP_FIND_LINKS:+--find-links "$$PIP_FIND_LINKS"} --python-version 3.11 --output-file requirements.lock --quiet

clean:  ## Remove the environment and the local state.
	rm -rf $(VENV) .firstread cdk.out build $(VIEWER)/node_modules portal/static/app
