package declared

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/journal"
	"github.com/parleyhq/parley/base/shard"
	"github.com/parleyhq/parley/base/topic"
)

// topicOf makes or widens a topic.
func (o *office) topicOf(name string, partitions int) {
	o.t.Helper()
	_, err := o.topics.Create(o.t.Context(), name, topic.Settings{Partitions: partitions})
	if parley.CodeOf(err) == parley.Exists && err != nil {
		_, err = o.topics.Update(o.t.Context(), name, topic.Settings{Partitions: partitions})
	}
	must(o.t, err)
}

// keyed publishes numbers, each with itself as key.
func (o *office) keyed(name string, from, to int) {
	o.t.Helper()
	var events []parley.Event
	for i := from; i < to; i++ {
		e := parley.Event{Data: fmt.Appendf(nil, `{"n":%d}`, i), DataContentType: "application/json"}
		e.Set(parley.PartitionKey, fmt.Sprint(i))
		events = append(events, e)
	}
	_, _, err := o.topics.Publish(o.t.Context(), name, events, topic.PublishOptions{})
	must(o.t, err)
}

// owns gives the partitions of a pipe that each node owns.
func (c *cluster) owns(name string) (all [2][]int) {
	for i, o := range c.nodes {
		if e := o.entry(name); e != nil {
			e.mu.Lock()
			all[i] = slices.Sorted(maps.Keys(e.owned))
			e.mu.Unlock()
		}
	}
	return all
}

// TestPartitionsSpreadOverNodes has a pipe over four partitions run on two nodes, of
// which one dies and comes back: each has some of them, and every event is in the
// outputs once.
func TestPartitionsSpreadOverNodes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCluster(t, once)
		a := c.nodes[0]
		a.topicOf("in", 4)
		a.topicOf("out", 3)
		a.put("once", oncePipe)
		c.publish(a, 0, 50)
		settle(30 * time.Second) // so that who came later has its share
		check := func(sent int) {
			t.Helper()
			has := c.owns("once")
			if len(has[0]) != 2 || len(has[1]) != 2 {
				t.Fatal(has)
			}
			for i := range 2 {
				s, err := c.nodes[i].Stats(t.Context(), "once")
				must(t, err)
				if s.In != int64(sent) || s.Lag != 0 || s.State != Running || len(s.Partitions) != 4 || len(s.Places) != 4 {
					t.Fatal(i, text(s))
				}
				in := int64(0)
				for p, one := range s.Partitions {
					if in += one.In; one.Partition != p || one.In == 0 || !slices.Contains(has[one.Node[4]-'0'], p) {
						t.Fatal(text(s))
					}
				}
				if in != s.In {
					t.Fatal(text(s))
				}
			}
			exactly(t, came(c.nodes[0]), sent)
		}
		check(50)
		c.publish(a, 50, 100)
		settle(2 * time.Second)
		check(100)
		c.wires[1].cut.Store(true) // it dies with events on their way
		c.publish(a, 100, 150)
		settle(10 * time.Second)
		if has := c.owns("once"); len(has[0]) != 4 {
			t.Fatal(has)
		}
		exactly(t, came(a), 150)
		c.nodes[1].stop()
		c.begin(1)
		settle(30 * time.Second)
		check(150)
		c.publish(a, 150, 200)
		settle(2 * time.Second)
		check(200)
	})
}

// TestAPipeGrowsWithItsTopic: partitions that are added are read from their beginning,
// and the topic may come after the pipe.
func TestAPipeGrowsWithItsTopic(t *testing.T) {
	bubble(t, func(t *testing.T) {
		o := newOffice(t, Options{})
		o.put("copy", "steps: 'topic a --from latest | topic b'")
		settle(0)
		o.topicOf("a", 2)
		o.keyed("a", 0, 20)
		settle(0)
		o.put("one", "steps: 'topic a --as-one | topic c'")
		o.put("several", "steps: 'topic a x | topic d'")
		settle(0)
		o.topicOf("a", 5)
		o.keyed("a", 20, 60)
		settle(0)
		exactly(t, numbersIn(o.data("c")), 60)
		exactly(t, numbersIn(o.data("d")), 60)
		s := o.stats("copy")
		if s.In != 60 || len(s.Partitions) != 5 || s.Partitions[4].In == 0 || len(o.data("b")) != 60 {
			t.Fatal(text(s))
		}
		o = o.again()
		o.keyed("a", 60, 80)
		settle(0)
		if s := o.stats("copy"); s.In != 80 || s.Steps[0].In != 20 || len(o.data("b")) != 80 {
			t.Fatal(text(s))
		}
	})
}

