# Greenlane. `make` alone lists what there is. Everything needs only Go, git, a C
# compiler (for the race detector), redis-server for the tests and, the first
# time, a network for Go modules.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# The Go that everything is built with is pinned, too: it comes from the module
# proxy, and a fix of the standard library is a change of this repository.
# `make GOTOOLCHAIN=local` takes the Go that is installed.
export GOTOOLCHAIN := $(shell sed -n 's/^toolchain //p' go.mod)

# Each set of tools is a module of its own, so that the product's go.mod stays small.
TOOL := go tool -modfile=internal/tools
LINT := $(TOOL)/golangci/go.mod golangci-lint
BUF := $(TOOL)/buf/go.mod buf

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS := -X greenlane/internal/app.Version=$(VERSION) -X main.version=$(VERSION)
# The version is stamped above, so the build does not ask git a second time.
# A profile tells the compiler what is hot in the daemon (a tenth of its time); it
# takes the build a minute more, once. PGO=off leaves it out.
PGO ?= auto
BUILD = go build -pgo=$(PGO) -trimpath -buildvcs=false -ldflags '$(LDFLAGS)'

# What some tests run beside the daemon: PACKAGE/COMMAND of Debian.
NEEDS := redis-server/redis-server redis-sentinel/redis-sentinel prometheus/promtool prometheus/prometheus

ARGS ?=
TESTFLAGS ?= -timeout 20m
# RERUN=1, as CI does: a test that failed is run once more, alone, and counts as
# failed when it fails again. Neither a data race nor many failures are forgiven.
RERUN ?=
GOTESTSUM := $(TOOL)/gotestsum/go.mod gotestsum --format pkgname-and-test-fails --format-icons text --no-color \
	--rerun-fails=1 --rerun-fails-max-failures=5 --rerun-fails-abort-on-data-race
tests = $(if $(RERUN),$(GOTESTSUM) --packages ./... -- $(1),go test $(1) ./...)
FUZZTIME ?= 10s
# How many times the crash test kills the daemon.
GREENLANE_CRASH_KILLS ?= 50
export GREENLANE_CRASH_KILLS

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## build bin/greenlaned and bin/greenlane
	$(BUILD) -o bin/greenlaned ./cmd/greenlaned
	$(BUILD) -o bin/greenlane ./cmd/greenlane

.PHONY: run
run: build ## run the daemon here (ARGS="--listen 127.0.0.1:7000")
	bin/greenlaned $(ARGS)

.PHONY: profile
profile: ## measure what is hot in the daemon, for the compiler: cmd/greenlaned/default.pgo
	go run ./internal/bench -only throughput,offer -profile cmd/greenlaned/default.pgo

.PHONY: demo
demo: PGO = off
demo: build ## a daemon and a synthetic day of calls, in one live screen
	bin/greenlane demo $(ARGS)

.PHONY: test
test: ## every test: installs what they need, or says in one line what is missing
	@.ci/need $(NEEDS) || true
	@.ci/browser || true
	$(call tests,$(TESTFLAGS))

.PHONY: browser
browser: ## install what the browser tests need: node, Chromium, their modules
	.ci/browser

.PHONY: check
check: tidy vet lint proto dashboards-check supply race ## everything a change must pass, but for the long tests

.PHONY: needs
needs: ## install what some tests run beside the daemon, or fail and say what is missing
	@.ci/need $(NEEDS)

.PHONY: tidy
tidy: ## fail if go.mod or go.sum is not what the imports ask for
	go mod tidy -diff

.PHONY: vet
vet: ## go vet
	go vet ./...

.PHONY: lint
lint: ## fail on wrong formatting and on what the linters find, the walls included
	$(LINT) fmt --diff
	$(LINT) run ./...

.PHONY: proto
proto: ## lint the API and fail if its generated code is not up to date
	$(BUF) lint proto
	$(BUF) format --diff --exit-code proto
	.ci/generated

.PHONY: race
race: ## the tests under the race detector, without the long ones
	CGO_ENABLED=1 $(call tests,-race -short $(TESTFLAGS))

.PHONY: bench
bench: ## measure, and print the figures as a table (ARGS="...")
	go run ./internal/bench $(ARGS)

.PHONY: fuzz
fuzz: ## run every fuzz target for FUZZTIME each
	@go test -list '^Fuzz' ./... \
	| awk '/^Fuzz/ { names[++n] = $$1 } /^ok/ { for (i = 1; i <= n; i++) print $$2, names[i]; n = 0 }' \
	| while read -r package name; do \
		echo "$$package $$name"; \
		go test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) "$$package" </dev/null; \
	done

.PHONY: generate
generate: ## generate the Go code of the API
	$(BUF) format --write proto
	$(BUF) generate proto --template proto/buf.gen.yaml --output proto

# -C is relative to the top, -dir to the program's own directory.
DASHBOARDS := go run -C internal/tools/dashboards . -dir ../../../deploy/grafana

.PHONY: dashboards
dashboards: ## write the Grafana dashboards, after a change to internal/tools/dashboards
	$(DASHBOARDS)

.PHONY: dashboards-check
dashboards-check: ## fail if the dashboards are not what their program writes
	$(DASHBOARDS) -check

.PHONY: cli-docs
cli-docs: ## write docs/cli.md from the commands of the operator's tool
	go test ./cmd/greenlane -run '^TestReference$$' -update

.PHONY: supply
supply: vulns licenses ## fail on known vulnerabilities that are reached, and on licences that are not allowed

.PHONY: vulns
vulns: ## fail on known vulnerabilities of Go and of modules that the code reaches
	.ci/vulns

.PHONY: vulndb
vulndb: ## raise the pinned database of vulnerabilities to the newest
	cd internal/tools/vulndb && go get golang.org/x/vulndb@latest

.PHONY: licenses
licenses: ## fail on a dependency whose licence is not allowed (ARGS=-list shows all)
	go run -C internal/tools/licenses . $(ARGS)

# Nothing in it depends on when or where it is made: the same binaries, the same file.
.PHONY: sbom
sbom: build ## the bill of materials of both binaries, CycloneDX JSON in bin/
	for name in greenlaned greenlane; do \
		$(TOOL)/sbom/go.mod cyclonedx-gomod bin -json -licenses -std -noserial -notimestamp \
			-version "$(VERSION)" -output bin/$$name.cdx.json bin/$$name; \
	done

.PHONY: fmt
fmt: ## format the Go code as `make lint` wants it
	$(LINT) fmt

.PHONY: clean
clean: ## remove what was built
	rm -rf bin
