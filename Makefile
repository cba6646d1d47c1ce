# Everything that is built goes outside the clone, where a new clone finds it. The folder is safe for one clone at a time.
export CARGO_TARGET_DIR ?= $(HOME)/.cache/davy/target
# rustup puts cargo here; a shell opened before Rust was installed does not look there yet.
export PATH := $(PATH):$(HOME)/.cargo/bin

# `UPDATE_GOLDEN=1` rewrites golden files.
ifneq ($(UPDATE_GOLDEN),)
export UPDATE_GOLDEN
endif

# The model inside the plug-in that tests load: a small one, since plug-ins for tests are not optimised.
PLUGIN_MODEL := udfs/forest/tests/it/packages/forest_shallow

INPUT ?= models/capture/lab.csv.gz
CASES ?= 20000
DATA ?= ../shared/data
INJECTIONS ?= 1000
ROWS ?= 20000000
RATE ?= 10000

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-chart test-chart-processes plugins bench bench-kafka bench-options bench-memory bench-cluster soak check lint audit fmt capture models fuzz chaos chaos-cluster kafka-up kafka-up-3 kafka-down clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-10s  %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: ## Install what this machine lacks (Debian, Ubuntu); does nothing when nothing is missing
	@scripts/setup.sh

demo: setup ## Find the miners in a capture; another one: make demo INPUT=flows.csv
	cargo build --release --locked -p davy
	"$(CARGO_TARGET_DIR)/release/davy" run pipelines/miners_forest.sql --input "$(INPUT)"
ifeq ($(INPUT),models/capture/lab.csv.gz)
	@scripts/demo.py --davy "$(CARGO_TARGET_DIR)/release/davy"
endif

# The tests get a Kafka of their own, unless DAVY_KAFKA names one. With `exec`, so that stopping make stops the Kafka.
test: setup plugins ## Run every test; rewrite golden files: make test UPDATE_GOLDEN=1
	DAVY_MODEL=$(PLUGIN_MODEL) cargo test --manifest-path udfs/plugin/Cargo.toml --locked
	exec scripts/kafka.sh with test-$$$$ -- cargo test --workspace --locked

test-chart: setup ## Test the Helm chart without a cluster; one test: make test-chart CHART_TESTS='-k certificate'
	@deploy/helm/tests/run.sh $(CHART_TESTS)

test-chart-processes: setup ## Start what the chart renders as processes over a Kafka of its own; needs root
	cargo build --release --locked -p davy
	deploy/helm/tests/processes.sh "$(CARGO_TARGET_DIR)/release/davy"

# The modules of tests/it whose tests need a broker. DAVY_NO_KAFKA lets one that is missing here fail, instead of starting its own.
NEEDS_KAFKA := kafka:: cluster:: catalog::
# Random tests play one seed for each of their scripts, and property tests a few cases; `make test` plays all.
check: export CASES := 19
check: export PROPTEST_CASES := 32
check: export DAVY_NO_KAFKA := 1
check: plugins ## Format, clippy and every test that needs no Kafka: before each commit
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo test --workspace --locked --lib --bins
	cargo test --workspace --locked --test it --test golden -- $(addprefix --skip ,$(NEEDS_KAFKA))

# What tests load. Built first: cargo does not know that a test needs a shared library.
plugins:
	DAVY_MODEL=$(PLUGIN_MODEL) cargo build --manifest-path udfs/plugin/Cargo.toml --locked

bench: setup ## Run the benchmarks in benches/
	cargo bench --locked -p davy-benches
	DAVY_ONNXRUNTIME=$${ORT_DYLIB_PATH:-$(HOME)/.cache/davy/onnxruntime/1.31.1/libonnxruntime.so} \
	  cargo bench --locked -p davy-forest --bench score

bench-kafka: setup ## Measure throughput, commits, recovery and latency over a Kafka broker
	cargo build --release --locked -p davy
	scripts/kafka.sh with bench-$$$$ -- benches/kafka.py --davy "$(CARGO_TARGET_DIR)/release/davy" $(BENCH)
	scripts/kafka.sh with bench-$$$$ -- cargo test -p davy-kafka --locked --test it what_a_fresh_producer_costs -- --ignored --nocapture

