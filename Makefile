# The two commands of the project: `make demo` and `make test`. Both need Python 3.11-3.13, make and pip. Node 20.19 or
# newer is fetched from PyPI if this machine has none.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	if $$p -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' >/dev/null 2>&1; then echo $$p; break; fi; done)
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.installed
MODULES := web/node_modules/.package-lock.json
CONSOLE := src/shoal/console/static/index.html
HELP := src/shoal/console/help_site/script-hashes.txt
DOCS := mkdocs.yml scripts/build_docs.py scripts/docs_hooks.py $(shell find docs -type f)
WEB := $(shell find web -type f -not -path 'web/node_modules/*' -not -name schema.d.ts)
# The types of the API for the console, made from the routes.
SCHEMA := web/src/common/schema.d.ts
ROUTES := $(shell find src/shoal/api src/shoal/older_system src/shoal/accounts -name '*.py')
NPM := $(BIN)/python hatch_build.py
# More workers than two cores: half of the tests' time is waiting for processes, disks and pages.
WORKERS ?= 7
QUICK_WORKERS ?= 4

WHOLE := .pytest_cache/whole

GENERATED := settings_table shop_file_schema console_settings api_table commands_table cli_pages

CHECKED := web/node_modules/.checked
# Without compiled files each process of the tests compiles its modules anew: 3 of 7 seconds of a start of pytest.
unexport PYTHONDONTWRITEBYTECODE

# Two makes in one checkout wait for each other: what ends by itself as a whole, all else while it builds. The lock is not
# inherited by what they start. Without flock (macOS) nothing waits.
WAIT := $(if $(shell command -v flock),flock --nonblock .make.lock true || echo "Waiting for another make ..." >&2; flock --close .make.lock)
ENDING := test checks quick lint lint-python types unit console-tests pytest console docs generated
GOALS := $(or $(MAKECMDGOALS),demo)
ifeq ($(LOCKED)$(filter-out $(ENDING),$(GOALS)),)
.PHONY: $(GOALS)
$(GOALS): %: waited-for ;
.PHONY: waited-for
waited-for:
	@$(WAIT) $(MAKE) --no-print-directory LOCKED=1 $(GOALS)
else

.PHONY: demo test checks quick quick-tests quick-types lint lint-python types unit console-tests pytest console docs generated sizes screenshots snapshots prove soak bench bench-compare sbom image release audit manifests pins clean

demo: $(READY) $(CONSOLE) $(HELP)
	@exec $(BIN)/shoal demo

# The checks run beside the tests, and beside the builds of the console and the help, which only the tests need. What
# each check prints is held back until it has ended; what pytest prints is not.
test: $(READY)
	@$(MAKE) --no-print-directory -j4 checks pytest

checks: $(MODULES)
	@$(MAKE) --no-print-directory --output-sync=target lint types console-tests

# What to run while working: unit tests, contract tests on SQLite, types and lint, all beside each other; without the
# tests that are marked slow. Two workers per core: the tests wait as long as they compute. The console is checked when
# one of its sources is newer than its last check.
quick: $(READY) $(MODULES)
	@$(MAKE) --no-print-directory -j4 --output-sync=target quick-tests quick-types lint-python $(CHECKED)

# What a change of a route, a setting, a command, a sentence or a table most often forgets.
FAST_GUARDS := $(addprefix tests/guards/test_,shop_schema.py console_words.py cli_pages.py command_rows.py \
	commands_table.py glossary.py sizes.py) tests/api/test_reference.py tests/upgrades/test_upgrades.py::test_f2_each_migration_and_each_release_has_data_of_the_version_that_brought_it

quick-tests:
	$(BIN)/pytest -q -n $(QUICK_WORKERS) --dist worksteal --hypothesis-profile quick \
		-m "not postgresql and not long and not slow" tests/unit tests/contract $(FAST_GUARDS)

quick-types:
	$(BIN)/mypy

$(CHECKED): $(WEB) $(MODULES) $(SCHEMA)
	@$(NPM) run --silent lint
	@$(NPM) run --silent types
	@$(NPM) run --silent test
	@touch $(CHECKED)

