// Package parleyv1 is the generated code of the gRPC API, version 1. The .proto
// files beside it are its documentation; ../../generate.sh makes the rest of them.
package parleyv1
