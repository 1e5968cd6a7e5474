package crash

import (
	"context"
	"fmt"
	"net/url"

	"google.golang.org/grpc"
)

// lane is one partition.
type lane struct {
	topic     string
	partition int
}

// shelf is what the server holds, as it was read from outside: by gRPC, which
// tells partitions and positions.
type shelf struct {
	led    *ledger
	topics []string
	where  map[string]place
	index  map[string]int // of an event in its partition
	order  map[lane][]string
	last   map[lane]map[int]int64 // of each writer: its newest request and index
	cursor string
}

func newShelf(led *ledger, topics []string) *shelf {
	return &shelf{led: led, topics: topics, where: map[string]place{}, index: map[string]int{}, order: map[lane][]string{}, last: map[lane]map[int]int64{}}
}

// read reads on from where it stopped until it has all that the topics hold.
func (s *shelf) read(ctx context.Context, a *api) error {
	want, err := a.count(ctx, s.topics)
	if err != nil {
		return err
	}
	if want < len(s.where) {
		return fmt.Errorf("%d events were read before, and %d are there now", len(s.where), want)
	}
	if want == len(s.where) {
		return nil
	}
	return subscribe(ctx, a, s.topics, &s.cursor, func() {}, func(e stored) (bool, error) {
		return len(s.where)+1 < want, s.put(e)
	})
}

// put takes one event, which must be one that was sent and is new, in its
// writer's order.
func (s *shelf) put(e stored) error {
	r := s.led.find(e.id)
	w, n, i := origin(e.id)
	at := lane{e.topic, e.partition}
	switch {
	case r == nil:
		return fmt.Errorf("%v has an event that nobody sent: %q", e.place, e.id)
	case r.events[i].topic != e.topic || r.data[i] != e.data:
		return fmt.Errorf("%v: event %s is changed: %.200s", e.place, e.id, e.data)
	}
	if other, twice := s.where[e.id]; twice {
		return fmt.Errorf("event %s is there twice, at %v and at %v", e.id, other, e.place)
	}
	if s.last[at] == nil {
		s.last[at] = map[int]int64{}
	}
	rank := int64(n)<<16 | int64(i) + 1
	if before := s.last[at][w]; rank <= before {
		return fmt.Errorf("%v: %s comes after request %d of its writer", e.place, e.id, before>>16)
	}
	if got := s.order[at]; len(got) > 0 && s.where[got[len(got)-1]].position >= e.position {
		return fmt.Errorf("%v comes after position %d", e.place, s.where[got[len(got)-1]].position)
	}
	s.last[at][w] = rank
	s.where[e.id], s.index[e.id] = e.place, len(s.order[at])
	s.order[at] = append(s.order[at], e.id)
	return nil
}

// holds says how many events of a request are there.
func (s *shelf) holds(r *request) (n int) {
	for _, e := range r.events {
		if _, ok := s.where[e.id]; ok {
			n++
		}
	}
	return n
}

// check holds a request to what is there.
func (s *shelf) check(r *request) error {
	s.led.mu.Lock()
	acked, places := !r.acked.IsZero(), r.places
	s.led.mu.Unlock()
	if acked {
		for i, e := range r.events {
			if got, ok := s.where[e.id]; !ok || got != places[i] {
				return fmt.Errorf("event %s was acknowledged at %v, and is at %v (there: %v)", e.id, places[i], got, ok)
			}
		}
		return nil
	}
	if n := s.holds(r); n != 0 && n != len(r.events) && r.atomic() {
		return fmt.Errorf("request %s is one commit of %d events: %d are there", r.key, len(r.events), n)
	}
	return nil
}

// atomic says that the events of a request share a commit: it goes to several
// topics at once, or all of it to one partition.
func (r *request) atomic() bool {
	for _, e := range r.events {
		if e.key == "" || e.key != r.events[0].key || e.topic != r.events[0].topic {
			return r.whole
		}
	}
	return true
}

