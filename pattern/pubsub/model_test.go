package pubsub

import (
	"context"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/cursor"
	"github.com/parleyhq/parley/base/topic"
	"github.com/parleyhq/parley/engine/memlog"
)

// model is what readers of one topic must see: every event once, in order, but
// for what a notice says is gone.
type model struct {
	*rapid.T
	log     parley.Log
	topics  *topic.Registry
	hub     *Hub
	stream  parley.Stream
	count   int               // events published: their data is 1, 2, …
	at      []parley.Position // of each
	readers []*modelReader
}

type modelReader struct {
	sub    *Subscription
	cursor string
	after  int // the event that must come after cursor
	next   int // the event that must come next
	waits  bool
	woken  wakeChan
}

func TestModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		log := memlog.New(memlog.Options{})
		topics := topic.New(log, topic.Options{AutoCreate: true})
		if err := topics.Load(t.Context()); err != nil {
			rt.Fatal(err)
		}
		tailBytes := rapid.SampledFrom([]int{1, 1 << 10, 1 << 20}).Draw(rt, "tail")
		m := &model{T: rt, log: log, topics: topics, hub: NewHub(log, topics, cursor.NewSealer(), Options{TailBytes: tailBytes})}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); _ = m.hub.Run(ctx) }()
		defer func() { stop(); <-done }()
		m.publish(1)
		tp, err := topics.Get("t")
		if err != nil {
			rt.Fatal(err)
		}
		m.stream = tp.Partitions[0].Stream
		rt.Repeat(map[string]func(*rapid.T){
			"publish": func(rt *rapid.T) { m.publish(rapid.IntRange(1, 5).Draw(rt, "n")) },
			"join":    func(rt *rapid.T) { m.join(rapid.Bool().Draw(rt, "earliest")) },
			"fetch":   func(rt *rapid.T) { m.fetch(m.pick(rt), rapid.IntRange(1, 2000).Draw(rt, "bytes")) },
			"cut":     func(rt *rapid.T) { m.cut(m.pick(rt), rapid.IntRange(0, 4).Draw(rt, "after")) },
			"park":    func(rt *rapid.T) { m.park(m.pick(rt)) },
			"trim":    func(rt *rapid.T) { m.trim(rapid.IntRange(0, m.count-1).Draw(rt, "to")) },
		})
		for _, r := range m.readers { // at last everybody has everything
			for r.next <= m.count {
				m.fetch(r, 1<<20)
			}
			r.sub.Close()
		}
	})
}

func (m *model) pick(rt *rapid.T) *modelReader {
	if len(m.readers) == 0 {
		m.join(true)
	}
	return m.readers[rapid.IntRange(0, len(m.readers)-1).Draw(rt, "reader")]
}

func (m *model) publish(n int) {
	events := make([]parley.Event, n)
	for i := range events {
		m.count++
		events[i] = parley.Event{Data: fmt.Append(nil, m.count)}
	}
	placed, _, err := m.topics.Publish(context.Background(), "t", events, topic.PublishOptions{})
	if err != nil {
		m.Fatal(err)
	}
	for _, p := range placed {
		m.at = append(m.at, p.Position)
	}
}

func (m *model) join(earliest bool) {
	r := &modelReader{woken: make(wakeChan, 1), next: m.count + 1}
	from := Latest()
	if earliest {
		from = Earliest()
		stats, err := m.hub.Stats(context.Background(), m.stream)
		if err != nil {
			m.Fatal(err)
		}
		r.next = m.indexOf(stats.Earliest)
	}
	r.sub = m.open(from)
	r.cursor, r.after = r.sub.Cursor(), r.next
	m.readers = append(m.readers, r)
}

func (m *model) open(from From) *Subscription {
	s, err := m.hub.Subscribe(context.Background(), Request{Topics: []string{"t"}, From: from})
	if err != nil {
		m.Fatal(err)
	}
	return s
}

// indexOf is the number of the first event at or above a position.
func (m *model) indexOf(p parley.Position) int {
	for i, at := range m.at {
		if at >= p {
			return i + 1
		}
	}
	return len(m.at) + 1
}

func (m *model) fetch(r *modelReader, bytes int) { m.take(r, bytes, -1) }

// take checks a delivery, or with stop ≥ 0 the first so many events of it.
func (m *model) take(r *modelReader, bytes, stop int) {
	d, err := r.sub.Fetch(context.Background(), bytes)
	if err != nil {
		m.Fatal(err)
	}
	if d.Empty() && r.next <= m.count && !r.waits {
		m.Fatalf("caught up before event %d of %d", r.next, m.count)
	}
	for _, n := range d.Notices {
		if n.Kind != Gap {
			m.Fatalf("notice %v", n)
		}
		if from := m.indexOf(n.From); from != r.next {
			m.Fatalf("gap from event %d, the reader wants %d", from, r.next)
		}
		r.next = m.indexOf(n.To)
	}
	seen := 0
	for _, c := range d.Chunks {
		views := c.Views()
		for i := range views {
			if seen == stop {
				return
			}
			if got := string(views[i].Data); got != fmt.Sprint(r.next) {
				m.Fatalf("got event %s, want %d", got, r.next)
			}
			d.Advance(&views[i])
			r.next++
			seen++
			r.cursor, r.after = d.Cursor(), r.next
		}
	}
	if stop < 0 && len(d.Chunks) > 0 && r.cursor != r.sub.Cursor() {
		m.Fatalf("the cursor after the last event differs from the subscription's")
	}
}

// cut reads a part of what is there, loses the connection, and resumes.
func (m *model) cut(r *modelReader, after int) {
	m.take(r, 1<<20, after)
	r.sub.Close()
	r.waits, r.next = false, r.after // a gap that was told is told again
	r.sub = m.open(After(r.cursor))
}

func (m *model) park(r *modelReader) {
	r.waits = true
	if r.sub.Park(r.woken) && r.next <= m.count {
		<-r.woken // there is something: the tail must say so
	}
	select {
	case <-r.woken:
	default:
	}
	r.waits = true
}

func (m *model) trim(to int) {
	if err := m.log.Trim(context.Background(), m.stream, m.at[to]); err != nil {
		m.Fatal(err)
	}
}