func TestWindowsOfEachPartition(t *testing.T) {
	bubble(t, func(t *testing.T) {
		o := newOffice(t, Options{})
		o.topicOf("a", 3)
		o.put("w", "steps: [topic: a, {window: {size: 1m, idle: 1s, time: '\"2000-01-01T00:00:00Z\"'}}, topic: b]")
		settle(0)
		for range 12 { // as many in each partition
			for _, key := range []string{"0", "1", "4"} {
				e := parley.Event{Data: []byte(`{}`), DataContentType: "application/json"}
				e.Set(parley.PartitionKey, key)
				_, _, err := o.topics.Publish(t.Context(), "a", []parley.Event{e}, topic.PublishOptions{})
				must(t, err)
			}
		}
		settle(2 * time.Minute)
		ids := map[string]bool{}
		for _, e := range o.events("b") {
			ids[e.ID] = true
			if !strings.Contains(string(e.Data), `"count":12`) {
				t.Error(string(e.Data))
			}
		}
		if len(ids) != 3 {
			t.Fatal(o.data("b"), text(o.stats("w")))
		}
	})
}

// TestOneOwnerAndBack has a pipe read its topic as one, by partition, and with another,
// with nothing lost or twice.
func TestOneOwnerAndBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		o := newOffice(t, Options{})
		o.topicOf("a", 4)
		o.topicOf("more", 2)
		sent := 0
		pass := func(parts int) {
			t.Helper()
			settle(0)
			o.keyed("a", sent, sent+40)
			sent += 40
			settle(10 * time.Second)
			s := o.stats("p")
			if len(s.Partitions) != parts || s.In != int64(sent) {
				t.Fatal(text(s))
			}
			exactly(t, numbersIn(o.data("b")), sent)
		}
		o.put("p", "steps: 'topic a | where data.n >= 0 | topic b'")
		pass(4)
		o.put("p", "steps: 'topic a --as-one | where data.n >= 0 | topic b'")
		pass(0)
		o = o.again()
		pass(0)
		o.put("p", "steps: 'topic a | where data.n >= 0 | topic b'")
		pass(4)
		drain := func(text string) { // the number of sources is a state, too
			t.Helper()
			_, _, err := o.Put(t.Context(), "p", []byte(text), PutOptions{Drain: true})
			must(t, err)
		}
		drain("steps: [merge: [topic a, topic other], topic: b]")
		o.topicOf("a", 6)
		pass(0)
		drain("steps: 'topic a | topic b'")
		pass(6)
		o.put("p", "steps: 'topic more | topic b'")
		settle(0)
		o.keyed("more", sent, sent+20)
		sent += 20
		settle(10 * time.Second)
		if s := o.stats("p"); len(s.Partitions) != 2 || s.In != int64(sent) {
			t.Fatal(text(s))
		}
		exactly(t, numbersIn(o.data("b")), sent)
		must(t, o.Delete(t.Context(), "p"))
		streams, err := o.log.(parley.Lister).Streams(t.Context(), "")
		must(t, err)
		for _, s := range streams {
			if strings.HasPrefix(s.Name, streamPrefix) {
				t.Error("left:", s.Name)
			}
		}
	})
}

// TestStateIsNotParted: what stages remember of all partitions is let out before each
// has its own, and the other way round.
func TestStateIsNotParted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		o := newOffice(t, Options{})
		o.topicOf("a", 4)
		const one, each = "steps: 'topic a --as-one | batch 1000 | topic b'", "steps: 'topic a | batch 1000 | topic b'"
		o.put("p", each)
		for i, next := range []string{one, each, one} {
			settle(0)
			o.keyed("a", i*40, i*40+40)
			settle(10 * time.Second)
			_, _, err := o.Put(t.Context(), "p", []byte(next), PutOptions{})
			code(t, err, parley.Conflict)
			_, _, err = o.Put(t.Context(), "p", []byte(next), PutOptions{Drain: true})
			must(t, err)
			settle(10 * time.Second)
			exactly(t, numbersIn(o.data("b")), i*40+40)
		}
		if batches := len(o.data("b")); batches != 4+1+4 {
			t.Fatal(batches)
		}
	})
}

// numbersIn counts how often each number is in some data.
func numbersIn(data []string) map[string]int {
	all := map[string]int{}
	for _, d := range data {
		for part := range strings.SplitSeq(d, `"n":`) {
			if n, _, is := strings.Cut(part, "}"); is && n != "" {
				all[n]++
			}
		}
	}
	return all
}

