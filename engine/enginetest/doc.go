// Package enginetest is the contract of parley.Log as a test suite: every
// promise of the interface is a case, and a case that fails prints the promise
// as its rule. An engine passes it from a test of its own:
//
//	func TestEngine(t *testing.T) {
//		enginetest.Run(t, func(t *testing.T) parley.Log { return memlog.New(memlog.Options{}) })
//	}
//
// An engine that keeps its data gives a Suite with Reopen instead. What the
// engine can beyond parley.Log is found by type assertion and tested too; an
// engine that is a parley.Runner is run while its cases run; a call may come
// before its Run has begun.
//
// The suite assumes no more than the contract: positions may start anywhere and
// leave gaps, a Read may return less than would fit, Trim may keep up to
// Suite.Grain bytes too many, and any call may take as long as Suite.Patience.
package enginetest
