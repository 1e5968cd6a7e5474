package natslog

import (
	"encoding/json"
	"testing"

	"pgregory.net/rapid"

	"github.com/parleyhq/parley"
)

// cluster is a home as the leader has it, and a node whose tail is behind. Its
// exported methods are the steps of TestNodeKnowsNothingWrong.
type cluster struct {
	h      *home
	log    []entry
	tail   int // how many of log the node has seen
	seq    uint64
	builds map[int]parley.Batch
	asked  map[*stream]reply
}

// reply is what the leader said of a stream, on its way to the node.
type reply struct {
	cover          parley.Position
	before, newest stored
}

type entry struct {
	seq   uint64
	s     parley.Stream
	batch parley.Batch // zero: a mark
	mark  []byte
}

// visible is a stream as one who has seen the first n entries has it.
func (c *cluster) visible(s parley.Stream, n int) (all []item, life uint64, low parley.Position) {
	for _, e := range c.log[:n] {
		switch {
		case e.s != s:
		case !e.batch.IsZero():
			all = append(all, item{e.seq, e.batch})
		default:
			m, _ := parseMark(e.seq, e.mark)
			life, low = m.Life, m.Low
		}
	}
	for len(all) > 0 && (all[0].seq < life || all[0].next() <= low) {
		all = all[1:]
	}
	return all, life, low
}

func (c *cluster) stream(t *rapid.T) parley.Stream {
	return rapid.SampledFrom([]parley.Stream{sA, sB}).Draw(t, "stream")
}

func (c *cluster) Append(t *rapid.T) {
	c.seq += uint64(rapid.IntRange(1, 3).Draw(t, "gap"))
	c.log = append(c.log, entry{seq: c.seq, s: c.stream(t), batch: c.builds[rapid.IntRange(1, 3).Draw(t, "records")]})
}

func (c *cluster) Append2(t *rapid.T) { c.Append(t); c.Append(t) }

func (c *cluster) Trim(t *rapid.T) {
	s := c.stream(t)
	all, life, _ := c.visible(s, len(c.log))
	if len(all) < 2 {
		return
	}
	c.write(s, mark{Life: life, Low: all[rapid.IntRange(0, len(all)-2).Draw(t, "dropped")].next()})
}

func (c *cluster) Remove(t *rapid.T) { c.write(c.stream(t), mark{Removed: true}) }

func (c *cluster) write(s parley.Stream, m mark) {
	data, _ := json.Marshal(m)
	c.seq++
	c.log = append(c.log, entry{seq: c.seq, s: s, mark: data})
}

// Tail lets the node see more.
func (c *cluster) Tail(t *rapid.T) {
	for range rapid.IntRange(0, len(c.log)-c.tail).Draw(t, "more") {
		e := c.log[c.tail]
		c.tail++
		c.h.seen = e.seq
		if st := c.h.find(e.s); !e.batch.IsZero() {
			c.h.arrived(st, item{e.seq, e.batch})
		} else if m, ok := parseMark(e.seq, e.mark); ok {
			c.h.marked(st, m)
		}
	}
}

// Ask asks the leader, who may be ahead of the tail.
func (c *cluster) Ask(t *rapid.T) {
	st := c.h.find(c.stream(t))
	if _, under := c.asked[st]; under || st.loaded {
		return
	}
	r := reply{cover: st.cover}
	for _, e := range c.log {
		switch {
		case e.s != st.name:
		case e.batch.IsZero():
			r.before = stored{e.seq, e.mark}
		default:
			r.newest = stored{e.seq, e.batch.Bytes()}
		}
	}
	c.asked[st] = r
}

// Learn lets the leader's answers arrive.
func (c *cluster) Learn(t *rapid.T) {
	for st, r := range c.asked {
		if err := c.h.learn(st, r.cover, r.before, r.newest); err != nil {
			t.Fatal(err)
		}
		delete(c.asked, st)
	}
}

// Check reads anywhere. What comes from memory is what the leader has, from the
// place on without a gap; nothing that the tail has seen is left out.
func (c *cluster) Check(t *rapid.T) {
	s := c.stream(t)
	st := c.h.find(s)
	at := parley.Position(rapid.Int64Range(0, int64(baseOf(c.seq+1))).Draw(t, "at"))
	if rapid.Bool().Draw(t, "near") && len(c.log) > 0 {
		e := c.log[rapid.IntRange(0, len(c.log)-1).Draw(t, "entry")]
		at = baseOf(e.seq) + parley.Position(rapid.IntRange(0, 3).Draw(t, "index"))
	}
	run, from, err := c.h.recent(st, at, rapid.IntRange(0, 500).Draw(t, "bytes"))
	if from != fromMemory {
		return
	}
	if !st.loaded {
		t.Fatal("a stream that is not known was answered from memory")
	}
	seen, _, low := c.visible(s, c.tail)
	all, _, _ := c.visible(s, len(c.log))
	if err != nil {
		if parley.CodeOf(err) != parley.Trimmed || at >= max(low, st.low) {
			t.Fatalf("at %d: %v, low is %d", at, err, low)
		}
		return
	}
	if run.Empty() {
		for _, it := range seen {
			if it.next() > at && it.seq > st.life {
				t.Fatalf("caught up at %d, but %d is there", at, it.base())
			}
		}
		return
	}
	for len(seen) > 0 && seen[0].next() <= at {
		seen = seen[1:]
	}
	for b := range run.Batches() {
		if len(seen) == 0 || b.Base() != seen[0].base() || b.Epoch() != c.h.epoch(st) {
			if st.life > 0 && len(seen) > 0 && seen[0].seq < st.life { // removed at the leader, as the node knows already
				return
			}
			t.Fatalf("from %d memory gives %d; the log has %v of %v", at, b.Base(), bases(seen), bases(all))
		}
		seen = seen[1:]
	}
}

func bases(items []item) (all []parley.Position) {
	for _, it := range items {
		all = append(all, it.base())
	}
	return all
}

func TestNodeKnowsNothingWrong(t *testing.T) {
	builds := map[int]parley.Batch{1: oneRecord(t, 1), 2: oneRecord(t, 2), 3: oneRecord(t, 3)}
	rapid.Check(t, func(t *rapid.T) {
		l := &Log{opt: Options{Prefix: "p"}}
		c := &cluster{h: newHome(l, "0"), builds: builds, asked: map[*stream]reply{}}
		c.h.up, c.h.ring.limit = true, 400 // four batches or so
		first := rapid.IntRange(0, 10).Draw(t, "before")
		for range first {
			c.Append(t)
		}
		c.tail, c.h.seen = len(c.log), c.seq // the tail begins here
		c.h.ring.clear(c.seq)
		t.Repeat(rapid.StateMachineActions(c))
	})
}
