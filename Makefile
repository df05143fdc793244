# The doors of the project: each target is one thing that a person or CI wants done. `make help` lists them.
# Any POSIX shell will do; cargo may be in PATH or only where rustup puts it.

SHELL := /bin/sh
export PATH := $(PATH):$(if $(CARGO_HOME),$(CARGO_HOME),$(HOME)/.cargo)/bin

# Cases for each (kernel, op, dtype, family) of the main job. Chosen to end in under three minutes on two cores.
CASES ?= 200
# The folder of its report.
OUT ?= reports/latest
# Cases of the long claims (tests/trusted.rs) for each (kernel, op, dtype, family): ten million outputs in all, and more.
SOAK_CASES ?= 2000
# Where `make reference` keeps its Python packages.
VENV ?= target/reference-venv

.DEFAULT_GOAL := help
.PHONY: help setup run gate accept test check fmt clippy doc soak bench reference clean-reports

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F '|' '{ printf "%-22s%s\n", $$1, $$2 }'

setup: ## install what the build needs, if anything is missing (m4 above all)
	@sh scripts/setup.sh

run: setup ## the main job: fuzz the built-in kernels, write reports/latest/index.html
	cargo build --release --locked
	@mkdir -p "$(dir $(OUT))"
	cargo run --release --locked --quiet -- run --cases $(CASES) --out "$(OUT)"
	@echo "open $(OUT)/index.html in a browser; $(OUT)/summary.md is for a terminal"

gate: setup ## compare the built-in kernels with reports/baseline.json, as `make test` does; the report is in reports/latest
	cargo run --release --locked --quiet -- gate --out "$(OUT)"

accept: setup ## measure the built-in kernels and write reports/baseline.json: look at the diff, then commit it
	cargo run --release --locked --quiet -- accept --prune --out "$(OUT)"

test: setup ## all tests, those in the documentation too
	cargo test --locked

check: ## what CI runs: formatting, clippy, documentation, tests, and with them the gate
	@sh scripts/setup.sh check
	$(MAKE) fmt
	$(MAKE) clippy
	$(MAKE) doc
	$(MAKE) test

fmt: ## formatting, without changing anything
	cargo fmt --check

clippy: ## clippy, every warning an error, with all features and with none
	cargo clippy --locked --all-targets -- -D warnings
	cargo clippy --locked --lib --no-default-features -- -D warnings

doc: ## the documentation, every warning an error
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps

soak: setup ## the long claims: no false alarm in ten million outputs of the correct kernels
	LOGITFUZZ_SOAK_CASES=$(SOAK_CASES) cargo test --locked --release --test trusted -- --nocapture

bench: setup ## what is claimed about speed, as ratios taken in one run
	cargo bench --locked

reference: ## make tests/reference/table.txt again, with Arb (python-flint) in a virtual environment
	python3 -m venv $(VENV)
	$(VENV)/bin/pip install --quiet python-flint==0.9.0
	$(VENV)/bin/python tests/reference/make_table.py

clean-reports: ## remove the generated report
	rm -rf reports/latest
