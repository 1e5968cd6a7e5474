package main

import "testing"

// The engine's own failure is told from a target's.
func TestEndOfTime(t *testing.T) {
	const deadline = "fuzz: elapsed: 3s, execs: 21794 (0/sec), new interesting: 16 (total: 99)\n--- FAIL: FuzzCommit (3.02s)\n    context deadline exceeded\nFAIL\nexit status 1\n"
	if !endOfTime(deadline) {
		t.Error("the engine's deadline was taken for a failure of the target")
	}
	for _, out := range []string{
		"--- FAIL: FuzzCommit (0.03s)\n    --- FAIL: FuzzCommit (0.00s)\n        commit_test.go:9: context deadline exceeded\nFAIL\n",
		"--- FAIL: FuzzCommit (3.02s)\n    context deadline exceeded\n\n    Failing input written to testdata/fuzz/FuzzCommit/1\nFAIL\n",
	} {
		if endOfTime(out) {
			t.Errorf("a failure of the target was passed over: %q", out)
		}
	}
}
