package pipe

import (
	"cmp"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/parleyhq/parley"
)

// epoch is a multiple of all sizes of windows in tests.
var epoch = time.Unix(7*232792560, 0).UTC()

// sum is a window's value: the numbers of its events, in the order in which they
// were added.
type sum []int

func mergeSums(into *sum, from sum) { *into = append(*into, from...) }

// happened is an event of the model.
type happened struct {
	key string
	at  int // seconds after epoch
	n   int
}

// drained takes all windows that are closed.
func drained(m *Windower[sum]) (all []Pane[sum]) {
	for p, ok := m.Closed(); ok; p, ok = m.Closed() {
		all = append(all, p)
	}
	return all
}

func show(p Pane[sum]) string {
	v := slices.Clone(p.Value)
	slices.Sort(v)
	return fmt.Sprintf("%s [%v,%v) %d %v", p.Key, p.Start.Sub(epoch), p.End.Sub(epoch), p.Events, v)
}

// TestWindowsModel compares windows of a size with a model that puts every event into
// every window that it belongs to, and a state that is saved and restored at times.
func TestWindowsModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(1, 20).Draw(t, "size")
		slide := rapid.IntRange(1, size).Draw(t, "slide")
		late := rapid.IntRange(0, 10).Draw(t, "late")
		m, err := NewWindower[sum](Windows{Size: seconds(size), Slide: seconds(slide), Late: seconds(late)}, nil)
		if err != nil {
			t.Fatal(err)
		}
		model := map[string][]int{} // by what a window is called
		ends := map[string]int{}
		mark := -1 << 40
		var got, want []string
		closes := func(upTo int) {
			var due []string
			for name := range model {
				if ends[name] <= upTo {
					due = append(due, name)
				}
			}
			slices.SortFunc(due, func(a, b string) int { return cmp.Or(cmp.Compare(ends[a], ends[b]), cmp.Compare(a, b)) })
			for _, name := range due {
				slices.Sort(model[name])
				want = append(want, fmt.Sprintf("%s %v", name, model[name]))
				delete(model, name)
			}
		}
		events := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) happened {
			return happened{rapid.SampledFrom([]string{"a", "b"}).Draw(t, "key"), rapid.IntRange(-30, 60).Draw(t, "at"), rapid.Int().Draw(t, "n")}
		}), 0, 40).Draw(t, "events")
		take := func(all []Pane[sum]) {
			slices.SortStableFunc(all, func(a, b Pane[sum]) int { return a.End.Compare(b.End) })
			for _, p := range all {
				v := slices.Clone(p.Value)
				slices.Sort(v)
				got = append(got, fmt.Sprintf("%s %v %v", p.Key, p.Start.Sub(epoch), v))
				if p.Events != len(v) || !p.End.Equal(p.Start.Add(seconds(size))) {
					t.Fatalf("%+v", p)
				}
			}
		}
		for _, e := range events {
			isLate, err := m.Add(e.key, epoch.Add(seconds(e.at)), func(s *sum) { *s = append(*s, e.n) })
			if err != nil {
				t.Fatal(err)
			}
			took := false
			for start := -200 - mod(-200, slide); start <= e.at; start += slide {
				if e.at < start+size && start+size > mark {
					name := fmt.Sprintf("%s %v", e.key, seconds(start))
					model[name], ends[name] = append(model[name], e.n), start+size
					took = true
				}
			}
			if took {
				mark = max(mark, e.at-late)
			}
			if isLate == took {
				t.Fatalf("%+v is late: %v", e, isLate)
			}
			closes(mark)
			take(drained(m))
			if rapid.Bool().Draw(t, "restart") {
				again, err := NewWindower[sum](Windows{Size: seconds(size), Slide: seconds(slide), Late: seconds(late)}, nil)
				if err != nil {
					t.Fatal(err)
				}
				again.Restore(m.State())
				m = again
			}
		}
		closes(1 << 40)
		for p, ok := m.Flush(); ok; p, ok = m.Flush() {
			take([]Pane[sum]{p})
		}
		slices.Sort(got) // of windows that end together the order is by start, and the model's by name
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Fatalf("got  %q\nwant %q", got, want)
		}
	})
}

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }

func mod(a, b int) int { return (a%b + b) % b }

