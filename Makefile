# make demo: the main job on the embedded default.  make test: the tests.  Both install what they need into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SHELL := /bin/bash
# uv reads neither PIP_FIND_LINKS nor pip's find-links setting; hand their value on.
FIND_LINKS = $$(v="$${PIP_FIND_LINKS:-$$($(PYTHON) -m pip config get global.find-links 2>/dev/null)}"; for d in $$v; do printf -- '--find-links %s ' "$$d"; done)

.PHONY: help install demo test lint format docs clean

help:
	@echo "make demo     install, then read a phantom patient from DICOM to report (a minute or two after installation)"
	@echo "make test     install, lint, type-check and test"
	@echo "make docs     install, then build the documentation site into site/"
	@echo "make install  only the set-up, into $(VENV)"

$(VENV)/.installed: pyproject.toml constraints.txt
	@echo "== setting up $(VENV)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv 2>&1 | grep -v "is ignored: it is neither" || true
	@$(BIN)/uv --version >/dev/null
	@$(BIN)/uv pip install --quiet --python $(BIN)/python $(FIND_LINKS) --constraint constraints.txt --editable '.[dev,logs]'
	@touch $@

install: $(VENV)/.installed

demo: install
	@$(BIN)/cardiolens demo --out demo

lint: install
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

# One thread a worker: two workers share two cores.
test: lint
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2

# Strict: a dead link or a name that the API page does not find ends it.
docs: install
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet && echo "open site/index.html"

format: install
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

clean:
	rm -rf $(VENV) demo site build dist src/*.egg-info
