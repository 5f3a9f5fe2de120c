# make help lists the targets.
export CGO_ENABLED = 0
GO       ?= go
FUZZTIME ?= 30s
PREFIX   ?= /usr/local
TOOL      = $(GO) tool -modfile=internal/tools/go.mod

.PHONY: all build demo test race lint vet fuzz torture bench install clean help

all: build lint test ## build, lint and test

build: ## build bin/mqd and bin/mqctl
	$(GO) build -trimpath -o bin/ ./cmd/mqd ./cmd/mqctl

demo: build ## show the main job on real input, with nothing to set up
	$(GO) run ./internal/demo -bin bin

test: ## run all tests; each does its own set-up, what had to be skipped is listed at the end
	$(GO) run ./internal/testrun -timeout 10m ./...

race: ## run the tests with the race detector, which needs cgo
	CGO_ENABLED=1 $(GO) test -race -short -timeout 10m ./batcher ./client ./mq ./internal/control ./internal/daemon ./internal/forward ./internal/spool

vet: ## go vet and gofmt
	$(GO) vet ./...
	@test -z "$$(gofmt -l batcher client cmd internal mq)" || { gofmt -l batcher client cmd internal mq; exit 1; }

lint: vet ## vet and golangci-lint, which is pinned in internal/tools
	$(TOOL) golangci-lint run

fuzz: ## fuzz every decoder for FUZZTIME each
	@for p in $$($(GO) list ./...); do for f in $$($(GO) test -list '^Fuzz' $$p | grep '^Fuzz'); do \
		echo "$$p $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) $$p || exit 1; done; done

torture: build ## kill the daemon at random under load, for a long time
	MQD_TORTURE=1 $(GO) test -count=1 -timeout 2h -run 'Kill' -v ./internal/e2e

bench: build ## measure mqd against the raw kernel queue, and write docs/benchmarks.md
	$(GO) run ./internal/bench -bin bin -write docs/benchmarks.md

install: build ## install into PREFIX (/usr/local)
	install -d $(DESTDIR)$(PREFIX)/bin
	install -m 0755 bin/mqd bin/mqctl $(DESTDIR)$(PREFIX)/bin/

clean: ## remove what build made
	rm -rf bin

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
