# What a person types. `make test` is what CI runs; see CONTRIBUTING.md.

CARGO ?= cargo
N ?= 10000
DENY_VERSION := 0.20.2
DENY := .tools/cargo-deny-$(DENY_VERSION)/bin/cargo-deny

.PHONY: demo demo-aws test crash model fuzz bench fmt lint deny advisories clean-tools

demo: ## The real job, on repositories in ./demo
	$(CARGO) run --quiet --locked -- demo demo

demo-aws: ## The sample requests against a local AWS API, in ./demo-aws
	$(CARGO) build --quiet --locked
	scripts/demo-aws target/debug/vend demo-aws

test: $(DENY) ## Everything that must hold before a change lands
	scripts/test

crash: N = 200
crash: ## Every point in every scenario, and N ends at random moments: make crash N=1000 VEND_SEED=7
	VEND_CRASH=$(N) $(CARGO) test --locked --test it crash::points -- --nocapture --test-threads 4

model: N = 2000
model: ## Histories of files and faults against the reference: make model N=20000 VEND_MODEL_SEED=7
	VEND_MODEL_CASES=$(N) $(CARGO) test --locked --lib plan::tests::model
	VEND_MODEL_CASES=$(N) $(CARGO) test --locked --test it model::

fuzz: SECONDS = 60
fuzz: ## Every reader of what others write, with libFuzzer: make fuzz SECONDS=600 NAMES="yaml comment"
	scripts/fuzz $(SECONDS) $(NAMES)

bench: ## How long things take, single functions and whole processes: make bench N=1000,10000
	$(CARGO) bench --locked
	$(CARGO) build --release --locked
	scripts/bench --n $(N)

fmt:
	$(CARGO) fmt

lint:
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets --locked -- -D warnings

deny: $(DENY) ## Bans, licences and sources of every crate in the tree
	$(DENY) --locked check bans licenses sources

advisories: $(DENY) ## Known holes in the crates; needs a network
	$(DENY) --locked check advisories

# Without optimisation and without its TLS stack it takes a minute of one core instead of several:
# it runs for a second, and bans, licences and sources need no network. A folder per version, so
# that a new version is installed and an old checkout finds its own.
$(DENY):
	CARGO_PROFILE_DEV_DEBUG=0 CARGO_INCREMENTAL=0 CARGO_TARGET_DIR=$(CURDIR)/.tools/build \
		$(CARGO) install --quiet --debug --locked --no-default-features \
		--root $(CURDIR)/.tools/cargo-deny-$(DENY_VERSION) --version =$(DENY_VERSION) cargo-deny
	rm -rf .tools/build

clean-tools:
	rm -rf .tools
