package pubsub

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/cursor"
	"github.com/parleyhq/parley/base/topic"
	"github.com/parleyhq/parley/engine/memlog"
)

func expect(t *testing.T, d Delivery, want string) {
	t.Helper()
	if got := strings.Join(text(d), " "); got != want {
		t.Fatalf("got %q, want %q", got, want)
	}
}

func TestStoredThenLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		r.publish("a", "1", "2")
		s := r.subscribe(Request{Topics: []string{"a"}, From: Earliest()})
		defer s.Close()
		expect(t, r.next(s), "1 2")
		go r.publish("a", "3")
		expect(t, r.next(s), "3")
		r.publish("a", "4")
		r.publish("a", "5")
		synctest.Wait()
		expect(t, r.next(s), "4 5")
	})
}

func TestAFirstLookSeesWhatWasJustPublished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		r.publish("a", "0")
		live := r.subscribe(Request{Topics: []string{"a"}}) // makes the tail live
		defer live.Close()
		live.Park(make(wakeChan, 1))
		synctest.Wait()
		for range 100 {
			after := After(func() string { s := r.subscribe(Request{Topics: []string{"a"}}); defer s.Close(); return s.Cursor() }())
			r.publish("a", "x")
			s := r.subscribe(Request{Topics: []string{"a"}, From: after})
			d, err := s.Fetch(t.Context(), 1<<20)
			s.Close()
			if err != nil {
				t.Fatal(err)
			}
			expect(t, d, "x")
		}
	})
}

func TestTopicsThatDoNotExistYet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		named := r.subscribe(Request{Topics: []string{"new"}})
		wide := r.subscribe(Request{Topics: []string{"orders.>"}})
		defer named.Close()
		defer wide.Close()
		synctest.Wait()
		before := wide.Cursor()
		r.publish("orders.eu", "eu")
		r.publish("new", "n")
		expect(t, r.next(named), "n")
		expect(t, r.next(wide), "eu")
		r.publish("orders.us.east", "us")
		expect(t, r.next(wide), "us")
		again := r.subscribe(Request{Topics: []string{"orders.>"}, From: After(before)})
		defer again.Close()
		d, err := again.Fetch(t.Context(), 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		got := text(d)
		slices.Sort(got)
		if strings.Join(got, " ") != "eu us" {
			t.Fatalf("a cursor from before the topics were made gives %v", got)
		}
	})
}

func TestPlacesThatCannotBeKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		placed := r.publish("a", "1")
		start := r.subscribe(Request{Topics: []string{"a"}})
		here := start.Cursor()
		start.Close()
		r.publish("a", "2")
		last := r.publish("a", "3")
		if err := r.log.Trim(t.Context(), r.stream("a", 0), last[0].Position); err != nil {
			t.Fatal(err)
		}
		for _, row := range []struct {
			name, cursor, want string
			code               parley.Code
		}{
			{"trimmed", here, "[gap 2-3] 3", parley.Trimmed},
			{"garbage", "garbage", "[reset 0-0]", parley.BadCursor},
		} {
			s := r.subscribe(Request{Topics: []string{"a"}, From: After(row.cursor)})
			d, err := s.Fetch(t.Context(), 1<<20)
			s.Close()
			if err != nil {
				t.Fatal(err)
			}
			expect(t, d, row.want)
			_, err = r.hub.Subscribe(t.Context(), Request{Topics: []string{"a"}, From: After(row.cursor), Strict: true})
			if parley.CodeOf(err) != row.code {
				t.Errorf("%s, strict: %v, want %v", row.name, err, row.code)
			}
		}
		_ = placed
	})
}

func TestDeletedAndRecreated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		r.publish("a", "1")
		s := r.subscribe(Request{Topics: []string{"a"}})
		cursor := s.Cursor()
		woken := make(wakeChan, 1)
		if !s.Park(woken) {
			t.Fatal("not parked")
		}
		synctest.Wait()
		if err := r.topics.Delete(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		<-woken
		if _, err := s.Fetch(t.Context(), 1); parley.CodeOf(err) != parley.NotFound {
			t.Fatalf("after the deletion: %v", err)
		}
		s.Close()
		r.publish("a", "new")
		s = r.subscribe(Request{Topics: []string{"a"}, From: After(cursor)})
		defer s.Close()
		expect(t, r.next(s), "[reset 0-0] new")
	})
}

