# Griot: `make demo` shows it, `make test` proves it, `make run` keeps it running.
# Everything is built with one profile (release), so that what is tested is what runs.

CARGO   ?= cargo
GRIOT   := target/release/griot
PROFILE ?= default

.PHONY: help setup build weights test-weights demo run test test-fast test-full bench fuzz lint fmt deny samples

help: ## List what can be made
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

setup: ## Install the system packages that are missing (root or sudo)
	@scripts/setup.sh

build: setup ## Build the daemon and its workers
	$(CARGO) build --release --workspace --bins

weights: build ## Fetch and verify the models' files (PROFILE=small for the smaller language model)
	$(GRIOT) models pull --profile $(PROFILE)

# The tests use both language models (answers are tested with one, the worker's protocol with the other),
# and hear and speak.
test-weights: weights
	$(GRIOT) models pull qwen2.5-coder-0.5b-instruct
	$(GRIOT) models pull --profile voice

demo: weights ## Ask the sample documents a question, in a temporary library
	@scripts/demo.sh

run: weights ## Keep the daemon running in the foreground, with your own library
	$(GRIOT) serve

test: test-weights ## Both test tiers
	@scripts/test.sh fast full

test-fast: setup ## The tests that need no weights
	@scripts/test.sh fast

test-full: test-weights ## The tests that need the real weights
	@scripts/test.sh full

bench: weights ## Measure, and write bench-results/ (BENCH="--quick --only retrieval" for less)
	@scripts/bench.sh $(BENCH)

fuzz: setup ## Fuzz everything that reads bytes from outside, each target for SECONDS (60), by chance
	@FUZZ_SEED=0 scripts/fuzz.sh $(or $(SECONDS),60)

lint: ## Formatting and clippy, warnings refused
	$(CARGO) fmt --all --check
	$(CARGO) clippy --release --workspace --all-targets -- -D warnings

fmt: ## Format the sources
	$(CARGO) fmt --all

deny: ## Licences, sources and bans of all dependencies
	@scripts/deny.sh

samples: ## Write the generated sample documents again
	python3 scripts/make_samples.py
