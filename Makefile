# One command for each of: set-up, demo, test, checks, site, benchmark. Each sets up .venv first where that is needed.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq

# Without a GPU the CPU build of torch is wanted; where pip knows of one, it takes it for this very release only.
CPU_TORCH := torch==2.13.0

.PHONY: demo test setup check lint types imports docs bench fuzz fuzz-files

demo: $(READY)
	$(BIN)/neuroprune train
	$(BIN)/neuroprune compress --structured --flops 0.5
	$(BIN)/neuroprune deploy --target loihi-sim

test: $(READY)
	$(BIN)/python -m pytest

setup: $(READY)

check: lint types imports

lint: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(READY)
	$(BIN)/mypy

imports: $(READY)
	$(BIN)/lint-imports

# The site, in build/site; without the theme's notice about its successor, which mkdocs.yml speaks of.
docs: $(READY)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

bench: $(READY)
	$(BIN)/python benchmarks/engine.py

# Random programs through reference, engine and Lava: make fuzz N=10000 SEED=0
fuzz: $(READY)
	$(BIN)/python tests/support/fuzz.py --programs $(or $(N),200) --seed $(or $(SEED),0)

# Mutated files through every reader: make fuzz-files N=1000 SEED=0
fuzz-files: $(READY)
	$(BIN)/python tests/support/fuzz_files.py --files $(or $(N),100) --seed $(or $(SEED),0)

$(READY): pyproject.toml Makefile
	@$(PYTHON) -c 'import sys; v = sys.version_info; (3, 11) <= v[:2] <= (3, 12) or sys.exit("neuroprune needs Python 3.11 \
	or 3.12, but $(PYTHON) is Python %d.%d: name another, as in `make setup PYTHON=python3.12`" % v[:2])'
	@echo "Setting up .venv; this takes a few minutes once."
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@if nvidia-smi -L >/dev/null 2>&1; then \
	  $(PIP) install --no-compile -e '.[dev]'; \
	else \
	  echo '$(CPU_TORCH)' >.venv/constraints.txt; \
	  $(PIP) install --no-compile --constraint .venv/constraints.txt -e '.[dev]'; \
	fi
	@# Lava declares Python 3.10 and runs on later ones; the flag would mislead pip for every other package.
	@$(PIP) install --no-compile --no-deps --ignore-requires-python lava-nc==0.10.0 lava-dl==0.6.0
	@touch $@
