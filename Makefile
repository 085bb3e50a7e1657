# `make run` serves a vault, `make test` runs the whole check. Both need only python3 (3.11 or later, with venv), git and
# make, and change nothing outside this folder.

UV_VERSION := 0.13.8
PYTHON ?= python3
VAULT ?= examples/vault
# The example lies in this project's own repository, which must not get commits from trying it.
EXAMPLE_ONLY = $(if $(filter examples/vault,$(VAULT)),WEAVE_GIT_AUTO_COMMIT="$${WEAVE_GIT_AUTO_COMMIT:-false}")

# uv keeps its cache in this folder and uses the Python that is here instead of fetching one.
export UV_CACHE_DIR := $(CURDIR)/.cache/uv
export UV_PYTHON_DOWNLOADS := never
export UV_PROJECT_ENVIRONMENT := $(CURDIR)/.venv
export UV_NO_PROGRESS := $(if $(CI),true,false)

UV := .tools/bin/uv
UV_STAMP := .tools/uv-$(UV_VERSION).stamp
VENV_STAMP := .venv/synced.stamp
RUN_STAMP := .venv/serving.stamp

.DEFAULT_GOAL := help
.PHONY: help run up-services test rehearse-extraction rehearse-faults bench rehearse-database fmt clean

help: ## Show this list
	@sed -n 's/^\([a-z-]*\): .*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 16

run: $(RUN_STAMP) ## Serve examples/vault, or the folder named by VAULT=...
	@$(EXAMPLE_ONLY) WEAVE_DATA_DIR="$${WEAVE_DATA_DIR:-$(CURDIR)/.weave/$$(basename "$(VAULT)")}" exec .venv/bin/weave up "$(VAULT)"

up-services: $(VENV_STAMP) ## Serve it by every service as a process of its own, on PostgreSQL, RabbitMQ and Redis
	@$(EXAMPLE_ONLY) PYTHONPATH=tests exec .venv/bin/python -m deploy.up_services "$(VAULT)" $(SERVICES)

test: $(VENV_STAMP) ## Run the whole check: format, lint, types, import contracts, tests
	@.ci/check

rehearse-extraction: $(VENV_STAMP) ## Take a service out of the monolith under load; the guard saves users from broken ones
	@cd tests && exec ../.venv/bin/python -m rehearsal.extraction $(REHEARSE)

rehearse-faults: $(VENV_STAMP) ## Break all that can break under load, and compare with what clients were told
	@PYTHONPATH=tests exec .venv/bin/python -m rehearsal.faults $(FAULTS)

bench: $(VENV_STAMP) ## Measure, and write the tables of benchmarks/
	@.venv/bin/python -m benchmarks $(BENCH)

rehearse-database: $(VENV_STAMP) ## Move a database to PostgreSQL and back with writers going on, and kill the mover 50 times
	@cd tests && PYTHONPATH=. ../.venv/bin/python -m integration.migration.rehearsal $(REHEARSE)

fmt: $(VENV_STAMP) ## Format the code and mend what the linter can mend
	@.venv/bin/ruff format && .venv/bin/ruff check --fix

clean: ## Remove everything that make has made here, except the state in .weave
	rm -rf .venv .tools .cache .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .coverage

$(UV_STAMP):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "make: Python 3.11 or later is needed; $(PYTHON) is $$($(PYTHON) --version 2>&1 || true)." >&2; \
	  echo "make: name another with: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo "==> making .tools with uv $(UV_VERSION)"
	@$(PYTHON) -m venv --clear .tools || { \
	  echo "make: $(PYTHON) cannot make virtual environments; install its venv module (Debian: python3-venv)." >&2; exit 1; }
	@.tools/bin/python -m pip install --quiet --disable-pip-version-check --cache-dir .cache/pip "uv==$(UV_VERSION)"
	@touch $@

$(RUN_STAMP): $(UV_STAMP) pyproject.toml uv.lock
	@echo "==> making .venv from uv.lock: what serving needs"
	@$(UV) sync --locked --no-dev --inexact --python .tools/bin/python
	@touch $@

$(VENV_STAMP): $(UV_STAMP) pyproject.toml uv.lock
	@echo "==> making .venv from uv.lock: what testing needs"
	@$(UV) sync --locked --python .tools/bin/python
	@touch $(RUN_STAMP) $@
