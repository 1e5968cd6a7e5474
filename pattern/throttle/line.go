package throttle

import (
	"container/heap"
	"time"
)

// lines are the waiting lines of a shard: a pure machine that the shard's lock
// guards and one timer drives. Each key has a group; in a group each flow has a
// first-in-first-out line, and the flows take turns by deficit round robin, so
// that in cost none gets more than its share while others wait, and no number
// of new flows can keep an old one waiting. Groups do not touch one another.
type lines struct {
	groups  map[hash]*group
	due     dueHeap // groups by the time at which their head may go
	waiting int
	// All waiters by age, since all may wait equally long.
	oldest, newest *waiter
}

// lineLimits bound the lines.
type lineLimits struct {
	wait time.Duration
	line int   // of a group
	all  int64 // of the limiter
}

// group is the line before one key.
type group struct {
	h       hash
	flows   map[string]*flow
	turn    *flow // whose turn it is; the others follow in a ring
	count   int
	cost    int64         // of all that wait
	quantum int64         // the largest cost seen: one turn is always enough
	at      time.Duration // when the head may go
	index   int           // in the heap
}

// flow is the line of one party before a key.
type flow struct {
	name       string
	group      *group
	head, tail *waiter
	cost       int64
	credit     int64 // cost it may still pass in this turn
	prev, next *flow
}

// waiter is a node in its flow's line. The answer is there when done is
// closed.
type waiter struct {
	cost         int64
	since        time.Duration
	flow         *flow // nil once it has left
	prev, next   *waiter
	older, newer *waiter
	answer       Decision
	done         chan struct{}
}

// ahead is the cost of all who wait for a key.
func (l *lines) ahead(h hash) int64 {
	if g := l.groups[h]; g != nil {
		return g.cost
	}
	return 0
}

// before estimates the cost that will pass before a newcomer to a flow: all of
// its own line, and of each other flow no more than that. With one flow it is
// exact.
func (g *group) before(name string, cost int64) int64 {
	if g == nil {
		return 0
	}
	own, flows := int64(0), int64(len(g.flows))
	if f := g.flows[name]; f != nil {
		own = f.cost
	} else {
		flows++
	}
	return min(g.cost, product(uint64(sum(own, cost)), uint64(flows)))
}

// join puts a waiter at the end of its flow's line. at is when the head of the
// group may go if the group is new.
func (l *lines) join(h hash, name string, cost int64, now, at time.Duration) *waiter {
	g := l.groups[h]
	if g == nil {
		g = &group{h: h, flows: map[string]*flow{}, at: at}
		if l.groups == nil {
			l.groups = map[hash]*group{}
		}
		l.groups[h] = g
		heap.Push(&l.due, g)
	}
	g.quantum = max(g.quantum, cost)
	f := g.flows[name]
	if f == nil {
		f = g.enter(name)
	}
	w := &waiter{cost: cost, since: now, flow: f, prev: f.tail, older: l.newest, done: make(chan struct{})}
	if f.tail != nil {
		f.tail.next = w
	} else {
		f.head = w
	}
	f.tail = w
	if l.newest != nil {
		l.newest.newer = w
	} else {
		l.oldest = w
	}
	l.newest = w
	f.cost += cost
	g.cost += cost
	g.count++
	l.waiting++
	return w
}

// enter puts a new flow at the end of the round.
func (g *group) enter(name string) *flow {
	f := &flow{name: name, group: g}
	g.flows[name] = f
	if g.turn == nil {
		f.prev, f.next, f.credit, g.turn = f, f, g.quantum, f
		return f
	}
	f.prev, f.next = g.turn.prev, g.turn
	f.prev.next, f.next.prev = f, f
	return f
}

