# Everything starts here: make help.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

BIN := .venv/bin
UV := .uv/bin/uv
RUN := $(BIN)/bayes-bm
# a fifth of pyright's time was the search for garbage among what it has just made
TYPES := NODE_OPTIONS=--max-semi-space-size=256 $(BIN)/pyright
DEMO := out/os_reresection_vs_resrs
PATIENT := kps70=1,extracranial_controlled=1,single_met=1,interval_over_6_months=1

# Python keeps the compiled form of every import, which each test worker and each command of a test would else make anew
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup demo test fast explore check bench docs release lock clean

help:  ## what can be made
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

setup: .venv/.done  ## a Python environment in .venv, from the pinned lock

# uv is taken from PyPI into .uv, so nothing has to be installed by hand. It finds Python $(cat .python-version) wherever it
# is (pyenv, the system's, uv's own) and says so where it is not.
$(UV):
	@command -v python3 >/dev/null || { echo "bayes_bm needs python3 (3.11 or newer) with venv to set itself up"; exit 1; }
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "python3 is $$(python3 -V); 3.11 or newer is needed to set up"; exit 1; }
	@echo "setting up Python in .venv, once: about a minute, or more where packages come slowly"
	@python3 -m venv .uv || { echo "python3 has no venv: install it (on Debian: apt-get install python3-venv)"; exit 1; }
	@.uv/bin/python -m pip install --quiet --disable-pip-version-check uv

.venv/.done: $(UV) requirements.lock pyproject.toml .python-version
	@command -v cc >/dev/null || command -v gcc >/dev/null || { echo "a C compiler is needed (on Debian: apt-get install gcc)"; exit 1; }
	@$(UV) venv --quiet --allow-existing --python "$$(cat .python-version)" .venv 2>.uv/venv.log \
	  || { cat .uv/venv.log; echo; echo "Python $$(cat .python-version) was not found. Install it (pyenv install $$(cat .python-version), or uv python install $$(cat .python-version)) and run make again."; exit 1; }
	@$(UV) pip sync --quiet --python $(BIN)/python requirements.lock
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps -e .
	@touch $@

demo: setup  ## the main question: evidence -> posterior -> comparison, a patient, report.html
	@$(RUN) run os_reresection_vs_resrs --out $(DEMO) --patient $(PATIENT)

test: setup  ## lint, types, every test
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/lint-imports --no-cache
	@$(BIN)/python scripts/compile_ahead.py models & models=$$!; \
	  { $(BIN)/python scripts/compile_ahead.py curves && $(TYPES); } & types=$$!; \
	  wait $$models && $(BIN)/pytest -q -m "slow or not slow"; tests=$$?; \
	  wait $$types || { echo "types: see pyright's messages above"; exit 1; }; exit $$tests

explore: setup  ## the property tests with new random examples; make test repeats its own
	@$(BIN)/pytest -q -m "slow or not slow" --hypothesis-profile=exploring $$(grep -rl --include="*.py" "@given" tests)

fast: setup  ## the fast part of the tests
	@$(BIN)/pytest -x -q

bench: setup  ## ours beside IPDfromKM, PyMC and (STAN_PYTHON=a python with pystan) hand-written Stan; targets: half an hour
	@$(BIN)/python scripts/benchmark_reconstruction.py
	@PYTHONPATH=. $(BIN)/python scripts/benchmark_targets.py $(wildcard ../shared/problems)
	@$(BIN)/python scripts/benchmark_speed.py $(if $(STAN_PYTHON),--stan $(STAN_PYTHON))

docs: setup  ## the site in docs/build/html: generated pages anew, cells of tutorials and gallery run, a warning is an error
	@$(BIN)/python scripts/document_models.py
	@$(BIN)/python scripts/document_keys.py
	@$(BIN)/python scripts/document_reference.py
	@$(BIN)/python scripts/house.py --draw docs/figures/house.svg
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/sphinx-build -q -W --keep-going -b html docs docs/build/html
	@echo "open docs/build/html/index.html"

release: setup  ## wheel and sdist, tried in fresh environments of every Python that uv has; the checklist
	@$(BIN)/python scripts/release.py --uv $(UV)

lock: $(UV)  ## pin requirements.lock again
	@$(UV) pip compile --quiet --upgrade --no-emit-index-url --no-header --python-version "$$(cat .python-version)" --extra dev --extra docs pyproject.toml -o requirements.lock

clean:  ## remove what make made
	rm -rf .venv .uv out dist build
