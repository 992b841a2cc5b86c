# `make serve` and `make test` on a fresh clone are all that is needed. PROFILE=cpu or spark; ARGS goes to `sparkvox serve`.
PROFILE ?= auto
BIN := .venv/bin

.PHONY: serve test lint setup setup-test lock clean

serve: setup
	@$(BIN)/sparkvox serve $(ARGS)

test: lint
	@scripts/check-browser
	@$(BIN)/sparkvox models fetch
	@scripts/run-tests $(ARGS)

lint: setup-test
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

setup:
	@scripts/setup $(PROFILE)

setup-test:
	@scripts/setup $(PROFILE) test

lock:
	@scripts/lock

# Leaves the model files where they are: `sparkvox models` says where that is.
clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis *.egg-info
