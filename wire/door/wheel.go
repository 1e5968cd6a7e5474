package door

import (
	"context"
	"sync"
	"time"
)

// Wheel rings many coarse timers with one ticker: heartbeats and deadlines of
// thousands of connections. A timer rings at most one tick late and never early.
type Wheel struct {
	tick  time.Duration
	mu    sync.Mutex
	slots []*Timer // ring lists
	now   int      // the slot that rings next
	armed chan struct{}
	count int
}

// Timer is a node of the wheel. It is embedded in what it rings and must not be
// copied.
type Timer struct {
	next, prev *Timer
	ring       func()
	slot       int
	rounds     int
}

// NewWheel makes a wheel with a tick; 0 means 100ms. Run turns it.
func NewWheel(tick time.Duration) *Wheel {
	if tick <= 0 {
		tick = 100 * time.Millisecond
	}
	return &Wheel{tick: tick, slots: make([]*Timer, 512), armed: make(chan struct{}, 1)}
}

// Init says what the timer does when it rings; it must return at once.
func (t *Timer) Init(ring func()) { t.ring = ring }

// Set lets the timer ring once after d, instead of whenever it was set before.
func (w *Wheel) Set(t *Timer, d time.Duration) {
	ticks := int((d + w.tick - 1) / w.tick)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.unlink(t)
	ticks++ // the current tick has partly gone
	t.slot = (w.now + ticks) % len(w.slots)
	t.rounds = (ticks - 1) / len(w.slots)
	if head := w.slots[t.slot]; head == nil {
		t.next, t.prev = t, t
		w.slots[t.slot] = t
	} else {
		t.next, t.prev = head, head.prev
		t.prev.next, t.next.prev = t, t
	}
	if w.count++; w.count == 1 {
		select {
		case w.armed <- struct{}{}:
		default:
		}
	}
}

// Stop disarms the timer. It may be ringing just now.
func (w *Wheel) Stop(t *Timer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.unlink(t)
}

func (w *Wheel) unlink(t *Timer) {
	if t.next == nil {
		return
	}
	if t.next == t {
		w.slots[t.slot] = nil
	} else {
		t.prev.next, t.next.prev = t.next, t.prev
		if w.slots[t.slot] == t {
			w.slots[t.slot] = t.next
		}
	}
	t.next, t.prev = nil, nil
	w.count--
}

// Run turns the wheel until ctx ends. A wheel without timers stands still and
// costs nothing.
func (w *Wheel) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-w.armed:
		}
		if err := w.turn(ctx); err != nil {
			return err
		}
	}
}

// turn ticks while there is a timer.
func (w *Wheel) turn(ctx context.Context) error {
	ticker := time.NewTicker(w.tick)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
		due, left := w.advance()
		for _, t := range due {
			t.ring()
		}
		if !left {
			return nil
		}
	}
}

// advance moves one slot on and takes out what is due.
func (w *Wheel) advance() (due []*Timer, left bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = (w.now + 1) % len(w.slots)
	head := w.slots[w.now]
	for n := w.length(head); n > 0; n-- {
		t := head
		head = t.next
		if t.rounds > 0 {
			t.rounds--
			continue
		}
		w.unlink(t)
		due = append(due, t)
	}
	return due, w.count > 0
}

func (w *Wheel) length(head *Timer) int {
	if head == nil {
		return 0
	}
	n := 1
	for t := head.next; t != head; t = t.next {
		n++
	}
	return n
}
