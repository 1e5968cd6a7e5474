package disklog

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/parleyhq/parley/internal/vfs"
)

// layer is the segment writer: it lays out one whole log file after the other,
// merges small segments and deletes what was dropped.
func (c *core) layer(ctx context.Context) {
	rest := time.NewTimer(retryAfter)
	defer rest.Stop()
	poke(c.toLay)
	for {
		select {
		case <-c.toLay:
		case <-rest.C:
		case <-ctx.Done():
			return
		}
		if err := c.layNext(ctx); err != nil && ctx.Err() == nil {
			c.log.opts.Logger.Error("segments cannot be written yet", slog.Any("error", err))
			rest.Reset(retryAfter)
		}
	}
}

// layNext lays out the oldest log file that is whole, if there is one.
func (c *core) layNext(ctx context.Context) error {
	if err := c.hold(ctx); err != nil {
		return err
	}
	defer c.release()
	c.pub.Lock()
	var f *walFile
	if len(c.sealed) > 0 {
		f = c.sealed[0]
	}
	more := len(c.sealed) > 1
	c.pub.Unlock()
	if f != nil {
		touched, err := c.layOut(f)
		if err != nil {
			return err
		}
		poke(c.hungry)
		if err := c.mergeAll(touched); err != nil {
			return err
		}
	}
	if more {
		poke(c.toLay)
	}
	c.sweep()
	return nil
}

