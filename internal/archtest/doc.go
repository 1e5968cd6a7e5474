// Package archtest holds the architecture: who may import whom, what third-party
// code and which parts of the standard library a package may use, and the shape
// of the tree. It is tests only. The table in policy_test.go is the
// documentation and the law at once; ARCHITECTURE.md tells the story behind it.
package archtest
