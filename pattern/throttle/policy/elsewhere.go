package policy

import (
	"context"
	"errors"
	"time"

	"github.com/parleyhq/parley/pattern/throttle"
)

// given is a unit that was taken from a counter, or in its place.
type given struct {
	place
	by maker
}

// elsewhere asks the counters of the limits that are counted for all nodes, one after
// the other within one Timeout: first the shadows, then those that reject. What a
// refusal leaves taken is given back by giveBack.
func (v *visit) elsewhere(ctx context.Context) error {
	if len(v.shared) == 0 {
		return nil
	}
	s := v.registry.opts.Sharing
	bounded, cancel := s.within(ctx)
	defer cancel()
	for _, shadows := range []bool{true, false} {
		for _, p := range v.shared {
			if p.shadow != shadows {
				continue
			}
			d, err := s.ask(bounded, p.limit, Counter.AllowN, p.key, 1)
			if err != nil {
				return err
			}
			v.note(p.limit, d.Decision)
			switch {
			case d.OK:
				v.given = append(v.given, given{p, d.by})
			case p.shadow:
				v.registry.decided(p.limit, p.key, WouldReject)
			default:
				v.registry.decided(p.limit, p.key, Rejected)
				return Refusal(p.refusal(d))
			}
		}
	}
	for _, g := range v.given {
		v.registry.decided(g.limit, g.key, Allowed)
	}
	return nil
}

// refusal is a decision of a counter as an error. That a counter is away is not the
// caller's fault: it is as if there were no place inside.
func (p place) refusal(d answer) *throttle.Error {
	return &throttle.Error{Name: p.name, Reason: d.Reason, RetryAfter: d.RetryAfter, Remaining: d.Remaining, Limit: d.Limit, Held: d.by == byNobody}
}

// giveBack returns what counters gave to a request that another limit refused, each to
// who gave it. It goes on when the caller went away, and what cannot be given back
// stays spent.
func (v *visit) giveBack(ctx context.Context) {
	if len(v.given) == 0 {
		return
	}
	s := v.registry.opts.Sharing
	bounded, cancel := s.within(context.WithoutCancel(ctx))
	defer cancel()
	for _, g := range v.given {
		switch {
		case g.by == byLimiter:
			g.limiter.Return(g.key, 1)
		case g.by == byCounter && !s.gate.Down():
			_, _ = g.shared.counter.Return(bounded, sharedKey(g.key), 1) // or it stays spent
		}
	}
}

// turn waits for its turn at a limit that is counted elsewhere: here first in, first
// out for each key, and whoever is at the head asks again when the counter said that
// it would pass. Heads on several nodes go as it happens.
func (v *visit) turn(ctx context.Context, p place) error {
	begin := time.Now()
	bounded, cancel := context.WithTimeout(ctx, p.wait)
	defer cancel()
	head, err := p.shared.turns.Acquire(bounded, p.key, 1)
	if err != nil {
		return v.gaveUp(ctx, p, err)
	}
	defer head.Release()
	outcome := Allowed
	for {
		d, err := v.registry.askOnce(ctx, p)
		if err != nil {
			return err
		}
		left := p.wait - time.Since(begin)
		switch {
		case d.OK:
			v.note(p.limit, d.Decision)
			v.given = append(v.given, given{p, d.by})
			v.registry.decided(p.limit, p.key, outcome)
			return nil
		case d.Reason != throttle.Limited || d.RetryAfter > left:
			v.note(p.limit, d.Decision)
			refused := p.refusal(d)
			if d.Reason == throttle.Limited {
				refused.Reason, refused.RetryAfter = throttle.TooLate, d.RetryAfter-max(0, left)
			}
			v.registry.decided(p.limit, p.key, Rejected)
			return Refusal(refused)
		}
		outcome = Shaped
		pause(ctx, max(d.RetryAfter, time.Millisecond))
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

// gaveUp tells why a turn did not come.
func (v *visit) gaveUp(ctx context.Context, p place, err error) error {
	var e *throttle.Error
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &e):
		e.Held, e.Limit = false, p.limiter.Limit().Quota // the line is full, nothing is inside
	default:
		e = &throttle.Error{Name: p.name, Reason: throttle.TooLate, RetryAfter: time.Second}
	}
	v.registry.decided(p.limit, p.key, Rejected)
	return Refusal(e)
}

// askOnce asks for one unit, within Timeout.
func (r *Registry) askOnce(ctx context.Context, p place) (answer, error) {
	bounded, cancel := r.opts.Sharing.within(ctx)
	defer cancel()
	return r.opts.Sharing.ask(bounded, p.limit, Counter.AllowN, p.key, 1)
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