// hold takes the right to change segments and the meta file.
func (c *core) hold(ctx context.Context) error {
	select {
	case c.maint <- struct{}{}:
		return nil
	case <-c.failed:
		return unavailable("the log is being recovered")
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *core) release() { <-c.maint }

// laying is what a log file holds of one stream.
type laying struct {
	st    *stream
	mem   []entry
	until int64 // latest time before it
	ext   extent
	seg   *segment
}

// layOut writes the segments of a log file and gives the file up. The caller
// holds maint.
func (c *core) layOut(f *walFile) ([]*stream, error) {
	work := c.plan(f)
	if err := c.writeSegments(work); err != nil {
		return nil, err
	}
	m := c.nextMeta(f, work)
	if err := c.saveKeys(f, m); err != nil {
		return nil, err
	}
	if err := m.save(c.log.fs); err != nil {
		return nil, err
	}
	old := c.meta
	c.meta = m
	touched := c.putSegments(f, work)
	for _, k := range old.keys {
		if !slices.Contains(m.keys, k) {
			_ = c.log.fs.Remove(keysName(k.gen)) // an orphan is removed by the next Open
		}
	}
	if f.damaged {
		return touched, c.log.keepDamaged(f)
	}
	c.giveUp(f)
	return touched, nil
}

// plan collects what the file holds, by stream number.
func (c *core) plan(f *walFile) []*laying {
	c.pub.Lock()
	defer c.pub.Unlock()
	var work []*laying
	for st, ext := range f.dirty {
		l := &laying{st: st, ext: *ext}
		if v := st.view.Load(); v != nil {
			n := 0
			for n < len(v.mem) && v.mem[n].gen <= f.gen {
				n++
			}
			l.mem = v.mem[:n:n]
			if k := len(v.segs); k > 0 {
				l.until = v.segs[k-1].until
			}
		}
		work = append(work, l)
	}
	slices.SortFunc(work, func(a, b *laying) int { return int(int64(a.st.number) - int64(b.st.number)) })
	return work
}

func (c *core) writeSegments(work []*laying) error {
	wrote := false
	for _, l := range work {
		if len(l.mem) == 0 {
			continue
		}
		b, err := c.newSegment(l.st.number, l.until)
		if err != nil {
			return err
		}
		if err := b.reserve(l.mem); err != nil {
			return b.abandon(err)
		}
		for _, e := range l.mem {
			if err := b.add(e.batch()); err != nil {
				return b.abandon(err)
			}
		}
		if l.seg, err = b.close(); err != nil {
			return err
		}
		wrote = true
	}
	if !wrote {
		return nil
	}
	return c.log.fs.SyncDir("seg")
}

// nextMeta is the state at the end of a log file. The caller holds maint.
func (c *core) nextMeta(f *walFile, work []*laying) *meta {
	c.mu.Lock()
	epoch, number, gen := c.epoch, c.number, c.gen
	c.mu.Unlock()
	made := make(map[*stream]*segment, len(work))
	c.pub.Lock()
	defer c.pub.Unlock()
	for _, l := range work {
		made[l.st] = l.seg
		if l.ext.next != 0 {
			l.st.saved.newest, l.st.saved.next = l.ext.newest, l.ext.next
		}
	}
	m := &meta{
		seq: c.meta.seq + 1, epoch: epoch, number: number, segment: c.segment.Load(), group: f.group, first: f.gen + 1,
		generation: gen, boot: c.log.opts.Boot, keys: slices.Clone(c.meta.keys),
	}
	for _, s := range c.sealed {
		if s.gen > f.gen {
			m.sealed = append(m.sealed, place{s.gen, s.end})
		}
	}
	c.describe(m, f.gen, made)
	return m
}

// describe adds the streams to a meta file, as they are at the end of log file
// gen, with the segments made of it. The caller holds pub.
func (c *core) describe(m *meta, gen uint64, made map[*stream]*segment) {
	for _, number := range slices.Sorted(maps.Keys(c.streams)) {
		st := c.streams[number]
		if st.created > gen {
			if st.epoch != st.firstEpoch {
				m.epochs = append(m.epochs, newEpoch{number, st.epoch})
			}
			continue
		}
		s := metaStream{number: number, name: st.name, epoch: st.epoch, atOS: st.atOS, newest: st.saved.newest, next: st.saved.next}
		v := st.view.Load()
		if v == nil {
			if st.removed <= gen {
				delete(c.streams, number) // its remove frame lies before the checkpoint
				continue
			}
		} else {
			s.low, s.damaged = v.low, v.damaged
			s.segs = slices.Clone(v.segs)
			if seg := made[st]; seg != nil {
				s.segs = append(s.segs, seg)
			}
		}
		m.streams = append(m.streams, s)
	}
}

// putSegments lets readers see the new segments in the place of what was in
// memory.
func (c *core) putSegments(f *walFile, work []*laying) []*stream {
	c.pub.Lock()
	defer c.pub.Unlock()
	var touched []*stream
	for _, l := range work {
		v := l.st.view.Load()
		if l.seg == nil {
			continue
		}
		if v == nil {
			c.garbage = append(c.garbage, l.seg)
			continue
		}
		made := *v
		n := 0
		for n < len(v.mem) && v.mem[n].gen <= f.gen {
			n++
		}
		made.dropMem(n)
		if l.seg.next <= v.low && len(made.mem) > 0 {
			c.garbage = append(c.garbage, l.seg) // trimmed meanwhile
		} else {
			made.segs = append(slices.Clone(v.segs), l.seg)
		}
		l.st.view.Store(&made)
		touched = append(touched, l.st)
	}
	c.sealed = slices.DeleteFunc(c.sealed, func(s *walFile) bool { return s == f })
	c.laid = f.gen
	close(c.layDone)
	c.layDone = make(chan struct{})
	return touched
}

// sweep deletes the segments that were dropped, unless a snapshot reads them.
func (c *core) sweep() {
	c.pub.Lock()
	var gone []*segment
	if c.pins == 0 {
		gone, c.garbage = c.garbage, nil
	}
	c.pub.Unlock()
	for _, s := range gone {
		c.log.files.forget(s.id)
		if err := c.log.fs.Remove(segmentName(s.id)); err != nil {
			c.log.opts.Logger.Warn("a segment that is not needed cannot be removed", slog.Any("error", err))
		}
	}
}

// segmentWriter is a builder whose bytes go to a file.
type segmentWriter struct {
	builder
	log *Log
	f   vfs.File
	buf []byte
	off int64
}

// newSegment begins a segment file.
func (c *core) newSegment(stream uint64, until int64) (*segmentWriter, error) {
	w := &segmentWriter{log: c.log}
	w.segment = segment{id: c.segment.Add(1), stream: stream, until: until}
	w.emit = w.write
	var err error
	w.f, err = c.log.fs.Open(segmentName(w.id), vfs.New)
	return w, err
}

const segmentBuffer = 1 << 20

// reserve has the blocks of a large segment reserved at once: what a file gets
// bit by bit some file systems write out when anything else is flushed.
func (w *segmentWriter) reserve(batches []entry) error {
	size := int64(0)
	for _, e := range batches {
		size += int64(len(e.b))
	}
	if size <= segmentBuffer {
		return nil
	}
	return w.f.Preallocate(size)
}

// write takes bytes. The disk gets those of a large segment buffer by buffer, or what
// the last Sync left to it at once would stand before the flushes of the log.
func (w *segmentWriter) write(b []byte) error {
	if len(w.buf) > 0 && len(w.buf)+len(b) > segmentBuffer {
		at := w.off
		if err := w.flush(); err != nil {
			return err
		}
		if err := vfs.WriteBack(w.f, at, w.off-at); err != nil {
			return err
		}
	}
	w.buf = append(w.buf, b...)
	return nil
}

func (w *segmentWriter) flush() error {
	_, err := w.f.WriteAt(w.buf, w.off)
	w.off += int64(len(w.buf))
	w.buf = w.buf[:0]
	return err
}

// close makes the file durable but for its name.
func (w *segmentWriter) close() (*segment, error) {
	err := w.finish()
	if err == nil {
		err = w.flush()
	}
	if err == nil {
		err = w.f.Sync()
	}
	if err != nil {
		return nil, w.abandon(err)
	}
	if err := w.f.Close(); err != nil {
		return nil, err
	}
	w.log.counters.segments.Add(1)
	s := w.segment
	return &s, nil
}

// abandon removes what was begun.
func (w *segmentWriter) abandon(err error) error {
	_ = w.f.Close()
	_ = w.log.fs.Remove(segmentName(w.id)) // else the next Open does
	return err
}
