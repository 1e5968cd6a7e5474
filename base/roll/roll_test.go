package roll_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/roll"
	"github.com/parleyhq/parley/base/topic"
	"github.com/parleyhq/parley/engine/memlog"
)

const stream = "$names"

// names is a node's list of names that are taken.
type names struct {
	*roll.Roll
	mu    sync.Mutex
	taken []string // in the order in which they were
	at    []parley.Position
	reads int // that were folded
	told  int // that were told without the lock
	anew  int
}

var errOdd = &parley.Error{Code: parley.Damaged, Detail: "an odd name"}

func node(log parley.Log, change func(*roll.Options)) *names {
	n := &names{}
	o := roll.Options{
		Stream: stream, Lock: &n.mu, ID: topic.NewID, Logger: slog.New(slog.DiscardHandler),
		Take: func(_ context.Context, e *parley.Event, at parley.Position) error {
			if e.Subject == "odd" {
				return errOdd
			}
			n.taken, n.at = append(n.taken, e.Subject), append(n.at, at)
			return nil
		},
		Taken: func(context.Context) func() {
			n.reads++
			return func() {
				n.mu.Lock() // it is free
				defer n.mu.Unlock()
				n.told++
			}
		},
		Anew: func() { n.anew, n.taken, n.at = n.anew+1, nil, nil },
	}
	if change != nil {
		change(&o)
	}
	n.Roll = roll.New(log, o)
	return n
}

// list is what the node knows.
func (n *names) list() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.taken)
}

// take takes a name, once.
func (n *names) take(ctx context.Context, name string) error {
	return n.Write(ctx, func() (*parley.Event, error) {
		if slices.Contains(n.list(), name) {
			return nil, nil
		}
		return &parley.Event{Source: "/names", Type: "taken", Subject: name}, nil
	})
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func code(t testing.TB, err error, want parley.Code) {
	t.Helper()
	if err == nil || parley.CodeOf(err) != want {
		t.Fatalf("error %v, want %v", err, want)
	}
}

func TestWrite(t *testing.T) {
	log, noon := memlog.New(memlog.Options{}), time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	one, two := node(log, func(o *roll.Options) { o.Now = func() time.Time { return noon } }), node(log, nil)
	ctx := t.Context()
	must(t, one.take(ctx, "a"))
	must(t, two.take(ctx, "a")) // it sees that it is taken
	must(t, two.take(ctx, "b"))
	must(t, one.take(ctx, "b"))
	if got := one.list(); !slices.Equal(got, []string{"a", "b"}) || !slices.Equal(two.list(), got) || !slices.Equal(one.at, []parley.Position{1, 2}) || one.Next() != 3 {
		t.Errorf("%v at %v, next %d; the other %v", got, one.at, one.Next(), two.list())
	}
	if one.told == 0 || one.told != one.reads {
		t.Errorf("of %d reads %d were told", one.reads, one.told)
	}
	run, err := log.Read(ctx, parley.Place{Stream: parley.Stream{Name: stream}}, 1<<20)
	must(t, err)
	defer run.Release()
	for rec := range run.Records() {
		e, err := rec.Event()
		must(t, err)
		if rec.Position == 1 && (!e.Time.Equal(noon) || e.ID == "") {
			t.Errorf("id %q, time %v", e.ID, e.Time)
		}
	}
	refuse := &parley.Error{Code: parley.Forbidden}
	if err := one.Write(ctx, func() (*parley.Event, error) { return nil, refuse }); !errors.Is(err, refuse) {
		t.Errorf("decide's error is %v", err)
	}
	code(t, one.Write(ctx, func() (*parley.Event, error) { return &parley.Event{Type: "no source"}, nil }), parley.Invalid)
}

// Whoever decided on a list that is not the newest decides again.
func TestWriteBehindAnother(t *testing.T) {
	log := memlog.New(memlog.Options{})
	one, two := node(log, nil), node(log, nil)
	ctx, decided := t.Context(), 0
	must(t, one.Write(ctx, func() (*parley.Event, error) {
		if decided++; decided == 1 {
			must(t, two.take(ctx, "a"))
			must(t, one.CatchUp(ctx)) // known here, and yet decided before
		}
		return &parley.Event{Source: "/names", Type: "taken", Subject: strconv.Itoa(len(one.list()))}, nil
	}))
	if got := two.list(); decided != 2 || !slices.Equal(one.list(), []string{"a", "1"}) || !slices.Equal(got, []string{"a"}) {
		t.Errorf("decided %d times: %v, the other %v", decided, one.list(), got)
	}
}

// conflicted is a log on which others are always first.
type conflicted struct{ *memlog.Log }

func (conflicted) Append(context.Context, ...parley.Write) ([]parley.Appended, error) {
	return nil, &parley.Error{Code: parley.Conflict}
}

func TestWriteGivesUp(t *testing.T) {
	n := node(conflicted{memlog.New(memlog.Options{})}, nil)
	code(t, n.take(t.Context(), "a"), parley.Conflict)
	must(t, n.Write(t.Context(), func() (*parley.Event, error) { return nil, nil })) // its turn came again
}

func TestWritersTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := node(memlog.New(memlog.Options{}), nil)
		inside, leave, done := make(chan struct{}), make(chan struct{}), make(chan error)
		go func() {
			done <- n.Write(t.Context(), func() (*parley.Event, error) {
				close(inside)
				<-leave
				return nil, nil
			})
		}()
		<-inside
		leaving := &parley.Error{Code: parley.Unavailable}
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, leaving)
		defer cancel()
		if err := n.take(ctx, "a"); !errors.Is(err, leaving) {
			t.Errorf("a writer whose turn does not come: %v", err)
		}
		close(leave)
		must(t, <-done)
		must(t, n.take(t.Context(), "a"))
	})
}

