package journal_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/journal"
)

// world is what the model knows: which adds were acknowledged, which certainly
// never happened, and which may have.
type world struct {
	log     *faulty
	life    *life
	old     []*life // deposed or crashed, perhaps not yet aware of it
	ids     int
	acked   map[string]bool
	refused map[string]bool
	maybe   map[string]bool
	hurt    parley.Position // end of the stream when a snapshot was damaged last
}

// TestModel does random things to a journal, its log and its snapshots. However
// they go, every acknowledged move is there once, no refused one is, and one in
// doubt is there at most once.
func TestModel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rapid.Check(struct{ *testing.T }{t}, func(t *rapid.T) { // bare, rapid would ask for a deadline, which a bubble has not
			w := &world{log: &faulty{Log: newLog()}, acked: map[string]bool{}, refused: map[string]bool{}, maybe: map[string]bool{}}
			defer w.close()
			w.open(t)
			t.Repeat(map[string]func(*rapid.T){
				"add":      w.add,
				"adds":     w.adds,
				"restart":  w.restart,
				"crash":    w.crash,
				"takeover": w.takeover,
				"late":     w.late,
				"damage":   w.damage,
				"":         w.check,
			})
		})
	})
}

func (w *world) options(t *rapid.T) journal.Options {
	return journal.Options{
		SnapshotMoves: rapid.IntRange(1, 12).Draw(t, "snapshot after"),
		Fence:         journal.Fence{Beat: time.Second, Lapse: 3 * time.Second},
	}
}

func (w *world) open(t *rapid.T) {
	w.fault(t)
	l, err := start(w.log, w.options(t))
	if err != nil {
		t.Fatal(err)
	}
	w.life = l
}

func (w *world) close() {
	w.log.set(nil)
	for _, l := range append(w.old, w.life) {
		if l != nil {
			_ = l.end()
		}
	}
}

// fault plans what happens to the next Appends: their answers are lost, with or
// without their having happened, or they are refused for a while.
func (w *world) fault(t *rapid.T) {
	kinds := rapid.SliceOfN(rapid.SampledFrom([]string{"", "", "lost before", "lost after", "away"}), 0, 4).Draw(t, "faults")
	if len(kinds) == 0 {
		w.log.set(nil)
		return
	}
	var next atomic.Int32
	w.log.set(func(context.Context, []parley.Write) (before, after error) {
		i := int(next.Add(1)) - 1
		if i >= len(kinds) {
			return nil, nil
		}
		switch kinds[i] {
		case "lost before":
			return errLost, nil
		case "lost after":
			return nil, errLost
		case "away":
			return errAway, nil
		}
		return nil, nil
	})
}

// file notes what an add of id came to.
func (w *world) file(t *rapid.T, id string, err error) {
	switch code := parley.CodeOf(err); {
	case err == nil:
		w.acked[id] = true
	case code == parley.Unavailable:
		w.refused[id] = true
	case code == parley.Unknown:
		w.maybe[id] = true
	default:
		t.Fatalf("add %s: unexpected %v", id, err)
	}
}

func (w *world) id() string {
	w.ids++
	return fmt.Sprint("i", w.ids)
}

func (w *world) add(t *rapid.T) {
	w.fault(t)
	id := w.id()
	w.file(t, id, w.life.add(context.Background(), id))
}

// adds makes several adds at once, and a lost race with the takeover if one is
// drawn.
func (w *world) adds(t *rapid.T) {
	w.fault(t)
	type result struct {
		id  string
		err error
	}
	n := rapid.IntRange(2, 6).Draw(t, "adds")
	results := make(chan result, n)
	for range n {
		id, l := w.id(), w.life
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		go func() {
			defer cancel()
			results <- result{id, l.add(ctx, id)}
		}()
	}
	if rapid.Bool().Draw(t, "race") {
		w.takeover(t)
	}
	for range n {
		r := <-results
		w.file(t, r.id, r.err)
	}
}

func (w *world) restart(t *rapid.T) {
	w.fault(t)
	if err := w.life.end(); err != nil {
		t.Fatal(err)
	}
	w.open(t)
}

// crash leaves a call and its owner behind: the log hangs for the one before it
// goes through, is lost, or fails, long after the next owner is there.
func (w *world) crash(t *rapid.T) {
	hold := make(chan struct{})
	release := sync.OnceFunc(func() { close(hold) })
	defer release()
	happens := rapid.Bool().Draw(t, "the append happens")
	var struck atomic.Bool
	w.log.set(func(context.Context, []parley.Write) (before, after error) {
		if struck.Swap(true) {
			return nil, nil
		}
		if happens {
			return nil, errLost
		}
		<-hold
		return errLost, nil
	})
	id, l := w.id(), w.life
	answer := make(chan error, 1)
	go func() { answer <- l.add(context.Background(), id) }()
	synctest.Wait()
	w.takeover(t)
	release()
	w.file(t, id, <-answer)
}

// takeover opens a second owner while the first still runs.
func (w *world) takeover(t *rapid.T) {
	w.old = append(w.old, w.life)
	w.open(t)
}

// late has a deposed owner try once more: it must not succeed.
func (w *world) late(t *rapid.T) {
	if len(w.old) == 0 {
		t.Skip("nobody was deposed")
	}
	l := w.old[len(w.old)-1]
	id := w.id()
	err := l.add(context.Background(), id)
	if err == nil {
		t.Fatalf("a deposed owner acknowledged %s", id)
	}
	w.file(t, id, err)
}

// damage takes a part out of the newest snapshot, if an older one is sound, and
// opens the machine again.
func (w *world) damage(t *rapid.T) {
	synctest.Wait() // nobody trims meanwhile
	ends := positions(t, w.log, 'e')
	begins := positions(t, w.log, 'b')
	if len(ends) < 2 || ends[len(ends)-2] < w.hurt {
		t.Skip("no two sound snapshots")
	}
	last := begins[len(begins)-1]
	if last > ends[len(ends)-1] {
		t.Skip("a snapshot is being written")
	}
	if drop(t, w.log, 'p', last, end(t, w.log)) == 0 {
		t.Skip("it is the newest batch")
	}
	w.hurt = end(t, w.log)
	w.takeover(t)
}

func (w *world) check(t *rapid.T) {
	var ids map[string]int
	var sum int
	w.log.set(nil)
	err := w.life.Do(context.Background(), func(*journal.Tx) error {
		ids, sum = w.life.m.ids, w.life.m.sum
		return nil
	})
	if parley.CodeOf(err) == parley.Unavailable && err != nil {
		<-time.After(2 * time.Second) // its log was away; a retry comes within a second
		err = w.life.Do(context.Background(), func(*journal.Tx) error {
			ids, sum = w.life.m.ids, w.life.m.sum
			return nil
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	for id := range w.acked {
		if ids[id] != 1 {
			t.Fatalf("acknowledged %s is there %d times", id, ids[id])
		}
	}
	for id, n := range ids {
		if n != 1 || w.refused[id] || !w.acked[id] && !w.maybe[id] {
			t.Fatalf("%s is there %d times (refused: %v)", id, n, w.refused[id])
		}
	}
	if sum != len(ids) {
		t.Fatalf("sum %d of %d moves", sum, len(ids))
	}
}
