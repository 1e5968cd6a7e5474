package pubsub

import (
	"context"
	"sort"
	"sync"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/topic"
)

// followBytes is how much a follower and a lagging reader take at a time.
const followBytes = 256 << 10

// tail is the newest part of one stream, shared by its subscribers, and the
// list of those that wait for more.
type tail struct {
	hub       *Hub
	topic     topic.Topic
	partition int
	epoch     uint32
	users     int                // under hub.mu
	idle      int                // sweeps without a user, under hub.mu
	stop      context.CancelFunc // set by Hub.Run before the follower starts

	mu      sync.Mutex
	started bool
	live    bool            // the follower is at end; otherwise the log has the truth
	removed bool            // the topic was deleted
	begin   parley.Position // items holds all of begin ≤ p < end
	end     parley.Position
	items   []*Item
	bytes   int
	parked  *place // ring list of the places that wait
}

func (t *tail) stream() parley.Stream { return t.topic.Partitions[t.partition].Stream }

// follow reads the stream until ctx ends. When the log fails, readers are sent
// to the log themselves, to meet the error there; the follower tries again.
func (t *tail) follow(ctx context.Context) {
	for ctx.Err() == nil {
		err := t.followFromEnd(ctx)
		t.fail()
		if parley.CodeOf(err) == parley.Trimmed {
			continue // retention overtook the follower: the end is elsewhere now
		}
		retry := time.NewTimer(time.Second)
		select {
		case <-ctx.Done():
		case <-retry.C:
		}
		retry.Stop()
	}
}

func (t *tail) followFromEnd(ctx context.Context) error {
	end, err := t.hub.log.End(ctx, t.stream())
	if err != nil {
		return err
	}
	end = max(end, first) // from 0 the log would read over what is trimmed meanwhile
	t.reset(end)
	for run, err := range parley.Follow(ctx, t.hub.log, parley.Place{Stream: t.stream(), At: end}, followBytes) {
		if err != nil {
			return err
		}
		t.add(run)
	}
	return ctx.Err()
}

// reset makes the tail live and empty at end.
func (t *tail) reset(end parley.Position) {
	t.mu.Lock()
	t.live, t.begin, t.end, t.items, t.bytes = true, end, end, nil, 0
	waiting := t.detach()
	t.mu.Unlock()
	wakeAll(waiting)
}

func (t *tail) fail() {
	t.mu.Lock()
	t.live = false
	waiting := t.detach()
	t.mu.Unlock()
	wakeAll(waiting)
}

func (t *tail) remove() {
	t.mu.Lock()
	t.removed = true
	waiting := t.detach()
	t.mu.Unlock()
	wakeAll(waiting)
}

func (t *tail) isRemoved() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.removed
}

// add takes the batches of a run in and wakes who waits.
func (t *tail) add(run parley.Run) {
	items := t.itemsOf(run)
	t.mu.Lock()
	for _, it := range items {
		t.items = append(t.items, it)
		t.bytes += it.batch.Size()
	}
	drop := 0
	for t.bytes > t.hub.opt.TailBytes && drop < len(t.items)-1 {
		t.bytes -= t.items[drop].batch.Size()
		t.begin = t.items[drop].batch.Next()
		drop++
	}
	// A fresh slice when something is dropped, so that the old array can go.
	if drop > 0 {
		t.items = append(make([]*Item, 0, 2*(len(t.items)-drop)), t.items[drop:]...)
	}
	t.end = run.Next()
	waiting := t.detach()
	t.mu.Unlock()
	wakeAll(waiting)
}

// itemsOf copies a run's batches out of its buffer.
func (t *tail) itemsOf(run parley.Run) []*Item {
	own := parley.NewRun(append([]byte(nil), run.Bytes()...), run.From(), run.Next(), nil)
	var items []*Item
	for b := range own.Batches() {
		items = append(items, newItem(t.topic, t.partition, t.epoch, t.hub, b))
	}
	return items
}

// from gives the items at a place, up to about maxBytes. known is false when the
// tail does not reach so far back and the log must be read.
func (t *tail) from(at parley.Position, maxBytes int) (items []*Item, known bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case !t.live || at < t.begin:
		return nil, false
	case at >= t.end:
		return nil, true
	}
	i := sort.Search(len(t.items), func(i int) bool { return t.items[i].batch.Next() > at })
	n, size := i, 0
	for n < len(t.items) && (n == i || size+t.items[n].batch.Size() <= maxBytes) {
		size += t.items[n].batch.Size()
		n++
	}
	return t.items[i:n:n], true
}

// park puts a place into the list, unless there is something for it already.
func (t *tail) park(p *place) bool {
	t.mu.Lock()
	start := !t.started
	t.started = true
	news := t.removed || t.live && p.at < t.end
	if !news && !p.parked {
		p.parked = true
		if t.parked == nil {
			p.next, p.prev = p, p
			t.parked = p
		} else {
			p.next, p.prev = t.parked, t.parked.prev
			p.prev.next, p.next.prev = p, p
		}
	}
	t.mu.Unlock()
	if start {
		t.hub.start(t)
	}
	return !news
}

func (t *tail) unpark(p *place) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !p.parked {
		return
	}
	p.parked = false
	if p.next == p {
		t.parked = nil
	} else {
		p.prev.next, p.next.prev = p.next, p.prev
		if t.parked == p {
			t.parked = p.next
		}
	}
	p.next, p.prev = nil, nil
}

// detach empties the list, under mu.
func (t *tail) detach() []*Subscription {
	if t.parked == nil {
		return nil
	}
	var waiting []*Subscription
	for p := t.parked; p.parked; {
		next := p.next
		p.parked, p.next, p.prev = false, nil, nil
		waiting = append(waiting, p.sub)
		p = next
	}
	t.parked = nil
	return waiting
}

func wakeAll(waiting []*Subscription) {
	for _, s := range waiting {
		s.fire()
	}
}
