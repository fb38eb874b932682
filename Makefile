# One command for each of: set-up, demo, test, checks, site, benchmark. Each sets up .venv first where that is needed.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq

# Without a GPU the CPU build of torch is wanted; where pip knows of one, it takes it for this very release only.
CPU_TORCH := torch==2.13.0

# All that pyproject.toml asks for but SpikingJelly, which would bring torchvision and torchaudio: nothing here uses them, and
# where they are built for another torch than this one, `import torchvision` fails in every file of a user's.
REQUIREMENTS := import tomllib; project = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
	lists = (project["dependencies"], *project["optional-dependencies"].values()); \
	print(*(each for some in lists for each in some if not each.startswith(("neuroprune", "spikingjelly"))), sep="\n")
SPIKINGJELLY := spikingjelly>=2.0,<3

.PHONY: demo test setup check lint types imports docs schemas bench fuzz fuzz-files kills methods

demo: $(READY)
	$(BIN)/neuroprune train
	$(BIN)/neuroprune compress --structured --flops 0.5
	$(BIN)/neuroprune deploy --target loihi-sim

test: $(READY)
	$(BIN)/python -m pytest -n auto --maxprocesses 4

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

# The JSON Schemas of reports, in docs/; a test holds them against the code.
schemas: $(READY)
	$(BIN)/python docs/schemas.py

bench: $(READY)
	$(BIN)/python benchmarks/engine.py

# Random programs through reference, engine, cores and netx, a share through Lava: make fuzz N=10000 SEED=0 LAVA=0.1
fuzz: $(READY)
	$(BIN)/python tests/support/fuzz.py --programs $(or $(N),200) --seed $(or $(SEED),0) --lava $(or $(LAVA),0.1)

# train and compress, killed, resumed and compared with unbroken runs: make kills N=30 SEED=0
kills: $(READY)
	$(BIN)/python tests/support/kills.py --kills $(or $(N),30) --seed $(or $(SEED),0)

# Every pruning method by the command line: its target, killed and resumed, deployed with Lava
methods: $(READY)
	$(BIN)/python tests/support/every_method.py

# Mutated files through every reader: make fuzz-files N=1000 SEED=0
fuzz-files: $(READY)
	$(BIN)/python tests/support/fuzz_files.py --files $(or $(N),100) --seed $(or $(SEED),0)

$(READY): pyproject.toml Makefile
	@$(PYTHON) -c 'import sys; v = sys.version_info; (3, 11) <= v[:2] <= (3, 12) or sys.exit("neuroprune needs Python 3.11 \
	or 3.12, but $(PYTHON) is Python %d.%d: name another, as in `make setup PYTHON=python3.12`" % v[:2])'
	@echo "Setting up .venv; this takes a few minutes once."
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -c '$(REQUIREMENTS)' >.venv/requirements.txt
	@if ! nvidia-smi -L >/dev/null 2>&1; then echo '$(CPU_TORCH)' >>.venv/requirements.txt; fi
	@$(PIP) install --no-compile -r .venv/requirements.txt
	@$(PIP) install --no-compile --no-deps '$(SPIKINGJELLY)' -e .
	@# Lava declares Python 3.10 and runs on later ones; the flag would mislead pip for every other package.
	@$(PIP) install --no-compile --no-deps --ignore-requires-python lava-nc==0.10.0 lava-dl==0.6.0
	@touch $@
