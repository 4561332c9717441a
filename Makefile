# Every chore of Reelhouse. `make` alone prints the list and changes nothing.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
.DELETE_ON_ERROR:

REELHOUSE := .venv/bin/reelhouse
PYTEST := .venv/bin/python -m pytest --timeout=900
PYTEST_AIRFLOW := .venv-airflow/bin/python -m pytest
LOCKS := infra/locks

# What `make demo` takes: a real log instead of the simulator, or another size.
DEMO := $(if $(LOG),--log $(LOG)) $(if $(SIZE),--size $(SIZE)) $(if $(SEED),--seed $(SEED))

.PHONY: help setup lock up down status doctor demo fmt check test test-schemas test-jobs test-lake test-stream \
	test-whole test-drills test-dags graph bench soak drill fuzz docs clean

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-13s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

setup: ## both environments and the jars, from locks with checksums; quick when nothing changed
	@$(MAKE) --silent -j3 .venv/.in-step .venv-airflow/.in-step .jars/.in-step .venv/.kernels

.venv-uv/.in-step: $(LOCKS)/uv.txt infra/setup.sh
	@infra/setup.sh uv && mkdir -p .venv-uv && touch $@

.venv/.in-step: $(LOCKS)/jobs.txt infra/setup.sh | .venv-uv/.in-step
	@infra/setup.sh jobs && touch $@

.venv-airflow/.in-step: $(LOCKS)/airflow.txt infra/setup.sh | .venv-uv/.in-step
	@infra/setup.sh airflow && touch $@

.jars/.in-step: $(LOCKS)/jars.txt | .venv/.in-step
	@.venv/bin/python -m jobs.lake.jars && touch $@

.venv/.kernels: $(wildcard jobs/definitions/funnel/*.py jobs/definitions/compiled.py jobs/definitions/events/scan.py) | .venv/.in-step
	@$(REELHOUSE) funnel prepare && touch $@

lock: ## resolve the Python locks anew (after a change of pyproject.toml's groups)
	@infra/setup.sh lock

up: setup ## start Kafka, Spark Connect and Airflow on loopback
	@$(REELHOUSE) services up

down: ## stop them to the last process, also after a crash
	@if [ -x $(REELHOUSE) ]; then $(REELHOUSE) services down; fi

status: .venv/.in-step ## how the services are
	@$(REELHOUSE) services status || true

doctor: .venv/.in-step ## what this machine lacks, and what to do about it
	@$(REELHOUSE) doctor

demo: setup ## a filled lake within minutes; LOG=kuairand|taobao|rees46|olist for a real log, SIZE= for more
	@$(REELHOUSE) demo $(DEMO)

fmt: setup ## format and sort
	@.venv/bin/ruff format --quiet . && .venv/bin/ruff check --quiet --fix-only .

check: setup ## format, lint, import borders, types, contracts, docs in step: what CI runs before the tests
	@.venv/bin/ruff format --check .
	@.venv/bin/ruff check .
	@.venv/bin/mypy jobs
	@.venv/bin/mypy --python-executable .venv-airflow/bin/python dags infra/airflow/start.py
	@$(REELHOUSE) contracts check

# Each suite is a process with a Spark of its own, which keeps one core and a half busy: two at a time, the longest
# first. What a suite prints comes when it ends.
SUITES := test-lake test-jobs test-stream test-whole test-drills test-schemas test-dags

test: setup ## the suites that guard main, in both environments, two at a time
	@echo "two suites at a time; each is printed when it ends: $(SUITES:test-%=%)"; \
		$(MAKE) -o setup --jobs=2 --keep-going --output-sync=target $(SUITES)

test-schemas: setup ## contracts, names, glossary
	@$(PYTEST) tests/schemas

test-jobs: setup ## transforms and definitions
	@$(PYTEST) tests/jobs

test-lake: setup ## real Delta tables
	@$(PYTEST) tests/lake

test-stream: setup ## a real broker
	@$(PYTEST) tests/stream

test-whole: setup ## the demo through Airflow, and the README's commands
	@$(PYTEST) tests/whole

test-drills: setup ## faults on purpose
	@$(PYTEST) tests/drills

test-dags: setup ## the policy of every DAG, in Airflow's environment
	@$(PYTEST_AIRFLOW) tests/dags

graph: setup ## write the DAGs' graph for review, after a change of dags/
	@.venv-airflow/bin/python -m tests.dags.graph

bench: setup ## measure speed beside its peers; ONLY=B4 SCALE=1 for one at full size, SAVE=1 writes docs/benchmarks.md
	@infra/setup.sh bench
	@.venv/bin/python -m tests.bench $(if $(SAVE),--save)

soak: setup ## one ingest at a steady rate: as quick and as small at the end? MINUTES=30 RATE=2000 unless told otherwise
	@.venv/bin/python -m tests.bench.soak $(if $(MINUTES),--minutes $(MINUTES)) $(if $(RATE),--rate $(RATE))

drill: setup ## faults on purpose; NAME= for a certain one; RUNS= SEED= for random schedules; BATCHES=500 for small batches
	@$(if $(BATCHES),REELHOUSE_TEST_BATCHES=$(BATCHES) $(PYTEST) -s -k small_batches tests/lake/test_at_once.py, \
		$(REELHOUSE) drill $(if $(RUNS)$(SEED),random --seed $(or $(SEED),1) --runs $(or $(RUNS),1),run $(or $(NAME),--all)))

fuzz: setup ## more random funnels beside brute force; CASES= how many, SEED= from a certain one
	@$(if $(CASES),CASES=$(CASES)) $(if $(SEED),SEED=$(SEED)) .venv/bin/python -m tests.jobs.definitions.funnel.fuzz

docs: setup ## write docs/tables from the contracts
	@$(REELHOUSE) contracts docs

clean: down ## remove var/ (all data!), environments, jars and caches; asks first
	@read -r -p "remove var/, .venv*, .jars and caches? [y/N] " answer && [ "$$answer" = y ]
	@rm -rf var .venv .venv-airflow .venv-uv .jars .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist *.egg-info
