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
# Random byte strings that `make soak` gives to the decoder of the fuzz targets.
SOAK_INPUTS ?= 10000000
# Cases for each (kernel, op, dtype, family) of the comparison of published libraries.
PUBLISHED_CASES ?= 20
# Seconds for each target of `make fuzz`.
FUZZ_SECONDS ?= 60
# Where `make reference` keeps its Python packages.
VENV ?= target/reference-venv
# Where `make adapters-python` keeps NumPy, SciPy, PyTorch, JAX, Optax and ONNX Runtime: two gigabytes.
PYTHON_VENV ?= target/python-venv

.DEFAULT_GOAL := help
.PHONY: help setup run gate accept test test-python test-python-clients wheel check fmt clippy doc soak zoo exhaustive mutants pure bench fuzz fuzz-check reference adapters adapters-python published clean-reports

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F '|' '{ printf "%-24s%s\n", $$1, $$2 }'

setup: ## install what the build needs, if anything is missing (m4 above all)
	@sh scripts/setup.sh

run: setup ## the main job: fuzz the built-in kernels, write reports/latest/index.html
	cargo build --release --locked
	@mkdir -p "$(dir $(OUT))"
	cargo run --release --locked --quiet -- run --cases $(CASES) --out "$(OUT)"
	@echo "open $(OUT)/index.html in a browser; $(OUT)/summary.md is for a terminal"

fuzz: setup ## run every fuzz target for FUZZ_SECONDS (60), with cargo-fuzz, which is installed if it is missing
	FUZZ_SECONDS=$(FUZZ_SECONDS) sh scripts/fuzz.sh

fuzz-check: setup ## does the fuzzer find every planted defect, and nothing in correct kernels; counted executions, no cargo-fuzz
	sh scripts/fuzz-check.sh
	sh scripts/fuzz-command.sh
	sh scripts/fuzz-example.sh

gate: setup ## compare the built-in kernels with reports/baseline.json, as `make test` does; the report is in reports/latest
	cargo run --release --locked --quiet -- gate --out "$(OUT)"

accept: setup ## measure the built-in kernels and write reports/baseline.json: look at the diff, then commit it
	cargo run --release --locked --quiet -- accept --prune --out "$(OUT)"

test: setup ## all tests, those in the documentation too, and the seeds of the fuzz targets
	cargo test --locked
	sh scripts/fuzz-replay.sh

wheel: setup ## the wheel of the Python package, into target/wheels, with maturin from a virtual environment
	sh scripts/wheel.sh

test-python: setup ## the tests of the Python package, in a fresh virtual environment, from a wheel that is built as the tests are
	sh scripts/test-python.sh

test-python-clients: setup ## the same for PyTorch, JAX and Triton, which are installed: gigabytes
	sh scripts/test-python.sh clients

check: ## what CI runs: formatting, clippy, documentation, tests and with them the gate, the fuzzer's own test, the Python package
	@sh scripts/setup.sh check
	$(MAKE) fmt
	$(MAKE) clippy
	$(MAKE) doc
	$(MAKE) test
	# Side by side: one of them builds while the other waits for processes.
	$(MAKE) -j2 -O fuzz-check test-python

fmt: ## formatting, without changing anything
	cargo fmt --check
	cargo fmt --check --manifest-path fuzz/Cargo.toml
	cargo fmt --check --manifest-path examples/my_crate/fuzz/Cargo.toml
	cargo fmt --check --manifest-path python/Cargo.toml

clippy: ## clippy, every warning an error, with all features, with none and on our own numbers; the fuzz targets and the example, too
	cargo clippy --locked --all-targets -- -D warnings
	cargo clippy --locked --lib --no-default-features -- -D warnings
	cargo clippy --locked --lib --no-default-features --features oracle -- -D warnings
	cargo clippy --locked --manifest-path fuzz/Cargo.toml --bins -- -D warnings
	cargo clippy --locked --manifest-path examples/my_crate/fuzz/Cargo.toml --target-dir fuzz/target --bins -- -D warnings
	cargo clippy --locked --manifest-path python/Cargo.toml --target-dir target --lib -- -D warnings

doc: ## the documentation, every warning an error
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps

soak: setup $(VENV) ## the long claims: no false alarm in ten million outputs, no panic on ten million byte strings, all halves against Arb
	LOGITFUZZ_SOAK_INPUTS=$(SOAK_INPUTS) cargo test --locked --release --lib any_bytes_can_be_executed -- --nocapture
	LOGITFUZZ_SOAK_CASES=$(SOAK_CASES) cargo test --locked --release --test trusted -- --nocapture
	cargo build --release --locked
	$(VENV)/bin/python tests/reference/all_halves.py target/release/logitfuzz

zoo: setup ## every planted defect against every family: writes reports/zoo.md, which `make test` holds against a fresh one
	cargo run --release --locked --quiet -- zoo

exhaustive: setup ## every input of the domains that are small enough, on the correct built-in kernels: writes reports/exhaustive
	sh scripts/exhaustive.sh $(FLOATS)

mutants: setup ## does a test fall when the screen is wrong; some two minutes for each of thirty wrong screens
	sh scripts/mutants.sh

pure: setup ## one campaign on MPFR's numbers and one on our own: the results must be equal in every byte
	sh scripts/pure.sh

bench: setup ## what is claimed about speed, as ratios taken in one run
	cargo bench --locked

$(VENV):
	python3 -m venv $(VENV)
	$(VENV)/bin/pip install --quiet python-flint==0.9.0

reference: $(VENV) ## make tests/reference/table.txt again, with Arb (python-flint) in a virtual environment
	$(VENV)/bin/python tests/reference/make_table.py

adapters-python: ## a virtual environment for the ready scripts in adapters/python (Python 3.11 or newer), and their tests
	python3 -m venv $(PYTHON_VENV)
	$(PYTHON_VENV)/bin/pip install --quiet --no-deps -r adapters/python/requirements.txt
	$(PYTHON_VENV)/bin/python adapters/python/torch_without_cuda.py
	$(PYTHON_VENV)/bin/python -m unittest discover adapters/python

# Each has a lock file of its own; one target directory for all, so that what they share is built once.
adapters: setup ## build the workers that serve published Rust kernels, into target/adapters/release
	for manifest in adapters/*/Cargo.toml; do \
		cargo build --release --locked --target-dir target/adapters --manifest-path "$$manifest" || exit 1; \
	done

published: adapters adapters-python ## run all published kernels that adapters serve; writes reports/published/README.md
	cargo build --release --locked
	@sh scripts/published.sh target/release/logitfuzz $(PYTHON_VENV)/bin/python $(PUBLISHED_CASES)

clean-reports: ## remove the generated report
	rm -rf reports/latest
