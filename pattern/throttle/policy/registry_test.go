package policy

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/engine/memlog"
)

func TestLimitsOutliveTheirProcess(t *testing.T) {
	log := newLog()
	at := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	r := load(t, log, Options{Now: func() time.Time { return at }})
	made := put(t, r, "api", Definition{Limit: "2/1h", On: []string{"publish"}})
	put(t, r, "gone", Definition{Limit: "1/s"})
	if err := r.Delete(t.Context(), "gone"); err != nil {
		t.Fatal(err)
	}
	again := load(t, log, Options{})
	got, err := again.Get("api")
	if err != nil || !same(got.Definition, made.Definition) || !got.Changed.Equal(at) || got.Origin != FromAPI || len(again.List()) != 1 {
		t.Errorf("%+v %v, want %+v", got, err, made)
	}
	if _, err := again.Get("gone"); parley.CodeOf(err) != parley.NotFound {
		t.Error(err)
	}
	if err := again.Delete(t.Context(), "gone"); parley.CodeOf(err) != parley.NotFound {
		t.Error(err)
	}
}

func TestPuttingTheSameAppendsNothing(t *testing.T) {
	log := newLog()
	r := load(t, log, Options{})
	_, first, err := r.Put(t.Context(), "a", Definition{Limit: "5/1s"})
	before, _ := log.End(t.Context(), parley.Stream{Name: Stream})
	_, second, again := r.Put(t.Context(), "a", Definition{Limit: "5/s", Key: "ip", Mode: "enforce"})
	after, _ := log.End(t.Context(), parley.Stream{Name: Stream})
	if err != nil || again != nil || !first || second || before != after {
		t.Errorf("created %v %v, errors %v %v, end %d %d", first, second, err, again, before, after)
	}
}

func TestAChangeKeepsWhatIsSpent(t *testing.T) {
	r := load(t, newLog(), Options{})
	d := Definition{Limit: "10/1h", On: []string{"publish"}, Key: "everyone"}
	put(t, r, "a", d)
	q := Request{Action: Publish, Topics: []string{"x"}}
	for range 10 {
		admit(t, r, q)
	}
	d.Limit = "11/1h"
	put(t, r, "a", d)
	if one, two := admit(t, r, q), admit(t, r, q); one != "throttled" || two != "throttled" {
		t.Errorf("%q, %q: a full bucket stays full when it is made larger", one, two)
	}
	d.Key = "topic"
	put(t, r, "a", d)
	if got := admit(t, r, q); got != "" {
		t.Errorf("%q: other keys count anew", got)
	}
	d.On = nil
	put(t, r, "a", d)
	for range 20 {
		if got := admit(t, r, q); got != "" {
			t.Fatalf("%q by a limit that is applied to nothing", got)
		}
	}
}

func TestEveryNodeFollows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newLog()
		var gone []string
		a := load(t, log, Options{})
		b := load(t, log, Options{Gone: func(name string) { gone = append(gone, name) }})
		run(t.Context(), t, b)
		put(t, a, "x", Definition{Limit: "1/1h", On: []string{"poll"}})
		synctest.Wait()
		q := Request{Action: Poll, Topics: []string{"t"}}
		if one, two := admit(t, b, q), admit(t, b, q); one != "" || two != "throttled" {
			t.Errorf("%q, %q", one, two)
		}
		if err := a.Delete(t.Context(), "x"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := admit(t, b, q); got != "" || fmt.Sprint(gone) != "[x]" {
			t.Errorf("%q after the limit is gone; %v", got, gone)
		}
	})
}

