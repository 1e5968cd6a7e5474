#!/bin/sh
# Generates the Go code of the .proto files next to it. Needs protoc 3.21 or later
# with the well-known types (Debian: protobuf-compiler, libprotobuf-dev); the
# plug-ins are built at the versions below, so that everybody's output is the same.
set -eu
cd "$(dirname "$0")"
bin=$(mktemp -d)
trap 'rm -rf "$bin"' EXIT
GOBIN=$bin go install google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.12
GOBIN=$bin go install google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.2
PATH="$bin:$PATH" protoc -I . \
	--go_out=. --go_opt=paths=source_relative \
	--go-grpc_out=. --go-grpc_opt=paths=source_relative \
	parley/v1/*.proto
