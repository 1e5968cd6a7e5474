package topic

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/engine/disklog"
	"github.com/parleyhq/parley/engine/memlog"
	"github.com/parleyhq/parley/internal/vfs"
)

// keyData is an event of a key; without data it is a tombstone.
func keyData(key, data string) parley.Event {
	e := parley.Event{}
	if data != "" {
		e.Data = []byte(data)
	}
	e.Set(parley.PartitionKey, key)
	return e
}

type entry struct {
	at         parley.Position
	key, value string
	stored     time.Time
}

// entries reads all that a topic's first partition holds.
func entries(t interface{ Fatal(...any) }, log parley.Log, s parley.Stream) (all []entry) {
	for at := parley.Position(0); ; {
		run, err := log.Read(context.Background(), parley.Place{Stream: s, At: at}, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		if run.Empty() {
			return all
		}
		for rec, err := range run.Records() {
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, entry{rec.Position, string(rec.Key), string(rec.Value), rec.Time()})
		}
		at = run.Next()
		run.Release()
	}
}

func show(all []entry) string {
	var out []string
	for _, e := range all {
		out = append(out, fmt.Sprintf("%d:%s=%s", e.at, e.key, e.value))
	}
	return strings.Join(out, " ")
}

// stage is a registry with one compacted topic and a clock.
type stage struct {
	t   testing.TB
	log parley.Log
	r   *Registry
	k   *compactor
	now time.Time
	p   Partition
}

func newStage(t testing.TB, s Settings) *stage {
	st := &stage{t: t, log: memlog.New(memlog.Options{}), now: time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)}
	st.r = newTest(t, st.log, Options{Now: func() time.Time { return st.now }})
	s.Compact = true
	made, err := st.r.Create(t.Context(), "users", s)
	if err != nil {
		t.Fatal(err)
	}
	st.k, st.p = st.r.newCompactor(), made.Partitions[0]
	return st
}

func (st *stage) publish(events ...parley.Event) {
	st.t.Helper()
	if _, _, err := st.r.Publish(st.t.Context(), "users", events, PublishOptions{}); err != nil {
		st.t.Fatal(err)
	}
}

func (st *stage) want(want string) {
	st.t.Helper()
	st.k.round(st.t.Context())
	if got := show(entries(st.t, st.log, st.p.Stream)); got != want {
		st.t.Fatalf("got  %s\nwant %s", got, want)
	}
}

func TestCompactionKeepsTheNewestOfEachKey(t *testing.T) {
	st := newStage(t, Settings{})
	st.publish(keyData("a", "1"), keyData("b", "1"))
	st.publish(keyData("a", "2"))
	st.publish(keyData("c", "1"))
	st.want("2:b=1 3:a=2 4:c=1")
	st.publish(keyData("c", "2"), keyData("c", "3")) // the newest batch is left alone
	st.want("2:b=1 3:a=2 4:c=1 5:c=2 6:c=3")
	st.publish(keyData("d", "1"))
	st.now = st.now.Add(compactAfter)
	st.want("2:b=1 3:a=2 6:c=3 7:d=1")
}

func TestTombstonesStayForTheirAge(t *testing.T) {
	st := newStage(t, Settings{TombstoneAge: time.Hour})
	st.publish(keyData("a", "1"))
	st.publish(keyData("a", ""))
	st.publish(keyData("b", "1"))
	st.want("2:a= 3:b=1")
	st.now = st.now.Add(time.Hour - time.Millisecond)
	st.want("2:a= 3:b=1")
	st.now = st.now.Add(time.Millisecond)
	st.want("3:b=1")
}

func TestCompactLagAndHoldsKeepEverything(t *testing.T) {
	st := newStage(t, Settings{CompactLag: time.Minute})
	st.publish(keyData("a", "1"))
	st.publish(keyData("a", "2"))
	st.now = st.now.Add(time.Second)
	st.publish(keyData("a", "3"))
	st.publish(keyData("b", "1"))
	st.want("1:a=1 2:a=2 3:a=3 4:b=1")
	st.r.Hold("slow", st.p.Stream, 2)
	st.now = st.now.Add(time.Hour)
	st.want("1:a=1 2:a=2 3:a=3 4:b=1")
	st.r.Hold("slow", st.p.Stream, 3)
	st.now = st.now.Add(time.Hour)
	st.want("2:a=2 3:a=3 4:b=1")
	st.r.Release("slow")
	st.now = st.now.Add(time.Hour)
	st.want("3:a=3 4:b=1")
}

