package topic

import (
	"context"
	"fmt"
	"log/slog"
	"reflect"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/engine/memlog"
)

var quiet = slog.New(slog.DiscardHandler)

func TestPlan(t *testing.T) {
	stats := parley.Stats{Earliest: 10, End: 100, Bytes: 1000}
	for _, c := range []struct {
		name    string
		facts   Facts
		holdMax int64
		want    Decision
	}{
		{"nothing to do", Facts{}, 0, Decision{}},
		{"all is young and fits", Facts{Young: 10}, 0, Decision{}},
		{"age", Facts{Young: 30}, 0, Decision{UpTo: 30}},
		{"size", Facts{Fits: 30}, 0, Decision{UpTo: 30}},
		{"the stricter of both", Facts{Young: 30, Fits: 40}, 0, Decision{UpTo: 40}},
		{"a holder behind", Facts{Young: 30, Holds: []Hold{{"a", 20}}}, 0, Decision{UpTo: 20, Held: true}},
		{"a holder ahead", Facts{Young: 30, Holds: []Hold{{"a", 30}}}, 0, Decision{UpTo: 30}},
		{"a holder at the start", Facts{Young: 30, Holds: []Hold{{"a", 10}}}, 0, Decision{Held: true}},
		{"a holder of everything", Facts{Young: 30, Holds: []Hold{{"a", 0}}}, 0, Decision{Held: true}},
		{"the furthest behind counts", Facts{Young: 30, Holds: []Hold{{"a", 25}, {"b", 15}, {"c", 90}}}, 0, Decision{UpTo: 15, Held: true}},
		{"below hold_max", Facts{Young: 30, Holds: []Hold{{"a", 20}}}, 1000, Decision{UpTo: 20, Held: true}},
		{"over hold_max", Facts{Young: 30, Holds: []Hold{{"a", 20}}}, 999, Decision{UpTo: 30, Cut: []Hold{{"a", 20}}}},
		{"one at a time", Facts{Young: 30, Holds: []Hold{{"a", 25}, {"b", 15}}}, 999, Decision{UpTo: 25, Held: true, Cut: []Hold{{"b", 15}}}},
		{"who holds nothing back stays", Facts{Young: 30, Holds: []Hold{{"a", 31}}}, 999, Decision{UpTo: 30}},
		{"no limit passed, no cut", Facts{Young: 10, Holds: []Hold{{"a", 0}}}, 999, Decision{}},
		{"space is short", Facts{Young: 30, Holds: []Hold{{"a", 20}}, Pressed: true}, 0, Decision{UpTo: 30, Cut: []Hold{{"a", 20}}}},
	} {
		c.facts.Stats = stats
		if got := Plan(c.facts, c.holdMax); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

// TestPlanKeepsItsPromises holds for every input: nothing goes that no limit
// asks for, nothing that a holder has which was not cut, and at most one is cut.
func TestPlanKeepsItsPromises(t *testing.T) {
	at := rapid.Int64Range(0, 50)
	rapid.Check(t, func(t *rapid.T) {
		f := Facts{
			Stats:   parley.Stats{Earliest: parley.Position(at.Draw(t, "earliest")), Bytes: at.Draw(t, "bytes")},
			Young:   parley.Position(at.Draw(t, "young")),
			Fits:    parley.Position(at.Draw(t, "fits")),
			Pressed: rapid.Bool().Draw(t, "pressed"),
		}
		for i := range rapid.IntRange(0, 4).Draw(t, "holders") {
			f.Holds = append(f.Holds, Hold{fmt.Sprint(i), parley.Position(at.Draw(t, "at"))})
		}
		holdMax := at.Draw(t, "hold max")
		d := Plan(f, holdMax)
		if d.UpTo > max(f.Young, f.Fits) || len(d.Cut) > 1 {
			t.Fatalf("%+v", d)
		}
		if len(d.Cut) > 0 && !f.Pressed && (holdMax == 0 || f.Stats.Bytes <= holdMax) {
			t.Fatalf("cut without need: %+v", d)
		}
		for _, h := range f.Holds {
			cut := len(d.Cut) > 0 && d.Cut[0] == h
			if h.At < d.UpTo && !cut {
				t.Fatalf("%+v loses what it holds: %+v", h, d)
			}
			if len(d.Cut) > 0 && h.At < d.Cut[0].At {
				t.Fatalf("%+v is further behind than %+v", h, d.Cut[0])
			}
		}
	})
}

// bed is a registry that runs in fake time.
type bed struct {
	t   *testing.T
	log *memlog.Log
	*Registry
	topic Topic
	cuts  []Cut
	sent  int
}

func inBed(t *testing.T, o Options, s Settings, name string, test func(*testing.T, *bed)) {
	synctest.Test(t, func(t *testing.T) {
		b := &bed{t: t, log: memlog.New(memlog.Options{})}
		o.Logger, o.OnCut = quiet, func(c Cut) { b.cuts = append(b.cuts, c) }
		b.Registry = newTest(t, b.log, o)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- b.Run(ctx) }()
		var err error
		if b.topic, err = b.Create(ctx, name, s); err != nil {
			t.Fatal(err)
		}
		test(t, b)
		stop()
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
	})
}

// publish appends n events of about 200 bytes, and gives the first position.
func (b *bed) publish(n int) parley.Position {
	b.t.Helper()
	var first parley.Position
	for i := range n {
		placed, _, err := b.Publish(b.t.Context(), b.topic.Name, []parley.Event{{Data: make([]byte, 100)}}, PublishOptions{})
		if err != nil {
			b.t.Fatal(err)
		}
		if i == 0 {
			first = placed[0].Position
		}
	}
	b.sent += n
	return first
}

func (b *bed) pass(d time.Duration) {
	wait(b.t.Context(), d)
	synctest.Wait()
}

func (b *bed) stat() parley.Stats {
	b.t.Helper()
	st, err := b.log.Stat(b.t.Context(), b.topic.Partitions[0].Stream)
	if err != nil {
		b.t.Fatal(err)
	}
	return st
}

func TestRetentionByAge(t *testing.T) {
	inBed(t, Options{RetainEvery: time.Minute}, Settings{MaxAge: time.Hour}, "orders", func(t *testing.T, b *bed) {
		b.publish(10)
		b.pass(30 * time.Minute)
		young := b.publish(10)
		b.pass(30*time.Minute - time.Second)
		if b.stat().Events != 20 {
			t.Fatalf("an event went before its time: %+v", b.stat())
		}
		b.pass(2 * time.Minute)
		if st := b.stat(); st.Events != 10 || st.Earliest != young {
			t.Fatalf("%+v", st)
		}
		b.pass(3 * time.Hour)
		if st := b.stat(); st.Events != 1 { // the newest batch stays
			t.Fatalf("%+v", st)
		}
	})
}

func TestRetentionBySize(t *testing.T) {
	inBed(t, Options{}, Settings{MaxAge: NoLimit, MaxBytes: 20_000}, "orders", func(t *testing.T, b *bed) {
		b.publish(50)
		full := b.stat()
		b.pass(time.Minute)
		if b.stat() != full {
			t.Fatalf("what fits was trimmed: %+v", b.stat())
		}
		for range 5 {
			b.publish(70)
			size := b.stat().Bytes / b.stat().Events
			b.pass(time.Minute)
			if st := b.stat(); st.Bytes > 20_000 || st.Bytes+size <= 20_000 {
				t.Fatalf("%d bytes are kept, an event has %d", st.Bytes, size)
			}
		}
	})
}

func TestRetentionSharesSizeAmongPartitions(t *testing.T) {
	if got := (Settings{Partitions: 4, MaxBytes: 20_000}).share(); got != 5000 {
		t.Fatal(got)
	}
	if got := (Settings{Partitions: 4, MaxBytes: NoLimit}).share(); got != NoLimit {
		t.Fatal(got)
	}
}

func TestHoldersKeepRetentionBack(t *testing.T) {
	inBed(t, Options{HoldMax: 20_000}, Settings{MaxAge: time.Hour}, "orders", func(t *testing.T, b *bed) {
		s := b.topic.Partitions[0].Stream
		b.publish(10)
		b.Hold("queue", s, 0)
		b.Hold("hook", s, 5)
		b.pass(2 * time.Hour)
		if b.stat().Events != 10 || len(b.cuts) > 0 {
			t.Fatalf("%+v %v", b.stat(), b.cuts)
		}
		b.Hold("queue", s, 7)
		b.pass(time.Minute)
		if st := b.stat(); st.Earliest != 5 {
			t.Fatalf("%+v", st)
		}
		b.publish(200)
		b.pass(time.Minute)
		b.pass(time.Minute)
		// Both went: first the one furthest behind, and then the other.
		want := []Cut{{"hook", "orders", s, 5, 7}, {"queue", "orders", s, 7, 11}}
		if !reflect.DeepEqual(b.cuts, want) || b.stat().Earliest != 11 {
			t.Fatalf("%+v %+v", b.cuts, b.stat())
		}
		b.Hold("queue", s, 11)
		b.Hold("queue", parley.Stream{Name: "other"}, 1)
		b.Release("queue")
		if len(b.holds.all) != 0 {
			t.Fatalf("%v", b.holds.all)
		}
	})
}

// TestPressureCutsTheOldestHolder has space run short with two streams held.
func TestPressureCutsTheOldestHolder(t *testing.T) {
	var pressed atomic.Bool
	inBed(t, Options{Pressed: pressed.Load}, Settings{MaxAge: time.Minute}, "old", func(t *testing.T, b *bed) {
		b.publish(2)
		young, err := b.Create(t.Context(), "young", Settings{MaxAge: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		b.pass(time.Second)
		old := b.topic
		b.topic = young
		b.publish(2)
		b.Hold("a", old.Partitions[0].Stream, 0)
		b.Hold("b", young.Partitions[0].Stream, 0)
		b.pass(2 * time.Minute)
		pressed.Store(true)
		b.pass(DefaultRetain)
		if len(b.cuts) != 1 || b.cuts[0].Topic != "old" {
			t.Fatalf("%+v", b.cuts)
		}
		pressed.Store(false)
		b.pass(10 * time.Minute)
		if len(b.cuts) != 1 {
			t.Fatalf("%+v", b.cuts)
		}
	})
}

func TestDeletionForgetsHolds(t *testing.T) {
	inBed(t, Options{}, Settings{}, "orders", func(t *testing.T, b *bed) {
		b.Hold("queue", b.topic.Partitions[0].Stream, 0)
		if err := b.Delete(t.Context(), "orders"); err != nil {
			t.Fatal(err)
		}
		if len(b.holds.all) != 0 {
			t.Fatalf("%v", b.holds.all)
		}
	})
}

func TestIdleEphemeralTopicsGo(t *testing.T) {
	inBed(t, Options{AutoCreate: true}, Settings{}, "~typing", func(t *testing.T, b *bed) {
		b.publish(3)
		b.pass(IdleEphemeral - time.Second)
		b.publish(1)
		b.pass(time.Minute)
		if _, err := b.Get("~typing"); err != nil {
			t.Fatal(err)
		}
		waited := time.Minute
		for ; len(b.List()) > 1; waited += time.Second {
			b.pass(time.Second)
		}
		if waited < IdleEphemeral || waited > IdleEphemeral+2*DefaultRetain {
			t.Fatalf("it went after %v", waited)
		}
		// A publisher that had looked the topic up before comes late.
		batch, _ := parley.NewBatch(time.Now(), parley.Event{ID: "1", Source: "/", Type: "t"})
		if _, err := b.log.Append(t.Context(), parley.Write{Stream: b.topic.Partitions[0].Stream, Batch: batch}); err != nil {
			t.Fatal(err)
		}
		b.pass(time.Minute)
		if streams, _ := b.log.Streams(t.Context(), ""); len(streams) != 0 {
			t.Fatalf("%v", streams)
		}
	})
}

// TestTheWindowOfPublishAll lets the window pass: the key is new again, and
// $publish does not grow.
func TestTheWindowOfPublishAll(t *testing.T) {
	inBed(t, Options{}, Settings{}, "orders", func(t *testing.T, b *bed) {
		all := []TopicEvents{{"orders", []parley.Event{{Data: []byte("x")}}}}
		publish := func(key string) bool {
			t.Helper()
			_, replayed, err := b.PublishAll(t.Context(), all, PublishOptions{IdempotencyKey: key})
			if err != nil {
				t.Fatal(err)
			}
			return replayed
		}
		for i := range 50 {
			publish(fmt.Sprint(i))
		}
		b.pass(parley.OnceWindow - time.Second)
		if !publish("7") {
			t.Fatal("a key was forgotten within the window")
		}
		b.pass(time.Second)
		if publish("7") {
			t.Fatal("a key was remembered beyond the window")
		}
		b.pass(time.Minute)
		st, err := b.log.Stat(t.Context(), parley.Stream{Name: PublishStream})
		if err != nil || st.Events != 1 {
			t.Fatalf("%+v, %v", st, err)
		}
		late := newTest(t, b.log, Options{}) // it knows nothing of what was trimmed
		if _, replayed, err := late.PublishAll(t.Context(), all, PublishOptions{IdempotencyKey: "7"}); err != nil || !replayed {
			t.Fatal(replayed, err)
		}
	})
}

func TestWindowIsBounded(t *testing.T) {
	var w window
	now := time.Now()
	for i := range MaxCommits + 10 {
		w.add(&commit{key: onceKey("all", "", fmt.Sprint(i)), at: now})
	}
	if len(w.byKey) != MaxCommits || len(w.order) != MaxCommits {
		t.Fatal(len(w.byKey), len(w.order))
	}
	if w.find(now, onceKey("all", "", "9")) != nil || w.find(now, onceKey("all", "", "10")) == nil {
		t.Fatal("not the oldest went")
	}
}

func FuzzCommit(f *testing.F) {
	c := &commit{key: onceKey("all", "", "k"), digest: digest{1}, at: time.UnixMilli(1e12), parts: []committed{{Stream: "a/16", After: 3, Size: 100, CRC: 7, Events: []int{0, 2}}}}
	f.Add(c.event().Data)
	f.Add([]byte(`{"key":"00"}`))
	f.Add([]byte(`{"key":"` + fmt.Sprintf("%032d", 0) + `","digest":"zz","parts":[null]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		e := c.event()
		e.Data = data
		batch, err := parley.NewBatch(c.at, e)
		if err != nil {
			return
		}
		for rec, err := range batch.Records() {
			if err != nil {
				t.Fatal(err)
			}
			got, err := parseCommit(rec)
			if err != nil {
				if parley.CodeOf(err) != parley.Damaged {
					t.Fatal(err)
				}
				continue
			}
			if again := got.event(); got.key == c.key && string(data) == string(c.event().Data) && string(again.Data) != string(data) {
				t.Fatalf("%s became %s", data, again.Data)
			}
		}
	})
}

// TestHoldersOfOtherNodes: what they hold stays, and everything does while they
// cannot be asked; nobody asks them while nothing is to go.
func TestHoldersOfOtherNodes(t *testing.T) {
	inBed(t, Options{}, Settings{MaxAge: time.Hour}, "orders", func(t *testing.T, b *bed) {
		s := b.topic.Partitions[0].Stream
		var asked atomic.Int32
		var far atomic.Pointer[map[parley.Stream][]Hold]
		away := parley.Errorf(parley.Unavailable, "no node answers")
		b.AskHolders(func(context.Context) (map[parley.Stream][]Hold, error) {
			asked.Add(1)
			if held := far.Load(); held != nil {
				return *held, nil
			}
			return nil, away
		})
		b.publish(10)
		b.pass(30 * time.Minute)
		if n := asked.Load(); n > 0 {
			t.Fatalf("asked %d times, and nothing was to go", n)
		}
		b.pass(2 * time.Hour)
		if b.stat().Earliest != 1 || asked.Load() == 0 {
			t.Fatalf("%+v after %d questions", b.stat(), asked.Load())
		}
		far.Store(&map[parley.Stream][]Hold{s: {{"there", 4}}})
		b.Hold("here", s, 6)
		b.pass(time.Minute)
		if b.stat().Earliest != 4 {
			t.Fatalf("%+v", b.stat())
		}
		far.Store(&map[parley.Stream][]Hold{})
		b.pass(time.Minute)
		if b.stat().Earliest != 6 {
			t.Fatalf("%+v", b.stat())
		}
	})
}