// TestJournalsOfOneOwner: an earlier version had one owner for all partitions. What
// remembers nothing is spread from where it was, what does goes on as it is.
func TestJournalsOfOneOwner(t *testing.T) {
	for _, c := range []struct {
		steps string
		parts int
	}{{"topic a | topic b", 3}, {"topic a | batch 10 | topic b", 0}} {
		bubble(t, func(t *testing.T) {
			o := newOffice(t, Options{})
			o.topicOf("a", 3)
			o.keyed("a", 0, 20)
			o.put("p", "steps: 'topic a --as-one"+strings.TrimPrefix(c.steps, "topic a")+"'")
			settle(0)
			o.stop()
			definition := "steps: '" + c.steps + "'"
			o = o.rewrite("p", definition)
			settle(10 * time.Second)
			o.keyed("a", 20, 40)
			settle(10 * time.Second)
			s := o.stats("p")
			if len(s.Partitions) != c.parts || s.In != 40 {
				t.Fatal(c.steps, text(s))
			}
			exactly(t, numbersIn(o.data("b")), 40)
			if c.parts > 0 {
				return
			}
			for _, want := range []bool{true, false} { // the first time, there is something to do
				changed, _, err := o.Put(t.Context(), "p", []byte(definition), PutOptions{Drain: true})
				settle(10 * time.Second)
				if err != nil || changed != want {
					t.Fatal(changed, err)
				}
			}
			o.keyed("a", 40, 65)
			settle(10 * time.Second)
			for _, n := range o.stats("p").Partitions {
				if n.State != Running || n.In == 0 {
					t.Fatal(text(o.stats("p")))
				}
			}
			_, _, err := o.Put(t.Context(), "p", []byte("steps: 'topic a | topic b'"), PutOptions{Drain: true})
			must(t, err)
			settle(10 * time.Second)
			exactly(t, numbersIn(o.data("b")), 65)
			if s := o.stats("p"); len(s.Partitions) != 3 || s.In != 65 {
				t.Fatal(text(s))
			}
		})
	}
}

// rewrite makes the journal of a pipe one that runs by a definition already, in the
// form that an earlier version wrote, while nobody runs it.
func (o *office) rewrite(name, definition string) *office {
	o.t.Helper()
	ctx := o.t.Context()
	_, _, err := o.Put(ctx, name, []byte(definition), PutOptions{Drain: true})
	must(o.t, err)
	e := o.entry(name)
	d, effective, err := e.definition()
	must(o.t, err)
	whole, err := d.whole()
	must(o.t, err)
	b := &book{}
	j, err := journal.Open(ctx, o.log, e.stream, b, journal.Options{})
	must(o.t, err)
	life, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- j.Run(life) }()
	must(o.t, j.Do(ctx, func(tx *journal.Tx) error {
		rec, _, _ := e.now()
		k := b.kept
		k.Adopted, k.Begin = effective, rec.begin
		return commit(tx, k, b.state, &adoption{Text: whole})
	}))
	stop()
	must(o.t, <-done)
	return open(o.t, o.log, new(shard.Local), o.opt)
}

func TestTapOfSeveralPartitions(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCluster(t, Options{})
		o := c.nodes[0]
		o.topicOf("a", 4)
		o.put("p", "steps: 'topic a | where data.n >= 0 | topic b'")
		settle(30 * time.Second)
		q := TapRequest{Step: "2"}
		first, err := o.Tap(t.Context(), "p", q)
		if err != nil || len(first.Records) != 0 || len(first.Parts) != 4 {
			t.Fatal(text(first), err)
		}
		o.keyed("a", 0, 40)
		settle(0)
		seen, parts := map[string]bool{}, map[int]bool{}
		for q.Parts = first.Parts; len(seen) < 40; {
			q.Wait = time.Second
			a, err := c.nodes[1].Tap(t.Context(), "p", q)
			if err != nil || len(a.Records) == 0 || a.Dropped != 0 {
				t.Fatal(len(seen), text(a), err)
			}
			for _, r := range a.Records {
				parts[r.Partition] = true
				if seen[string(r.Before)] {
					t.Fatal("twice", string(r.Before))
				}
				seen[string(r.Before)] = true
			}
			q.Parts = a.Parts
		}
		if len(parts) != 4 {
			t.Fatal(parts)
		}
		begun := time.Now()
		a, err := o.Tap(t.Context(), "p", q)
		if err != nil || len(a.Records) != 0 || time.Since(begun) < time.Second {
			t.Fatal(text(a), err)
		}
		_, err = o.Tap(t.Context(), "p", TapRequest{Step: "no"})
		code(t, err, parley.NotFound)
	})
}

