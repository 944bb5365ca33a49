# Everything sets itself up: the only needs are Python 3.11 or newer and make.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   := .venv
BIN    := $(VENV)/bin
N      ?= 1000
SEED   ?= 0

PYTEST := $(BIN)/python -m pytest -q
PIP    := -m pip --disable-pip-version-check --quiet

# What the runs with other versions of the dependencies cover.
OTHER  := tests/core tests/transfer tests/cli

.PHONY: help demo test test-newest test-oldest lock large mutants check format kill-campaign wire-keys crash-points power-loss wire-faults disk-campaign moves-campaign state-machine several fuzz links proxies bench coverage clean

help: ## List the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# First what builds, then all else in the versions and with the hashes of the lock, then the package.
$(VENV)/.installed: pyproject.toml resumable/version.py .ci/build.lock .ci/requirements.lock
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python $(PIP) install --require-hashes --requirement .ci/build.lock
	$(BIN)/python $(PIP) install --no-build-isolation --require-hashes --requirement .ci/requirements.lock
	$(BIN)/python $(PIP) install --no-build-isolation --no-deps --editable .
	@touch $@

demo: $(VENV)/.installed ## Upload 256 MiB to a local server, kill it part-way, resume, verify
	$(BIN)/resumable demo

test: $(VENV)/.installed ## Run the tests, with more options of pytest in ARGS
	$(PYTEST) $(ARGS)

test-newest: ## Run the core, transfer and cli tests with the newest versions of the dependencies
	.ci/other-versions newest $(PYTHON) .venv-newest $(OTHER)

test-oldest: ## Run the core, transfer and cli tests with the lowest versions that pyproject.toml allows
	.ci/other-versions oldest $(PYTHON) .venv-oldest $(OTHER)

lock: ## Renew the lock files
	PYTHON=$(PYTHON) .ci/lock

large: $(VENV)/.installed ## Run the tests with files of gigabytes and with 10,000 parts (12 GiB of disk)
	$(PYTEST) -m large --timeout=900

mutants: $(VENV)/.installed ## Break each rule in turn and see that a test notices
	$(BIN)/python -m tests.mutants

check: $(VENV)/.installed ## ruff, mypy --strict, the layers and the docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(PYTEST) tests/test_layers.py tests/docs

format: $(VENV)/.installed ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

kill-campaign: $(VENV)/.installed ## Kill N real uploads at random moments and resume them: make kill-campaign N=1000 SEED=0
	$(BIN)/python -m tests.crash.campaign --kills $(N) --seed $(SEED)

wire-keys: $(VENV)/.installed ## Send N keys of all kinds: each goes out as it was signed: make wire-keys N=100000 SEED=0
	$(BIN)/python -m tests.conformance.wire_keys --keys $(N) --seed $(SEED)

crash-points: $(VENV)/.installed ## Let uploads die at every point and resume them: make crash-points SEED=0
	$(BIN)/python -m tests.faults.crash_points --seed $(SEED)

power-loss: $(VENV)/.installed ## Cut the power in a model of the disk, and on a real file system where one can be mounted
	$(BIN)/python -m tests.faults.power_loss --seed $(SEED)
	$(BIN)/python -m tests.faults.real_power_loss --kind ext4 --seed $(SEED)
	$(BIN)/python -m tests.faults.real_power_loss --kind xfs --seed $(SEED)

wire-faults: $(VENV)/.installed ## Play every fault on the wire: make wire-faults SEED=0
	$(BIN)/python -m tests.faults.wire_campaign --seed $(SEED)

disk-campaign: $(VENV)/.installed ## Fail every k-th call to the disk: make disk-campaign SEED=0
	$(BIN)/python -m tests.faults.disk_campaign --seed $(SEED)

moves-campaign: $(VENV)/.installed ## Move the source of N uploads at random moments: make moves-campaign N=2500 SEED=0
	$(BIN)/python -m tests.faults.moves_campaign --stories $(N) --seed $(SEED)

state-machine: $(VENV)/.installed ## Drive file, checkpoint and server by N random steps: make state-machine N=200000 SEED=0
	$(BIN)/python -m tests.faults.state_machine --steps $(N) --seed $(SEED)

several: $(VENV)/.installed ## Let several processes work on one file or key, N times: make several N=500 SEED=0
	$(BIN)/python -m tests.faults.several_campaign --rounds $(N) --seed $(SEED)

fuzz: $(VENV)/.installed ## Feed each parser N inputs: make fuzz N=500000 SEED=0
	$(BIN)/python -m tests.faults.fuzz --inputs $(N) --seed $(SEED)

links: $(VENV)/.installed ## Race runs against links put in the place of their side files: make links N=700 SEED=0
	$(BIN)/python -m tests.faults.hostile_links --rounds $(N) --seed $(SEED)

proxies: $(VENV)/.installed ## Upload through tinyproxy, squid and mitmproxy; fetches those that are missing where it can
	$(BIN)/python -m tests.proxies.install
	$(PYTEST) -rs tests/proxies

bench: $(VENV)/.installed ## Measure uploads, here and with other clients (4 GiB of disk, half an hour): make bench ARGS=--quick
	$(BIN)/python -m tests.bench $(ARGS)

coverage: $(VENV)/.installed ## Run the tests and print what they do not reach
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -q
	$(BIN)/coverage combine -q
	$(BIN)/coverage report --include='resumable/core/*' --fail-under=100
	$(BIN)/coverage report

clean: ## Remove the environment and what the tools left
	rm -rf $(VENV) .venv-* .bench .pytest_cache .mypy_cache .ruff_cache .coverage .coverage.* dist
