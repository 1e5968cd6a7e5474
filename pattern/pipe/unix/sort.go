package unix

import (
	"bytes"
	"context"
	"hash/maphash"
	"math"
	"os"
	"runtime"
	"strconv"
	"strings"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/pipe"
)

// DefaultSortBytes is how much memory sort uses before it writes to temporary
// files.
const DefaultSortBytes = 288 << 20

// sorter is sort, and uniq if that comes next.
type sorter struct {
	how    sorting
	fused  bool   // equal lines become one
	choice choice // what is written of it
	limit  int
	dir    string
	store  lineStore
	seen   *seenTable // of lines, while it pays
	runs   runs
	out    output
}

func buildSort(s *step, a *arguments) error {
	st := sorter{how: sorting{sep: -1}, limit: DefaultSortBytes}
	global := sortKey{to: -1, numeric: a.has("n"), reverse: a.has("r"), fold: a.has("f"), blanks: a.has("b"), endBlanks: a.has("b")}
	st.how.reverse, st.how.stable, st.how.unique = global.reverse, a.has("s"), a.has("u")
	for _, g := range a.given {
		switch g.option.Short {
		case "k":
			k, ok := parseKey(g.value)
			if !ok {
				return a.wrong(g.word, "write it like -k 2,2n: letters b f n r", "%q is not a key", g.value)
			}
			st.how.keys = append(st.how.keys, k)
		case "t":
			v := g.value
			if v == `\0` {
				v = "\x00"
			}
			if len(v) != 1 || v == "\n" {
				return a.wrong(g.word, "write it like -t ,", "%q is not one character", g.value)
			}
			st.how.sep = int(v[0])
		case "S":
			n, ok := parseSize(g.value)
			if !ok {
				return a.wrong(g.word, "write it like -S 64M", "%q is not a size", g.value)
			}
			st.limit = max(n, 1<<10)
		}
	}
	for i := range st.how.keys {
		if k := &st.how.keys[i]; !k.own {
			k.numeric, k.reverse, k.fold, k.blanks, k.endBlanks = global.numeric, global.reverse, global.fold, global.blanks, global.endBlanks
		}
	}
	if len(st.how.keys) == 0 && (global.numeric || global.fold || global.blanks) {
		st.how.keys = []sortKey{global}
	}
	if err := s.input(a, math.MaxInt); err != nil {
		return err
	}
	s.needsLines, s.givesLines, s.linesEach, s.sort = true, true, true, &st
	s.put = func(r *running, f flow) flow {
		return pipe.Apply(f, true, func() pipe.Stage[*block, *block] {
			c := st
			c.dir = r.temp
			c.fused = c.fused || c.how.unique && c.how.whole()
			if c.fused || c.how.unique {
				c.seen = newSeenTable()
			}
			return &c
		})
	}
	return nil
}

// parseSize reads a number of bytes, or KiB, MiB and GiB as K, M and G. Without a
// letter it is KiB, as for GNU.
func parseSize(text string) (int, bool) {
	unit := 1 << 10
	if n := len(text) - 1; n > 0 {
		if i := strings.IndexByte("bKMG", text[n]); i >= 0 {
			unit, text = 1<<(10*i), text[:n]
		}
	}
	n, err := strconv.Atoi(text)
	return n * unit, err == nil && n > 0 && n < math.MaxInt/unit
}

// Push implements pipe.Stage.
func (s *sorter) Push(_ context.Context, in []*block, _ emit) error {
	for _, b := range in {
		if len(b.data) >= math.MaxUint32 {
			return &parley.Error{Code: parley.TooLarge, Detail: "a line is over 4 GiB", Fix: "use: exec sort"}
		}
		switch {
		case s.seen != nil:
			s.distinct(b.data)
			b.free()
		case len(b.data) < cap(b.data)/2: // most of it would be kept for nothing
			s.store.adopt(bytes.Clone(b.data))
			b.free()
		default:
			s.store.adopt(b.data)
		}
		s.store.reserve(s.limit)
		if s.store.bytes+len(s.store.entries)*entryBytes >= s.limit {
			if err := s.spill(); err != nil {
				return err
			}
		}
	}
	return nil
}

