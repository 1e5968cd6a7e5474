package throttle

import (
	"errors"
	"fmt"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"
)

// Options tune a [Limiter]. The zero value works.
type Options struct {
	// Name stands in errors. It may be empty.
	Name string
	// MaxKeys is how many keys are kept apart at most; 0 means 1,048,576, or
	// fewer if a key's state is so long that they would take over 256 MiB. A
	// key takes 16 bytes and its state, and a table is 9/16 to 3/4 full as it
	// grows. Keys are spread over up to 64 shards of equal size, so the first
	// shard is full when MaxKeys is nearly reached.
	MaxKeys int
	// MaxWait is the longest that Wait, Acquire and Reserve stay in line; 0
	// means 30 s.
	MaxWait time.Duration
	// MaxLine is how many may wait in line for one key; 0 means 1,000.
	MaxLine int
	// MaxWaiting is how many may wait for all keys together; 0 means 100,000.
	MaxWaiting int
	// Now is the limiter's clock; nil means the monotonic clock of the process, started
	// at the wall time at which the limiter was made, so that windows align
	// with the wall clock. It may step and disagree with itself: see [Clock].
	// Waiting always takes real time.
	Now func() time.Duration
}

const (
	maxShards   = 64
	shardKeys   = 256 // a shard is worth having from so many keys on
	tableBudget = 256 << 20
)

func (o Options) normal(words int) (Options, error) {
	switch {
	case o.MaxKeys < 0 || o.MaxKeys > 1<<32:
		return o, fmt.Errorf("throttle: max_keys: %d is outside 0 to %d", o.MaxKeys, int64(1)<<32)
	case o.MaxWait < 0:
		return o, errors.New("throttle: max_wait: is negative; to refuse at once use Allow")
	case o.MaxLine < 0:
		return o, errors.New("throttle: max_line: is negative")
	case o.MaxWaiting < 0:
		return o, errors.New("throttle: max_waiting: is negative")
	}
	if o.MaxKeys == 0 {
		o.MaxKeys = max(1, min(1<<20, tableBudget/(8*(cellHead+words))))
	}
	if o.MaxWait == 0 {
		o.MaxWait = 30 * time.Second
	}
	if o.MaxLine == 0 {
		o.MaxLine = 1000
	}
	if o.MaxWaiting == 0 {
		o.MaxWaiting = 100_000
	}
	return o, nil
}

// Limiter applies one [Limit] to each of many keys. It is safe for concurrent
// use, starts no goroutine, and holds no memory for keys that time has
// restored.
//
// When MaxKeys keys are limited at once, none of them is forgotten: further
// keys share one state a shard, so that a flood of new keys gets what one key
// would, 64 times over, and a key that is limited stays limited.
type Limiter struct {
	name   string
	rule   atomic.Pointer[Rule] // the newest; shards get theirs one after the other
	change sync.Mutex           // one change at a time
	shards []*shard
	shift  uint
	seeds  [2]maphash.Seed
	now    func() time.Duration
	maxes  lineLimits
	// waiting counts those in line over all shards. Shards look at it without a
	// common lock, so it may be passed by as many as there are shards.
	waiting atomic.Int64
}

// lockOrder numbers shards, so that locks that are taken together are always
// taken in one order.
var lockOrder atomic.Uint64

// New makes a limiter. It fails when the limit does not compile.
func New(limit Limit, o Options) (*Limiter, error) {
	rule, err := Compile(limit)
	if err != nil {
		return nil, err
	}
	if o, err = o.normal(rule.Words()); err != nil {
		return nil, err
	}
	n, bits := 1, uint(0)
	for n < maxShards && o.MaxKeys >= 2*n*shardKeys {
		n, bits = n*2, bits+1
	}
	l := &Limiter{
		name: o.Name, shards: make([]*shard, n), shift: 64 - bits,
		seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()},
		now:   newNow(o.Now),
		maxes: lineLimits{wait: o.MaxWait, line: o.MaxLine, all: int64(o.MaxWaiting)},
	}
	l.rule.Store(rule)
	last := lockOrder.Add(uint64(n))
	for i := range l.shards {
		keys := (o.MaxKeys + n - 1 - i) / n
		l.shards[i] = newShard(rule, keys, last-uint64(n)+uint64(i))
	}
	return l, nil
}

// newNow is the clock of a limiter.
func newNow(given func() time.Duration) func() time.Duration {
	if given == nil {
		begin := time.Now()
		wall := time.Duration(begin.UnixNano())
		if wall < 0 || wall > maxTime/2 {
			wall = 0
		}
		return func() time.Duration { return wall + time.Since(begin) }
	}
	var mu sync.Mutex
	var clock Clock
	return func() time.Duration {
		raw := given()
		mu.Lock()
		defer mu.Unlock()
		return clock.Read(raw)
	}
}

func (l *Limiter) hash(key string) hash {
	return hash{maphash.String(l.seeds[0], key) | 1, maphash.String(l.seeds[1], key)}
}

func (l *Limiter) shard(h hash) *shard { return l.shards[h.hi>>l.shift] }

// Name is the name given in Options.
func (l *Limiter) Name() string { return l.name }

// Limit is the limit in force, defaults filled in.
func (l *Limiter) Limit() Limit { return l.rule.Load().limit }

// Allow takes one unit for key and says whether it could. It never waits. For
// a held limit use TryAcquire.
func (l *Limiter) Allow(key string) bool {
	h := l.hash(key)
	s := l.shard(h)
	now := l.lock(s)
	if cell := s.quick(h, 1); cell != nil {
		ok := s.grab(cell, now, 1)
		s.mu.Unlock()
		return ok
	}
	var d Decision
	s.take(&d, h, now, 1)
	s.mu.Unlock()
	return d.OK
}