// lateWait is a log whose Wait returns no sooner than it is let.
type lateWait struct {
	*memlog.Log
	let chan struct{}
}

func (l lateWait) Wait(ctx context.Context, at ...parley.Place) error {
	err := l.Log.Wait(ctx, at...)
	<-l.let
	return err
}

// TestRetentionOvertakesTheFirstEvents trims an empty stream's first events before
// its follower has read them.
func TestRetentionOvertakesTheFirstEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := lateWait{memlog.New(memlog.Options{}), make(chan struct{})}
		r := newRigOn(t, log, Options{})
		if _, err := r.topics.Create(t.Context(), "a", topic.Settings{}); err != nil {
			t.Fatal(err)
		}
		parked := r.subscribe(Request{Topics: []string{"a"}})
		defer parked.Close()
		parked.Park(make(wakeChan, 1))
		synctest.Wait() // the follower waits for the first event
		r.publish("a", "1")
		s := r.subscribe(Request{Topics: []string{"a"}, From: Earliest()})
		defer s.Close()
		expect(t, r.next(s), "1")
		r.publish("a", "2")
		last := r.publish("a", "3")
		if err := log.Trim(t.Context(), r.stream("a", 0), last[0].Position); err != nil {
			t.Fatal(err)
		}
		close(log.let)
		synctest.Wait()
		expect(t, r.next(s), "[gap 2-3] 3")
		expect(t, r.next(parked), "[gap 1-3] 3")
	})
}

func TestADeletionBeforeRunIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		r.publish("a", "1")
		late := NewHub(r.log, r.topics, cursor.NewSealer(), Options{})
		s, err := late.Subscribe(t.Context(), Request{Topics: []string{"a"}})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if err := r.topics.Delete(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); _ = late.Run(ctx) }()
		defer func() { stop(); <-done }()
		wait, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		if _, err := s.Next(wait); parley.CodeOf(err) != parley.NotFound {
			t.Errorf("a reader of a topic that is gone: %v", err)
		}
	})
}

func TestAReaderOfADeletedTopicIsToldBeforeItIsRecreated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		r.publish("a", "1")
		r.publish("b", "1")
		s := r.subscribe(Request{Topics: []string{"a"}})
		cursor := s.Cursor()
		s.Close()
		if err := r.topics.Delete(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		if _, err := r.hub.Subscribe(t.Context(), Request{Topics: []string{"a"}, From: After(cursor), Strict: true}); parley.CodeOf(err) != parley.BadCursor {
			t.Errorf("strict: %v", err)
		}
		s = r.subscribe(Request{Topics: []string{"a"}, From: After(cursor)})
		defer s.Close()
		expect(t, r.next(s), "[reset 0-0]")
		r.publish("a", "new")
		expect(t, r.next(s), "new")
	})
}

func TestEphemeralDoesNotMoveTheCursor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		r.publish("chat", "1")
		s := r.subscribe(Request{Topics: []string{"chat"}, Ephemeral: true})
		defer s.Close()
		before := s.Cursor()
		r.publish("~chat", "typing")
		expect(t, r.next(s), "typing")
		if s.Cursor() != before {
			t.Fatal("an ephemeral event moved the cursor")
		}
		r.publish("chat", "2")
		expect(t, r.next(s), "2")
		if s.Cursor() == before {
			t.Fatal("a durable event did not move the cursor")
		}
	})
}

func TestPartitionsKeepTheOrderOfKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		if _, err := r.topics.Create(t.Context(), "p", topic.Settings{Partitions: 8}); err != nil {
			t.Fatal(err)
		}
		s := r.subscribe(Request{Topics: []string{"p"}})
		defer s.Close()
		const keys, each = 20, 10
		for i := range each {
			for k := range keys {
				e := parley.Event{Data: []byte{byte(k), byte(i)}}
				e.Set(parley.PartitionKey, string(rune('a'+k)))
				if _, _, err := r.topics.Publish(t.Context(), "p", []parley.Event{e}, topic.PublishOptions{}); err != nil {
					t.Fatal(err)
				}
			}
		}
		next := make([]byte, keys)
		for n := 0; n < keys*each; {
			d := r.next(s)
			for _, c := range d.Chunks {
				for _, v := range c.Views() {
					if k := v.Data[0]; v.Data[1] != next[k] {
						t.Fatalf("key %d: event %d, want %d", k, v.Data[1], next[k])
					}
					next[v.Data[0]]++
					n++
				}
			}
		}
	})
}

// TestFrameShared proves that an event is encoded once, whoever reads it.
func TestFrameShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		r.publish("a", "0")
		encoded := 0
		format := &Format{Name: "test", Append: func(dst []byte, v *View) []byte { encoded++; return append(dst, v.Data...) }}
		const subscribers = 1000
		subs := make([]*Subscription, subscribers)
		woken := make(wakeChan, subscribers)
		for i := range subs {
			subs[i] = r.subscribe(Request{Topics: []string{"a"}})
			if !subs[i].Park(woken) {
				t.Fatal("not parked")
			}
		}
		synctest.Wait()
		drainAll(woken)
		for _, s := range subs { // the tail's start may have woken them
			if d, err := s.Fetch(t.Context(), 1<<20); err != nil || !d.Empty() {
				t.Fatalf("%v, %v", text(d), err)
			}
			s.Park(woken)
		}
		r.publish("a", "one", "two")
		synctest.Wait()
		if n := drainAll(woken); n != subscribers {
			t.Fatalf("%d of %d were woken", n, subscribers)
		}
		var first *byte
		for i, s := range subs {
			d, err := s.Fetch(t.Context(), 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			expect(t, d, "one two")
			bytes := d.Chunks[0].Frame(format).From(0)
			if i == 0 {
				first = &bytes[0]
			}
			if &bytes[0] != first {
				t.Fatalf("subscriber %d has a frame of its own", i)
			}
			s.Close()
		}
		if encoded != 2 {
			t.Fatalf("encoded %d times, want once for each of 2 events", encoded)
		}
	})
}

func drainAll(c wakeChan) (n int) {
	for {
		select {
		case <-c:
			n++
		default:
			return n
		}
	}
}

func TestRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		if _, err := r.topics.Create(t.Context(), "wide", topic.Settings{Partitions: 65}); err != nil {
			t.Fatal(err)
		}
		for _, row := range []struct {
			q    Request
			code parley.Code
		}{
			{Request{}, parley.Invalid},
			{Request{Topics: []string{"a..b"}}, parley.Invalid},
			{Request{Topics: []string{"wide"}}, parley.Unprocessable},
			{Request{Topics: []string{"$nothing"}}, parley.NotFound},
		} {
			if _, err := r.hub.Subscribe(t.Context(), row.q); parley.CodeOf(err) != row.code || err == nil {
				t.Errorf("%v: %v, want %v", row.q.Topics, err, row.code)
			}
		}
	})
}

func TestNextEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		r.publish("a", "1")
		s := r.subscribe(Request{Topics: []string{"a"}})
		defer s.Close()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := s.Next(ctx); parley.CodeOf(err) != parley.Canceled {
			t.Fatal(err)
		}
		r.publish("a", "2")
		expect(t, r.next(s), "2")
	})
}

func TestTailPagesBackwards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		for _, d := range []string{"1", "2", "3", "4", "5", "6", "7"} {
			r.publish("a", d)
		}
		var got []string
		before := ""
		for {
			p, err := r.hub.Tail(t.Context(), Request{Topics: []string{"a"}}, 3, before)
			if err != nil {
				t.Fatal(err)
			}
			var words []string
			for _, v := range p.Events {
				words = append(words, string(v.Data))
			}
			got = append(got, strings.Join(words, ""))
			if before = p.Before; before == "" {
				break
			}
		}
		if strings.Join(got, " ") != "567 234 1" {
			t.Fatalf("pages: %q", got)
		}
	})
}
