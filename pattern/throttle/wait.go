package throttle

import (
	"context"
	"errors"
	"time"
)

// ErrHeld is returned by Wait for a limit whose units must be given back.
var ErrHeld = errors.New("throttle: a concurrency limit has to be left again; use Acquire and Release")

// Wait stands in line until n units are taken for key. Lines are first in,
// first out for each key. It returns at once, with an [*Error] that says when
// to come back, if the line is full or the turn would come later than MaxWait
// or the context's deadline. When the context ends first its error is returned,
// nothing is taken, and those behind move up.
func (l *Limiter) Wait(ctx context.Context, key string, n int64) error {
	if l.Limit().held() {
		return ErrHeld
	}
	_, err := l.acquire(ctx, key, "", n)
	return err
}

// Acquire is Wait that gives a [Permit], so that the units can be given back
// (Refund) or left (Release). It is the way into a Concurrency or Adaptive
// limit.
func (l *Limiter) Acquire(ctx context.Context, key string, n int64) (Permit, error) {
	return l.acquire(ctx, key, "", n)
}

// AcquireFor is Acquire for one of several parties that share key, such as the
// tenants before one upstream. Each flow has its own line, and the flows take
// turns: by cost, each gets an equal share however many calls the others have
// in line.
func (l *Limiter) AcquireFor(ctx context.Context, key, flow string, n int64) (Permit, error) {
	return l.acquire(ctx, key, flow, n)
}

// TryAcquire is AllowN that gives a [Permit].
func (l *Limiter) TryAcquire(key string, n int64) (Permit, error) {
	d := l.AllowN(key, n)
	if !d.OK {
		return Permit{}, l.named(d.Err())
	}
	return Permit{first: charge{limiter: l, h: l.hash(key), d: d}}, nil
}

func (l *Limiter) acquire(ctx context.Context, key, flow string, n int64) (Permit, error) {
	if err := ctx.Err(); err != nil {
		return Permit{}, err
	}
	longest := l.maxes.wait
	if end, ok := ctx.Deadline(); ok {
		longest = min(longest, time.Until(end))
	}
	h := l.hash(key)
	w, d := l.queue(h, flow, n, longest)
	if w != nil {
		select {
		case <-w.done:
		case <-ctx.Done():
			if l.quit(h, w) {
				return Permit{}, ctx.Err()
			}
		}
		d = w.answer
	}
	if !d.OK {
		return Permit{}, l.named(d.Err())
	}
	return Permit{first: charge{limiter: l, h: h, d: d}}, nil
}

// named puts the limiter's name into a refusal.
func (l *Limiter) named(err error) error {
	if e, ok := errors.AsType[*Error](err); ok {
		e.Name = l.name
	}
	return err
}

// queue takes the units at once, or joins the line, or refuses.
func (l *Limiter) queue(h hash, flow string, n int64, longest time.Duration) (w *waiter, d Decision) {
	s := l.shard(h)
	now := l.lock(s)
	defer s.mu.Unlock()
	if s.judge(&d, h, now, n); d.OK {
		if s.spend(&d, h, now, n); d.OK {
			s.granted++
			return nil, d
		}
	}
	if d.Reason == Limited {
		g := s.lines.groups[h]
		ahead := g.before(flow, n)
		s.rule.judge(&d, s.state(h), now, ahead, n)
		switch full := g != nil && g.count >= s.maxLine(l.maxes.line); {
		case full || l.waiting.Load() >= l.maxes.all:
			d.Reason = QueueFull
			if g != nil && !d.held {
				d.RetryAfter = max(1, g.at-now)
			}
		case d.RetryAfter > longest && !d.held:
			d.Reason = TooLate
			d.RetryAfter -= max(0, longest)
		default:
			at := later(now, d.RetryAfter)
			if d.held {
				at = forever
			}
			w = s.lines.join(h, flow, n, now, at)
			l.waiting.Add(1)
			w.answer.RetryAfter = d.RetryAfter
			l.arm(s, now)
			return w, Decision{}
		}
	}
	s.refused++
	return nil, d
}