// TestSessionsModel compares sessions with a model that looks at all events at once:
// without lateness in question, order of arrival changes nothing.
func TestSessionsModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		gap := rapid.IntRange(1, 8).Draw(t, "gap")
		m, err := NewWindower(Windows{Gap: seconds(gap), Late: time.Hour}, mergeSums)
		if err != nil {
			t.Fatal(err)
		}
		times := rapid.SliceOfN(rapid.IntRange(0, 60), 1, 40).Draw(t, "times")
		for i, at := range times {
			if late, err := m.Add("k", epoch.Add(seconds(at)), func(s *sum) { *s = append(*s, i) }); late || err != nil {
				t.Fatal(late, err)
			}
		}
		order := make([]int, len(times))
		for i := range order {
			order[i] = i
		}
		slices.SortStableFunc(order, func(a, b int) int { return times[a] - times[b] })
		var want []string
		for i := 0; i < len(order); {
			p := Pane[sum]{Key: "k", Start: epoch.Add(seconds(times[order[i]]))}
			for j := i; ; j++ {
				if j == len(order) || j > i && times[order[j]] >= times[order[j-1]]+gap {
					p.End = epoch.Add(seconds(times[order[j-1]] + gap))
					want = append(want, show(p))
					i = j
					break
				}
				p.Value = append(p.Value, order[j])
				p.Events++
			}
		}
		m.Advance(epoch.Add(time.Hour))
		var got []string
		for _, p := range drained(m) {
			got = append(got, show(p))
		}
		if !slices.Equal(got, want) || m.Len() != 0 {
			t.Fatalf("got  %q\nwant %q", got, want)
		}
	})
}

func TestWindowBounds(t *testing.T) {
	for _, w := range []Windows{
		{},
		{Size: time.Second, Gap: time.Second},
		{Gap: time.Second, Slide: time.Second},
		{Size: time.Second, Slide: time.Minute},
		{Size: time.Hour, Slide: time.Second},
		{Size: -1},
		{Size: 1, Late: -1},
	} {
		if _, err := NewWindower(w, mergeSums); parley.CodeOf(err) != parley.Invalid {
			t.Errorf("%+v: %v", w, err)
		}
	}
	m, err := NewWindower[sum](Windows{Size: seconds(10), Slide: seconds(5), Open: 3}, nil)
	if err != nil {
		t.Fatal(err)
	}
	add := func(s *sum) { *s = append(*s, 1) }
	if _, err := m.Add("a", epoch, add); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Add("b", epoch, add); parley.CodeOf(err) != parley.Overloaded || m.Len() != 2 {
		t.Errorf("%v, %d open", err, m.Len())
	}
	if _, err := m.Add("a", epoch.Add(seconds(1)), add); err != nil { // in windows that are open
		t.Error(err)
	}
	if !m.Next().Equal(epoch.Add(seconds(5))) {
		t.Error(m.Next())
	}
}

// TestSeenModel compares it with a list that is searched.
func TestSeenModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		most := rapid.IntRange(1, 6).Draw(t, "most")
		within := seconds(rapid.IntRange(0, 10).Draw(t, "within"))
		s := NewSeen(most, within)
		var model []SeenKey
		now := epoch
		for range rapid.IntRange(0, 60).Draw(t, "steps") {
			now = now.Add(seconds(rapid.IntRange(0, 4).Draw(t, "passes")))
			key := rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "f", "g", "h", string(make([]byte, 100)), string(make([]byte, 101))}).Draw(t, "key")
			for within > 0 && len(model) > 0 && now.Sub(model[0].At) >= within {
				model = model[1:]
			}
			isNew := !slices.ContainsFunc(model, func(k SeenKey) bool { return k.Key == key })
			if isNew {
				if len(model) == most {
					model = model[1:]
				}
				model = append(model, SeenKey{key, now})
			}
			if got := s.Add(now, key); got != isNew {
				t.Fatalf("%.9q is new: %v, want %v", key, got, isNew)
			}
			if s.Len() != len(model) {
				t.Fatalf("%d keys, want %d", s.Len(), len(model))
			}
			if rapid.Bool().Draw(t, "restart") {
				again := NewSeen(most, within)
				again.Restore(s.State())
				s = again
			}
		}
	})
}

// TestBatcherModel keeps all events, in order, in batches within their bounds.
func TestBatcherModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := Batcher[int]{Count: rapid.IntRange(0, 5).Draw(t, "count"), Bytes: rapid.IntRange(0, 20).Draw(t, "bytes"), Every: seconds(rapid.IntRange(0, 5).Draw(t, "every"))}
		sizes := rapid.SliceOfN(rapid.IntRange(0, 30), 0, 40).Draw(t, "sizes")
		now, next := epoch, 0
		take := func() {
			batch, bytes := b.Take(), 0
			for _, n := range batch {
				if n != next {
					t.Fatalf("event %d comes as %d", next, n)
				}
				next++
				bytes += sizes[n]
			}
			if len(batch) == 0 || b.Count > 0 && len(batch) > b.Count || b.Bytes > 0 && bytes > b.Bytes && len(batch) > 1 {
				t.Fatalf("a batch of %v, %d bytes", batch, bytes)
			}
		}
		for i, size := range sizes {
			now = now.Add(seconds(rapid.IntRange(0, 2).Draw(t, "passes")))
			if due, ok := b.Due(); ok && !now.Before(due) {
				take()
			}
			if b.Full(size) {
				take()
			}
			if b.Add(now, i, size) {
				take()
			}
			if due, ok := b.Due(); ok && due.After(now.Add(b.Every)) {
				t.Fatal("a batch waits longer than it may")
			}
		}
		if len(b.State.Events) > 0 {
			take()
		}
		if next != len(sizes) {
			t.Fatalf("%d events came of %d", next, len(sizes))
		}
	})
}
