package pubsub

import (
	"context"
	"errors"
	"sync"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/topic"
)

// Waker is told once that a parked subscription has something. Wake is called
// from the hub and must return at once; it may still come after Close.
type Waker interface{ Wake() }

// Subscription is a reader's place in all its streams. Its methods are for one
// goroutine at a time.
type Subscription struct {
	hub    *Hub
	places []place
	turn   int       // where the next Fetch begins, for fairness
	lost   []Notice  // to be told with the next Fetch
	wide   *patterns // nil when all topics are named and exist
	only   *int      // the one partition that is read; nil = all

	records bool // of what it gives, not events

	mu     sync.Mutex
	parked bool
	wake   Waker
}

// place is where a subscription is in one stream, and its node in the list of
// those that wait there.
type place struct {
	next, prev *place
	sub        *Subscription
	tail       *tail
	at         parley.Position
	earliest   parley.Position // when it was opened
	parked     bool            // in the tail's list; under tail.mu
	fleeting   bool            // of an ephemeral topic: not part of the cursor
}

// patterns is what a subscription needs that may grow by new topics.
type patterns struct {
	list []topic.Pattern
	mu   sync.Mutex
	new  []topic.Topic
}

// Fetch returns what is there for the reader, about maxBytes of it, and moves
// the reader's place behind it. It never waits: an empty Delivery says that the
// reader has caught up. Errors: NotFound when a named topic was deleted, and
// those of the log.
func (s *Subscription) Fetch(ctx context.Context, maxBytes int) (Delivery, error) {
	s.adopt()
	d := Delivery{Notices: s.lost, marks: s.marks(), sub: s}
	s.lost = nil
	for i := 0; i < len(s.places) && maxBytes > 0; i++ {
		p := &s.places[(s.turn+i)%len(s.places)]
		took, err := p.fetch(ctx, &d, maxBytes)
		if err != nil {
			if d.Empty() {
				return Delivery{}, err
			}
			break // what came before is delivered first; the error comes again
		}
		maxBytes -= took
	}
	if s.turn++; s.turn >= len(s.places) {
		s.turn = 0
	}
	return d, nil
}

// fetch takes what one stream has, and says how many bytes it was.
func (p *place) fetch(ctx context.Context, d *Delivery, maxBytes int) (int, error) {
	if p.tail.isRemoved() {
		return 0, p.removed()
	}
	items, known := p.tail.from(p.at, maxBytes)
	if known && len(items) == 0 && !p.everParked() {
		known = false // the tail may be a moment behind the log: a first look asks the log
	}
	if !known {
		run, err := p.tail.hub.log.Read(ctx, parley.Place{Stream: p.tail.stream(), At: p.at}, min(maxBytes, followBytes))
		if parley.CodeOf(err) == parley.Trimmed {
			p.trimmed(err, d)
			return p.fetch(ctx, d, maxBytes)
		}
		if err != nil {
			return 0, err
		}
		items = p.tail.itemsOf(run)
		run.Release()
	}
	size := 0
	for _, it := range items {
		d.add(p, it)
		p.at = it.batch.Next()
		size += it.batch.Size()
	}
	return size, nil
}

// everParked says that the reader waits on the tail, and so sees each of its
// steps: then the tail's end is the reader's end.
func (p *place) everParked() bool {
	p.sub.mu.Lock()
	defer p.sub.mu.Unlock()
	return p.sub.wake != nil
}

// trimmed moves the place to what retention has left, and notes what is gone.
func (p *place) trimmed(err error, d *Delivery) {
	var to parley.Position
	if e, ok := errors.AsType[*parley.Error](err); ok {
		to = e.Earliest
	}
	d.Notices = append(d.Notices, Notice{Kind: Gap, Topic: p.tail.topic.Name, Partition: p.tail.partition, From: p.at, To: to})
	if to <= p.at {
		to = 0 // "from the earliest" is never trimmed, so this ends
	}
	p.at = to
}

func (p *place) removed() error {
	return &parley.Error{Code: parley.NotFound, Field: "topic", Detail: "topic " + p.tail.topic.Name + " was deleted", Fix: "subscribe again once it exists"}
}

// Park waits without a goroutine: w is woken once, as soon as Fetch has
// something. It returns false, and w is not woken, when Fetch has something
// already.
func (s *Subscription) Park(w Waker) bool {
	s.mu.Lock()
	s.parked, s.wake = true, w
	s.mu.Unlock()
	news := s.offered()
	for i := range s.places {
		if news {
			break
		}
		news = !s.places[i].tail.park(&s.places[i])
	}
	if !news {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	woken := !s.parked // somebody was faster: w is woken, once
	s.parked = false
	return woken
}

// fire wakes the reader if it is parked.
func (s *Subscription) fire() {
	s.mu.Lock()
	w := s.wake
	parked := s.parked
	s.parked = false
	s.mu.Unlock()
	if parked {
		w.Wake()
	}
}

// Next is Fetch for a reader with a goroutine of its own: it waits until there
// is something.
func (s *Subscription) Next(ctx context.Context) (Delivery, error) {
	for {
		d, err := s.Fetch(ctx, followBytes)
		if err != nil || !d.Empty() {
			return d, err
		}
		woken := make(wakeChan, 1)
		if !s.Park(woken) {
			continue
		}
		select {
		case <-woken:
		case <-ctx.Done():
			return Delivery{}, ctx.Err()
		}
	}
}

type wakeChan chan struct{}

func (c wakeChan) Wake() { c <- struct{}{} } // has room for the one

// Close leaves all lists. The subscription must not be used afterwards.
func (s *Subscription) Close() {
	if s.wide != nil {
		s.hub.mu.Lock()
		for _, p := range s.wide.list {
			s.hub.index.Remove(p, s)
		}
		s.hub.mu.Unlock()
	}
	for i := range s.places {
		p := &s.places[i]
		p.tail.unpark(p)
		s.hub.release(p.tail)
	}
	s.places = nil
}
