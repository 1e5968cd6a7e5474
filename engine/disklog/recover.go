package disklog

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/internal/vfs"
)

// image is what a directory holds, read without changing anything.
type image struct {
	fs    vfs.FS
	meta  *meta
	fold  *fold
	scan  scan
	wals  map[uint64]int64 // size by generation: all that there are
	segs  map[uint64]int64 // size by id
	fresh bool             // there is no log yet
	notes []Finding
}

// readImage reads a directory: the meta file, and the log behind it.
func readImage(fsys vfs.FS) (*image, error) {
	im := &image{fs: fsys, wals: make(map[uint64]int64), segs: make(map[uint64]int64)}
	if err := im.readFormat(); err != nil {
		return nil, err
	}
	if err := im.list(); err != nil {
		return nil, err
	}
	m, complaints, err := loadMeta(fsys)
	switch {
	case errors.Is(err, fs.ErrNotExist) && len(im.wals) == 0 && len(im.segs) == 0:
		im.fresh, m = true, &meta{}
	case errors.Is(err, fs.ErrNotExist):
		return nil, &parley.Error{Code: parley.Damaged, Detail: "there are log files and no meta file", Fix: "restore a snapshot; the log files are untouched"}
	case err != nil:
		return nil, err
	}
	for _, c := range complaints {
		im.notes = append(im.notes, Finding{Where: "meta", What: c.Error() + "; the other copy is used"})
	}
	im.meta, im.fold = m, newFold(m)
	return im, im.readLog()
}

func (im *image) readFormat() error {
	b, err := vfs.ReadFile(im.fs, formatName, 1<<10)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case string(b) != formatText:
		return &parley.Error{
			Code: parley.Unsupported, Detail: fmt.Sprintf("the directory has format %q, this program knows %q", strings.TrimSpace(string(b)), strings.TrimSpace(formatText)),
			Fix: "use a newer program, or restore what it had before",
		}
	}
	return nil
}

