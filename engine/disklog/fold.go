package disklog

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/parleyhq/parley"
)

// fold makes the state of the log out of a meta file and the groups behind it.
// It is pure.
type fold struct {
	streams map[uint64]*stream // with their views; what was removed has none
	byName  map[parley.Stream]*stream
	files   map[uint64]*walFile // without their files
	lost    []Finding
	missing string // a log file that is not there
	arena   arena
	epoch   uint32
	number  uint64
}

// trimAgain drops what a checkpoint kept for being the newest then, though its
// lowest position was above it already.
func (f *fold) trimAgain() {
	for _, st := range f.streams {
		if old := st.view.Load(); old != nil && old.low > 0 {
			v := *old
			v.low = 0
			v.trim(old.low)
			st.view.Store(&v)
		}
	}
}

// Finding is something that Verify or a recovery has to say.
type Finding struct {
	Stream parley.Stream // zero: none in particular
	Where  string        // file and offset
	What   string
	Lost   bool // events that were acknowledged cannot be read; else nothing is lost
}

// String is the finding as one line.
func (f Finding) String() string {
	s := f.Where + ": " + f.What
	if f.Stream.Name != "" {
		s = "stream " + f.Stream.Name + ": " + s
	}
	if f.Lost {
		s += " (events are lost)"
	}
	return s
}

func newFold(m *meta) *fold {
	f := &fold{
		streams: make(map[uint64]*stream), byName: make(map[parley.Stream]*stream), files: make(map[uint64]*walFile),
		epoch: m.epoch, number: m.number,
	}
	for i := range m.streams {
		s := &m.streams[i]
		st := &stream{name: s.name, number: s.number, epoch: s.epoch, firstEpoch: s.epoch, atOS: s.atOS}
		st.saved.newest, st.saved.next = s.newest, s.next
		v := &view{epoch: s.epoch, newest: s.newest, next: s.next, segs: s.segs, damaged: s.damaged}
		v.trim(s.low)
		v.low = s.low
		st.view.Store(v)
		f.streams[s.number] = st
		f.byName[s.name] = st
	}
	return f
}

func (f *fold) file(gen uint64) *walFile {
	w := f.files[gen]
	if w == nil {
		w = newWALFile(gen, nil, 0)
		f.files[gen] = w
	}
	return w
}

// group applies a group of the log file gen.
func (f *fold) group(gen uint64, c *commit, frames []frame, bad []int) {
	w := f.file(gen)
	w.millis, w.group, w.end = c.millis, c.seq, c.end
	for i := range frames {
		if len(bad) > 0 && bad[0] == i {
			bad = bad[1:]
			f.badFrame(w, c, i)
			continue
		}
		f.apply(w, c, &frames[i])
	}
}

// badFrame quarantines the stream of a frame that fails its check. A create
// frame has a twin beside it, which tells the name.
func (f *fold) badFrame(w *walFile, c *commit, i int) {
	w.damaged = true
	where := fmt.Sprintf("%s at %d", walName(w.gen), c.start+int64(c.list[i].off))
	st := f.streams[c.list[i].stream]
	if f.twin(w, c, i) {
		f.lost = append(f.lost, Finding{Where: where, What: "one of two create frames is damaged"})
		return
	}
	if st == nil {
		f.lost = append(f.lost, Finding{Where: where, What: fmt.Sprintf("a frame of stream number %d, which is not known, is damaged", c.list[i].stream), Lost: true})
		return
	}
	f.quarantine(st, where, "a frame is damaged")
}

// twin says whether the i-th frame is one of the two create frames that begin a
// stream: the first if the stream is not known yet, the second if only one frame
// of it came before in its group.
func (f *fold) twin(w *walFile, c *commit, i int) bool {
	same := func(k int) bool { return k >= 0 && k < len(c.list) && c.list[k].stream == c.list[i].stream }
	st := f.streams[c.list[i].stream]
	if st == nil {
		return same(i+1) && c.list[i+1].size == c.list[i].size
	}
	return st.created == w.gen && st.view.Load() != nil && st.view.Load().next == 0 && same(i-1) && !same(i-2)
}

