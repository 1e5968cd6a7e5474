package pipe

import (
	"cmp"
	"container/heap"
	"slices"
	"time"

	"github.com/parleyhq/parley"
)

// Windows say how events are grouped by their own time. Exactly one of Size and Gap
// is set.
type Windows struct {
	Size  time.Duration // of each window
	Slide time.Duration // from the start of one to the next; 0 is Size: tumbling. Smaller: they overlap. Windows are aligned to 1970-01-01 UTC
	Gap   time.Duration // a session: it ends when no event came for so long
	Late  time.Duration // how far events may be out of order: the watermark is the newest time minus it
	Open  int           // most windows at once, over all keys; 0 is 100,000
}

// Limits of windows.
const (
	windowsOpen    = 100_000
	windowsOverlap = 1000 // windows that one event is in
)

func (w Windows) withDefaults() (Windows, error) {
	if w.Open <= 0 {
		w.Open = windowsOpen
	}
	switch {
	case w.Size < 0 || w.Slide < 0 || w.Gap < 0 || w.Late < 0:
		return w, parley.BadField("window", "a duration is negative", "give durations above 0")
	case (w.Size > 0) == (w.Gap > 0):
		return w, parley.BadField("window", "it needs either a size or a gap", "set Size for tumbling and sliding windows, Gap for sessions")
	case w.Gap > 0 && w.Slide > 0:
		return w, parley.BadField("window", "a session does not slide", "leave Slide out")
	}
	if w.Slide == 0 {
		w.Slide = w.Size
	}
	if w.Slide > w.Size {
		return w, parley.BadField("window", "Slide is larger than Size, so that events between windows were lost", "make it at most Size")
	}
	if w.Gap == 0 && w.Size/w.Slide > windowsOverlap {
		return w, parley.BadField("window", "each event would be in more than 1000 windows", "make Slide larger, or Size smaller")
	}
	return w, nil
}

// Pane is one window of one key, and what was made of its events.
type Pane[A any] struct {
	Key    string    `json:"key,omitempty"`
	Start  time.Time `json:"start"`
	End    time.Time `json:"end"` // of a session: its last event and the gap
	Events int       `json:"events"`
	Value  A         `json:"value"`
}

// WindowState is all that a Windower remembers, as plain data.
type WindowState[A any] struct {
	Mark  time.Time `json:"mark,omitzero"`   // the watermark: what ends until then is closed
	Panes []Pane[A] `json:"panes,omitempty"` // in no order
}

// Windower puts events into windows. It is a machine: event times come with the
// events, and it has no other. An event is late when all its windows are closed.
type Windower[A any] struct {
	w     Windows
	merge func(into *A, from A)
	mark  time.Time
	heap  paneHeap[A]
	byKey map[string][]*openPane[A] // of one key, by their starts
}

// openPane is a window that is not closed, and its place in the heap.
type openPane[A any] struct {
	Pane[A]
	at int
}

// NewWindower makes a windower. merge adds to one session's value another's, when
// an event joins the two; it may be nil for windows of a Size.
func NewWindower[A any](w Windows, merge func(into *A, from A)) (*Windower[A], error) {
	w, err := w.withDefaults()
	if err == nil && w.Gap > 0 && merge == nil {
		err = parley.BadField("window", "sessions need a way to merge values", "give NewWindower merge")
	}
	if err != nil {
		return nil, err
	}
	return &Windower[A]{w: w, merge: merge, byKey: map[string][]*openPane[A]{}}, nil
}

// Add puts an event into its windows, whose values add changes. late = they are all
// closed, and nothing was changed. Too many open windows are an error with the code
// Overloaded, and nothing was changed.
func (m *Windower[A]) Add(key string, at time.Time, add func(*A)) (late bool, err error) {
	if m.w.Gap > 0 {
		return m.addSession(key, at, add)
	}
	last := floorTo(at, m.w.Slide)
	first := last
	for first.Add(-m.w.Slide).Add(m.w.Size).After(at) {
		first = first.Add(-m.w.Slide)
	}
	if !last.Add(m.w.Size).After(m.mark) {
		return true, nil
	}
	if len(m.heap)+int(last.Sub(first)/m.w.Slide)+1 > m.w.Open && m.missing(key, first, last) > m.w.Open-len(m.heap) {
		return false, m.tooMany()
	}
	for start := first; !start.After(last); start = start.Add(m.w.Slide) {
		if end := start.Add(m.w.Size); end.After(m.mark) {
			p := m.pane(key, start, end)
			p.Events++
			add(&p.Value)
		}
	}
	m.saw(at)
	return false, nil
}

func (m *Windower[A]) tooMany() error {
	return &parley.Error{Code: parley.Overloaded, Field: "window", Detail: "too many windows are open", Fix: "use fewer keys, shorter windows, or allow less lateness"}
}

// missing is how many windows from first to last a key has yet to open.
func (m *Windower[A]) missing(key string, first, last time.Time) (n int) {
	for start := first; !start.After(last); start = start.Add(m.w.Slide) {
		if _, there := m.find(key, start); !there && start.Add(m.w.Size).After(m.mark) {
			n++
		}
	}
	return n
}

func (m *Windower[A]) find(key string, start time.Time) (int, bool) {
	return slices.BinarySearchFunc(m.byKey[key], start, func(p *openPane[A], t time.Time) int { return p.Start.Compare(t) })
}

