# `make demo` and `make test` need nothing but Python 3.10-3.12 with its headers, gcc, make and pip: they set up .venv first.
# PYTHON=/path/to/python chooses the interpreter; otherwise tools/setup_env.sh finds one.
PYTHON ?=
VENV ?= .venv
BIN := $(VENV)/bin
DOCS := $(VENV)-docs
# A process per core; each takes up to 3 GB. The tests of a file share fixtures, so they stay together.
PYTEST := $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile

# Waiting threads that spin take the core that others need: on a busy machine that slows a step several times.
export OMP_WAIT_POLICY ?= PASSIVE
READY := $(VENV)/.ready

.PHONY: setup demo test test-slow reliability check docs clean

setup: $(READY)

$(READY): tools/setup_env.sh constraints.txt setup.py
	@PYTHON="$(PYTHON)" tools/setup_env.sh "$(VENV)"
	@touch $@

demo: $(READY)
	$(BIN)/python tools/demo.py

test: $(READY)
	$(PYTEST) -m "not slow"

test-slow: $(READY)
	$(PYTEST) -m slow

reliability: $(READY)
	$(BIN)/python benchmarks/reliability.py

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/python -m mypy
	$(PYTEST) -m "not slow"

docs: $(DOCS)/.ready
	NO_MKDOCS_2_WARNING=1 $(DOCS)/bin/mkdocs build --strict --quiet

# In an environment of its own: the site needs none of the package's dependencies.
$(DOCS)/.ready: constraints.txt
	$(if $(PYTHON),$(PYTHON),python3) -m venv $(DOCS)
	$(DOCS)/bin/pip install --quiet --constraint constraints.txt mkdocs-material "mkdocstrings[python]" ruff
	@touch $@

clean:
	rm -rf $(VENV) $(DOCS) site build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache work_dirs demo_out