func (f *fold) quarantine(st *stream, where, why string) {
	old := st.view.Load()
	if old == nil {
		return
	}
	v := *old
	if v.damaged == "" {
		v.damaged = where + ": " + why
	}
	st.view.Store(&v)
	f.lost = append(f.lost, Finding{Stream: st.name, Where: where, What: why, Lost: true})
}

// lostAll is damage that may have hit every stream that there is. Create frames
// that can still be read in it tell the names of more.
func (f *fold) lostAll(at place, b []byte, why string) {
	if b == nil {
		f.missing = walName(at.gen)
	}
	w := f.file(at.gen)
	w.damaged = true
	w.end = max(w.end, at.off+int64(len(b)))
	for rest := b; ; rest = rest[1:] {
		i := bytes.Index(rest, frameMagic)
		if i < 0 {
			break
		}
		rest = rest[i:]
		if n := frameSize(rest); n > 0 && rest[3] == kindCreate {
			if fr, err := parseFrame(at.gen, rest[:n]); err == nil {
				f.create(w, &fr)
			}
		}
	}
	where := fmt.Sprintf("%s at %d", walName(at.gen), at.off)
	f.lost = append(f.lost, Finding{Where: where, What: why + ": every stream is quarantined", Lost: true})
	for _, st := range f.streams {
		f.quarantine(st, where, why)
	}
}

func (f *fold) apply(w *walFile, c *commit, fr *frame) {
	where := fmt.Sprintf("%s in the group at %d", walName(w.gen), c.start)
	if fr.kind == kindCreate {
		f.create(w, fr)
		return
	}
	st := f.streams[fr.stream]
	if st == nil || st.view.Load() == nil {
		w.damaged = true
		f.lost = append(f.lost, Finding{Where: where, What: fmt.Sprintf("a frame of stream number %d, which is not known", fr.stream), Lost: true})
		return
	}
	ext := w.extent(st)
	v := *st.view.Load()
	switch fr.kind {
	case kindBatch:
		if fr.batch.Base() != max(v.next, 1) && v.damaged == "" {
			w.damaged = true
			f.quarantine(st, where, fmt.Sprintf("a batch at %d where %d was to come", fr.batch.Base(), max(v.next, 1)))
			v = *st.view.Load()
		}
		b := f.arena.take(fr.batch.Size())
		copy(b, fr.batch.Bytes())
		batch, _, _ := parley.CutBatch(slices.Clip(b)) // checked by parseFrame
		v.add(w.gen, batch)
		*ext = extent{v.newest, v.next}
		st.atOS = fr.flags&flagOS != 0
		if fr.flags&flagKey != 0 {
			w.keys = append(w.keys, keyed{st.number, fr.key, batch.Base(), c.millis})
		}
	case kindTrim:
		if len(fr.body) == 8 {
			v.trim(parley.Position(be.Uint64(fr.body)))
		}
	case kindRemove:
		st.removed = w.gen
		st.view.Store(nil)
		delete(f.byName, st.name)
		return
	}
	st.view.Store(&v)
}

func (w *walFile) extent(st *stream) *extent {
	ext := w.dirty[st]
	if ext == nil {
		ext = &extent{}
		w.dirty[st] = ext
	}
	return ext
}

func (f *fold) create(w *walFile, fr *frame) {
	epoch, name, ok := parseCreate(fr.body)
	if !ok || f.streams[fr.stream] != nil { // its twin came first
		return
	}
	st := &stream{name: name, number: fr.stream, epoch: epoch, firstEpoch: epoch, created: w.gen}
	st.view.Store(&view{epoch: epoch})
	f.streams[fr.stream] = st
	f.byName[name] = st
	f.epoch, f.number = max(f.epoch, epoch), max(f.number, fr.stream)
	w.extent(st)
}
