# Two commands do all the set-up: `make demo` (a made-up trial, ends with the dashboard served) and `make test`.
PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
DEMO   ?= demo
PORT   ?= 8866
export PYTHONWARNINGS ?= default

.PHONY: help setup demo test test-all lint bench coverage validation browser docs docs-links clean

help:
	@echo "make demo      a made-up trial, from CT and spreadsheets to the served dashboard (about 5 minutes)"
	@echo "make test      all quick checks (15 to 20 minutes)    make test-all   everything (under 60)"
	@echo "make bench     what must be fast, beside a peer       make setup      only the installation"
	@echo "make docs      the documentation site: docs/_build/html  make docs-links  asks the hosts that it links to"
	@echo "make coverage  whether 95 % intervals hold the truth in 95 % of samples: docs/coverage*.md (25 minutes)"
	@echo "make validation  our numbers beside R's and other packages': docs/validation.md (under a minute)"

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null 2>&1 || command -v python3 >/dev/null 2>&1 || { echo "Python 3.11 is needed: apt-get install python3 python3-venv"; exit 2; }
	@echo ">> Installing into $(VENV): 2.5 GB on disk with torch; two to six minutes."
	@P=$$(command -v $(PYTHON) || command -v python3); \
	$$P -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or later is needed, found $$($$P --version)."; exit 2; }; \
	test -x $(BIN)/python || $$P -m venv $(VENV) || { echo "No venv module: apt-get install python3-venv"; exit 2; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@mkdir -p $(VENV)/share/jupyter/labextensions && ln -sfn "$(CURDIR)/labextension" $(VENV)/share/jupyter/labextensions/onlm_lab
	@touch $(READY)
	@echo ">> Installed."

demo: $(READY)
	@$(BIN)/onlm demo $(DEMO) --port $(PORT)

lint: $(READY)
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/lint-imports && $(BIN)/deptry .

# The browser comes from Debian; where it cannot be installed the tests that need it say so and skip.
browser:
	@command -v chromium >/dev/null 2>&1 || { echo ">> Installing Debian's chromium for the browser tests."; \
	  { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core; } >/dev/null 2>&1 \
	  || echo ">> NO CHROMIUM: the browser tests will be SKIPPED. As root: apt-get install chromium"; }

test: $(READY) browser lint
	@echo ">> Quick tests: 15 to 20 minutes on two cores."
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not slow"

test-all: $(READY) browser lint
	@echo ">> All tests: up to an hour on two cores."
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

bench: $(READY)
	@$(BIN)/python -m benchmarks

# What was finished before is kept in docs/coverage.json and docs/coverage_outcomes.json; remove them to begin anew.
coverage: $(READY)
	@$(BIN)/python -m benchmarks.coverage docs/coverage.md
	@$(BIN)/python -m benchmarks.coverage_outcomes docs/coverage_outcomes.md

# R's numbers lie in tests/reference; R is not needed.
validation: $(READY)
	@$(BIN)/python -m benchmarks.validation docs/validation.md

# Made anew each time: parts of its pages come from the code. A warning is an error; nothing is fetched.
docs: $(READY)
	@PYTHONWARNINGS= $(BIN)/python -m sphinx -E -a -n -W --keep-going -q -b html docs docs/_build/html
	@echo ">> docs/_build/html/index.html"

# Needs a network: every address that a page names is asked for.
docs-links: $(READY)
	@PYTHONWARNINGS= $(BIN)/python -m sphinx -E -q -b linkcheck docs docs/_build/links

clean:
	rm -rf docs/_build
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache
