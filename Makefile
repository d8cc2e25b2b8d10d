# One menu for people and for CI; `make help` lists it. Needs Python 3.11 or later, make and the
# package registries; nothing is fetched when nothing has changed.

# A distribution's own interpreter is optimised by profiles of its work; one that was compiled
# without them, as pyenv does unless it is told, takes longer for all that StreamHub does.
SUITABLE := import ensurepip, sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell /usr/bin/python3 -c '$(SUITABLE)' 2>/dev/null && echo /usr/bin/python3 || echo python3)
CLIP ?=
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
DATA := $(if $(STREAMHUB_DATA_DIR),$(STREAMHUB_DATA_DIR),.streamhub)

# Locks name every package, so nothing is resolved and a dependency that a lock leaves out stays
# out: opensearch-py asks for a package `events` for metrics that are not used here, and it would
# stand in the way of ours. See docs/adr/0006-our-package-events.md.
PINNED := --no-deps --require-hashes
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-package events --custom-compile-command "make lock" \
	$(if $(UPGRADE),--upgrade,)

# What benchmarks run beside StreamHub; their wishes clash, so each lock has a folder of its own.
PEERS := .venv-peers
ENVIRONMENTS := peers quixstreams plots

.PHONY: help up down clean test faults check bench bench-peers bench-check profiles lock install install-dev
.DEFAULT_GOAL := help

help: ## Show this list.
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | \
		awk -F'|' '{ printf "%-20s %s\n", $$1, $$2 }'

up: install ## Start everything, run the main job on a clip; CLIP=film.mp4 takes a film of yours.
	@$(BIN)/streamhub up $(if $(CLIP),--clip "$(CLIP)",)

down: ## Stop everything; the data stays.
	@if [ -x $(BIN)/streamhub ]; then $(BIN)/streamhub down; else echo "nothing is installed"; fi

clean: down ## Stop everything and remove its data.
	@if [ -d "$(DATA)/supervisor" ]; then rm -rf "$(DATA)" && echo "removed $(DATA)"; \
	else echo "$(DATA) holds no data of StreamHub"; fi

test: install-dev ## Run all tests against servers of their own; ARGS="tests/unit -x" chooses.
	@$(BIN)/python -m pytest $(ARGS)

faults: install-dev ## Break things at random under load; MINUTES=30 says how long, SEED=7 where to begin.
	@STREAMHUB_FAULT_MINUTES=$(or $(MINUTES),10) STREAMHUB_FAULT_SEED=$(or $(SEED),1) \
		$(BIN)/python -m pytest -s tests/faults/test_campaign.py

check: install-dev ## Lint, formatting, types, import direction, published schemas.
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy .
	@PYTHONPATH=. $(BIN)/lint-imports --no-cache
	@$(BIN)/streamhub schemas check

bench: install-dev ## Measure; ARGS="commands --quick" chooses.
	@$(BIN)/python -m benchmarks.run $(ARGS)

bench-peers: $(ENVIRONMENTS:%=$(PEERS)/%/.done) ## Install what StreamHub is measured beside.

bench-check: install-dev ## Compare ratios with the last release; AGAINST=v0.1.0 names another revision.
	@$(BIN)/python -m benchmarks.run --against $(or $(AGAINST),last-release) $(ARGS)

profiles: install-dev $(PEERS)/plots/.done ## Draw where the hot paths spend their time; ARGS="--path decide" chooses.
	@$(BIN)/python -m benchmarks.profiles $(ARGS)

install: $(VENV)/.runtime ## Install what running needs into .venv.

install-dev: $(VENV)/.dev ## Install what developing and testing need as well.

lock: $(VENV)/.bootstrap ## Write the locks anew; UPGRADE=1 takes newer versions.
	@$(COMPILE) requirements/bootstrap.in --output-file requirements/bootstrap.lock
	@$(COMPILE) pyproject.toml requirements/build.in --all-extras \
		--output-file requirements/dev.lock
	@$(COMPILE) pyproject.toml requirements/build.in --extra native --extra models \
		--constraint requirements/dev.lock --output-file requirements/runtime.lock
	@$(COMPILE) pyproject.toml requirements/build.in requirements/image.in \
		--constraint requirements/dev.lock --output-file requirements/image.lock
	@for name in $(ENVIRONMENTS); do \
		$(COMPILE) --fork-strategy fewest requirements/$$name.in --output-file requirements/$$name.lock || exit; done

# uv does not read pip's configuration. Where only pip knows this machine's mirror or certificates,
# pip installs the same locked files, more slowly.
define install_lock
	@echo "installing $(1)"
	@$(BIN)/uv pip install --quiet --python $(BIN)/python $(PINNED) -r $(1) || \
		{ echo "uv could not; pip tries"; \
		$(BIN)/python -m pip install --quiet $(PINNED) -r $(1); }
	@$(BIN)/uv pip install --quiet --offline --python $(BIN)/python \
		--no-deps --no-build-isolation --editable .
endef

$(VENV)/.bootstrap: requirements/bootstrap.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or later is needed: make PYTHON=python3.11 ..." >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PINNED) \
		-r requirements/bootstrap.lock
	@touch $@

$(VENV)/.runtime: $(VENV)/.bootstrap requirements/runtime.lock pyproject.toml
	$(call install_lock,requirements/runtime.lock)
	@touch $@

# All that running needs is in here too.
$(VENV)/.dev: $(VENV)/.bootstrap requirements/dev.lock pyproject.toml
	$(call install_lock,requirements/dev.lock)
	@touch $(VENV)/.runtime $@

$(PEERS)/%/.done: requirements/%.lock $(VENV)/.bootstrap
	@echo "installing $<"
	@$(PYTHON) -m venv $(PEERS)/$*
	@$(BIN)/uv pip install --quiet --python $(PEERS)/$*/bin/python $(PINNED) -r $< || \
		{ echo "uv could not; pip tries"; \
		$(PEERS)/$*/bin/python -m pip install --quiet $(PINNED) -r $<; }
	@touch $@