func (m *Windower[A]) pane(key string, start, end time.Time) *openPane[A] {
	i, there := m.find(key, start)
	if there {
		return m.byKey[key][i]
	}
	p := &openPane[A]{Pane: Pane[A]{Key: key, Start: start, End: end}}
	m.byKey[key] = slices.Insert(m.byKey[key], i, p)
	heap.Push(&m.heap, p)
	return p
}

func (m *Windower[A]) addSession(key string, at time.Time, add func(*A)) (late bool, err error) {
	end := at.Add(m.w.Gap)
	all := m.byKey[key]
	from := 0 // sessions that the event's own span overlaps
	for from < len(all) && !all[from].End.After(at) {
		from++
	}
	to := from
	for to < len(all) && all[to].Start.Before(end) {
		to++
	}
	if from == to {
		if !end.After(m.mark) {
			return true, nil
		}
		if len(m.heap) >= m.w.Open {
			return false, m.tooMany()
		}
		p := m.pane(key, at, end)
		p.Events = 1
		add(&p.Value)
		m.saw(at)
		return false, nil
	}
	p := all[from]
	for _, other := range all[from+1 : to] {
		p.Events += other.Events
		p.End = other.End
		m.merge(&p.Value, other.Value)
		heap.Remove(&m.heap, other.at)
	}
	m.byKey[key] = slices.Delete(all, from+1, to)
	p.Start, p.End = earlier(p.Start, at), later(p.End, end)
	p.Events++
	add(&p.Value)
	heap.Fix(&m.heap, p.at)
	m.saw(at)
	return false, nil
}

func (m *Windower[A]) saw(at time.Time) {
	m.mark = later(m.mark, at.Add(-m.w.Late))
}

// Advance moves the watermark on to a time that no event will be before; it never
// goes back.
func (m *Windower[A]) Advance(mark time.Time) { m.mark = later(m.mark, mark) }

// Mark gives the watermark.
func (m *Windower[A]) Mark() time.Time { return m.mark }

// Len is how many windows are open.
func (m *Windower[A]) Len() int { return len(m.heap) }

// Closed gives the next window that the watermark has passed, in the order of end,
// start and key; false = there is none.
func (m *Windower[A]) Closed() (Pane[A], bool) {
	if len(m.heap) == 0 || m.heap[0].End.After(m.mark) {
		return Pane[A]{}, false
	}
	return m.pop(), true
}

// Next gives the end of the open window that ends first; the zero time when none is
// open.
func (m *Windower[A]) Next() time.Time {
	if len(m.heap) == 0 {
		return time.Time{}
	}
	return m.heap[0].End
}

// Flush gives the next open window although the watermark has not passed it: at the
// end of everything.
func (m *Windower[A]) Flush() (Pane[A], bool) {
	if len(m.heap) == 0 {
		return Pane[A]{}, false
	}
	m.mark = later(m.mark, m.heap[0].End)
	return m.pop(), true
}

func (m *Windower[A]) pop() Pane[A] {
	p := heap.Pop(&m.heap).(*openPane[A])
	i, _ := m.find(p.Key, p.Start)
	if left := slices.Delete(m.byKey[p.Key], i, i+1); len(left) > 0 {
		m.byKey[p.Key] = left
	} else {
		delete(m.byKey, p.Key)
	}
	return p.Pane
}

// Each visits the open windows, in no order.
func (m *Windower[A]) Each(visit func(*Pane[A])) {
	for _, p := range m.heap {
		visit(&p.Pane)
	}
}

// State gives all that is remembered. Values are shared with the windower.
func (m *Windower[A]) State() WindowState[A] {
	s := WindowState[A]{Mark: m.mark}
	for _, p := range m.heap {
		s.Panes = append(s.Panes, p.Pane)
	}
	return s
}

// Restore takes what State gave in place of all that is remembered.
func (m *Windower[A]) Restore(s WindowState[A]) {
	m.mark, m.heap, m.byKey = s.Mark, nil, map[string][]*openPane[A]{}
	for _, pane := range s.Panes {
		p := m.pane(pane.Key, pane.Start, pane.End)
		p.Pane = pane
	}
}

type paneHeap[A any] []*openPane[A]

// Len implements heap.Interface.
func (h paneHeap[A]) Len() int { return len(h) }

// Less implements heap.Interface.
func (h paneHeap[A]) Less(i, j int) bool {
	a, b := h[i], h[j]
	return cmp.Or(a.End.Compare(b.End), a.Start.Compare(b.Start), cmp.Compare(a.Key, b.Key)) < 0
}

// Swap implements heap.Interface.
func (h paneHeap[A]) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].at, h[j].at = i, j
}

// Push implements heap.Interface.
func (h *paneHeap[A]) Push(x any) {
	p := x.(*openPane[A])
	p.at = len(*h)
	*h = append(*h, p)
}

// Pop implements heap.Interface.
func (h *paneHeap[A]) Pop() any {
	last := len(*h) - 1
	p := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return p
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// floorTo gives the last multiple of d since 1970 that is not after t.
func floorTo(t time.Time, d time.Duration) time.Time {
	over := time.Duration(t.UnixNano() % int64(d)) // beyond the years 1678 to 2262 windows are aligned to something else
	if over < 0 {
		over += d
	}
	return t.Add(-over)
}
