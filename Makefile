# Everything sets itself up: the only needs are Python 3.11 or newer and make.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   := .venv
BIN    := $(VENV)/bin
N      ?= 1000
SEED   ?= 0

PYTEST := $(BIN)/python -m pytest -q

.PHONY: help demo test large mutants check format kill-campaign wire-keys coverage clean

help: ## List the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.installed: pyproject.toml resumable/version.py
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

demo: $(VENV)/.installed ## Upload 256 MiB to a local server, kill it part-way, resume, verify
	$(BIN)/resumable demo

test: $(VENV)/.installed ## Run the tests
	$(PYTEST)

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

coverage: $(VENV)/.installed ## Run the tests and print what they do not reach
	$(BIN)/coverage run -m pytest -q
	$(BIN)/coverage combine -q
	$(BIN)/coverage report

clean: ## Remove the environment and what the tools left
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .coverage .coverage.* dist
