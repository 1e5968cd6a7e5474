package declared

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/shard"
	"github.com/parleyhq/parley/base/topic"
	"github.com/parleyhq/parley/engine/memlog"
)

// TestHoldsOfAllNodes: whoever asks is told what every part of a pipe has yet to read,
// whichever node owns it.
func TestHoldsOfAllNodes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCluster(t, Options{})
		o := c.nodes[0]
		o.topicOf("a", 4)
		o.put("lib", "stages: {x: where data.n > 1}")
		o.put("p", "steps: 'topic a | topic b'")
		o.put("q", "steps: 'topic a --as-one | topic c'")
		settle(30 * time.Second)
		o.keyed("a", 0, 20)
		settle(0)
		must(t, o.Set(t.Context(), "p", Paused))
		settle(0)
		o.keyed("a", 20, 40)
		settle(0)
		want := map[string][]string{"pipe p": {"a/16"}, "pipe p/1": {"a/17"}, "pipe p/2": {"a/18"}, "pipe p/3": {"a/19"}, "pipe q": {"a/16", "a/17", "a/18", "a/19"}}
		for i, node := range c.nodes {
			holds, err := node.Holds(t.Context())
			must(t, err)
			got, behind := map[string][]string{}, 0
			for _, s := range slices.SortedFunc(maps.Keys(holds), func(a, b parley.Stream) int { return strings.Compare(a.Name, b.Name) }) {
				end, err := node.log.End(t.Context(), s)
				must(t, err)
				for _, h := range holds[s] {
					got[h.Holder] = append(got[h.Holder], s.Name)
					behind += int(end - h.At)
				}
			}
			if text(got) != text(want) || behind != 20 {
				t.Fatal(i, text(got), behind)
			}
		}
		must(t, o.Set(t.Context(), "p", Stopped))
		settle(time.Second)
		if holds, err := o.Holds(t.Context()); err != nil || len(holds[parley.Stream{Name: "a/17"}]) != 1 {
			t.Fatal(holds, err)
		}
	})
}

// TestAnOwnerThatCannotBeAsked holds everything for a while, and then nothing.
func TestAnOwnerThatCannotBeAsked(t *testing.T) {
	bubble(t, func(t *testing.T) {
		o := newOffice(t, Options{})
		o.put("p", "steps: 'topic a | topic b'")
		settle(0)
		e := o.entry("p")
		e.mu.Lock()
		e.rec.parts = 2 // whose second nobody runs
		e.mu.Unlock()
		if _, err := o.Holds(t.Context()); parley.CodeOf(err) != parley.Timeout && parley.CodeOf(err) != parley.Unavailable {
			t.Fatal(err)
		}
		settle(topic.OwnerForget)
		if _, err := o.Holds(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

// slowLog is a log that is slow to say what there is of topic a, once it is told to be.
type slowLog struct {
	*memlog.Log
	slow atomic.Bool
}

func (l *slowLog) wait(s parley.Stream) {
	if strings.HasPrefix(s.Name, "a") && l.slow.Load() {
		<-time.After(time.Second) // whatever the caller's context says
	}
}

func (l *slowLog) End(ctx context.Context, s parley.Stream) (parley.Position, error) {
	at, err := l.Log.End(ctx, s)
	l.wait(s)
	return at, err
}

func (l *slowLog) Stat(ctx context.Context, s parley.Stream) (parley.Stats, error) {
	st, err := l.Log.Stat(ctx, s)
	l.wait(s)
	return st, err
}

// TestHoldsEnd: a pipe that is deleted while it opens its source holds nothing.
func TestHoldsEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		log := &slowLog{Log: memlog.New(memlog.Options{})}
		o := open(t, log, new(shard.Local), Options{})
		_, err := o.topics.Create(t.Context(), "a", topic.Settings{MaxAge: time.Hour})
		must(t, err)
		o.put("p", "steps: 'topic a | topic b'")
		settle(0)
		o.publish("a", `{"n":1}`)
		settle(time.Second)
		must(t, o.Set(t.Context(), "p", Paused))
		settle(time.Second)
		log.slow.Store(true)
		must(t, o.Set(t.Context(), "p", Running))
		settle(100 * time.Millisecond)
		must(t, o.Delete(t.Context(), "p"))
		settle(time.Minute)
		for _, e := range []string{`{"n":2}`, `{"n":3}`} {
			o.publish("a", e)
		}
		settle(2 * time.Hour)
		a, err := o.topics.Get("a")
		must(t, err)
		st, err := log.Stat(t.Context(), a.Partitions[0].Stream)
		must(t, err)
		if st.Earliest < 3 {
			t.Errorf("after two of its one hour: %+v", st)
		}
	})
}
