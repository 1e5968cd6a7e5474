package disklog

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/internal/vfs"
	"github.com/parleyhq/parley/internal/watch"
)

// Log is a parley.Log in a directory, with all abilities.
type Log struct {
	fs       vfs.FS
	opts     Options
	opened   time.Time
	core     atomic.Pointer[core]
	waits    waits
	files    *files
	counters counters
	lock     io.Closer

	mu    sync.Mutex
	ran   bool // Run was called, or Close
	done  chan struct{}
	close sync.Once
}

var _ interface {
	parley.Log
	parley.Lister
	parley.Remover
	parley.Statter
	parley.Backer
	parley.Timer
	parley.Rewriter
	parley.Runner
} = (*Log)(nil)

// Open takes the directory for this process and recovers what is there; an
// empty or missing one becomes a new log. What was cut, repaired or quarantined
// is said to the Logger. The caller then calls Run, or Close.
//
// Errors: Unavailable when another process has the directory, Unsupported for a
// newer format, Damaged when nothing can be made of the meta files.
func Open(fsys vfs.FS, o Options) (*Log, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	for _, dir := range []string{".", "wal", "seg"} {
		if err := fsys.MkdirAll(dir); err != nil {
			return nil, err
		}
	}
	lock, err := fsys.Lock(lockName)
	if errors.Is(err, vfs.ErrLocked) {
		return nil, &parley.Error{Code: parley.Unavailable, Detail: "the log directory is in use", Fix: "stop the other process, or use another directory", Err: err}
	}
	if err != nil {
		return nil, err
	}
	l := &Log{fs: fsys, opts: o, opened: time.Now(), lock: lock, done: make(chan struct{}), files: newFiles(fsys, o.OpenFiles)}
	l.waits.of = make(map[parley.Stream]*watch.List[parley.Position])
	c, err := l.recover(nil)
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	l.core.Store(c)
	return l, nil
}

// since is the time since the log was opened, on a clock that never jumps.
func (l *Log) since() time.Duration { return time.Since(l.opened) }

// Run writes, flushes and lays out segments until ctx ends; then it finishes
// what was begun, flushes and closes the log. When the disk fails it recovers
// from what is there, as often as need be. It may be called once.
func (l *Log) Run(ctx context.Context) error {
	l.mu.Lock()
	if l.ran {
		l.mu.Unlock()
		return errClosed
	}
	l.ran = true
	l.mu.Unlock()
	for {
		c := l.core.Load()
		failed := c.run(ctx)
		if !failed {
			return l.shut(c)
		}
		if !l.recoverLater(ctx, c) {
			return l.shut(c)
		}
	}
}

// recoverLater recovers, trying until it works or ctx ends.
func (l *Log) recoverLater(ctx context.Context, c *core) bool {
	retry := time.NewTicker(slowSync)
	defer retry.Stop()
	c.maint <- struct{}{} // for good: nobody changes files under the recovery, or after it
	for {
		c.closeFiles()
		next, err := l.recover(c)
		if err == nil {
			l.core.Store(next)
			l.waits.wakeAll()
			return true
		}
		l.opts.Logger.Error("the log cannot be recovered yet", slog.Any("error", err))
		select {
		case <-retry.C:
		case <-ctx.Done():
			return false
		}
	}
}

// Close closes a log that is not run. After Run it does nothing.
func (l *Log) Close() error {
	l.mu.Lock()
	if l.ran {
		l.mu.Unlock()
		return nil
	}
	l.ran = true
	l.mu.Unlock()
	return l.shut(l.core.Load())
}

// shut is the end: of a core that did not fail it saves that all is there.
func (l *Log) shut(c *core) (err error) {
	l.close.Do(func() {
		c.mu.Lock()
		failed := c.phase == broken
		c.phase = closed
		c.change()
		c.mu.Unlock()
		if !failed {
			c.maint <- struct{}{}
			err = c.saveClean()
			defer c.release()
		}
		close(l.done)
		c.closeFiles()
		l.files.closeAll()
		err = errors.Join(err, l.lock.Close())
	})
	return err
}

func (c *core) closeFiles() {
	c.pub.Lock()
	defer c.pub.Unlock()
	all := append(append([]*walFile(nil), c.sealed...), c.free...)
	c.mu.Lock()
	all = append(all, c.file, c.next)
	c.file, c.next, c.free, c.sealed = nil, nil, nil, nil
	c.mu.Unlock()
	for _, f := range all {
		if f != nil && f.f != nil {
			_ = f.f.Close() // what matters was flushed
		}
	}
}

// run runs a core's goroutines until ctx ends or the disk fails.
func (c *core) run(ctx context.Context) (failed bool) {
	inner, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	c.setPhase(running)
	var background, writer, flusher sync.WaitGroup
	writerDone := make(chan struct{})
	background.Go(func() { c.preparer(inner) })
	background.Go(func() { c.layer(inner) })
	background.Go(func() { c.watchdog(inner) })
	writer.Go(func() { c.write(ctx); close(writerDone) })
	flusher.Go(func() { c.flusher(writerDone) })
	writer.Wait()
	flusher.Wait()
	stop()
	background.Wait()
	c.mu.Lock()
	failed, cause := c.phase == broken, c.cause
	c.mu.Unlock()
	c.unknown(cause, c.flush.take())
	return failed
}

// watchdog speaks up while a flush takes too long.
func (c *core) watchdog(ctx context.Context) {
	tick := time.NewTicker(slowSync)
	defer tick.Stop()
	var told int64
	for {
		select {
		case <-tick.C:
			since := c.flush.syncing.Load()
			if took := c.log.since() - time.Duration(since); since != 0 && since != told && took > slowSync {
				told = since
				c.log.opts.Logger.Warn("the disk is slow to flush", slog.Duration("so_far", took), slog.Duration("refusing_after", stalledSync))
			}
		case <-ctx.Done():
			return
		}
	}
}

// checkPlace is what every call begins with: an ended context is answered
// before anything else, so that cancelling is seen even where nothing waits.
func checkPlace(ctx context.Context, at parley.Place) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return at.Check()
}
