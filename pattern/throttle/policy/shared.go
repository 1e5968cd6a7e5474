package policy

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/throttle"
	"github.com/parleyhq/parley/pattern/throttle/outage"
)

// Counter counts one limit for all nodes together; sharded.Counter and
// valkey.Limiter are such. The error Unavailable, Unknown, Timeout or Overloaded means
// that it does not answer now.
type Counter interface {
	AllowN(ctx context.Context, key string, n int64) (throttle.Decision, error)
	Look(ctx context.Context, key string, n int64) (throttle.Decision, error)
	Return(ctx context.Context, key string, n int64) (throttle.Decision, error)
}

// Sharing says where limits are counted that hold for all nodes together. With the
// zero value each node counts for itself. Limits of what is inside at once always do:
// a node that died would never leave.
type Sharing struct {
	// Open gives the counter of a limit. Of two counters of one name that differ the one
	// with the higher revision holds. Errors: Invalid for a limit that cannot be counted
	// there.
	Open func(name string, limit throttle.Limit, revision int64) (Counter, error)
	// Outage is what is answered while the counts are away; default outage.Local: each
	// node counts for itself.
	Outage outage.Policy
	// Timeout is how long a request waits for all its counters together; default 100 ms.
	Timeout time.Duration
	// RetryEvery is how long the counts are left alone after a failure; default 250 ms.
	RetryEvery time.Duration
	// OnOutage is told when the counts go away, with the error, and when they are back,
	// with nil. It must not wait.
	OnOutage func(error)

	gate *outage.Gate
}

func (s Sharing) withDefaults() Sharing {
	if s.Outage == "" {
		s.Outage = outage.Local
	}
	if s.Timeout <= 0 {
		s.Timeout = 100 * time.Millisecond
	}
	if s.RetryEvery <= 0 {
		s.RetryEvery = 250 * time.Millisecond
	}
	if s.OnOutage == nil {
		s.OnOutage = func(error) {}
	}
	s.gate = &outage.Gate{Every: s.RetryEvery}
	return s
}

// shared is how a limit is counted for all nodes.
type shared struct {
	counter Counter
	turns   *throttle.Limiter // of a limit that shapes: the line before the counter
}

// open gives a limit its counter; none when nodes count for themselves. revision
// grows with each change of the limit.
func (s Sharing) open(l *limit, revision int64) error {
	limit := l.limiter.Limit()
	l.shared = nil
	if s.Open == nil || l.held || limit.Quota == 0 || limit.Quota == throttle.Infinite {
		return nil
	}
	counter, err := s.Open(l.name, limit, revision)
	if err != nil {
		return err
	}
	l.shared = &shared{counter: counter}
	if !l.shape {
		return nil
	}
	o := throttle.Options{Name: l.name, MaxWait: longestWait}
	if limit.Algorithm == throttle.LeakyQueue {
		o.MaxLine = int(min(limit.Burst, 1000))
	}
	l.shared.turns, err = throttle.New(throttle.NewConcurrency(1), o)
	return err
}

// openOrAlone is open for a limit that is in the log: one that cannot be counted
// elsewhere is better counted here than not at all.
func (r *Registry) openOrAlone(ctx context.Context, l *limit, revision int64) {
	if err := r.opts.Sharing.open(l, revision); err != nil {
		r.opts.Logger.LogAttrs(ctx, slog.LevelWarn, "a limit cannot be counted for all nodes together: each counts for itself", slog.String("limit", l.name), slog.Any("error", err))
	}
}

// question is what is asked of a counter.
type question func(c Counter, ctx context.Context, key string, n int64) (throttle.Decision, error)

// errAway is why the context of a question to the counters ends, if they do not
// answer in time.
var errAway = errors.New("the shared counts do not answer in time")

// within bounds the time for the counters.
func (s Sharing) within(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, s.Timeout, errAway)
}

// answer is a decision and who made it.
type answer struct {
	throttle.Decision
	by maker
}

type maker uint8

const (
	byCounter maker = iota
	byLimiter       // of this node, for a counter that is away
	byNobody        // a rule for what to do then
)

// ask asks a limit's counter, or answers without it while it is away. ctx is one that
// within gave. The error is the caller's going away.
func (s Sharing) ask(ctx context.Context, l *limit, q question, key string, n int64) (answer, error) {
	if !s.gate.Enter(time.Now()) {
		return s.without(ctx, l, q, key, n), nil
	}
	d, err := q(l.shared.counter, ctx, sharedKey(key), n)
	late := errors.Is(context.Cause(ctx), errAway)
	if err != nil && ctx.Err() != nil && !late {
		return answer{}, ctx.Err() // it says nothing about the counts
	}
	away := late && err != nil
	switch parley.CodeOf(err) {
	case parley.Unavailable, parley.Unknown, parley.Timeout:
		away = away || err != nil
	}
	if s.gate.Leave(away, time.Now()) {
		if !away {
			err = nil
		}
		s.OnOutage(err)
	}
	if err != nil {
		return s.without(ctx, l, q, key, n), nil
	}
	return answer{d, byCounter}, nil
}

// without answers for a counter that is away.
func (s Sharing) without(ctx context.Context, l *limit, q question, key string, n int64) answer {
	limit := l.limiter.Limit()
	switch s.Outage {
	case outage.Open:
		return answer{throttle.Decision{OK: true, Cost: n, Limit: limit.Quota, Remaining: limit.Quota}, byNobody}
	case outage.Closed:
		return answer{throttle.Decision{Reason: throttle.Limited, Cost: n, Limit: limit.Quota, RetryAfter: s.RetryEvery}, byNobody}
	}
	d, _ := q(local{l.limiter}, ctx, key, n) // has no errors
	return answer{d, byLimiter}
}

// local is a limiter of this process as a Counter.
type local struct{ limiter *throttle.Limiter }

func (c local) AllowN(_ context.Context, key string, n int64) (throttle.Decision, error) {
	_, d, _ := throttle.TryAll(throttle.Charge{Limiter: c.limiter, Key: key, Cost: n}) // the decision says it
	return d[0], nil
}

func (c local) Look(_ context.Context, key string, n int64) (throttle.Decision, error) {
	return c.limiter.Look(key, n), nil
}

func (c local) Return(_ context.Context, key string, n int64) (throttle.Decision, error) {
	c.limiter.Return(key, n)
	return c.limiter.Peek(key), nil
}

const maxSharedKey = 256

// sharedKey is a key as counters take it: header fields may be long.
func sharedKey(key string) string {
	if len(key) <= maxSharedKey {
		return key
	}
	sum := sha256.Sum256([]byte(key))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// uncounted names the member of a definition that cannot be counted elsewhere.
func uncounted(err error) error {
	if err == nil {
		return nil
	}
	e, ok := err.(*parley.Error) //nolint:errorlint // ours, unwrapped
	if !ok {
		return err
	}
	at := *e
	if at.Field != "algorithm" {
		at.Field = "limit"
	}
	return &at
}

// countable says whether a definition can be counted where limits are. Errors:
// Invalid.
func (r *Registry) countable(name string, def Definition) error {
	l, err := compile(name, def, r.opts.Trusted)
	if err == nil {
		err = l.start(nil, r.opts.Now())
	}
	if err != nil {
		return err
	}
	return uncounted(r.opts.Sharing.open(l, 0))
}