func TestCompactedTopicsNeedKeysAndAnEngine(t *testing.T) {
	st := newStage(t, Settings{})
	_, _, err := st.r.Publish(t.Context(), "users", []parley.Event{keyData("a", "1"), {Data: []byte("1")}}, PublishOptions{})
	wantCode(t, err, parley.Unprocessable, "events[1].partitionkey")
	_, _, err = st.r.PublishAll(t.Context(), []TopicEvents{{"users", []parley.Event{{}}}}, PublishOptions{})
	wantCode(t, err, parley.Unprocessable, "events[0].partitionkey")
	batch, err := parley.NewBatch(st.now, parley.Event{ID: "1", Source: "/s", Type: "t"})
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = st.r.PublishBatch(t.Context(), "users", 0, batch, PublishOptions{})
	wantCode(t, err, parley.Unprocessable, "record_batch")
	if all := entries(t, st.log, st.p.Stream); len(all) > 0 {
		t.Fatalf("refused, and there: %s", show(all))
	}
	_, err = st.r.Create(t.Context(), "~x", Settings{Compact: true})
	wantCode(t, err, parley.Invalid, "compact")
	type bare struct{ parley.Log }
	_, err = newTest(t, bare{st.log}, Options{}).Create(t.Context(), "more", Settings{Compact: true})
	wantCode(t, err, parley.Unprocessable, "compact")
	_, err = newTest(t, unable{bare{st.log}}, Options{}).Update(t.Context(), "users", Settings{Compact: true, CompactLag: time.Hour})
	wantCode(t, err, parley.Unprocessable, "compact")
}

// unable is an engine that says only when it is asked that it cannot.
type unable struct{ parley.Log }

func (unable) Rewrite(context.Context, parley.Stream, parley.Position, parley.Position, func(parley.Batch) (parley.Batch, error)) error {
	return &parley.Error{Code: parley.Unprocessable}
}

// TestRunCompacts has the loop do it, while somebody reads.
func TestRunCompacts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := memlog.New(memlog.Options{})
		r := newTest(t, log, Options{})
		made, err := r.Create(t.Context(), "users", Settings{Compact: true})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 10 {
			if _, _, err := r.Publish(t.Context(), "users", []parley.Event{keyData("a", fmt.Sprint(i))}, PublishOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		s := made.Partitions[0].Stream
		held, err := log.Read(t.Context(), parley.Place{Stream: s, At: 3}, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		before := bytes.Clone(held.Bytes())
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- r.Run(ctx) }()
		<-time.After(DefaultRetain + time.Second)
		synctest.Wait()
		stop()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(held.Bytes(), before) {
			t.Error("what a reader had in hand has changed")
		}
		held.Release()
		if got := show(entries(t, log, s)); got != "9:a=8 10:a=9" {
			t.Error(got)
		}
		later, err := log.Read(t.Context(), parley.Place{Stream: s, At: 3}, 1<<20)
		if err != nil || later.Empty() {
			t.Errorf("a place in what was dropped: %v", err)
		}
		later.Release()
	})
}

// TestCompactionModel publishes, waits and compacts in any order, and holds the
// stream to what may go: an event that a newer one of its key supersedes, and a
// tombstone of age.
func TestCompactionModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		st := newStage(t, Settings{TombstoneAge: time.Hour, CompactLag: time.Duration(rapid.IntRange(0, 1).Draw(rt, "lag")) * time.Minute})
		st.k.limit = rapid.IntRange(1, 4).Draw(rt, "limit")
		var model []entry
		for range rapid.IntRange(1, 30).Draw(rt, "steps") {
			switch rapid.IntRange(0, 3).Draw(rt, "what") {
			case 0, 1:
				var events []parley.Event
				for range rapid.IntRange(1, 3).Draw(rt, "events") {
					key, data := rapid.SampledFrom([]string{"a", "b", "c", "d", "e"}).Draw(rt, "key"), fmt.Sprint(len(model))
					if rapid.IntRange(0, 3).Draw(rt, "tombstone") == 0 {
						data = ""
					}
					model = append(model, entry{parley.Position(len(model) + 1), key, data, st.now})
					events = append(events, keyData(key, data))
				}
				st.publish(events...)
			case 2:
				st.now = st.now.Add(time.Duration(rapid.IntRange(1, 90).Draw(rt, "minutes")) * time.Minute)
			case 3:
				st.k.round(t.Context())
			}
			checkCompacted(rt, st, model)
		}
		if len(model) == 0 {
			return
		}
		// In the end, and with the newest batch out of the way, nothing else is left.
		st.publish(keyData("end", "x"))
		st.now = st.now.Add(2 * time.Hour)
		st.publish(keyData("end", "y"))
		st.now = st.now.Add(2 * time.Hour)
		st.k.round(t.Context())
		st.k.round(t.Context())
		for _, e := range entries(t, st.log, st.p.Stream) {
			if i := int(e.at) - 1; i < len(model) && (newestOf(model, e.key) != e.at || e.value == "") {
				rt.Fatalf("%s=%s at %d is left for ever", e.key, e.value, e.at)
			}
		}
	})
}

