package disklog

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/internal/vfs"
)

// retryAfter is how long what failed for want of space, or otherwise, rests.
const retryAfter = 200 * time.Millisecond

// keepFree is how many log files are kept to be used again.
const keepFree = 2

const (
	// The next log file is made when this part of the present one is used: a log
	// that is only opened fills none.
	prepareAt = 16
	// firstBytes is the size of the first log file, if none is there to be used
	// again: the one behind it can be filled.
	firstBytes = 4 << 20
	// fillPiece is flushed at once while a log file is filled: more would make the
	// flushes of those who append wait.
	fillPiece = 1 << 20
)

func walName(gen uint64) string { return fmt.Sprintf("wal/%016x.wal", gen) }

// preparer has the next log file ready before it is needed.
func (c *core) preparer(ctx context.Context) {
	retry := time.NewTicker(retryAfter)
	defer retry.Stop()
	poke(c.hungry)
	for {
		var again <-chan time.Time
		if c.isStuck() {
			again = retry.C
		}
		select {
		case <-c.hungry:
		case <-again:
		case <-ctx.Done():
			return
		}
		want, gen, ok := c.needsNext()
		if !ok {
			continue
		}
		f, err := c.makeNext(ctx, want, gen)
		c.setNext(f, err)
	}
}

func (c *core) isStuck() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stuck != nil
}

// needsNext tells the size of the file that is wanted now, and its generation.
// Log files that wait for their segments are a backlog: none is added to it.
func (c *core) needsNext() (want int64, gen uint64, ok bool) {
	c.pub.Lock()
	backlog := len(c.sealed)
	c.pub.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	want = max(c.want, c.log.opts.LogBytes)
	if c.file.size == 0 {
		want = max(c.want, min(firstBytes, c.log.opts.LogBytes))
	}
	if backlog >= maxBacklog || c.phase == closed || !c.nearEnd() || c.next != nil && c.next.size >= want {
		return 0, 0, false
	}
	c.gen++
	return want, c.gen, true
}

// nearEnd says that another log file may soon be needed. The caller holds mu.
func (c *core) nearEnd() bool { return c.awaited() || c.off >= c.file.size/prepareAt }

// awaited says that nothing goes on without another log file. The caller holds
// mu.
func (c *core) awaited() bool { return c.want > 0 || c.file.size == 0 }

func (c *core) setNext(f *walFile, err error) {
	c.mu.Lock()
	was := c.stuck
	var small *walFile
	switch {
	case err == nil:
		small, c.next, c.stuck = c.next, f, nil
	case vfs.IsFull(err):
		c.stuck = errFull()
	default:
		c.stuck = unavailable("no log file can be made: " + err.Error())
	}
	c.change()
	c.mu.Unlock()
	if small != nil { // prepared, but an Append needs a larger one
		c.giveUp(small)
	}
	switch {
	case err != nil && was == nil:
		c.log.opts.Logger.Error("no log file can be made; appends are refused", slog.Any("error", err))
	case err == nil && was != nil:
		c.log.opts.Logger.Info("appends are taken again")
	}
}

// makeNext prepares a log file: one that is free, under a new name, or a new
// one. Its name is durable before any group is written to it, and its blocks are
// reserved, so that writing never lacks space.
func (c *core) makeNext(ctx context.Context, want int64, gen uint64) (*walFile, error) {
	fsys := c.log.fs
	need := c.log.opts.Reserve
	old := c.takeFree(want)
	if old == nil {
		need += want
	}
	if left, err := vfs.Free(fsys); err == nil && left < need {
		if old != nil {
			c.giveUp(old)
		}
		return nil, fmt.Errorf("%d bytes left, %d are kept: %w", left, need, vfs.ErrFull)
	}
	mode := vfs.New
	if old != nil {
		_ = old.f.Close() // nothing in it is needed
		if err := fsys.Rename(walName(old.gen), walName(gen)); err != nil {
			return nil, err
		}
		mode = vfs.Write
	}
	f, err := fsys.Open(walName(gen), mode)
	if err != nil {
		return nil, err
	}
	if old == nil {
		if err = f.Preallocate(want); err == nil {
			err = f.Sync()
		}
	} else {
		want = old.size
	}
	if err == nil {
		err = fsys.SyncDir("wal")
	}
	if err == nil && old == nil {
		err = c.fill(ctx, f, want)
	}
	if err != nil {
		_ = f.Close()
		_ = fsys.Remove(walName(gen))
		return nil, err
	}
	return newWALFile(gen, f, want), nil
}

