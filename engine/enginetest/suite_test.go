package enginetest_test

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/engine/enginetest"
	"github.com/parleyhq/parley/engine/memlog"
)

// bare hides all abilities.
type bare struct{ parley.Log }

// running has work of its own, as an engine on disk has.
type running struct {
	*memlog.Log
	begun, ended *atomic.Int64
}

func (r running) Run(ctx context.Context) error {
	r.begun.Add(1)
	<-ctx.Done()
	r.ended.Add(1)
	return ctx.Err()
}

// The suite needs nothing beyond parley.Log.
func TestWithoutAbilities(t *testing.T) {
	enginetest.Suite{Rounds: 20}.Run(t, func(*testing.T) parley.Log { return bare{memlog.New(memlog.Options{})} })
}

// An engine's Run runs while its cases run, and has returned before the log is
// opened anew or the case is over. The cases about restarts must hold all the
// more for a log that only takes a pause.
func TestRunnerAndReopen(t *testing.T) {
	var begun, ended, reopened atomic.Int64
	suite := enginetest.Suite{Rounds: 20, Reopen: func(t *testing.T, log parley.Log) parley.Log {
		if b, e := begun.Load(), ended.Load(); b != e {
			t.Errorf("%d runs began, %d ended before reopening", b, e)
		}
		reopened.Add(1)
		return log
	}}
	opened := 0
	t.Run("Suite", func(t *testing.T) {
		suite.Run(t, func(t *testing.T) parley.Log {
			opened++
			t.Cleanup(func() {
				if b, e := begun.Load(), ended.Load(); b != e {
					t.Errorf("%d runs began, %d ended before the case was over", b, e)
				}
			})
			return running{memlog.New(memlog.Options{}), &begun, &ended}
		})
	})
	// One log is opened only to see what it can.
	if want := int64(opened) - 1 + reopened.Load(); begun.Load() != want || reopened.Load() == 0 {
		t.Errorf("%d runs for %d logs, of which %d were reopened", begun.Load(), opened, reopened.Load())
	}
}
