package memlog

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleyhq/parley"
)

func oneRecord(t testing.TB, size int) parley.Batch {
	t.Helper()
	var b parley.Builder
	if err := b.AddRecord(time.UnixMilli(1), nil, make([]byte, size)); err != nil {
		t.Fatal(err)
	}
	batch, err := b.Batch()
	if err != nil {
		t.Fatal(err)
	}
	return batch
}

func put(t testing.TB, l *Log, s parley.Stream, size int) parley.Position {
	t.Helper()
	got, err := l.Append(t.Context(), parley.Write{Stream: s, Batch: oneRecord(t, size)})
	if err != nil {
		t.Fatal(err)
	}
	return got[0].Base
}

var (
	sA = parley.Stream{Name: "a"}
	sB = parley.Stream{Name: "b"}
)

// waits starts a Wait and gives its answer once it has one.
func waits(ctx context.Context, l *Log, at ...parley.Place) func() (error, bool) {
	done := make(chan error, 1)
	go func() { done <- l.Wait(ctx, at...) }()
	return func() (error, bool) {
		synctest.Wait()
		select {
		case err := <-done:
			return err, true
		default:
			return nil, false
		}
	}
}

func TestWaitInFakeTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Options{})
		put(t, l, sA, 1)
		end := parley.Place{Stream: sA, At: 2}
		answer := waits(t.Context(), l, parley.Place{Stream: sB}, end, end)
		if err, ok := answer(); ok {
			t.Fatalf("returned %v with nothing to read", err)
		}
		put(t, l, parley.Stream{Name: "elsewhere"}, 1)
		if err, ok := answer(); ok {
			t.Fatalf("returned %v for what is elsewhere", err)
		}
		put(t, l, sA, 1)
		if err, ok := answer(); !ok || err != nil {
			t.Fatalf("returned %v, %v after the append", err, ok)
		}
		beyond := waits(t.Context(), l, parley.Place{Stream: sA, At: 5})
		for range 2 { // positions 3 and 4
			put(t, l, sA, 1)
			if err, ok := beyond(); ok {
				t.Fatalf("returned %v below its place", err)
			}
		}
		put(t, l, sA, 1)
		if err, ok := beyond(); !ok || err != nil {
			t.Fatalf("returned %v, %v at its place", err, ok)
		}
	})
}

func TestWaitDeadlineInFakeTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Options{})
		begun := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if err := l.Wait(ctx, parley.Place{Stream: sA}); parley.CodeOf(err) != parley.Timeout {
			t.Fatal(err)
		}
		if d := time.Since(begun); d != time.Hour {
			t.Fatalf("returned after %s", d)
		}
	})
}

func TestWaitRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Options{})
		put(t, l, sA, 1)
		first := waits(t.Context(), l, parley.Place{Stream: sA, At: 2})
		second := waits(t.Context(), l, parley.Place{Stream: sB}, parley.Place{Stream: sA, At: 100})
		for _, answer := range []func() (error, bool){first, second} {
			if err, ok := answer(); ok {
				t.Fatalf("returned %v with nothing to read", err)
			}
		}
		if err := l.Remove(t.Context(), sA); err != nil {
			t.Fatal(err)
		}
		for _, answer := range []func() (error, bool){first, second} {
			if err, ok := answer(); !ok || err != nil {
				t.Fatalf("returned %v, %v after the removal", err, ok)
			}
		}
		again := waits(t.Context(), l, parley.Place{Stream: sA, At: 2})
		if err, ok := again(); ok {
			t.Fatalf("returned %v for a stream that is not there", err)
		}
		put(t, l, sA, 1)
		put(t, l, sA, 1)
		if err, ok := again(); !ok || err != nil {
			t.Fatalf("returned %v, %v in the stream's next life", err, ok)
		}
	})
}

// What waited leaves nothing behind: no entry in a list, no empty stream.
func TestWaitLeavesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Options{})
		put(t, l, sA, 1)
		for i := range 100 {
			ctx, cancel := context.WithCancel(t.Context())
			answer := waits(ctx, l, parley.Place{Stream: sA, At: 1000}, parley.Place{Stream: sB}, parley.Place{Stream: sB, At: 7})
			if i%2 == 0 {
				answer() // parked before it is cancelled
			}
			cancel()
			if err, ok := answer(); !ok || parley.CodeOf(err) != parley.Canceled {
				t.Fatalf("returned %v, %v after cancel", err, ok)
			}
		}
		if n := len(l.streams); n != 1 || l.streams[sA].watches.Len() != 0 {
			t.Fatalf("%d streams, %d watches are left", n, l.streams[sA].watches.Len())
		}
		if _, err := l.Append(t.Context(), parley.Write{Stream: sB}, parley.Write{Stream: sA, Expect: 77}); parley.CodeOf(err) != parley.Conflict {
			t.Fatal(err)
		}
		if n := len(l.streams); n != 1 {
			t.Fatalf("%d streams are left of guards", n)
		}
	})
}
