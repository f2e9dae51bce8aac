# What a person types. `make test` is what CI runs; see CONTRIBUTING.md.

CARGO ?= cargo
N ?= 10000
DENY_VERSION := 0.20.2
DENY := .tools/cargo-deny-$(DENY_VERSION)/bin/cargo-deny
MDBOOK_VERSION := 0.5.4
MDBOOK := .tools/mdbook-$(MDBOOK_VERSION)/bin/mdbook
DEB_VERSION := 3.8.0
DEB := .tools/cargo-deb-$(DEB_VERSION)/bin/cargo-deb
CYCLONEDX_VERSION := 0.5.9
CYCLONEDX := .tools/cargo-cyclonedx-$(CYCLONEDX_VERSION)/bin/cargo-cyclonedx

.PHONY: demo demo-aws test crash model fuzz hostile soak bench docs package package-test release-check fmt lint deny deny-path advisories clean-tools

demo: ## The real job, on repositories in ./demo
	$(CARGO) run --quiet --locked -- demo demo

demo-aws: ## The sample requests against a local AWS API, in ./demo-aws
	$(CARGO) build --quiet --locked
	scripts/demo-aws target/debug/vend demo-aws

test: $(DENY) ## Everything that must hold before a change lands
	scripts/test

crash: N = 200
crash: ## Every point in every scenario, N ends at random moments, one of 10,000 that is wrong: make crash N=1000 VEND_SEED=7
	VEND_CRASH=$(N) $(CARGO) test --locked --test it -- crash::points isolation:: f09_ f21_ --nocapture --test-threads 4

model: N = 2000
model: ## Histories of files and faults against the reference: make model N=20000 VEND_MODEL_SEED=7
	VEND_MODEL_CASES=$(N) $(CARGO) test --locked --lib -- plan::tests::model --nocapture
	VEND_MODEL_CASES=$(N) $(CARGO) test --locked --test it -- model:: --nocapture

fuzz: SECONDS = 60
fuzz: ## Every reader of what others write, with libFuzzer: make fuzz SECONDS=600 NAMES="yaml comment"
	scripts/fuzz $(SECONDS) $(NAMES)

hostile: ## Every hostile input through the program as it is shipped: each run within 100 ms, in bounded memory
	$(CARGO) build --release --locked
	scripts/hostile

soak: MINUTES = 60
soak: SEED := $(shell date +%s)
soak: ## The daemon for an hour, with people, faults and kills, then the model for as long: make soak MINUTES=600 SEED=7
	$(CARGO) build --release --locked
	scripts/soak --minutes $(MINUTES) --seed $(SEED)
	VEND_MODEL_MINUTES=$(MINUTES) VEND_MODEL_SEED=$(SEED) $(CARGO) test --locked --test it -- model:: --nocapture

bench: ## How long things take, single functions and whole processes: make bench N=1000,10000
	$(CARGO) bench --locked
	$(CARGO) build --release --locked
	scripts/bench --n $(N)

docs: $(MDBOOK) ## The pages of docs/ as a site, in target/book
	scripts/docs $(MDBOOK)

package: $(DEB) $(CYCLONEDX) ## What a release has, in target/package: a Debian package, an archive, an SBOM, checksums
	PATH="$(CURDIR)/$(dir $(DEB)):$(CURDIR)/$(dir $(CYCLONEDX)):$$PATH" scripts/package

package-test: package ## Installs and removes the Debian package; as root in a container, for it is dpkg that does it
	scripts/package-test target/package

release-check: $(DEB) $(CYCLONEDX) ## Makes all of a release twice, in two folders, and compares it bit for bit; takes long
	PATH="$(CURDIR)/$(dir $(DEB)):$(CURDIR)/$(dir $(CYCLONEDX)):$$PATH" scripts/release-check

fmt:
	$(CARGO) fmt

lint:
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets --locked -- -D warnings

deny: $(DENY) ## Bans, licences and sources of every crate in the tree
	$(DENY) --locked check bans licenses sources

deny-path: $(DENY)
	@echo $(DENY)

advisories: $(DENY) ## Known holes in the crates; needs a network
	scripts/advisories $(DENY)

# Tools are built without optimisation: that takes a minute or two of one core instead of several, and each
# runs for seconds. A folder per version, so that a new version is installed and an old checkout finds its own.
define install
	CARGO_PROFILE_DEV_DEBUG=0 CARGO_INCREMENTAL=0 CARGO_TARGET_DIR=$(CURDIR)/.tools/build-$(1) \
		$(CARGO) install --quiet --debug --locked $(3) \
		--root $(CURDIR)/.tools/$(1)-$(2) --version =$(2) $(1)
	rm -rf .tools/build-$(1)
endef

# No TLS stack: bans, licences and sources need no network, and the list of holes is fetched by git.
$(DENY):
	$(call install,cargo-deny,$(DENY_VERSION),--no-default-features)

# No server of its own, which `make docs` does not start.
$(MDBOOK):
	$(call install,mdbook,$(MDBOOK_VERSION),--no-default-features --features search)

# It calls the system's xz instead of building one.
$(DEB):
	$(call install,cargo-deb,$(DEB_VERSION),--no-default-features)

$(CYCLONEDX):
	$(call install,cargo-cyclonedx,$(CYCLONEDX_VERSION),)

clean-tools:
	rm -rf .tools