// entryBytes is what an entry costs.
const entryBytes = 24

// distinct keeps lines that are not there yet, and counts the others.
func (s *sorter) distinct(data []byte) {
	for len(data) > 0 {
		line := data
		if n := bytes.IndexByte(data, '\n'); n >= 0 {
			line, data = data[:n], data[n+1:]
		} else {
			data = nil
		}
		if s.seen == nil || !s.seen.count(&s.store, line) {
			s.store.copyLine(line)
		}
		if s.seen != nil && s.seen.useless() {
			s.seen = nil
		}
	}
}

// End implements pipe.Stage.
func (s *sorter) End(ctx context.Context, to emit) error {
	m := merger{how: &s.how}
	for _, part := range s.store.order(&s.how, workers()) {
		m.add(&memoryRun{store: &s.store, left: part})
	}
	s.runs.open(&m)
	n := 0
	err := m.each(s.fused, func(line []byte, times uint64) error {
		if n++; n&0xfff == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return s.choice.write(&s.out, to, line, times)
	})
	if err != nil {
		return err
	}
	s.store.reset()
	return s.out.flush(to)
}

func workers() int { return min(runtime.GOMAXPROCS(0), 8) }

// Close removes what is left of temporary files.
func (s *sorter) Close() error { return s.runs.close() }

// spill writes what is in memory to a temporary file, in order.
func (s *sorter) spill() error {
	m := merger{how: &s.how}
	for _, part := range s.store.order(&s.how, workers()) {
		m.add(&memoryRun{store: &s.store, left: part})
	}
	if err := s.runs.write(s.dir, &m, s.fused); err != nil {
		return err
	}
	s.store.reset()
	if s.seen != nil {
		s.seen = newSeenTable()
	}
	return s.runs.gather(s.dir, &s.how, s.fused)
}

// seenTable finds lines that are in a store already, by their hashes.
type seenTable struct {
	seed  maphash.Seed
	slots []uint64 // hash and index of the entry, from 1
	used  int
	asked int
	fresh int // used, when the last window of lines began
	dull  bool
}

func newSeenTable() *seenTable {
	return &seenTable{seed: maphash.MakeSeed(), slots: make([]uint64, 1<<12)}
}

// count counts a line that is there. Otherwise the next entry will be it.
func (t *seenTable) count(s *lineStore, line []byte) bool {
	if t.asked++; t.asked%window == 0 {
		t.judge()
	}
	h := uint32(maphash.Bytes(t.seed, line))
	mask := uint32(len(t.slots) - 1)
	i := h & mask
	for ; t.slots[i] != 0; i = (i + 1) & mask {
		if uint32(t.slots[i]>>32) != h {
			continue
		}
		e := &s.entries[uint32(t.slots[i])-1]
		if e.times < math.MaxUint32 && bytes.Equal(s.line(e), line) {
			e.times++
			return true
		}
	}
	t.slots[i] = uint64(h)<<32 | uint64(len(s.entries)+1)
	if t.used++; t.used > len(t.slots)/2 {
		t.grow()
	}
	return false
}

func (t *seenTable) grow() {
	old := t.slots
	t.slots = make([]uint64, 2*len(old))
	mask := uint32(len(t.slots) - 1)
	for _, v := range old {
		if v == 0 {
			continue
		}
		i := uint32(v>>32) & mask
		for t.slots[i] != 0 {
			i = (i + 1) & mask
		}
		t.slots[i] = v
	}
}

// window is how many lines are looked at before a table is judged.
const window = 1 << 15

// judge looks at the lines of a window: when nearly all are new, looking costs
// more than it saves. Among many different lines the first are new even if each
// comes a hundred times, so that the early verdict takes more than the later one.
func (t *seenTable) judge() {
	grown := t.used - t.fresh
	t.fresh = t.used
	switch t.asked {
	case 2 * window:
		t.dull = grown > window/32*31
	case 8 * window:
		t.dull = grown > window/8*7
	}
}

// useless says that most lines are new.
func (t *seenTable) useless() bool { return t.dull }

func tempDir(dir string) string {
	if dir == "" {
		return os.TempDir()
	}
	return dir
}
