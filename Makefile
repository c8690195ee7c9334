# Everything works from a fresh checkout: each target first sets up .venv/ as far as it needs, once per change of the pins.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP_INSTALL := $(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt

.DEFAULT_GOAL := help
.PHONY: help report publish bench test book pdf lint check graphs runtime clean
.NOTPARALLEL:
.DELETE_ON_ERROR:

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

report: $(VENV)/.report  ## (ARGS="-p epochs=5 -p force=true" changes parameters) every chapter with params/quick.yaml into runs/quick/, then its site: minutes on two CPU cores
	$(BIN)/gradcam-report run --params params/quick.yaml --run-dir runs/quick $(ARGS)

SEEDS ?= 5
publish: $(VENV)/.report  ## (SEEDS=1 on a CPU) the reference run (params/full.yaml) into runs/full, then the published one: GPU minutes, CPU hours
	$(BIN)/gradcam-report run --params params/full.yaml --run-dir runs/full --no-site --only lr_finder
	$(BIN)/gradcam-report run --params params/full.yaml --run-dir runs/full --no-site --only training -p 'seeds=$(SEEDS)'
	$(BIN)/gradcam-report publish runs/full

bench: $(VENV)/.test  ## measure speed against the usual ways, costs and scaling into benchmarks/results.json: a quarter of an hour, best alone on the machine
	$(BIN)/python benchmarks/speed.py $(ARGS)
	$(BIN)/python benchmarks/costs.py
	$(BIN)/python benchmarks/scaling.py

# The tests take the site that `book` has just built.
test: export SITE := $(CURDIR)/_build/html
test: lint book check  ## all tests of CI (CIFAR10_ROOT=folder adds the tests on real data)

lint: $(VENV)/.test  ## style, formatting and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# After lint even with -j: what is malformed need not be run. A worker for each core takes one test file after another.
check: $(VENV)/.test lint
	$(BIN)/pytest -n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder

book: $(VENV)/.book  ## the published chapters as a site in _build/html/, without torch: under a minute
	$(BIN)/jupyter-book build --all -W -n --keep-going book/

CHROMIUM ?= $(firstword $(foreach name,chromium google-chrome,$(shell command -v $(name))) chromium)
pdf: $(VENV)/.book  ## (needs Chromium) the whole report for paper: _build/report.pdf
	$(BIN)/jupyter-book build --all -W -n --keep-going --builder custom --custom-builder singlehtml --path-output _build/print book/
	$(CHROMIUM) --headless --no-sandbox --disable-gpu --user-data-dir=_build/print/profile --virtual-time-budget=20000 \
	  --no-pdf-header-footer --print-to-pdf=_build/report.pdf "file://$(CURDIR)/_build/print/_build/singlehtml/index.html"

graphs: $(VENV)/.test  ## the network as graphs for the browser anew, after the model or PyTorch has changed: book/_static/live/
	$(BIN)/python -m gradcam_report.pages.live_graph book/_static/live

runtime: $(BIN)/python  ## (needs npm) the runtime that executes them in the browser, anew: book/_static/vendor/
	$(BIN)/python scripts/vendor_runtime.py

clean:  ## remove what was built; runs/, data/ and .venv/ stay
	rm -rf _build build lib/*.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

# The first of these that is a Python this project supports and can make virtual environments.
$(BIN)/python:
	@for python in $(PYTHON) python3.14 python3.13 python3.12 python3.11; do \
	  if $$python -c 'import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null; \
	  then exec $$python -m venv $(VENV); fi; \
	done; \
	echo "No Python 3.11 to 3.14 with the venv module was found: install one (on Debian with python3-venv), or name it as in 'make PYTHON=/path/to/python3.13 report'." >&2; \
	exit 1

$(VENV)/.book: requirements/book.txt constraints.txt | $(BIN)/python
	@echo "Installing Jupyter Book into $(VENV)/"
	@$(PIP_INSTALL) -r requirements/book.txt
	@touch $@

$(VENV)/.report: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing PyTorch, Jupyter Book and the rest into $(VENV)/: up to 5 GB, some minutes"
	@$(PIP_INSTALL) -e '.[book]'
	@touch $@ $(VENV)/.book

$(VENV)/.test: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing the report and its test tools into $(VENV)/: up to 5 GB, some minutes"
	@$(PIP_INSTALL) -e '.[book,test]'
	@touch $@ $(VENV)/.report $(VENV)/.book
