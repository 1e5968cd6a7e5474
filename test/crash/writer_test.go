package crash

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// topics that the writers write to, with their settings. What the operating system
// has survives the end of a process too.
var topics = []struct{ name, settings string }{
	{"orders", `{"partitions":4}`},
	{"audit", `{"partitions":1}`},
	{"metrics", `{"partitions":2}`},
	{"traces", `{"partitions":2,"durability":"os"}`},
}

func topicNames() []string {
	var names []string
	for _, t := range topics {
		names = append(names, t.name)
	}
	return names
}

// crowd is the writers. They send while the gate is open: whoever holds it for
// writing knows that no request is under way.
type crowd struct {
	api     *api
	led     *ledger
	gate    sync.RWMutex
	closed  bool            // the gate is; of the test alone
	last    context.Context //nolint:containedctx // ends when no further request may begin
	work    sync.WaitGroup  // of readers
	writing sync.WaitGroup  // of writers
}

// start starts the writers, with the gate closed. Half of them speak gRPC.
func (c *crowd) start(ctx context.Context, n int, seed uint64) {
	c.close()
	for i := range n {
		w := &writer{crowd: c, id: i, dice: rand.New(rand.NewPCG(seed, uint64(i))), send: c.api.overHTTP}
		if i%2 == 1 {
			w.send = c.api.overRPC
		}
		c.writing.Go(func() { w.run(ctx) })
	}
}

// close waits until no request is under way, and lets none begin.
func (c *crowd) close() {
	c.gate.Lock()
	c.closed = true
}

// open lets the writers go on.
func (c *crowd) open() {
	if c.closed {
		c.closed = false
		c.gate.Unlock()
	}
}

// writer sends one request after the other.
type writer struct {
	*crowd
	id, number int
	dice       *rand.Rand
	send       func(context.Context, *request) (answer, error)
}

func (w *writer) run(ctx context.Context) {
	for w.last.Err() == nil {
		r := w.compose()
		w.led.begin(r)
		for !w.attempt(ctx, r) {
			select {
			case <-time.After(10 * time.Millisecond):
			case <-ctx.Done():
				return
			}
		}
	}
}

// attempt sends a request once. done says that nothing more is to be done for it.
func (w *writer) attempt(ctx context.Context, r *request) (done bool) {
	w.gate.RLock()
	defer w.gate.RUnlock()
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	got, err := w.send(ctx, r)
	var refused *refusal
	switch {
	case err == nil:
		w.led.answered(r, got)
		// Some ask twice: their answer may have been lost on the way.
		if w.dice.IntN(20) == 0 {
			if got, err = w.send(ctx, r); err == nil {
				w.led.answered(r, got)
			}
		}
		return true
	case errors.As(err, &refused) && !refused.again():
		w.led.wrong("%s was refused: %v", r.key, err)
		return true
	case errors.As(err, &refused):
		w.led.refuse(refused.code)
	}
	w.led.failed()
	if r.leave { // its writer will never know
		w.led.abandon(r)
	}
	return r.leave
}

// compose makes the next request: to one topic or to several, of one event or of
// more, in the writer's order or spread over the partitions.
func (w *writer) compose() *request {
	r := newRequest(w.id, w.number)
	r.leave = w.dice.IntN(6) == 0
	w.number++
	key := fmt.Sprintf("writer-%d", w.id)
	switch n := w.dice.IntN(10); {
	case n < 3: // one event, whose id is its key
		r.add(topics[w.dice.IntN(len(topics))].name, key)
		r.key = ""
	case n < 6:
		topic := topics[w.dice.IntN(len(topics))].name
		for range 1 + w.dice.IntN(6) {
			r.add(topic, key)
		}
	case n < 7:
		topic := topics[w.dice.IntN(len(topics))].name
		for range 1 + w.dice.IntN(8) {
			r.add(topic, "")
		}
	default:
		r.whole = true
		for _, i := range w.dice.Perm(len(topics))[:2+w.dice.IntN(2)] {
			for k := range 1 + w.dice.IntN(3) {
				r.add(topics[i].name, []string{key, ""}[k%2])
			}
		}
	}
	return r
}