lint: lint-python $(MODULES)
	@$(NPM) run --silent lint

lint-python: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache
	$(BIN)/python scripts/check_sentences.py

types: $(READY) $(MODULES) $(SCHEMA)
	$(BIN)/mypy
	@$(NPM) run --silent types

unit: console-tests pytest

console-tests: $(READY) $(MODULES)
	@$(NPM) run --silent test

pytest: $(READY) $(CONSOLE) $(HELP)
	$(BIN)/pytest -n $(WORKERS) --dist worksteal -o cache_dir=$(WHOLE) --cache-clear || \
		$(BIN)/python scripts/second_look.py $$? $(WHOLE)

console: $(CONSOLE)

# The web console, built into the package. Node comes from PyPI if this machine has none.
$(MODULES): web/package-lock.json | $(READY)
$(CONSOLE): $(WEB) $(MODULES) | $(READY)
$(SCHEMA): $(ROUTES) $(MODULES) | $(READY)

docs: $(HELP)

# The help, built into the package. The build is strict: a broken link fails it.
$(HELP): $(DOCS) | $(READY)

ifdef LOCKED
$(MODULES):
	@echo "Installing web/node_modules ..." >&2
	@$(NPM) ci --silent
	@touch $(MODULES)

$(CONSOLE):
	@echo "Building the console ..." >&2
	@$(NPM) run --silent build -- --logLevel warn

$(SCHEMA):
	@$(BIN)/python scripts/openapi_file.py web/node_modules/.openapi.json
	@$(NPM) exec -- openapi-typescript node_modules/.openapi.json -o src/common/schema.d.ts >/dev/null

$(HELP):
	@echo "Building the help ..." >&2
	@$(BIN)/python scripts/build_docs.py
else
$(READY) $(MODULES) $(CONSOLE) $(SCHEMA) $(HELP):
	@$(WAIT) $(MAKE) --no-print-directory LOCKED=1 $@
endif

# All that is made from the code and stays in git: tables of the docs, pages of commands, the schema of the file of shops,
# the console's rows of settings. A guard of tests/guards says when one is out of date.
generated: $(READY)
	@for name in $(GENERATED); do $(BIN)/python scripts/$$name.py || exit 1; done

# Lines of code and files by room, and the files that may hold more than one thought. It fails nothing.
sizes: $(READY)
	@$(BIN)/python scripts/file_sizes.py

# Pictures of every page of the demo, light and dark, zh and en, wide and narrow, into .screenshots; and the help's
# pictures into docs/pictures (only those: scripts/screenshots.py --docs).
screenshots: $(READY) $(CONSOLE)
	$(BIN)/python scripts/screenshots.py

# Ten pages beside how they were drawn last (BEFORE=LABEL: beside those), for a person to look at: .snapshots/index.html.
snapshots: $(READY) $(CONSOLE)
	$(BIN)/python -m tests.browser.snapshots $(if $(BEFORE),--before $(BEFORE))

# The long proofs, about five hours. Each appends its figures under the label RUN, and skips parts that are there.
RUN ?= $(shell git rev-parse --short HEAD 2>/dev/null || echo none)
KILLS ?= 1000
POSTGRES_KILLS ?= 300
PARTS ?= 20
ORDERS ?= 10000
DELIVERY_KILLS ?= 300
STORE_FAILURES ?= 200
REFUND_ORDERS ?= 1500
REFUND_KILLS ?= 500
DRAWN ?= 500
SEED ?= 13