func TestWhatIsDamagedEndsTheFold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := memlog.New(memlog.Options{})
		one, two := node(log, nil), node(log, nil)
		must(t, one.take(t.Context(), "a"))
		followed := make(chan error)
		go func() { followed <- two.Follow(t.Context(), nil) }()
		if err := one.take(t.Context(), "odd"); !errors.Is(err, errOdd) {
			t.Errorf("what Take says comes as %v", err)
		}
		if err := <-followed; !errors.Is(err, errOdd) {
			t.Errorf("Follow ends with %v", err)
		}
		if two.Next() != 2 || two.told != two.reads || !slices.Equal(two.list(), []string{"a"}) {
			t.Errorf("next %d, %v", two.Next(), two.list())
		}
		must(t, log.Trim(t.Context(), parley.Stream{Name: stream}, 2))
		code(t, two.CatchUp(t.Context()), parley.Damaged)
	})
}

func TestWhatIsNoEvent(t *testing.T) {
	log, n := memlog.New(memlog.Options{}), parley.Builder{}
	must(t, n.AddRecord(time.Now(), nil, []byte("{"), parley.Header{Name: "content-type", Value: []byte("application/cloudevents+json")}))
	batch, err := n.Batch()
	must(t, err)
	_, err = log.Append(t.Context(), parley.Write{Stream: parley.Stream{Name: stream}, Batch: batch})
	must(t, err)
	one := node(log, nil)
	code(t, one.take(t.Context(), "a"), parley.Damaged)
	if err := one.CatchUp(t.Context()); !strings.Contains(err.Error(), stream+" at 1") {
		t.Errorf("%v", err)
	}
}

// A list whose beginning was trimmed is folded from what is left of it.
func TestTrimmed(t *testing.T) {
	log, ctx := memlog.New(memlog.Options{}), t.Context()
	one, two := node(log, nil), node(log, nil)
	strict := node(log, func(o *roll.Options) { o.Anew = nil })
	must(t, one.take(ctx, "a"))
	must(t, two.CatchUp(ctx))
	must(t, strict.CatchUp(ctx))
	for _, name := range []string{"b", "c", "d"} {
		must(t, one.take(ctx, name))
	}
	must(t, log.Trim(ctx, parley.Stream{Name: stream}, 4))
	must(t, two.take(ctx, "e"))
	if got := two.list(); two.anew != 1 || !slices.Equal(got, []string{"d", "e"}) {
		t.Errorf("anew %d times: %v", two.anew, got)
	}
	code(t, strict.CatchUp(ctx), parley.Trimmed)
}