func TestTwoNodesWriteAtOnce(t *testing.T) {
	log := newLog()
	nodes := []*Registry{load(t, log, Options{}), load(t, log, Options{})}
	var wg sync.WaitGroup
	for i, r := range nodes {
		for j := range 20 {
			wg.Go(func() {
				if _, _, err := r.Put(t.Context(), fmt.Sprintf("l%d-%d", i, j), Definition{Limit: "1/s"}); err != nil {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
	if n := len(load(t, log, Options{}).List()); n != 40 {
		t.Errorf("%d limits of 40", n)
	}
}

func TestTheConfigurationStandsBefore(t *testing.T) {
	log := newLog()
	put(t, load(t, log, Options{}), "a", Definition{Limit: "9/s"})
	r := load(t, log, Options{Fixed: map[string]Definition{"a": {Limit: "1/s"}}})
	if got, err := r.Get("a"); err != nil || got.Limit != "1/1s" || got.Origin != FromConfig || !got.Changed.IsZero() {
		t.Errorf("%+v %v", got, err)
	}
	if _, _, err := r.Put(t.Context(), "a", Definition{Limit: "2/s"}); parley.CodeOf(err) != parley.Conflict {
		t.Error(err)
	}
	if err := r.Delete(t.Context(), "a"); parley.CodeOf(err) != parley.Conflict {
		t.Error(err)
	}
	if got, err := load(t, log, Options{}).Get("a"); err != nil || got.Limit != "9/1s" {
		t.Errorf("%+v %v: what was put comes back when the configuration lets it", got, err)
	}
	_, err := New(log, Options{Fixed: map[string]Definition{"login": {Limit: "x"}}})
	var e *parley.Error
	if !errors.As(err, &e) || e.Field != "login.limit" {
		t.Error(err)
	}
}

func TestThereIsABound(t *testing.T) {
	r := load(t, newLog(), Options{MaxLimits: 1})
	put(t, r, "a", Definition{Limit: "1/s"})
	if _, _, err := r.Put(t.Context(), "b", Definition{Limit: "1/s"}); parley.CodeOf(err) != parley.Overloaded {
		t.Error(err)
	}
	put(t, r, "a", Definition{Limit: "2/s"})
	for _, name := range []string{"", "$x", "a b"} {
		if _, _, err := r.Put(t.Context(), name, Definition{Limit: "1/s"}); parley.CodeOf(err) != parley.Invalid {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// TestWhatIsNotUnderstood has a later version's events in the stream.
func TestWhatIsNotUnderstood(t *testing.T) {
	log := newLog()
	r := load(t, log, Options{})
	put(t, r, "a", Definition{Limit: "1/s"})
	for _, e := range []parley.Event{
		{Type: "parley.limit.blessed", Source: source, Subject: "a", ID: "1"},
		{Type: TypePut, Source: source, Subject: "a", ID: "2", Data: []byte(`{"limit":"quantum 5"}`)},
		{Type: TypePut, Source: source, Subject: "b", ID: "3", Data: []byte(`{"limit":"quantum 5"}`)},
	} {
		batch, err := parley.NewBatch(time.Unix(0, 0), e)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := log.Append(t.Context(), parley.Write{Stream: parley.Stream{Name: Stream}, Batch: batch}); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.roll.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := r.Get("a"); err != nil || got.Limit != "1/1s" {
		t.Errorf("%+v %v: what was in force stays", got, err)
	}
	if _, err := r.Get("b"); parley.CodeOf(err) != parley.NotFound {
		t.Error(err)
	}
	batch, _ := parley.NewBatch(time.Unix(0, 0), parley.Event{Type: TypePut, Source: source, Subject: "a", ID: "4", Data: []byte(`{`)})
	if _, err := log.Append(t.Context(), parley.Write{Stream: parley.Stream{Name: Stream}, Batch: batch}); err != nil {
		t.Fatal(err)
	}
	if err := r.Run(t.Context()); parley.CodeOf(err) != parley.Damaged {
		t.Errorf("%v: damage is never taken for nothing", err)
	}
}

// broken fails to read at first.
type broken struct {
	parley.Log
	fails int
}

func (b *broken) Read(ctx context.Context, at parley.Place, n int) (parley.Run, error) {
	if b.fails--; b.fails >= 0 {
		return parley.Run{}, &parley.Error{Code: parley.Unavailable}
	}
	return b.Log.Read(ctx, at, n)
}

func TestRunGoesOnWhenTheLogIsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &broken{Log: memlog.New(memlog.Options{})}
		r := load(t, log, Options{})
		other := load(t, log.Log, Options{})
		log.fails = 3
		run(t.Context(), t, r)
		put(t, other, "a", Definition{Limit: "1/s"})
		<-time.After(4 * time.Second)
		if _, err := r.Get("a"); err != nil {
			t.Error(err)
		}
	})
}
