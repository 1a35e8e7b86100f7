# Every target sets up what it needs; `make help` lists them.
PYTHON ?= python3
JOBS   ?= 2
VENV   := .venv
PY     := $(VENV)/bin/python
STAMP  := $(VENV)/.installed
BENCH  := .venv-bench
ARGS   ?=

.DEFAULT_GOAL := help
.PHONY: help venv demo test lint units rules wheel bench chaos nightly clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

venv: $(STAMP)  ## create .venv and install everything from requirements.lock

$(STAMP): requirements.lock setup.cfg pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "sopd needs Python 3.11 or newer; set PYTHON=/path/to/python3" >&2; exit 1; }
	@test -x $(PY) || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV) ..."
	@$(PY) -m pip install --quiet --disable-pip-version-check --requirement requirements.lock
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	@touch $@

demo: venv  ## lead some hundred customers through the shipped SOPs, against the sandbox
	@$(VENV)/bin/sopd demo $(ARGS)

test: venv  ## run the tests (JOBS=2 processes; ARGS="-k name" to choose)
	@$(PY) -m pytest -q -n $(JOBS) --dist loadfile $(ARGS)

lint: venv  ## ruff over everything, mypy --strict over machines/
	@$(PY) -m ruff check .
	@$(PY) -m mypy

units: venv  ## hold the units of systemd/ against systemd (needs Debian's systemd)
	@.ci/units

rules: venv  ## hold metrics and alert rules against promtool (.ci/tools fetches it)
	@.ci/rules

wheel: venv  ## build the wheel into dist/
	@$(PY) -m pip wheel --quiet --disable-pip-version-check --no-build-isolation --no-deps --wheel-dir dist .
	@ls dist/sopd-*.whl

bench: $(BENCH)/.installed  ## measure speed beside SQL by hand and other engines (ARGS="--quick", "--write-docs")
	@$(BENCH)/bin/python -m tests.bench $(ARGS)

# An environment of its own: Celery insists on another python-dateutil than the one that is pinned.
$(BENCH)/.installed: requirements.lock setup.cfg
	@test -x $(BENCH)/bin/python || $(PYTHON) -m venv $(BENCH)
	@grep -v '^python-dateutil==' requirements.lock > $(BENCH)/constraints
	@echo "installing sopd and what is measured beside it into $(BENCH) ..."
	@$(BENCH)/bin/python -m pip install --quiet --disable-pip-version-check --constraint $(BENCH)/constraints \
		--editable '.[test,fast,bench]'
	@touch $@

chaos: venv  ## kill, cut, stop and mislead everything for 30 minutes (ARGS="--minutes 5 --seed 7")
	@$(PY) -m tests.chaos $(ARGS)

nightly: venv  ## run the long searches that `make test` leaves out
	@$(PY) -m pytest -q -m nightly $(ARGS)

clean:  ## remove .venv and everything generated
	rm -rf $(VENV) $(BENCH) build dist *.egg-info .pytest_cache .hypothesis .mypy_cache .ruff_cache
