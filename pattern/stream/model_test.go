package stream

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/parleyhq/parley"
)

// world is a group in the hands of members that do as they should: they read from
// their own places, or from the committed ones where they are new, and commit what
// they have read before they ask again, if they do not fail. Every rule of the
// moves is checked by bench.
type world struct {
	*bench
	rt      *rapid.T
	ends    map[uint64]parley.Position         // partitions begin at 1
	given   map[uint64]map[parley.Position]int // how often an event was delivered
	live    []*reader
	started int
}

// reader is a member as it sees itself.
type reader struct {
	id         string
	generation uint64
	places     map[uint64]parley.Position
}

// fetch is what Group.Fetch does, over the book alone.
func (w *world) fetch(r *reader, limit parley.Position) {
	if err := w.sync(w, w.now, r.id, r.generation); err != nil {
		w.gone(r, err)
		return
	}
	if w.pending {
		return
	}
	places := make(map[uint64]parley.Position)
	for _, n := range w.of(r.id) {
		p := w.parts[n]
		at, had := r.places[n]
		if !had || p.since > r.generation {
			at = max(p.at, 1)
		}
		for ; at < w.ends[n] && limit > 0; limit-- {
			w.given[n][at]++
			at++
		}
		places[n] = at
	}
	r.generation, r.places = w.generation, places
}

// commitAll is what a member does when it is through with what it was given.
func (w *world) commitAll(r *reader) {
	var list []place
	for n, at := range r.places {
		list = append(list, place{Number: n, At: at})
	}
	slices.SortFunc(list, byNumber)
	err := w.commit(w, w.now, r.id, r.generation, list)
	switch code := parley.CodeOf(err); {
	case err == nil:
	case code != parley.Conflict:
		w.rt.Fatal(err)
	case w.members[r.id] == nil:
		w.gone(r, err)
	case r.generation == w.generation && len(list) > 0:
		w.rt.Fatalf("%s commits %v in its generation %d: %v", r.id, list, r.generation, err)
	}
}

// gone is a member that hears that it is none: it must be true.
func (w *world) gone(r *reader, err error) {
	if w.members[r.id] != nil {
		w.rt.Fatalf("%s is a member: %v", r.id, err)
	}
	w.live = slices.DeleteFunc(w.live, func(x *reader) bool { return x == r })
}

func (w *world) turn(by int64) {
	w.now += by
	if _, err := w.expire(w, w.now); err != nil {
		w.rt.Fatal(err)
	}
}

func (w *world) some() *reader {
	if len(w.live) == 0 {
		w.rt.Skip("nobody is there")
	}
	return rapid.SampledFrom(w.live).Draw(w.rt, "who")
}

var topicSets = [][]string{{"a"}, {"b"}, {"a", "b"}, {">"}}

func (w *world) enter() {
	if len(w.live) > 6 {
		w.rt.Skip("enough")
	}
	w.started++
	r := &reader{id: fmt.Sprint("m", w.started)}
	who := member{topics: rapid.SampledFrom(topicSets).Draw(w.rt, "topics"), session: 10_000, rebalance: 20_000}
	var list []track
	for _, t := range tracks("a3,b2", 0) {
		if who.wants(t.Topic) {
			list = append(list, t)
		}
	}
	if err := w.join(w, w.now, joining{ID: r.id, member: member{topics: who.topics, session: who.session, rebalance: who.rebalance}}, list); err != nil {
		w.rt.Fatal(err)
	}
	w.live = append(w.live, r)
	w.known1(list)
}

func (w *world) known1(list []track) {
	for _, t := range list {
		if w.ends[t.Number] == 0 {
			w.ends[t.Number], w.given[t.Number] = 1, make(map[parley.Position]int)
		}
	}
}

func (w *world) publish(n uint64, count int) { w.ends[n] += parley.Position(count) }

// quiet lets everybody who is left work in peace, and says whether they are through.
func (w *world) quiet() {
	for range 60 {
		for _, r := range slices.Clone(w.live) {
			w.fetch(r, 1000)
			w.commitAll(r)
		}
		w.turn(3000)
	}
}