// subscribe reads topics by gRPC from a cursor, "" is from the earliest, until
// take has enough; the cursor moves along.
func subscribe(ctx context.Context, a *api, topics []string, cursor *string, opened func(), take func(stored) (more bool, err error)) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var request []byte
	for _, t := range topics {
		request = text(request, 1, t)
	}
	if *cursor == "" {
		request = append(request, 2<<3, 2) // edge: earliest
	} else {
		request = text(request, 3, *cursor)
	}
	stream, err := a.rpc.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, "/parley.v1.Subscribe/Subscribe", grpc.ForceCodec(plain{}), grpc.WaitForReady(true))
	if err != nil {
		return err
	}
	if err := stream.SendMsg(&request); err != nil {
		return err
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	at := vector{}
	for first := true; ; first = false {
		var message []byte
		if err := stream.RecvMsg(&message); err != nil {
			return refusedRPC(err)
		}
		d, err := parseDelivery(message)
		if err != nil || d.notices > 0 {
			return fmt.Errorf("a message has %d notices (%w)", d.notices, err)
		}
		if first {
			opened()
			at.open(d.cursor)
			*cursor = d.cursor
		}
		for _, e := range d.events {
			*cursor = at.after(lane{e.topic, e.partition}, e.cursor)
			if more, err := take(e); err != nil || !more {
				return err
			}
		}
	}
}

// vector joins the cursors of several streams.
type vector struct {
	opening string
	lanes   []lane
	newest  map[lane]string
}

func (v *vector) open(cursor string) { *v = vector{opening: cursor, newest: map[lane]string{}} }

func (v *vector) after(at lane, cursor string) string {
	if _, known := v.newest[at]; !known {
		v.lanes = append(v.lanes, at)
	}
	v.newest[at] = cursor
	joined := v.opening
	for _, l := range v.lanes {
		joined += "," + v.newest[l]
	}
	return joined
}

// pages reads the same by polling over HTTP, and holds it to the shelf.
type pages struct {
	cursors map[string]string
	seen    *sequence
}

func (p *pages) read(ctx context.Context, a *api, s *shelf) error {
	for _, topic := range s.topics {
		for more := true; more; {
			q := url.Values{"after": {p.cursors[topic]}, "limit": {"1000"}}
			if p.cursors[topic] == "" {
				q.Set("after", "earliest")
			}
			got, err := a.poll(ctx, topic, q)
			if err != nil {
				return err
			}
			for _, e := range got.events {
				if err := p.seen.next(s, e.id, e.data); err != nil {
					return fmt.Errorf("polling %s: %w", topic, err)
				}
			}
			p.cursors[topic], more = got.cursor, got.more
		}
	}
	return p.seen.complete(s)
}

// sequence is how far a reader has seen each partition.
type sequence struct {
	topics []string
	at     map[lane]int
}

func newSequence(topics ...string) *sequence { return &sequence{topics, map[lane]int{}} }

// next takes the event that a reader was given: it must be the next one of its
// partition.
func (q *sequence) next(s *shelf, id, data string) error {
	p, ok := s.where[id]
	if !ok {
		return fmt.Errorf("event %s is not there for others", id)
	}
	at := lane{p.topic, p.partition}
	if s.index[id] != q.at[at] {
		return fmt.Errorf("event %s is number %d of %v, and comes where number %d was to come", id, s.index[id], at, q.at[at])
	}
	if data != dataOf(id) {
		return fmt.Errorf("event %s has the data %.200s", id, data)
	}
	q.at[at]++
	return nil
}

// complete says that the reader has seen everything.
func (q *sequence) complete(s *shelf) error {
	for _, topic := range q.topics {
		for at, ids := range s.order {
			if at.topic == topic && q.at[at] != len(ids) {
				return fmt.Errorf("%d events of %v were seen, %d are there", q.at[at], at, len(ids))
			}
		}
	}
	return nil
}
