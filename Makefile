# Every target builds .venv when it is missing or older than what it was built from.
PYTHON ?= python3
UV     := uv==0.13.9
BIN    := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help demo test lint bench accuracy coverage trials fuzz torture docs lock clean

help:  ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: .venv/.test  ## Gate the study in sample_fcs/ into runs/demo
	rm -rf runs/demo
	$(BIN)/nti7flow gate sample_fcs/study.yaml --out runs/demo || test $$? -eq 3  # 3: some tubes want a look, as in any study

test: .venv/.test  ## Run the tests, with coverage
	$(BIN)/python -m pytest $(ARGS)

lint: .venv/.lint  ## Style, types and room order
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .venv/.bench  ## Measure speed against the peers, and of simulating a whole trial
	$(BIN)/python -m benchmarks $(ARGS)

accuracy: .venv/.test  ## Score the gates on labelled and simulated tubes, into docs/reference/accuracy.md
	$(BIN)/python -m benchmarks.accuracy $(ARGS)

coverage: .venv/.test  ## Measure how often the intervals hold the truth, into docs/reference/coverage.md
	$(BIN)/python -m benchmarks.coverage $(ARGS)

trials: .venv/.test  ## Simulate, gate and count ten trials (15 minutes), into docs/reference/trials.md
	$(BIN)/python -m benchmarks.trials $(ARGS)

fuzz: .venv/.test  ## Damage 20,000 FCS files and judge what is read (ARGS='--n 100000 --seed 7')
	$(BIN)/python tests/events/fuzz_run.py $(ARGS)

torture: .venv/.test  ## Read odd and broken FCS files, and count who is right (ARGS=--list names the wrong ones)
	$(BIN)/python -m benchmarks.torture $(ARGS)

docs: .venv/.docs  ## Build docs/_build/html, warnings are errors
	$(BIN)/python -m sphinx -W --keep-going -q docs docs/_build/html

lock: $(BIN)/uv  ## Rewrite constraints.txt (newest versions: make lock ARGS=--upgrade)
	$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-annotate --all-extras \
		--custom-compile-command 'make lock' --quiet $(ARGS) --output-file constraints.txt pyproject.toml

clean:  ## Remove .venv, caches and built files
	rm -rf .venv .*_cache .hypothesis .coverage dist docs/_build

# One stamp per extra. uv checks the hashes of constraints.txt beside a local project; pip cannot.
.venv/.%: pyproject.toml constraints.txt src/nti7flow/_version.py | $(BIN)/uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python -c constraints.txt -e '.[$*]'
	@touch $@

$(BIN)/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "nti7flow needs Python 3.11 or newer as '$(PYTHON)'; name another: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "Python has no venv module here. On Debian or Ubuntu: apt install make python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check $(UV)