bench-options: setup ## Compare the options A, B and C of the CDS's documents over a Kafka broker
	@DATA="$(DATA)" scripts/bench_options.sh $(BENCH)

bench-memory: setup ## Measure the memory that a scan of ten million addresses takes
	cargo build --release --locked -p davy
	benches/memory.py --davy "$(CARGO_TARGET_DIR)/release/davy" $(BENCH)

soak: setup ## Run sessions and hopping windows for an hour and look whether anything grows
	cargo build --release --locked -p davy
	KAFKA_OPTS=-XX:TieredStopAtLevel=4 scripts/kafka.sh with soak-$$$$ -- benches/soak.py --davy "$(CARGO_TARGET_DIR)/release/davy" $(BENCH)

bench-cluster: setup ## Measure failover, hand-over and scaling of a cluster over a Kafka broker
	cargo build --release --locked -p davy
	scripts/kafka.sh with bench-$$$$ -- benches/cluster.py --davy "$(CARGO_TARGET_DIR)/release/davy" $(BENCH)
	cargo test --release --locked -p davy-coordinator --test it cost -- --ignored --nocapture

lint: setup ## Check format, clippy and scripts; with CI=true a missing tool is an error
	@scripts/lint.sh

audit: ## Check dependencies, licences and their sources against deny.toml
	@scripts/audit.sh

fmt: ## Format the code
	cargo fmt --all
	cargo fmt --all --manifest-path udfs/plugin/Cargo.toml

capture: setup ## Record the flows of a real miner in a lab again (see models/capture)
	models/capture/record.sh

models: setup ## Train the models again from labelled captures; from elsewhere: make models DATA=folder
	@DATA="$(DATA)" scripts/models.sh

fuzz: setup plugins ## Run the property tests with many cases; more: make fuzz CASES=1000000
	PROPTEST_CASES=$(CASES) exec scripts/kafka.sh with fuzz-$$$$ -- cargo test --workspace --locked

chaos: setup ## Play many faults against a real Kafka; others: make chaos INJECTIONS=50 ROWS=100000 SEED=3 NODES=3
	cargo build --release --locked -p davy --features testing
	INJECTIONS=$(INJECTIONS) ROWS=$(ROWS) RATE=$(RATE) DAVY_BINARY="$(CARGO_TARGET_DIR)/release/davy" \
	  cargo test --workspace --locked --test it -- --ignored --exact --nocapture kafka::chaos

# A fault takes some seconds here: leases run out, and leaders are replaced.
chaos-cluster: INJECTIONS := 100
chaos-cluster: RATE := 1000
chaos-cluster: setup ## Play many faults against a cluster of processes; others: make chaos-cluster INJECTIONS=500 SEED=3
	cargo build --release --locked -p davy --features testing
	INJECTIONS=$(INJECTIONS) RATE=$(RATE) DAVY_BINARY="$(CARGO_TARGET_DIR)/release/davy" \
	  cargo test --workspace --locked --test it -- --ignored --exact --nocapture cluster::chaos

kafka-up: setup ## Start a Kafka on this machine, which runs until make kafka-down
	@servers=$$(scripts/kafka.sh up dev) && echo "Kafka is ready; use it with: export DAVY_KAFKA=$$servers"

kafka-up-3: setup ## Start three that replicate, to kill some of them (scripts/kafka.sh kill dev3 2)
	@servers=$$(scripts/kafka.sh up dev3 --nodes 3) && echo "Kafka is ready; use it with: export DAVY_KAFKA=$$servers"

kafka-down: ## Stop what kafka-up and kafka-up-3 started, and remove its data
	scripts/kafka.sh down dev
	scripts/kafka.sh down dev3

clean: ## Remove the build folder, which all clones share
	@scripts/kafka.sh down --all
	cargo clean
