package enginetest

import (
	"errors"
	"fmt"
	"slices"

	"github.com/parleyhq/parley"
)

var orderChecks = []check{
	{"Order/Producers", "every acknowledged batch is there once, where its answer says, and each producer's batches are in its order", orderProducers},
	{"Order/RealTime", "Appends that do not overlap in time are ordered as they were called", orderRealTime},
	{"Order/Follow", "a reader who follows while others append sees every batch once, in order and without a gap", orderFollow},
}

// load appends each·workers batches from several goroutines, some over two
// streams at once, and gives for each stream what went where.
func (e *env) load(workers, each int) map[parley.Stream]map[parley.Position]string {
	e.Helper()
	type sent struct {
		s  parley.Stream
		at parley.Position
		v  string
	}
	logs := make([][]sent, workers)
	e.together(workers, func(p int) error {
		for i := range each {
			v := fmt.Sprintf("%d.%06d", p, i)
			writes := []parley.Write{write(sA, v, v+" second")}
			if (i+p)%3 == 0 {
				writes = append(writes, write(sB, v))
			}
			got, err := e.try(writes...)
			if err != nil {
				return err
			}
			for k, w := range writes {
				logs[p] = append(logs[p], sent{w.Stream, got[k].Base, v})
			}
		}
		return nil
	})
	where := map[parley.Stream]map[parley.Position]string{sA: {}, sB: {}}
	for _, l := range logs {
		for _, s := range l {
			if old, twice := where[s.s][s.at]; twice {
				e.Fatalf("%q and %q were both answered with %d", old, s.v, s.at)
			}
			where[s.s][s.at] = s.v
		}
	}
	return where
}

func orderProducers(e *env) {
	for s, want := range e.load(8, max(e.suite.Rounds/4, 5)) {
		last := make(map[byte]string)
		got := e.all(s)
		for _, b := range got {
			v := b.values[0]
			if want[b.Base()] != v {
				e.Fatalf("stream %q has %q at %d; answered was %q there", s.Name, v, b.Base(), want[b.Base()])
			}
			if last[v[0]] >= v {
				e.Fatalf("stream %q has %q after %q", s.Name, v, last[v[0]])
			}
			last[v[0]] = v
		}
		if len(got) != len(want) {
			e.Fatalf("stream %q has %d batches, %d were acknowledged", s.Name, len(got), len(want))
		}
	}
}

func orderRealTime(e *env) {
	// A token goes round: whoever has it appends, then hands it on.
	const workers = 4
	var token [workers]chan parley.Position
	for i := range token {
		token[i] = make(chan parley.Position, 1)
	}
	token[0] <- 0
	each := max(e.suite.Rounds/workers, 2)
	e.together(workers, func(i int) error {
		for range each {
			select {
			case before := <-token[i]:
				got, err := e.try(write(sA, "token"))
				if err == nil && got[0].Base <= before {
					err = fmt.Errorf("an append went to %d after one to %d had returned", got[0].Base, before)
				}
				if err != nil {
					return err
				}
				token[(i+1)%workers] <- got[0].Base
			case <-e.ctx.Done():
				return e.ctx.Err()
			}
		}
		return nil
	})
}

func orderFollow(e *env) {
	const workers = 4
	each := max(e.suite.Rounds/4, 5)
	follow := func() (bases []parley.Position, err error) {
		for run, err := range parley.Follow(e.ctx, e.log, parley.Place{Stream: sA}, 4<<10) {
			if err != nil {
				return nil, err
			}
			for b := range run.Batches() {
				if err := b.Check(); err != nil {
					return nil, err
				}
				bases = append(bases, b.Base())
			}
			if len(bases) >= workers*each {
				return bases, nil
			}
		}
		return nil, errors.New("following ended")
	}
	var seen [3][]parley.Position
	done := make(chan error, len(seen))
	for i := range seen {
		go func() {
			var err error
			seen[i], err = follow()
			done <- err
		}()
	}
	where := e.load(workers, each)[sA]
	for range seen {
		if err := <-done; err != nil {
			e.Fatal(err)
		}
	}
	for _, bases := range seen {
		if len(bases) != len(where) || !slices.IsSorted(bases) {
			e.Fatalf("a follower saw %d batches of %d; in order: %v", len(bases), len(where), slices.IsSorted(bases))
		}
		for _, at := range bases {
			if where[at] == "" {
				e.Fatalf("a follower saw a batch at %d, where none was acknowledged", at)
			}
		}
	}
}