func TestWhatIsToldOfSeveralPartitions(t *testing.T) {
	bubble(t, func(t *testing.T) {
		o := newOffice(t, Options{})
		o.topicOf("a", 3)
		for steps, want := range map[string]int{
			"topic a | window 1m --key data.k --lateness 1s --idle 1s | topic b":           1,
			"topic a | window 1m --key ext.partitionkey --lateness 1s --idle 1s | topic b": 0,
			"topic a | window 1m --lateness 1s --idle 1s | topic b":                        1,
			"topic a | dedupe data.k | topic b":                                            1,
			"topic a | dedupe | topic b":                                                   0,
			"topic a | throttle 5/s | topic b":                                             1,
			"topic a --as-one | dedupe data.k | topic b":                                   0,
			"topic other | dedupe data.k | topic b":                                        0,
		} {
			r, err := o.Check(t.Context(), "p", []byte("steps: '"+steps+"'"), Remote)
			if err != nil || len(r.Findings) != want {
				t.Error(steps, text(r), err)
			}
		}
	})
}

func TestSourcesThatAreReadAsOne(t *testing.T) {
	o := &Options{Graph: newOffice(t, Options{}).opt.Graph}
	for steps, over := range map[string]string{
		"topic a | topic b":                   "a",
		"topic a | batch 3 | topic b":         "a",
		"topic a --as-one | topic b":          "",
		"topic a c | topic b":                 "",
		"topic a.* | topic b":                 "",
		"topic '~a' | topic b":                "",
		"topic a | head 5 | topic b":          "",
		"merge 'topic a' 'topic c' | topic b": "",
		"cron '* * * * *' | topic b":          "",
		"topic '$topics' | topic b":           "",
		"topic a | tee 'topic c' | topic b":   "a",
	} {
		d, err := o.check("p", []byte(fmt.Sprintf("steps: %q", steps)), Remote, nil)
		if must(t, err); d.over != over {
			t.Errorf("%s: over %q, want %q", steps, d.over, over)
		}
	}
}

func TestCatalogOfPartitions(t *testing.T) {
	c := &catalog{pipes: map[string]record{}}
	apply := func(e *parley.Event, err error) error {
		must(t, err)
		return c.apply(e)
	}
	must(t, apply(c.put("p", "steps: topic a | topic b", putData{}, 10)))
	must(t, apply(event(TypeSpread, "p", spreadData{4})))
	must(t, apply(event(TypeSpread, "p", spreadData{3})))
	must(t, apply(event(TypeSpread, "gone", spreadData{3})))
	must(t, apply(c.put("p", "steps: topic a | topic c", putData{}, 10)))
	if c.pipes["p"].parts != 4 {
		t.Fatalf("%+v", c.pipes["p"])
	}
	for _, n := range []int{-1, 0, MaxSpread + 1} {
		code(t, apply(event(TypeSpread, "p", spreadData{n})), parley.Damaged)
	}
	for name, left := range map[string]bool{"$pipe.p.1": false, "$pipe.p.1.3": false, "$pipe.q.1.3": true, "$pipe.q.1": true, "$pipe.p.9.1": false, "$pipe.p.x": false} {
		if c.left(name) != left {
			t.Error(name)
		}
	}
}

// TestTheFormOfAnEra: who does not know of partitions must not go on from it.
func TestTheFormOfAnEra(t *testing.T) {
	b := &book{kept: kept{Era: 3, In: 7}, adoption: adoption{Text: "steps", Start: "place"}, state: []byte{plain, 's'}}
	var c book
	must(t, c.Restore(b.Snapshot()))
	if text(c.kept) != text(b.kept) || c.adoption != b.adoption || string(c.state) != string(b.state) {
		t.Fatalf("%+v", c)
	}
	for part := range b.Snapshot() {
		if part[0] != moveSpread {
			t.Fatalf("%q", part)
		}
		break
	}
}

// TestANodeThatCannotRunAPipe asks for no part of it.
func TestANodeThatCannotRunAPipe(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCluster(t, once)
		c.nodes[0].topicOf("in", 4)
		c.nodes[0].put("once", oncePipe)
		settle(0)
		c.nodes[1].stop()
		settle(10 * time.Second)
		c.opt.Exec = false
		c.begin(1)
		c.publish(c.nodes[0], 0, 20)
		settle(time.Minute)
		if has := c.owns("once"); len(has[0]) != 4 {
			t.Fatal(has)
		}
		if s := c.nodes[1].stats("once"); s.In != 20 || s.State != Running {
			t.Fatal(text(s))
		}
		exactly(t, came(c.nodes[0]), 20)
	})
}
