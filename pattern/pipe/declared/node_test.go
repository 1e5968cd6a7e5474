package declared

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/shard"
	"github.com/parleyhq/parley/base/topic"
	"github.com/parleyhq/parley/engine/memlog"
	"github.com/parleyhq/parley/pattern/pipe/graph"
)

// peers are nodes of one process: whoever listened last is asked.
type peers struct{ desk *shard.Desk }

func (p peers) Listen(s parley.Stream, h shard.Handler) func() { return p.desk.Open(s, h) }

func (p peers) Ask(ctx context.Context, s parley.Stream, in []byte) ([]byte, error) {
	return p.desk.Serve(ctx, s, in)
}

// wire is the log as one node reaches it.
type wire struct {
	*memlog.Log
	cut  atomic.Bool  // nothing gets through
	lose atomic.Int32 // so many Appends of pipes are made, and their answers lost
	deny atomic.Int32 // so many are not made
}

func (w *wire) Append(ctx context.Context, all ...parley.Write) ([]parley.Appended, error) {
	gone := &parley.Error{Code: parley.Unavailable, Detail: "cut"}
	ours := slices.ContainsFunc(all, func(w parley.Write) bool { return strings.HasPrefix(w.Stream.Name, streamPrefix) })
	if w.cut.Load() || ours && w.deny.Add(-1) >= 0 {
		return nil, gone
	}
	out, err := w.Log.Append(ctx, all...)
	if w.cut.Load() || ours && w.lose.Add(-1) >= 0 {
		return nil, &parley.Error{Code: parley.Unknown, Detail: "lost"}
	}
	return out, err
}

func (w *wire) Read(ctx context.Context, at parley.Place, most int) (parley.Run, error) {
	if w.cut.Load() {
		return parley.Run{}, &parley.Error{Code: parley.Unavailable, Detail: "cut"}
	}
	return w.Log.Read(ctx, at, most)
}

// cluster is two nodes over one log.
type cluster struct {
	t     testing.TB
	log   *memlog.Log
	desk  shard.Desk
	wires [2]*wire
	nodes [2]*office
	opt   Options
}

func newCluster(t testing.TB, o Options) *cluster {
	c := &cluster{t: t, log: memlog.New(memlog.Options{}), opt: o}
	for i := range c.nodes {
		c.begin(i)
	}
	return c
}

func (c *cluster) begin(i int) {
	c.wires[i] = &wire{Log: c.log}
	host, err := shard.NewNode(c.wires[i], peers{&c.desk}, shard.Options{Name: fmt.Sprint("node", i)})
	must(c.t, err)
	c.nodes[i] = open(c.t, c.wires[i], host, c.opt)
}

// crash cuts a node off for good, and begins another in its place.
func (c *cluster) crash(i int) {
	c.wires[i].cut.Store(true)
	settle(5 * time.Second)
	c.nodes[i].stop()
	c.begin(i)
}

// once is a pipe whose program never answers the same.
var once = Options{Exec: true, Graph: graph.Options{Programs: programs(func(in []byte) ([]byte, error) {
	n := strings.TrimSuffix(strings.TrimPrefix(string(in), `{"n":`), "}")
	return fmt.Appendf(nil, `{"n":%s,"nonce":%d}`, n, rand.Int64()), nil
})}}

const oncePipe = `
steps:
  - topic: in
  - exec: nonce
  - {batch: {count: 3, every: 1s}, name: three}
  - topic: out
`

// publish publishes numbers with keys.
func (c *cluster) publish(o *office, from, to int) {
	var events []parley.Event
	for i := from; i < to; i++ {
		e := parley.Event{Data: fmt.Appendf(nil, `{"n":%d}`, i), DataContentType: "application/json"}
		e.Set(parley.PartitionKey, fmt.Sprint(i))
		events = append(events, e)
	}
	_, _, err := o.topics.Publish(c.t.Context(), "in", events, topic.PublishOptions{})
	must(c.t, err)
}

// came counts how often each number is in the outputs.
func came(o *office) map[string]int {
	all := map[string]int{}
	for _, d := range o.data("out") {
		for part := range strings.SplitSeq(d, `"n":`) {
			if n, _, is := strings.Cut(part, ","); is && n != "[{" {
				all[n]++
			}
		}
	}
	return all
}

