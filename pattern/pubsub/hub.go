package pubsub

import (
	"context"
	"sync"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/cursor"
	"github.com/parleyhq/parley/base/topic"
)

// Options of a hub. The zero value works.
type Options struct {
	// TailBytes is how much of each watched stream's newest events is kept in
	// memory for its subscribers to share. Default 4 MiB. Whoever is further
	// behind reads the log.
	TailBytes int
	// Linger is how long a stream is followed after its last subscriber has
	// left, for the next one. Default 10s.
	Linger time.Duration
}

func (o Options) withDefaults() Options {
	if o.TailBytes <= 0 {
		o.TailBytes = 4 << 20
	}
	if o.Linger <= 0 {
		o.Linger = 10 * time.Second
	}
	return o
}

// Hub is where events meet their subscribers. There is one in a process; it
// alone follows streams, one follower for each that somebody waits on.
type Hub struct {
	log    parley.Log
	stat   parley.Statter // nil when the engine has none
	timer  parley.Timer
	topics *topic.Registry
	sealer *cursor.Sealer
	opt    Options

	mu       sync.Mutex
	tails    map[uint64]*tail // by stream number
	index    topic.Index[*Subscription]
	starting []*tail
	kick     chan struct{}
}

// NewHub makes a hub; Run makes it live.
func NewHub(log parley.Log, topics *topic.Registry, sealer *cursor.Sealer, opt Options) *Hub {
	h := &Hub{log: log, topics: topics, sealer: sealer, opt: opt.withDefaults(), tails: map[uint64]*tail{}, kick: make(chan struct{}, 1)}
	h.stat, _ = log.(parley.Statter)
	h.timer, _ = log.(parley.Timer)
	return h
}

// Run follows streams and wakes parked subscriptions until ctx ends. Without it
// Fetch works and nobody is woken.
func (h *Hub) Run(ctx context.Context) error {
	defer h.topics.Watch(h.topicChanged)()
	h.removeRetired() // what was deleted before anybody watched
	sweep := time.NewTicker(h.opt.Linger)
	defer sweep.Stop()
	var followers sync.WaitGroup
	defer followers.Wait()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-sweep.C:
			h.sweep()
		case <-h.kick:
			for _, t := range h.takeStarting() {
				tctx, stop := context.WithCancel(ctx)
				t.stop = stop
				followers.Go(func() { t.follow(tctx) })
			}
		}
	}
}

// removeRetired tells the subscriptions of topics that are gone by now.
func (h *Hub) removeRetired() {
	h.mu.Lock()
	var gone []*tail
	for number, t := range h.tails {
		if h.topics.Retired(number) {
			gone = append(gone, t)
		}
	}
	h.mu.Unlock()
	for _, t := range gone {
		t.remove()
	}
}

func (h *Hub) takeStarting() []*tail {
	h.mu.Lock()
	defer h.mu.Unlock()
	starting := h.starting
	h.starting = nil
	return starting
}

// start asks Run to follow a tail. It is called once for each life of the tail.
func (h *Hub) start(t *tail) {
	h.mu.Lock()
	h.starting = append(h.starting, t)
	h.mu.Unlock()
	select {
	case h.kick <- struct{}{}:
	default: // one kick is enough for all
	}
}

// acquire gives the tail of a stream and counts one more user of it.
func (h *Hub) acquire(t topic.Topic, partition int, epoch uint32) *tail {
	number := t.Partitions[partition].Number
	h.mu.Lock()
	defer h.mu.Unlock()
	tl := h.tails[number]
	if tl == nil {
		tl = &tail{hub: h, topic: t, partition: partition, epoch: epoch}
		h.tails[number] = tl
	}
	tl.users++
	return tl
}

func (h *Hub) release(t *tail) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if t.users--; t.users == 0 {
		t.idle = 0
	}
}

// sweep stops the followers that had no user for a whole Linger.
func (h *Hub) sweep() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for number, t := range h.tails {
		if t.users > 0 {
			continue
		}
		if t.idle++; t.idle < 2 {
			continue
		}
		delete(h.tails, number)
		if t.stop != nil {
			t.stop()
		}
	}
}

// topicChanged tells the subscriptions that match a topic of its creation or
// removal.
func (h *Hub) topicChanged(t topic.Topic, removed bool) {
	h.mu.Lock()
	var told []*Subscription
	var gone []*tail
	if removed {
		for _, p := range t.Partitions {
			if tl := h.tails[p.Number]; tl != nil {
				gone = append(gone, tl)
			}
		}
	} else {
		for s := range h.index.Match(t.Name) {
			told = append(told, s)
		}
	}
	h.mu.Unlock()
	for _, tl := range gone {
		tl.remove()
	}
	for _, s := range told {
		s.offer(t)
	}
}

// Stats asks the engine about a stream.
func (h *Hub) Stats(ctx context.Context, s parley.Stream) (parley.Stats, error) {
	if h.stat != nil {
		return h.stat.Stat(ctx, s)
	}
	end, err := h.log.End(ctx, s)
	return parley.Stats{End: end}, err
}
