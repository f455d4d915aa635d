# The two commands of the project: `make demo` and `make test`. Both need Python 3.11-3.13, make and pip.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	if $$p -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' >/dev/null 2>&1; then echo $$p; break; fi; done)
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.installed

.PHONY: demo test lint types unit prove bench pins clean

demo: $(READY)
	@exec $(BIN)/shoal demo

test: lint types unit

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache

types: $(READY)
	$(BIN)/mypy

unit: $(READY)
	$(BIN)/pytest -n 2 --dist worksteal

# The long proofs, about two hours. Each appends its figures under the label RUN; what stands there is not run again.
RUN ?= $(shell git rev-parse --short HEAD 2>/dev/null || echo none)
KILLS ?= 1000
PARTS ?= 20

prove: $(READY)
	$(BIN)/python -m tests.faults.prove_kills --cycles $(KILLS) --parts $(PARTS) --run $(RUN)
	$(BIN)/python -m tests.faults.prove_io --run $(RUN)
	$(BIN)/python -m tests.faults.prove_explored --run $(RUN)
	$(BIN)/python -m tests.fuzz.prove_decoders --run $(RUN)
	$(BIN)/python scripts/prove_summary.py --run $(RUN)

bench: $(READY)
	$(BIN)/python -m benchmarks.reply_latency

pins:
	uv pip compile --universal --generate-hashes --no-emit-index-url --no-header --no-annotate --upgrade \
		--python-version 3.11 --extra dev pyproject.toml -o requirements/dev.txt

$(READY): requirements/dev.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "Shoal needs Python 3.11, 3.12 or 3.13 with venv and pip." >&2; exit 1; }
	@echo "Installing into $(VENV) ..." >&2
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(READY)

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis dist build
