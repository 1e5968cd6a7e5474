package parley_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleyhq/parley"
)

// tiny is the smallest Log that can be followed: one stream, batches of one
// event, at most one batch a Read. It counts what readers hold.
type tiny struct {
	parley.Log // the methods that Follow does not call
	mu         sync.Mutex
	news       chan struct{} // closed at each append
	batches    [][]byte
	earliest   int // index of the earliest batch left
	held       int // runs not released yet
	waits      int
}

func newTiny() *tiny { return &tiny{news: make(chan struct{})} }

// add appends an event whose id is its position.
func (l *tiny) add(t *testing.T, id string) {
	t.Helper()
	batch, err := parley.NewBatch(time.UnixMilli(0), parley.Event{ID: id, Source: "/", Type: "t"})
	if err != nil {
		t.Fatal(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	encoded := batch.Clone().Bytes()
	parley.SetBase(encoded, parley.Position(len(l.batches)+1), 0)
	l.batches = append(l.batches, encoded)
	close(l.news)
	l.news = make(chan struct{})
}

func (l *tiny) Read(_ context.Context, at parley.Place, _ int) (parley.Run, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := max(int(at.At)-1, 0)
	if i < l.earliest {
		if at.At != 0 {
			return parley.Run{}, &parley.Error{Code: parley.Trimmed, Earliest: parley.Position(l.earliest + 1)}
		}
		i = l.earliest
	}
	if i >= len(l.batches) {
		return parley.NewRun(nil, at.At, at.At, nil), nil
	}
	l.held++
	return parley.NewRun(l.batches[i], at.At, parley.Position(i+2), func() { l.mu.Lock(); l.held--; l.mu.Unlock() }), nil
}

func (l *tiny) Wait(ctx context.Context, at ...parley.Place) error {
	l.mu.Lock()
	l.waits++
	news, ready := l.news, int(at[0].At) <= len(l.batches) && len(l.batches) > 0
	l.mu.Unlock()
	if ready {
		return nil
	}
	select {
	case <-news:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func ids(t *testing.T, run parley.Run) (ids []string) {
	t.Helper()
	for rec, err := range run.Records() {
		if err != nil {
			t.Fatal(err)
		}
		e, err := rec.Event()
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, e.ID)
	}
	return ids
}

// Follow gives what is there, waits, gives what comes, and ends with the
// context; each run is released.
func TestFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newTiny()
		log.add(t, "a")
		log.add(t, "b")
		ctx, cancel := context.WithCancel(t.Context())
		var got []string
		var end error
		go func() {
			for run, err := range parley.Follow(ctx, log, parley.Place{}, 1) {
				if err != nil {
					end = err
					continue // the walk must end by itself
				}
				if log.held != 1 {
					t.Errorf("%d runs are held at once", log.held)
				}
				got = append(got, ids(t, run)...)
			}
		}()
		synctest.Wait()
		if want := []string{"a", "b"}; !slices.Equal(got, want) || log.waits != 1 {
			t.Fatalf("before news: %v after %d waits", got, log.waits)
		}
		log.add(t, "c")
		synctest.Wait()
		cancel()
		synctest.Wait()
		if want := []string{"a", "b", "c"}; !slices.Equal(got, want) || !errors.Is(end, context.Canceled) || log.held != 0 {
			t.Fatalf("followed %v, end %v, %d runs held", got, end, log.held)
		}
	})
}

func TestFollowTrimmed(t *testing.T) {
	log := newTiny()
	log.add(t, "a")
	log.add(t, "b")
	log.earliest = 1
	steps := 0
	for run, err := range parley.Follow(t.Context(), log, parley.Place{At: 1}, 1) {
		var e *parley.Error
		if steps++; steps > 1 || !run.Empty() || !errors.As(err, &e) || e.Code != parley.Trimmed || e.Earliest != 2 {
			t.Fatalf("step %d gives %v, %v", steps, run, err)
		}
	}
}

// Leaving the loop releases the run that was being looked at.
func TestFollowBreak(t *testing.T) {
	log := newTiny()
	log.add(t, "a")
	for _, err := range parley.Follow(t.Context(), log, parley.Place{}, 1) {
		if err != nil || log.held != 1 {
			t.Fatalf("%d runs held, %v", log.held, err)
		}
		break
	}
	if log.held != 0 {
		t.Errorf("%d runs are still held", log.held)
	}
}

// A run whose first batch begins below the place gives only what was asked for.
func TestRunFrom(t *testing.T) {
	var buf []byte
	for i := range 2 {
		batch, err := parley.NewBatch(time.UnixMilli(0), parley.Event{ID: "a", Source: "/", Type: "t"}, parley.Event{ID: "b", Source: "/", Type: "t"})
		if err != nil {
			t.Fatal(err)
		}
		encoded := batch.Clone().Bytes()
		parley.SetBase(encoded, parley.Position(10+10*i), 0)
		buf = append(buf, encoded...)
	}
	run := parley.NewRun(buf, 11, 22, nil)
	if got, want := ids(t, run), []string{"b", "a", "b"}; !slices.Equal(got, want) {
		t.Errorf("records are %v, want %v", got, want)
	}
	if run.From() != 11 || run.Next() != 22 || run.Empty() || len(run.Bytes()) != len(buf) {
		t.Errorf("run is from %d to %d", run.From(), run.Next())
	}
	run.Release()
	none := parley.NewRun(nil, 5, 0, nil)
	if !none.Empty() || none.Next() != 5 {
		t.Errorf("the empty run goes on at %d", none.Next())
	}
}

// A batch that is broken inside is reported, and does not hide the next.
func TestRunDamaged(t *testing.T) {
	broken := theirBatch([]one{{value: []byte("abc")}, {value: []byte("abc")}}, parley.None)
	broken[61] = 0x7e
	whole := theirBatch([]one{{value: []byte("abc")}}, parley.None)
	parley.SetBase(whole, 200, 0)
	var positions []parley.Position
	var failures int
	for rec, err := range parley.NewRun(append(broken, whole...), 0, 201, nil).Records() {
		if err != nil {
			failures++
			continue
		}
		positions = append(positions, rec.Position)
	}
	if failures != 1 || !slices.Equal(positions, []parley.Position{200}) {
		t.Errorf("%d failures, records at %v", failures, positions)
	}
}