// maxLine is how long a line may be: a leaky queue has its own bound.
func (s *shard) maxLine(limit int) int {
	if s.rule.limit.Algorithm == LeakyQueue && s.rule.limit.Burst > 0 {
		return int(min(int64(limit), s.rule.limit.Burst))
	}
	return limit
}

// quit takes a waiter out of the line. It says false if the waiter had been
// answered already.
func (l *Limiter) quit(h hash, w *waiter) bool {
	s := l.shard(h)
	now := l.lock(s)
	defer s.mu.Unlock()
	if w.flow != nil {
		l.advance(s, now) // a turn that comes at this very moment has come: the timer may be late
	}
	if w.flow == nil {
		return false
	}
	s.lines.leave(w)
	l.waiting.Add(-1)
	s.lines.hurry(h, now, false) // the next may be cheaper
	l.advance(s, now)
	return true
}

// advance lets go whom it can, refuses whom it must, and sets the timer.
func (l *Limiter) advance(s *shard, now time.Duration) {
	before := s.lines.waiting
	s.lines.run(now, func(h hash, cost int64) (d Decision) {
		s.spend(&d, h, now, cost)
		switch {
		case d.OK:
			s.granted++
		case d.Reason != Limited:
			s.refused++
		}
		return d
	})
	s.refused += s.lines.expire(now, l.maxes.wait)
	l.waiting.Add(int64(s.lines.waiting - before))
	l.arm(s, now)
}

// arm sets the shard's one timer to what comes next.
func (l *Limiter) arm(s *shard, now time.Duration) {
	next := s.lines.next(l.maxes.wait)
	if next == forever {
		if s.timer != nil {
			s.timer.Stop()
		}
		return
	}
	wait := max(1, next-now)
	if s.timer != nil {
		s.timer.Reset(wait)
		return
	}
	s.timer = time.AfterFunc(wait, func() {
		now := l.lock(s)
		defer s.mu.Unlock()
		l.advance(s, now)
	})
}

// Reservation is a place in line, or units already taken. Whoever holds one
// waits for Done, or cancels.
type Reservation struct {
	limiter  *Limiter
	h        hash
	w        *waiter
	delay    time.Duration
	canceled bool
}

// Reserve takes n units for key, or a place in line for them, without
// blocking. It is Wait in two halves: nothing is given out ahead of time, so a
// cancelled reservation leaves no gap. Errors are those of Wait.
func (l *Limiter) Reserve(key string, n int64) (*Reservation, error) {
	h := l.hash(key)
	w, d := l.queue(h, "", n, l.maxes.wait)
	if w == nil {
		if !d.OK {
			return nil, l.named(d.Err())
		}
		w = &waiter{answer: d, done: make(chan struct{})}
		close(w.done)
		return &Reservation{limiter: l, h: h, w: w}, nil
	}
	return &Reservation{limiter: l, h: h, w: w, delay: w.answer.RetryAfter}, nil
}

// Done is closed when the units are taken, or when the reservation is refused
// after all; see Err.
func (r *Reservation) Done() <-chan struct{} { return r.w.done }

// Delay is how long the wait looked when the reservation was made: exact for
// buckets if nobody ahead cancels, 0 for at once.
func (r *Reservation) Delay() time.Duration { return r.delay }

// Err is nil while waiting and when the units are taken.
func (r *Reservation) Err() error {
	select {
	case <-r.w.done:
		return r.limiter.named(r.w.answer.Err())
	default:
		return nil
	}
}

// Permit is for the units taken; it is empty before Done and after a refusal.
func (r *Reservation) Permit() Permit {
	select {
	case <-r.w.done:
		if r.w.answer.OK {
			return Permit{first: charge{limiter: r.limiter, h: r.h, d: r.w.answer}}
		}
	default:
	}
	return Permit{}
}

// Cancel leaves the line, or gives back what was taken. Only the first call
// does anything. It must not run beside a use of Permit.
func (r *Reservation) Cancel() {
	if r.canceled {
		return
	}
	r.canceled = true
	if !r.limiter.quit(r.h, r.w) {
		p := r.Permit()
		p.Refund()
	} else {
		r.w.answer = Decision{Reason: Limited, Cost: r.w.cost}
		close(r.w.done)
	}
}
