package pipe

import (
	"container/heap"
	"math"
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
	windowsLongest = 10 * 366 * 24 * time.Hour
	windowsFrom    = -8_000_000_000 // 1716, and
	windowsTo      = 8_000_000_000  // 2223, in seconds since 1970: what nanoseconds can be told of
)

func (w Windows) withDefaults() (Windows, error) {
	if w.Open <= 0 {
		w.Open = windowsOpen
	}
	switch {
	case max(w.Size, w.Slide, w.Gap, w.Late) > windowsLongest:
		return w, parley.BadField("window", "a duration is over ten years", "make it shorter")
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
	mark  int64 // nanoseconds since 1970
	heap  paneHeap[A]
	byKey map[string][]*openPane[A] // of one key, by their starts
	last  *openPane[A]              // that an event was added to
}

// openPane is a window that is not closed, and its place in the heap. Times are in
// nanoseconds since 1970.
type openPane[A any] struct {
	key        string
	start, end int64
	events     int
	value      A
	at         int
}

func (p *openPane[A]) pane() Pane[A] {
	return Pane[A]{Key: p.key, Start: time.Unix(0, p.start).UTC(), End: time.Unix(0, p.end).UTC(), Events: p.events, Value: p.value}
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
	return &Windower[A]{w: w, merge: merge, mark: math.MinInt64, byKey: map[string][]*openPane[A]{}}, nil
}

// Add puts an event into its windows, whose values add changes. late = they are all
// closed, and nothing was changed. Too many open windows are an error with the code
// Overloaded, a time before 1716 or after 2223 one with Unprocessable; nothing was
// changed then either.
func (m *Windower[A]) Add(key string, at time.Time, add func(*A)) (late bool, err error) {
	if sec := at.Unix(); sec < windowsFrom || sec > windowsTo {
		return false, parley.Errorf(parley.Unprocessable, "its time is before 1716 or after 2223")
	}
	now := at.UnixNano()
	if m.w.Gap > 0 {
		return m.addSession(key, now, add)
	}
	size, slide := int64(m.w.Size), int64(m.w.Slide)
	if p := m.last; p != nil && size == slide && p.start <= now && now < p.end && p.end > m.mark && p.key == key {
		p.events++
		add(&p.value)
		m.saw(now)
		return false, nil
	}
	last := floorTo(now, slide)
	if last+size <= m.mark {
		return true, nil
	}
	first := floorTo(now-size, slide) + slide // the earliest that ends after now
	if len(m.heap)+int((last-first)/slide)+1 > m.w.Open && m.missing(key, first, last) > m.w.Open-len(m.heap) {
		return false, m.tooMany()
	}
	for start := first; start <= last; start += slide {
		if start+size > m.mark {
			p := m.pane(key, start, start+size)
			p.events++
			add(&p.value)
			m.last = p
		}
	}
	m.saw(now)
	return false, nil
}

func (m *Windower[A]) tooMany() error {
	return &parley.Error{Code: parley.Overloaded, Field: "window", Detail: "too many windows are open", Fix: "use fewer keys, shorter windows, or allow less lateness"}
}

// missing is how many windows from first to last a key has yet to open.
func (m *Windower[A]) missing(key string, first, last int64) (n int) {
	for start := first; start <= last; start += int64(m.w.Slide) {
		if _, there := m.find(m.byKey[key], start); !there && start+int64(m.w.Size) > m.mark {
			n++
		}
	}
	return n
}

func (m *Windower[A]) find(all []*openPane[A], start int64) (int, bool) {
	i := len(all)
	for i > 0 && all[i-1].start >= start { // the newest are asked for most
		i--
	}
	return i, i < len(all) && all[i].start == start
}

func (m *Windower[A]) pane(key string, start, end int64) *openPane[A] {
	all := m.byKey[key]
	i, there := m.find(all, start)
	if there {
		return all[i]
	}
	p := &openPane[A]{key: key, start: start, end: end}
	m.byKey[key] = slices.Insert(all, i, p)
	heap.Push(&m.heap, p)
	return p
}

func (m *Windower[A]) addSession(key string, now int64, add func(*A)) (late bool, err error) {
	end := now + int64(m.w.Gap)
	all := m.byKey[key]
	from := 0 // sessions that the event's own span overlaps
	for from < len(all) && all[from].end <= now {
		from++
	}
	to := from
	for to < len(all) && all[to].start < end {
		to++
	}
	if from == to {
		if end <= m.mark {
			return true, nil
		}
		if len(m.heap) >= m.w.Open {
			return false, m.tooMany()
		}
		p := m.pane(key, now, end)
		p.events = 1
		add(&p.value)
		m.saw(now)
		return false, nil
	}
	p := all[from]
	for _, other := range all[from+1 : to] {
		p.events += other.events
		p.end = other.end
		m.merge(&p.value, other.value)
		heap.Remove(&m.heap, other.at)
	}
	m.byKey[key] = slices.Delete(all, from+1, to)
	p.start, p.end = min(p.start, now), max(p.end, end)
	p.events++
	add(&p.value)
	heap.Fix(&m.heap, p.at)
	m.saw(now)
	return false, nil
}

func (m *Windower[A]) saw(now int64) { m.mark = max(m.mark, now-int64(m.w.Late)) }

// Advance moves the watermark on to a time that no event will be before; it never
// goes back.
func (m *Windower[A]) Advance(mark time.Time) {
	if sec := mark.Unix(); sec >= windowsFrom && sec <= windowsTo {
		m.mark = max(m.mark, mark.UnixNano())
	}
}

// Len is how many windows are open.
func (m *Windower[A]) Len() int { return len(m.heap) }

// Closed gives the next window that the watermark has passed, in the order of end,
// start and key; false = there is none.
func (m *Windower[A]) Closed() (Pane[A], bool) {
	if !m.ready() {
		return Pane[A]{}, false
	}
	return m.pop(), true
}

func (m *Windower[A]) ready() bool { return len(m.heap) > 0 && m.heap[0].end <= m.mark }

// Next gives the end of the open window that ends first; the zero time when none is
// open.
func (m *Windower[A]) Next() time.Time {
	if len(m.heap) == 0 {
		return time.Time{}
	}
	return time.Unix(0, m.heap[0].end).UTC()
}

// Flush gives the next open window although the watermark has not passed it: at the
// end of everything.
func (m *Windower[A]) Flush() (Pane[A], bool) {
	if len(m.heap) == 0 {
		return Pane[A]{}, false
	}
	m.mark = max(m.mark, m.heap[0].end)
	return m.pop(), true
}

func (m *Windower[A]) pop() Pane[A] {
	p := heap.Pop(&m.heap).(*openPane[A])
	if m.last == p {
		m.last = nil
	}
	i, _ := m.find(m.byKey[p.key], p.start)
	if left := slices.Delete(m.byKey[p.key], i, i+1); len(left) > 0 {
		m.byKey[p.key] = left
	} else {
		delete(m.byKey, p.key)
	}
	return p.pane()
}

// Each visits the values of the open windows, in no order.
func (m *Windower[A]) Each(visit func(*A)) {
	for _, p := range m.heap {
		visit(&p.value)
	}
}

// State gives all that is remembered. Values are shared with the windower.
func (m *Windower[A]) State() WindowState[A] {
	var s WindowState[A]
	if m.mark > math.MinInt64 {
		s.Mark = time.Unix(0, m.mark).UTC()
	}
	for _, p := range m.heap {
		s.Panes = append(s.Panes, p.pane())
	}
	return s
}

// Restore takes what State gave in place of all that is remembered.
func (m *Windower[A]) Restore(s WindowState[A]) {
	m.mark, m.heap, m.byKey, m.last = math.MinInt64, nil, map[string][]*openPane[A]{}, nil
	if !s.Mark.IsZero() {
		m.mark = s.Mark.UnixNano()
	}
	for _, pane := range s.Panes {
		p := m.pane(pane.Key, pane.Start.UnixNano(), pane.End.UnixNano())
		p.events, p.value = pane.Events, pane.Value
	}
}

type paneHeap[A any] []*openPane[A]

// Len implements heap.Interface.
func (h paneHeap[A]) Len() int { return len(h) }

// Less implements heap.Interface.
func (h paneHeap[A]) Less(i, j int) bool {
	a, b := h[i], h[j]
	switch {
	case a.end != b.end:
		return a.end < b.end
	case a.start != b.start:
		return a.start < b.start
	}
	return a.key < b.key
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

// floorTo gives the last multiple of d that is not after t.
func floorTo(t, d int64) int64 {
	over := t % d
	if over < 0 {
		over += d
	}
	return t - over
}
