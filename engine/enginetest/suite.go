package enginetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/parleyhq/parley"
)

// Suite is the suite with its settings. The zero value suits an engine that
// keeps nothing.
type Suite struct {
	// Reopen closes a log and opens another on the same data, as a restart does.
	// An engine's Run has returned before. nil: the engine keeps nothing.
	Reopen func(t *testing.T, log parley.Log) parley.Log
	// Patience is how long one case may take. Default: 30 s.
	Patience time.Duration
	// Grain is how many bytes of a stream Trim and Rewrite may leave alone, a
	// segment or two: the suite appends so many before it calls them broken.
	// Default: 8 MiB.
	Grain int
	// Rounds is how often the cases about races try. Default: 200.
	Rounds int
}

// Run runs the suite with its default settings; see Suite.Run.
func Run(t *testing.T, open func(t *testing.T) parley.Log) { Suite{}.Run(t, open) }

// Run holds an engine to its contract. open makes an empty log, and is called
// once for each case; what it opens it closes with t.Cleanup.
func (s Suite) Run(t *testing.T, open func(t *testing.T) parley.Log) {
	if s.Patience <= 0 {
		s.Patience = 30 * time.Second
	}
	if s.Grain <= 0 {
		s.Grain = 8 << 20
	}
	if s.Rounds <= 0 {
		s.Rounds = 200
	}
	var able []ability
	t.Run("Abilities", func(t *testing.T) {
		log := open(t)
		for _, a := range abilities {
			if a.has(log) {
				able = append(able, a)
			} else {
				t.Logf("%s: the engine has it not", a.name)
			}
		}
	})
	for _, checks := range [][]check{appendChecks, compareChecks, onceChecks, orderChecks, readChecks, runChecks, waitChecks, trimChecks, limitChecks, contextChecks} {
		s.each(t, open, checks)
	}
	for _, a := range able {
		t.Run(a.name, func(t *testing.T) { s.each(t, open, a.checks) })
	}
	if s.Reopen != nil {
		t.Run("Reopen", func(t *testing.T) { s.each(t, open, reopenChecks(able)) })
	}
}

// check is one promise.
type check struct {
	name string
	rule string // the promise, for whoever sees the case fail
	run  func(e *env)
}

// ability is one of the interfaces that an engine may have.
type ability struct {
	name   string
	has    func(parley.Log) bool
	checks []check
}

var abilities = []ability{
	{"Lister", is[parley.Lister], listerChecks},
	{"Remover", is[parley.Remover], removerChecks},
	{"Statter", is[parley.Statter], statterChecks},
	{"Backer", is[parley.Backer], backerChecks},
	{"Timer", is[parley.Timer], timerChecks},
	{"Rewriter", is[parley.Rewriter], rewriterChecks},
	{"Runner", is[parley.Runner], runnerChecks},
}

func is[T any](log parley.Log) bool {
	_, ok := log.(T)
	return ok
}

func (s Suite) each(t *testing.T, open func(t *testing.T) parley.Log, checks []check) {
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) {
			defer func() {
				if t.Failed() {
					t.Logf("rule: %s", c.rule)
				}
			}()
			ctx, cancel := context.WithTimeout(t.Context(), s.Patience)
			defer cancel()
			e := &env{T: t, suite: s, ctx: ctx}
			e.start(open(t))
			t.Cleanup(func() { e.halt() }) // as it is by then
			c.run(e)
		})
	}
}

// env is what a case works with: a log of its own, and how to use it shortly.
type env struct {
	*testing.T
	suite Suite
	ctx   context.Context //nolint:containedctx // ends with the suite's patience
	log   parley.Log
	halt  func() // ends the engine's Run, if it has one; may be called again
}

// start takes a log and runs it, if it wants to be run.
func (e *env) start(log parley.Log) {
	e.log, e.halt = log, func() {}
	runner, ok := log.(parley.Runner)
	if !ok {
		return
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(e.ctx))
	done := make(chan error, 1)
	go func() { done <- runner.Run(ctx) }()
	e.halt = func() {
		e.halt = func() {}
		cancel()
		e.within("Run after its context ended", func() error {
			if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
				return err
			}
			return nil
		})
	}
}

// reopen does what a restart does.
func (e *env) reopen() {
	e.Helper()
	e.halt()
	e.start(e.suite.Reopen(e.T, e.log))
}

// within fails if f fails or does not return within the suite's patience, even
// if f heeds no context.
func (e *env) within(what string, f func() error) {
	e.Helper()
	done := make(chan error, 1)
	go func() { done <- f() }()
	late := time.NewTimer(e.suite.Patience)
	defer late.Stop()
	select {
	case err := <-done:
		if err != nil {
			e.Errorf("%s: %v", what, err)
		}
	case <-late.C:
		e.Errorf("%s: did not return within %s", what, e.suite.Patience)
	}
}

// together runs f(0) … f(n−1) at once and fails with their errors.
func (e *env) together(n int, f func(i int) error) {
	e.Helper()
	errs := make(chan error, n)
	for i := range n {
		go func() { errs <- f(i) }()
	}
	var all []error
	for range n {
		all = append(all, <-errs)
	}
	if err := errors.Join(all...); err != nil {
		e.Fatal(err)
	}
}
