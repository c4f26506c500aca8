# Greenlane. `make` alone lists what there is. Everything needs only Go, git, a C
# compiler (for the race detector), redis-server for the tests and, the first
# time, a network for Go modules.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Each set of tools is a module of its own, so that the product's go.mod stays small.
TOOL := go tool -modfile=internal/tools
LINT := $(TOOL)/golangci/go.mod golangci-lint
BUF := $(TOOL)/buf/go.mod buf

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS := -X greenlane/internal/app.Version=$(VERSION) -X main.version=$(VERSION)
# The version is stamped above, so the build does not ask git a second time.
BUILD := go build -trimpath -buildvcs=false -ldflags '$(LDFLAGS)'

ARGS ?=
TESTFLAGS ?= -timeout 20m
FUZZTIME ?= 10s
# How many times the crash test kills the daemon.
GREENLANE_CRASH_KILLS ?= 50
export GREENLANE_CRASH_KILLS

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## build bin/greenlaned and bin/greenlane
	$(BUILD) -o bin/greenlaned ./cmd/greenlaned
	$(BUILD) -o bin/greenlane ./cmd/greenlane

.PHONY: run
run: build ## run the daemon here (ARGS="--listen 127.0.0.1:7000")
	bin/greenlaned $(ARGS)

.PHONY: demo
demo: build ## a daemon and a synthetic day of calls, in one live screen
	bin/greenlane demo $(ARGS)

.PHONY: test
test: need ## every test, the crash test with GREENLANE_CRASH_KILLS kills included
	go test $(TESTFLAGS) ./...

.PHONY: need
need: ## install the servers that tests start, or say what is missing
	@.ci/need redis-server=redis-server redis-sentinel=redis-sentinel

.PHONY: check
check: tidy vet lint proto race ## everything a change must pass, but for the long tests

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
race: need ## the tests under the race detector, without the long ones
	CGO_ENABLED=1 go test -race -short $(TESTFLAGS) ./...

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

.PHONY: fmt
fmt: ## format the Go code as `make lint` wants it
	$(LINT) fmt

.PHONY: clean
clean: ## remove what was built
	rm -rf bin
