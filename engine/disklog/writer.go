package disklog

import (
	"context"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parleyhq/parley"
)

const (
	// After so long without work the writer notes in the log how far it has been
	// flushed, so that damage to the last groups can be told from a torn end.
	noteAfter = 50 * time.Millisecond
	// Groups that nobody waits for are flushed after so long.
	lazyFlush = 200 * time.Millisecond
)

// flushQueue is the groups that were written and not yet flushed.
type flushQueue struct {
	mu     sync.Mutex
	groups []*group
	kick   chan struct{}

	syncing atomic.Int64          // since when a flush is under way, in ns since the log was opened; 0 = none
	synced  atomic.Pointer[place] // up to where the log has been flushed
}

func (q *flushQueue) push(g *group) {
	q.mu.Lock()
	q.groups = append(q.groups, g)
	q.mu.Unlock()
	poke(q.kick)
}

func (q *flushQueue) take() []*group {
	q.mu.Lock()
	defer q.mu.Unlock()
	all := q.groups
	q.groups = nil
	return all
}

func (q *flushQueue) busy() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.groups) > 0
}

func (q *flushQueue) urgent() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.ContainsFunc(q.groups, func(g *group) bool { return g.needSync })
}

// take gives the writer its next group and room for the commit frame.
func (c *core) take() (g *group, tail []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase != running || len(c.queue) == 0 {
		return nil, nil
	}
	g = c.queue[0]
	c.queue = slices.Delete(c.queue, 0, 1)
	c.queued -= g.bytes
	if g.file == c.file {
		c.off = max(c.off, g.end())
	}
	if c.next == nil && c.nearEnd() {
		poke(c.hungry)
	}
	c.change()
	return g, c.arena.take(commitSize(len(g.ops)))
}

// write is the writer: it writes group after group and waits for no flush. It
// ends when ctx does and nothing is left, or when the disk fails.
func (c *core) write(ctx context.Context) {
	note := time.NewTimer(noteAfter)
	defer note.Stop()
	var noted place
	for {
		g, tail := c.take()
		if g == nil {
			select {
			case <-c.kick:
				runtime.Gosched() // others who are about to append come into the same group
				continue
			case <-note.C:
				switch p := *c.flush.synced.Load(); {
				case c.flush.busy() || c.flush.syncing.Load() != 0:
					note.Reset(noteAfter)
				case p.after(noted):
					noted = c.note()
				}
				continue
			case <-c.failed:
				return
			case <-ctx.Done():
				if c.drained() {
					return
				}
				continue
			}
		}
		at := g.off
		for _, p := range g.seal(*c.flush.synced.Load(), tail) {
			if _, err := g.file.f.WriteAt(p, at); err != nil {
				c.fail("write", err, g)
				return
			}
			at += int64(len(p))
		}
		c.publish(g, OS)
		g.fate.written.fire(nil)
		c.flush.push(g)
		note.Reset(noteAfter)
	}
}

// drained says that no group is left; from then on none is begun.
func (c *core) drained() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.queue) > 0 {
		return false
	}
	c.phase = closed
	c.change()
	return true
}

// note places an empty group, whose commit frame says how far the log has been
// flushed. It answers the place that there is no need to note again.
func (c *core) note() place {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase != running || len(c.queue) > 0 || c.off+int64(commitSize(0)) > c.file.size {
		return place{}
	}
	g := c.begin()
	poke(c.kick)
	return place{g.file.gen, g.end()}
}

// flusher makes written groups durable, all that there are with one flush.
func (c *core) flusher(writerDone <-chan struct{}) {
	var open *walFile // the file of the last group
	lazy := time.NewTimer(lazyFlush)
	defer lazy.Stop()
	armed := false
	for last := false; !last; {
		if !c.flush.urgent() {
			select {
			case <-c.flush.kick:
				if !armed { // nobody waits for it: let more come
					armed = true
					lazy.Reset(lazyFlush)
				}
				continue
			case <-lazy.C:
			case <-c.failed:
				return
			case <-writerDone:
				last = true
			}
		}
		armed = false
		if !c.flushGroups(c.flush.take(), &open) {
			return
		}
		c.letIn()
	}
}

// letIn gives those who were just answered, and are likely to come again, the
// processor: what they append and the writer writes now is in the next flush. It
// costs no time when nobody comes.
func (c *core) letIn() {
	for range 4 {
		runtime.Gosched()
		c.mu.Lock()
		left := len(c.queue)
		c.mu.Unlock()
		if left == 0 {
			return
		}
	}
}

// flushGroups flushes the files of the groups in order, publishes and answers.
func (c *core) flushGroups(groups []*group, open **walFile) bool {
	for len(groups) > 0 {
		f := groups[0].file
		n := 1
		for n < len(groups) && groups[n].file == f {
			n++
		}
		if *open != nil && *open != f {
			c.complete(*open)
		}
		*open = f
		if err := c.sync(f); err != nil {
			c.fail("sync", err, groups...)
			return false
		}
		c.flush.synced.Store(&place{f.gen, groups[n-1].end()})
		for _, g := range groups[:n] {
			c.publish(g, Fsync)
			c.log.counters.add(g)
			g.ops = nil
			g.fate.durable.fire(nil)
		}
		groups = groups[n:]
	}
	return true
}

// sync flushes a file and lets the time that it takes be seen.
func (c *core) sync(f *walFile) error {
	start := c.log.since()
	c.flush.syncing.Store(int64(max(start, 1)))
	err := f.f.Sync()
	took := c.log.since() - start
	c.flush.syncing.Store(0)
	c.log.counters.synced(took)
	if took > slowSync {
		c.log.opts.Logger.Warn("a flush of the log was slow", slog.Duration("took", took))
	}
	return err
}

// complete hands a whole, flushed file to the segment writer.
func (c *core) complete(f *walFile) {
	c.pub.Lock()
	c.sealed = append(c.sealed, f)
	c.pub.Unlock()
	poke(c.toLay)
}

// fail is the end of this core: the disk failed in a way after which nothing can
// be said of what was written. Everybody who waits is told so. hit is the groups
// that were being worked on.
func (c *core) fail(doing string, err error, hit ...*group) {
	c.mu.Lock()
	if c.phase == broken { // somebody else was first
		c.mu.Unlock()
		c.unknown(err, hit)
		return
	}
	c.phase, c.cause = broken, err
	unsent := c.queue
	c.queue = nil
	c.change()
	close(c.failed)
	c.mu.Unlock()

	c.log.opts.Logger.Error("the log failed and is being recovered", slog.String("during", doing), slog.Any("error", err))
	c.log.counters.failures.Add(1)
	c.unknown(err, hit)
	for _, g := range unsent {
		g.fate.fail(unavailable("the disk failed before anything was sent"))
	}
}

// unknown answers groups of which nobody can say whether they are durable.
func (c *core) unknown(err error, groups []*group) {
	for _, g := range groups {
		g.fate.fail(&parley.Error{
			Code: parley.Unknown, Detail: "the disk failed during the commit",
			Fix: "read what is there, or send it again with the same Once key", Err: err,
		})
	}
}

// fail gives the signals that were not given yet.
func (f *fate) fail(err error) {
	for _, s := range [...]*signal{f.written, f.durable} {
		if s.pending() {
			s.fire(err)
		}
	}
}
