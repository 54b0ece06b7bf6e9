# Short names for commands that also work by hand. To begin:
#   make reproduce   sets up and runs the embedded tier (CPU, minutes)
#   make test        sets up and runs the tests
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

TIER ?= embedded
PROFILE ?= local
# A selection of runs that dmix plan saved; empty for all of the tier.
SELECT ?=
PYTHON ?= python3
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

# uv does not read pip's configuration (a mirror, certificates, a proxy): this passes it on.
UV := $(BIN)/python workflows/uv_as_pip.py $(BIN)/uv

# Containers and batch nodes may lack a home that can be written; Snakemake, DVC and uv keep caches there.
ifneq ($(shell test -d "$$HOME" && test -w "$$HOME" && echo yes),yes)
export HOME := $(CURDIR)/work/home
$(shell mkdir -p $(HOME))
endif

.PHONY: help setup lock reproduce smoke test test-slow test-kills lint docs bench gpu cluster-test clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 16

setup: .venv/ready ## make .venv with the locked packages

# Compiled once: where PYTHONDONTWRITEBYTECODE is set or .venv is read-only, as in containers, each job would compile
# torch again, for seconds.
.venv/ready: requirements.lock constraints-cuda.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("dmix needs Python 3.11 or newer: make PYTHON=python3.12 setup" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	PIP_USER=0 $(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(UV) pip install --quiet --compile-bytecode --python $(BIN)/python \
	    -c requirements.lock -c constraints-cuda.txt -e . --group test --group lint
	@touch $@

# The locked releases stay where pyproject.toml allows them; UPGRADE="numpy scipy" takes newer ones of those.
# Compiled for the oldest Python that pyproject.toml names.
lock: .venv/ready ## compile requirements.lock and constraints-cuda.txt from pyproject.toml
	cat requirements.lock constraints-cuda.txt > .venv/pins.txt
	UV_FIND_LINKS= $(UV) pip compile --quiet --python-version 3.11 --python-platform x86_64-manylinux_2_28 \
	    --no-emit-index-url --no-header --no-annotate --all-extras --group test --group lint \
	    $(patsubst %,--upgrade-package %,$(UPGRADE)) pyproject.toml -o .venv/pins.txt
	grep -vE '^(nvidia|cuda|triton)' .venv/pins.txt > requirements.lock
	grep -E '^(nvidia|cuda|triton)' .venv/pins.txt > constraints-cuda.txt

reproduce: .venv/ready ## run a tier (TIER=embedded, PROFILE=local) or a selection of it (SELECT=NAME), and say where all is
	@test -d workflows/profiles/$(PROFILE) || { echo "PROFILE=$(PROFILE): there is no such profile; choose one of" \
	    $$(ls workflows/profiles) >&2; exit 2; }
	@display=$$(test -t 1 && echo "--logger rich" || echo "--quiet rules"); \
	snakemake --profile workflows/profiles/$(PROFILE) $$display --config tier=$(TIER) $(if $(SELECT),select=$(SELECT)) \
	    || { echo "The failed runs again: dmix status --tier $(TIER)" >&2; exit 1; }
	@echo; if test -n "$(SELECT)"; then dmix status --tier $(TIER) --select $(SELECT); \
	else cat paper_tables/$(TIER)/table1_beside.txt; fi
	@echo; echo "The page, with the curves of every run:  results/$(TIER)/report/index.html"
	@if test -e paper_tables/$(TIER)/paper.pdf; \
	then echo "The document, all tables and figures:    paper_tables/$(TIER)/paper.pdf"; \
	else echo "The document, all tables and figures:    paper_tables/$(TIER)/main.tex; for a PDF install LaTeX (docs/paper.md) and repeat"; fi
	@echo "Each table and figure alone:             paper_tables/$(TIER)/"
	@echo "One line per run:                        results/$(TIER)/frame.csv"

smoke: .venv/ready ## a few steps of every cell of the grid, and its tables
	snakemake --profile workflows/profiles/local --quiet rules --config tier=smoke \
	    || { echo "The failed runs again: dmix status --tier smoke" >&2; exit 1; }
	@dmix status --tier smoke

test: .venv/ready ## run the tests (5 to 7 minutes on 2 cores), all but the slow ones
	pytest -q -n 2 --dist worksteal -m "not slow"

test-slow: .venv/ready ## run the tests of whole workflows, kills and extensions
	pytest -q -n 2 --dist worksteal -m slow

test-kills: .venv/ready ## kill runs of every method 240 times, and compare their ends (10 minutes)
	python tests/kill_runs.py

lint: .venv/ready ## format, lint, types, import rule, workflow format
	ruff format --check src tests benchmarks docs workflows
	ruff check src tests benchmarks docs workflows
	mypy
	lint-imports
	snakefmt --check Snakefile workflows

docs: .venv/ready ## write the counts in docs/grid.md, and draw the pictures anew that are stale
	python docs/counts.py
	python docs/pictures.py

bench: .venv/ready ## speed of this machine's CPU, one table beside peers, floors and targets (half an hour)
	python benchmarks/measure.py --device cpu

gpu: .venv/ready ## tests, step times and rates of this machine's GPU, into benchmarks/measured (9 minutes)
	python benchmarks/measure.py --device cuda

cluster-test: .venv/ready ## kill nodes, jobs, controller and driver of a private SLURM (root, Debian's SLURM; 8 minutes)
	bash tests/cluster/run.sh

clean: ## remove generated files, keep .venv and data
	rm -rf results/*/ paper_tables/*/ work .snakemake .pytest_cache .mypy_cache .ruff_cache