func newestOf(model []entry, key string) parley.Position {
	for _, e := range slices.Backward(model) {
		if e.key == key {
			return e.at
		}
	}
	return 0
}

func checkCompacted(rt *rapid.T, st *stage, model []entry) {
	there := map[parley.Position]bool{}
	past := parley.Position(0)
	for _, e := range entries(st.t, st.log, st.p.Stream) {
		m := model[e.at-1]
		if e.at <= past || m.key != e.key || m.value != e.value {
			rt.Fatalf("%+v after %d, published as %+v", e, past, m)
		}
		there[e.at], past = true, e.at
	}
	for _, m := range model {
		old := m.value == "" && !st.now.Before(m.stored.Add(time.Hour))
		superseded := newestOf(model, m.key) != m.at
		if !there[m.at] && !old && !superseded {
			rt.Fatalf("%+v is gone", m)
		}
		if !there[m.at] && superseded && !old && st.now.Sub(m.stored) < st.lag() {
			rt.Fatalf("%+v went before the lag was over", m)
		}
	}
}

func (st *stage) lag() time.Duration {
	t, err := st.r.Get("users")
	if err != nil {
		st.t.Fatal(err)
	}
	return t.Settings.CompactLag
}

// TestCompactionSurvivesCrashes cuts the power at calls to the disk while a topic
// is published to and compacted, and looks at what the next start finds.
func TestCompactionSurvivesCrashes(t *testing.T) {
	whole := vfs.NewFaulty(vfs.NewMem())
	playCompaction(t, whole)
	calls := whole.Calls()
	rng := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 2))
	for at := rng.Int64N(7); at < calls; at += 7 {
		disk := vfs.NewMem()
		faulty := vfs.NewFaulty(disk)
		faulty.CutPower(at)
		told := playCompaction(t, faulty)
		for _, percent := range []int{0, 50, 100} {
			checkCrashed(t, disk.CrashClone(percent, rng), told, fmt.Sprintf("call %d of %d, %d %%", at, calls, percent))
		}
	}
}

var small = disklog.Options{LogBytes: 64 << 10, SegmentBytes: 128 << 10, GroupBytes: 16 << 10, OpenFiles: 2, Logger: quiet}

// playCompaction gives the newest acknowledged position of each key.
func playCompaction(t *testing.T, fsys vfs.FS) map[string]entry {
	told := map[string]entry{}
	l, err := disklog.Open(fsys, small)
	if err != nil {
		return told
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { _ = l.Run(ctx); close(done) }() // it may well fail
	defer func() { cancel(); <-done }()
	r := New(l, Options{Logger: quiet})
	if r.Load(ctx) != nil {
		return told
	}
	if _, err := r.Create(ctx, "users", Settings{Compact: true}); err != nil {
		return told
	}
	k := r.newCompactor()
	for i := range 40 {
		key := fmt.Sprint("k", i%5)
		value := fmt.Sprint(i, strings.Repeat("v", 3000))
		placed, _, err := r.Publish(ctx, "users", []parley.Event{keyData(key, value)}, PublishOptions{})
		if err != nil {
			return told
		}
		told[key] = entry{at: placed[0].Position, key: key, value: value}
		if i%10 == 9 {
			k.done = map[parley.Stream]compacted{}
			k.round(ctx)
		}
	}
	return told
}

func checkCrashed(t *testing.T, disk *vfs.Mem, told map[string]entry, when string) {
	t.Helper()
	l, err := disklog.Open(disk, small)
	if err != nil {
		t.Fatalf("%s: %v", when, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	defer func() { cancel(); <-done }()
	r := newTest(t, l, Options{Logger: quiet})
	users, err := r.Get("users")
	if err != nil {
		if len(told) > 0 {
			t.Fatalf("%s: %v", when, err)
		}
		return
	}
	newest, past := map[string]entry{}, parley.Position(0)
	for _, e := range entries(t, l, users.Partitions[0].Stream) {
		if e.at <= past {
			t.Fatalf("%s: %d after %d", when, e.at, past)
		}
		newest[e.key], past = e, e.at
	}
	for key, want := range told {
		if got := newest[key]; got.at < want.at || got.at == want.at && got.value != want.value {
			t.Fatalf("%s: the newest of %s is %d, acknowledged was %d", when, key, got.at, want.at)
		}
	}
}
