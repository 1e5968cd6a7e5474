package disklog

import (
	"context"
	"log/slog"
	"os"
	"testing"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/engine/enginetest"
	"github.com/parleyhq/parley/internal/vfs"
)

// quiet is for tests that provoke what operators are told of.
var quiet = slog.New(slog.DiscardHandler)

// small makes files small, so that a few batches fill them.
func small() Options {
	return Options{LogBytes: 256 << 10, SegmentBytes: 256 << 10, GroupBytes: 64 << 10, Logger: quiet}
}

func open(t *testing.T, fsys vfs.FS, o Options) *Log {
	t.Helper()
	l, err := Open(fsys, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func TestEngine(t *testing.T) {
	for name, over := range map[string]struct {
		rounds int
		made   func(t *testing.T) vfs.FS
	}{
		"memory":    {40, func(*testing.T) vfs.FS { return vfs.NewMem() }},
		"directory": {20, func(t *testing.T) vfs.FS { return vfs.OS(quickDir(t)) }},
	} {
		t.Run(name, func(t *testing.T) {
			suite := enginetest.Suite{Rounds: over.rounds, Grain: 2 << 20, Reopen: func(t *testing.T, log parley.Log) parley.Log {
				l, err := Open(log.(*Log).fs, small()) // the suite runs it, and Run closes it
				if err != nil {
					t.Fatal(err)
				}
				return l
			}}
			suite.Run(t, func(t *testing.T) parley.Log { return open(t, over.made(t), small()) })
		})
	}
}

// quickDir is a directory of the real file system, in memory where there is such
// a one: the suite is about the calls, and a thousand flushes of a busy disk
// take their time.
func quickDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "disklog") //nolint:usetesting // it is to be in memory
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// run runs a log for the time of a test, and gives how to stop it before.
func run(t *testing.T, l *Log) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		<-done
	}
	t.Cleanup(stop)
	return stop
}