// leave takes a waiter out, wherever it stands; those behind move up.
func (l *lines) leave(w *waiter) {
	f := w.flow
	if f == nil {
		return
	}
	if w.prev != nil {
		w.prev.next = w.next
	} else {
		f.head = w.next
	}
	if w.next != nil {
		w.next.prev = w.prev
	} else {
		f.tail = w.prev
	}
	if w.older != nil {
		w.older.newer = w.newer
	} else {
		l.oldest = w.newer
	}
	if w.newer != nil {
		w.newer.older = w.older
	} else {
		l.newest = w.older
	}
	w.flow, w.prev, w.next, w.older, w.newer = nil, nil, nil, nil, nil
	g := f.group
	f.cost -= w.cost
	g.cost -= w.cost
	g.count--
	l.waiting--
	if f.head == nil {
		g.exit(f)
	}
	if g.count == 0 {
		delete(l.groups, g.h)
		heap.Remove(&l.due, g.index)
	}
}

// exit takes an empty flow out of the round. What is left of its turn is lost.
func (g *group) exit(f *flow) {
	delete(g.flows, f.name)
	if f.next == f {
		g.turn = nil
		return
	}
	f.prev.next, f.next.prev = f.next, f.prev
	if g.turn == f {
		g.turn = f.next
		g.turn.credit += g.quantum
	}
}

// head is the waiter whose turn it is.
func (g *group) head() *waiter {
	for g.turn.credit < g.turn.head.cost {
		g.turn = g.turn.next
		g.turn.credit += g.quantum
	}
	return g.turn.head
}

// run lets everybody go whose time has come, asking take for each. Who is let
// go, or refused for good, finds the answer in the waiter.
func (l *lines) run(now time.Duration, take func(h hash, cost int64) Decision) {
	for len(l.due) > 0 && l.due[0].at <= now {
		g := l.due[0]
		w := g.head()
		d := take(g.h, w.cost)
		if d.Reason == Limited {
			g.at = later(now, d.RetryAfter)
			if d.held {
				g.at = forever // until somebody leaves
			}
			heap.Fix(&l.due, g.index)
			continue
		}
		g.turn.credit -= w.cost
		l.settle(w, d)
	}
}

// settle answers a waiter and takes it out.
func (l *lines) settle(w *waiter, d Decision) {
	l.leave(w)
	w.answer = d
	close(w.done)
}

// expire refuses those who have waited too long and returns how many.
func (l *lines) expire(now, longest time.Duration) (n uint64) {
	for w := l.oldest; w != nil && now >= later(w.since, longest); w = l.oldest {
		g := w.flow.group
		retry := time.Duration(1)
		if g.at != forever {
			retry = max(1, g.at-now)
		}
		l.settle(w, Decision{Reason: TooLate, Cost: w.cost, RetryAfter: retry, at: now})
		n++
	}
	return n
}

// hurry has a key's head asked again: something was given back. With all, the
// others too.
func (l *lines) hurry(h hash, now time.Duration, all bool) {
	if all {
		l.hurryAll(now)
		return
	}
	if g := l.groups[h]; g != nil {
		g.at = now
		heap.Fix(&l.due, g.index)
	}
}

func (l *lines) hurryAll(now time.Duration) {
	for _, g := range l.due {
		g.at = now
	}
	heap.Init(&l.due)
}

// next is when something has to be done again.
func (l *lines) next(longest time.Duration) time.Duration {
	if l.waiting == 0 {
		return forever
	}
	return min(l.due[0].at, later(l.oldest.since, longest))
}

// later adds and stops at forever.
func later(t, d time.Duration) time.Duration {
	if d > forever-t {
		return forever
	}
	return t + d
}

// dueHeap orders groups by time; see container/heap.
type dueHeap []*group

func (d dueHeap) Len() int           { return len(d) }
func (d dueHeap) Less(i, j int) bool { return d[i].at < d[j].at }
func (d dueHeap) Swap(i, j int) {
	d[i], d[j] = d[j], d[i]
	d[i].index, d[j].index = i, j
}

func (d *dueHeap) Push(x any) {
	g := x.(*group)
	g.index = len(*d)
	*d = append(*d, g)
}

func (d *dueHeap) Pop() any {
	last := len(*d) - 1
	g := (*d)[last]
	(*d)[last] = nil
	*d = (*d)[:last]
	return g
}