// TestModel lets members come, go, fall silent, read and commit in any order, the
// owner move and the group be taken back. Every event is delivered, and in peace to
// one member, once.
func TestModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := &world{bench: newBench(t, 0), rt: rt, ends: make(map[uint64]parley.Position), given: make(map[uint64]map[parley.Position]int)}
		for range rapid.IntRange(1, 3).Draw(rt, "at first") {
			w.enter()
		}
		for _, n := range w.numbers() {
			w.publish(n, 3)
		}
		rt.Repeat(map[string]func(*rapid.T){
			"work": func(*rapid.T) {
				for _, r := range slices.Clone(w.live) {
					w.fetch(r, 100)
					w.commitAll(r)
				}
			},
			"":      func(*rapid.T) { w.check() },
			"enter": func(*rapid.T) { w.enter() },
			"leave": func(*rapid.T) {
				r := w.some()
				if err := w.leave(w, w.now, r.id); err != nil {
					w.gone(r, err)
				}
				w.live = slices.DeleteFunc(w.live, func(x *reader) bool { return x == r })
			},
			"fall silent": func(*rapid.T) {
				r := w.some()
				w.live = slices.DeleteFunc(w.live, func(x *reader) bool { return x == r })
			},
			"fetch":  func(rt *rapid.T) { w.fetch(w.some(), parley.Position(rapid.IntRange(1, 5).Draw(rt, "limit"))) },
			"commit": func(*rapid.T) { w.commitAll(w.some()) },
			"beat": func(*rapid.T) {
				r := w.some()
				if err := w.known(r.id, w.now); err != nil {
					w.gone(r, err)
				}
			},
			"time":  func(rt *rapid.T) { w.turn(rapid.Int64Range(1, 12_000).Draw(rt, "millis")) },
			"owner": func(*rapid.T) { w.takeOverAgain() },
			"publish": func(rt *rapid.T) {
				if len(w.parts) == 0 {
					rt.Skip("no partitions")
				}
				w.publish(rapid.SampledFrom(w.numbers()).Draw(rt, "partition"), rapid.IntRange(1, 4).Draw(rt, "events"))
			},
			"topics": func(rt *rapid.T) {
				list := tracks(rapid.SampledFrom([]string{"b4", "c1"}).Draw(rt, "topics"), 0)
				if err := w.change(w, w.now, list, nil); err != nil {
					rt.Fatal(err)
				}
				w.known1(list)
			},
			"seek": func(rt *rapid.T) {
				if len(w.parts) == 0 {
					rt.Skip("no partitions")
				}
				n := rapid.SampledFrom(w.numbers()).Draw(rt, "partition")
				at := parley.Position(rapid.Int64Range(0, int64(w.parts[n].at)).Draw(rt, "to"))
				if err := w.seek(w, []track{{place: place{Number: n, At: at}}}); err != nil {
					rt.Fatal(err)
				}
				for at := max(at, 1); at < w.ends[n]; at++ {
					w.given[n][at] = 0 // to be delivered again
				}
			},
			"stray commit": func(rt *rapid.T) { w.stray(rt) },
		})
		w.end()
	})
}

// stray commits anything as anybody: it is taken if, and only if, the partition is
// the member's in that generation, and the group does not go back.
func (w *world) stray(rt *rapid.T) {
	if len(w.parts) == 0 {
		rt.Skip("no partitions")
	}
	id := fmt.Sprint("m", rapid.IntRange(1, max(1, w.started)).Draw(rt, "id"))
	generation := uint64(max(0, int(w.generation)+rapid.IntRange(-2, 1).Draw(rt, "generation")))
	n := rapid.SampledFrom(w.numbers()).Draw(rt, "partition")
	p := *w.parts[n]
	at := p.at + parley.Position(rapid.IntRange(-2, 0).Draw(rt, "back"))
	if at < 0 {
		rt.Skip("no place")
	}
	before := w.dump()
	want := w.members[id] != nil && generation == w.generation && p.owner == id && at >= p.at
	err := w.commit(w, w.now, id, generation, []place{{Number: n, At: at}})
	if (err == nil) != want {
		rt.Fatalf("%s commits %d of %d in generation %d: %v", id, at, n, generation, err)
	}
	if err != nil && w.dump() != before {
		rt.Fatal("a refused commit has changed something")
	}
}

// check holds after every step.
func (w *world) check() {
	if w.pending != (w.deadline != 0) {
		w.rt.Fatalf("pending %v, deadline %d", w.pending, w.deadline)
	}
	if w.pending && len(w.ready) >= len(w.members) {
		w.rt.Fatal("all have come back, and there is no generation")
	}
	for id := range w.members {
		if w.next == 0 || w.sessions[id] < w.next {
			w.rt.Fatalf("%s ends at %d, and nothing is due before %d", id, w.sessions[id], w.next)
		}
	}
}

// end is peace: what is there is read, and what comes then is delivered once.
func (w *world) end() {
	w.enter2()
	w.quiet()
	for n, end := range w.ends {
		for at := parley.Position(1); at < end; at++ {
			if w.parts[n] != nil && w.given[n][at] == 0 {
				w.rt.Fatalf("event %d of %d was never delivered", at, n)
			}
		}
	}
	owners := make(map[string]int)
	for n, p := range w.parts {
		if p.owner == "" {
			w.rt.Fatalf("nobody reads partition %d", n)
		}
		if p.at != w.ends[n] && w.ends[n] > 1 {
			w.rt.Fatalf("partition %d is committed up to %d of %d", n, p.at, w.ends[n])
		}
		owners[p.owner]++
		w.publish(n, 2)
	}
	w.quiet()
	for n := range w.parts {
		for at := w.ends[n] - 2; at < w.ends[n]; at++ {
			if w.given[n][at] != 1 {
				w.rt.Fatalf("in peace event %d of %d was delivered %d times", at, n, w.given[n][at])
			}
		}
	}
	w.same()
}

// enter2 makes sure that somebody is there who wants everything.
func (w *world) enter2() {
	w.started++
	r := &reader{id: fmt.Sprint("m", w.started)}
	list := tracks("a3,b2", 0)
	if err := w.join(w, w.now, joining{ID: r.id, member: member{topics: []string{">"}, session: 10_000, rebalance: 20_000}}, list); err != nil {
		w.rt.Fatal(err)
	}
	w.live = append(w.live, r)
	w.known1(list)
}