// AllowN takes n units for key, all or none, and never waits. What it takes
// can be given back by Refund; for Concurrency and Adaptive it must be.
func (l *Limiter) AllowN(key string, n int64) (d Decision) {
	h := l.hash(key)
	s := l.shard(h)
	now := l.lock(s)
	if cell := s.quick(h, n); cell != nil {
		var before [2]uint64
		copy(before[:], cell)
		rule := s.rule
		s.grab(cell, now, n)
		s.mu.Unlock()
		rule.tell(&d, before, now, n)
		return d
	}
	s.take(&d, h, now, n)
	s.mu.Unlock()
	return d
}

// lock locks a shard and says what time it is there.
func (l *Limiter) lock(s *shard) time.Duration {
	reading := l.now()
	s.mu.Lock()
	return s.moment(reading)
}

// Peek says what key could have and takes nothing. Of an unknown key it keeps
// nothing either.
func (l *Limiter) Peek(key string) (d Decision) {
	h := l.hash(key)
	s := l.shard(h)
	now := l.lock(s)
	s.judge(&d, h, now, 0)
	d.Reset = s.rule.until(s.state(h), now, d)
	s.mu.Unlock()
	return d
}

// Look is Peek for n units: it says whether they would be had, and if not when,
// and takes nothing.
func (l *Limiter) Look(key string, n int64) (d Decision) {
	h := l.hash(key)
	s := l.shard(h)
	now := l.lock(s)
	s.judge(&d, h, now, n)
	if d.OK && d.Remaining != Infinite {
		d.Remaining += n
	}
	d.Reset = s.rule.until(s.state(h), now, d)
	s.mu.Unlock()
	d.Cost = 0 // nothing to give back
	return d
}

// Refund gives back what a decision took, once. Those in line are let in at
// once. Units that time has restored meanwhile are not given again.
func (l *Limiter) Refund(key string, d Decision) { l.giveBack(l.hash(key), d, false) }

// Return is Refund for who has no Decision, such as the caller of a service: n
// units of key are given back as if they had been taken this moment. It is for
// units that were, since of older ones time may have restored some already.
func (l *Limiter) Return(key string, n int64) {
	h := l.hash(key)
	s := l.shard(h)
	now := l.lock(s)
	if cell := s.cells.find(h); cell != nil {
		s.rule.Return(cell, now, n)
	}
	if s.lines.waiting > 0 {
		s.lines.hurry(h, now, false)
		l.advance(s, now)
	}
	s.mu.Unlock()
}

func (l *Limiter) giveBack(h hash, d Decision, overloaded bool) {
	if !d.OK || d.Cost <= 0 {
		return
	}
	s := l.shard(h)
	now := l.lock(s)
	s.giveBack(h, now, d, overloaded)
	if s.lines.waiting > 0 {
		s.lines.hurry(h, now, d.shared)
		l.advance(s, now)
	}
	s.mu.Unlock()
}

// Forget makes key as good as new: a lock-out lifted by hand. Under a held
// limit nothing happens, since what is inside is inside.
func (l *Limiter) Forget(key string) {
	h := l.hash(key)
	s := l.shard(h)
	now := l.lock(s)
	if !s.rule.held {
		s.cells.forget(h)
		if s.lines.waiting > 0 {
			s.lines.hurry(h, now, false)
			l.advance(s, now)
		}
	}
	s.mu.Unlock()
}

// SetLimit changes the limit while the limiter is in use. Keys keep what they
// have spent, as [Rule.Convert] says. In a window over the change a key
// is admitted at most the larger of the two worst cases if both limits are
// buckets (TokenBucket, LeakyMeter, LeakyQueue, GCRA) or both count in the same way in the same window;
// otherwise at most their sum. A change between a limit that is held and one
// that is not is refused.
func (l *Limiter) SetLimit(limit Limit) error {
	rule, err := Compile(limit)
	if err != nil {
		return err
	}
	if old := l.Limit(); rule.held != old.held() {
		return fmt.Errorf("throttle: algorithm: cannot change from %s to %s in place; make a new limiter", old.Algorithm, limit.Algorithm)
	}
	l.change.Lock() // or shards could end up with different ones
	defer l.change.Unlock()
	l.rule.Store(rule)
	for _, s := range l.shards {
		now := l.lock(s)
		s.convert(rule, now)
		if s.lines.waiting > 0 {
			s.lines.hurryAll(now)
			l.advance(s, now)
		}
		s.mu.Unlock()
	}
	return nil
}

// Stats are a limiter's counts. All but Keys and Waiting only grow.
type Stats struct {
	// Granted and Refused count decisions; a refusal from the line is one.
	Granted, Refused uint64
	// Shared counts grants from a shared state, because the table was full.
	Shared uint64
	// Keys is how many keys have a state, Waiting how many calls are in line.
	Keys, Waiting int
	// Bytes is the size of the tables.
	Bytes int
}

// Stats adds up the shards, one after the other.
func (l *Limiter) Stats() Stats {
	var sum Stats
	for _, s := range l.shards {
		s.mu.Lock()
		sum.Granted += s.granted
		sum.Refused += s.refused
		sum.Shared += s.shared
		sum.Keys += s.cells.used
		sum.Waiting += s.lines.waiting
		sum.Bytes += 8 * len(s.cells.slab)
		s.mu.Unlock()
	}
	return sum
}
