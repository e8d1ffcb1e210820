# What people and CI run. `make test` is the whole check; everything else is a part of it or a tool.
#
# Variables: SEEDS or SEED for the simulation, BUGS for the planted ones, BENCH for arguments of `everstep bench`,
# CHAOS for arguments of the chaos runner's `kill`, SCENARIO and SECONDS for its `run`, COUNT for its `flips`, BINARY for
# what it breaks, FUZZ_SECONDS for each fuzz target.

CARGO ?= cargo
SEED ?= 1
SEEDS ?=
FIRST ?= $(shell date +%s)
SIM_SECONDS ?= 60
BUGS ?=
CHAOS ?= --kills 12 --executions 60
SCENARIO ?=
SECONDS ?=
BENCH ?=
COUNT ?= 1000
FUZZ_SECONDS ?= 60

TARGET_DIR := $(if $(CARGO_TARGET_DIR),$(CARGO_TARGET_DIR),target)
BINARY ?= $(TARGET_DIR)/debug/everstep
NEXTEST := $(shell $(CARGO) nextest --version >/dev/null 2>&1 && echo yes)

.PHONY: help test check fmt clippy unit doctest docs sim seeds mutants chaos flips bench fuzz deny cluster clean

help: ## Say what there is
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

test: fmt clippy unit doctest docs chaos seeds ## Everything that has to hold before a change is merged

check: ## Does it compile, the fastest way to know
	$(CARGO) check --locked --workspace --all-targets

fmt: ## Is it formatted
	$(CARGO) fmt --all --check

clippy: ## Do the lints hold
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings

unit: ## Unit, integration and simulation tests
ifeq ($(NEXTEST),yes)
	$(CARGO) nextest run --locked --workspace --no-fail-fast
else
	$(CARGO) test --locked --workspace --lib --bins --tests
endif

doctest: ## The examples in the documentation
	$(CARGO) test --locked --workspace --doc --quiet

docs: ## Does the documentation build without a broken link
	RUSTDOCFLAGS=-Dwarnings $(CARGO) doc --locked --no-deps --workspace

sim: ## The simulation: SEEDS=300 new seeds, or SEED=42 that one with its trace
ifeq ($(SEEDS),)
	@mkdir -p '$(TARGET_DIR)/traces'
	SEED='$(SEED)' SIM_SECONDS='$(SIM_SECONDS)' SIM_TRACE='$(abspath $(TARGET_DIR))/traces' \
	  $(CARGO) test --locked --profile sim --test sim -- --exact seeds::a_seed_holds --nocapture
else
	SEEDS='$(SEEDS)' FIRST='$(FIRST)' SIM_SECONDS='$(SIM_SECONDS)' $(CARGO) test --locked --profile sim --test sim -- \
	  --exact seeds::seeds_hold_each_in_a_process_of_its_own --nocapture
endif

# Always the same, so that a change is judged by what it does. `make sim SEEDS=n` tries new ones.
seeds: ## 300 seeds of the simulation, the same with every commit
	$(MAKE) --no-print-directory sim SEEDS=300 FIRST=1

mutants: ## Plant bugs and see who finds them: all, or BUGS='LogNotSynced …'
	.ci/mutants $(BUGS)

# With SCENARIO=chaos/scenarios/everything.toml that one alone, for SECONDS if given. SEED=… repeats a run.
chaos: ## Faults against real processes: a short run, or SCENARIO=FILE for SECONDS=N
	$(CARGO) build --locked -p everstep -p everstep-chaos --bin everstep --bin everstep-chaos
ifeq ($(SCENARIO),)
	'$(TARGET_DIR)/debug/everstep-chaos' kill --binary '$(BINARY)' $(CHAOS)
	'$(TARGET_DIR)/debug/everstep-chaos' run chaos/scenarios/short.toml --binary '$(BINARY)'
else
	'$(TARGET_DIR)/debug/everstep-chaos' run '$(SCENARIO)' --binary '$(BINARY)' \
	  $(if $(SECONDS),--seconds $(SECONDS)) $(if $(filter command line environment,$(origin SEED)),--seed $(SEED))
endif

flips: ## Damage the files of a node in COUNT places: nothing wrong may come out of it
	$(CARGO) build --locked -p everstep -p everstep-chaos --bin everstep --bin everstep-chaos
	'$(TARGET_DIR)/debug/everstep-chaos' flips --binary '$(BINARY)' --count '$(COUNT)' \
	  $(if $(filter command line environment,$(origin SEED)),--seed $(SEED))

bench: ## Load against an embedded node, release build
	$(CARGO) run --locked --release -- bench $(BENCH)

fuzz: ## Each fuzz target for FUZZ_SECONDS; needs cargo-fuzz
	@cd fuzz && for target in $$($(CARGO) fuzz list); do \
	  echo "== $$target"; \
	  $(CARGO) fuzz run -s none $$target -- -max_total_time=$(FUZZ_SECONDS) || exit 1; \
	done

deny: ## Licences, advisories, sources; needs cargo-deny
	@if $(CARGO) deny --version >/dev/null 2>&1; then $(CARGO) deny --locked check; \
	else echo "cargo-deny is not installed: cargo install cargo-deny"; exit 1; fi

cluster: ## Three nodes on localhost
	@if [ -x cluster/run.sh ]; then exec cluster/run.sh; \
	else echo "there is no cluster yet: one node is a cluster of one, see 'everstep dev'"; exit 1; fi

clean: ## Remove what was built
	$(CARGO) clean