// failing is a log that fails once for each error that it is given.
type failing struct {
	*memlog.Log
	errs chan error
}

func (f failing) Wait(ctx context.Context, at ...parley.Place) error {
	select {
	case err := <-f.errs:
		return err
	default:
		return f.Log.Wait(ctx, at...)
	}
}

func TestFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := memlog.New(memlog.Options{})
		f := failing{log, make(chan error, 1)}
		f.errs <- &parley.Error{Code: parley.Unavailable}
		one, two := node(log, nil), node(f, nil)
		ctx, cancel := context.WithCancel(t.Context())
		rounds, done := 0, make(chan error)
		go func() { done <- two.Follow(ctx, func() { rounds++ }) }()
		synctest.Wait()
		must(t, one.take(t.Context(), "a"))
		synctest.Wait()
		if rounds != 1 || two.list() != nil {
			t.Fatalf("after an error: round %d, %v", rounds, two.list())
		}
		<-time.After(2 * time.Second)
		synctest.Wait()
		if rounds != 3 || !slices.Equal(two.list(), []string{"a"}) {
			t.Errorf("a moment later: round %d, %v", rounds, two.list())
		}
		must(t, one.take(t.Context(), "b"))
		synctest.Wait()
		if rounds != 4 || !slices.Equal(two.list(), []string{"a", "b"}) {
			t.Errorf("round %d, %v", rounds, two.list())
		}
		cancel()
		must(t, <-done)
	})
}

// Nodes that write, follow and trim in any order have the same list, in which each
// name is taken once.
func TestNodesAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		log, ctx := memlog.New(memlog.Options{}), context.Background()
		nodes := []*names{node(log, nil), node(log, nil), node(log, nil)}
		var model []string
		any := rapid.IntRange(0, len(nodes)-1)
		t.Repeat(map[string]func(*rapid.T){
			"take": func(t *rapid.T) {
				name := strconv.Itoa(rapid.IntRange(0, 20).Draw(t, "name"))
				if err := nodes[any.Draw(t, "node")].take(ctx, name); err != nil {
					t.Fatal(err)
				}
				if !slices.Contains(model, name) {
					model = append(model, name)
				}
			},
			"catch up": func(t *rapid.T) {
				n := nodes[any.Draw(t, "node")]
				if err := n.CatchUp(ctx); err != nil || !slices.Equal(n.list(), model) {
					t.Fatalf("%v (%v), want %v", n.list(), err, model)
				}
			},
			"": func(t *rapid.T) {
				for _, n := range nodes {
					if have := n.list(); !slices.Equal(have, model[:min(len(have), len(model))]) {
						t.Fatalf("%v is no beginning of %v", have, model)
					}
				}
			},
		})
	})
}

// At once, too.
func TestNodesAtOnce(t *testing.T) {
	log := memlog.New(memlog.Options{})
	nodes := []*names{node(log, nil), node(log, nil)}
	ctx, cancel := context.WithCancel(t.Context())
	var writers, followers sync.WaitGroup
	for _, n := range nodes {
		followers.Go(func() { must(t, n.Follow(ctx, nil)) })
		for w := range 3 {
			writers.Go(func() {
				for i := range 30 {
					if err := n.take(ctx, strconv.Itoa((i*7+w)%30)); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	writers.Wait()
	for _, n := range nodes {
		must(t, n.CatchUp(ctx))
		sorted := slices.Sorted(slices.Values(n.list()))
		if len(sorted) != 30 || len(slices.Compact(sorted)) != 30 || !slices.Equal(n.list(), nodes[0].list()) {
			t.Errorf("%v", n.list())
		}
	}
	cancel()
	followers.Wait()
}