func exactly(t testing.TB, got map[string]int, want int) {
	t.Helper()
	for _, n := range slices.Sorted(maps.Keys(got)) {
		if got[n] != 1 {
			t.Fatalf("%s came %d times, of %v", n, got[n], got)
		}
	}
	if len(got) != want {
		t.Fatalf("%d came, want %d: %v", len(got), want, got)
	}
}

func TestAnotherNodeTakesOver(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCluster(t, once)
		a := c.nodes[0]
		a.put("once", oncePipe)
		_, err := a.topics.Create(t.Context(), "out", topic.Settings{Partitions: 3})
		must(t, err)
		c.publish(a, 0, 10)
		settle(10 * time.Second)
		for i := range 2 {
			s, err := c.nodes[i].Stats(t.Context(), "once") // from either, whoever owns it
			must(t, err)
			if s.In != 10 || s.State != Running {
				t.Fatal(i, text(s))
			}
		}
		c.crash(0)
		settle(10 * time.Second)
		c.publish(c.nodes[0], 10, 20)
		c.crash(1)
		settle(10 * time.Second)
		exactly(t, came(c.nodes[0]), 20)
		must(t, c.nodes[1].Set(t.Context(), "once", Paused))
		settle(time.Second)
		if s := c.nodes[0].stats("once"); s.State != Paused || s.In != 20 {
			t.Fatal(text(s))
		}
	})
}

// TestEachEventOnce plays histories of faults, restarts and changes over two nodes.
func TestEachEventOnce(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		steps := rapid.SliceOfN(rapid.SampledFrom([]string{"publish", "crash", "restart", "lose", "deny", "struck before", "struck after", "swap", "pause", "time", "grow", "one"}), 3, 12).Draw(rt, "steps")
		picks := rapid.SliceOfN(rapid.IntRange(0, 1), len(steps), len(steps)).Draw(rt, "nodes")
		synctest.Test(t, func(t *testing.T) {
			c := newCluster(t, once)
			_, err := c.nodes[0].topics.Create(t.Context(), "out", topic.Settings{Partitions: 3})
			must(t, err)
			_, err = c.nodes[0].topics.Create(t.Context(), "in", topic.Settings{Partitions: 2})
			must(t, err)
			c.nodes[0].put("once", oncePipe)
			settle(0)
			sent, swapped, one, partitions := 0, false, false, 2
			definition := func() string {
				text := oncePipe
				if swapped {
					text = strings.Replace(text, "  - exec", "  - where: data.n >= 0\n  - exec", 1)
				}
				if one {
					text = strings.Replace(text, "topic: in", "topic: {name: in, as-one: true}", 1)
				}
				return text
			}
			for i, step := range steps {
				o := c.nodes[picks[i]]
				switch step {
				case "publish":
					c.publish(o, sent, sent+7)
					sent += 7
				case "crash":
					c.crash(picks[i])
				case "restart":
					o.stop()
					c.begin(picks[i])
				case "lose":
					c.wires[picks[i]].lose.Store(2)
				case "deny":
					c.wires[picks[i]].deny.Store(2)
				case "struck before", "struck after": // a commit, by the crash of both
					for _, w := range c.wires {
						if step == "struck before" {
							w.deny.Store(1 << 30)
						} else {
							w.lose.Store(1 << 30)
						}
					}
					c.publish(o, sent, sent+7)
					sent += 7
					settle(1500 * time.Millisecond)
					c.crash(0)
					c.crash(1)
				case "swap":
					swapped = !swapped
					o.put("once", definition())
				case "one": // owner for all partitions, or one for each
					one = !one
					_, _, err := o.Put(t.Context(), "once", []byte(definition()), PutOptions{Drain: true})
					must(t, err)
				case "grow":
					partitions++
					_, err := o.topics.Update(t.Context(), "in", topic.Settings{Partitions: partitions})
					must(t, err)
				case "pause":
					must(t, o.Set(t.Context(), "once", Paused))
					settle(time.Second)
					must(t, o.Set(t.Context(), "once", Running))
				case "time":
					settle(700 * time.Millisecond)
				}
			}
			for i := range 2 {
				c.wires[i].lose.Store(0)
				c.wires[i].deny.Store(0)
			}
			settle(50 * time.Second)
			defer func() {
				if t.Failed() {
					t.Log(steps, picks, text(c.nodes[0].stats("once")))
				}
			}()
			exactly(t, came(c.nodes[0]), sent)
			for i := range 2 {
				c.nodes[i].stop()
			}
		})
	})
}