// fill writes zeros to a new log file, as far as it gets before somebody waits
// for the file. Blocks that are reserved only are marked as never written, and a
// flush of the first bytes in them has to make it durable that they are: it takes
// twice as long as one of blocks that were written before.
func (c *core) fill(ctx context.Context, f vfs.File, size int64) error {
	zeros := make([]byte, min(fillPiece, size))
	for at := int64(0); at < size && ctx.Err() == nil; at += int64(len(zeros)) {
		c.mu.Lock()
		awaited := c.awaited()
		c.mu.Unlock()
		if awaited {
			return nil
		}
		_, err := f.WriteAt(zeros[:min(int64(len(zeros)), size-at)], at)
		if err == nil {
			err = f.Sync()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *core) takeFree(want int64) *walFile {
	c.pub.Lock()
	defer c.pub.Unlock()
	for i, f := range c.free {
		if f.size >= want {
			c.free = append(c.free[:i:i], c.free[i+1:]...)
			return f
		}
	}
	return nil
}

// giveUp keeps a log file to be used again, or removes it.
func (c *core) giveUp(f *walFile) {
	c.pub.Lock()
	keep := len(c.free) < keepFree && f.size == c.log.opts.LogBytes
	if keep {
		c.free = append(c.free, f)
	}
	c.pub.Unlock()
	if keep {
		return
	}
	_ = f.f.Close()
	if err := c.log.fs.Remove(walName(f.gen)); err != nil {
		c.log.opts.Logger.Warn("a log file that is not needed cannot be removed", slog.Any("error", err))
	}
}

// settle waits until all that was decided before lies in segments.
func (c *core) settle(ctx context.Context) error {
	gen, err := c.forceRotate(ctx)
	if err != nil {
		return err
	}
	for {
		c.pub.Lock()
		done, ch := c.laid >= gen, c.layDone
		c.pub.Unlock()
		if done {
			return nil
		}
		select {
		case <-ch:
		case <-c.failed:
			return unavailable("the disk failed")
		case <-c.log.done:
			return errClosed
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// forceRotate goes on in a new log file and gives the generation of the last
// one that something was decided in before.
func (c *core) forceRotate(ctx context.Context) (uint64, error) {
	for {
		c.mu.Lock()
		wait, err := c.usable()
		if wait == nil && err == nil {
			gen := c.file.gen
			switch {
			case c.end() == 0: // nothing was decided since the recovery
				c.mu.Unlock()
				return c.adopted, nil
			case c.next != nil:
				c.rotate()
				c.begin().needSync = true // what lets the flusher see that the old one is whole
				poke(c.kick)
				c.mu.Unlock()
				return gen, nil
			case c.stuck != nil:
				err = c.stuck
			default:
				c.want = max(c.want, 1)
				poke(c.hungry)
				wait = c.later()
			}
		}
		c.mu.Unlock()
		if err != nil {
			return 0, err
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// control places one frame that is no batch, at level Fsync, and waits for it.
func (l *Log) control(ctx context.Context, s parley.Stream, kind byte, build func(c *core, st *stream) (op, bool)) error {
	for {
		c := l.core.Load()
		c.mu.Lock()
		wait, err := c.usable()
		var t ticket
		if wait == nil && err == nil {
			wait, err = c.placeControl(s, kind, build, &t)
		}
		c.mu.Unlock()
		if err != nil {
			return err
		}
		if wait == nil {
			_, err := t.result(ctx, &job{})
			return err
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// placeControl places the frame that build makes, if it makes one. The caller
// holds mu.
func (c *core) placeControl(s parley.Stream, kind byte, build func(c *core, st *stream) (op, bool), t *ticket) (<-chan struct{}, error) {
	st := c.byName[s]
	if st == nil {
		return nil, nil
	}
	g, wait, err := c.room(frameHeader+8, 1, true)
	if g == nil {
		return wait, err
	}
	o, ok := build(c, st)
	if ok {
		o.st, o.kind, o.level = st, kind, Fsync
		putFrame(o.frame, kind, 0, st.number)
		c.put(g, o)
		*t = ticket{on: g.fate.durable, sent: true}
	}
	g.needSync = true
	poke(c.kick)
	return nil, nil
}