prove: $(READY)
	$(BIN)/python -m tests.faults.prove_kills --cycles $(KILLS) --parts $(PARTS) --run $(RUN)
	$(BIN)/python -m tests.faults.prove_kills --postgres --cycles $(POSTGRES_KILLS) --parts $(PARTS) --run $(RUN)
	$(BIN)/python -m tests.faults.prove_delivery --orders $(ORDERS) --kills $(DELIVERY_KILLS) \
		--failures $(STORE_FAILURES) --parts 50 --run $(RUN)
	$(BIN)/python -m tests.faults.prove_delivery --refunds 0.7 --orders $(REFUND_ORDERS) --kills $(REFUND_KILLS) \
		--failures 0 --parts 25 --run $(RUN)
	$(BIN)/python -m tests.faults.prove_rehearsals --run $(RUN)
	$(BIN)/python -m tests.faults.prove_backups --run $(RUN)
	$(BIN)/python -m tests.faults.prove_notices --run $(RUN)
	$(BIN)/python -m tests.faults.prove_notices --postgres --run $(RUN)
	$(BIN)/python -m tests.faults.prove_filter --run $(RUN)
	$(BIN)/python -m tests.faults.prove_model_outputs --run $(RUN)
	$(BIN)/python -m tests.faults.prove_models --run $(RUN)
	$(BIN)/python -m tests.faults.prove_webhooks --run $(RUN)
	$(BIN)/python -m tests.faults.prove_webhooks --postgres --run $(RUN)
	$(BIN)/python -m tests.faults.prove_cluster --run $(RUN)
	$(BIN)/python -m tests.faults.prove_told_events --run $(RUN)
	$(BIN)/python -m tests.faults.prove_contract --run $(RUN)
	$(BIN)/python -m tests.faults.prove_other_clients --run $(RUN)
	$(BIN)/python -m tests.faults.prove_io --run $(RUN)
	$(BIN)/python -m tests.faults.prove_explored --run $(RUN)
	$(BIN)/python -m tests.faults.prove_long --run $(RUN)
	$(BIN)/python -m tests.fuzz.prove_decoders --run $(RUN)
	$(BIN)/python -m tests.endurance.prove_endurance --run $(RUN)
	$(BIN)/python -m tests.image.prove_image --run $(RUN)
	$(BIN)/python -m tests.mutants.run
	$(BIN)/python -m tests.mutants.drawn record
	$(BIN)/python -m tests.mutants.drawn run --run $(RUN) --number $(DRAWN) --seed $(SEED)
	$(BIN)/python scripts/prove_summary.py --run $(RUN)

# Run a real server for HOURS in total on an overloaded machine. After an interruption it continues where it was; another
# LABEL starts a new run. Its state is in SOAK_DIR, else in the user's cache. DATABASE=postgresql: its own PostgreSQL.
# STEADY=1: buyers only, one life of the server, for its memory: make soak HOURS=3 STEADY=1 LABEL=steady
HOURS ?= 1
SHOPS ?= 200
RATE ?= 13
LABEL ?= soak
BUSY ?= 0
DATABASE ?=

soak: $(READY)
	$(BIN)/python -m tests.endurance.soak --hours $(HOURS) --shops $(SHOPS) --rate $(RATE) --label $(LABEL) \
		--busy $(BUSY) --database "$(DATABASE)" $(if $(STEADY),--steady)

# Another server with the same REST contract, by its address; BENCH_USER and BENCH_PASSWORD sign in.
bench-compare: $(READY)
	@test -n "$(BASE)" || { echo "Say which server: make bench-compare BASE=http://…" >&2; exit 1; }
	$(BIN)/python -m benchmarks.http --base "$(BASE)" --accounts 50
	$(BIN)/python -m benchmarks.rules --base "$(BASE)"

# Short forms of all benchmarks, at most 12 minutes on 2 quiet cores. The tables go to docs/contributing/results.md.
bench: $(READY)
	$(BIN)/python -m benchmarks.http --accounts 50 --callers 1 64 --rounds 1
	$(BIN)/python -m benchmarks.events --rounds 1 --accounts 1000
	$(BIN)/python -m benchmarks.store
	$(BIN)/python -m benchmarks.growth --short
	$(BIN)/python -m benchmarks.rules --rounds 1
	$(BIN)/python -m benchmarks.startup --rounds 1
	$(BIN)/python -m benchmarks.reply_latency
	$(BIN)/python -m benchmarks.matching
	$(BIN)/python -m benchmarks.console --accounts 200
	$(BIN)/python -m benchmarks.crowded
	$(BIN)/python -m benchmarks.connections --accounts 500 --idle-seconds 10
	$(BIN)/python -m benchmarks.goods 100000
	$(BIN)/python -m benchmarks.orders --orders 60 --shops 1 20
	$(BIN)/python -m benchmarks.notices --shops 20
	$(BIN)/python -m benchmarks.metrics
	$(BIN)/python -m benchmarks.moving
	$(BIN)/python -m benchmarks.foreign_files
	$(BIN)/python -m benchmarks.backup 100000
	$(BIN)/python scripts/newest_figures.py