// list finds the files of the log by their names.
func (im *image) list() error {
	for _, dir := range []struct {
		name, ext string
		into      map[uint64]int64
	}{{"wal", ".wal", im.wals}, {"seg", ".seg", im.segs}} {
		entries, err := im.fs.List(dir.name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		for _, e := range entries {
			id, err := strconv.ParseUint(strings.TrimSuffix(e.Name, dir.ext), 16, 64)
			if err == nil && strings.HasSuffix(e.Name, dir.ext) && !e.Dir {
				dir.into[id] = e.Size
			}
		}
	}
	return nil
}

// readLog scans the log files behind the checkpoint.
func (im *image) readLog() error {
	s := &im.scan
	s.seq, s.ends = im.meta.group, make(map[uint64]int64)
	for gen := range im.wals {
		if gen >= im.meta.first {
			s.gens = append(s.gens, gen)
		}
	}
	for _, p := range im.meta.sealed {
		s.ends[p.gen] = p.off
		if _, ok := im.wals[p.gen]; !ok {
			s.gens = append(s.gens, p.gen)
		}
	}
	slices.Sort(s.gens)
	if im.meta.clean { // the log was closed: nothing else was ever written
		s.gens = slices.DeleteFunc(s.gens, func(gen uint64) bool { _, ok := s.ends[gen]; return !ok })
	}
	s.load = func(gen uint64) ([]byte, error) { return vfs.ReadFile(im.fs, walName(gen), 2<<30) }
	s.group, s.lost = im.fold.group, im.fold.lostAll
	if err := s.run(); err != nil {
		return err
	}
	for _, e := range im.meta.epochs {
		if st := im.fold.streams[e.stream]; st != nil && st.view.Load() != nil {
			im.fold.setEpoch(st, e.epoch)
		}
	}
	im.fold.trimAgain()
	im.checkSegments()
	return nil
}

func (f *fold) setEpoch(st *stream, epoch uint32) {
	v := *st.view.Load()
	st.epoch, v.epoch = epoch, epoch
	f.epoch = max(f.epoch, epoch)
	st.view.Store(&v)
}

// checkSegments quarantines streams of which a segment is not there as a whole.
func (im *image) checkSegments() {
	for _, st := range im.fold.streams {
		v := st.view.Load()
		if v == nil {
			continue
		}
		for _, g := range v.segs {
			if size, ok := im.segs[g.id]; !ok || size != g.fileSize() {
				why := fmt.Sprintf("has %d bytes instead of %d", size, g.fileSize())
				if !ok {
					why = "is missing"
				}
				im.fold.quarantine(st, segmentName(g.id), why)
				break
			}
		}
	}
}

// recover makes a core of what the directory holds, and saves how that was
// understood before anything is built on it. old is the core that failed, if
// one did in this process.
func (l *Log) recover(old *core) (*core, error) {
	im, err := readImage(l.fs)
	if err != nil {
		return nil, err
	}
	if im.fold.missing != "" { // with it the names of streams may be lost, which would be taken for empty ones
		return nil, &parley.Error{Code: parley.Damaged, Detail: "the log file " + im.fold.missing + " is missing", Fix: "put it back, or restore a snapshot"}
	}
	if im.fresh {
		if err := vfs.ReplaceFile(l.fs, formatName, []byte(formatText)); err != nil {
			return nil, err
		}
		im.meta.epoch = freshEpoch()
		im.fold.epoch = im.meta.epoch
	}
	if err := l.secure(im); err != nil {
		return nil, err
	}
	l.newEpochs(im, old)
	c := newCore(l)
	if err := l.settleCore(c, im, old); err != nil {
		c.closeFiles()
		return nil, err
	}
	l.report(im)
	return c, nil
}

// secure makes durable what was read from files whose flushing is in doubt: the
// bytes are written again first, since after a failed flush the system takes
// them for clean.
func (l *Log) secure(im *image) error {
	for _, gen := range im.scan.unsealed() {
		w := im.fold.files[gen]
		if w == nil || w.end == 0 {
			continue
		}
		from := int64(0)
		switch s := im.scan.synced; {
		case s.gen > gen:
			continue
		case s.gen == gen:
			from = min(s.off, w.end)
		}
		f, err := l.fs.Open(walName(gen), vfs.Write)
		if err != nil {
			return err
		}
		b, err := readExactly(f, from, w.end-from)
		if err == nil && len(b) > 0 {
			_, err = f.WriteAt(b, from)
		}
		if err == nil {
			err = f.Sync()
		}
		if err = errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
	return l.fs.SyncDir("wal")
}

// newEpochs gives a new epoch to the streams that lost acknowledged positions,
// or may have: at level OS after a power cut.
func (l *Log) newEpochs(im *image, old *core) {
	f := im.fold
	power := !im.fresh && !im.meta.clean && (l.opts.Boot == "" || l.opts.Boot != im.meta.boot)
	if old != nil {
		power = false
		old.mu.Lock()
		f.epoch, f.number = max(f.epoch, old.epoch), max(f.number, old.number)
		old.mu.Unlock()
	}
	if power {
		f.epoch += 1 << 10 // streams may have been created at level OS of which nothing is left
	}
	for _, number := range slices.Sorted(maps.Keys(f.streams)) {
		st := f.streams[number]
		v := st.view.Load()
		if v == nil {
			continue
		}
		lost := power && (st.atOS || l.opts.level(st.name) == OS)
		if old != nil {
			_, was := old.find(st.name)
			lost = was != nil && was.next > v.next
		}
		if lost {
			f.setEpoch(st, f.epoch+1)
			im.notes = append(im.notes, Finding{Stream: st.name, Where: "log", What: fmt.Sprintf("a new epoch, %d: acknowledged events may be lost", st.epoch)})
		}
	}
}

// settleCore fills a core and saves its meta file: from here on the ends of all
// log files are known, and what lies behind them will never be read.
func (l *Log) settleCore(c *core, im *image, old *core) error {
	f, m := im.fold, im.meta
	c.epoch, c.number, c.seq = f.epoch, f.number, im.scan.seq
	c.gen = max(m.generation, slices.Max(append(slices.Collect(maps.Keys(im.wals)), 0)))
	c.segment.Store(max(m.segment, slices.Max(append(slices.Collect(maps.Keys(im.segs)), 0))))
	if old != nil {
		old.mu.Lock()
		c.gen = max(c.gen, old.gen)
		old.mu.Unlock()
		c.segment.Store(max(c.segment.Load(), old.segment.Load()))
	}
	c.file = newWALFile(0, nil, 0) // no group fits: the first one goes into a new file
	c.streams = f.streams
	for _, st := range f.streams {
		v := st.view.Load()
		if v == nil {
			continue
		}
		st.newest, st.next = v.newest, v.next
		c.byName[st.name] = st
		c.readable.Store(st.name, st)
	}
	if err := l.restoreKeys(c, im); err != nil {
		return err
	}
	next := *m
	next.seq, next.clean, next.boot = m.seq+1, false, l.opts.Boot
	next.epoch, next.number, next.generation, next.segment = c.epoch, c.number, c.gen, c.segment.Load()
	next.sealed, next.epochs = nil, nil
	if err := l.adoptFiles(c, im, &next); err != nil {
		return err
	}
	next.streams = slices.Clone(m.streams)
	for i := range next.streams {
		s := &next.streams[i]
		if st := f.streams[s.number]; st != nil && st.view.Load() != nil {
			s.epoch, s.damaged, s.atOS = st.epoch, st.view.Load().damaged, st.atOS
		}
	}
	for _, st := range f.streams {
		if st.created > 0 && st.epoch != st.firstEpoch {
			next.epochs = append(next.epochs, newEpoch{st.number, st.epoch})
		}
	}
	if err := next.save(l.fs); err != nil {
		return err
	}
	c.meta, c.laid = &next, next.first-min(next.first, 1)
	l.clearOrphans(c, im)
	return nil
}

// adoptFiles takes over the log files that hold something, and those to be used
// again.
func (l *Log) adoptFiles(c *core, im *image, next *meta) error {
	gens := append(slices.Collect(maps.Keys(im.wals)), slices.Collect(maps.Keys(im.fold.files))...)
	slices.Sort(gens)
	for _, gen := range slices.Compact(gens) {
		w := im.fold.files[gen]
		size, exists := im.wals[gen]
		if w == nil {
			w = newWALFile(gen, nil, 0)
		}
		if exists {
			f, err := l.fs.Open(walName(gen), vfs.Write)
			if err != nil {
				return err
			}
			w.f = f
		}
		w.size = size
		if im.fold.files[gen] == nil {
			c.free = append(c.free, w)
			continue
		}
		c.sealed = append(c.sealed, w)
		c.adopted = gen
		next.sealed = append(next.sealed, place{gen, w.end})
	}
	return nil
}

// clearOrphans removes what a crash left behind. It cannot fail in a way that
// matters: the next Open tries again.
func (l *Log) clearOrphans(c *core, im *image) {
	wanted := make(map[uint64]bool)
	for _, st := range im.fold.streams {
		if v := st.view.Load(); v != nil {
			for _, g := range v.segs {
				wanted[g.id] = true
			}
		}
	}
	for i := range im.meta.streams { // trimmed or removed since: may go with the next checkpoint
		for _, g := range im.meta.streams[i].segs {
			if _, ok := im.segs[g.id]; ok && !wanted[g.id] {
				c.garbage = append(c.garbage, g)
				wanted[g.id] = true
			}
		}
	}
	if len(im.fold.lost) == 0 {
		for _, id := range slices.Sorted(maps.Keys(im.segs)) {
			if !wanted[id] {
				_ = l.fs.Remove(segmentName(id))
			}
		}
	}
	spare := c.free
	c.free = nil
	for _, w := range spare {
		c.giveUp(w)
	}
}

// report says what was found.
func (l *Log) report(im *image) {
	log := l.opts.Logger
	if im.scan.torn {
		log.Warn("the log had a torn end, which was cut", slog.String("file", walName(im.scan.end.gen)), slog.Int64("at", im.scan.end.off))
	}
	for _, n := range append(im.notes, im.fold.lost...) {
		log.Error("the log was recovered with a finding", slog.String("finding", n.String()))
	}
}
