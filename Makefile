# Everything that a change is held to. None of it needs a network, a service or
# a container.
GO   ?= go
TIME ?= 20s

.PHONY: build test check lint bench mutate fuzz generate console

build: ## the one binary
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/ ./cmd/...

test: ## every suite; arguments by `./test/all -h`
	./test/all

check: lint ## what runs before a commit
	$(GO) vet ./...
	test -z "$$(gofmt -l $$(git ls-files '*.go'))"
	$(GO) test -race -shuffle=on -timeout=300s ./...

lint: ## the few linters of .golangci.yml, each with its reason
	golangci-lint run
	golangci-lint fmt --diff

bench: ## compare with benchstat, ten runs or more, on a machine that does nothing else
	$(GO) test -run '^$$' -bench . -benchmem ./...

mutate: ## plants faults; each must be found by the test that is named for it
	cd test && $(GO) run ./mutate

fuzz: ## every fuzz target for $(TIME)
	./test/fuzz $(TIME)

generate: ## generated code and documents; a test fails when they are not current
	$(GO) generate ./...

console: ## what the browser gets, from console/ui; needs Node, and the npm registry once
	cd console/ui && npm ci && npm run check && npm test && npm run build