# Shoal's bills of materials, as CycloneDX files in dist/.
AUDIT := .venv-audit/.installed
MANIFESTS := .venv-manifests/.installed
sbom: $(READY) $(MODULES) $(AUDIT)
	@$(BIN)/python scripts/sbom.py .venv-audit/bin/cyclonedx-py $(BIN)/python dist

# Shoal's image, for `docker load`; made without Docker, for the kind of machine on which this runs.
image: $(READY) $(CONSOLE) $(HELP)
	@rm -rf build/root && mkdir -p dist
	$(BIN)/python scripts/rootfs.py build/root --image dist/shoal-image.tar.gz

# Wheel, sdist, image, pins, bills of materials and sums in dist/: built twice from what is committed, installed into a
# clean environment and started there. OFFLINE=1: the index is not asked for wheels for aarch64.
release: $(READY) $(AUDIT)
	$(BIN)/python scripts/release.py dist --sbom-tool .venv-audit/bin/cyclonedx-py $(if $(OFFLINE),--without-index)

# Known vulnerabilities of the pinned packages; queries a database on the network.
audit: $(AUDIT)
	.venv-audit/bin/pip-audit --require-hashes --disable-pip --vulnerability-service osv -r requirements/dev.txt

$(AUDIT): requirements/audit.txt
	@echo "Installing into .venv-audit ..." >&2
	@$(PYTHON) -m venv --clear .venv-audit
	@.venv-audit/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements/audit.txt
	@touch $(AUDIT)

# The manifests of Kubernetes against its own schemas, of an old and of a new version.
manifests: $(MANIFESTS)
	.venv-manifests/bin/kubernetes-validate --strict --quiet -k 1.32 deploy/kubernetes/shoal.yaml
	.venv-manifests/bin/kubernetes-validate --strict --quiet -k 1.37 deploy/kubernetes/shoal.yaml

$(MANIFESTS): requirements/manifests.txt
	@echo "Installing into .venv-manifests ..." >&2
	@$(PYTHON) -m venv --clear .venv-manifests
	@.venv-manifests/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements/manifests.txt
	@touch $(MANIFESTS)

pins:
	printf 'cyclonedx-bom>=7\npip-audit>=2.9\n' | uv pip compile --universal --generate-hashes --no-emit-index-url \
		--no-header --no-annotate --upgrade --python-version 3.11 - -o requirements/audit.txt
	printf 'kubernetes-validate>=1.37\n' | uv pip compile --universal --generate-hashes --no-emit-index-url \
		--no-header --no-annotate --upgrade --python-version 3.11 - -o requirements/manifests.txt
	uv pip compile --universal --generate-hashes --no-emit-index-url --no-header --no-annotate --upgrade \
		--python-version 3.11 --extra dev pyproject.toml -o requirements/dev.txt
	@$(MAKE) --no-print-directory $(READY)
	$(BIN)/python scripts/pin_files.py

$(READY): requirements/dev.txt pyproject.toml

ifdef LOCKED
$(READY):
	@test -n "$(PYTHON)" || { echo "Shoal needs Python 3.11, 3.12 or 3.13 with venv and pip." >&2; exit 1; }
	@echo "Installing into $(VENV) ..." >&2
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements/dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@$(BIN)/python -m pip check --disable-pip-version-check >&2
	@touch $(READY)
endif

clean:
	rm -rf $(VENV) .venv-audit web/node_modules $(SCHEMA) .make.lock src/shoal/console/static src/shoal/console/help_site .screenshots .snapshots .mypy_cache .ruff_cache .pytest_cache .hypothesis dist build

endif
